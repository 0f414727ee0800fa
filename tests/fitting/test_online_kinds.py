"""Kinds of people from answers one at a time: Bayes' rule for who is of which kind."""

import numpy as np
import pytest

from penchant.beliefs.normal_law import FullNormal
from penchant.beliefs.storage import load_value
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Outcome
from penchant.fitting.online_answers import OnlineAnswers, nothing_known
from penchant.fitting.online_kinds import OnlineKinds, several_kinds

D = 3


REWARDS = (Outcome(),)


def nothing(channels=REWARDS, apart=0.0, **more):
    law = FullNormal(mean=np.zeros(D), root=np.eye(D))
    own = FullNormal(mean=np.zeros(D), root=apart * np.eye(D)) if apart else None
    return nothing_known(channels, law, apart=own, noise=0.5, **more)


def rewarded(rng, worths):
    x = rng.normal(size=(1, D))
    return x, "outcome", {"value": x @ worths + 0.5 * rng.normal(size=1)}


def test_kinds_that_do_not_differ_are_one_kind():
    """Whatever the shares, what all kinds share learns every answer once."""
    rng = np.random.default_rng(0)
    kinds = OnlineKinds(several_kinds(nothing(), 3, scale=1e-6))
    plain = OnlineAnswers(nothing())
    menu = rng.normal(size=(4, D))
    for k in range(25):
        answer = rewarded(rng, np.array([1.0, -1.0, 0.5]))
        kinds.learn(*answer, person=f"p{k % 4}")
        plain.learn(*answer)
    for found, expected in zip(kinds.moments(menu, "p1"), plain.moments(menu)):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_who_is_of_which_kind_is_bayes_rule_on_one_kind_after_the_other():
    rng = np.random.default_rng(1)
    start = several_kinds(nothing(), 2, scale=1.5)
    learner, told = OnlineKinds(start), rewarded(rng, np.array([2.0, 0.0, -1.0]))
    density = []
    for s in range(2):
        mean, covariance = start.worths.moments(start.features_of(told[0], s))
        apart = told[2]["value"][0] - mean[0]
        variance = covariance[0, 0] + 0.25
        density.append(np.exp(-0.5 * apart**2 / variance) / np.sqrt(2 * np.pi * variance))
    evidence = learner.learn(*told, person="ann")
    assert evidence == pytest.approx(np.log(np.mean(density)), abs=1e-6)
    np.testing.assert_allclose(
        learner.belief_.weights_of("ann"), np.array(density) / sum(density), atol=1e-6
    )
    np.testing.assert_allclose(learner.belief_.crowd, 1.0 + learner.belief_.weights_of("ann"))


def test_moments_are_those_of_the_mixture():
    rng = np.random.default_rng(2)
    learner = OnlineKinds(several_kinds(nothing(apart=0.7), 2, scale=2.0))
    worths = np.array([2.0, -2.0, 1.0])
    for k in range(18):
        learner.learn(*rewarded(rng, worths if k % 3 else -worths), person=f"p{k % 3}")
    belief, menu = learner.belief_, rng.normal(size=(3, D))
    # Of a stranger it is open of which kind they are: half of the doubt lies between the kinds.
    weights, draws = belief.weights_of("new"), []
    assert weights.min() > 0.2
    for s, share in enumerate(weights):
        mean, covariance = belief.worths.moments(belief.features_of(menu, s), f"{s}\0new")
        draws.append(rng.multivariate_normal(mean, covariance, size=round(400_000 * share)))
    drawn = np.concatenate(draws)
    mean, covariance = belief.moments(menu, "new")
    np.testing.assert_allclose(mean, drawn.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(covariance, np.cov(drawn.T), atol=0.05)
    within = sum(share * np.cov(part.T) for share, part in zip(weights, draws))
    assert np.abs(covariance - within).max() > 0.5


def opposed(learner, num_people=16, num_tasks=10):
    rng, worths = np.random.default_rng(3), np.array([2.0, -2.0, 1.0])
    for p in range(num_people):
        for _ in range(num_tasks):
            x = rng.normal(size=(4, D))
            worth = x @ (worths if p % 2 else -worths) + rng.gumbel(size=4)
            learner.learn(x, "choice", {"chosen": np.int64(worth.argmax())}, person=f"p{p}")
    return learner, worths


def test_two_opposed_kinds_are_found_and_a_stranger_is_of_either():
    learner, worths = opposed(OnlineKinds(several_kinds(nothing((Choice(),)), 2, scale=2.0)))
    belief = learner.belief_
    found = np.array([belief.weights_of(f"p{p}")[0] > 0.5 for p in range(16)])
    assert set(found[::2]) != set(found[1::2])
    assert len(set(found[::2])) == len(set(found[1::2])) == 1
    np.testing.assert_allclose(np.abs(belief.shares - 0.5), 0.0, atol=0.05)
    # Answers from before it was known who is of which kind blur both: sizes stay behind.
    for side, truth in ((1, worths), (0, -worths)):
        mine = belief.part_worths(int(not found[side]))
        assert mine @ truth > 0.97 * np.linalg.norm(mine) * np.linalg.norm(truth)
        assert 0.5 < np.linalg.norm(mine) / np.linalg.norm(truth) < 1.1
    # Of a stranger nothing is known but that they are far from nobody in particular.
    mean, covariance = belief.moments(np.eye(D), "new")
    assert np.abs(mean).max() < 0.7
    assert np.sqrt(np.diag(covariance)).min() > 0.4


def test_people_of_a_kind_keep_what_sets_them_apart_from_it():
    rng = np.random.default_rng(4)
    learner = OnlineKinds(several_kinds(nothing(apart=1.0), 2, scale=2.0))
    common, own = np.array([2.0, -2.0, 1.0]), np.array([0.0, 0.0, 2.0])
    for _ in range(25):
        learner.learn(*rewarded(rng, common), person="ann")
        learner.learn(*rewarded(rng, common + own), person="bob")
        learner.learn(*rewarded(rng, -common), person="cid")
    mean = {who: learner.moments(np.eye(D), who)[0] for who in ("ann", "bob", "cid")}
    np.testing.assert_allclose(mean["bob"] - mean["ann"], own, atol=0.5)
    np.testing.assert_allclose(mean["cid"], -common, atol=0.5)


def test_whoever_is_forgotten_is_a_stranger_again():
    learner, _ = opposed(
        OnlineKinds(several_kinds(nothing((Choice(),), apart=0.5), 2, scale=2.0)), 4
    )
    before = learner.belief_
    learner.forget("p1")
    after = learner.belief_
    np.testing.assert_allclose(after.weights_of("p1"), after.shares)
    np.testing.assert_allclose(after.crowd, before.crowd - before.weights_of("p1"))
    for found, expected in zip(after.moments(np.eye(D), "p1"), after.moments(np.eye(D), "new")):
        np.testing.assert_array_equal(found, expected)


def test_a_saved_belief_goes_on_with_the_same_bits(tmp_path):
    first = nothing((Choice(),), apart=0.5, half_life=30.0)
    whole, _ = opposed(OnlineKinds(several_kinds(first, 2, scale=2.0)), 2)
    whole.belief_.save(tmp_path)
    again = OnlineKinds(load_value(tmp_path))
    opposed(whole, 2)
    opposed(again, 2)
    np.testing.assert_array_equal(whole.belief_.worths.law.mean, again.belief_.worths.law.mean)
    np.testing.assert_array_equal(whole.belief_.crowd, again.belief_.crowd)
    assert again.belief_.num_answers == 40


def test_whoever_was_surely_of_one_kind_can_turn_out_to_be_of_another():
    learner = OnlineKinds(several_kinds(nothing(), 2, scale=2.0))
    rng, worths = np.random.default_rng(6), np.array([5.0, -5.0, 5.0])
    for sign in (1, -1):
        for _ in range(15):
            learner.learn(*rewarded(rng, sign * worths), person=f"{sign}")
    for _ in range(25):
        learner.learn(*rewarded(rng, worths), person="ann")
    first = learner.belief_.weights_of("ann")
    assert first.min() > 0
    for _ in range(40):
        learner.learn(*rewarded(rng, -worths), person="ann")
    assert learner.belief_.weights_of("ann").argmax() != first.argmax()
