"""Returns and generalised advantages against the recursions written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.policies.language.returns import (
    first_of_rollout,
    follower,
    generalised_advantage,
    return_to_go,
    tree_advantage,
    tree_values,
)


@st.composite
def rollouts(draw):
    """Units of a few rollouts, shuffled: reward, value, rollout, order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = rng.integers(1, 5, draw(st.integers(1, 4)))
    rollout_of = np.repeat(np.arange(len(lengths)), lengths)
    order = np.concatenate([np.arange(n) * 3 for n in lengths])
    line = rng.permutation(len(order))
    return rng.normal(size=len(order)), rng.normal(size=len(order)), rollout_of[line], order[line]


def walked(case):
    """Each rollout's units from its last to its first."""
    *_, rollout_of, order = case
    for r in np.unique(rollout_of):
        mine = np.flatnonzero(rollout_of == r)
        yield r, mine[np.argsort(order[mine])][::-1]


@settings(max_examples=40, deadline=None)
@given(rollouts(), st.floats(0.0, 1.0))
def test_a_return_is_what_is_earned_from_here_on(case, discount):
    reward, _, rollout_of, order = case
    wanted = np.zeros(len(reward))
    for _, units in walked(case):
        total = 0.0
        for u in units:
            total = wanted[u] = reward[u] + discount * total
    np.testing.assert_allclose(return_to_go(reward, rollout_of, order, discount), wanted)


@settings(max_examples=40, deadline=None)
@given(rollouts(), st.booleans())
def test_generalised_advantages_follow_their_recursion(case, is_cut_short):
    reward, value, rollout_of, order = case
    rng = np.random.default_rng(0)
    discount, trace = rng.random(len(reward)), rng.random(len(reward))
    end = rng.normal(size=rollout_of.max() + 1) if is_cut_short else None
    wanted = np.zeros(len(reward))
    for r, units in walked(case):
        beyond, credit = (0.0 if end is None else end[r]), 0.0
        for u in units:
            delta = reward[u] + discount[u] * beyond - value[u]
            credit = wanted[u] = delta + discount[u] * trace[u] * credit
            beyond = value[u]
    found = generalised_advantage(
        reward, value, rollout_of, order, discount=discount, trace=trace, last_value=end
    )
    np.testing.assert_allclose(found, wanted)


def test_without_bias_it_is_the_return_less_the_value_and_without_trace_one_step():
    reward, value = np.array([0.0, 0.0, 1.0]), np.array([0.2, 0.4, 0.7])
    where = np.zeros(3, dtype=int), np.arange(3)
    one = np.ones(1)
    whole = generalised_advantage(reward, value, *where, discount=one, trace=one)
    np.testing.assert_allclose(whole, return_to_go(reward, *where) - value)
    step = generalised_advantage(reward, value, *where, discount=one, trace=0.0 * one)
    np.testing.assert_allclose(step, [0.2, 0.3, 0.3])


def test_discounting_between_actions_only_does_not_charge_an_action_for_its_length():
    # One action of one token and one of four, the same reward after both, value 0.
    def first_credit(num_tokens, inside):
        discount = np.full(num_tokens, inside)
        discount[-1] = 0.9
        reward = np.zeros(num_tokens)
        reward[-1] = 1.0
        return generalised_advantage(
            reward, np.zeros(num_tokens), np.zeros(num_tokens, dtype=int), np.arange(num_tokens),
            discount=discount, trace=np.ones(1),
        )[0]  # fmt: skip

    assert first_credit(1, 1.0) == first_credit(4, 1.0) == 1.0
    assert first_credit(4, 0.9) == pytest.approx(0.9**3)


def test_a_rollout_cut_short_goes_on_as_its_last_value_says():
    value = np.array([0.2, 0.4])
    found = generalised_advantage(
        np.zeros(2), value, np.zeros(2, dtype=int), np.arange(2),
        discount=np.ones(1), trace=np.ones(1), last_value=value[-1:],
    )  # fmt: skip
    np.testing.assert_allclose(found, [0.2, 0.0])


def test_values_of_a_tree_are_means_of_children_and_only_children_gain_nothing():
    #        root -> 0 (-> 2, 3), 1 (-> 4); 4 is an only child.
    parent = np.array([-1, -1, 0, 0, 1])
    outcome = np.array([9.0, 9.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(tree_values(parent, outcome), [0.5, 1.0, 1.0, 0.0, 1.0])
    root = np.zeros(5, dtype=int)
    plain = tree_advantage(parent, outcome, root, is_corrected=False)
    np.testing.assert_allclose(plain, [-0.25, 0.25, 0.5, -0.5, 0.0])
    np.testing.assert_allclose(tree_advantage(parent, outcome, root), 2 * plain)


def test_trees_of_two_prompts_do_not_mix():
    parent, outcome = np.array([-1, -1, -1, -1]), np.array([1.0, 0.0, 5.0, 3.0])
    found = tree_advantage(parent, outcome, np.array([0, 0, 1, 1]), is_corrected=False)
    np.testing.assert_allclose(found, [0.5, -0.5, 1.0, -1.0])


def test_a_unit_follows_another_of_its_rollout_and_the_first_stands_for_it():
    rollout_of, order = np.array([1, 0, 1, 1]), np.array([5, 0, 2, 9])
    assert follower(rollout_of, order).tolist() == [3, -1, 0, -1]
    assert first_of_rollout(rollout_of, order).tolist() == [False, True, True, False]


def test_two_units_of_a_rollout_at_one_time_are_our_own_mistake():
    with pytest.raises(AssertionError, match="same time"):
        follower(np.array([0, 0]), np.array([1, 1]))
