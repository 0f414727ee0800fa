"""Pairs that other feedback implies: one person rated, ranked or counted one text above another.

Legend: B observations, N options over all menus, I implied pairs, V options with a verdict.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import combine_codes, to_floats
from penchant.data.records import RESERVED_OPTIONS, Records
from penchant.numerics.arrays import Array

# The column of each kind of feedback whose larger entries are better within one person, and
# whether a menu's options are compared among themselves (else a person's answers are).
_VERDICTS = {
    "ranking": ("rank", True),
    "rating": ("level", False),
    "outcome": ("value", False),
}
_ANSWER_COLUMNS = tuple(name for name in RESERVED_OPTIONS if name not in ("option", "text"))


@dataclass(frozen=True, kw_only=True, eq=False)
class ImpliedPairs:
    """line: of both options in the records' `options`; row: the observation of the first;
    outcome: 0 where the first is better, 1 where the second is."""

    line: Int[Array, "I 2"]
    row: Int[Array, " I"]
    outcome: Int[Array, " I"]

    def __len__(self) -> int:
        return len(self.row)


def implied_pairs(
    records: Records, *, within: Int[Array, " B"] | None = None, seed: int = 0
) -> ImpliedPairs:
    """Pairs of texts of which one person said, in whatever words, that one is better.

    A person's offset and the stretch of their scale say nothing of which of their own two ratings
    is higher (conditioning on the person; Chamberlain 1980), so that ratings of 1 to 5 by lenient
    and strict people become pairs alike. Of each ranking, and of each person's ratings or numbers
    (those with one code in `within`, where it is given), the texts stand in a ring in random order
    and each is compared with the next; equal ones say nothing and are left out. A ring of n texts
    keeps the number of pairs at n, not n^2 / 2 that all rest on the same n answers.
    """
    part = np.zeros(len(records), dtype=np.int64) if within is None else within
    unit, verdict, line = _verdicts(records, part)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(line)), unit))
    unit, verdict, line = unit[order], verdict[order], line[order]
    start = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]]) if len(unit) else np.zeros(0, int)
    size = np.diff(np.r_[start, len(unit)])
    following = np.arange(1, len(unit) + 1)
    # The last of a ring meets the first again; two texts are compared once, not both ways round.
    following[start + size - 1] = start
    kept = (verdict != verdict[following]) & (np.repeat(size, size) > 1)
    kept[(start + size - 1)[size == 2]] = False
    first, second = np.flatnonzero(kept), following[kept]
    both = np.column_stack([line[first], line[second]]).reshape(-1, 2)
    return ImpliedPairs(
        line=both, row=records.row_of_option[both[:, 0]],
        outcome=(verdict[second] > verdict[first]).astype(np.int64),
    )  # fmt: skip


def as_pairs(records: Records, pairs: ImpliedPairs) -> Records:
    """The pairs as records of their own: the texts of both sides, what was known of the first's
    observation, and the outcome. The answers that they were read from stay behind."""
    rows = records.rows.take(pa.array(pairs.row)).drop_columns(
        [name for name in ("chosen", "worst", "best", "grade", "outcome", "kind")
         if name in records.rows.column_names]
    )  # fmt: skip
    rows = rows.append_column("kind", pa.array(["pair"] * len(pairs), pa.string()))
    rows = rows.append_column("outcome", pa.array(pairs.outcome))
    options = records.options.take(pa.array(pairs.line.ravel())).drop_columns(
        [name for name in _ANSWER_COLUMNS if name in records.options.column_names]
    )
    return Records(
        rows=rows, options=options, offsets=2 * np.arange(len(pairs) + 1),
        roles={k: v for k, v in records.roles.items()
               if k in rows.column_names or k in options.column_names},
        notes=records.notes,
    ).normalised()  # fmt: skip


def _verdicts(
    records: Records, part: Int[Array, " B"]
) -> tuple[Int[Array, " V"], Float[Array, " V"], Int[Array, " V"]]:
    """Of every option that somebody judged: whose ring it is in, how good it is, and its line."""
    kinds = records.kinds[records.kind_codes] if len(records) else np.zeros(0, dtype=object)
    at = records.row_of_option
    whose = groups_of(records).of_row if records.num_people else np.zeros_like(part)
    person = combine_codes(whose, part)
    ring, kind_of = np.zeros(len(at), dtype=np.int64), np.zeros(len(at), dtype=np.int64)
    verdict = np.full(len(at), np.nan)
    for place, (kind, (column, is_whole_menu)) in enumerate(_VERDICTS.items()):
        mine = (kinds == kind)[at]
        if not mine.any():
            continue
        told = to_floats(records.options[column])
        if kind == "ranking":
            # Rank 1 is best; what is not ranked is worse than all that is.
            told = np.where(told > 0, -told, -np.inf)
        elif kind == "rating":
            told = np.where(told < 0, np.nan, told)
        verdict[mine], kind_of[mine] = told[mine], place
        ring[mine] = at[mine] if is_whole_menu else person[at[mine]]
    line = np.flatnonzero(~np.isnan(verdict))
    return combine_codes(ring, kind_of)[line], verdict[line], line
