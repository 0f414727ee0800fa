"""Situations and options told by name, as they come to a service: names with numbers or words.

A column is a pair of an option's feature and one of the situation's, either of which may be absent:
so what matters about an option may depend on the situation.

Legend: K options, M features of options, N features of the situation, U columns in use.
"""

from collections.abc import Mapping, Sequence, Set
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

    def code(self, menu: Menu) -> Coded:
        """The menu in the columns that there are."""
        option_names, features_KM, strange_K = _options(menu, self._features)
        context_names, numbers, strange = _known(menu.context, self._about)
        features_KM = np.concatenate([np.ones((len(features_KM), 1)), features_KM], axis=1)
        context_N = np.array([1.0, *numbers])
        key = (option_names, context_names)
        columns, feature, about = self._laid_out(*key)
        values_KU = features_KM[:, feature] * context_N[about]
        within_K, of_context = (features_KM**2).sum(axis=1), float(context_N @ context_N)
        if len(columns) == features_KM.shape[1] * len(context_N):
            unknown = np.zeros(len(features_KM))
        else:
            unknown = np.maximum(within_K * of_context - (values_KU**2).sum(axis=1), 0.0)
        unknown += strange_K * (of_context + strange) + within_K * strange
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
) -> tuple[tuple[str, ...], Float[Array, "K M"], Float[Array, " K"]]:
    """Names of the options' features, and each option's numbers, 0 where it has no such.

    known: where options differ in their names, only these, and of each option the sum of squares of
    its others. A thousand options with a hundred words of their own each would fill a gigabyte.
    """
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
            return first, np.array(rows, dtype=np.float64), np.zeros(len(rows))
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
