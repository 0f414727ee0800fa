"""Exp3, Exp4 and zooming by lines: what is learnt once, kept, and logged for others to judge."""

import json

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.policies.bandits.advice import AdviceBandit, AdviceConfig
from penchant.policies.bandits.zooming import ZoomingBandit, ZoomingConfig
from penchant.serving.catalogue_deciding import (
    CatalogueConfig,
    CatalogueDecider,
    CatalogueState,
    save,
    taken_up,
)

# JSON knows both; no floating point holds the first.
HUGE, NAN = 10**400, float("nan")
MENU = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
ADVICE = {"ann": {"a": 0.5, "b": 0.5}, "model": {"c": 1.0}}
ZOOMING = ZoomingConfig(num_rounds=50, lipschitz=1.5, width=0.3)


def new(kind="exp3", **settings):
    if kind == "zooming":
        settings["zooming"] = ZOOMING
    return CatalogueDecider(CatalogueState(config=CatalogueConfig(kind=kind, **settings)))


def ask(kind, event):
    line = {"event_id": event} if kind == "zooming" else {"event_id": event, "options": MENU}
    return line | ({"advice": ADVICE} if kind == "exp4" else {})


def lines(kind, num=40):
    rng = np.random.default_rng(4)
    for at in range(num):
        yield ask(kind, f"e{at}")
        # Every third is late, every fourth never comes.
        if at % 4:
            yield {"event_id": f"e{max(0, at - 2 * (at % 3 == 0))}", "kind": "reward",
                   "value": float(rng.random())}  # fmt: skip


@pytest.mark.parametrize("kind", ["exp3", "exp4", "zooming"])
def test_lines_are_answered_as_the_bandit_decides_and_also_when_broken_off(kind, tmp_path):
    whole, parts = new(kind, seed=3), new(kind, seed=3)
    for line in lines(kind):
        save(parts, tmp_path)
        parts = taken_up(tmp_path)
        assert parts.answer(line) == whole.answer(line)
    # The bandit itself, told the same with the same chance.
    bandit, made, at = None, {}, 0
    for line in lines(kind):
        if "kind" in line:
            bandit.update(made[line["event_id"]], line["value"])
            continue
        chance, at = np.random.default_rng((3, at)), at + 1
        if kind == "zooming":
            bandit = bandit or ZoomingBandit(ZOOMING)
            made[line["event_id"]] = bandit.decide(generator=chance)
            continue
        law = np.eye(3) if kind == "exp3" else np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
        bandit = bandit or AdviceBandit(
            AdviceConfig(num_experts=len(law), num_arms=3, floor=0.05)
        )  # fmt: skip
        made[line["event_id"]] = bandit.decide(law, generator=chance)
    if kind == "zooming":
        np.testing.assert_array_equal(whole.state.belief.points, bandit.points)
        np.testing.assert_array_equal(whole.state.belief.total, bandit.belief_.total)
    else:
        np.testing.assert_allclose(whole.state.belief.loss, bandit.belief_.loss, rtol=1e-12)
        assert whole.state.belief.num_seen == bandit.belief_.num_seen == 30


@pytest.mark.parametrize("kind", ["exp3", "exp4", "zooming"])
def test_what_comes_twice_is_learnt_once_and_what_comes_early_is_kept(kind):
    decider = new(kind)
    reward = {"event_id": "x", "kind": "reward", "value": 0.25}
    assert not decider.answer(reward)["learnt"]
    first = decider.answer(ask(kind, "x"))
    assert decider.answer(ask(kind, "x")) == first
    assert decider.answer(reward)["duplicate"]
    known = decider.state.belief
    told = known.num_seen if kind != "zooming" else known.num_seen.sum()
    assert told == 1
    assert len(decider.logged) == (kind != "zooming")
    # One that turns out to be none is told of, and teaches nothing.
    decider.answer({"event_id": "y", "kind": "reward", "value": 7.0})
    (refused,) = decider.answer(ask(kind, "y"))["refused"]
    assert "expected 0 to 1" in refused


def test_the_log_holds_what_was_shown_with_its_probability():
    decider = new("exp4")
    said = decider.answer(ask("exp4", "x"))
    decider.answer({"event_id": "x", "kind": "reward", "value": 0.25})
    # Another reward teaches too; a decision stands in the log once.
    assert decider.answer({"event_id": "x", "kind": "reward", "value": 0.75})["learnt"]
    (line,) = map(json.loads, decider.logged)
    assert line["_label_cost"] == -0.25
    assert "abc"[line["_labelIndex"]] == said["ranking"][0]
    assert line["_label_probability"] == said["probabilities"][said["ranking"][0]]
    shown = dict(zip((line["c"]["_multi"][k - 1]["id"] for k in line["a"]), line["p"]))
    assert shown == said["probabilities"]


@pytest.mark.parametrize("kind", ["exp3", "exp4"])
def test_the_log_keeps_what_other_policies_may_look_at(kind):
    known = {"person": "p1", "time": 3.0, "context": {"place": "home"}}
    options = [{"id": "c", "features": {"price": 2}}, {"id": "a"}, {"id": "b"}]
    decider = new(kind)
    decider.answer(ask(kind, "first"))
    decider.answer(ask(kind, "x") | known | {"options": options})
    decider.answer({"event_id": "x", "kind": "reward", "value": 1})
    (line,) = map(json.loads, decider.logged)
    assert (line["person"], line["time"]) == ("p1", 3.0)
    # In the order in which arms are counted, whatever that of the menu.
    menu = [{"id": "a"}, {"id": "b"}, {"id": "c", "option": {"price": 2}}]
    assert line["c"] == {"context": {"place": "home"}, "_multi": menu}


@pytest.mark.parametrize("kind", ["exp3", "zooming"])
def test_the_oldest_decisions_are_let_go(kind, monkeypatch):
    monkeypatch.setattr("penchant.serving.catalogue_deciding.MOST_OPEN", 3)
    decider = new(kind)
    for at in range(5):
        decider.answer(ask(kind, f"e{at}"))
        decider.answer({"event_id": f"early{at}", "kind": "reward", "value": 1})
    assert list(decider.state.open) == ["e2", "e3", "e4"]
    assert list(decider.state.early) == ["early2", "early3", "early4"]


def test_the_better_expert_is_followed():
    decider, rng = new("exp4", rate=0.3), np.random.default_rng(0)
    for at in range(60):
        said = decider.answer(ask("exp4", at))
        value = float(rng.random() < (0.9 if said["ranking"] == ["c"] else 0.2))
        decider.answer({"event_id": at, "kind": "reward", "value": value})
    assert decider.answer(ask("exp4", "last"))["probabilities"]["c"] > 0.85


@pytest.mark.parametrize(
    ("kind", "line", "expected"),
    [
        ("exp3", {"options": MENU[:1]}, "two or more"), ("exp3", {"options": "abc"}, "of its own"),
        ("exp3", {"options": [{"id": "a"}, {"id": "a"}]}, "of its own"), ("exp3", {}, "of its own"),
        ("exp3", {"options": [{"id": "a"}, {"id": 2}]}, "of its own"),
        ("exp3", {"options": [*MENU, {"id": "d", "features": [1]}]}, "object of names"),
        ("exp3", {"options": MENU, "context": "home"}, "of the situation"),
        ("exp3", {"options": MENU, "advice": ADVICE}, "takes none"),
        ("exp3", {"options": MENU, "slots": 2}, "one slot"),
        ("exp4", {"options": MENU}, "two experts"),
        ("exp4", {"options": MENU, "advice": {"ann": {"a": 1.0}}}, "two experts"),
        ("exp4", {"options": MENU, "advice": {"ann": {"z": 1.0}, "bob": {"a": 1.0}}}, "'z'"),
        ("exp4", {"options": MENU, "advice": {"ann": {"a": 0.4}, "bob": {"a": 1.0}}}, "1 in all"),
        ("exp4", {"options": MENU, "advice": {"ann": {"a": "x"}, "bob": {"a": 1.0}}}, "some of"),
        ("exp4", {"options": MENU, "advice": {"ann": {"a": HUGE}, "bob": {"a": 1}}}, "some of"),
        ("exp4", {"options": MENU, "advice": {"ann": {"a": NAN}, "bob": {"a": 1}}}, "some of"),
        ("zooming", {"options": MENU}, "event_id"), ("exp3", {"kind": "pick", "value": "a"}, "kin"),
        ("zooming", {"event_id": "e", "kind": "reward", "value": None}, "a number from 0 to 1"),
        ("exp3", {"event_id": "e", "kind": "reward", "value": HUGE}, "a number from 0 to 1"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_used_say_what_was_expected_and_change_nothing(kind, line, expected):
    decider = new(kind)
    with pytest.raises(DataError, match=expected):
        decider.answer(line)
    assert (decider.state.arms, decider.state.experts, decider.num_open) == ((), (), 0)
    decider.answer(ask(kind, "good"))
    assert decider.state.arms == (() if kind == "zooming" else ("a", "b", "c"))


def test_other_arms_or_experts_than_at_first_are_refused():
    decider = new("exp4")
    decider.answer(ask("exp4", "x"))
    with pytest.raises(DataError, match="as in the first menu"):
        decider.answer({"options": MENU[:2], "advice": ADVICE})
    with pytest.raises(DataError, match="'ann', 'model'"):
        decider.answer({"options": MENU, "advice": ADVICE | {"bob": {"a": 1.0}}})
    # Another order is no other menu.
    again = decider.answer({"event_id": "y", "options": MENU[::-1], "advice": ADVICE})
    assert list(again["probabilities"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"kind": "luck"}, "exp3 or exp4"), ({"kind": "zooming"}, "its settings"),
     ({"kind": "exp3", "zooming": ZOOMING}, "None"), ({"kind": "exp3", "floor": 2.0}, "floor is 2"),
     ({"kind": "exp4", "rate": 0.1, "horizon": 9}, "one of the two")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(settings, expected):
    with pytest.raises(ConfigError, match=expected):
        CatalogueConfig(**settings)
