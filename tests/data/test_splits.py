"""Splits: nobody on both sides, everybody judged once, equal for equal ids and seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data import splits
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError


def records_of(people, **columns):
    return Records.from_arrays(
        options={"x": np.zeros((len(people), 2))},
        rows={"chosen": np.zeros(len(people), int), "person": people, **columns},
    )


@given(st.lists(st.sampled_from("abcdefg"), min_size=8, max_size=30), st.integers(0, 5))
def test_folds_by_person_part_people_and_judge_everybody_once(people, seed):
    num_people = len(set(people))
    if num_people < 3:
        return
    folds = splits.person_folds(people, 3, seed)
    judged = np.concatenate([fold.test for fold in folds])
    assert sorted(judged) == list(range(len(people)))
    sizes = []
    for fold in folds:
        train, test = ({people[row] for row in rows} for rows in (fold.train, fold.test))
        assert not train & test
        assert len(fold.train) + len(fold.test) == len(people)
        sizes.append(len(test))
    assert max(sizes) - min(sizes) <= 1
    again = splits.person_folds(records_of(people), 3, seed)
    for fold, other in zip(folds, again, strict=True):
        assert fold.test.tolist() == other.test.tolist()


def test_another_seed_gives_other_folds():
    people = [f"p{i}" for i in range(50)]
    first, second = (splits.person_folds(people, 5, seed)[0].test for seed in (0, 1))
    assert first.tolist() != second.tolist()


def test_people_are_held_out_whole():
    people = np.repeat(np.arange(20), 3)
    split = splits.held_out_people(people, share=0.25, seed=3)
    assert len(np.unique(people[split.test])) == 5
    assert not set(people[split.test]) & set(people[split.train])


def test_the_future_is_judged_on_the_past():
    records = records_of(list("aabbc"), time=[5, 1, 4, 4, 2])
    split = splits.by_time(records, share=0.4)
    assert split.train.tolist() == [1, 4]
    assert split.test.tolist() == [0, 2, 3]  # the moment 4 is not torn apart
    words = records_of(list("abc"), time=["2024-02-01", "2024-01-01", "2024-03-01"])
    assert splits.by_time(words, share=0.3).test.tolist() == [2]
    with pytest.raises(DataError, match="observation 1 has no time"):
        splits.by_time(records_of(list("ab"), time=[1.0, np.nan]))
    with pytest.raises(DataError, match="no column 'time'"):
        splits.by_time(records_of(list("ab")))
    with pytest.raises(DataError, match="no observation is earlier"):
        splits.by_time(records_of(list("ab"), time=[1, 1]))


def test_within_a_person_the_first_answers_are_revealed():
    records = records_of(list("abaabb"), time=[3, 1, 1, 2, 2, 3])
    plain = splits.within_person(records, 2)
    assert plain.history.tolist() == [0, 1, 2, 4]
    assert plain.test.tolist() == [3, 5]
    by_time = splits.within_person(records, 2, order_by="time")
    assert by_time.history.tolist() == [1, 2, 3, 4]
    assert by_time.test.tolist() == [0, 5]
    with pytest.raises(ConfigError, match="0 answers of each person"):
        splits.within_person(records, 0)


def test_known_people_are_learnt_from_all_others_and_their_own_first_answers():
    people = np.repeat([f"p{i}" for i in range(10)], 4).tolist()
    records = records_of(people)
    folds = splits.known_people_folds(records, num_known=3, num_folds=5, seed=1)
    plain = splits.person_folds(records, 5, 1)
    for fold, same in zip(folds, plain, strict=True):
        assert fold.others.tolist() == same.train.tolist()
        assert sorted([*fold.history, *fold.test]) == same.test.tolist()
        assert (fold.history % 4 < 3).all()
        assert (fold.test % 4 == 3).all()
        assert fold.train.tolist() == sorted([*fold.others, *fold.history])


def test_situations_are_parted_by_their_column():
    records = records_of(list("abab"), situation=[1, 1, 2, 2])
    folds = splits.situation_folds(records, 2)
    assert {tuple(fold.test) for fold in folds} == {(0, 1), (2, 3)}


def test_too_many_folds_are_refused():
    with pytest.raises(ConfigError, match="keep people apart, and the records have 1"):
        splits.person_folds(list("aaa"), 5)
    with pytest.raises(ConfigError, match="2 people cannot be parted into 5 folds"):
        splits.person_folds(list("ab"), 5)
    with pytest.raises(ConfigError, match=r"share of people to hold out is 1.5"):
        splits.held_out_people(list("ab"), share=1.5)
