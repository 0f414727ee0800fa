"""Ratings as votes: every two items that one person rated are compared by that person.

Legend: E ratings, sorted by person; B votes.
"""

import numpy as np

from penchant.data.columns import to_codes, to_floats
from penchant.data.readers.source import TURNED
from penchant.data.records import Records
from penchant.data.votes import Votes
from penchant.errors import DataError

# Which column of the options holds the answer to each.
ANSWER_OF = {"rating": "level", "approval": "approved", "binary": "success", "outcome": "value"}
RATED_KINDS = frozenset(ANSWER_OF)
_HIGH_NOTE = (
    "High ratings are read as good. Where low ones are, as with school grades or ranks, the order "
    "here is upside down: say so (`low_is_good = true` under [answer]; --low-is-good of `penchant "
    "rank`)."
)
_LOW_NOTE = "Low ratings are read as good, as was asked for."
_PAIRS_NOTE = (
    "Of every two items that one person rated the one rated {better} wins, equal ratings are a "
    "tie; many votes of one person are one person's opinion."
)
# 1.5 GB of votes; a few people who rated thousands of items make more than all others.
_MOST_VOTES = 40_000_000


def is_low_good(records: Records) -> bool:
    """Whether answers were turned round on reading, since low ones are good."""
    return any(note.startswith(TURNED) for note in records.notes)


def rated_notes(records: Records) -> tuple[str, ...]:
    """What a reader of votes out of ratings must know: which end is good, and what a vote is."""
    if is_low_good(records):
        return _LOW_NOTE, _PAIRS_NOTE.format(better="lower")
    return _HIGH_NOTE, _PAIRS_NOTE.format(better="higher")


def votes_from_ratings(records: Records) -> Votes:
    """A vote for every two items that one person rated; the higher rating wins, equal ones tie.

    Only the order within a person counts: people need not use a scale alike. A person with m
    ratings casts m (m - 1) / 2 votes, which are no independent ones, so that voters are kept. A
    vote weighs the mean of its two lines. Who rated a single item, or the same one twice, says
    nothing by it. Raises DataError for other kinds, ratings by nobody known, or none to compare.
    """
    kinds = {str(kind) for kind in records.kinds[np.unique(records.kind_codes)]}
    if len(kinds) != 1 or not kinds <= RATED_KINDS:
        raise DataError(
            f"the records hold feedback of kind {', '.join(sorted(kinds))}; expected ratings of "
            "one option at a time, of one kind. Keep the lines of one kind."
        )
    rows = records.rows
    if "person" not in rows.column_names or rows["person"].null_count == len(records):
        raise DataError(
            "these ratings do not say who gave them; expected a person for each, whose ratings are "
            "compared with one another. Name the column as `person` under [rows], or --voter."
        )
    rating = to_floats(records.options[ANSWER_OF[kinds.pop()]])
    person, voters = to_codes(rows["person"])
    voter = person[records.row_of_option]
    item, items = to_codes(records.options["option"])
    given = np.flatnonzero(~np.isnan(rating) & (voter >= 0) & (item >= 0))
    order = given[np.argsort(voter[given], kind="stable")]
    first, second = _every_two(voter[order])
    first, second = order[first], order[second]
    differ = item[first] != item[second]
    first, second = first[differ], second[differ]
    if not len(first):
        raise DataError(
            f"nobody among {len(voters)} people rated two different items; expected people with "
            "several ratings each, since only these can be compared."
        )
    weight = to_floats(rows["weight"])[records.row_of_option]
    return Votes(
        items=tuple(map(str, items)), voters=tuple(map(str, voters)), voter=voter[first],
        first=item[first].astype(np.int32), second=item[second].astype(np.int32),
        share=np.where(rating[first] > rating[second], 1.0, 0.0),
        tie=rating[first] == rating[second], weight=0.5 * (weight[first] + weight[second]),
    )  # fmt: skip


def _every_two(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of every two entries of one group; groups lie one after the other."""
    size = np.bincount(group)[group] if len(group) else group
    begin = np.flatnonzero(np.diff(group, prepend=-1))
    place = np.arange(len(group)) - np.repeat(begin, np.diff(np.append(begin, len(group))))
    behind = size - 1 - place
    total = int(behind.sum())
    if total > _MOST_VOTES:
        raise DataError(
            f"these ratings make {total:,} votes, a vote for every two of a person; expected at "
            f"most {_MOST_VOTES:,}. Keep fewer people, or fewer ratings of those with most."
        )
    first = np.repeat(np.arange(len(group)), behind)
    nth = np.arange(total) - np.repeat(np.cumsum(behind) - behind, behind)
    return first, first + 1 + nth
