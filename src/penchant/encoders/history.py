"""A person's earlier choices as features of the options they meet again.

Legend: B observations, N options over all menus, E earlier choices.
"""

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Int

from penchant.data.columns import one_chunk, to_codes, to_ints
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


def with_past_shares(
    records: Records, history: Records | None = None, strength: float = 1.0
) -> Records:
    """The records with how often each person has chosen each option before.

    New columns: `past_choices` of rows, the number n of the person's earlier choices, and
    `past_share` of options, (n_option + strength / K) / (n + strength) with K the size of the menu:
    the share of the earlier choices that went to an option of this name, drawn towards an even
    share as if `strength` more choices had been even.

    Only the past counts. Without `history`, that is what the same person answered in `records`
    strictly before, by the column `time` where it is complete, else by the order of the rows. With
    `history`, it is every choice there and none of `records`, whose answers need not be known.

    Raises ConfigError if strength is not above 0.
    """
    if not strength > 0:
        raise ConfigError(
            f"strength = {strength}; expected a number above 0, in choices. With 1 a new person's "
            "shares are even."
        )
    past = records if history is None else history
    names: dict[str, int] = {}
    people: dict[str, int] = {}
    past_person = _shared_codes(past.rows["person"], people)
    past_option = _shared_codes(past.options["option"], names)
    person = _shared_codes(records.rows["person"], people)
    option = _shared_codes(records.options["option"], names)
    moment = np.ones(len(records), np.int64) if history is not None else _moments(records)
    past_moment = np.zeros(len(past), np.int64) if history is not None else moment

    made = _has_chosen(past) & (past_person >= 0)
    chosen = _option_chosen(past, past_option, made)
    size = records.menu_sizes
    total = _earlier(past_person[made], past_moment[made], person, moment)
    key = np.where(chosen >= 0, past_person * len(names) + chosen, -1)
    sought = np.repeat(person, size) * len(names) + option
    sought = np.where((np.repeat(person, size) >= 0) & (option >= 0), sought, -2)
    counted = made & (chosen >= 0)
    same = _earlier(key[counted], past_moment[counted], sought, np.repeat(moment, size))
    share = (same + strength / np.repeat(size, size)) / (np.repeat(total, size) + strength)
    return records.with_columns(
        rows={"past_choices": total.astype(np.float64)}, options={"past_share": share}
    )


def _earlier(
    keys: Int[Array, " E"],
    moments: Int[Array, " E"],
    sought: Int[Array, " N"],
    before: Int[Array, " N"],
) -> Int[Array, " N"]:
    """How many events have the sought key and a smaller moment."""
    # Keys and moments in one integer, sorted: a key's events lie together, the earliest first.
    span = int(max(moments.max(initial=0), before.max(initial=0))) + 1
    events = np.sort(keys * span + moments)
    # Unknown people and options have negative keys, below every event: nothing is found for them.
    return np.searchsorted(events, sought * span + before) - np.searchsorted(events, sought * span)


def _shared_codes(column: Array, known: dict[str, int]) -> Int[Array, " R"]:
    """Codes that mean the same name in several tables; -1 for missing."""
    codes, values = to_codes(column)
    place = [known.setdefault(str(value), len(known)) for value in values]
    return np.array([*place, -1])[codes]


def _moments(records: Records) -> Int[Array, " B"]:
    """Places in time, equal where times are equal."""
    if "time" in records.rows.column_names and not records.rows["time"].null_count:
        time = one_chunk(records.rows["time"])
        return np.asarray(pc.rank(time, sort_keys="ascending", tiebreaker="dense")).astype(np.int64)
    return np.arange(len(records))


def _chosen(records: Records) -> Int[Array, " B"]:
    return to_ints(records.rows["chosen"], missing=-1)


def _has_chosen(records: Records) -> Array:
    if "chosen" not in records.rows.column_names:
        return np.zeros(len(records), dtype=bool)
    is_choice = np.isin(records.kinds[records.kind_codes], ["choice", "edit"])
    return is_choice & (_chosen(records) >= 0)


def _option_chosen(records: Records, option: Array, made: Array) -> Int[Array, " B"]:
    """The name code of the option each observation chose, -1 where it chose none."""
    chosen = np.full(len(records), -1, dtype=np.int64)
    rows = np.flatnonzero(made)
    if len(rows):
        chosen[rows] = option[records.offsets[:-1][rows] + _chosen(records)[rows]]
    return chosen
