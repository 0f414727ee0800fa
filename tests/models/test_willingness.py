"""Willingness to pay: by row as by mean slopes, and how it is spread over a population."""

from dataclasses import replace

import numpy as np
import pytest

from penchant import swissmetro
from penchant.beliefs.marginal import marginal_features, person_of_row
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.latent_class_logit import LatentClassLogit
from penchant.models.mixed_logit import MixedLogit
from penchant.models.willingness import (
    personal_willingness,
    population_willingness,
    willingness_by_kind,
    willingness_to_pay,
)

FORMULA = "option + time/100 + cost/100 + time/100:age"


@pytest.fixture(scope="module")
def records():
    return swissmetro().take(np.arange(900))


@pytest.fixture(scope="module")
def mixed(records):
    return MixedLogit(FORMULA, random=("time/100",), num_draws=200).fit(records).belief_


def test_the_ratio_of_means_is_that_of_a_loop_over_rows(records):
    belief = ConditionalLogit(FORMULA).fit(records).belief_
    time = marginal_features(belief, records, "time", None)
    cost = marginal_features(belief, records, "cost", None)
    purpose = records.rows["purpose"].to_pylist()
    found = willingness_to_pay(
        belief, records, "time", "cost", rng=np.random.default_rng(0), by="purpose"
    )
    for worth in found:
        mine = [row for row, name in enumerate(purpose) if name == worth.group]
        slow = sum(float(time[row] @ belief.theta) for row in mine) / sum(
            float(cost[row] @ belief.theta) for row in mine
        )
        assert worth.value == pytest.approx(slow, rel=1e-9)
        assert worth.low < worth.value < worth.high


def test_where_the_price_may_be_no_loss_the_ratio_has_no_bound(records):
    """The more of our doubt lies beyond a price of zero, the less is bounded."""
    belief = ConditionalLogit("time + cost").fit(records).belief_
    names = list(belief.parameter_names)
    place = names.index("cost")
    ends = {}
    for share, error in (("never", 0.01), ("often", 2.0)):
        covariance = np.zeros_like(belief.covariance)
        covariance[place, place] = (error * belief.theta[place]) ** 2
        doubtful = replace(belief, covariance=covariance, robust_covariance=None)
        (worth,) = willingness_to_pay(
            doubtful, records, "time", "cost", rng=np.random.default_rng(0)
        )
        assert worth.value == pytest.approx(belief.theta[0] / belief.theta[place])
        ends[share] = (worth.low, worth.high)
    assert np.isfinite(ends["never"]).all()
    low, high = ends["often"]
    # Time is a loss: the less money is worth, the more of it is paid, without end.
    assert 0 < low < worth.value
    assert high == np.inf


def test_the_population_of_a_normal_taste_and_one_price_is_normal(records, mixed):
    ratios, shares = population_willingness(mixed, records, "time", "cost")
    assert shares.sum() == pytest.approx(1.0)
    named = dict(zip(mixed.parameter_names, mixed.theta, strict=True))
    price = named["cost/100"]
    spread = named["sd(time/100)"] / price
    for row, person in ((0, 0), (500, int(person_of_row(mixed.encode(records))[500]))):
        slopes = marginal_features(mixed, records, "time", None)[row]
        centre = float(slopes @ mixed.theta[: len(slopes)]) * 100 / price
        mean = np.average(ratios[person], weights=shares[person])
        deviation = np.sqrt(np.average((ratios[person] - mean) ** 2, weights=shares[person]))
        assert mean == pytest.approx(centre, abs=0.02 * abs(spread))
        assert deviation == pytest.approx(abs(spread), rel=0.03)


def test_people_s_own_guesses_spread_less_than_the_population_they_come_from(records, mixed):
    ratios, shares = population_willingness(mixed, records, "time", "cost")
    own = personal_willingness(mixed, records, "time", "cost", history=records)
    assert np.std(own) < np.sqrt(np.cov(ratios.ravel(), aweights=shares.ravel()))


def test_without_random_tastes_a_person_is_their_situation(records):
    # A franc weighs less on a dear trip: a person's rows differ.
    formula = "option + time/100 + log(1+cost/20) + time/100:age"
    belief = ConditionalLogit(formula).fit(records).belief_
    ratios, _ = population_willingness(belief, records, "time", "cost")
    np.testing.assert_allclose(ratios[:, 0], personal_willingness(belief, records, "time", "cost"))


def test_each_kind_of_people_has_a_price_of_its_own_and_one_may_have_none(records):
    belief = LatentClassLogit("option + time/100 + cost/100", num_classes=2, random_state=0).fit(
        records
    ).belief_  # fmt: skip
    kinds = willingness_by_kind(belief, records, "time", "cost", history=records)
    named = dict(zip(belief.parameter_names, belief.theta, strict=True))
    weights = np.exp(belief.tastes(belief.encode(records), belief.encode(records)).log_weights)
    for place, kind in enumerate(kinds):
        time, cost = (named[f"{name}/100 [class {place + 1}]"] for name in ("time", "cost"))
        assert kind.value == pytest.approx(time / cost)
        assert kind.pays == (cost < 0)
        # All have nine choices, so that people and rows weigh alike.
        assert kind.share == pytest.approx(weights[:, place].mean(), abs=2e-3)
    is_cost = [name.startswith("cost") for name in belief.parameter_names]
    free = replace(belief, theta=np.where(is_cost, 0.01, belief.theta))
    assert not any(kind.pays for kind in willingness_by_kind(free, records, "time", "cost"))
