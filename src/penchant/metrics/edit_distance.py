"""How much of a text an edit left as it was.

Legend: M words before, N words after.
"""

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.numerics.arrays import Array

# Words of either text: beyond, comparing them takes more than a tenth of a second.
MOST_WORDS = 2_000


def check_words(before: str, after: str) -> None:
    """Raises `DataError` for texts that are too long to be compared."""
    longest = max(len(before.split()), len(after.split()))
    if longest > MOST_WORDS:
        raise DataError(
            f"a text has {longest:,} words; expected up to {MOST_WORDS:,} to compare it with its "
            "edit. Send the part that was edited."
        )


def kept_share(before: str, after: str) -> float:
    """1 - d / max(M, N): 1 where no word was changed, 0 where none was left in place.

    d is the least number of words put in, taken out or replaced (Levenshtein 1966), the cost of an
    edit in Gao et al. 2024 ("PRELUDE"), there in tokens. Two empty texts are alike.

    Raises `DataError` for texts of more than 2,000 words.
    """
    check_words(before, after)
    old, new = before.split(), after.split()
    longest = max(len(old), len(new))
    if not longest:
        return 1.0
    # What stands unchanged at either end costs nothing, and mostly it is nearly all.
    start = _alike(old, new)
    old, new = old[start:], new[start:]
    end = _alike(old[::-1], new[::-1])
    old, new = old[: len(old) - end], new[: len(new) - end]
    place = {word: at for at, word in enumerate(dict.fromkeys([*old, *new]))}
    codes = np.array([place[word] for word in new], dtype=np.int64)
    at = np.arange(len(new) + 1.0)
    row: Float[Array, " N"] = at
    for word in old:
        replaced = row[:-1] + (codes != place[word])
        step = np.concatenate([[row[0] + 1.0], np.minimum(replaced, row[1:] + 1.0)])
        # Words put in: each costs one more than what stands to its left.
        row = np.minimum.accumulate(step - at) + at
    return float(1.0 - row[-1] / longest)


def _alike(old: list[str], new: list[str]) -> int:
    """How many words at the beginning are the same."""
    pairs = enumerate(zip(old, new))
    return next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
