"""Lists of answers that somebody ranked, and how they are read together.

Legend: B lists, C lists of a step, K answers of a list, T1 tokens after those before them, S kinds
of people.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.feedback import ranking
from penchant.lm.language_model import LanguageModel
from penchant.numerics.arrays import Array, constant
from penchant.policies.language.answers import Answers, answers_of, check_people, check_scored


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """Two answers or more to each prompt as rows of tokens, the prompt in all; from `place` on they
    are scored. rank: 1 for the best, 0 where an answer was not ranked (worse than all that were),
    equal ranks where the order is not known (`feedback.ranking`); so one answer of rank 1 and none
    besides is a choice. person, weight: as in `pairs.Pairs`. Lists of fewer answers than the
    longest are filled up when they are read."""

    answers: Sequence[Sequence[Sequence[int]]]
    place: Int[Array, " B"]
    rank: Sequence[Sequence[int]]
    person: Int[Array, " B"]
    weight: Float[Array, " B"] | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.answers), len(self.place), len(self.rank), len(self.person)}
        sizes |= set() if self.weight is None else {len(self.weight)}
        if len(sizes) != 1 or not len(self.answers):
            raise DataError(
                f"lists came in lengths {sorted(sizes)}; expected one entry each of answers, "
                "place, rank and person for every list, and a list at the least."
            )
        bad = [
            b for b, (mine, rank) in enumerate(zip(self.answers, self.rank))
            if len(mine) != len(rank) or len(mine) < 2 or max(rank) < 1 or min(rank) < 0
        ]  # fmt: skip
        if bad:
            raise DataError(
                f"list {bad[0]} has {len(self.answers[bad[0]])} answers and the ranks "
                f"{list(self.rank[bad[0]])} ({len(bad)} of {len(self)} are like this); expected "
                "two answers or more and a rank for each: 1 for the best, 0 where there is none, "
                "and one above 0 at the least."
            )
        check_people(self.person, self.weight)
        flat = [row for mine in self.answers for row in mine]
        check_scored(flat, np.repeat(self.place, self.sizes), None, "answer")

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def sizes(self) -> Int[Array, " B"]:
        """Answers of each list."""
        return np.array([len(mine) for mine in self.answers])

    @property
    def weights(self) -> Float[Array, " B"]:
        return np.ones(len(self)) if self.weight is None else self.weight

    @property
    def rows(self) -> list[list[Sequence[int]]]:
        """K answers of each list, the first again where there are fewer."""
        return self.filled(range(len(self)))

    def filled(self, lists: Iterable[int]) -> list[list[Sequence[int]]]:
        """`rows` of some lists."""
        most = int(self.sizes.max())
        return [[*self.answers[b], *[self.answers[b][0]] * (most - len(self.answers[b]))]
                for b in lists]  # fmt: skip

    def ranks(self, lists: Int[Array, " C"]) -> tuple[Bool[Array, "C K"], Int[Array, "C K"]]:
        """Which answers there are, and their ranks."""
        most = int(self.sizes.max())
        offered = np.arange(most) < self.sizes[lists][:, None]
        rank = np.zeros(offered.shape, dtype=np.int64)
        rank[offered] = np.concatenate([np.asarray(self.rank[b]) for b in lists.tolist()])
        return offered, rank


def some_lists(lists: Lists, rows: Int[Array, " C"]) -> Lists:
    """A part of them, with the same numbers for people."""
    return Lists(
        answers=[lists.answers[b] for b in rows], place=lists.place[rows],
        rank=[lists.rank[b] for b in rows], person=lists.person[rows],
        weight=None if lists.weight is None else lists.weight[rows],
    )  # fmt: skip


def list_answers(model: LanguageModel, lists: Lists, chosen: Int[Array, " C"]) -> Answers:
    """Their answers, K of each list side by side."""
    rows = lists.filled(chosen.tolist())
    flat = [row for mine in rows for row in mine]
    return answers_of(model, flat, np.repeat(lists.place[chosen], len(rows[0])))


def ranked_log_prob(
    worth: Float[Array, "C K S"], lists: Lists, chosen: Int[Array, " C"]
) -> Float[Array, "C S"]:
    """log p of each ranking under worths: the best is chosen, then the best of the rest, and so on
    (Plackett and Luce; on implicit utilities the listwise form of Rafailov et al. 2023)."""
    offered, rank = lists.ranks(chosen)
    return ranking.log_prob(worth, constant(offered, worth), constant(rank, worth))


def best_of(lists: Lists, chosen: Int[Array, " C"]) -> Int[Array, " C"]:
    """The place of each list's best answer, of several the first."""
    _, rank = lists.ranks(chosen)
    return np.where(rank > 0, rank, rank.max() + 1).argmin(axis=1)
