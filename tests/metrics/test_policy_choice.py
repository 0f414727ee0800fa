"""Many policies on one log: what is claimed of all of them holds for all at once."""

import numpy as np
from scipy.special import stdtrit

from penchant.metrics.intervals import clustered_mean
from penchant.metrics.policy_choice import choose_policy, joint_mean


def worlds(num_policies, num_rounds, rng):
    shared = rng.normal(size=num_rounds)
    return 0.7 * shared + rng.normal(size=(num_policies, num_rounds)), shared


def test_with_twenty_equal_policies_few_worlds_have_any_false_claim():
    rng = np.random.default_rng(0)
    false_ends = false_best = false_better = 0
    for _ in range(40):
        terms, logged = worlds(20, 300, rng)
        found = choose_policy(terms, logged, np.arange(300), rng)
        false_ends += bool(((found.low > 0) | (found.high < 0)).any())
        false_best += not found.may_be_best.all()
        false_better += bool(found.beats_logged.any())
    for false in (false_ends, false_best, false_better):
        assert false <= 0.15 * 40


def test_a_better_policy_is_found_and_its_low_end_is_lower_than_alone():
    rng = np.random.default_rng(1)
    terms, logged = worlds(6, 2000, rng)
    terms[4] += 0.4
    found = choose_policy(terms, logged, np.arange(2000), rng)
    assert found.best == 4
    assert found.may_be_best.tolist() == [False] * 4 + [True, False]
    assert found.beats_logged[4]
    alone = clustered_mean(terms[4], np.arange(2000))
    assert found.best_low < alone.low < alone.high < found.high[4]


def test_among_few_people_little_is_surely_best():
    # With normal quantiles 45 of these worlds had a false end and 17 a false winner.
    rng = np.random.default_rng(4)
    people, worlds_with_false_ends, false_better = np.repeat(np.arange(5), 30), 0, 0
    for _ in range(200):
        own = rng.normal(size=(4, 5))[:, people]
        found = choose_policy(own, np.zeros(150), people, rng)
        worlds_with_false_ends += bool(((found.low > 0) | (found.high < 0)).any())
        false_better += bool(found.beats_logged.any())
    assert worlds_with_false_ends <= 0.085 * 200
    assert false_better <= 0.085 * 200
    alone = choose_policy(own, np.zeros(150), np.zeros(150, dtype=int), rng)
    assert np.isnan(alone.low).all()
    assert alone.may_be_best.all()
    assert not alone.beats_logged.any()


def test_equal_terms_are_never_called_different():
    rng = np.random.default_rng(2)
    terms = np.tile(rng.normal(size=400), (3, 1))
    found = choose_policy(terms, terms[0], np.arange(400), rng)
    assert found.may_be_best.all()
    assert not found.beats_logged.any()


def test_the_joint_covariance_has_the_clustered_errors_on_its_diagonal():
    rng = np.random.default_rng(3)
    terms, cluster = rng.normal(size=(2, 90)), np.repeat(np.arange(30), 3)
    weight = rng.random(90)
    mean, covariance = joint_mean(terms, cluster, weight)
    for m in range(2):
        one = clustered_mean(terms[m], cluster, weight, level=0.5)
        wide = clustered_mean(terms[m], cluster, weight, level=0.9)
        ratio = (wide.high - wide.low) / (one.high - one.low)
        assert np.isclose(mean[m], one.estimate)
        assert np.isclose(ratio, stdtrit(29, 0.95) / stdtrit(29, 0.75))
        assert np.isclose(wide.high - mean[m], stdtrit(29, 0.95) * np.sqrt(covariance[m, m]))


def test_a_policy_named_twice_or_the_log_among_policies_hides_no_difference():
    """Differences of nothing but rounding have no error; what is sure without them stays so."""
    rng = np.random.default_rng(4)
    terms, logged = worlds(3, 2000, rng)
    terms[1] += 0.4
    plain = choose_policy(terms, logged, np.arange(2000), rng)
    more = np.vstack([terms, terms[1] * (1 + 1e-15), logged])
    found = choose_policy(more, logged, np.arange(2000), rng)
    np.testing.assert_array_equal(found.beats_logged[:3], plain.beats_logged)
    np.testing.assert_array_equal(found.may_be_best[:3], plain.may_be_best)
    assert found.beats_logged[[1, 3]].all()
    assert found.may_be_best[[1, 3]].all()
    assert not found.beats_logged[4]


def test_a_policy_that_earns_the_same_more_in_every_round_is_surely_better():
    rng = np.random.default_rng(0)
    logged = rng.normal(size=400)
    found = choose_policy(np.stack([logged, logged + 0.1]), logged, np.arange(400), rng)
    np.testing.assert_array_equal(found.beats_logged, [False, True])
    np.testing.assert_array_equal(found.may_be_best, [False, True])
