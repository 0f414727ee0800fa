"""What only PostgreSQL can do to a log: servers that go away, writers on other machines."""

import builtins
import contextlib
import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError, EndpointError, MissingExtraError
from penchant.serving import postgres_session
from penchant.serving.database import database_at
from penchant.serving.event_store import RANK, Entry, EventStore
from penchant.serving.group_commit import GroupCommit
from penchant.serving.postgres_database import PostgresDatabase
from penchant.serving.postgres_session import masked
from serving import postgres
from serving.postgres import name_of

SECRETS = (postgres.PASSWORD, postgres._WRITTEN)


def rank(event, person="ann", tenant="t"):
    return Entry(tenant, event, "", RANK, person, b"{}", b"said")


def feedback(event, name="1"):
    return Entry("t", event, name, "reward", None, b"{}")


@pytest.fixture
def database(server):
    made = server.database()
    yield made
    # Settings of a database stay with it: it is not given to somebody else.
    server.drop(made)


@pytest.fixture
def store(database):
    held = EventStore(database)
    yield held
    held.close()


@pytest.fixture
def own_server():
    """One that may be stopped."""
    reason = postgres.missing()
    if reason is not None:
        pytest.skip(reason)
    held = postgres.Server()
    yield held
    held.close()


@pytest.mark.parametrize(
    "address",
    ["log.db", "sqlite://log.db", "sqlite:///", "mysql://u:hidden@h/d", "",
     "postgresql+psycopg://u:hidden@h/d", "postgresql:/h/d"],
)  # fmt: skip
def test_addresses_that_name_no_database_are_refused(address):
    with pytest.raises(ConfigError, match=r"sqlite:///FILE.*postgresql://") as refused:
        database_at(address)
    assert "hidden" not in str(refused.value)


def test_addresses_name_files_from_here_and_from_the_root_and_databases():
    assert str(database_at("sqlite:///log.db")) == "log.db"
    assert str(database_at("sqlite:////var/log.db")) == "/var/log.db"
    for scheme in ("postgresql", "postgres"):
        assert isinstance(database_at(f"{scheme}://h/d"), PostgresDatabase)


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@given(
    user=st.sampled_from(["", "u", "some%40body"]),
    secret=PLAIN,
    host=st.sampled_from(["", "h", "h:5432", "a:1,b:2", "[::1]:9"]),
    further=st.sampled_from(["", "?sslmode=require", "?options=-csearch_path%3Da@b"]),
)
def test_a_password_is_never_part_of_a_name(user, secret, host, further):
    # Letters that no other part has.
    secret = f"<{secret}>"
    for address in (f"postgresql://{user}:{secret}@{host}/d{further}",
                    f"postgresql://{host}/d?password={secret.replace('&', '%26')}"):  # fmt: skip
        assert secret not in masked(address)
        assert "***" in masked(address)
        assert secret not in repr(PostgresDatabase(address))
        assert secret not in str(PostgresDatabase(address))


def test_addresses_without_a_password_are_told_as_they_are():
    for address in ("postgresql://h:5432/d", "postgresql://u@h:5432/d", "postgresql:///d",
                    "postgresql://u@h/d?sslmode=require", "sqlite:///a@b:c"):  # fmt: skip
        assert masked(address) == address


def refused(database, kind, told):
    with pytest.raises(kind, match=told) as error:
        EventStore(database)
    assert not any(secret in str(error.value) for secret in SECRETS)
    # Nor by whoever prints the chain of errors.
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_what_is_wrong_with_an_address_is_told_without_its_password(server, database):
    wrong = "wr0ng%2Fsecret"
    for address, kind, told in (
        (server.address("log0", wrong), EndpointError, "password authentication failed"),
        (server.address("nowhere"), EndpointError, r"nowhere.*createdb DATABASE"),
        (database.address.replace(str(server.port), "1"), EndpointError, "cannot be reached"),
        (database.address.replace("127.0.0.1", "no.such.host.invalid"), EndpointError, "reached"),
        (database.address + "?colour=red", ConfigError, "colour"),
        (database.address + "?sslmode=maybe", EndpointError, "sslmode"),
        (database.address.replace(f":{server.port}/", ":port/"), EndpointError, "port"),
        (f"postgresql://u:{postgres.PASSWORD}@h/d", (ConfigError, EndpointError), "Expected"),
    ):
        refused(PostgresDatabase(address), kind, told)
    with pytest.raises(EndpointError) as error:
        EventStore(PostgresDatabase(server.address("log0", wrong)))
    assert "wr0ng" not in str(error.value)


def test_a_server_that_says_nothing_is_not_waited_for_long(monkeypatch):
    pytest.importorskip("psycopg")
    import socket

    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        port = silent.getsockname()[1]
        refused(PostgresDatabase(f"postgresql://u@127.0.0.1:{port}/d"), EndpointError, "reached")
    assert time.monotonic() - began < 30


def test_what_an_address_leaves_out_comes_from_the_environment(server, database, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    monkeypatch.setenv("PGUSER", postgres.USER)
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(server.port))
    name = database.address.rpartition("/")[2]
    store = EventStore(PostgresDatabase(f"postgresql:///{name}"))
    assert store.append([rank("a")])[0].is_new
    store.close()


def test_a_database_that_cannot_keep_a_log_is_refused(server, database, monkeypatch):
    latin = server.database("ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    refused(latin, DataError, "UTF8")
    other = server.database()
    server.run("CREATE SCHEMA penchant CREATE TABLE penchant.mine (x int)", name_of(other))
    refused(other, DataError, "another program")
    EventStore(database).close()
    server.run("UPDATE penchant.log SET version = 99", name_of(database))
    refused(database, DataError, "newer penchant")
    with monkeypatch.context() as patch:
        patch.setattr(postgres_session, "OLDEST", 99)
        refused(server.database(), DataError, "99 or later")
    old = server.database()
    server.run(f"ALTER DATABASE {name_of(old)} SET default_transaction_read_only = on")
    refused(old, EndpointError, "read-only|can be written to")


def test_whoever_may_make_no_schema_uses_the_one_that_they_were_given(server, database):
    name = name_of(database)
    server.run(f"CREATE USER app PASSWORD 'x'; REVOKE CREATE ON DATABASE {name} FROM PUBLIC")
    app = PostgresDatabase(f"postgresql://app:x@127.0.0.1:{server.port}/{name}")
    refused(app, EndpointError, "permission denied")
    server.run("CREATE SCHEMA penchant AUTHORIZATION app", name)
    store = EventStore(app)
    assert store.append([rank("a")])[0].is_new
    store.close()


def test_without_the_driver_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"penchant\[postgresql\]"):
        EventStore(PostgresDatabase("postgresql://h/d"))


@given(one=st.text(st.sampled_from("a\x00\x01\x02ü"), max_size=6),
       other=st.text(st.sampled_from("a\x00\x01\x02ü"), max_size=6))  # fmt: skip
def test_every_text_comes_back_and_no_two_are_one(one, other):
    pytest.importorskip("psycopg")
    from penchant.serving.postgres_words import read, written

    assert read(written(one)) == one
    assert "\x00" not in written(one)
    assert (written(one) == written(other)) == (one == other)


def test_names_may_hold_any_character(store):
    names = ["\x00", "\x01", "\x01\x02", "", "'; DROP TABLE entries; --", "%s ? \\ \U0010ffff"]
    names = [name for name in names if name]
    store.append([rank(name, person=name) for name in names])
    store.append([feedback(name, name) for name in names])
    found = {joined.event_id: joined for joined in store.joined("t")}
    assert list(found) == names
    for name in names:
        assert (found[name].entry_id, found[name].person) == (name, name)
    longest = "\U0010ffff" * 256
    store.append([rank(longest, longest), feedback(longest, "id:" + 300 * "\U0010fffe")])
    for name in names:
        assert store.erase_person("t", name) == 2
    assert len(list(store.joined("t"))) == 1


def test_commits_are_synchronised_whatever_the_database_says(server, database):
    server.run(f"ALTER DATABASE {name_of(database)} SET synchronous_commit = off")
    store = EventStore(database)
    assert store.fetch("SELECT current_setting('synchronous_commit')") == [("on",)]
    store.close()
    server.run(f"ALTER DATABASE {name_of(database)} SET synchronous_commit = remote_write")
    store = EventStore(database)
    assert store.fetch("SELECT current_setting('synchronous_commit')") == [("remote_write",)]
    store.close()


def test_a_server_that_does_not_synchronise_is_told(database, caplog):
    # The server of the tests does not wait for its disk.
    with caplog.at_level(logging.WARNING, "penchant.service"):
        EventStore(database).close()
    assert "fsync off" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)


def test_many_machines_may_make_the_log_at_once(database):
    troubles = []

    def make():
        try:
            EventStore(database).close()
        except Exception as error:
            troubles.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not troubles


def test_whoever_reads_on_from_a_number_misses_nothing_that_others_write(database):
    writers = [EventStore(database) for _ in range(4)]

    def write(at):
        for number in range(40):
            # Of several sizes, so that they overtake each other.
            writers[at].append([
                entry for k in range(1 + (number + at) % 3)
                for entry in (rank(f"{at} {number} {k}"), feedback(f"{at} {number} {k}"))
            ])  # fmt: skip

    reader, read, after = EventStore(database), [], 0
    threads = [threading.Thread(target=write, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    while True:
        is_last = not any(thread.is_alive() for thread in threads)
        upto = reader.position("t").seq
        read += reader.joined("t", after, upto)
        after = upto
        if is_last:
            break
    assert read == list(reader.joined("t"))
    assert len(read) == sum(1 + (number + at) % 3 for at in range(4) for number in range(40))
    for store in (*writers, reader):
        store.close()


def test_what_is_appended_while_somebody_is_erased_is_erased_or_refused(database):
    store, other = EventStore(database), EventStore(database)
    for number in range(25):
        store.append([rank(f"{number}", person="bob")])
        started = threading.Barrier(2)

        def erase(started=started):
            started.wait()
            other.erase_person("t", "bob")

        thread = threading.Thread(target=erase)
        thread.start()
        started.wait()
        store.append([feedback(f"{number}")])
        thread.join()
    assert store.fetch("SELECT event_id FROM entries") == []
    store.close()
    other.close()


def test_while_the_server_is_away_callers_are_told_at_once_and_later_served(own_server):
    database = own_server.database()
    commit = GroupCommit(lambda: EventStore(database))
    assert commit.append(rank("a")).is_new
    own_server.stop()
    for number in range(5):
        began = time.monotonic()
        with pytest.raises(EndpointError):
            commit.append(rank(f"away {number}"))
        assert time.monotonic() - began < 30
    own_server.start()
    deadline = time.monotonic() + 20
    while True:
        try:
            assert commit.append(rank("b")).is_new
            break
        except EndpointError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    # What was there is there.
    assert not commit.append(rank("a")).is_new
    commit.close()


def kept_of_two(store, between):
    """What is kept of a transaction with something between its two statements."""
    kept = "INSERT INTO erased VALUES ('t', ?)"
    with contextlib.suppress(EndpointError), store.transaction():
        store.execute(kept, b"x")
        between()
        store.execute(kept, b"y")
    ((found,),) = store.fetch("SELECT count(*) FROM erased")
    return found


def test_a_transaction_does_not_go_on_in_another_session(server, store):
    def lose():
        server.end_sessions(store.database)
        with pytest.raises(EndpointError):
            store.fetch("SELECT 1")

    # Outside of a transaction the second would be kept.
    assert kept_of_two(store, lose) == 0
    assert kept_of_two(store, lambda: None) == 2


def made_with(database, patch, limit, told):
    """A store that is told another limit, of a log that is there."""
    assert limit in postgres_session._SESSION
    with patch.context() as patched:
        session = postgres_session._SESSION.replace(limit, told)
        patched.setattr(postgres_session, "_SESSION", session)
        return EventStore(database)


def test_whoever_froze_within_a_transaction_holds_up_nobody_for_ever(database, monkeypatch):
    other = EventStore(database)
    frozen = made_with(database, monkeypatch, "'30s'", "'300ms'")
    began, waited = time.monotonic(), []
    with contextlib.suppress(EndpointError), frozen.transaction():
        # Within the ten seconds after which nobody waits for another.
        assert other.append([rank("a")])[0].is_new
        waited.append(time.monotonic() - began)
        frozen.execute("INSERT INTO erased VALUES ('t', ?)", b"x")
    assert waited[0] > 0.2
    assert other.fetch("SELECT * FROM erased") == []
    frozen.close()
    other.close()


def test_who_waited_for_another_writer_in_vain_is_served_later(database, monkeypatch):
    other = EventStore(database)
    patient = made_with(database, monkeypatch, "'10s'", "'200ms'")
    with other.transaction(), pytest.raises(EndpointError, match="lock timeout"):
        patient.append([rank("a")])
    assert patient.append([rank("a")])[0].is_new
    patient.close()
    other.close()


def test_a_learner_that_lost_its_session_leads_no_more(server, database):
    one, other = EventStore(database), EventStore(database)
    with one.connection.leading() as is_mine:
        assert is_mine
        server.end_sessions(
            database, "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        )
        with pytest.raises(EndpointError):
            one.connection.put_belief("t", "m", b"old")
        assert not one.connection.leads
        with other.connection.leading() as is_others:
            assert is_others
            # Its session is new, so that it could write; that it does not lead it is told.
            assert one.connection.belief("t", "m") is None
            assert not one.connection.leads
        with other.connection.leading() as is_others:
            assert is_others
    one.close()
    other.close()


def test_rows_and_beliefs_that_were_replaced_make_room_when_the_log_is_swept(server, database):
    store = EventStore(database)
    with store.connection.leading() as is_mine:
        assert is_mine
        for content in (b"knows ann" * 1000, b"knows nobody" * 1000):
            store.connection.put_belief("t", "m", content)
        assert store.sweep()
        emptied = store.fetch(
            "SELECT relname, vacuum_count FROM pg_stat_user_tables WHERE relname IN "
            "('entries', 'beliefs') ORDER BY relname"
        )
        assert [(name, count > 0) for name, count in emptied] == [
            ("beliefs", True), ("entries", True),
        ]  # fmt: skip
    store.close()


def test_what_is_written_and_learnt_costs_no_more_in_a_long_log(database):
    # Plans are made once, over tables that are empty: by one that reads a table through they would
    # do so for ever.
    store = EventStore(database)
    seen = 0
    for number in range(100):
        store.append([rank(f"{number}.{each}", f"{number}") for each in range(10)])
        store.append([feedback(f"{number}.{each}") for each in range(10)])
        assert len(list(store.joined("t", seen))) == 10
        seen = store.position("t").seq
        if number % 2:
            store.erase_person("t", f"{number}")
        if number == 3:
            # The keeper of a server may look after it at any time, also while there is little.
            store.execute("VACUUM (ANALYZE) entries, erased")
    store.close()
    other = EventStore(database)
    read_through = dict(other.fetch(
        "SELECT relname, seq_tup_read::bigint FROM pg_stat_user_tables "
        "WHERE relname IN ('entries', 'erased') AND schemaname = 'penchant'"
    ))  # fmt: skip
    assert read_through == {"entries": 0, "erased": 0}
    other.close()
