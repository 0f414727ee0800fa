"""A bandit decides, is paid and learns; bad input is refused in so many words."""

import pickle

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.play import play
from penchant.policies.bandits.linear import LinearBandit, expected_share
from penchant.policies.bandits.rules import (
    EpsilonGreedy,
    Greedy,
    InverseGap,
    InverseGapLoss,
    Softmax,
    Thompson,
    UpperConfidence,
)
from penchant.simulation.arms import bernoulli_arms, labelled_arms, linear_arms

RULES = [
    Greedy(),
    EpsilonGreedy(),
    Softmax(),
    UpperConfidence(),
    Thompson(),
    InverseGap(),
    InverseGapLoss(),
]


def in_numpy(bandit):
    """The same bandit without compiled loops."""
    bandit._is_compiled = False
    bandit._weights.is_compiled = False
    return bandit


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_a_bandit_in_loops_is_the_bandit_in_numpy(rule, is_binary):
    # Rewards of 0 or 1 where a rule counts in losses.
    is_share = is_binary or isinstance(rule, InverseGapLoss)
    world = linear_arms(4, 3, 150, np.random.default_rng(1), law="binary" if is_share else "normal")
    noise = {} if is_binary else {"noise": 0.3}
    make = lambda: LinearBandit("abcd", 3, rule=rule, is_binary=is_binary, **noise)  # noqa: E731
    fast, slow = play(make(), world), play(in_numpy(make()), world)
    np.testing.assert_array_equal(fast.arm, slow.arm)
    # The last digit of a mean may move a point of Thompson's integral across an arm's edge.
    near = 1e-4 if isinstance(rule, Thompson) else 1e-8
    np.testing.assert_allclose(fast.probability, slow.probability, atol=near)


@pytest.mark.parametrize("width", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("kind", [UpperConfidence, Thompson])
def test_arms_left_out_by_a_bound_of_their_spread_would_not_have_been_played(kind, width):
    """Of forty arms most are far from the best; the belief's own moments know of no bound."""
    world, rule = linear_arms(40, 6, 400, np.random.default_rng(2)), kind(width=width)
    bandit = LinearBandit([str(a) for a in range(40)], 6, rule=rule, noise=0.1)
    rng = np.random.default_rng(3)
    for t, context in enumerate(world.contexts):
        is_offered = rng.random(40) < 0.7
        mean, spread = bandit.belief_.moments(context[None])
        slow = rule.probabilities(mean, spread, is_offered[None], t + 1)[0]
        decision = bandit.decide(context, [str(a) for a in np.flatnonzero(is_offered)])
        np.testing.assert_allclose(decision.probabilities, slow, atol=1e-6)
        bandit.update(decision, float(world.paid[t, decision.place]))


@pytest.mark.parametrize(
    "rule", [r for r in RULES if not isinstance(r, Softmax)], ids=lambda r: type(r).__name__
)
@pytest.mark.parametrize("law", ["normal", "binary"])
def test_every_rule_beats_chance_in_every_world(rule, law):
    if isinstance(rule, InverseGapLoss) and law == "normal":
        pytest.skip("counts in losses of 0 to 1")
    chance, found = [], []
    for seed in range(3):
        world = linear_arms(5, 4, 1500, np.random.default_rng(seed), law=law)
        bandit = LinearBandit("abcde", 4, rule=rule, is_binary=law == "binary")
        found.append(play(bandit, world).regret[-500:].mean())
        chance.append((world.expected.max(axis=1) - world.expected.mean(axis=1))[-500:].mean())
    assert np.mean(found) < 0.5 * np.mean(chance)


def test_regret_of_optimism_grows_ever_more_slowly():
    world = linear_arms(5, 4, 4000, np.random.default_rng(0), noise=0.5)
    regret = play(LinearBandit("abcde", 4, noise=0.5), world).regret
    assert regret[2000:].sum() < 0.35 * regret[:2000].sum()


def test_arms_are_played_as_often_as_their_probability_says():
    bandit = LinearBandit("abc", 1, rule=Softmax(temperature=0.5), random_state=3)
    for arm, reward in zip("abc", (0.0, 0.3, 0.6)):
        for _ in range(50):
            bandit.learn(np.ones(1), arm, reward)
    decisions = [bandit.decide(np.ones(1)) for _ in range(5000)]
    count = np.bincount([decision.place for decision in decisions], minlength=3)
    p = decisions[0].probabilities
    assert (np.abs(count - 5000 * p) < 4 * np.sqrt(5000 * p * (1 - p))).all()
    assert all(d.probability == d.probabilities[d.place] for d in decisions)


def test_the_same_seed_decides_the_same():
    world = labelled_arms(3, 4, 300, np.random.default_rng(0))
    make = lambda seed: LinearBandit("abc", 4, rule=EpsilonGreedy(epsilon=0.5), random_state=seed)  # noqa: E731
    first, again, other = (play(make(seed), world).arm for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_only_what_is_offered_is_played_and_late_answers_count():
    bandit = LinearBandit(("left", "right", "up"), 2, rule=EpsilonGreedy(epsilon=1.0))
    decisions = [bandit.decide(np.ones(2), offered=["up", "left"]) for _ in range(50)]
    assert {decision.arm for decision in decisions} == {"up", "left"}
    assert all(decision.probabilities[1] == 0 for decision in decisions)
    for decision in reversed(decisions):
        bandit.update(decision, 1.0 if decision.arm == "up" else 0.0)
    belief = bandit.belief_
    assert belief.arms == ("left", "right", "up")
    assert belief.rounds.sum() == 50
    assert belief.moments(np.ones((1, 2)))[0].argmax() == 2


def test_an_array_used_again_does_not_change_what_was_decided_on():
    bandit, context = LinearBandit("ab", 2), np.array([1.0, 0.0])
    decision = bandit.decide(context)
    context[:] = [0.0, 1.0]
    bandit.update(decision, 2.0)
    mean = bandit.belief_.mean[decision.place]
    np.testing.assert_allclose(mean, [1.0, 0.0])


def test_a_bandit_can_be_put_away_and_taken_up_again():
    world = linear_arms(3, 2, 60, np.random.default_rng(0))
    bandit = LinearBandit("abc", 2, rule=Thompson())
    play(bandit, world)
    again = pickle.loads(pickle.dumps(bandit))
    np.testing.assert_array_equal(play(bandit, world).arm, play(again, world).arm)


@pytest.mark.parametrize("rule", [UpperConfidence(), Thompson()])
def test_an_arm_that_got_better_is_found_again_where_the_past_is_forgotten(rule):
    rng, found = np.random.default_rng(0), []
    bandit = LinearBandit("ab", 1, rule=rule, noise=0.1, prior_precision=0.01, forgetting=0.97)
    for t in range(1200):
        decision = bandit.decide(np.ones(1))
        worth = {"a": 0.0 if t < 400 else 1.0, "b": 0.5}[decision.arm]
        bandit.update(decision, worth + 0.1 * rng.normal())
        found.append(decision.arm)
    assert found[300:400].count("b") > 80
    assert found[-300:].count("a") > 250


def test_inverse_gaps_in_losses_want_rewards_that_are_shares():
    bandit = LinearBandit("ab", 2, rule=InverseGapLoss())
    with pytest.raises(DataError, match="Rescale"):
        bandit.learn(np.ones(2), "a", 5.0)


def test_an_answer_that_never_comes_teaches_nothing():
    bandit = LinearBandit("ab", 2)
    bandit.decide(np.ones(2))
    assert bandit.belief_.rounds.sum() == 0


def test_a_new_arm_starts_from_the_prior_and_the_others_stay_as_they_were():
    bandit = LinearBandit("ab", 2)
    bandit.learn(np.ones(2), "a", 1.0)
    before = bandit.belief_
    bandit.add_arms(["c"])
    after = bandit.belief_
    np.testing.assert_array_equal(after.mean[:2], before.mean)
    assert (after.mean[2] == 0).all()
    assert len(bandit.decide(np.ones(2)).probabilities) == 3


def test_the_expected_share_is_the_average_over_doubt():
    mean, spread = np.array([-2.0, 0.0, 1.5, 4.0]), np.array([0.1, 3.0, 1.0, 2.5])
    draws = mean + spread * np.random.default_rng(0).normal(size=(200_000, 4))
    np.testing.assert_allclose(
        expected_share(mean, spread), (1 / (1 + np.exp(-draws))).mean(axis=0), atol=0.012
    )


def test_rules_that_count_in_rewards_are_given_expected_shares_not_log_odds():
    bandit = LinearBandit("abc", 2, rule=InverseGapLoss(gamma=20.0), is_binary=True)
    rng = np.random.default_rng(4)
    for arm, share in zip("abc", (0.3, 0.6, 0.9)):
        for _ in range(40):
            bandit.learn(np.array([1.0, rng.normal()]), arm, float(rng.random() < share))
    context = np.array([[1.0, 0.5]])
    mean, spread = bandit.belief_.moments(context)
    expected = InverseGapLoss(gamma=20.0).probabilities(
        expected_share(mean[0], spread[0])[None], spread, np.ones((1, 3), dtype=bool), 1
    )
    np.testing.assert_allclose(bandit.decide(context[0]).probabilities, expected[0], atol=1e-9)


def test_thompson_loses_what_the_textbook_says_and_greed_far_more():
    """Five arms, a gap of 0.2, 1,000 rounds: some 30; whoever never explores may never find it."""
    regret = {"thompson": [], "greedy": []}
    for seed in range(30):
        probability = np.full(5, 0.4)
        probability[seed % 5] = 0.6
        world = bernoulli_arms(probability, 1000, np.random.default_rng(seed))
        for name, rule in (("thompson", Thompson()), ("greedy", Greedy())):
            bandit = LinearBandit(
                "abcde", 1, rule=rule, noise=0.5, prior_precision=0.25, random_state=seed
            )
            regret[name].append(play(bandit, world).regret.sum())
    assert 25 < np.mean(regret["thompson"]) < 40
    assert np.mean(regret["greedy"]) > 2 * np.mean(regret["thompson"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"arms": "a"}, "two or more"),
        ({"arms": "aba"}, "named twice"),
        ({"arms": "ab", "noise": 0.0}, "noise is 0.0"),
        ({"arms": "ab", "noise": 2.0, "is_binary": True}, "Leave it out"),
        ({"arms": "ab", "forgetting": 2.0}, "forgetting is 2.0"),
    ],
)
def test_what_cannot_be_is_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        LinearBandit(num_features=2, **arguments)


@pytest.mark.parametrize(
    "bad", [np.array([1.0, np.nan]), np.array([np.inf, 1.0]), np.array([1e200, 1.0])]
)
@pytest.mark.parametrize("rule", [UpperConfidence(), Thompson(), InverseGap(), Softmax()])
@pytest.mark.parametrize("has_loops", [True, False])
def test_a_context_that_is_no_number_is_refused(bad, rule, has_loops):
    bandit = LinearBandit("ab", 2, rule=rule)
    if not has_loops:
        in_numpy(bandit)
    bandit.learn(np.array([1.0, 0.5]), "a", 1.0)
    bandit.learn(np.array([0.2, 0.5]), "b", 0.5)
    with pytest.raises(DataError, match="finite"):
        bandit.decide(bad)
    with pytest.raises(DataError, match="finite"):
        bandit.learn(bad, "a", 1.0)
    assert np.isfinite(bandit.belief_.mean).all()


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda b: b.decide(np.ones(3)), r"shape \(3,\); expected \(2,\)"),
        (lambda b: b.decide(np.ones(2), offered=[]), "one or more"),
        (lambda b: b.decide(np.ones(2), offered=["z"]), "not \\['z'\\]"),
        (lambda b: b.learn(np.ones(2), "z", 1.0), "'z' is unknown"),
        (lambda b: b.learn(np.ones(2), "a", float("nan")), "left out"),
        (lambda b: b.update(b.decide(np.ones(2)), float("inf")), "finite"),
        (lambda b: b.learn(np.ones(2), "a", 1.0, weight=-1.0), "not below 0"),
    ],
)
def test_bad_input_says_what_was_expected(do, said):
    with pytest.raises(DataError, match=said):
        do(LinearBandit("ab", 2))


def test_a_yes_or_no_is_no_other_number():
    with pytest.raises(DataError, match="is_binary"):
        LinearBandit("ab", 2, is_binary=True).learn(np.ones(2), "a", 5.0)
