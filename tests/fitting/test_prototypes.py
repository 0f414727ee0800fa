"""Prototypes: mixes with the right spread, ideal points as inner products, people foretold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_mixture import fit_head_mixture
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.prototypes import (
    fit_prototypes,
    held_out_people,
    ideal_points,
    mean_mix,
    radial_column,
)
from penchant.numerics.arrays import sigmoid
from penchant.populations.population import Population
from penchant.populations.prototypes import Prototypes
from penchant.simulation.judgements import judge_pairs, two_tastes
from penchant.utilities.ideal_point import worths


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 5), st.floats(0.1, 5.0))
def test_mixes_lie_in_the_simplex_with_the_mean_and_spread_of_dirichlet(num, concentration):
    mixing = Prototypes(num_prototypes=num, concentration=concentration, num_mixes=2000).mixing()
    assert mixing.min() >= 0
    np.testing.assert_allclose(mixing.sum(axis=1), 1.0)
    np.testing.assert_allclose(mixing.mean(axis=0), 1 / num, atol=0.02)
    variance = (1 / num) * (1 - 1 / num) / (num * concentration + 1)
    np.testing.assert_allclose(mixing.var(axis=0), variance, rtol=0.15, atol=2e-3)


def test_prototypes_are_a_population_of_equally_likely_mixes():
    prototypes = Prototypes(num_prototypes=3, num_mixes=50)
    assert isinstance(prototypes, Population)
    theta = np.arange(6.0)
    tastes = prototypes.tastes(theta, np.zeros((4, 0)))
    np.testing.assert_allclose(tastes.values[0], prototypes.mixing() @ theta.reshape(3, 2))
    assert np.exp(tastes.log_weights).sum() == pytest.approx(1.0)
    assert prototypes.parameter_names(("cost", "time"), ())[2] == "cost [prototype 2]"
    assert len(prototypes.parameter_names(("cost", "time"), ())) == 6
    with pytest.raises(ConfigError, match="concentration 0"):
        Prototypes(num_prototypes=2, concentration=0)


def test_one_prototype_is_one_head_and_pure_mixes_are_classes_of_equal_shares():
    made = judge_pairs(two_tastes(np.pi / 2, 6), 400, 5, np.random.default_rng(0))
    single = fit_prototypes(
        made.pairs(), Prototypes(num_prototypes=1), group=made.person,
        rng=np.random.default_rng(0), head_scale=1.0,
    )  # fmt: skip
    head = fit_linear_head(made.pairs(), GapModel(), prior_scale=1.0)
    assert single.log_likelihood == pytest.approx(head.log_likelihood, abs=0.02)
    pure = Prototypes(num_prototypes=2, concentration=1e-3, num_mixes=2)
    np.testing.assert_allclose(np.sort(pure.mixing(), axis=1), [[0, 1], [0, 1]], atol=1e-6)
    found, classes = (
        fit_head_mixture(made.pairs(), 2, group=made.person, rng=np.random.default_rng(0),
                         head_scale=1.0, mixing=mixing)
        for mixing in (pure.mixing(), None)
    )  # fmt: skip
    # Free shares of two equal halves gain next to nothing.
    assert found.log_likelihood == pytest.approx(classes.log_likelihood, abs=3.0)


def texts_and_pairs(rng, num_people, each, dims=2, sphere=False):
    """People whose ideal points lie between three corners, and the pairs that they judge."""
    corners = np.array([[2.0, 0.0], [-1.0, 1.5], [-1.0, -1.5]])
    mixes = rng.dirichlet(np.ones(3), size=num_people)
    ideal = mixes @ corners
    texts = rng.normal(scale=1.5, size=(300, dims))
    if sphere:
        texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    person = np.repeat(np.arange(num_people), each)
    first, second = rng.integers(300, size=(2, len(person)))
    worth = worths(
        np.stack([texts[first], texts[second]], axis=1) - ideal[person][:, None],
        np.zeros(dims), np.full(dims, 1.5),
    )  # fmt: skip
    gap = worth[:, 0] - worth[:, 1]
    answer = (rng.random(len(gap)) > sigmoid(gap)).astype(int)
    pairs = HeadPairs(
        features=texts.astype(np.float32), first=first, second=second, answer=answer,
        weight=np.ones(len(answer)),
    )  # fmt: skip
    return pairs, person, corners, mixes


def test_ideal_points_between_corners_are_recovered():
    pairs, person, corners, mixes = texts_and_pairs(np.random.default_rng(0), 600, 20)
    found = fit_prototypes(
        pairs, Prototypes(num_prototypes=3, num_mixes=256), group=person, geometry="distance",
        rng=np.random.default_rng(0), head_scale=10.0,
    )  # fmt: skip
    ideal = ideal_points(found)
    assert ideal.curvature == pytest.approx(1.5, rel=0.1)
    apart = np.linalg.norm(ideal.points[:, None] - corners[None], axis=2)
    assert sorted(apart.argmin(axis=1)) == [0, 1, 2]
    assert apart.min(axis=1).max() < 0.35
    said = mean_mix(found, np.log(np.maximum(found.responsibilities, 1e-300)))
    np.testing.assert_allclose(said.sum(axis=1), 1.0)
    # Where people stand, whatever the corners are called.
    truth, told = mixes @ corners, said @ ideal.points
    assert np.corrcoef(truth[:, 0], told[:, 0])[0, 1] > 0.9
    assert np.corrcoef(truth[:, 1], told[:, 1])[0, 1] > 0.9


def test_on_a_sphere_distance_and_product_are_the_same_model():
    pairs, person, _, _ = texts_and_pairs(np.random.default_rng(1), 200, 10, sphere=True)
    np.testing.assert_allclose(radial_column(pairs), 0.0, atol=1e-6)
    one, two = (
        fit_prototypes(pairs, Prototypes(num_prototypes=2), group=person, geometry=geometry,
                       rng=np.random.default_rng(0), head_scale=2.0)
        for geometry in ("product", "distance")
    )  # fmt: skip
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=0.1)
    np.testing.assert_allclose(
        np.sort(one.heads.weights, axis=0), np.sort(two.heads.weights, axis=0), atol=0.05
    )


def test_worth_that_rises_with_distance_has_no_ideal_points():
    pairs, person, _, _ = texts_and_pairs(np.random.default_rng(1), 100, 10)
    turned = HeadPairs(
        features=pairs.features, first=pairs.second, second=pairs.first, answer=pairs.answer,
        weight=pairs.weight,
    )  # fmt: skip
    found = fit_prototypes(
        turned, Prototypes(num_prototypes=1), group=person, geometry="distance",
        rng=np.random.default_rng(0),
    )  # fmt: skip
    with pytest.raises(DataError, match="does not fall with distance"):
        ideal_points(found)
    apart = judge_pairs(two_tastes(np.pi, 4), 20, 2, np.random.default_rng(0))
    with pytest.raises(DataError, match="features of both options"):
        radial_column(apart.pairs())


def test_the_number_of_prototypes_is_found_by_people_who_were_left_out():
    made = judge_pairs(two_tastes(np.pi / 2, 8), 400, 8, np.random.default_rng(0))
    found = held_out_people(
        made.pairs(), made.person,
        [Prototypes(num_prototypes=k, concentration=0.3) for k in (1, 2, 4)],
        rng=np.random.default_rng(1),
    )  # fmt: skip
    assert found[1] > found[0] + 0.05
    assert found[1] > found[2]


def test_a_new_person_is_learned_from_few_answers():
    rng = np.random.default_rng(0)
    made = judge_pairs(two_tastes(np.pi / 2, 10), 400, 8, rng)
    found = fit_prototypes(
        made.pairs(), Prototypes(num_prototypes=2, concentration=0.2), group=made.person, rng=rng
    )
    new = judge_pairs(two_tastes(np.pi / 2, 10), 400, 20, rng)
    place, later = np.tile(np.arange(20), 400), np.tile(np.arange(20) >= 10, 400)
    right = []
    for labels in (0, 2, 10):
        few = place < labels
        weights = found.heads.learned(
            found.heads.log_weights(np.zeros((400, 0))), new.differences[few], new.answer[few],
            new.person[few],
        )  # fmt: skip
        said = found.heads.probabilities(new.differences[later], weights[new.person[later]])
        right.append(np.mean((said[:, 0] > 0.5) == (new.gap[later] > 0)))
    assert right[0] == pytest.approx(0.75, abs=0.03)
    assert right[1] > 0.85
    assert right[2] > 0.93
