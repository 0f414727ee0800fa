"""Voters who rank: pairs are rankings of two, brute force on few, truth recovered, what is said."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting import ranked_reliability, ranked_voters
from penchant.fitting.ranked import RankedConfig, RankedDensity, fit_ranked
from penchant.fitting.ranked_errors import ranked_covariance
from penchant.fitting.ranked_reliability import RankersConfig, fit_rankers
from penchant.fitting.ranked_voters import RankersProblem
from penchant.fitting.voter_remarks import describe_rankers
from penchant.fitting.votes_pooled import VotesConfig
from penchant.fitting.votes_reliability import VotersConfig, fit_voters
from penchant.populations.voters import Voters

CLOSE = RankersConfig(tolerance=1e-7, rounds=400)


def made(seed=0, N=6, V=40, each=6, size=4, spread=0.7, scale=1.2, at_random=0, ties=False):
    """Rankings of some of N items by voters whose log reliability varies; the first `at_random`
    feel no difference at all. Returns them with the true strengths and log reliabilities."""
    rng = np.random.default_rng(seed)
    truth = scale * np.linspace(1, -1, N)
    reliability = spread * rng.standard_normal(V)
    reliability[:at_random] = -20.0
    voter = np.repeat(np.arange(V), each)
    item = np.array([rng.permutation(N)[:size] for _ in voter])
    worth = np.exp(reliability)[voter, None] * truth[item] + rng.gumbel(size=item.shape)
    item = np.take_along_axis(item, np.argsort(-worth, axis=1), axis=1)
    tier = np.tile(np.arange(size), (len(voter), 1))
    if ties:
        tier[::3] = np.minimum(np.arange(size), 1)
        tier[1::3] = np.maximum(np.arange(size) - 1, 0)
    rankings = Rankings(
        items=tuple("abcdefghijkl"[:N]), item=item.ravel().astype(np.int32), tier=tier.ravel(),
        start=np.arange(len(voter) + 1) * size, weight=np.ones(len(voter)), voter=voter,
        voters=tuple(f"v{v}" for v in range(V)),
    )  # fmt: skip
    return rankings, truth, reliability


def brute_force(rankings, strengths, spread, points=201):
    """The marginal log-likelihood by a fine sum over log reliability."""
    line = np.linspace(-8, 8, points) * spread
    weight = np.exp(-0.5 * (line / spread) ** 2)
    weight /= weight.sum()
    island = np.zeros(rankings.num_items, dtype=np.int64)
    total = 0.0
    for voter in np.unique(rankings.voter):
        density = RankedDensity(
            rankings.take(np.flatnonzero(rankings.voter == voter)), None, island
        )
        logs = np.array([density.log_likelihood(np.exp(a) * strengths) for a in line])
        total += np.log(weight @ np.exp(logs - logs.max())) + logs.max()
    return total


@pytest.mark.parametrize("ties", [False, True])
def test_the_likelihood_is_that_of_brute_force(ties):
    rankings, _, _ = made(2, N=4, V=10, each=4, size=3 + ties, ties=ties)
    found = fit_rankers(rankings)
    by_force = brute_force(rankings, found.strengths, found.population.spreads[0], 61)
    assert found.log_likelihood == pytest.approx(by_force, abs=0.03)


def test_the_likelihood_is_that_of_brute_force_where_few_voters_differ_widely():
    rankings, _, _ = made(3, N=6, V=8, each=6, size=4, spread=1.5, scale=2.0)
    found = fit_rankers(rankings)
    spread = found.population.spreads[0]
    assert spread > 1.2
    by_force = brute_force(rankings, found.strengths, spread, 401)
    assert found.log_likelihood == pytest.approx(by_force, abs=0.02)


@pytest.mark.parametrize("ties", [False, True])
def test_near_a_reliability_slopes_and_information_are_those_of_differences(ties):
    rankings, truth, _ = made(9, N=4, V=5, each=3, size=4, ties=ties)
    problem = RankersProblem.of(fit_ranked(rankings))
    modes = np.array([-1.0, -0.5, 0.0, 0.4, 0.8])
    voters = Voters(effects=("reliability",), bias_mean=0.0, spreads=np.array([0.6]))
    near = problem.near(truth, modes, voters)

    def value(strengths, effects):
        return problem.log_prob(strengths, effects[:, None]).ravel()

    step = 1e-3 * np.eye(5)
    slope = [(value(truth, modes + e) - value(truth, modes - e)).sum() / 2e-3 for e in step]
    np.testing.assert_allclose(near.gradient, slope - modes / 0.36, atol=1e-5)
    h, unit = 1e-3, np.eye(4)
    bend = np.empty((4, 4))
    for i in range(4):
        for j in range(4):
            a, b = h * unit[i], h * unit[j]
            four = [(a + b, 1), (a - b, -1), (b - a, -1), (-a - b, 1)]
            bend[i, j] = -sum(s * value(truth + d, modes).sum() for d, s in four) / (4 * h * h)
    # The common shift of the island, of which rankings tell nothing, is held by 1 / N.
    np.testing.assert_allclose(near.information, bend + 0.25, atol=1e-5)


def test_the_strengths_stand_at_its_top_and_their_errors_are_its_bend():
    rankings, _, _ = made(1, N=4, V=8, each=5, size=3)
    found = fit_rankers(rankings, None, CLOSE)
    spread = found.population.spreads[0]
    directions = np.linalg.svd(np.ones((1, 4)))[2][1:]
    step = 2e-2

    def value(place):
        return brute_force(rankings, found.strengths + place @ directions, spread, 81)

    bend = np.empty((3, 3))
    top = value(np.zeros(3))
    for i in range(3):
        e = step * np.eye(3)
        assert abs(value(e[i]) - value(-e[i])) / (2 * step) < 0.02
        bend[i, i] = -(value(e[i]) + value(-e[i]) - 2 * top) / step**2
        for j in range(i):
            both = (
                value(e[i] + e[j]) - value(e[i] - e[j]) - value(e[j] - e[i]) + value(-e[i] - e[j])
            )
            bend[i, j] = bend[j, i] = -both / (4 * step**2)
    # The errors are those of the observed information (Louis 1982).
    np.testing.assert_allclose(
        directions @ found.covariance @ directions.T, np.linalg.inv(bend), rtol=0.03, atol=2e-3
    )


def test_rankings_of_two_are_votes():
    rankings, _, _ = made(2, size=2, each=20, V=30)
    item = rankings.item.reshape(-1, 2)
    votes = Votes.from_outcomes(
        rankings.items, item[:, 0], item[:, 1], np.zeros(len(item), dtype=np.int64),
        voter=rankings.voter, voters=rankings.voters,
    )  # fmt: skip
    one = fit_rankers(rankings, None, CLOSE)
    two = fit_voters(
        votes, VotesConfig(model=GapModel()),
        VotersConfig(effects=("reliability",), tolerance=1e-7, rounds=400),
    )  # fmt: skip
    np.testing.assert_allclose(one.strengths, two.fit.strengths, atol=2e-4)
    np.testing.assert_allclose(one.mean, two.mean[:, 0], atol=2e-3)
    np.testing.assert_allclose(one.sd, two.sd[:, 0], rtol=2e-2)
    np.testing.assert_allclose(one.agreement, two.agreement, atol=1e-3)
    np.testing.assert_allclose(one.covariance, two.fit.strength_covariance, atol=2e-3)
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=1e-3)


def test_truth_is_recovered_within_the_stated_errors():
    z_scores, z_voters, spreads = [], [], []
    for seed in range(6):
        rankings, truth, reliability = made(seed, N=8, V=120, each=5)
        found = fit_rankers(rankings)
        assert found.converged
        z_scores.append((found.strengths - truth) / np.sqrt(np.diag(found.covariance)))
        z_voters.append((found.mean - reliability) / found.sd)
        spreads.append(found.population.spreads[0])
    assert 0.7 < np.sqrt(np.mean(np.square(z_scores))) < 1.3
    assert 0.85 < np.sqrt(np.mean(np.square(z_voters))) < 1.2
    assert np.mean(spreads) == pytest.approx(0.7, abs=0.08)


def test_voters_all_alike_are_ranked_as_without_voters():
    rankings, _, _ = made(3, spread=0.0, each=10)
    found, plain = fit_rankers(rankings), fit_ranked(rankings)
    assert found.population.spreads[0] < 0.25
    np.testing.assert_allclose(found.strengths, plain.strengths, atol=0.06)
    assert found.log_likelihood >= plain.log_likelihood - 0.3
    np.testing.assert_allclose(
        np.diag(found.covariance), np.diag(ranked_covariance(plain)), rtol=0.35
    )


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000), st.booleans())
def test_relabelling_splitting_and_an_idle_voter_change_nothing(seed, ties):
    rankings, _, _ = made(seed, N=5, V=9, each=3, ties=ties)
    base = fit_rankers(rankings)
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(9), rng.permutation(5)
    twice = rankings.take(np.repeat(np.arange(len(rankings)), 2))
    moved = replace(
        twice, items=tuple(rankings.items[n] for n in names), item=np.argsort(names)[twice.item],
        voter=np.argsort(order)[twice.voter], weight=np.tile([0.25, 0.75], len(rankings)),
        voters=(*(rankings.voters[v] for v in order), "never came"),
    )  # fmt: skip
    found = fit_rankers(moved)
    np.testing.assert_allclose(found.strengths, base.strengths[names], atol=1e-6)
    np.testing.assert_allclose(found.mean, base.mean[order], atol=1e-6)
    np.testing.assert_allclose(found.covariance, base.covariance[np.ix_(names, names)], atol=1e-6)
    assert found.voters == moved.voters[:-1]


def test_whoever_ranks_at_random_is_named_and_explains_more():
    rankings, _, _ = made(4, N=8, V=20, each=60, size=7, spread=0.2, scale=2.0, at_random=3)
    found = fit_rankers(rankings)
    told = " ".join(describe_rankers(found))
    assert all(f"`v{v}` (60 rankings) close to random" in told for v in range(3))
    assert told.count("close to random") == 3
    assert found.reliability[:3].max() < 0.3 < found.reliability[3:].min()
    assert found.log_likelihood > found.pooled.log_likelihood + 50


def test_nobody_is_named_where_all_are_alike():
    named = [
        text
        for seed in range(8)
        for text in describe_rankers(fit_rankers(made(seed, spread=0.0, each=12)[0]))
        if "close to random" in text
    ]
    assert named == []


def test_an_unbeaten_item_is_held_and_its_gauge_kept():
    rankings, _, _ = made(5, V=20)
    best = np.concatenate([rankings.item.reshape(-1, 4), np.tile([6, 2, 3, 4], (5, 1))])
    won = replace(
        rankings, items=(*rankings.items, "best"), item=best.ravel(),
        tier=np.tile(np.arange(4), len(best)), start=np.arange(len(best) + 1) * 4,
        weight=np.ones(len(best)), voter=np.append(rankings.voter, np.arange(5)),
    )  # fmt: skip
    found = fit_rankers(won)
    assert found.strengths[:6].mean() == pytest.approx(0.0, abs=1e-8)
    assert np.argmax(found.strengths) == 6
    assert any("holds 1 of 7 items" in text for text in found.warnings)
    asked = fit_rankers(won, RankedConfig(prior_scale=0.5))
    assert np.ptp(asked.strengths) < np.ptp(found.strengths)


def test_unknown_voters_are_voters_of_one_ranking():
    rankings, _, _ = made(6, V=12, each=5)
    unknown = replace(rankings, voter=np.where(rankings.voter == 3, -1, rankings.voter))
    alone = replace(
        rankings, voter=np.where(rankings.voter == 3, 12 + np.arange(60), rankings.voter),
        voters=tuple(f"v{n}" for n in range(72)),
    )  # fmt: skip
    one, two = fit_rankers(unknown), fit_rankers(alone)
    np.testing.assert_allclose(one.strengths, two.strengths, atol=1e-8)
    assert one.voters == tuple(f"v{v}" for v in range(12) if v != 3)


def test_pieces_are_put_together_alike_and_what_cannot_be_had_is_refused(monkeypatch):
    rankings, _, _ = made(7, V=10)
    whole = fit_rankers(rankings)
    monkeypatch.setattr(ranked_voters, "_AT_ONCE", 4000)
    np.testing.assert_allclose(fit_rankers(rankings).covariance, whole.covariance, atol=1e-12)
    with pytest.raises(DataError, match="name no voters"):
        fit_rankers(replace(rankings, voter=None, voters=()))
    monkeypatch.setattr(ranked_reliability, "MOST_RANKED", 5)
    with pytest.raises(DataError, match="Rank fewer items"):
        fit_rankers(rankings)
