"""`penchant rank`: a file of votes or rankings in; a table with intervals, and a folder, out."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.cli.rank_details import detail_document
from penchant.cli.rank_next import check_next, next_document, print_next
from penchant.cli.rank_refusal import check_recognised

if TYPE_CHECKING:
    from penchant.data.description import Description
    from penchant.models.leaderboard import Leaderboard

ITEM_FIELDS = ("name", "score", "elo", "se", "low", "high", "rank", "rank_low", "rank_high",
               "votes")  # fmt: skip
# Larger files are counted block by block; who voted is then not kept.
_STREAM_FROM_BYTES = 200_000_000


@shell.guarded
def rank(
    file: Annotated[
        Path, typer.Argument(help="Parquet, CSV, JSONL or PrefLib file.", show_default=False)
    ],
    layout: Annotated[
        str,
        typer.Option(
            "--format",
            "--layout",
            help="What FILE holds: auto, arena (model_a, model_b, winner), pairs (two items and "
            "who won), rankings, best_worst, long or preflib.",
        ),
    ] = "auto",
    left: Annotated[str, typer.Option(help="Column of the item shown first.")] = "",
    right: Annotated[str, typer.Option(help="Column of the item shown second.")] = "",
    winner: Annotated[
        str,
        typer.Option(
            help="Column that says who won: an item's name, a side, tie, or the probability that "
            "the first wins."
        ),
    ] = "",
    grades: Annotated[
        str,
        typer.Option(
            help="Where the winner's column says how much better one is: its values, commas "
            "between, from 'the second is best' to 'the first is', as in B>>A,B>A,A=B,A>B,A>>B."
        ),
    ] = "",
    voter: Annotated[str, typer.Option(help="Column of who voted.")] = "",
    weight: Annotated[str, typer.Option(help="Column of how much a vote weighs.")] = "",
    context: Annotated[
        str, typer.Option(help="Column by whose values scores may differ (topic, language).")
    ] = "",
    covariates: Annotated[
        str,
        typer.Option(
            help="Columns at whose equal values scores are meant, as in length,shown_first."
        ),
    ] = "",
    voters: Annotated[
        str,
        typer.Option(
            help="reliability: voters differ in it, in what place and ties mean to them; classes: "
            "there are kinds of voters."
        ),
    ] = "",
    classes: Annotated[int, typer.Option(min=1, help="How many kinds of voters.")] = 2,
    drift: Annotated[bool, typer.Option("--drift", help="Scores move over time.")] = False,
    model: Annotated[
        str, typer.Option("--model", "-m", help="auto, bradley_terry, thurstone, plackett_luce.")
    ] = "auto",
    ties: Annotated[
        str, typer.Option(help="auto, davidson, rao_kupper or half (half a win for either).")
    ] = "auto",
    interval: Annotated[
        str,
        typer.Option(
            help="auto, wald, sandwich, voter, profile, bootstrap or voter_bootstrap: what the "
            "intervals trust."
        ),
    ] = "auto",
    level: Annotated[float, typer.Option(help="How often an interval should hold.")] = 0.95,
    prior_scale: Annotated[
        float | None,
        typer.Option(
            help="Standard deviation of every score before any vote. Without it: no prior, but for "
            "a weak one on items that no finite score fits.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=0, help="How many items to print; 0 for all.")] = 30,
    ask: Annotated[
        int, typer.Option(help="Say which so many comparisons to make next; 0 for none.")
    ] = 0,
    settle: Annotated[
        int,
        typer.Option(
            help="Say how many more votes it takes until the first so many items are known; --ask "
            "then asks about these."
        ),
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for the tables.", show_default=False),
    ] = None,
    description: options.DescriptionFile = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Rank the items of FILE by who was preferred to whom, with intervals for scores and ranks."""
    from penchant.models.leaderboard import Leaderboard

    named = tuple(name.strip() for name in covariates.split(",") if name.strip())
    board = Leaderboard(
        model=None if model == "auto" else model,  # type: ignore[arg-type]  # checked by fit
        ties=None if ties == "auto" else ties,  # type: ignore[arg-type]  # checked below
        covariates=named, context=context or None,
        voters=voters or None,  # type: ignore[arg-type]  # checked below
        num_classes=classes, has_drift=drift,
        interval=interval,  # type: ignore[arg-type]  # checked by fit
        level=level, prior_scale=prior_scale, random_state=seed,
    )  # fmt: skip
    board.check()
    check_next(ask, settle)
    columns = {
        "left": left,
        "right": right,
        "winner": winner,
        "voter": voter,
        "weight": weight,
        "grades": grades,
    }
    said, notes = _described(file, layout, columns, description)
    for text in notes:
        shell.note(text, json)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    observed = _observe(file, said, board, on_bad_rows, out or file.parent, json)
    steps = shell.Steps(json)
    with steps.shown():
        steps.say("Fitting scores")
        board.fit(observed, on_step=lambda step, _: steps.say(f"Fitting scores: step {step}"))
    document = rank_document(board)
    document |= next_document(board, ask, settle, seed)
    if out is not None:
        _write(out, board, document, observed, file)
    if json:
        shell.print_json(document)
    else:
        shell.print_table(board.table(top or None), "text")
        print_next(document)
        if out is not None:
            shell.note(f"Written to {out}: leaderboard.html, leaderboard.json, leaderboard.csv.")
    if not document["fit"]["converged"]:
        raise typer.Exit(shell.NOT_CONVERGED)


def rank_document(board: "Leaderboard") -> dict[str, Any]:
    """What `--json` prints and leaderboard.json holds; an end that nothing bounds is null."""
    return {
        "items": [
            {**{field: getattr(row, field) for field in ("name",)}, "score": row.strength,
             **{field: getattr(row, field) for field in ITEM_FIELDS[2:]}}
            for row in board.standings_
        ],
        "fit": {
            "log_likelihood": board.fit_.log_likelihood,
            "converged": board.fit_.converged,
            "seconds": board.seconds_,
        },
        "warnings": list(board.warnings_),
        **detail_document(board),
    }  # fmt: skip


def _described(
    file: Path, layout: str, columns: dict[str, str], description: Path | None
) -> tuple["Description", tuple[str, ...]]:
    """Which column plays which role: as described, as named by options, or as guessed."""
    from penchant.cli.reading import find_description
    from penchant.data.description import LAYOUTS, Description, load
    from penchant.errors import ConfigError, DataError

    if not file.is_file():
        raise DataError(
            f"there is no file {file}; expected a Parquet, CSV, JSONL or PrefLib file. Check the "
            "path."
        )
    if layout not in ("auto", *LAYOUTS):
        raise ConfigError(
            f"there is no format {layout!r}; expected auto or one of {', '.join(LAYOUTS)}."
        )
    sides = [columns[name] for name in ("left", "right", "winner")]
    notes: tuple[str, ...] = ()
    found = find_description(file, description)
    if found is not None:
        said = load(found)
    elif all(sides):
        said = Description(layout="pairs", option_columns=(sides[0], sides[1]), answer=sides[2])
    elif any(sides):
        raise ConfigError(
            "some of --left, --right and --winner are named; expected all three, or none to let "
            "the columns be guessed."
        )
    elif layout in ("arena", "preflib"):
        said = Description(layout=layout)
    else:
        said, notes = _guessed(file)
    if layout not in ("auto", said.layout):
        raise ConfigError(
            f"{file.name} looks like {said.layout} data, and --format says {layout}. Name the "
            "columns (--left, --right, --winner) or write a description: `penchant describe "
            f"{file}` makes a first one."
        )
    said = replace(
        said, person=columns["voter"] or said.person, weight=columns["weight"] or said.weight
    )
    return _with_grades(said, columns["grades"]), notes


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


def _guessed(file: Path) -> tuple["Description", tuple[str, ...]]:
    from penchant.data.guess import guess
    from penchant.data.readers.vote_stream import can_stream, head_of

    large = file.stat().st_size > _STREAM_FROM_BYTES and can_stream(file)
    data = head_of(file) if large else file
    said = guess(data).description
    check_recognised(file, data, said)
    words = {"pairs": "pairs of items", "arena": "arena votes", "rankings": "rankings",
             "best_worst": "best and worst of a menu", "preflib": "PrefLib orders"}  # fmt: skip
    roles = [f"{', '.join(said.option_columns)} are the items"] if said.option_columns else []
    roles += [f"{said.answer} is the answer"] if said.answer else []
    roles += [f"{said.person} is the voter"] if said.person else []
    listed = f": {'; '.join(roles)}" if roles else ""
    return said, (
        f"{file.name} is read as {words.get(said.layout, said.layout + ' data')}{listed}.",
    )


def _observe(
    file: Path,
    said: "Description",
    board: "Leaderboard",
    on_bad_rows: str,
    folder: Path,
    quiet: bool,
) -> Any:
    """Votes, counts or records of the file; bad lines are set aside where that is asked for."""
    from penchant.data.readers.read import read
    from penchant.data.readers.table import write_table
    from penchant.data.readers.vote_parts import VoteColumns
    from penchant.data.readers.vote_stream import can_stream
    from penchant.data.readers.votes import read_votes

    aside_path = folder / f"{file.stem}.quarantined.csv"
    if said.layout not in ("pairs", "arena"):
        result = read(file, said, on_bad_rows=on_bad_rows,
                      quarantine=aside_path if on_bad_rows == "quarantine" else None)  # fmt: skip
        for text in (*result.report.notes, *result.report.warnings):
            shell.note(text, quiet)
        return result.records
    can_count = not board.needs_votes and said.kind != "graded"
    if can_count and can_stream(file) and file.stat().st_size > _STREAM_FROM_BYTES:
        return _stream(file, said, on_bad_rows, aside_path, quiet)
    columns = VoteColumns(context=board.context, covariates=board.covariates)
    with shell.waiting(f"Reading {file.name}", quiet):
        found = read_votes(file, said, columns, on_bad_rows=on_bad_rows)
    for text in found.notes:
        shell.note(text, quiet)
    if found.quarantined is not None:
        write_table(found.quarantined, aside_path)
        shell.note(f"{found.quarantined.num_rows} bad lines set aside in {aside_path}.", quiet)
    return found.votes


def _stream(
    file: Path, said: "Description", on_bad_rows: str, aside_path: Path, quiet: bool
) -> Any:
    from penchant.data.readers.table import write_table
    from penchant.data.readers.vote_stream import count_file

    steps = shell.Steps(quiet, total=100, plain=True, every=2.0)

    def progress(lines: int, part: float) -> None:
        steps.say(f"Counting votes: {lines:,} lines, {part:.0%}", int(100 * part))

    with steps.shown():
        found = count_file(file, said, on_bad_rows=on_bad_rows, on_block=progress)
    for text in found.notes:
        shell.note(text, quiet)
    if found.quarantined is not None:
        write_table(found.quarantined, aside_path)
        shell.note(f"{found.num_bad} bad lines set aside in {aside_path}.", quiet)
    if said.person is not None:
        shell.note(
            f"{file.name} is large and was counted as it was read: who voted was not kept, so that "
            "intervals trust votes to be independent.", quiet,
        )  # fmt: skip
    return found.counts


def _write(
    out: Path, board: "Leaderboard", document: dict[str, Any], observed: Any, file: Path
) -> None:
    """The folder: JSON for machines, CSV for tables, a page for readers."""
    import csv

    from penchant.data.records import Records
    from penchant.evaluation.leaderboard_page import leaderboard_page, write_leaderboard

    if isinstance(observed, Records):
        observed = board.observed(observed)
    page = leaderboard_page(board, observed, title=f"Leaderboard: {file.stem}")
    write_leaderboard(page, out / "leaderboard.html")

    plain = shell.json_text(document)
    (out / "leaderboard.json").write_text(plain + "\n", encoding="utf-8")
    with (out / "leaderboard.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow([*ITEM_FIELDS, "island"])
        for line, row in zip(document["items"], board.standings_, strict=True):
            writer.writerow([*(line[field] for field in ITEM_FIELDS), row.island + 1])
