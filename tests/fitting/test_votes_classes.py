"""Kinds of voters: truth recovered, laws, one class is the plain fit, bad input."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.feedback.gap import GapModel
from penchant.fitting.em import EMConfig
from penchant.fitting.votes_classes import VoterClassesConfig, fit_voter_classes
from penchant.fitting.votes_pooled import VotesConfig, fit_votes
from penchant.simulation.votes import VoteWorld, simulate_votes

DAVIDSON = VotesConfig(model=GapModel(ties="davidson"))
FEW = EMConfig(num_starts=6)


def world(seed=0, **sizes):
    defaults = {
        "num_items": 6,
        "num_votes": 6000,
        "num_voters": 300,
        "log_tie": -0.7,
        "class_shares": (0.65, 0.35),
    }
    return simulate_votes(VoteWorld(**(defaults | sizes)), np.random.default_rng(seed))


def test_classes_their_shares_scores_and_members_are_recovered():
    z, right = [], []
    for seed in range(5):
        made = world(seed)
        found = fit_voter_classes(made.votes, DAVIDSON, VoterClassesConfig(em=FEW))
        assert found.converged
        truth = made.scores[:, 0]
        np.testing.assert_allclose(found.shares, (0.65, 0.35), atol=0.08)
        z.append((found.strengths - truth) / found.strength_se)
        right.append(np.mean(np.argmax(found.membership, axis=1) == made.voter_class))
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.3
    assert np.mean(right) > 0.9


def test_one_class_is_the_plain_fit_under_a_wide_prior():
    made = world(1, class_shares=(1.0,), coefficients=(0.3,))
    config = VoterClassesConfig(num_classes=1, score_scale=1000.0)
    found, plain = fit_voter_classes(made.votes, DAVIDSON, config), fit_votes(made.votes, DAVIDSON)
    np.testing.assert_allclose(found.strengths[0], plain.strengths, atol=1e-4)
    np.testing.assert_allclose(found.strength_se[0], plain.strength_se, rtol=1e-3)
    np.testing.assert_allclose(found.mean_strengths, plain.strengths, atol=1e-4)
    np.testing.assert_allclose(found.mean_covariance, plain.strength_covariance, atol=1e-4)
    np.testing.assert_allclose(found.coefficients[0], plain.coefficients, atol=1e-3)
    assert found.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-3)


def test_two_classes_beat_one_and_the_criterion_knows_when_there_is_one():
    both = world(2).votes
    single = world(3, class_shares=(1.0,)).votes
    configs = [VoterClassesConfig(num_classes=s, em=FEW) for s in (1, 2)]
    one, two = (fit_voter_classes(both, DAVIDSON, config) for config in configs)
    assert two.log_likelihood > one.log_likelihood + 100
    assert two.criterion < one.criterion
    one, two = (fit_voter_classes(single, DAVIDSON, config) for config in configs)
    assert one.criterion < two.criterion


def test_relabelling_items_and_splitting_votes_change_nothing():
    votes = world(4, num_votes=2000, num_voters=100).votes
    order = np.array([3, 0, 5, 1, 4, 2])
    place = np.argsort(order)
    twice = votes.take(np.repeat(np.arange(len(votes)), 2))
    moved = replace(
        twice,
        items=tuple(votes.items[n] for n in order),
        first=place[twice.first],
        second=place[twice.second],
        weight=np.tile([0.25, 0.75], len(votes)),
    )
    config = VoterClassesConfig(em=FEW)
    base = fit_voter_classes(votes, DAVIDSON, config)
    found = fit_voter_classes(moved, DAVIDSON, config)
    assert found.log_likelihood == pytest.approx(base.log_likelihood, abs=1e-6)
    np.testing.assert_allclose(found.strengths, base.strengths[:, order], atol=1e-4)
    np.testing.assert_allclose(found.membership, base.membership, atol=1e-4)


def test_known_voters_are_foretold_better_and_all_answers_sum_to_one():
    made = world(5)
    train, test = made.votes.take(np.arange(4500)), made.votes.take(np.arange(4500, 6000))
    found = fit_voter_classes(train, DAVIDSON, VoterClassesConfig(em=FEW))
    plain = fit_votes(train, DAVIDSON)
    assert found.log_prob(test).mean() > plain.log_prob(test).mean() + 0.01
    total = 0.0
    for tie, share in ((False, 1.0), (False, 0.0), (True, 0.0)):
        asked = replace(test, tie=np.full(1500, tie), share=np.full(1500, share))
        total = total + np.exp(found.log_prob(asked))
    np.testing.assert_allclose(total, 1.0, atol=1e-9)


def test_models_that_classes_cannot_have_are_refused_in_words():
    votes = world(6, num_votes=50).votes
    with pytest.raises(ConfigError, match="Davidson"):
        fit_voter_classes(votes, VotesConfig(model=GapModel(ties="rao_kupper")))
    with pytest.raises(ConfigError, match="one of the two"):
        fit_voter_classes(votes, replace(DAVIDSON, has_context=True))
    with pytest.raises(ConfigError, match="score_scale"):
        fit_voter_classes(votes, DAVIDSON, VoterClassesConfig(score_scale=0.0))
