"""`penchant rank`: a file of votes or rankings in; a table with intervals, and a folder, out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.cli.rank_details import detail_document
from penchant.cli.rank_next import check_next, next_document, next_view, print_next
from penchant.cli.rank_reading import describe_votes, observe
from penchant.cli.rank_rules import check_rules, decided_by, print_rules, utilities_told

if TYPE_CHECKING:
    from penchant.evaluation.leaderboard_losses import RulesView
    from penchant.models.leaderboard import Leaderboard

ITEM_FIELDS = ("name", "score", "elo", "se", "low", "high", "rank", "rank_low", "rank_high",
               "votes")  # fmt: skip


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
            "the first wins. Several columns, commas between, are the answers of several judges."
        ),
    ] = "",
    grades: Annotated[
        str,
        typer.Option(
            help="Where the winner's column says how much better one is: its values, commas "
            "between, from 'the second is best' to 'the first is', as in B>>A,B>A,A=B,A>B,A>>B."
        ),
    ] = "",
    low_is_good: Annotated[
        bool,
        typer.Option(
            "--low-is-good", help="Of ratings low ones are good, as of school grades or costs."
        ),
    ] = False,
    menus_differ: Annotated[
        bool,
        typer.Option(
            "--menus-differ",
            help="Of rankings that do not say who was on the menu: a line's menu is what it ranks. "
            "Without it what a line leaves out comes after all that it ranks.",
        ),
    ] = False,
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
    rules: Annotated[
        str,
        typer.Option(
            help="Say what rules that decide for all would do, and who would lose: all, or some of "
            "sum, nash, maximin, borda, minimax_winner. For ratings, rankings, and --voters "
            "classes."
        ),
    ] = "",
    groups: Annotated[
        str, typer.Option(help="Column of the voters' groups, of whose losers --rules tells.")
    ] = "",
    against: Annotated[
        str,
        typer.Option(help="Option that losing is measured against; without it one drawn by lot."),
    ] = "",
    ask: Annotated[
        int, typer.Option(help="Say which so many comparisons to make next; 0 for none.")
    ] = 0,
    ask_cost: Annotated[
        Path | None,
        typer.Option(
            help="Table of what comparisons cost, so that --ask names those that settle most for "
            "it: columns item, cost, or first, second, cost (only these pairs are asked about).",
            show_default=False,
        ),
    ] = None,
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
    check_next(ask, settle, ask_cost)
    wanted = check_rules(rules, groups, against)
    columns = {
        "left": left,
        "right": right,
        "winner": winner,
        "voter": voter,
        "weight": weight,
        "grades": grades,
    }
    described = describe_votes(
        file, layout, columns, description, low_is_good=low_is_good, menus_differ=menus_differ
    )
    for text in (described.opening, *described.assumed):
        if text:
            shell.note(text, json)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    found = observe(file, described.said, board, on_bad_rows, out or file.parent, json)
    reading = (*described.assumed, *found.notes)
    told = None
    if wanted:
        told = utilities_told(board.voters, found.data, groups or None, against or None)
    steps = shell.Steps(json)
    with steps.shown():
        steps.say("Fitting scores")
        board.fit(found.data, on_step=lambda step, _: steps.say(f"Fitting scores: step {step}"))
    document = rank_document(board, reading)
    document |= next_document(board, ask, settle, seed, ask_cost)
    decided = None
    if wanted:
        decided = decided_by(board, told, wanted, against or None)
        document |= decided.document
    if out is not None:
        _write(out, board, document, found.data, file, None if decided is None else decided.view)
    if json:
        shell.print_json(document)
    else:
        shell.print_table(board.table(top or None), "text")
        print_next(document)
        if decided is not None:
            print_rules(decided)
        if out is not None:
            shell.note(f"Written to {out}: leaderboard.html, leaderboard.json, leaderboard.csv.")
    if not document["fit"]["converged"]:
        raise typer.Exit(shell.NOT_CONVERGED)


def rank_document(board: "Leaderboard", reading: Sequence[str] = ()) -> dict[str, Any]:
    """What `--json` prints and leaderboard.json holds; an end that nothing bounds is null. Its
    warnings begin with what `reading` the file took for granted or left out."""
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
        "warnings": list(dict.fromkeys((*reading, *board.warnings_))),
        **detail_document(board),
    }  # fmt: skip


def _write(
    out: Path,
    board: "Leaderboard",
    document: dict[str, Any],
    observed: Any,
    file: Path,
    rules: "RulesView | None",
) -> None:
    """The folder: JSON for machines, CSV for tables, a page for readers."""
    import csv
    from dataclasses import replace

    from penchant.data.records import Records
    from penchant.evaluation.leaderboard_page import leaderboard_page, write_leaderboard

    if isinstance(observed, Records):
        observed = board.observed(observed)
    page = leaderboard_page(board, observed, title=f"Leaderboard: {file.stem}")
    # What was noticed in reading comes first: nothing below it holds if that is wrong.
    warnings = tuple(dict.fromkeys((*document["warnings"], *page.warnings)))
    page = replace(page, next=next_view(document), rules=rules, warnings=warnings)
    write_leaderboard(page, out / "leaderboard.html")

    plain = shell.json_text(document)
    (out / "leaderboard.json").write_text(plain + "\n", encoding="utf-8")
    with (out / "leaderboard.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow([*ITEM_FIELDS, "island"])
        for line, row in zip(document["items"], board.standings_, strict=True):
            writer.writerow([*(line[field] for field in ITEM_FIELDS), row.island + 1])
