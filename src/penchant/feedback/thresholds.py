"""Free parameters to increasing thresholds, with first and second derivatives.

Legend: B observations (or 1 for all), T thresholds, M (and N) parameters, S kinds of people.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, align, constant, namespace


@runtime_checkable
class Thresholds(Protocol):
    """A map from free parameters to increasing thresholds."""

    @property
    def num_thresholds(self) -> int: ...

    @property
    def num_parameters(self) -> int: ...

    def values(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T *S"]:
        """The thresholds."""
        ...

    def jacobian(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T M *S"]:
        """Their first derivatives."""
        ...

    def hessian(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T M N *S"]:
        """Their second derivatives."""
        ...


class _Stepwise:
    """Thresholds that are linear in the parameters and in their exponentials."""

    def weights(self) -> tuple[Float[Array, "T M"], Float[Array, "T M"]]:
        """What each parameter, and each exponential of one, adds to each threshold."""
        raise NotImplementedError

    def values(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T *S"]:
        xp = namespace(parameters)
        linear, steps = (_lay(weights, parameters) for weights in self.weights())
        return xp.sum(linear * parameters[:, None] + steps * xp.exp(parameters)[:, None], axis=2)

    def jacobian(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T M *S"]:
        linear, steps = (_lay(weights, parameters) for weights in self.weights())
        return linear + steps * namespace(parameters).exp(parameters)[:, None]

    def hessian(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T M N *S"]:
        steps = _lay(self.weights()[1], parameters)
        grown = (steps * namespace(parameters).exp(parameters)[:, None])[:, :, :, None]
        eye = constant(np.eye(parameters.shape[1]), parameters)
        return grown * align(eye[None, None], grown)


@dataclass(frozen=True)
class Ordered(_Stepwise):
    """The first threshold, then logs of the increments: tau_l = r_0 + sum_{0 < i <= l} exp(r_i)."""

    levels: int

    @property
    def num_thresholds(self) -> int:
        return self.levels - 1

    @property
    def num_parameters(self) -> int:
        return self.levels - 1

    def weights(self) -> tuple[Float[Array, "T M"], Float[Array, "T M"]]:
        steps = np.tril(np.ones((self.levels - 1, self.levels - 1)))
        first = np.zeros_like(steps)
        first[:, :1] = 1.0
        return first, steps - first


@dataclass(frozen=True)
class Symmetric(_Stepwise):
    """Thresholds that mirror each other around zero, so that it does not matter who came first.

    The positive ones are sums of exp(r_i); with an even number of levels the middle one is zero.
    Three levels are the ties of Rao and Kupper (1967) with r_0 = log log theta.
    """

    levels: int

    @property
    def num_thresholds(self) -> int:
        return self.levels - 1

    @property
    def num_parameters(self) -> int:
        return (self.levels - 1) // 2

    def weights(self) -> tuple[Float[Array, "T M"], Float[Array, "T M"]]:
        steps = np.tril(np.ones((self.num_parameters, self.num_parameters)))
        middle = np.zeros((self.num_thresholds % 2, self.num_parameters))
        weights = np.concatenate([-steps[::-1], middle, steps])
        return np.zeros_like(weights), weights


@dataclass(frozen=True)
class Personal:
    """The common ordered thresholds, shifted and stretched by each person.

    The parameters are those of `Ordered`, then a shift and a log-stretch, which differ from row
    to row: tau'_l = shift + exp(stretch) tau_l. Who rates everything high has a negative shift,
    who uses only the ends of the scale has a negative stretch (Rossi, Gilula and Allenby 2001).
    """

    levels: int

    @property
    def num_thresholds(self) -> int:
        return self.levels - 1

    @property
    def num_parameters(self) -> int:
        return self.levels + 1

    def values(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T *S"]:
        xp = namespace(parameters)
        common = Ordered(self.levels).values(parameters[:, :-2])
        return parameters[:, -2:-1] + xp.exp(parameters[:, -1:]) * common

    def jacobian(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T M *S"]:
        xp = namespace(parameters)
        common = Ordered(self.levels)
        stretch = xp.exp(parameters[:, -1:])
        stretched = stretch * common.values(parameters[:, :-2])
        return xp.concat(
            [
                stretch[:, None] * common.jacobian(parameters[:, :-2]),
                xp.ones_like(stretched)[:, :, None],
                stretched[:, :, None],
            ],
            axis=2,
        )

    def hessian(self, parameters: Float[Array, "B M *S"]) -> Float[Array, "B T M N *S"]:
        xp = namespace(parameters)
        common = Ordered(self.levels)
        stretch = xp.exp(parameters[:, -1:])
        slopes = self.jacobian(parameters)
        # Only the stretch multiplies: its row and column repeat the slopes, but for the shift's.
        edge = xp.concat([slopes[:, :, :-2], 0.0 * slopes[:, :, -2:-1], slopes[:, :, -1:]], axis=2)
        inner = stretch[:, None, None] * common.hessian(parameters[:, :-2])
        shift = 0.0 * edge[:, :, :-1]
        inner = xp.concat([inner, shift[:, :, :-1, None]], axis=3)
        inner = xp.concat([inner, shift[:, :, None]], axis=2)
        wide = xp.concat([inner, edge[:, :, :-1, None]], axis=3)
        return xp.concat([wide, edge[:, :, None]], axis=2)


def _lay(weights: Float[Array, "T M"], parameters: Float[Array, "B M *S"]) -> Array:
    return align(constant(weights, parameters)[None], parameters[:, None])
