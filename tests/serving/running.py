"""A decision service as a process of its own, its clients, and what must hold afterwards."""

import contextlib
import json
import random
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import numpy as np

from penchant.serving.client import DecisionClient
from penchant.serving.database import database_at
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import EventStore
from penchant.serving.learner import refit
from penchant.serving.publication import published

# Seconds: a busy machine may stand still for many of them.
PATIENCE = 120
OPTIONS = {"a": {"p": 1.0}, "b": {"p": -1.0}, "c": {}}


class Service:
    """`penchant serve` on a port of its own; started again on the same one after a kill."""

    def __init__(self, database, *options, most_bytes=None):
        self.most_bytes = most_bytes
        self.database = database_at(database) if isinstance(database, Path) else database
        self.options, self.port = options, 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        arguments = [sys.executable, "-m", "penchant.cli.main", "serve"]
        arguments += ["--database", self.database.address, "--port", str(self.port)]
        arguments += self.options
        limited = self._limited if self.most_bytes else None
        self.process = subprocess.Popen(
            arguments, stderr=subprocess.PIPE, text=True, preexec_fn=limited
        )
        found, said = None, ""
        while found is None:
            line = self.process.stderr.readline()
            said += line
            assert line, said
            found = re.search(r":(\d+)/v1/rank", line)
        self.port = int(found[1])
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health") as said:
                assert json.load(said) == {"status": "ok"}
                return
            time.sleep(0.1)
        raise AssertionError("the service did not start")

    def _limited(self):
        # No file grows beyond: a full disk, as far as a process can tell.
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.most_bytes, hard))

    def kill(self):
        """Like a power cut for the process: no handler runs."""
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        said = self.process.stderr.read()
        self.process.stderr.close()
        return said


def children(pid):
    """Processes that one started."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    tasks = Path(f"/proc/{pid}/task")
    if not found.exists():
        return []
    return [
        int(each) for task in tasks.iterdir() for each in (task / "children").read_text().split()
    ]


class Load(threading.Thread):
    """Ranks and rewards until told to stop; remembers what was acknowledged."""

    def __init__(self, url, name):
        super().__init__()
        # On a busy machine one of four clients took 33 within 30 strikes.
        self.client = DecisionClient(url, attempts=120, timeout=5.0)
        self.name, self.told, self.over = name, {}, threading.Event()
        self.trouble = None

    def run(self):
        try:
            while not self.over.is_set():
                said = self.client.rank(OPTIONS, person=self.name, context={"h": 0.5})
                self.told[said.event_id] = (said, None)
                value = random.random()
                self.client.feedback(said.event_id, "reward", value, feedback_id="once")
                # Sent once more, as whoever got no answer would.
                if self.client.feedback(said.event_id, "reward", value, feedback_id="once"):
                    raise AssertionError(f"{said.event_id}: its reward was lost")
                self.told[said.event_id] = (said, value)
        except Exception as error:
            self.trouble = error
        finally:
            self.client.close()


def learner_of(service):
    for child in children(service.process.pid):
        with open(f"/proc/{child}/cmdline", "rb") as file:
            if b"penchant.serving.learner" in file.read():
                return child
    return None


def unbroken(loads):
    """Nobody was refused, told otherwise than before, or left without an answer for good."""
    for load in loads:
        if load.trouble is not None:
            raise AssertionError(f"{load.name} stopped: {load.trouble!r}") from load.trouble


def check(database, loads):
    """Everything acknowledged is in the log, once; the belief is a refit."""
    unbroken(loads)
    told = {event: said for load in loads for event, said in load.told.items()}
    store = EventStore(database)
    joined = list(store.joined("default"))
    names = [(each.event_id, each.entry_id) for each in joined]
    assert len(names) == len(set(names))
    by_event = {each.event_id: each for each in joined}
    rewarded = {event for event, (_, value) in told.items() if value is not None}
    assert rewarded <= set(by_event)
    answers = dict(store.fetch("SELECT event_id, answer FROM entries WHERE entry_id = ''"))
    assert set(told) <= set(answers)
    for event, (said, _) in told.items():
        assert f'"ranking":["{said.first}"]'.encode() in answers[event]
    assert store.waiting("default") == 0
    found = published(store, "default", "default")
    whole = refit(store, "default", ModelConfig(), found.position.seq)
    for name, array in whole.learnt.arrays().items():
        assert np.array_equal(found.learnt.arrays()[name], array)
    store.close()
    return len(rewarded)


def caught_up(database):
    """Waits until the learner has published something."""
    deadline = time.monotonic() + PATIENCE
    with closing(EventStore(database, for_reading=True)) as store:
        while time.monotonic() < deadline:
            found = published(store, "default", "default")
            if found and found.learnt.rounds:
                return
            time.sleep(0.1)
    raise AssertionError("nothing was published")
