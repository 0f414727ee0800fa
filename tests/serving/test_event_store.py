"""The log of decisions: durable, idempotent, the same whatever the order in which things arrive."""

import itertools
import json
import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.serving import event_store, sqlite_database
from penchant.serving.event_store import RANK, Entry, EventStore
from penchant.serving.group_commit import GroupCommit


def rank(event, person="ann", tenant="t", asked=None):
    body = json.dumps(asked or {"event_id": event}).encode()
    return Entry(tenant, event, "", RANK, person, body, b"answer to " + event.encode())


def feedback(event, name, value=1.0, tenant="t"):
    body = json.dumps({"kind": "reward", "value": value}).encode()
    return Entry(tenant, event, name, "reward", None, body)


@pytest.fixture
def store(database):
    held = EventStore(database)
    yield held
    held.close()


@pytest.fixture
def file_store(tmp_path):
    held = EventStore(tmp_path / "log.db")
    yield held
    held.close()


def pairs(store, tenant="t"):
    return [(j.event_id, j.entry_id, j.feedback, j.asked, j.answered) for j in store.joined(tenant)]


ALL = [rank(e, p) for e, p in (("a", "ann"), ("b", None), ("ü\u2028", "bob"))] + [
    feedback(e, n, v) for e, n, v in (("a", "1", 1.0), ("a", "2", 0.0), ("b", "1", 0.5),
                                      ("ü\u2028", "x", 2.0), ("never", "1", 1.0))
]  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_however_entries_arrive_the_joined_log_is_the_same(database, data):
    # Each example is a tenant's.
    with closing(EventStore(database)) as store:
        begin = store.position("t").seq
        tenant = f"t{begin}"
        entries = [replace(entry, tenant=tenant) for entry in ALL]
        order = data.draw(st.permutations(entries + data.draw(st.lists(st.sampled_from(entries)))))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=6)))
        receipts = []
        for low, high in itertools.pairwise([0, *cuts, len(order)]):
            receipts += store.append(order[low:high])
        # Each is new exactly once, whatever stood in one transaction with it.
        assert sum(receipt.is_new for receipt in receipts) == len(entries)
        assert all(receipt.is_same for receipt in receipts)
        assert all(r.answer == e.answer for r, e in zip(receipts, order))
        assert sorted(pairs(store, tenant)) == sorted(
            (f.event_id, f.entry_id, f.body, e.body, e.answer)
            for f in entries for e in entries
            if f.kind != RANK and e.kind == RANK and e.event_id == f.event_id
        )  # fmt: skip
        assert store.waiting(tenant) == 1
        # In pieces it is the same log: what a learner reads step by step is what it reads at once.
        middle = begin + data.draw(st.integers(0, 40))
        whole = [*store.joined(tenant)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(event_store, "_AT_ONCE", data.draw(st.integers(1, 20)))
            parts = [*store.joined(tenant, upto=middle), *store.joined(tenant, after=middle)]
        assert parts == whole


def test_a_rank_that_is_repeated_gets_the_answer_of_the_first_time(store):
    store.append([rank("a")])
    again = Entry("t", "a", "", RANK, "ann", rank("a").body, b"another draw")
    (receipt,) = store.append([again])
    assert not receipt.is_new
    assert receipt.is_same
    assert receipt.answer == b"answer to a"


def test_the_same_name_with_other_content_is_told_and_not_kept(store):
    store.append([feedback("a", "1", 1.0), rank("a")])
    changed, reordered = store.append(
        [feedback("a", "1", 0.0), Entry("t", "a", "1", "reward", None,
                                        b'{"value": 1.0,   "kind": "reward"}')]
    )  # fmt: skip
    assert not changed.is_same
    assert not changed.is_new
    assert reordered.is_same
    assert json.loads(next(store.joined("t")).feedback)["value"] == 1.0


def test_tenants_with_the_same_names_never_meet(store):
    store.append([rank("a", tenant="t"), feedback("a", "1", tenant="other")])
    assert not pairs(store)
    assert not pairs(store, "other")
    assert store.waiting("other") == 1
    assert store.tenants() == ["other", "t"]


def test_whoever_is_erased_leaves_nothing_in_the_file(tmp_path):
    path = tmp_path / "log.db"
    store = EventStore(path)
    store.append([rank("a", "ann", asked={"secret": "ann likes figs"}), rank("b", "bob")])
    store.append([feedback("a", "1"), feedback("b", "1")])
    before = store.position("t")
    assert store.erase_person("t", "ann") == 2
    assert [event for event, *_ in pairs(store)] == ["b"]
    assert store.position("t").epoch == before.epoch + 1
    assert store.erase_person("t", "ann") == 0
    assert store.position("t").epoch == before.epoch + 1
    store.close()
    left = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"figs" not in left


def test_erasing_somebody_leaves_another_tenants_person_of_that_name(store):
    store.append([rank("a", "ann", "t"), rank("a", "ann", "other"), feedback("a", "1", tenant="t")])
    store.append([feedback("a", "1", tenant="other")])
    store.erase_person("t", "ann")
    assert len(pairs(store, "other")) == 1
    assert store.position("other").epoch == 0


def test_a_corrected_feedback_says_the_new_value_and_begins_an_epoch(store):
    store.append([rank("a"), feedback("a", "1", 1.0)])
    assert store.correct("t", "a", "1", feedback("a", "1", 0.0).body)
    assert json.loads(next(store.joined("t")).feedback)["value"] == 0.0
    assert store.position("t").epoch == 1
    assert not store.correct("t", "a", "", b"{}")
    assert not store.correct("other", "a", "1", b"{}")


def test_numbers_are_never_given_twice_even_after_an_erasure(store):
    store.append([rank("a")])
    store.erase_person("t", "ann")
    store.append([rank("b"), feedback("b", "1")])
    assert next(store.joined("t")).place == 3


def test_a_clock_that_runs_backwards_changes_no_order(database):
    clock = iter([9.0, 5.0, 1.0])
    store = EventStore(database, now=lambda: next(clock))
    for entry in (rank("a"), feedback("a", "1"), feedback("a", "2")):
        store.append([entry])
    assert [joined.entry_id for joined in store.joined("t")] == ["1", "2"]
    store.close()


def test_everything_acknowledged_is_synchronised(file_store):
    fetch = file_store.fetch
    (mode,), (level,) = fetch("PRAGMA journal_mode")[0], fetch("PRAGMA synchronous")[0]
    assert (mode, level) == ("wal", 2)


@pytest.mark.parametrize("content", [b"not a database at all" * 300, None])
def test_files_that_are_no_log_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "other.db"
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE mine (x)")
        other.commit()
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"another program|damaged"):
        EventStore(path)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_penchant_is_refused(tmp_path):
    path = tmp_path / "log.db"
    EventStore(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(DataError, match="newer penchant"):
        EventStore(path)


def test_a_damaged_page_is_found_at_the_start(tmp_path):
    path = tmp_path / "log.db"
    store = EventStore(path)
    for number in range(200):
        store.append([rank(f"event {number}")])
    store.close()
    content = bytearray(path.read_bytes())
    content[-8192:] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        EventStore(path)


def test_a_torn_end_of_the_write_ahead_log_loses_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "log.db"
    store = EventStore(path)
    store.append([rank("a"), feedback("a", "1")])
    # What a machine leaves that died while a later transaction was being written.
    copy = tmp_path / "after"
    copy.mkdir()
    (copy / "log.db").write_bytes(path.read_bytes())
    written = (tmp_path / "log.db-wal").read_bytes()
    store.append([rank("b")])
    torn = (tmp_path / "log.db-wal").read_bytes()[: len(written) + 1000]
    (copy / "log.db-wal").write_bytes(torn[:-10] + b"\x00" * 10)
    store.close()
    recovered = EventStore(copy / "log.db")
    assert len(pairs(recovered)) == 1
    assert recovered.append([rank("b")])[0].is_new
    recovered.close()


def test_a_failed_transaction_keeps_nothing_and_the_store_lives_on(tmp_path):
    store = EventStore(tmp_path / "log.db")
    store.append([rank("a")])
    store.execute("PRAGMA max_page_count = 30")
    big = Entry("t", "big", "", RANK, None, b'"' + b"x" * 300_000 + b'"')
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.append([rank("b"), big])
    assert store.append([rank("c")])[0].is_new
    assert {event for (event,) in store.fetch("SELECT event_id FROM entries")} == {"a", "c"}
    store.close()


def test_ten_clients_that_send_the_same_feedback_are_told_once_that_it_is_new(database):
    commit = GroupCommit(lambda: EventStore(database))
    receipts, start = [], threading.Barrier(10)

    def client():
        start.wait()
        receipts.append(commit.append(feedback("a", "1")))

    threads = [threading.Thread(target=client) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commit.close()
    assert sum(receipt.is_new for receipt in receipts) == 1
    assert len(receipts) == 10


def test_what_arrives_together_is_one_transaction_and_each_caller_is_told(database):
    delivered, told = [], []

    def deliver(calls):
        delivered.append(len(calls))
        for call in calls:
            call()

    opened = threading.Event()

    def open_store():
        store = EventStore(database)
        append = store.append
        # The first transaction holds the writer until all others have come.
        store.append = lambda entries: (opened.wait(), append(entries))[1]
        return store

    commit = GroupCommit(open_store, deliver=deliver)
    for number in range(50):
        commit.submit(rank(f"{number}"), lambda said, n=number: told.append((n, said.is_new)))
    opened.set()
    commit.close()
    assert sorted(told) == [(n, True) for n in range(50)]
    assert len(delivered) <= 3
    assert commit.num_transactions == len(delivered)


def test_callers_of_a_failed_transaction_are_told_and_later_ones_are_served(tmp_path):
    path = tmp_path / "log.db"
    EventStore(path).close()
    commit = GroupCommit(lambda: EventStore(path))
    commit._store.execute("PRAGMA max_page_count = 30")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        commit.append(Entry("t", "big", "", RANK, None, b'"' + b"x" * 300_000 + b'"'))
    assert commit.append(rank("a")).is_new
    commit.close()


def test_whoever_is_erased_while_somebody_reads_is_gone_once_the_log_is_swept(tmp_path):
    path = tmp_path / "log.db"
    store, reader, writer = (EventStore(path) for _ in range(3))
    store.append([rank("a", "ann", asked={"secret": "ann likes figs"}), rank("b", "bob")])

    def content():
        return b"".join(each.read_bytes() for each in tmp_path.iterdir())

    with reader.reading():
        reader.position("t")
        began = time.monotonic()
        assert store.erase_person("t", "ann") == 1
        # Nobody who writes waits for a reader.
        assert writer.append([rank("c")])[0].is_new
        assert time.monotonic() - began < 5
        assert b"figs" in content()
        assert not store.sweep()
    assert store.sweep()
    assert b"figs" not in content()
    # A patient writer still waits for another one.
    assert store.fetch("PRAGMA busy_timeout") == [(10_000,)]
    for each in (store, reader, writer):
        each.close()


def test_what_is_read_within_a_reading_is_of_one_moment(database):
    store, writer = EventStore(database), EventStore(database)
    store.append([rank("a")])
    with store.reading():
        before = store.position("t")
        writer.append([feedback("a", "1"), rank("b")])
        assert store.position("t") == before
        assert not pairs(store)
    assert store.position("t") != before
    assert len(pairs(store)) == 1
    store.close()
    writer.close()


def test_of_a_transaction_that_fails_nothing_is_kept_and_the_store_lives_on(store):
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012 (both within)
        store.execute("INSERT INTO epochs VALUES ('t', 7)")
        raise ZeroDivisionError
    assert store.position("t").epoch == 0
    assert store.append([rank("a")])[0].is_new


def test_a_tenant_whose_last_entry_was_erased_is_still_one(store):
    store.append([rank("a", "ann")])
    store.erase_person("t", "ann")
    assert store.tenants() == ["t"]


def test_a_log_is_for_the_user_who_made_it_alone(tmp_path):
    path, before = tmp_path / "log.db", os.umask(0o022)
    try:
        store = EventStore(path)
        store.append([rank("a")])
        assert {each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {0o600}
        store.close()
        # Whoever widened it did so on purpose.
        path.chmod(0o640)
        EventStore(path).close()
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def of_the_first_version(path):
    store = EventStore(path)
    store.append([rank("e")])
    store.close()
    old = sqlite3.connect(path)
    for statement in ("DROP TABLE studies", "DROP TABLE erased", "PRAGMA user_version = 1"):
        old.execute(statement)
    old.commit()
    old.close()
    return path


def test_a_file_that_is_half_taken_over_stays_as_it_was(tmp_path, monkeypatch):
    path = of_the_first_version(tmp_path / "log.db")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_database, "_STEPS", ("", sqlite_database._SECOND + "; SELECT nothing"))
        with pytest.raises(DataError):
            EventStore(path)
    left = sqlite3.connect(path)
    names = {name for (name,) in left.execute("SELECT name FROM sqlite_master")}
    assert not names & {"studies", "erased"}
    assert left.execute("PRAGMA user_version").fetchone() == (1,)
    left.close()
    store = EventStore(path)
    assert store.fetch("SELECT event_id FROM entries") == [("e",)]
    assert store.fetch("SELECT count(*) FROM erased") == [(0,)]
    store.close()


def test_a_file_of_the_first_version_is_taken_over_with_all_that_it_holds(tmp_path):
    path = of_the_first_version(tmp_path / "log.db")
    store = EventStore(path)
    assert store.fetch("SELECT event_id FROM entries") == [("e",)]
    assert store.fetch("SELECT count(*) FROM studies") == [(0,)]
    assert store.erase_person("default", "nobody") == 0
    store.close()
