"""Situations and options told by name, as they come to a service: names with numbers or words.

A column is a pair of an option's feature and one of the situation's, either of which may be absent:
so what matters about an option may depend on the situation.

Legend: K options, M features of options, N features of the situation, U columns in use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array

Named = Mapping[str, float | str]
# (feature of the option, feature of the situation); "" where there is none.
Column = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Menu:
    """What one decision is about. context: of the situation; ids and features: of the options."""

    context: Named
    ids: tuple[str, ...]
    features: tuple[Named, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A menu as numbers. columns: the places in use; values: of each option there; unknown: the
    sum of squares of each option's entries in columns that do not exist yet. key: what menus with
    the same names have in common."""

    columns: Int[Array, " U"]
    values: Float[Array, "K U"]
    unknown: Float[Array, " K"]
    key: object


class NamedColumns:
    """Which column each pair of names has.

    A number counts as it is, a word as a feature of its own (`colour=red`, 1). An option without
    features is known by its id, as `id=...`. All pairs are columns, and 1 itself.
    """

    def __init__(self, columns: Sequence[Column] = ()) -> None:
        self._place = {column: at for at, column in enumerate(columns)}
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
        option_names, _ = _options(menu)
        context_names, _ = _numbers(menu.context)
        before, left_out = len(self._place), 0
        for feature in ("", *option_names):
            for about in ("", *context_names):
                if (feature, about) in self._place:
                    continue
                if len(self._place) < most:
                    self._place[feature, about] = len(self._place)
                else:
                    left_out += 1
        if len(self._place) > before:
            self._laid_out.cache_clear()
        return left_out

    def code(self, menu: Menu) -> Coded:
        """The menu in the columns that there are."""
        option_names, features_KM = _options(menu)
        context_names, numbers = _numbers(menu.context)
        features_KM = np.concatenate([np.ones((len(features_KM), 1)), features_KM], axis=1)
        context_N = np.array([1.0, *numbers])
        key = (option_names, context_names)
        columns, feature, about = self._laid_out(*key)
        values_KU = features_KM[:, feature] * context_N[about]
        total = (features_KM**2).sum(axis=1) * (context_N @ context_N)
        unknown = np.maximum(total - (values_KU**2).sum(axis=1), 0.0)
        if len(columns) == features_KM.shape[1] * len(context_N):
            unknown[:] = 0.0
        return Coded(columns, values_KU, unknown, key)

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


def _options(menu: Menu) -> tuple[tuple[str, ...], Float[Array, "K M"]]:
    """All names of the options' features, and each option's numbers, 0 where it has no such."""
    first = tuple(menu.features[0])
    if first and all(tuple(named) == first for named in menu.features):
        # Any: words are told from numbers by what cannot be done with them.
        rows: Any = [[*named.values()] for named in menu.features]
        try:
            # Words cannot be added, also where NumPy would read numbers in them.
            for row in rows:
                sum(row)
        except TypeError:
            pass
        else:
            return first, np.array(rows, dtype=np.float64)
    place: dict[str, int] = {}
    entries = []
    for k, (name, named) in enumerate(zip(menu.ids, menu.features)):
        for feature, value in zip(*_numbers(named or {"id": name})):
            entries.append((k, place.setdefault(feature, len(place)), value))
    values = np.zeros((len(menu.ids), len(place)))
    for k, m, value in entries:
        values[k, m] = value
    return tuple(place), values
