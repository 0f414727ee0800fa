"""What a leaderboard is made of: votes, counts or rankings, out of whatever holds them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.description import Description
from penchant.data.pair_counts import PairCounts
from penchant.data.rankings import Rankings, rankings_from_records
from penchant.data.rated_votes import RATED_KINDS, rated_notes, votes_from_ratings
from penchant.data.readers.vote_parts import VoteColumns
from penchant.data.readers.vote_records import votes_from_records
from penchant.data.readers.votes import read_votes
from penchant.data.records import Records
from penchant.data.votes import Votes
from penchant.errors import ConfigError


def observed_for(
    columns: VoteColumns, data: Any, description: Description | str | Path | None
) -> tuple[Votes | PairCounts | Rankings, tuple[str, ...]]:
    """The data as a leaderboard is fitted to them, with the `columns` it asks for, and what a
    reader of its table must know of them."""
    if isinstance(data, Votes | PairCounts | Rankings):
        return data, ()
    assumed: tuple[str, ...] = ()
    if not isinstance(data, Records):
        said, assumed = _description(data, description)
        if said.layout in ("pairs", "arena"):
            found = read_votes(data, said, columns)
            return found.votes, (*assumed, *found.notes)
        from penchant.data.readers.read import read

        data = read(data, said).records
    kinds = set(data.kinds[np.unique(data.kind_codes)])
    if kinds <= {"ranking", "best_worst"}:
        return rankings_from_records(data), assumed
    if kinds and kinds <= RATED_KINDS:
        if columns.covariates or columns.context:
            raise ConfigError(
                "covariates and contexts belong to votes between two items, but the data are "
                "ratings of one at a time; expected none of them. Make votes of the ratings "
                "yourself (`votes_from_ratings`) and add the columns."
            )
        return votes_from_ratings(data), (*assumed, *rated_notes(data))
    return votes_from_records(data, columns), assumed


def differ_by_blanks(items: Sequence[str]) -> tuple[str, ...]:
    """What to say of items that are two by nothing but blanks around their names; nothing of none.

    They are kept apart all the same: names are the user's.
    """
    bare = [name.strip() for name in items]
    if len(set(bare)) == len(bare):
        return ()
    alike = Counter(bare)
    first = next(name for name in bare if alike[name] > 1)
    shown = ", ".join(repr(n) for n, b in zip(items, bare, strict=True) if b == first)
    many = sum(count for count in alike.values() if count > 1)
    return (
        f"{shown} differ by nothing but blanks, and count as different items ({many:,} of "
        f"{len(items):,} names are like this). If they are one, take the blanks out of the file.",
    )


def _description(
    data: Any, description: Description | str | Path | None
) -> tuple[Description, tuple[str, ...]]:
    """The description, and what a guess of it took for granted."""
    from penchant.data import description as schema

    if isinstance(description, Description):
        return description, ()
    if description is not None:
        return schema.load(description), ()
    from penchant.data.guess import guess

    found = guess(data)
    found = found.by_judges or found
    return found.description, found.assumed
