"""Pairs whose labels may be wrong: soft targets, flips, margins, and which labels to doubt.

Three places for noise, not to be confused: on the utility (Thurstone), on the label (here), on the
weight of an observation in the loss. A label's noise changes what is learnt, and no decision.

Legend: B pairs, written with the winner first; H members of an ensemble. Any array library.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, log_sigmoid, log_sum_exp, namespace, sigmoid, stack


def soft_log_prob(gap: Float[Array, "*B"], target: Float[Array, "*#B"]) -> Float[Array, "*B"]:
    """t log sigmoid(gap) + (1 - t) log sigmoid(-gap).

    t: how sure the label is. 1 - alpha is label smoothing, 0 a label turned round; where t is the
    share of votes it is Bradley-Terry's likelihood per vote.
    """
    return target * log_sigmoid(gap) + (1.0 - target) * log_sigmoid(-gap)


def soft_score(gap: Float[Array, "*B"], target: Float[Array, "*#B"]) -> Float[Array, "*B"]:
    """d/d gap: t - sigmoid(gap)."""
    return target - sigmoid(gap)


def margin_log_prob(gap: Float[Array, "*B"], margin: Float[Array, "*#B"]) -> Float[Array, "*B"]:
    """log sigmoid(gap - margin): a loss, and no likelihood unless the margin is known beforehand.

    The reward loss with a margin of Touvron et al. (2023, Llama 2); with margins from an ensemble,
    the adaptive margin of Wang et al. (2024), who print it outside of the logarithm.
    """
    return log_sigmoid(gap - margin)


def flipped_log_prob(gap: Float[Array, "*B"], rate: Float[Array, "*#B"]) -> Float[Array, "*B"]:
    """log((1 - e) sigmoid(gap) + e sigmoid(-gap)): a share e of labels was turned round by chance.

    Unlike a soft target it is bounded below by log e: a label that cannot be true stops pulling.
    """
    return log_sum_exp(stack(_log_shares(gap, rate), axis=-1), axis=-1)


def flipped_score(gap: Float[Array, "*B"], rate: Float[Array, "*#B"]) -> Float[Array, "*B"]:
    """d/d gap: h (1 - sigma) - (1 - h) sigma, h the chance that this label was held, not flipped.

    Equal to (1 - 2 e) sigma (1 - sigma) / p, which is 0 / 0 where sigma is 0 in floats.
    """
    xp = namespace(gap)
    held, turned = _log_shares(gap, rate)
    whole = log_sum_exp(stack([held, turned], axis=-1), axis=-1)
    return xp.exp(held - whole) * sigmoid(-gap) - xp.exp(turned - whole) * sigmoid(gap)


def _log_shares(gap: Float[Array, "*B"], rate: Float[Array, "*#B"]) -> list[Float[Array, "*B"]]:
    """log (1 - e) sigmoid(gap) and log e sigmoid(-gap): labels held, and turned round.

    In logs, so that neither vanishes before the other can stand in for it.
    """
    return [_log(1.0 - rate) + log_sigmoid(gap), _log(rate) + log_sigmoid(-gap)]


def _log(share: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """log, minus infinity at 0 without a warning."""
    xp = namespace(share)
    return xp.where(share > 0.0, xp.log(xp.where(share > 0.0, share, 1.0)), -xp.inf)


@dataclass(frozen=True, kw_only=True, eq=False)
class Strength:
    """How strongly an ensemble holds with each label. mean, spread: of its members' gaps, winner
    less loser, in log-odds; below zero it contradicts the label."""

    mean: Float[Array, " B"]
    spread: Float[Array, " B"]

    def lowest(self, share: float) -> Bool[Array, " B"]:
        """The pairs held with least. Of Wang et al.'s, the lowest fifth behaved as wrong labels,
        the next as ambiguous ones. Raises `ConfigError` for a share outside 0 to 1."""
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"got a share of {share} of the pairs; expected 0 to 1.")
        count = round(share * len(self.mean))
        chosen = np.zeros(len(self.mean), dtype=bool)
        chosen[np.argsort(self.mean, kind="stable")[:count]] = True
        return chosen

    def targets(self, flip: float = 0.0) -> Float[Array, " B"]:
        """1, and 0 for the lowest share: labels turned round."""
        return np.where(self.lowest(flip), 0.0, 1.0)

    def soft_targets(self) -> Float[Array, " B"]:
        """sigmoid(mean): what the ensemble believes of each label."""
        return sigmoid(self.mean)


def strength(gaps: Float[Array, "H B"]) -> Strength:
    """Preference strength by an ensemble's votes (Wang et al. 2024, Secrets of RLHF II).

    gaps: of members that have not settled: one that has learnt the labels by heart holds with all.
    """
    return Strength(mean=gaps.mean(axis=0), spread=gaps.std(axis=0))
