"""What rewards told about the worth of named features: one normal law of weights for all options.

Legend: D columns, K options, M features of options and N of the situation, each with 1, U columns
in use.
"""

import functools
from dataclasses import dataclass, field
from types import ModuleType

import numpy as np
from jaxtyping import Float

from penchant.encoders.named import Column, Menu, NamedColumns, Sides
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedWeights:
    """An option with entries x pays x' w on average, w ~ N(mean, noise^2 covariance).

    Weights of columns that no reward has met are N(0, noise^2 / prior_precision) each. is_binary:
    rewards are yes or no and x' w is the log-odds of yes; noise is 1 then. rounds: rewards seen.
    """

    columns: tuple[Column, ...]
    mean: Float[Array, " D"]
    covariance: Float[Array, "D D"]
    prior_precision: float
    noise: float
    is_binary: bool
    rounds: int
    _coder: NamedColumns = field(init=False, repr=False)
    _parts: dict = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_coder", NamedColumns(self.columns))

    def moments(self, menu: Menu) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
        """Mean and standard deviation of each option's expected reward (log-odds if binary)."""
        sides = self._coder.sides(menu)
        part = self._part(sides)
        if part is None:
            return self._moments_by_columns(sides)
        # The situation first, which all options share: what is left is of the options' size.
        x_KM, c_N = sides.features, sides.context
        loops, of_mean, of_covariance = _loops(), *part
        if loops is None:
            worth, variance = _by_sides(x_KM, c_N, of_mean, of_covariance)
        else:
            worth, variance = np.empty((2, len(x_KM)))
            loops.moments(x_KM, c_N, of_mean, of_covariance, worth, variance)
        if sides.beyond is not None:
            variance += sides.beyond / self.prior_precision
        return worth, self.noise * np.sqrt(np.maximum(variance, 0.0))

    def _moments_by_columns(self, sides: Sides) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
        """The same, entry by entry, where some pair of features has no column."""
        coded = self._coder.coded(sides)
        at, x_KU = coded.columns, coded.values
        variance = ((x_KU @ self.covariance[np.ix_(at, at)]) * x_KU).sum(axis=1)
        variance += coded.unknown / self.prior_precision
        return x_KU @ self.mean[at], self.noise * np.sqrt(np.maximum(variance, 0.0))

    def entries(self, menu: Menu) -> Float[Array, "K D"]:
        """Each option's entries in all columns; what has none is left out."""
        coded = self._coder.code(menu)
        x_KD = np.zeros((len(menu.ids), len(self.columns)))
        x_KD[:, coded.columns] = coded.values
        return x_KD

    def contributions(self, menu: Menu, place: int) -> list[tuple[Column, float, float, float]]:
        """Why an option is worth what it is: of each column its entry, the weight and its standard
        deviation, those that move the worth most first."""
        coded = self._coder.code(menu)
        entries = coded.values[place]
        spread = self.noise * np.sqrt(np.diag(self.covariance))
        order = np.argsort(-np.abs(entries * self.mean[coded.columns]), kind="stable")
        return [
            (self.columns[d], float(entries[u]), float(self.mean[d]), float(spread[d]))
            for u, d in ((u, coded.columns[u]) for u in order)
            if entries[u] != 0.0
        ]

    def _part(self, sides: Sides) -> tuple[Float[Array, "M N"], Float[Array, "M*M N*N"]] | None:
        """Mean and covariance of the pairs of a menu's sides, laid out for sums over the situation;
        menus with the same names share it. None where some pair has no column."""
        if sides.key not in self._parts:
            if len(self._parts) >= 64:
                self._parts.clear()
            grid, part = self._coder.grid(sides), None
            if grid is not None:
                (M, N), at = grid.shape, grid.ravel()
                covariance = self.covariance[np.ix_(at, at)].reshape(M, N, M, N)
                covariance = covariance.transpose(0, 2, 1, 3).reshape(M * M, N * N)
                part = self.mean[grid], np.ascontiguousarray(covariance)
            self._parts[sides.key] = part
        return self._parts[sides.key]


def _by_sides(
    features: Float[Array, "K M"], context: Float[Array, " N"], mean: Float[Array, "M N"],
    covariance: Float[Array, "M*M N*N"],
) -> tuple[Float[Array, " K"], Float[Array, " K"]]:  # fmt: skip
    """Means and variances, as `named_weights_fused.py` has them."""
    shared = (covariance @ np.outer(context, context).ravel()).reshape(2 * features.shape[1:])
    return features @ (mean @ context), np.einsum("km,km->k", features @ shared, features)


@functools.cache
def _loops() -> ModuleType | None:
    try:
        from penchant.beliefs import named_weights_fused
    except ImportError:
        return None
    return named_weights_fused
