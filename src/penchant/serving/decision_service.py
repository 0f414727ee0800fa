"""What a decision service does with a request, whatever carries it: decide, keep, answer."""

import asyncio
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from penchant.beliefs.named_person import PersonalWeights
from penchant.beliefs.named_weights import NamedWeights
from penchant.errors import BeliefError, PenchantError
from penchant.fitting.online_named import OnlineNamed, OnlineNamedConfig
from penchant.policies.bandits.named_menus import FirstPolicy, NamedPolicy, drawn
from penchant.serving.database import Database
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import RANK, Entry, EventStore, Receipt
from penchant.serving.group_commit import GroupCommit
from penchant.serving.keys import DEFAULT_TENANT, Keyring
from penchant.serving.lessons import MOST_EARNED, earned_of, readable
from penchant.serving.models import models_of
from penchant.serving.people import said_of
from penchant.serving.publication import published
from penchant.serving.wire import (
    FeedbackAnswer,
    Limits,
    RankAnswer,
    encode,
    feedback_request,
    rank_asked,
)

# Entries that wait to be written; beyond, clients are asked to come again.
_MOST_WAITING = 5_000
_EXAMPLE = b'{"options": [{"id": "a", "features": {"x": 1}}]}'
_log = logging.getLogger("penchant.service")


class BusyError(Exception):
    """More is waiting to be written than will be soon."""


class ConflictError(Exception):
    """Something else is kept under the same name."""


@dataclass(frozen=True, slots=True)
class _Live:
    """What decides for a tenant. stamp: of the belief as it was published."""

    model: str
    config: ModelConfig
    policy: NamedPolicy | FirstPolicy
    belief: NamedWeights
    seq: int
    stamp: Hashable | None


class DecisionService:
    """Decides and keeps, in one event loop. `refresh` brings it up to date, from any thread."""

    def __init__(self, database: Database, limits: Limits, generator: np.random.Generator) -> None:
        self.limits = limits
        self._generator = generator
        self._loop = asyncio.get_running_loop()
        self._commit = GroupCommit(lambda: EventStore(database), deliver=self._deliver)
        self._control = EventStore(database, for_reading=True)
        self._people = EventStore(database, for_reading=True)
        self._live: dict[str, _Live] = {}
        # When somebody last learnt from the log, by our own clock.
        self._learner_seen = math.nan
        self._refreshing, self._asking = threading.Lock(), threading.Lock()
        self.keys = Keyring(self._control)
        self.refresh()
        # Compiled loops are loaded now, not while the first client waits.
        self._live[DEFAULT_TENANT].policy.probabilities(
            OnlineNamed.empty(OnlineNamedConfig()).belief(), rank_asked(_EXAMPLE, limits).menu
        )

    def refresh(self) -> None:
        """Keys, models and beliefs as they are now. Raises `sqlite3.Error`, `OSError` or
        `PenchantError` where some model or belief cannot be read; what decided before goes on."""
        with self._refreshing:
            keys, trouble = Keyring(self._control), None
            idle = self._control.connection.idle_seconds()
            self._learner_seen = math.nan if idle is None else time.monotonic() - idle
            for tenant in {DEFAULT_TENANT, *keys.tenants}:
                try:
                    self._live[tenant] = self._current(tenant)
                except (sqlite3.Error, OSError, PenchantError) as error:
                    trouble = error
            # A key opens nothing before there is something to decide by; one that was removed opens
            # nothing whatever else went wrong.
            self.keys = keys.of(self._live)
            if trouble is not None:
                raise trouble

    def _current(self, tenant: str) -> _Live:
        models = models_of(self._control, tenant)
        config = models.configs[models.live]
        before = self._live.get(tenant)
        stamp = self._control.connection.belief_stamp(tenant, models.live)
        if before and (before.model, before.stamp) == (models.live, stamp):
            return before
        try:
            found = published(self._control, tenant, models.live)
        except BeliefError as error:
            _log.warning("%s", error)
            found = None
            if before and before.model == models.live:
                return before
        if found is None:
            belief, seq = OnlineNamed.empty(config.learning).belief(), 0
        else:
            belief, seq = found.learnt.belief(), found.position.seq
        return _Live(models.live, config, config.policy(), belief, seq, stamp)

    async def rank(self, tenant: str, body: bytes) -> bytes:
        """The answer to a request to rank, once it is durable; to a repeated one, the answer of the
        first time. Raises `DataError`, `ConflictError`, `BusyError`, `sqlite3.Error`."""
        asked = rank_asked(body, self.limits)
        menu, live = asked.menu, self._live[tenant]
        belief: NamedWeights | PersonalWeights = live.belief
        if asked.person is not None and live.config.personal_spread:
            # It is asked what they said before: nobody else waits for that.
            belief = await asyncio.to_thread(self._belief_about, tenant, asked.person, live)
        probabilities = live.policy.probabilities(belief, menu)
        places = drawn(probabilities, asked.slots, self._generator)
        answer = encode(RankAnswer(
            asked.event_id, [menu.ids[place] for place in places],
            dict(zip(menu.ids, probabilities.tolist())), live.model, live.seq,
        ))  # fmt: skip
        receipt = await self._durable(
            Entry(tenant, asked.event_id, "", RANK, asked.person, body, answer)
        )
        if receipt.is_erased:
            raise ConflictError(
                f"event {asked.event_id!r:.100} was erased; expected a new event_id."
            )
        if not receipt.is_same:
            raise ConflictError(
                f"event {asked.event_id!r:.100} was asked before with other content; expected a "
                "new event_id for a new question."
            )
        return receipt.answer

    def _belief_about(
        self, tenant: str, person: str, live: _Live
    ) -> NamedWeights | PersonalWeights:
        # From the log, not from the learner: what somebody said a moment ago counts at once, and
        # what they had erased counts no more.
        with self._asking:
            said = said_of(self._people, tenant, person, MOST_EARNED)
        return live.config.belief_about(live.belief, earned_of(readable(said)))

    async def feedback(self, tenant: str, body: bytes) -> bytes:
        """The answer to a feedback, once it is durable. Raises as `rank` does."""
        kept = feedback_request(body, self.limits)
        receipt = await self._durable(
            Entry(tenant, kept.event_id, kept.entry_id, kept.kind, None, kept.body)
        )
        if receipt.is_erased:
            return encode(FeedbackAnswer(False, False))
        # Content that is its own name was said before, also where it was corrected since.
        if not receipt.is_same and kept.is_named:
            raise ConflictError(
                f"this feedback_id of event {kept.event_id!r:.100} said something else before; "
                "expected a new feedback_id for something new."
            )
        return encode(FeedbackAnswer(True, not receipt.is_new))

    async def _durable(self, entry: Entry) -> Receipt:
        if self._commit.num_waiting > _MOST_WAITING:
            raise BusyError
        future: asyncio.Future[Receipt] = self._loop.create_future()

        def told(said: Receipt | Exception) -> None:
            # Whoever asked may have left.
            if future.done():
                return
            if isinstance(said, Exception):
                future.set_exception(said)
            else:
                future.set_result(said)

        self._commit.submit(entry, told)
        return await future

    def _deliver(self, calls: list[Callable[[], None]]) -> None:
        """From the writing thread: the loop is woken once for a whole transaction."""
        self._loop.call_soon_threadsafe(_each, calls)

    def numbers(self) -> dict[str, float]:
        """What is counted of the writer, and seconds since the learner last had read the log."""
        return {
            "transactions": self._commit.num_transactions, "waiting": self._commit.num_waiting,
            "learner_idle_seconds": time.monotonic() - self._learner_seen,
        }  # fmt: skip

    def close(self) -> None:
        """Writes what came, then ends."""
        self._commit.close()
        self._control.close()
        self._people.close()


def _each(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
