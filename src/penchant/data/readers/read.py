"""From a file, a frame or a dataset to records: the one entry of every reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data import description as schema
from penchant.data.columns import is_number
from penchant.data.description import Description
from penchant.data.guess import guess_answered
from penchant.data.outside import with_outside_option
from penchant.data.readers import (
    chat,
    decision_log,
    dsjson,
    label_studio,
    long,
    menus,
    pairs,
    potato,
    preflib,
    ratings,
    vw,
    wide,
)
from penchant.data.readers.logged_events import LoggedEvents, words_may_be_missing
from penchant.data.readers.native import from_nested, is_nested
from penchant.data.readers.source import BadLines, Source, prepare
from penchant.data.readers.table import (
    Loaded,
    count_duplicates,
    load_table,
    repeated_sentences,
    write_aside,
)
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError

_LAYOUTS: Mapping[str, Callable[[Source], Records]] = {
    "long": long.to_records,
    "wide": wide.to_records,
    "pairs": pairs.to_records,
    "arena": pairs.arena,
    "trl": chat.to_records,
    "ratings": ratings.to_records,
    "rankings": menus.rankings,
    "best_worst": menus.best_worst,
    "decisions": decision_log.to_records,
}


_LOGS: Mapping[str, Callable[[str | Path, bool], LoggedEvents]] = {
    "vw": vw.read_vw,
    "dsjson": dsjson.read_dsjson,
    "label_studio": label_studio.read_label_studio,
    "potato": potato.read_potato,
}
# Whose bad lines are numbered with all lines of the file, not from the first below a header.
_WHOLE_FILES = ("preflib", *_LOGS)


@dataclass(frozen=True, kw_only=True)
class ReadReport:
    """What was read, in numbers and sentences.

    `notes` says what was dropped, changed or renamed; `warnings` what may be a mistake.
    """

    name: str
    lines: int
    observations: int
    options: int
    people: int
    quarantined: int
    duplicates: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadResult:
    """Records, the lines that were set aside (with row_number and reason), and the report."""

    records: Records
    quarantined: pa.Table | None
    report: ReadReport


def read(
    data: Any,
    description: Description | str | Path | None = None,
    *,
    on_bad_rows: str = "error",
    quarantine: str | Path | None = None,
) -> ReadResult:
    """Records from a path, a pandas DataFrame, an Arrow table or a Hugging Face dataset.

    `description` is a Description or the path of its TOML file; None guesses one. With
    `on_bad_rows` "error", the first line that cannot be used raises DataError with its number,
    what stands there, what was expected and the mend; with "quarantine" such lines are set aside,
    written to `quarantine` (Parquet, CSV or JSONL, by its ending) if it is given, and all others
    read. Lines with lists or messages cannot be CSV: they go to JSONL beside it.
    """
    if on_bad_rows not in ("error", "quarantine"):
        raise ConfigError(
            f'on_bad_rows is {on_bad_rows!r}; expected "error" (stop at the first) or "quarantine" '
            "(set bad lines aside)."
        )
    raises = on_bad_rows == "error"
    if description is None:
        kept = _kept(data)
        if kept is not None:
            return kept
    said, assumed = _description(data, description)
    if said.layout == "preflib":
        return _read_preflib(data, raises, quarantine)
    if said.layout in _LOGS:
        return _read_log(data, said.layout, raises, quarantine)
    loaded = load_table(data, said, raises)
    source = prepare(loaded.table, said, loaded.name, raises, loaded.header)
    records = _LAYOUTS[said.layout](source)
    records = replace(records, scale=source.scale)
    if said.outside_option is not None:
        # Without an answer column nobody has answered; with one, no answer is an answer.
        asked = said.answer is not None
        records = with_outside_option(records, said.outside_option, nobody_means_taken=asked)
        source.notes.append(records.notes[-1])
    return _finish(loaded, source, records, quarantine, assumed)


def _finish(
    loaded: Loaded,
    source: Source,
    records: Records,
    quarantine: str | Path | None,
    assumed: tuple[str, ...] = (),
) -> ReadResult:
    aside = _set_aside(loaded, source)
    if aside is not None and quarantine is not None:
        quarantine = write_aside(aside, quarantine)
    if not len(records):
        raise DataError(
            f"{loaded.name} leaves no observation to learn from ({loaded.table.num_rows} lines, "
            f"{int(source.bad.bad.sum())} of them bad); expected at least one. Correct the "
            "description or the file."
        )
    records.check(allow_missing=_allowed(records, source.description))
    report = _report(loaded, source, records, aside, quarantine)
    report = replace(report, warnings=(*assumed, *report.warnings))
    return ReadResult(records=records, quarantined=aside, report=report)


def _kept(data: Any) -> ReadResult | None:
    """The records of a file that penchant saved itself, which needs no description."""
    if not is_nested(data):
        return None
    loaded = load_table(data)
    records = from_nested(loaded.table)
    source = prepare(loaded.table, Description(layout="long"), loaded.name, True, 0)
    records.check(allow_missing=records.columns("feature"))
    return ReadResult(
        records=records, quarantined=None, report=_report(loaded, source, records, None, None)
    )


def _read_preflib(data: Any, raises: bool, quarantine: str | Path | None) -> ReadResult:
    found = preflib.read_orders(data, raises)
    source = Source(
        table=found.lines, description=Description(layout="preflib"), bad=found.bad,
        notes=list(found.records.notes),
    )  # fmt: skip
    return _finish(
        Loaded(table=found.lines, name=found.bad.name), source, found.records, quarantine
    )


def _read_log(data: Any, layout: str, raises: bool, quarantine: str | Path | None) -> ReadResult:
    if not isinstance(data, str | Path):
        raise DataError(
            f"a {type(data).__name__} has not the format {layout}; expected a file's path."
        )
    found = _LOGS[layout](data, raises)
    allowed = words_may_be_missing(found.records)
    source = Source(
        table=found.lines, description=Description(layout=layout, allow_missing=allowed),
        bad=found.bad, notes=list(found.records.notes),
    )  # fmt: skip
    return _finish(
        Loaded(table=found.lines, name=found.bad.name), source, found.records, quarantine
    )


def _description(
    data: Any, description: Description | str | Path | None
) -> tuple[Description, tuple[str, ...]]:
    """The description, and what a guess of it took for granted."""
    if isinstance(description, Description):
        return description, ()
    if description is not None:
        return schema.load(description), ()
    found = guess_answered(data)
    return found.description, found.assumed


def _allowed(records: Records, said: Description) -> tuple[str, ...]:
    """Features whose gaps the description allows; wide ones by any of their columns."""
    allowed = set(said.allow_missing)
    for feature, columns in said.feature_columns.items():
        # An alternative without a column has null among words.
        if allowed & set(columns.values()) or not is_number(
            records.options[feature].type if feature in records.options.column_names else pa.null()
        ):
            allowed.add(feature)
    return tuple(allowed)


def _set_aside(loaded: Loaded, source: Source) -> pa.Table | None:
    bad: BadLines = source.bad
    parts = []
    numbers, reasons = bad.found()
    if len(numbers):
        # The file's own lines, before replacements and labels: nothing of them is lost.
        is_whole = source.description.layout in _WHOLE_FILES
        lines = loaded.table.take(pa.array(np.flatnonzero(bad.bad) if is_whole else numbers - 1))
        lines = lines.add_column(0, "reason", reasons)
        parts.append(lines.add_column(0, "row_number", pa.array(numbers)))
    if loaded.unparsed:
        numbers, texts, reasons = zip(*loaded.unparsed, strict=True)
        parts.append(
            pa.table({"row_number": list(numbers), "reason": list(reasons),
                      "unparsed_line": list(texts)})
        )  # fmt: skip
    return pa.concat_tables(parts, promote_options="permissive") if parts else None


def _report(
    loaded: Loaded,
    source: Source,
    records: Records,
    aside: pa.Table | None,
    path: str | Path | None,
) -> ReadReport:
    quarantined = 0 if aside is None else aside.num_rows
    notes = list(source.notes)
    warnings = []
    if quarantined:
        where = f" in {path}" if path else ""
        warnings.append(f"{quarantined} lines set aside as bad{where}.")
    duplicates = count_duplicates(loaded.table)
    warnings += repeated_sentences(duplicates, loaded.table.num_rows)
    single = int((records.menu_sizes == 1).sum())
    if single and any(kind in ("choice", "edit", "ranking") for kind in records.kinds):
        warnings.append(
            f"{single} of {len(records)} menus have one option only: such a choice says nothing "
            "about taste."
        )
    return ReadReport(
        name=loaded.name,
        lines=loaded.table.num_rows + len(loaded.unparsed),
        observations=len(records),
        options=records.options.num_rows,
        people=records.num_people,
        quarantined=quarantined,
        duplicates=duplicates,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )
