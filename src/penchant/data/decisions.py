"""Logged decisions as arrays: what was taken of each menu, how likely that was, what it earned.

Legend: B rounds, N options over all menus.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from penchant.data.columns import ragged_arange, to_codes, to_floats
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array

_ANSWER = {"binary": "success", "outcome": "value"}
# Propensities are often logged in single precision.
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Decisions:
    """Rounds whose action and reward are known, one action each.

    records: of these rounds. taken: the line of `records.options` that was taken. propensities: of
    all lines, NaN where not logged. cluster: whose round it is, from 0 (each its own where nobody
    is named). notes: what was left out. log: the records as they were given, where these are not.
    """

    records: Records
    taken: Int[Array, " B"]
    reward: Float[Array, " B"]
    propensities: Float[Array, " N"]
    cluster: Int[Array, " B"]
    weight: Float[Array, " B"]
    notes: tuple[str, ...] = ()
    log: Records | None = None

    def __len__(self) -> int:
        return len(self.taken)

    @property
    def propensity(self) -> Float[Array, " B"]:
        """Of the action taken."""
        return self.propensities[self.taken]

    @property
    def is_binary(self) -> bool:
        return bool(np.isin(self.reward, (0.0, 1.0)).all())

    @property
    def reward_kind(self) -> str:
        """What rewards were declared to be: "binary" for 0 and 1, "outcome" for any number."""
        return str(self.records.kinds[self.records.kind_codes[0]])

    @property
    def num_clusters(self) -> int:
        return int(self.cluster.max(initial=-1)) + 1

    @cached_property
    def has_whole_menus(self) -> bool:
        """Whether what else could have been taken is in the log."""
        return bool((self.records.menu_sizes > 1).any())

    @cached_property
    def has_whole_propensities(self) -> bool:
        """Whether every round's propensities are there and add up to 1."""
        if np.isnan(self.propensities).any():
            return False
        total = self.total(self.propensities)
        return bool(np.allclose(total, 1.0, atol=_SUM_TOLERANCE))

    def total(self, values: Float[Array, " N"]) -> Float[Array, " B"]:
        """Sums over each menu."""
        return np.add.reduceat(values, self.records.offsets[:-1])

    @cached_property
    def only_taken(self) -> Records:
        """The same rounds with menus of the one action taken."""
        records = self.records
        return Records(
            rows=records.rows, options=records.options.take(pa.array(self.taken)),
            offsets=np.arange(len(self) + 1), roles=records.roles, notes=records.notes,
        )  # fmt: skip


def decisions_of(records: Records) -> Decisions:
    """The rounds of a log whose action and reward are known.

    The action taken is the option with a reward (`success` or `value`). Raises DataError for
    feedback of another kind, for rounds with several rewards, and for a propensity that is no
    probability.
    """
    kinds = sorted(set(records.kinds[np.unique(records.kind_codes)].tolist()))
    if len(kinds) != 1 or kinds[0] not in _ANSWER:
        raise DataError(
            f"the log holds feedback of kind {', '.join(kinds) or 'none'}; expected the rewards of "
            "decisions (binary or outcome). Picks, rankings and comparisons among what was shown "
            "are judged by `evaluate_slates(slates_of(records), ...)`, as `penchant ope` does."
        )
    answer = to_floats(records.options[_ANSWER[kinds[0]]])
    given = ~np.isnan(answer)
    count = np.bincount(records.row_of_option[given], minlength=len(records))
    if (count > 1).any():
        row = int(np.argmax(count > 1))
        raise DataError(
            f"round {row} has {int(count[row])} rewards ({int((count > 1).sum())} of "
            f"{len(records)} are like this); expected one action a round. Slates with a reward for "
            "each place are judged by `evaluate_slates(slates_of(records), ...)`, as `penchant "
            "ope` does."
        )
    if not count.any():
        raise DataError(
            "no round of the log has a reward; expected one for the action taken. Name its column "
            "under [answer] in the description."
        )
    notes, log = [], records
    if not count.all():
        notes.append(f"{int((count == 0).sum()):,} rounds without a reward were left out")
        kept = np.flatnonzero(count == 1)
        records = records.take(kept)
        answer = to_floats(records.options[_ANSWER[kinds[0]]])
        given = ~np.isnan(answer)
    taken = np.flatnonzero(given)
    return Decisions(
        records=records, taken=taken, reward=answer[taken],
        propensities=propensities_of(records), cluster=clusters_of(records),
        weight=to_floats(records.rows["weight"]), notes=tuple(notes), log=log,
    )  # fmt: skip


def with_whole_menus(records: Records, by: str | None = None) -> Records:
    """A log of the options shown only, with every option of the log on each menu.

    by: a column of rows (a campaign, a placement) within whose values options are on offer
    together. An option's features are those of its first appearance, which is right where they do
    not change; the propensity of what was not taken stays unknown.
    """
    if len(records) != records.options.num_rows:
        raise DataError(
            "menus were to be completed with all options of the log, but some hold several options "
            "already; expected one option a round. Leave --menu out."
        )
    code, names = to_codes(records.options["option"])
    place = np.zeros(len(records), dtype=np.int64)
    if by is not None:
        if by not in records.rows.column_names:
            raise DataError(
                f"there is no column {by!r} to divide menus by; expected one of "
                f"{', '.join(records.rows.column_names)}."
            )
        place = to_codes(records.rows[by])[0]
    pair, first = np.unique(place * len(names) + code, return_index=True)
    starts = np.searchsorted(pair // len(names), np.arange(place.max() + 2))
    sizes = np.diff(starts)[place]
    member = ragged_arange(starts[place], sizes)
    line = first[member]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    row = np.repeat(np.arange(len(records)), sizes)
    is_taken = pair[member] % len(names) == code[row]
    line[is_taken] = row[is_taken]
    options = records.options.take(pa.array(line))
    for name in ("success", "value", "propensity", "position"):
        if name in options.column_names:
            column = options[name].combine_chunks()
            blank = pa.array(np.zeros(len(column)), mask=~is_taken).cast(column.type)
            masked = _where(is_taken, column, blank)
            options = options.set_column(options.column_names.index(name), name, masked)
    return Records(
        rows=records.rows, options=options, offsets=offsets, roles=records.roles,
        notes=(*records.notes, "every option of the log stands on each menu"),
    )  # fmt: skip


def _where(keep: Bool[Array, " N"], column: Any, blank: Any) -> Any:
    import pyarrow.compute as pc

    return pc.if_else(pa.array(keep), column, blank)


def propensities_of(records: Records) -> Float[Array, " N"]:
    """As logged, NaN where not. Raises DataError for one that is no probability."""
    if "propensity" not in records.options.column_names:
        return np.full(records.options.num_rows, np.nan)
    found = to_floats(records.options["propensity"])
    bad = (found < 0) | (found > 1 + _SUM_TOLERANCE)
    if bad.any():
        line = int(np.argmax(bad))
        raise DataError(
            f"the propensity of option {line} (round {int(records.row_of_option[line])}) is "
            f"{found[line]:.6g} ({int(bad.sum())} are like this); expected a probability. Log the "
            "policy's own probability of each action."
        )
    return found


def clusters_of(records: Records) -> Int[Array, " B"]:
    """Whose round it is, from 0; each its own where nobody is named."""
    codes, values = to_codes(records.rows["person"])
    alone = codes < 0
    codes = codes.astype(np.int64, copy=True)
    codes[alone] = len(values) + np.arange(int(alone.sum()))
    return np.unique(codes, return_inverse=True)[1]
