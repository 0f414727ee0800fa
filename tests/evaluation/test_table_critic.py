"""Steps that a table tries, and a critic of them: against the table's exact chances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.evaluation.table_critic import (
    TableCritic,
    exact_chances,
    fit_table_critic,
    tried_steps,
)
from penchant.metrics.scoring import area_under_curve
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.step_table import StepTable, Sums


def world(seed, num=6, steps=3, skill=3.0):
    rng = np.random.default_rng(seed)
    sums = Sums.read(Chain(fewest=steps, most=steps).draw(num, rng))
    return rng, sums, StepTable.taught(rng, skill)


def exact(table, sums, states):
    """The chance of each partial answer: the steps that are left, from the digit that stands."""
    found = []
    for at, digit, problem in zip(states.at, states.digit, states.problem):
        done = int((at >= 0).sum())
        first = sums.first[problem] if done == 0 else digit[done - 1]
        rest = Sums(
            first=np.array([first]), cell=sums.cell[[problem], done:], right=sums.right[[problem]]
        )
        if rest.cell.shape[1] == 0:
            found.append(float(first == sums.right[problem]))
        else:
            found.append(float(table.chance_right(rest)[0]))
    return np.array(found)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_every_step_of_an_answer_is_tried_from_where_it_begins(seed):
    rng, sums, table = world(seed)
    tried = tried_steps(table, sums, 4, rng)
    before, after = tried.before, tried.after
    assert (len(before.at), len(after.at)) == (6 * 3, 6 * 3 * 4)
    for part in (before, after):
        # A step is there or it is left.
        assert ((part.at >= 0) ^ (part.left >= 0)).all()
        assert ((part.at >= 0) == (part.digit >= 0)).all()
    done = np.repeat((before.at >= 0).sum(axis=1), 4)
    np.testing.assert_array_equal((after.at >= 0).sum(axis=1), done + 1)
    rows = np.arange(len(done))
    for t in range(3):
        same = done > t
        np.testing.assert_array_equal(np.repeat(before.at[:, t], 4)[same], after.at[same, t])
        np.testing.assert_array_equal(np.repeat(before.digit[:, t], 4)[same], after.digit[same, t])
    at, digit = tried.step
    np.testing.assert_array_equal(at, after.at[rows, done])
    np.testing.assert_array_equal(digit, after.digit[rows, done])
    np.testing.assert_array_equal(before.right, after.right.reshape(-1, 4).sum(axis=1))
    assert (before.num == 4).all()
    assert (after.num == 1).all()
    # One answer each, and of every state what is left of it, four times.
    assert tried.drawn == 6 * 3 + 4 * 6 * (3 + 2 + 1)


def test_exact_chances_are_those_of_the_steps_that_are_left():
    rng, sums, table = world(5)
    tried = tried_steps(table, sums, 2, rng)
    for states in (tried.before, tried.after):
        found = exact_chances(table, sums, states)
        np.testing.assert_allclose(found, exact(table, sums, states), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_endings_are_as_often_right_as_the_table_says(seed):
    rng, sums, table = world(seed, num=40)
    tried = tried_steps(table, sums, 50, rng)
    chance = exact(table, sums, tried.before)
    spread = np.sqrt((50 * chance * (1 - chance)).sum())
    assert abs((tried.before.right - 50 * chance).sum()) < 4 * spread
    complete = tried.after.is_complete
    np.testing.assert_array_equal(
        tried.after.right[complete], exact(table, sums, tried.after)[complete]
    )


def test_exact_advantages_are_differences_of_exact_chances_and_none_on_average():
    rng, sums, table = world(0, num=30)
    tried = tried_steps(table, sums, 400, rng)
    found = tried.advantage(lambda states: exact(table, sums, states))
    wanted = exact(table, sums, tried.after) - np.repeat(exact(table, sums, tried.before), 400)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    # A martingale: the table's own steps change nothing on average.
    means = found.reshape(-1, 400).mean(axis=1)
    assert np.abs(means).max() < 5 * 0.5 / 400**0.5


def test_a_critic_of_many_endings_tells_steps_apart_and_one_of_few_less():
    rng, sums, table = world(1, num=300, steps=4, skill=4.0)
    tried = tried_steps(table, sums, 4, rng)
    fresh_sums = Sums.read(Chain(fewest=4, most=4).draw(100, rng))
    fresh = tried_steps(table, fresh_sums, 4, rng).after
    fresh = fresh.take(~fresh.is_complete)
    truth = exact(table, fresh_sums, fresh)
    critic = fit_table_critic(tried)
    assert np.corrcoef(critic.chance(fresh), truth)[0, 1] > 0.5
    few = fit_table_critic(type(tried)(
        before=tried.before.take(tried.before.problem < 10),
        after=tried.after.take(tried.after.problem < 10), drawn=0,
    ))  # fmt: skip
    area = [area_under_curve(each.chance(fresh), fresh.right > 0.5) for each in (critic, few)]
    assert area[0] > area[1] + 0.02
    # A wrong step loses, a right one gains.
    at, digit = tried.step
    right = StepTable.taught(np.random.default_rng(0), 1e3, 1e-3).logits.argmax(axis=1)[at] == digit
    gain = tried.advantage(critic.chance)
    assert gain[right].mean() > 0.0 > gain[~right].mean()


def test_a_critic_is_at_the_top_of_its_posterior():
    rng, sums, table = world(2, num=20)
    tried = tried_steps(table, sums, 4, rng)
    critic = fit_table_critic(tried)

    def value(numbers):
        chance = [TableCritic(numbers=numbers).chance(p) for p in (tried.before, tried.after)]
        said = sum(
            float((p.right * np.log(c) + (p.num - p.right) * np.log1p(-c))[~p.is_complete].sum())
            for p, c in zip((tried.before, tried.after), chance)
        )
        prior = np.where(np.arange(len(numbers)) < 3300, 0.15, 1.0)
        return said - 0.5 * ((numbers / prior) ** 2).sum()

    best = value(critic.numbers)
    for place in rng.integers(0, len(critic.numbers), 20):
        for by in (-0.05, 0.05):
            moved = critic.numbers.copy()
            moved[place] += by
            assert value(moved) < best
