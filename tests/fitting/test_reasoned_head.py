"""Reasons as a second channel: slopes, limits, and what they are worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.feedback import choice
from penchant.feedback.gap import GapModel
from penchant.feedback.reason import reading_score, reason_bend, reason_log_prob, reason_score
from penchant.fitting.head_pairs import HeadDensity, winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.reasoned_head import (
    NamedThemes,
    Reading,
    ReasonConfig,
    fit_reasoned_head,
    hear_reasons,
    likeliest_reading,
)

READINGS = st.tuples(st.floats(0.0, 4.0), st.floats(0.02, 0.98), st.booleans())


def usual_of(rng, size, has_usual):
    return rng.dirichlet(np.ones(size)) if has_usual else None


@given(st.integers(0, 1000), READINGS)
def test_slopes_are_those_of_finite_differences_and_no_reason_has_none(seed, reading):
    rng = np.random.default_rng(seed)
    contributions, named = rng.normal(size=(9, 4)), rng.integers(-1, 4, 9)
    sharpness, lapse, has_usual = reading
    usual = usual_of(rng, 4, has_usual)
    score = reason_score(contributions, named, sharpness, lapse, usual)
    for d in range(4):
        step = np.zeros((9, 4))
        step[:, d] = 1e-6
        up, down = (
            reason_log_prob(contributions + s * step, named, sharpness, lapse, usual)
            for s in (1, -1)
        )
        np.testing.assert_allclose(score[:, d], (up - down) / 2e-6, atol=1e-7)
    by_sharpness, by_lapse = reading_score(contributions, named, sharpness, lapse, usual)
    for by, ends in (
        (by_sharpness, ((sharpness + 1e-6, lapse), (sharpness - 1e-6, lapse))),
        (by_lapse, ((sharpness, lapse + 1e-6), (sharpness, lapse - 1e-6))),
    ):
        up, down = (reason_log_prob(contributions, named, *end, usual) for end in ends)
        np.testing.assert_allclose(by, (up - down) / 2e-6, atol=2e-6, rtol=1e-5)
    for told in (score, by_sharpness, by_lapse):
        assert np.all(told[named < 0] == 0)
    silent = reason_log_prob(contributions, named, sharpness, lapse, usual)[named < 0]
    assert np.all(silent == 0)


@given(st.integers(0, 1000), READINGS)
def test_probabilities_of_all_reasons_sum_to_one_and_bends_are_expected_squares(seed, reading):
    rng = np.random.default_rng(seed)
    contributions = rng.normal(size=(5, 3))
    sharpness, lapse, has_usual = reading
    told = (sharpness, lapse, usual_of(rng, 3, has_usual))
    odds = [np.exp(reason_log_prob(contributions, np.full(5, d), *told)) for d in range(3)]
    np.testing.assert_allclose(sum(odds), 1.0)
    scores = [reason_score(contributions, np.full(5, d), *told) for d in range(3)]
    expected = sum(p[:, None, None] * s[:, :, None] * s[:, None] for p, s in zip(odds, scores))
    bend = reason_bend(contributions, *told)
    own, shares = bend.own, bend.shares
    cross = own[:, :, None] * shares[:, None]
    made = own[:, :, None] * np.eye(3) - cross - cross.transpose(0, 2, 1)
    made += own.sum(axis=1)[:, None, None] * shares[:, :, None] * shares[:, None]
    np.testing.assert_allclose(made, expected, atol=1e-12)


def test_reasons_that_are_not_sharp_name_themes_as_often_as_ever():
    rng = np.random.default_rng(4)
    usual = rng.dirichlet(np.ones(4))
    named = rng.integers(0, 4, 9)
    told = reason_log_prob(rng.normal(size=(9, 4)), named, 0.0, 0.3, usual)
    np.testing.assert_allclose(told, np.log(usual[named]))


def test_without_lapses_a_reason_is_a_choice_between_attributes():
    rng = np.random.default_rng(1)
    contributions, named = rng.normal(size=(9, 4)), rng.integers(0, 4, 9)
    np.testing.assert_allclose(
        reason_log_prob(contributions, named, 2.0, 0.0),
        choice.log_prob(2.0 * contributions, np.ones((9, 4), dtype=bool), named),
    )


def some_themes(seed, num=40, themes=3, size=5):
    rng = np.random.default_rng(seed)
    return NamedThemes(
        along=rng.normal(size=(num, themes)), named=rng.integers(-1, themes, num),
        weight=rng.uniform(0.2, 2.0, num), directions=rng.normal(size=(themes, size)),
        usual=rng.dirichlet(np.ones(themes)),
    )  # fmt: skip


@given(st.integers(0, 1000))
def test_themes_tell_a_head_by_the_slope_of_finite_differences(seed):
    themes, reading = some_themes(seed), Reading(sharpness=1.3, lapse=0.2)
    theta = np.random.default_rng(seed).normal(size=5)
    slope = themes.slope(theta, reading)
    for place, step in enumerate(1e-6 * np.eye(5)):
        up, down = (themes.slope(theta + s * step, reading).value for s in (1, -1))
        assert slope.gradient[place] == pytest.approx((up - down) / 2e-6, abs=1e-4)


def test_what_reasons_are_expected_to_tell_is_the_mean_square_of_their_slopes():
    """Reasons drawn as the model says: their scores have the information for covariance."""
    themes, reading = some_themes(0), Reading(sharpness=1.3, lapse=0.2)
    theta, rng = np.random.default_rng(7).normal(size=5), np.random.default_rng(8)
    drawn, contributions = [], themes.contributions(theta)
    told = (reading.sharpness, reading.lapse, themes.usual)
    odds = np.stack(
        [np.exp(reason_log_prob(contributions, np.full(40, j), *told)) for j in range(3)], axis=1
    )
    for _ in range(4000):
        named = (rng.random((40, 1)) > odds.cumsum(axis=1)).sum(axis=1).clip(max=2)
        # Each reason by itself, so that weights count once and not squared.
        score = reason_score(contributions, named, *told) * themes.along
        score = np.sqrt(themes.weight * (themes.named >= 0))[:, None] * score
        drawn.append((score * rng.choice([-1.0, 1.0], (40, 1))).sum(axis=0))
    found = themes.directions.T @ np.cov(np.array(drawn).T) @ themes.directions
    made = themes.information(theta, reading)
    assert np.abs(found - made).max() < 0.1 * np.abs(made).max()
    assert np.linalg.eigvalsh(made).min() > -1e-9


def won_and_named(seed, num=80, size=20):
    rng = np.random.default_rng(seed)
    truth, gaps = rng.normal(size=size), rng.normal(size=(num, size))
    won = rng.random(num) < 1 / (1 + np.exp(-gaps @ truth))
    gaps = np.where(won[:, None], gaps, -gaps)
    return gaps, np.argmax(gaps * truth, axis=1), truth


def test_a_head_that_hears_reasons_is_the_mode_of_both_channels():
    """From the head without, in other units, to where the plain climb of all at once ends."""
    gaps, named, _ = won_and_named(5, size=6)
    pairs, model, precision = winners(gaps), GapModel(), np.full(6, 0.7**-2)
    reading = Reading(sharpness=1.5, lapse=0.25)
    themes = NamedThemes(along=gaps, named=named, weight=np.ones(80), directions=np.eye(6))
    answers = HeadDensity(pairs=pairs, model=model, precision=precision)
    head = hear_reasons(
        fit_linear_head(pairs, model, prior_scale=0.7), answers, precision, themes, reading
    )
    config = ReasonConfig(prior_scale=0.7, sharpness=1.5, lapse=0.25)
    expected = fit_reasoned_head(gaps, named, np.ones(80), config)
    assert head.converged
    np.testing.assert_allclose(head.weights, expected, atol=2e-3)
    information = answers.information(head.theta) + themes.information(head.theta, reading)
    np.testing.assert_allclose(
        np.linalg.inv(head.covariance), information + np.diag(precision), rtol=1e-6, atol=1e-6
    )


def test_how_sharply_people_name_what_decided_is_found_and_chance_is_found_out():
    rng = np.random.default_rng(11)
    contributions = rng.normal(size=(6000, 5))
    odds = np.exp(2.0 * contributions)
    odds = 0.75 * odds / odds.sum(axis=1, keepdims=True) + 0.25 / 5
    named = (rng.random((6000, 1)) > odds.cumsum(axis=1)).sum(axis=1).clip(max=4)
    even = np.ones(6000)
    reading = likeliest_reading(contributions, named, even)
    assert reading.sharpness == pytest.approx(2.0, rel=0.1)
    assert reading.lapse == pytest.approx(0.25, abs=0.03)
    # The same of contributions in other units; of a sharpness that is given, the lapse alone.
    other = likeliest_reading(0.01 * contributions, named, even)
    assert other.sharpness == pytest.approx(100 * reading.sharpness, rel=1e-3)
    half = likeliest_reading(contributions, named, even, sharpness=1.0)
    assert half.sharpness == pytest.approx(1.0)
    assert half.lapse < reading.lapse
    told = reason_log_prob(
        contributions, rng.permutation(named),
        *(lambda r: (r.sharpness, r.lapse))(
            likeliest_reading(contributions, rng.permutation(named), even)
        ),
    )  # fmt: skip
    assert abs(told.mean() + np.log(5)) < 0.01


def test_a_reason_brings_the_weights_nearer_to_the_truth():
    near = {0.0: [], 1.0: []}
    for seed in range(6):
        gaps, named, truth = won_and_named(seed)
        for eta, found in near.items():
            w = fit_reasoned_head(gaps, named, np.ones(80), ReasonConfig(reason_weight=eta))
            found.append(np.corrcoef(w, truth)[0, 1])
    assert np.mean(near[1.0]) > np.mean(near[0.0]) + 0.05


def test_reasons_that_were_not_given_change_nothing():
    rng = np.random.default_rng(3)
    gaps = rng.normal(size=(50, 4))
    none = fit_reasoned_head(gaps, np.full(50, -1), np.ones(50))
    left_out = fit_reasoned_head(
        gaps, rng.integers(0, 4, 50), np.ones(50), ReasonConfig(reason_weight=0.0)
    )
    np.testing.assert_allclose(none, left_out, atol=1e-6)


def test_reasons_for_attributes_that_are_not_there_are_refused():
    with pytest.raises(DataError, match="attributes -1 to 4 of 4"):
        fit_reasoned_head(np.ones((2, 4)), np.array([-1, 4]), np.ones(2))
    with pytest.raises(ConfigError, match="lapse=0"):
        fit_reasoned_head(np.ones((1, 2)), np.zeros(1, int), np.ones(1), ReasonConfig(lapse=0.0))
