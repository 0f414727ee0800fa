"""Symmetric systems of many small blocks that meet in one border: solved, inverted where asked.

H = [[A, B], [B', D]] with A made of blocks that do not touch each other. By Schur complement
S = D - sum_k B_k' A_k^-1 B_k everything costs the cubes of the blocks and of the border, never that
of the whole (Golub and Van Loan 2013, section 4.5).

Legend: M places, n places of a block, R places of the border, r of them that a block touches.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

# A block or border beyond this many places takes gigabytes and minutes.
MOST_PLACES = 5000


@dataclass(frozen=True, kw_only=True, eq=False)
class BorderedLayout:
    """Which places form the blocks and which the border, each in increasing order; together all of
    0 .. M - 1, once each."""

    blocks: tuple[Int[Array, " _"], ...]
    border: Int[Array, " R"]

    def __post_init__(self) -> None:
        largest = max((len(part) for part in (*self.blocks, self.border)), default=0)
        if largest > MOST_PLACES:
            raise ConfigError(
                f"{largest} parameters hang together; expected at most {MOST_PLACES}, since they "
                "are solved for at once. Rank fewer items, pool rare ones into one, or leave out "
                "what differs by context."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    inverse: Float[Array, "n n"]
    reach: Int[Array, " r"]  # the places of the border that the block touches
    pull: Float[Array, "n r"]  # A_k^-1 B_k at these


@dataclass(frozen=True, kw_only=True, eq=False)
class Factor:
    """H taken apart. `border_inverse` is S^-1, the border's part of H^-1."""

    layout: BorderedLayout
    blocks: tuple[_Block, ...]
    border_inverse: Float[Array, "R R"]
    log_determinant: float

    def solve(self, right: Float[Array, " M *P"]) -> Float[Array, " M *P"]:
        """H^-1 right, of one right side or of several beside each other."""
        layout = self.layout
        reduced = right[layout.border].copy()
        for places, block in zip(layout.blocks, self.blocks):
            reduced[block.reach] -= block.pull.T @ right[places]
        edge = self.border_inverse @ reduced
        solution = np.empty(right.shape)
        solution[layout.border] = edge
        for places, block in zip(layout.blocks, self.blocks):
            solution[places] = block.inverse @ right[places] - block.pull @ edge[block.reach]
        return solution

    def variances(self) -> Float[Array, " M"]:
        """The diagonal of H^-1."""
        diagonal = np.empty(self.num_places)
        diagonal[self.layout.border] = np.diag(self.border_inverse)
        for places, block in zip(self.layout.blocks, self.blocks):
            own = self.border_inverse[np.ix_(block.reach, block.reach)]
            diagonal[places] = np.diag(block.inverse) + np.einsum(
                "nr,rs,ns->n", block.pull, own, block.pull, optimize=True
            )
        return diagonal

    def covariance(self, places: Int[Array, " P"]) -> Float[Array, "P P"]:
        """Rows and columns `places` of H^-1: read off in the border, or in one whole block."""
        at = np.searchsorted(self.layout.border, places)
        border = np.append(self.layout.border, -1)
        if np.array_equal(border[at], places):
            return self.border_inverse[np.ix_(at, at)]
        for own, block in zip(self.layout.blocks, self.blocks):
            if np.array_equal(places, own):
                beyond = self.border_inverse[np.ix_(block.reach, block.reach)]
                return block.inverse + block.pull @ beyond @ block.pull.T
        unit = np.zeros((self.num_places, len(places)))
        unit[places, np.arange(len(places))] = 1.0
        return self.quadratic(unit)

    def quadratic(self, combination: Float[Array, "M P"]) -> Float[Array, "P P"]:
        """C' H^-1 C: the covariance of combinations of parameters, of few blocks each."""
        reduced = combination[self.layout.border]
        result = np.zeros((combination.shape[1], combination.shape[1]))
        for places, block in zip(self.layout.blocks, self.blocks):
            own = combination[places]
            if own.any():
                reduced[block.reach] -= block.pull.T @ own
                result += own.T @ (block.inverse @ own)
        return result + reduced.T @ (self.border_inverse @ reduced)

    @property
    def num_places(self) -> int:
        return len(self.layout.border) + sum(len(places) for places in self.layout.blocks)


def factorise(
    layout: BorderedLayout,
    core: Array,
    cross: Float[Array, "M R2"],
    corner: Float[Array, "R2 R2"],
    ridge_group: Int[Array, " M"],
    ridge: float = 1.0,
) -> Factor:
    """Take apart H = [[core, cross], [cross', corner]]; `core` is a SciPy sparse matrix.

    The last R2 places (those of `corner`) must lie in the border. ridge_group: places that carry
    the same number, 0 or more, get `ridge` on the direction in which they all move together, which
    a likelihood of differences leaves flat; -1 for none.

    Raises `numpy.linalg.LinAlgError` where H is not positive definite.
    """
    num_core = core.shape[0]
    border = layout.border
    inside, outside = border[border < num_core], border[border >= num_core] - num_core
    schur = np.empty((len(border), len(border)))
    cut = len(inside)
    schur[:cut, :cut] = core[inside][:, inside].toarray() if cut else 0.0
    schur[:cut, cut:] = cross[np.ix_(inside, outside)]
    schur[cut:, :cut] = schur[:cut, cut:].T
    schur[cut:, cut:] = corner[np.ix_(outside, outside)]
    _add_ridge(schur[:cut, :cut], ridge_group[inside], ridge)
    blocks, log_determinant = [], 0.0
    for places in layout.blocks:
        rows = core[places]
        matrix = rows[:, places].toarray()
        _add_ridge(matrix, ridge_group[places], ridge)
        to_border = np.concatenate(
            [rows[:, inside].toarray(), cross[np.ix_(places, outside)]], axis=1
        )
        reach = np.flatnonzero(np.any(to_border != 0.0, axis=0))
        inverse, one = _inverse(matrix)
        pull = inverse @ to_border[:, reach]
        schur[np.ix_(reach, reach)] -= to_border[:, reach].T @ pull
        log_determinant += one
        blocks.append(_Block(inverse=inverse, reach=reach, pull=pull))
    border_inverse, one = _inverse(schur)
    return Factor(
        layout=layout,
        blocks=tuple(blocks),
        border_inverse=border_inverse,
        log_determinant=log_determinant + one,
    )


def _inverse(matrix: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], float]:
    """The inverse of a positive definite matrix and the log of its determinant."""
    if not len(matrix):
        return matrix, 0.0
    from scipy.linalg.lapack import dpotrf, dpotri

    # Scaled to a unit diagonal first: logits and characters are then alike.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    lower, info = dpotrf(matrix * scale[:, None] * scale, lower=1, overwrite_a=1)
    if info != 0 or np.min(np.diag(lower)) < 1e-7:
        raise np.linalg.LinAlgError("not positive definite")
    log_determinant = 2.0 * float(np.sum(np.log(np.diag(lower))) - np.sum(np.log(scale)))
    inverse, _ = dpotri(lower, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    return inverse * scale[:, None] * scale, log_determinant


def _add_ridge(matrix: Float[Array, "n n"], group: Int[Array, " n"], ridge: float) -> None:
    for number in np.unique(group[group >= 0]):
        mine = np.flatnonzero(group == number)
        matrix[np.ix_(mine, mine)] += ridge / len(mine)
