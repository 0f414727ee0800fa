"""The log of a decision service: what was asked, what was answered and what came of it, in SQLite.

One table of entries, appended to and numbered in the order in which they were made durable: ranks
and feedback alike. A feedback is joined with its rank when both are there, in whatever order they
came.
"""

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from penchant.errors import ConfigError, DataError

VERSION = 2
RANK = "rank"
# Seconds to wait for another process that writes.
_PATIENCE = 10.0
_PATIENCE_TO_SWEEP = 0.1
# Beyond so many bytes a look at every page takes longer than a start should.
_CHECKED_AT_START = 256 * 1024 * 1024
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
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
_INSERT = (
    "INSERT OR IGNORE INTO entries (tenant, event_id, entry_id, kind, person, received, body, "
    "answer) VALUES "
)
# Of one moment: another process may be making the tables.
_WHOSE = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
# The last number that was given, which an erasure does not take back.
_LAST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'entries'"
# What a transaction asks first: that, and whether anything was ever erased.
_BEFORE = f"SELECT ({_LAST}), EXISTS (SELECT 1 FROM erased)"
# From one tenant to the next by the index, whatever lies between.
_TENANTS = """
WITH RECURSIVE each (name) AS (
  SELECT min(tenant) FROM entries
  UNION ALL
  SELECT (SELECT min(tenant) FROM entries WHERE tenant > name) FROM each WHERE name IS NOT NULL
) SELECT name FROM each WHERE name IS NOT NULL
"""
_COLUMNS = "f.event_id, f.entry_id, f.kind, f.body, e.person, e.body, e.answer"
# Feedback that came after its rank, and feedback that waited for it. A range of numbers is read,
# its partners are looked up: the plus keeps the planner from reading all of a tenant instead.
_JOINED = f"""
SELECT f.seq AS place, f.seq, {_COLUMNS} FROM entries f CROSS JOIN entries e
  ON e.tenant = f.tenant AND e.event_id = f.event_id AND e.entry_id = '' AND e.seq < f.seq
  WHERE f.seq > :after AND f.seq <= :upto AND +f.tenant = :tenant AND +f.entry_id <> ''
UNION ALL
SELECT e.seq AS place, f.seq, {_COLUMNS} FROM entries e CROSS JOIN entries f
  ON f.tenant = e.tenant AND f.event_id = e.event_id AND f.entry_id <> '' AND f.seq < e.seq
  WHERE e.seq > :after AND e.seq <= :upto AND +e.tenant = :tenant AND +e.entry_id = ''
ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be kept. entry_id: empty for a rank, a name of its own for each feedback of the
    event. body: what came, as JSON; answer: what was said to a rank, as JSON."""

    tenant: str
    event_id: str
    entry_id: str
    kind: str
    person: str | None
    body: bytes
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """is_new: whether the entry was not there before. answer: what was said the first time.
    is_same: whether it says what the entry of that name says; another one is not kept.
    is_erased: whether it is of an event that was erased, so that nothing of it is kept."""

    is_new: bool
    answer: bytes
    is_same: bool = True
    is_erased: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """A feedback with its rank. place: the number of whichever was durable later."""

    place: int
    event_id: str
    entry_id: str
    kind: str
    feedback: bytes
    person: str | None
    asked: bytes
    answered: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """How far a log goes. epoch: how often its past was changed, by erasure or correction."""

    epoch: int
    seq: int


class EventStore:
    """One connection to the log in a file, which is made where it is not, for this user alone.

    What `append` returns from is durable: write-ahead log, full synchronisation. Several processes
    may hold the file; within one, each thread its own store. now: the clock of `received`, which
    nothing but people looks at.

    Raises `DataError` for a damaged file, one of another program or a newer penchant.
    """

    def __init__(
        self, path: str | Path, *, now: Callable[[], float] = time.time, for_reading: bool = False
    ) -> None:
        self.path = Path(path)
        self._now = now
        try:
            # What people did is nobody else's to read; the write-ahead log is made alike.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(
                self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise DataError(
                f"{self.path} cannot be opened ({error}); expected a file that can be written, in "
                "a folder that exists."
            ) from error
        try:
            self._open(for_reading)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise _damaged(self.path, error) from error
        except BaseException:
            self._connection.close()
            raise

    def _open(self, for_reading: bool) -> None:
        run = self._connection.execute
        version, num_tables = run(_WHOSE).fetchone()
        if version > VERSION:
            raise DataError(
                f"{self.path} was written by a newer penchant (schema {version}, this one knows "
                f"{VERSION}). Update penchant."
            )
        if version == 0 and num_tables:
            raise DataError(
                f"{self.path} is a database of another program; expected one of penchant's, or "
                "none. Name another file."
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        # macOS calls what is in the drive's cache synchronised, but for these.
        run("PRAGMA fullfsync = ON")
        run("PRAGMA checkpoint_fullfsync = ON")
        # What somebody asked to be erased does not linger in freed pages.
        run("PRAGMA secure_delete = ON")
        if version and not for_reading and self.path.stat().st_size <= _CHECKED_AT_START:
            (found,) = run("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        if version < VERSION:
            self._make()

    def _make(self) -> None:
        run = self._connection.execute
        with self.transaction():
            # Another process may have been faster.
            (version,) = run("PRAGMA user_version").fetchone()
            for step in _STEPS[version:]:
                for statement in step.split(";"):
                    run(statement)
            run(f"PRAGMA user_version = {VERSION}")

    def append(self, entries: Sequence[Entry]) -> list[Receipt]:
        """All of them in one transaction, durable on return; those that are there are left, and of
        events that were erased nothing is kept.

        Raises `sqlite3.Error` where nothing could be written, and then nothing was.
        """
        if not entries:
            return []
        with self.transaction():
            last, has_erased = self._connection.execute(_BEFORE).fetchone()
            is_gone = [has_erased and self._is_erased(entry) for entry in entries]
            rest = [entry for entry, gone in zip(entries, is_gone) if not gone]
            kept = iter(self._append(rest, last) if rest else ())
            return [Receipt(False, b"", is_erased=True) if gone else next(kept) for gone in is_gone]

    def _is_erased(self, entry: Entry) -> bool:
        return self._connection.execute(
            "SELECT 1 FROM erased WHERE tenant = ? AND event = ?",
            (entry.tenant, _digest(entry.event_id)),
        ).fetchone() is not None  # fmt: skip

    def _append(self, entries: Sequence[Entry], last: int) -> list[Receipt]:
        received = self._now()
        # One statement for all rows: each gives up the interpreter's lock and waits to get it back.
        insert = _INSERT + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(entries))
        values = [
            value
            for e in entries
            for value in (
                e.tenant, e.event_id, e.entry_id, e.kind, e.person, received, e.body, e.answer
            )
        ]  # fmt: skip
        added = self._connection.execute(insert, values).rowcount
        if added == len(entries):
            return [Receipt(True, entry.answer) for entry in entries]
        return self._compared(entries, last)

    def _compared(self, entries: Sequence[Entry], last: int) -> list[Receipt]:
        """Which of them were there before this transaction, whose first number is after `last`."""
        claimed: set[int] = set()
        receipts = []
        for entry in entries:
            seq, body, answer = self._connection.execute(
                "SELECT seq, body, answer FROM entries WHERE tenant = ? AND event_id = ? AND "
                "entry_id = ?", (entry.tenant, entry.event_id, entry.entry_id),
            ).fetchone()  # fmt: skip
            # The first of equals in one transaction is the one that was kept.
            is_new = seq > last and seq not in claimed
            claimed.add(seq)
            receipts.append(Receipt(is_new, answer, _says_the_same(body, entry.body)))
        return receipts

    def position(self, tenant: str) -> Position:
        """How far the log goes now."""
        epoch = self.fetch("SELECT epoch FROM epochs WHERE tenant = ?", tenant)
        (last,) = self.fetch(_LAST)[0]
        return Position(epoch[0][0] if epoch else 0, last)

    def joined(self, tenant: str, after: int = 0, upto: int | None = None) -> Iterator[Joined]:
        """Every feedback whose rank is there, in the order in which the two came together."""
        found = self._connection.execute(
            _JOINED, {"tenant": tenant, "after": after, "upto": 2**62 if upto is None else upto}
        )
        for place, _, event_id, entry_id, kind, feedback, person, asked, answered in found:
            yield Joined(place, event_id, entry_id, kind, feedback, person, asked, answered)

    def waiting(self, tenant: str) -> int:
        """Feedback whose rank has not come."""
        return int(self.fetch(
            "SELECT count(*) FROM entries f WHERE f.tenant = ? AND f.entry_id <> '' AND NOT EXISTS "
            "(SELECT 1 FROM entries e WHERE e.tenant = f.tenant AND e.event_id = f.event_id AND "
            "e.entry_id = '')", tenant,
        )[0][0])  # fmt: skip

    def tenants(self) -> list[str]:
        """Whoever has entries, or had some that were erased."""
        had = self.fetch("SELECT tenant FROM epochs")
        return sorted({name for (name,) in [*self.fetch(_TENANTS), *had]})

    def erase_person(self, tenant: str, person: str) -> int:
        """Their ranks and all feedback to these are gone, from the file too; how many entries.

        The next epoch begins: whatever was learnt from the log is learnt anew. What the write-ahead
        log still has of them is gone once `sweep` was possible, which is tried here. Digests of the
        events' names stay, so that what is still sent of them is known and not kept.
        """
        with self.transaction():
            events = self.fetch(
                "SELECT event_id FROM entries WHERE tenant = ? AND person = ?", tenant, person
            )
            self._connection.executemany(
                "INSERT OR IGNORE INTO erased VALUES (?, ?)",
                [(tenant, _digest(event)) for (event,) in events],
            )
            gone = self._connection.execute(
                "DELETE FROM entries WHERE tenant = :tenant AND event_id IN (SELECT event_id FROM "
                "entries WHERE tenant = :tenant AND person = :person)",
                {"tenant": tenant, "person": person},
            ).rowcount
            if gone:
                self._next_epoch(tenant)
        # The erasure itself is durable, whatever becomes of this; the learner tries again.
        with contextlib.suppress(sqlite3.Error):
            self.sweep()
        return gone

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

    def correct(self, tenant: str, event_id: str, entry_id: str, body: bytes) -> bool:
        """Put another body in place of a feedback's; whether there was one."""
        with self.transaction():
            changed = self._connection.execute(
                "UPDATE entries SET body = ? WHERE tenant = ? AND event_id = ? AND entry_id = ? "
                "AND entry_id <> ''", (body, tenant, event_id, entry_id),
            ).rowcount  # fmt: skip
            if changed:
                self._next_epoch(tenant)
        return bool(changed)

    def _next_epoch(self, tenant: str) -> None:
        self._connection.execute(
            "INSERT INTO epochs VALUES (?, 1) ON CONFLICT (tenant) DO UPDATE SET epoch = epoch + 1",
            (tenant,),
        )

    def reading(self) -> "_Transaction":
        """Everything read within is of one moment."""
        return _Transaction(self._connection, "BEGIN")

    def fetch(self, query: str, *values: object) -> list[tuple]:
        """All rows of a question."""
        return self._connection.execute(query, values).fetchall()

    def execute(self, statement: str, *values: object) -> int:
        """A statement of its own, durable on return; how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def transaction(self) -> "_Transaction":
        """Everything within happens or nothing does; others see it at once."""
        return _Transaction(self._connection)

    def close(self) -> None:
        """Takes the write-ahead log over into the file where nobody else holds it."""
        self._connection.close()


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


def path_of(database: str) -> Path:
    """The file of an address like sqlite:///FILE. Raises `ConfigError` for any other."""
    if database.startswith(("postgresql:", "postgres:")):
        raise ConfigError(
            f"the database is {database.split('@')[-1]}; events are kept in SQLite alone so far. "
            "Expected sqlite:///FILE, on one machine."
        )
    if not database.startswith("sqlite:///") or database == "sqlite:///":
        raise ConfigError(
            f"the database is {database!r}; expected sqlite:///FILE (three strokes before a path "
            "from here, four before one from the root)."
        )
    return Path(database.removeprefix("sqlite:///"))


def checked_name(name: str, what: str) -> str:
    """The name of a tenant, a model or a key. Raises `ConfigError` for what cannot be one."""
    if _NAME.fullmatch(name) is None:
        raise ConfigError(
            f"the name of the {what} is {name!r:.100}; expected up to 64 letters, digits, - and _."
        )
    return name


def _digest(event_id: str) -> bytes:
    return hashlib.sha256(event_id.encode()).digest()


def _says_the_same(kept: bytes, came: bytes) -> bool:
    return kept == came or json.loads(kept) == json.loads(came)


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is damaged or no database ({error}); expected a log that penchant wrote. Nothing "
        f"was changed. Take the last good copy, or save what can be read: `sqlite3 {path} .recover "
        f"| sqlite3 mended.db`; {path}.beliefs was learnt from another log then: delete it."
    )
