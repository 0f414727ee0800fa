"""Scores that drift: what is known now, kept up to date vote by vote, and the whole path.

Scores walk at random, s_t = s_{t-1} + N(0, drift^2 (t - (t-1)) I); coefficients of covariates and
the likelihood's own parameters stand still. One pass forward keeps a normal belief about now:
each period's votes move it to the mode of belief times likelihood, with the curvature there
(Laplace; Fahrmeir 1992, and Glickman 1999 and TrueSkill for full in place of diagonal
covariances). Passes back and forth, each around the path of the last, are Newton's method on all
votes at once (Bell 1994) and give the path's posterior mode.

Legend: B votes, N items, T periods, C covariates, M own parameters, P = N + C + M parameters.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel, GapResponse
from penchant.fitting.vote_density import VoteDensity
from penchant.fitting.vote_rows import Ties, vote_rows
from penchant.fitting.votes_table import centred_covariance, centring
from penchant.numerics.arrays import Array
from penchant.numerics.graph import connectivity
from penchant.numerics.threads import one_blas_thread

# Covariances of all periods are held at once: two gigabytes.
_MOST_NUMBERS = 250_000_000
_MOST_ITEMS = 3000
_MOST_PERIODS = 60
# Standard deviations per square root of the unit of time, as parts of the time that votes span.
_LEAST_DRIFT, _MOST_DRIFT = 0.01, 5.0
_NEWTON_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class DriftConfig:
    """model and ties as in `VotesConfig`. drift: standard deviation of a score's change over one
    unit of time, in logits; None to learn it. period: votes within so much time count as cast at
    once; None takes each time by itself, or, where these are more than sixty or some give an item
    fewer than ten votes on average, periods of equally many votes that do not.
    start_scale: standard deviation of scores, coefficients (per unit) and own parameters around 0
    before any vote."""

    model: GapModel
    ties: Ties = "answer"
    drift: float | None = None
    period: float | None = None
    start_scale: float = 3.0

    def __post_init__(self) -> None:
        if self.drift is not None and not (np.isfinite(self.drift) and self.drift >= 0):
            raise ConfigError(f"drift is {self.drift}; expected 0 or more, or None to learn it.")
        if self.period is not None and not (np.isfinite(self.period) and self.period > 0):
            raise ConfigError(f"period is {self.period}; expected more than 0, or None.")
        if not self.start_scale > 0:
            raise ConfigError(f"start_scale is {self.start_scale}; expected more than 0.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """What is known at `time`: a normal belief about scores, coefficients and own parameters.
    island: number of the set of items that each was compared with so far, directly or by others."""

    items: tuple[str, ...]
    covariate_names: tuple[str, ...]
    model: GapModel
    ties: Ties
    drift: float
    start_scale: float
    time: float
    mean: Float[Array, " P"]
    covariance: Float[Array, "P P"]
    island: Int[Array, " N"]

    @property
    def strengths(self) -> Float[Array, " N"]:
        """Scores less the mean of their island."""
        num = len(self.items)
        return centring(self.island) @ self.mean[:num]

    @property
    def strength_se(self) -> Float[Array, " N"]:
        """Standard deviations of what is known of these."""
        return np.sqrt(np.maximum(np.diag(self.strength_covariance), 0.0))

    @property
    def strength_covariance(self) -> Float[Array, "N N"]:
        """Of the scores less the mean of their island; infinite for an item that met nobody."""
        num = len(self.items)
        return centred_covariance(self.covariance[:num, :num], self.island)

    def update(self, votes: Votes, period: float | None = None) -> "Standing":
        """The belief after further votes, the earlier ones not looked at again.

        New items enter around 0 with `start_scale`. Raises `DataError` for votes older than
        `time`, or with other covariates.
        """
        standing = self._with_items(votes)
        after = _filter(standing, _periods(votes, standing, period))[-1].after
        return replace(after, island=_islands(standing, votes))

    def _with_items(self, votes: Votes) -> "Standing":
        if votes.covariate_names != self.covariate_names:
            raise DataError(
                f"the new votes have covariates {votes.covariate_names}; expected "
                f"{self.covariate_names}, as in the votes before. Give the same columns in order."
            )
        known = set(self.items)
        fresh = tuple(name for name in votes.items if name not in known)
        if not fresh:
            return self
        num = len(self.items)
        mean = np.insert(self.mean, num, np.zeros(len(fresh)))
        covariance = np.eye(len(mean)) * self.start_scale**2
        kept = np.r_[:num, num + len(fresh) : len(mean)]
        covariance[np.ix_(kept, kept)] = self.covariance
        island = np.r_[self.island, self.island.max(initial=-1) + 1 + np.arange(len(fresh))]
        return replace(
            self, items=self.items + fresh, mean=mean, covariance=covariance, island=island
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftFit:
    """`path` [T, N] is the posterior mode of the scores at each time from all votes, less the
    mean of their island, `path_se` its doubt. `now` is what is known at the end of the path, from
    which updates go on in one pass; `distance` says how far the scores of a single pass over these
    votes would have ended from it, in standard errors, at most.

    evidence: gain of log marginal likelihood over scores that stand still; p_value of its
    likelihood-ratio test, half chi-squared (Self and Liang 1987).
    """

    items: tuple[str, ...]
    times: Float[Array, " T"]
    path: Float[Array, "T N"]
    path_se: Float[Array, "T N"]
    coefficients: Float[Array, " C"]
    coefficient_se: Float[Array, " C"]
    own: Float[Array, " M"]
    drift: float
    evidence: float
    p_value: float
    now: Standing
    distance: float
    log_likelihood: float
    passes: int
    converged: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Step:
    """One period: the belief before its votes came, after, and what it said of them beforehand."""

    density: VoteDensity
    time: float
    before_mean: Float[Array, " P"]
    before_precision: Float[Array, "P P"]
    after: Standing
    log_evidence: float


def begin(votes: Votes, config: DriftConfig) -> Standing:
    """Nothing known yet of these items; the first vote's time is when scores start to walk."""
    _check(votes)
    assert votes.time is not None
    num = len(votes.items) + len(votes.covariate_names) + config.model.num_own
    return Standing(
        items=votes.items,
        covariate_names=votes.covariate_names,
        model=config.model,
        ties=config.ties,
        drift=config.drift or 0.0,
        start_scale=config.start_scale,
        time=float(votes.time.min()),
        mean=np.zeros(num),
        covariance=np.eye(num) * config.start_scale**2,
        island=np.arange(len(votes.items)),
    )


@one_blas_thread
def fit_drift(votes: Votes, config: DriftConfig) -> DriftFit:
    """The drift that the evidence prefers, the path of scores under it, and what is known now.

    Raises `DataError` for votes without times, `ConfigError` where covariances of all periods
    would not fit in memory.
    """
    start = begin(votes, config)
    assert votes.time is not None
    span = max(float(np.ptp(votes.time)), 1e-12)
    periods = _periods(votes, start, config.period)
    drift = _learn(start, periods, span) if config.drift is None else config.drift
    steps = _filter(replace(start, drift=drift), periods)
    still = _filter(replace(start, drift=0.0), periods) if drift > 0 else steps
    gain = sum(s.log_evidence for s in steps) - sum(s.log_evidence for s in still)
    walk = _walk(steps, drift)
    island = _islands(start, votes)
    num, last = len(votes.items), replace(steps[-1].after, island=island)
    path = walk.path[:, :num] @ centring(island)
    rest = np.sqrt(np.diag(walk.covariances[-1]))[num:]
    count = len(votes.covariate_names)
    distance = float(np.max(np.abs(last.strengths - path[-1]) / last.strength_se))
    found = int(island.max()) + 1
    notes = () if found == 1 else (
        f"{found} sets of items never meet: scores compare within a set, not between two.",
    )  # fmt: skip
    return DriftFit(
        items=votes.items,
        times=np.array([step.time for step in steps]),
        path=path,
        path_se=np.array(
            [
                np.sqrt(np.maximum(np.diag(centred_covariance(one[:num, :num], island)), 0.0))
                for one in walk.covariances
            ]
        ),
        coefficients=walk.path[-1, num : num + count],
        coefficient_se=rest[:count],
        own=walk.path[-1, num + count :],
        drift=drift,
        evidence=max(gain, 0.0),
        p_value=_half_chi_squared(gain, drift * np.sqrt(span)),
        # One pass bends each period's likelihood where it stood then; updates start from the path.
        now=replace(last, mean=walk.path[-1], covariance=walk.covariances[-1]),
        distance=distance,
        log_likelihood=sum(
            float(step.density.rows.weight @ _response(step.density, at).value)
            for step, at in zip(steps, walk.path)
        ),
        passes=walk.passes,
        converged=walk.converged,
        warnings=notes,
    )


def _check(votes: Votes) -> None:
    if votes.time is None:
        raise DataError(
            "the votes have no times; expected the time of each vote. Name the column that holds "
            "it when reading, or fit without drift."
        )
    if votes.num_items > _MOST_ITEMS:
        raise ConfigError(
            f"{votes.num_items} items drift; expected at most {_MOST_ITEMS}, since every two are "
            "followed together. Keep those with most votes, or fit without drift."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Period:
    time: float
    density: VoteDensity


def _periods(votes: Votes, standing: Standing, period: float | None) -> list[_Period]:
    """The votes of each period that has any, in order, with their mean time."""
    _check(votes)
    place = np.array([standing.items.index(name) for name in votes.items])
    votes = replace(votes, items=standing.items, first=place[votes.first],
                    second=place[votes.second])  # fmt: skip
    time = votes.time
    assert time is not None
    levels, number = np.unique(time, return_inverse=True)
    if period is not None:
        number = ((time - time.min()) / period).astype(np.int64)
    else:
        # Ten votes an item in a period keep one pass near the fit of all; each is of two items.
        weight, enough = np.bincount(number, votes.weight), 5.0 * votes.num_items
        total = weight.sum()
        most = max(int(min(total / enough, _MOST_PERIODS)), 1)
        if len(levels) > most or weight.min() < enough:
            before = np.cumsum(weight) - weight
            number = np.floor(before / total * most).astype(np.int64)[number]
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    return [
        _Period(time=float(time[rows].mean()), density=_density(votes.take(rows), standing))
        for rows in parts
    ]


def _density(votes: Votes, standing: Standing) -> VoteDensity:
    rows = vote_rows(votes, ties=standing.ties, by_grade=standing.model.levels is not None)
    none = np.zeros(0, dtype=np.int64)
    return VoteDensity(
        rows=rows,
        model=standing.model,
        precision=np.zeros(len(standing.mean)),
        island=np.zeros(rows.num_items, dtype=np.int64),
        deviation_context=none,
        deviation_item=none,
    )


def _filter(standing: Standing, periods: list[_Period]) -> list[_Step]:
    """One pass forward; the last step's `after` is what is known at the end."""
    steps: list[_Step] = []
    for period in periods:
        if period.time < standing.time - 1e-9 * max(abs(standing.time), 1.0):
            raise DataError(
                f"votes of time {period.time:g} came after the standing of time "
                f"{standing.time:g}; expected later ones. Sort votes by time, or fit all of them "
                "again."
            )
        steps.append(_absorb(standing, period.time, period.density))
        standing = steps[-1].after
    return steps


def _absorb(standing: Standing, time: float, density: VoteDensity) -> _Step:
    """Walk to `time`, then the mode and curvature of belief times likelihood."""
    num = len(standing.items)
    covariance = standing.covariance.copy()
    walked = standing.drift**2 * max(time - standing.time, 0.0)
    covariance[np.arange(num), np.arange(num)] += walked
    precision, log_volume = _inverse(covariance)
    mean = standing.mean
    theta, value = mean, _penalised(density, mean, mean, precision)
    for _ in range(_NEWTON_STEPS):
        gradient, information = _slopes(density, theta)
        inverse, log_bend = _inverse(precision + information)
        step = inverse @ (gradient - precision @ (theta - mean))
        gain = 0.5 * float(step @ (precision + information) @ step)
        if gain < 1e-10 + 1e-14 * abs(value):
            break
        size = 1.0
        while size > 1e-6:
            fresh = _penalised(density, theta + size * step, mean, precision)
            if fresh >= value - 1e-13 * abs(value):
                break
            size *= 0.5
        theta, value = theta + size * step, fresh
    gradient, information = _slopes(density, theta)
    inverse, log_bend = _inverse(precision + information)
    return _Step(
        density=density,
        time=time,
        before_mean=mean,
        before_precision=precision,
        after=replace(standing, time=time, mean=theta, covariance=inverse),
        log_evidence=value - 0.5 * (log_volume + log_bend),
    )


def _slopes(
    density: VoteDensity, theta: Float[Array, " P"]
) -> tuple[Float[Array, " P"], Float[Array, "P P"]]:
    found = _response(density, theta)
    return density.gradient(theta, found), density.information(found)


def _response(density: VoteDensity, theta: Float[Array, " P"]) -> GapResponse:
    return density.respond(density.core_gap(theta), density.own(theta))


def _penalised(
    density: VoteDensity,
    theta: Float[Array, " P"],
    mean: Float[Array, " P"],
    precision: Float[Array, "P P"],
) -> float:
    found = _response(density, theta)
    away = theta - mean
    return float(density.rows.weight @ found.value) - 0.5 * float(away @ precision @ away)


def _inverse(matrix: Float[Array, "P P"]) -> tuple[Float[Array, "P P"], float]:
    """The inverse of a positive definite matrix and the log of its determinant."""
    from scipy.linalg.lapack import dpotrf, dpotri

    lower, info = dpotrf(matrix, lower=1)
    if info != 0:
        raise np.linalg.LinAlgError("not positive definite")
    inverse, _ = dpotri(lower, lower=1)
    log_determinant = 2.0 * float(np.log(np.diag(lower)).sum())
    return np.tril(inverse) + np.tril(inverse, -1).T, log_determinant


def _learn(start: Standing, periods: list[_Period], span: float) -> float:
    """The drift of most evidence, one pass forward for each that is tried."""
    from scipy.optimize import minimize_scalar

    if len(periods) < 2:
        return 0.0

    def loss(log_whole: float) -> float:
        drift = float(np.exp(log_whole)) / np.sqrt(span)
        return -sum(step.log_evidence for step in _filter(replace(start, drift=drift), periods))

    found = minimize_scalar(
        loss, bounds=np.log((_LEAST_DRIFT, _MOST_DRIFT)), method="bounded", options={"xatol": 0.03}
    )
    whole = float(np.exp(found.x))
    return 0.0 if whole < 1.1 * _LEAST_DRIFT else whole / np.sqrt(span)


def _half_chi_squared(gain: float, whole: float) -> float:
    from scipy.special import gammaincc

    return 1.0 if gain <= 0.0 or whole <= 0.0 else 0.5 * float(gammaincc(0.5, gain))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Walk:
    path: Float[Array, "T P"]
    covariances: Float[Array, "T P P"]
    passes: int
    converged: bool


def _walk(steps: list[_Step], drift: float) -> _Walk:
    """Back and forth until the path is the mode of all votes at once."""
    size = len(steps[0].before_mean)
    if len(steps) * size**2 > _MOST_NUMBERS:
        raise ConfigError(
            f"{len(steps)} periods of {size} parameters make {len(steps) * size**2:.2g} numbers; "
            f"expected at most {_MOST_NUMBERS:.2g}. Give a longer `period`, or fewer items."
        )
    covariances = np.array([step.after.covariance for step in steps])
    path, smooth = _backward(np.array([step.after.mean for step in steps]), covariances, steps,
                             drift)  # fmt: skip
    value = _joint(path, steps, drift)
    for passes in range(1, 31):
        means, covariances = _forward(path, steps, drift)
        target, fresh = _backward(means, covariances, steps, drift)
        part = 1.0
        while part > 1e-3:
            candidate = path + part * (target - path)
            there = _joint(candidate, steps, drift)
            if there >= value - 1e-12 * abs(value):
                break
            part *= 0.5
        moved = float(np.max(np.abs(candidate - path)))
        path, value, smooth = candidate, there, fresh
        if moved < 1e-8:
            return _Walk(path=path, covariances=smooth, passes=passes, converged=True)
    return _Walk(path=path, covariances=smooth, passes=passes, converged=False)


def _forward(
    path: Float[Array, "T P"], steps: list[_Step], drift: float
) -> tuple[Float[Array, "T P"], Float[Array, "T P P"]]:
    """The Kalman filter of the normal likelihoods that touch the true ones along the path."""
    means, covariances = np.empty_like(path), np.empty((*path.shape, path.shape[1]))
    mean, precision = steps[0].before_mean, steps[0].before_precision
    for t, step in enumerate(steps):
        if t:
            noisy = covariances[t - 1].copy()
            _add_walk(noisy, steps, t, drift)
            mean, (precision, _) = means[t - 1], _inverse(noisy)
        gradient, information = _slopes(step.density, path[t])
        covariances[t], _ = _inverse(precision + information)
        means[t] = covariances[t] @ (precision @ mean + information @ path[t] + gradient)
    return means, covariances


def _backward(
    means: Float[Array, "T P"], covariances: Float[Array, "T P P"], steps: list[_Step], drift: float
) -> tuple[Float[Array, "T P"], Float[Array, "T P P"]]:
    """Rauch, Tung and Striebel's smoother (1965)."""
    path, smooth = means.copy(), covariances.copy()
    for t in range(len(means) - 2, -1, -1):
        noisy = covariances[t].copy()
        _add_walk(noisy, steps, t + 1, drift)
        gain = covariances[t] @ _inverse(noisy)[0]
        path[t] = means[t] + gain @ (path[t + 1] - means[t])
        smooth[t] = covariances[t] + gain @ (smooth[t + 1] - noisy) @ gain.T
    return path, smooth


def _add_walk(covariance: Float[Array, "P P"], steps: list[_Step], t: int, drift: float) -> None:
    """What scores may have moved from period t - 1 to t, on the diagonal."""
    place = np.arange(steps[0].density.num_items)
    covariance[place, place] += drift**2 * (steps[t].time - steps[t - 1].time)


def _joint(path: Float[Array, "T P"], steps: list[_Step], drift: float) -> float:
    """The log-posterior of the whole path, up to a constant."""
    value = _penalised(steps[0].density, path[0], steps[0].before_mean, steps[0].before_precision)
    num = steps[0].density.num_items
    for t in range(1, len(steps)):
        density = steps[t].density
        found = _response(density, path[t])
        value += float(density.rows.weight @ found.value)
        walked = drift**2 * (steps[t].time - steps[t - 1].time)
        if walked > 0:
            value -= 0.5 * float(np.sum((path[t, :num] - path[t - 1, :num]) ** 2)) / walked
    return value


def _islands(standing: Standing, votes: Votes) -> Int[Array, " N"]:
    """The sets of items that met, those of `standing` joined by the votes."""
    place = {name: number for number, name in enumerate(standing.items)}
    at = np.array([place[name] for name in votes.items])
    # Each item beside the first of its island, as if they had met.
    everyone = np.arange(len(standing.items))
    _, leader, island = np.unique(standing.island, return_index=True, return_inverse=True)
    first = np.concatenate([at[votes.first], everyone])
    second = np.concatenate([at[votes.second], leader[island]])
    apart = first != second
    ones = np.concatenate([votes.weight, np.ones(len(everyone))])[apart]
    return connectivity(first[apart], second[apart], ones, ones, len(everyone)).island
