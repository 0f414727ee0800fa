"""Earlier and later judgements of the same judges."""

import numpy as np
import pytest

from penchant.data.samples import convincing_arguments
from penchant.evaluation.known_judges import known_judges


def test_everybody_is_known_by_their_first_judgements_and_foretold_on_the_others():
    records = convincing_arguments().take(np.arange(400))
    judges = known_judges(records, share=0.5)
    assert len(judges.earlier) + len(judges.later) == 400
    names = np.array(records.rows["person"].to_pylist())
    counts = np.unique(names, return_counts=True)[1]
    early, late = np.bincount(judges.earlier_judge), np.bincount(judges.later_judge, minlength=1)
    np.testing.assert_array_equal(np.sort(early), np.sort(np.ceil(0.5 * counts)))
    assert set(judges.later_judge) <= set(judges.earlier_judge)
    assert late.sum() == (counts - np.ceil(0.5 * counts)).sum()
    outcome = np.asarray(records.rows["outcome"])
    rows = [np.flatnonzero(names == name) for name in dict.fromkeys(names)]
    first = [outcome[mine[: int(np.ceil(0.5 * len(mine)))]] for mine in rows]
    for judge, told in enumerate(first):
        np.testing.assert_array_equal(judges.earlier.answer[judges.earlier_judge == judge], told)


def test_gains_are_paired_and_below_zero_where_better():
    judges = known_judges(convincing_arguments().take(np.arange(400)), attributes=())
    assert judges.earlier.features.shape[1] == 384
    even = np.full((len(judges.later), 3), 1 / 3)
    better = even.copy()
    better[np.arange(len(even)), judges.later.answer] = 0.5
    gain = judges.gain(better, even)
    assert gain.estimate == pytest.approx(np.log(2 / 3))
    assert gain.high < 0
    assert judges.losses(even) == pytest.approx(np.log(3))
