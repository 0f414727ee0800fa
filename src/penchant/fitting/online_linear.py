"""A normal belief about each arm's weights, changed by one reward at a time.

Legend: A arms, D features.
"""

import functools
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.linear_weights import LinearWeights
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

# Rank-one updates of an inverse gather rounding; from the precision it is made anew.
_REFRESH = 2000


@dataclass(kw_only=True, eq=False)
class OnlineLinear:
    """The normal posterior of each arm's weights, changed in place by every reward.

    Rewards with normal noise: ridge regression, precision_a = prior_precision I + sum_t f^(T-t)
    weight_t x_t x_t', mean_a = precision_a^-1 sum_t f^(T-t) weight_t r_t x_t, where f is
    `forgetting` and T counts the rewards of all arms; the inverse is updated by Sherman and
    Morrison (1950). Answers yes or no (`is_binary`): logistic regression, each answer by Laplace's
    approximation to normal belief times likelihood (Spiegelhalter and Lauritzen 1990). The prior
    itself is never forgotten: directions no longer seen return to it (Russac, Vernade and Cappé
    2019).
    """

    precision: Float[Array, "A D D"]
    inverse: Float[Array, "A D D"]
    mean: Float[Array, "A D"]
    rounds: Int[Array, " A"]
    prior_precision: float
    forgetting: float
    is_binary: bool
    is_compiled: bool = True

    @classmethod
    def empty(
        cls,
        num_arms: int,
        num_features: int,
        *,
        prior_precision: float,
        forgetting: float,
        is_binary: bool,
    ) -> "OnlineLinear":
        """Before any reward. Raises `ConfigError` for a prior or forgetting out of range."""
        if not prior_precision > 0:
            raise ConfigError(f"prior_precision is {prior_precision}; expected a number above 0.")
        if not 0 < forgetting <= 1:
            raise ConfigError(
                f"forgetting is {forgetting}; expected above 0, at most 1 (1 forgets nothing)."
            )
        eye = np.broadcast_to(np.eye(num_features), (num_arms, num_features, num_features))
        return cls(
            precision=prior_precision * eye,
            inverse=eye / prior_precision,
            mean=np.zeros((num_arms, num_features)),
            rounds=np.zeros(num_arms, dtype=np.int64),
            prior_precision=prior_precision,
            forgetting=forgetting,
            is_binary=is_binary,
        )

    @property
    def num_arms(self) -> int:
        """How many arms have weights."""
        return len(self.rounds)

    @property
    def loops(self) -> ModuleType:
        """Compiled where numba is and `is_compiled`; looked up, so that a learner can be copied."""
        return _loops(self.is_compiled)

    def moments(
        self, x: Float[Array, " D"], mean: Float[Array, " A"], spread: Float[Array, " A"]
    ) -> None:
        """Fills each arm's mean, x' w, and sqrt(x' precision^-1 x)."""
        self.loops.moments(self.inverse, self.mean, x, mean, spread)

    def learn(self, arm: int, x: Float[Array, " D"], reward: float, weight: float) -> None:
        """One reward. weight: it counts as so many; nothing happens with 0."""
        if weight == 0.0:
            return
        if self.forgetting < 1.0:
            self.loops.forget(
                self.precision, self.inverse, self.mean, self.forgetting, self.prior_precision
            )
        elif self.rounds[arm] % _REFRESH == _REFRESH - 1:
            self.inverse[arm] = np.linalg.inv(self.precision[arm])
        learn = self.loops.learn_answer if self.is_binary else self.loops.learn
        learn(self.precision, self.inverse, self.mean, arm, x, reward, weight)
        self.rounds[arm] += 1

    def add_arms(self, num: int) -> None:
        """Further arms, of which nothing is known."""
        further = OnlineLinear.empty(
            num,
            self.mean.shape[1],
            prior_precision=self.prior_precision,
            forgetting=self.forgetting,
            is_binary=self.is_binary,
        )
        for name in ("precision", "inverse", "mean", "rounds"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(further, name)]))

    def belief(self, arms: tuple[str, ...], noise: float) -> LinearWeights:
        """What is known now, as a value that later rewards do not change."""
        return LinearWeights(
            arms=arms,
            mean=self.mean.copy(),
            covariance=self.inverse.copy(),
            noise=noise,
            is_binary=self.is_binary,
            rounds=self.rounds.copy(),
        )


@functools.cache
def _loops(is_compiled: bool) -> ModuleType:
    if is_compiled:
        try:
            from penchant.fitting import online_linear_fused
        except ImportError:
            pass
        else:
            return online_linear_fused
    from penchant.fitting import online_linear_plain

    return online_linear_plain
