"""PrefLib's files of rankings (soc, soi, toc, toi), read and written.

Complete or incomplete, with or without ties; format of Mattei & Walsh 2013, version of 2022: lines
`# KEY: value`, then `count: 3,1,{2,4}` with the best first and ties in braces.

Legend: B distinct orders of a file, K alternatives, N places over all orders.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import from_codes, ints_with_nulls, to_codes, to_floats, to_ints
from penchant.data.readers.source import BadLines
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array

ENDINGS = (".soc", ".soi", ".toc", ".toi")


@dataclass(frozen=True, kw_only=True, eq=False)
class Orders:
    """Records of a PrefLib file, and its bad lines."""

    records: Records
    bad: BadLines
    lines: pa.Table


def read_orders(path: str | Path, raises: bool = True) -> Orders:
    """One observation for each distinct order, its weight the number of voters who gave it.

    Every alternative is on every menu; one that an order leaves out is not ranked.
    """
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name} cannot be read ({error}); expected a PrefLib file in UTF-8. Check the path, "
            "or convert the file."
        ) from None
    lines = pa.array(text.splitlines(), pa.string())
    head = pc.starts_with(lines, "#")
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(lines)), 0)
    title, alternatives = _header(lines.filter(head).to_pylist(), name)
    body = pc.invert(pc.or_(head, blank))
    number, orders = np.flatnonzero(np.asarray(body)), lines.filter(body)
    bad = BadLines(name=name, line=number + 1, raises=raises)
    count, rank = _parse(orders, len(alternatives), bad)
    keep = ~bad.bad
    shape = rank[keep].shape
    codes = np.broadcast_to(np.arange(len(alternatives)), shape).reshape(-1)
    rows = pa.table({
        "kind": from_codes(np.zeros(shape[0], dtype=np.int64), ["ranking"]),
        "weight": pa.array(count[keep].astype(np.float64)),
        "source": from_codes(np.zeros(shape[0], dtype=np.int64), [title]),
    })  # fmt: skip
    options = pa.table({
        "option": from_codes(codes, alternatives),
        "rank": ints_with_nulls(rank[keep].reshape(-1), missing=0),
    })  # fmt: skip
    records = Records(
        rows=rows,
        options=options,
        offsets=np.arange(shape[0] + 1) * len(alternatives),
        notes=("the weight of an order is the number of voters who gave it",),
    ).normalised()
    return Orders(records=records, bad=bad, lines=pa.table({"line": orders}))


def _header(lines: list[str], name: str) -> tuple[str, list[str]]:
    fields = {}
    for line in lines:
        key, _, value = line.lstrip("# ").partition(":")
        fields[key.strip().upper()] = value.strip()
    try:
        count = int(fields["NUMBER ALTERNATIVES"])
    except (KeyError, ValueError):
        raise DataError(
            f"{name} has no line `# NUMBER ALTERNATIVES: n`; expected the PrefLib format of 2022 "
            "with a header of lines `# KEY: value`. Download the current version of the file."
        ) from None
    names = [fields.get(f"ALTERNATIVE NAME {i}", str(i)) for i in range(1, count + 1)]
    if len(set(names)) < count:
        names = [f"{text} ({i})" for i, text in enumerate(names, start=1)]
    return fields.get("TITLE", name), names


def _parse(orders: Any, num_alternatives: int, bad: BadLines) -> tuple[Array, Array]:
    """The count [B] and the ranks [B, K] of every line, 0 for what is not ranked."""
    shaped = pc.match_substring_regex(orders, r"^\s*\d+\s*:\s*[\d,{}\s]+$")
    expected = "`count: 3,1,{2,4}` with the numbers of alternatives, best first"
    bad.add(~np.asarray(shaped), "the order", orders, expected, "correct the line")
    fine = pc.if_else(shaped, orders, "0: 1")
    parts = pc.extract_regex(fine, r"^\s*(?P<count>\d+)\s*:\s*(?P<order>.*)$")
    count = np.asarray(pc.cast(parts.field("count"), pa.int64()))
    lists = pc.split_pattern(parts.field("order"), ",")
    line = np.repeat(np.arange(len(orders)), np.asarray(pc.list_value_length(lists)))
    tokens = pc.utf8_trim_whitespace(pc.list_flatten(lists))
    opens = np.asarray(pc.starts_with(tokens, "{"))
    closes = np.asarray(pc.ends_with(tokens, "}"))
    digits = pc.utf8_trim(tokens, "{} ")
    readable = pc.match_substring_regex(digits, r"^\d+$")
    option = to_ints(pc.cast(pc.if_else(readable, digits, "0"), pa.int64())) - 1
    depth = np.cumsum(opens.astype(np.int64) - closes)
    inside = (depth - opens + closes > 0) & ~opens
    crooked = (option < 0) | (option >= num_alternatives)
    crooked |= (depth < 0) | (depth > 1)
    # A brace must close on its own line.
    last = np.flatnonzero(np.diff(line, append=-1))
    crooked[last] |= depth[last] != 0
    bad.add(_any(crooked, line, len(orders)), "the order", orders,
            f"alternatives from 1 to {num_alternatives} and closed braces",
            "correct the line")  # fmt: skip
    option = np.clip(option, 0, num_alternatives - 1)
    repeated = np.bincount(
        line * num_alternatives + option, minlength=len(orders) * num_alternatives
    ).reshape(len(orders), num_alternatives)
    bad.add((repeated > 1).any(axis=1), "the order", orders, "every alternative at most once",
            "correct the line")  # fmt: skip
    begins = np.cumsum(~inside)
    first = np.flatnonzero(np.diff(line, prepend=-1))
    place = begins - np.repeat(begins[first], np.diff(np.append(first, len(line)))) + 1
    rank = np.zeros((len(orders), num_alternatives), dtype=np.int64)
    rank[line, option] = place
    return count, rank


def _any(mask: Array, line: Array, count: int) -> Array:
    return np.bincount(line[mask], minlength=count) > 0


def write_orders(records: Records, path: str | Path, title: str = "") -> Path:
    """Rankings as a PrefLib file; an ending .soc, .soi, .toc or .toi is added if there is none.

    Equal orders are counted together. Raises DataError if the records are no rankings, menus
    differ, weights are no whole numbers, or the file's ending promises what the data do not keep.
    """
    names, rank, count = _rank_matrix(records)
    complete = bool((rank > 0).all())
    tied = bool(_has_ties(rank).any())
    fitting = f".{'to' if tied else 'so'}{'c' if complete else 'i'}"
    target = Path(path)
    if target.suffix not in ENDINGS:
        target = target.with_name(target.name + fitting)
    promise = target.suffix
    if (promise[1] == "s" and tied) or (promise[3] == "c" and not complete):
        raise DataError(
            f"{target.name} promises {'complete' if promise[3] == 'c' else 'any'} orders "
            f"{'without' if promise[1] == 's' else 'with'} ties; the rankings fit {fitting}. "
            f"Name the file with the ending {fitting}."
        )
    orders = _order_texts(rank)
    codes, texts = to_codes(orders)
    total = np.bincount(codes, weights=count, minlength=len(texts)).astype(np.int64)
    by_count = np.argsort(-total, kind="stable")
    head = [
        f"# FILE NAME: {target.name}", f"# TITLE: {title or target.stem}",
        f"# DATA TYPE: {promise[1:]}", f"# NUMBER ALTERNATIVES: {len(names)}",
        f"# NUMBER VOTERS: {int(total.sum())}", f"# NUMBER UNIQUE ORDERS: {len(texts)}",
        *(f"# ALTERNATIVE NAME {i}: {name}" for i, name in enumerate(names, start=1)),
    ]  # fmt: skip
    body = [f"{total[i]}: {texts[i]}" for i in by_count]
    target.write_text("\n".join([*head, *body]) + "\n", encoding="utf-8")
    return target


def _rank_matrix(records: Records) -> tuple[list[str], Array, Array]:
    if list(records.kinds) != ["ranking"]:
        raise DataError(
            f"the records hold feedback of kind {', '.join(map(str, records.kinds))}; expected "
            "rankings only. Write them as a long table instead."
        )
    codes, names = to_codes(records.options["option"])
    if (codes < 0).any():
        raise DataError("some options have no name; expected one for each. Name the options.")
    # An option that was not on a menu cannot be told from an unranked one in this format.
    rank = np.zeros((len(records), len(names)), dtype=np.int64)
    if (records.menu_sizes != len(names)).any():
        raise DataError(
            f"menus have from {int(records.menu_sizes.min())} to {int(records.menu_sizes.max())} "
            f"of {len(names)} options; expected all options on every menu, as PrefLib files have "
            "no menus. Write a long table instead."
        )
    rank[records.row_of_option, codes] = np.maximum(to_ints(records.options["rank"], 0), 0)
    count = to_floats(records.rows["weight"])
    if (count != np.floor(count)).any():
        raise DataError(
            f"weights such as {count[count != np.floor(count)][0]} are no counts of voters; "
            "expected whole numbers. Drop the weights or write a long table."
        )
    return [str(name) for name in names], rank, count


def _has_ties(rank: Array) -> Array:
    ordered = np.sort(rank, axis=1)
    return (np.diff(ordered, axis=1) == 0) & (ordered[:, 1:] > 0)


def _order_texts(rank: Array) -> Any:
    """Every row of ranks as PrefLib writes it: `3,1,{2,4}`."""
    behind = np.where(rank > 0, rank, np.iinfo(np.int64).max)
    order = np.argsort(behind, axis=1, kind="stable")
    ordered = np.take_along_axis(rank, order, axis=1)
    ranked = ordered > 0
    same_left = np.zeros_like(ranked)
    same_left[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & ranked[:, 1:]
    same_right = np.zeros_like(ranked)
    same_right[:, :-1] = same_left[:, 1:]
    prefix = np.where(same_right & ~same_left, "{", "")[ranked]
    suffix = np.where(same_left & ~same_right, "}", "")[ranked]
    number = pc.cast(pa.array((order + 1)[ranked]), pa.string())
    tokens = pc.binary_join_element_wise(
        pa.array(prefix.tolist(), pa.string()), number, pa.array(suffix.tolist(), pa.string()), ""
    )
    offsets = np.concatenate([[0], np.cumsum(ranked.sum(axis=1))]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), tokens), ",")
