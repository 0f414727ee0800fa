"""The log of a decision service in a file of SQLite, its beliefs in files beside it."""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from penchant.errors import DataError

VERSION = 2
# Seconds to wait for another process that writes.
_PATIENCE = 10.0
_PATIENCE_TO_SWEEP = 0.1
_PAGE = 8192
# Beyond so many bytes a look at every page takes longer than a start should.
_CHECKED_AT_START = 256 * 1024 * 1024
_SCHEMA = """
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL, event_id TEXT NOT NULL, entry_id TEXT NOT NULL,
  kind TEXT NOT NULL, person TEXT, received REAL NOT NULL,
  body BLOB NOT NULL, answer BLOB NOT NULL
);
CREATE UNIQUE INDEX one_of_each ON entries (tenant, event_id, entry_id);
CREATE INDEX of_person ON entries (tenant, person) WHERE person IS NOT NULL;
CREATE TABLE epochs (tenant TEXT PRIMARY KEY, epoch INTEGER NOT NULL);
CREATE TABLE keys (
  key_id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant TEXT NOT NULL, role TEXT NOT NULL,
  digest BLOB NOT NULL, created REAL NOT NULL, UNIQUE (tenant, name)
);
CREATE TABLE models (
  tenant TEXT NOT NULL, name TEXT NOT NULL, config TEXT NOT NULL, created REAL NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE promotions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, model TEXT NOT NULL,
  promoted REAL NOT NULL
);
"""
# What files of before do not have: studies, and digests of the events that were erased.
_SECOND = """
CREATE TABLE studies (
  tenant TEXT NOT NULL, name TEXT NOT NULL, config TEXT NOT NULL, created REAL NOT NULL,
  PRIMARY KEY (tenant, name)
);
CREATE TABLE erased (tenant TEXT NOT NULL, event BLOB NOT NULL, PRIMARY KEY (tenant, event))
  WITHOUT ROWID;
"""
# From each version to the next.
_STEPS = (_SCHEMA, _SECOND)
_ENTRIES = "entries (tenant, event_id, entry_id, kind, person, received, body, answer)"
_INSERT = f"INSERT OR IGNORE INTO {_ENTRIES} VALUES "
_ENTRY = "(?, ?, ?, ?, ?, ?, ?, ?)"
# Another process may erase at any time: it is asked within the statement.
_INSERT_NEW = (
    f"INSERT INTO {_ENTRIES} SELECT * FROM (VALUES %s) WHERE NOT EXISTS (SELECT 1 FROM erased "
    "WHERE (tenant, event) IN (VALUES %s))"
)
# Of one moment: another process may be making the tables.
_WHOSE = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"


@dataclass(frozen=True, slots=True)
class SqliteDatabase:
    """A file on this machine, made where it is not, for this user alone."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def address(self) -> str:
        """As typed after `--database`."""
        return f"sqlite:///{self.path}"

    @property
    def name(self) -> str:
        """The same: it holds no password."""
        return self.address

    def connect(self, *, for_reading: bool = False) -> "SqliteConnection":
        """Raises `DataError` for a damaged file, one of another program or a newer penchant."""
        try:
            # What people did is nobody else's to read; the write-ahead log is made alike.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"{self.path} cannot be opened ({error}); expected a file that can be written, in "
                "a folder that exists."
            ) from error
        try:
            _open(connection, self.path, for_reading)
        except sqlite3.DatabaseError as error:
            connection.close()
            raise _damaged(self.path, error) from error
        except BaseException:
            connection.close()
            raise
        return SqliteConnection(self.path, connection)


class SqliteConnection:
    """A connection to the file. What a transaction returns from is durable: write-ahead log, full
    synchronisation. Several processes may hold the file; within one, each thread its own."""

    last_number = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'entries'"

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    def fetch(self, query: str, *values: object) -> list[tuple]:
        """All rows of a question."""
        return self._connection.execute(query, values).fetchall()

    def execute(self, statement: str, *values: object) -> int:
        """A statement, by itself durable on return; how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def insert(self, rows: Sequence[tuple]) -> int:
        """Entries whose names are not there yet; how many there were."""
        # One statement for all rows: each gives up the interpreter's lock and waits to get it back.
        insert = _INSERT + ", ".join([_ENTRY] * len(rows))
        return self._connection.execute(insert, [*chain.from_iterable(rows)]).rowcount

    def insert_new(self, rows: Sequence[tuple], events: Sequence[tuple[str, bytes]]) -> bool:
        """In one step, which waits once for the interpreter's lock, not after each of four."""
        insert = _INSERT_NEW % (", ".join([_ENTRY] * len(rows)), ", ".join(["(?, ?)"] * len(rows)))
        values = [*chain.from_iterable(rows), *chain.from_iterable(events)]
        try:
            return self._connection.execute(insert, values).rowcount == len(rows)
        except sqlite3.IntegrityError:
            return False

    def transaction(self) -> "_Transaction":
        """Whoever writes waits for the one before."""
        return _Transaction(self._connection)

    def reading(self) -> "_Transaction":
        """Everything read within is of one moment."""
        return _Transaction(self._connection, "BEGIN")

    def sweep(self) -> bool:
        """Takes the write-ahead log over into the file and empties it: until then old pages are
        still in it. Whether that was possible; it is not while somebody reads an older moment."""
        run = self._connection.execute
        # Writers wait as long as this does.
        run(f"PRAGMA busy_timeout = {1000 * _PATIENCE_TO_SWEEP:.0f}")
        try:
            (is_busy, _, _) = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            run(f"PRAGMA busy_timeout = {1000 * _PATIENCE:.0f}")
        return not is_busy

    @contextlib.contextmanager
    def leading(self) -> Iterator[bool]:
        """By a lock on a file, which the system lets go of however the process ends."""
        with self._lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    @property
    def leads(self) -> bool:
        """Nobody takes a lock away."""
        return True

    def mark(self) -> None:
        """By the time of the lock's file."""
        os.utime(self._lock)

    def idle_seconds(self) -> float | None:
        """Since the time of the lock's file."""
        try:
            return max(0.0, time.time() - self._lock.stat().st_mtime)
        except FileNotFoundError:
            return None

    def put_belief(self, tenant: str, model: str, content: bytes) -> None:
        """Written beside, made durable, then put in place: readers see the old or the new."""
        file = self.belief_file(tenant, model)
        # Names of features tell of people; whoever may not read the log may not read these.
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # One process learns at a time, so that one name is enough.
        partial = file.with_name(f"{file.name}.part")
        with partial.open("wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        partial.replace(file)
        # The new name too must outlive the machine.
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def belief(self, tenant: str, model: str) -> bytes | None:
        """The file as it is."""
        try:
            return self.belief_file(tenant, model).read_bytes()
        except FileNotFoundError:
            return None

    def belief_stamp(self, tenant: str, model: str) -> tuple[int, ...] | None:
        """Time, number and size of the file."""
        try:
            found = self.belief_file(tenant, model).stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def belief_name(self, tenant: str, model: str) -> str:
        """The file's."""
        return str(self.belief_file(tenant, model))

    def belief_file(self, tenant: str, model: str) -> Path:
        """Beside the log; tenants and models have names that are names of files."""
        folder = self._path.with_name(self._path.name + ".beliefs")
        return folder / tenant / f"{model}.safetensors"

    @property
    def _lock(self) -> Path:
        return self._path.with_name(self._path.name + ".learner")

    def close(self) -> None:
        """Takes the write-ahead log over into the file where nobody else holds it."""
        self._connection.close()


def _open(connection: sqlite3.Connection, path: Path, for_reading: bool) -> None:
    run = connection.execute
    version, num_tables = run(_WHOSE).fetchone()
    if version > VERSION:
        raise DataError(
            f"{path} was written by a newer penchant (schema {version}, this one knows "
            f"{VERSION}). Update penchant."
        )
    if version == 0 and num_tables:
        raise DataError(
            f"{path} is a database of another program; expected one of penchant's, or "
            "none. Name another file."
        )
    # Of a file that is made now: a usual rank fills one page, not parts of three.
    run(f"PRAGMA page_size = {_PAGE}")
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = FULL")
    # macOS calls what is in the drive's cache synchronised, but for these.
    run("PRAGMA fullfsync = ON")
    run("PRAGMA checkpoint_fullfsync = ON")
    # What somebody asked to be erased does not linger in freed pages.
    run("PRAGMA secure_delete = ON")
    if version and not for_reading and path.stat().st_size <= _CHECKED_AT_START:
        (found,) = run("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    if version < VERSION:
        _make(connection)


def _make(connection: sqlite3.Connection) -> None:
    run = connection.execute
    with _Transaction(connection):
        # Another process may have been faster.
        (version,) = run("PRAGMA user_version").fetchone()
        for step in _STEPS[version:]:
            for statement in step.split(";"):
                run(statement)
        run(f"PRAGMA user_version = {VERSION}")


class _Transaction:
    def __init__(self, connection: sqlite3.Connection, begin: str = "BEGIN IMMEDIATE") -> None:
        self._connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        self._connection.execute(self._begin)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
                return
            except BaseException:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        # A full disk may have ended the transaction already.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is damaged or no database ({error}); expected a log that penchant wrote. Nothing "
        f"was changed. Take the last good copy, or save what can be read: `sqlite3 {path} .recover "
        f"| sqlite3 mended.db`; {path}.beliefs was learnt from another log then: delete it."
    )
