"""The votes of a table added up by pair, straight from its columns."""

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from penchant.data.columns import is_text, one_chunk, to_floats
from penchant.data.pair_counts import Block, PairCounts, count_blocks
from penchant.data.readers.pairs import COMMON_WORDS
from penchant.data.readers.source import Source
from penchant.data.readers.vote_parts import VoteColumns
from penchant.data.readers.votes import votes_from_columns
from penchant.errors import DataError
from penchant.numerics.arrays import Array

_VOTES_AT_ONCE = 1 << 18  # renamed and counted while they are in the cache


def counts_from_columns(source: Source) -> PairCounts:
    """The votes of a prepared table added up by pair, straight from its columns.

    Plain words, all lines sound: the dictionaries' codes are renamed and counted, and nothing else
    of 10 million votes is ever made. Anything else goes the long way round, which knows what to
    say of a bad line. Grades count as soft votes.
    """
    found = _plain_counts(source)
    if found is None:
        if source.description.kind == "graded":
            source.notes.append(
                "grades are counted as soft votes, from 0 (the lowest: the second wins for "
                "certain) to 1"
            )
        return votes_from_columns(source, VoteColumns()).counts()
    return found


def _plain_counts(source: Source) -> PairCounts | None:
    said = source.description
    columns = [*said.option_columns, said.answer]
    if len(columns) != 3 or said.answer in (None, *said.option_columns) or said.kind == "graded":
        return None
    read = [one_chunk(source.table[name]) for name in columns]
    if any(column.null_count or not is_text(column.type) for column in read):
        return None
    read = [c if pa.types.is_dictionary(c.type) else c.dictionary_encode() for c in read]
    first, second, answer = read
    words = [str(word) for side in (first, second) for word in side.dictionary.to_pylist()]
    names = tuple(dict.fromkeys(words))
    meanings = [_plain_meaning(str(word), said.codes) for word in answer.dictionary.to_pylist()]
    nameless = any(not word.strip() for word in names)
    if nameless or None in meanings or set(map(str, answer.dictionary.to_pylist())) & set(names):
        return None
    weight = None
    if said.weight is not None:
        weight = to_floats(source.table[said.weight])
        if not ((weight >= 0) & np.isfinite(weight)).all():
            return None
    place = {name: i for i, name in enumerate(names)}
    lookup = np.asarray([place[word] for word in words], dtype=np.int32)
    renamed = (lookup[: len(first.dictionary)], lookup[len(first.dictionary) :],
               np.asarray(meanings, dtype=np.int8))  # fmt: skip
    codes = [np.asarray(column.indices) for column in read]
    try:
        counts = count_blocks(names, _renamed_blocks(renamed, codes, weight), len(first),
                              weight is not None)  # fmt: skip
    except DataError:
        return None  # an item that meets itself: the long way names the line
    seen = counts.votes_of_item > 0
    return counts if seen.all() else counts.of_items(np.flatnonzero(seen))


def _renamed_blocks(
    renamed: tuple[Array, ...], codes: list[Array], weight: Array | None
) -> Iterator[Block]:
    """Codes of three dictionaries as places and outcomes, some votes at a time."""
    for begin in range(0, max(len(codes[0]), 1), _VOTES_AT_ONCE):
        part = slice(begin, begin + _VOTES_AT_ONCE)
        left, right, outcome = (to[code[part]] for to, code in zip(renamed, codes, strict=True))
        yield left, right, outcome, None if weight is None else weight[part]


def _plain_meaning(word: str, codes: Mapping[str, str]) -> int | None:
    meaning = codes.get(word.strip(), COMMON_WORDS.get(word.strip().lower(), word.strip()))
    return {"first": 0, "second": 1, "tie": 2, "both_bad": 2}.get(meaning)
