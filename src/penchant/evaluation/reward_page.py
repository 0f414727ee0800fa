"""The page of a reward model: how right, for whom, how sure, and what it does not know.

Everything is told of judges (or topics) that the models had not seen. Legend: R judged pairs.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from penchant.data.records import Records
from penchant.encoders.embedding import distinct_texts
from penchant.encoders.text_attributes import text_attributes
from penchant.encoders.text_embedding import plain_texts, with_plain_texts
from penchant.errors import ConfigError
from penchant.evaluation.few_shot import few_shot_gains, few_shot_points
from penchant.evaluation.report import (
    Calibration,
    CalibrationBin,
    Estimate,
    FewShotCurve,
    WorstSubgroups,
)
from penchant.evaluation.report_words import between, few_shot_takeaway, number, percent
from penchant.evaluation.reward_trial import RewardTrial
from penchant.evaluation.subgroups import losses_by_subgroup
from penchant.metrics.calibration import clustered_share
from penchant.models.reward_model import RewardModel
from penchant.numerics.arrays import Array, sigmoid

_COVERAGES = (1.0, 0.8, 0.6, 0.4, 0.2)
_LENGTH_BINS, _MOST_GROUPS, _EXAMPLES, _EXCERPT = 6, 12, 4, 220
# Decided answers of one pair from which its judges are seen to disagree, and how many such pairs
# there are at least: the four most divided of a handful need not be divided.
_FEW_VOTES, _ENOUGH_PAIRS = 5, 40


@dataclass(frozen=True, kw_only=True)
class Example:
    """A pair to look at. share, votes: of decided answers for the first, and how many; said: the
    model's probability, low and high over its doubt about the reward."""

    first: str
    second: str
    share: float
    votes: int
    said: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Bias:
    """name: length or position. seen, said: the share of decided pairs in which the longer (the
    first shown) text won, and was foretold to; low, high: of the share seen."""

    name: str
    seen: float
    low: float
    high: float
    said: float
    pairs: int


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
    texts = _Texts.of(records, model)
    predictions = trial.predictions()
    nll, table = predictions.nll(), predictions.reliability()
    accuracy = trial.accuracy()
    sd = np.sqrt(trial.doubt_variance)
    p = trial.first_wins
    disagreement, has_votes = _disagreement(trial, texts)
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
        biases=_biases(trial, texts, model),
        selective=_selective(trial),
        by_length=_by_length(trial, texts),
        chance=float(np.mean(2 * p * (1 - p))),
        doubt=float(np.mean(p * (1 - p) * sd)),
        disagreed=_examples(trial, texts, disagreement),
        has_votes=has_votes,
        ignorant=_examples(trial, texts, sd),
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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Texts:
    """Of every observation: its two texts, how many words each has, and its prompt's words."""

    words: tuple[str, ...]
    of_option: Array
    offsets: Array
    size: Array
    prompt: Array

    @classmethod
    def of(cls, records: Records, model: RewardModel) -> "_Texts":
        embedding = model.embedding
        column = getattr(embedding, "text", "text")
        words, of_option = distinct_texts(with_plain_texts(records, column), column)
        size = np.expm1(text_attributes(words, ("length",))[:, 0])
        prompt = np.zeros(len(records))
        name = getattr(embedding, "prompt", None)
        if name is not None and name in records.rows.column_names:
            told = plain_texts(records.rows[name], name).to_pylist()
            prompt = np.array([len((text or "").split()) for text in told], dtype=np.float64)
        return cls(
            words=words, of_option=of_option, offsets=records.offsets, size=size, prompt=prompt
        )

    def pair(self, row: Array) -> tuple[Array, Array]:
        """The two texts of each of these observations."""
        return self.of_option[self.offsets[row]], self.of_option[self.offsets[row] + 1]


def _subtitle(trial: RewardTrial, texts: _Texts, records: Records) -> str:
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


def _met(trial: RewardTrial, texts: _Texts) -> float:
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


def _biases(trial: RewardTrial, texts: _Texts, model: RewardModel) -> tuple[Bias, ...]:
    first, second = texts.pair(trial.row)
    longer = np.sign(texts.size[first] - texts.size[second])
    made = [_bias("the longer text", trial, longer)]
    encoder = model.belief_.encoder
    if "shown_first" in getattr(encoder, "feature_names", ()):
        made.append(_bias("the text shown first", trial, np.ones(len(trial))))
    return tuple(bias for bias in made if bias is not None)


def _bias(name: str, trial: RewardTrial, side: Float[Array, " R"]) -> Bias | None:
    """side: 1 where the first is the favoured one, -1 where the second is, 0 neither."""
    mine = trial.decided & (side != 0)
    if not mine.any():
        return None
    won = np.where(side > 0, trial.outcome == 0, trial.outcome == 1)[mine]
    said = np.where(side > 0, trial.first_wins, 1 - trial.first_wins)[mine]
    seen = clustered_share(won.astype(np.float64), trial.person[mine])
    return Bias(name=name, seen=seen.estimate, low=seen.low, high=seen.high,
                said=float(said.mean()), pairs=int(mine.sum()))  # fmt: skip


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


def _by_length(trial: RewardTrial, texts: _Texts) -> tuple[Estimate, ...]:
    """Accuracy by how many words there were to read: the prompt and both texts."""
    first, second = texts.pair(trial.row)
    total = texts.prompt[trial.row] + texts.size[first] + texts.size[second]
    cuts = np.unique(np.quantile(total, np.linspace(0, 1, _LENGTH_BINS + 1)))
    if len(cuts) < 3:
        return ()
    made = []
    for low, high in pairwise(cuts):
        mine = (total >= low) & ((total < high) | (high == cuts[-1]))
        found = trial.accuracy(mine)
        if np.isfinite(found.estimate):
            made.append(
                Estimate(label=f"{low:.0f} to {high:.0f} words", value=100 * found.estimate,
                         low=100 * found.low, high=100 * found.high)
            )  # fmt: skip
    return tuple(made)


def _disagreement(trial: RewardTrial, texts: _Texts) -> tuple[Float[Array, " R"], bool]:
    """How often two judges of each pair differ: as they were seen to where pairs have several
    votes, else as the model foretells of pairs that it knows well."""
    first, second = texts.pair(trial.row)
    both = np.stack([np.minimum(first, second), np.maximum(first, second)])
    _, pair = np.unique(both, axis=1, return_inverse=True)
    pair = pair.reshape(-1)
    lower = (np.where(trial.outcome == 0, first, second) == both[0]) & trial.decided
    votes = np.bincount(pair, trial.decided)[pair]
    share = np.bincount(pair, lower)[pair] / np.maximum(votes, 1)
    if len(np.unique(pair[votes >= _FEW_VOTES])) >= _ENOUGH_PAIRS:
        # Three of five may be chance: of pairs as divided, those of many votes come first.
        told = 2 * share * (1 - share) * votes / (votes + _FEW_VOTES)
        return np.where(votes >= _FEW_VOTES, told, -1.0), True
    p = trial.first_wins
    return np.where(_is_sure(trial), 2 * p * (1 - p), -1.0), False


def _log_odds(share: Float[Array, "*N"]) -> Float[Array, "*N"]:
    inside = np.clip(share, 1e-12, 1 - 1e-12)
    return np.log(inside) - np.log1p(-inside)


def _is_sure(trial: RewardTrial) -> Bool[Array, " R"]:
    """Where the model knows as much as of the better half of pairs."""
    width = trial.high - trial.low
    return (width <= np.median(width)) & (width > 0)


def _examples(
    trial: RewardTrial, texts: _Texts, worth_showing: Float[Array, " R"]
) -> tuple[Example, ...]:
    """The pairs with the largest values, each once, with what all judges said."""
    first, second = texts.pair(trial.row)
    lower, upper = np.minimum(first, second), np.maximum(first, second)
    made: list[Example] = []
    shown: set[tuple[int, int]] = set()
    for at in np.argsort(-worth_showing, kind="stable").tolist():
        both = (int(lower[at]), int(upper[at]))
        if both in shown or len(made) == _EXAMPLES or worth_showing[at] < 0:
            continue
        shown.add(both)
        same = (lower == both[0]) & (upper == both[1]) & trial.decided
        won = np.where(first[same] == first[at], trial.outcome[same] == 0, trial.outcome[same] == 1)
        centre = _log_odds(trial.first_wins[at : at + 1])
        low, high = sigmoid(centre + np.array([trial.low[at], trial.high[at]]) - trial.gap[at])
        made.append(
            Example(
                first=_excerpt(texts.words[first[at]]), second=_excerpt(texts.words[second[at]]),
                share=float(won.mean()) if len(won) else float("nan"), votes=len(won),
                said=float(trial.first_wins[at]), low=float(low), high=float(high),
            )
        )  # fmt: skip
    return tuple(made)


def _excerpt(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 1].rstrip() + "…"


def _topic_gap(name: str, trial: RewardTrial) -> TopicGap:
    accuracy = trial.accuracy()
    return TopicGap(
        name=name, pairs=len(trial), accuracy=accuracy.estimate, accuracy_low=accuracy.low,
        accuracy_high=accuracy.high, nll=trial.predictions().nll().estimate,
        width=float((trial.high - trial.low).mean()), ignorance=float(trial.ignorance.mean()),
        unfamiliar=float(trial.is_unfamiliar.mean()),
    )  # fmt: skip
