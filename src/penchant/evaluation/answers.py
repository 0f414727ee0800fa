"""Answers of every kind foretold and judged: their log-probability, and what could be got right.

A choice asks one question: which option? So does a ranking (which comes first?), a pair (who wins,
or is it a tie?) and a grade. Best-worst asks two, ratings and clicks one for each option that was
answered, a number none: it is near or far.

Legend: B observations, K options, L levels, Q questions, A possible answers of one, N of all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.foretold import Foretold, values_of
from penchant.data.batch import Batch, Block
from penchant.data.batch_builder import is_answered
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array


@runtime_checkable
class Foreteller(Protocol):
    """An estimator that says more of answers than who is chosen; all of `penchant.models` do."""

    def encode(self, data: Records) -> Batch:
        """Records as the features that were learnt from."""
        ...

    def foretell(self, data: Batch, history: Records | None = None) -> tuple[Foretold, ...]:
        """What is expected of each block of answers."""
        ...

    def log_prob(
        self, data: Batch, history: Records | None = None
    ) -> tuple[Float[Array, " _"], ...]:
        """Log-probability of each answer, block by block."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedAnswers:
    """What was said of B answers, in the order of the records.

    log_prob: of each whole answer, in nats (of a number the log-density). Question q was asked by
    observation `question[q]`, its possible answers have the probabilities
    `probabilities[offsets[q]:offsets[q + 1]]` and `chosen[q]` of them was given. distance: of the
    expected from the given, mean over an observation's ratings or numbers; NaN of other answers.
    """

    log_prob: Float[Array, " B"]
    distance: Float[Array, " B"]
    question: Int[Array, " Q"]
    chosen: Int[Array, " Q"]
    offsets: Int[Array, " Q1"]
    probabilities: Float[Array, " N"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Questions:
    """Questions with up to A possible answers; those that are none are not `possible`."""

    row: Int[Array, " Q"]
    chosen: Int[Array, " Q"]
    probabilities: Float[Array, "Q A"]
    possible: Bool[Array, "Q A"]


def judged_answers(
    fitted: Foreteller, judged: Records, blind: Records, history: Records | None
) -> JudgedAnswers:
    """What a fitted estimator says of answers; `blind` are the same records without them.

    Features are made of the blind records, so that no encoder can look; the answers are put beside
    them for the likelihood alone. Raises `DataError` for rows without an answer, or with one that
    the estimator holds impossible.
    """
    batch = _with_answers(fitted.encode(blind), fitted.encode(judged))
    _refuse_unanswered(batch)
    foretold = fitted.foretell(batch, history)
    try:
        logs = fitted.log_prob(batch, history)
    except DataError as error:
        raise DataError(
            f"{error} What nobody answered among those that were learnt from cannot be judged: in "
            "cross-validation take fewer folds, join a level that hardly anybody uses to its "
            "neighbour, or leave such answers out."
        ) from error
    log_prob, distance = np.zeros(len(judged)), np.full(len(judged), np.nan)
    asked: list[_Questions] = []
    for block, expected, log in zip(batch.blocks, foretold, logs, strict=True):
        log_prob[block.row] = log
        distance[block.row] = _distance(block, expected)
        asked += list(_questions(block, expected))
    question = np.concatenate([each.row for each in asked] or [np.zeros(0, dtype=np.int64)])
    order = np.argsort(question, kind="stable")
    size = np.concatenate([each.possible.sum(axis=1) for each in asked] or [question])[order]
    flat = [line for each in asked for line in _lines(each)]
    return JudgedAnswers(
        log_prob=log_prob,
        distance=distance,
        question=question[order],
        chosen=np.concatenate([_place(each) for each in asked] or [question])[order],
        offsets=np.concatenate([[0], np.cumsum(size)]),
        probabilities=np.concatenate([flat[q] for q in order] or [np.zeros(0)]),
    )


def _with_answers(blind: Batch, judged: Batch) -> Batch:
    pairs = zip(blind.blocks, judged.blocks, strict=True)
    return replace(blind, blocks=tuple(replace(one, answer=other.answer) for one, other in pairs))


def _refuse_unanswered(batch: Batch) -> None:
    for block in batch.blocks:
        given = is_answered(block)
        if not given.all():
            raise DataError(
                f"observation {int(block.row[np.argmin(given)])} of those to be judged, of kind "
                f"{block.kind!r}, has no answer ({int((~given).sum())} of {len(given)} are like "
                "this); expected answers to judge by. Keep only rows that somebody answered."
            )


def _questions(block: Block, foretold: Foretold) -> Iterator[_Questions]:
    """What an answer could have got right, and how likely each possibility was said to be."""
    answer, offered, said = block.answer, block.offered, foretold.answers
    if block.kind == "choice":
        yield _asked(block.row, answer["chosen"], foretold.preferred, offered)
    elif block.kind == "ranking":
        first = offered & (answer["rank"] == 1)
        # Of several that share the first place none came first.
        alone = np.flatnonzero(first.sum(axis=1) == 1)
        yield _asked(
            block.row[alone],
            np.argmax(first[alone], axis=1),
            foretold.preferred[alone],
            offered[alone],
        )
    elif block.kind == "best_worst":
        yield _asked(block.row, answer["best"], foretold.preferred, offered)
        yield _asked(block.row, answer["worst"], foretold.worst, offered)
    elif block.kind in ("pair", "graded"):
        name = "outcome" if block.kind == "pair" else "grade"
        yield _asked(block.row, answer[name], said, np.ones(said.shape, dtype=bool))
    elif block.kind == "rating":
        rows, places = np.nonzero(offered & (answer["level"] >= 0))
        said = said[rows, places]
        given = answer["level"][rows, places]
        yield _asked(block.row[rows], given, said, np.ones(said.shape, dtype=bool))
    elif block.kind in ("approval", "binary"):
        taken = answer["approved" if block.kind == "approval" else "success"]
        rows, places = np.nonzero(offered & (np.asarray(taken, dtype=np.int64) >= 0))
        p = said[rows, places]
        given = np.asarray(taken, dtype=np.int64)[rows, places]
        both = np.stack([1.0 - p, p], axis=1)
        yield _asked(block.row[rows], given, both, np.ones(both.shape, dtype=bool))


def _asked(
    row: Int[Array, " Q"],
    chosen: Int[Array, " Q"],
    probabilities: Float[Array, "Q A"],
    possible: Bool[Array, "Q A"],
) -> _Questions:
    return _Questions(row=row, chosen=chosen, probabilities=probabilities, possible=possible)


def _lines(asked: _Questions) -> list[Float[Array, " A"]]:
    """The probabilities of each question's possible answers."""
    ends = np.cumsum(asked.possible.sum(axis=1))[:-1]
    return np.split(asked.probabilities[asked.possible], ends) if len(asked.row) else []


def _place(asked: _Questions) -> Int[Array, " Q"]:
    """Where the given answer stands among the possible ones."""
    before = np.cumsum(asked.possible, axis=1) - 1
    return np.take_along_axis(before, asked.chosen[:, None], axis=1)[:, 0]


def _distance(block: Block, foretold: Foretold) -> Float[Array, " B"]:
    """|expected - given|, mean over what was rated or measured."""
    if block.kind == "rating":
        level = block.answer["level"]
        is_given = block.offered & (level >= 0)
        given = values_of(foretold.levels)[np.maximum(level, 0)]
    elif block.kind == "outcome":
        given = block.answer["value"]
        is_given = block.offered & np.isfinite(given)
    else:
        return np.full(len(block), np.nan)
    apart = np.where(is_given, np.abs(foretold.expected - given), 0.0)
    return apart.sum(axis=1) / is_given.sum(axis=1)
