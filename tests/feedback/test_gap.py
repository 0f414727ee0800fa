"""Likelihoods as functions of the gap: those of the pairs, and their derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.feedback import pairwise
from penchant.feedback.gap import GapModel

MODELS = [
    GapModel(),
    GapModel(link="probit"),
    GapModel(ties="davidson"),
    GapModel(ties="rao_kupper"),
    GapModel(ties="rao_kupper", link="probit"),
    GapModel(levels=4),
    GapModel(levels=5, link="probit"),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_slopes_and_bends_are_those_of_finite_differences(model):
    rng = np.random.default_rng(0)
    gap, own = rng.normal(size=20) * 2, rng.normal(size=(20, model.num_own)) * 0.5
    answer = rng.integers(0, model.num_answers, 20)
    found, step = model.respond(gap, answer, own), 1e-6
    up, down = model.respond(gap + step, answer, own), model.respond(gap - step, answer, own)
    np.testing.assert_allclose(found.slope, (up.value - down.value) / 2e-6, atol=1e-7)
    np.testing.assert_allclose(found.bend, (down.slope - up.slope) / 2e-6, atol=1e-7)
    for m in range(model.num_own):
        moved = step * np.eye(model.num_own)[m]
        up, down = (model.respond(gap, answer, own + sign * moved) for sign in (1, -1))
        np.testing.assert_allclose(found.own_slope[:, m], (up.value - down.value) / 2e-6, atol=1e-7)
        np.testing.assert_allclose(found.cross[:, m], (down.slope - up.slope) / 2e-6, atol=1e-7)
        np.testing.assert_allclose(
            found.own_bend[:, m], (down.own_slope - up.own_slope) / 2e-6, atol=1e-7
        )


@pytest.mark.parametrize("model", MODELS, ids=str)
def test_the_probabilities_of_all_answers_sum_to_one_and_mirror_each_other(model):
    rng = np.random.default_rng(1)
    gap, own = rng.normal(size=30) * 3, rng.normal(size=(30, model.num_own))
    p = model.probabilities(gap, own)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-12)
    mirrored = model.probabilities(-gap, own)
    order = np.arange(model.num_answers)[::-1] if model.levels else [1, 0, 2][: model.num_answers]
    np.testing.assert_allclose(mirrored[:, order], p, atol=1e-12)


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(-5, 3), st.integers(0, 2))
def test_only_the_gap_between_two_worths_matters(first, second, log_tie, outcome):
    own, answer = np.array([[log_tie]]), np.array([outcome])
    alone = GapModel(ties="davidson").log_prob(np.array([first - second]), answer, own)
    both = pairwise.davidson_log_prob(np.array([[first, second]]), answer, own)
    np.testing.assert_allclose(alone, both, atol=1e-9)


@pytest.mark.parametrize("ties", [None, "davidson"])
@given(
    st.floats(-700, 700), st.floats(-40, 40), st.integers(0, 2), st.integers(1, 3), st.booleans()
)
def test_the_fused_loop_says_what_the_plain_likelihood_says(
    ties, gap, log_tie, answer, kinds, flip
):
    model = GapModel(ties=ties)
    gaps = np.linspace(gap, -gap if flip else 0.5 * gap, 2 * kinds).reshape(2, kinds)
    own = np.full((2, model.num_own, kinds), log_tie)
    answers = np.array([min(answer, model.num_answers - 1), 0])
    pytest.importorskip("numba")
    fused = model.respond(gaps, answers, own)
    plain = model.respond_plainly(gaps, answers, own)
    for name in ("value", "slope", "bend", "own_slope", "cross", "own_bend"):
        np.testing.assert_allclose(
            getattr(fused, name), getattr(plain, name), rtol=1e-9, atol=1e-12, err_msg=name
        )


def test_kinds_of_people_come_last():
    model, rng = GapModel(ties="davidson"), np.random.default_rng(2)
    gap, own = rng.normal(size=(6, 4)), rng.normal(size=(6, 1, 4))
    answer = rng.integers(0, 3, 6)
    together = model.respond(gap, answer, own)
    for s in range(4):
        one = model.respond(gap[:, s], answer, own[:, :, s])
        for name in ("value", "slope", "bend", "own_slope", "cross", "own_bend"):
            np.testing.assert_allclose(getattr(together, name)[..., s], getattr(one, name))


def test_impossible_models_are_refused_in_words():
    with pytest.raises(ConfigError, match="rao_kupper"):
        GapModel(ties="davidson", link="probit")
    with pytest.raises(ConfigError, match="levels"):
        GapModel(ties="davidson", levels=5)
