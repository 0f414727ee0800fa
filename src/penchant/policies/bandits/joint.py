"""Rules on options whose worths are uncertain together, as where they share part-worths.

Legend: K options, N points.
"""

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, ndtr, softmax
from penchant.numerics.draws import draw_uniforms
from penchant.policies.bandits.linear import expected_share
from penchant.policies.bandits.rules import InverseGapLoss, Rule, Thompson
from penchant.policies.oneshot.risk import with_least_exposure

# So many points make a probability known to some 0.01.
NUM_POINTS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Grants:
    """What every option of a menu is granted, whatever the rule says of it.

    floor: a share of decisions that are any option, all alike. exposure: the least probability of
    each option to stand in front (an even share, where a menu has too many for that).
    """

    floor: float = 0.0
    exposure: float = 0.0

    def __post_init__(self) -> None:
        for name in ("floor", "exposure"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; expected a share from 0 to 1, such as 0.05."
                )


NOTHING_GRANTED = Grants()


def menu_probabilities(
    rule: Rule,
    mean: Float[Array, " K"],
    covariance: Float[Array, "K K"],
    step: int,
    bar: float | None = None,
    grants: Grants = NOTHING_GRANTED,
    charge: Float[Array, " K"] | None = None,
) -> Float[Array, " K"]:
    """The rule's probability of each option of one menu.

    Thompson's rule reads all covariances; the others, as published, each option's own spread. bar:
    worths are log-odds of a yes above it; rules that count in units of reward are then given
    expected shares. Without it `InverseGapLoss` is given how often each option would be taken of
    the whole menu, which is what it then earns in front. charge: what each option is to earn
    before it is worth anything, in what the rule counts in (log-odds or units of reward); infinite
    for one that may not be shown.
    """
    if charge is not None and not np.isfinite(charge).all():
        kept = np.flatnonzero(np.isfinite(charge))
        found = np.zeros(len(mean))
        found[kept] = menu_probabilities(
            rule, mean[kept], covariance[np.ix_(kept, kept)], step, bar, grants, charge[kept]
        )
        return found
    found = _by_rule(rule, mean, covariance, step, bar, 0.0 if charge is None else charge)
    found = (1.0 - grants.floor) * found + grants.floor / len(mean)
    return with_least_exposure(found, grants.exposure) if grants.exposure > 0 else found


def _by_rule(
    rule: Rule,
    mean: Float[Array, " K"],
    covariance: Float[Array, "K K"],
    step: int,
    bar: float | None,
    charge: float | Float[Array, " K"],
) -> Float[Array, " K"]:
    if isinstance(rule, Thompson):
        return best_together(mean - charge, rule.width**2 * covariance)
    spread = np.sqrt(np.diag(covariance))
    if bar is not None and rule.in_reward:
        mean = expected_share(mean - bar, spread)
    elif isinstance(rule, InverseGapLoss):
        mean = softmax(mean, axis=0)
    everything = np.ones((1, len(mean)), dtype=bool)
    found = rule.probabilities((mean - charge)[None], spread[None], everything, step)
    return np.asarray(found[0])


def best_together(mean: Float[Array, " K"], covariance: Float[Array, "K K"]) -> Float[Array, " K"]:
    """P(option k is the largest) under a joint normal law; exact for two, else the share of a
    thousand evenly spread points, always the same ones. Equal worths share evenly."""
    if len(mean) == 2:
        variance = covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1]
        gap = mean[0] - mean[1]
        size = 1e-12 * max(1.0, float(np.abs(mean).max()))
        if variance > size**2:
            first = float(ndtr(np.array(gap / np.sqrt(variance))))
        else:
            first = 0.5 if abs(gap) <= size else float(gap > 0)
        return np.array([first, 1.0 - first])
    value, vector = np.linalg.eigh(covariance)
    # What rounding left of no doubt at all would part options that are one and the same.
    root = vector * np.sqrt(np.where(value > 1e-13 * value[-1], value, 0.0))
    worth = mean + _points(len(mean)) @ root.T
    top = worth.max(axis=1, keepdims=True)
    is_best = worth >= top - 1e-9 * np.maximum(1.0, np.abs(top))
    return np.asarray((is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0))


@functools.lru_cache(maxsize=32)
def _points(num: int) -> Float[Array, "N K"]:
    from scipy.special import ndtri

    uniforms = draw_uniforms("sobol" if num <= 1000 else "random", 1, num, NUM_POINTS,
                             np.random.default_rng(0))[0]  # fmt: skip
    return np.asarray(ndtri(uniforms.T))
