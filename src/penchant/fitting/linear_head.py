"""A linear reward head on embeddings: pairs in the hundred thousands, dimensions in the thousands.

The worth of text n is f_n' w; a pair's gap is the difference of two worths plus z_b' beta for
what belongs to the pair itself (first shown, say). The climb starts at the optimum of a
subsample, whose curvature then preconditions a few L-BFGS steps over all pairs: the curvature of
some 8 D pairs is that of all to within a third, so that each step leaves about a tenth of the
loss still to be gained, and the matrix of all pairs is formed once or never.

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
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread

# Pairs at a time, so that what a likelihood makes of them stays in cache.
_STEP = 8192


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
    """subsample: pairs per parameter whose curvature preconditions the climb. memory: steps that
    correct it. tolerance: stop when the expected gain of one more step is below this share of the
    loss of the start; 1e-9 is the limit of float32 features. max_steps: passes over all pairs.
    evidence_rounds: re-estimates of the prior scale, at most, where the data choose it."""

    subsample: int = 8
    memory: int = 10
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
class _Point:
    value: float
    log_likelihood: float
    gradient: Float[Array, " T"]


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

    def respond(self, theta: Float[Array, " T"]) -> GapResponse:
        end, own = self.cuts
        gap = self.pairs.gaps(theta[:end], theta[end:own])
        answer = self.pairs.answer
        parts = [
            self.model.respond(gap[at : at + _STEP], answer[at : at + _STEP], theta[None, own:])
            for at in range(0, len(gap), _STEP)
        ]
        return GapResponse(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in ("value", "slope", "bend", "own_slope", "cross", "own_bend")
            }
        )

    def at(self, theta: Float[Array, " T"]) -> _Point:
        found, weight = self.respond(theta), self.pairs.weight
        slope = weight * found.slope
        log_likelihood = float(weight @ found.value)
        gradient = np.concatenate(
            [self.pairs.gather(slope), self.pairs.columns.T @ slope, weight @ found.own_slope]
        )
        return _Point(
            value=log_likelihood - 0.5 * float(self.precision @ theta**2),
            log_likelihood=log_likelihood,
            gradient=gradient - self.precision * theta,
        )

    def information(self, theta: Float[Array, " T"]) -> Float[Array, "T T"]:
        """Minus the second derivatives of the log-likelihood."""
        found, weight = self.respond(theta), self.pairs.weight
        end, own = self.cuts
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

    prior_scale None: chosen by the evidence (MacKay 1992) on the curvature of a subsample.
    covariance: of all parameters, from the curvature of all pairs (D^2 per pair: seconds beyond a
    thousand dimensions; `has_covariance=False` leaves it out). `on_step(pass, log_posterior)`.

    Raises `DataError` for features that are not finite or pairs without weight, `ConfigError` for
    a prior scale that is not positive.
    """
    began = time.perf_counter()
    config = config or HeadConfig()
    _check(pairs, prior_scale)
    pairs = pairs.compact()
    size = pairs.features.shape[1] + pairs.columns.shape[1] + model.num_own
    sample = _subsample(pairs, max(config.subsample * size, 1024))
    scale = prior_scale or 1.0 / max(_spread(sample), 1e-12)
    theta = np.zeros(size)
    rounds = config.evidence_rounds if prior_scale is None else 1
    for _ in range(rounds):
        density = _Density(pairs=sample, model=model, precision=_precision(pairs, size, scale))
        theta, information = _newton(density, theta)
        if prior_scale is not None:
            break
        fresh, _ = _evidence_scale(information, theta, pairs.features.shape[1], scale)
        moved, scale = abs(np.log(fresh / scale)), fresh
        if moved < 0.02:
            break
    everything = _Density(pairs=pairs, model=model, precision=_precision(pairs, size, scale))
    root = np.linalg.cholesky(information + np.diag(everything.precision))
    climb = _climb(everything, theta, root, config, on_step)
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
        prior_scale=scale,
        log_likelihood=climb.point.log_likelihood,
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
    # One product finds them all; which they are is looked up only if there are any.
    if not np.isfinite(pairs.features.sum(axis=1, dtype=np.float64).sum()):
        bad = ~np.isfinite(pairs.features).all(axis=1)
        raise DataError(
            f"the features of text {int(np.argmax(bad))} are not all finite numbers "
            f"({int(bad.sum())} of {len(bad)} texts are like this). Drop these texts, or embed "
            "them again."
        )
    if not pairs.weight.sum() > 0:
        raise DataError(
            f"got {len(pairs)} pairs with a total weight of {pairs.weight.sum():g}; expected at "
            "least one pair with a positive weight."
        )


def _precision(pairs: HeadPairs, size: int, scale: float) -> Float[Array, " T"]:
    precision = np.full(size, 0.0)
    precision[: pairs.features.shape[1]] = 1.0 / scale**2
    # Columns and own parameters are free; this much keeps them finite where no pair tells of them.
    precision[pairs.features.shape[1] :] = 1e-6
    return precision


def _subsample(pairs: HeadPairs, wanted: int) -> HeadPairs:
    """Every so many pairs, with the weight of all."""
    step = max(len(pairs) // wanted, 1)
    rows = np.arange(0, len(pairs), step)
    weight = pairs.weight[rows]
    return HeadPairs(
        features=pairs.differences(rows),
        first=np.arange(len(rows)),
        second=None,
        answer=pairs.answer[rows],
        weight=weight * (pairs.weight.sum() / max(weight.sum(), 1e-300)),
        columns=pairs.columns[rows],
    )


def _spread(pairs: HeadPairs) -> float:
    """The length of a typical difference: a weight vector of one over it makes gaps of order 1."""
    return float(np.sqrt((pairs.features.astype(np.float64) ** 2).sum(axis=1).mean()))


def _newton(
    density: _Density, theta: Float[Array, " T"], max_steps: int = 8
) -> tuple[Float[Array, " T"], Float[Array, "T T"]]:
    """A few damped Newton steps on the subsample; the end need not be exact."""
    here = density.at(theta)
    information = density.information(theta)
    for _ in range(max_steps):
        step = np.linalg.solve(information + np.diag(density.precision), here.gradient)
        gain = 0.5 * float(step @ here.gradient)
        if gain < 1e-3 * max(abs(here.value), 1.0):
            break
        size = 1.0
        while size > 1e-6 and not (there := density.at(theta + size * step)).value > here.value:
            size *= 0.5
        theta, here = theta + size * step, there
        information = density.information(theta)
    return theta, information


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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Climb:
    theta: Float[Array, " T"]
    point: _Point
    converged: bool
    iterations: int
    gain_left: float


def _climb(
    density: _Density,
    theta: Float[Array, " T"],
    root: Float[Array, "T T"],
    config: HeadConfig,
    on_step: Callable[[int, float], None] | None,
) -> _Climb:
    """L-BFGS (Liu and Nocedal 1989) whose first matrix is the subsample's inverse curvature."""
    from scipy.linalg import cho_solve

    here = density.at(theta)
    limit = config.tolerance * abs(here.value)
    steps: list[Array] = []
    bends: list[Array] = []
    taken = 0
    for _ in range(config.max_steps):
        step = _two_loop(here.gradient, steps, bends, lambda g: cho_solve((root, True), g))
        gain = 0.5 * float(step @ here.gradient)
        if gain <= limit:
            return _Climb(theta=theta, point=here, converged=True, iterations=taken, gain_left=gain)
        size = 1.0
        there = density.at(theta + step)
        while not there.value > here.value and size > 1e-3:
            size *= 0.5
            there = density.at(theta + size * step)
        if not there.value > here.value:
            break
        steps.append(size * step)
        bends.append(here.gradient - there.gradient)
        steps, bends = steps[-config.memory :], bends[-config.memory :]
        theta, here, taken = theta + size * step, there, taken + 1
        if on_step is not None:
            on_step(taken, here.value)
    return _Climb(
        theta=theta,
        point=here,
        converged=gain <= 1e3 * limit,
        iterations=taken,
        gain_left=gain,
    )


def _two_loop(
    gradient: Float[Array, " T"],
    steps: list[Array],
    bends: list[Array],
    precondition: Callable[[Array], Array],
) -> Float[Array, " T"]:
    """Nocedal and Wright (2006), algorithm 7.4."""
    rest, shares = gradient.copy(), []
    for step, bend in zip(reversed(steps), reversed(bends)):
        shares.append(float(step @ rest) / float(step @ bend))
        rest -= shares[-1] * bend
    found = precondition(rest)
    for step, bend, share in zip(steps, bends, reversed(shares)):
        found += step * (share - float(bend @ found) / float(step @ bend))
    return found
