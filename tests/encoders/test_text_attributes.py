"""Counted attributes of texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.encoders.text_attributes import ATTRIBUTES, text_attributes
from penchant.errors import ConfigError

NAMES = tuple(ATTRIBUTES)


def attribute(name, text):
    return text_attributes([text], [name])[0, 0]


def test_each_attribute_counts_what_its_name_says():
    text = "We, the PEOPLE: 12 of us! Really?"
    assert attribute("length", text) == pytest.approx(np.log(1 + 7))
    assert attribute("sentences", text) == pytest.approx(np.log(1 + 2))
    assert attribute("word_length", text) == pytest.approx((2 + 3 + 6 + 2 + 2 + 2 + 6) / 7)
    assert attribute("capitals", text) == pytest.approx(8 / 21)
    assert attribute("marks", text) == pytest.approx(np.log(1 + 2))
    assert attribute("commas", text) == pytest.approx(1 / 7)
    assert attribute("digits", text) == pytest.approx(np.log(1 + 2))
    assert attribute("first_person", text) == pytest.approx(2 / 7)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_any_text_has_finite_attributes_and_each_stands_for_itself(texts):
    together = text_attributes(texts, NAMES)
    assert together.shape == (len(texts), len(NAMES))
    assert np.isfinite(together).all()
    alone = np.concatenate([text_attributes([text], NAMES) for text in texts])
    np.testing.assert_array_equal(together, alone)


def test_nothing_is_asked_of_nothing():
    assert text_attributes(["a", "b"], ()).shape == (2, 0)
    assert text_attributes([], NAMES).shape == (0, len(NAMES))


def test_an_unknown_attribute_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no attribute 'lenght'.*length, sentences"):
        text_attributes(["a"], ["lenght"])
