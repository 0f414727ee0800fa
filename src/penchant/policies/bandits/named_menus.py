"""Decisions over menus that change from one to the next, by what is believed of named features.

Legend: K options.
"""

import functools
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.encoders.named import Menu
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.policies.bandits.linear import expected_share, pick
from penchant.policies.bandits.rules import Rule


@runtime_checkable
class NamedBelief(Protocol):
    """What a menu can be decided by."""

    @property
    def is_binary(self) -> bool:
        """Whether moments are of log-odds."""
        ...

    @property
    def rounds(self) -> int:
        """Rewards seen."""
        ...

    def moments(self, menu: Menu) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
        """Mean and standard deviation of each option's expected reward (log-odds if binary)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedPolicy:
    """A rule of `rules.py`, with a floor: each of K options is shown with floor / K at least, so
    that the log can say of any policy what it would have earned."""

    rule: Rule
    floor: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor is {self.floor}; expected a probability, such as 0.02.")

    def probabilities(self, belief: NamedBelief, menu: Menu) -> Float[Array, " K"]:
        """Of each option to be shown first."""
        mean, spread = belief.moments(menu)
        if belief.is_binary and self.rule.in_reward:
            mean = expected_share(mean, spread)
        K = len(mean)
        found = _by_rule(self.rule, mean, spread, belief.rounds + 1)
        return (1.0 - self.floor) * found + self.floor / K


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstPolicy:
    """The option that the caller put first, whatever is believed: how a service is tried beside
    what was there before. floor: as of `NamedPolicy`."""

    floor: float = 0.02

    def probabilities(self, belief: NamedBelief, menu: Menu) -> Float[Array, " K"]:
        """Of each option to be shown first."""
        found = np.full(len(menu.ids), self.floor / len(menu.ids))
        found[0] += 1.0 - self.floor
        return found


def drawn(probabilities: Float[Array, " K"], num: int, generator: np.random.Generator) -> list[int]:
    """Places of so many options: each drawn in proportion among those that are left, which is
    Plackett-Luce; those that are never shown come last, in order."""
    if num == 1:
        return [pick(probabilities, generator.random())]
    # The largest of p^(1 / e) with e exponential is drawn in proportion to p: Efraimidis and
    # Spirakis 2006, in logarithms.
    with np.errstate(divide="ignore"):
        wait = generator.standard_exponential(len(probabilities)) / probabilities
    return np.argsort(wait, kind="stable")[:num].tolist()


def _by_rule(
    rule: Rule, mean: Float[Array, " K"], spread: Float[Array, " K"], step: int
) -> Float[Array, " K"]:
    offered = np.ones(len(mean), dtype=bool)
    loops = _loops()
    in_loops = None if loops is None else rule.in_loops(step)
    if loops is None or in_loops is None:
        return rule.probabilities(mean[None], spread[None], offered[None], step)[0]
    name, first, second = in_loops
    out = np.empty(len(mean))
    getattr(loops, name)(mean, spread, offered, first, second, 0.5, out)
    return out


@functools.cache
def _loops() -> ModuleType | None:
    try:
        from penchant.policies.bandits import rules_fused
    except ImportError:
        return None
    return rules_fused
