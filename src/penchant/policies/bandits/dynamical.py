"""Actions whose effect takes time: held until what they moved has come to rest.

Legend: A actions, D parts of an action.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldConfig:
    """num_rounds: horizon T. radius: an upper bound on the spectral radius of what is hidden, below
    1; 0 is LinUCB, which takes every reward for the effect of its round's action. noise: standard
    deviation of a reward around what it tends to. gain_bound, action_bound: largest norms of gain
    and action. transient: largest part of a reward that can be left of earlier actions when one is
    taken up. ridge: prior precision, None for log T. width: factor of the published bonus."""

    num_rounds: int
    radius: float
    noise: float = 0.1
    gain_bound: float = 1.0
    action_bound: float = 1.0
    transient: float = 1.0
    ridge: float | None = None
    width: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.radius < 1:
            raise ConfigError(
                f"radius is {self.radius}; expected 0 to below 1: the effect of an action has to "
                "die away."
            )
        if self.num_rounds < 2 or min(self.noise, self.width, self.transient) < 0:
            raise ConfigError(f"{self} has numbers out of range; expected two rounds or more.")
        if self.ridge is not None and not self.ridge > 0:
            raise ConfigError(f"ridge is {self.ridge}; expected a number above 0.")


class HeldActions:
    """DynLin-UCB: hold an action, learn from its last reward alone (Mussi, Metelli, Restelli 2023).

    The long-run reward of holding u is h'u. In the m-th epoch u = argmax_a h^'a + beta |a|_{V^-1}
    is held for 1 + floor(log m / log(1 / radius)) rounds, after which less than 1 / (m radius) of
    what earlier actions left is there; then V <- V + u u', b <- b + u y, h^ = V^-1 b. beta_t =
    gain_bound sqrt(ridge) + (transient action_bound / sqrt(ridge)) log(e (t + 1)) + noise
    sqrt(2 (log T + (D/2) log(1 + t action_bound^2 / (D ridge)))): the first two are the paper's c1
    and c2 terms with their norms multiplied out.

    actions: those that there are, one a line. decide -> the world answers -> update, in turn.
    """

    def __init__(self, actions: Float[Array, "A D"], config: HeldConfig) -> None:
        if len(actions) < 2:
            raise ConfigError(f"there are {len(actions)} actions; expected two or more.")
        self._actions, self._config = np.asarray(actions, dtype=np.float64), config
        num = self._actions.shape[1]
        self._ridge = math.log(config.num_rounds) if config.ridge is None else config.ridge
        self._precision = self._ridge * np.eye(num)
        self._product = np.zeros(num)
        self._held, self._left, self._epoch, self._round = 0, 0, 0, 0

    @property
    def gain(self) -> Float[Array, " D"]:
        """h^, what is believed that each part pays in the long run."""
        return np.asarray(np.linalg.solve(self._precision, self._product))

    def decide(self) -> int:
        """The place of the action to play now."""
        if self._left == 0:
            self._epoch += 1
            self._left = self._length()
            spread = np.einsum("ad,de,ae->a", self._actions, np.linalg.inv(self._precision),
                               self._actions)  # fmt: skip
            hope = self._actions @ self.gain + self._bonus() * np.sqrt(spread)
            self._held = int(hope.argmax())
        return self._held

    def update(self, reward: float) -> None:
        """What the round paid. Only the last one of an epoch is learnt from.

        Raises `DataError` for a reward that is not finite, or before a decision.
        """
        if self._left == 0 or not math.isfinite(reward):
            raise DataError(
                f"a reward of {reward} came with {self._left} rounds of an action left; expected "
                "a finite number after each `decide`."
            )
        self._round += 1
        self._left -= 1
        if self._left == 0:
            held = self._actions[self._held]
            self._precision += np.outer(held, held)
            self._product += reward * held

    def _length(self) -> int:
        radius = self._config.radius
        return 1 if radius == 0 else 1 + math.floor(math.log(self._epoch) / -math.log(radius))

    def _bonus(self) -> float:
        c, t, num = self._config, self._round, self._actions.shape[1]
        drift = 0.0 if c.radius == 0 else c.transient * c.action_bound / math.sqrt(self._ridge)
        spread = math.log(c.num_rounds) + 0.5 * num * math.log1p(
            t * c.action_bound**2 / (num * self._ridge)
        )
        return c.width * (
            c.gain_bound * math.sqrt(self._ridge) + drift * math.log(math.e * (t + 1))
            + c.noise * math.sqrt(2.0 * spread)
        )  # fmt: skip
