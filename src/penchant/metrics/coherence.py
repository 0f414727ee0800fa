"""Is there one mind behind the answers? Transitivity, expected utility, exchange rates.

Legend: N items, Q triples, L lotteries, U amounts of one good.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Transitivity:
    """triads: how many were looked at. cyclic: the share in which the more frequent answers go
    round, 0 to 1/4 for answers by lot. cycle_probability: the mean probability that three
    independent answers go round (1/4 by lot, 0 for a decided order)."""

    triads: int
    cyclic: float
    cycle_probability: float


def transitivity(
    preference: Float[Array, "N N"],
    *,
    generator: np.random.Generator | None = None,
    num_triads: int | None = None,
) -> Transitivity:
    """Of all triples of items, or of `num_triads` drawn ones, how many go round.

    Kendall and Babington Smith 1940 for the counts; the probability of a circular triad is
    p_ij p_jk p_ki + p_ji p_kj p_ik (Mazeika et al. 2025, on 1,000 drawn triples). Pairs that never
    met (NaN) leave their triples out. An exact tie points nowhere: its triples are not cyclic.

    Raises `DataError` where no triple is complete.
    """
    size = len(preference)
    if num_triads is None:
        i, j, k = _all_triads(size)
    else:
        generator = generator or np.random.default_rng(0)
        draws = generator.random((num_triads, size)).argpartition(min(3, size - 1), axis=1)[:, :3]
        i, j, k = draws.T if size >= 3 else (np.zeros(0, dtype=np.int64),) * 3
    legs = np.stack([preference[i, j], preference[j, k], preference[k, i]])
    legs = legs[:, np.all(np.isfinite(legs), axis=0)]
    if not legs.shape[1]:
        raise DataError(
            f"no triple of the {size} items met in all three pairs; expected at least one. Compare "
            "more pairs, or fill the gaps from a fitted model."
        )
    round_ = np.all(legs > 0.5, axis=0) | np.all(legs < 0.5, axis=0)
    chance = legs.prod(axis=0) + (1.0 - legs).prod(axis=0)
    return Transitivity(
        triads=legs.shape[1],
        cyclic=float(round_.mean()),
        cycle_probability=float(chance.mean()),
    )


@dataclass(frozen=True, kw_only=True)
class ExpectedUtility:
    """correlation: of the lotteries' own utilities with the expected ones. error: mean absolute
    difference over the range of the expected ones, after the best straight line between the two
    (utilities have no unit). same_order: the share of pairs of lotteries ordered alike, ties half.
    """

    correlation: float
    error: float
    same_order: float


def expected_utility(
    lottery_utilities: Float[Array, " L"],
    chances: Float[Array, "L N"],
    utilities: Float[Array, " N"],
) -> ExpectedUtility:
    """Whether a lottery is worth the mean of its outcomes (von Neumann and Morgenstern 1944).

    `chances[l]` are the probabilities of the outcomes of lottery l, whose own worth was elicited as
    if it were an outcome itself.

    Raises `DataError` for chances that are none, or fewer than two lotteries that differ.
    """
    if np.any(chances < 0) or not np.allclose(chances.sum(axis=1), 1.0):
        raise DataError(
            "some lotteries' chances are negative or do not sum to 1; expected probabilities. "
            "Divide each row by its sum."
        )
    expected = chances @ utilities
    reach = float(np.ptp(expected)) if len(expected) else 0.0
    if reach <= 0 or np.ptp(lottery_utilities) <= 0:
        raise DataError(
            f"{len(expected)} lotteries span a range of {reach:.6g}; expected at least two of "
            "different expected utility, and of different utility of their own."
        )
    design = np.column_stack([np.ones(len(expected)), lottery_utilities])
    fitted = design @ np.linalg.lstsq(design, expected, rcond=None)[0]
    first, second = np.triu_indices(len(expected), 1)
    signs = np.sign(lottery_utilities[first] - lottery_utilities[second]) * np.sign(
        expected[first] - expected[second]
    )
    return ExpectedUtility(
        correlation=float(np.corrcoef(lottery_utilities, expected)[0, 1]),
        error=float(np.abs(fitted - expected).mean() / reach),
        same_order=float(0.5 + 0.5 * signs.mean()),
    )


@dataclass(frozen=True, kw_only=True)
class LogCurve:
    """utility(amount) = intercept + slope log(amount); misfit: root mean square residual."""

    intercept: float
    slope: float
    misfit: float

    def utility(self, amount: float) -> float:
        return self.intercept + self.slope * float(np.log(amount))


def log_curve(amounts: Float[Array, " U"], utilities: Float[Array, " U"]) -> LogCurve:
    """Least squares of utilities of amounts of one good on the logarithm of the amount: every
    doubling adds the same (Bernoulli 1738).

    Raises `DataError` for amounts that are not positive, or fewer than two different ones.
    """
    if np.any(amounts <= 0) or len(np.unique(amounts)) < 2:
        raise DataError(
            f"amounts are {np.unique(amounts)[:5]}; expected at least two different positive ones, "
            "since a curve needs two points and zero has no logarithm."
        )
    design = np.column_stack([np.ones(len(amounts)), np.log(amounts)])
    found = np.linalg.lstsq(design, utilities, rcond=None)[0]
    misfit = float(np.sqrt(np.mean((utilities - design @ found) ** 2)))
    return LogCurve(intercept=float(found[0]), slope=float(found[1]), misfit=misfit)


def exchange_rate(one: LogCurve, other: LogCurve, amount: float = 1.0) -> float:
    """How much of the other good is worth as much as `amount` of the one.

    exp((u_one(amount) - a_other) / b_other). NaN where no amount of the other good changes
    anything.
    """
    if other.slope == 0:
        return float("nan")
    with np.errstate(over="ignore"):
        return float(np.exp((one.utility(amount) - other.intercept) / other.slope))


def _all_triads(
    size: int,
) -> tuple[Int[Array, " Q"], Int[Array, " Q"], Int[Array, " Q"]]:
    pairs = [np.triu_indices(size - low - 1, 1) for low in range(max(size - 2, 0))]
    first = np.concatenate(
        [np.full(len(j), low) for low, (j, _) in enumerate(pairs)] or [np.zeros(0, dtype=np.int64)]
    )
    second, third = (
        np.concatenate(
            [low + 1 + pair[side] for low, pair in enumerate(pairs)]
            or [np.zeros(0, dtype=np.int64)]
        )
        for side in (0, 1)
    )
    return first, second, third
