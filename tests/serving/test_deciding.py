"""Lines in, decisions out; answers late, doubled, early; a log that judges other policies."""

import json
from dataclasses import replace

import numpy as np
import pytest

from penchant.beliefs.storage import save_value
from penchant.data.decisions import decisions_of
from penchant.data.readers.read import read
from penchant.encoders.hashed import HashedMenu
from penchant.errors import BeliefError, ConfigError, DataError
from penchant.evaluation.off_policy import OffPolicyConfig, evaluate_policies
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Binary, Rating
from penchant.feedback.channel_order import Ranking
from penchant.policies.bandits.menu import MenuBanditConfig
from penchant.policies.bandits.rules import EpsilonGreedy, Thompson
from penchant.policies.policy import Logged
from penchant.serving.deciding import Decider, DeciderConfig, load, save

CONFIG = DeciderConfig(
    channels=(Choice(), Ranking(), Binary(), Rating(levels=3)),
    encoder=HashedMenu(num_features=64),
    bandit=MenuBanditConfig(person_scale=0.5),
)


def menu(event, hour=1.0, **more):
    options = [
        {"id": "tea", "features": {"price": 1.0}},
        {"id": "coffee", "features": {"price": 2.0, "sort": "dark"}},
        {"id": "water"},
    ]
    return {
        "event_id": event,
        "person": "ann",
        "context": {"hour": hour},
        "options": options,
    } | more


def answer(event, kind="pick", value="tea", **more):
    return {"event_id": event, "kind": kind, "value": value} | more


def known(decider):
    return decider.state.belief.law.mean


def test_a_menu_is_ranked_with_probabilities_and_the_same_event_is_told_the_same():
    decider = Decider.new(CONFIG)
    said = decider.answer(menu("e1", slots=3))
    assert sorted(said["ranking"]) == ["coffee", "tea", "water"]
    assert sum(said["probabilities"].values()) == pytest.approx(1.0)
    assert min(said["probabilities"].values()) >= 0.05 / 3
    decider.answer(menu("e2"))
    assert decider.answer(menu("e1", slots=3)) == said
    assert decider.state.num_decisions == 2


def test_an_answer_is_learnt_once_whenever_it_comes():
    early, late = Decider.new(CONFIG), Decider.new(CONFIG)
    assert not early.answer(answer("e1"))["learnt"]
    early.answer(menu("e1", slots=3))
    late.answer(menu("e1", slots=3))
    assert late.answer(answer("e1")) == {
        "event_id": "e1", "accepted": True, "duplicate": False, "learnt": True
    }  # fmt: skip
    np.testing.assert_array_equal(known(early), known(late))
    assert np.abs(known(late)).sum() > 0
    before = known(late)
    assert late.answer(answer("e1"))["duplicate"]
    np.testing.assert_array_equal(known(late), before)
    # Another answer to the same menu is another one, unless it has the same name.
    assert late.answer(answer("e1", "rating", {"tea": 2}, feedback_id="r"))["learnt"]
    assert late.answer(answer("e1", "rating", {"tea": 0}, feedback_id="r"))["duplicate"]


@pytest.mark.parametrize("rule", [Thompson(), EpsilonGreedy(decay=0.5)])
def test_broken_off_anywhere_the_same_lines_are_answered_in_the_same_way(tmp_path, rule):
    config = replace(CONFIG, rule=rule)
    whole, broken = Decider.new(config), Decider.new(config)
    said, logged = [], []
    for k in range(8):
        lines = [menu(f"e{k}", float(k % 3), slots=2)]
        lines += [answer(f"e{k - 2}", "rating", k % 3)] if k % 2 else []
        lines += [answer(f"e{k + 1}", value=None)] if k % 3 == 0 else []
        for line in lines:
            told = broken.answer(line)
            assert whole.answer(line) == told
            said.append(told)
        logged += broken.logged
        save(broken, tmp_path / "kept")
        broken = Decider(load(tmp_path / "kept"))
    np.testing.assert_array_equal(known(whole), known(broken))
    assert broken.state.num_decisions == 8
    assert logged == whole.logged
    assert len({told["ranking"][0] for told in said if "ranking" in told}) > 1


def test_an_answer_that_came_early_and_does_not_fit_is_told_and_stops_nothing():
    decider = Decider.new(CONFIG)
    decider.answer(answer("e1", value="juice"))
    decider.answer(answer("e1", "rating", {"tea": 2}))
    said = decider.answer(menu("e1", slots=3))
    assert len(said["ranking"]) == 3
    assert "juice" in said["refused"][0]
    assert len(said["refused"]) == decider.state.belief.num_answers == 1
    assert "refused" not in decider.answer(menu("e2"))


def test_names_of_events_may_be_numbers_and_nothing_is_called_none():
    decider = Decider.new(CONFIG)
    assert decider.answer(menu(0))["event_id"] == "0"
    assert decider.answer(answer(0, "rating", 2))["learnt"]
    assert decider.answer(menu(None))["event_id"] == "decision-2"


def test_an_edit_teaches_the_features_it_left():
    decider = Decider.new(CONFIG)
    decider.answer(menu("e1"))
    decider.answer(answer("e1", "edit", {"price": -5.0}))
    features = {
        price: CONFIG.encoder.encode("", {"price": price}, {"hour": 1}) for price in (-5, 2)
    }
    worths = {price: known(decider)[:64] @ x for price, x in features.items()}
    assert worths[-5] > worths[2]


@pytest.mark.parametrize("silence", [None, 0.0])
def test_silence_is_missing_unless_it_is_said_to_be_a_reward(silence):
    config = DeciderConfig(
        channels=(Choice(), Binary()),
        encoder=HashedMenu(num_features=64),
        silence=silence,
        patience=3,
    )
    decider = Decider.new(config)
    for k in range(8):
        decider.answer(menu(f"e{k}"))
    learnt = decider.state.belief.num_answers
    assert learnt == (0 if silence is None else 5)
    rewards = [-json.loads(line)["_label_cost"] for line in decider.logged]
    assert rewards == [0.0] * learnt


def people(seed, num):
    rng, level = np.random.default_rng(seed), {"tea": 0.5, "coffee": 0.0, "water": -0.5}
    for k in range(num):
        hour = float(rng.normal())
        worth = {name: level[name] + (hour if name == "tea" else 0) for name in level}
        yield (
            menu(f"e{seed}-{k}", hour, slots=3, person=f"p{k % 9}"),
            {name: value + rng.gumbel() for name, value in worth.items()},
        )


def test_the_log_says_what_was_shown_and_tells_what_a_kept_bandit_would_earn(tmp_path):
    decider = Decider.new(CONFIG)
    earned = []
    for line, worth in people(0, 160):
        shown = decider.answer(line)["ranking"]
        best = max(worth, key=lambda name: worth[name])
        earned.append(float(shown[0] == best))
        decider.answer(answer(line["event_id"], value=best))
    log = tmp_path / "log.dsjson"
    log.write_text("\n".join(decider.logged) + "\n")
    records = read(log).records
    decisions = decisions_of(records)
    np.testing.assert_array_equal(decisions.reward, earned)
    assert decisions.has_whole_propensities
    policy = decider.state.policy()
    probabilities = policy(records)
    # The same as the bandit itself would say now, of the first line of the log.
    line = next(iter(people(0, 1)))[0]
    now = decider.answer(line | {"event_id": "now"})["probabilities"]
    np.testing.assert_allclose(probabilities[:3], list(now.values()), atol=1e-12)
    report = evaluate_policies(
        decisions, {"bandit": policy, "logged": Logged()}, OffPolicyConfig(formula="")
    )
    best = report.policies[0].best
    assert best.low < np.mean(earned[80:]) < best.high


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"event_id": "x"}, "options.*or `kind`"),
        ({"options": []}, "empty"),
        ({"options": [{"id": "a"}, {"id": "a"}]}, "of its own"),
        ({"options": [{"id": 3}]}, "of its own"),
        ({"options": [{"id": "a"}], "context": [1]}, "an object of what is known"),
        ({"options": [{"id": "a"}], "slots": "two"}, "a whole number"),
        ({"options": [{"id": "a", "features": [1.0]}]}, "an object of names and values"),
        ({"options": [{"id": "a", "features": {"x": 10**400}}]}, "'x'"),
        ({"options": [{"id": "a", "features": {"x": 1e200}}]}, "Rescale"),
        (menu(["e"]), "event_id is"),
        (answer(None), "no event_id"),
        (answer("e1", time="noon"), "time is 'noon'"),
        (answer("e1", time=float("nan")), "time is nan"),
        (answer("e1", "rating", 10**400), "finite number"),
        (answer("e1", "pick", "juice"), "juice"),
        (answer("e1", "thumb", 1), "expected one of reward"),
        (answer("e1", "edit", 3), "features that it left"),
    ],
)
def test_lines_that_cannot_be_are_refused_and_teach_nothing(line, said):
    decider = Decider.new(CONFIG)
    decider.answer(menu("e1"))
    with pytest.raises(DataError, match=said):
        decider.answer(line)
    assert decider.state.belief.num_answers == 0
    assert decider.logged == []


def test_settings_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="leave silence out"):
        DeciderConfig(silence=0.0)
    with pytest.raises(ConfigError, match="expected 0 or 1"):
        DeciderConfig(silence=0.3, channels=(Binary(),))
    with pytest.raises(ConfigError, match="patience 0"):
        DeciderConfig(patience=0)
    with pytest.raises(ConfigError, match="floor is 2"):
        Decider.new(DeciderConfig(floor=2.0))
    save_value(CONFIG.bandit, tmp_path / "other")
    with pytest.raises(BeliefError, match="penchant decide"):
        load(tmp_path / "other")
