"""Several services on one PostgreSQL: they serve and learn as one, and outlive their database."""

import contextlib
import json
import os
import random
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("msgspec")
pytest.importorskip("uvicorn")

from penchant.cli.main import app
from penchant.serving.client import DecisionClient
from penchant.serving.database import database_at
from serving import postgres
from serving.running import OPTIONS, Load, Service, caught_up, check, children, learner_of

SECRETS = (postgres.PASSWORD, postgres._WRITTEN)


@pytest.fixture
def own_server():
    """One that may be stopped."""
    reason = postgres.missing()
    if reason is not None:
        pytest.skip(reason)
    held = postgres.Server()
    yield held
    held.close()


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


def leaders(server):
    """How many sessions have the lock of those who learn."""
    return server.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")[0][0]


@contextlib.contextmanager
def loaded(services, num=4):
    loads = [Load(services[k % len(services)].url, f"person {k}") for k in range(num)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.join()


def asked(service, event):
    """Status, headers and document of a rank."""
    body = json.dumps({"event_id": event, "options": [{"id": "a"}, {"id": "b"}]}).encode()
    request = urllib.request.Request(
        f"{service.url}/v1/rank", body, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as said:
            return said.status, said.headers, json.load(said)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.load(error)


def served_again(service, event):
    deadline = time.monotonic() + 60
    while (said := asked(service, event))[0] != 200:
        assert said[0] == 503
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return said[2]


def test_two_services_on_one_database_serve_and_learn_as_one(server, start):
    database = server.database()
    services = [start(database, "--insecure"), start(database, "--insecure", "--workers", "2")]
    with loaded(services):
        time.sleep(2.0)
    with loaded(services) as loads:
        time.sleep(1.0)
        assert leaders(server) == 1
    # What one was asked the other knows.
    first, second = (DecisionClient(each.url) for each in services)
    said = first.rank(OPTIONS, event_id="shared", person="ann")
    assert second.rank(OPTIONS, event_id="shared", person="ann") == said
    assert second.reward("shared", 1.0)
    assert first.erase("ann") == 2
    assert second.feedback("shared", "reward", 1.0) is True
    with pytest.raises(Exception, match="erased"):
        second.rank(OPTIONS, event_id="shared", person="ann")
    second.ask("PUT", "/v1/models/m", {"rule": "greedy"})
    second.ask("POST", "/v1/models/m/promote")
    # The other one decides by it soon, and by what was learnt.
    deadline = time.monotonic() + 60
    while (said := first.rank(OPTIONS)).model != "m" or not said.belief:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    for client in (first, second):
        client.close()
    caught_up(database)
    for service in services:
        service.stop()
    assert check(database, loads) > 5
    server.recycle(database)


def test_nobody_reads_the_password_off_the_list_of_processes(server, start):
    database = server.database()
    service = start(database, "--insecure", "--workers", "2")
    others = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(service.process.pid)]
    assert len(others) == 2
    assert any(b"penchant.serving.learner" in each for each in others)
    assert any(b"penchant.serving.run_service" in each for each in others)
    assert not any(secret.encode() in each for each in others for secret in SECRETS)
    client = DecisionClient(service.url)
    # The report is a process, too, and of the same database.
    assert client.report()["rounds"] == 0
    client.close()
    told = service.stop()
    assert not any(secret in told for secret in SECRETS)
    server.recycle(database)


def test_while_the_database_is_away_it_says_so_and_then_goes_on(own_server, start):
    database = own_server.database()
    service = start(database, "--insecure")
    before = served_again(service, "before")
    own_server.stop()
    began = time.monotonic()
    status, headers, told = asked(service, "meanwhile")
    assert status == 503
    assert int(headers["Retry-After"]) >= 1
    assert "Send it again" in told["error"]
    # Changes and questions are answered no less, and nobody waits.
    for path in ("models", "people/ann", "console"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{service.url}/v1/{path}")
        assert error.value.code == 503
        error.value.close()
    assert time.monotonic() - began < 30
    with urllib.request.urlopen(f"{service.url}/health") as said:
        assert said.status == 200
    own_server.start()
    assert served_again(service, "meanwhile")["event_id"] == "meanwhile"
    assert served_again(service, "before") == before
    # The learner came back by itself.
    client = DecisionClient(service.url)
    client.reward("before", 1.0)
    client.close()
    caught_up(database)
    assert leaders(own_server) == 1
    told = service.stop()
    assert not any(secret in told for secret in SECRETS)


@pytest.mark.slow
def test_whatever_is_killed_under_load_nothing_acknowledged_is_lost_or_doubled(own_server, start):
    database = own_server.database()
    services = [start(database, "--insecure"), start(database, "--insecure")]
    chance = random.Random(0)
    with loaded(services) as loads:
        for victim in ("server", "learner", "session", "database", "backend", "server"):
            time.sleep(chance.uniform(0.5, 1.5))
            service = chance.choice(services)
            if victim == "server":
                service.kill()
                service.start()
            elif victim == "learner":
                child = learner_of(service)
                if child:
                    os.kill(child, signal.SIGKILL)
            elif victim == "session":
                own_server.end_sessions(database)
            elif victim == "backend":
                own_server.kill_backend(database)
            else:
                own_server.stop()
                time.sleep(chance.uniform(0.0, 1.0))
                own_server.start()
        time.sleep(3.0)
    caught_up(database)
    for service in services:
        service.stop()
    assert check(database, loads) > 20


def test_every_command_takes_the_database_and_none_tells_its_password(server, tmp_path):
    database, log = server.database(), tmp_path / "log.dsjson"
    log.write_text(
        json.dumps({"EventId": "e", "_label_cost": -1.0, "_label_probability": 0.5,
                    "_label_Action": 1, "_labelIndex": 0, "a": [1, 2], "p": [0.5, 0.5],
                    "c": {"_multi": [{"id": "a"}, {"id": "b"}]}})
    )  # fmt: skip

    def said(*arguments, of=database):
        # --debug tells whole chains of errors.
        found = CliRunner().invoke(app, [*arguments, "--database", of.address])
        told = " ".join(found.output.replace("│", " ").split())
        assert not any(secret in told for secret in SECRETS)
        return found.exit_code, told

    code, told = said("serve")
    assert code == 2
    assert "keeper:***@127.0.0.1" in told
    assert said("keys", "add", "shop", "--role", "app")[0] == 0
    assert said("keys", "add", "shop", "--role", "app")[0] == 2
    assert "shop tenant default role app" in said("keys", "list")[1]
    assert said("keys", "remove", "shop")[0] == 0
    assert "1 decisions and 1 rewards are new" in said("import", str(log))[1]
    assert "2 entries were there before" in said("import", str(log))[1]
    nowhere = database_at(database.address + "0")
    for command in (("serve", "--insecure"), ("keys", "list"), ("import", str(log))):
        code, told = said(*command, of=nowhere)
        assert code == 3
        assert "does not exist" in told
        said(*command, "--debug", of=nowhere)
    server.recycle(database)
