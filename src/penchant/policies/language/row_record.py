"""What a step learnt from, row by row: answers with their rewards, who drew them, under what they
are trained.

Legend: B rows, P prompts.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from penchant.numerics.arrays import Array
from penchant.policies.language.gathering import Gathered
from penchant.policies.language.methods.method import Heard

Source = Literal["own", "replay", "demonstration", "inserted truth", "privileged"]
# What methods that gather for themselves say of rows, in `Gathered.told`.
_SOURCES: dict[str, Source] = {
    "replayed": "replay",
    "inserted": "inserted truth",
    "guided": "privileged",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """A batch as it was gathered, and what the update heard of it. step: after how many."""

    step: int
    batch: Gathered
    heard: Heard


def row_sources(learnt: Learnt) -> list[Source]:
    """Of each row: drawn by the policy itself, an earlier success, a demonstration that is
    imitated, a right answer put into the group, or drawn with a hint in sight."""
    found: list[Source] = ["own"] * len(learnt.batch.rollouts)
    marks: list[tuple[Bool[Array, " B"], Source]] = [
        (np.asarray(learnt.batch.told[name], dtype=bool), source)
        for name, source in _SOURCES.items() if name in learnt.batch.told
    ]  # fmt: skip
    marks.append((learnt.heard.is_shown, "demonstration"))
    for mask, source in marks:
        for row in np.flatnonzero(mask):
            found[row] = source
    return found


def context_hashes(learnt: Learnt) -> list[str]:
    """Of each row: a hash of the tokens before its response, under which it is trained (of a hint
    that was stripped nothing is left)."""
    rollouts = learnt.batch.rollouts
    ids = rollouts.tokens.ids.cpu().numpy().astype(np.int64)
    return [blake2b(line[:start].tobytes(), digest_size=8).hexdigest()
            for line, start in zip(ids, rollouts.start)]  # fmt: skip


def told_groups(learnt: Learnt) -> list[dict[str, Any]]:
    """A line for each prompt: its answers as lists beside each other, in the form in which ranked
    lists are read (`data/readers/ranked_texts.py`).

    scores: rewards, None where an answer has none; advantages: the mean over an answer's tokens
    that are trained, None where none is; sources, versions (of the weights that drew it), contexts
    (`context_hashes`); ended: by itself.
    """
    batch, rollouts = learnt.batch, learnt.batch.rollouts
    is_trained = learnt.heard.unit_of >= 0
    num = is_trained.sum(axis=1)
    credit = np.where(is_trained, learnt.heard.advantage, 0.0).sum(axis=1) / np.maximum(num, 1)
    columns: dict[str, list[Any]] = {
        "completions": list(rollouts.responses),
        "scores": [_number(r) for r in batch.grades.reward],
        "advantages": [_number(a) if n else None for a, n in zip(credit, num)],
        "sources": [*row_sources(learnt)],
        "versions": rollouts.versions.tolist(),
        "contexts": context_hashes(learnt),
        "ended": rollouts.has_ended.tolist(),
    }
    group = rollouts.prompt_of if batch.group is None else batch.group
    return [
        {"step": learnt.step, "prompt": batch.problems[rows[0]].prompt,
         **{name: [values[row] for row in rows] for name, values in columns.items()}}
        for rows in (np.flatnonzero(group == g).tolist() for g in np.unique(group))
    ]  # fmt: skip


def _number(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
