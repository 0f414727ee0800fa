"""A decision service that is killed, starved and pestered has lost nothing that it acknowledged."""

import os
import random
import signal
import socket
import time

import pytest

pytest.importorskip("msgspec")
pytest.importorskip("uvicorn")

from penchant.errors import DataError
from penchant.serving.client import DecisionClient
from serving.running import OPTIONS, Load, Service, caught_up, check, learner_of


@pytest.fixture
def start():
    """Starts services, and leaves none behind whatever happens."""
    held = []

    def started(*arguments, **settings):
        held.append(Service(*arguments, **settings))
        return held[-1]

    yield started
    for service in held:
        if service.process.poll() is None:
            service.kill()


@pytest.mark.slow
def test_killed_at_any_instant_under_load_it_has_lost_and_doubled_nothing(tmp_path, start):
    service = start(tmp_path / "log.db", "--insecure")
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
    caught_up(service.database)
    service.stop()
    assert check(service.database, loads) > 20


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path, start):
    service = start(tmp_path / "log.db", "--insecure", most_bytes=600_000)
    client = DecisionClient(service.url, attempts=1)
    told, refused = {}, 0
    for number in range(3000):
        try:
            said = client.rank(OPTIONS, event_id=f"{number}", context={"h": number / 3000})
            told[said.event_id] = said
        except ConnectionError:
            refused += 1
            if refused == 20:
                break
    assert refused == 20
    client.close()
    service.stop()
    service.most_bytes = None
    service.start()
    for number in range(len(told) + 5):
        said = client.rank(OPTIONS, event_id=f"{number}", context={"h": number / 3000})
        assert told.get(f"{number}", said) == said
    client.close()
    service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    held = Service(tmp_path_factory.mktemp("log") / "log.db", "--insecure", "--workers", "2")
    yield held
    held.stop()


def test_processes_beside_it_end_when_it_is_killed_and_are_started_anew_when_they_are(
    tmp_path, start
):
    service = start(tmp_path / "log.db", "--insecure")
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
