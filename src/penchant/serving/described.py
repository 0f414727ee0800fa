"""Records, as any described file gives them, as the rows that are scored: pairs and single texts.

Legend: B observations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from penchant.data.records import Records
from penchant.encoders.embedding import EmbeddingColumn
from penchant.encoders.reward_pairs import pair_outcomes
from penchant.encoders.text_embedding import ReadTexts, with_plain_texts
from penchant.errors import DataError
from penchant.models.reward_scorer import RewardScorer
from penchant.serving.lines import Names, score_lines

# As the outcomes of a pair are counted; -1, the last, is no answer.
_ANSWERS = ("first", "second", "tie", None)
_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Where the model that was fitted looks in records."""

    text: str
    embedding: str | None


def score_records(
    scorer: RewardScorer, records: Records, names: Names | None = None
) -> Iterator[dict[str, Any]]:
    """One line for each pair: observation, prompt, person, first and second (the texts), answer,
    reward_first and reward_second, and what `score_lines` says of a pair whose `chosen` is the
    first; one line for each text of any other menu: observation, place, prompt, person, text and
    its reward. Observations are counted from 1, like rows.

    Raises `DataError` where the records have no column of texts.
    """
    names = names or Names()
    columns = _columns(scorer, records, names)
    # Plain prompts and texts, under the names of `Names`, are what the rows hold.
    plain = replace(names, text="text", embedding="embedding")
    records = with_plain_texts(records, columns.text)
    outcomes = pair_outcomes(records)
    for start in range(0, len(records), _AT_ONCE):
        heads: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for b, menu in enumerate(_menus(records, columns, plain, start), start=start):
            if len(menu) == 2:
                heads += [{"observation": b + 1, "answer": _ANSWERS[outcomes[b]]}, {}, {}]
                rows += [_pair(*menu), *menu]
            else:
                heads += [{"observation": b + 1, "place": k + 1} for k in range(len(menu))]
                rows += menu
        yield from _joined(heads, rows, list(score_lines(scorer, rows, plain)))


def _columns(scorer: RewardScorer, records: Records, names: Names) -> _Columns:
    embedding = scorer.encoder.embedding
    text = names.text
    if text == Names().text and isinstance(embedding, ReadTexts | EmbeddingColumn):
        text = embedding.text
    if text not in records.options.column_names:
        raise DataError(
            f"the options of the file have no column {text!r} of texts; they have "
            f"{', '.join(records.options.column_names)}. Name it with `--text`, or describe the "
            "file as the one that the model was fitted on."
        )
    column = embedding.column if isinstance(embedding, EmbeddingColumn) else None
    return _Columns(text=text, embedding=column)


def _menus(
    records: Records, columns: _Columns, names: Names, start: int
) -> list[list[dict[str, Any]]]:
    """The texts of some observations, each a row."""
    offsets = records.offsets[start : start + _AT_ONCE + 1]
    known = [name for name in (names.prompt, names.person) if name in records.rows.column_names]
    asked = records.rows.select(known).slice(start, len(offsets) - 1).to_pylist()
    own = {columns.text: names.text}
    if columns.embedding in records.options.column_names:
        own[str(columns.embedding)] = names.embedding
    shown = records.options.select(list(own)).slice(offsets[0], offsets[-1] - offsets[0])
    texts = shown.rename_columns(list(own.values())).to_pylist()
    bounds = (offsets - offsets[0]).tolist()
    return [[{**row, **text} for text in texts[low:high]]
            for row, low, high in zip(asked, bounds, bounds[1:])]  # fmt: skip


def _pair(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    pair = {name: value for name, value in first.items() if name not in ("text", "embedding")}
    for side, row in (("chosen", first), ("rejected", second)):
        pair[side] = row["text"]
        if "embedding" in row:
            pair[f"{side}_embedding"] = row["embedding"]
    return pair


def _joined(
    heads: list[dict[str, Any]], rows: list[dict[str, Any]], said: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Each line's head, texts and what is said; the rewards of a pair's texts with the pair."""
    lines = iter(zip(heads, rows, said))
    for head, row, told in lines:
        kept = {name: value for name, value in row.items() if not name.endswith("embedding")}
        if "chosen" not in row:
            yield {**head, **kept, **told}
            continue
        kept["first"], kept["second"] = kept.pop("chosen"), kept.pop("rejected")
        rewards = {f"reward_{side}": next(lines)[2]["reward"] for side in ("first", "second")}
        yield {**head, **kept, **rewards, **told}
