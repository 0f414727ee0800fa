"""What a leaderboard is made of: votes, counts or rankings, out of whatever holds them."""

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
            return read_votes(data, said, columns).votes, assumed
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
