"""A file on the command line as records, with what was noticed on the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.cli import shell
from penchant.errors import ConfigError, DataError

if TYPE_CHECKING:
    from penchant.data.description import Description
    from penchant.data.records import Records

DESCRIPTION_NAME = "description.toml"


@dataclass(frozen=True, kw_only=True)
class FileRead:
    """Records of a file, the description they were read by, and sentences about the reading.

    description: None where the file is records that penchant kept, which need none. `warnings` are
    those of the `notes` that whoever trusts the result should know of.
    """

    records: "Records"
    description: "Description | None"
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def find_description(file: Path, given: Path | None, belief: Path | None = None) -> Path | None:
    """The description to read by: the one given, the file's own, the belief's, else none."""
    candidates = [given] if given else [file.with_suffix(".toml")]
    if belief is not None and not given:
        candidates.append(belief / DESCRIPTION_NAME)
    return given or next((path for path in candidates if path and path.is_file()), None)


def keep_description(data: FileRead, folder: Path) -> None:
    """Leave in a belief's folder how its file was read; of kept records there is nothing to say,
    and what an earlier fit left there would be wrong."""
    if data.description is None:
        (folder / DESCRIPTION_NAME).unlink(missing_ok=True)
    else:
        data.description.save(folder / DESCRIPTION_NAME)


def parse_roles(words: Sequence[str]) -> dict[str, str]:
    """`rows.person=id` as a mapping from places to what stands there.

    Raises ConfigError for words of another form, and for a place that is named twice.
    """
    roles = {}
    for word in words:
        place, _, column = word.partition("=")
        if not (place.strip() and column.strip()):
            raise ConfigError(
                f"--role got {word!r}; expected PLACE=COLUMN, as in --role rows.person=id or "
                "--role answer.column=picked."
            )
        if place.strip() in roles:
            raise ConfigError(
                f"--role names {place.strip()} twice; expected once, with commas between several "
                "columns, as in --role options.features=cost,time."
            )
        roles[place.strip()] = column.strip()
    return roles


def check_groups(records: "Records", by: Sequence[str], option: str = "--by") -> None:
    """Raise ConfigError for a column by which nobody can be told apart: the rows lack it."""
    from penchant.encoders.formula import closest

    for column in by:
        if column not in records.rows.column_names:
            raise ConfigError(
                f"{option} names {column!r}, and the rows have no such column. "
                f"{closest(column, records.rows.column_names)}"
            )


def check_price(records: "Records", price: str | None) -> None:
    """Raise ConfigError for a price that is no number among the options' features."""
    known = number_features(records)
    if price is not None and price not in known:
        raise ConfigError(f"there is no option feature {price!r}; expected one of {known}.")


def number_features(records: "Records") -> list[str]:
    """The features of the options that are numbers."""
    from penchant.data.columns import is_number

    return [n for n in records.columns("feature") if is_number(records.options[n].type)]


def read_file(
    file: Path,
    description: Path | None,
    *,
    on_bad_rows: str = "error",
    aside: Path | None = None,
    belief: Path | None = None,
    quiet: bool = False,
    outside_option: str | None = None,
    roles: Sequence[str] | None = None,
) -> FileRead:
    """Read, and say on standard error what a person would want to know about it.

    Bad rows go to NAME.quarantined.csv in the folder `aside`, else beside the file. The outside
    option is the one named, else the description's, else that of the belief. `roles`: places of
    the description that were typed, which go before it and before a guess.
    """
    from penchant.data.description import load, with_overrides
    from penchant.data.readers.potato import is_potato
    from penchant.data.readers.read import read

    if not file.is_file() and not is_potato(file):
        raise DataError(
            f"there is no file {file}; expected a Parquet, CSV or JSONL file. Check the path."
        )
    from penchant.data.readers.native import is_nested

    typed = parse_roles(roles or ())
    if description is None and is_nested(file):
        if typed:
            raise ConfigError(
                f"got --role {next(iter(typed))}=..., but {file.name} holds records that penchant "
                "kept, which say themselves what they are. Leave --role out."
            )
        # Records that penchant kept: they say of themselves what they are.
        kept = read(file)
        for text in (*kept.report.notes, *kept.report.warnings):
            shell.note(text, quiet)
        notes = (*kept.report.notes, *kept.report.warnings)
        return FileRead(
            records=kept.records, description=None, notes=notes, warnings=kept.report.warnings,
        )  # fmt: skip
    found = find_description(file, description, belief)
    if found is None:
        from penchant.data.guess import check_answered, guess, guess_answered

        # With a belief there is something to say of rows that nobody has answered yet.
        is_plain = belief is None and not typed
        guessed = guess_answered(file) if is_plain else guess(file, typed.get("answer.column"))
        said, assumed = with_overrides(guessed.description, typed), guessed.assumed
        if belief is None:
            check_answered(said, tuple(guessed.seen))
        opening = (
            f"{file.name} has no description; its columns were guessed to be {said.layout} data. "
            f"Look at the guess with `penchant describe {file}`."
        )
    else:
        said, opening, assumed = with_overrides(load(found), typed), "", ()
    learnt = None if belief is None else belief / DESCRIPTION_NAME
    if outside_option is None and said.outside_option is None and learnt and learnt.is_file():
        outside_option = load(learnt).outside_option
    said = with_overrides(said, {"options.outside_option": outside_option})
    bad_lines = (aside or file.parent) / f"{file.stem}.quarantined.csv"
    result = read(file, said, on_bad_rows=on_bad_rows, quarantine=bad_lines)
    notes = tuple(text for text in (opening, *assumed, *result.report.notes) if text)
    warnings = (*assumed, *result.report.warnings)
    notes = tuple(dict.fromkeys((*notes, *warnings)))
    for text in notes:
        shell.note(text, quiet)
    return FileRead(records=result.records, description=said, notes=notes, warnings=warnings)
