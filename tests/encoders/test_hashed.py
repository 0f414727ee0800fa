"""Names of any kind, hashed: the same everywhere, fair where two share a place."""

import subprocess
import sys

import numpy as np
import pytest

from penchant.encoders.hashed import HashedMenu
from penchant.errors import ConfigError, DataError


def test_parts_are_what_li_and_others_call_shared_and_disjoint():
    option, context = {"price": 2.0}, {"hour": 3.0, "day": "monday"}
    apart = HashedMenu(num_features=4096, parts=("name", "name*context"))
    tea, again, coffee = (apart.encode(n, option, context) for n in ("tea", "tea", "coffee"))
    np.testing.assert_array_equal(tea, again)
    # Weights of their own: nothing is shared by two names.
    assert (tea != 0).sum() == 3
    assert tea @ coffee == 0
    shared = HashedMenu(num_features=4096, parts=("option", "option*context"))
    one, other = (shared.encode(n, option, context) for n in ("tea", "coffee"))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(sorted(np.abs(one[one != 0])), [2.0, 2.0, 6.0])


def test_features_are_numbers_texts_and_objects_of_these():
    encoder = HashedMenu(num_features=4096, parts=("option",))
    found = encoder.encode("a", {"x": 2, "deep": {"y": 0.5, "z": "red"}, "yes": True, "no": 0}, {})
    np.testing.assert_allclose(sorted(np.abs(found[found != 0])), [0.5, 1.0, 1.0, 2.0])
    np.testing.assert_array_equal(
        encoder.encode("a", {"deep": {"y": 0.5}}, {}), encoder.encode("a", {"deep.y": 0.5}, {})
    )
    np.testing.assert_array_equal(encoder.encode("a", {"x": None}, {}), np.zeros(4096))


def test_names_that_share_a_place_push_both_ways():
    rng, encoder = np.random.default_rng(0), HashedMenu(num_features=16, parts=("option",))
    names = [f"n{k}" for k in range(400)]
    products = []
    for _ in range(300):
        one, two = rng.choice(names, size=2, replace=False)
        products.append(encoder.encode("", {one: 1}, {}) @ encoder.encode("", {two: 1}, {}))
    assert abs(np.mean(products)) < 4 * np.std(products) / np.sqrt(300)
    assert 0.02 < np.mean(np.abs(products)) < 0.12  # one in sixteen meet


def test_names_that_meet_in_one_situation_do_not_meet_in_all():
    encoder = HashedMenu(num_features=128, parts=("name*context",))
    names = [f"item{k:03d}" for k in range(100)]
    met = []
    for day in ("mon", "tue"):
        features = np.stack([encoder.encode(name, {}, {"day": day}) for name in names])
        met.append((features @ features.T != 0)[np.triu_indices(100, 1)])
    # 1 in 128 of 4,950 pairs meet on each day, on both as chance has it.
    assert 15 < met[0].sum() < 65
    assert 15 < met[1].sum() < 65
    assert (met[0] & met[1]).sum() <= 5


def test_another_process_hashes_the_same():
    script = (
        "from penchant.encoders.hashed import HashedMenu\n"
        "print(HashedMenu().encode('tea', {'price': 2}, {'hour': 3}).tolist())"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    here = HashedMenu().encode("tea", {"price": 2}, {"hour": 3}).tolist()
    assert said.stdout.strip() == str(here)


@pytest.mark.parametrize("value", [float("nan"), [1, 2], float("inf"), 10**400])
def test_what_is_no_feature_is_refused_by_name(value):
    with pytest.raises(DataError, match=r"'deep\.x'"):
        HashedMenu().encode("a", {"deep": {"x": value}}, {})


@pytest.mark.parametrize("values", [{"parts": ()}, {"parts": ("shared",)}, {"num_features": 0}])
def test_unknown_parts_are_refused(values):
    with pytest.raises(ConfigError, match="option"):
        HashedMenu(**values)
