"""What `penchant rank` reads: which column plays which role, and the votes of a file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.cli import shell
from penchant.cli.rank_refusal import check_recognised

if TYPE_CHECKING:
    from penchant.data.description import Description
    from penchant.models.leaderboard import Leaderboard

# Larger files are counted block by block; who voted is then not kept.
_STREAM_FROM_BYTES = 200_000_000


@dataclass(frozen=True, kw_only=True)
class VotesDescribed:
    """The description of a file of votes; of a guess also its opening words and what it takes for
    granted."""

    said: "Description"
    opening: str = ""
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class VotesFound:
    """data: votes, counts or records. notes: what was noticed in reading them."""

    data: Any
    notes: tuple[str, ...]


def describe_votes(
    file: Path,
    layout: str,
    columns: dict[str, str],
    description: Path | None,
    *,
    low_is_good: bool = False,
    menus_differ: bool = False,
) -> VotesDescribed:
    """Which column plays which role: as described, as named by options, or as guessed."""
    from penchant.cli.reading import find_description
    from penchant.data.description import LAYOUTS, Description, load
    from penchant.data.readers.potato import is_potato
    from penchant.errors import ConfigError, DataError

    if not file.is_file() and not is_potato(file):
        raise DataError(
            f"there is no file {file}; expected a Parquet, CSV, JSONL or PrefLib file. Check the "
            "path."
        )
    if layout not in ("auto", *LAYOUTS):
        raise ConfigError(
            f"there is no format {layout!r}; expected auto or one of {', '.join(LAYOUTS)}."
        )
    sides = [columns[name] for name in ("left", "right", "winner")]
    opening = ""
    assumed: tuple[str, ...] = ()
    found = find_description(file, description)
    if found is not None:
        said = load(found)
    elif all(sides):
        judges = tuple(name.strip() for name in sides[2].split(","))
        said = Description(
            layout="pairs", option_columns=(sides[0], sides[1]), answer=judges[0],
            answer_columns=judges if len(judges) > 1 else (),
        )  # fmt: skip
    elif any(sides):
        raise ConfigError(
            "some of --left, --right and --winner are named; expected all three, or none to let "
            "the columns be guessed."
        )
    elif layout in ("arena", "preflib"):
        said = Description(layout=layout)
    else:
        guessed = _guessed(file)
        said, opening, assumed = guessed.said, guessed.opening, guessed.assumed
    if layout not in ("auto", said.layout):
        raise ConfigError(
            f"{file.name} looks like {said.layout} data, and --format says {layout}. Name the "
            "columns (--left, --right, --winner) or write a description: `penchant describe "
            f"{file}` makes a first one."
        )
    said = replace(
        said, person=columns["voter"] or said.person, weight=columns["weight"] or said.weight,
        low_is_good=low_is_good or said.low_is_good,
        menus_differ=menus_differ or said.menus_differ,
    )  # fmt: skip
    return VotesDescribed(
        said=_with_grades(said, columns["grades"]), opening=opening, assumed=assumed
    )


def _with_grades(said: "Description", grades: str) -> "Description":
    """The winner's column read as grades, where their scale is told."""
    from penchant.errors import ConfigError

    if not grades:
        return said
    levels = tuple(_as_in_file(word.strip()) for word in grades.split(","))
    if said.layout not in ("pairs", "arena") or len(levels) < 2 or len(set(levels)) < len(levels):
        raise ConfigError(
            f"--grades holds {len(levels)} values and the file {said.layout} data; expected two or "
            "more different values, commas between them, and pairs of items (--left, --right, "
            "--winner)."
        )
    return replace(said, kind="graded", levels=levels, codes={})


def _as_in_file(word: str) -> str | float:
    """A number as a column of numbers has it: +3 is 3."""
    try:
        return float(word)
    except ValueError:
        return word


def _guessed(file: Path) -> VotesDescribed:
    from penchant.data.guess import guess
    from penchant.data.readers.vote_stream import can_stream, head_of

    large = file.stat().st_size > _STREAM_FROM_BYTES and can_stream(file)
    data = head_of(file) if large else file
    found = guess(data)
    found = found.by_judges or found
    said = found.description
    check_recognised(file, data, said)
    words = {"pairs": "pairs of items", "arena": "arena votes", "rankings": "rankings",
             "best_worst": "best and worst of a menu", "preflib": "PrefLib orders",
             "label_studio": "an export of Label Studio",
             "potato": "a project of Potato"}  # fmt: skip
    roles = [f"{', '.join(said.option_columns)} are the items"] if said.option_columns else []
    judges = ", ".join(said.answer_columns)
    if judges and said.layout in ("pairs", "arena"):
        roles.append(f"{judges} are judges' answers")
    elif said.answer:
        roles.append(f"{said.answer} is the answer")
    roles += [f"{said.person} is the voter"] if said.person else []
    listed = f": {'; '.join(roles)}" if roles else ""
    kind = words.get(said.layout, said.layout + " data")
    return VotesDescribed(
        said=said, opening=f"{file.name} is read as {kind}{listed}.", assumed=found.assumed
    )


def observe(
    file: Path,
    said: "Description",
    board: "Leaderboard",
    on_bad_rows: str,
    folder: Path,
    quiet: bool,
) -> VotesFound:
    """Votes, counts or records of the file; bad lines are set aside where that is asked for."""
    from penchant.data.readers.read import read
    from penchant.data.readers.table import write_aside
    from penchant.data.readers.vote_parts import VoteColumns
    from penchant.data.readers.vote_stream import can_stream, knows_grades
    from penchant.data.readers.votes import read_votes

    aside_path = folder / f"{file.stem}.quarantined.csv"
    if said.layout not in ("pairs", "arena"):
        result = read(file, said, on_bad_rows=on_bad_rows,
                      quarantine=aside_path if on_bad_rows == "quarantine" else None)  # fmt: skip
        return _noted(result.records, (*result.report.notes, *result.report.warnings), quiet)
    can_count = not board.needs_votes and not said.answer_columns
    is_large = file.stat().st_size > _STREAM_FROM_BYTES
    if can_count and is_large and can_stream(file) and knows_grades(said):
        return _stream(file, said, on_bad_rows, aside_path, quiet)
    columns = VoteColumns(context=board.context, covariates=board.covariates)
    with shell.waiting(f"Reading {file.name}", quiet):
        found = read_votes(file, said, columns, on_bad_rows=on_bad_rows)
    notes = list(found.notes)
    if found.quarantined is not None:
        aside_path = write_aside(found.quarantined, aside_path)
        notes.append(f"{found.quarantined.num_rows} bad lines set aside in {aside_path}.")
    return _noted(found.votes, notes, quiet)


def _stream(
    file: Path, said: "Description", on_bad_rows: str, aside_path: Path, quiet: bool
) -> VotesFound:
    from penchant.data.readers.table import write_aside
    from penchant.data.readers.vote_stream import count_file

    steps = shell.Steps(quiet, total=100, plain=True, every=2.0)

    def progress(lines: int, part: float) -> None:
        steps.say(f"Counting votes: {lines:,} lines, {part:.0%}", int(100 * part))

    with steps.shown():
        found = count_file(file, said, on_bad_rows=on_bad_rows, on_block=progress)
    notes = list(found.notes)
    if found.quarantined is not None:
        aside_path = write_aside(found.quarantined, aside_path)
        notes.append(f"{found.num_bad} bad lines set aside in {aside_path}.")
    if said.person is not None:
        notes.append(
            f"{file.name} is large and was counted as it was read: who voted was not kept, so that "
            "intervals trust votes to be independent."
        )
    return _noted(found.data, notes, quiet)


def _noted(data: Any, notes: Sequence[str], quiet: bool) -> VotesFound:
    for text in notes:
        shell.note(text, quiet)
    return VotesFound(data=data, notes=tuple(notes))
