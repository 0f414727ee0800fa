"""Whose advice to follow, where nothing is assumed of how rewards come about.

Legend: N experts, K arms.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from penchant.beliefs.storage import load_as, save_value
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array, softmax
from penchant.policies.bandits.linear import pick


@dataclass(frozen=True, kw_only=True, slots=True)
class AdviceConfig:
    """num_experts, num_arms: N, K. num_rounds: horizon T; None where it is not known. rate: step of
    the weights, in place of the one that the regret bound asks for. floor: probability that is
    shared by all arms, so that a log can judge other policies; it costs as much regret a round at
    most.

    Raises `ConfigError` for numbers out of range, or for a rate beside a horizon."""

    num_experts: int
    num_arms: int
    num_rounds: int | None = None
    rate: float | None = None
    floor: float = 0.0

    def __post_init__(self) -> None:
        is_horizon = self.num_rounds is None or self.num_rounds >= 1
        if min(self.num_experts, self.num_arms) < 2 or not is_horizon:
            raise ConfigError(
                f"there are {self.num_experts} experts, {self.num_arms} arms and "
                f"{self.num_rounds} rounds; expected two experts, two arms and a round or more."
            )
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ConfigError(f"rate is {self.rate}; expected a number above 0, or None.")
        if self.rate is not None and self.num_rounds is not None:
            raise ConfigError(
                f"rate is {self.rate} and num_rounds {self.num_rounds}; expected one of the two, "
                "since all that a horizon does is to set the rate. Leave one out."
            )
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor is {self.floor}; expected a probability, such as 0.05.")

    def step(self, num_seen: int) -> float:
        """sqrt(2 log N / (T K)), or sqrt(log N / (t K)) in round t where T is not known."""
        if self.rate is not None:
            return self.rate
        if self.num_rounds is not None:
            return math.sqrt(2.0 * math.log(self.num_experts) / (self.num_rounds * self.num_arms))
        return math.sqrt(math.log(self.num_experts) / ((num_seen + 1) * self.num_arms))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AdviceBelief:
    """What rewards told of experts. loss: of each, as estimated, over all rounds; num_seen: rewards
    so far."""

    config: AdviceConfig
    loss: Float[Array, " N"]
    num_seen: int

    @property
    def weights(self) -> Float[Array, " N"]:
        """Of each expert, 1 in all."""
        return softmax(-self.config.step(self.num_seen) * self.loss, axis=0)

    def save(self, folder: str | Path) -> None:
        """As JSON and safetensors in a folder."""
        save_value(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "AdviceBelief":
        """What `save` wrote. Raises `BeliefError` for a damaged folder or another belief."""
        return load_as(cls, folder)


@dataclass(frozen=True, slots=True, eq=False)
class AdviceDecision:
    """What was played, and with what probability: all that a log needs.

    probabilities: of every arm. advice: of every expert.
    """

    arm: int
    probability: float
    probabilities: Float[Array, " K"]
    advice: Float[Array, "N K"]


class AdviceBandit:
    """Exp4 (Auer, Cesa-Bianchi, Freund and Schapire 2002), in losses (Bubeck and Cesa-Bianchi 2012,
    section 4.2).

    Arms are played by p = sum_i w_i advice_i, w_i in proportion to exp(-step x loss_i). A loss
    1 - r of the arm played adds advice_i(arm) (1 - r) / p(arm) to the loss of each expert, which is
    right on average. Whoever the best expert in hindsight is, and however rewards are made,
    expected regret beside him is at most sqrt(2 T K log N), twice that over sqrt(2) where T is not
    known. Experts are whatever gives arms probabilities: other rules, models, people; experts that
    each name one arm (`numpy.eye(K)`) make it Exp3.

    decide -> the world answers -> update, as late and in whatever order answers come. To go on
    where another stopped: its belief in place of a config.
    """

    def __init__(
        self, known: AdviceConfig | AdviceBelief, *, random_state: int | np.random.Generator = 0
    ) -> None:
        if isinstance(known, AdviceConfig):
            known = AdviceBelief(config=known, loss=np.zeros(known.num_experts), num_seen=0)
        self._config = known.config
        self._generator = np.random.default_rng(random_state)
        self._loss = known.loss.copy()
        self._seen = known.num_seen

    @property
    def belief_(self) -> AdviceBelief:
        """What is believed now; later rewards do not change it."""
        return AdviceBelief(config=self._config, loss=self._loss.copy(), num_seen=self._seen)

    @property
    def weights(self) -> Float[Array, " N"]:
        """Of each expert, 1 in all."""
        return self.belief_.weights

    def decide(
        self, advice: Float[Array, "N K"], *, generator: np.random.Generator | None = None
    ) -> AdviceDecision:
        """advice: the probability that each expert would give each arm, now. generator: of chance,
        in place of the bandit's own.

        Raises `DataError` for other shapes, or lines that are no probabilities.
        """
        c = self._config
        advice = np.array(advice, dtype=np.float64)
        if advice.shape != (c.num_experts, c.num_arms):
            raise DataError(
                f"advice has shape {advice.shape}; expected ({c.num_experts}, {c.num_arms}), one "
                "line an expert."
            )
        if not ((advice >= 0).all() and np.allclose(advice.sum(axis=1), 1.0, atol=1e-6)):
            raise DataError(
                f"lines of advice add up to {advice.sum(axis=1)}, the least of it is "
                f"{advice.min()}; expected probabilities, 1 in all of each expert."
            )
        found = self.weights @ advice
        found = (1.0 - c.floor) * found / found.sum() + c.floor / c.num_arms
        arm = pick(found, float((generator or self._generator).random()))
        return AdviceDecision(arm, float(found[arm]), found, advice)

    def update(self, decision: AdviceDecision, reward: float) -> None:
        """What the arm paid. Raises `DataError` for a reward outside 0 to 1."""
        if not 0.0 <= reward <= 1.0:
            raise DataError(
                f"the reward of arm {decision.arm} is {reward}; expected 0 to 1, for which the "
                "steps are made. Rescale rewards; a missing one is left out."
            )
        self._seen += 1
        self._loss += decision.advice[:, decision.arm] * (1.0 - reward) / decision.probability
