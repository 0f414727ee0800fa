"""Rollouts where they shrink doubt, examples for hopeless prompts, more for rare ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from penchant.errors import ConfigError
from penchant.policies.language.credit import novelty_bonus
from penchant.policies.language.methods.group_relative import GroupRelative, grpo, rloo
from penchant.policies.language.methods.targeted import Targeted, likest
from penchant.policies.language.scheduling import doubt_fall, where_doubt_falls
from penchant.policies.language.trackers import joined_texts

torch = pytest.importorskip("torch")

from penchant.policies.language.rollouts import prompt_ids  # noqa: E402  # it needs torch
from penchant.simulation.tasks.task import Problem  # noqa: E402
from policies.language.test_gathered_methods import (  # noqa: E402
    SMALL,
    WORTH,
    ask,
    assert_same_run,
    is_parallel,
    rollouts_loss,
    seen_of,
)
from policies.language.test_trainer import EvenBytes  # noqa: E402
from policies.language.two_step_tree import (  # noqa: E402
    LENGTH,
    exact_gradient,
    expected_gradient,
)

SEEDS = st.integers(0, 2**32 - 1)


class Hopeless(EvenBytes):
    """Nobody ever solves what begins with these."""

    def draw(self, num, generator):
        return tuple(Problem(prompt=text, demonstration="b", difficulty=1)
                     for text in ("aaa", "bbb", "ccc")[:num])  # fmt: skip

    def grade(self, problem, response):
        assert problem.prompt in ("aaa", "bbb", "ccc")
        return {"correct": float(problem.prompt != "aaa")}


def hopeless(memory=None, **changed):
    return ask(Hopeless(), memory=memory, grade=Hopeless().grade, **changed)


def solved(**answers):
    return {
        "solved": joined_texts(list(answers)), "answers": joined_texts(list(answers.values()))
    }  # fmt: skip


def test_doubt_falls_by_what_the_interval_of_a_mean_narrows():
    rewards = np.array([1.0, 0.0, 0.0, 1.0, 1.0])
    low, high = stats.t.interval(0.9, 4, loc=rewards.mean(), scale=stats.sem(rewards))
    later = stats.t.ppf(0.95, 5) * rewards.std(ddof=1) / np.sqrt(6)
    found = doubt_fall(np.array([rewards.std(ddof=1), 0.0]), np.array([5, 5]), level=0.1)
    np.testing.assert_allclose(found, [0.5 * (high - low) - later, 0.0])


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 12))
def test_rollouts_are_handed_out_one_by_one_to_the_largest_priority(seed, spare):
    rng = np.random.default_rng(seed)
    spread, num = rng.random(4), rng.integers(2, 6, 4)
    bonus = float(rng.random())
    found = where_doubt_falls(spread, num, spare, bonus)
    now = num.astype(float)
    for _ in range(spare):
        priority = []
        for p in range(4):
            h = [stats.t.ppf(0.975, n - 1) * spread[p] / np.sqrt(n) for n in (now[p], now[p] + 1)]
            priority.append(h[0] - h[1] + bonus * np.sqrt(np.log(1 + now.sum()) / now[p]))
        now[int(np.argmax(priority))] += 1
    np.testing.assert_array_equal(found, now - num)


def test_without_a_bonus_prompts_that_agree_get_nothing_while_another_is_in_doubt():
    found = where_doubt_falls(np.array([0.0, 0.5, 0.0]), np.array([4, 4, 4]), 6, 0.0)
    assert found.tolist() == [0, 6, 0]
    seldom = where_doubt_falls(np.zeros(3), np.array([4, 2, 4]), 4, 1.0)
    assert seldom.tolist() == [1, 3, 0]


def test_rare_right_answers_gain_and_no_more_than_their_share():
    said, right = np.log([0.9, 0.1, 0.5, 0.5]), np.array([True, True, False, True])
    mean = said[:3].mean()
    key, everyone = np.array([0, 0, 0, 1]), np.ones(4, dtype=bool)
    credit = np.array([0.5, 0.5, -1.0, 0.0])

    def bonus(strength, most):
        return novelty_bonus(credit, said, key, right, everyone, strength=strength, most=most)

    # The likely one is above its group's mean; the lone one has no advantage to add to.
    np.testing.assert_allclose(
        bonus(0.1, 1.0), [0.0, 0.1 * (1.0 - np.exp(said[1] - mean)), 0.0, 0.0]
    )
    np.testing.assert_allclose(bonus(9.0, 0.5), [0.0, 0.25, 0.0, 0.0])


def test_a_bonus_for_rare_answers_points_elsewhere_and_without_it_nothing_is_changed():
    group, everyone = np.zeros(3, dtype=int), np.ones(3, dtype=bool)
    said = np.log(np.linspace(0.2, 0.8, 4))
    for sharpness in (0.0, 0.5):
        method = Targeted(sharpness=sharpness, right_from=0.5, base=rloo(LENGTH))

        def credit(reward, m=method):
            mean = said[[list(WORTH).index(r) for r in reward]]
            return m.credit(reward, mean, group, everyone)

        found = expected_gradient(rollouts_loss(credit), 3) * LENGTH
        assert is_parallel(found, exact_gradient(WORTH)) == (sharpness == 0.0)


@pytest.mark.parametrize("sharpness", [5.0, 1000.0])
def test_credit_is_the_bases_and_what_rare_right_answers_gain_by_their_own_tokens(sharpness):
    method = Targeted(sharpness=sharpness, most=0.3, right_from=1.0, base=rloo(LENGTH))
    batch = method.gathered(ask(group_size=4))
    reward = np.array([1.0, 1.0, 0.9, 0.0])[np.arange(12) % 4]
    heard = method.heard(replace(seen_of(batch), reward=reward))
    drawn = batch.rollouts.is_drawn
    said = [row[mine].mean() for row, mine in zip(batch.rollouts.log_prob.numpy(), drawn)]
    for row in range(12):
        group = np.flatnonzero(batch.group == batch.group[row])
        credit = reward[row] - reward[group[group != row]].mean()
        eta = np.exp(said[row] - np.mean([said[other] for other in group]))
        if reward[row] == 1.0:
            credit += min(max(sharpness * (1.0 - eta), 0.0), 0.3 * credit)
        np.testing.assert_allclose(heard.advantage[row][drawn[row]], credit, rtol=1e-5, atol=1e-7)


def test_level_bonus_and_the_rewards_that_there_are_say_who_gets_the_rest():
    prompt, reward = np.repeat([0, 1], 4), np.array([1.0, 0.0, 0.0, np.nan, 1.0, 1.0, 1.0, 1.0])
    spread, tried, found = np.array([np.std([1, 0, 0], ddof=1), 0.0]), np.array([4, 4]), []
    for level, bonus in ((0.05, 0.1), (0.9, 0.1), (0.9, 0.0)):
        often = Targeted(level=level, bonus=bonus).often(prompt, reward, 2, 6)
        assert often.tolist() == where_doubt_falls(spread, tried, 6, bonus, level).tolist()
        found.append(often.tolist())
    assert len({tuple(each) for each in found}) >= 2
    assert found[2] == [6, 0]


def test_groups_all_drawn_at_first_and_no_bonus_are_the_plain_method():
    assert_same_run(Targeted(first=3, sharpness=0.0), grpo(), config=replace(SMALL, updates=3))


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_as_many_rollouts_are_drawn_as_of_even_groups(rounds):
    method = Targeted(first=2, rounds=rounds)
    batch = method.gathered(ask(group_size=4))
    assert len(batch.rollouts) == 12
    assert np.bincount(batch.group, minlength=3).min() >= 2
    np.testing.assert_array_equal(batch.rollouts.prompt_of, batch.group)  # nothing to show yet


def test_a_hopeless_prompt_is_asked_behind_solved_ones_and_graded_by_itself():
    memory = solved(baa="x", aaa="never shown", aab="y", zzz="z")
    batch = Targeted(first=2, rounds=1).gathered(hopeless(memory, group_size=4))
    tokenizer = ask().model.tokenizer
    shown = prompt_ids(tokenizer, "aaby\nbaax\naaa"), prompt_ids(tokenizer, "baax\naaby\naaa")
    is_seeded = batch.rollouts.prompt_of >= 3
    assert is_seeded.any()
    assert batch.group[is_seeded].tolist() == [0] * is_seeded.sum()
    for row in np.flatnonzero(is_seeded):
        start = batch.rollouts.start[row]
        assert batch.rollouts.tokens.ids[row, :start].tolist() in shown
        assert batch.problems[row].prompt == "aaa"
        assert batch.grades.reward[row] == 0.0
    np.testing.assert_array_equal(batch.is_plain, ~is_seeded)


def test_where_every_grader_failed_nothing_is_hopeless():
    def grade(problem, response):
        if problem.prompt == "aaa":
            raise RuntimeError("the grader is down")
        return Hopeless().grade(problem, response)

    given = replace(hopeless(solved(aab="y"), group_size=4), grade=grade)
    batch = Targeted(first=2, rounds=1).gathered(given)
    assert np.isnan(batch.grades.reward[batch.group == 0]).all()
    assert batch.rollouts.prompt_of.max() == 2


def test_only_as_many_examples_are_shown_as_the_window_has_room_for():
    window = ask().model.network.window
    long = "q" * (window - 12)
    batch = Targeted(first=2, rounds=1).gathered(hopeless(solved(aab="y", aac=long), group_size=4))
    starts = set(batch.rollouts.start[batch.rollouts.prompt_of >= 3].tolist())
    assert starts == {len(prompt_ids(ask().model.tokenizer, "aaby\naaa"))}
    none = Targeted(first=2, rounds=1).gathered(hopeless(solved(aac=long), group_size=4))
    assert none.rollouts.prompt_of.max() == 2


def test_rows_may_be_trained_without_the_examples_that_they_saw():
    memory = solved(aab="y", aac="z")
    behind, bare = (
        Targeted(first=2, is_stripped=stripped).gathered(hopeless(memory, group_size=4))
        for stripped in (False, True)
    )
    assert behind.rollouts.prompt_of.max() == 3
    assert bare.rollouts.prompt_of.max() == 2
    assert behind.rollouts.responses == bare.rollouts.responses
    begun = prompt_ids(ask().model.tokenizer, "aaa")
    for row in np.flatnonzero(~bare.is_plain):
        start = bare.rollouts.start[row]
        assert bare.rollouts.tokens.ids[row, :start].tolist() == begun
        for values in ("log_prob", "entropy"):
            one, other = (
                getattr(b.rollouts, values)[row][b.rollouts.is_drawn[row]] for b in (behind, bare)
            )
            np.testing.assert_array_equal(one, other)


def test_all_that_was_tried_on_a_problem_is_one_group_whatever_it_saw():
    method = Targeted(first=2, sharpness=0.0, base=GroupRelative(most_weight=None))
    batch = method.gathered(hopeless(solved(aab="y"), group_size=4))
    assert (batch.rollouts.prompt_of >= 3).any()
    reward = np.arange(len(batch.group), dtype=float)
    seen = replace(seen_of(batch), reward=reward)
    heard = method.heard(seen)
    for row in range(len(reward)):
        others = (batch.group == batch.group[row]) & (np.arange(len(reward)) != row)
        mine = heard.advantage[row][batch.rollouts.is_drawn[row]]
        np.testing.assert_allclose(mine, reward[row] - reward[others].mean())


def test_the_latest_solved_problems_are_kept_and_one_that_is_solved_again_is_the_latest():
    method = Targeted(first=2, room=2)
    batch = method.gathered(hopeless())
    heard = method.heard(seen_of(batch, solved(bbb="old", xxx="x", yyy="y")))
    texts = heard.memory["solved"].tobytes().decode().split("\0")[:-1]
    answers = heard.memory["answers"].tobytes().decode().split("\0")[:-1]
    assert texts == ["bbb", "ccc"]
    assert "old" not in answers
    assert len(answers) == 2


def test_the_likest_text_comes_first():
    assert likest("1+2+3=", ["9*9=", "1+2-3=", "1+2="], 2) == ["1+2-3=", "1+2="]
    assert likest("a", [], 2) == []


@pytest.mark.parametrize(
    "bad",
    [{"first": 1}, {"rounds": 0}, {"level": 0.0}, {"bonus": -0.1}, {"sharpness": -1.0},
     {"bonus": np.nan}, {"sharpness": np.nan}, {"room": -1},
     {"is_stripped": True, "base": GroupRelative()}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        Targeted(**bad)
