"""A normal belief about each arm's weights, changed by one reward at a time.

Legend: A arms, D features, E = D + 2.
"""

import functools
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from jaxtyping import Float

from penchant.beliefs.linear_weights import LinearWeights
from penchant.errors import ConfigError
from penchant.fitting.online_linear_plain import LOOK_AGAIN
from penchant.numerics.arrays import Array


@dataclass(kw_only=True, eq=False)
class OnlineLinear:
    """The normal posterior of each arm's weights, changed in place by every reward.

    Rewards with normal noise: ridge regression, precision_a = prior_precision I + sum_t f^(T-t)
    weight_t x_t x_t', mean_a = precision_a^-1 sum_t f^(T-t) weight_t r_t x_t, where f is
    `forgetting` and T counts the rewards of all arms. Kept is the root of the inverse, root' root,
    changed as in Carlson (1973), which keeps its digits however alike features are. Answers yes or
    no (`is_binary`): logistic regression, each answer by Laplace's approximation to normal belief
    times likelihood (Spiegelhalter and Lauritzen 1990). The prior itself is never forgotten:
    directions no longer seen return to it (Russac, Vernade and Cappé 2019). rows: of each arm its
    `mean` and its `size`, side by side, since every further array makes a call longer.
    """

    root: Float[Array, "A D D"]
    rows: Float[Array, "A E"]
    rounds: list[int]
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
            root=eye / np.sqrt(prior_precision),
            rows=np.zeros((num_arms, num_features + 2)),
            rounds=[0] * num_arms,
            prior_precision=prior_precision,
            forgetting=forgetting,
            is_binary=is_binary,
        ).measured()

    @property
    def num_arms(self) -> int:
        """How many arms have weights."""
        return len(self.rounds)

    @property
    def mean(self) -> Float[Array, "A D"]:
        """Of each arm's weights, to be read and written in place."""
        return self.rows[:, :-2]

    @property
    def size(self) -> Float[Array, "A 2"]:
        """Of each arm a number that no eigenvalue of root' root exceeds, and the trace at which it
        is looked at again; in place."""
        return self.rows[:, -2:]

    @property
    def covariance(self) -> Float[Array, "A D D"]:
        """Of each arm's weights, in units of the noise's variance."""
        return np.einsum("aed,aef->adf", self.root, self.root)

    @property
    def loops(self) -> ModuleType:
        """Compiled where numba is and `is_compiled`; looked up, so that a learner can be copied."""
        return _loops(self.is_compiled)

    def moments(
        self, x: Float[Array, " D"], mean: Float[Array, " A"], spread: Float[Array, " A"]
    ) -> None:
        """Fills each arm's mean, x' w, and sqrt(x' precision^-1 x)."""
        self.loops.moments(self.root, self.rows, x, mean, spread)

    def learn(self, arm: int, x: Float[Array, " D"], reward: float, weight: float) -> None:
        """One reward. weight: it counts as so many; nothing happens with 0."""
        if weight == 0.0:
            return
        self.fade()
        loops = self.loops
        learn = loops.learn_answer if self.is_binary else loops.learn
        learn(self.root, self.rows, arm, x, reward, weight)
        self.rounds[arm] += 1

    def fade(self) -> None:
        """What was learnt counts less, as one more reward does to it."""
        if self.forgetting < 1.0:
            self.loops.forget(self.root, self.rows, self.forgetting, self.prior_precision)

    def measured(self) -> "OnlineLinear":
        """Itself, with `size` of roots that came from elsewhere: their traces."""
        trace = np.square(self.root).sum(axis=(1, 2))
        self.size[:] = np.stack([trace, LOOK_AGAIN * trace], axis=1)
        return self

    def add_arms(self, num: int) -> None:
        """Further arms, of which nothing is known."""
        further = OnlineLinear.empty(
            num,
            self.mean.shape[1],
            prior_precision=self.prior_precision,
            forgetting=self.forgetting,
            is_binary=self.is_binary,
        )
        for name in ("root", "rows"):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(further, name)]))
        self.rounds += further.rounds

    def belief(self, arms: tuple[str, ...], noise: float) -> LinearWeights:
        """What is known now, as a value that later rewards do not change."""
        return LinearWeights(
            arms=arms,
            mean=self.mean.copy(),
            covariance=self.covariance,
            noise=noise,
            is_binary=self.is_binary,
            rounds=np.array(self.rounds, dtype=np.int64),
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
