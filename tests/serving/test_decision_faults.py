"""A decision service that is killed, starved and pestered has lost nothing that it acknowledged."""

import os
import random
import signal
import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("msgspec")
pytest.importorskip("uvicorn")

from penchant.errors import DataError
from penchant.serving.client import DecisionClient
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import EventStore
from penchant.serving.learner import refit
from penchant.serving.publication import belief_file, belief_folder, published
from serving.running import Service, children

OPTIONS = {"a": {"p": 1.0}, "b": {"p": -1.0}, "c": {}}


class Load(threading.Thread):
    """Ranks and rewards until told to stop; remembers what was acknowledged."""

    def __init__(self, url, name):
        super().__init__()
        self.client = DecisionClient(url, attempts=40, timeout=5.0)
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
                assert not self.client.feedback(said.event_id, "reward", value, feedback_id="once")
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


def check(database, loads):
    """Everything acknowledged is in the log, once; the belief is a refit."""
    assert [load.trouble for load in loads] == [None] * len(loads)
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
    found = published(belief_file(belief_folder(database), "default", "default"))
    whole = refit(store, "default", ModelConfig(), found.position.seq)
    for name, array in whole.learnt.arrays().items():
        assert np.array_equal(found.learnt.arrays()[name], array)
    store.close()
    return len(rewarded)


@pytest.mark.slow
def test_killed_at_any_instant_under_load_it_has_lost_and_doubled_nothing(tmp_path):
    service = Service(tmp_path / "log.db", "--insecure")
    loads = [Load(service.url, f"person {k}") for k in range(3)]
    chance = random.Random(0)
    for load in loads:
        load.start()
    try:
        for at in range(5):
            time.sleep(chance.uniform(0.3, 1.5))
            if at % 2:
                child = learner_of(service)
                if child:
                    os.kill(child, signal.SIGKILL)
            else:
                service.kill()
                service.start()
        time.sleep(3.0)
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.join()
    store = EventStore(service.database)
    for _ in range(100):
        found = published(belief_file(belief_folder(service.database), "default", "default"))
        if found and found.learnt.rounds >= 1:
            break
        time.sleep(0.1)
    store.close()
    service.stop()
    assert check(service.database, loads) > 20


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    held = Service(tmp_path_factory.mktemp("log") / "log.db", "--insecure", "--workers", "2")
    yield held
    held.stop()


def test_processes_beside_it_end_when_it_is_killed_and_are_started_anew_when_they_are(tmp_path):
    service = Service(tmp_path / "log.db", "--insecure")
    for _ in range(50):
        first = learner_of(service)
        if first:
            break
        time.sleep(0.1)
    os.kill(first, signal.SIGKILL)
    for _ in range(100):
        second = learner_of(service)
        if second not in (None, first):
            break
        time.sleep(0.1)
    assert second not in (None, first)
    service.kill()
    for _ in range(100):
        try:
            os.kill(second, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the learner outlived the service")


def test_two_workers_share_one_log(service):
    # Each connection is taken by either.
    clients = [DecisionClient(service.url) for _ in range(8)]
    events = [client.rank(OPTIONS, person="ann", event_id=f"shared {at}").event_id
              for at, client in enumerate(clients)]  # fmt: skip
    again = [client.rank(OPTIONS, person="ann", event_id=event)
             for client, event in zip(reversed(clients), events)]  # fmt: skip
    assert [each.event_id for each in again] == events
    assert (
        sum(client.feedback("shared 0", "reward", 1.0, feedback_id="x") for client in clients) == 1
    )
    assert clients[0].person("ann")["decisions"] == 8
    for client in clients:
        client.close()


def test_whoever_sends_headers_for_ever_or_not_at_all_is_left(service):
    from penchant.serving.patient_http import MOST_BYTES

    held = socket.create_connection(("127.0.0.1", service.port))
    held.sendall(b"POST /v1/rank HTTP/1.1\r\nHost: localhost\r\n")
    with pytest.raises(OSError):  # noqa: PT012 (the peer closes at one of the two)
        for _ in range(2 * MOST_BYTES // 1000):
            held.sendall(b"X-" + b"y" * 997 + b"\r\n")
            time.sleep(0.002)
        assert held.recv(1) == b"x"
        raise OSError
    held.close()


def test_the_client_says_what_the_service_refuses(service):
    client = DecisionClient(service.url)
    with pytest.raises(DataError, match="no more slots"):
        client.rank(["a"], slots=2)
    said = client.rank(["a", "b"], slots=2)
    assert sorted(said.ranking) == ["a", "b"]
    assert client.reward(said.event_id, 1.0)
    client.close()
    nobody = DecisionClient("http://127.0.0.1:9", attempts=2, timeout=0.5)
    with pytest.raises(ConnectionError, match="nothing counts twice"):
        nobody.rank(["a", "b"])
