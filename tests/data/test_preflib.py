"""PrefLib's files: read, written, and refused with the line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.readers.preflib import write_orders
from penchant.data.readers.read import read
from penchant.data.records import Records
from penchant.errors import DataError

HEAD = """# FILE NAME: x.toi
# TITLE: Ice cream
# NUMBER ALTERNATIVES: 4
# ALTERNATIVE NAME 1: vanilla
# ALTERNATIVE NAME 2: lemon
# ALTERNATIVE NAME 3: nut
# ALTERNATIVE NAME 4: mint
"""


def test_orders_with_ties_and_gaps_become_ranks(tmp_path):
    path = tmp_path / "x.toi"
    path.write_text(HEAD + "12: 3,{1,4},2\n5: 2\n1: {2, 3}\n")
    records = read(path).records
    assert records.options["option"].to_pylist()[:4] == ["vanilla", "lemon", "nut", "mint"]
    ranks = np.array(records.options["rank"].to_pylist(), dtype=float).reshape(3, 4)
    assert ranks[0].tolist() == [2, 3, 1, 2]
    assert np.nan_to_num(ranks[1]).tolist() == [0, 1, 0, 0]
    assert np.nan_to_num(ranks[2]).tolist() == [0, 1, 1, 0]
    assert records.rows["weight"].to_pylist() == [12, 5, 1]
    assert records.rows["source"].to_pylist() == ["Ice cream"] * 3


@pytest.mark.parametrize(("line", "expected"), [
    ("3: 1,5", "alternatives from 1 to 4"), ("3: 1,{2,3", "closed braces"),
    ("3: 1,1", "every alternative at most once"), ("many: 1,2", "`count: 3,1,{2,4}`"),
    ("3: 1,,2", "alternatives from 1 to 4"),
])  # fmt: skip
def test_a_bad_line_is_named_or_set_aside(tmp_path, line, expected):
    path = tmp_path / "x.toi"
    path.write_text(HEAD + "12: 3,{1,4},2\n" + line + "\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert f"x.toi, row 9: the order is '{line}' (1 of 2" in str(caught.value)
    assert expected in str(caught.value)
    result = read(path, on_bad_rows="quarantine")
    assert len(result.records) == 1
    assert result.quarantined["row_number"].to_pylist() == [9]
    assert result.quarantined["line"].to_pylist() == [line]


def test_an_old_header_is_refused(tmp_path):
    path = tmp_path / "x.soc"
    path.write_text("3\n1,a\n2,b\n3,c\n5,5,1\n5,1,2,3\n")
    with pytest.raises(DataError, match="NUMBER ALTERNATIVES"):
        read(path)


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any),
                min_size=1, max_size=6))  # fmt: skip
@settings(max_examples=60)
def test_rankings_survive_a_round_trip_but_for_the_names_of_ranks(tmp_path_factory, ranks):
    rank = np.array(ranks)
    records = Records.from_arrays(
        options={"option": np.array(["x", "y", "z"]), "rank": rank},
        rows={"weight": np.arange(len(rank)) + 1.0}, kind="ranking",
    )  # fmt: skip
    path = write_orders(records, tmp_path_factory.mktemp("orders") / "mine")
    tied = any(len({r for r in row if r}) < sum(r > 0 for r in row) for row in ranks)
    complete = (rank > 0).all()
    assert path.suffix == f".{'to' if tied else 'so'}{'c' if complete else 'i'}"
    back = read(path).records

    def counted(ranks, weights):
        total: dict[tuple[int, ...], float] = {}
        for row, weight in zip(ranks, weights, strict=True):
            levels = sorted({r for r in row if r})
            key = tuple(levels.index(r) + 1 if r else 0 for r in row)
            total[key] = total.get(key, 0) + weight
        return total

    found = np.nan_to_num(np.array(back.options["rank"].to_pylist(), dtype=float)).reshape(-1, 3)
    weights = back.rows["weight"].to_pylist()
    assert counted(found.astype(int).tolist(), weights) == counted(ranks, np.arange(len(rank)) + 1)


def test_a_file_name_must_not_promise_too_much(tmp_path):
    records = Records.from_arrays(
        options={"option": np.array(["x", "y"]), "rank": np.array([[1, 1], [1, 0]])},
        rows={"a": [1, 2]}, kind="ranking",
    )  # fmt: skip
    with pytest.raises(DataError, match=r"the rankings fit \.toi"):
        write_orders(records, tmp_path / "x.soc")
    halves = records.with_columns(rows={"weight": [0.5, 1.0]})
    with pytest.raises(DataError, match=r"weights such as 0.5 are no counts"):
        write_orders(halves, tmp_path / "x")
