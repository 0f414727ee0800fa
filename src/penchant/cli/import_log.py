"""`penchant import`: the decisions of another system, into the log of a decision service."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError, DataError


@shell.guarded
def import_log(
    log: Annotated[
        Path,
        typer.Argument(
            help="Decision-service JSON (.dsjson or JSON lines, as the hosted personalisers "
            "exported it) or Vowpal Wabbit's text (.vw).",
            show_default=False,
        ),
    ],
    database: Annotated[
        str,
        typer.Option(help="sqlite:///FILE or postgresql://USER@HOST/DATABASE that `penchant serve` "
                     "keeps; the log is made where it is not there.", show_default=False),
    ],
    tenant: Annotated[str, typer.Option(help="Whose decisions these were.")] = "default",
    on_bad_rows: Annotated[
        str,
        typer.Option(help="error: stop at the first line that cannot be used; quarantine: leave "
                     "such lines out and tell them."),
    ] = "error",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Add a log of decisions to a decision service, running or not.

    The service learns from the rewards and reports on the decisions like its own. Nothing counts
    twice: what is in its log already is left.
    """
    from penchant.cli.serve import needs_serve

    if on_bad_rows not in ("error", "quarantine"):
        raise ConfigError(f"--on-bad-rows is {on_bad_rows}; expected error or quarantine.")
    if not log.is_file():
        raise DataError(f"there is no file {log}; expected a log of decisions. Check the path.")
    try:
        from penchant.serving import importing
        from penchant.serving.database import database_at
        from penchant.serving.event_store import EventStore, checked_name
    except ModuleNotFoundError as error:
        raise needs_serve(error) from None
    checked_name(tenant, "tenant")
    steps = shell.Steps(json, plain=True, every=2.0)
    with closing(EventStore(database_at(database))) as store, steps.shown():
        found = importing.import_log(
            store, tenant, log, raises=on_bad_rows == "error",
            on_step=lambda done: steps.say(f"Imported {done:,} decisions", 0),
        )  # fmt: skip
    if json:
        shell.print_json({
            "decisions": found.decisions, "rewards": found.rewards, "known": found.known,
            "guessed": found.guessed,
            "bad": [{"line": line, "why": why} for line, why in found.bad],
        })  # fmt: skip
        return
    typer.echo(f"{found.decisions:,} decisions and {found.rewards:,} rewards are new in the log.")
    if found.known:
        typer.echo(f"{found.known:,} entries were there before (or erased) and were left.")
    if found.guessed:
        typer.echo(
            f"Of {found.guessed:,} decisions only the probability of the taken action is known; "
            "the others share the rest evenly."
        )
    for line, why in found.bad[:10]:
        typer.echo(f"Left out, line {line}: {why}")
    if len(found.bad) > 10:
        typer.echo(f"... and {len(found.bad) - 10:,} further lines.")
