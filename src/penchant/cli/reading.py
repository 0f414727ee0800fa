"""A file on the command line as records, with what was noticed on the way."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.cli import shell
from penchant.errors import DataError

if TYPE_CHECKING:
    from penchant.data.description import Description
    from penchant.data.records import Records

DESCRIPTION_NAME = "description.toml"


@dataclass(frozen=True, kw_only=True)
class FileRead:
    """Records of a file, the description they were read by, and sentences about the reading."""

    records: "Records"
    description: "Description"
    notes: tuple[str, ...]


def find_description(file: Path, given: Path | None, belief: Path | None = None) -> Path | None:
    """The description to read by: the one given, the file's own, the belief's, else none."""
    candidates = [given] if given else [file.with_suffix(".toml")]
    if belief is not None and not given:
        candidates.append(belief / DESCRIPTION_NAME)
    return given or next((path for path in candidates if path and path.is_file()), None)


def read_file(
    file: Path,
    description: Path | None,
    *,
    on_bad_rows: str = "error",
    quarantine: Path | None = None,
    belief: Path | None = None,
    quiet: bool = False,
    outside_option: str | None = None,
) -> FileRead:
    """Read, and say on standard error what a person would want to know about it.

    The outside option is the one named, else the description's, else that of the belief.
    """
    from penchant.data.description import Description, load, with_overrides
    from penchant.data.readers.read import read

    if not file.is_file():
        raise DataError(
            f"there is no file {file}; expected a Parquet, CSV or JSONL file. Check the path."
        )
    from penchant.data.readers.native import is_nested

    if description is None and is_nested(file):
        # Records that penchant kept: they say of themselves what they are.
        kept = read(file)
        for text in (*kept.report.notes, *kept.report.warnings):
            shell.note(text, quiet)
        notes = (*kept.report.notes, *kept.report.warnings)
        return FileRead(records=kept.records, description=Description(layout="long"), notes=notes)
    found = find_description(file, description, belief)
    if found is None:
        from penchant.data.guess import guess

        said = guess(file).description
        opening = (
            f"{file.name} has no description; its columns were guessed to be {said.layout} data. "
            f"Look at the guess with `penchant describe {file}`."
        )
    else:
        said, opening = load(found), ""
    learnt = None if belief is None else belief / DESCRIPTION_NAME
    if outside_option is None and said.outside_option is None and learnt and learnt.is_file():
        outside_option = load(learnt).outside_option
    said = with_overrides(said, {"options.outside_option": outside_option})
    result = read(file, said, on_bad_rows=on_bad_rows, quarantine=quarantine)
    notes = tuple(text for text in (opening, *result.report.notes) if text)
    for text in (*notes, *result.report.warnings):
        shell.note(text, quiet)
    return FileRead(
        records=result.records, description=said, notes=(*notes, *result.report.warnings)
    )
