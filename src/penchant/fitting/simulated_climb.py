"""One stage of the climb to a simulated likelihood's top: steps in a trust region.

Legend: M parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.fitting.answer_density import SimulatedDensity
from penchant.fitting.newton import check_start, newton_step
from penchant.fitting.panel_logit_density import SimulatedValue
from penchant.numerics.arrays import Array

OnStep = Callable[[int, Float[Array, " M"], float], None]

# So many steps without arriving call for a fresh look at the curvature.
_SLOW = 4
# Expected gain, in nats, below which the exact information takes over from the outer product.
_NEAR = 2e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedOptimum:
    """Where the climb ended. `decrement`: expected gain of one more step, in nats."""

    theta: Float[Array, " M"]
    here: SimulatedValue
    information: Float[Array, "M M"]
    converged: bool
    iterations: int
    decrement: float


class Climb:
    """One stage of the climb, in a trust region.

    The curvature is the outer product of scores far from the top and the exact information near
    it, or when steps with the outer product are slow; an exact one serves several steps.
    """

    def __init__(
        self, density: SimulatedDensity, max_steps: int, on_step: OnStep | None, *,
        taken: int = 0, is_rough: bool = False,
    ) -> None:  # fmt: skip
        self.density, self.max_steps, self.on_step = density, max_steps, on_step
        self.taken, self.is_rough = taken, is_rough
        self.decrement = np.inf
        # The exact information, and the decrement of the point where it was taken.
        self.information: Float[Array, "M M"] | None = None
        self.informed_at = np.inf
        self._since = 0

    def run(
        self, theta: Float[Array, " M"], *, tolerance: float
    ) -> tuple[Float[Array, " M"], bool]:
        """Climb until one more step promises less than `tolerance` nats."""
        self.here = self.density.evaluate(theta)
        check_start(self.here.value, self.here.gradient)
        damping = 0.0
        while True:
            matrix = self._curvature(theta, tolerance)
            if self.decrement < tolerance:
                return theta, True
            if self.information is not None and self._since == 0:
                # How far the last matrix could be trusted says nothing of this one: with more
                # parameters than people the outer product had ended in damping of a hundred, and
                # eight good steps went by before it was forgotten.
                damping = 0.0
            there, step, damping = self._step(theta, matrix, damping)
            if there is None:
                return theta, False
            theta, self.here = theta + step, there
            self._since += 1
            if self.on_step is not None:
                self.on_step(self.taken, theta, there.value)

    def stage(self, theta: Float[Array, " M"], tolerance: float) -> dict[str, Array]:
        """`run`, and all that the next stage needs to know of it."""
        there, _ = self.run(theta, tolerance=tolerance)
        kept = {"theta": there, "taken": np.array(self.taken)}
        if self.information is not None:
            kept["information"] = self.information
            kept["informed_at"] = np.array(self.informed_at)
        return kept

    def _curvature(self, theta: Float[Array, " M"], tolerance: float) -> Float[Array, "M M"]:
        """The matrix of the next step; `decrement` becomes what that step promises."""
        if self.information is None:
            matrix = self._promise(self.density.outer_product(self.here))
            is_there = self.decrement < (tolerance if self.is_rough else _NEAR)
            if (is_there and self.is_rough) or (not is_there and self._since < _SLOW):
                return matrix
        else:
            self._promise(self.information)
            is_good = self.is_rough or self.informed_at <= _NEAR or self.decrement > tolerance
            if is_good and self._since < _SLOW:
                return self.information
        self.information = self.density.information(theta, self.here)
        self._since = 0
        self._promise(self.information)
        self.informed_at = self.decrement
        return self.information

    def _promise(self, matrix: Float[Array, "M M"]) -> Float[Array, "M M"]:
        step = newton_step(matrix, self.here.gradient)
        self.decrement = 0.5 * float(step @ self.here.gradient)
        return matrix

    # Of a step far too long, refused below, the promise overflows as the value does.
    @np.errstate(over="ignore", invalid="ignore")
    def _step(
        self, theta: Float[Array, " M"], matrix: Float[Array, "M M"], damping: float
    ) -> tuple[SimulatedValue | None, Float[Array, " M"], float]:
        """The next point (None where there is none), the step to it, and the damping after it."""
        gradient, value = self.here.gradient, self.here.value
        # What single, or double, precision leaves uncertain of a sum over people.
        noise = (1e-8 if self.density.is_single else 1e-13) * abs(value)
        diagonal = np.diag(np.abs(np.diag(matrix)))
        while self.taken < self.max_steps and damping < 1e9:
            step = newton_step(matrix + damping * diagonal, gradient)
            promised = float(gradient @ step - 0.5 * step @ matrix @ step)
            there = self.density.evaluate(theta + step)
            self.taken += 1
            gain = there.value - value
            if np.isfinite(gain) and gain > -noise:
                if promised < noise or gain > 0.9 * promised:
                    return there, step, 0.1 * damping if damping > 0.02 else 0.0
                return there, step, max(3.0 * damping, 0.05) if gain < 0.3 * promised else damping
            damping = max(6.0 * damping, 0.1)
        return None, theta, damping
