"""Texts as counts of words."""

import numpy as np
import pytest

from penchant.encoders.word_counts import WordCounts
from penchant.errors import DataError

TEXTS = ["The cat saw the dog.", "A dog; the DOG!", "don't", "Don't see the cat"]


def test_words_are_counted_whatever_their_case_and_marks_and_unknown_ones_are_passed_over():
    counts = WordCounts.of(TEXTS)
    assert counts.words == ("cat", "dog", "don't", "the")
    np.testing.assert_array_equal(counts.count([*TEXTS, "zebra"]), [
        [1, 1, 0, 2], [0, 2, 0, 1], [0, 0, 1, 0], [1, 0, 1, 1], [0, 0, 0, 0]
    ])  # fmt: skip


def test_the_most_frequent_are_kept_where_they_are_too_many():
    assert WordCounts.of(TEXTS, most=1).words == ("the",)
    assert len(WordCounts.of(TEXTS, least_texts=1).words) == 7


def test_texts_without_a_common_word_are_refused():
    with pytest.raises(DataError, match="Lower `least_texts`"):
        WordCounts.of(["one", "two"])
