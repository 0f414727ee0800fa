"""What a decision service needs of the database that keeps its log, and which one an address names.

Statements are SQL that SQLite and PostgreSQL both take, with `?` for each value; what they say
differently is said in `sqlite_database.py` and `postgres_database.py`.
"""

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from penchant.errors import ConfigError
from penchant.serving.postgres_database import PostgresDatabase
from penchant.serving.postgres_session import masked
from penchant.serving.sqlite_database import SqliteDatabase


@runtime_checkable
class Connection(Protocol):
    """One connection, made ready for the log; for one thread at a time.

    Raises `sqlite3.Error` or `EndpointError` for what could not be done, and then nothing of it
    was: for a transaction that was about to be durable nobody knows.
    """

    # The last number that was given, which an erasure does not take back.
    last_number: str

    def fetch(self, query: str, *values: object) -> list[tuple]:
        """All rows of a question."""
        ...

    def execute(self, statement: str, *values: object) -> int:
        """A statement, by itself durable on return; how many rows it changed."""
        ...

    def insert(self, rows: Sequence[tuple]) -> int:
        """Entries, each as tenant, event_id, entry_id, kind, person, received, body and answer,
        numbered in this order; those whose names are there are left. How many were not. Within a
        transaction."""
        ...

    def insert_new(self, rows: Sequence[tuple], events: Sequence[tuple[str, bytes]]) -> bool:
        """The same as a transaction by itself, durable on return, where no name is there yet and no
        event, as tenant and digest, was erased. Otherwise nothing is done; whether it was."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Everything within happens or nothing does, one such after the other whoever writes;
        others see it at once. What was done is durable at its end."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Everything read within is of one moment."""
        ...

    def sweep(self) -> bool:
        """Lets go of what was erased as far as the database can; whether that was possible now."""
        ...

    def leading(self) -> AbstractContextManager[bool]:
        """Whether this connection is the one that learns from the log, as long as the block lasts
        and `leads` says so."""
        ...

    @property
    def leads(self) -> bool:
        """Whether nobody else can have become the one that learns since `leading`."""
        ...

    def mark(self) -> None:
        """The log was read without trouble: now."""
        ...

    def idle_seconds(self) -> float | None:
        """Since somebody who learns last began or marked; None where there was nobody."""
        ...

    def put_belief(self, tenant: str, model: str, content: bytes) -> None:
        """In place of the one before: whoever reads gets one or the other, whole."""
        ...

    def belief(self, tenant: str, model: str) -> bytes | None:
        """What was put; None where nothing was."""
        ...

    def belief_stamp(self, tenant: str, model: str) -> Hashable | None:
        """Another one after each `put_belief`; None where there was none."""
        ...

    def belief_name(self, tenant: str, model: str) -> str:
        """Where the belief is, in words."""
        ...

    def close(self) -> None:
        """Nothing is asked any more."""
        ...


@runtime_checkable
class Database(Protocol):
    """Where a log is kept. address: what `database_at` takes, passwords and all; `name`: the same
    for people, without them."""

    @property
    def address(self) -> str: ...

    @property
    def name(self) -> str: ...

    def connect(self, *, for_reading: bool) -> Connection:
        """Opens it, and makes the log where there is none. for_reading: without a look at all of
        it. Raises `DataError` for a log that cannot be used, `EndpointError` for a server that
        cannot."""
        ...


def database_at(address: str | Path) -> Database:
    """The database of an address, or of an SQLite file. Raises `ConfigError` for any other."""
    if isinstance(address, Path):
        return SqliteDatabase(address)
    if address.startswith(("postgresql://", "postgres://")):
        return PostgresDatabase(address)
    if address.startswith("sqlite:///") and address != "sqlite:///":
        return SqliteDatabase(Path(address.removeprefix("sqlite:///")))
    raise ConfigError(
        f"the database is {masked(address)!r}; expected sqlite:///FILE (three strokes before a "
        "path from here, four before one from the root), or postgresql://USER@HOST:PORT/DATABASE."
    )
