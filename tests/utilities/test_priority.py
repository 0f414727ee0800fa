"""An order of importance: who decides, in any unit, and that overlooked advantages go round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from penchant.errors import ConfigError
from penchant.utilities.priority import preferred_by_priority

FACTORS = hnp.arrays(np.float64, (6, 3), elements=st.floats(-5, 5))


@given(FACTORS, FACTORS, hnp.arrays(np.float64, 3, elements=st.floats(0, 3)))
def test_it_is_the_plain_loop_and_turns_with_the_sides(first, second, tolerance):
    found = preferred_by_priority(first, second, tolerance)
    for row, (a, b) in enumerate(zip(first, second)):
        verdict = 0
        for x, y, enough in zip(a, b, tolerance):
            if abs(x - y) > enough:
                verdict = 1 if x > y else -1
                break
        assert found[row] == verdict
    np.testing.assert_array_equal(preferred_by_priority(second, first, tolerance), -found)


def test_the_unit_of_a_factor_does_not_matter():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 200, 3))
    unit = np.array([1.0, 128.0, 0.25])
    np.testing.assert_array_equal(
        preferred_by_priority(first, second, np.ones(3)),
        preferred_by_priority(first * unit, second * unit, unit),
    )


def test_advantages_overlooked_one_by_one_go_round():
    a, b, c = np.array([[0.0, 2.0], [0.6, 1.0], [1.2, 0.0]])
    enough = np.array([1.0, 0.5])
    legs = [preferred_by_priority(x[None], y[None], enough)[0] for x, y in ((a, b), (b, c), (c, a))]
    assert legs == [1, 1, 1]


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ConfigError, match="expected zero or more"):
        preferred_by_priority(np.ones((1, 1)), np.ones((1, 1)), np.array([-1.0]))
