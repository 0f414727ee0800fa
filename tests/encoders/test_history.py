"""Earlier choices as features: the past only, and the same as a slow count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.records import Records
from penchant.encoders.history import with_past_shares
from penchant.errors import ConfigError

OPTIONS = np.array(["train", "bus", "car"])


def make_records(people, chosen, offered=None, time=None):
    num = len(people)
    rows = {"person": people, "chosen": np.array(chosen)}
    if time is not None:
        rows["time"] = np.array(time)
    return Records.from_arrays(
        options={"option": np.broadcast_to(OPTIONS, (num, 3))}, rows=rows, offered=offered
    )


def slow_shares(records, history, strength):
    def chosen_name(source, row):
        menu = source.options["option"].to_pylist()[source.offsets[row] : source.offsets[row + 1]]
        place = source.rows["chosen"][row].as_py()
        return None if place is None else menu[place]

    past = records if history is None else history
    has_time = "time" in records.rows.column_names
    totals, shares = [], []
    for row in range(len(records)):
        person = records.rows["person"][row].as_py()
        earlier = []
        for other in range(len(past)):
            if person is None or past.rows["person"][other].as_py() != person:
                continue
            if history is None:
                when = past.rows["time"].to_pylist() if has_time else list(range(len(past)))
                if when[other] >= when[row]:
                    continue
            if chosen_name(past, other) is not None:
                earlier.append(chosen_name(past, other))
        menu = records.options["option"].to_pylist()[
            records.offsets[row] : records.offsets[row + 1]
        ]
        totals.append(len(earlier))
        shares += [
            (earlier.count(name) + strength / len(menu)) / (len(earlier) + strength)
            for name in menu
        ]
    return totals, shares


def random_records(seed, num, with_time):
    generator = np.random.default_rng(seed)
    offered = generator.random((num, 3)) < 0.7
    chosen = generator.integers(0, 3, num)
    offered[np.arange(num), chosen] = True
    people = [["ann", "bob", "cy", None][i] for i in generator.integers(0, 4, num)]
    time = generator.integers(0, 4, num) if with_time else None
    return make_records(people, chosen, offered, time)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 15), st.booleans(), st.booleans())
def test_shares_are_those_of_a_slow_count(seed, num, with_time, with_history):
    records = random_records(seed, num, with_time)
    history = random_records(seed + 1, 8, with_time) if with_history else None
    found = with_past_shares(records, history, 1.5)
    totals, shares = slow_shares(records, history, 1.5)
    assert found.rows["past_choices"].to_pylist() == totals
    np.testing.assert_allclose(found.options["past_share"].to_numpy(), shares)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 11), st.booleans())
def test_what_is_answered_now_or_later_changes_nothing(seed, row, with_time):
    records = random_records(seed, 12, with_time)
    time = records.rows["time"].to_numpy() if with_time else np.arange(12)
    rewritten = records.rows["chosen"].to_numpy().copy()
    rewritten[time >= time[row]] = 0
    changed = with_past_shares(records.with_columns(rows={"chosen": rewritten}))
    same = slice(records.offsets[row], records.offsets[row + 1])
    before = with_past_shares(records).options["past_share"].to_numpy()[same]
    np.testing.assert_array_equal(changed.options["past_share"].to_numpy()[same], before)


def test_with_a_history_the_answers_of_the_records_are_never_read():
    records, history = random_records(3, 10, False), random_records(4, 10, False)
    without = records.with_columns(rows={"chosen": np.zeros(10, dtype=int)})
    np.testing.assert_array_equal(
        with_past_shares(records, history).options["past_share"].to_numpy(),
        with_past_shares(without, history).options["past_share"].to_numpy(),
    )


def test_a_new_person_has_even_shares():
    records = make_records(["dee"], [1], np.array([[True, True, False]]))
    history = make_records(["ann", "ann"], [1, 1])
    found = with_past_shares(records, history)
    assert found.options["past_share"].to_pylist() == [0.5, 0.5]
    assert found.rows["past_choices"].to_pylist() == [0.0]
    assert found.roles["past_share"] == "feature"
    assert found.roles["past_choices"] == "context"


def test_no_strength_is_refused():
    with pytest.raises(ConfigError, match="above 0"):
        with_past_shares(make_records(["ann"], [1]), strength=0.0)
