"""What is known now of scores that drift: a normal belief, moved forward period by period.

Scores walk at random, s_t = s_{t-1} + N(0, drift^2 (t - (t-1)) I); coefficients of covariates and
the likelihood's own parameters stand still. Each period's votes move the belief to the mode of
belief times likelihood, with the curvature there (Laplace; Fahrmeir 1992, and Glickman 1999 and
TrueSkill for full in place of diagonal covariances).

Legend: B votes, N items, C covariates, M own parameters, P = N + C + M parameters.
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

# Covariances of all periods are held at once: two gigabytes.
MOST_NUMBERS = 250_000_000
_MOST_ITEMS = 3000
_MOST_PERIODS = 60
_NEWTON_STEPS = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoresNow:
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

    def update(self, votes: Votes, period: float | None = None) -> "ScoresNow":
        """The belief after further votes, the earlier ones not looked at again; these themselves go
        back and forth, as in a fit that begins at this belief.

        New items enter around 0 with `start_scale`. Raises `DataError` for votes older than
        `time`, or with other covariates.
        """
        standing = self._with_items(votes)
        steps = forward_pass(standing, periods_of(votes, standing, period))
        after = steps[-1].after
        if 1 < len(steps) <= MOST_NUMBERS // len(after.mean) ** 2:
            # A path is made of this belief's steps.
            from penchant.fitting.score_paths import walk_back_and_forth

            walk = walk_back_and_forth(steps, self.drift)
            after = replace(after, mean=walk.path[-1], covariance=walk.covariances[-1])
        return replace(after, island=islands_with(standing, votes))

    def _with_items(self, votes: Votes) -> "ScoresNow":
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
class Step:
    """One period: the belief before its votes came, after, and what it said of them beforehand."""

    density: VoteDensity
    time: float
    before_mean: Float[Array, " P"]
    before_precision: Float[Array, "P P"]
    after: ScoresNow
    log_evidence: float


def check_drifting(votes: Votes) -> None:
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
class Period:
    time: float
    density: VoteDensity


def periods_of(votes: Votes, standing: ScoresNow, period: float | None) -> list[Period]:
    """The votes of each period that has any, in order, with their mean time."""
    check_drifting(votes)
    place = np.array([standing.items.index(name) for name in votes.items])
    votes = replace(votes, items=standing.items, first=place[votes.first],
                    second=place[votes.second])  # fmt: skip
    time = votes.time
    assert time is not None
    levels, number = np.unique(time, return_inverse=True)
    if period is not None:
        number = ((time - time.min()) / period).astype(np.int64)
    else:
        # Finer than this votes say little of when; coarser, an update would cut time elsewhere than
        # a fit of all votes does, and stray from it by that.
        weight, enough = np.bincount(number, votes.weight), 1.0 * votes.num_items
        total = weight.sum()
        most = max(int(min(total / enough, _MOST_PERIODS)), 1)
        if len(levels) > most or weight.min() < enough:
            before = np.cumsum(weight) - weight
            number = np.floor(before / total * most).astype(np.int64)[number]
    order = np.argsort(number, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    return [
        Period(time=float(time[rows].mean()), density=_density(votes.take(rows), standing))
        for rows in parts
    ]


def _density(votes: Votes, standing: ScoresNow) -> VoteDensity:
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


def forward_pass(standing: ScoresNow, periods: list[Period]) -> list[Step]:
    """One pass forward; the last step's `after` is what is known at the end."""
    steps: list[Step] = []
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


def _absorb(standing: ScoresNow, time: float, density: VoteDensity) -> Step:
    """Walk to `time`, then the mode and curvature of belief times likelihood."""
    num = len(standing.items)
    covariance = standing.covariance.copy()
    walked = standing.drift**2 * max(time - standing.time, 0.0)
    covariance[np.arange(num), np.arange(num)] += walked
    precision, log_volume = inverse_of(covariance)
    mean = standing.mean
    theta, value = mean, penalised(density, mean, mean, precision)
    for _ in range(_NEWTON_STEPS):
        gradient, information = slopes_at(density, theta)
        inverse, log_bend = inverse_of(precision + information)
        step = inverse @ (gradient - precision @ (theta - mean))
        gain = 0.5 * float(step @ (precision + information) @ step)
        if gain < 1e-10 + 1e-14 * abs(value):
            break
        size = 1.0
        while size > 1e-6:
            fresh = penalised(density, theta + size * step, mean, precision)
            if fresh >= value - 1e-13 * abs(value):
                break
            size *= 0.5
        theta, value = theta + size * step, fresh
    gradient, information = slopes_at(density, theta)
    inverse, log_bend = inverse_of(precision + information)
    return Step(
        density=density,
        time=time,
        before_mean=mean,
        before_precision=precision,
        after=replace(standing, time=time, mean=theta, covariance=inverse),
        log_evidence=value - 0.5 * (log_volume + log_bend),
    )


def slopes_at(
    density: VoteDensity, theta: Float[Array, " P"]
) -> tuple[Float[Array, " P"], Float[Array, "P P"]]:
    found = response_at(density, theta)
    return density.gradient(theta, found), density.information(found)


def response_at(density: VoteDensity, theta: Float[Array, " P"]) -> GapResponse:
    return density.respond(density.core_gap(theta), density.own(theta))


def penalised(
    density: VoteDensity,
    theta: Float[Array, " P"],
    mean: Float[Array, " P"],
    precision: Float[Array, "P P"],
) -> float:
    found = response_at(density, theta)
    away = theta - mean
    return float(density.rows.weight @ found.value) - 0.5 * float(away @ precision @ away)


def inverse_of(matrix: Float[Array, "P P"]) -> tuple[Float[Array, "P P"], float]:
    """The inverse of a positive definite matrix and the log of its determinant."""
    from scipy.linalg.lapack import dpotrf, dpotri

    lower, info = dpotrf(matrix, lower=1)
    if info != 0:
        raise np.linalg.LinAlgError("not positive definite")
    inverse, _ = dpotri(lower, lower=1)
    log_determinant = 2.0 * float(np.log(np.diag(lower)).sum())
    return np.tril(inverse) + np.tril(inverse, -1).T, log_determinant


def islands_with(standing: ScoresNow, votes: Votes) -> Int[Array, " N"]:
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
