"""Votes between two items, one by one: when voters, contexts, covariates or order matter.

Legend: B votes, N items, C covariates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.pair_counts import (
    FIRST_WON,
    SECOND_WON,
    TIED,
    PairCounts,
    check_amounts,
    check_items,
    check_labels,
    check_places,
    check_shares,
    count_votes,
    share_counts,
    sum_counts,
)
from penchant.errors import DataError
from penchant.numerics.arrays import Array


def _no_covariates() -> Array:
    return np.zeros((0, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Votes:
    """B votes as they were cast.

    `first` and `second` index `items` in the order shown (first = left = model_a). `share` is the
    probability that the first wins, 1 or 0 for a plain vote; where `tie` holds, it means nothing.
    `voter` indexes `voters` (-1: unknown) and `context` indexes `contexts` (-1: unknown).
    `covariates` belong to the pair: what the first has more of than the second, or 1 for a column
    such as "shown first". `time` is in the user's unit, and only its order and spacing matter.
    `grade` says how much better the first was, as a place in `grades`, which go from "the second is
    best" to "the first is" and mirror each other; `share` then holds it as a soft vote.
    """

    items: tuple[str, ...]
    first: Int[Array, " B"]
    second: Int[Array, " B"]
    share: Float[Array, " B"]
    tie: Bool[Array, " B"]
    weight: Float[Array, " B"]
    voter: Int[Array, " B"] | None = None
    voters: tuple[str, ...] = ()
    covariates: Float[Array, "B C"] = field(default_factory=_no_covariates)
    covariate_names: tuple[str, ...] = ()
    context: Int[Array, " B"] | None = None
    contexts: tuple[str, ...] = ()
    time: Float[Array, " B"] | None = None
    grade: Int[Array, " B"] | None = None
    grades: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.first)
        _check_grades(self.grade, self.grades, count)
        if self.grade is not None:
            # One truth: what a grade says in part is never said otherwise beside it.
            object.__setattr__(self, "share", self.grade / (len(self.grades) - 1.0))
            object.__setattr__(self, "tie", np.zeros(count, dtype=bool))
        check_items(self.items)
        check_places(len(self.items), self.first, self.second)
        if len(self.tie) != count:
            raise DataError(f"`tie` has {len(self.tie)} entries for {count} votes; expected each.")
        check_shares(self.share, count, ignored=self.tie)
        check_amounts("weight", self.weight, count)
        if not self.covariate_names and self.covariates.shape != (count, 0):
            if self.covariates.size:
                raise DataError(
                    f"covariates of shape {self.covariates.shape} have no names; expected one name "
                    "a column in `covariate_names`."
                )
            object.__setattr__(self, "covariates", np.zeros((count, 0)))
        _check_covariates(self.covariates, self.covariate_names, count)
        check_labels("voter", self.voter, self.voters, count)
        check_labels("context", self.context, self.contexts, count)
        if self.time is not None and (len(self.time) != count or np.isnan(self.time).any()):
            raise DataError(
                f"`time` has {len(self.time)} entries for {count} votes, or some are not numbers; "
                "expected one number each. Drop votes without a time, or leave `time` out."
            )

    def __len__(self) -> int:
        return len(self.first)

    def __repr__(self) -> str:
        parts = [f"{len(self):,} votes", f"{self.num_items:,} items"]
        parts += [f"{len(self.voters):,} voters"] if self.voter is not None else []
        parts += [f"{len(self.contexts):,} contexts"] if self.context is not None else []
        parts += [f"covariates {', '.join(self.covariate_names)}"] if self.covariate_names else []
        parts += [f"{len(self.grades)} grades"] if self.grade is not None else []
        return f"Votes({'; '.join(parts)})"

    @classmethod
    def from_outcomes(
        cls,
        items: Sequence[str],
        first: Int[Array, " B"],
        second: Int[Array, " B"],
        outcome: Int[Array, " B"],
        **others: Any,
    ) -> "Votes":
        """Plain votes: outcome 0 where the first won, 1 the second, 2 a tie.

        `others` are fields of `Votes`; every vote weighs 1 unless `weight` says otherwise.
        """
        count = len(first)
        if len(outcome) != count or not np.isin(outcome, (FIRST_WON, SECOND_WON, TIED)).all():
            raise DataError(
                f"outcomes are {np.unique(outcome)[:8]} in {len(outcome)} entries for {count} "
                "votes; expected 0 (the first won), 1 (the second won) or 2 (a tie) each."
            )
        others.setdefault("weight", np.ones(count))
        return cls(
            items=tuple(items), first=first, second=second,
            share=np.where(outcome == TIED, 0.5, (outcome == FIRST_WON) * 1.0),
            tie=np.asarray(outcome == TIED), **others,
        )  # fmt: skip

    @classmethod
    def from_grades(
        cls,
        items: Sequence[str],
        first: Int[Array, " B"],
        second: Int[Array, " B"],
        grade: Int[Array, " B"],
        grades: Sequence[str],
        **others: Any,
    ) -> "Votes":
        """Graded votes: the place of each one's grade in `grades`, from "the second is best" to
        "the first is". `others` are fields of `Votes`; a vote weighs 1 unless `weight` says so.
        """
        others.setdefault("weight", np.ones(len(first)))
        return cls(
            items=tuple(items), first=first, second=second, share=np.zeros(len(first)),
            tie=np.zeros(len(first), dtype=bool), grade=grade, grades=tuple(grades), **others,
        )  # fmt: skip

    @property
    def num_items(self) -> int:
        return len(self.items)

    def ungraded(self) -> "Votes":
        """The grades read as soft votes, from 0 (the lowest) to 1: what models of who won hear."""
        return replace(self, grade=None, grades=())

    def directions(self) -> "Votes":
        """Who was better, by however much; the middle grade of an odd number is a tie."""
        if self.grade is None:
            return self
        side = np.sign(2 * self.grade - (len(self.grades) - 1))
        return replace(self.ungraded(), share=0.5 * (1.0 + side), tie=side == 0)

    def with_given_grades(self) -> "Votes":
        """Without grades that nobody gave, nor the one that mirrors them: no finite threshold fits
        such. Soft votes where less than two grades are left, themselves where nothing is."""
        if self.grade is None:
            return self
        last = len(self.grades) - 1
        given = np.bincount(self.grade[self.weight > 0], minlength=last + 1) > 0
        kept = np.flatnonzero(given | given[::-1])
        if len(kept) == last + 1 or not given.any():
            return self
        if len(kept) < 2:
            return self.ungraded()
        place = np.searchsorted(kept, self.grade)
        names = tuple(self.grades[k] for k in kept)
        # Grades of votes without weight may be none of these.
        return replace(self, grade=np.minimum(place, len(kept) - 1), grades=names)

    def take(self, rows: Int[Array, " A"]) -> "Votes":
        """The votes at these places, in that order; names stay as they are."""
        picked: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in ("first", "second", "share", "tie", "weight", "covariates")
        }
        for name in ("voter", "context", "time", "grade"):
            values = getattr(self, name)
            picked[name] = None if values is None else values[rows]
        return replace(self, **picked)

    def added_up(self) -> "Votes":
        """One vote for each pair as shown and answer, of the weight of all that are alike; voters,
        contexts, covariates and times are left out."""
        told = np.where(self.tie, -1.0, self.share if self.grade is None else self.grade)
        levels, answer = np.unique(told, return_inverse=True)
        pair = self.first.astype(np.int64) * self.num_items + self.second
        _, place, number = np.unique(
            pair * len(levels) + answer, return_index=True, return_inverse=True
        )
        weight = np.bincount(number, self.weight, len(place))
        alone = replace(self.plain(), voter=None, voters=())
        return replace(alone.take(place), weight=weight)

    def plain(self) -> "Votes":
        """Who won, by how much, and who said so; covariates, contexts and times are left out."""
        return replace(
            self, covariates=np.zeros((len(self), 0)), covariate_names=(), context=None,
            contexts=(), time=None,
        )  # fmt: skip

    def merged(self, other: "Votes") -> "Votes":
        """The votes of both, these first; items, voters and contexts are matched by name.

        Who voted, in which context and when are unknown (-1) or left out where one side does not
        say. Raises `DataError` for other covariates or grades.
        """
        if self.grades != other.grades:
            raise DataError(
                f"the votes have the grades {self.grades} and {other.grades}; expected the same in "
                "both, in the same order. Take `ungraded()` of both to read grades as soft votes."
            )
        if self.covariate_names != other.covariate_names:
            raise DataError(
                f"the votes have covariates {self.covariate_names} and {other.covariate_names}; "
                "expected the same in both, in the same order."
            )
        items, theirs = _together(self.items, other.items)
        joined: dict[str, Any] = {
            "items": items,
            "first": np.concatenate([self.first, theirs[other.first]]),
            "second": np.concatenate([self.second, theirs[other.second]]),
        }
        for name in ("share", "tie", "weight", "covariates"):
            joined[name] = np.concatenate([getattr(self, name), getattr(other, name)])
        for name in ("voter", "context"):
            mine, codes = getattr(self, name), getattr(other, name)
            labels, place = _together(getattr(self, f"{name}s"), getattr(other, f"{name}s"))
            joined[f"{name}s"] = labels
            if mine is None and codes is None:
                continue
            mine = np.full(len(self), -1) if mine is None else mine
            codes = np.full(len(other), -1) if codes is None else codes
            joined[name] = np.concatenate([mine, np.append(place, -1)[codes]])
        for name in ("time", "grade"):
            mine, codes = getattr(self, name), getattr(other, name)
            if mine is not None and codes is not None:
                joined[name] = np.concatenate([mine, codes])
        return Votes(covariate_names=self.covariate_names, grades=self.grades, **joined)

    def counts(self) -> PairCounts:
        """The votes added up by pair; voters, contexts, covariates and order are forgotten."""
        hard = self.tie | (self.share == 0.0) | (self.share == 1.0)
        if hard.all():
            outcome = np.where(self.tie, TIED, np.where(self.share == 1.0, FIRST_WON, SECOND_WON))
            weight = None if (self.weight == 1.0).all() else self.weight
            return count_votes(self.items, self.first, self.second, outcome, weight)
        low, high, wins, losses, _ = share_counts(self.first, self.second, self.share, self.weight)
        won, lost = np.where(self.tie, 0.0, wins), np.where(self.tie, 0.0, losses)
        return sum_counts(self.items, [(low, high, won, lost, self.weight * self.tie)])


def _together(ours: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    """Our names and what they add, and where each of theirs stands among these."""
    names = tuple(dict.fromkeys((*ours, *theirs)))
    place = {name: number for number, name in enumerate(names)}
    return names, np.array([place[name] for name in theirs], dtype=np.int64)


def _check_covariates(covariates: Array, names: tuple[str, ...], count: int) -> None:
    if covariates.shape != (count, len(names)):
        raise DataError(
            f"covariates have shape {covariates.shape}; expected ({count}, {len(names)}), one row "
            f"a vote and one column for each of {', '.join(names)}."
        )
    bad = ~np.isfinite(covariates)
    if bad.any():
        vote, column = np.argwhere(bad)[0]
        raise DataError(
            f"covariate {names[column]!r} is {covariates[vote, column]} at vote {vote} "
            f"({int(bad.any(axis=1).sum())} of {count} votes have such a gap); expected finite "
            "numbers. Fill the gaps, drop these votes or leave the covariate out."
        )


def _check_grades(grade: Array | None, grades: tuple[str, ...], count: int) -> None:
    if grade is None and not grades:
        return
    last = len(grades) - 1
    if grade is None or last < 1 or len(set(grades)) <= last:
        raise DataError(
            f"`grades` are {grades} and the votes have {'no' if grade is None else 'their'} own; "
            "expected two or more different names with the place of each vote's among them, or "
            "neither."
        )
    if len(grade) != count or (count and (grade.min() < 0 or grade.max() > last)):
        raise DataError(
            f"`grade` has {len(grade)} entries from {grade.min(initial=0)} to "
            f"{grade.max(initial=0)} for {count} votes; expected each vote's place in `grades`, 0 "
            f"to {last}. Leave out votes without a grade."
        )
