"""Databases for the log: whatever holds of one holds of the other."""

import os

import pytest

from penchant.serving.sqlite_database import SqliteDatabase
from serving import postgres

KINDS = ("sqlite", "postgresql")

# A machine that stands still for seconds is no server that is away; services inherit it.
os.environ["PGCONNECT_TIMEOUT"] = "60"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What takes long is tried on SQLite; on PostgreSQL, too, where slow tests are asked for."""
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if item.get_closest_marker("long") and params.get("new_database") == "postgresql":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server."""
    reason = postgres.missing()
    if reason is not None:
        pytest.skip(reason)
    held = postgres.Server()
    yield held
    held.close()


@pytest.fixture(params=KINDS)
def new_database(request, tmp_path_factory):
    """Makes empty databases of one kind."""
    if request.param == "sqlite":
        yield lambda: SqliteDatabase(tmp_path_factory.mktemp("log") / "log.db")
        return
    server, made = request.getfixturevalue("server"), []

    def make():
        made.append(server.database())
        return made[-1]

    yield make
    for each in made:
        server.recycle(each)


@pytest.fixture
def database(new_database):
    """An empty database, of each kind in turn."""
    return new_database()
