"""How much of a text an edit left: against a slow twin, and what must hold of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.errors import DataError
from penchant.metrics.edit_distance import MOST_WORDS, kept_share

texts = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=8).map(" ".join)


def slow_distance(old, new):
    """Levenshtein's recursion, as it stands."""
    if not old or not new:
        return len(old) + len(new)
    return min(
        slow_distance(old[1:], new) + 1, slow_distance(old, new[1:]) + 1,
        slow_distance(old[1:], new[1:]) + (old[0] != new[0]),
    )  # fmt: skip


@given(texts, texts)
def test_it_is_the_least_number_of_changed_words(before, after):
    old, new = before.split()[:5], after.split()[:5]
    longest = max(len(old), len(new))
    expected = 1.0 - slow_distance(old, new) / longest if longest else 1.0
    assert abs(kept_share(" ".join(old), " ".join(new)) - expected) < 1e-12


@given(texts, texts)
def test_it_does_not_matter_which_way_round(one, other):
    assert kept_share(one, other) == kept_share(other, one)
    assert (kept_share(one, other) == 1.0) == (one.split() == other.split())


def test_texts_that_share_nothing_have_kept_nothing():
    assert kept_share("one two three", "four five") == 0.0
    assert kept_share("", "four five") == 0.0
    assert kept_share("one two three four", "one two four") == 0.75


def test_a_text_of_too_many_words_is_refused():
    most = "word " * MOST_WORDS
    assert kept_share(most, most) == 1.0
    with pytest.raises(DataError, match="expected up to"):
        kept_share(most + "more", "word")
