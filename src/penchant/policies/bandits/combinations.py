"""Several items at once, of which some combinations may be shown, each answered by itself.

Legend: K items, D features, R draws.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.linear_weights import LinearWeights
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.bandits.linear import LinearBandit, LinearState
from penchant.policies.bandits.rules import Rule, Thompson, UpperConfidence

# From what each item is worth to the combination that is worth most of those that may be shown:
# True or False of each.
Choose = Callable[[Array], Array]


def largest(num: int) -> Choose:
    """Any so many items, or all where there are no more."""
    if num < 1:
        raise ConfigError(f"num is {num}; expected one item or more.")

    def chosen(worth: Float[Array, " K"]) -> Bool[Array, " K"]:
        found = np.zeros(len(worth), dtype=bool)
        found[np.argsort(-worth, kind="stable")[:num]] = True
        return found

    return chosen


def one_of_each(groups: Sequence[Sequence[int]]) -> Choose:
    """One item of each group, such as one headline and one picture. groups: places of items, from 0
    in the order in which they are named."""
    if not groups or not all(len(group) for group in groups):
        raise ConfigError(f"groups are {groups}; expected one or more, each of an item or more.")
    places = [np.array(group) for group in groups]
    if not all(place.dtype.kind in "iu" and place.min() >= 0 for place in places):
        raise ConfigError(f"groups are {groups}; expected places of items, whole numbers from 0.")
    last = max(int(place.max()) for place in places)

    def chosen(worth: Float[Array, " K"]) -> Bool[Array, " K"]:
        if last >= len(worth):
            raise DataError(
                f"groups name place {last}, and there are {len(worth)} items; expected places from "
                f"0 to {len(worth) - 1}."
            )
        found = np.zeros(len(worth), dtype=bool)
        found[[int(group[worth[group].argmax()]) for group in places]] = True
        return found

    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Combination:
    """What was shown. items: their names. probability: of this combination; inclusion: of each item
    to be shown. context: a copy."""

    items: tuple[str, ...]
    probability: float
    inclusion: Float[Array, " K"]
    context: Float[Array, " D"]


class SemiBandit:
    """Combinatorial semi-bandits: each item shown answers by itself, and rewards add up.

    Items have weights of their own on a shared context (with a lone 1: a mean each); `choose` finds
    the best combination of given worths, so that what may be combined is its part alone: `largest`,
    `one_of_each`, or any function, such as a matching, a knapsack or a shortest path.
    `UpperConfidence`: the best by mean + width x spread (CombUCB1 of Kveton et al. 2015 with width
    sqrt(1.5 log T) / noise for T rounds, and a weak prior; CombLinUCB of Wen, Kveton and Ashkan
    2015); regret grows as sqrt(K m T log T), m items at once. `Thompson`: the best of worths drawn
    from the belief (Wang and Chen 2018; Wen et al.): `num_draws` are made, and one of combinations
    that came out is shown, so that what is logged is what was done. Draws are fresh each time:
    with the same ones what is rarely best would never be tried. What none of them shows has no
    chance in that decision, so that weights by these probabilities judge a policy that shows what
    comes out once in n draws too low, by (1 - 1 / n)^num_draws of its worth: 0.19 of it for n = 20
    and 32 draws. More draws mend that.

    decide -> the world answers -> update, as late and in whatever order answers come; an item that
    is not answered teaches nothing.

    `state` is what `LinearState.save` keeps in files; `resumed` takes it up with the same `choose`,
    which is a function and not kept.

    Raises `ConfigError` for a rule with a floor, and as `LinearBandit` does.
    """

    def __init__(
        self,
        items: Iterable[str],
        num_features: int,
        choose: Choose,
        *,
        rule: Rule | None = None,
        prior_precision: float = 1.0,
        noise: float = 1.0,
        num_draws: int = 32,
        random_state: int | np.random.Generator = 0,
    ) -> None:
        rule = rule or Thompson()
        if not isinstance(rule, UpperConfidence | Thompson):
            raise ConfigError(
                f"the rule is {rule!r}; expected UpperConfidence or Thompson: probabilities of "
                "single items say nothing of combinations."
            )
        if isinstance(rule, UpperConfidence) and rule.floor > 0:
            raise ConfigError(
                f"the rule has a floor of {rule.floor}; expected 0: not all combinations may be "
                "shown. Take Thompson for a log that can judge what its draws show."
            )
        self._rule = rule
        if num_draws < 1:
            raise ConfigError(f"num_draws is {num_draws}; expected 1 or more.")
        self._choose, self._num_draws = choose, num_draws
        self._generator = np.random.default_rng(random_state)
        self._items = LinearBandit(
            items, num_features, rule=rule, prior_precision=prior_precision, noise=noise,
        )  # fmt: skip

    @classmethod
    def resumed(
        cls,
        state: LinearState,
        choose: Choose,
        *,
        num_draws: int = 32,
        random_state: int | np.random.Generator = 0,
    ) -> "SemiBandit":
        """Goes on where another stopped."""
        made = cls(
            state.arms, state.root.shape[1], choose, rule=state.rule, num_draws=num_draws,
            random_state=random_state,
        )  # fmt: skip
        made._items = LinearBandit.resumed(state)
        return made

    @property
    def state(self) -> LinearState:
        """What is known now of each item; later rewards do not change it."""
        return self._items.state

    @property
    def belief_(self) -> LinearWeights:
        """What is believed of each item now; later rewards do not change it."""
        return self._items.belief_

    def decide(self, context: Float[Array, " D"]) -> Combination:
        """Show a combination. Raises `DataError` for a context of another length or that is not
        finite, or where `choose` answers other than it should."""
        x = np.array(context, dtype=np.float64)
        mean, spread = self._items.moments(x)
        if not np.isfinite(mean + spread).all():
            raise DataError(f"the context is {x}; expected finite numbers.")
        law = self._law(mean, self._rule.width * spread)
        shown = law[int(self._generator.integers(len(law)))]
        names = tuple(name for name, is_shown in zip(self._items.arms, shown) if is_shown)
        return Combination(names, float((law == shown).all(axis=1).mean()), law.mean(axis=0), x)

    def update(self, decision: Combination, rewards: Mapping[str, float]) -> None:
        """rewards: of items that were shown, those that answered.

        Raises `DataError` for items that were not shown, or rewards that are not finite.
        """
        strange = sorted(set(rewards) - set(decision.items))
        if strange:
            raise DataError(
                f"rewards came for {strange}; expected some of {list(decision.items)}, which were "
                "shown."
            )
        for name, reward in rewards.items():
            self._items.learn(decision.context, name, reward)

    def _law(self, mean: Float[Array, " K"], reach: Float[Array, " K"]) -> Bool[Array, "R K"]:
        """Combinations, one of which is shown, all alike; the same one may be there repeatedly."""
        if isinstance(self._rule, UpperConfidence):
            return self._chosen(mean + reach)[None]
        worths = mean + reach * self._generator.normal(size=(self._num_draws, len(mean)))
        return np.stack([self._chosen(worth) for worth in worths])

    def _chosen(self, worth: Float[Array, " K"]) -> Bool[Array, " K"]:
        found = np.asarray(self._choose(worth))
        # Places in a list would pass for what is shown, and show something else.
        if found.dtype != np.bool_ or found.shape != worth.shape or not found.any():
            raise DataError(
                f"`choose` answers {found}; expected True or False of each of {len(worth)} items, "
                "one True or more. From places: `numpy.isin(numpy.arange(len(worth)), places)`."
            )
        return found
