"""What can be counted in a text without understanding it: its length, its sentences, its marks.

Taste for form (long or short, plain or shouting) is the part of taste that differs most between
judges, and the first thing to hold equal when content is judged.

Legend: T texts, C attributes.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from penchant.encoders.formula import closest
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

_WORD = re.compile(r"\w+")
_END = re.compile(r"[.!?]+")
_SELF = re.compile(r"\b(?:i|me|my|mine|we|us|our)\b", re.IGNORECASE)


def _per_word(count: float, text: str) -> float:
    return count / max(len(_WORD.findall(text)), 1)


def _word_length(text: str) -> float:
    words = _WORD.findall(text)
    return float(np.mean([len(word) for word in words])) if words else 0.0


def _capitals(text: str) -> float:
    letters = [letter for letter in text if letter.isalpha()]
    return sum(letter.isupper() for letter in letters) / max(len(letters), 1)


# Logarithms of counts, shares of rates: what a reader notices of a text twice as long.
ATTRIBUTES: Mapping[str, Callable[[str], float]] = {
    "length": lambda text: float(np.log1p(len(_WORD.findall(text)))),
    "sentences": lambda text: float(np.log1p(len(_END.findall(text)))),
    "word_length": _word_length,
    "capitals": _capitals,
    "marks": lambda text: float(np.log1p(text.count("!") + text.count("?"))),
    "commas": lambda text: _per_word(text.count(","), text),
    "digits": lambda text: float(np.log1p(sum(letter.isdigit() for letter in text))),
    "first_person": lambda text: _per_word(len(_SELF.findall(text)), text),
}


def text_attributes(texts: Sequence[str], names: Sequence[str]) -> Float[Array, "T C"]:
    """The named attributes of each text.

    length and sentences: log(1 + number of words, of sentence ends); word_length: letters a word;
    capitals: share of the letters; marks: log(1 + number of ! and ?); commas and first_person: a
    word; digits: log(1 + number). Raises `ConfigError` for a name that is none of these.
    """
    for name in names:
        if name not in ATTRIBUTES:
            raise ConfigError(
                f"there is no attribute {name!r} of a text; expected one of "
                f"{', '.join(ATTRIBUTES)}. {closest(name, tuple(ATTRIBUTES))}"
            )
    return np.array([[ATTRIBUTES[name](text) for name in names] for text in texts]).reshape(
        len(texts), len(names)
    )
