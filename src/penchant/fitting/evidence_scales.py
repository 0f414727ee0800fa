"""Scales by the evidence: how much sharper one kind of feedback is than another, and how large
weights are, with the weights integrated out; and how noisy numbers are.

Climbed along with the weights they are not found: a scale that grows while the weights shrink
costs the answers nothing and gains on the weights' prior, so that the joint mode of a few answers
has weights several times too small (the bias of joint modes, of which Neyman and Scott 1948 is the
first example). The evidence counts how much room a fit has left, and has no such slope.

Legend: P parameters, H scales that are held, C coordinates of the search.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.fitting.inference import invert_information
from penchant.fitting.lbfgs import Slope
from penchant.fitting.newton import Evaluation, Optimum
from penchant.fitting.pooled_density import PooledDensity
from penchant.numerics.arrays import Array

# Precision of what is held, in the prior of a climb: it moves by a thousandth at most.
HELD = 1e6
# Of logs of scales: how far the information is followed for its slope.
_STEP = 1e-3
# Nats of evidence that a coordinate's unit may still bring.
_FLAT = 0.02
_ROUNDS = 30
# Half a box of the search, in logs of scales, and how many there are at most.
_REACH, _BOXES = 0.7, 40


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldScales:
    """A log-likelihood of theta in which some parameters stay at given values.

    With a prior of precision `HELD` around 0 there, which those who climb it are to add, it is
    exp(-HELD (theta_h - value_h)^2 / 2): stationary at the values, without information beside it.
    """

    density: PooledDensity
    places: Int[Array, " H"]
    values: Float[Array, " H"]

    def slope(self, theta: Float[Array, " P"]) -> Slope:
        """Value and gradient."""
        there = self.density.slope(self._held(theta))
        gradient = there.gradient.copy()
        gradient[self.places] = HELD * self.values
        lifted = HELD * float(self.values @ (theta[self.places] - 0.5 * self.values))
        return Slope(value=there.value + lifted, gradient=gradient)

    def information(self, theta: Float[Array, " P"]) -> Float[Array, "P P"]:
        """Minus the second derivatives."""
        found = self.density.information(self._held(theta))
        found[self.places], found[:, self.places] = 0.0, 0.0
        return found

    def evaluate(self, theta: Float[Array, " P"]) -> Evaluation:
        """All of these."""
        here = self.slope(theta)
        return Evaluation(
            value=here.value, gradient=here.gradient, information=self.information(theta)
        )

    def log_likelihood(self, theta: Float[Array, " P"]) -> float:
        """Of the answers alone."""
        return self.density.slope(self._held(theta)).value

    def _held(self, theta: Float[Array, " P"]) -> Float[Array, " P"]:
        found = np.array(theta, dtype=np.float64)
        found[self.places] = self.values
        return found


def log_evidence(summit: Optimum, precision: Float[Array, " P"]) -> float:
    """log integral exp(log-likelihood) N(theta; 0, 1 / precision) by Laplace's approximation, but
    for a constant (MacKay 1992)."""
    _, volume = np.linalg.slogdet(summit.information)
    return summit.value + 0.5 * float(np.log(precision).sum()) - 0.5 * float(volume)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """The log-evidence of logs of scales h: where `is_open`, of the weights (the first `dimensions`
    parameters), beside `scale`; then, at `places`, of the kinds of feedback and noise of numbers.

    base: precision of the prior of all parameters, that of the weights left out.
    """

    density: PooledDensity
    base: Float[Array, " P"]
    places: Int[Array, " H"]
    dimensions: int
    scale: float
    is_open: bool

    def held(self, h: Float[Array, " C"]) -> tuple[HeldScales, Float[Array, " P"]]:
        """The likelihood with these scales, and the precision of its prior."""
        scale = self.scale * (float(np.exp(h[0])) if self.is_open else 1.0)
        precision = self.base.copy()
        precision[self.places] = HELD
        precision[: self.dimensions] += scale**-2.0
        values = h[int(self.is_open) :]
        return HeldScales(density=self.density, places=self.places, values=values), precision

    def at(
        self, h: Float[Array, " C"], summit: Optimum, precision: Float[Array, " P"]
    ) -> tuple[float, Float[Array, " C"]]:
        """Value and gradient, from the top of the posterior there.

        The gradient is that of the posterior at its top and, with I the information there, of
        - log|I| / 2: the top moves by I^-1 of what its gradient changes by, and how I bends on the
        way is a difference of two.
        """
        values, own = h[int(self.is_open) :], self.base[self.places]
        told = 0.5 * float(own @ values**2)
        theta, free = summit.theta.copy(), np.ones(len(summit.theta), dtype=bool)
        free[self.places], theta[self.places] = False, values
        here = self.density.information(theta)
        inverse = np.linalg.inv(summit.information[np.ix_(free, free)])
        of_weights = np.where(np.arange(len(theta)) < self.dimensions, precision - self.base, 0.0)
        slopes = []
        if self.is_open:
            path = np.zeros(len(theta))
            path[free] = inverse @ (2.0 * of_weights * theta)[free]
            bend = self._bend(theta, path, here) - np.diag(2.0 * of_weights)
            gain = float(of_weights @ theta**2) - self.dimensions
            slopes.append(gain - 0.5 * float((inverse * bend[np.ix_(free, free)]).sum()))
        pull = self.density.slope(theta).gradient if len(values) else theta
        for place, value, weight in zip(self.places, values, own):
            path = np.zeros(len(theta))
            path[free], path[place] = -inverse @ here[free, place], 1.0
            bend = self._bend(theta, path, here)
            gain = float(pull[place]) - weight * value
            slopes.append(gain - 0.5 * float((inverse * bend[np.ix_(free, free)]).sum()))
        return log_evidence(summit, precision) - told, np.array(slopes, dtype=np.float64)

    def covariance(self, summit: Optimum, curvature: Float[Array, "C C"]) -> Float[Array, "P P"]:
        """Of all parameters: with the scales known, and what their own doubt, the inverse of minus
        the evidence's second derivatives, adds where it moves the top (Kass and Steffey 1989). That
        of the weights' scale is left out."""
        free = np.ones(len(summit.theta), dtype=bool)
        free[self.places] = False
        inverse, _ = invert_information(summit.information[np.ix_(free, free)])
        # Where the evidence is flat or bends upwards, no more doubt than the prior's, or of unit
        # size where there is none.
        own = curvature[int(self.is_open) :, int(self.is_open) :]
        widest = np.minimum(self.base[self.places] ** -0.5, 1.0)
        value, axes = np.linalg.eigh(0.5 * (own + own.T) * widest[:, None] * widest)
        axes = widest[:, None] * axes
        doubt = (axes / np.maximum(value, 1.0)) @ axes.T
        told = self.density.information(summit.theta)
        path = np.zeros((len(summit.theta), len(self.places)))
        path[free] = -inverse @ told[np.ix_(free, self.places)]
        path[self.places] = np.eye(len(self.places))
        found = path @ doubt @ path.T
        found[np.ix_(free, free)] += inverse
        return found

    def _bend(
        self, theta: Float[Array, " P"], path: Float[Array, " P"], here: Float[Array, "P P"]
    ) -> Float[Array, "P P"]:
        return (self.density.information(theta + _STEP * path) - here) / _STEP


def curvature_at(
    evidence: Callable[[Float[Array, " C"]], tuple[float, Float[Array, " C"]]],
    h: Float[Array, " C"],
) -> Float[Array, "C C"]:
    """Minus the second derivatives of the log-evidence, by differences of its gradient."""
    if not len(h):
        return np.zeros((0, 0))
    step = 0.05 * np.eye(len(h))
    slopes = [evidence(h + one)[1] - evidence(h - one)[1] for one in step]
    return -np.stack(slopes) / 0.1


def given_scales(covariance: Float[Array, "P P"], places: Int[Array, " H"]) -> Float[Array, "P P"]:
    """Of a normal law, once what stands at `places` is known."""
    across = covariance[:, places]
    within = covariance[np.ix_(places, places)]
    found = covariance - across @ np.linalg.solve(within, across.T) if len(places) else covariance
    found = 0.5 * (found + found.T)
    found[places], found[:, places] = 0.0, 0.0
    return found


def likeliest(
    evidence: Callable[[Float[Array, " C"]], tuple[float, Float[Array, " C"]]],
    start: Float[Array, " C"],
    bounds: list[tuple[float, float]],
) -> Float[Array, " C"]:
    """Where the log-evidence of logs of scales is largest, from a start: quasi-Newton, from its
    value and gradient, in boxes around the best so far. A search that may go anywhere begins with
    steps to where answers are impossible, and to climb there takes longest."""
    from scipy.optimize import minimize

    def loss(h: Float[Array, " C"]) -> tuple[float, Float[Array, " C"]]:
        value, slope = evidence(h)
        return -value, -slope

    # A gain of a thousandth of a nat is none, whatever the evidence's size.
    size = max(abs(evidence(start)[0]), 1.0)
    least, most = np.array(bounds).T
    best = np.array(start, dtype=np.float64)
    for _ in range(_BOXES):
        low, high = np.maximum(best - _REACH, least), np.minimum(best + _REACH, most)
        found = minimize(
            loss, best, jac=True, method="L-BFGS-B", bounds=list(zip(low, high)),
            options={"gtol": _FLAT, "ftol": 1e-3 / size, "maxiter": _ROUNDS},
        )  # fmt: skip
        best = np.asarray(found.x)
        is_at_edge = ((best <= low) & (low > least)) | ((best >= high) & (high < most))
        if not is_at_edge.any():
            break
    return best
