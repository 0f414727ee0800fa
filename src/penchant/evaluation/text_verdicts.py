"""What records of judged texts say of them, before a model reads a word.

Legend: B observations, N answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.columns import to_floats, to_ints
from penchant.data.records import Records
from penchant.encoders.answer_order import UNHEARD, answer_ranks, order_outcomes, says_something
from penchant.errors import DataError
from penchant.feedback.ranking import MOST_TIED
from penchant.numerics.arrays import Array


def weights_of(records: Records) -> Float[Array, " B"]:
    """How often each observation counts, once where no column says."""
    if "weight" not in records.rows.column_names:
        return np.ones(len(records))
    return to_floats(records.rows["weight"])


def check_compared(records: Records) -> None:
    """Raises `DataError` where nobody found one answer to a prompt better than another, or as good,
    before a model is made for it."""
    rank = answer_ranks(records)
    is_pair = order_outcomes(records, rank) >= 0
    if not ((is_pair | says_something(records, rank)) & (weights_of(records) > 0.0)).any():
        raise DataError(
            f"none of {len(records)} observations ranks an answer above another; expected prompt, "
            "chosen and rejected, or prompt, completions and ranks or scores that differ. For "
            "answers judged one by one use --method kto or sft."
        )


def has_lists(records: Records) -> bool:
    """Whether somebody compared more than two answers to a prompt."""
    rank = answer_ranks(records)
    row = np.repeat(np.arange(len(records)), records.menu_sizes)
    heard = np.bincount(row[rank != UNHEARD], minlength=len(records))
    return bool((says_something(records, rank) & (heard > 2)).any())


def check_tied(row: Int[Array, " C"], ranks: Sequence[Int[Array, " _"]]) -> None:
    """Raises `DataError` for a tie of too many answers that others come after."""
    for b, rank in zip(row.tolist(), ranks):
        last = rank.max() + 1
        num = np.unique(np.where(rank == 0, last, rank), return_counts=True)[1]
        # What is not ranked is in no order, and the last tie says nothing.
        if (num[:-1] > MOST_TIED).any():
            raise DataError(
                f"observation {b} has {int(num[:-1].max())} answers of one rank or score before "
                f"others; expected {MOST_TIED} at most, since all of their orders are summed over. "
                "Leave some out, or score them more finely."
            )


def check_unweighted(records: Records, method: str) -> None:
    """Raises `DataError` for weights that a method would not heed."""
    weight = weights_of(records)
    if len(weight) and not np.all(weight == 1.0):
        raise DataError(
            f"the column weight goes from {weight.min():g} to {weight.max():g}, and {method} "
            "counts all alike; expected no weights, or a method of pairs (dpo, ipo, hinge, "
            "dpo-nll), which heeds them. Drop the column."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdicts:
    """Answers found good or not. option: the place of each among all of the records' answers."""

    row: Int[Array, " N"]
    option: Int[Array, " N"]
    is_good: Bool[Array, " N"]


def verdicts(records: Records) -> Verdicts:
    """Of prompt, completion and label as they are; of pairs the winner is good and the loser is
    not. Ties and answers that nobody judged are left out.

    Raises `DataError` where nothing is left, and for ranked lists, whose middle is neither.
    """
    if has_lists(records):
        raise DataError(
            "the file ranks more than two answers to a prompt, which says of few whether they are "
            "good; expected the columns prompt, completion and label, or prompt, chosen and "
            "rejected. From ranked lists --method dpo, dpo-nll and sft learn."
        )
    outcome = order_outcomes(records, answer_ranks(records))
    pairs, begin = np.flatnonzero((outcome == 0) | (outcome == 1)), records.offsets[:-1]
    single = np.flatnonzero(records.menu_sizes == 1)
    success = _success(records)[begin[single]]
    single, success = single[success >= 0], success[success >= 0]
    if not len(pairs) and not len(single):
        raise DataError(
            f"none of {len(records)} observations says whether an answer was good; expected the "
            "columns prompt, completion and label, or prompt, chosen and rejected."
        )
    return Verdicts(
        row=np.concatenate([pairs, pairs, single]),
        option=np.concatenate([begin[pairs], begin[pairs] + 1, begin[single]]),
        is_good=np.concatenate([outcome[pairs] == 0, outcome[pairs] == 1, success > 0]),
    )


def imitable(records: Records) -> tuple[Int[Array, " N"], Int[Array, " N"]]:
    """Observations and the place of the answer of each that is worth imitating: winners of pairs,
    the best of lists, answers found good, or answers that nobody judged.

    Raises `DataError` where there are none.
    """
    rank, begin = answer_ranks(records), records.offsets[:-1]
    row = np.flatnonzero(says_something(records, rank))
    if len(row):
        best = np.where(rank > 0, rank, np.iinfo(np.int64).max)
        at = [begin[b] + best[begin[b] : records.offsets[b + 1]].argmin() for b in row]
        return row, np.array(at)
    row = np.flatnonzero(records.menu_sizes == 1)
    row = row[_success(records)[begin[row]] != 0]
    if not len(row):
        raise DataError(
            f"of {len(records)} observations none has an answer to imitate; expected prompt and "
            "chosen, or prompt and completion that were not all judged bad."
        )
    return row, begin[row]


def _success(records: Records) -> Int[Array, " N"]:
    """Of each answer 1 or 0, -1 where nobody judged it."""
    if "success" not in records.options.column_names:
        return np.full(int(records.offsets[-1]), -1)
    return to_ints(records.options["success"], missing=-1)
