"""From the log to beliefs, in a process of its own: read what is new, learn, publish."""

import contextlib
import fcntl
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from penchant.errors import BeliefError, ConfigError, PenchantError
from penchant.fitting.online_named import OnlineNamed
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import EventStore, Position
from penchant.serving.lessons import Taught, taught
from penchant.serving.models import models_of
from penchant.serving.publication import (
    Publication,
    belief_file,
    belief_folder,
    publish,
    published,
)

# Numbers of the log that are read at once: no more than this is held in memory.
_AT_ONCE = 4_000
# Seconds between looks at a log in which nothing happened, and between publications.
_REST = 0.25
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
            except (msgspec.MsgspecError, PenchantError) as error:
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
    folder: Path
    _students: dict[tuple[str, str], Student] = field(default_factory=dict)
    # Whether the write-ahead log may have what was erased.
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
        file = belief_file(self.folder, tenant, name)
        student = self._students.get((tenant, name)) or _resumed(file, config)
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
            publish(file, student.publication())
            student.is_published = True
        return is_behind


def refit(store: EventStore, tenant: str, config: ModelConfig, upto: int) -> Student:
    """What a model knows that reads the whole log up to a number at once."""
    student = Student.beginner(config, store.position(tenant).epoch)
    student.read(store, tenant, upto)
    return student


def _resumed(file: Path, config: ModelConfig) -> Student:
    try:
        found = published(file)
    except BeliefError as error:
        _log.warning("%s", error)
        found = None
    if found is None or found.config != config:
        return Student.beginner(config)
    return Student(config=config, learnt=found.learnt, position=found.position,
                   unusable=found.unusable, is_published=True)  # fmt: skip


def last_read(database: Path) -> float | None:
    """When a learner began or last had read the log without trouble, seconds since 1970; None where
    there was none. A step through a long log takes up to seconds."""
    try:
        return _lock_of(database).stat().st_mtime
    except FileNotFoundError:
        return None


def _lock_of(database: Path) -> Path:
    return database.with_name(database.name + ".learner")


@contextlib.contextmanager
def only_one(database: Path) -> Iterator[bool]:
    """Whether this process is the one that learns from a log, as long as the block lasts."""
    with _lock_of(database).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


def run(database: Path, stop: threading.Event) -> None:
    """Learns until told to stop; waits while another process learns from the same log."""
    while not stop.is_set():
        with only_one(database) as is_mine:
            if is_mine:
                _learn(database, stop)
        stop.wait(_REST)


def _learn(database: Path, stop: threading.Event) -> None:
    store = EventStore(database, for_reading=True)
    learner = Learner(store=store, folder=belief_folder(database))
    try:
        while not stop.is_set():
            began = time.monotonic()
            try:
                is_behind = learner.step()
                os.utime(_lock_of(database))
            except (sqlite3.Error, OSError, PenchantError) as error:
                # A full disk or a locked log may pass; what was published stands until then.
                _log.warning("%s: %s", type(error).__name__, error)
                is_behind = False
                learner = Learner(store=store, folder=learner.folder)
            if not is_behind:
                stop.wait(max(0.0, _REST - (time.monotonic() - began)))
    finally:
        store.close()


def main() -> None:
    """`python -m penchant.serving.learner FILE`: learns until its standard input ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    stop = threading.Event()
    threading.Thread(target=run, args=(Path(sys.argv[1]), stop)).start()
    # Whoever started it holds the other end, and lets go even when killed.
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.buffer.read()
    stop.set()


if __name__ == "__main__":
    main()
