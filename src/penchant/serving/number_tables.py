"""Features of options that are numbers under the same names, read from JSON in one compiled loop:
what most requests consist of."""

import functools
from collections.abc import Sequence
from types import ModuleType

import msgspec
import numpy as np

from penchant.encoders.named import NumberTable

# Letters that one number takes at least, with its name, its signs and no digit but one.
_LEAST = 6


def number_table(texts: Sequence[msgspec.Raw], most: int) -> NumberTable | None:
    """The objects that these JSON texts are, as one table; None where names differ or are not
    plain, where there is a word, no entry at all, more than `most`, or a number beyond what a
    request may hold: then a whole parser has to look. Without numba always None.
    """
    loops = _loops()
    if loops is None:
        return None
    text = np.frombuffer(b"".join([*texts, b"\0"]), dtype=np.uint8)
    names = np.empty(most * (loops.MOST_LETTERS + 1), dtype=np.uint8)
    values = np.empty(len(text) // _LEAST + 1)
    num_names, filled = loops.number_table(text, len(texts), most, names, values)
    told = _names(names[:filled].tobytes()) if num_names else None
    if told is None:
        return None
    K = len(texts)
    return NumberTable(told, values[: K * num_names].reshape(K, num_names))


@functools.lru_cache(maxsize=256)
def _names(told: bytes) -> tuple[str, ...] | None:
    """The same names come again and again; None where one came twice."""
    names = tuple(told.decode("ascii").split('"')[:-1])
    return names if len(set(names)) == len(names) else None


@functools.cache
def _loops() -> ModuleType | None:
    try:
        from penchant.serving import number_tables_fused
    except ImportError:
        return None
    return number_tables_fused
