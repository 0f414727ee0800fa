"""Which question to ask next, of several kinds, and with what probability.

Whatever the question, its answer is taken apart into votes between two items (`answers.py`), so
that what it is expected to settle is counted in one unit: nats of order.

Legend: N items, V votes that an answer stands for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from penchant.agents.elicitation.comparisons import (
    expected_gain,
    order_laplacian,
    vote_information,
)
from penchant.beliefs.strengths import Strengths
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

Kind = Literal["pair", "ranking", "rating", "edit"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What an answer takes, in seconds: guesses, to be replaced by what was measured.
_SECONDS: Mapping[Kind, float] = {"pair": 5.0, "ranking": 14.0, "rating": 5.0, "edit": 40.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionConfig:
    """kinds: that may be asked. top: only who is among the first so many matters; None: the whole
    order. list_size: items of a ranking. explored: the probability of asking at random, shared
    evenly by the kinds and within each by its questions, so that everything may be asked. seconds:
    what an answer of each kind takes."""

    kinds: tuple[Kind, ...] = ("pair",)
    top: int | None = 1
    list_size: int = 4
    explored: float = 0.2
    seconds: Mapping[Kind, float] = field(default_factory=lambda: dict(_SECONDS))

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError(
                f"kinds of question are {list(self.kinds)}; expected some of {', '.join(KINDS)}, "
                "each once."
            )
        if not 0.0 < self.explored <= 1.0:
            raise ConfigError(
                f"explored is {self.explored}; expected a probability above 0, such as 0.2: what "
                "can never be asked can never be judged."
            )
        if self.list_size < 3:
            raise ConfigError(f"list_size is {self.list_size}; expected 3 or more; two are a pair.")
        if not all(self.seconds.get(kind, 0.0) > 0 for kind in self.kinds):
            raise ConfigError(
                f"seconds are {dict(self.seconds)}; expected a positive number for each of "
                f"{', '.join(self.kinds)}."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """items: their places. gain: expected nats of order that the answer settles. probability: with
    which it is asked."""

    kind: Kind
    items: tuple[int, ...]
    gain: float
    probability: float


def questions(
    belief: Strengths, config: QuestionConfig, judged: Mapping[Kind, Sequence[int]] | None = None
) -> list[Question]:
    """Everything that may be asked, with the probability of each.

    The question that settles most per second is asked, but for the share `explored`; equals share.
    judged: items that whoever is asked has rated or edited already, by kind: a rating compares
    with their other ratings, so that the first one settles nothing.

    Raises `ConfigError` for fewer than two items, or a top of all of them.
    """
    size = len(belief.items)
    if size < 2 or (config.top is not None and not 0 < config.top < size):
        raise ConfigError(
            f"there are {size} items and a top of {config.top}; expected two items or more, and a "
            "top of fewer than there are (None for the whole order)."
        )
    laplacian = order_laplacian(belief, config.top)
    first, second = np.triu_indices(size, 1)
    of_pair = np.zeros((size, size))
    of_pair[first, second] = expected_gain(belief, first, second, top=config.top)
    found: list[tuple[Kind, tuple[int, ...], float]] = []
    for kind in config.kinds:
        known = tuple((judged or {}).get(kind, ()))
        for items in _candidates(kind, config.list_size, known, of_pair + of_pair.T):
            if kind == "pair":
                worth = float(of_pair[items])
            else:
                worth = gain(belief, laplacian, *votes_of(kind, items, known))
            found.append((kind, items, worth))
    probabilities = _probabilities(found, config)
    return [
        Question(kind=kind, items=items, gain=worth, probability=float(probability))
        for (kind, items, worth), probability in zip(found, probabilities)
    ]


def votes_of(
    kind: Kind, items: Sequence[int], judged: Sequence[int] = ()
) -> tuple[list[int], list[int], float]:
    """First and second of each vote that an answer stands for, and the weight of each.

    A ranking of m stands for all its pairs, which is consistent (Azari Soufiani et al. 2013), at a
    weight of 2 / m each: together m - 1 votes, as many as it has free places. A rating, or an edit,
    stands for one vote, shared by comparisons with the others of the same person.
    """
    if kind in ("pair", "ranking"):
        pairs = list(combinations(items, 2))
        return [a for a, _ in pairs], [b for _, b in pairs], 2.0 / len(items)
    others = [item for item in judged if item != items[0]]
    return [items[0]] * len(others), others, 1.0 / max(1, len(others))


def gain(
    belief: Strengths,
    laplacian: Float[Array, "N N"],
    first: Sequence[int],
    second: Sequence[int],
    weight: float,
) -> float:
    """Expected nats of order that votes of this weight settle together.

    tr(L (C - C')) with C' = (C^-1 + A A')^-1 the belief after them, A's columns sqrt(weight h)
    (e_first - e_second), h what a vote is expected to tell: `expected_gain` for several at once.
    """
    if not len(first):
        return 0.0
    a, b = np.asarray(first), np.asarray(second)
    root = np.sqrt(weight * vote_information(*belief.gaps(a, b)))
    moved = (belief.covariance[:, a] - belief.covariance[:, b]) * root
    within = (moved[a] - moved[b]) * root[:, None]
    settled = np.linalg.solve(np.eye(len(a)) + within, moved.T @ laplacian @ moved)
    return float(max(np.trace(settled), 0.0))


def _candidates(
    kind: Kind, list_size: int, judged: Sequence[int], of_pair: Float[Array, "N N"]
) -> list[tuple[int, ...]]:
    everything = range(len(of_pair))
    if kind == "pair":
        return list(combinations(everything, 2))
    if kind == "ranking":
        # Of each item the list with those that a vote against it settles most with: trying all
        # lists would take too long.
        apart = of_pair - np.diag(np.full(len(of_pair), np.inf))
        others = np.argsort(-apart, axis=1, kind="stable")[:, : min(list_size, len(apart)) - 1]
        return sorted({tuple(sorted([item, *row])) for item, row in enumerate(others.tolist())})
    # Everybody judges everything once before anything again.
    return [(item,) for item in everything if item not in judged] or [(i,) for i in everything]


def _probabilities(
    found: Sequence[tuple[Kind, tuple[int, ...], float]], config: QuestionConfig
) -> Float[Array, " Q"]:
    worth = np.array([settled / config.seconds[kind] for kind, _, settled in found])
    is_best = worth >= worth.max() * (1.0 - 1e-9)
    size = {kind: sum(k == kind for k, _, _ in found) for kind in config.kinds}
    even = np.array([1.0 / (len(config.kinds) * size[kind]) for kind, _, _ in found])
    return (1.0 - config.explored) * is_best / is_best.sum() + config.explored * even
