"""A prior on strengths where the votes alone would send them to infinity, and what it weighs.

Legend: N items, I islands.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array
from penchant.numerics.graph import Connectivity
from penchant.numerics.names import excerpt

# Standard deviation of the weak prior: at 5 logits an item may be given odds of 150 to 1 against
# the others before the prior says anything much. One probit is about 1.7 logits.
WEAK_SCALE = {"logit": 5.0, "probit": 3.0}


@dataclass(frozen=True, kw_only=True, eq=False)
class StrengthPrior:
    """-1/2 sum_i held_i (s_i - m_i)^2 / scale^2, where m_i = sum_j anchor_j s_j over i's island.

    Where anchors sum to 1 in an island, the prior sees gaps only, and the island's level stays
    free; where they are 0, it is a normal around 0.
    """

    scale: float
    held: Bool[Array, " N"]
    anchor: Float[Array, " N"]
    island: Int[Array, " N"]

    @property
    def is_weak(self) -> bool:
        """Whether it came by itself, for items that no finite strength fits: it sees gaps only."""
        return bool(self.anchor.any())

    def value(self, strengths: Float[Array, " N"]) -> float:
        gap = self._gaps(strengths)
        return -0.5 * float(gap @ gap) / self.scale**2

    def gradient(self, strengths: Float[Array, " N"]) -> Float[Array, " N"]:
        return -self.information_times(strengths)

    def information_times(self, vector: Float[Array, " N"]) -> Float[Array, " N"]:
        """Minus the second derivatives times a vector."""
        gap = self._gaps(vector) / self.scale**2
        return gap - self.anchor * self._by_island(gap)

    def diagonal(self) -> Float[Array, " N"]:
        """The diagonal of minus the second derivatives."""
        held = self.held / self.scale**2
        in_island = self._by_island(held)
        return held - 2.0 * self.anchor * held + self.anchor**2 * in_island

    def information(self) -> Float[Array, "N N"]:
        """Minus the second derivatives as a matrix, for few items."""
        return np.column_stack([self.information_times(row) for row in np.eye(len(self.held))])

    def root(self) -> Float[Array, "N H"]:
        """A root of minus the second derivatives, a column for each item held."""
        held = np.flatnonzero(self.held)
        root = -(self.anchor[:, None] * (self.island[:, None] == self.island[held]))
        root[held, np.arange(len(held))] += 1.0
        return root / self.scale

    def _gaps(self, vector: Array) -> Array:
        return self.held * (vector - self._by_island(self.anchor * vector))

    def _by_island(self, values: Array) -> Array:
        return np.bincount(self.island, values)[self.island]


def prior_for(scale: float | None, link: str, found: Connectivity) -> StrengthPrior | None:
    """The prior of this scale that was asked for; where None was, the weak one if it is needed."""
    return normal_prior(scale, found) if scale is not None else weak_prior(WEAK_SCALE[link], found)


def normal_prior(scale: float, found: Connectivity) -> StrengthPrior:
    """Every strength is normal around 0, as a user may ask for."""
    count = len(found.island)
    return StrengthPrior(
        scale=scale, held=np.ones(count, dtype=bool), anchor=np.zeros(count), island=found.island
    )


def weak_prior(scale: float, found: Connectivity) -> StrengthPrior | None:
    """A prior on those items alone that no finite strength fits; None if there are none.

    In each island the main component stays free, and is what the others are held to: their
    distance from its mean is normal around 0. Where there is none, all are held to the mean of all.
    """
    if not found.is_separated:
        return None
    reference = found.reference
    size = np.bincount(found.island, reference)
    return StrengthPrior(
        scale=scale, held=~found.main, anchor=reference / size[found.island], island=found.island
    )


def prior_weight(diagonal: Float[Array, " N"], prior: StrengthPrior | None) -> Float[Array, " N"]:
    """The prior's part in what is known of each item; `diagonal` is of votes and prior together."""
    if prior is None:
        return np.zeros(len(diagonal))
    held = prior.held / prior.scale**2
    return np.minimum(held / np.maximum(diagonal, 1e-300), 1.0)


def prior_sentences(
    items: tuple[str, ...],
    prior: StrengthPrior | None,
    link: str,
    weight: Float[Array, " N"] | None = None,
) -> tuple[str, ...]:
    """Whom a weak prior holds, and by how much where that is known; nothing for one asked for."""
    if prior is None or not prior.is_weak:
        return ()
    held = np.flatnonzero(prior.held)
    # Where an island has no main component, those it holds are those it measures by.
    of_whom = "their island" if (prior.held & (prior.anchor > 0)).any() else "the others"
    unit = "logits" if link == "logit" else "probits"
    told = (
        ""
        if weight is None
        else f"; its part in what is known of them: {_parts(items, held, weight)}"
    )
    return (
        f"A weak prior (normal around the mean of {of_whom}, standard deviation {prior.scale:g} "
        f"{unit}) holds {len(held):,} of {len(items):,} items that no finite strength fits{told}. "
        "Read who beat whom and the wide interval, not their score.",
    )


def _parts(items: tuple[str, ...], held: Int[Array, " A"], weight: Float[Array, " N"]) -> str:
    order = held[np.argsort(-weight[held], kind="stable")]
    more = f" and {len(order) - 4:,} more" if len(order) > 4 else ""
    return ", ".join(f"`{excerpt(items[i])}` {weight[i]:.0%}" for i in order[:4]) + more


def in_gauge(
    values: Float[Array, " N"], island: Int[Array, " N"], prior: StrengthPrior | None
) -> Float[Array, " N"]:
    """The values less the mean of their island, of the items alone that a weak prior leaves free:
    whoever it holds must not move the others."""
    if prior is None or not prior.is_weak:
        return centred(values, island)
    return values - np.bincount(island, prior.anchor * values)[island]


def centred(values: Float[Array, " N"], island: Int[Array, " N"]) -> Float[Array, " N"]:
    """The values less the mean of their island."""
    return values - (np.bincount(island, values) / np.bincount(island))[island]
