"""From what people say about a menu, in names, to the answer that a likelihood takes.

Legend: K options of the menu shown, D features.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array

# Whole numbers may be larger.
_MOST = sys.float_info.max
KINDS = ("reward", "pick", "ranking", "pair", "best_worst", "rating", "edit")
# Kinds of blocks that an answer of each kind may become; of a reward, whichever is served.
SERVED_BY: Mapping[str, tuple[str, ...]] = {
    "reward": ("outcome", "binary"),
    "pick": ("choice",),
    "ranking": ("ranking",),
    "pair": ("pair",),
    "best_worst": ("best_worst",),
    "rating": ("rating",),
    "edit": ("choice",),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """kind, values: as `data.batch.ANSWERS` says. options: of the menu, that it speaks of, by
    place; an edit has what it became in front, which `features` describe."""

    kind: str
    values: Mapping[str, Array]
    options: Int[Array, " K"]
    features: Any = None


def answer_on(
    kind: str, value: Any, shown: Sequence[str], served: Sequence[str] | None = None
) -> Answer:
    """What was said of options shown, the first of them in front of all others.

    reward: a number for the option in front, or {option: number}. pick: a name; None where nothing
    was taken, which is a binary 0 of all. Where one option was all that was shown, a pick of it is
    a binary 1, if that can be learnt from: a choice among one tells nothing. ranking: names, the
    best first; who is left out is worse.
    pair: {"winner", "loser"}, with "is_tie" true where neither won. best_worst: {"best", "worst"}.
    rating: a level from 0 for the option in front, or {option: level}. edit: features of what the
    option in front was changed into, which is preferred to it.

    served: kinds of blocks that can be learnt from. Raises `DataError` for an unknown kind, names
    that were not shown, or values of another form.
    """
    if kind not in KINDS:
        raise DataError(f"feedback is of kind {kind!r}; expected one of {', '.join(KINDS)}.")
    place = {name: k for k, name in enumerate(shown)}
    if kind == "pick" and value is None:
        return _valued("binary", dict.fromkeys(shown, 0), place)
    if kind == "pick" and len(shown) == 1 and served is not None and "binary" in served:
        _place(value, place)
        return _valued("binary", {shown[0]: 1}, place)
    if kind == "reward":
        rewards = value if isinstance(value, Mapping) else {shown[0]: value}
        is_outcome = served is None or "outcome" in served
        return _valued("outcome" if is_outcome else "binary", rewards, place)
    if kind == "rating":
        return _valued("rating", value if isinstance(value, Mapping) else {shown[0]: value}, place)
    if kind == "edit":
        return Answer(kind="choice", values={"chosen": np.int64(0)}, options=np.array([0]),
                      features=value)  # fmt: skip
    if kind in ("pair", "best_worst"):
        return _two(kind, value, place)
    everything = np.arange(len(shown))
    if kind == "pick":
        chosen = np.int64(_place(value, place))
        return Answer(kind="choice", values={"chosen": chosen}, options=everything)
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise DataError(f"a ranking is {value!r}; expected a list of names, the best first.")
    rank, order = np.zeros(len(shown), dtype=np.int64), [_place(name, place) for name in value]
    if len(set(order)) < len(order):
        raise DataError(f"a ranking is {list(value)}; expected every name once.")
    rank[order] = 1 + np.arange(len(order))
    return Answer(kind="ranking", values={"rank": rank}, options=everything)


def _two(kind: str, value: Any, place: Mapping[str, int]) -> Answer:
    names = ("winner", "loser") if kind == "pair" else ("best", "worst")
    if not isinstance(value, Mapping) or not set(names) <= set(value):
        raise DataError(
            f"feedback of kind {kind!r} is {value!r}; expected an object with {names[0]!r} and "
            f"{names[1]!r}."
        )
    first, second = (_place(value[name], place) for name in names)
    if first == second:
        raise DataError(f"{names[0]} and {names[1]} are both {value[names[0]]!r}; expected two.")
    if kind == "best_worst":
        values = {"best": np.int64(first), "worst": np.int64(second)}
        return Answer(kind=kind, values=values, options=np.arange(len(place)))
    outcome = np.int64(2 if value.get("is_tie") else 0)
    return Answer(kind=kind, values={"outcome": outcome}, options=np.array([first, second]))


def _valued(kind: str, values: Mapping[str, Any], place: Mapping[str, int]) -> Answer:
    options = np.array([_place(name, place) for name in values], dtype=np.int64)
    numbers = [_number(value, kind) for value in values.values()]
    if kind == "outcome":
        return Answer(kind=kind, values={"value": np.array(numbers)}, options=options)
    whole = np.array(numbers).astype(np.int64)
    if (whole != numbers).any() or whole.min() < 0 or (kind == "binary" and whole.max() > 1):
        expected = "0 or 1" if kind == "binary" else "whole levels from 0 on"
        raise DataError(f"the values of kind {kind!r} are {numbers}; expected {expected}.")
    return Answer(kind=kind, values={"success" if kind == "binary" else "level": whole},
                  options=options)  # fmt: skip


def _number(value: Any, kind: str) -> float:
    if isinstance(value, int | float | np.number) and -_MOST <= value <= _MOST:
        return float(value)
    raise DataError(
        f"a value of kind {kind!r} is {value!r}; expected a finite number. An answer that did not "
        "come is left out, not given as null."
    )


def _place(name: Any, place: Mapping[str, int]) -> int:
    found = place.get(name) if isinstance(name, str) else None
    if found is None:
        raise DataError(f"feedback names {name!r}; expected one of those shown: {list(place)}.")
    return found
