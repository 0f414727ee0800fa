"""Rankings laid end to end: who was on each menu, and in which order, as far as it is known.

Legend: R rankings, E entries over all menus, N items, V voters.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.columns import to_codes, to_floats, to_ints
from penchant.data.pair_counts import check_amounts, check_items, check_labels
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Rankings:
    """R rankings of menus out of N items.

    The entries of ranking r are `start[r]:start[r + 1]`, the best first: `item` indexes `items`,
    and `tier` numbers groups of equal rank from 0. The last tier of a partial ranking holds what
    was on the menu and not ranked: worse than all ranked, in unknown order. `voter` says whose each
    ranking is, as a place in `voters` (-1: unknown).
    """

    items: tuple[str, ...]
    item: Int[Array, " E"]
    tier: Int[Array, " E"]
    start: Int[Array, " R1"]
    weight: Float[Array, " R"]
    voter: Int[Array, " R"] | None = None
    voters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_items(self.items)
        check_amounts("weight", self.weight, len(self))
        check_labels("voter", self.voter, self.voters, len(self))
        inside = self.tier[1:] - self.tier[:-1]
        begins = np.zeros(max(len(self.item) - 1, 0), dtype=bool)
        begins[self.start[1:-1] - 1] = True
        if ((inside < 0) | (inside > 1))[~begins].any() or self.tier[self.start[:-1]].any():
            raise DataError(
                "tiers of a ranking must start at 0 and rise by 0 or 1 from the best item on; "
                "sort the entries by rank, or use `rankings_from_records`."
            )

    def __len__(self) -> int:
        return len(self.start) - 1

    def __repr__(self) -> str:
        return f"Rankings({len(self):,} rankings of {len(self.items):,} items)"

    @property
    def num_items(self) -> int:
        return len(self.items)

    @cached_property
    def ranking(self) -> Int[Array, " E"]:
        """Which ranking each entry belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.start))

    @cached_property
    def has_equals(self) -> bool:
        """Whether any two items of a menu share a rank, if it were the last one."""
        # A new ranking starts at 0, below where one of several entries, all apart, ended.
        equal = np.flatnonzero(self.tier[1:] == self.tier[:-1])
        return bool((self.ranking[equal] == self.ranking[equal + 1]).any()) if len(equal) else False

    @cached_property
    def has_ties(self) -> Bool[Array, " R"]:
        """Whether two items share a rank that something comes after."""
        if not self.has_equals:
            return np.zeros(len(self), dtype=bool)
        same = (np.diff(self.tier) == 0) & (np.diff(self.ranking) == 0)
        last = self.tier == self.tier[self.start[1:] - 1][self.ranking]
        tied = np.zeros(len(self), dtype=bool)
        tied[self.ranking[1:][same & ~last[1:]]] = True
        return tied

    @cached_property
    def votes_of_item(self) -> Float[Array, " N"]:
        """Rankings that each item was on the menu of, by weight."""
        return np.bincount(self.item, self.weight[self.ranking], self.num_items)

    def take(self, rows: Int[Array, " A"]) -> "Rankings":
        """The rankings at these places; names stay as they are."""
        sizes = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(sizes)])
        entries = np.repeat(self.start[rows] - start[:-1], sizes) + np.arange(start[-1])
        return Rankings(
            items=self.items, item=self.item[entries], tier=self.tier[entries], start=start,
            weight=self.weight[rows], voter=None if self.voter is None else self.voter[rows],
            voters=self.voters,
        )  # fmt: skip


def rankings_from_records(records: Records) -> Rankings:
    """Rankings of records of kind "ranking", and "best_worst" as far as these order a menu.

    Of best and worst, those in between share a middle rank. Menus whose answer says nothing of any
    order (one option, nothing ranked) are left out. Raises DataError for other kinds, and for an
    item twice on a menu.
    """
    rank = _ranks(records)
    codes, words = to_codes(records.options["option"])
    if (codes < 0).any():
        line = int(np.argmax(codes < 0))
        raise DataError(f"option {line} has no name; expected one for each. Name the options.")
    row = records.row_of_option
    behind = np.where(rank > 0, rank, np.iinfo(np.int64).max)
    order = np.lexsort((behind, row))
    row, behind, item = row[order], behind[order], codes[order]
    key = np.sort(row * len(words) + item)
    if (key[1:] == key[:-1]).any():
        twice = int(key[1:][key[1:] == key[:-1]][0])
        raise DataError(
            f"observation {twice // len(words)} has {words[twice % len(words)]!r} twice on its "
            "menu; expected every item once. Correct or drop it."
        )
    starts = np.diff(row, prepend=-1) > 0
    step = (np.diff(behind, prepend=0) != 0) & ~starts
    tier = np.cumsum(step)
    tier -= tier[np.flatnonzero(starts)][np.cumsum(starts) - 1]
    told = np.bincount(row, tier > 0, len(records)) > 0
    keep = told[row]
    kept_rows = np.flatnonzero(told)
    sizes = np.bincount(row[keep], minlength=len(records))[kept_rows]
    voter, voters = _voters(records)
    return Rankings(
        items=tuple(str(word) for word in words), item=item[keep].astype(np.int32),
        tier=tier[keep].astype(np.int32), start=np.concatenate([[0], np.cumsum(sizes)]),
        weight=to_floats(records.rows["weight"])[kept_rows],
        voter=None if voter is None else voter[kept_rows], voters=voters,
    )  # fmt: skip


def _voters(records: Records) -> tuple[Int[Array, " R"] | None, tuple[str, ...]]:
    """Who ranked, where anybody is named."""
    rows = records.rows
    if "person" not in rows.column_names or rows["person"].null_count == len(records):
        return None, ()
    code, names = to_codes(rows["person"])
    return code, tuple(map(str, names))


def _ranks(records: Records) -> Int[Array, " E"]:
    """Ranks as in records: 1 is best, equal ranks are ties, 0 or less is not ranked."""
    kinds = set(records.kinds[np.unique(records.kind_codes)])
    if kinds == {"ranking"}:
        return to_ints(records.options["rank"], missing=0)
    if kinds == {"best_worst"}:
        best, worst = (to_ints(records.rows[name]) for name in ("best", "worst"))
        place = np.arange(records.options.num_rows) - records.offsets[:-1][records.row_of_option]
        row = records.row_of_option
        rank = np.where(place == best[row], 1, np.where(place == worst[row], 3, 2))
        return np.where((best[row] < 0) & (worst[row] < 0), 0, rank)
    raise DataError(
        f"the records hold feedback of kind {', '.join(sorted(kinds))}; expected rankings, or best "
        "and worst. Pairs are read by `votes_from_records`."
    )
