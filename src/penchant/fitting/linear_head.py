"""A linear reward head on embeddings: pairs in the hundred thousands, dimensions in the thousands.

The worth of text n is f_n' w; a pair's gap is the difference of two worths plus z_b' beta for
what belongs to the pair itself (first shown, say). The climb starts at the optimum of a
subsample, whose curvature then preconditions a few steps over all pairs (`subspace.py`): the
curvature of some 16 D pairs is that of all to within a quarter, so that each step leaves a tenth of
the loss still to be gained or less, and the matrix of all pairs is formed once or never. In many
dimensions that of the subsample is not formed either.

Legend: B pairs, N texts, D dimensions, C columns of the pair, M own parameters of the likelihood,
T = D + C + M parameters, A pairs of a subsample.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Float32, Int

from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel, GapResponse
from penchant.fitting.lbfgs import conjugate_gradients
from penchant.fitting.subspace import climb_subspace
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread

# Pairs at a time, so that what a likelihood makes of them stays in cache.
_STEP = 8192
# Parameters up to which a subsample's curvature is formed: beyond, products cost less.
_LARGEST_MATRIX = 640
# The part of all pairs that products are taken with, and how many of them a step may cost.
_PRODUCT_SHARE = 5
_MOST_PRODUCTS = 10


def _no_columns() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadPairs:
    """B pairs of N embedded texts; `first` and `second` point into `features`.

    second: None where the features are differences already, line b for pair b. answer: 0 where the
    first won, 1 where the second did, 2 for a tie, or a grade. columns: of the pair itself, not
    shrunk. features are read as float32: a pass over them is bound by memory.
    """

    features: Float32[Array, "N D"]
    first: Int[Array, " B"]
    second: Int[Array, " B"] | None
    answer: Int[Array, " B"]
    weight: Float[Array, " B"]
    columns: Float[Array, "B C"] = field(default_factory=_no_columns)

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


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadConfig:
    """subsample: pairs per parameter whose curvature preconditions the climb; beyond 640 parameters
    with a given prior scale it is a fifth of the pairs, and products with them. tolerance: stop
    when the expected gain of one more step is below this share of the loss at the start; 1e-9 is
    the limit of float32 features. max_steps: each two passes over all pairs. evidence_rounds: re-estimates of the prior scale, at most, where the data choose it."""

    subsample: int = 16
    tolerance: float = 1e-9
    max_steps: int = 200
    evidence_rounds: int = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearHead:
    """The fitted head. `prior_scale` is the standard deviation of each weight before any data;
    `gain_left` the nats that one more step would bring; `effective` how many of the weights the
    data determine."""

    weights: Float[Array, " D"]
    coefficients: Float[Array, " C"]
    own: Float[Array, " M"]
    prior_scale: float
    log_likelihood: float
    covariance: Float[Array, "T T"] | None
    effective: float
    converged: bool
    iterations: int
    gain_left: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class _Density:
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

    def respond(self, gap: Float[Array, " B"], own: Float[Array, " M"]) -> GapResponse:
        answer = self.pairs.answer
        parts = [
            self.model.respond(gap[at : at + _STEP], answer[at : at + _STEP], own[None])
            for at in range(0, len(gap), _STEP)
        ]
        return GapResponse(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in ("value", "slope", "bend", "own_slope", "cross", "own_bend")
            }
        )

    def gather(self, found: GapResponse) -> Float[Array, " T"]:
        weight = self.pairs.weight
        slope = weight * found.slope
        return np.concatenate(
            [self.pairs.gather(slope), self.pairs.columns.T @ slope, weight @ found.own_slope]
        )

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
        lower = np.tril_indices(len(theta), -1)
        total[lower] = total.T[lower]
        return total


@one_blas_thread
def fit_linear_head(
    pairs: HeadPairs,
    model: GapModel,
    *,
    prior_scale: float | None = None,
    has_covariance: bool = True,
    config: HeadConfig | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LinearHead:
    """The posterior mode; weights ~ N(0, prior_scale^2), columns and own parameters are free.

    prior_scale None: chosen by the evidence (MacKay 1992) on a subsample, whose curvature is then
    formed whatever the dimension. covariance: of all parameters, from the curvature of all pairs (D^2 per pair: seconds beyond a
    thousand dimensions; `has_covariance=False` leaves it out). `on_step(pass, log_posterior)`.

    Raises `DataError` for features that are not finite or pairs without weight, `ConfigError` for
    a prior scale that is not positive.
    """
    began = time.perf_counter()
    config = config or HeadConfig()
    _check(pairs, prior_scale)
    told, pairs = pairs, pairs.compact()
    size = pairs.features.shape[1] + pairs.columns.shape[1] + model.num_own
    start = _start(told, pairs, model, prior_scale, config)
    everything = _Density(pairs=pairs, model=model, precision=_precision(pairs, size, start.scale))
    gaps = everything.gaps(start.theta)
    _check_numbers(told, gaps)
    climb = climb_subspace(
        everything,
        start.theta,
        start.solve,
        tolerance=config.tolerance,
        max_steps=config.max_steps,
        gaps=gaps,
        on_step=on_step,
    )
    covariance, effective = None, np.nan
    if has_covariance:
        exact = everything.information(climb.theta)
        covariance = np.linalg.inv(exact + np.diag(everything.precision))
        effective = size - float(everything.precision @ np.diag(covariance))
    end, own = everything.cuts
    return LinearHead(
        weights=climb.theta[:end],
        coefficients=climb.theta[end:own],
        own=climb.theta[own:],
        prior_scale=start.scale,
        log_likelihood=climb.log_likelihood,
        covariance=covariance,
        effective=effective,
        converged=climb.converged,
        iterations=climb.iterations,
        gain_left=climb.gain_left,
        seconds=time.perf_counter() - began,
    )


def _check(pairs: HeadPairs, prior_scale: float | None) -> None:
    if prior_scale is not None and not prior_scale > 0:
        raise ConfigError(
            f"got prior_scale={prior_scale}; expected a positive standard deviation of each "
            "weight, or None to let the data choose it."
        )
    if not pairs.weight.sum() > 0:
        raise DataError(
            f"got {len(pairs)} pairs with a total weight of {pairs.weight.sum():g}; expected at "
            "least one pair with a positive weight."
        )


def _check_numbers(pairs: HeadPairs, seen: Float[Array, "..."]) -> None:
    """Whatever is made of features shows whether they are finite; which are not is looked up only
    if it does not."""
    if np.isfinite(seen.sum()):
        return
    bad = ~np.isfinite(pairs.features).all(axis=1)
    raise DataError(
        f"the features of text {int(np.argmax(bad))} are not all finite numbers "
        f"({int(bad.sum())} of {len(bad)} texts are like this). Drop these texts, or embed "
        "them again."
    )


def _precision(pairs: HeadPairs, size: int, scale: float) -> Float[Array, " T"]:
    precision = np.full(size, 0.0)
    precision[: pairs.features.shape[1]] = 1.0 / scale**2
    # Columns and own parameters are free; this much keeps them finite where no pair tells of them.
    precision[pairs.features.shape[1] :] = 1e-6
    return precision


def _subsample(pairs: HeadPairs, wanted: int) -> HeadPairs:
    """Every so many pairs. With their own weight, not that of all: what they say of the weights is
    to be held against the prior as what it is."""
    rows = np.arange(0, len(pairs), max(len(pairs) // wanted, 1))
    if not pairs.weight[rows].sum() > 0:
        rows = np.arange(len(pairs))
    return HeadPairs(
        features=pairs.differences(rows),
        first=np.arange(len(rows)),
        second=None,
        answer=pairs.answer[rows],
        weight=pairs.weight[rows],
        columns=pairs.columns[rows],
    )


def _spread(pairs: HeadPairs) -> float:
    """The length of a typical difference: a weight vector of one over it makes gaps of order 1."""
    return float(np.sqrt((pairs.features.astype(np.float64) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Start:
    """The subsample's optimum, the prior scale, and the inverse curvature as a function."""

    theta: Float[Array, " T"]
    scale: float
    solve: Callable[[Float[Array, " T"]], Float[Array, " T"]]


def _start(
    told: HeadPairs,
    pairs: HeadPairs,
    model: GapModel,
    prior_scale: float | None,
    config: HeadConfig,
) -> _Start:
    size = pairs.features.shape[1] + pairs.columns.shape[1] + model.num_own
    has_matrix = prior_scale is None or size <= _LARGEST_MATRIX
    wanted = config.subsample * size if has_matrix else len(pairs) // _PRODUCT_SHARE
    sample = _subsample(pairs, max(wanted, 1024))
    _check_numbers(told, sample.features)
    share = float(pairs.weight.sum() / sample.weight.sum())
    scale = prior_scale or 1.0 / max(_spread(sample), 1e-12)
    density = _Density(pairs=sample, model=model, precision=_precision(pairs, size, scale))
    theta = np.zeros(size)
    if not has_matrix:
        solve = _solver_by_products(density, theta, 1.0)
        climb = climb_subspace(density, theta, solve, tolerance=1e-3, max_steps=10)
        solve = _solver_by_products(density, climb.theta, share)
        return _Start(theta=climb.theta, scale=scale, solve=solve)
    theta, information = _newton(density, theta)
    for _ in range(config.evidence_rounds if prior_scale is None else 0):
        fresh, _ = _evidence_scale(information, theta, pairs.features.shape[1], scale)
        moved, scale = abs(np.log(fresh / scale)), fresh
        density = replace(density, precision=_precision(pairs, size, scale))
        if moved < 0.02:
            break
        theta, information = _newton(density, theta)
    return _Start(theta=theta, scale=scale, solve=_solver(share * information, density.precision))


def _newton(
    density: _Density, theta: Float[Array, " T"], max_rounds: int = 8
) -> tuple[Float[Array, " T"], Float[Array, "T T"]]:
    """The optimum on the subsample, to a thousandth, and the curvature there. Each curvature serves
    for several steps, since a pass over a subsample costs far less; the first, far from the
    optimum, comes from a quarter of it."""
    part = replace(density, pairs=_subsample(density.pairs, max(len(density.pairs) // 4, 1024)))
    information = part.information(theta) * (density.weight.sum() / part.weight.sum())
    for _ in range(max_rounds):
        solve = _solver(information, density.precision)
        climb = climb_subspace(density, theta, solve, tolerance=1e-3, max_steps=6)
        theta, information = climb.theta, density.information(climb.theta)
        if climb.converged:
            break
    return theta, information


def _solver(
    information: Float[Array, "T T"], precision: Float[Array, " T"]
) -> Callable[[Float[Array, " T"]], Float[Array, " T"]]:
    from scipy.linalg import cho_factor, cho_solve

    factor = cho_factor(information + np.diag(precision), overwrite_a=True, check_finite=False)
    return lambda gradient: cho_solve(factor, gradient, check_finite=False)


def _solver_by_products(
    density: _Density, theta: Float[Array, " T"], share: float
) -> Callable[[Float[Array, " T"]], Float[Array, " T"]]:
    """The same without a matrix: some products with a subsample cost less than a pass over all."""
    end, own = density.cuts
    found = density.respond(density.gaps(theta), theta[own:])
    pairs, bend = density.pairs, share * density.weight * found.bend
    cross = share * density.weight[:, None] * found.cross
    own_bend = share * np.tensordot(density.weight, found.own_bend, 1)
    diagonal = density.precision.copy()
    diagonal[:end] += np.einsum(
        "b,bd,bd->d", bend.astype(np.float32), pairs.features, pairs.features
    )
    diagonal[end:own] += bend @ pairs.columns**2
    diagonal[own:] += np.diag(own_bend)

    def times(vector: Float[Array, " T"]) -> Float[Array, " T"]:
        gap, own_part = density.gaps(vector), vector[own:]
        slope = bend * gap + cross @ own_part
        bent = [pairs.gather(slope), pairs.columns.T @ slope, cross.T @ gap + own_bend @ own_part]
        return np.concatenate(bent) + density.precision * vector

    return lambda gradient: conjugate_gradients(
        times, gradient, np.sqrt(diagonal), _MOST_PRODUCTS, tolerance=0.1
    )


def _evidence_scale(
    information: Float[Array, "T T"], theta: Float[Array, " T"], dimensions: int, scale: float
) -> tuple[float, float]:
    """MacKay's fixed point: scale^2 = |w|^2 / gamma, gamma the number of determined weights."""
    precision = np.zeros(len(theta))
    precision[:dimensions] = 1.0 / scale**2
    precision[dimensions:] = 1e-6
    variance = np.diag(np.linalg.inv(information + np.diag(precision)))[:dimensions]
    gamma = max(dimensions - float(variance.sum()) / scale**2, 1e-3)
    weights = theta[:dimensions]
    return float(np.sqrt(max(weights @ weights, 1e-12) / gamma)), gamma
