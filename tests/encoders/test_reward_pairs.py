"""Margins of judged pairs: read as they are, refused where they mean nothing."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.encoders.reward_pairs import pair_margins
from penchant.errors import DataError


def judged(outcome, **rows):
    return Records(
        rows=pa.table({"kind": ["pair"] * len(outcome), "outcome": outcome, **rows}),
        options=pa.table({"text": [f"t{k}" for k in range(2 * len(outcome))]}),
        offsets=np.arange(0, 2 * len(outcome) + 1, 2),
    ).normalised()


def test_a_margin_is_what_stands_there_and_nothing_where_nothing_does():
    records = judged([0, 1, 2, 0], strength=[1.5, -0.25, 0.0, None])
    np.testing.assert_array_equal(pair_margins(records, "strength"), [1.5, -0.25, 0.0, 0.0])


@pytest.mark.parametrize(
    ("outcome", "margins", "said"),
    [
        ([0, 0], [1.0, np.nan], r"margin of observation 1, nan, is no finite number \(1 of 2"),
        ([0, 1], [np.inf, np.inf], r"margin of observation 0, inf, is no finite number \(2 of 2"),
        ([0, 2], [1.0, 0.5], "margin of observation 1, 0.5, is of a tie .* write 0"),
    ],
)
def test_a_margin_that_is_none_is_refused_with_its_row_and_the_mend(outcome, margins, said):
    with pytest.raises(DataError, match=said):
        pair_margins(judged(outcome, strength=margins), "strength")


def test_a_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(DataError, match=r"no column 'margin' of margins; they have .*strength"):
        pair_margins(judged([0], strength=[1.0]), "margin")


def test_margins_are_of_pairs_alone():
    rating = Records(
        rows=pa.table({"kind": ["rating"], "margin": [1.0]}),
        options=pa.table({"text": ["a"], "level": [3]}),
        offsets=np.array([0, 1]),
    ).normalised()
    with pytest.raises(DataError, match="1 of the 1 observations are no pairs"):
        pair_margins(rating, "margin")
