"""The ten identities that the library is built on (the method notes' I1 to I10), one law each.

What a room's own tests already hold in more detail is named beside its law.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs.reward_heads import RewardHeads
from penchant.data.pair_counts import PairCounts
from penchant.feedback import choice
from penchant.feedback.corrupted_pair import flipped_log_prob, soft_log_prob, soft_score
from penchant.feedback.gap import GapModel
from penchant.fitting.head_mixture_density import GroupedPairs, HeadMixtureDensity
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.strengths import fit_strengths
from penchant.fitting.thurstone import ThurstoneFit
from penchant.numerics.arrays import log_sigmoid, log_sum_exp, sigmoid
from penchant.numerics.planning import FiniteWorld, plan
from penchant.numerics.planning_horizon import soft_plan
from penchant.utilities import distance, ideal_point
from penchant.utilities.implicit import log_ratio_utility
from penchant.utilities.intransitive import embed_skew, hodge_split, skew_matrix

SEEDS = st.integers(0, 10_000)


# I1, gauge. Every likelihood: tests/laws/test_feedback_laws.py.
@given(SEEDS)
def test_what_belongs_to_the_context_alone_is_unseen_within_it_and_seen_between_two(seed):
    rng = np.random.default_rng(seed)
    worth, bonus = rng.normal(size=(6, 3)), 1.0 + rng.random(size=(6, 1))
    offered, chosen = np.ones((6, 3), dtype=bool), rng.integers(3, size=6)
    np.testing.assert_allclose(
        choice.log_prob(worth + bonus, offered, chosen),
        choice.log_prob(worth, offered, chosen),
        atol=1e-12,
    )
    # One answer under two contexts: the comparison that tells their bonuses apart.
    across = np.column_stack([worth[:, 0], worth[:, 1]])
    moved = across + np.column_stack([bonus[:, 0], np.zeros(6)])
    said, told = (
        choice.log_prob(each, np.ones((6, 2), dtype=bool), np.zeros(6, dtype=int))
        for each in (across, moved)
    )
    assert np.all(told > said)


# I2, the log-policy is the soft advantage. Certain moves: tests/numerics/test_planning_horizon.py.
@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_a_path_s_log_probability_is_its_return_less_the_start_s_value_and_its_luck(seed):
    rng, horizon = np.random.default_rng(seed), 4
    reward, moves = rng.normal(size=(3, 2)), rng.dirichlet(np.ones(3), size=(3, 2))
    planned = soft_plan(reward, moves, horizon)
    state = rng.integers(3, size=horizon + 1)
    action = rng.integers(2, size=horizon)
    log_prob = sum(planned.log_policy[t, state[t], action[t]] for t in range(horizon))
    gained = sum(reward[state[t], action[t]] for t in range(horizon))
    luck = sum(
        planned.values[t + 1, state[t + 1]] - moves[state[t], action[t]] @ planned.values[t + 1]
        for t in range(horizon)
    )
    assert log_prob == pytest.approx(gained - planned.values[0, state[0]] - luck, abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_minus_regret_is_the_log_policy_as_the_temperature_falls(seed):
    rng = np.random.default_rng(seed)
    following = rng.integers(0, 4, size=(4, 3))
    ends = np.array([False, False, False, True])
    world = FiniteWorld.deterministic(following, ends, 0.9)
    rewards = rng.normal(size=(4, 3))
    best, cold = plan(world, rewards), 1e-3
    soft = plan(world, rewards, temperature=cold)
    regret = best.values[:, None] - best.action_values
    with np.errstate(divide="ignore"):
        log_policy = cold * np.log(soft.policy)
    seen = (soft.policy > 1e-250) & ~ends[:, None]
    assert seen.any()
    np.testing.assert_allclose(log_policy[seen], -regret[seen], atol=2e-2)


@given(SEEDS, st.floats(0.05, 5.0))
def test_the_best_policy_near_a_reference_has_the_worths_as_its_implicit_reward(seed, beta):
    rng = np.random.default_rng(seed)
    worth, reference = rng.normal(size=5), np.log(rng.dirichlet(np.ones(5)))
    tilted = reference + worth / beta
    log_policy = tilted - log_sum_exp(tilted[None], axis=1)[0]
    # Answers of one token each: a policy over whole answers.
    implicit = log_ratio_utility(
        log_policy[None, :, None], reference[None, :, None], np.ones((1, 5, 1), dtype=bool),
        strength=beta,
    )[0]  # fmt: skip
    # The partition function is gauge: no pair sees it.
    np.testing.assert_allclose(implicit[:, None] - implicit, worth[:, None] - worth, atol=1e-9)

    def paid(log_p):
        p = np.exp(log_p)
        return p @ worth - beta * p @ (log_p - reference)

    # And no other policy is worth more, what it strays from the reference taken off.
    for other in np.log(rng.dirichlet(np.ones(5), size=20)):
        assert paid(other) <= paid(log_policy) + 1e-9


# I3, the Hodge split. More in tests/utilities/test_intransitive.py and tests/fitting/test_skew.py.
@given(SEEDS, st.integers(1, 3))
def test_planes_hold_every_skew_matrix_of_twice_their_rank_and_worths_are_one_of_them(seed, blocks):
    rng = np.random.default_rng(seed)
    embedding = rng.normal(size=(8, 2 * blocks))
    comparison = skew_matrix(embedding, np.ones(blocks))
    found = skew_matrix(embed_skew(comparison, blocks), np.ones(blocks))
    np.testing.assert_allclose(found, comparison, atol=1e-8)
    split = hodge_split(comparison)
    np.testing.assert_allclose(split.gradient + split.cyclic, comparison, atol=1e-8)
    worth = rng.normal(size=8)
    plane = np.column_stack([worth, np.ones(8)])
    np.testing.assert_allclose(skew_matrix(plane, np.ones(1)), worth[:, None] - worth, atol=1e-12)


def test_on_a_balanced_cycle_all_worths_are_equal_and_no_worths_foretell_more_than_two_thirds():
    first, second = np.array([0, 1, 0]), np.array([1, 2, 2])
    counts = PairCounts(
        items=("a", "b", "c"), first=first, second=second,
        first_wins=np.array([20.0, 20.0, 0.0]), second_wins=np.array([0.0, 0.0, 20.0]),
        ties=np.zeros(3),
    )  # fmt: skip
    np.testing.assert_allclose(fit_strengths(counts, prior_scale=1.0).mean, 0.0, atol=1e-8)
    orders = np.array(np.meshgrid(*[np.arange(3)] * 3)).reshape(3, -1)
    right = (orders[[0, 1, 2]] > orders[[1, 2, 0]]).mean(axis=0)
    assert right.max() == pytest.approx(2 / 3)


def opposite(num_people, num_each, side, has_ids, seed=0):
    """The density of two heads, evenly shared, with and without knowing whose the answers are."""
    rng = np.random.default_rng(seed)
    num = num_people * num_each
    pairs = HeadPairs(
        features=rng.normal(size=(num, 3)).astype(np.float32), first=np.arange(num), second=None,
        answer=rng.integers(2, size=num), weight=np.ones(num),
    )  # fmt: skip
    each, groups = (num_each, num_people) if has_ids else (1, num)
    data = GroupedPairs(
        pairs=pairs, group_start=each * np.arange(groups + 1), context=np.zeros((groups, 0))
    )
    return HeadMixtureDensity(
        data=data, model=GapModel(), num_heads=2, side=side, log_weights=np.log([0.5, 0.5]),
        head_precision=1e-12,
    )  # fmt: skip


# I4, antipodal blindness. Recovery: tests/fitting/test_head_mixture.py.
@settings(deadline=None, max_examples=20)
@given(SEEDS, st.floats(0.5, 3.0))
def test_without_ids_opposite_halves_are_a_fair_coin_whatever_their_taste_and_with_ids_not(
    seed, size
):
    taste = size * np.random.default_rng(seed).normal(size=3)
    theta = np.concatenate([taste, -taste])
    blind = opposite(20, 3, "outside", False, seed).at(theta)
    assert blind.value == pytest.approx(60 * np.log(0.5), rel=1e-6)
    # Nor does the slope point anywhere along opposite tastes.
    slope = blind.gradient[:3] - blind.gradient[3:6]
    np.testing.assert_allclose(slope, 0.0, atol=1e-4)
    known = opposite(20, 3, "outside", True, seed).at(theta)
    assert abs(known.value - 60 * np.log(0.5)) > 1e-3


# I5, the side of the link.
@settings(deadline=None, max_examples=20)
@given(SEEDS)
def test_whose_answers_they_are_changes_nothing_inside_the_link_and_much_outside(seed):
    theta = np.random.default_rng(seed).normal(size=6)
    inside, outside = (
        [opposite(15, 4, side, has_ids, seed).at(theta).value for has_ids in (False, True)]
        for side in ("inside", "outside")
    )
    assert inside[0] == pytest.approx(inside[1], rel=1e-6)
    assert abs(outside[0] - outside[1]) > 1e-3
    assert abs(inside[0] - outside[0]) > 1e-6


# I6, the two-step bound: tests/metrics/test_reversals.py has it for any probabilities.
@given(SEEDS)
def test_what_mixed_heads_say_errs_by_what_each_says_and_who_is_thought_to_speak_at_most(seed):
    rng = np.random.default_rng(seed)
    true, said = (
        RewardHeads(
            weights=rng.normal(size=(4, 3)), router=np.zeros((3, 1)), centre=np.zeros(0),
            scale=1.0, model=GapModel(), own=np.zeros(0), coefficients=np.zeros(0),
        )
        for _ in range(2)
    )  # fmt: skip
    p, q = rng.dirichlet(np.ones(4), size=2)
    x = 2.0 * rng.normal(size=(7, 3))
    error = np.abs(true.probabilities(x, np.log(p)[None]) - said.probabilities(x, np.log(q)[None]))
    alone = sum(
        p[k] * np.abs(sigmoid(x @ true.weights[k]) - sigmoid(x @ said.weights[k])) for k in range(4)
    )
    assert np.all(error[:, 0] <= alone + 0.5 * np.abs(p - q).sum() + 1e-9)


# I7, ideal points. More in tests/utilities/test_distance.py.
@given(SEEDS)
def test_nearness_is_an_inner_product_on_the_sphere_and_a_power_of_distance_a_conditional_logit(
    seed,
):
    rng = np.random.default_rng(seed)
    points, person = rng.normal(size=(4, 3)), rng.normal(size=(1, 3))
    sphere = points / np.linalg.norm(points, axis=1, keepdims=True)
    near = ideal_point.worths(sphere[None], person[0], np.ones(3))[0]
    np.testing.assert_allclose(near[1:] - near[0], 2 * (sphere[1:] - sphere[0]) @ person[0])
    d = distance.euclidean(person, points).distance
    said = choice.log_prob(distance.harmonic_worths(d, 3.0), np.ones((1, 4), bool), np.array([2]))
    assert said[0] == pytest.approx(np.log(d[0, 2] ** -3 / (d[0] ** -3).sum()))


# I8, the flip rule of direct preference optimisation (Chen et al. 2024).
@given(SEEDS, st.floats(0.05, 2.0))
def test_a_policy_ranks_a_pair_rightly_just_where_its_loss_is_below_what_the_reference_asks(
    seed, beta
):
    rng = np.random.default_rng(seed)
    policy, reference = 3.0 * rng.normal(size=(2, 2, 50))  # winner's and loser's log-probability
    asks = reference[1] - reference[0]
    implicit = beta * ((policy[0] - policy[1]) - (reference[0] - reference[1]))
    loss = -soft_log_prob(implicit, np.ones(50))
    clear = np.abs(policy[0] - policy[1]) > 1e-9
    is_right = policy[0] > policy[1]
    np.testing.assert_array_equal(is_right[clear], (loss <= -log_sigmoid(beta * asks))[clear])


@given(SEEDS, st.floats(0.05, 2.0))
def test_the_ideal_optimum_ranks_a_pair_rightly_just_where_preference_outweighs_the_reference(
    seed, beta
):
    rng = np.random.default_rng(seed)
    share, asks = rng.uniform(0.01, 0.99, 20), 3.0 * rng.normal(size=20)

    def slope(scaled):
        # apart = log pi(winner) - log pi(loser); asks = the reference's, the other way round.
        gap = scaled + beta * asks
        return Slope(value=soft_log_prob(gap, share).sum(), gradient=soft_score(gap, share))

    apart = climb_lbfgs(slope, np.zeros(20), rounding=1e-15, flat=1e-9).theta / beta
    margin = (np.log(share) - np.log1p(-share)) / beta - asks
    clear = np.abs(margin) > 1e-3 / beta
    np.testing.assert_array_equal((apart > 0)[clear], (margin > 0)[clear])


# I9, three places for noise.
def test_noise_on_worths_flattens_noise_on_labels_bounds_and_noise_on_weights_only_weighs():
    gap = np.linspace(-12.0, 12.0, 201)
    noisy = ThurstoneFit(
        items=("a", "b", "c"), mean=np.array([0.0, 1.0, 1.0]), noise=np.array([0.1, 0.1, 3.0]),
        log_likelihood=0.0, converged=True,
    )  # fmt: skip
    zero = np.array([0])
    # Worths: the same mean, another chance of being the better one, and so another risk.
    assert noisy.win_probability(np.array([1]), zero) > 0.99
    assert noisy.win_probability(np.array([2]), zero) < 0.65
    # Labels: no gap makes a label surer than the share that was held; the better side stays so.
    flipped = np.exp(flipped_log_prob(gap, np.full(201, 0.1)))
    assert flipped.min() >= 0.1 - 1e-12
    assert flipped.max() <= 0.9 + 1e-12
    off = gap != gap[100]
    np.testing.assert_array_equal((flipped > 0.5)[off], (gap > 0)[off])
    # Weights: what is learnt stays where it was, and is as much surer as they are larger.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)).astype(np.float32)
    pairs = HeadPairs(
        features=x, first=np.arange(500), second=None, weight=np.ones(500),
        answer=(rng.random(500) > sigmoid(x @ [1.0, -0.5])).astype(int),
    )  # fmt: skip
    light = fit_linear_head(pairs, GapModel(), prior_scale=100.0)
    heavy = fit_linear_head(replace(pairs, weight=np.full(500, 9.0)), GapModel(), prior_scale=100.0)
    np.testing.assert_allclose(light.weights, heavy.weights, atol=1e-3)
    np.testing.assert_allclose(light.covariance[:2, :2], 9.0 * heavy.covariance[:2, :2], rtol=1e-2)


# I10, listwise objectives.
@given(SEEDS)
def test_a_listwise_loss_is_the_conditional_logit(seed):
    worth = 3.0 * np.random.default_rng(seed).normal(size=(1, 6))
    for picked in range(6):
        others = np.delete(worth[0], picked)
        listwise = -np.log1p(np.exp(others - worth[0, picked]).sum())
        said = choice.log_prob(worth, np.ones((1, 6), dtype=bool), np.array([picked]))
        assert said[0] == pytest.approx(listwise, abs=1e-9)
