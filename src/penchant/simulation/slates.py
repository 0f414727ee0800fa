"""Logs of rounds that show several of five items, whose policy and people we know.

Legend: B rounds, L places, K items.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.columns import ints_with_nulls, numbers_with_nulls
from penchant.data.records import Records
from penchant.numerics.arrays import Array, sigmoid

LOGGED = np.array([0.15, 0.2, 0.3, 0.2, 0.15])
TARGET = np.array([0.3, 0.2, 0.15, 0.2, 0.15])
WORTH = np.array([1.0, 0.2, -0.3, -0.8, 0.5])
Reading = Literal["alone", "cascade", "whole"]


@dataclass(frozen=True, kw_only=True)
class SlateWorld:
    """Places are drawn one by one from what is left; whole menus are logged, with `target`.

    answer: clicks on each place, a pick of one, or a ranking of all that was shown (by worths with
    Gumbel noise). reading, of clicks: "alone", by the item; "cascade", not below a click; "whole",
    more of them above a better last item.
    """

    answer: Literal["clicks", "pick", "ranking"] = "clicks"
    reading: Reading = "alone"
    num_places: int = 2

    def true_value(self) -> float:
        """What the target earns a round, or how often what it shows is preferred to what the log
        shows beside it, by all orders."""
        if self.answer != "clicks":
            return self._preferred()
        total = 0.0
        for order in permutations(range(len(WORTH)), self.num_places):
            items = np.array([order])
            total += _chance(TARGET, order) * float(self._click_chances(items).sum())
        return total

    def draw(self, num_rounds: int, generator: np.random.Generator) -> Records:
        """A log of this policy and these people."""
        # Places in order of exponential clocks: drawn one by one from what is left.
        clock = generator.exponential(size=(num_rounds, len(WORTH))) / LOGGED
        items = np.argsort(clock, axis=1)[:, : self.num_places]
        rows = np.arange(num_rounds)[:, None]
        position = np.full((num_rounds, len(WORTH)), -1)
        position[rows, items] = np.arange(self.num_places)
        options = {
            "option": np.tile(np.array(list("abcde")), num_rounds),
            "propensity": np.tile(LOGGED, num_rounds), "target": np.tile(TARGET, num_rounds),
            "position": ints_with_nulls(position.ravel()),
        }  # fmt: skip
        sizes, answer = np.full(num_rounds, len(WORTH)), np.full(position.shape, np.nan)
        if self.answer == "clicks":
            answer[rows, items] = self._clicks(items, generator)
            options["success"] = numbers_with_nulls(answer.ravel()).cast("int64")
            return Records.from_arrays(options=options, menu_sizes=sizes, rows={}, kind="binary",
                                       extras=("target",))  # fmt: skip
        felt = WORTH[items] + generator.gumbel(size=items.shape)
        order = np.argsort(-felt, axis=1)
        if self.answer == "pick":
            chosen = items[np.arange(num_rounds), order[:, 0]]
            return Records.from_arrays(options=options, menu_sizes=sizes, rows={"chosen": chosen},
                                       extras=("target",))  # fmt: skip
        rank = np.zeros(position.shape, dtype=np.int64)
        rank[rows, np.take_along_axis(items, order, axis=1)] = np.arange(1, self.num_places + 1)
        return Records.from_arrays(options={**options, "rank": rank.ravel()}, menu_sizes=sizes,
                                   rows={}, kind="ranking", extras=("target",))  # fmt: skip

    def _click_chances(self, items: Int[Array, "B L"]) -> Float[Array, "B L"]:
        chance = sigmoid(WORTH[items])
        if self.reading == "cascade":
            unread = np.cumprod(1.0 - chance, axis=1)
            return chance * np.column_stack([np.ones(len(items)), unread[:, :-1]])
        if self.reading == "whole":
            return chance * np.where(WORTH[items[:, -1:]] > 0, 1.0, 0.3)
        return chance

    def _clicks(
        self, items: Int[Array, "B L"], generator: np.random.Generator
    ) -> Float[Array, "B L"]:
        chance = sigmoid(WORTH[items])
        if self.reading == "whole":
            chance = self._click_chances(items)
        clicks = (generator.random(items.shape) < chance).astype(np.float64)
        if self.reading == "cascade":
            clicks *= np.cumsum(clicks, axis=1) <= 1.0
        return clicks

    def _preferred(self) -> float:
        """Sum over places and logged slates: the item of the target at that place is weighed by
        its chance there alone, beside what the log shows with it."""
        orders = list(permutations(range(len(WORTH)), self.num_places))
        logged = np.array([_chance(LOGGED, order) for order in orders])
        target = np.array([_chance(TARGET, order) for order in orders])
        total = 0.0
        for place in range(self.num_places):
            at = np.array([order[place] for order in orders])
            for item in range(len(WORTH)):
                here = at == item
                share = np.array([_beats(order, place, self.answer) for order in orders])
                ratio = target[here].sum() / logged[here].sum()
                total += ratio * float(logged[here] @ share[here]) / self.num_places
        return total


def _chance(law: Float[Array, " K"], order: tuple[int, ...]) -> float:
    left, chance = 1.0, 1.0
    for item in order:
        chance *= float(law[item]) / left
        left -= float(law[item])
    return chance


def _beats(order: tuple[int, ...], place: int, answer: str) -> float:
    """The share of the others shown that this one is preferred to; after a pick those not picked
    are even."""
    worth = np.exp(WORTH[list(order)])
    others = np.delete(worth, place)
    if answer == "ranking":
        return float((worth[place] / (worth[place] + others)).mean())
    picked = worth / worth.sum()
    even = (len(order) - 2) / (len(order) - 1) / 2.0 if len(order) > 1 else 0.0
    return float(picked[place] + (1.0 - picked[place]) * even)
