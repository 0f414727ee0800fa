"""`penchant align FILE` of pairs and ranked lists: fitted, and told by person, context and kind."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from penchant.cli.align_folder import RunFolder
from penchant.cli.align_learnt import Learnt, parted_by_prompt
from penchant.cli.align_methods import METHODS, AlignOptions, Setting
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.evaluation.judged_texts import TextPairs
    from penchant.evaluation.policy_trial import Score
    from penchant.fitting.sgd import TrainConfig
    from penchant.lm.language_model import LanguageModel
    from penchant.policies.language.direct import DirectFit
    from penchant.policies.language.lists import Lists
    from penchant.policies.language.pairs import Pairs


def check_listed(method: str, options: AlignOptions) -> None:
    """Raises `ConfigError` for what only pairs have, before anything is taught."""
    if METHODS[method].made(options, Setting()).loss != "logistic" or options.ties != "half":
        raise ConfigError(
            f"the file ranks more than two answers to a prompt, and --method {method} with --ties "
            f"{options.ties} is of pairs; expected --method dpo or dpo-nll without --ties: a "
            "ranking is then a choice of the best, again and again, and equal ranks say that the "
            "order is not known."
        )


def learn_from_pairs(
    method: str, told: "TextPairs", start: "LanguageModel", training: "TrainConfig",
    options: AlignOptions, folder: RunFolder,
) -> Learnt:  # fmt: skip
    """A policy, or one for each kind of people, and how far it orders what was held out."""
    from penchant.evaluation.policy_trial import overall, scores
    from penchant.policies.language.direct import fit_direct
    from penchant.policies.language.lists import Lists
    from penchant.policies.language.pair_margins import answer_worths, judged_order

    config = METHODS[method].made(options, Setting())
    rows = told.pairs.rows
    parted = parted_by_prompt(
        [rows[b][0][: told.pairs.place[b]] for b in range(len(rows))], options
    )
    kept, held, prompt = parted.kept, parted.held, parted.of_prompt
    fit = fit_direct(
        start, _some(told.pairs, kept), training, config,
        person_features=_features(told, kept), checkpoint=folder.state,
    )  # fmt: skip
    judged = _some(told.pairs, held)
    worth = answer_worths(fit.policies, start, judged, strength=config.strength, mean=config.mean)
    mine = _all_people(fit.posterior, fit.log_shares, len(told.group))[judged.person]
    right = judged_order(worth, judged, mine)
    is_weighed = bool(np.ptp(judged.weights) > 0.0)
    coin, those = np.full(len(right), 0.5), {"cluster": prompt, "weight": judged.weights}
    named, unit = "pairs", "share of pairs in the judged order"
    if isinstance(judged, Lists):
        named, unit = "ranked lists", "share of a list's pairs in the judged order, mean over lists"
    by: tuple[Score, ...] = ()
    if told.has_people:
        names = [told.group[g] for g in judged.person]
        by += scores(coin, right, names, group="person", **those)
    if len(told.contexts) > 1:
        names = [told.contexts[told.context[g]] for g in judged.person]
        by += scores(coin, right, names, group=f"{options.context}", **those)
    if config.kinds > 1:
        kinds = [f"{1 + k}" for k in mine.argmax(axis=1)]
        by += scores(coin, right, kinds, group="kind", **those)
    names = ["policy"] if config.kinds == 1 else [f"policy-{s + 1}" for s in range(config.kinds)]
    return Learnt(
        policies=dict(zip(names, fit.policies, strict=True)), training=fit.training, scores=by,
        whole=overall(coin, right, **those), is_new=parted.is_new,
        unit=unit + (", by their weights" if is_weighed else ""),
        facts=((named, f"{len(kept):,}"), *parted.facts, *_left_out(told),
               *_tie_fact(config.ties, fit.ties),
               ("people", f"{len(told.group):,}" if told.has_people else "not known"),
               ("kinds", str(config.kinds))),
        people=None if config.kinds == 1 else _people(told, fit),
    )  # fmt: skip


def _some(pairs: "Pairs | Lists", rows: Any) -> "Pairs | Lists":
    from penchant.policies.language.lists import Lists, some_lists
    from penchant.policies.language.pairs import some_pairs

    return some_lists(pairs, rows) if isinstance(pairs, Lists) else some_pairs(pairs, rows)


def _tie_fact(law: str, ties: float | None) -> tuple[tuple[str, str], ...]:
    """How often two answers of equal worth tie."""
    if ties is None:
        return ()
    even = math.exp(ties) / (2.0 + math.exp(ties)) if law == "davidson" else (
        math.tanh(0.5 * math.exp(ties)))  # fmt: skip
    return (("ties of equal answers", f"{even:.0%}"),)


def _left_out(told: "TextPairs") -> tuple[tuple[str, str], ...]:
    """Observations that compare nothing, or count nothing."""
    return (("left out", f"{told.num_left_out:,}"),) if told.num_left_out else ()


def _features(told: "TextPairs", kept: Any) -> Any:
    """What is known of the groups that train: their context."""
    last = int(told.pairs.person[kept].max()) + 1
    return told.context_features[:last] if len(told.contexts) > 1 else None


def _all_people(posterior: Any, log_shares: Any, num: int) -> Any:
    """Shares of the kinds for everybody: whoever has no training pair is as people are."""
    usual = np.exp(log_shares).mean(axis=0)
    return np.concatenate([posterior, np.tile(usual, (num - len(posterior), 1))])


def _people(told: "TextPairs", fit: "DirectFit") -> dict[str, Any]:
    return {
        told.group[g]: {f"policy-{s + 1}": round(float(p), 4) for s, p in enumerate(shares)}
        for g, shares in enumerate(fit.posterior)
    }
