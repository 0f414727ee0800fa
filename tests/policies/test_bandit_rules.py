"""Rules: probabilities that sum to one, none for what is not offered, loops as their twins."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import ndtr
from penchant.policies.bandits import rules_fused
from penchant.policies.bandits.probability_of_best import best_probability
from penchant.policies.bandits.rules import (
    Cautious,
    Elimination,
    EpsilonGreedy,
    ExploreFirst,
    Greedy,
    InverseGap,
    InverseGapLoss,
    Softmax,
    Thompson,
    UpperConfidence,
)

RULES = [
    Greedy(),
    EpsilonGreedy(epsilon=0.3, decay=1 / 3),
    Softmax(temperature=0.2),
    UpperConfidence(width=1.5, floor=0.1),
    Thompson(width=0.8),
    InverseGap(gamma=20.0),
    InverseGapLoss(gamma=50.0),
]
# Not in loops.
PLAIN = [Cautious(share=0.2), Elimination(width=1.2), ExploreFirst(num_each=0)]
EVERY_RULE = pytest.mark.parametrize("rule", RULES + PLAIN, ids=lambda rule: type(rule).__name__)
IN_LOOPS = pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)


def believed(seed, num_arms=6):
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.05, 0.95, size=(1, num_arms))
    spread = np.exp(rng.normal(-2, 1, size=(1, num_arms)))
    offered = rng.random((1, num_arms)) < 0.7
    offered[0, rng.integers(num_arms)] = True
    return mean, spread, offered


@EVERY_RULE
@given(seed=st.integers(0, 10_000), step=st.integers(1, 10_000))
@settings(max_examples=40, deadline=None)
def test_probabilities_sum_to_one_over_what_is_offered(rule, seed, step):
    mean, spread, offered = believed(seed)
    found = rule.probabilities(mean, spread, offered, step)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert (found >= 0).all()
    assert (found[~offered] == 0).all()


@EVERY_RULE
@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_naming_arms_in_another_order_changes_nothing(rule, seed):
    mean, spread, offered = believed(seed)
    order = np.random.default_rng(seed).permutation(mean.shape[1])
    found = rule.probabilities(mean, spread, offered, 7)
    turned = rule.probabilities(mean[:, order], spread[:, order], offered[:, order], 7)
    np.testing.assert_allclose(turned, found[:, order], atol=1e-9)


@IN_LOOPS
@given(seed=st.integers(0, 10_000), step=st.integers(1, 1000))
@settings(max_examples=40, deadline=None)
def test_the_compiled_loop_of_a_rule_is_the_rule(rule, seed, step):
    mean, spread, offered = believed(seed)
    name, first, second = rule.in_loops(step)
    out = np.empty(mean.shape[1])
    loop = getattr(rules_fused, name)
    arm = loop(mean[0], spread[0], offered[0], first, second, 0.37, out)
    expected = rule.probabilities(mean, spread, offered, step)[0]
    np.testing.assert_allclose(out, expected, atol=1e-10)
    reached = np.cumsum(expected)
    assert reached[arm] > 0.37 >= reached[arm] - expected[arm]


@EVERY_RULE
def test_a_better_arm_is_not_played_less(rule):
    mean, spread, offered = believed(3)
    offered[:] = True
    spread[:] = 0.1
    found = rule.probabilities(mean, spread, offered, 5)
    ordered = found[0, np.argsort(mean[0])]
    assert (np.diff(ordered) >= -1e-12).all()


@EVERY_RULE
def test_equal_arms_share_evenly(rule):
    found = rule.probabilities(
        np.full((1, 4), 0.3), np.full((1, 4), 0.2), np.ones((1, 4), dtype=bool), 9
    )
    np.testing.assert_allclose(found, 0.25, atol=1e-9)


@pytest.mark.parametrize("gap", [-2.0, 0.0, 0.3, 5.0])
def test_of_two_arms_the_better_is_known_in_closed_form(gap):
    mean, spread, offered = np.array([gap, 0.0]), np.array([0.6, 0.8]), np.ones(2, dtype=bool)
    found = best_probability(mean, spread, offered)
    # One in three million is left out.
    near = 1e-9 if gap < 5.0 else 4e-7
    np.testing.assert_allclose(found[0], 0.5 * math.erfc(-gap / math.sqrt(2)), rtol=near)
    # A third that is out of the question changes nothing, nor do the loops.
    out = np.empty(3)
    rules_fused.thompson(
        np.array([-9.0, gap, 0.0]), np.array([0.5, 0.6, 0.8]), np.ones(3, dtype=bool), 1.0, 0.0,
        0.5, out,
    )  # fmt: skip
    np.testing.assert_allclose(out, [0.0, *found], rtol=1e-9, atol=1e-15)


@given(seed=st.integers(0, 10_000), num_arms=st.integers(3, 60))
@settings(max_examples=40, deadline=None)
def test_the_integral_by_a_table_is_the_integral(seed, num_arms):
    """Arms that are all but equal and arms that are wholly unequal, narrow ones and wide ones."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=num_arms) * np.exp(rng.normal(-1, 2))
    spread = np.exp(rng.normal(0, rng.uniform(0, 2), size=num_arms))
    offered, out = np.ones(num_arms, dtype=bool), np.empty(num_arms)
    rules_fused.thompson(mean, spread, offered, 1.0, 0.0, 0.5, out)
    np.testing.assert_allclose(out, best_probability(mean, spread, offered), atol=1e-10)


def test_arms_that_cannot_be_the_best_any_more_are_eliminated_and_no_others():
    mean = np.array([[0.9, 0.72, 0.5, 0.95]])
    spread, offered = np.array([[0.05, 0.05, 0.05, 0.15]]), np.array([[True, True, True, False]])
    found = Elimination(width=2.0).probabilities(mean, spread, offered, 1)
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0, 0.0]])
    # The last arm may be the best, but what is surely there of it is less than of the first.
    found = Elimination(width=2.0).probabilities(mean, spread, np.ones((1, 4), dtype=bool), 1)
    np.testing.assert_allclose(found, [[1 / 3, 1 / 3, 0.0, 1 / 3]])


def test_every_arm_has_its_turn_before_the_best_is_played():
    mean, offered = np.array([[0.5, 0.9, 0.1]]), np.array([[True, False, True]])
    rule = ExploreFirst(num_each=2)
    turns = [rule.probabilities(mean, mean, offered, step)[0].argmax() for step in range(1, 8)]
    assert turns == [0, 2, 0, 2, 0, 0, 0]
    assert rule.in_loops(1) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_no_chance_to_be_best(bad):
    mean, spread, offered = np.array([0.1, bad, 0.3]), np.full(3, 0.2), np.ones(3, dtype=bool)
    with pytest.raises(DataError, match="finite numbers for every arm"):
        Thompson().probabilities(mean[None], spread[None], offered[None], 1)
    out = np.zeros(3)
    rules_fused.thompson(mean, spread, offered, 1.0, 0.0, 0.5, out)
    assert np.isnan(out).all()
    # Of an arm that is not offered nothing is asked.
    offered[1] = False
    assert Thompson().probabilities(mean[None], spread[None], offered[None], 1).sum() == 1.0


def by_quadrature(mean, spread):
    """The same integral, by Gauss and Legendre in 400 pieces."""
    node, share = np.polynomial.legendre.leggauss(12)
    edge = np.linspace((mean - 5 * spread).max(), (mean + 8 * spread).max(), 401)
    half = 0.5 * np.diff(edge)[:, None]
    t = (half * node + 0.5 * (edge[1:] + edge[:-1])[:, None]).ravel()
    z = (t[:, None] - mean) / spread
    logs = np.log(np.maximum(ndtr(z), 1e-300))
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) / spread
    return (half * share).ravel() @ (np.exp(logs.sum(axis=1, keepdims=True) - logs) * density)


@pytest.mark.parametrize(("num_arms", "most"), [(3, 0.006), (10, 0.012), (300, 0.02)])
def test_no_arm_is_further_from_the_truth_than_is_said(num_arms, most):
    rng, apart = np.random.default_rng(num_arms), []
    for trial in range(40):
        mean = rng.normal(size=num_arms) * np.exp(rng.normal(-1, 1))
        spread = np.exp(rng.normal(-0.5, 0.7, size=num_arms))
        if trial % 2:
            spread[:] = spread[0]
        truth = by_quadrature(mean, spread)
        assert truth.sum() == pytest.approx(1.0, abs=1e-5)
        found = best_probability(mean, spread, np.ones(num_arms, dtype=bool))
        apart.append(np.abs(found - truth).max())
    assert max(apart) < most
    assert np.median(apart) < 0.002


@pytest.mark.parametrize("seed", range(5))
def test_the_probability_of_being_best_is_that_of_many_draws(seed):
    rng = np.random.default_rng(seed)
    num = int(rng.integers(2, 40))
    mean, spread = rng.normal(size=num), np.exp(1.5 * rng.normal(size=num))
    drawn = (mean + spread * rng.normal(size=(100_000, num))).argmax(axis=1)
    share = np.bincount(drawn, minlength=num) / len(drawn)
    found = best_probability(mean, spread, np.ones(num, dtype=bool))
    np.testing.assert_allclose(found, share, atol=0.008)


@pytest.mark.parametrize("num_wide", [12, 14, 20])
@pytest.mark.parametrize("num_narrow", [2, 80])
def test_many_doubtful_arms_do_not_hide_a_few_that_are_known(num_wide, num_narrow):
    rng = np.random.default_rng(num_wide + num_narrow)
    mean = np.concatenate([np.zeros(num_wide), np.linspace(1.9, 1.5, num_narrow)])
    spread = np.concatenate([np.ones(num_wide), np.full(num_narrow, 0.01)])
    drawn = (mean + spread * rng.normal(size=(50_000, len(mean)))).argmax(axis=1)
    share = np.bincount(drawn, minlength=len(mean)) / len(drawn)
    found = best_probability(mean, spread, np.ones(len(mean), dtype=bool))
    np.testing.assert_allclose(found, share, atol=0.012)
    out = np.empty(len(mean))
    rules_fused.thompson(mean, spread, np.ones(len(mean), dtype=bool), 1.0, 0.0, 0.5, out)
    np.testing.assert_allclose(out, found, atol=1e-9)


def test_arms_without_doubt_are_ordered_by_their_means():
    found = best_probability(np.array([1.0, 2.0, 0.0]), np.zeros(3), np.ones(3, dtype=bool))
    np.testing.assert_allclose(found, [0, 1, 0], atol=1e-9)


def test_inverse_gaps_are_the_published_formulas():
    mean, offered = np.array([[0.9, 0.5, 0.1]]), np.ones((1, 3), dtype=bool)
    square = InverseGap(gamma=10.0, growth=0.0).probabilities(mean, mean, offered, 4)[0]
    np.testing.assert_allclose(square[1:], [1 / (3 + 10 * 0.4), 1 / (3 + 10 * 0.8)])
    loss = InverseGapLoss(gamma=10.0).probabilities(mean, mean, offered, 4)[0]
    np.testing.assert_allclose(loss[1:], [0.1 / (0.3 + 10 * 0.4), 0.1 / (0.3 + 10 * 0.8)])


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (EpsilonGreedy, {"epsilon": -0.1}),
        (Softmax, {"temperature": 0.0}),
        (UpperConfidence, {"floor": 1.5}),
        (UpperConfidence, {"width": math.nan}),
        (Thompson, {"width": 0.0}),
        (InverseGap, {"gamma": -1.0}),
        (InverseGapLoss, {"gamma": math.inf}),
    ],
)
def test_numbers_out_of_range_are_refused(rule, values):
    with pytest.raises(ConfigError, match="expected a number"):
        rule(**values)


def test_the_loops_are_numbered_as_they_are_named():
    assert set(rules_fused.RULES) == {rule.in_loops(1)[0] for rule in RULES}
    # `decide` counts them in the order of its branches.
    source = inspect.getsource(rules_fused.decide.py_func)
    assert [source.index(f"return {name}(") for name in rules_fused.RULES] == sorted(
        source.index(f"return {name}(") for name in rules_fused.RULES
    )
