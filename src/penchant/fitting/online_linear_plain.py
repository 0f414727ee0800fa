"""Linear worths of arms, one reward at a time: the plain twin of `online_linear_fused.py`.

Legend: A arms, D features.
"""

import math

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


def moments(
    inverse: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    x: Float[Array, " D"],
    mean: Float[Array, " A"],
    spread: Float[Array, " A"],
) -> None:
    """Fills mean with x' w_a and spread with sqrt(x' inverse_a x)."""
    mean[:] = weights @ x
    spread[:] = np.sqrt(np.maximum(inverse @ x @ x, 0.0))


def learn(
    precision: Float[Array, "A D D"],
    inverse: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    arm: int,
    x: Float[Array, " D"],
    reward: float,
    weight: float,
) -> None:
    """One reward by Sherman and Morrison: with v = inverse x and q = x' v, inverse loses
    weight v v' / (1 + weight q) and the weights gain weight v (r - x' w) / (1 + weight q)."""
    v = inverse[arm] @ x
    gain = weight / (1.0 + weight * (v @ x))
    weights[arm] += gain * (reward - x @ weights[arm]) * v
    inverse[arm] -= gain * np.outer(v, v)
    precision[arm] += weight * np.outer(x, x)


def forget(
    precision: Float[Array, "A D D"],
    inverse: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    forgetting: float,
    prior_precision: float,
) -> None:
    """All that was learnt of every arm counts less, the prior as much as ever.

    precision <- f precision + (1 - f) prior I, and precision w falls to f precision w.
    """
    moment = forgetting * np.einsum("ade,ae->ad", precision, weights)
    precision *= forgetting
    precision += (1.0 - forgetting) * prior_precision * np.eye(weights.shape[1])
    inverse[:] = np.linalg.inv(precision)
    weights[:] = np.einsum("ade,ae->ad", inverse, moment)


def learn_answer(
    precision: Float[Array, "A D D"],
    inverse: Float[Array, "A D D"],
    weights: Float[Array, "A D"],
    arm: int,
    x: Float[Array, " D"],
    reward: float,
    weight: float,
) -> None:
    """One answer, yes (1) or no (0) or a share between: a Newton step on its log-likelihood.

    With m = x' w, v = inverse x, q = x' v, the mode of normal(w, inverse) times
    p^r (1 - p)^(1 - r) lies along v: w + s v with s = weight (r - sigmoid(m + s q)), solved for s;
    the information added is weight p (1 - p) there.
    """
    v = inverse[arm] @ x
    before, variance = float(x @ weights[arm]), float(v @ x)
    step = logistic_step(before, variance, reward, weight)
    p = 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, before + step * variance))))
    information = weight * p * (1.0 - p)
    weights[arm] += step * v
    inverse[arm] -= information / (1.0 + information * variance) * np.outer(v, v)
    precision[arm] += information * np.outer(x, x)


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
