"""What comparisons cost, for `penchant rank --ask-cost`: a table of items, or of pairs.

Legend: N items, Q pairs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array

_EXPECTED = (
    "expected a table with the columns item, cost (a comparison costs what both of its items do) "
    "or first, second, cost (only the pairs it names are asked about)"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class AskedPairs:
    """Pairs that may be asked about, as places of items, and what each costs; None: all alike."""

    first: Int[Array, " Q"]
    second: Int[Array, " Q"]
    cost: Float[Array, " Q"] | None = None


def pairs_to_ask(items: tuple[str, ...], costs: Path | None) -> AskedPairs:
    """Every pair of the items where no file of costs is given.

    Raises DataError for a file that is none of the two tables, lacks an item, names one that was
    not ranked, a pair twice, or a cost that is no positive number.
    """
    if costs is None:
        first, second = np.triu_indices(len(items), 1)
        return AskedPairs(first=first, second=second)
    from penchant.data.columns import to_codes, to_floats
    from penchant.data.readers.table import load_table

    if not costs.is_file():
        raise DataError(f"there is no file {costs} of costs; {_EXPECTED}. Check the path.")
    table = load_table(costs, words=("item", "first", "second")).table
    named = ("item",) if "item" in table.column_names else ("first", "second")
    if not {*named, "cost"} <= set(table.column_names):
        raise DataError(
            f"{costs.name} has the columns {', '.join(table.column_names)}; {_EXPECTED}. Rename "
            "its columns."
        )
    try:
        cost = to_floats(table["cost"])
    except (ValueError, TypeError) as error:
        raise DataError(
            f"the column cost of {costs.name} holds what is no number; expected a positive number "
            "on each line, in any unit. Correct it."
        ) from error
    _refuse(costs, ~((cost > 0) & (cost < np.inf)), cost, "a positive cost, in any unit")
    place = {name: n for n, name in enumerate(items)}
    sides = []
    for column in named:
        codes, words = to_codes(table[column])
        names = np.array([*map(str, words), ""], dtype=object)[codes]
        at = np.array([place.get(name, -1) for name in names], dtype=np.int64)
        _refuse(costs, at < 0, names, "the name of an item that was ranked")
        sides.append(at)
    return _of_items(costs, items, sides[0], cost) if len(sides) == 1 else _of_pairs(
        costs, sides[0], sides[1], cost
    )  # fmt: skip


def _of_items(
    costs: Path, items: tuple[str, ...], at: Int[Array, " L"], cost: Float[Array, " L"]
) -> AskedPairs:
    _refuse(costs, _repeats(at), [items[n] for n in at], "each item once")
    missing = np.setdiff1d(np.arange(len(items)), at)
    if len(missing):
        raise DataError(
            f"{costs.name} names no cost for {items[missing[0]]!r} ({len(missing)} of "
            f"{len(items)} items are like this); expected one for each. Add a line for each."
        )
    of_item = np.empty(len(items))
    of_item[at] = cost
    first, second = np.triu_indices(len(items), 1)
    return AskedPairs(first=first, second=second, cost=of_item[first] + of_item[second])


def _of_pairs(
    costs: Path, one: Int[Array, " Q"], two: Int[Array, " Q"], cost: Float[Array, " Q"]
) -> AskedPairs:
    if not len(cost):
        raise DataError(f"{costs.name} has no lines; {_EXPECTED}. Add some.")
    first, second = np.minimum(one, two), np.maximum(one, two)
    _refuse(costs, first == second, one, "two different items")
    _refuse(costs, _repeats(first * (second.max() + 1) + second), one, "each pair once")
    return AskedPairs(first=first, second=second, cost=cost)


def _repeats(keys: Int[Array, " L"]) -> Array:
    repeated = np.ones(len(keys), dtype=bool)
    repeated[np.unique(keys, return_index=True)[1]] = False
    return repeated


def _refuse(costs: Path, bad: Array, found: Array | list[str], expected: str) -> None:
    if bad.any():
        line = int(np.argmax(bad))
        raise DataError(
            f"entry {line + 1} of {costs.name} is {found[line]!s}; expected {expected} "
            f"({int(bad.sum())} of {len(bad)} entries are like this). Correct or drop it."
        )
