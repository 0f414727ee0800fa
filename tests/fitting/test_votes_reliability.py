"""Voters who differ: laws, brute force on few votes, truth recovered, and what is said of them."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting import votes_reliability
from penchant.fitting.vote_rows import vote_rows
from penchant.fitting.voter_posteriors import VoterProblem, improve_modes, posteriors
from penchant.fitting.voter_remarks import describe_voters
from penchant.fitting.votes_pooled import VotesConfig, fit_votes, prepare
from penchant.fitting.votes_reliability import VotersConfig, fit_voters
from penchant.populations.voters import Voters
from penchant.simulation.votes import VoteWorld, simulate_votes

DAVIDSON = VotesConfig(model=GapModel(ties="davidson"))


def world(seed=0, **sizes):
    defaults = {
        "num_items": 8,
        "num_votes": 4000,
        "log_tie": -0.7,
        "num_voters": 150,
        "reliability_spread": 0.7,
        "bias_mean": 0.3,
        "bias_spread": 0.5,
        "tie_spread": 0.8,
    }
    return simulate_votes(VoteWorld(**(defaults | sizes)), np.random.default_rng(seed))


def test_truth_is_recovered_within_the_stated_errors():
    z_scores, z_voters, spreads, biases = [], [], [], []
    for seed in range(6):
        made = world(seed, num_items=12, num_votes=6000, num_voters=250)
        found = fit_voters(made.votes, DAVIDSON)
        assert found.fit.converged
        z_scores.append((found.fit.strengths - made.scores[0, 0]) / found.fit.strength_se)
        z_voters.append((found.mean - made.voters) / found.sd)
        spreads.append(found.population.spreads)
        biases.append(found.population.bias_mean)
    assert 0.75 < np.sqrt(np.mean(np.square(z_scores))) < 1.25
    # A voter's own effects are posterior means, the spreads taken as known.
    z = np.sqrt(np.mean(np.square(z_voters), axis=(0, 1)))
    assert np.all((z > 0.85) & (z < 1.2))
    np.testing.assert_allclose(np.mean(spreads, axis=0), (0.7, 0.5, 0.8), atol=0.07)
    assert np.mean(biases) == pytest.approx(0.3, abs=0.04)


def test_the_marginal_likelihood_is_that_of_brute_force():
    made = world(2, num_votes=60, num_voters=6, num_items=4)
    rows = vote_rows(made.votes, by_voter=True)
    density, _, _ = prepare(rows, made.votes, DAVIDSON)
    theta = np.concatenate([made.scores[0, 0], [-0.7]])
    voters = Voters(
        effects=("reliability", "bias", "ties"), bias_mean=0.3, spreads=np.array([0.7, 0.5, 0.8])
    )
    problem = VoterProblem(
        rows=rows,
        model=density.model,
        gap=density.core_gap(theta),
        own=density.own(theta),
        voters=voters,
    )
    modes, curvature = improve_modes(problem, np.tile(voters.means, (6, 1)), 20)
    found = posteriors(problem, modes, curvature)
    line = np.linspace(-5, 5, 41)
    grid = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    weight = np.exp(-0.5 * (grid**2).sum(axis=1))
    weight /= weight.sum()
    effects = voters.means + voters.spreads * grid
    for voter in range(6):
        mine = rows.voter == voter
        heard = np.exp(effects[:, 0]) * problem.gap[mine, None] + effects[:, 1]
        own = np.broadcast_to(-0.7 + effects[:, 2], (mine.sum(), 1, len(grid)))
        logs = density.model.log_prob(heard, rows.answer[mine], own)
        joint = weight * np.exp(rows.weight[mine] @ logs)
        assert found.log_likelihood[voter] == pytest.approx(np.log(joint.sum()), abs=0.02)
        mean = joint @ effects / joint.sum()
        np.testing.assert_allclose(found.mean[voter], mean, atol=0.06)


def test_voters_all_alike_are_one_voter():
    made = world(3, reliability_spread=0.0, bias_spread=0.0, bias_mean=0.0, tie_spread=0.0)
    found, plain = fit_voters(made.votes, DAVIDSON), fit_votes(made.votes, DAVIDSON)
    assert np.all(found.population.spreads < 0.25)
    np.testing.assert_allclose(found.fit.strengths, plain.strengths, atol=0.05)
    one = replace(made.votes, voter=np.zeros(len(made.votes), dtype=np.int64), voters=("all",))
    alone = fit_voters(one, DAVIDSON, VotersConfig(effects=("reliability",)))
    ratio = alone.fit.strengths / plain.strengths
    # One voter's reliability is the scale of the scores, so that only its ratio is left open.
    np.testing.assert_allclose(ratio, ratio[0], rtol=0.02)


def test_relabelling_and_splitting_and_an_idle_voter_change_nothing():
    made = world(4, num_votes=1500, num_voters=60).votes
    base = fit_voters(made, DAVIDSON)
    order = np.random.default_rng(0).permutation(60)
    renamed = replace(
        made, voter=np.argsort(order)[made.voter], voters=tuple(made.voters[v] for v in order)
    )
    twice = renamed.take(np.repeat(np.arange(len(made)), 2))
    split = replace(
        twice,
        weight=np.tile([0.25, 0.75], len(made)),
        voters=(*twice.voters, "never came"),
    )
    moved = fit_voters(split, DAVIDSON)
    np.testing.assert_allclose(moved.fit.strengths, base.fit.strengths, atol=1e-8)
    np.testing.assert_allclose(moved.mean[:-1], base.mean[order], atol=1e-8)
    np.testing.assert_allclose(moved.mean[-1], (0.0, moved.population.bias_mean, 0.0), atol=1e-8)


def test_showing_every_pair_the_other_way_round_turns_the_bias_and_nothing_else():
    made = world(5, num_votes=1500, num_voters=60).votes
    turned = replace(made, first=made.second, second=made.first, share=1.0 - made.share)
    base, found = fit_voters(made, DAVIDSON), fit_voters(turned, DAVIDSON)
    np.testing.assert_allclose(found.fit.strengths, base.fit.strengths, atol=1e-6)
    np.testing.assert_allclose(found.mean[:, 1], -base.mean[:, 1], atol=1e-6)
    np.testing.assert_allclose(found.mean[:, [0, 2]], base.mean[:, [0, 2]], atol=1e-6)


def test_the_observed_information_is_the_slope_of_the_marginal_gradient():
    made = world(6, num_votes=2000, num_voters=100, num_items=5)
    density, _, _ = prepare(vote_rows(made.votes, by_voter=True), made.votes, DAVIDSON)
    theta = np.concatenate([made.scores[0, 0], [-0.7]])
    voters = Voters(effects=("reliability", "bias"), bias_mean=0.3, spreads=np.array([0.7, 0.5]))

    def at(theta):
        problem = VoterProblem(
            rows=density.rows,
            model=density.model,
            gap=density.core_gap(theta),
            own=density.own(theta),
            voters=voters,
        )
        modes = np.tile(voters.means, (100, 1))
        found = posteriors(problem, *improve_modes(problem, modes, 20))
        response = votes_reliability.average_response(problem, found)
        return problem, found, response, density.gradient(theta, response)

    problem, found, response, _ = at(theta)
    factor = votes_reliability._observed(density, problem, found, response)
    information = np.linalg.inv(factor.covariance(np.arange(6)))
    information[:5, :5] -= 1.0 / 5.0  # what holds the sum of the scores
    slopes = np.empty((6, 6))
    for place in range(6):
        step = 1e-4 * np.eye(6)[place]
        slopes[place] = (at(theta - step)[3] - at(theta + step)[3]) / 2e-4
    np.testing.assert_allclose(information, slopes, atol=0.01 * np.abs(slopes).max())
    complete = np.linalg.inv(density.factorise(response).covariance(np.arange(6)))
    assert np.max(np.abs(complete - information)) > 0.03 * np.abs(slopes).max()


def test_known_voters_are_foretold_better_than_all_alike():
    made = world(7, num_votes=9000)
    train, test = made.votes.take(np.arange(6000)), made.votes.take(np.arange(6000, 9000))
    found, plain = fit_voters(train, DAVIDSON), fit_votes(train, DAVIDSON)
    gain = found.log_prob(test).mean() - plain.log_prob(test).mean()
    assert gain > 0.02
    strangers = replace(test, voters=tuple(f"new {v}" for v in range(150)))
    assert found.log_prob(strangers).mean() < found.log_prob(test).mean() - 0.02
    probabilities = [
        np.exp(found.log_prob(replace(test, tie=np.full(3000, tie), share=np.full(3000, share))))
        for tie, share in ((False, 1.0), (False, 0.0), (True, 0.0))
    ]
    np.testing.assert_allclose(np.sum(probabilities, axis=0), 1.0, atol=1e-9)


def spoiled(made, rng):
    """Three voters more: one at random, one always the first, one ties most."""
    count = 1500
    first = rng.integers(0, 8, count)
    extra = {
        "first": first,
        "second": (first + rng.integers(1, 8, count)) % 8,
        "voter": 150 + np.arange(count) % 3,
    }
    kind = extra["voter"] - 150
    extra["share"] = np.where(kind == 1, 1.0, rng.integers(0, 2, count).astype(float))
    extra["tie"] = (kind == 2) & (rng.random(count) < 0.95)
    extra["weight"] = np.ones(count)
    joined = {name: np.concatenate([getattr(made, name), extra[name]]) for name in extra}
    return replace(
        made,
        **joined,
        covariates=np.zeros((len(joined["first"]), 0)),
        voters=(*made.voters, "coin", "left", "fence"),
    )


def test_who_votes_at_random_favours_a_place_or_ties_is_named():
    made = world(8, reliability_spread=0.5, bias_mean=0.0, bias_spread=0.1, tie_spread=0.2)
    found = fit_voters(spoiled(made.votes, np.random.default_rng(0)), DAVIDSON)
    told = describe_voters(found)
    assert any("`coin`" in line and "random" in line for line in told)
    assert any("`left`" in line and "shown first" in line for line in told)
    assert any("`fence`" in line and "ties" in line for line in told)
    assert not any("all votes" in line for line in told)
    assert found.agreement[150] < np.nanmedian(found.agreement)


def test_voters_without_a_side_are_rarely_said_to_favour_one():
    """Few voters leave open what the typical one does, and many are looked at."""
    named = []
    for seed in range(20):
        made = world(
            seed, num_votes=600, num_voters=3, reliability_spread=0.0,
            bias_mean=0.0, bias_spread=0.0, tie_spread=0.0,
        )  # fmt: skip
        told = describe_voters(fit_voters(made.votes, DAVIDSON))
        named.append(any("favours" in line for line in told))
    assert sum(named) <= 2


def test_one_voter_with_half_the_votes_is_named():
    made = world(9, num_votes=800, num_voters=40).votes
    busy = replace(made, voter=np.where(np.arange(800) < 400, 7, made.voter))
    told = describe_voters(fit_voters(busy, DAVIDSON))
    assert any("`voter 7`" in line and "of all votes" in line for line in told)


def test_three_equal_voters_are_no_burden_and_a_single_one_is_told():
    made = world(9, num_votes=300, num_voters=3).votes
    told = describe_voters(fit_voters(made, DAVIDSON))
    assert not any("of all votes" in line for line in told)
    single = replace(made, voter=np.zeros(300, dtype=np.int64), voters=("only",))
    told = describe_voters(fit_voters(single, DAVIDSON))
    assert any("`only` cast all votes" in line for line in told)


def test_votes_in_chunks_and_at_once_give_the_same_fit(monkeypatch):
    made = world(10, num_votes=600, num_voters=30).votes
    once = fit_voters(made, DAVIDSON)
    monkeypatch.setattr("penchant.fitting.voter_posteriors._AT_ONCE", 500)
    chunks = fit_voters(made, DAVIDSON)
    np.testing.assert_allclose(chunks.fit.strengths, once.fit.strengths, atol=1e-12)
    np.testing.assert_allclose(chunks.fit.strength_se, once.fit.strength_se, atol=1e-12)


def test_votes_without_voters_and_unknown_effects_are_refused_in_words():
    votes = Votes.from_outcomes(("a", "b"), np.array([0, 1]), np.array([1, 0]), np.array([0, 0]))
    with pytest.raises(DataError, match="no voters"):
        fit_voters(votes, VotesConfig(model=GapModel()))
    with pytest.raises(ConfigError, match="effects"):
        Voters(effects=("bias", "reliability"), bias_mean=0.0, spreads=np.ones(2))


def test_votes_that_echo_each_other_are_told_where_a_spread_meets_its_bound():
    """Thirty copies of every vote: each voter looks perfectly sure of a taste of their own."""
    world = VoteWorld(num_items=5, num_votes=200, num_voters=20)
    votes = simulate_votes(world, np.random.default_rng(0)).votes
    echoed = votes.take(np.repeat(np.arange(200), 30))
    config = VotesConfig(model=GapModel())
    told = fit_voters(echoed, config).fit.warnings
    assert any("reliability" in text and "stands at its bound" in text for text in told)
    assert not any("stands at its bound" in text for text in fit_voters(votes, config).fit.warnings)
