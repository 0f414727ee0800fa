"""Pairs of embedded texts, and the log-density of a linear head on them with its derivatives.

Legend: B pairs, N texts, D dimensions, C columns of the pair, M own parameters of the likelihood,
T = D + C + M parameters, A pairs of a subsample.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from types import ModuleType

import numpy as np
from jaxtyping import Float, Float32, Int

from penchant.errors import DataError
from penchant.feedback.gap import GapModel, GapResponse, two_answers
from penchant.fitting.lbfgs import Slope
from penchant.fitting.subspace import Sight
from penchant.numerics.arrays import Array

# Pairs at a time, so that what a likelihood makes of them stays in cache.
_STEP = 8192
# Numbers from which on features fit into no cache, and a second reading costs as much as the first.
LARGE = 8 << 20
# Numbers that do fit: what is read of so many for their gaps is still there for the gradient.
_BLOCK = 1 << 19


def _no_columns() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadPairs:
    """B pairs of N embedded texts; `first` and `second` point into `features`.

    second: None where the features are differences already, line b for pair b. answer: 0 where the
    first won, 1 where the second did, 2 for a tie, or a grade. columns: of the pair itself, not
    shrunk. features are read as float32: a pass over them is bound by memory. offset: what is added
    to each gap as it is, such as minus a margin where the first won (Touvron et al. 2023); None
    adds nothing.
    """

    features: Float32[Array, "N D"]
    first: Int[Array, " B"]
    second: Int[Array, " B"] | None
    answer: Int[Array, " B"]
    weight: Float[Array, " B"]
    columns: Float[Array, "B C"] = field(default_factory=_no_columns)
    offset: Float[Array, " B"] | None = None

    def __post_init__(self) -> None:
        if not self.columns.size:
            object.__setattr__(self, "columns", np.zeros((len(self.first), 0)))

    def __len__(self) -> int:
        return len(self.first)

    def compact(self) -> "HeadPairs":
        """The same pairs in the layout with fewer bytes to read in a pass."""
        if self.second is None or len(self.features) <= len(self):
            return self
        return replace(
            self,
            features=self.differences(np.arange(len(self))),
            first=np.arange(len(self)),
            second=None,
        )

    def differences(self, rows: Int[Array, " A"]) -> Float32[Array, "A D"]:
        """First minus second of some of the pairs."""
        first = self.features[self.first[rows]]
        return first if self.second is None else first - self.features[self.second[rows]]

    def every(self, step: int) -> "HeadPairs":
        """One pair in so many, as differences: of many large ones no copy is made."""
        rows = np.arange(0, len(self), step)
        is_large = self.second is None and len(rows) * self.features.shape[1] >= LARGE
        return HeadPairs(
            features=self.features[::step] if is_large else self.differences(rows),
            first=np.arange(len(rows)),
            second=None,
            answer=self.answer[rows],
            weight=self.weight[rows],
            columns=self.columns[rows],
            offset=None if self.offset is None else self.offset[rows],
        )

    def gaps(
        self, weights: Float[Array, " D"], coefficients: Float[Array, " C"]
    ) -> Float[Array, " B"]:
        """f_first' w - f_second' w + z' beta."""
        worth = (self.features @ weights.astype(np.float32)).astype(np.float64)
        gap = worth if self.second is None else worth[self.first] - worth[self.second]
        return gap + self.columns @ coefficients

    def gather(self, slope: Float[Array, " B"]) -> Float[Array, " D"]:
        """sum_b slope_b (f_first - f_second)."""
        pull = slope
        if self.second is not None:
            pull = np.bincount(self.first, slope, minlength=len(self.features))
            pull = pull - np.bincount(self.second, slope, minlength=len(self.features))
        return (self.features.T @ pull.astype(np.float32)).astype(np.float64)

    def sweep(
        self,
        weights: Float[Array, " D"],
        coefficients: Float[Array, " C"],
        pull: Callable[[slice, Float[Array, " _"]], Float[Array, " _"]],
    ) -> tuple[Float[Array, " B"], Float[Array, " D"]]:
        """The gaps, and what `gather` makes of the slopes that `pull(rows, gaps)` makes of them.

        Of differences in one reading: block by block, while what was read is in cache.
        """
        if self.second is not None:
            gap = self.gaps(weights, coefficients)
            return gap, self.gather(pull(slice(0, len(self)), gap))
        step, total = weights.astype(np.float32), np.zeros(len(weights))
        gap = self.columns @ coefficients
        for rows in self._blocks():
            block = self.features[rows]
            gap[rows] += block @ step
            total += pull(rows, gap[rows]).astype(np.float32) @ block
        return gap, total

    def squares(self, bend: Float[Array, " B"]) -> Float[Array, " D"]:
        """sum_b bend_b (f_first - f_second)^2."""
        total = np.zeros(self.features.shape[1])
        for rows in self._blocks():
            apart = self.features[rows]
            if self.second is not None:
                apart = self.differences(np.arange(rows.start, rows.stop))
            total += bend[rows].astype(np.float32) @ (apart * apart)
        return total

    def _blocks(self) -> Iterator[slice]:
        size = max(_BLOCK // max(self.features.shape[1], 1), 1)
        return (slice(at, min(at + size, len(self))) for at in range(0, len(self), size))


def refuse_offset(pairs: HeadPairs, model: str) -> None:
    """Raise `DataError` for pairs with an offset, of a model that has no place for it."""
    if pairs.offset is not None:
        raise DataError(
            f"the pairs have an offset (a margin, say), which {model} would not hear of; expected "
            "pairs without. Fit one head (`fit_linear_head`), or leave the offset out."
        )


def winners(differences: Float[Array, "B D"]) -> HeadPairs:
    """Pairs whose first won, from the features of winners less those of losers."""
    rows = np.arange(len(differences))
    return HeadPairs(
        features=differences.astype(np.float32),
        first=rows,
        second=None,
        answer=0 * rows,
        weight=np.ones(len(rows)),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadDensity:
    """The log-posterior of theta = (w, beta, own) and its derivatives."""

    pairs: HeadPairs
    model: GapModel
    precision: Float[Array, " T"]

    @property
    def cuts(self) -> tuple[int, int]:
        dimensions = self.pairs.features.shape[1]
        return dimensions, dimensions + self.pairs.columns.shape[1]

    @property
    def weight(self) -> Float[Array, " B"]:
        return self.pairs.weight

    @property
    def num_own(self) -> int:
        return self.model.num_own

    def gaps(self, theta: Float[Array, " T"]) -> Float[Array, " B"]:
        end, own = self.cuts
        return self.pairs.gaps(theta[:end], theta[end:own])

    def respond(
        self, gap: Float[Array, " _"], own: Float[Array, " M"], start: int = 0
    ) -> GapResponse:
        """Of the pairs from `start` on, as many as there are gaps."""
        parts = [
            self._respond_once(gap[at : at + _STEP], own, start + at)
            for at in range(0, max(len(gap), 1), _STEP)
        ]
        return _joined(parts)

    def _respond_once(
        self, gap: Float[Array, " _"], own: Float[Array, " M"], start: int
    ) -> GapResponse:
        rows = slice(start, start + len(gap))
        if self.pairs.offset is not None:
            gap = gap + self.pairs.offset[rows]
        return self.model.respond(gap, self.pairs.answer[rows], own[None])

    def look(
        self, gap: Float[Array, " B"], own: Float[Array, " M"], step: Float[Array, " T"]
    ) -> Sight:
        """A step on from where the gaps and the own parameters are these."""
        fused = _fused() if self._is_plain else None
        if fused is not None:
            pairs = self.pairs
            gap = gap if pairs.offset is None else gap + pairs.offset
            shift, found, pull = fused.look(pairs.features, step, gap, pairs.answer, pairs.weight)
            return Sight(shift=shift, found=two_answers(*found), gradient=pull)
        end, last = self.cuts
        parts: list[GapResponse] = []

        def respond(rows: slice, shift: Float[Array, " _"]) -> Float[Array, " _"]:
            parts.append(self.respond(gap[rows] + shift, own + step[last:], rows.start))
            return self.weight[rows] * parts[-1].slope

        shift, pull = self.pairs.sweep(step[:end], step[end:last], respond)
        response = _joined(parts)
        return Sight(shift=shift, found=response, gradient=self._gradient(pull, response))

    @property
    def _is_plain(self) -> bool:
        """Whether the compiled loop knows this case, and saves more than its compilation."""
        pairs = self.pairs
        is_large = pairs.second is None and pairs.features.size >= LARGE
        is_large = is_large and pairs.features.flags.c_contiguous
        return is_large and not pairs.columns.size and self.model == GapModel()

    def gather(self, found: GapResponse) -> Float[Array, " T"]:
        return self._gradient(self.pairs.gather(self.weight * found.slope), found)

    def _gradient(self, pull: Float[Array, " D"], found: GapResponse) -> Float[Array, " T"]:
        of_columns = self.pairs.columns.T @ (self.weight * found.slope)
        return np.concatenate([pull, of_columns, self.weight @ found.own_slope])

    def slope(self, theta: Float[Array, " T"]) -> Slope:
        """Value and gradient of the log-likelihood alone."""
        _, own = self.cuts
        found = self.respond(self.gaps(theta), theta[own:])
        return Slope(value=float(self.weight @ found.value), gradient=self.gather(found))

    def information(self, theta: Float[Array, " T"]) -> Float[Array, "T T"]:
        """Minus the second derivatives of the log-likelihood."""
        end, own = self.cuts
        found, weight = self.respond(self.gaps(theta), theta[own:]), self.pairs.weight
        total = np.zeros((len(theta), len(theta)))
        bend, cross = weight * found.bend, weight[:, None] * found.cross
        for at in range(0, len(weight), _STEP):
            rows = slice(at, at + _STEP)
            differences = self.pairs.differences(np.arange(len(weight))[rows])
            root = np.sqrt(np.maximum(bend[rows], 0.0)).astype(np.float32)
            scaled = differences * root[:, None]
            total[:end, :end] += scaled.T @ scaled
            edge = np.concatenate(
                [self.pairs.columns[rows] * bend[rows, None], cross[rows]], axis=1
            )
            total[:end, end:] += differences.T @ edge.astype(np.float32)
        columns = self.pairs.columns
        total[end:own, end:own] = columns.T @ (columns * bend[:, None])
        total[end:own, own:] = columns.T @ cross
        total[own:, own:] = np.tensordot(weight, found.own_bend, 1)
        total[end:, :end] = total[:end, end:].T
        total[own:, end:own] = total[end:own, own:].T
        return total


def _joined(parts: list[GapResponse]) -> GapResponse:
    if len(parts) == 1:
        return parts[0]
    return GapResponse(
        **{
            each.name: np.concatenate([getattr(part, each.name) for part in parts])
            for each in fields(GapResponse)
        }
    )


@functools.cache
def _fused() -> ModuleType | None:
    try:
        from penchant.fitting import head_look_fused
    except ImportError:  # without numba
        return None
    return head_look_fused
