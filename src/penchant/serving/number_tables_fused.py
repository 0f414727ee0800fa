"""JSON objects that all have the same names in the same order, and numbers alone, as a matrix.

Whatever is anything else is left to a whole parser: nothing is guessed here.

Legend: K objects, M names.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numba import njit

from penchant.numerics.arrays import Array

# Longest name, and largest number, that a request may hold (`wire.py`).
MOST_LETTERS, LARGEST = 128, 1e6
# Powers of ten up to 22 and whole numbers up to 2^53 are held exactly.
_TENS = np.array([float(10**power) for power in range(23)])
_MOST_EXACT = 2**53
_MOST_DIGITS = 18
_MOST_POWER = len(_TENS) - 1
_SPLIT = 2.0**27 + 1.0
_QUOTE, _COMMA, _MINUS, _POINT, _COLON, _BRACE, _BRACE_END = 34, 44, 45, 46, 58, 123, 125


def _compiled(function: Callable[..., Any]) -> Any:
    return njit(cache=True, nogil=True, error_model="numpy")(inspect.unwrap(function))


@_compiled
def number_table(
    text: UInt8[Array, " L"], num: int, most: int, names: UInt8[Array, " C"],
    values: Float[Array, " N"],
) -> tuple[int, int]:  # fmt: skip
    """How many names each object has, and how many letters of `names` they fill.

    text: `num` objects, one after the other, and a 0 that ends every search. most: names of an
    object. names: is filled with the first object's, each with a quotation mark after it, which no
    name holds. values: with all numbers, row by row; room for them is a sixth of the text.
    (0, 0) where anything is not as it should be.
    """
    at, num_names, filled, written = 0, 0, 0, 0
    for k in range(num):
        at = _blank_end(text, at)
        if text[at] != _BRACE:
            return 0, 0
        read, m = 0, 0
        while text[at] != _BRACE_END:
            at = _blank_end(text, at + 1)
            if text[at] != _QUOTE or m == most:
                return 0, 0
            at += 1
            if k == 0:
                filled = _taken(text, at, names, filled)
            length = _shared(text, at, names, read, filled)
            if length <= 0:
                return 0, 0
            read += length
            at = _blank_end(text, at + length)
            if text[at] != _COLON:
                return 0, 0
            at, values[written] = _number(text, _blank_end(text, at + 1))
            # Also where the number is none.
            if not abs(values[written]) <= LARGEST:
                return 0, 0
            written, m = written + 1, m + 1
            at = _blank_end(text, at)
            if text[at] != _COMMA and text[at] != _BRACE_END:
                return 0, 0
        at += 1
        if read != filled:
            return 0, 0
        num_names = m
    return (num_names, filled) if text[_blank_end(text, at)] == 0 else (0, 0)


@_compiled
def _blank_end(text: Array, at: int) -> int:
    while text[at] == 32 or text[at] == 10 or text[at] == 13 or text[at] == 9:
        at += 1
    return at


@_compiled
def _taken(text: Array, at: int, names: Array, filled: int) -> int:
    """A name and its quotation mark are added to the names; how many letters there are then, as
    many as before where it is empty, too long, or holds what is written otherwise than read."""
    place = filled
    while text[at] != _QUOTE:
        if text[at] < 32 or text[at] > 126 or text[at] == 92 or place - filled == MOST_LETTERS:
            return filled
        names[place] = text[at]
        at, place = at + 1, place + 1
    names[place] = _QUOTE
    return place + 1 if place > filled else filled


@_compiled
def _shared(text: Array, at: int, names: Array, read: int, filled: int) -> int:
    """Letters of the next of the names, with its mark, where it stands in the text; else 0."""
    place = read
    while place < filled and text[at] == names[place]:
        at, place = at + 1, place + 1
        if names[place - 1] == _QUOTE:
            return place - read
    return 0


@_compiled
def _number(text: Array, at: int) -> tuple[int, float]:
    """The place after a number and the number, NaN where it is none that is surely read right."""
    is_negative = text[at] == _MINUS
    at += is_negative
    begin, whole, power = at, 0, 0
    while 48 <= text[at] <= 57 and at < begin + _MOST_DIGITS:
        whole, at = whole * 10 + text[at] - 48, at + 1
    if at == begin or (text[begin] == 48 and at > begin + 1):
        return at, np.nan
    if text[at] == _POINT:
        at += 1
        # Zeros in front are no digits.
        first = at
        while whole == 0 and text[at] == 48:
            at += 1
        begin = at if whole == 0 else begin + 1
        while 48 <= text[at] <= 57 and at < begin + _MOST_DIGITS:
            whole, at = whole * 10 + text[at] - 48, at + 1
        power = first - at
        if power == 0:
            return at, np.nan
    if text[at] == 101 or text[at] == 69:
        at, exponent = _exponent(text, at + 1)
        power += exponent
    # What follows is of a number that is too long to be read so, or of none.
    if 48 <= text[at] <= 57 or text[at] == _POINT or not -_MOST_POWER <= power <= _MOST_POWER:
        return at, np.nan
    ten = _TENS[abs(power)]
    if whole <= _MOST_EXACT:
        # Two numbers that are held exactly, rounded once (Clinger 1990).
        value = whole * ten if power > 0 else whole / ten
    else:
        value = _quotient(whole, ten) if power <= 0 else np.nan
    return at, -value if is_negative else value


@_compiled
def _exponent(text: Array, at: int) -> tuple[int, int]:
    """The place after an exponent and the exponent; one beyond all others where it is none."""
    is_negative = text[at] == _MINUS
    at += is_negative or text[at] == 43
    begin, exponent = at, 0
    while 48 <= text[at] <= 57 and at < begin + 3:
        exponent, at = exponent * 10 + text[at] - 48, at + 1
    if at == begin:
        return at, 1_000
    return at, -exponent if is_negative else exponent


@_compiled
def _quotient(whole: int, ten: float) -> float:
    """The number nearest to whole / ten, by a division with remainder in two parts (Dekker 1971);
    NaN for ties and what is as good as one."""
    high = float(whole)
    low = float(whole - np.int64(high))
    quotient = high / ten
    rest = (_remainder(high, quotient, ten) + low) / ten
    value = quotient + rest
    # How far the sum is from what it was rounded to, beside half of what numbers there are apart.
    missed = abs(rest - (value - quotient))
    half = 0.5 * (value - np.nextafter(value, 0.0))
    return value if missed < half * (1.0 - 1e-9) else np.nan


@_compiled
def _remainder(high: float, quotient: float, ten: float) -> float:
    """high - quotient x ten, whose product is first split into parts that are exact."""
    product = quotient * ten
    a, b = _SPLIT * quotient, _SPLIT * ten
    a, b = a - (a - quotient), b - (b - ten)
    c, d = quotient - a, ten - b
    error = ((a * b - product) + a * d + c * b) + c * d
    return (high - product) - error
