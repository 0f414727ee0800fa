"""From answers of several kinds to votes between two items.

Legend: N items, Q pairs that met.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from penchant.agents.elicitation.questions import Kind, votes_of
from penchant.data.pair_counts import PairCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """items: places, best first (`is_tied`: none is better); of a rating or an edit the one that
    was judged, and `value`: how well, on any scale that rises. person: who says so; None is
    somebody else each time."""

    kind: Kind
    items: tuple[int, ...]
    person: str | None = None
    value: float = 0.0
    is_tied: bool = False


def vote_counts(items: Sequence[str], answers: Iterable[Answer]) -> PairCounts:
    """All answers as votes, as `votes_of` says what each stands for.

    Of several ratings of one item by one person the last one counts. n ratings of a person are
    compared with each other at 2 / n a pair: n - 1 votes together. Equal ones are ties.
    """
    size = len(items)
    won, tied = np.zeros((size, size)), np.zeros((size, size))
    judged: dict[tuple[object, Kind], dict[int, float]] = {}
    for at, answer in enumerate(answers):
        if answer.kind in ("rating", "edit"):
            who = at if answer.person is None else answer.person
            judged.setdefault((who, answer.kind), {})[answer.items[0]] = answer.value
            continue
        first, second, weight = votes_of(answer.kind, answer.items)
        (tied if answer.is_tied else won)[first, second] += weight
    for values in judged.values():
        for (a, high), (b, low) in combinations(values.items(), 2):
            (tied if high == low else won)[(a, b) if high >= low else (b, a)] += 2.0 / len(values)
    ties = tied + tied.T
    i, j = np.nonzero(np.triu(won + won.T + ties, 1))
    return PairCounts(
        items=tuple(items), first=i, second=j, first_wins=won[i, j], second_wins=won[j, i],
        ties=ties[i, j],
    )  # fmt: skip
