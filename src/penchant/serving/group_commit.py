"""Many callers, few synchronisations: what arrives within two milliseconds is one transaction."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penchant.serving.event_store import Entry, EventStore, Receipt

# Seconds within which arrivals share a transaction, and how many at most do.
WINDOW = 0.002
MOST_TOGETHER = 512
Told = Callable[[Receipt | Exception], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    entry: Entry
    told: Told


class GroupCommit:
    """A thread that writes whatever comes, and tells each caller once their entry is durable.

    Once as many came as were together the last time, or the window is over, they are written:
    a lone caller waits for nobody, sixteen at once share one synchronisation. Callers are told in
    this thread; `deliver` gets all calls of a transaction at once, so that an event loop need wake
    only once. If a transaction fails, each of its callers is told the error, and nothing was kept.
    """

    def __init__(
        self,
        open_store: Callable[[], EventStore],
        *,
        deliver: Callable[[list[Callable[[], None]]], None] | None = None,
        window: float = WINDOW,
    ) -> None:
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._is_open = True
        self._deliver = deliver or _at_once
        self._window = window
        self._usual = 1
        self.num_transactions = 0
        # Opened here, so that a damaged file is told to whoever starts the service.
        self._store = open_store()
        self._thread = threading.Thread(target=self._work, name="group commit", daemon=True)
        self._thread.start()

    def submit(self, entry: Entry, told: Told) -> None:
        """`told` is called with the receipt once the entry is durable, or with the error."""
        with self._changed:
            self._waiting.append(_Waiting(entry, told))
            # The thread is woken twice a transaction, not for each entry.
            if len(self._waiting) in (1, self._usual):
                self._changed.notify()

    def append(self, entry: Entry) -> Receipt:
        """The same for a caller that waits. Raises what the transaction raised."""
        done = threading.Event()
        said: list[Receipt | Exception] = []

        def told(receipt: Receipt | Exception) -> None:
            said.append(receipt)
            done.set()

        self.submit(entry, told)
        done.wait()
        if isinstance(said[0], Exception):
            raise said[0]
        return said[0]

    @property
    def num_waiting(self) -> int:
        """How many were not taken up yet."""
        return len(self._waiting)

    def close(self) -> None:
        """Writes what came before, then ends."""
        with self._changed:
            self._is_open = False
            self._changed.notify()
        self._thread.join()
        self._store.close()

    def _work(self) -> None:
        while batch := self._gather():
            self._usual = len(batch)
            said: Sequence[Receipt | Exception]
            try:
                said = self._store.append([waiting.entry for waiting in batch])
                self.num_transactions += 1
            except Exception as error:
                # The thread must live: the next transaction may find room again.
                said = [error] * len(batch)
            self._deliver([_call(waiting.told, each) for waiting, each in zip(batch, said)])

    def _gather(self) -> list[_Waiting]:
        """What is to be written together; nothing at the end."""
        with self._changed:
            while self._is_open and not self._waiting:
                self._changed.wait()
            until = time.monotonic() + self._window
            while self._is_open and len(self._waiting) < self._usual:
                if not self._changed.wait(until - time.monotonic()):
                    break
            batch = self._waiting[:MOST_TOGETHER]
            self._waiting = self._waiting[MOST_TOGETHER:]
            return batch


def _call(told: Told, said: Receipt | Exception) -> Callable[[], None]:
    return lambda: told(said)


def _at_once(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
