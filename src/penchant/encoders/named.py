"""Situations and options told by name, as they come to a service: names with numbers or words.

A column is a pair of an option's feature and one of the situation's, either of which may be absent:
so what matters about an option may depend on the situation.

Legend: K options, M features of options (of `Sides`: with 1), N features of the situation (with 1),
U columns in use.
"""

import struct
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import overload

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array

Named = Mapping[str, float | str]
# (feature of the option, feature of the situation); "" where there is none.
Column = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class NumberTable(Sequence[Named]):
    """Features of options that are numbers under the same names, which no two columns share."""

    names: tuple[str, ...]
    values: Float[Array, "K M"]

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, place: int) -> Named: ...

    @overload
    def __getitem__(self, place: slice) -> "NumberTable": ...

    def __getitem__(self, place: int | slice) -> "Named | NumberTable":
        if isinstance(place, slice):
            return NumberTable(self.names, self.values[place])
        return dict(zip(self.names, self.values[place].tolist()))


@dataclass(frozen=True, slots=True)
class Menu:
    """What one decision is about. context: of the situation; ids and features: of the options."""

    context: Named
    ids: tuple[str, ...]
    features: Sequence[Named]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A menu as numbers. columns: the places in use; values: of each option there; unknown: the
    sum of squares of each option's entries in columns that do not exist yet. key: as of `Sides`."""

    columns: Int[Array, " U"]
    values: Float[Array, "K U"]
    unknown: Float[Array, " K"]
    key: object


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """A menu before its two sides are multiplied, each with 1 in front. beyond: the sum of squares
    of each option's products with what no column knows; None where there is nothing such. key: what
    menus with the same names have in common."""

    key: tuple[tuple[str, ...], tuple[str, ...]]
    features: Float[Array, "K M"]
    context: Float[Array, " N"]
    beyond: Float[Array, " K"] | None


class NamedColumns:
    """Which column each pair of names has.

    A number counts as it is, a word as a feature of its own (`colour=red`, 1). An option without
    features is known by its id, as `id=...`. All pairs are columns, and 1 itself.
    """

    def __init__(self, columns: Sequence[Column] = ()) -> None:
        self._place = {column: at for at, column in enumerate(columns)}
        self._features = {feature for feature, _ in columns}
        self._about = {about for _, about in columns}
        # The same names come again and again: which columns they have is looked up once.
        self._laid_out = lru_cache(maxsize=256)(self._lay_out)

    def __len__(self) -> int:
        return len(self._place)

    @property
    def columns(self) -> tuple[Column, ...]:
        """In the order of their places."""
        return tuple(self._place)

    def extend(self, menu: Menu, most: int) -> int:
        """Columns for all pairs of a menu, no more than `most` in all; how many found no place."""
        option_names, _, _ = _options(menu)
        context_names, _ = _numbers(menu.context)
        before, left_out = len(self._place), 0
        for feature in ("", *option_names):
            for about in ("", *context_names):
                if (feature, about) in self._place:
                    continue
                if len(self._place) < most:
                    self._place[feature, about] = len(self._place)
                    self._features.add(feature)
                    self._about.add(about)
                else:
                    left_out += 1
        if len(self._place) > before:
            self._laid_out.cache_clear()
        return left_out

    def sides(self, menu: Menu) -> Sides:
        """The menu's two sides, of which each column takes an entry."""
        option_names, numbers_KM, strange_K = _options(menu, self._features)
        context_names, numbers, strange = _known(menu.context, self._about)
        features_KM = np.empty((len(numbers_KM), numbers_KM.shape[1] + 1))
        features_KM[:, 0] = 1.0
        features_KM[:, 1:] = numbers_KM
        context_N = np.array([1.0, *numbers])
        beyond_K = None
        if strange or strange_K is not None:
            of_options = np.zeros(len(features_KM)) if strange_K is None else strange_K
            beyond_K = of_options * (float(context_N @ context_N) + strange)
            beyond_K += (features_KM**2).sum(axis=1) * strange
        return Sides((option_names, context_names), features_KM, context_N, beyond_K)

    def code(self, menu: Menu) -> Coded:
        """The menu in the columns that there are."""
        return self.coded(self.sides(menu))

    def coded(self, sides: Sides) -> Coded:
        """The same of a menu whose sides are known."""
        features_KM, context_N = sides.features, sides.context
        columns, feature, about = self._laid_out(*sides.key)
        values_KU = features_KM[:, feature] * context_N[about]
        if len(columns) == features_KM.shape[1] * len(context_N):
            unknown = np.zeros(len(features_KM))
        else:
            within_K, of_context = (features_KM**2).sum(axis=1), float(context_N @ context_N)
            unknown = np.maximum(within_K * of_context - (values_KU**2).sum(axis=1), 0.0)
        if sides.beyond is not None:
            unknown += sides.beyond
        return Coded(columns, values_KU, unknown, sides.key)

    def grid(self, sides: Sides) -> Int[Array, "M N"] | None:
        """The column of each pair of a menu's sides; None where some pair has none."""
        columns, _, _ = self._laid_out(*sides.key)
        shape = sides.features.shape[1], len(sides.context)
        return columns.reshape(shape) if len(columns) == shape[0] * shape[1] else None

    def _lay_out(
        self, option_names: tuple[str, ...], context_names: tuple[str, ...]
    ) -> tuple[Int[Array, " U"], Int[Array, " U"], Int[Array, " U"]]:
        """Of each column in use its place, and the places of the two features it is made of."""
        found = [
            (self._place[feature, about], m, n)
            for m, feature in enumerate(("", *option_names))
            for n, about in enumerate(("", *context_names))
            if (feature, about) in self._place
        ]
        columns, feature, about = np.array(found, dtype=np.int64).reshape(-1, 3).T
        return columns, feature, about


def _numbers(named: Named) -> tuple[tuple[str, ...], list[float]]:
    names, values = [], []
    for name, value in named.items():
        is_word = isinstance(value, str)
        names.append(f"{name}={value}" if is_word else name)
        values.append(1.0 if is_word else float(value))
    return tuple(names), values


def _known(named: Named, known: Set[str]) -> tuple[tuple[str, ...], list[float], float]:
    """Names and numbers of those in some column, and the sum of squares of all others."""
    names, values, strange = [], [], 0.0
    for name, value in zip(*_numbers(named)):
        if name in known:
            names.append(name)
            values.append(value)
        else:
            strange += value * value
    return tuple(names), values, strange


def _options(
    menu: Menu, known: Set[str] | None = None
) -> tuple[tuple[str, ...], Float[Array, "K M"], Float[Array, " K"] | None]:
    """Names of the options' features, and each option's numbers, 0 where it has no such.

    known: where options differ in their names, only these, and of each option the sum of squares of
    its others. A thousand options with a hundred words of their own each would fill a gigabyte.
    """
    if isinstance(menu.features, NumberTable):
        return menu.features.names, menu.features.values, None
    names = [*map(list, menu.features)]
    first, K = names[0], len(names)
    if first and names.count(first) == K:
        numbers = [*chain.from_iterable([named.values() for named in menu.features])]
        try:
            # A word is no number here, also where NumPy would read one in it.
            packed = struct.pack(f"{len(numbers)}d", *numbers)
        except struct.error:
            pass
        else:
            return tuple(first), np.frombuffer(packed).reshape(K, -1), None
    place: dict[str, int] = {}
    entries, strange_K = [], np.zeros(len(menu.ids))
    for k, (name, named) in enumerate(zip(menu.ids, menu.features)):
        for feature, value in zip(*_numbers(named or {"id": name})):
            if known is not None and feature not in known:
                strange_K[k] += value * value
                continue
            entries.append((k, place.setdefault(feature, len(place)), value))
    values = np.zeros((len(menu.ids), len(place)))
    for k, m, value in entries:
        values[k, m] = value
    return tuple(place), values, strange_K
