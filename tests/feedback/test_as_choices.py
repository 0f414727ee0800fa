"""Answers taken apart into choices have the density that their own likelihood gives them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedback.blocks_of_kinds import OPTIONS, PEOPLE, batch_of, block_of
from penchant.feedback.as_choices import as_choices
from penchant.feedback.channel_choice import Choice, Nested, Probit
from penchant.feedback.channel_option import Approval, Binary, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.fitting.pooled_density import PooledDensity
from penchant.utilities.linear import Linear


def density_of(batch, channels):
    sizes = tuple(channel.num_parameters(batch) for channel in channels)
    return PooledDensity(
        batch=batch, utility=Linear(), channels=channels, sizes=sizes,
        prior_precision=np.zeros(batch.num_features + sum(sizes)),
    )  # fmt: skip


CHANNELS = {
    "pairs with Davidson's ties": Pair(ties="davidson"),
    "pairs with ties of gaps too small": Pair(ties="rao_kupper"),
    "grades": GradedPair(levels=5),
    "grades with a favoured side": GradedPair(levels=5, has_position_bias=True),
    "rankings": Ranking(),
    "best, then worst": BestWorst(),
    "best and worst at once": BestWorst(model="max_diff"),
    "ratings": Rating(levels=4),
    "approvals": Approval(),
    "clicks": Binary(),
    "choices": Choice(),
}


@pytest.mark.parametrize("name", CHANNELS)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 3.0))
@example(seed=726, size=3.0)  # thresholds so far apart that exp(gap) overflows
@example(seed=1577, size=3.0)  # and ones that cost digits
def test_the_choices_that_an_answer_is_made_of_have_its_density(name, seed, size):
    rng, channel = np.random.default_rng(seed), CHANNELS[name]
    blocks = [block_of(channel.kind, rng), block_of("choice", rng)]
    channels = (Choice(), channel) if channel.kind != "choice" else (channel,)
    batch = batch_of(*blocks)
    theta = size * rng.normal(size=3 + sum(c.num_parameters(batch) for c in channels))
    tastes, own = theta[:3], theta[3:]
    made = as_choices(batch, channels)
    plain = density_of(made.choices, (Choice(),))
    inner = np.concatenate([tastes, made.columns.coefficients(own)])
    direct, gaps = density_of(batch, channels), made.columns.gap_term(own)
    found = plain.group_log_prob(inner) + gaps.value
    np.testing.assert_allclose(found, direct.group_log_prob(theta), rtol=1e-10, atol=1e-10)
    jacobian = made.columns.jacobian(own)
    scores = plain.group_scores(inner)
    scores = np.concatenate([scores[:, :3], scores[:, 3:] @ jacobian], axis=1)
    scores[:, 3:] += gaps.score
    np.testing.assert_allclose(scores, direct.group_scores(theta), rtol=1e-9, atol=1e-9)
    chain = np.zeros((len(inner), len(theta)))
    chain[:3, :3], chain[3:, 3:] = np.eye(3), jacobian
    information = chain.T @ plain.information(inner) @ chain
    pull = plain.slope(inner).gradient[3:]
    information[3:, 3:] -= made.columns.bend(own, pull)
    information[3:, 3:] += made.columns.gap_information(own, np.ones(PEOPLE))
    # Thresholds a million apart leave the ordered likelihood seven digits of its bend.
    np.testing.assert_allclose(information, direct.information(theta), rtol=1e-6, atol=1e-6)


def test_an_answer_in_the_middle_is_two_choices_and_a_gap_worked_by_hand():
    """A worth of 1 between thresholds at 0 and 2: F(1) - F(-1) = F(1)^2 (1 - exp(-2))."""
    rng = np.random.default_rng(0)
    block = replace(
        block_of("rating", rng, num_rows=1),
        features=np.array([[[1.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]]),
        answer={"level": np.array([[1, -1, -1, -1]])},
        offered=np.ones((1, 4), dtype=bool),
        group=np.array([2]),
    )
    made = as_choices(batch_of(block), (Rating(levels=3),))
    own = np.array([0.0, np.log(2.0)])
    np.testing.assert_allclose(made.columns.coefficients(own), [0.0, 2.0])
    chosen = [(part.answer["chosen"][0], part.features[0, 0, 3:]) for part in made.choices.blocks]
    assert [place for place, _ in chosen] == [0, 1]
    np.testing.assert_array_equal([bars for _, bars in chosen], [[-1.0, 0.0], [0.0, -1.0]])
    gap = made.columns.gap_term(own).value
    gap = gap[2] / block.weight[0]
    assert gap == pytest.approx(np.log1p(-np.exp(-2.0)))
    logistic = 1 / (1 + np.exp(-1.0))
    assert 2 * np.log(logistic) + gap == pytest.approx(np.log(logistic - (1 - logistic)))


def test_a_ranking_costs_one_choice_less_than_it_has_options():
    rng = np.random.default_rng(1)
    block = block_of("ranking", rng, num_rows=5)
    rank = np.argsort(rng.random((5, OPTIONS)), axis=1) + 1
    block = replace(block, offered=np.ones((5, OPTIONS), dtype=bool), answer={"rank": rank})
    made = as_choices(batch_of(block), (Ranking(),))
    sizes = np.concatenate([part.offered.sum(axis=1) for part in made.choices.blocks])
    assert sorted(sizes) == [2] * 5 + [3] * 5 + [4] * 5


@pytest.mark.parametrize(
    "channel",
    [
        Outcome(),
        Approval(link="probit"),
        Rating(levels=4, by_person=True),
        Rating(levels=4, link="probit"),
        Pair(ties="rao_kupper", link="probit"),
        Ranking(ties="davidson_luce", tie_sizes=(2, 3)),
        Nested(nests=(0, 0, 1, 1)),
        Probit(),
    ],
)
def test_what_is_no_choice_is_not_called_one(channel):
    block = block_of(channel.kind, np.random.default_rng(3))
    assert as_choices(batch_of(block), (channel,)) is None


def test_a_tie_that_others_come_behind_is_no_choice():
    block = block_of("ranking", np.random.default_rng(3), num_rows=1)
    block = replace(block, offered=np.ones((1, 4), dtype=bool))
    for rank, is_choice in (
        ([1, 1, 3, 4], False), ([1, 2, 2, 0], False), ([1, 2, 0, 0], True), ([1, 2, 3, 3], True),
    ):  # fmt: skip
        tied = replace(block, answer={"rank": np.array([rank])})
        assert (as_choices(batch_of(tied), (Ranking(),)) is not None) == is_choice
