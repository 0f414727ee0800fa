"""What a change would do, against sums done by hand."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.nested_logit import NestedLogit
from penchant.models.willingness import personal_willingness, willingness_to_pay
from penchant.policies.oneshot.elasticities import elasticities
from penchant.policies.oneshot.what_if import Change, apply_changes, what_if


def trips(rng, num_people=150, num_tasks=6):
    """Bus or rail; rich people mind the price half as much: an hour is worth 10 or 20."""
    shape = (num_people * num_tasks, 2)
    time, cost = rng.uniform(0.5, 3, shape), rng.uniform(5, 40, shape)
    rich = np.repeat(rng.random(num_people) < 0.5, num_tasks)
    money = np.where(rich, 0.05, 0.1)[:, None]
    worth = -1.0 * time - money * cost + np.array([0.0, 0.4]) + rng.gumbel(size=shape)
    return Records.from_arrays(
        options={"option": np.tile(["bus", "rail"], (shape[0], 1)), "time": time, "cost": cost},
        rows={
            "person": np.repeat([f"p{i}" for i in range(num_people)], num_tasks),
            "chosen": worth.argmax(axis=1),
            "rich": np.where(rich, "yes", "no"),
        },
        person_features=("rich",),
    )


@pytest.fixture(scope="module")
def records():
    return trips(np.random.default_rng(0), num_people=1500)


@pytest.fixture(scope="module")
def model(records):
    return ConditionalLogit("option + time + cost + cost:rich").fit(records)


def by_name(model):
    return dict(zip(model.belief_.parameter_names, model.belief_.theta, strict=True))


def test_changes_touch_only_what_they_name(records):
    changed = apply_changes(records, [Change(feature="cost", option="rail", multiply=2.0, add=1.0)])
    option = np.array(records.options["option"].to_pylist())
    before, after = (np.asarray(r.options["cost"].to_numpy()) for r in (records, changed))
    np.testing.assert_allclose(after[option == "rail"], 2.0 * before[option == "rail"] + 1.0)
    np.testing.assert_array_equal(after[option == "bus"], before[option == "bus"])
    np.testing.assert_array_equal(changed.options["time"].to_numpy(),
                                  records.options["time"].to_numpy())  # fmt: skip


def test_shares_and_surplus_equal_sums_by_hand(records, model):
    change = Change(feature="cost", option="rail", multiply=1.2)
    found = what_if(
        model.belief_, records, [change], rng=np.random.default_rng(0), price="cost", num_draws=50
    )
    theta = by_name(model)
    rich = np.array(records.rows["rich"].to_pylist()) == "yes"
    money = -(theta["cost"] + theta["cost:rich[yes]"] * rich)
    surplus, share = [], []
    for one in (records, apply_changes(records, [change])):
        time, cost = (
            np.asarray(one.options[c].to_numpy()).reshape(-1, 2) for c in ("time", "cost")
        )
        worth = theta["time"] * time - money[:, None] * cost
        worth[:, 1] += theta["option[rail]"]
        surplus.append(np.log(np.exp(worth).sum(axis=1)))
        share.append((np.exp(worth[:, 1]) / np.exp(worth).sum(axis=1)).mean())
    rail = next(s for s in found.shares if s.option == "rail")
    assert (rail.before, rail.after) == pytest.approx(tuple(share), abs=1e-6)
    assert rail.change_low < rail.change < rail.change_high < 0
    (everybody,) = found.welfare
    assert everybody.mean == pytest.approx(
        np.mean(surplus[1] - surplus[0]) / np.mean(money), rel=1e-4
    )
    assert everybody.low < everybody.mean < everybody.high < 0
    assert everybody.losing == 1.0
    assert sum(s.change for s in found.shares) == pytest.approx(0.0, abs=1e-12)


def test_no_change_changes_nothing(records, model):
    found = what_if(
        model.belief_, records, [Change(feature="cost")], rng=np.random.default_rng(0),
        price="cost", by="rich", num_draws=10,
    )  # fmt: skip
    assert all(s.change == s.change_low == s.change_high == 0.0 for s in found.shares)
    assert {w.group for w in found.welfare} == {"yes", "no"}
    assert all(w.mean == 0.0 and w.losing == 0.0 for w in found.welfare)


def test_willingness_is_the_ratio_of_part_worths_where_there_is_nothing_else(records, model):
    theta = by_name(model)
    money = {"no": theta["cost"], "yes": theta["cost"] + theta["cost:rich[yes]"]}
    told = willingness_to_pay(
        model.belief_, records, "time", "cost", rng=np.random.default_rng(0), by="rich"
    )
    assert {w.group for w in told} == {"yes", "no"}
    for worth in told:
        assert worth.value == pytest.approx(theta["time"] / money[worth.group], rel=1e-5)
        assert worth.low < worth.value < worth.high
        # The truth: 1.0 / 0.05 and 1.0 / 0.1.
        assert worth.low < {"yes": 20.0, "no": 10.0}[worth.group] < worth.high


def test_willingness_sees_through_logarithms(records):
    model = ConditionalLogit("option + time + log(cost)").fit(records)
    (worth,) = willingness_to_pay(
        model.belief_, records, "time", "cost", rng=np.random.default_rng(0), option="rail"
    )
    theta = by_name(model)
    cost = np.asarray(records.options["cost"].to_numpy()).reshape(-1, 2)[:, 1]
    assert worth.value == pytest.approx(theta["time"] / (theta["log(cost)"] * np.mean(1 / cost)),
                                        rel=1e-3)  # fmt: skip


def test_a_persons_willingness_is_that_of_their_group_without_random_tastes(records, model):
    own = personal_willingness(model.belief_, records, "time", "cost")
    theta = by_name(model)
    rich = np.array(records.rows["rich"].to_pylist())[::6] == "yes"
    expected = theta["time"] / (theta["cost"] + theta["cost:rich[yes]"] * rich)
    np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_elasticities_equal_the_logit_formula_and_show_its_sameness():
    rng = np.random.default_rng(1)
    records = trips(rng, num_people=100)
    model = ConditionalLogit("option + time + cost").fit(records)
    theta, share = by_name(model), model.predict_proba(records).reshape(-1, 2)
    cost = np.asarray(records.options["cost"].to_numpy()).reshape(-1, 2)
    own = theta["cost"] * np.mean(cost[:, 1] * share[:, 1] * share[:, 0]) / share[:, 1].mean()
    cross = -theta["cost"] * np.mean(cost[:, 1] * share[:, 1] * share[:, 0]) / share[:, 0].mean()
    told = {(e.changed, e.of): e.value for e in elasticities(model.belief_, records, "cost")}
    assert told["rail", "rail"] == pytest.approx(own, rel=1e-4)
    assert told["rail", "bus"] == pytest.approx(cross, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"changes": [Change(feature="comfort")]}, "comfort"),
        ({"changes": [Change(feature="cost", option="tram")]}, "'bus', 'rail'"),
        ({"changes": [], "price": "fare"}, "'time', 'cost'"),
        ({"changes": [], "by": "mood"}, "rich"),
    ],
)
def test_unknown_names_are_told_with_what_there_is(records, model, arguments, told):
    with pytest.raises(ConfigError, match=told):
        what_if(model.belief_, records, rng=np.random.default_rng(0), **arguments)


def test_a_price_that_the_model_does_not_know_tells_no_worth(records):
    model = ConditionalLogit("option + time").fit(records)
    with pytest.raises(ConfigError, match="no gain"):
        what_if(model.belief_, records, [], rng=np.random.default_rng(0), price="cost", num_draws=2)
    with pytest.raises(DataError, match="no marginal utility"):
        willingness_to_pay(model.belief_, records, "time", "cost", rng=np.random.default_rng(0))


def test_surplus_is_refused_where_the_log_sum_is_not_the_models_own(records):
    model = NestedLogit("option + time + cost", nests={"all": ("bus", "rail")}).fit(records)
    with pytest.raises(ConfigError, match="plain logit"):
        what_if(model.belief_, records, [], rng=np.random.default_rng(0), price="cost", num_draws=2)


def test_where_money_may_be_no_gain_the_surplus_has_an_infinite_end(model, records):
    belief = model.belief_
    cost = belief.parameter_names.index("cost")
    size = len(belief.theta)
    doubt = np.zeros((size, size))
    # The price's part-worth lies one standard deviation from zero, or ten.
    for deviations, finite in ((1.0, False), (10.0, True)):
        doubt[cost, cost] = (belief.theta[cost] / deviations) ** 2
        unsure = replace(belief, covariance=doubt, robust_covariance=None)
        found = what_if(
            unsure, records, [Change(feature="time", option="rail", add=0.5)],
            rng=np.random.default_rng(0), price="cost", num_draws=100,
        )  # fmt: skip
        (everybody,) = found.welfare
        assert everybody.low < everybody.mean < everybody.high < 0
        assert np.isfinite(everybody.low) == finite
