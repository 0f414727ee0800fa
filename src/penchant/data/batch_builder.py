"""From records and features to the batch that the mathematics sees.

Legend: B observations, K options of a block, N options over all menus, D features, G groups,
Q group features.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import ANSWERS, Batch, Block
from penchant.data.columns import first_appearance, one_chunk, to_codes, to_floats, to_ints
from penchant.data.records import RESERVED_ROWS, Records
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """Which observations share a taste: names, the group of each row, each group's first row."""

    names: tuple[str, ...]
    of_row: Int[Array, " B"]
    first_row: Int[Array, " G"]


def groups_of(records: Records, group_by: str = "person") -> Groups:
    """Groups in order of first appearance.

    `group_by` is "row" (each its own group) or a column of `rows`, most often "person" or
    "situation". A row whose value is unknown is a group of its own, named after its number.
    """
    if group_by == "row":
        rows = np.arange(len(records))
        return Groups(names=tuple(f"row {row}" for row in rows), of_row=rows, first_row=rows)
    if group_by not in records.rows.column_names:
        raise ConfigError(
            f"observations cannot be grouped by {group_by!r}; expected 'row' or one of the columns "
            f"{', '.join(records.rows.column_names)}."
        )
    codes, values = to_codes(records.rows[group_by])
    unknown = np.flatnonzero(codes < 0)
    codes = codes.copy()
    codes[unknown] = len(values) + np.arange(len(unknown))
    of_row, first_row = first_appearance(codes)
    label = np.asarray([str(value) for value in values], dtype=object)
    code = codes[first_row]
    names = [
        label[c] if c < len(values) else f"row {row}"
        for c, row in zip(code.tolist(), first_row.tolist(), strict=True)
    ]
    return Groups(names=tuple(names), of_row=of_row, first_row=first_row)


def build_batch(
    records: Records,
    features: Float[Array, "N D"],
    feature_names: tuple[str, ...],
    group_features: Float[Array, "G Q"],
    group_feature_names: tuple[str, ...] = (),
    group_by: str = "person",
    rows: Int[Array, " C"] | None = None,
) -> Batch:
    """Observations blocked by kind of feedback and size of menu, padding below twofold.

    `features` has one line for every option of `records`, `group_features` one for every group of
    `groups_of(records, group_by)`. With `rows`, only these observations enter the batch (features
    stay those of all records), and groups without one of them are left out. The rows of a block
    are sorted by group, then by their place in the records. Observations that nobody has
    answered yet stay in: their answer is -1 (0 for a rank, NaN for a value), and the batch's
    notes count them.
    """
    if len(features) != records.options.num_rows:
        raise DataError(
            f"features have {len(features)} lines; expected {records.options.num_rows}, one for "
            "every option shown in the records. Encode the same records that you pass."
        )
    groups = groups_of(records, group_by)
    of_row, names = groups.of_row, np.asarray(groups.names, dtype=object)
    wanted = np.arange(len(records)) if rows is None else np.sort(np.asarray(rows))
    if rows is not None:
        present, new = np.unique(of_row[wanted], return_inverse=True)
        of_row = np.full(len(records), -1, dtype=np.int64)
        of_row[wanted] = new
        names, group_features = names[present], group_features[present]
    option_codes, option_names = to_codes(records.options["option"])
    source = _Source(records, features, option_codes, of_row)
    blocks = []
    for kind_code, kind in enumerate(records.kinds):
        mine = wanted[records.kind_codes[wanted] == kind_code]
        for part in _by_menu_size(mine, records.menu_sizes):
            order = part[np.argsort(of_row[part], kind="stable")]
            blocks.append(source.block(str(kind), order))
    unanswered = sum(int((~is_answered(block)).sum()) for block in blocks)
    notes = records.notes
    if unanswered:
        notes = (*notes, f"{unanswered} of {len(wanted)} observations have no answer")
    return Batch(
        blocks=tuple(blocks),
        feature_names=tuple(feature_names),
        option_names=tuple(str(name) for name in option_names),
        group_names=tuple(names),
        group_features=group_features,
        group_feature_names=tuple(group_feature_names),
        num_rows=len(records),
        fingerprint=records.fingerprint,
        notes=notes,
        scale=records.scale,
    )


def with_option_names(batch: Batch, names: tuple[str, ...]) -> Batch:
    """The same batch with options numbered as in `names`; options that it lacks come after them.

    Two files list their options in different orders; whatever is kept for each option (its nest,
    its score) is kept by number.
    """
    fresh = tuple(name for name in batch.option_names if name not in names)
    every = (*names, *fresh)
    place = {name: index for index, name in enumerate(every)}
    # The -1 of padding picks the entry put at the end.
    new = np.array([*(place[name] for name in batch.option_names), -1], dtype=np.int64)
    if batch.option_names == every:
        return batch
    blocks = tuple(replace(block, option=new[block.option]) for block in batch.blocks)
    return replace(batch, blocks=blocks, option_names=every)


def is_answered(block: Block) -> Array:
    """[B] whether anybody answered: an observation without an answer can only be predicted."""
    name = ANSWERS[block.kind][0]
    values = block.answer[name]
    if name == "rank":
        return np.asarray((values > 0).any(axis=1))
    if name == "value":
        return np.asarray((np.isfinite(values) & block.offered).any(axis=1))
    if name in ("level", "success"):
        return np.asarray(((values >= 0) & block.offered).any(axis=1))
    if name == "approved":
        return np.ones(len(block), dtype=bool)
    return np.asarray(values >= 0)


def _by_menu_size(rows: Array, sizes: Array) -> list[Array]:
    """Rows parted so that within a part the largest menu is less than twice the smallest."""
    parts = []
    left = rows
    while len(left):
        largest = sizes[left].max()
        alike = 2 * sizes[left] > largest
        parts.append(left[alike])
        left = left[~alike]
    return parts


@dataclass(frozen=True, eq=False)
class _Source:
    records: Records
    features: Array
    option_codes: Array
    of_row: Array

    def block(self, kind: str, order: Array) -> Block:
        sizes = self.records.menu_sizes[order]
        width = int(sizes.max())
        start = self.records.offsets[:-1][order]
        offered = np.arange(width) < sizes[:, None]
        contiguous = bool(offered.all() and (np.diff(start) == width).all())
        lines = start[:, None] + np.arange(width)

        def spread(values: Array, fill: object) -> Array:
            """[N, ...] to [B, K, ...]: a view where the menus already lie one after the other."""
            if contiguous:
                whole = values[start[0] : start[0] + len(order) * width]
                return whole.reshape(len(order), width, *values.shape[1:])
            if offered.all():
                return values[lines]
            padded = values[np.minimum(lines, len(values) - 1)]
            padded[~offered] = fill
            return padded

        answers = ("chosen",) if kind == "edit" else ANSWERS[kind]
        return Block(
            kind="choice" if kind == "edit" else kind,
            features=spread(self.features, 0.0),
            offered=offered,
            option=spread(self.option_codes, -1),
            row=order,
            group=self.of_row[order],
            weight=to_floats(self.records.rows["weight"])[order],
            answer={name: self._answer(name, order, spread) for name in answers},
        )

    def _answer(self, name: str, order: Array, spread: Callable[[Array, object], Array]) -> Array:
        fill = 0 if name in ("rank", "approved") else -1
        if name in RESERVED_ROWS:
            return to_ints(self.records.rows[name])[order]
        column = one_chunk(self.records.options[name])
        if name == "value":
            return spread(to_floats(column), np.nan)
        values = to_ints(column, missing=fill)
        return spread(values.astype(bool) if name == "approved" else values, fill)
