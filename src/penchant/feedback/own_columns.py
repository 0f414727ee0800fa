"""Own parameters of likelihoods as coefficients of columns, and what they add by themselves.

Legend: T columns, P own parameters, G groups (people), J pairs of thresholds next to each other.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback.thresholds import Thresholds
from penchant.numerics.arrays import Array, log1m_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class GapTerm:
    """What thresholds add to the log-density whatever the utilities are, and its derivatives."""

    value: Float[Array, " G"]
    score: Float[Array, "G P"]


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnColumns:
    """parts: for each likelihood its thresholds, whose parameters are not coefficients yet, or
    None where they are; sizes: of its parameters. counts[g, j]: the weight of person g's answers
    that fell between the thresholds lower[j] and lower[j] + 1, each of which is worth
    log(1 - exp(-(their distance))) besides (see `as_choices`).
    """

    parts: tuple[Thresholds | None, ...]
    sizes: tuple[int, ...]
    lower: Int[Array, " J"]
    counts: Float[Array, "G J"]

    @classmethod
    def plain(cls, sizes: tuple[int, ...], num_groups: int) -> "OwnColumns":
        """Every own parameter is itself a coefficient."""
        return cls(
            parts=(None,) * len(sizes),
            sizes=sizes,
            lower=np.zeros(0, dtype=np.int64),
            counts=np.zeros((num_groups, 0)),
        )

    @property
    def num_columns(self) -> int:
        """T."""
        return sum(
            size if part is None else part.num_thresholds
            for part, size in zip(self.parts, self.sizes)
        )

    @property
    def num_parameters(self) -> int:
        """P."""
        return sum(self.sizes)

    def take_groups(self, groups: Int[Array, " H"]) -> "OwnColumns":
        """Those of these people."""
        return replace(self, counts=self.counts[groups])

    def shared_out(self, group_weight: Float[Array, " G"]) -> "OwnColumns":
        """With counts for one of the `group_weight` such people that each stands for."""
        share = np.where(group_weight > 0, group_weight, 1.0)
        return replace(self, counts=self.counts / share[:, None])

    def coefficients(self, own: Float[Array, " P"]) -> Float[Array, " T"]:
        """What multiplies the columns."""
        found = [np.zeros(0)]
        for part, mine in self._split(own):
            found.append(own[mine] if part is None else part.values(own[None, mine])[0])
        return np.concatenate(found)

    def jacobian(self, own: Float[Array, " P"]) -> Float[Array, "T P"]:
        """Its first derivatives."""
        total, row = np.zeros((self.num_columns, len(own))), 0
        for part, mine in self._split(own):
            slope = (
                np.eye(mine.stop - mine.start)
                if part is None
                else part.jacobian(own[None, mine])[0]
            )
            total[row : row + len(slope), mine] = slope
            row += len(slope)
        return total

    def bend(self, own: Float[Array, " P"], pull: Float[Array, " T"]) -> Float[Array, "P P"]:
        """sum_t pull_t d2 coefficient_t."""
        total, row = np.zeros((len(own), len(own))), 0
        for part, mine in self._split(own):
            if part is None:
                row += mine.stop - mine.start
                continue
            hessian = part.hessian(own[None, mine])[0]
            total[mine, mine] = np.tensordot(pull[row : row + len(hessian)], hessian, axes=1)
            row += len(hessian)
        return total

    def gap_term(self, own: Float[Array, " P"]) -> GapTerm:
        """sum_j counts_gj log(1 - exp(-gap_j)), the gaps those between thresholds."""
        counts, gap, jacobian = self._gaps(own)
        return GapTerm(
            value=counts @ log1m_exp(gap),
            score=(counts * _slope(gap)) @ jacobian,
        )

    def gap_information(
        self, own: Float[Array, " P"], weight: Float[Array, " G"]
    ) -> Float[Array, "P P"]:
        """Minus the second derivatives of sum_g weight_g gap_term(g)."""
        counts, gap, jacobian = self._gaps(own)
        count, lower = weight @ counts, self.lower[self._given]
        bent = jacobian * (count * np.exp(-gap) / np.expm1(-gap) ** 2)[:, None]
        pull = np.zeros(self.num_columns)
        np.add.at(pull, lower + 1, count * _slope(gap))
        np.add.at(pull, lower, -count * _slope(gap))
        return jacobian.T @ bent - self.bend(own, pull)

    @property
    def _given(self) -> Bool[Array, " J"]:
        """Levels that somebody gave: of another its two thresholds may meet."""
        return self.counts.any(axis=0)

    def _gaps(
        self, own: Float[Array, " P"]
    ) -> tuple[Float[Array, "G J2"], Float[Array, " J2"], Float[Array, "J2 P"]]:
        coefficients, jacobian = self.coefficients(own), self.jacobian(own)
        given = self._given
        lower = self.lower[given]
        return (
            self.counts[:, given],
            coefficients[lower + 1] - coefficients[lower],
            jacobian[lower + 1] - jacobian[lower],
        )

    def _split(self, own: Float[Array, " P"]) -> list[tuple[Thresholds | None, slice]]:
        starts = np.concatenate([[0], np.cumsum(self.sizes)]).astype(int)
        return [
            (part, slice(int(start), int(stop)))
            for part, start, stop in zip(self.parts, starts[:-1], starts[1:])
        ]


def _slope(gap: Float[Array, " J"]) -> Float[Array, " J"]:
    """d log(1 - exp(-gap)) / d gap = 1 / (exp(gap) - 1), which no gap overflows."""
    return -np.exp(-gap) / np.expm1(-gap)
