"""Judged pairs of texts as arrays: which two texts, and who won.

Legend: B observations or pairs, C some of them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.columns import to_floats, to_ints
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
