"""Records: what they refuse, what they keep, and what survives taking, joining and hashing."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.records import Records, concat
from penchant.errors import DataError


def small(**changes):
    given_rows = {"chosen": np.array([0, 2, 1]), "person": ["ann", "bo", "ann"],
                  "purpose": ["work", "fun", "work"], "age": [30, 40, 30]}  # fmt: skip
    given_options = {"option": np.array(["bus", "car", "walk"]),
                     "time": np.arange(9.0).reshape(3, 3)}  # fmt: skip
    offered = np.array([[True, True, True], [False, True, True], [True, True, False]])
    told = {"rows": given_rows, "options": given_options, "offered": offered,
            "person_features": ["age"]} | changes  # fmt: skip
    return Records.from_arrays(**told)


def test_rectangular_arrays_become_ragged_menus_and_the_choice_moves_with_them():
    records = small()
    assert records.menu_sizes.tolist() == [3, 2, 2]
    assert records.options["option"].to_pylist() == [
        "bus", "car", "walk", "car", "walk", "bus", "car",
    ]  # fmt: skip
    assert records.options["time"].to_pylist() == [0, 1, 2, 4, 5, 6, 7]
    assert records.rows["chosen"].to_pylist() == [0, 1, 1]
    assert records.columns("person_feature") == ("age",)
    assert records.columns("context") == ("purpose",)
    assert records.columns("feature") == ("time",)
    assert records.num_people == 2
    assert records.rows["weight"].to_pylist() == [1.0, 1.0, 1.0]


def test_a_gap_among_words_is_null_however_it_is_written():
    words = pd.Series(["work", None, "fun"])
    for purpose in (words, words.astype(object), words.astype("category"), ["work", None, "fun"]):
        records = small(rows={"chosen": np.array([0, 2, 1]), "purpose": purpose},
                        person_features=[])  # fmt: skip
        assert records.rows["purpose"].to_pylist() == ["work", None, "fun"]


def test_a_choice_off_the_menu_is_refused_with_its_observation_and_the_mend():
    with pytest.raises(DataError) as caught:
        small(rows={"chosen": np.array([0, 0, 1])})
    message = str(caught.value)
    assert "observation 1 has chosen = 2, which is not on its menu ['car', 'walk']" in message
    assert "(1 of 3 are like this)" in message
    assert "expected a place from 0 to 1" in message
    assert "records.drop_unoffered()" in message


def test_drop_unoffered_drops_these_observations_and_says_so():
    records = small()
    rows = records.rows.set_column(
        records.rows.column_names.index("chosen"), "chosen", pa.array([0, 2, 1])
    )
    broken = Records(rows=rows, options=records.options, offsets=records.offsets,
                     roles=records.roles)  # fmt: skip
    kept = broken.drop_unoffered().check()
    assert kept.rows["person"].to_pylist() == ["ann", "ann"]
    assert kept.options["time"].to_pylist() == [0, 1, 2, 6, 7]
    assert kept.notes == ("1 of 3 observations dropped: answer not on the menu",)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_feature_that_is_not_finite_is_refused(value):
    time = np.arange(9.0).reshape(3, 3)
    time[1, 2] = value
    with pytest.raises(DataError, match=r"observation 1 has time = .* for option 'walk'") as caught:
        small(options={"option": np.array(["bus", "car", "walk"]), "time": time})
    assert "expected a finite number" in str(caught.value)
    assert "role 'extra'" in str(caught.value)


def test_an_unavailable_option_may_hold_anything():
    time = np.arange(9.0).reshape(3, 3)
    time[1, 0] = np.nan
    assert len(small(options={"time": time})) == 3


def test_an_infinite_context_is_refused_and_a_missing_one_is_not():
    answers = {"chosen": np.array([0, 1, 1])}
    with pytest.raises(DataError, match="observation 2 has income = inf"):
        small(rows={**answers, "income": [1.0, 2.0, np.inf]}, person_features=["income"])
    kept = small(rows={**answers, "income": [1.0, np.nan, 3.0]}, person_features=["income"])
    assert len(kept) == 3


def test_an_empty_menu_is_refused():
    with pytest.raises(DataError, match="observation 1 has an empty menu"):
        Records.from_arrays(options={"x": np.ones(3)}, rows={"chosen": np.array([0, 0])},
                            menu_sizes=np.array([3, 0]))  # fmt: skip


def test_unknown_kinds_missing_answers_and_unnamed_roles_are_refused():
    with pytest.raises(DataError, match="no feedback of kind 'vote'; expected one of choice"):
        small(kind="vote")
    with pytest.raises(DataError, match="'ranking' have no column 'rank'; expected it in `opt"):
        small(kind="ranking")
    records = small()
    with pytest.raises(DataError, match="column 'age' of `rows` has role None; expected one of"):
        Records(rows=records.rows, options=records.options, offsets=records.offsets,
                roles={"time": "feature", "purpose": "context"}).check()  # fmt: skip


def test_a_rank_below_nought_is_refused():
    options = {"option": np.array(["bus", "car", "walk"]),
               "rank": np.array([[1, 2, 3], [0, -2, 1], [1, 1, 0]])}  # fmt: skip
    with pytest.raises(DataError, match=r"observation 1 has rank = -2 \(1 of 7 options"):
        small(options=options, kind="ranking")


def test_offsets_that_do_not_fit_are_refused():
    records = small()
    with pytest.raises(DataError, match="offsets have length 2"):
        Records(rows=records.rows, options=records.options, offsets=np.array([0, 7]))


def test_a_negative_weight_is_refused():
    with pytest.raises(DataError, match=r"observation 1 has weight -1.0 \(1 of 3"):
        small(rows={"chosen": np.array([0, 1, 0]), "weight": [1.0, -1.0, 1.0]})


@given(st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_taking_gives_the_observations_in_that_order_with_their_menus(places):
    records = small()
    taken = records.take(np.array(places))
    long = records.to_long_table().to_pylist()
    expected = [
        {**line, "observation": i}
        for i, place in enumerate(places)
        for line in long
        if line["observation"] == place
    ]
    assert taken.to_long_table().to_pylist() == expected


def test_the_fingerprint_sees_content_and_roles_but_not_storage():
    records = small()
    same = concat([records.take(np.array([0])), records.take(np.array([1, 2]))])
    assert same.fingerprint == records.fingerprint
    assert small().fingerprint == records.fingerprint
    other = small(rows={"chosen": np.array([0, 2, 0]), "person": ["ann", "bo", "ann"],
                        "purpose": ["work", "fun", "work"], "age": [30, 40, 30]})  # fmt: skip
    assert other.fingerprint != records.fingerprint
    assert small(extras=["purpose"]).fingerprint != records.fingerprint
    assert records.take(np.array([1, 0, 2])).fingerprint != records.fingerprint


def test_words_that_run_together_do_not_share_a_fingerprint():
    def of(words):
        return small(rows={"chosen": np.array([0, 1, 1]), "w": words}).fingerprint

    assert of(["ab", "c", ""]) != of(["a", "bc", ""])
    assert of([None, "a", "b"]) != of(["", "a", "b"])


def test_records_of_several_sources_are_joined_with_gaps_where_a_column_is_missing():
    first = small()
    second = small(rows={"chosen": np.array([1, 1, 0]), "mood": ["good", "bad", "good"]},
                   person_features=[])  # fmt: skip
    both = concat([first, second]).check()
    assert len(both) == 6
    assert both.rows["purpose"].to_pylist() == ["work", "fun", "work", None, None, None]
    assert both.rows["mood"].to_pylist()[3:] == ["good", "bad", "good"]
    assert both.take(np.arange(3)).options.equals(first.options)


def test_joining_refuses_a_column_of_two_roles():
    with pytest.raises(DataError, match="'age' is a person_feature in one part and a context"):
        concat([small(), small(person_features=[])])


def test_a_what_if_replaces_a_column_and_leaves_the_original_alone():
    records = small()
    dearer = records.with_columns(options={"time": np.arange(7.0) * 2, "cost": np.ones(7)})
    assert dearer.options["time"].to_pylist() == [0, 2, 4, 6, 8, 10, 12]
    assert dearer.columns("feature") == ("time", "cost")
    assert records.options["time"].to_pylist() == [0, 1, 2, 4, 5, 6, 7]


def test_a_long_frame_has_a_line_per_option():
    frame = small().to_long_pandas()
    assert frame["observation"].tolist() == [0, 0, 0, 1, 1, 2, 2]
    chosen = small().rows["chosen"].to_pylist()
    for place, mine in frame.groupby("observation"):
        assert mine["chosen"].tolist() == [int(k == chosen[place]) for k in range(len(mine))]
    assert frame["purpose"].tolist() == ["work"] * 3 + ["fun"] * 2 + ["work"] * 2


def test_records_whose_texts_bring_embeddings_as_dictionaries_can_be_put_together():
    def part(*vectors):
        lists = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(vectors)), 2)
        codes = pa.array(np.arange(2, dtype=np.int32))
        return Records.from_arrays(
            options={
                "option": ["a", "b"],
                "embedding": pa.DictionaryArray.from_arrays(codes, lists),
            },
            menu_sizes=np.array([2]),
            kind="pair",
            rows={"outcome": [0]},
            extras=("embedding",),
        )

    both = concat([part([1.0, 2.0], [3.0, 4.0]), part([5.0, 6.0], [7.0, 8.0])])
    assert both.options["embedding"].to_pylist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
