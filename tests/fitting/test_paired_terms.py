"""The terms of doubt are derivatives of the feedback likelihoods, outcome by outcome."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.feedback import pairwise, probit
from penchant.fitting.paired_terms import outcome_terms

MODELS = [("half", "logit"), ("half", "probit"), ("davidson", "logit"), ("rao_kupper", "logit"),
          ("rao_kupper", "probit")]  # fmt: skip


@pytest.mark.parametrize(("ties", "link"), MODELS)
@given(gap=st.floats(-8, 8), tie=st.floats(-2, 1))
def test_terms_are_derivatives(ties, link, gap, tie):
    def at(d, t):
        return outcome_terms(np.array([d]), t, ties=ties, link=link)

    step = 1e-5
    here, up, down = at(gap, tie), at(gap + step, tie), at(gap - step, tie)
    more, less = at(gap, tie + step), at(gap, tie - step)

    def close(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)

    close(here.score, (up.log_prob - down.log_prob) / (2 * step))
    close(here.curvature, -(up.score - down.score) / (2 * step))
    close(here.tie_score, (more.log_prob - less.log_prob) / (2 * step))
    close(here.cross, -(more.score - less.score) / (2 * step))
    close(here.tie_curvature, -(more.tie_score - less.tie_score) / (2 * step))


@pytest.mark.parametrize(("ties", "link"), MODELS)
@given(gap=st.floats(-30, 30), tie=st.floats(-3, 2))
def test_log_probabilities_are_those_of_the_feedback_room(ties, link, gap, tie):
    utilities = np.array([[gap, 0.0]] * 3)
    outcome, own = np.array([0, 1, 2]), np.full((1, 1), tie)
    if ties == "half":
        likelihood = pairwise.bradley_terry_log_prob if link == "logit" else probit.pair_log_prob
        wins = likelihood(utilities[:2], outcome[:2])
        expected = np.append(wins, wins.mean())
    elif ties == "davidson":
        expected = pairwise.davidson_log_prob(utilities, outcome, own)
    else:
        expected = pairwise.rao_kupper_log_prob(utilities, outcome, own, link=link)
    found = outcome_terms(np.array([gap]), tie, ties=ties, link=link).log_prob[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("ties", "link"), MODELS)
def test_a_score_is_nothing_on_average(ties, link):
    gap = np.linspace(-5, 5, 11)
    terms = outcome_terms(gap, -0.3, ties=ties, link=link)
    p = np.exp(terms.log_prob)
    if ties == "half":  # half-wins are no distribution over three outcomes
        p[2] = 0.0
    np.testing.assert_allclose((p * terms.score).sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose((p * terms.tie_score).sum(axis=0), 0.0, atol=1e-12)
    # Fisher: the mean square of the score is the mean curvature.
    np.testing.assert_allclose(
        (p * terms.score**2).sum(axis=0), (p * terms.curvature).sum(axis=0), atol=1e-12
    )
