"""Nested models, models that are not, and models that cannot be compared at all."""

import numpy as np
import pytest

from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.mixed_logit import MixedLogit
from penchant.models.model_choice import (
    boundary_parameters,
    likelihood_ratio_of,
    nested,
    vuong,
)


def two_proxies(rng, num_people=150, strengths=(0.7, 0.7)):
    """What people choose by is seen twice, each time with an error."""
    shape = (num_people * 3, 2)
    worth = rng.normal(size=shape)
    noise = rng.normal(size=(2, *shape))
    return Records.from_arrays(
        options={
            name: s * worth + np.sqrt(1 - s**2) * e
            for name, s, e in zip(("first", "second"), strengths, noise)
        },
        rows={
            "person": np.repeat(np.arange(num_people).astype(str), 3),
            "chosen": (worth + rng.gumbel(size=shape)).argmax(axis=1),
        },
    )


def test_equally_good_proxies_are_told_apart_as_rarely_as_the_level_says():
    rng, told, first_better = np.random.default_rng(0), 0, 0
    for _ in range(120):
        records = two_proxies(rng)
        one, two = (ConditionalLogit(name).fit(records).belief_ for name in ("first", "second"))
        found = vuong(one, two, records)
        told += found.p < 0.1
        first_better += found.z > 0
    assert 4 <= told <= 22
    assert 40 <= first_better <= 80


def test_the_better_proxy_is_found_and_the_sign_names_it():
    records = two_proxies(np.random.default_rng(1), num_people=400, strengths=(0.9, 0.3))
    one, two = (ConditionalLogit(name).fit(records).belief_ for name in ("first", "second"))
    there, back = vuong(one, two, records), vuong(two, one, records)
    assert there.z > 3
    assert there.p < 0.01
    assert back.z == pytest.approx(-there.z)
    assert there.difference == pytest.approx(
        one.report.log_likelihood - two.report.log_likelihood, abs=1e-6
    )


def test_each_further_parameter_is_paid_for_with_half_a_logarithm_of_the_people():
    records = two_proxies(np.random.default_rng(2))
    one = ConditionalLogit("first").fit(records).belief_
    two = ConditionalLogit("second + first").fit(records).belief_
    found = vuong(one, two, records)
    assert found.corrected_z > found.z
    spread = found.difference / found.z
    assert (found.corrected_z - found.z) * spread == pytest.approx(0.5 * np.log(150))


def test_names_tell_what_is_nested():
    records = two_proxies(np.random.default_rng(3))
    one, two, both = (
        ConditionalLogit(f).fit(records).belief_ for f in ("first", "second", "first + second")
    )
    assert nested(one, both)
    assert nested(both, one)
    assert not nested(one, two)
    assert not nested(one, one)
    random = MixedLogit("first + second", random="first", num_draws=50).fit(records).belief_
    assert nested(both, random)
    assert boundary_parameters(both, random) == ("sd(first)",)
    assert boundary_parameters(one, both) == ()
    assert likelihood_ratio_of(both, one) == likelihood_ratio_of(one, both)
    assert likelihood_ratio_of(one, both).degrees == 1


def test_models_of_different_data_are_refused():
    records = two_proxies(np.random.default_rng(4))
    other = two_proxies(np.random.default_rng(5))
    one = ConditionalLogit("first").fit(records).belief_
    two = ConditionalLogit("first + second").fit(other).belief_
    with pytest.raises(DataError, match="different data"):
        likelihood_ratio_of(one, two)
    with pytest.raises(DataError, match="different data"):
        vuong(one, two, records)
    same = ConditionalLogit("second").fit(records).belief_
    with pytest.raises(DataError, match="other data"):
        vuong(one, same, other)


def test_a_model_is_not_tested_against_itself():
    records = two_proxies(np.random.default_rng(6))
    one = ConditionalLogit("first").fit(records).belief_
    with pytest.raises(ConfigError, match="nothing to test"):
        vuong(one, one, records)


def test_tastes_that_vary_apart_are_a_case_of_those_that_vary_together():
    records = two_proxies(np.random.default_rng(7))
    formula, both = "first + second", ("first", "second")
    plain = ConditionalLogit(formula).fit(records).belief_
    one = MixedLogit(formula, random=("first",), num_draws=50).fit(records).belief_
    apart = MixedLogit(formula, random=both, num_draws=50).fit(records).belief_
    together = MixedLogit(formula, random=both, correlated=True, num_draws=50).fit(records).belief_
    assert nested(apart, together)
    assert nested(together, one)
    assert likelihood_ratio_of(apart, together).degrees == 1
    # Beside the diagonal zero is no edge.
    assert boundary_parameters(apart, together) == ()
    assert boundary_parameters(plain, together) == (
        "chol(first, first)",
        "chol(second, second)",
    )


def test_fits_with_different_weights_are_different_data():
    records = two_proxies(np.random.default_rng(8))
    weight = np.linspace(0.5, 1.5, len(records))
    one = ConditionalLogit("first").fit(records, sample_weight=weight).belief_
    plain, even, other, same = (
        ConditionalLogit("first + second").fit(records, sample_weight=w).belief_
        for w in (None, np.ones(len(records)), weight[::-1].copy(), weight)
    )
    for different in (plain, other):
        with pytest.raises(DataError, match="sample_weight"):
            likelihood_ratio_of(one, different)
    assert likelihood_ratio_of(one, same).degrees == 1
    assert plain.fingerprint == even.fingerprint == records.fingerprint
    with pytest.raises(DataError, match="sample_weight"):
        vuong(one, same, records)
