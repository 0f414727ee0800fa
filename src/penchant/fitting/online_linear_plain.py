"""Linear worths of arms, one reward at a time: the plain twin of `online_linear_fused.py`.

What is known of an arm's weights is kept as the root of their covariance: root' root, root lower
triangular, the inverse of the Cholesky factor of the precision. Differences of nearly equal numbers
arise nowhere, so that features which nearly say the same do no harm.

Legend: A arms, D features.
"""

import math

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


def moments(
    root: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    x: Float[Array, " D"],
    mean: Float[Array, " A"],
    spread: Float[Array, " A"],
) -> None:
    """Fills mean with x' w_a and spread with |root_a x|."""
    mean[:] = weights @ x
    spread[:] = np.sqrt(np.square(root @ x).sum(axis=1))


def learn(
    root: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    size: Float[Array, " A"],
    arm: int,
    x: Float[Array, " D"],
    reward: float,
    weight: float,
) -> None:
    """One reward: with q = x' covariance x the weights gain weight covariance x (r - x' w) /
    (1 + weight q)."""
    f = root[arm] @ x
    v = f @ root[arm]
    weights[arm] += weight / (1.0 + weight * (f @ f)) * (reward - x @ weights[arm]) * v
    size[arm] = narrow(root[arm], f, weight)


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


def forget(
    root: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    size: Float[Array, " A"],
    forgetting: float,
    prior_precision: float,
) -> None:
    """All that was learnt of every arm counts less, the prior as much as ever.

    precision <- f precision + (1 - f) prior I, and precision w falls to f precision w.
    """
    eye = np.eye(weights.shape[1])
    for a in range(len(weights)):
        factor = np.linalg.inv(root[a])
        precision = forgetting * np.dot(factor, factor.T)
        moment = np.dot(precision, weights[a])
        precision += (1.0 - forgetting) * prior_precision * eye
        root[a] = np.tril(np.linalg.inv(np.linalg.cholesky(precision)))
        weights[a] = np.dot(np.dot(root[a], moment), root[a])
        size[a] = np.square(root[a]).sum()


def learn_answer(
    root: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    size: Float[Array, " A"],
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
    f = root[arm] @ x
    before, variance = float(x @ weights[arm]), float(f @ f)
    step = logistic_step(before, variance, reward, weight)
    p = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, before + step * variance))))
    weights[arm] += step * (f @ root[arm])
    size[arm] = narrow(root[arm], f, weight * p * (1.0 - p))


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
