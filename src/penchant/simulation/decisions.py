"""Logs of decisions whose logging policy and rewards we know, and so what any policy would earn.

Legend: B rounds, K options.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.data.columns import numbers_with_nulls
from penchant.data.records import Records
from penchant.numerics.arrays import Array, sigmoid, softmax

LEVEL = np.array([-0.5, 0.0, -1.0, -0.3])
SLOPE = np.array([0.5, -0.5, 0.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class DecisionWorld:
    """Four options a..d and one number x of the situation; worth level_k + slope_k x.

    Rewards are 0 or 1 with probability sigmoid(worth), or normal around the worth with standard
    deviation 1. The logging policy is a softmax of `logged_by` times x, which prefers other options
    than people do; the target policy a softmax of the worths. rounds_each: rounds in a row that are
    one person's, who adds a number of their own (standard deviation 1, real rewards only) to all
    their rewards.
    """

    reward: Literal["binary", "outcome"] = "binary"
    logged_by: tuple[float, ...] = (0.35, 0.35, 0.0, -0.7)
    rounds_each: int = 1

    def mean_reward(self, x: Float[Array, " B"]) -> Float[Array, "B K"]:
        worth = LEVEL + SLOPE * x[:, None]
        return sigmoid(worth) if self.reward == "binary" else worth

    def target(self, x: Float[Array, " B"]) -> Float[Array, "B K"]:
        return softmax(LEVEL + SLOPE * x[:, None], axis=1)

    def logged(self, x: Float[Array, " B"]) -> Float[Array, "B K"]:
        return softmax(np.array(self.logged_by) * x[:, None], axis=1)

    def true_value(self) -> float:
        """What the target policy earns a round, by quadrature over x ~ N(0, 1)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        earned = (self.target(nodes) * self.mean_reward(nodes)).sum(axis=1)
        return float(earned @ weights / weights.sum())

    def draw(self, num_rounds: int, generator: np.random.Generator) -> Records:
        """A log with whole menus and propensities; column `target` holds the target policy's."""
        x = generator.normal(size=num_rounds)
        logged, rows = self.logged(x), np.arange(num_rounds)
        action = (logged.cumsum(axis=1) < generator.random(num_rounds)[:, None]).sum(axis=1)
        mean = self.mean_reward(x)[rows, action]
        person = rows // self.rounds_each
        if self.reward == "binary":
            earned = (generator.random(num_rounds) < mean).astype(np.float64)
        else:
            own = generator.normal(size=person[-1] + 1) * (self.rounds_each > 1)
            earned = mean + own[person] + generator.normal(size=num_rounds)
        answer = np.full(logged.shape, np.nan)
        answer[rows, action] = earned
        answers = numbers_with_nulls(answer.ravel())
        column = {"success": answers.cast("int64")} if self.reward == "binary" else {
            "value": answers
        }  # fmt: skip
        num_options = logged.shape[1]
        return Records.from_arrays(
            options={
                "option": np.tile(np.array(list("abcd")), num_rounds),
                "propensity": logged.ravel(), "target": self.target(x).ravel(), **column,
            },
            menu_sizes=np.full(num_rounds, num_options),
            rows={"x": x, "person": person.astype(str)},
            kind=self.reward,
            extras=("target",),
        )  # fmt: skip
