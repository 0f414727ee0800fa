"""Scores at equal covariates and by context: laws, truth, a slow twin, and what is said aloud."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.batch import Batch, Block
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.feedback.channel import GradedPair, Pair
from penchant.feedback.gap import GapModel
from penchant.fitting import vote_density
from penchant.fitting.paired import PairedConfig, fit_paired
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.vote_rows import vote_rows
from penchant.fitting.votes_pooled import VotesConfig, fit_votes, prepare, with_spread
from penchant.simulation.votes import VoteWorld, simulate_votes
from penchant.utilities.items import Items
from penchant.utilities.linear import Linear

DAVIDSON = VotesConfig(model=GapModel(ties="davidson"))
CONTEXTS = VotesConfig(model=GapModel(ties="davidson"), has_context=True)


def with_grades(votes, grade, levels):
    names = tuple(f"grade {level}" for level in range(levels))
    return replace(votes, grade=np.asarray(grade), grades=names)


def world(seed=0, **sizes):
    sizes = {
        "num_items": 6,
        "num_votes": 1500,
        "log_tie": -0.7,
        "coefficients": (0.4, -0.2),
    } | sizes
    return simulate_votes(VoteWorld(**sizes), np.random.default_rng(seed))


def as_batch(votes, has_features):
    count = len(votes)
    features = np.zeros((count, 2, 0))
    names = ()
    if has_features:
        one_hot = np.eye(votes.num_items)[:, 1:]
        items = np.stack([one_hot[votes.first], one_hot[votes.second]], axis=1)
        pair = np.stack([votes.covariates, 0.0 * votes.covariates], axis=1)
        features = np.concatenate([items, pair], axis=2)
        names = (*votes.items[1:], *votes.covariate_names)
    block = Block(
        kind="pair",
        features=features,
        offered=np.ones((count, 2), dtype=bool),
        option=np.stack([votes.first, votes.second], axis=1),
        row=np.arange(count),
        group=np.arange(count),
        weight=votes.weight,
        answer={"outcome": np.where(votes.tie, 2, np.where(votes.share == 1.0, 0, 1))},
    )
    return Batch(
        blocks=(block,),
        feature_names=names,
        option_names=votes.items,
        group_names=tuple(map(str, range(count))),
        group_features=np.zeros((count, 0)),
        num_rows=count,
    )


@pytest.mark.parametrize("ties", ["davidson", "rao_kupper"])
def test_without_covariates_it_is_the_estimate_of_the_general_path(ties):
    votes = replace(world().votes, covariates=np.zeros((1500, 0)), covariate_names=())
    belief = fit_pooled(as_batch(votes, False), utility=Items(), channels=(Pair(ties=ties),))
    fit = fit_votes(votes, VotesConfig(model=GapModel(ties=ties)))
    expected = np.concatenate([[0.0], belief.theta[:-1]])
    np.testing.assert_allclose(fit.strengths, expected - expected.mean(), atol=1e-7)
    np.testing.assert_allclose(fit.own, belief.theta[-1:], atol=1e-7)
    assert fit.log_likelihood == pytest.approx(belief.report.log_likelihood, abs=1e-8)


def test_with_covariates_it_is_a_conditional_logit_on_the_difference_of_features():
    votes = world().votes
    belief = fit_pooled(as_batch(votes, True), utility=Linear(), channels=(Pair(ties="davidson"),))
    fit = fit_votes(votes, DAVIDSON)
    np.testing.assert_allclose(fit.coefficients, belief.theta[5:7], atol=1e-7)
    np.testing.assert_allclose(
        fit.coefficient_se, np.sqrt(np.diag(belief.covariance))[5:7], rtol=1e-6
    )
    gap = np.diff(fit.strengths[:2])[0]
    assert gap == pytest.approx(belief.theta[0], abs=1e-7)


def test_covariates_of_zero_change_nothing():
    votes = world().votes
    bare = replace(votes, covariates=np.zeros((1500, 0)), covariate_names=())
    zeros = replace(bare, covariates=np.zeros((1500, 1)), covariate_names=("nothing",))
    plain, fit = fit_votes(bare, DAVIDSON), fit_votes(zeros, DAVIDSON)
    np.testing.assert_allclose(fit.strengths, plain.strengths, atol=1e-9)
    np.testing.assert_allclose(fit.coefficients, 0.0, atol=1e-12)
    assert any("nothing" in warning for warning in fit.warnings)


def test_one_context_is_none():
    votes = world().votes
    one = replace(votes, context=np.zeros(1500, dtype=np.int64), contexts=("everywhere",))
    fit, plain = fit_votes(one, CONTEXTS), fit_votes(votes, DAVIDSON)
    np.testing.assert_allclose(fit.strengths, plain.strengths, atol=1e-10)
    assert fit.context is None
    assert any("context was left out" in warning for warning in fit.warnings)


def relabelled(votes, order):
    place = np.argsort(order)
    return replace(
        votes,
        items=tuple(votes.items[n] for n in order),
        first=place[votes.first],
        second=place[votes.second],
    )


def reversed_roles(votes):
    return replace(
        votes,
        first=votes.second,
        second=votes.first,
        share=1.0 - votes.share,
        covariates=-votes.covariates,
    )


def test_relabelling_reversing_and_splitting_votes_change_nothing():
    votes = world(num_contexts=3, context_spread=0.5).votes
    base = fit_votes(votes, CONTEXTS)
    order = np.array([3, 0, 5, 1, 4, 2])
    moved = fit_votes(relabelled(votes, order), CONTEXTS)
    np.testing.assert_allclose(moved.strengths, base.strengths[order], atol=1e-6)
    np.testing.assert_allclose(moved.context.scores, base.context.scores[:, order], atol=1e-6)
    turned = fit_votes(reversed_roles(votes), CONTEXTS)
    np.testing.assert_allclose(turned.strengths, base.strengths, atol=1e-6)
    np.testing.assert_allclose(turned.coefficients, base.coefficients, atol=1e-6)
    twice = votes.take(np.repeat(np.arange(len(votes)), 2))
    split = fit_votes(replace(twice, weight=np.tile([0.25, 0.75], len(votes))), CONTEXTS)
    np.testing.assert_allclose(split.context.scores, base.context.scores, atol=1e-6)
    np.testing.assert_allclose(split.context.scores_se, base.context.scores_se, atol=1e-6)


def with_a_voter_who_ties_everything(votes):
    pairs = np.array([(i, j) for i in range(6) for j in range(i)])
    tied = Votes.from_outcomes(votes.items, *pairs.T, np.full(len(pairs), 2))
    fields = ("first", "second", "share", "tie", "weight")
    joined = {name: np.concatenate([getattr(votes, name), getattr(tied, name)]) for name in fields}
    return replace(votes, **joined, covariates=np.zeros((len(joined["first"]), 0)))


def test_a_voter_who_ties_everything_leaves_the_order_and_speaks_of_ties_alone():
    votes = replace(world().votes, covariates=np.zeros((1500, 0)), covariate_names=())
    both = with_a_voter_who_ties_everything(votes)
    base, fit = fit_votes(votes, DAVIDSON), fit_votes(both, DAVIDSON)
    assert np.array_equal(np.argsort(fit.strengths), np.argsort(base.strengths))
    assert fit.own[0] > base.own[0]
    # Davidson's ties say that items are near only in so far as their share is told by the gap.
    assert np.max(np.abs(fit.strengths - base.strengths)) < 0.01
    halves = VotesConfig(model=GapModel(), ties="half")
    base, fit = fit_votes(votes, halves), fit_votes(both, halves)
    assert np.array_equal(np.argsort(fit.strengths), np.argsort(base.strengths))
    assert np.ptp(fit.strengths) < np.ptp(base.strengths)


def test_soft_votes_are_what_many_hard_ones_would_be():
    votes = world(log_tie=None).votes
    config = VotesConfig(model=GapModel())
    soft = replace(votes, share=np.where(votes.share == 1.0, 0.75, 0.25))
    four = votes.take(np.repeat(np.arange(len(votes)), 4))
    share = np.where(np.arange(len(four)) % 4 == 0, 1.0 - four.share, four.share)
    hard = replace(four, share=share, weight=0.25 * four.weight)
    np.testing.assert_allclose(
        fit_votes(soft, config).strengths, fit_votes(hard, config).strengths, atol=1e-8
    )


def test_truth_is_recovered_within_the_stated_errors():
    z_scores, z_coefficients, z_contexts, spreads = [], [], [], []
    for seed in range(30):
        made = world(seed, num_items=8, num_votes=2000, num_contexts=4, context_spread=0.5)
        fit = fit_votes(made.votes, CONTEXTS)
        truth = made.scores[0, 0] + made.deviations
        truth = truth - truth.mean(axis=1, keepdims=True)
        z_contexts.append((fit.context.scores - truth) / fit.context.scores_se)
        z_coefficients.append((fit.coefficients - (0.4, -0.2)) / fit.coefficient_se)
        spreads.append(fit.context.spread)
        assert fit.context.p_value < 0.01
        plain = world(seed + 100, num_items=10)
        fit = fit_votes(plain.votes, DAVIDSON)
        z_scores.append((fit.strengths - plain.scores[0, 0]) / fit.strength_se)
    assert np.mean(spreads) == pytest.approx(0.5, abs=0.06)
    for z in (z_scores, z_coefficients, z_contexts):
        assert 0.75 < np.sqrt(np.mean(np.square(z))) < 1.25


def test_contexts_alike_are_found_to_be_alike_nineteen_times_in_twenty():
    p_values = [
        fit_votes(world(seed, num_votes=500, coefficients=(), num_contexts=3).votes, CONTEXTS)
        .context.p_value
        for seed in range(40)
    ]  # fmt: skip
    assert np.mean(np.array(p_values) < 0.05) < 0.12
    assert np.mean(np.array(p_values) == 1.0) > 0.3


def test_blocks_and_one_matrix_give_the_same_fit(monkeypatch):
    votes = world(num_contexts=3, context_spread=0.4, num_items=8).votes
    whole = fit_votes(votes, CONTEXTS)
    plain = fit_votes(votes, DAVIDSON)
    monkeypatch.setattr(vote_density, "_DENSE", 0)
    apart = fit_votes(votes, CONTEXTS)
    np.testing.assert_allclose(apart.context.scores, whole.context.scores, atol=1e-8)
    np.testing.assert_allclose(apart.context.scores_se, whole.context.scores_se, atol=1e-8)
    np.testing.assert_allclose(apart.strength_covariance, whole.strength_covariance, atol=1e-8)
    assert apart.context.evidence == pytest.approx(whole.context.evidence, abs=1e-6)
    islands = fit_votes(votes, DAVIDSON)
    np.testing.assert_allclose(islands.strength_covariance, plain.strength_covariance, atol=1e-8)


def test_gradient_is_that_of_the_value():
    votes = world(num_contexts=2, context_spread=0.4, num_votes=200).votes
    rows = vote_rows(votes, by_context=True)
    density = with_spread(prepare(rows, votes, CONTEXTS)[0], 0.5)
    theta = np.random.default_rng(0).normal(size=density.num_parameters) * 0.3
    here = density.evaluate(theta)
    for place in range(len(theta)):
        step = 1e-6 * np.eye(len(theta))[place]
        up, down = density.evaluate(theta + step).value, density.evaluate(theta - step).value
        assert here.gradient[place] == pytest.approx((up - down) / 2e-6, abs=1e-5)


def test_three_grades_are_rao_and_kuppers_ties():
    votes = world(coefficients=(0.3,)).votes
    grade = np.where(votes.tie, 1, np.where(votes.share == 1.0, 2, 0))
    graded = fit_votes(with_grades(votes, grade, 3), VotesConfig(model=GapModel(levels=3)))
    plain = fit_votes(votes, VotesConfig(model=GapModel(ties="rao_kupper")))
    np.testing.assert_allclose(graded.strengths, plain.strengths, atol=1e-6)
    np.testing.assert_allclose(graded.coefficients, plain.coefficients, atol=1e-6)
    assert graded.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)


@pytest.mark.parametrize("levels", [4, 5])
def test_grades_give_the_estimate_of_the_graded_channel(levels):
    votes = replace(world().votes, covariates=np.zeros((1500, 0)), covariate_names=())
    grade = np.random.default_rng(0).binomial(levels - 1, np.where(votes.share == 1.0, 0.8, 0.3))
    batch = as_batch(votes, False)
    block = replace(batch.blocks[0], kind="graded", answer={"grade": grade})
    belief = fit_pooled(
        replace(batch, blocks=(block,)), utility=Items(), channels=(GradedPair(levels=levels),)
    )
    fit = fit_votes(with_grades(votes, grade, levels), VotesConfig(model=GapModel(levels=levels)))
    expected = np.concatenate([[0.0], belief.theta[:5]])
    np.testing.assert_allclose(fit.strengths, expected - expected.mean(), atol=1e-6)
    np.testing.assert_allclose(fit.own, belief.theta[5:], atol=1e-6)


def test_levels_without_as_many_grades_are_refused_in_words():
    votes = world().votes
    with pytest.raises(DataError, match="the votes have no grades"):
        fit_votes(votes, VotesConfig(model=GapModel(levels=3)))
    graded = with_grades(votes, np.arange(1500) % 4, 4)
    with pytest.raises(DataError, match=r"4 grades and the model 3 levels.*levels=4"):
        fit_votes(graded, VotesConfig(model=GapModel(levels=3)))


def test_graded_votes_are_soft_ones_to_a_model_of_who_won():
    graded = with_grades(world().votes, np.arange(1500) % 5, 5)
    soft = replace(graded.ungraded(), share=(np.arange(1500) % 5) / 4.0)
    config = VotesConfig(model=GapModel())
    found, expected = fit_votes(graded, config), fit_votes(soft, config)
    np.testing.assert_array_equal(found.strengths, expected.strengths)


def test_log_prob_of_graded_votes_is_that_of_their_grades():
    votes = with_grades(world().votes, np.arange(1500) % 5, 5)
    fit = fit_votes(votes, VotesConfig(model=GapModel(levels=5)))
    assert fit.log_prob(votes).sum() == pytest.approx(fit.log_likelihood, abs=1e-8)
    with pytest.raises(DataError, match="0 grades and the model 5 levels"):
        fit.log_prob(votes.ungraded())


def test_an_unbeaten_item_is_bounded_and_said():
    first, second = np.array([0, 0, 1, 2, 1]), np.array([1, 2, 2, 1, 0])
    votes = Votes.from_outcomes(("king", "b", "c"), first, second, np.array([0, 0, 0, 0, 1]))
    fit = fit_votes(votes, VotesConfig(model=GapModel()))
    assert np.argmax(fit.strengths) == 0
    assert np.isfinite(fit.strengths).all()
    assert fit.strength_se[0] > 1.0
    assert any("king" in warning for warning in fit.warnings)
    assert "no finite score" in fit.prior


@pytest.mark.parametrize("ties", ["davidson", "rao_kupper"])
def test_without_covariates_it_is_the_fit_to_counts_with_runaways_too(ties):
    rng = np.random.default_rng(5)
    first, gap = rng.integers(0, 6, 200), rng.integers(1, 6, 200)
    second = (first + gap) % 6
    # Item 5 wins whatever it meets, item 0 loses; items 6 and 7 are an island of their own.
    outcome = np.where((first == 5) | (second == 0), 0, rng.integers(0, 3, 200))
    outcome = np.where((second == 5) | (first == 0), 1, outcome)
    votes = Votes.from_outcomes(
        tuple("abcdefgh"), np.r_[first, 6, 7], np.r_[second, 7, 6], np.r_[outcome, 0, 0]
    )
    plain = fit_paired(votes.counts(), PairedConfig(ties=ties))
    fit = fit_votes(votes, VotesConfig(model=GapModel(ties=ties)))
    assert plain.prior is not None
    np.testing.assert_allclose(fit.strengths, plain.strengths, atol=2e-4)
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-5)
    assert fit.own[0] == pytest.approx(plain.tie_parameter, abs=1e-5)


def test_a_prior_on_every_score_is_that_of_the_fit_to_counts():
    votes = replace(world().votes, covariates=np.zeros((1500, 0)), covariate_names=())
    plain = fit_paired(votes.counts(), PairedConfig(prior_scale=0.3))
    fit = fit_votes(votes, replace(DAVIDSON, prior_scale=0.3))
    np.testing.assert_allclose(fit.strengths, plain.strengths, atol=1e-5)
    assert np.ptp(fit.strengths) < np.ptp(fit_votes(votes, DAVIDSON).strengths)
    assert "every score" in fit.prior


def test_two_islands_and_an_unseen_item_are_said_and_do_not_touch():
    first = np.array([0, 1, 2, 3, 0, 1, 3, 2])
    second = np.array([1, 0, 3, 2, 1, 0, 2, 3])
    votes = Votes.from_outcomes(tuple("abcde"), first, second, np.array([0, 0, 0, 0, 0, 1, 0, 1]))
    fit = fit_votes(votes, VotesConfig(model=GapModel()))
    assert any("islands" in warning for warning in fit.warnings)
    np.testing.assert_allclose(fit.strengths[:2].sum(), 0.0, atol=1e-9)
    np.testing.assert_allclose(fit.strengths[2:4].sum(), 0.0, atol=1e-9)
    assert np.isinf(fit.strength_se[4])


def test_a_covariate_that_decides_every_vote_is_bounded_and_named():
    votes = world(coefficients=(), num_votes=300, log_tie=None).votes
    decisive = replace(
        votes, covariates=(2.0 * votes.share - 1.0)[:, None], covariate_names=("oracle",)
    )
    fit = fit_votes(decisive, VotesConfig(model=GapModel()))
    assert np.isfinite(fit.coefficients).all()
    assert fit.coefficients[0] > 2.0
    assert any("oracle" in warning for warning in fit.warnings)


def test_log_probabilities_of_the_votes_add_up_to_the_log_likelihood():
    votes = world(num_contexts=3, context_spread=0.4).votes
    fit = fit_votes(votes, CONTEXTS)
    assert fit.log_prob(votes) @ votes.weight == pytest.approx(fit.log_likelihood, abs=1e-6)
