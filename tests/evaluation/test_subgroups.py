"""Subgroups from columns: levels, quartiles of numbers, and those too small to judge."""

import numpy as np
import pytest

from evaluation.market_shares import MarketShares, make_records
from penchant.errors import ConfigError
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.subgroups import losses_by_subgroup

RECORDS = make_records(40).with_columns(
    rows={"income": np.random.default_rng(1).gamma(2, 20, 200), "age": np.arange(200) % 3 * 5}
)
PREDICTIONS = cross_validate(lambda: MarketShares(), RECORDS)


def found(columns, **options):
    return losses_by_subgroup(PREDICTIONS, RECORDS, columns, np.random.default_rng(0), **options)


def test_levels_are_subgroups_and_numbers_sort_as_numbers():
    table = found(["region", "age"])
    assert table.names == ("region = north", "region = south", "age = 0", "age = 5", "age = 10")
    region = np.array(RECORDS.rows["region"].to_pylist())
    weight = RECORDS.rows["weight"].to_numpy()
    for z, name in enumerate(("north", "south")):
        mine = region == name
        expected = np.average(PREDICTIONS.losses[mine], weights=weight[mine])
        assert table.mean[z] == pytest.approx(expected)
        assert table.num_observations[z] == mine.sum()


def test_many_valued_numbers_are_parted_at_their_quartiles():
    table = found(["income"])
    np.testing.assert_array_equal(table.num_observations, [50, 50, 50, 50])
    assert table.names[0].startswith("income up to ")
    assert table.names[3].startswith("income above ")


def test_a_value_on_a_quartile_is_in_one_part_only():
    records = RECORDS.with_columns(rows={"age": np.arange(200) % 20})
    table = losses_by_subgroup(PREDICTIONS, records, ["age"], np.random.default_rng(0))
    assert table.names == (
        "age up to 4.75",
        "age 4.75 to 9.5",
        "age 9.5 to 14.25",
        "age above 14.25",
    )
    whole = RECORDS.with_columns(rows={"age": np.arange(200) % 17})
    table = losses_by_subgroup(PREDICTIONS, whole, ["age"], np.random.default_rng(0))
    assert table.num_observations.sum() == 200
    assert table.names[0] == "age up to 4"


def test_subgroups_of_few_people_are_left_out():
    people = RECORDS.rows["person"].to_pylist()
    guest = ["guest" if person in ("p1", "p2") else "host" for person in people]
    records = RECORDS.with_columns(rows={"role": guest})
    generator = np.random.default_rng(0)
    table = losses_by_subgroup(PREDICTIONS, records, ["role"], generator, min_people=3)
    assert table.names == ("role = host",)
    both = losses_by_subgroup(PREDICTIONS, records, ["role"], generator, min_people=2)
    assert both.names == ("role = guest", "role = host")
    with pytest.raises(ConfigError, match="50 people"):
        found(["region"], min_people=50)


def test_an_unknown_column_is_named():
    with pytest.raises(ConfigError, match="Did you mean 'region'"):
        found(["regoin"])
