"""Pairs to look at: those that judges divide on, and those of which a model knows little.

Legend: R judged pairs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.evaluation.reward_form import ShownTexts
from penchant.evaluation.reward_trial import RewardTrial
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.names import excerpt

_EXAMPLES, EXCERPT = 4, 220
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


def disagreement(trial: RewardTrial, texts: ShownTexts) -> tuple[Float[Array, " R"], bool]:
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


def examples(
    trial: RewardTrial, texts: ShownTexts, worth_showing: Float[Array, " R"]
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
        one, other = (excerpt(texts.words[side[at]], EXCERPT) for side in (first, second))
        centre = _log_odds(trial.first_wins[at : at + 1])
        low, high = sigmoid(centre + np.array([trial.low[at], trial.high[at]]) - trial.gap[at])
        made.append(
            Example(
                first=one, second=other,
                share=float(won.mean()) if len(won) else float("nan"), votes=len(won),
                said=float(trial.first_wins[at]), low=float(low), high=float(high),
            )
        )  # fmt: skip
    return tuple(made)
