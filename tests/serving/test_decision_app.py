"""The decision service as its clients meet it: answers, keys, limits, people, models."""

import asyncio
import functools
import json
import os
import sqlite3
import subprocess
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("msgspec")

from penchant.errors import ConfigError
from penchant.serving import administration
from penchant.serving.decision_app import DecisionApp
from penchant.serving.event_store import EventStore
from penchant.serving.keys import Keyring, add_key, remove_key
from penchant.serving.learner import Learner
from penchant.serving.sqlite_database import SqliteDatabase
from penchant.serving.wire import Limits
from serving.asgi import Caller, living

MENU = {"context": {"hour": 0.5}, "options": [{"id": "a", "features": {"p": 1.0}},
                                              {"id": "ü/b?", "features": {"p": -1.0}}]}  # fmt: skip


def with_app(test=None, **settings):
    """Run a coroutine beside an application that needs no key."""
    if test is None:
        return functools.partial(with_app, **settings)

    def run(database):
        async def lived():
            app = DecisionApp(database, is_insecure=True,
                              generator=np.random.default_rng(0), **settings)  # fmt: skip
            async with living(app) as call:
                await test(call)

        asyncio.run(lived())

    run.__name__, run.__module__ = test.__name__, test.__module__
    return run


def learn(call):
    """What the learner does beside the service."""
    store = EventStore(call.app.database, for_reading=True)
    learner = Learner(store=store)
    while learner.step():
        pass
    store.close()
    call.app.service.refresh()


@with_app
async def test_a_rank_tells_what_to_show_and_with_what_probability(call):
    status, said = await call("POST", "/v1/rank", {"event_id": "e", "person": "ann", **MENU})
    assert status == 200
    assert said["event_id"] == "e"
    assert said["ranking"][0] in said["probabilities"]
    assert len(said["ranking"]) == 1
    assert np.isclose(sum(said["probabilities"].values()), 1.0)
    assert (said["model"], said["belief"]) == ("default", 0)
    # What was answered is in the log before the answer: another connection sees it.
    other = EventStore(call.app.database)
    ((kept,),) = other.fetch("SELECT answer FROM entries")
    other.close()
    assert json.loads(kept) == said


@with_app
async def test_a_repeated_rank_gets_the_same_answer_and_a_changed_one_a_conflict(call):
    said = [await call("POST", "/v1/rank", {"event_id": "e", **MENU}) for _ in range(5)]
    assert all(each == said[0] for each in said)
    status, told = await call("POST", "/v1/rank", {"event_id": "e", "person": "bob", **MENU})
    assert status == 409
    assert "new event_id" in told["error"]


@with_app
async def test_feedback_is_accepted_late_early_and_twice(call):
    early = {"event_id": "e", "kind": "reward", "value": 1.0, "feedback_id": "f"}
    assert await call("POST", "/v1/feedback", early) == (
        200, {"accepted": True, "duplicate": False}
    )  # fmt: skip
    await call("POST", "/v1/rank", {"event_id": "e", **MENU})
    assert await call("POST", "/v1/feedback", early) == (200, {"accepted": True, "duplicate": True})
    status, _ = await call("POST", "/v1/feedback", early | {"value": 0.0})
    assert status == 409


@pytest.mark.parametrize(("learning", "gap"), [({}, 0.5), ({"rating_levels": 5}, None)])
def test_levels_are_no_shares_of_yes_in_what_sets_a_person_apart(learning, gap, database):
    @with_app
    async def tried(call):
        await call("PUT", "/v1/models/m", {"learning": {"is_binary": True} | learning})
        await call("POST", "/v1/models/m/promote")
        await call("POST", "/v1/rank", {"event_id": "e", "person": "ann", **MENU})
        # The lowest of five levels, or a yes; nothing is learnt yet, so that a half is expected.
        await call("POST", "/v1/feedback", {"event_id": "e", "kind": "rating", "value": 1})
        _, ann = await call("GET", "/v1/people/ann")
        told = ann["beside_everybody"]
        assert (told and told["difference"]) == gap

    tried(database)


@with_app
async def test_ten_clients_with_the_same_rank_get_one_answer(call):
    body = {"event_id": "e", **MENU}
    other = EventStore(call.app.database)
    with other.transaction():
        asked = [asyncio.create_task(call("POST", "/v1/rank", body)) for _ in range(10)]
        await asyncio.sleep(0.1)
    said = await asyncio.gather(*asked)
    other.close()
    assert all(each == said[0] for each in said)
    # Whoever came while the first was written is written together.
    assert call.app.service.numbers()["transactions"] <= 2


@pytest.mark.long
@with_app
async def test_it_learns_what_pays(call):
    for number in range(60):
        event = {"event_id": f"{number}", "person": "ann", **MENU}
        _, said = await call("POST", "/v1/rank", event)
        value = float(said["ranking"][0] == "a")
        await call("POST", "/v1/feedback",
                   {"event_id": f"{number}", "kind": "reward", "value": value})  # fmt: skip
    learn(call)
    _, said = await call("POST", "/v1/rank", {"event_id": "last", "person": "ann", **MENU})
    assert said["probabilities"]["a"] > 0.95
    assert said["belief"] == 120
    status, ann = await call("GET", "/v1/people/ann")
    assert (status, ann["decisions"], ann["feedback"]) == (200, 61, 60)
    a, b = ann["last"]["options"]
    assert a["worth"] - b["worth"] > 0.5
    assert a["because"][0]["feature"] in ("p", "")
    _, report = await call("GET", "/v1/report")
    values = {each["policy"]: each for each in report["policies"]}
    assert report["rounds"] == 60
    assert values["default"]["value"] > values["uniform"]["value"]


@with_app
async def test_whoever_is_erased_has_no_influence_and_nothing_is_told_of_them(call):
    for person, value in (("ann", 1.0), ("bob", 0.0)):
        await call("POST", "/v1/rank", {"event_id": person, "person": person, **MENU})
        await call("POST", "/v1/feedback", {"event_id": person, "kind": "rating", "value": value})
    learn(call)
    assert call.app.service._live["default"].belief.rounds == 2
    assert await call("DELETE", "/v1/people/ann") == (200, {"erased": 2})
    learn(call)
    assert call.app.service._live["default"].belief.rounds == 1
    assert not call.app.service._live["default"].belief.mean.any()
    assert (await call("GET", "/v1/people/ann"))[0] == 404
    assert (await call("DELETE", "/v1/people/ann"))[0] == 404
    assert (await call("GET", "/v1/people/bob"))[0] == 200


@with_app
async def test_a_corrected_feedback_counts_as_corrected(call):
    person = "a/b ü"
    await call("POST", "/v1/rank", {"event_id": "e", "person": person, **MENU})
    await call("POST", "/v1/feedback", {"event_id": "e", "kind": "reward", "value": 1.0})
    learn(call)
    path = "/v1/people/a%2Fb%20%C3%BC"
    _, told = await call("GET", path)
    (one,) = told["history"]
    fixed = {"event_id": "e", "feedback_id": one["feedback_id"], "value": 0.0}
    assert (await call("POST", f"{path}/corrections", fixed | {"value": "no"}))[0] == 400
    assert (await call("POST", "/v1/people/bob/corrections", fixed))[0] == 404
    assert await call("POST", f"{path}/corrections", fixed) == (200, {"corrected": True})
    learn(call)
    assert not call.app.service._live["default"].belief.mean.any()
    # A client that sends once more what it had sent is told that it was there.
    again = {"event_id": "e", "kind": "reward", "value": 1.0}
    assert (await call("POST", "/v1/feedback", again))[1]["duplicate"]
    learn(call)
    assert not call.app.service._live["default"].belief.mean.any()


@with_app
async def test_a_feedback_is_corrected_by_the_name_it_was_sent_with(call):
    await call("POST", "/v1/rank", {"event_id": "e", "person": "ann", **MENU})
    for name in ("x", "id:x"):
        said = {"event_id": "e", "kind": "text", "value": name, "feedback_id": name}
        await call("POST", "/v1/feedback", said)

    async def corrected(name, value):
        change = {"event_id": "e", "feedback_id": name, "value": value}
        status, _ = await call("POST", "/v1/people/ann/corrections", change)
        _, told = await call("GET", "/v1/people/ann")
        return status, [each["value"] for each in told["history"]]

    assert await corrected("x", "mine") == (200, ["mine", "id:x"])
    # What GET tells comes first.
    assert await corrected("id:x", "told") == (200, ["told", "id:x"])
    assert await corrected("id:id:x", "other") == (200, ["told", "other"])
    assert (await corrected("y", "none"))[0] == 404


@pytest.mark.long
@with_app
async def test_models_are_tried_in_the_shadow_promoted_and_rolled_back(call):
    greedy = {"rule": "greedy", "floor": 0.0}
    assert (await call("PUT", "/v1/models/greedy", greedy))[0] == 200
    assert (await call("PUT", "/v1/models/greedy", greedy))[0] == 200
    assert (await call("PUT", "/v1/models/greedy", {"rule": "softmax"}))[0] == 400
    await call("POST", "/v1/rank", {"event_id": "1", **MENU})
    await call("POST", "/v1/feedback", {"event_id": "1", "kind": "pick", "value": "ü/b?"})
    learn(call)
    _, told = await call("GET", "/v1/models")
    assert {each["name"]: (each["mode"], each["rewards"] > 0) for each in told["models"]} == {
        "default": ("live", True), "greedy": ("shadow", True)
    }  # fmt: skip
    _, report = await call("GET", "/v1/report")
    assert {each["policy"] for each in report["policies"]} == {"default", "greedy", "uniform"}
    assert (await call("POST", "/v1/models/nobody/promote"))[0] == 404
    assert await call("POST", "/v1/models/greedy/promote") == (200, {"live": "greedy"})
    _, said = await call("POST", "/v1/rank", {"event_id": "2", **MENU})
    assert (said["model"], said["probabilities"]) == ("greedy", {"a": 0.0, "ü/b?": 1.0})
    assert await call("POST", "/v1/models/rollback") == (200, {"live": "default"})
    _, said = await call("POST", "/v1/rank", {"event_id": "3", **MENU})
    assert said["model"] == "default"
    assert (await call("POST", "/v1/models/rollback"))[0] == 400


@with_app
async def test_an_apprentice_shows_what_stands_first_and_learns(call):
    await call("PUT", "/v1/models/young", {"is_apprentice": True, "floor": 0.1})
    await call("POST", "/v1/models/young/promote")
    _, said = await call("POST", "/v1/rank", {"event_id": "e", **MENU})
    assert np.isclose(said["probabilities"]["a"], 0.95)


@pytest.mark.long
@pytest.mark.parametrize(
    "bad",
    [{"rule": "magic"}, {"rule": "greedy", "parameters": {"width": 1}}, {"floor": 2},
     {"colour": "red"}, {"learning": {"noise": -1}}, {"learning": {"nose": 1}},
     {"learning": {"forgetting": 0}}, {"parameters": {"width": -1}}, [], "x", b"nonsense",
     {"learning": {"noise": 1e308}}, {"learning": {"prior_precision": 1e-320}},
     {"learning": {"prior_precision": 1e308}}, {"learning": {"forgetting": 1e-320}},
     {"parameters": {"width": 1e308}}, {"rule": "softmax", "parameters": {"temperature": 1e-320}}],
)  # fmt: skip
def test_models_that_cannot_be_are_refused(database, bad):
    @with_app
    async def run(call):
        status, told = await call("PUT", "/v1/models/m", bad)
        assert status == 400
        assert "expected" in told["error"].lower()

    run(database)


@with_app
async def test_bodies_are_bounded_in_size_form_and_number(call):
    assert (await call("POST", "/v1/rank", b"x" * 1_000_001))[0] == 413
    assert (await call("POST", "/v1/rank", parts=[b"x" * 600_000] * 2))[0] == 413
    assert (await call("POST", "/v1/rank", b"{}", content_type="text/plain"))[0] == 415
    assert (await call("POST", "/v1/rank", b"{}", content_length="-1"))[0] == 413
    assert (await call("POST", "/v1/rank", b"[" * 100_000))[0] == 400
    bomb = b'{"event_id":"e","feedback_id":"f","value":' + b"[" * 50_000
    assert (await call("POST", "/v1/feedback", bomb))[0] == 400
    assert (await call("POST", "/v1/people/ann/corrections", bomb))[0] == 400
    assert (await call("PUT", "/v1/models/m", b'{"a":' * 50_000))[0] == 400
    many = {"options": [{"id": str(k)} for k in range(100_000)]}
    assert (await call("POST", "/v1/rank", many))[0] in (400, 413)
    whole = json.dumps({"event_id": "e", **MENU}).encode()
    assert (await call("POST", "/v1/rank", parts=[whole[:9], whole[9:]]))[0] == 200


@with_app(limits=Limits(rate=3.0))
async def test_a_key_has_a_rate(call):
    said = [await call("GET", "/v1/models") for _ in range(4)]
    assert [status for status, _ in said] == [200, 200, 200, 429]
    await asyncio.sleep(0.4)
    assert (await call("GET", "/v1/models"))[0] == 200


@pytest.mark.long
@with_app
async def test_what_is_not_there_is_said_so(call):
    assert (await call("GET", "/v1/nothing"))[0] == 404
    assert (await call("GET", "/"))[0] == 404
    for method, path in (("GET", "/v1/rank"), ("TRACE", "/health"), ("POST", "/metrics"),
                         ("DELETE", "/v1/models"), ("GET", "/v1/models/m"),
                         ("POST", "/v1/people/ann"), ("PUT", "/v1/report")):  # fmt: skip
        assert (await call(method, path))[0] == 405
    assert (await call("POST", "/v1/models/m/promote"))[0] == 404
    assert (await call("PUT", "/v2/models/m", {}))[0] == 404
    assert (await call("GET", "/v1/people/nobody"))[0] == 404
    _, empty = await call("GET", "/v1/report")
    assert empty["rounds"] == 0


@with_app
async def test_without_keys_only_requests_by_a_loopback_name_are_answered(call):
    assert (await call("GET", "/v1/models", host="evil.example"))[0] == 403
    # Its own page may ask, no other.
    assert (await call("GET", "/v1/models", origin="http://localhost:8000"))[0] == 200
    assert (await call("GET", "/v1/models", origin="http://evil.example"))[0] == 403
    assert (await call("GET", "/v1/models", host="127.0.0.1:8000"))[0] == 200
    # Nor a page that was led here under a name of its own, or from another port or scheme.
    for host, origin in (
        ("evil.example", "http://evil.example"), ("127.0.0.1:8000", "http://127.0.0.1:3000"),
        ("127.0.0.1:8000", "https://127.0.0.1:8000"), ("127.0.0.1:8000", "null"),
        ("localhost.evil.example", "http://localhost.evil.example"),
        ("evil.example@127.0.0.1", "http://evil.example"), ("[", "http://["), ("[::1", ""),
    ):  # fmt: skip
        assert (await call("GET", "/v1/models", host=host, origin=origin))[0] == 403


@pytest.mark.long
@with_app
async def test_health_metrics_and_the_description_are_there(call):
    assert await call("GET", "/health") == (200, {"status": "ok"})
    await call("POST", "/v1/rank", {"event_id": "e", **MENU})
    _, text = await call("GET", "/metrics")
    worker = f'worker="{os.getpid()}"'
    assert f'penchant_requests_total{{{worker},path="rank",status="200"}} 1' in text
    assert f'penchant_request_seconds_count{{{worker},path="rank"}} 1' in text
    assert f"penchant_learner_idle_seconds{{{worker}}} nan" in text
    _, told = await call("GET", "/openapi.json")
    assert told["components"]["schemas"]["RankRequest"]["properties"]["options"]["maxItems"] == 1000
    # Every path that is described is there.
    study = {"question": "Which?", "options": [{"id": "a"}, {"id": "b"}]}
    assert (await call("PUT", "/v1/studies/s", study))[0] == 200
    for path, methods in told["paths"].items():
        for method in methods.keys() - {"parameters"}:
            at = path.replace("{person}", "p").replace("{model}", "default").replace("{study}", "s")
            status, _ = await call(method.upper(), at, b"{}")
            assert status != 405, path
            assert status != 404 or "{person}" in path, path


def test_a_full_disk_is_a_503_and_nothing_was_acknowledged(tmp_path):
    @with_app
    async def run(call):
        store = call.app.service._commit._store
        (pages,) = store.fetch("PRAGMA page_count")[0]
        store.execute(f"PRAGMA max_page_count = {pages}")
        statuses = [
            (await call("POST", "/v1/rank", {"event_id": f"{n}", "person": "x" * 200, **MENU}))[0]
            for n in range(60)
        ]
        assert set(statuses) == {200, 503}
        assert len(store.fetch("SELECT 1 FROM entries")) == statuses.count(200)
        store.execute("PRAGMA max_page_count = 100000")
        assert (await call("POST", "/v1/rank", {"event_id": "59", **MENU}))[0] in (200, 409)

    run(SqliteDatabase(tmp_path / "log.db"))


@pytest.fixture
def keys(database):
    store = EventStore(database)
    made = {
        f"{tenant}/{role}": add_key(store, role, role, tenant)
        for tenant in ("one", "two")
        for role in ("app", "analyst", "monitor", "admin")
    }
    store.close()
    return made


def test_each_role_may_do_its_part_and_no_more(database, keys):
    async def run():
        async with living(DecisionApp(database)) as call:
            asks = {"decide": ("POST", "/v1/rank", {"event_id": "e", **MENU}),
                    "read": ("GET", "/v1/models"), "monitor": ("GET", "/metrics"),
                    "change": ("POST", "/v1/models/default/promote")}  # fmt: skip
            for role, rights in (("app", {"decide"}), ("analyst", {"read", "monitor"}),
                                 ("monitor", {"monitor"}), ("admin", set(asks))):  # fmt: skip
                caller = Caller(call.app, keys[f"one/{role}"])
                found = {right for right, ask in asks.items() if (await caller(*ask))[0] == 200}
                assert found == rights
            for wrong in (
                "",
                "x",
                keys["one/admin"][:-1] + "0x",
                "penchant__",
                "penchant_\xff_\xff",
            ):
                assert (await Caller(call.app, wrong)("GET", "/v1/models"))[0] == 401
            assert (await call("GET", "/health"))[0] == 200

    asyncio.run(run())


def test_tenants_never_meet(database, keys):
    async def run():
        async with living(DecisionApp(database)) as call:
            one, two = (Caller(call.app, keys[f"{tenant}/admin"]) for tenant in ("one", "two"))
            await one("POST", "/v1/rank", {"event_id": "e", "person": "ann", **MENU})
            await two("POST", "/v1/feedback", {"event_id": "e", "kind": "reward", "value": 9.0})
            await one("PUT", "/v1/models/mine", {"rule": "greedy"})
            assert (await two("GET", "/v1/people/ann"))[0] == 404
            assert (await two("DELETE", "/v1/people/ann"))[0] == 404
            assert (await two("POST", "/v1/models/mine/promote"))[0] == 404
            learn(call)
            _, ann = await one("GET", "/v1/people/ann")
            assert ann["feedback"] == 0
            # The same name elsewhere is another event.
            assert (await two("POST", "/v1/rank", {"event_id": "e", **MENU}))[0] == 200
            _, told = await two("GET", "/v1/models")
            assert [each["name"] for each in told["models"]] == ["default"]

    asyncio.run(run())


def test_a_removed_key_opens_nothing_after_a_refresh(database, keys):
    async def run():
        async with living(DecisionApp(database)) as call:
            admin = Caller(call.app, keys["one/admin"])
            assert (await admin("GET", "/v1/models"))[0] == 200
            store = EventStore(database)
            remove_key(store, "admin", "one")
            store.close()
            await asyncio.sleep(1.2)
            assert (await admin("GET", "/v1/models"))[0] == 401

    asyncio.run(run())


def test_a_removed_key_opens_nothing_though_a_model_cannot_be_read(database, keys):
    async def run():
        async with living(DecisionApp(database)) as call:
            admin = Caller(call.app, keys["one/admin"])
            store = EventStore(database)
            store.execute("INSERT INTO models VALUES ('one', 'm', '{\"rule\": \"later\"}', 0)")
            new = Caller(call.app, add_key(store, "new", "admin", "three"))
            remove_key(store, "admin", "one")
            with pytest.raises(ConfigError, match="later"):
                call.app.service.refresh()
            assert (await admin("POST", "/v1/rank", MENU))[0] == 401
            # Others are served on, and new ones begin.
            assert (await Caller(call.app, keys["one/app"])("POST", "/v1/rank", MENU))[0] == 200
            assert (await new("POST", "/v1/rank", MENU))[0] == 200
            store.close()

    asyncio.run(run())


@with_app
async def test_a_change_that_was_made_is_not_called_unmade(call):
    call.app.service.refresh = _fails
    assert (await call("PUT", "/v1/models/m", {}))[0] == 200
    assert (await call("POST", "/v1/models/m/promote"))[1] == {"live": "m"}


def _fails():
    raise sqlite3.OperationalError("database is locked")


@with_app
async def test_a_report_holds_up_no_erasure(call):
    began, go_on = threading.Event(), threading.Event()

    def slow(command, **settings):
        began.set()
        assert go_on.wait(20)
        raise subprocess.TimeoutExpired(command, settings["timeout"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(administration.subprocess, "run", slow)
        await call("POST", "/v1/rank", {"event_id": "e", "person": "ann", **MENU})
        report = asyncio.create_task(call("GET", "/v1/report"))
        await asyncio.to_thread(began.wait, 20)
        assert await call("DELETE", "/v1/people/ann") == (200, {"erased": 1})
        assert not report.done()
        go_on.set()
        assert (await report)[0] == 503


@pytest.mark.long
def test_slow_requests_wait_for_those_of_their_own_tenant_alone(database, keys):
    began, go_on, order = threading.Event(), threading.Event(), []

    def slow(store, tenant):
        order.append(tenant)
        if tenant == "one" and not began.is_set():
            began.set()
            assert go_on.wait(20)
        return {}

    async def run():
        async with living(DecisionApp(database)) as call:
            one, two = (Caller(call.app, keys[f"{tenant}/admin"]) for tenant in ("one", "two"))
            # More than there are lanes or threads: whoever waits for their turn takes none.
            held = [asyncio.create_task(one("GET", "/v1/studies")) for _ in range(40)]
            await asyncio.to_thread(began.wait, 20)
            assert (await asyncio.wait_for(two("GET", "/v1/studies"), 10))[0] == 200
            assert order == ["one", "two"]
            assert not any(task.done() for task in held)
            go_on.set()
            assert {status for status, _ in await asyncio.gather(*held)} == {200}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(administration, "studies_of", slow)
        asyncio.run(run())


def test_keys_are_kept_as_digests_alone(database, keys):
    store = EventStore(database)
    ring = Keyring(store)
    token = keys["one/app"]
    assert ring.principal(f"Bearer {token}".encode()).tenant == "one"
    assert ring.principal(f"bearer {token}".encode()).role == "app"
    with pytest.raises(ConfigError, match="another name"):
        add_key(store, "app", "app", "one")
    with pytest.raises(ConfigError, match="role"):
        add_key(store, "new", "king", "one")
    with pytest.raises(ConfigError, match="tenant"):
        add_key(store, "new", "app", "../x")
    kept = repr(store.fetch("SELECT * FROM keys"))
    store.close()
    assert token.rpartition("_")[2] not in kept


def test_a_damaged_log_is_told_at_the_start(tmp_path):
    (tmp_path / "log.db").write_bytes(b"no database" * 1000)

    async def run():
        async with living(DecisionApp(tmp_path / "log.db")):
            pass

    with pytest.raises(AssertionError, match="damaged"):
        asyncio.run(run())


def test_threads_of_a_service_end_with_it(database):
    @with_app
    async def run(call):
        await call("POST", "/v1/rank", {"event_id": "e", **MENU})

    run(database)
    assert "group commit" not in {thread.name for thread in threading.enumerate()}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=9,
)
PARTS = st.sampled_from(["v1", "rank", "feedback", "people", "models", "corrections", "promote",
                         "rollback", "default", "ann", "%2F", "%00", "..", "ü", ""])  # fmt: skip
MENUS = st.fixed_dictionaries(
    {"options": st.lists(st.fixed_dictionaries({"id": st.text(min_size=1, max_size=3)},
                                               optional={"features": JSON}))},
    optional={"event_id": st.sampled_from("ef"), "context": JSON, "person": JSON, "slots": JSON},
)  # fmt: skip
SAYINGS = st.fixed_dictionaries(
    {"event_id": st.sampled_from("ef"), "value": JSON,
     "kind": st.sampled_from(["reward", "pick", "ranking", "rating", "edit", "text"])},
    optional={"feedback_id": JSON, "time": JSON},
)  # fmt: skip


@pytest.mark.long
def test_whatever_is_sent_wherever_the_service_answers_and_lives(database):
    runner = asyncio.Runner()
    app = DecisionApp(database, is_insecure=True)
    alive = living(app)
    call = runner.run(alive.__aenter__())

    @settings(max_examples=150)
    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        path=st.sampled_from(["/v1/rank", "/v1/feedback", "/v1/models/m"])
        | st.lists(PARTS, max_size=5).map(lambda parts: "/" + "/".join(parts)),
        body=st.binary() | JSON | MENUS | SAYINGS,
    )
    def ask(method, path, body):
        # The caller refuses statuses of 500.
        status, _ = runner.run(call(method, path, body))
        assert status < 500

    ask()
    learn(call)
    assert runner.run(call("POST", "/v1/rank", {"event_id": "last", **MENU}))[0] == 200
    runner.run(alive.__aexit__(None, None, None))
    runner.close()


@pytest.mark.long
@with_app
async def test_people_have_weights_of_their_own_where_a_model_says_so(call):
    model = {"personal_spread": 1.0, "rule": "greedy", "floor": 0.0}
    assert (await call("PUT", "/v1/models/own", model))[0] == 200
    await call("POST", "/v1/models/own/promote")
    # Ann likes the first, bob the second, ten others have no taste at all.
    for at in range(72):
        person = ("ann", "bob", *(f"p{k}" for k in range(10)))[at % 12]
        _, said = await call("POST", "/v1/rank", {"event_id": f"{at}", "person": person, **MENU})
        first = said["ranking"][0]
        likes = {"ann": first == "a", "bob": first != "a"}.get(person, 0.5)
        await call("POST", "/v1/feedback",
                   {"event_id": f"{at}", "kind": "reward", "value": float(likes)})  # fmt: skip
    learn(call)
    shown = {}
    for person in ("ann", "bob"):
        _, said = await call("POST", "/v1/rank", {"event_id": person, "person": person, **MENU})
        shown[person] = said["ranking"][0]
    assert shown == {"ann": "a", "bob": "ü/b?"}
    _, told = await call("GET", "/v1/people/ann")
    own = [each["own"] for each in told["last"]["options"]]
    assert own[0] > 0.1 > own[1]
    # What ann had erased counts no more: she is anybody again, at once.
    await call("DELETE", "/v1/people/ann")
    _, said = await call("POST", "/v1/rank", {"event_id": "new", "person": "ann", **MENU})
    _, nobody = await call("POST", "/v1/rank", {"event_id": "x", "person": "nobody", **MENU})
    assert said["probabilities"] == nobody["probabilities"]
    odd = {"personal_spread": 1.0, "learning": {"is_binary": True}}
    status, refused = await call("PUT", "/v1/models/odd", odd)
    assert status == 400
    assert "is_binary" in refused["error"]
    assert (await call("PUT", "/v1/models/odd", {"personal_spread": -1.0}))[0] == 400


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
@with_app
async def test_a_report_tells_what_weights_of_people_would_have_earned(call):
    await call("PUT", "/v1/models/own", {"personal_spread": 1.0})
    chance = np.random.default_rng(0)
    for at in range(400):
        person = f"p{at % 10}"
        _, said = await call("POST", "/v1/rank", {"event_id": f"{at}", "person": person, **MENU})
        likes = (said["ranking"][0] == "a") == (at % 2 == 0)
        value = float(chance.random() < (0.9 if likes else 0.1))
        await call("POST", "/v1/feedback", {"event_id": f"{at}", "kind": "reward", "value": value})
    _, told = await call("GET", "/v1/report")
    values = {each["policy"]: each for each in told["policies"]}
    # Pooled, half of the people get what they dislike: 0.5; each what they like: 0.9 in the end.
    assert values["own"]["low"] > 0.6
    assert values["own"]["value"] > values["default"]["value"] + 0.1
