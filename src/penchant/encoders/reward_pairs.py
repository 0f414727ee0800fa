"""Judged pairs of texts as arrays: which two texts, who won, and by how much they have to.

Legend: B observations or pairs, C some of them.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from penchant.data.columns import one_chunk, to_floats, to_ints
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded, Embedding
from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of texts: `first` and `second` point into the distinct texts; outcome 0 first won, 1
    second won, 2 tie, -1 nobody answered. row: the observation of each, None where they are one
    each, in order."""

    embedded: Embedded
    first: Int[Array, " B"]
    second: Int[Array, " B"]
    outcome: Int[Array, " B"]
    weight: Float[Array, " B"]
    row: Int[Array, " B"] | None = None


def pair_rows(records: Records) -> Bool[Array, " B"]:
    """Which observations compare two texts.

    An edit counts as one: the edited text against the proposal. A choice between two does too.
    """
    kinds = records.kinds[records.kind_codes] if len(records) else np.zeros(0, dtype=object)
    return np.isin(kinds, ("pair", "edit", "choice")) & (records.menu_sizes == 2)


def read_pairs(records: Records, embedding: Embedding) -> Pairs:
    """The pairs of the records. Raises `DataError` where an observation is no pair of two texts."""
    is_pair = pair_rows(records)
    if not is_pair.all():
        row = int(np.argmax(~is_pair))
        raise DataError(
            f"observation {row} is of kind {records.kinds[records.kind_codes[row]]!r} with "
            f"{int(records.menu_sizes[row])} texts ({int((~is_pair).sum())} of {len(records)} are "
            "no pairs); expected pairs, edits or choices between two texts. Keep only these here; "
            "other feedback can be learned from, not judged."
        )
    return pairs_at(records, embedding.embed(records), np.arange(len(records)))


def pair_outcomes(records: Records) -> Int[Array, " B"]:
    """Of a pair: 0 where the first won, 1 where the second did, 2 for a tie; else -1."""
    kinds = records.kinds[records.kind_codes] if len(records) else np.zeros(0, dtype=object)
    outcome = np.full(len(records), -1, dtype=np.int64)
    for name, of_kinds in (("outcome", ("pair",)), ("chosen", ("choice", "edit"))):
        mine = np.isin(kinds, of_kinds) & (records.menu_sizes == 2)
        if mine.any():
            outcome[mine] = to_ints(records.rows[name], missing=-1)[mine]
    return outcome


def pair_margins(records: Records, column: str) -> Float[Array, " B"]:
    """By how many logits the winner of each pair has to win, from a column of the rows; 0 where it
    is empty, as for ties.

    Raises `DataError` without such a column, for other feedback than pairs, for numbers that are
    not finite and for a tie with a margin.
    """
    if column not in records.rows.column_names:
        raise DataError(
            f"the rows have no column {column!r} of margins; they have "
            f"{', '.join(records.rows.column_names)}."
        )
    is_pair = pair_rows(records)
    if not is_pair.all():
        raise DataError(
            f"{int((~is_pair).sum())} of the {len(records)} observations are no pairs; a margin is "
            f"of who won a pair. Keep only pairs, or leave out the margins of {column!r}."
        )
    given = one_chunk(records.rows[column])
    margin = to_floats(records.rows[column])
    stated = ~np.asarray(pc.is_null(given))
    outcome = pair_outcomes(records)
    for bad, what, mend in (
        (stated & ~np.isfinite(margin), "is no finite number", "Write a number, or leave it empty"),
        ((outcome == 2) & stated & (margin != 0), "is of a tie", "Nobody won: write 0"),
    ):
        if bad.any():
            row = int(np.argmax(bad))
            raise DataError(
                f"the margin of observation {row}, {margin[row]:g}, {what} ({int(bad.sum())} of "
                f"{len(records)} are like this); expected the logits by which the winner has to "
                f"win. {mend}."
            )
    return np.where(stated, margin, 0.0)


def pairs_at(records: Records, embedded: Embedded, rows: Int[Array, " C"]) -> Pairs:
    """The pairs at these places of records whose texts are embedded already."""
    places = records.offsets[:-1][rows]
    return Pairs(
        embedded=embedded,
        first=embedded.of_option[places],
        second=embedded.of_option[places + 1],
        outcome=pair_outcomes(records)[rows],
        weight=to_floats(records.rows["weight"])[rows],
    )
