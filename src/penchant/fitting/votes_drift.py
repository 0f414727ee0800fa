"""Scores that drift, from votes with times: how much they do, the whole path, what is known now.

`scores_now.py` holds the belief that moves forward with the votes, `score_paths.py` the path of all
votes at once, `drift_doubt.py` what the evidence of one pass forward says of the drift.

Legend: B votes, N items, T periods, C covariates, M own parameters, P = N + C + M parameters.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.feedback.gap import GapModel
from penchant.fitting.drift_doubt import learn_drift
from penchant.fitting.score_paths import Walk, walk_back_and_forth
from penchant.fitting.scores_now import (
    Period,
    ScoresNow,
    check_drifting,
    forward_pass,
    islands_with,
    periods_of,
    response_at,
)
from penchant.fitting.vote_rows import Ties
from penchant.fitting.votes_table import centred_covariance, centring
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread

# Drifts that less of the density than this stands for are left out.
_LEAST_SHARE = 1e-3


@dataclass(frozen=True, kw_only=True)
class DriftConfig:
    """model and ties as in `VotesConfig`. drift: standard deviation of a score's change over one
    unit of time, in logits; None to learn it. period: votes within so much time count as cast at
    once; None takes each time by itself, or, where these are more than sixty or some give an item
    fewer than two votes on average, periods of equally many votes that do not.
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
class DriftFit:
    """`path` [T, N] is the posterior mode of the scores at each time from all votes, less the
    mean of their island, under the `drift` that the evidence prefers; `path_se` is its doubt, that
    of a drift which was learnt included. `now` is what is known at the end of the path, from
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
    now: ScoresNow
    distance: float
    log_likelihood: float
    passes: int
    converged: bool
    warnings: tuple[str, ...]


def begin(votes: Votes, config: DriftConfig) -> ScoresNow:
    """Nothing known yet of these items; the first vote's time is when scores start to walk."""
    check_drifting(votes)
    assert votes.time is not None
    num = len(votes.items) + len(votes.covariate_names) + config.model.num_own
    return ScoresNow(
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

    Where the drift is learnt, errors are those of the mixture over its density,

        sum_d w_d (C_d + (m_d - m) (m_d - m)'),

    with m_d and C_d the path and its covariance under drift d, and m the path that is shown: the
    law of total variance. 95 % intervals of scores at the end hold in 95 % of simulated worlds
    (`benchmarks/rank_coverage.py`); with the learnt drift taken for known they did in 92 %.

    Raises `DataError` for votes without times, `ConfigError` where covariances of all periods
    would not fit in memory.
    """
    start = begin(votes, config)
    assert votes.time is not None
    span = max(float(np.ptp(votes.time)), 1e-12)
    periods = periods_of(votes, start, config.period)
    drift, others = _drifts(start, periods, span, config.drift)
    steps = forward_pass(replace(start, drift=drift), periods)
    still = forward_pass(replace(start, drift=0.0), periods) if drift > 0 else steps
    gain = sum(s.log_evidence for s in steps) - sum(s.log_evidence for s in still)
    walk = walk_back_and_forth(steps, drift)
    covariances = _mixed(walk, start, periods, others) if others else walk.covariances
    island = islands_with(start, votes)
    num, last = len(votes.items), replace(steps[-1].after, island=island)
    path = walk.path[:, :num] @ centring(island)
    rest = np.sqrt(np.diag(covariances[-1]))[num:]
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
                for one in covariances
            ]
        ),
        coefficients=walk.path[-1, num : num + count],
        coefficient_se=rest[:count],
        own=walk.path[-1, num + count :],
        drift=drift,
        evidence=max(gain, 0.0),
        p_value=_half_chi_squared(gain, drift * np.sqrt(span)),
        # One pass bends each period's likelihood where it stood then; updates start from the path.
        now=replace(last, mean=walk.path[-1], covariance=covariances[-1]),
        distance=distance,
        log_likelihood=sum(
            float(step.density.rows.weight @ response_at(step.density, at).value)
            for step, at in zip(steps, walk.path)
        ),
        passes=walk.passes,
        converged=walk.converged,
        warnings=notes,
    )


def _drifts(
    start: ScoresNow, periods: list[Period], span: float, given: float | None
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """The drift to show, per square root of the unit of time, and those that it may as well be,
    each with its share; none of these where it is given or cannot be learnt."""
    if given is not None or len(periods) < 2:
        return given or 0.0, ()

    def evidence(move: float) -> float:
        drift = move / np.sqrt(span)
        return sum(s.log_evidence for s in forward_pass(replace(start, drift=drift), periods))

    found = learn_drift(evidence)
    kept = found.shares > _LEAST_SHARE
    drifts, shares = found.moves[kept] / np.sqrt(span), found.shares[kept]
    others = zip(drifts.tolist(), (shares / shares.sum()).tolist(), strict=True)
    return found.best / np.sqrt(span), tuple(others)


def _mixed(
    shown: Walk,
    start: ScoresNow,
    periods: list[Period],
    drifts: tuple[tuple[float, float], ...],
) -> Float[Array, "T P P"]:
    """Mean squares and products of what the path lacks, over drifts by their shares."""
    total = np.zeros_like(shown.covariances)
    for drift, share in drifts:
        walk = walk_back_and_forth(forward_pass(replace(start, drift=drift), periods), drift)
        away = walk.path - shown.path
        total += share * (walk.covariances + away[:, :, None] * away[:, None, :])
    return total


def _half_chi_squared(gain: float, whole: float) -> float:
    from scipy.special import gammaincc

    return 1.0 if gain <= 0.0 or whole <= 0.0 else 0.5 * float(gammaincc(0.5, gain))
