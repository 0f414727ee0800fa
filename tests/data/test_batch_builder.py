"""Batches: the same numbers as the records, blocked, sorted by group, little padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.batch_builder import build_batch, groups_of, is_answered
from penchant.data.records import Records, concat
from penchant.errors import ConfigError, DataError


@st.composite
def ragged_records(draw):
    sizes = np.array(draw(st.lists(st.integers(1, 9), min_size=1, max_size=12)))
    people = draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=len(sizes),
                           max_size=len(sizes)))  # fmt: skip
    chosen = np.array([draw(st.integers(0, int(size) - 1)) for size in sizes])
    total = int(sizes.sum())
    return Records.from_arrays(
        options={"x": np.arange(total) + 0.5, "option": [f"o{i % 5}" for i in range(total)]},
        rows={"chosen": chosen, "person": people, "weight": np.arange(len(sizes)) + 1.0},
        menu_sizes=sizes,
    )


def batch_of(records, **changes):
    x = np.asarray(records.options["x"], dtype=float)[:, None]
    names = groups_of(records, changes.get("group_by", "person")).names
    told = {"group_features": np.arange(len(names), dtype=float)[:, None]} | changes
    return build_batch(records, x, ("x",), **told)


@given(ragged_records())
@settings(max_examples=60)
def test_every_observation_is_found_again_in_its_block(records):
    batch = batch_of(records)
    seen = []
    x, start = np.asarray(records.options["x"]), records.offsets[:-1]
    option = records.options["option"].to_pylist()
    for block in batch.blocks:
        for b, row in enumerate(block.row):
            size = records.menu_sizes[row]
            place = slice(start[row], start[row] + size)
            assert block.offered[b].tolist() == [True] * size + [False] * (
                block.offered.shape[1] - size
            )
            assert block.features[b, :size, 0].tolist() == x[place].tolist()
            assert not block.features[b, size:].any()
            assert [batch.option_names[o] for o in block.option[b, :size]] == option[place]
            assert (block.option[b, size:] == -1).all()
            assert block.answer["chosen"][b] == records.rows["chosen"][row].as_py()
            assert block.weight[b] == row + 1.0
            person = records.rows["person"][row].as_py()
            assert batch.group_names[block.group[b]] == (person or f"row {row}")
            seen.append(row)
    assert sorted(seen) == list(range(len(records)))


@given(ragged_records())
@settings(max_examples=60)
def test_padding_stays_below_twofold_and_rows_are_sorted_by_group(records):
    for block in batch_of(records).blocks:
        assert block.offered.size < 2 * block.offered.sum()
        order = np.lexsort((block.row, block.group))
        assert order.tolist() == list(range(len(block)))


def test_large_and_small_menus_are_blocked_apart():
    sizes = np.array([8, 2, 3, 5, 2, 1, 4])
    records = Records.from_arrays(
        options={"x": np.zeros(int(sizes.sum()))}, rows={"chosen": np.zeros(7, int)},
        menu_sizes=sizes,
    )  # fmt: skip
    blocks = {block.offered.shape[1]: block.row.tolist() for block in batch_of(records).blocks}
    assert blocks == {8: [0, 3], 4: [2, 6], 2: [1, 4], 1: [5]}


def test_groups_come_in_order_of_first_appearance():
    records = Records.from_arrays(
        options={"x": np.zeros((4, 2))},
        rows={"chosen": np.zeros(4, int), "person": ["z", "a", None, "z"], "day": [2, 1, 2, 1]},
    )
    groups = groups_of(records)
    assert groups.names == ("z", "a", "row 2")
    assert groups.of_row.tolist() == [0, 1, 2, 0]
    assert groups.first_row.tolist() == [0, 1, 2]
    assert groups_of(records, "day").names == ("2", "1")
    assert groups_of(records, "row").of_row.tolist() == [0, 1, 2, 3]
    with pytest.raises(ConfigError, match="cannot be grouped by 'week'"):
        groups_of(records, "week")


def test_some_rows_only_keep_their_own_groups_and_features():
    records = Records.from_arrays(
        options={"x": np.arange(8.0).reshape(4, 2)},
        rows={"chosen": np.array([0, 1, 0, 1]), "person": ["a", "b", "c", "b"]},
    )
    batch = batch_of(records, rows=np.array([3, 1]))
    assert batch.group_names == ("b",)
    assert batch.group_features.tolist() == [[1.0]]
    assert batch.blocks[0].row.tolist() == [1, 3]
    assert batch.blocks[0].features[:, :, 0].tolist() == [[2, 3], [6, 7]]
    assert batch.num_rows == 4


def test_equal_menus_are_not_copied():
    records = Records.from_arrays(
        options={"x": np.arange(8.0).reshape(4, 2)}, rows={"chosen": np.zeros(4, int)}
    )
    x = np.arange(8.0)[:, None]
    batch = build_batch(records, x, ("x",), np.zeros((4, 0)))
    assert np.shares_memory(batch.blocks[0].features, x)


def test_kinds_are_blocked_apart_and_an_edit_is_a_choice():
    def part(kind, **answers):
        per_option = {n: v for n, v in answers.items() if n in ("rank", "level", "value")}
        rows = {n: v for n, v in answers.items() if n not in per_option}
        return Records.from_arrays(
            options={"x": np.arange(4.0).reshape(2, 2), **per_option}, rows=rows, kind=kind
        )

    records = concat([
        part("edit", chosen=np.array([1, 0])),
        part("pair", outcome=np.array([2, 0])),
        part("ranking", rank=np.array([[2, 1], [0, 1]])),
        part("rating", level=np.array([[3, -1], [0, 1]])),
        part("outcome", value=np.array([[0.5, np.nan], [1.0, 2.0]])),
        part("best_worst", best=np.array([0, 1]), worst=np.array([1, 0])),
    ])  # fmt: skip
    blocks = {block.kind: block for block in batch_of(records).blocks}
    assert blocks["choice"].answer["chosen"].tolist() == [1, 0]
    assert blocks["pair"].answer["outcome"].tolist() == [2, 0]
    assert blocks["ranking"].answer["rank"].tolist() == [[2, 1], [0, 1]]
    assert blocks["rating"].answer["level"].tolist() == [[3, -1], [0, 1]]
    assert np.isnan(blocks["outcome"].answer["value"][0, 1])
    assert blocks["best_worst"].answer["worst"].tolist() == [1, 0]
    assert len(blocks) == 6


def test_observations_without_an_answer_stay_and_are_counted():
    records = Records.from_arrays(options={"x": np.zeros((3, 2))}, rows={"chosen": [0, None, 1]})
    batch = batch_of(records)
    assert batch.blocks[0].answer["chosen"].tolist() == [0, -1, 1]
    assert is_answered(batch.blocks[0]).tolist() == [True, False, True]
    assert batch.notes == ("1 of 3 observations have no answer",)


def test_features_of_other_records_are_refused():
    records = Records.from_arrays(
        options={"x": np.zeros((3, 2))}, rows={"chosen": np.zeros(3, int)}
    )
    with pytest.raises(DataError, match="features have 5 lines; expected 6"):
        build_batch(records, np.zeros((5, 1)), ("x",), np.zeros((3, 0)))
