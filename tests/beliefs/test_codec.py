"""What goes into a belief's folder comes out equal; nothing foreign is ever built."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.beliefs.codec import from_plain, to_plain
from penchant.beliefs.report import FitReport
from penchant.encoders.table import Levels
from penchant.errors import BeliefError

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(), st.text(max_size=8)
)
words = st.lists(st.text(max_size=4), max_size=3).map(tuple)
levels = st.builds(Levels, st.text(max_size=4), words)
flat = st.one_of(leaves, levels, words)
nested = st.one_of(
    flat,
    st.lists(flat, max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=4), flat, max_size=3),
)
values = st.one_of(
    nested,
    st.lists(nested, max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=4), nested, max_size=3),
)


def same(a, b):
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and a == b


@given(values)
def test_a_value_survives_the_round_trip_through_json(value):
    arrays = {}
    text = json.dumps(to_plain(value, arrays), allow_nan=False)
    assert same(value, from_plain(json.loads(text), arrays))


@given(st.integers(0, 1000), st.sampled_from(["f8", "f4", "i8", "?"]))
def test_arrays_come_back_with_their_type_and_bits(seed, kind):
    array = np.random.default_rng(seed).normal(size=(3, 2)).astype(kind)
    arrays = {}
    plain = to_plain({"a": array, "b": (array, 1.0)}, arrays)
    back = from_plain(json.loads(json.dumps(plain)), arrays)
    for found in (back["a"], back["b"][0]):
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "path", ["os:system", "subprocess:Popen", "penchant_evil:X", "penchant.errors:DataError",
             "penchant.beliefs.codec:to_plain", "penchant.beliefs.codec:json.loads"],
)  # fmt: skip
def test_only_frozen_dataclasses_of_penchant_are_ever_built(path):
    with pytest.raises(BeliefError):
        from_plain({"class": path, "fields": {}}, {})


def test_a_field_of_another_version_is_named():
    plain = {"class": "penchant.encoders.table:Levels", "fields": {"of": "x", "sort": 1}}
    with pytest.raises(BeliefError, match=r"\['sort'\].*another version"):
        from_plain(plain, {})


def test_a_missing_field_is_told_apart_from_a_programming_error():
    with pytest.raises(BeliefError, match="cannot be rebuilt"):
        from_plain({"class": "penchant.encoders.table:Levels", "fields": {"of": "x"}}, {})


def test_an_array_that_is_not_there_is_named():
    with pytest.raises(BeliefError, match="'theta'"):
        from_plain({"array": "theta"}, {})


def test_a_report_keeps_its_numbers():
    report = FitReport(
        log_likelihood=-10.0, null_log_likelihood=-20.0, rows=10, people=3, parameters=2,
        converged=True, iterations=4, seconds=0.1, method="Newton", warnings=("a", "b"),
    )  # fmt: skip
    assert from_plain(to_plain(report, {}), {}) == report
    assert report.aic == 24.0
    assert report.bic == pytest.approx(2 * math.log(10) + 20)
    assert report.rho_squared == pytest.approx(0.5)
    assert report.adjusted_rho_squared == pytest.approx(0.4)
