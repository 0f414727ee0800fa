"""Average marginal component effects against means that can be computed by hand."""

import numpy as np
import pytest

from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.models.component_effects import component_effects


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
