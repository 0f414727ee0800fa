"""The learner: what it publishes is what a refit from the log gives, bit by bit."""

import json
import os
import sqlite3
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("msgspec")

from penchant.errors import BeliefError
from penchant.fitting.online_named import OnlineNamed, OnlineNamedConfig
from penchant.serving import learner as learning
from penchant.serving import publication
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import RANK, Entry, EventStore, Joined
from penchant.serving.learner import Learner, Student, refit
from penchant.serving.lessons import Lesson, Order, taught
from penchant.serving.models import put_model
from penchant.serving.publication import publish, published
from penchant.serving.sqlite_database import SqliteDatabase
from penchant.serving.wire import feedback_body

CONFIG = ModelConfig()
IDS = ["a", "b", "c"]


def rank(number, rng, person="ann"):
    options = [{"id": i, "features": {"p": float(rng.normal())}} for i in IDS]
    asked = {"event_id": str(number), "person": person, "context": {"hour": float(rng.normal())},
             "options": options}  # fmt: skip
    order = [IDS[k] for k in rng.permutation(3)[:2]]
    answer = {"event_id": str(number), "ranking": order, "probabilities": dict.fromkeys(IDS, 1 / 3),
              "model": "default", "belief": 0}  # fmt: skip
    return Entry("t", str(number), "", RANK, person, json.dumps(asked).encode(),
                 json.dumps(answer).encode())  # fmt: skip


def feedback(number, rng, kind="reward"):
    value = {"reward": float(rng.normal()), "pick": "b", "ranking": ["c", "a"], "text": "why"}[kind]
    body = json.dumps({"kind": kind, "value": value, "time": None}).encode()
    return Entry("t", str(number), f"id:{kind}", kind, None, body)


def log(database, order, seed=0):
    rng = np.random.default_rng(seed)
    entries = [rank(n, rng, "ann" if n % 2 else "bob") for n in range(12)]
    entries += [feedback(n, rng, kind) for n in range(14) for kind in ("reward", "pick", "text")]
    store = EventStore(database)
    for at in order:
        store.append([entries[at]])
    return store


def same(first, second):
    assert first.coder.columns == second.coder.columns
    one, other = first.arrays(), second.arrays()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_published_is_a_refit_however_it_was_read(new_database, data):
    database = new_database()
    order = data.draw(st.permutations(range(12 + 14 * 3)))
    cut = data.draw(st.integers(0, len(order)))
    learning._AT_ONCE = data.draw(st.integers(1, 60))
    try:
        store = log(database, order[:cut])
        learner = Learner(store=store)
        for _ in range(data.draw(st.integers(0, 5))):
            learner.step()
        # It is killed, and more comes before another takes over.
        store.close()
        store = log(database, order)
        learner = Learner(store=store)
        while learner.step():
            pass
    finally:
        learning._AT_ONCE = 4_000
    found = published(store, "t", "default")
    whole = refit(store, "t", CONFIG, store.position("t").seq)
    same(found.learnt, whole.learnt)
    assert found.unusable == whole.unusable == 12
    same(found.learnt, refit(store, "t", CONFIG, found.position.seq).learnt)
    store.close()


@pytest.fixture
def store(database):
    held = log(database, range(54))
    yield held
    held.close()


@pytest.fixture
def file_store(tmp_path):
    held = log(SqliteDatabase(tmp_path / "log.db"), range(54))
    yield held
    held.close()


@pytest.fixture
def learner(store):
    return Learner(store=store)


def current(store, model="default"):
    return published(store, "t", model)


def test_erasing_somebody_is_a_refit_without_them(store, learner, new_database):
    learner.step()
    before = current(store)
    store.erase_person("t", "ann")
    learner.step()
    after = current(store)
    assert after.position.epoch == 1
    assert 0 < after.learnt.rounds < before.learnt.rounds
    # A log that never held them says the same.
    bob = [n for n in range(12) if not n % 2] + [12 + 3 * n + k for n in range(0, 14, 2)
                                                 for k in range(3)]  # fmt: skip
    never = log(new_database(), bob)
    same(after.learnt, refit(never, "t", CONFIG, 10**6).learnt)
    never.close()


def test_a_refit_is_not_published_before_its_end(store, learner, monkeypatch):
    learner.step()
    before = current(store)
    store.correct("t", "0", "id:reward", b'{"kind": "reward", "value": 5.0, "time": null}')
    monkeypatch.setattr(learning, "_AT_ONCE", 20)
    assert learner.step()
    assert current(store).position == before.position
    while learner.step():
        pass
    assert current(store).position.epoch == 1


def test_a_damaged_belief_is_made_anew_from_the_log(store, learner):
    learner.step()
    good = current(store)
    content = bytearray(store.connection.belief("t", "default"))
    for at in (-5, 3, 20, len(content) // 2):
        broken = content.copy()
        broken[at] ^= 0xFF
        store.connection.put_belief("t", "default", bytes(broken))
        with pytest.raises(BeliefError, match="Delete it"):
            current(store)
    for length in (0, 5, len(content) // 2):
        store.connection.put_belief("t", "default", bytes(content[:length]))
        with pytest.raises(BeliefError, match="Delete it"):
            current(store)
    Learner(store=store).step()
    same(current(store).learnt, good.learnt)


def test_a_belief_that_is_being_written_is_not_seen(file_store, monkeypatch):
    store, learner = file_store, Learner(store=file_store)
    learner.step()
    before = current(store)
    store.append([feedback(3, np.random.default_rng(5), "ranking")])

    def dies(fd):
        raise OSError("no space left")

    monkeypatch.setattr("penchant.serving.sqlite_database.os.fsync", dies)
    with pytest.raises(OSError, match="no space"):
        learner.step()
    same(current(store).learnt, before.learnt)
    monkeypatch.undo()
    Learner(store=store).step()
    assert current(store).learnt.rounds > before.learnt.rounds


def test_a_model_that_comes_later_reads_the_whole_log(store, learner):
    learner.step()
    put_model(store, "t", "late", ModelConfig(rule="greedy"))
    learner.step()
    same(current(store, "late").learnt, current(store).learnt)


def test_one_process_learns_at_a_time(database):
    first, second = (EventStore(database).connection for _ in range(2))
    with first.leading() as is_first:
        assert is_first
        assert first.leads
        with second.leading() as is_second:
            assert not is_second
    with second.leading() as is_second:
        assert is_second
    # Whoever held it and is gone holds it no more.
    with first.leading() as is_first:
        assert is_first
        first.close()
    for _ in range(50):
        with second.leading() as is_second:
            if is_second:
                break
        time.sleep(0.1)
    assert is_second
    second.close()


def test_the_learner_runs_until_told_to_stop(store):
    stop = threading.Event()
    thread = threading.Thread(target=learning.run, args=(store.database, stop))
    thread.start()
    for _ in range(200):
        if current(store):
            break
        stop.wait(0.05)
    stop.set()
    thread.join()
    same(current(store).learnt, refit(store, "t", CONFIG, 10**6).learnt)


def test_a_belief_with_bounds_beside_it_is_read_on(store, monkeypatch):
    """As versions before kept it: the trace of its covariance stood in the file."""
    whole, arrays = refit(store, "t", CONFIG, 10**6).publication(), OnlineNamed.arrays
    monkeypatch.setattr(OnlineNamed, "arrays", lambda self: arrays(self) | {"size": np.ones(1)})
    publish(store, "t", "m", whole)
    monkeypatch.undo()
    found = published(store, "t", "m").learnt
    same(found, whole.learnt)
    largest = np.linalg.eigvalsh(found.weights.covariance[0])[-1]
    assert largest <= found.weights.size[0, 0] * (1 + 1e-9)


def test_publishing_needs_no_feedback(database):
    store = EventStore(database)
    publish(store, "x", "m", refit(store, "t", CONFIG, 0).publication())
    assert published(store, "x", "m").learnt.belief().rounds == 0
    assert published(store, "x", "none") is None
    store.close()


def test_beliefs_are_for_the_user_who_made_them_alone(file_store, tmp_path):
    Learner(store=file_store).step()
    assert (tmp_path / "log.db.beliefs" / "t").stat().st_mode & 0o777 == 0o700


QUESTION = {"study": "s", "kind": "pair", "probability": 1.0, "gain": 0.1, "levels": 5,
            "teaches": True}  # fmt: skip


def told(kind, value, shown=("b", "a"), question=None):
    asked = {"event_id": "e", "options": [{"id": i} for i in IDS]}
    answer = {"event_id": "e", "ranking": shown, "model": "m", "belief": 0,
              "probabilities": dict.fromkeys(IDS, 0.2),
              "question": question}  # fmt: skip
    said = [json.dumps(each).encode() for each in
            ({"kind": kind, "value": value, "time": None}, asked, answer)]  # fmt: skip
    return taught(Joined(1, "e", "f", kind, said[0], None, said[1], said[2]))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("reward", 2.5, {1: 2.5}), ("rating", 4.0, {1: 4.0}), ("pick", "a", {1: 0.0, 0: 1.0}),
        ("pick", None, {1: 0.0, 0: 0.0}), ("pick", "c", {1: 0.0, 0: 0.0, 2: 1.0}),
        ("pick", "z", {}), ("ranking", ["c", "a", "b"], {2: 1.0, 0: 0.5, 1: 0.0}),
        ("ranking", ["c", "z"], {}), ("ranking", ["c"], {}), ("text", "why", {}),
        ("edit", "new", {}), ("edit", {"after": "a b", "before": None}, {}),
        ("edit", {"after": "a b x d", "before": "a b c d"}, {1: 0.75}),
        ("edit", {"after": "w " * 3000, "before": "w"}, {}),
    ],
)  # fmt: skip
def test_each_kind_of_feedback_teaches_what_is_said_of_it(kind, value, expected):
    assert told(kind, value).lessons == tuple(Lesson(*each) for each in expected.items())


@pytest.mark.parametrize(
    ("kind", "value", "question", "expected"),
    [
        ("pick", "a", None, Order((0, 1, None), 1)), ("pick", None, None, Order((None, 1, 0), 1)),
        ("pick", "c", None, Order((2, 1, 0, None), 1)), ("pick", "z", None, None),
        ("ranking", ["c", "a", "b"], None, Order((2, 0, 1), 3)), ("ranking", ["c"], None, None),
        ("reward", 1.0, None, None), ("text", "why", None, None), ("edit", "new", None, None),
        # Whoever is asked which of two cannot say neither, but that they are about the same.
        ("pick", "a", QUESTION, Order((0, 1), 1)), ("pick", None, QUESTION, Order((), 0)),
    ],
)  # fmt: skip
def test_what_was_preferred_to_what_is_told_as_an_order(kind, value, question, expected):
    assert told(kind, value, question=question).order == expected


def test_a_model_of_orders_learns_picks_and_rankings_as_such_and_rewards_as_yes_or_no(
    store, learner
):
    config = ModelConfig(learning=OnlineNamedConfig(is_binary=True, learns_orders=True))
    put_model(store, "t", "orders", config)
    rng = np.random.default_rng(8)
    store.append([feedback(n, rng, "ranking") for n in range(6)])
    learner.step()
    found = current(store, "orders")
    student, by_hand = Student.beginner(config), OnlineNamed.empty(config.learning)
    for each in (taught(joined) for joined in store.joined("t")):
        student.learn(each)
        if each.order is not None:
            by_hand.learn_order(each.menu, each.order.places, each.order.num_ranked)
        for lesson in each.lessons if each.order is None else ():
            if 0 <= lesson.reward <= 1:
                by_hand.learn(each.menu, lesson.place, lesson.reward)
    same(found.learnt, by_hand)
    same(found.learnt, student.learnt)
    assert found.learnt.rounds > 12 + 6
    # Another model of the same log goes on learning rewards.
    same(current(store).learnt, refit(store, "t", CONFIG, 10**6).learnt)


def test_about_the_same_teaches_nothing():
    config = ModelConfig(learning=OnlineNamedConfig(is_binary=True, learns_orders=True))
    student = Student.beginner(config)
    student.learn(told("pick", None, question=QUESTION))
    assert student.num_taught == (0, 0)


def test_what_cannot_be_read_any_more_teaches_nothing_and_ends_nothing(store, learner):
    store.append([Entry("t", "old", "", RANK, None, b'{"menu": "of old"}', b"{}")])
    store.append([feedback("old", np.random.default_rng(1)), rank(99, np.random.default_rng(2))])
    store.append([feedback(99, np.random.default_rng(1))])
    learner.step()
    assert current(store).unusable == 13
    assert current(store).position.seq == store.position("t").seq


def test_readers_see_the_old_belief_or_the_new_and_nothing_between(store):
    whole = refit(store, "t", CONFIG, 10**6).publication()
    half = refit(store, "t", CONFIG, 30).publication()
    publish(store, "t", "m", whole)
    over, seen, stamps = threading.Event(), [], set()

    def read():
        reader = EventStore(store.database, for_reading=True)
        while not over.is_set():
            seen.append(published(reader, "t", "m").learnt.rounds)
        reader.close()

    reader = threading.Thread(target=read)
    reader.start()
    for at in range(100):
        publish(store, "t", "m", half if at % 2 else whole)
        stamps.add(store.connection.belief_stamp("t", "m"))
    over.set()
    reader.join()
    assert set(seen) <= {whole.learnt.rounds, half.learnt.rounds}
    assert len(set(seen)) == 2
    # Who serves sees by the stamp that there is another.
    assert len(stamps) == 100


def test_the_only_person_of_a_tenant_leaves_no_belief_behind(store, learner):
    learner.step()
    for person in ("ann", "bob"):
        store.erase_person("t", person)
    # Feedback that waits for its rank is nobody's.
    store.execute("DELETE FROM entries")
    learner.step()
    after = current(store)
    assert after.position.epoch == 2
    assert after.learnt.rounds == 0
    assert not after.learnt.coder.columns


def test_what_an_older_copy_of_the_log_does_not_hold_is_unlearnt(tmp_path):
    database = SqliteDatabase(tmp_path / "log.db")
    whole = log(database, range(54))
    Learner(store=whole).step()
    known = current(whole).learnt.rounds
    whole.close()
    database.path.unlink()
    older = log(database, range(20))
    Learner(store=older).step()
    found = current(older)
    assert 0 < found.learnt.rounds < known
    same(found.learnt, refit(older, "t", CONFIG, 20).learnt)
    older.close()


def test_the_learner_sweeps_what_a_reader_kept_in_the_write_ahead_log(file_store, tmp_path):
    store, learner, wal = file_store, Learner(store=file_store), tmp_path / "log.db-wal"
    learner.step()
    assert not wal.stat().st_size
    reader = EventStore(store.database)
    with reader.reading():
        reader.position("t")
        store.erase_person("t", "ann")
        learner.step()
        assert wal.stat().st_size
    learner.step()
    assert not wal.stat().st_size
    reader.close()


def test_the_log_is_swept_again_when_a_belief_that_knew_somebody_is_replaced(
    store, learner, monkeypatch
):
    monkeypatch.setattr(learning, "_AT_ONCE", 20)
    done, sweep = [], store.sweep
    monkeypatch.setattr(store, "sweep", lambda: (done.append("swept"), sweep())[1])
    monkeypatch.setattr(learning, "publish", lambda *told: (done.append("said"), publish(*told)))
    while learner.step():
        pass
    store.erase_person("t", "ann")
    done.clear()
    while learner.step():
        pass
    # The refit took several looks at the log, and was published at the last one alone.
    assert done[0] == "swept"
    assert done[-2:] == ["said", "swept"]
    assert done.count("said") == 1


@pytest.mark.parametrize("change", [{"format": 0}, {"config": '{"colour": "red"}'}])
def test_a_belief_of_another_version_is_made_anew_from_the_log(store, learner, monkeypatch, change):
    monkeypatch.setattr(publication.json, "dumps", lambda told, **more: dumps(told | change))
    dumps = json.JSONEncoder().encode
    learner.step()
    monkeypatch.undo()
    with pytest.raises(BeliefError):
        current(store)
    Learner(store=store).step()
    same(current(store).learnt, refit(store, "t", CONFIG, 54).learnt)


def test_when_a_learner_last_read_without_trouble_is_told(store, monkeypatch):
    idle = store.connection.idle_seconds
    assert idle() is None
    troubled = threading.Event()

    def fails(learner):
        troubled.set()
        raise sqlite3.OperationalError("disk full")

    def run_until(done):
        stop = threading.Event()
        thread = threading.Thread(target=learning.run, args=(store.database, stop))
        thread.start()
        for _ in range(200):
            if done():
                break
            stop.wait(0.05)
        stop.set()
        thread.join()

    with store.connection.leading():
        pass
    assert idle() < 10
    if isinstance(store.database, SqliteDatabase):
        then = time.time() - 1_000
        os.utime(store.database.path.with_name("log.db.learner"), (then, then))
    else:
        store.execute("UPDATE learner SET looked = looked - interval '1000 s'")
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "step", fails)
        run_until(troubled.is_set)
    assert idle() > 990
    run_until(lambda: idle() < 10)
    assert idle() < 10


def test_a_model_that_cannot_be_read_ends_nobody_elses_learning(store, learner):
    store.append([Entry("a tenant before", "e", "", RANK, None, b"{}", b"{}")])
    told = '{"rule": "of a later penchant"}'
    store.execute("INSERT INTO models VALUES ('a tenant before', 'm', ?, 0)", told)
    assert store.tenants() == ["a tenant before", "t"]
    learner.step()
    same(current(store).learnt, refit(store, "t", CONFIG, 10**6).learnt)


STARS = OnlineNamedConfig(is_binary=True, rating_levels=5)


def test_ratings_are_learnt_as_levels_where_a_model_says_so():
    config = ModelConfig(learning=STARS)
    student, by_hand = Student.beginner(config), OnlineNamed.empty(STARS)
    for value in (5.0, 1.0, 3, 3.5, 0.0, 6.0, 2.0):
        each = told("rating", value)
        student.learn(each)
        if value in (1, 2, 3, 5):
            by_hand.learn_rating(each.menu, 1, int(value) - 1)
    same(student.learnt, by_hand)
    assert student.num_taught == (4, 3)
    assert (np.diff(student.learnt.cut_points) > 0).all()
    # A study of as many levels is the same; of others its answers are shares of its highest level.
    for levels in (5, 3):
        each = told("rating", 3, question=QUESTION | {"kind": "rating", "levels": levels})
        student.learn(each)
        if levels == 5:
            by_hand.learn_rating(each.menu, 1, 2)
        else:
            by_hand.learn(each.menu, 1, 1.0)
        same(student.learnt, by_hand)


def test_a_model_of_ratings_is_published_and_goes_on(store, learner):
    put_model(store, "t", "stars", ModelConfig(learning=STARS))
    rng = np.random.default_rng(3)
    store.append([rank(f"s{n}", rng) for n in range(6)])
    store.append([Entry("t", f"s{n}", "r", "rating", None, feedback_body("rating", 1.0 + n % 5, 0))
                  for n in range(6)])  # fmt: skip
    learner.step()
    found = current(store, "stars")
    same(found.learnt, refit(store, "t", ModelConfig(learning=STARS), 10**6).learnt)
    np.testing.assert_array_equal(found.learnt.cut_points, sorted(found.learnt.cut_points))
    assert len(found.learnt.cut_points) == 4
