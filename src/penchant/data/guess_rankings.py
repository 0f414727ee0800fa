"""A first guess for tables with a ranking on every line, spelled out in one of three ways."""

import re
from collections import Counter

import numpy as np
import pyarrow as pa

from penchant.data.columns import is_number, is_text, to_floats
from penchant.data.description import Description
from penchant.data.guess_wide import ANSWERS
from penchant.data.readers.menus import BEFORE
from penchant.data.seen_columns import SeenColumns

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
             "tenth")  # fmt: skip
_NUMBERED = re.compile(
    r"^(rank|ranked|choice|pref|preference|place|top|position|pos)?[ _.-]?(\d+)(st|nd|rd|th)?$"
)
# Columns of these names say what was taken, so that the places beside them are those of a menu.
_TAKEN = (*ANSWERS, "click", "clicked", "purchase", "bought", "vote", "label")
_WRITTEN = ("ranking", "order", "ordering", "ballot", "ranks", "preferences", "vote")
# A few slips do not make a ranking something else; reading names their lines.
_MOST = 0.9
# Fewer places could be two items side by side, or a yes and a no.
_FEWEST = 3


def guess_rankings(columns: SeenColumns) -> tuple[Description, str] | None:
    """The description of a table of rankings, and why; None where it is none."""
    return _places(columns) or _written(columns) or _ranks_of_items(columns)


def _places(columns: SeenColumns) -> tuple[Description, str] | None:
    """Columns are places and hold items: first, second, third; rank_1, rank_2, rank_3."""
    named = [columns.lower[word] for word in _ORDINALS if word in columns.lower]
    in_order = named == [columns.lower.get(word) for word in _ORDINALS[: len(named)]]
    if len(named) < _FEWEST or not in_order:
        numbered = {int(m.group(2)): name for name in columns.names
                    if (m := _NUMBERED.match(name.lower()))}  # fmt: skip
        named = [numbered[place] for place in range(1, len(numbered) + 1) if place in numbered]
        if len(named) < _FEWEST or len(named) < len(numbered):
            return None
    if not all(is_text(columns.table[name].type) for name in named):
        return None
    times = Counter(str(v) for name in named for v in columns.values(name))
    if not any(count > 1 for count in times.values()) or _repeats(columns, named):
        return None
    if _is_menu(columns, named, set(times)):
        return None
    said = Description(layout="rankings", kind="ranking", answer_columns=tuple(named))
    return said, f"{', '.join(named)} hold items in the order in which they were ranked."


def _is_menu(columns: SeenColumns, named: list[str], items: set[str]) -> bool:
    """Whether another column says what was taken, and it is not what stands first: then the columns
    say in which order the items were shown."""
    first = columns.codes(named[0])
    for name in columns.names:
        if name in named:
            continue
        codes, values = columns.codes(name)
        if name.lower() in _TAKEN and not {str(value) for value in values} & items:
            return True  # a number of a place, or a yes
        if name.lower() in _TAKEN or set(map(str, columns.values(name))) <= items:
            words = [np.array([str(v) for v in side[1]] + [""])[side[0]]
                     for side in ((codes, values), first)]  # fmt: skip
            answered = codes >= 0
            if answered.any() and (words[0] == words[1])[answered].mean() < _MOST:
                return True
    return False


def _repeats(columns: SeenColumns, named: list[str]) -> bool:
    """Whether more than a few lines hold something twice: answers to several questions do."""
    place: dict[str, int] = {}
    for name in named:
        for value in columns.values(name):
            place.setdefault(str(value), len(place))
    codes = np.column_stack([
        np.array([place[str(v)] for v in columns.codes(name)[1]] + [-1])[columns.codes(name)[0]]
        for name in named
    ])  # fmt: skip
    codes = np.sort(codes, axis=1)
    twice = ((codes[:, 1:] == codes[:, :-1]) & (codes[:, 1:] >= 0)).any(axis=1)
    return bool(twice.mean() > 1.0 - _MOST)


def _written(columns: SeenColumns) -> tuple[Description, str] | None:
    """One column holds the whole ranking: A > B = C > D."""
    name = columns.first(_WRITTEN)
    if name is None or not is_text(columns.table[name].type):
        return None
    values = [str(value) for value in columns.values(name)]
    if not values or np.mean([BEFORE in value for value in values]) < _MOST:
        return None
    if any(other in columns.lower for other in _TAKEN if other != name.lower()):
        return None  # an order of items, and what was taken of them
    said = Description(layout="rankings", kind="ranking", answer_columns=(name,))
    return said, f"{name} holds rankings, the best first."


def _ranks_of_items(columns: SeenColumns) -> tuple[Description, str] | None:
    """Columns are items and hold their ranks: on every line the numbers from 1 on, each once."""
    person = columns.person()
    whole = [name for name in columns.names
             if pa.types.is_integer(columns.table[name].type) and name != person]  # fmt: skip
    ranks = [name for name in whole if set(columns.values(name)) <= set(range(1, len(whole) + 1))]
    if len(ranks) < _FEWEST or not all(is_number(columns.table[name].type) for name in ranks):
        return None
    held = np.sort(np.column_stack([to_floats(columns.table[name]) for name in ranks]), axis=1)
    if (held == np.arange(1, len(ranks) + 1)).all(axis=1).mean() < _MOST:
        return None
    said = Description(
        layout="rankings", kind="ranking", alternatives=tuple(ranks), answer_columns=tuple(ranks)
    )
    return said, f"{', '.join(ranks)} hold on every line the ranks from 1 to {len(ranks)}."
