"""A budget over many rounds: whom to spend on, beside what to show them.

Legend: C classes of contexts, B contexts, A arms, D features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.bandits.linear import Decision, LinearBandit

_STARTS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class ContextClasses:
    """Kinds of situations. centres: what each is like; frequency: its share of all rounds."""

    centres: Float[Array, "C D"]
    frequency: Float[Array, " C"]

    def __post_init__(self) -> None:
        whole = float(self.frequency.sum())
        if len(self.centres) != len(self.frequency) or not np.isclose(whole, 1.0):
            raise ConfigError(
                f"{len(self.centres)} classes have {len(self.frequency)} frequencies that add up "
                f"to {whole:.6g}; expected one each, adding up to 1."
            )

    @classmethod
    def learnt(
        cls, contexts: Float[Array, "B D"], num_classes: int, generator: np.random.Generator
    ) -> "ContextClasses":
        """Clusters of earlier situations (k-means: Lloyd 1957; Arthur and Vassilvitskii 2007).

        Raises `ConfigError` for more classes than situations.
        """
        from scipy.cluster.vq import kmeans2

        if not 1 <= num_classes <= len(contexts):
            raise ConfigError(
                f"num_classes is {num_classes} for {len(contexts)} situations; expected 1 to as "
                "many as there are."
            )
        # One start may put two clusters together and cut a third in two; the tightest of ten stays.
        starts = [
            kmeans2(contexts, num_classes, minit="++", seed=generator) for _ in range(_STARTS)
        ]
        centres, label = min(starts, key=lambda s: float(((contexts - s[0][s[1]]) ** 2).sum()))
        count = np.bincount(label, minlength=num_classes)
        # A centre that nobody is near has no share, and no say.
        return cls(centres=centres[count > 0], frequency=count[count > 0] / len(contexts))

    def place(self, context: Float[Array, " D"]) -> int:
        """The class whose centre is nearest."""
        return int(((self.centres - context) ** 2).sum(axis=1).argmin())


@dataclass(frozen=True, slots=True, eq=False)
class BudgetedDecision:
    """decision: what was played; None where nothing was spent. share: with what probability
    something was; an arm's probability in all is this times its own."""

    decision: Decision | None
    share: float
    place: int


class BudgetedBandit:
    """HATCH: whether to spend by a linear program over classes, what to play by the bandit's rule.

    Yang et al. (2020), Hierarchical adaptive contextual bandits for resource constraint based
    recommendation. Before each round the classes' values u_c = max_a mean_a + width spread_a at
    their centres, and what is left of the budget for each round to come, decide with what
    probability each class is worth a unit (`shares_of_budget`). Their separate parameters of
    classes are those of the bandit here. Where nothing is spent, nothing is seen and learnt.

    bandit: any `LinearBandit`; what it learns is shared by all classes. cost: of a decision in each
    class, 1 if None. Raises `ConfigError` for a budget or horizon that is not positive.
    """

    def __init__(
        self,
        bandit: LinearBandit,
        classes: ContextClasses,
        *,
        budget: float,
        num_rounds: int,
        width: float = 0.5,
        cost: Float[Array, " C"] | None = None,
        random_state: int | np.random.Generator = 0,
    ) -> None:
        cost = np.ones(len(classes.frequency)) if cost is None else np.asarray(cost, dtype=float)
        if not (budget > 0 and num_rounds > 0 and width >= 0):
            raise ConfigError(
                f"the budget is {budget} for {num_rounds} rounds, with width {width}; expected "
                "more than 0 of the first two, and a width not below 0."
            )
        if cost.shape != classes.frequency.shape or not (cost > 0).all():
            raise ConfigError(
                f"costs are {cost}; expected a number above 0 for each of "
                f"{len(classes.frequency)} classes."
            )
        self.bandit = bandit
        self.budget_left = float(budget)
        self.rounds_left = num_rounds
        self._classes, self._width, self._cost = classes, width, cost
        self._generator = np.random.default_rng(random_state)

    def decide(self, context: Float[Array, " D"]) -> BudgetedDecision:
        """Spend or not, and on what. Raises `DataError` beyond the last round, and as the bandit
        does."""
        if self.rounds_left == 0:
            raise DataError(
                "all rounds that the budget was planned for are over; expected no more decisions. "
                "Begin anew with a new budget."
            )
        place = self._classes.place(context)
        share = float(self.shares()[place])
        self.rounds_left -= 1
        if not self._generator.random() < share:
            return BudgetedDecision(None, share, place)
        self.budget_left -= float(self._cost[place])
        return BudgetedDecision(self.bandit.decide(context), share, place)

    def update(self, decision: BudgetedDecision, reward: float) -> None:
        """Learn what a decision paid. Raises `DataError` where nothing was spent."""
        if decision.decision is None:
            raise DataError(
                "nothing was spent in this round, so that nothing can have been paid; expected a "
                "reward only where `decision.decision` is not None."
            )
        self.bandit.update(decision.decision, reward)

    def shares(self) -> Float[Array, " C"]:
        """With what probability each class is spent on now."""
        promise = np.empty(len(self._cost))
        for place, centre in enumerate(self._classes.centres):
            mean, spread = self.bandit.moments(centre)
            promise[place] = (mean + self._width * spread).max()
        pace = self.budget_left / max(self.rounds_left, 1)
        # A class that can no longer be paid must not hold back what others may have.
        promise[self._cost > self.budget_left] = 0.0
        return shares_of_budget(promise, self._classes.frequency, pace, self._cost)


def shares_of_budget(
    value: Float[Array, " C"],
    frequency: Float[Array, " C"],
    pace: float,
    cost: Float[Array, " C"],
) -> Float[Array, " C"]:
    """max_p sum_c p_c f_c u_c with sum_c p_c f_c cost_c <= pace and 0 <= p <= 1.

    The fractional knapsack (Dantzig 1957): classes in the order of value for cost, each in full
    until the budget of a round is used up. Classes of no value get nothing; equal ones are filled
    alike.
    """
    density = np.where(value > 0, value / cost, -np.inf)
    need = frequency * cost
    shares, left = np.zeros(len(value)), max(pace, 0.0)
    for level in np.unique(density[np.isfinite(density)])[::-1]:
        here = density == level
        asked = float(need[here].sum())
        shares[here] = 1.0 if asked <= left else left / asked
        left = max(left - asked, 0.0)
    return shares
