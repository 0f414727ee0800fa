"""Average marginal component effects against means that can be computed by hand."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.outside import with_outside_option
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.models.component_effects import component_effects, effects_differ, marginal_means


def experiment(rng, num_people=200, num_tasks=6):
    shape = (num_people * num_tasks, 2)
    colour = rng.choice(["blue", "green", "red"], size=shape)
    price = rng.choice(["high", "low"], size=shape)
    worth = 0.8 * (colour == "red") + 1.5 * (price == "low") + rng.gumbel(size=shape)
    return Records.from_arrays(
        options={"colour": colour, "price": price},
        rows={
            "person": np.repeat([f"p{i}" for i in range(num_people)], num_tasks),
            "chosen": worth.argmax(axis=1),
        },
    )


def test_one_attribute_alone_gives_the_difference_of_shares():
    records = experiment(np.random.default_rng(0))
    chosen = np.zeros(records.options.num_rows)
    chosen[records.offsets[:-1] + records.rows["chosen"].to_numpy()] = 1
    colour = np.array(records.options["colour"].to_pylist())
    for effect in component_effects(records, ("colour",), references={"colour": "green"}):
        difference = chosen[colour == effect.level].mean() - chosen[colour == "green"].mean()
        assert effect.effect == pytest.approx(difference, abs=1e-10)
        assert effect.profiles == (colour == effect.level).sum()


def test_intervals_hold_the_effect_of_a_huge_experiment_as_often_as_said():
    big = component_effects(experiment(np.random.default_rng(1), num_people=20_000))
    truth = {(e.attribute, e.level): e.effect for e in big}
    inside = total = 0
    for seed in range(40):
        for effect in component_effects(experiment(np.random.default_rng(100 + seed))):
            inside += effect.low < truth[effect.attribute, effect.level] < effect.high
            total += 1
    assert 0.88 <= inside / total <= 0.99


def test_copying_everybody_as_further_rows_of_the_same_people_leaves_the_error_alone():
    records = experiment(np.random.default_rng(2))
    rows = np.tile(np.arange(len(records)), 2)
    once, twice = component_effects(records), component_effects(records.take(rows))
    for one, two in zip(once, twice, strict=True):
        assert two.effect == pytest.approx(one.effect)
        assert two.se == pytest.approx(one.se, rel=1e-6)


def test_unknown_names_are_told_with_what_there_is():
    records = experiment(np.random.default_rng(3), num_people=5)
    with pytest.raises(ConfigError, match="'colour', 'price'"):
        component_effects(records, ("taste",))
    with pytest.raises(ConfigError, match="blue"):
        component_effects(records, references={"colour": "pink"})


def test_an_attribute_of_one_level_is_refused():
    records = experiment(np.random.default_rng(4), num_people=5)
    same = records.with_columns(options={"price": np.full(records.options.num_rows, "low")})
    with pytest.raises(DataError, match=r"1 level"):
        component_effects(same)


def test_an_outside_option_that_nobody_took_changes_nothing():
    records = experiment(np.random.default_rng(10), num_people=40)
    wider = with_outside_option(records)
    assert component_effects(wider) == component_effects(records)
    assert marginal_means(wider) == marginal_means(records)


def test_missing_levels_are_refused():
    records = experiment(np.random.default_rng(11), num_people=5)
    price = [None, *records.options["price"].to_pylist()[1:]]
    gaps = records.with_columns(options={"price": pa.array(price)})
    for summary in (component_effects, marginal_means):
        with pytest.raises(DataError, match=r"'price' is missing on 1 of 60"):
            summary(gaps)


def test_numbers_are_ordered_by_size_and_a_measurement_is_no_attribute():
    rng = np.random.default_rng(12)
    records = experiment(rng, num_people=50)
    size = records.options.num_rows
    sized = records.with_columns(options={"price": rng.choice([100, 20, 3], size=size)})
    effects = component_effects(sized, ("price",))
    assert [(e.level, e.reference) for e in effects] == [("20", "3"), ("100", "3")]
    assert [m.level for m in marginal_means(sized, ("price",))] == ["3", "20", "100"]
    measured = records.with_columns(options={"price": rng.uniform(size=size)})
    with pytest.raises(DataError, match=rf"'price' has {size} levels; expected at most 50"):
        component_effects(measured)


def test_attributes_that_go_together_are_refused():
    records = experiment(np.random.default_rng(13), num_people=20)
    same = records.options["price"].to_pylist()
    doubled = records.with_columns(options={"colour": np.array([f"so {p}" for p in same])})
    with pytest.raises(DataError, match=r"price = 'low' is settled by the levels before it"):
        component_effects(doubled)


def divided(rng, num_people=300, num_tasks=4, difference=0.0):
    shape = (num_people * num_tasks, 2)
    colour = rng.choice(["blue", "red"], size=shape)
    size = rng.choice(["big", "mid", "small"], size=shape)
    old = np.repeat(rng.random(num_people) < 0.5, num_tasks)
    worth = (0.5 + difference * old[:, None]) * (colour == "red") + rng.gumbel(size=shape)
    worth += 0.4 * (size == "big")
    return Records.from_arrays(
        options={"colour": colour, "size": size},
        rows={
            "person": np.repeat([f"p{i}" for i in range(num_people)], num_tasks),
            "age": np.where(old, "old", "young"),
            "chosen": worth.argmax(axis=1),
        },
    )


def test_effects_of_a_subgroup_are_those_of_its_records_alone():
    records = divided(np.random.default_rng(5))
    age = np.array(records.rows["age"].to_pylist())
    by = component_effects(records, by="age")
    for group in ("old", "young"):
        alone = component_effects(records.take(np.flatnonzero(age == group)))
        own = [e for e in by if e.group == group]
        for one, two in zip(alone, own, strict=True):
            assert two.effect == pytest.approx(one.effect, abs=1e-10)
            # The correction for few people counts all of them, not those of the subgroup.
            assert two.se == pytest.approx(one.se, rel=0.01)
            assert two.profiles == one.profiles


def test_subgroups_of_one_taste_are_told_apart_as_rarely_as_the_level_says():
    rng = np.random.default_rng(6)
    tests = [effects_differ(divided(rng, num_people=120), "age") for _ in range(150)]
    assert {test.degrees for test in tests} == {3}
    assert 5 <= sum(test.p < 0.1 for test in tests) <= 28
    apart = effects_differ(divided(rng, difference=1.0), "age")
    assert apart.p < 0.001


def test_whether_subgroups_differ_does_not_hang_on_the_reference_level():
    records = divided(np.random.default_rng(7), difference=0.3)
    renamed = records.with_columns(
        options={
            "size": np.array([{"big": "z"}.get(s, s) for s in records.options["size"].to_pylist()])
        }
    )
    one, two = (effects_differ(r, "age") for r in (records, renamed))
    assert one.statistic == pytest.approx(two.statistic)


def test_marginal_means_of_two_profiles_average_one_half():
    records = divided(np.random.default_rng(8))
    for by in (None, "age"):
        means = marginal_means(records, by=by)
        for group in {m.group for m in means}:
            for attribute in ("colour", "size"):
                own = [m for m in means if m.attribute == attribute and m.group == group]
                total = sum(m.profiles for m in own)
                assert sum(m.mean * m.profiles for m in own) / total == pytest.approx(0.5)
                assert all(m.low < m.mean < m.high for m in own)


def test_a_column_of_one_value_divides_nobody():
    records = divided(np.random.default_rng(9), num_people=5)
    same = records.with_columns(rows={"age": np.full(len(records), "old")})
    with pytest.raises(ConfigError, match="two subgroups"):
        effects_differ(same, "age")
