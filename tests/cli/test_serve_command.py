"""`penchant serve` and `penchant keys` as they are typed."""

import json

import pytest
from typer.testing import CliRunner

pytest.importorskip("msgspec")
pytest.importorskip("uvicorn")

from penchant.cli.main import app
from penchant.serving.event_store import EventStore


def said(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


@pytest.fixture
def database(tmp_path):
    return f"sqlite:///{tmp_path / 'log.db'}"


def test_it_refuses_to_start_without_a_key(database):
    code, told = said("serve", "--database", database)
    assert code == 2
    assert "penchant keys add" in told


def test_without_keys_it_listens_on_loopback_alone(database):
    code, told = said("serve", "--database", database, "--insecure", "--host", "0.0.0.0")
    assert code == 2
    assert "loopback" in told


@pytest.mark.parametrize(
    "arguments",
    [(), ("--belief", "x", "--database", "sqlite:///x"), ("--belief", "x", "--insecure"),
     ("--belief", "x", "--workers", "2"), ("--database", "sqlite:///x", "--name", "y"),
     ("--database", "sqlite:///x", "--cache", "y"), ("--database", "mysql://h/d"),
     ("--database", "x.db")],
)  # fmt: skip
def test_what_would_change_nothing_or_cannot_be_is_refused(arguments):
    assert said("serve", *arguments)[0] == 2


def test_keys_are_made_listed_and_removed(tmp_path, database):
    code, token = said("keys", "add", "shop", "--role", "app", "--database", database)
    assert code == 0
    assert token.startswith("penchant_")
    assert said("keys", "add", "shop", "--role", "app", "--database", database)[0] == 2
    assert said("keys", "add", "boss", "--role", "king", "--database", database)[0] == 2
    _, told = said("keys", "list", "--database", database, "--json")
    assert json.loads(told) == {"keys": [{"name": "shop", "tenant": "default", "role": "app"}]}
    assert said("keys", "remove", "shop", "--database", database)[0] == 0
    assert said("keys", "remove", "shop", "--database", database)[0] == 2
    store = EventStore(tmp_path / "log.db")
    assert not store.fetch("SELECT * FROM keys")
    store.close()


def test_a_port_that_is_taken_is_named(database):
    import socket

    held = socket.create_server(("127.0.0.1", 0))
    port = held.getsockname()[1]
    code, told = said("serve", "--database", database, "--insecure", "--port", port)
    held.close()
    assert code == 2
    assert f"port {port}" in told
