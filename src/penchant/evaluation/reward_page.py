"""The page of a reward model: how right, for whom, how sure, and what it does not know.

Everything is told of judges (or topics) that the models had not seen. Legend: R judged pairs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.records import Records
from penchant.encoders.reasons_heard import ReasonsHeard
from penchant.errors import ConfigError
from penchant.evaluation.few_shot import few_shot_gains, few_shot_points
from penchant.evaluation.judge_kinds import JudgeKinds, judge_kinds
from penchant.evaluation.report import (
    Calibration,
    CalibrationBin,
    Estimate,
    FewShotCurve,
    WorstSubgroups,
)
from penchant.evaluation.report_words import between, few_shot_takeaway, number, percent
from penchant.evaluation.reward_examples import Example, disagreement, examples
from penchant.evaluation.reward_form import Bias, ShownTexts, biases, by_length
from penchant.evaluation.reward_trial import RewardTrial
from penchant.evaluation.subgroups import losses_by_subgroup
from penchant.models.reward_model import RewardModel

_COVERAGES = (1.0, 0.8, 0.6, 0.4, 0.2)
_MOST_GROUPS = 12


@dataclass(frozen=True, kw_only=True)
class TopicGap:
    """Known topics beside new ones: accuracy with its interval, nats, mean width of the interval of
    a gap, mean ignorance, share flagged as unfamiliar."""

    name: str
    pairs: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    nll: float
    width: float
    ignorance: float
    unfamiliar: float


@dataclass(frozen=True, kw_only=True)
class RewardPage:
    """Everything the page shows; empty parts leave no trace. has_votes: whether judges were seen
    to disagree about `disagreed`, by several votes of each pair, or the model foretells it."""

    title: str
    subtitle: str
    lead: tuple[str, ...]
    calibration: Calibration
    few_shot: FewShotCurve | None
    few_shot_words: str
    worst_subgroups: WorstSubgroups | None
    kinds: JudgeKinds | None
    kinds_words: str
    reasons: ReasonsHeard | None
    reasons_words: str
    biases: tuple[Bias, ...]
    selective: tuple[Estimate, ...]
    by_length: tuple[Estimate, ...]
    chance: float
    doubt: float
    disagreed: tuple[Example, ...]
    has_votes: bool
    ignorant: tuple[Example, ...]
    topics: tuple[TopicGap, ...]
    warnings: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]

    def plain(self) -> dict[str, Any]:
        """The figures, ready for JSON."""
        return asdict(self)


def reward_page(
    model: RewardModel,
    records: Records,
    trial: RewardTrial,
    *,
    shots: Sequence[tuple[int, RewardTrial]] = (),
    topics: RewardTrial | None = None,
    by: Sequence[str] = (),
    title: str = "A reward model",
    seed: int = 0,
) -> RewardPage:
    """The page of a fitted model and of trials on the same records: `trial` by models that met
    neither the pair nor its judge, `shots` after so many answers of the judge, `topics` by models
    that met nothing of the pair's topic."""
    texts = ShownTexts.of(records, model)
    predictions = trial.predictions()
    nll, table = predictions.nll(), predictions.reliability()
    accuracy = trial.accuracy()
    sd = np.sqrt(trial.doubt_variance)
    p = trial.first_wins
    # By how much our doubt moves a probability: what is sure to be right is not unknown.
    moved = p * (1 - p) * sd
    kinds = judge_kinds(model, records)
    reasons = getattr(model.belief_.encoder, "reasons", None)
    divided, has_votes = disagreement(trial, texts)
    bins = np.stack([table.predicted, table.observed, table.low, table.high, table.mass], axis=1)
    return RewardPage(
        title=title,
        subtitle=_subtitle(trial, texts, records),
        lead=_lead(trial, accuracy, model),
        calibration=Calibration(
            model="the reward model", ece=table.error,
            bins=tuple(
                CalibrationBin(predicted=a, observed=o, low=x, high=y, count=round(n))
                for a, o, x, y, n in bins.tolist()
            ),
        ),
        few_shot=_few_shot(shots),
        few_shot_words=_few_shot_words(shots),
        worst_subgroups=_subgroups(trial, records, tuple(by), nll.estimate, seed),
        kinds=kinds,
        kinds_words=_kinds_words(kinds),
        reasons=reasons,
        reasons_words="" if reasons is None else reasons.sentence(),
        biases=biases(trial, texts, model),
        selective=_selective(trial),
        by_length=by_length(trial, texts),
        chance=float(np.mean(2 * p * (1 - p))),
        doubt=float(np.mean(moved)),
        disagreed=examples(trial, texts, divided),
        has_votes=has_votes,
        ignorant=examples(trial, texts, moved),
        topics=() if topics is None else (
            _topic_gap("topics it has met", trial), _topic_gap("new topics", topics)
        ),
        warnings=() if model.belief_.report is None else model.belief_.report.warnings,
        facts=(
            ("accuracy on decided pairs", percent(accuracy.estimate, 1)),
            ("nats a judgement", f"{nll.estimate:.3f}{between(nll.low, nll.high, number, 3)}"),
            ("calibration error", percent(table.error, 1)),
            ("ties", percent(float(1 - trial.decided.mean()), 1)),
        ),
    )  # fmt: skip


def write_reward_page(page: RewardPage, path: Path) -> Path:
    """Write the page as one HTML file that loads nothing. Raises ConfigError for a folder."""
    from penchant.evaluation import report_charts, report_words
    from penchant.evaluation.report import environment

    if path.is_dir():
        raise ConfigError(
            f"the page was to be written to {path}, which is a folder; expected a file name."
        )
    made = environment().get_template("reward.html")
    html = made.render(data=page, charts=report_charts, words=report_words)
    path.write_text(html, encoding="utf-8")
    return path


def _subtitle(trial: RewardTrial, texts: ShownTexts, records: Records) -> str:
    judges = len(np.unique(trial.person))
    if judges == 1 or not records.num_people:
        who = "one judge" if records.num_people else "nobody who is named"
        return (
            f"{len(trial):,} judged pairs of {who}; every figure is of answers that the model had "
            "not heard. How well it would foretell other people cannot be told from these."
        )
    return (
        f"{len(trial):,} judged pairs of {judges:,} judges; every figure is of judges that the "
        f"model had not met. Of {percent(_met(trial, texts))} of the pairs it had met both texts, "
        "in the judgements of others."
    )


def _met(trial: RewardTrial, texts: ShownTexts) -> float:
    """The share of pairs whose texts both were shown to another judge, too."""
    first, second = texts.pair(trial.row)
    shown = np.unique(np.stack([np.r_[first, second], np.r_[trial.person, trial.person]]), axis=1)
    judges = np.bincount(shown[0], minlength=len(texts.words))
    return float(((judges[first] > 1) & (judges[second] > 1)).mean())


def _lead(trial: RewardTrial, accuracy: Any, model: RewardModel) -> tuple[str, ...]:
    sure = trial.take(np.argsort(-np.abs(trial.first_wins - 0.5))[: max(len(trial) // 2, 1)])
    half = sure.accuracy().estimate
    said: tuple[str, ...] = (
        f"It names the preferred text in {percent(accuracy.estimate, 1)} of decided pairs"
        f"{between(accuracy.low, accuracy.high, percent, 1)}, "
        f"and in {percent(half, 1)} of the half that it is surest of.",
    )
    share = getattr(model.belief_.encoder, "new_text_share", 1.0)
    if share <= 0.9:
        said += (
            "Of texts that it has not met it knows less than these figures say: there its word "
            f"counts for {share:.2f} of what it counts for here.",
        )
    unfamiliar = float(trial.is_unfamiliar.mean())
    if unfamiliar > 0.03:
        said += (
            f"{percent(unfamiliar)} of the pairs are unlike what it learned from: there it should "
            "be asked for no opinion.",
        )
    return said


def _few_shot(shots: Sequence[tuple[int, RewardTrial]]) -> FewShotCurve | None:
    if len(shots) < 2:
        return None
    points = few_shot_points([trial.predictions() for _, trial in shots])
    placed = [
        type(point)(answers=k, nll=point.nll, low=point.low, high=point.high)
        for (k, _), point in zip(shots, points)
    ]
    return FewShotCurve(model="the reward model", points=tuple(placed))


def _few_shot_words(shots: Sequence[tuple[int, RewardTrial]]) -> str:
    """What answers bring, compared pair by pair; the curve's own intervals hold what makes a pair
    hard, too."""
    curve = _few_shot(shots)
    if curve is None:
        return ""
    gain = few_shot_gains([trial.predictions() for _, trial in shots])[-1]
    if gain.high < 0:
        return few_shot_takeaway(curve)
    return (
        f"{shots[-1][0]} answers of a new judge change the error on their next ones by "
        f"{gain.estimate:+.3f} nats ({gain.low:+.3f} to {gain.high:+.3f}): no gain that can be "
        "told from chance."
    )


def _kinds_words(found: JudgeKinds | None) -> str:
    """Who the kinds are, and how much they part."""
    if found is None:
        return ""
    who = {
        "classes": f"Every judge is of one of {len(found.kinds)} kinds.",
        "prototypes": f"Every judge is a mix of {len(found.kinds)} prototypes, every mix as likely "
        "as every other.",
        "latent": "Judges lie anywhere along the directions of taste; shown are those one standard "
        "deviation to either side of the average.",
    }[found.people]
    two = "The two ends of a direction" if found.people == "latent" else "Two of them"
    return f"{who} {two} would prefer different texts in {percent(found.apart)} of pairs."


def _subgroups(
    trial: RewardTrial, records: Records, by: tuple[str, ...], overall: float, seed: int
) -> WorstSubgroups | None:
    columns = by or _columns(records)
    if not columns:
        return None
    generator = np.random.default_rng(seed)
    try:
        found = losses_by_subgroup(trial.predictions(), records, columns, generator)
    except ConfigError:
        if by:
            raise
        return None
    worst = np.argsort(-found.mean)[:_MOST_GROUPS]
    groups = [
        Estimate(
            label=found.names[z], value=float(found.mean[z]), low=float(found.low[z]),
            high=float(found.high[z]), people=int(found.num_clusters[z]),
        )
        for z in worst
    ]  # fmt: skip
    return WorstSubgroups(model="the reward model", overall=overall, groups=tuple(groups))


def _columns(records: Records) -> tuple[str, ...]:
    """Topics and kinds of people with few levels."""
    names = (*records.columns("context"), *records.columns("person_feature"))
    return tuple(name for name in names if 2 <= _levels(records, name) <= 40)


def _levels(records: Records, name: str) -> int:
    import pyarrow.compute as pc

    column = records.rows[name]
    return 0 if str(column.type).startswith("list") else len(pc.unique(column.combine_chunks()))


def _selective(trial: RewardTrial) -> tuple[Estimate, ...]:
    """Accuracy of the surest share of decided pairs, our doubt counted in."""
    decided = trial.take(np.flatnonzero(trial.decided))
    order = np.argsort(-np.abs(decided.averaged_odds), kind="stable")
    made = []
    for share in _COVERAGES:
        kept = decided.take(order[: max(round(share * len(order)), 1)])
        found = kept.accuracy()
        made.append(
            Estimate(label=f"the surest {percent(share)}" if share < 1 else "all pairs",
                     value=100 * found.estimate, low=100 * found.low, high=100 * found.high)
        )  # fmt: skip
    return tuple(made)


def _topic_gap(name: str, trial: RewardTrial) -> TopicGap:
    accuracy = trial.accuracy()
    return TopicGap(
        name=name, pairs=len(trial), accuracy=accuracy.estimate, accuracy_low=accuracy.low,
        accuracy_high=accuracy.high, nll=trial.predictions().nll().estimate,
        width=float((trial.high - trial.low).mean()), ignorance=float(trial.ignorance.mean()),
        unfamiliar=float(trial.is_unfamiliar.mean()),
    )  # fmt: skip
