"""A first guess for judged texts as they are published: pairs, edits, listed rankings, ratings."""

import re

import pyarrow as pa

from penchant.data.columns import is_number, is_text, one_chunk
from penchant.data.description import Description
from penchant.data.guess_pairs import PAIRED_ENDS, pair_answer, paired_columns, soft_answer
from penchant.data.seen_columns import SeenColumns

_TEXTS = ("text", "comment", "answer", "response", "completion", "output", "summary", "paragraph",
          "story", "essay", "review", "message", "post")  # fmt: skip
_RATING = ("rating", "rating_overall", "overall_rating", "score", "score_overall", "overall_score",
           "stars", "grade")  # fmt: skip
# What somebody made of a text, and the text as it was.
_EDITS = (
    ("revised", "original"), ("edited", "original"), ("postedit", "preedit"), ("after", "before"),
    ("post_edit", "pre_edit"), ("edited", "proposal"), ("final", "draft"), ("final", "proposal"),
    ("rewritten", "original"), ("corrected", "original"),
)  # fmt: skip
_ANSWER = re.compile(r"choice|chosen|preferred|winner|better|vote|answer|label")
# Fewer different ones are a category.
_MANY_TEXTS = 20
_MOST_LEVELS = 20


def guess_texts(columns: SeenColumns) -> tuple[Description, str] | None:
    """The description of a table of judged texts, and why; None where it is none."""
    return _text_pairs(columns) or _edits(columns) or _listed(columns) or _rated(columns)


def _is_prose(columns: SeenColumns, name: str) -> bool:
    """Texts of three words and more, most of them different: no names of things."""
    if not is_text(columns.table[name].type):
        return False
    values = columns.values(name)[:1000]
    several = sum(str(value).strip().count(" ") > 1 for value in values)
    return len(values) > _MANY_TEXTS and several > 0.5 * len(values)


def _text_pairs(columns: SeenColumns) -> tuple[Description, str] | None:
    """Two columns of prose and one that says which won: texts are options without names."""
    for name, other, first, second in paired_columns(columns, (*PAIRED_ENDS, ("0", "1"))):
        if not (_is_prose(columns, name) and _is_prose(columns, other)):
            continue
        answer, codes = _numbered_answer(columns, (first, second))
        if answer is None:
            answer, codes = pair_answer(columns, (name, other))
        answer = answer or soft_answer(columns)
        if answer is not None:
            said = Description(
                layout="pairs", kind="pair", option_columns=(name, other), answer=answer,
                codes=codes, feature_columns={"text": {"first": name, "second": other}},
            )  # fmt: skip
            return said, f"{name} and {other} are texts, and {answer} says which won."
    return None


def _numbered_answer(
    columns: SeenColumns, ends: tuple[str, str]
) -> tuple[str | None, dict[str, str]]:
    """A column of the two numbers that the sides end with (0 means response_0)."""
    for name in columns.names:
        is_answer = is_number(columns.table[name].type) and _ANSWER.search(name.lower())
        if is_answer and {str(value) for value in columns.values(name)} == set(ends):
            return name, {ends[0]: "first", ends[1]: "second"}
    return None, {}


def _edits(columns: SeenColumns) -> tuple[Description, str] | None:
    """A text and what somebody made of it, side by side."""
    for edited, original in _EDITS:
        if not {edited, original} <= set(columns.lower):
            continue
        one, other = (columns.lower[name] for name in (edited, original))
        if _is_prose(columns, one) and _is_prose(columns, other):
            said = Description(
                layout="pairs", kind="edit", option_columns=(one, other),
                feature_columns={"text": {"first": one, "second": other}},
            )  # fmt: skip
            return said, f"{one} looks like what was made of {other} by editing it."
    return None


def _listed(columns: SeenColumns) -> tuple[Description, str] | None:
    """A column that holds each ranking as a list of names, and columns of what they name."""
    for name in columns.names:
        kind = columns.table[name].type
        if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            continue
        # An order in which options were shown is no answer.
        if not (is_text(kind.value_type) and re.search(r"rank|prefer", name.lower())):
            continue
        named = one_chunk(columns.table[name]).flatten().unique().drop_null().to_pylist()
        found: dict[str, dict[str, str]] = {}
        for other in columns.names:
            # Of two names that both end a column's name the longer one is meant.
            ends = sorted((n for n in named if other.endswith(n)), key=len)
            if ends and is_text(columns.table[other].type):
                found.setdefault(other[: -len(ends[-1])], {})[ends[-1]] = other
        full = {stem: each for stem, each in found.items() if len(each) == len(named)}
        if len(named) < 2 or not full:
            continue
        said = Description(
            layout="rankings", kind="ranking", alternatives=tuple(sorted(named)), answer=name,
            feature_columns={stem.strip("_-. ") or "text": each for stem, each in full.items()},
        )  # fmt: skip
        return said, f"{name} lists {', '.join(sorted(named))} in an order; check: best first?"
    return None


def _rated(columns: SeenColumns) -> tuple[Description, str] | None:
    """A text and a number for how good it is."""
    named = [columns.lower[name] for name in _TEXTS if name in columns.lower]
    text = next((name for name in named if _is_prose(columns, name)), None)
    rating = columns.first(_RATING)
    if text is None or rating is None or not is_number(columns.table[rating].type):
        return None
    levels = sorted(columns.values(rating))
    is_scale = len(levels) <= _MOST_LEVELS and all(float(v).is_integer() for v in levels)
    said = Description(
        layout="ratings", kind="rating" if is_scale else "outcome", text=text, answer=rating,
        levels=tuple(range(int(levels[0]), int(levels[-1]) + 1)) if is_scale else (),
    )  # fmt: skip
    return said, f"{rating} looks like a rating of {text}."
