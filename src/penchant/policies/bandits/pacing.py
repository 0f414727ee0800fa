"""What a unit of budget is worth now, learnt from how fast it goes.

Legend: K options.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Pacing:
    """A budget for so many rounds, and the price of a unit of it, in what the rule counts in.

    Bandits with knapsacks by a price (Agrawal and Devanur 2016; Balseiro and Gur 2019): options are
    judged by worth - price x cost; after each round the price rises by what was spent beyond the
    pace, what is left over the rounds to come, and falls by what was saved, in units of the largest
    cost so far over sqrt(num_rounds). Nothing dearer than what is left is shown.

    Raises `ConfigError` for a budget below 0 or no rounds.
    """

    budget: float
    num_rounds: int
    price: float = 0.0
    spent: float = 0.0
    num_decided: int = 0
    largest: float = 0.0

    def __post_init__(self) -> None:
        if not (0 <= self.budget < np.inf and self.num_rounds >= 1):
            raise ConfigError(
                f"the budget is {self.budget} for {self.num_rounds} rounds; expected an amount not "
                "below 0, and one round or more."
            )

    @property
    def left(self) -> float:
        """Of the budget."""
        return max(self.budget - self.spent, 0.0)

    def affordable(self, cost: Float[Array, " K"]) -> Bool[Array, " K"]:
        """Options that cost no more than is left. Raises `DataError` where there is none."""
        found = cost <= self.left * (1.0 + 1e-12)
        if not found.any():
            raise DataError(
                f"{self.left:.6g} of the budget is left and the cheapest option costs "
                f"{cost.min():.6g}; expected one that costs nothing, to show when it is used up. "
                "Add it to the menu, or begin anew with a larger budget."
            )
        return found

    def after(self, cost: float) -> "Pacing":
        """When an option of that cost was shown."""
        rounds_left = max(self.num_rounds - self.num_decided, 1)
        largest = max(self.largest, cost)
        step = 0.0
        if largest > 0:
            beyond = (cost - self.left / rounds_left) / largest
            step = beyond / (largest * np.sqrt(self.num_rounds))
        return replace(
            self, price=max(self.price + float(step), 0.0), spent=self.spent + cost,
            num_decided=self.num_decided + 1, largest=largest,
        )  # fmt: skip
