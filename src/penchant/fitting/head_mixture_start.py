"""Where a mixture of reward heads starts: beside no stationary point, in units that suit it.

The point where all heads are one is stationary for any number of heads, and fits that start there
stay. What pulls people apart is seen from there all the same: answers of one person that err the
same way, and errors that go with the context.

Legend: as in `head_mixture_density.py`; P directions of clues, O parameters of one head.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.fitting.em import k_means
from penchant.fitting.head_mixture_density import GroupedPairs, HeadMixtureDensity, respond
from penchant.numerics.arrays import Array

# p (1 - p) of a typical answer: a quarter where nothing is known, less where much is.
BEND = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """Coordinates in which the log-posterior bends about as much in every direction.

    theta's heads are eta's times `heads`' (a root of the inverse curvature that each head would
    have with an equal share of the pairs), its router rows times `router`', the rest times `rest`.
    spread, directions: eigenvalues and eigenvectors of the mean of x x' over pairs.
    """

    heads: Float[Array, "D D"]
    router: Float[Array, "Q1 Q1"]
    rest: Float[Array, " E"]
    spread: Float[Array, " D"]
    directions: Float[Array, "D D"]

    @classmethod
    def of(
        cls,
        density: HeadMixtureDensity,
        spread: Float[Array, " D"],
        directions: Float[Array, "D D"],
    ) -> "Units":
        data = density.data
        pairs, people = float(data.pairs.weight.sum()), float(data.group_weight.sum())
        known = np.column_stack([np.ones(len(data)), data.context])
        share = BEND / density.num_kinds
        of_context, along = np.linalg.eigh((known.T @ known) / len(known))
        columns = np.concatenate(
            [(data.pairs.columns**2).mean(axis=0), np.ones(density.model.num_own)]
        )
        curvature = BEND / density.num_heads * pairs * spread + density.head_precision
        bent = share * people * np.maximum(of_context, 0.0) + density.router_precision
        return cls(
            heads=directions / np.sqrt(curvature),
            router=along / np.sqrt(bent),
            rest=1.0 / np.sqrt(BEND * pairs * np.maximum(columns, 1e-12)),
            spread=spread,
            directions=directions,
        )

    def outward(self, density: HeadMixtureDensity, eta: Float[Array, " T"]) -> Float[Array, " T"]:
        """Theta of these coordinates."""
        parts = density.split(eta)
        rest = np.concatenate([parts.columns, parts.own]) * self.rest
        return np.concatenate(
            [(parts.heads @ self.heads.T).ravel(), (parts.router @ self.router.T).ravel(), rest]
        )

    def inward(
        self, density: HeadMixtureDensity, gradient: Float[Array, " T"]
    ) -> Float[Array, " T"]:
        """The gradient in these coordinates."""
        parts = density.split(gradient)
        rest = np.concatenate([parts.columns, parts.own]) * self.rest
        return np.concatenate(
            [(parts.heads @ self.heads).ravel(), (parts.router @ self.router).ravel(), rest]
        )

    def coordinates(
        self, density: HeadMixtureDensity, theta: Float[Array, " T"]
    ) -> Float[Array, " T"]:
        """The coordinates of theta."""
        parts = density.split(theta)
        rest = np.concatenate([parts.columns, parts.own]) / self.rest
        heads = np.linalg.solve(self.heads, parts.heads.T).T
        router = np.linalg.solve(self.router, parts.router.T).T
        return np.concatenate([heads.ravel(), router.ravel(), rest])


def second_moment(data: GroupedPairs) -> tuple[Float[Array, " D"], Float[Array, "D D"]]:
    """Eigenvalues and eigenvectors of the weighted mean of x x' over the pairs."""
    pairs = data.pairs
    differences = pairs.differences(np.arange(len(pairs)))
    weight = (pairs.weight / pairs.weight.sum()).astype(np.float32)
    moment = (differences * weight[:, None]).T @ differences
    spread, directions = np.linalg.eigh(moment.astype(np.float64))
    return np.maximum(spread, 0.0), directions


def starting_points(
    density: HeadMixtureDensity,
    pooled: Float[Array, " O"],
    units: Units,
    num_starts: int,
    rng: np.random.Generator,
) -> list[Float[Array, " T"]]:
    """Three in four from clusters of groups that err alike, the others from labels at random.

    pooled: theta of the same data with one head.
    """
    if density.num_heads == 1:
        return [pooled]
    clues = _clues(density, pooled, units)
    starts = []
    for number in range(num_starts):
        if clues.shape[1] and number % 4 != 3:
            labels = k_means(clues, density.num_heads, rng)
        else:
            labels = rng.integers(density.num_heads, size=len(density.data))
        starts.append(_from_labels(density, pooled, labels, units))
    return starts


def _slope_at(
    density: HeadMixtureDensity, pooled: Float[Array, " O"]
) -> tuple[Float[Array, "B D"], Float[Array, " B"]]:
    """The differences of all pairs, and how each answer pulls at the one head."""
    pairs = density.data.pairs
    parts = one_head(density).split(pooled)
    differences = pairs.differences(np.arange(len(pairs)))
    gap = differences @ parts.heads[0].astype(np.float32) + pairs.columns @ parts.columns
    found = respond(density.model, gap[None], pairs.answer, parts.own)
    return differences, found.slope[0] * pairs.weight


def one_head(density: HeadMixtureDensity) -> HeadMixtureDensity:
    """The same data and prior with one head for everybody."""
    return replace(
        density, num_heads=1, mixing=None, log_weights=np.zeros(1), side="outside", balance=0.0
    )


def _clues(
    density: HeadMixtureDensity, pooled: Float[Array, " O"], units: Units
) -> Float[Array, "G P"]:
    """Numbers by which groups of different taste differ, in units of their spread.

    Of groups of several pairs: their mean pull along the directions in which pulls of one group go
    together, sum_g (sum_b u_b)(sum_b u_b)' - sum_b u_b u_b', beyond what independent answers do.
    Of contexts: the directions of the context that go with the pulls most.
    """
    data = density.data
    differences, slope = _slope_at(density, pooled)
    inverse = units.directions / np.sqrt(np.maximum(units.spread, 1e-6 * units.spread.max()))
    pull = (differences @ inverse.astype(np.float32)) * slope[:, None]
    total = np.add.reduceat(pull, data.group_start[:-1], axis=0)
    found = []
    most = density.num_heads
    if not data.is_row_by_row:
        together = total.T @ total - pull.T @ pull
        values, vectors = np.linalg.eigh(together.astype(np.float64))
        kept = np.argsort(-values)[: min(most, int((values > 0).sum()))]
        sizes = np.sqrt(np.diff(data.group_start))[:, None]
        found.append((total @ vectors[:, kept]) / sizes)
    if data.context.shape[1]:
        known = data.context - data.context.mean(axis=0)
        _, _, along = np.linalg.svd(total.T.astype(np.float64) @ known, full_matrices=False)
        found.append(known @ along[:most].T)
    if not found:
        return np.zeros((len(data), 0))
    clues = np.concatenate([part.astype(np.float64) for part in found], axis=1)
    return clues / np.maximum(clues.std(axis=0), 1e-12)


def _from_labels(
    density: HeadMixtureDensity,
    pooled: Float[Array, " O"],
    labels: Int[Array, " G"],
    units: Units,
) -> Float[Array, " T"]:
    """One step from the pooled head, each with the groups of its label and a tenth of all."""
    data, num = density.data, density.num_heads
    soft = np.full((num, len(labels)), 0.1 / num)
    soft[labels, np.arange(len(labels))] += 0.9
    differences, slope = _slope_at(density, pooled)
    mine = soft[:, data.group_of_row]
    parts = one_head(density).split(pooled)
    pull = (mine * slope).astype(np.float32) @ differences - (
        density.head_precision * mine.mean(axis=1)[:, None] * parts.heads
    )
    heads = parts.heads + (pull @ units.heads) @ units.heads.T
    router = np.zeros((0, 1 + data.context.shape[1]))
    if density.log_weights is None:
        share = soft.mean(axis=1)
        known = np.column_stack([np.ones(len(data)), data.context])
        odds = (data.group_weight * (soft - share[:, None])) @ known
        router = (odds @ units.router) @ units.router.T
        router = router[1:] - router[0]
        router[:, 0] += np.log(share[1:] / share[0])
    return np.concatenate([heads.ravel(), router.ravel(), parts.columns, parts.own])
