"""Composed rewards: what is missing stays missing, and what is composed obeys its formula."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penchant.errors import ConfigError
from penchant.utilities import compose

torch = pytest.importorskip("torch")

SCORES = hnp.arrays(np.float64, (4, 3, 5), elements=st.floats(-10, 10))
HOLES = hnp.arrays(bool, (4, 3, 5))
NAN = np.nan


@given(SCORES, HOLES, hnp.arrays(np.float64, 5, elements=st.floats(-3, 3)))
def test_a_missing_score_is_missing_and_never_zero(scores, holes, weights):
    holed = np.where(holes, NAN, scores)
    found = compose.weighted_sum(holed, weights)
    needs = (holes & (weights != 0)).any(axis=-1)
    np.testing.assert_array_equal(np.isnan(found), needs)
    np.testing.assert_allclose(found[~needs], (scores @ weights)[~needs], atol=1e-9)


@given(SCORES, HOLES, hnp.arrays(np.float64, 5, elements=st.floats(0.1, 3)))
def test_what_is_left_speaks_for_the_whole_where_that_is_asked_for(scores, holes, weights):
    holed = np.where(holes, NAN, scores)
    found = compose.weighted_sum(holed, weights, missing="leave_out")
    twin = np.ma.average(np.ma.masked_invalid(holed), axis=-1, weights=weights) * weights.sum()
    np.testing.assert_allclose(found, np.ma.filled(twin, NAN), atol=1e-8)
    # Components that agree lose nothing with one of them.
    alike = np.where(holes, NAN, scores[..., :1])
    np.testing.assert_allclose(
        compose.weighted_sum(alike, weights, missing="leave_out"),
        np.where(holes.all(axis=-1), NAN, scores[..., 0] * weights.sum()), atol=1e-8,
    )  # fmt: skip


@given(SCORES, HOLES)
def test_torch_composes_as_numpy_does(scores, holes):
    holed = np.where(holes, NAN, scores)
    weights, points = (
        np.array([1.0, 0.0, 0.5, 2.0, 0.1]),
        np.tile([3.0, -2.0, 0.0, 1.0, 5.0], (4, 1)),
    )
    kind = np.array([0, 4, -1, 2])
    pairs = [
        (compose.weighted_sum, (holed, weights)),
        (compose.in_own_spread, (holed.reshape(-1, 5),)),
        (compose.switchboard, (holed, kind)),
        (compose.rubric, (holed, points)),
        (compose.page, (holed[:, :, 0], holed)),
        (compose.hybrid, (holed[:, :, 0], holed[:, :, 1], kind > 0)),
    ]
    for function, arguments in pairs:
        other = function(*(torch.as_tensor(x) for x in arguments))
        np.testing.assert_allclose(other.numpy(), function(*arguments), atol=1e-9)


def test_weights_of_a_step_or_a_person_are_another_shape():
    rng = np.random.default_rng(0)
    scores, weights = rng.normal(size=(6, 4, 3)), rng.normal(size=(6, 1, 3))
    np.testing.assert_allclose(
        compose.weighted_sum(scores, weights), np.einsum("bkm,bm->bk", scores, weights[:, 0])
    )


def test_scales_do_not_decide_once_each_component_is_in_its_own_spread():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(50, 3))
    scores[4, 1] = NAN
    other = scores * [1.0, 1000.0, 0.01] + [0.0, -7.0, 3.0]
    np.testing.assert_allclose(compose.in_own_spread(scores), compose.in_own_spread(other))
    assert np.isnan(compose.in_own_spread(scores)[4, 1])
    assert np.all(compose.in_own_spread(np.ones((5, 2))) == 0.0)


def test_a_rule_that_failed_is_not_replaced_by_the_model():
    found = compose.hybrid(
        np.array([[1.0, NAN], [0.0, 0.0]]), np.array([[9.0, 9.0], [2.0, 3.0]]),
        np.array([True, False]),
    )  # fmt: skip
    np.testing.assert_array_equal(found, [[1.0, NAN], [2.0, 3.0]])


def test_a_kind_without_a_verifier_has_no_score():
    scores = np.arange(12.0).reshape(3, 2, 2)
    found = compose.switchboard(scores, np.array([1, 0, 7]))
    np.testing.assert_array_equal(found, [[1.0, 3.0], [4.0, 6.0], [NAN, NAN]])


def test_a_rubric_counts_points_over_the_positive_ones():
    points = np.array([[5.0, 3.0, -4.0, 0.0]])
    met = np.array([[[1, 1, 0, 0], [1, 0, 1, NAN], [1, NAN, 0, 0], [NAN, NAN, NAN, NAN]]], float)
    np.testing.assert_allclose(compose.rubric(met, points), [[1.0, 1 / 8, NAN, NAN]])
    np.testing.assert_allclose(
        compose.rubric(met, points, missing="leave_out"), [[1.0, 1 / 8, 1.0, NAN]]
    )
    assert np.isnan(compose.rubric(met, -np.abs(points))).all()


def test_length_is_judged_against_what_was_right_at_the_same_prompt():
    length = np.array([[100.0, 150.0, 300.0, 50.0], [10.0, 20.0, 30.0, 40.0]])
    correct = np.array([[True, False, False, False], [False] * 4])
    found = compose.length_penalty(length, correct, tolerance=1.0, largest=0.5)
    np.testing.assert_allclose(found, [[0.0, -0.25, -0.5, 0.0], [0.0] * 4])


def test_a_length_that_is_missing_is_missing_and_touches_no_other():
    length = np.array([[100.0, 150.0, NAN, NAN], [NAN, 20.0, 30.0, 40.0]])
    correct = np.array([[True, False, True, False], [False] * 4])
    found = compose.length_penalty(length, correct, tolerance=1.0, largest=0.5)
    np.testing.assert_allclose(found, [[0.0, -0.25, NAN, NAN], [NAN, 0.0, 0.0, 0.0]])


def test_a_truncated_answer_is_covered_but_does_not_cover():
    rng = np.random.default_rng(0)
    answer = rng.normal(size=(12, 30))
    paraphrase = answer[::-1] + 0.3 * rng.normal(size=(12, 30))
    other = rng.normal(size=(12, 30))
    matches = [
        float(compose.mutual_match(answer, x)) for x in (answer, paraphrase, answer[:4], other)
    ]
    assert matches == sorted(matches, reverse=True)
    assert matches[0] == pytest.approx(1.0)
    assert compose.mutual_match(answer, other) == pytest.approx(
        float(compose.mutual_match(other, answer))
    )


def test_what_cannot_be_composed_is_refused():
    with pytest.raises(ConfigError, match="both signs"):
        compose.weighted_sum(np.ones((2, 2)), np.array([1.0, -1.0]), missing="leave_out")
