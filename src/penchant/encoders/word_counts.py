"""Texts as counts of their words: what a model of a few hundred texts can learn from.

Legend: T texts, V words.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.numerics.arrays import Array

_WORD = re.compile(r"\w+(?:'\w+)?")


@dataclass(frozen=True, kw_only=True)
class WordCounts:
    """The words that are counted, in lower case; others are passed over."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: Sequence[str], *, least_texts: int = 2, most: int = 2000) -> "WordCounts":
        """Words that stand in `least_texts` texts or more, the `most` most frequent of them.

        Raises `DataError` where there is none.
        """
        met = Counter(word for text in texts for word in set(_words(text)))
        kept = [word for word, num in met.most_common() if num >= least_texts][:most]
        if not kept:
            raise DataError(
                f"no word stands in {least_texts} of the {len(texts)} texts or more; expected some "
                "to learn from. Lower `least_texts`, or give more texts."
            )
        return cls(words=tuple(sorted(kept)))

    def count(self, texts: Sequence[str]) -> Float[Array, "T V"]:
        """How often each word stands in each text."""
        place = {word: v for v, word in enumerate(self.words)}
        counts = np.zeros((len(texts), len(place)))
        for row, text in enumerate(texts):
            for word in _words(text):
                if word in place:
                    counts[row, place[word]] += 1.0
        return counts


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
