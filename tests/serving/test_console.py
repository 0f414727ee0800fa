"""What the console tells: groups, propensities, windows, alarms neither deaf nor false."""

import numpy as np
import pytest

pytest.importorskip("msgspec")

from penchant.serving.console import ALARM, Round, changes, groups, propensities, windows
from penchant.serving.event_store import EventStore
from serving.test_decision_app import MENU, learn, with_app


def some_rounds(rewards, words=None, shown=0.5, people=None):
    return [
        Round(received=float(at), shown=shown, least=min(shown, 1 - shown), num_options=2,
              person=None if people is None else people[at],
              words=() if words is None else words[at], reward=reward)
        for at, reward in enumerate(rewards)
    ]  # fmt: skip


def test_alarms_of_chance_are_rare_and_a_real_fall_is_told():
    rng = np.random.default_rng(0)
    false, told = 0, 0
    for _ in range(400):
        steady = rng.random(400) < 0.3
        device = [
            ("device = phone",) if phone else ("device = desk",) for phone in rng.random(400) < 0.4
        ]
        false += bool(changes(some_rounds(steady.astype(float), device)))
        fallen = np.concatenate([rng.random(300) < 0.6, rng.random(100) < 0.3])
        (*_, last) = [each["text"] for each in changes(some_rounds(fallen.astype(float)))] or [""]
        told += "fell from" in last
    # One in 16,000 each is expected of chance at four standard errors.
    assert ALARM == 4.0
    assert false <= 2
    assert told > 350


def test_other_people_coming_is_told_once():
    words = [("device = phone",) if at >= 150 else ("device = desk",) for at in range(200)]
    (told,) = changes(some_rounds([0.5] * 200, words))
    assert told["kind"] == "traffic"
    assert "device = desk" in told["text"] or "device = phone" in told["text"]


def test_too_little_to_tell_is_no_alarm():
    assert changes([]) == []
    assert changes(some_rounds([0.0] * 40 + [1.0] * 40)) == []
    # All that came before was alike, and so is all since: still a change.
    assert changes(some_rounds([0.0] * 300 + [1.0] * 100))[0]["kind"] == "reward"


def test_the_worst_group_comes_first_and_is_told_from_chance():
    rng = np.random.default_rng(1)
    phone = rng.random(900) < 0.5
    reward = rng.random(900) < np.where(phone, 0.2, 0.6)
    words = [("device = phone",) if each else ("device = desk",) for each in phone]
    found = groups(some_rounds(reward.astype(float), words))
    assert [each["group"] for each in found] == ["device = phone", "device = desk"]
    assert found[0]["is_worse"]
    assert found[0]["low"] < 0.2 < found[0]["high"]
    alike = [("device = phone",) if each else ("device = desk",) for each in rng.random(900) < 0.5]
    assert not any(each["is_worse"] for each in groups(some_rounds(reward.astype(float), alike)))


def test_a_hundred_answers_of_one_person_are_not_a_hundred_people():
    rng = np.random.default_rng(2)
    level = rng.normal(size=10)
    people = [f"p{at % 10}" for at in range(600)]
    rewards = [float(level[at % 10]) + 0.01 * rng.normal() for at in range(600)]
    words = [("even",) if at % 2 else ("odd",) for at in range(600)]
    named = groups(some_rounds(rewards, words, people=people))
    alone = groups(some_rounds(rewards, words))
    assert named[0]["people"] == 5
    assert named[0]["high"] - named[0]["low"] > 3 * (alone[0]["high"] - alone[0]["low"])


def test_propensities_tell_what_a_log_is_worth():
    assert propensities([]) is None
    even = propensities(some_rounds([None] * 50, shown=0.5))
    assert np.isclose(even["effective"], 1.0)
    assert sum(even["counts"]) == 50
    # Half shown at 0.9 and half at 0.1: weights 5/9 and 5, (sum w)^2 / (B sum w^2) by hand.
    mixed = some_rounds([None] * 25, shown=0.9) + some_rounds([None] * 25, shown=0.1)
    weight = np.array([1 / 1.8, 5.0])
    assert np.isclose(propensities(mixed)["effective"], weight.sum() ** 2 / (2 * (weight**2).sum()))
    assert propensities(mixed)["least"] == pytest.approx(0.1)


def test_windows_hold_every_round_once():
    found = windows(some_rounds([None, 1.0] * 55))
    assert sum(each["decisions"] for each in found) == 110
    assert sum(each["rewards"] for each in found) == 55
    assert found[0]["a_minute"] == pytest.approx(60.0)
    assert windows([]) == []


@with_app
async def test_the_console_reads_the_log_and_misses_a_learner(call):
    for at in range(30):
        await call("POST", "/v1/rank", {"event_id": f"{at}", "person": "ann", **MENU})
        said = {"event_id": f"{at}", "kind": "reward", "value": float(at % 2)}
        await call("POST", "/v1/feedback", said)
        await call("POST", "/v1/feedback", said | {"event_id": f"lost {at}"})
    _, before = await call("GET", "/v1/console")
    assert (before["decisions"], before["feedback"], before["waiting"]) == (30, {"reward": 30}, 30)
    assert {each["kind"] for each in before["alerts"]} == {"learner", "feedback"}
    assert before["windows"][0]["rewards"] > 0
    learn(call)
    _, after = await call("GET", "/v1/console")
    assert after["models"]["models"][0]["rewards"] == 30


@with_app
async def test_a_model_without_a_floor_is_warned_of(call):
    model = {"rule": "greedy", "floor": 0.0}
    assert (await call("PUT", "/v1/models/hard", model))[0] == 200
    await call("POST", "/v1/models/hard/promote")
    for at in range(3):
        await call("POST", "/v1/rank", {"event_id": f"{at}", **MENU})
        await call("POST", "/v1/feedback", {"event_id": f"{at}", "kind": "reward", "value": 1.0})
        learn(call)
    _, found = await call("GET", "/v1/console")
    assert "propensity" in {each["kind"] for each in found["alerts"]}


# What stands in the log in place of a body or an answer: cut off, of another shape, of no letters,
# of another menu, of no kind that is known.
BROKEN = [
    ("body", "", b'{"options": [{"id": "a"'), ("body", "", b"[]"), ("body", "", b"\xff\xfe"),
    ("body", "", b'{"options": [{"id": "x"}]}'), ("answer", "", b"{}"), ("answer", "", b""),
    ("answer", "", b'{"event_id": "1", "ranking": [], "probabilities": {}, "model": "m", '
                   b'"belief": 0}'),
    ("answer", "", b'{"event_id": "1", "ranking": ["a"], "probabilities": {"b": 1.0}, "model": '
                   b'"m", "belief": 0}'),
    ("body", "f", b'{"kind": "smell", "value": 1}'), ("body", "f", b'{"value": 1}'),
    ("body", "f", b'{"kind": "reward", "value": "much"}'), ("body", "f", b'{"kind": '),
    ("body", "f", b'{"kind": "reward", "value": null}'),
]  # fmt: skip


@pytest.mark.parametrize(("column", "of", "content"), BROKEN)
def test_an_entry_that_cannot_be_read_hides_no_other(column, of, content, database):
    @with_app
    async def tried(call):
        for at in range(4):
            await call("POST", "/v1/rank", {"event_id": f"{at}", "person": "ann", **MENU})
            said = {"event_id": f"{at}", "kind": "reward", "value": 1.0, "feedback_id": "f"}
            await call("POST", "/v1/feedback", said)
        store = EventStore(call.app.database)
        changed = store.execute(
            f"UPDATE entries SET {column} = ? WHERE event_id = '3' AND (entry_id <> '') = ?",
            content, bool(of),
        )  # fmt: skip
        assert changed == 1
        store.close()
        learn(call)
        _, found = await call("GET", "/v1/console")
        lost = 0 if of else int(not content.startswith(b'{"options": [{"id": "x"}'))
        assert found["unread"] == {"decisions": lost, "feedback": 1, "events": ["3"]}
        assert found["decisions"] == 4 - lost
        assert (found["feedback"], found["rewarded"]) == ({"reward": 3}, 3)
        (told,) = [each["text"] for each in found["alerts"] if each["kind"] == "unread"]
        assert "'3'" in told
        _, report = await call("GET", "/v1/report")
        assert (report["rounds"], report["unread"]) == (3, 1)
        _, person = await call("GET", "/v1/people/ann")
        assert (person["unread"], len(person["history"])) == (1, 3)
        assert (person["last"]["options"] is None) == bool(lost)
        assert found["models"]["models"][0]["unusable_feedback"] == 1

    tried(database)


@with_app
async def test_where_all_can_be_read_nothing_is_said_of_it(call):
    await call("POST", "/v1/rank", {"event_id": "e", **MENU})
    _, found = await call("GET", "/v1/console")
    assert found["unread"] == {"decisions": 0, "feedback": 0, "events": []}
    assert "unread" not in {each["kind"] for each in found["alerts"]}
