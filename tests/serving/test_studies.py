"""Studies: what is asked and with what probability, what answers make believed, who may."""

import asyncio
import json

import numpy as np
import pytest

pytest.importorskip("msgspec")

from penchant.metrics.edit_distance import kept_share
from penchant.serving import asking
from penchant.serving.decision_app import DecisionApp
from penchant.serving.event_store import EventStore
from penchant.serving.keys import ROLES, add_key
from penchant.serving.learner import Learner
from penchant.serving.publication import published
from penchant.serving.studies import kept_question
from serving.test_decision_app import Caller, living, with_app

STUDY = {
    "question": "Which one?", "kinds": ["pair", "ranking", "rating", "edit"],
    "options": [{"id": name, "text": f"a text about {name}"} for name in "abcde"],
}  # fmt: skip


WORDS = ["one", "two", "three", "four", "five"]


def best_first(question):
    """An answer of somebody who likes a best and e least."""
    ids = [each["id"] for each in question["options"]]
    stars = 5 - "abcde".index(ids[0])
    return {
        "pair": ("pick", min(ids)),
        "ranking": ("ranking", sorted(ids)),
        "rating": ("rating", stars),
        "edit": ("edit", {"before": " ".join(WORDS), "after": " ".join(WORDS[:stars])}),
    }[question["kind"]]


async def answered(call, num, study="s", person="ann", **further):
    kinds = []
    for _ in range(num):
        status, question = await call("POST", f"/v1/studies/{study}/questions", {"person": person})
        assert status == 200, question
        kind, value = best_first(question)
        kinds.append(question["kind"])
        said = {"event_id": question["event_id"], "kind": kind, "value": value, **further}
        assert await call("POST", f"/v1/studies/{study}/answers", said) == (
            200, {"accepted": True, "duplicate": False},
        )  # fmt: skip
    return kinds


@pytest.mark.long
@with_app
async def test_answers_of_all_kinds_settle_who_is_first(call):
    assert (await call("PUT", "/v1/studies/s", STUDY))[0] == 200
    kinds = await answered(call, 60)
    assert set(kinds) == {"pair", "ranking", "rating", "edit"}
    _, said = await call("GET", "/v1/studies/s")
    belief = said["belief"]
    assert belief["answers"] == 60
    assert belief["is_settled"]
    shares = [each["share"] for each in belief["options"]]
    assert shares[0] == max(shares)
    assert belief["options"][0]["first"] > 0.9
    assert all(each["low"] < each["share"] < each["high"] for each in belief["options"])


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
@with_app
async def test_questions_are_drawn_as_they_say_and_logged_so(call):
    await call("PUT", "/v1/studies/s", STUDY | {"kinds": ["pair"], "explored": 0.5})
    told, left = {}, 0
    for _ in range(400):
        _, question = await call("POST", "/v1/studies/s/questions", {})
        pair = tuple(sorted(each["id"] for each in question["options"]))
        told.setdefault(pair, []).append(question["probability"])
        left += question["options"][0]["id"] == pair[0]
    # Nobody answered: the same probabilities each time.
    share = {pair: each[0] for pair, each in told.items()}
    assert all(len(set(each)) == 1 for each in told.values())
    assert np.isclose(sum(share.values()), 1.0)
    for pair, each in told.items():
        error = np.sqrt(share[pair] * (1 - share[pair]) / 400)
        assert abs(len(each) / 400 - share[pair]) < 4.5 * error
    assert abs(left / 400 - 0.5) < 4.5 * 0.025
    store = EventStore(call.app.database, for_reading=True)
    rows = store.fetch("SELECT answer FROM entries WHERE kind = 'question'")
    store.close()
    # Either side is as likely to be shown first, and the log says so.
    assert all(set(kept_question(each).probabilities.values()) == {0.5} for (each,) in rows)
    logged = [kept_question(answer).question.probability for (answer,) in rows]
    assert sorted(logged) == sorted(p for each in told.values() for p in each)


@with_app
async def test_an_answer_that_does_not_fit_its_question_is_refused(call):
    await call("PUT", "/v1/studies/s", STUDY | {"kinds": ["pair"]})
    _, question = await call("POST", "/v1/studies/s/questions", {})
    event = {"event_id": question["event_id"]}
    others = next(iter(set("abcde") - {each["id"] for each in question["options"]}))
    for kind, value in (("rating", 3), ("pick", others), ("reward", 1.0), ("ranking", ["a", "b"])):
        said = event | {"kind": kind, "value": value}
        assert (await call("POST", "/v1/studies/s/answers", said))[0] == 400
    text = event | {"kind": "text", "value": "because"}
    assert (await call("POST", "/v1/studies/s/answers", text))[0] == 200
    unknown = {"event_id": "ask:s:none", "kind": "pick", "value": None}
    assert (await call("POST", "/v1/studies/s/answers", unknown))[0] == 404
    # A decision is no question, whatever it is called.
    await call("POST", "/v1/rank", {"event_id": "ask:s:mine", "options": [{"id": "a"}]})
    assert (await call("POST", "/v1/studies/s/answers", unknown | {"event_id": "ask:s:mine"}))[
        0
    ] == 404
    # Nor does a study answer for another.
    await call("PUT", "/v1/studies/t", STUDY)
    pick = event | {"kind": "pick", "value": None}
    assert (await call("POST", "/v1/studies/t/answers", pick))[0] == 404


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "told"),
    [({"options": [{"id": "a"}]}, "options"), ({"options": [{"id": "a"}, {"id": "a"}]}, "same id"),
     ({"top": 5}, "top"), ({"kinds": []}, "kinds"), ({"kinds": ["pair", "pair"]}, "once"),
     ({"kinds": ["guess"]}, "guess"), ({"explored": 0}, "explored"), ({"colour": 1}, "colour"),
     ({"options": [{"id": "a"}, {"id": "b", "text": "x"}]}, "text"),
     ({"options": [{"id": "a", "text": "a " * 2_001}, {"id": "b", "text": "b"}]}, "2,000 words"),
     ({"context": {"": 1}}, "empty name"), ({"explored": float("nan")}, "cannot be used")],
)  # fmt: skip
def test_a_study_that_makes_no_sense_is_refused(database, changed, told):
    @with_app
    async def refused(call):
        body = json.dumps(STUDY | changed).encode()
        status, said = await call("PUT", "/v1/studies/s", body)
        assert status == 400
        assert told in said["error"]

    refused(database)


@with_app
async def test_a_name_says_one_thing_alone(call):
    assert (await call("PUT", "/v1/studies/s", STUDY))[0] == 200
    assert (await call("PUT", "/v1/studies/s", STUDY))[0] == 200
    status, said = await call("PUT", "/v1/studies/s", STUDY | {"top": 2})
    assert status == 400
    assert "new name" in said["error"]
    _, told = await call("GET", "/v1/studies")
    assert [each["name"] for each in told["studies"]] == ["s"]
    assert (await call("GET", "/v1/studies/none"))[0] == 404
    assert (await call("POST", "/v1/studies/none/questions", {}))[0] == 404


def learnt_of(call):
    store = EventStore(call.app.database, for_reading=True)
    learner = Learner(store=store)
    while learner.step():
        pass
    found = published(store, "default", "default")
    store.close()
    return found


@pytest.mark.long
@with_app
async def test_a_study_teaches_the_models_where_it_says_so_and_only_there(call):
    await call("PUT", "/v1/studies/apart", STUDY)
    await answered(call, 10, "apart")
    found = learnt_of(call)
    assert (found.learnt.rounds, found.unusable) == (0, 0)
    await call("PUT", "/v1/studies/s", STUDY | {"teaches": True, "kinds": ["rating"]})
    await answered(call, 5)
    found = learnt_of(call)
    assert (found.learnt.rounds, found.unusable) == (5, 0)
    # Ratings count as shares of the highest level: 5 of 5 is 1, 1 of 5 is 0.
    belief = found.learnt.belief()
    weight = {feature: belief.mean[at] for at, (feature, about) in enumerate(belief.columns)}
    assert weight["id=a"] > weight["id=c"] > weight["id=e"]
    assert abs(belief.mean).max() < 1.0
    # Nothing of it is a decision that a policy could be judged by.
    _, report = await call("GET", "/v1/report")
    assert report["rounds"] == 0


@with_app
async def test_a_person_who_is_erased_takes_their_answers_along(call):
    await call("PUT", "/v1/studies/s", STUDY)
    await answered(call, 10, person="bob")
    await answered(call, 4, person="ann")
    assert (await call("DELETE", "/v1/people/bob"))[0] == 200
    _, said = await call("GET", "/v1/studies/s")
    assert (said["belief"]["answers"], said["belief"]["people"]) == (4, 1)


@with_app
async def test_a_study_may_keep_its_belief_from_those_who_answer(call):
    await call("PUT", "/v1/studies/s", STUDY | {"shows_belief": False})
    _, question = await call("POST", "/v1/studies/s/questions", {})
    _, said = await call("GET", "/v1/studies/s")
    assert "belief" not in question
    assert "belief" not in said
    _, console = await call("GET", "/v1/console")
    assert console["studies"][0]["belief"]["answers"] == 0


@with_app
async def test_a_page_of_the_service_itself_may_ask_and_no_other(call):
    own = {"origin": "http://localhost:8000"}
    assert (await call("GET", "/v1/studies", **own))[0] == 200
    for other in ("http://evil.example", "http://localhost:9", "null", "https://localhost:8000"):
        assert (await call("GET", "/v1/studies", origin=other))[0] == 403
    assert (await call("GET", "/v1/studies", host="evil.example", origin="http://evil.example"))[
        0
    ] == 403


@with_app
async def test_what_was_erased_does_not_come_back(call):
    body = {"event_id": "e", "person": "ann", "options": [{"id": "a"}, {"id": "b"}]}
    await call("POST", "/v1/rank", body)
    await call("POST", "/v1/rank", body | {"event_id": "f", "person": "bob"})
    await call("DELETE", "/v1/people/ann")
    late = {"event_id": "e", "kind": "reward", "value": 1.0}
    assert await call("POST", "/v1/feedback", late) == (
        200, {"accepted": False, "duplicate": False}
    )  # fmt: skip
    assert (await call("POST", "/v1/rank", body))[0] == 409
    assert (await call("POST", "/v1/rank", body | {"person": "eve"}))[0] == 409
    # Others, and what never was, are as before.
    assert (await call("POST", "/v1/feedback", late | {"event_id": "f"}))[1]["accepted"]
    assert (await call("POST", "/v1/feedback", late | {"event_id": "g"}))[1]["accepted"]
    store = EventStore(call.app.database, for_reading=True)
    assert store.fetch("SELECT count(*) FROM entries WHERE event_id = 'e'") == [(0,)]
    # Not its name either: a digest of it alone.
    assert b"e" not in {event for (event,) in store.fetch("SELECT event FROM erased")}
    assert store.waiting("default") == 1
    store.close()


MISFITS = (
    ("ranking", ["zz", "b"]), ("edit", "a text alone"), ("edit", {"after": "x"}), ("pick", "zz"),
    ("rating", 1e6), ("rating", 2.5), ("edit", {"before": "a", "after": "a " * 2_001}),
)  # fmt: skip


@pytest.mark.parametrize("kind", STUDY["kinds"])
def test_what_does_not_fit_a_question_says_nothing_though_the_log_took_it(database, kind):
    @with_app
    async def said(call):
        # `/v1/feedback` knows no questions: it keeps anything of any event.
        await call("PUT", "/v1/studies/s", STUDY | {"kinds": [kind], "teaches": True})
        _, question = await call("POST", "/v1/studies/s/questions", {"person": "ann"})
        for at, (of, value) in enumerate(MISFITS):
            body = {"kind": of, "value": value, "event_id": question["event_id"]}
            body["feedback_id"] = f"f{at}"
            assert (await call("POST", "/v1/feedback", body))[0] == 200
        status, told = await call("GET", "/v1/studies/s")
        assert (status, told["belief"]["answers"]) == (200, 0)
        assert (await call("POST", "/v1/studies/s/questions", {}))[0] == 200
        assert (await call("GET", "/v1/console"))[0] == 200
        assert learnt_of(call).learnt.rounds == 0
        # Nor is an answer put right by one that does not fit.
        of, value = best_first(question)
        fits = {"event_id": question["event_id"], "kind": of, "value": value, "feedback_id": "g"}
        assert (await call("POST", "/v1/studies/s/answers", fits))[0] == 200
        for other, wrong in MISFITS:
            changed = {"event_id": question["event_id"], "feedback_id": "g", "value": wrong}
            if other == of:
                assert (await call("POST", "/v1/people/ann/corrections", changed))[0] == 400
        assert (await call("GET", "/v1/studies/s"))[1]["belief"]["answers"] == 1

    said(database)


def test_keys_of_each_role_reach_their_part_of_studies_and_of_no_other_tenant(database):
    store = EventStore(database)
    keys = {role: add_key(store, role, role) for role in ROLES}
    keys["another"] = add_key(store, "another", "admin", "another")
    store.close()

    async def run():
        async with living(DecisionApp(database)) as call:
            admin = Caller(call.app, keys["admin"])
            await admin("PUT", "/v1/studies/s", STUDY)
            _, question = await admin("POST", "/v1/studies/s/questions", {})
            kind, value = best_first(question)
            answer = {"event_id": question["event_id"], "kind": kind, "value": value}
            parts = {
                "list": ("GET", "/v1/studies"), "belief": ("GET", "/v1/studies/s"),
                "ask": ("POST", "/v1/studies/s/questions", {}),
                "answer": ("POST", "/v1/studies/s/answers", answer),
                "put": ("PUT", "/v1/studies/s", STUDY), "watch": ("GET", "/v1/console"),
                "rank": ("POST", "/v1/rank", {"options": [{"id": "a"}]}),
                "people": ("GET", "/v1/people/ann"),
            }  # fmt: skip
            asks = {"list", "belief", "ask", "answer"}
            expected = {
                "app": asks | {"rank"}, "ask": asks, "analyst": {"watch", "people"},
                "monitor": set(), "admin": set(parts),
            }  # fmt: skip
            assert set(expected) == set(ROLES)
            for role, rights in expected.items():
                caller = Caller(call.app, keys[role])
                may = {name for name, part in parts.items() if (await caller(*part))[0] != 403}
                assert may == rights, role
            stranger = Caller(call.app, keys["another"])
            assert (await stranger("GET", "/v1/studies"))[1] == {"studies": []}
            for name in ("belief", "ask", "answer"):
                assert (await stranger(*parts[name]))[0] == 404
            assert (await stranger("GET", "/v1/console"))[1]["studies"] == []

    asyncio.run(run())


@pytest.mark.long
@with_app
async def test_an_edit_is_compared_once_however_often_its_study_is_read(call):
    await call("PUT", "/v1/studies/s", STUDY | {"kinds": ["edit"]})
    compared = []

    def counted(before, after):
        compared.append((before, after))
        return kept_share(before, after)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "kept_share", counted)
        patch.setattr(asking, "_SHARES", {})
        await answered(call, 8)
        read = [(await call("GET", "/v1/studies/s"))[1]["belief"] for _ in range(2)]
        assert len(compared) == len(set(compared)) == 5
        patch.setattr(asking, "_SHARES", {})
        assert read == [(await call("GET", "/v1/studies/s"))[1]["belief"] for _ in range(2)]
