"""Whom to accept, if answers show only of those accepted and like people must be treated alike.

Legend: H rules, K applicants of a round.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array, softmax


@dataclass(frozen=True, kw_only=True, slots=True)
class OneSidedConfig:
    """num_rules, num_each, num_rounds: H, K, T. price: of a reported pair, in errors; None for
    T^(1/5). exploration: share of rounds in which all are accepted; None for T^(-1/4).
    rate: step of the weights; None for the one that the regret bound asks for."""

    num_rules: int
    num_each: int
    num_rounds: int
    price: float | None = None
    exploration: float | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if min(self.num_rules - 1, self.num_each, self.num_rounds) < 1:
            raise ConfigError(f"{self} has numbers out of range; expected two rules or more.")
        if not 0 < self.explored <= 1:
            raise ConfigError(
                f"exploration is {self.explored}; expected above 0, at most 1: the answers of "
                "whom no rule accepts are never seen otherwise."
            )
        if self.charged < 0 or not self.step > 0:
            raise ConfigError(
                f"price is {self.charged} and rate {self.step}; expected a price not below 0 and "
                "a rate above 0."
            )

    @property
    def charged(self) -> float:
        """The price of a reported pair."""
        return self.num_rounds**0.2 if self.price is None else self.price

    @property
    def explored(self) -> float:
        """The share of rounds in which all are accepted."""
        return self.num_rounds**-0.25 if self.exploration is None else self.exploration

    @property
    def step(self) -> float:
        """sqrt(log H / (T (K^2 / exploration + price^2))): second moments of estimated losses."""
        if self.rate is not None:
            return self.rate
        moment = self.num_each**2 / self.explored + self.charged**2
        return math.sqrt(math.log(self.num_rules) / (self.num_rounds * moment))


@dataclass(frozen=True, slots=True, eq=False)
class OneSidedDecision:
    """accepted: who was. share: with what probability each is accepted. accepts: whom each rule
    would."""

    accepted: Bool[Array, " K"]
    share: Float[Array, " K"]
    accepts: Bool[Array, "H K"]


class FairOneSided:
    """Exponential weights over rules (Bechavod and Roth 2022, Individually fair learning with
    one-sided feedback).

    An error of h on x is constant + h(x) (1 - 2y), so that it is known up to the constant where x
    was accepted: each acceptance adds h(x) (1 - 2y) / P(x accepted) to the loss of every rule,
    which is right on average. A pair reported by the panel, the first favoured, adds price
    (h(first) - h(second)). w_h is in proportion to exp(-rate x loss_h).

    decide -> answers of those accepted, and a report -> update.
    """

    def __init__(
        self, config: OneSidedConfig, *, random_state: int | np.random.Generator = 0
    ) -> None:
        self._config = config
        self._generator = np.random.default_rng(random_state)
        self._loss = np.zeros(config.num_rules)

    @property
    def weights(self) -> Float[Array, " H"]:
        """The probability of each rule, where it does not explore."""
        return softmax(-self._config.step * self._loss, axis=0)

    def decide(self, accepts: Bool[Array, "H K"]) -> OneSidedDecision:
        """One rule for all of a round, or everybody. Raises `DataError` for another number of
        rules."""
        if len(accepts) != self._config.num_rules:
            raise DataError(
                f"{len(accepts)} rules answered; expected the {self._config.num_rules} of the "
                "config, one a line."
            )
        explored, weights = self._config.explored, self.weights
        share = (1.0 - explored) * (weights @ accepts) + explored
        if self._generator.random() < explored:
            taken = np.ones(accepts.shape[1], dtype=bool)
        else:
            taken = accepts[self._generator.choice(len(weights), p=weights)].copy()
        return OneSidedDecision(taken, np.minimum(share, 1.0), accepts)

    def update(
        self,
        decision: OneSidedDecision,
        is_good: Bool[Array, " K"],
        reported: tuple[int, int] | None,
    ) -> None:
        """is_good: of everybody, read only of those accepted. reported: places of the pair that
        the panel names, the one favoured first; None: nobody complains."""
        seen = decision.accepted
        gain = (1.0 - 2.0 * is_good[seen]) / decision.share[seen]
        self._loss += decision.accepts[:, seen] @ gain
        if reported is not None:
            first, second = reported
            favours = decision.accepts[:, first].astype(np.float64) - decision.accepts[:, second]
            self._loss += self._config.charged * favours
