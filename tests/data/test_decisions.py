"""Logs of decisions as arrays: what was taken, what is refused, menus completed."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.decisions import decisions_of, with_whole_menus
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.simulation.decisions import DecisionWorld


def shown_only(**rows):
    return Records.from_arrays(
        options={"option": np.array(["a", "b", "a", "c"]), "success": np.array([1, 0, 0, 1]),
                 "propensity": np.array([0.5, 0.2, 0.5, 1.0]), "size": np.array([1.0, 2, 1, 3])},
        menu_sizes=np.ones(4, dtype=int), rows=rows, kind="binary",
    )  # fmt: skip


def test_the_action_taken_is_the_one_with_a_reward():
    log = DecisionWorld().draw(50, np.random.default_rng(0))
    found = decisions_of(log)
    answers = log.options["success"].to_numpy(zero_copy_only=False)
    assert len(found) == 50
    np.testing.assert_array_equal(found.reward, answers[~np.isnan(answers)])
    np.testing.assert_array_equal(found.taken // 4, np.arange(50))
    assert found.has_whole_menus
    assert found.has_whole_propensities
    np.testing.assert_allclose(found.total(found.propensities), 1.0)
    assert found.only_taken.menu_sizes.tolist() == [1] * 50
    assert found.only_taken.options["option"].to_pylist() == [
        log.options["option"][line].as_py() for line in found.taken.tolist()
    ]


def test_rounds_that_nobody_answered_are_left_out_and_counted():
    log = DecisionWorld().draw(10, np.random.default_rng(0))
    answers = log.options["success"].to_pylist()
    answers[:8] = [None] * 8
    log = log.with_columns(options={"success": pa.array(answers, pa.int64())})
    found = decisions_of(log)
    assert len(found) == 8
    assert found.notes == ("2 rounds without a reward were left out",)
    np.testing.assert_array_equal(found.taken // 4, np.arange(8))


def test_rounds_of_one_person_are_one_cluster_and_strangers_are_their_own():
    found = decisions_of(shown_only(person=np.array(["x", None, "x", None], dtype=object)))
    assert found.num_clusters == 3
    assert found.cluster[0] == found.cluster[2]
    assert len(set(found.cluster[[0, 1, 3]])) == 3


def test_menus_are_completed_with_all_options_of_the_same_place():
    log = shown_only(page=np.array(["p", "p", "p", "q"]))
    whole = with_whole_menus(log, "page")
    assert whole.menu_sizes.tolist() == [2, 2, 2, 1]
    assert whole.options["option"].to_pylist() == ["a", "b", "a", "b", "a", "b", "c"]
    assert whole.options["size"].to_pylist() == [1, 2, 1, 2, 1, 2, 3]
    assert whole.options["success"].to_pylist() == [1, None, None, 0, 0, None, 1]
    assert whole.options["propensity"].to_pylist() == [0.5, None, None, 0.2, 0.5, None, 1.0]
    before, after = decisions_of(log), decisions_of(whole)
    np.testing.assert_array_equal(before.reward, after.reward)
    np.testing.assert_array_equal(before.propensity, after.propensity)
    assert not after.has_whole_propensities
    assert with_whole_menus(log).menu_sizes.tolist() == [3] * 4


def test_what_is_no_log_of_decisions_is_refused_with_the_mend():
    choices = Records.from_arrays(
        options={"option": np.array(["a", "b"])}, menu_sizes=np.array([2]),
        rows={"chosen": np.array([0])},
    )  # fmt: skip
    with pytest.raises(DataError, match="evaluate_slates"):
        decisions_of(choices)
    slate = Records.from_arrays(
        options={"option": np.array(["a", "b"]), "success": np.array([0, 1])},
        menu_sizes=np.array([2]), rows={}, kind="binary",
    )  # fmt: skip
    with pytest.raises(DataError, match="evaluate_slates"):
        decisions_of(slate)
    with pytest.raises(DataError, match="several options already"):
        with_whole_menus(slate)
    with pytest.raises(DataError, match="no column 'site'"):
        with_whole_menus(shown_only(), "site")
    silent = slate.with_columns(options={"success": pa.nulls(2, pa.int64())})
    with pytest.raises(DataError, match="no round of the log has a reward"):
        decisions_of(silent)
