"""Scores that drift: laws, the joint mode by brute force, truth, and how far one pass strays."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.votes_drift import DriftConfig, begin, fit_drift
from penchant.fitting.votes_pooled import VotesConfig, fit_votes
from penchant.simulation.votes import VoteWorld, simulate_votes

MODEL = GapModel(ties="davidson")


def world(seed=0, **sizes):
    defaults = {"num_items": 6, "num_votes": 2000, "log_tie": -0.7, "num_times": 12, "drift": 0.2}
    return simulate_votes(VoteWorld(**(defaults | sizes)), np.random.default_rng(seed))


def test_without_drift_it_is_the_fit_of_all_votes_at_once():
    votes = world(0, coefficients=(0.3,)).votes
    config = DriftConfig(model=MODEL, drift=0.0, start_scale=300.0)
    found, plain = fit_drift(votes, config), fit_votes(votes, VotesConfig(model=MODEL))
    assert found.converged
    np.testing.assert_allclose(found.path[-1], plain.strengths, atol=1e-4)
    np.testing.assert_allclose(found.path[0], found.path[-1], atol=1e-6)
    np.testing.assert_allclose(found.path_se[-1], plain.strength_se, rtol=1e-3)
    np.testing.assert_allclose(found.coefficients, plain.coefficients, atol=1e-4)
    np.testing.assert_allclose(found.coefficient_se, plain.coefficient_se, rtol=1e-3)


def test_the_path_is_the_mode_that_brute_force_finds():
    made = world(1, num_items=3, num_votes=60, num_times=4, log_tie=None)
    votes, config = (
        made.votes,
        DriftConfig(model=GapModel(), drift=0.5, start_scale=2.0, period=1.0),
    )
    found = fit_drift(votes, config)
    first, second, time = votes.first, votes.second, votes.time.astype(int)

    def loss(flat):
        path = flat.reshape(4, 3)
        gap = path[time, first] - path[time, second]
        sign = np.where(votes.share == 1.0, 1.0, -1.0)
        prior = np.sum(path[0] ** 2) / 4.0 + np.sum(np.diff(path, axis=0) ** 2) / 0.25
        return np.sum(np.log1p(np.exp(-sign * gap))) + 0.5 * prior

    best = minimize(loss, np.zeros(12), method="BFGS", options={"gtol": 1e-8}).x.reshape(4, 3)
    np.testing.assert_allclose(found.path, best - best.mean(axis=1, keepdims=True), atol=1e-5)
    # The curvature at the mode, votes and walk, inverted in one piece.
    walk = np.kron(np.diff(np.eye(4), axis=0).T @ np.diff(np.eye(4), axis=0), np.eye(3)) / 0.25
    walk[:3, :3] += np.eye(3) / 4.0
    chance = 1.0 / (1.0 + np.exp(best[time, second] - best[time, first]))
    away = np.eye(12)[3 * time + first] - np.eye(12)[3 * time + second]
    covariance = np.linalg.inv(walk + (away * (chance * (1.0 - chance))[:, None]).T @ away)
    centre = np.kron(np.eye(4), np.eye(3) - 1.0 / 3.0)
    se = np.sqrt(np.diag(centre @ covariance @ centre)).reshape(4, 3)
    np.testing.assert_allclose(found.path_se, se, rtol=1e-4)


def test_truth_is_recovered_within_the_stated_doubt():
    z, drifts, p_values = [], [], []
    for seed in range(6):
        made = world(seed, num_times=8, num_votes=1200)
        found = fit_drift(made.votes, DriftConfig(model=MODEL))
        truth = made.scores[0][found.times.astype(int)]
        z.append((found.path - truth) / found.path_se)
        drifts.append(found.drift)
        p_values.append(found.p_value)
    assert 0.8 < np.sqrt(np.mean(np.square(z))) < 1.2
    assert np.median(p_values) < 0.05
    assert np.mean(drifts) == pytest.approx(0.2, abs=0.06)


def test_scores_that_stand_still_are_rarely_said_to_drift():
    p_values = [
        fit_drift(
            world(seed, drift=0.0, num_votes=300, num_times=4).votes, DriftConfig(model=MODEL)
        ).p_value
        for seed in range(10)
    ]
    assert np.sum(np.array(p_values) < 0.05) <= 2
    assert np.sum(np.array(p_values) == 1.0) >= 3


def away(standing, whole):
    """How far its scores are from the end of the path of all votes, in standard errors, at most."""
    return float(np.max(np.abs(standing.strengths - whole.path[-1]) / standing.strength_se))


def time_by_time(standing, votes):
    for time in np.unique(votes.time):
        standing = standing.update(votes.take(np.flatnonzero(votes.time == time)))
    return standing


def test_the_distance_that_a_fit_states_is_that_of_one_pass_over_its_votes():
    config = DriftConfig(model=MODEL, drift=0.2)
    for seed in range(8):
        votes = world(seed, num_votes=200).votes
        whole = fit_drift(votes, config)
        assert away(time_by_time(begin(votes, config), votes), whole) == pytest.approx(
            whole.distance
        )
        # What is known now is the path's end, not the pass's.
        np.testing.assert_allclose(whole.now.strengths, whole.path[-1], atol=1e-9)
        np.testing.assert_allclose(whole.now.strength_se, whole.path_se[-1], atol=1e-9)


def test_updates_after_a_fit_stray_less_than_a_pass_from_nothing():
    config, passed, updated = DriftConfig(model=MODEL, drift=0.2, period=1.0), [], []
    for seed in range(12):
        votes = world(seed, num_votes=300).votes
        early, late = np.flatnonzero(votes.time < 8), np.flatnonzero(votes.time >= 8)
        whole = fit_drift(votes, config)
        standing = fit_drift(votes.take(early), config).now
        updated.append(away(standing.update(votes.take(late), period=1.0), whole))
        passed.append(whole.distance)
    assert np.mean(updated) < 0.8 * np.mean(passed)


def test_votes_one_at_a_time_stay_near_the_fit_of_all():
    votes = world(3, num_votes=300, num_times=1, drift=0.0).votes
    votes = replace(votes, time=np.arange(300.0))
    config = DriftConfig(model=MODEL, drift=0.0)
    standing = begin(votes, config)
    for vote in range(300):
        standing = standing.update(votes.take(np.array([vote])))
    whole = fit_drift(votes, config)
    apart = (standing.strengths - whole.path[-1]) / whole.path_se[-1]
    assert np.max(np.abs(apart)) < 0.34
    assert np.max(np.abs(standing.strength_se / whole.path_se[-1] - 1.0)) < 0.1


def test_one_update_with_all_votes_is_their_fit():
    votes = world(4, num_votes=200).votes
    config = DriftConfig(model=MODEL, drift=0.2)
    at_once, whole = begin(votes, config).update(votes), fit_drift(votes, config)
    np.testing.assert_allclose(at_once.strengths, whole.path[-1], atol=1e-9)
    np.testing.assert_allclose(at_once.strength_se, whole.path_se[-1], atol=1e-9)


def test_the_more_votes_an_update_brings_the_nearer_it_ends_to_the_fit_of_all():
    config, singly, together = DriftConfig(model=MODEL, drift=0.2), [], []
    for seed in range(8):
        votes = world(seed, num_votes=300).votes
        late = votes.take(np.flatnonzero(votes.time >= 4))
        now = fit_drift(votes.take(np.flatnonzero(votes.time < 4)), config).now
        whole = fit_drift(votes, config)
        singly.append(away(time_by_time(now, late), whole))
        together.append(away(now.update(late), whole))
    assert np.mean(together) < 0.8 * np.mean(singly)


def test_the_order_within_a_period_and_splitting_votes_change_nothing():
    votes = world(5).votes
    order = np.random.default_rng(0).permutation(len(votes))
    twice = votes.take(np.repeat(order, 2))
    moved = replace(twice, weight=np.tile([0.25, 0.75], len(votes)))
    config = DriftConfig(model=MODEL, drift=0.2)
    base, found = fit_drift(votes, config), fit_drift(moved, config)
    np.testing.assert_allclose(found.path, base.path, atol=1e-8)
    np.testing.assert_allclose(found.path_se, base.path_se, atol=1e-8)


def test_an_item_that_comes_late_starts_from_nothing_and_finds_its_place():
    votes = world(6, drift=0.0).votes
    without = votes.take(np.flatnonzero((votes.first != 5) & (votes.second != 5)))
    trimmed = replace(without, items=votes.items[:5])
    config = DriftConfig(model=MODEL, drift=0.0)
    standing = begin(trimmed, config).update(trimmed)
    with_it = votes.take(np.flatnonzero((votes.first == 5) | (votes.second == 5)))
    after = standing.update(replace(with_it, time=np.full(len(with_it), 99.0)))
    assert after.items == votes.items
    plain = fit_votes(votes, VotesConfig(model=MODEL))
    np.testing.assert_allclose(after.strengths, plain.strengths, atol=0.1)


def test_votes_without_times_older_ones_and_bad_settings_are_refused_in_words():
    votes = world(7).votes
    with pytest.raises(DataError, match="no times"):
        fit_drift(replace(votes, time=None), DriftConfig(model=MODEL))
    standing = fit_drift(votes, DriftConfig(model=MODEL, drift=0.1)).now
    with pytest.raises(DataError, match="came after"):
        standing.update(replace(votes, time=votes.time - 100.0))
    other = replace(votes, covariates=np.zeros((2000, 1)), covariate_names=("long",))
    with pytest.raises(DataError, match="covariates"):
        standing.update(replace(other, time=votes.time + 100.0))
    for bad in ({"drift": -1.0}, {"period": 0.0}, {"start_scale": 0.0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            DriftConfig(model=MODEL, **bad)
