"""Errors by voter beside covariates and contexts: against plain sums, and voters drawn anew."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting import vote_density
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.paired_errors import clustered_errors
from penchant.fitting.paired_intervals import point_of
from penchant.fitting.vote_rows import vote_rows
from penchant.fitting.vote_sandwich import effective_voters, sandwich
from penchant.fitting.votes_pooled import VotesConfig, fit_votes, prepare, with_spread
from penchant.models.richer_bootstrap import bootstrap_strengths

DAVIDSON = VotesConfig(model=GapModel(ties="davidson"), errors="voter")
BY_CONTEXT = replace(DAVIDSON, has_context=True, spread=0.5)


def made(seed=0, N=5, V=60, per=30, taste=0.8, unbeaten=False):
    """Votes of voters with tastes of their own, one covariate, three contexts, some ties."""
    rng = np.random.default_rng(seed)
    tastes = np.linspace(1, -1, N) + taste * rng.standard_normal((V, N))
    voter = np.repeat(np.arange(V), per)
    first = rng.integers(0, N, len(voter))
    second = (first + rng.integers(1, N, len(voter))) % N
    length = rng.normal(size=(len(voter), 1))
    gap = tastes[voter, first] - tastes[voter, second] + 0.5 * length[:, 0]
    outcome = (rng.random(len(voter)) > 1 / (1 + np.exp(-gap))).astype(int)
    outcome[rng.random(len(voter)) < 0.15] = 2
    if unbeaten:
        outcome = np.where(first == 0, 0, np.where(second == 0, 1, outcome))
    return Votes.from_outcomes(
        tuple(f"i{n}" for n in range(N)), first, second, outcome, voter=voter,
        voters=tuple(f"v{v}" for v in range(V)), covariates=length, covariate_names=("length",),
        context=rng.integers(0, 3, len(voter)), contexts=("a", "b", "c"),
    )  # fmt: skip


def bare(votes):
    return replace(votes, covariates=np.zeros((len(votes), 0)), covariate_names=())


@pytest.mark.parametrize("unbeaten", [False, True])
def test_without_covariates_errors_by_voter_are_those_of_the_paired_fit(unbeaten):
    votes = bare(made(unbeaten=unbeaten))
    paired = fit_paired(votes.counts(), PairedConfig(ties="davidson"))
    expected = clustered_errors(point_of(paired), votes, votes.voter)
    found = fit_votes(votes, DAVIDSON)
    np.testing.assert_allclose(found.strengths, paired.strengths, atol=1e-5)
    np.testing.assert_allclose(found.strength_covariance, expected.covariance, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.degrees_of_freedom, expected.degrees_of_freedom)
    plain = fit_votes(votes, replace(DAVIDSON, errors="curvature"))
    np.testing.assert_allclose(found.curvature_covariance, plain.strength_covariance)
    assert plain.degrees_of_freedom is None


def dense_twin(votes, config, theta, density):
    """H^-1 (V / (V - 1) sum s s' + prior) H^-1, with every voter's score by differences."""
    from scipy.optimize import approx_fprime

    rows = vote_rows(votes, ties="answer", by_context=True, by_voter=True)
    here = replace(density, rows=rows)

    def by_voter(at):
        found = here.respond(here.core_gap(at), here.own(at))
        return rows.by_voter(found.value * rows.weight)

    scores = approx_fprime(theta, by_voter, 1e-6)
    response = here.respond(here.core_gap(theta), here.own(theta))
    prior = np.diag(density.precision)
    if density.prior is not None:
        prior[: here.num_items, : here.num_items] += density.prior.information()
    information = here.information(response) + prior
    num = here.num_items
    information[:num, :num] += 1 / num
    inverse = np.linalg.inv(information)
    V = len(votes.voters)
    return inverse @ (V / (V - 1) * scores.T @ scores + prior) @ inverse


@pytest.mark.parametrize("unbeaten", [False, True])
@pytest.mark.parametrize("dense", [1200, 0])
def test_scores_contexts_covariates_and_ties_have_the_plain_sum_of_voters_scores(
    monkeypatch, unbeaten, dense
):
    monkeypatch.setattr(vote_density, "_DENSE", dense)
    votes = made(per=12, unbeaten=unbeaten)
    rows = vote_rows(votes, ties="answer", by_context=True, by_voter=True)
    density, _, _ = prepare(rows, votes, BY_CONTEXT)
    density = with_spread(density, 0.5)
    theta = np.random.default_rng(1).normal(size=density.num_parameters) * 0.3
    response = density.respond(density.core_gap(theta), density.own(theta))
    found = sandwich(density, response, density.factorise(response))
    expected = dense_twin(votes, BY_CONTEXT, theta, density)
    everything = np.arange(density.num_parameters)
    np.testing.assert_allclose(found.covariance(everything), expected, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(found.variances(), np.diag(expected), rtol=2e-3)
    combination = np.random.default_rng(2).normal(size=(density.num_parameters, 3))
    quadratic = combination.T @ expected @ combination
    np.testing.assert_allclose(found.quadratic(combination), quadratic, rtol=2e-3, atol=2e-4)


def test_where_every_voter_votes_ten_times_alike_errors_are_those_of_one_vote_each():
    votes = made(V=300, per=1, taste=0.0)
    echoed = votes.take(np.repeat(np.arange(300), 10))
    once, often = fit_votes(votes, DAVIDSON), fit_votes(echoed, DAVIDSON)
    np.testing.assert_allclose(often.strength_se, once.strength_se, rtol=1e-4)
    np.testing.assert_allclose(often.coefficient_se, once.coefficient_se, rtol=1e-4)
    ratio = once.strength_se / np.sqrt(np.diag(often.curvature_covariance))
    assert (ratio > 2.5).all()


def test_voters_who_are_as_good_as_votes_have_errors_by_curvature():
    votes = made(V=3000, per=1, taste=0.0)
    by_voter, plain = (
        fit_votes(votes, replace(BY_CONTEXT, errors=e)) for e in ("voter", "curvature")
    )
    np.testing.assert_allclose(by_voter.strength_se, plain.strength_se, rtol=0.12)
    np.testing.assert_allclose(by_voter.context.scores_se, plain.context.scores_se, rtol=0.12)
    np.testing.assert_allclose(by_voter.coefficient_se, plain.coefficient_se, rtol=0.12)


def test_one_busy_voter_counts_as_few():
    votes = made(V=40, per=10)
    rows = vote_rows(votes, by_voter=True)
    assert (effective_voters(rows) > 20).all()
    busy = replace(votes, voter=np.where(np.arange(400) < 300, 0, votes.voter))
    assert (effective_voters(vote_rows(busy, by_voter=True)) < 3).all()
    alone = replace(votes, voter=np.zeros(400, dtype=int))
    with pytest.raises(DataError, match="expected at least two"):
        fit_votes(alone, DAVIDSON)


def test_three_voters_who_agree_on_a_covariate_are_no_surer_than_their_votes():
    votes = made(V=3, per=200, taste=0.0)
    # All three say the same.
    same = votes.take(np.tile(np.arange(200), 3))
    same = replace(same, voter=np.repeat(np.arange(3), 200))
    found = fit_votes(same, DAVIDSON)
    plain = fit_votes(same, replace(DAVIDSON, errors="curvature"))
    np.testing.assert_allclose(found.coefficient_se, plain.coefficient_se, rtol=1e-6)


def test_errors_by_voter_are_the_spread_of_fits_to_voters_drawn_anew():
    votes = made(V=80, per=15)
    island, anchor = np.zeros(5, dtype=np.int64), np.full(5, 0.2)
    found = fit_votes(votes, DAVIDSON)
    draws = bootstrap_strengths(
        votes, lambda again: fit_votes(again, DAVIDSON).strengths, anchor, island, 40,
        np.random.default_rng(0),
    )  # fmt: skip
    ratio = draws.std(axis=0, ddof=1) / found.strength_se
    # Forty draws know a spread to 11 %; small worlds make refits wander a little more.
    assert 0.75 < np.median(ratio) < 1.4
    plain = np.sqrt(np.diag(found.curvature_covariance))
    assert (draws.std(axis=0) / plain).mean() > 1.15
