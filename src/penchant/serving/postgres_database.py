"""The log of a decision service in PostgreSQL, for several machines, its beliefs beside it.

Everything is in a schema of its own. Whoever writes takes the one row of `log` first, so that
numbers are given in the order in which transactions become visible: with a sequence, a learner
that has read number 7 could miss a 6 that is committed later.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penchant.errors import EndpointError
from penchant.serving.postgres_session import (
    OURS,
    SPACE,
    check_driver,
    masked,
    opened,
    without_secrets,
)

if TYPE_CHECKING:
    import psycopg

# Seconds before a server that was away is asked again; until then callers are told at once.
_REST = 0.5
# A report thinks between its questions, and holds up nobody.
_READ = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL idle_in_transaction_session_timeout = '10min'"""
_WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT last FROM log FOR UPDATE"
# One statement for all rows, which the server has parsed before.
_INSERT = """
WITH numbered AS (UPDATE log SET last = last + ? RETURNING last)
INSERT INTO entries SELECT (SELECT last FROM log) + place, tenant, event_id, entry_id, kind, person,
  received, body, answer
  FROM unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::float8[], ?::bytea[],
    ?::bytea[]) WITH ORDINALITY
  AS said (tenant, event_id, entry_id, kind, person, received, body, answer, place)
ON CONFLICT DO NOTHING
"""
# The same where none of it was there or is of what was erased. With the log's row in hand nobody
# else writes, and this statement sees what they had written. What has a LIMIT is looked up row by
# row: joined, both tables would be read through by a plan that was made while they were empty.
_INSERT_NEW = """
WITH said AS (
  SELECT * FROM unnest(?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::float8[],
    ?::bytea[], ?::bytea[]) WITH ORDINALITY
  AS each (tenant, event_id, entry_id, kind, person, received, body, answer, place)
), numbered AS (
  UPDATE log SET last = last + ?
  WHERE NOT EXISTS (
    SELECT 1 FROM said CROSS JOIN LATERAL (
      SELECT 1 FROM entries e WHERE e.tenant = said.tenant AND e.event_id = said.event_id
      AND e.entry_id = said.entry_id LIMIT 1
    ) AS there
  ) AND NOT EXISTS (
    SELECT 1 FROM unnest(?::text[], ?::bytea[]) AS gone (tenant, event) CROSS JOIN LATERAL (
      SELECT 1 FROM erased e WHERE e.tenant = gone.tenant AND e.event = gone.event LIMIT 1
    ) AS there
  ) RETURNING last
)
INSERT INTO entries SELECT last - ? + place, tenant, event_id, entry_id, kind, person, received,
  body, answer FROM said, numbered
"""
_PUT_BELIEF = """
INSERT INTO beliefs VALUES (?, ?, 1, ?) ON CONFLICT (tenant, model) DO UPDATE
  SET stamp = beliefs.stamp + 1, content = EXCLUDED.content
"""
# Every other second is often enough: each time is a transaction.
_MARK = """
UPDATE learner SET looked = clock_timestamp() WHERE looked < clock_timestamp() - interval '2 s'
"""
_BEGIN_TO_LEARN = """
INSERT INTO learner SELECT clock_timestamp() WHERE NOT EXISTS (SELECT 1 FROM learner)
"""
# With the number of a table each log of a server has a lock of its own.
_LOCK = f"{OURS}, 'entries'::regclass::oid::integer"


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database of a server. What its address leaves out comes from PGHOST, PGUSER, PGPASSWORD and
    their like, from ~/.pgpass and from the service file, as in all of PostgreSQL's own programs."""

    address: str = field(repr=False)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The address without its password."""
        return masked(self.address)

    def connect(self, *, for_reading: bool = False) -> "PostgresConnection":
        """Raises `EndpointError` for a server that cannot be reached or does not let us in,
        `DataError` for one that cannot keep a log, `ConfigError` for an address that is none."""
        check_driver()
        return PostgresConnection(self, for_reading)


class PostgresConnection:
    """A session of a server, which is made anew after it was lost: whoever asks meanwhile is told.

    Sixteen seconds without a sign of the server are a loss, by default.
    """

    last_number = "SELECT last FROM log"

    def __init__(self, database: PostgresDatabase, for_reading: bool) -> None:
        self._database, self._for_reading = database, for_reading
        self._session: psycopg.Connection | None = None
        self._leader: psycopg.Connection | None = None
        self._is_within = False
        self._refused = -math.inf
        # What is wrong with the address or the database is told to whoever starts.
        with self._told():
            self._connected()

    def fetch(self, query: str, *values: object) -> list[tuple]:
        """All rows of a question."""
        with self._told():
            return self._run(query, values).fetchall()

    def execute(self, statement: str, *values: object) -> int:
        """A statement, by itself durable on return; how many rows it changed."""
        with self._told():
            return self._run(statement, values).rowcount

    def insert(self, rows: Sequence[tuple]) -> int:
        """Entries whose names are not there yet; how many there were."""
        columns = [list(column) for column in zip(*rows)]
        return self.execute(_INSERT, len(rows), *columns)

    def insert_new(self, rows: Sequence[tuple], events: Sequence[tuple[str, bytes]]) -> bool:
        """One way there and back, where libpq can (14 or later)."""
        import psycopg

        if len({row[:3] for row in rows}) < len(rows):
            return False
        columns = [list(column) for column in (*zip(*rows), *zip(*events))]
        values = [*columns[:8], len(rows), *columns[8:], len(rows)]
        with self._told():
            session = self._connected()
            try:
                with _pipeline(session):
                    for begin in _WRITE.split(";"):
                        session.execute(begin.encode())
                    done = self._run(_INSERT_NEW, values)
                    session.execute(b"COMMIT")
                return done.rowcount == len(rows)
            except BaseException:
                # A session that is lost is undone by the server.
                with contextlib.suppress(psycopg.Error):
                    session.execute(b"ROLLBACK")
                raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Whoever writes waits for the one before, on whatever machine."""
        with self._between(_WRITE):
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read within is of one moment."""
        with self._between(_READ):
            yield

    @contextlib.contextmanager
    def _between(self, begin: str) -> Iterator[None]:
        try:
            # Who waited in vain has begun all the same.
            self._plain(begin)
            self._is_within = True
            yield
            self._plain("COMMIT")
        except BaseException:
            # A session that is lost is undone by the server.
            if self._session is not None:
                with contextlib.suppress(EndpointError):
                    self._plain("ROLLBACK")
            raise
        finally:
            self._is_within = False

    def sweep(self) -> bool:
        """Lets the server use the room of what was erased, and of beliefs that knew it, for
        something else; its older backups and write-ahead logs are its keeper's part. By whoever
        leads: it takes time."""
        if not self.leads:
            return False
        self._plain("VACUUM (SKIP_LOCKED) entries, beliefs")
        return True

    @contextlib.contextmanager
    def leading(self) -> Iterator[bool]:
        """By an advisory lock of this session: the server lets go of it with the session, and what
        a learner publishes goes by the same one, so that nobody publishes who was replaced."""
        ((is_mine,),) = self.fetch(f"SELECT pg_try_advisory_lock({_LOCK})")
        if not is_mine:
            yield False
            return
        self._leader = self._session
        try:
            self.execute(_BEGIN_TO_LEARN)
            yield True
        finally:
            if self.leads:
                with contextlib.suppress(EndpointError):
                    self.fetch(f"SELECT pg_advisory_unlock({_LOCK})")
            self._leader = None

    @property
    def leads(self) -> bool:
        """Whether the session is still the one that has the lock."""
        return self._leader is not None and self._leader is self._session

    def mark(self) -> None:
        """By the clock of the server."""
        self.execute(_MARK)

    def idle_seconds(self) -> float | None:
        """By the clock of the server."""
        found = self.fetch(
            "SELECT extract(epoch FROM clock_timestamp() - looked)::float8 FROM learner"
        )
        return max(0.0, found[0][0]) if found else None

    def put_belief(self, tenant: str, model: str, content: bytes) -> None:
        """One row is put in place of another."""
        self.execute(_PUT_BELIEF, tenant, model, content)

    def belief(self, tenant: str, model: str) -> bytes | None:
        """The row as it is."""
        found = self.fetch(
            "SELECT content FROM beliefs WHERE tenant = ? AND model = ?", tenant, model
        )
        return found[0][0] if found else None

    def belief_stamp(self, tenant: str, model: str) -> int | None:
        """How often it was put."""
        found = self.fetch(
            "SELECT stamp FROM beliefs WHERE tenant = ? AND model = ?", tenant, model
        )
        return found[0][0] if found else None

    def belief_name(self, tenant: str, model: str) -> str:
        """Of the row."""
        return f"the row ({tenant}, {model}) of {SPACE}.beliefs in {self._database}"

    def close(self) -> None:
        """What was not committed is undone."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _run(self, query: str, values: Sequence[object]) -> "psycopg.Cursor":
        # A long body comes as it is, not as hexadecimal digits.
        statement = query.replace("?", "%s").encode()
        return self._connected().execute(statement, values, binary=True)

    def _plain(self, statements: str) -> None:
        """Several at once, without values: one way there and back."""
        with self._told():
            self._connected().execute(statements.encode(), prepare=False)

    def _connected(self) -> "psycopg.Connection":
        if self._session is None:
            # A transaction does not go on in another session. And a server that is away is not
            # waited for by everybody who comes.
            if self._is_within or time.monotonic() - self._refused < _REST:
                raise EndpointError(f"{self._database} was away a moment ago; it is asked again.")
            try:
                self._session = opened(self._database.address, self._for_reading)
            except EndpointError:
                self._refused = time.monotonic()
                raise
        return self._session

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the driver as ours, without what is secret; a session that is lost is let go of
        and made anew for whoever asks next."""
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            if self._session is not None and self._session.closed:
                self._session = None
            told = without_secrets(self._database.address, str(error))
            # The driver's own words may hold the whole address: they are not the cause either.
            raise EndpointError(f"{self._database}: {told}") from None


def _pipeline(session: "psycopg.Connection") -> contextlib.AbstractContextManager[object]:
    import psycopg

    return session.pipeline() if psycopg.Pipeline.is_supported() else contextlib.nullcontext()
