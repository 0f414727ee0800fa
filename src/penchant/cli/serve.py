"""`penchant serve`: rewards of a fitted model, or decisions that learn, over HTTP."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options, shell
from penchant.cli.score import load_scorer
from penchant.errors import ConfigError, MissingExtraError


@shell.guarded
def serve(
    belief: Annotated[
        Path | None,
        typer.Option(
            "--belief",
            "-b",
            help="Rewards: folder that `penchant fit --model reward --out` wrote.",
            show_default=False,
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            help="Decisions: sqlite:///FILE, which keeps every decision and feedback, made where "
            "it is not there; or postgresql://USER@HOST/DATABASE, for several machines.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = 8000,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="Rewards: name under which clients reach it, besides its address; may be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Rewards: folder that keeps the embedding of every text ever posted; without it "
            "none is kept.",
            show_default=False,
        ),
    ] = None,
    history: options.HistoryFile = None,
    description: options.DescriptionFile = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure", help="Decisions: without keys, on a loopback address, to try it."
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Decisions: processes that serve; 1 without it.",
                     show_default=False),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=1.0, help="Decisions: requests a second of one key and worker; 10,000 "
                     "without it.", show_default=False),
    ] = None,
    most_options: Annotated[
        int | None,
        typer.Option(min=1, help="Decisions: options of a request; up to 1,000 without it.",
                     show_default=False),
    ] = None,
    most_bytes: Annotated[
        int | None,
        typer.Option(min=1, help="Decisions: bytes of a request; up to 1,000,000 without it.",
                     show_default=False),
    ] = None,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Serve over HTTP: rewards of a fitted model (--belief) or decisions that learn (--database).

    Rewards: POST {"text": ...}, a list of such, or {"rows": [...]} to /score. Requests say
    Content-Type: application/json, and address the server by its address, localhost or a --name.
    There is no password: listen on other addresses than your own only behind something that has
    one.

    Decisions: POST /v1/rank and /v1/feedback with a key of `penchant keys add`; /openapi.json
    tells the rest. What is answered is kept; a learner beside the server learns from it.
    """
    for_rewards = {"--name": name, "--cache": cache, "--history": history,
                   "--description": description}  # fmt: skip
    for_decisions = {"--insecure": insecure or None, "--workers": workers, "--rate": rate,
                     "--most-options": most_options, "--most-bytes": most_bytes}  # fmt: skip
    if (belief is None) == (database is None):
        raise ConfigError(
            "expected one of --belief FOLDER, to serve the rewards of a model, and --database "
            "sqlite:///FILE or postgresql://..., to serve decisions; got "
            f"{'neither' if belief is None else 'both'}."
        )
    if belief is not None:
        _refuse(for_decisions, "--belief")
        _rewards(belief, host, port, name or [], cache, history, description)
    elif database is not None:
        _refuse(for_rewards, "--database")
        given = {"rate": rate, "options": most_options, "body": most_bytes}
        told = {key: value for key, value in given.items() if value is not None}
        _decisions(database, host, port, insecure, workers or 1, told)


def _refuse(options: Mapping[str, object], beside: str) -> None:
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{', '.join(given)} would change nothing beside {beside}. Leave it out.")


def _rewards(
    belief: Path, host: str, port: int, names: list[str], cache: Path | None, history: Path | None,
    description: Path | None,
) -> None:  # fmt: skip
    from penchant.serving.scorer_http import ScorerServer

    scorer = load_scorer(belief, history, description, cache)
    server = ScorerServer(scorer, host, port, names)
    shell.note(f"Rewards on http://{host}:{server.server_port}/score; Ctrl-C ends.")
    try:
        server.serve_forever()
    finally:
        server.server_close()


def _decisions(
    database: str, host: str, port: int, insecure: bool, workers: int, limits: Mapping[str, float]
) -> None:
    from penchant.serving.database import database_at

    try:
        from penchant.serving import run_service
        from penchant.serving.wire import Limits
    except ModuleNotFoundError as error:
        raise needs_serve(error) from None
    config = run_service.ServiceConfig(
        database=database_at(database), host=host, port=port, num_workers=workers,
        is_insecure=insecure, limits=Limits(**limits),  # type: ignore[arg-type] # of one dict
    )  # fmt: skip
    run_service.check_service(config)
    held = run_service.listening(host, port)
    port = held.getsockname()[1]
    shell.note(f"Decisions on http://{host}:{port}/v1/rank, pages at /ask and /console, kept in "
               f"{config.database}; Ctrl-C ends.")  # fmt: skip
    run_service.run_service(config, held)


def needs_serve(error: ModuleNotFoundError) -> MissingExtraError:
    """What to install for the decision service."""
    return MissingExtraError(
        f"the decision service needs {error.name}, which is not installed; expected the extra "
        "[serve]. Install it with: pip install 'penchant[serve]'."
    )
