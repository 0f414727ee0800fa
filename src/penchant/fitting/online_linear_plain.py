"""Linear worths of arms, one reward at a time: the plain twin of `online_linear_fused.py`.

What is known of an arm's weights is kept as the root of their covariance: root' root, root lower
triangular, the inverse of the Cholesky factor of the precision. Differences of nearly equal numbers
arise nowhere, so that features which nearly say the same do no harm.

Legend: A arms, D features, E = D + 2: an arm's weights, a number that no eigenvalue of its
covariance exceeds, and the trace at which that is looked at again.
"""

import math

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array

# Of how large an arm's covariance is there are two bounds: its trace, which each reward brings
# along, and the root of the sum of its squares, closer by half but dearer, which is taken again
# where the trace has fallen to this share.
LOOK_AGAIN = 0.7


def moments(
    root: Float[Array, "A D D"],
    rows: Float[Array, "A E"],
    x: Float[Array, " D"],
    mean: Float[Array, " A"],
    spread: Float[Array, " A"],
) -> None:
    """Fills mean with x' w_a and spread with |root_a x|."""
    mean[:] = rows[:, :-2] @ x
    spread[:] = np.sqrt(np.square(root @ x).sum(axis=1))


def learn(
    root: Float[Array, "A D D"],
    rows: Float[Array, "A E"],
    arm: int,
    x: Float[Array, " D"],
    reward: float,
    weight: float,
) -> None:
    """One reward: with q = x' covariance x the weights gain weight covariance x (r - x' w) /
    (1 + weight q)."""
    f = root[arm] @ x
    v, weights = f @ root[arm], rows[arm, :-2]
    weights += weight / (1.0 + weight * (f @ f)) * (reward - x @ weights) * v
    _bound(rows[arm], root[arm], narrow(root[arm], f, weight))


def narrow(root: Float[Array, "D D"], f: Float[Array, " D"], information: float) -> float:
    """The root after x was observed with that information, where f = root x; gives its sum of
    squares, the covariance's trace.

    Carlson (1973), Fast triangular formulation of the square root filter: row by row, with
    a_d = 1 + information sum_{e <= d} f_e^2, row_d <- sqrt(a_(d-1) / a_d) (row_d - information f_d
    / a_(d-1) sum_{e < d} f_e row_e).
    """
    before, passed = 1.0, np.zeros(len(f))
    for d in range(len(f)):
        after = before + information * f[d] ** 2
        row = root[d] + 0.0
        root[d] = math.sqrt(before / after) * (row - information * f[d] / before * passed)
        passed += f[d] * row
        before = after
    return float(np.square(root).sum())


def _bound(row: Float[Array, " E"], root: Float[Array, "D D"], trace: float) -> None:
    """No variance is larger than the largest eigenvalue of a covariance, and that no larger than
    its trace or its length. More rewards make neither larger, so that an old bound still holds."""
    if trace <= row[-1]:
        length = float(np.linalg.norm(root @ root.T))
        row[-2:] = min(trace, length), LOOK_AGAIN * trace
    else:
        row[-2] = min(trace, row[-2])


def forget(
    root: Float[Array, "A D D"],
    rows: Float[Array, "A E"],
    forgetting: float,
    prior_precision: float,
) -> None:
    """All that was learnt of every arm counts less, the prior as much as ever.

    precision <- f precision + (1 - f) prior I, and precision w falls to f precision w.
    """
    eye = np.eye(rows.shape[1] - 2)
    for a in range(len(rows)):
        factor = np.linalg.inv(root[a])
        precision = forgetting * np.dot(factor, factor.T)
        moment = np.dot(precision, rows[a, :-2].copy())
        precision += (1.0 - forgetting) * prior_precision * eye
        root[a] = np.tril(np.linalg.inv(np.linalg.cholesky(precision)))
        rows[a, :-2] = np.dot(np.dot(root[a], moment), root[a])
        trace = np.square(root[a]).sum()
        rows[a, -2], rows[a, -1] = trace, LOOK_AGAIN * trace


def learn_answer(
    root: Float[Array, "A D D"],
    rows: Float[Array, "A E"],
    arm: int,
    x: Float[Array, " D"],
    reward: float,
    weight: float,
) -> None:
    """One answer, yes (1) or no (0) or a share between: a Newton step on its log-likelihood.

    With m = x' w, v = covariance x, q = x' v, the mode of normal(w, covariance) times
    p^r (1 - p)^(1 - r) lies along v: w + s v with s = weight (r - sigmoid(m + s q)), solved for s;
    the information added is weight p (1 - p) there.
    """
    f, weights = root[arm] @ x, rows[arm, :-2]
    before, variance = float(x @ weights), float(f @ f)
    step = logistic_step(before, variance, reward, weight)
    p = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, before + step * variance))))
    weights += step * (f @ root[arm])
    _bound(rows[arm], root[arm], narrow(root[arm], f, weight * p * (1.0 - p)))


def logistic_step(mean: float, variance: float, reward: float, weight: float) -> float:
    """The root of s = weight (r - sigmoid(mean + s variance)), by bracketed Newton steps."""
    low, high, s = weight * (reward - 1.0), weight * reward, 0.0
    for _ in range(60):
        p = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, mean + s * variance))))
        residual = weight * (reward - p) - s
        if residual > 0.0:
            low = s
        else:
            high = s
        after = s + residual / (1.0 + weight * variance * p * (1.0 - p))
        if not low <= after <= high:
            after = 0.5 * (low + high)
        if abs(after - s) <= 1e-14 * (1.0 + abs(s)):
            return after
        s = after
    return s
