"""The order of judged answers, whichever kind of feedback gave it."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.readers.read import read
from penchant.encoders.answer_order import (
    UNHEARD,
    answer_ranks,
    order_outcomes,
    says_something,
)
from penchant.encoders.reward_pairs import pair_outcomes

NUMBERS = st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=2, max_size=4)


def scored(lists, name="scores"):
    table = pa.table({
        "prompt": [f"{b}?" for b in range(len(lists))],
        "completions": [[f"t{k}" for k in range(len(mine))] for mine in lists],
        name: pa.array(lists, pa.list_(pa.float64())),
    })  # fmt: skip
    return read(table).records


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_scores_rank_within_their_list_the_greatest_first(lists):
    rank = answer_ranks(scored(lists))
    wanted = []
    for mine in lists:
        levels = sorted({s for s in mine if s is not None}, reverse=True)
        wanted += [UNHEARD if s is None else 1 + levels.index(s) for s in mine]
    assert rank.tolist() == wanted


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=4), min_size=1, max_size=5))
def test_ranks_are_as_given_and_say_something_where_they_differ(lists):
    records = scored(lists, "ranks")
    rank = answer_ranks(records)
    wanted = [mine if any(mine) else [UNHEARD] * len(mine) for mine in lists]
    assert rank.tolist() == [r for mine in wanted for r in mine]
    assert says_something(records, rank).tolist() == [len(set(mine)) > 1 for mine in lists]


@given(st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=2), min_size=1, max_size=5))
def test_a_ranking_of_two_is_a_pair(lists):
    records = scored(lists, "ranks")
    found = order_outcomes(records, answer_ranks(records))
    for (one, other), outcome in zip(lists, found):
        a, b = one or 9, other or 9
        assert outcome == (-1 if one == other == 0 else 2 if a == b else int(b < a))


def test_pairs_and_choices_keep_what_they_say():
    pairs = read(pa.table({"prompt": ["a", "b"], "chosen": ["x", "y"], "rejected": ["u", "v"]}))
    records = pairs.records
    rank = answer_ranks(records)
    assert rank.tolist() == [1, 0, 1, 0]
    np.testing.assert_array_equal(order_outcomes(records, rank), pair_outcomes(records))
    tie = records.rows.column_names.index("outcome")
    tied = type(records)(
        rows=records.rows.set_column(tie, "outcome", pa.array([2, None], pa.int64())),
        options=records.options, offsets=records.offsets, roles=records.roles,
    )  # fmt: skip
    rank = answer_ranks(tied)
    assert rank.tolist() == [1, 1, UNHEARD, UNHEARD]
    assert order_outcomes(tied, rank).tolist() == [2, -1]
    assert says_something(tied, rank).tolist() == [False, False]
