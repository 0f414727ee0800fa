"""Windows tried by a table: what goes on, what is drawn, and what a cut does to advantages."""

import numpy as np

from penchant.evaluation.window_trial import MOST, climbed_windows, long_tailed
from penchant.simulation.tasks.step_table import StepTable


def start():
    return StepTable.taught(np.random.default_rng(0), skill=3.0)


def test_most_problems_are_short_and_a_few_are_long():
    length = long_tailed(5_000, np.random.default_rng(0)).length
    assert length.min() == 2
    assert length.max() == MOST
    assert 0.5 < (length <= 3).mean() < 0.62
    assert 0.05 < (length > 12).mean() < 0.15


def test_a_window_that_holds_all_cuts_nothing():
    one, other = (climbed_windows(start(), MOST, end, 3_000, 10.0, 1)
                  for end in ("bootstrap", "zero"))  # fmt: skip
    assert one.off == []
    np.testing.assert_array_equal(one.table.logits, other.table.logits)
    assert np.abs(one.table.logits - start().logits).max() > 1e-3


def test_only_answers_that_ended_teach_the_value_and_make_room():
    one_step = climbed_windows(start(), 8, "bootstrap", 1, 0.0, 1)
    assert np.all(one_step.value[9:] == 0.0)
    assert np.any(one_step.value[1:9] > 0.0)
    # Each problem is begun anew: 128 rows of 5.5 digits on average, the longest of which has 24.
    whole = climbed_windows(start(), MOST, "bootstrap", 20_000, 0.0, 1)
    assert abs(whole.spent / whole.decoded - 128 * 5.46 / 24) < 2.0


def test_windows_take_less_time_for_as_many_digits():
    whole, cut = (climbed_windows(start(), w, "bootstrap", 6_000, 1.0, 1) for w in (MOST, 8))
    assert abs(whole.spent - cut.spent) < 1_000
    assert cut.decoded < 0.6 * whole.decoded
    assert cut.decoded % 8 == 0


def test_a_policy_that_stands_still_has_cut_advantages_right_with_the_last_value_alone():
    run = climbed_windows(start(), 8, "bootstrap", 40_000, 0.0, 2)
    np.testing.assert_array_equal(run.table.logits, start().logits)
    late = np.array(run.off)[len(run.off) // 2 :].mean(axis=0)
    assert abs(late[0]) < 0.02
    assert late[1] < -0.08
    # What is foretold is what such states earn: more where all is right so far.
    assert np.all((run.value >= 0.0) & (run.value <= 1.0))
    assert run.value[1, 1] > run.value[1, 0] + 0.3
