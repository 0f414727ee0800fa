"""Classes: weights are probabilities, and the numbering of classes means nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.populations.classes import Classes
from penchant.populations.population import Population


def random_case(seed, num_classes=3, num_features=4, num_group_features=2, num_groups=7):
    rng = np.random.default_rng(seed)
    classes = Classes(num_classes)
    theta = rng.normal(size=classes.num_parameters(num_features, num_group_features))
    return classes, theta, rng.normal(size=(num_groups, num_group_features))


def test_it_is_a_population():
    assert isinstance(Classes(2), Population)


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(1, 300))
def test_weights_are_probabilities_however_far_the_router_goes(seed, num_classes, size):
    classes, theta, group_features = random_case(seed, num_classes)
    tastes = classes.tastes(theta, size * group_features)
    np.testing.assert_allclose(np.exp(tastes.log_weights).sum(axis=1), 1.0, rtol=1e-12)
    assert np.all(np.isfinite(tastes.log_weights))


@given(st.integers(0, 10_000), st.permutations(range(3)))
def test_renumbering_classes_moves_values_and_weights_together(seed, order):
    classes, theta, group_features = random_case(seed)
    before = classes.tastes(theta, group_features)
    after = classes.tastes(classes.reorder(theta, np.array(order), 2), group_features)
    np.testing.assert_array_equal(after.values, before.values[:, order])
    np.testing.assert_allclose(after.log_weights, before.log_weights[:, order], atol=1e-12)


def test_the_largest_class_comes_first():
    classes, theta, group_features = random_case(3)
    shares = classes.shares(classes.largest_first(theta, group_features), group_features)
    assert np.all(np.diff(shares) < 0)


def test_one_class_is_one_taste_for_all():
    classes, theta, group_features = random_case(1, num_classes=1)
    tastes = classes.tastes(theta, group_features)
    np.testing.assert_array_equal(tastes.values, theta[None, None])
    np.testing.assert_array_equal(tastes.log_weights, 0.0)


def test_a_worked_router():
    classes = Classes(2)
    theta = np.array([1.0, 2.0, np.log(3.0), np.log(2.0)])  # one feature, one group feature
    tastes = classes.tastes(theta, np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(np.exp(tastes.log_weights), [[1 / 4, 3 / 4], [1 / 7, 6 / 7]])
    np.testing.assert_array_equal(tastes.values, [[[1.0], [2.0]]])


def test_names_follow_theta():
    names = Classes(2).parameter_names(("cost", "time"), ("age",))
    assert names == (
        "cost [class 1]", "time [class 1]", "cost [class 2]", "time [class 2]",
        "class 2: intercept", "class 2: age",
    )  # fmt: skip
    assert len(names) == Classes(2).num_parameters(2, 1)


def test_no_class_at_all_is_refused():
    with pytest.raises(ConfigError, match="num_classes is 0"):
        Classes(0)
