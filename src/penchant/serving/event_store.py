"""The log of a decision service: what was asked, what was answered and what came of it.

One table of entries, appended to and numbered in the order in which they were made durable: ranks
and feedback alike. A feedback is joined with its rank when both are there, in whatever order they
came. In what database the table is, is the connection's part (`database.py`).
"""

import contextlib
import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from penchant.errors import ConfigError, PenchantError
from penchant.serving.database import Database, database_at

RANK = "rank"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Numbers of the log whose pairs are read at once: what they say is held in memory.
_AT_ONCE = 2_000
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
# its partners are looked up: the empty words keep a planner from reading all of a tenant instead.
_JOINED = f"""
SELECT f.seq AS place, f.seq, {_COLUMNS} FROM entries f CROSS JOIN entries e
  WHERE e.tenant = f.tenant AND e.event_id = f.event_id AND e.entry_id = '' AND e.seq < f.seq
  AND f.seq > ? AND f.seq <= ? AND f.tenant || '' = ? AND f.entry_id || '' <> ''
UNION ALL
SELECT e.seq AS place, f.seq, {_COLUMNS} FROM entries e CROSS JOIN entries f
  WHERE f.tenant = e.tenant AND f.event_id = e.event_id AND f.entry_id <> '' AND f.seq < e.seq
  AND e.seq > ? AND e.seq <= ? AND e.tenant || '' = ? AND e.entry_id || '' = ''
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
    """One connection to the log in a database (a path: in that file of SQLite), which is made where
    it is not.

    What `append` returns from is durable. Several processes may hold the log; within one, each
    thread its own store. now: the clock of `received`, which nothing but people looks at. Who
    learns, and what was learnt, is the connection's to tell.

    Raises `DataError` for a log that is damaged, of another program or of a newer penchant.
    """

    def __init__(
        self, database: Database | Path, *, now: Callable[[], float] = time.time,
        for_reading: bool = False,
    ) -> None:  # fmt: skip
        self.database = database_at(database) if isinstance(database, Path) else database
        self._now = now
        self.connection = self.database.connect(for_reading=for_reading)
        # What a transaction asks first: where it begins, and whether anything was ever erased.
        last = self.connection.last_number
        self._before = f"SELECT ({last}), EXISTS (SELECT 1 FROM erased)"

    def append(self, entries: Sequence[Entry]) -> list[Receipt]:
        """All of them in one transaction, durable on return; those that are there are left, and of
        events that were erased nothing is kept.

        Raises `sqlite3.Error` or `EndpointError` where nothing could be written; whether the last
        word of a server that went away was written nobody knows: append it again.
        """
        if not entries:
            return []
        rows = self._rows(entries)
        events = [(entry.tenant, _digest(entry.event_id)) for entry in entries]
        if self.connection.insert_new(rows, events):
            return [Receipt(True, entry.answer) for entry in entries]
        # Some were there before, or are of what was erased.
        with self.transaction():
            last, has_erased = self.fetch(self._before)[0]
            is_gone = [has_erased and self._is_erased(entry) for entry in entries]
            rest = [entry for entry, gone in zip(entries, is_gone) if not gone]
            kept = iter(self._append(rest, last) if rest else ())
            return [Receipt(False, b"", is_erased=True) if gone else next(kept) for gone in is_gone]

    def _is_erased(self, entry: Entry) -> bool:
        query = "SELECT 1 FROM erased WHERE tenant = ? AND event = ?"
        return bool(self.fetch(query, entry.tenant, _digest(entry.event_id)))

    def _rows(self, entries: Sequence[Entry]) -> list[tuple]:
        received = self._now()
        return [
            (e.tenant, e.event_id, e.entry_id, e.kind, e.person, received, e.body, e.answer)
            for e in entries
        ]

    def _append(self, entries: Sequence[Entry], last: int) -> list[Receipt]:
        self.connection.insert(self._rows(entries))
        return self._compared(entries, last)

    def _compared(self, entries: Sequence[Entry], last: int) -> list[Receipt]:
        """Which of them were there before this transaction, whose first number is after `last`."""
        claimed: set[int] = set()
        receipts = []
        for entry in entries:
            ((seq, body, answer),) = self.fetch(
                "SELECT seq, body, answer FROM entries WHERE tenant = ? AND event_id = ? AND "
                "entry_id = ?", entry.tenant, entry.event_id, entry.entry_id,
            )  # fmt: skip
            # The first of equals in one transaction is the one that was kept.
            is_new = seq > last and seq not in claimed
            claimed.add(seq)
            receipts.append(Receipt(is_new, answer, _says_the_same(body, entry.body)))
        return receipts

    def position(self, tenant: str) -> Position:
        """How far the log goes now."""
        epoch = self.fetch("SELECT epoch FROM epochs WHERE tenant = ?", tenant)
        ((last,),) = self.fetch(self.connection.last_number)
        return Position(epoch[0][0] if epoch else 0, last)

    def joined(self, tenant: str, after: int = 0, upto: int | None = None) -> Iterator[Joined]:
        """Every feedback whose rank is there, in the order in which the two came together."""
        upto = self.position(tenant).seq if upto is None else upto
        for begin in range(after, upto, _AT_ONCE):
            part = begin, min(begin + _AT_ONCE, upto), tenant
            for place, _, *rest in self.fetch(_JOINED, *part, *part):
                yield Joined(place, *rest)

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
        """Their ranks and all feedback to these are gone; how many entries.

        The next epoch begins: whatever was learnt from the log is learnt anew. What the database
        still holds of them elsewhere is gone once `sweep` was possible, which is tried here.
        Digests of the events' names stay, so that what is still sent of them is known and not kept.
        """
        with self.transaction():
            events = self.fetch(
                "SELECT event_id FROM entries WHERE tenant = ? AND person = ?", tenant, person
            )
            for (event,) in events:
                self.execute(
                    "INSERT INTO erased VALUES (?, ?) ON CONFLICT DO NOTHING", tenant,
                    _digest(event),
                )  # fmt: skip
            gone = self.execute(
                "DELETE FROM entries WHERE tenant = ? AND event_id IN (SELECT event_id FROM "
                "entries WHERE tenant = ? AND person = ?)", tenant, tenant, person,
            )  # fmt: skip
            if gone:
                self._next_epoch(tenant)
        # The erasure itself is durable, whatever becomes of this; the learner tries again.
        with contextlib.suppress(sqlite3.Error, PenchantError):
            self.sweep()
        return gone

    def sweep(self) -> bool:
        """Lets go of what was erased as far as the database can; whether that was possible now."""
        return self.connection.sweep()

    def correct(self, tenant: str, event_id: str, entry_id: str, body: bytes) -> bool:
        """Put another body in place of a feedback's; whether there was one."""
        with self.transaction():
            changed = self.execute(
                "UPDATE entries SET body = ? WHERE tenant = ? AND event_id = ? AND entry_id = ? "
                "AND entry_id <> ''", body, tenant, event_id, entry_id,
            )  # fmt: skip
            if changed:
                self._next_epoch(tenant)
        return bool(changed)

    def _next_epoch(self, tenant: str) -> None:
        self.execute(
            "INSERT INTO epochs VALUES (?, 1) ON CONFLICT (tenant) DO UPDATE "
            "SET epoch = epochs.epoch + 1", tenant,
        )  # fmt: skip

    def reading(self) -> AbstractContextManager[None]:
        """Everything read within is of one moment."""
        return self.connection.reading()

    def fetch(self, query: str, *values: object) -> list[tuple]:
        """All rows of a question; `?` stands for each value."""
        return self.connection.fetch(query, *values)

    def execute(self, statement: str, *values: object) -> int:
        """A statement, by itself durable on return; how many rows it changed."""
        return self.connection.execute(statement, *values)

    def transaction(self) -> AbstractContextManager[None]:
        """Everything within happens or nothing does; others see it at once."""
        return self.connection.transaction()

    def close(self) -> None:
        """Nothing is asked any more."""
        self.connection.close()


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
