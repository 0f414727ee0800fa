"""Subgroups: many looks are paid for, and clusters are seen."""

import numpy as np
import pytest

from penchant.errors import DataError
from penchant.metrics.intervals import clustered_mean
from penchant.metrics.subgroup import by_subgroup

NAMES = tuple("abcdefgh")


def people(generator, num_people=160, bad=0.0):
    person = np.repeat(np.arange(num_people), 4)
    group = np.arange(num_people) % len(NAMES)
    level = generator.normal(size=num_people) + bad * (group == 2)
    return level[person] + generator.normal(size=len(person)), group[person], person


def members(group, num=8):
    return group[:, None] == np.arange(num)


def test_subgroups_may_overlap_and_leave_people_out():
    values, group, person = people(np.random.default_rng(0), 24)
    member = np.stack([group < 3, group < 6, group == 7], axis=1)
    table = by_subgroup(values, member, ("few", "more", "one"), person, np.random.default_rng(1))
    for z in range(3):
        assert table.mean[z] == pytest.approx(values[member[:, z]].mean())
        assert table.excess[z] == pytest.approx(values[member[:, z]].mean() - values.mean())
    everybody = by_subgroup(values, group[:, None] >= 0, ("all",), person, np.random.default_rng(1))
    assert everybody.excess[0] == pytest.approx(0.0)


def test_means_and_counts_are_those_of_each_subgroup():
    values, group, person = people(np.random.default_rng(0), 24)
    table = by_subgroup(values, members(group), NAMES, person, np.random.default_rng(1))
    for z in range(len(NAMES)):
        mine = group == z
        assert table.mean[z] == pytest.approx(values[mine].mean())
        assert table.excess[z] == pytest.approx(values[mine].mean() - values.mean())
        assert table.num_observations[z] == mine.sum()
        assert table.num_clusters[z] == len(set(person[mine]))


def test_all_intervals_hold_at_once_as_often_as_they_say():
    generator = np.random.default_rng(3)
    together, alone, alarms, reps = 0, 0, 0, 250
    for _ in range(reps):
        values, group, person = people(generator)
        table = by_subgroup(values, members(group), NAMES, person, generator, num_draws=400)
        together += bool(((table.low <= 0) & (table.high >= 0)).all())
        single = [clustered_mean(values[group == z], person[group == z]) for z in range(8)]
        alone += all(each.low <= 0 <= each.high for each in single)
        alarms += bool((table.p_value < 0.05).any())
    # Twenty people in a subgroup cost the normal approximation some of its promise.
    assert together / reps > 0.88
    assert alone / reps < 0.80
    assert alarms / reps < 0.12


def test_a_subgroup_that_fares_badly_is_found():
    values, group, person = people(np.random.default_rng(4), 400, bad=1.5)
    table = by_subgroup(values, members(group), NAMES, person, np.random.default_rng(5))
    assert table.worst() == 2
    assert table.p_value[2] < 0.01
    assert table.excess_low[2] > 0
    assert np.delete(table.p_value, 2).min() > 0.01
    assert (
        by_subgroup(-values, members(group), NAMES, person, np.random.default_rng(5)).worst(False)
        == 2
    )


def test_a_subgroup_of_one_person_has_a_mean_and_no_interval():
    values, group, person = people(np.random.default_rng(6), 24)
    group = np.where(person == 5, 0, 1)
    values = values + 50.0 * (person == 5)
    table = by_subgroup(
        values, members(group, 2), ("one", "many"), person, np.random.default_rng(7)
    )
    assert np.isnan([table.low[0], table.high[0], table.p_value[0]]).all()
    assert np.isfinite([table.low[1], table.high[1]]).all()
    assert table.worst() == 1


def test_weights_count():
    values, group, person = people(np.random.default_rng(8), 16)
    weight = np.random.default_rng(9).integers(1, 4, len(values))
    weighted = by_subgroup(
        values, members(group), NAMES, person, np.random.default_rng(1), weight.astype(float)
    )
    repeated = by_subgroup(
        np.repeat(values, weight),
        members(np.repeat(group, weight)),
        NAMES,
        np.repeat(person, weight),
        np.random.default_rng(1),
    )
    np.testing.assert_allclose(weighted.mean, repeated.mean)
    np.testing.assert_allclose(weighted.low, repeated.low)


def test_an_empty_subgroup_is_refused():
    with pytest.raises(DataError, match="without an observation: b"):
        by_subgroup(
            np.ones(2),
            members(np.zeros(2, int), 2),
            ("a", "b"),
            np.arange(2),
            np.random.default_rng(0),
        )
