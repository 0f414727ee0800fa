"""The lottery over options that nothing beats in expectation, where taste may go round in circles.

Legend: N options.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array

# What the linear program's solver leaves of a constraint that holds exactly.
_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class MinimaxWinner:
    """probability: of each option under the lottery.
    win_rate: of the lottery against each option, 0 to 1.
    worst: the smallest of these; at least 1/2 but for rounding.
    is_unique: whether no other lottery does as well; if others do, this one is the most even.
    """

    probability: Float[Array, " N"]
    win_rate: Float[Array, " N"]
    worst: float
    is_unique: bool


def minimax_winner(preference: Float[Array, "N N"]) -> MinimaxWinner:
    """The lottery p with sum_i p_i P(i beats j) >= 1/2 against every option j.

    `preference[i, j]` is the probability that i is preferred to j, with P + P' = 1. It is the
    optimal strategy of the symmetric zero-sum game P - 1/2, whose value is 0, so one always exists
    (von Neumann 1928): Kreweras 1965 and Fishburn 1984 (maximal lotteries), Dudík et al. 2015 (von
    Neumann winner), Swamy et al. 2024 (minimax winner of preference learning). An option that beats
    all others gets probability 1. Where several lotteries qualify, the one with the least sum of
    squares is taken: it is unique, and treats options alike that are alike.

    Raises `DataError` where P + P' is not 1 or P leaves 0 to 1.
    """
    from scipy.optimize import linprog

    check_preference(preference)
    game = np.where(np.eye(len(preference), dtype=bool), 0.0, preference - 0.5)
    size = len(game)
    if size == 1:
        return _described(np.ones(1), preference, True)
    found = linprog(
        np.concatenate([np.zeros(size), [-1.0]]),
        A_ub=np.hstack([-game.T, np.ones((size, 1))]),
        b_ub=np.zeros(size),
        A_eq=np.concatenate([np.ones(size), [0.0]])[None, :],
        b_eq=np.ones(1),
        bounds=[(0, None)] * size + [(None, None)],
        method="highs",
    )
    assert found.status == 0, f"a game always has a value, but: {found.message}"
    probability = _tidied(found.x[:size])
    is_unique = _is_unique(probability, game)
    if not is_unique:
        probability = _tidied(_most_even(game))
    return _described(probability, preference, is_unique)


def minimax_order(preference: Float[Array, "N N"]) -> Int[Array, " N"]:
    """Places from 1 (best): by probability under the lottery, then again among those left out.

    Those in the minimax winner's support come first, the likelier the better; they are removed and
    the lottery of the rest decides the next places. Options of equal probability share a place.
    """
    rank = np.zeros(len(preference), dtype=np.int64)
    left = np.arange(len(preference))
    while len(left):
        among = minimax_winner(preference[np.ix_(left, left)]).probability
        taken = among > _SLACK
        ahead = (among[taken][None, :] > among[taken][:, None] + 1e-7).sum(axis=1)
        rank[left[taken]] = 1 + len(preference) - len(left) + ahead
        left = left[~taken]
    return rank


def check_preference(preference: Float[Array, "N N"]) -> None:
    """Raises `DataError` unless P is a matrix of probabilities with P + P' = 1 off the diagonal."""
    if not len(preference):
        raise DataError("there are no options to choose from; expected at least one.")
    off = ~np.eye(len(preference), dtype=bool)
    # Written so that NaN, a pair that never met, is refused too.
    bad = off & ~(
        (preference >= 0) & (preference <= 1) & (abs(preference + preference.T - 1) < 1e-6)
    )
    if bad.any():
        i, j = (int(index[0]) for index in np.nonzero(bad))
        raise DataError(
            f"preference[{i}, {j}] = {preference[i, j]:.6g} and preference[{j}, {i}] = "
            f"{preference[j, i]:.6g} ({int(bad.sum())} entries are like this); expected "
            "probabilities that add up to 1. Share ties half and half, and fill pairs that never "
            "met from a fitted model (or with 1/2)."
        )


def _is_unique(probability: Float[Array, " N"], game: Float[Array, "N N"]) -> bool:
    """Whether the optimum is alone: strictly complementary, and its support has one null vector.

    Some optimum has p_i > 0 exactly where the lottery only ties with i (Goldman and Tucker 1956);
    a lone optimum is that one, and any other lottery on its support would solve M x = 0 too.
    """
    support = probability > _SLACK
    margin = probability @ game
    if np.any(margin[~support] <= _SLACK):
        return False
    return bool(
        np.linalg.matrix_rank(game[np.ix_(support, support)], tol=1e-9) == support.sum() - 1
    )


def _most_even(game: Float[Array, "N N"]) -> Float[Array, " N"]:
    """The optimal lottery nearest to even chances: least distance programming by nonnegative least
    squares (Lawson and Hanson 1974, chapter 23)."""
    from scipy.optimize import nnls

    size = len(game)
    # x spans what sums to zero; p = 1/N + basis x must be nonnegative and lose to nobody.
    basis = np.linalg.svd(np.ones((1, size)))[2][1:].T
    rows = np.vstack([basis, game.T @ basis])
    needed = np.concatenate([np.full(size, -1 / size), -game.T @ np.full(size, 1 / size)])
    system = np.vstack([rows.T, needed - _SLACK])
    target = np.concatenate([np.zeros(size - 1), [1.0]])
    answer, _ = nnls(system, target, maxiter=100 * system.shape[1])
    residual = system @ answer - target
    x = -residual[:-1] / residual[-1]
    # The slack that the search wants moves flat corners by its root; of the constraints that it
    # found to hold with equality the nearest point is a solution of least norm, without slack.
    is_equal = answer > 0
    exact = np.linalg.lstsq(rows[is_equal], needed[is_equal], rcond=None)[0]
    if (rows @ exact >= needed - _SLACK).all():
        x = exact
    return np.asarray(1 / size + basis @ x)


def _tidied(probability: Float[Array, " N"]) -> Float[Array, " N"]:
    kept = np.where(probability > _SLACK, probability, 0.0)
    return kept / kept.sum()


def _described(
    probability: Float[Array, " N"], preference: Float[Array, "N N"], is_unique: bool
) -> MinimaxWinner:
    even = np.where(np.eye(len(preference), dtype=bool), 0.5, preference)
    win_rate = probability @ even
    return MinimaxWinner(
        probability=probability,
        win_rate=win_rate,
        worst=float(win_rate.min()),
        is_unique=is_unique,
    )
