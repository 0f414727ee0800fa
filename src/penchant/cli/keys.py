"""`penchant keys`: who may use a decision service."""

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from penchant.cli import options, shell

if TYPE_CHECKING:
    from penchant.serving.event_store import EventStore

keys = typer.Typer(help="Keys of a decision service.", no_args_is_help=True)
Database = Annotated[
    str,
    typer.Option(
        help="sqlite:///FILE or postgresql://USER@HOST/DATABASE that `penchant serve` keeps.",
        show_default=False,
    ),
]
Tenant = Annotated[str, typer.Option(help="Whose key; tenants never see each other.")]
KeyName = Annotated[str, typer.Argument(help="Name of the key.", show_default=False)]


def _store(database: str) -> "EventStore":
    from penchant.serving.database import database_at
    from penchant.serving.event_store import EventStore

    return EventStore(database_at(database))


@keys.command("add")
@shell.guarded
def add(
    name: KeyName,
    role: Annotated[
        str,
        typer.Option(
            help="app: rank, feedback and questions; ask: answer questions on the page /ask; "
            "analyst: read people, models, the report and /console; monitor: metrics; admin: "
            "everything.",
            show_default=False,
        ),
    ],
    database: Database,
    tenant: Tenant = "default",
    debug: options.Debug = False,
) -> None:
    """Make a key and print it, this once: only its digest is kept."""
    from penchant.cli.serve import needs_serve

    try:
        from penchant.serving.keys import add_key
    except ModuleNotFoundError as error:
        raise needs_serve(error) from None
    with closing(_store(database)) as store:
        typer.echo(add_key(store, name, role, tenant))


@keys.command("list")
@shell.guarded
def list_keys(database: Database, json: options.Json = False, debug: options.Debug = False) -> None:
    """Names, tenants and roles of all keys."""
    with closing(_store(database)) as store:
        found = store.fetch("SELECT name, tenant, role FROM keys ORDER BY tenant, name")
    if json:
        told = [dict(zip(("name", "tenant", "role"), row)) for row in found]
        shell.print_json({"keys": told})
        return
    for name, tenant, role in found:
        typer.echo(f"{name}  tenant {tenant}  role {role}")


@keys.command("remove")
@shell.guarded
def remove(
    name: KeyName, database: Database, tenant: Tenant = "default", debug: options.Debug = False
) -> None:
    """Make a key useless within a second."""
    from penchant.cli.serve import needs_serve

    try:
        from penchant.serving.keys import remove_key
    except ModuleNotFoundError as error:
        raise needs_serve(error) from None
    with closing(_store(database)) as store:
        remove_key(store, name, tenant)
