"""Features read in a compiled loop are what a whole parser reads, or nothing."""

import json
import math

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("msgspec")
pytest.importorskip("numba")

from penchant.serving.number_tables import number_table

BLANKS = st.sampled_from(["", " ", "\n\t", "\r  "])
NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'),
                min_size=1, max_size=12)  # fmt: skip
NUMBERS = st.floats(-1e6, 1e6) | st.integers(-1_000_000, 1_000_000)
# Whatever may stand for a number, and what looks like one.
WRITTEN = NUMBERS.map(json.dumps) | st.from_regex(
    r"-?[0-9]{1,20}(\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)


def spaced(draw, *signs):
    return "".join(draw(BLANKS) + sign for sign in signs)


@st.composite
def objects(draw, written=WRITTEN):
    """Texts of objects with the same names, mostly."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6))
    texts = []
    for _ in range(draw(st.integers(1, 4))):
        told = [spaced(draw, f'"{name}"', ":", draw(written)) + draw(BLANKS) for name in names]
        texts.append(spaced(draw, "{" + ",".join(told) + "}").strip().encode())
    return texts


def table(texts, most=256):
    found = number_table([msgspec.Raw(text) for text in texts], most)
    return None if found is None else [*found]


@settings(max_examples=300)
@given(objects())
def test_what_is_read_is_what_a_whole_parser_reads(texts):
    found = table(texts)
    if found is not None:
        assert found == [msgspec.json.decode(text) for text in texts]
        for told, text in zip(found, texts):
            assert [*told] == [*msgspec.json.decode(text)]


@settings(max_examples=300)
@given(st.lists(NUMBERS, min_size=1, max_size=8))
@example([-0.0, 0.0, 0.1, 1e-5, -123456.78901234567, 0.00012345678901234567, 999999.9999999999])
def test_numbers_as_programs_write_them_are_read_to_the_last_bit(numbers):
    texts = [json.dumps({"a": number, "b": 1}).encode() for number in numbers]
    found = table(texts)
    plain = [number for number in numbers if number == 0 or abs(number) >= 1e-5]
    if len(plain) == len(numbers):
        assert found is not None or any(_is_tie(number) for number in numbers)
    if found is not None:
        read = [told["a"] for told in found]
        assert read == numbers
        assert [math.copysign(1, x) for x in read] == [math.copysign(1, x) for x in numbers]


def _is_tie(number):
    """Whether its digits are as many as need a division with remainder, which may decline."""
    return len(json.dumps(abs(number)).replace(".", "")) >= 17


def test_digits_a_hair_from_the_middle_of_two_numbers_are_left_to_a_whole_parser():
    # digits x 2^45 is 1 or -1 beyond a multiple of 5^22: nothing so short is closer to a middle.
    for r in (1, -1):
        closest = r * pow(2**45, -1, 5**22) % 5**22
        candidates = [closest + at * 5**22 for at in range(40, 400)]
        odd = [w for w in candidates if 2**53 <= (n := (w * 2**45 - r) // 5**22) < 2**54 and n % 2]
        assert odd
        assert all(table([b'{"a":%de-22}' % w]) is None for w in odd)


@given(st.lists(st.floats(0.001, 1e6), min_size=200, max_size=200))
@settings(max_examples=20)
def test_long_numbers_are_hardly_ever_declined(numbers):
    declined = [table([json.dumps({"a": number}).encode()]) is None for number in numbers]
    assert sum(declined) <= 2


@pytest.mark.parametrize(
    "text",
    [
        "{}", '{"a":"1"}', '{"a":true}', '{"a":null}', '{"a":[1]}', '{"a":{"b":1}}', '{"":1}',
        '{"a":1000000.1}', '{"a":-1e7}', '{"a":1,"a":2}', '{"\\u0061":1}', '{"ü":1}',
        '{"a":1e-40}', '{"a":123456789012345678901}', '{"a":0.1234567890123456789012345}',
        '{"' + "x" * 129 + '":1}', '{"a":01}', '{"a":1.}', '{"a":.5}', '{"a":1e}', '{"a":--1}',
        '{"a":1,}', '{"a":1', '{"a":1}}', '{"a"1}', '{"a":1 "b":2}', '{"a":NaN}', '{"a":1e999}',
        '{"a":9007199254740993e-10,"b":1e5.5}',
    ],
)  # fmt: skip
def test_whatever_is_not_a_plain_number_is_left_to_a_whole_parser(text):
    assert table([text.encode()]) is None
    assert table([b'{"a":1}', text.encode()]) is None


@pytest.mark.parametrize("second", ['{"b":1,"a":2}', '{"a":1}', '{"a":1,"b":2,"c":3}', '{"ab":1}'])
def test_options_whose_names_differ_are_left_to_a_whole_parser(second):
    assert table([b'{"a":1,"b":2}', second.encode()]) is None
    assert table([b'{"a":1,"b":2}', b'{"a":3,"b":4}']) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_more_names_than_allowed_are_left_to_a_whole_parser():
    text = json.dumps({f"f{k}": k for k in range(9)}).encode()
    assert table([text], most=8) is None
    assert table([text], most=9) == [{f"f{k}": k for k in range(9)}]
