"""What rewards told about the worth of named features: one normal law of weights for all options.

Legend: D columns, K options, U columns in use.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from penchant.encoders.named import Coded, Column, Menu, NamedColumns
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
        coded = self._coder.code(menu)
        mean, covariance = self._part(coded)
        x_KU = coded.values
        variance = ((x_KU @ covariance) * x_KU).sum(axis=1) + coded.unknown / self.prior_precision
        return x_KU @ mean, self.noise * np.sqrt(np.maximum(variance, 0.0))

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

    def _part(self, coded: Coded) -> tuple[Float[Array, " U"], Float[Array, "U U"]]:
        """Of the columns in use; menus with the same names share it."""
        part = self._parts.get(coded.key)
        if part is None:
            if len(self._parts) >= 64:
                self._parts.clear()
            at = coded.columns
            part = self.mean[at], np.ascontiguousarray(self.covariance[np.ix_(at, at)])
            self._parts[coded.key] = part
        return part
