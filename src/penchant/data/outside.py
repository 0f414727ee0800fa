"""The outside option: "none of these" as an option that has a name and no features.

Legend: B observations, N options over all menus.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import from_codes, ints_with_nulls, to_codes, to_ints
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array


def with_outside_option(
    records: Records, name: str = "none", *, nobody_means_taken: bool = True
) -> Records:
    """The records with the outside option at the end of every menu.

    Its features are null, and encoders give it zeros: its utility is 0, or the constant that the
    formula names (`option[none]`). An observation without a chosen option has taken it, unless
    `nobody_means_taken` is False: then nobody has answered yet. Records that list an option of
    this name already keep their menus; it only becomes the outside option.

    Raises `DataError` for feedback other than choices, or records with an outside option.
    """
    if records.outside_option is not None:
        raise DataError(
            f"the records have the outside option {records.outside_option!r} already; expected "
            "none yet. Leave the second one out."
        )
    others = sorted({str(k) for k in records.kinds[np.unique(records.kind_codes)]} - {"choice"})
    if others:
        raise DataError(
            f"the records hold feedback of kind {others[0]!r}; expected choices only, since an "
            "outside option is what is taken where nothing on the menu is chosen. Leave "
            "`outside_option` out of the description."
        )
    marked = replace(records, outside_option=name)
    if not marked.is_outside.any():
        marked = replace(_appended(records, name), outside_option=name)
    records = marked
    chosen = to_ints(records.rows["chosen"], missing=-1)
    missing = chosen < 0
    note = f"{name!r} is the outside option of every menu: worth 0, or a constant of its own"
    if nobody_means_taken:
        place = _place_of_outside(records)
        absent = missing & (place < 0)
        if absent.any():
            raise DataError(
                f"observation {int(np.argmax(absent))} chose nothing, and the outside option "
                f"{name!r} is not on its menu ({int(absent.sum())} of {len(absent)} are like "
                "this); expected it on every menu where nothing was chosen. Add its line, or "
                "give it a name that no line has: it is then added everywhere."
            )
        chosen = np.where(missing, place, chosen)
        note += f"; {int(missing.sum())} of {len(chosen)} observations took it without saying so"
    return replace(
        records.with_columns(rows={"chosen": ints_with_nulls(chosen)}),
        notes=(*records.notes, note),
    )


def without_outside_option(records: Records) -> Records:
    """The menus without the outside option; who took it has chosen nothing."""
    if records.outside_option is None:
        return records
    inside, sizes = ~records.is_outside, np.zeros(len(records), dtype=np.int64)
    np.add.at(sizes, records.row_of_option[inside], 1)
    chosen, place = to_ints(records.rows["chosen"], missing=-1), _place_of_outside(records)
    took_it = (chosen == place) & (place >= 0)
    # Whoever stood behind the outside option moves up by one place.
    moved = np.where((place >= 0) & (chosen > place), chosen - 1, chosen)
    options = records.options.filter(pa.array(inside))
    codes, names = _used(options["option"])
    place_of_option = options.column_names.index("option")
    kept = replace(
        records,
        options=options.set_column(place_of_option, "option", from_codes(codes, names)),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        outside_option=None,
    )
    return kept.with_columns(rows={"chosen": ints_with_nulls(np.where(took_it, -1, moved))})


def _appended(records: Records, name: str) -> Records:
    num_rows, sizes = len(records), records.menu_sizes
    offsets = records.offsets + np.arange(num_rows + 1)
    last = offsets[1:] - 1
    inside = np.ones(int(offsets[-1]), dtype=bool)
    inside[last] = False
    line = np.full(len(inside), -1)
    line[inside] = np.arange(records.options.num_rows)
    options = records.options.take(pa.array(line, mask=~inside))
    codes, names = _used(options["option"])
    columns = {"option": from_codes(np.where(inside, codes, len(names)), [*names, name])}
    if "position" in options.column_names and options["position"].null_count <= num_rows:
        position = to_ints(options["position"], missing=0).copy()  # an Arrow view is read-only
        position[last] = sizes
        columns["position"] = pa.array(position)
    return replace(records, options=options, offsets=offsets).with_columns(options=columns)


def _used(column: Any) -> tuple[Array, list[str]]:
    """Codes and words of a column, without words that no line uses."""
    codes, words = to_codes(column)
    used = np.unique(codes[codes >= 0])
    new = np.full(len(words) + 1, -1, dtype=np.int64)
    new[used] = np.arange(len(used))
    return new[codes], [str(words[code]) for code in used]


def _place_of_outside(records: Records) -> Array:
    """[B] where on each menu the outside option stands; -1 where it does not."""
    place = np.full(len(records), -1, dtype=np.int64)
    lines = np.flatnonzero(records.is_outside)
    row = records.row_of_option[lines]
    place[row] = lines - records.offsets[row]
    return place
