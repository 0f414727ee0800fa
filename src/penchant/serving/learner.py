"""From the log to beliefs, in a process of its own: read what is new, learn, publish."""

import contextlib
import logging
import sqlite3
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

from penchant.errors import BeliefError, ConfigError, EndpointError, PenchantError
from penchant.fitting.online_named import OnlineNamed
from penchant.serving.database import Database, database_at
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import EventStore, Position
from penchant.serving.lessons import Taught, taught
from penchant.serving.models import models_of
from penchant.serving.publication import Publication, publish, published

# Numbers of the log that are read at once: no more than this is held in memory.
_AT_ONCE = 4_000
# Seconds between looks at a log in which nothing happened, and between publications.
_REST = 0.25
# Seconds before a database that was away is asked again.
_PATIENCE = 1.0
_log = logging.getLogger("penchant.learner")


@dataclass(kw_only=True, eq=False)
class Student:
    """One model while it learns."""

    config: ModelConfig
    learnt: OnlineNamed
    position: Position
    unusable: int = 0
    is_published: bool = False

    @classmethod
    def beginner(cls, config: ModelConfig, epoch: int = 0) -> "Student":
        """Before any feedback."""
        learnt = OnlineNamed.empty(config.learning)
        return cls(config=config, learnt=learnt, position=Position(epoch, 0))

    def learn(self, each: Taught) -> None:
        """What a feedback teaches; one that this model cannot learn from is counted."""
        order = each.order if self.config.learning.learns_orders else None
        if order is not None:
            if order.num_ranked:
                self.learnt.learn_order(each.menu, order.places, order.num_ranked)
            return
        levels, rated = self.config.learning.rating_levels, each.rated
        if levels is not None and rated is not None and rated.is_of(levels):
            level = rated.among(levels)
            if level is None:
                self.unusable += 1
            else:
                self.learnt.learn_rating(each.menu, rated.place, level)
            return
        for lesson in each.lessons:
            if self.config.learning.is_binary and not 0.0 <= lesson.reward <= 1.0:
                self.unusable += 1
            else:
                self.learnt.learn(each.menu, lesson.place, lesson.reward)
        self.unusable += each.teaches and not each.lessons

    def read(self, store: EventStore, tenant: str, upto: int) -> None:
        """All feedback that was joined after its position, up to a number of the log."""
        for joined in store.joined(tenant, self.position.seq, upto):
            try:
                self.learn(taught(joined))
            except PenchantError as error:
                # What one version accepted and another cannot read must not end all learning.
                _log.warning("event %r teaches nothing: %s", joined.event_id, error)
                self.unusable += 1
        self.position = Position(self.position.epoch, upto)

    @property
    def num_taught(self) -> tuple[int, int]:
        """Lessons learnt, and feedback that taught nothing."""
        return self.learnt.rounds, self.unusable

    def publication(self) -> Publication:
        """What it knows now."""
        return Publication(config=self.config, position=self.position, learnt=self.learnt,
                           unusable=self.unusable)  # fmt: skip


@dataclass(kw_only=True, eq=False)
class Learner:
    """Keeps the published beliefs of all tenants and models up with the log."""

    store: EventStore
    _students: dict[tuple[str, str], Student] = field(default_factory=dict)
    # Whether the database has let go of what was erased.
    _is_swept: bool = False

    def step(self) -> bool:
        """Reads a part of what is new and publishes; whether there is more."""
        is_behind = False
        for tenant in self.store.tenants():
            try:
                configs = models_of(self.store, tenant).configs
            except ConfigError as error:
                # A model that this version cannot make ends nobody else's learning.
                _log.warning("tenant %s: %s", tenant, error)
                continue
            for name, config in configs.items():
                is_behind |= self._follow(tenant, name, config)
        if not self._is_swept:
            self._is_swept = self.store.sweep()
        return is_behind

    def _follow(self, tenant: str, name: str, config: ModelConfig) -> bool:
        student = self._students.get((tenant, name)) or _resumed(self.store, tenant, name, config)
        with self.store.reading():
            now = self.store.position(tenant)
            if student.position.epoch != now.epoch or student.position.seq > now.seq:
                # Somebody was erased or corrected, or an older copy of the log was put in place:
                # what is not in it is unlearnt by learning anew.
                student = Student.beginner(config, now.epoch)
                self._is_swept = False
            known = student.num_taught
            student.read(self.store, tenant, min(now.seq, student.position.seq + _AT_ONCE))
        self._students[tenant, name] = student
        is_behind = student.position.seq < now.seq
        # A refit is not published before its end: a belief that knows half of the log would decide
        # worse than the one it replaces.
        is_due = student.is_published or not is_behind
        if is_due and (student.num_taught != known or not student.is_published):
            publish(self.store, tenant, name, student.publication())
            # The belief that this one replaces may know what was erased.
            self._is_swept &= student.is_published
            student.is_published = True
        return is_behind


def refit(store: EventStore, tenant: str, config: ModelConfig, upto: int) -> Student:
    """What a model knows that reads the whole log up to a number at once."""
    student = Student.beginner(config, store.position(tenant).epoch)
    student.read(store, tenant, upto)
    return student


def _resumed(store: EventStore, tenant: str, name: str, config: ModelConfig) -> Student:
    try:
        found = published(store, tenant, name)
    except BeliefError as error:
        _log.warning("%s", error)
        found = None
    if found is None or found.config != config:
        return Student.beginner(config)
    return Student(config=config, learnt=found.learnt, position=found.position,
                   unusable=found.unusable, is_published=True)  # fmt: skip


def run(database: Database, stop: threading.Event) -> None:
    """Learns until told to stop; waits while another process learns from the same log, or while
    its database is away."""
    while not stop.is_set():
        try:
            with closing(EventStore(database, for_reading=True)) as store:
                while not stop.is_set():
                    with store.connection.leading() as is_mine:
                        if is_mine:
                            _learn(store, stop)
                    stop.wait(_REST)
        except EndpointError as error:
            _log.warning("%s", error)
            stop.wait(_PATIENCE)


def _learn(store: EventStore, stop: threading.Event) -> None:
    """Until told to stop, or until another may have begun to."""
    learner = Learner(store=store)
    while not stop.is_set():
        began = time.monotonic()
        try:
            is_behind = learner.step()
            store.connection.mark()
        except (sqlite3.Error, OSError, PenchantError) as error:
            # A full disk or a locked log may pass; what was published stands until then.
            _log.warning("%s: %s", type(error).__name__, error)
            if not store.connection.leads:
                return
            is_behind = False
            learner = Learner(store=store)
        if not is_behind:
            stop.wait(max(0.0, _REST - (time.monotonic() - began)))


def main() -> None:
    """`python -m penchant.serving.learner`: learns from the database that the first line of its
    standard input names, until that ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    # Not an argument: all users of a machine may read these, and an address may hold a password.
    database = database_at(sys.stdin.readline().rstrip("\n"))
    stop = threading.Event()
    threading.Thread(target=run, args=(database, stop)).start()
    # Whoever started it holds the other end, and lets go even when killed.
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
