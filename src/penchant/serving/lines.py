"""Rows in, rewards out: what the command line and the HTTP scorer read and write.

Legend: N rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from penchant.errors import DataError
from penchant.lm.templates import plain_chat
from penchant.models.reward_scorer import Margins, RewardScorer, Scores, Texts

Row = Mapping[str, Any]
# Enough for the embedder's batches, little enough that a stream is felt to flow.
_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class Names:
    """The keys of a row. text: what is scored (`completion` is taken too); prompt, person,
    embedding: may be left out. A row with `chosen` and `rejected` is a pair, its embeddings under
    `chosen_embedding` and `rejected_embedding`."""

    text: str = "text"
    prompt: str = "prompt"
    person: str = "person"
    embedding: str = "embedding"


def score_lines(
    scorer: RewardScorer, rows: Iterable[Row], names: Names | None = None
) -> Iterator[dict[str, Any]]:
    """What is said of each row, in order, a few hundred rows at a time.

    Of a text: reward, low, high, ignorance, unfamiliar, knows_person. Of a pair: margin (chosen
    minus rejected), low, high, soft_label, weight (1 - ignorance: less where the model guesses),
    unfamiliar, knows_person; rows in TRL's format become a labelled data set that way.

    Raises `DataError` where a row has no text, naming it; the first row is row 1.
    """
    names, rest, done = names or Names(), iter(rows), 1
    while part := list(islice(rest, _AT_ONCE)):
        yield from _score(scorer, part, names, done)
        done += len(part)


def _score(
    scorer: RewardScorer, rows: Sequence[Row], names: Names, first: int
) -> list[dict[str, Any]]:
    is_pair = np.array(["chosen" in row and "rejected" in row for row in rows])
    said: list[dict[str, Any]] = [{} for _ in rows]
    singles, pairs = np.flatnonzero(~is_pair).tolist(), np.flatnonzero(is_pair).tolist()
    if len(singles):
        mine = [(first + at, rows[at]) for at in singles]
        scores = scorer.score(_texts(mine, names, None))
        for place, at in enumerate(singles):
            said[at] = _said_of_text(scores, place)
    if len(pairs):
        mine = [(first + at, rows[at]) for at in pairs]
        margins = scorer.compare(*(_texts(mine, names, side) for side in ("chosen", "rejected")))
        for place, at in enumerate(pairs):
            said[at] = _said_of_pair(margins, place)
    return said


def _texts(rows: Sequence[tuple[int, Row]], names: Names, side: str | None) -> Texts:
    key = side or names.text
    embedding = names.embedding if side is None else f"{side}_embedding"
    texts = []
    for number, row in rows:
        text = row.get(key, row.get("completion") if side is None else None)
        if text is None and embedding not in row:
            raise DataError(
                f"row {number} has no {key!r}; it has {', '.join(map(str, row)) or 'nothing'}. "
                "Expected a text (an empty one is a text), or chosen and rejected."
            )
        texts.append(_plain(text, number, key))
    vectors = [row.get(embedding) for _, row in rows]
    has = [vector is not None for vector in vectors]
    if any(has) and not all(has):
        number = rows[has.index(False)][0]
        raise DataError(f"row {number} has no {embedding!r} where others have one; expected all.")
    return Texts(
        texts=texts,
        prompts=[_plain(row.get(names.prompt), n, names.prompt) or None for n, row in rows],
        people=[None if (p := row.get(names.person)) is None else str(p) for _, row in rows],
        vectors=_numbers(vectors, rows[0][0], embedding) if all(has) else None,
    )


def _numbers(vectors: Sequence[Any], first: int, name: str) -> Any:
    try:
        return np.array(vectors, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"the {name!r} of rows from {first} on are not lists of numbers of one length; "
            "expected one list a row."
        ) from error


def _plain(text: Any, number: int, key: str) -> str:
    """A string, or chat messages written out."""
    if text is None:
        return ""
    if isinstance(text, list | tuple) and all(isinstance(m, Mapping) for m in text):
        text = plain_chat(list(text))
    if isinstance(text, str):
        return _encodable(text, number, key)
    raise DataError(
        f"row {number} has a {type(text).__name__} for {key!r}; expected a text, or a list of "
        "messages with role and content."
    )


def _encodable(text: str, number: int, key: str) -> str:
    """The text; JSON may name half a character, which no model reads."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"row {number} has half a pair of surrogates in {key!r} (at {error.start}), which is "
            "no character; expected text. Write the character whole, or leave it out."
        ) from error
    return text


def _said_of_text(scores: Scores, at: int) -> dict[str, Any]:
    return {
        "reward": float(scores.reward[at]),
        "low": float(scores.low[at]),
        "high": float(scores.high[at]),
        "ignorance": float(scores.ignorance[at]),
        "unfamiliar": bool(scores.is_unfamiliar[at]),
        "knows_person": bool(scores.knows_person[at]),
    }


def _said_of_pair(margins: Margins, at: int) -> dict[str, Any]:
    return {
        "margin": float(margins.margin[at]),
        "low": float(margins.low[at]),
        "high": float(margins.high[at]),
        "soft_label": float(margins.soft_label[at]),
        "weight": float(1.0 - margins.ignorance[at]),
        "unfamiliar": bool(margins.is_unfamiliar[at]),
        "knows_person": bool(margins.knows_person[at]),
    }
