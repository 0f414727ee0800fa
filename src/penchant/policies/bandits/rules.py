"""From what is believed of each arm's reward to the probability of playing it.

Every rule answers with probabilities, never only an arm: what is logged with its probability can be
evaluated later. `rules_fused.py` plays one decision at a time; the laws tie the two.

Legend: B decisions, K arms.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.bandits.probability_of_best import best_probability

# Means closer than this share of their own size are equal: rounding must not choose.
_EQUAL = 1e-12


@runtime_checkable
class Rule(Protocol):
    """What is believed, to the probability of each arm.

    in_reward: whether the rule counts in units of reward; one that only orders what may be takes
    log-odds as well, where rewards are yes or no.
    """

    @property
    def in_reward(self) -> bool:
        """See above."""
        ...

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """mean, spread: of each arm's expected reward. step: decisions so far, from 1."""
        ...

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """The function of `rules_fused` that does the same for one decision, with its parameters;
        None where there is none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Greedy:
    """The arm with the largest mean, without exploring; a baseline that wins short horizons."""

    in_reward: ClassVar[bool] = False

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """Equal means share evenly."""
        return best(mean, offered)

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "upper_confidence", 0.0, 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class EpsilonGreedy:
    """Greedy, but with probability epsilon_t any arm.

    epsilon_t = min(1, epsilon t^-decay); Auer, Cesa-Bianchi and Fischer 2002. With decay 1/3 regret
    grows as t^(2/3).
    """

    in_reward: ClassVar[bool] = False
    epsilon: float = 0.1
    decay: float = 0.0

    def __post_init__(self) -> None:
        _require("epsilon", self.epsilon, self.epsilon >= 0, "at least 0")
        _require("decay", self.decay, self.decay >= 0, "at least 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """(1 - epsilon_t) of the best, epsilon_t shared by all that are offered."""
        share = self._share(step)
        anything = offered / offered.sum(axis=1, keepdims=True)
        return (1.0 - share) * best(mean, offered) + share * anything

    def _share(self, step: int) -> float:
        return float(min(1.0, self.epsilon * step**-self.decay))

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "upper_confidence", 0.0, self._share(step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Softmax:
    """p_k in proportion to exp(mean_k / temperature): Luce 1959, Boltzmann exploration."""

    in_reward: ClassVar[bool] = True
    temperature: float = 0.1

    def __post_init__(self) -> None:
        _require("temperature", self.temperature, self.temperature > 0, "above 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """temperature: in units of reward."""
        logits = np.where(offered, mean / self.temperature, -np.inf)
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "softmax", self.temperature, 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UpperConfidence:
    """The arm with the largest mean + width x spread: LinUCB on a linear belief (Li et al. 2010).

    width: standard deviations. floor: probability that is shared by all that are offered, so that
    the log can be evaluated; without it a rule that never plays an arm leaves no trace of it.
    """

    in_reward: ClassVar[bool] = False
    width: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        _require("width", self.width, self.width >= 0, "at least 0")
        _require("floor", self.floor, 0 <= self.floor <= 1, "between 0 and 1")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """1 for the most promising arm, but for the floor."""
        anything = offered / offered.sum(axis=1, keepdims=True)
        return (1.0 - self.floor) * best(
            mean + self.width * spread, offered
        ) + self.floor * anything

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "upper_confidence", self.width, self.floor


@dataclass(frozen=True, kw_only=True, slots=True)
class Elimination:
    """Any arm that may still be the best: successive elimination (Even-Dar, Mannor and Mansour
    2006), on what is believed now.

    An arm is out as long as mean + width x spread lies below the largest mean - width x spread. All
    others share evenly, so that a log can be evaluated among them; regret grows as of optimism.
    """

    in_reward: ClassVar[bool] = False
    width: float = 2.0

    def __post_init__(self) -> None:
        _require("width", self.width, self.width >= 0, "at least 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """An even share of those that are left."""
        least = np.where(offered, mean - self.width * spread, -np.inf).max(axis=1, keepdims=True)
        is_left = offered & (mean + self.width * spread >= least - _EQUAL * np.abs(least))
        return is_left / is_left.sum(axis=1, keepdims=True)

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """The loops leave out arms by the best that they may be, which is another bound."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExploreFirst:
    """Every arm in turn, `num_each` times, then the best (Slivkins 2019, section 1.2).

    With num_each = (T / K)^(2/3) (log T)^(1/3) regret grows as T^(2/3); with 1 it is greed that has
    seen each arm once. Turns are counted in decisions: where menus change, or answers are late, an
    arm may have been answered less often than it was its turn.
    """

    in_reward: ClassVar[bool] = False
    num_each: int = 1

    def __post_init__(self) -> None:
        _require("num_each", self.num_each, self.num_each >= 0, "at least 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """1 for the arm whose turn it is, among those offered; afterwards for the best."""
        num = offered.sum(axis=1)
        turn = (step - 1) % num
        in_turn = offered & (np.cumsum(offered, axis=1) - 1 == turn[:, None])
        is_over = step > self.num_each * num
        return np.where(is_over[:, None], best(mean, offered), in_turn.astype(np.float64))

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """Turns are not counted there."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cautious:
    """The arm with the best mean over the worst `share` of what it may be: conditional value at
    risk of our doubt, mean - spread phi(Phi^-1(share)) / share for a normal law (Rockafellar and
    Uryasev 2000). It never tries what it does not know: for decisions that must not go wrong, with
    a floor where it shall learn."""

    in_reward: ClassVar[bool] = False
    share: float = 0.1

    def __post_init__(self) -> None:
        _require("share", self.share, 0 < self.share <= 1, "above 0, at most 1")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """1 for the arm that is best where it goes badly."""
        return best(mean - self.depth * spread, offered)

    @property
    def depth(self) -> float:
        """How many standard deviations below its mean the worst `share` of an arm lies."""
        if self.share == 1.0:
            return 0.0
        law = NormalDist()
        return law.pdf(law.inv_cdf(self.share)) / self.share

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """The loops leave out arms by a bound on what they may be at best, which is no bound
        here."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thompson:
    """Each arm with the probability that it is the best one (Thompson 1933).

    The law of an arm's expected reward is normal(mean, (width x spread)^2), arms independent, as
    in a belief with weights of its own for each arm. The probability of being best is an integral
    along one line, taken roughly (`best_probability`); arms are then played with the
    probabilities that came out, so what is logged is what was done.
    """

    in_reward: ClassVar[bool] = False
    width: float = 1.0

    def __post_init__(self) -> None:
        _require("width", self.width, self.width > 0, "above 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """The probability of each arm to be best. Raises `DataError` for beliefs that are no
        numbers."""
        if not np.isfinite(np.where(offered, mean + spread, 0.0)).all():
            raise DataError(
                f"means are {mean} and spreads {spread}; expected finite numbers for every arm "
                "that is offered. Fill in or leave out what is missing of the context."
            )
        return np.stack(
            [best_probability(m, self.width * s, o) for m, s, o in zip(mean, spread, offered)]
        ).reshape(mean.shape)

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "thompson", self.width, 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class InverseGap:
    """SquareCB (Abe and Long 1999; Foster and Rakhlin 2020): a regression is all it needs.

    p_k = 1 / (K + gamma_t (best - mean_k)) for all but the best, which takes the rest, with
    gamma_t = gamma t^growth. Spreads are not used.
    """

    in_reward: ClassVar[bool] = True
    gamma: float = 30.0
    growth: float = 0.5

    def __post_init__(self) -> None:
        _require("gamma", self.gamma, self.gamma > 0, "above 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """Of all that are offered each is played at times."""
        return inverse_gap(mean, offered, self.gamma * step**self.growth)

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "inverse_gap", float(self.gamma * step**self.growth), 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class InverseGapLoss:
    """FastCB (Foster and Krishnamurthy 2021): inverse gaps in units of the smallest loss.

    With losses l_k = 1 - mean_k in 0 to 1 and b the best: p_k = l_b / (K l_b + gamma (l_k - l_b))
    for all but b, which takes the rest. Where some arm hardly ever fails it stops exploring sooner
    than `InverseGap`: its regret grows with the best arm's total loss, not with time.
    """

    in_reward: ClassVar[bool] = True
    gamma: float = 100.0

    def __post_init__(self) -> None:
        _require("gamma", self.gamma, self.gamma > 0, "above 0")

    def probabilities(
        self,
        mean: Float[Array, "B K"],
        spread: Float[Array, "B K"],
        offered: Bool[Array, "B K"],
        step: int,
    ) -> Float[Array, "B K"]:
        """Rewards outside 0 to 1 are taken for 0 or 1."""
        return inverse_gap_loss(1.0 - np.clip(mean, 0.0, 1.0), offered, self.gamma)

    def in_loops(self, step: int) -> tuple[str, float, float] | None:
        """See `Rule`."""
        return "inverse_gap_loss", self.gamma, 0.0


def best(mean: Float[Array, "B K"], offered: Bool[Array, "B K"]) -> Float[Array, "B K"]:
    """1 for the largest of those offered; equal ones share evenly."""
    top = np.where(offered, mean, -np.inf).max(axis=1, keepdims=True)
    is_best = offered & (mean >= top - _EQUAL * np.abs(top))
    return is_best / is_best.sum(axis=1, keepdims=True)


def inverse_gap(
    mean: Float[Array, "B K"], offered: Bool[Array, "B K"], gamma: float
) -> Float[Array, "B K"]:
    """1 / (K + gamma gap) for all but the first best arm, which takes what is left."""
    shown = np.where(offered, mean, -np.inf)
    num = offered.sum(axis=1, keepdims=True)
    gap = np.where(offered, shown.max(axis=1, keepdims=True) - mean, 0.0)
    share = np.where(offered, 1.0 / (num + gamma * gap), 0.0)
    return _rest_to(shown.argmax(axis=1), share)


def inverse_gap_loss(
    loss: Float[Array, "B K"], offered: Bool[Array, "B K"], gamma: float
) -> Float[Array, "B K"]:
    """l_b / (K l_b + gamma (l_k - l_b)) for all but the first best arm b."""
    shown = np.where(offered, loss, np.inf)
    num = offered.sum(axis=1, keepdims=True)
    least = shown.min(axis=1, keepdims=True)
    gap = np.where(offered, loss - least, 0.0)
    below = num * least + gamma * gap
    # Where the best never fails, arms as good as it share evenly and the others are not played.
    share = np.where(below > 0, least / np.where(below > 0, below, 1.0), 1.0 / num)
    return _rest_to(shown.argmin(axis=1), np.where(offered, share, 0.0))


def _rest_to(top: Array, share: Float[Array, "B K"]) -> Float[Array, "B K"]:
    rows = np.arange(len(share))
    share[rows, top] = 0.0
    share[rows, top] = 1.0 - share.sum(axis=1)
    return share


def _require(name: str, value: float, holds: bool, expected: str) -> None:
    if not (holds and math.isfinite(value)):
        raise ConfigError(f"{name} is {value}; expected a number {expected}.")
