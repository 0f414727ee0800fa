"""What a model foretold of choices it had not seen, row by row; the form in which all are judged.

Legend: B observations judged, N options over their menus.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import ragged_arange, to_floats, to_ints
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.metrics.calibration import Reliability, reliability
from penchant.metrics.intervals import Interval, clustered_mean
from penchant.metrics.scoring import accuracy, chosen_indicator, negative_log_likelihood
from penchant.numerics.arrays import Array

_ANSWERS_OF_ROWS = ("chosen", "best", "worst", "outcome", "grade")


@runtime_checkable
class Estimator(Protocol):
    """Anything that learns from records and foretells choices."""

    # Any: what fit returns is the estimator itself, or at least has predict_proba.
    def fit(self, data: Records) -> Any:
        """Learn; the estimator itself comes back."""
        ...

    def predict_proba(self, data: Records, history: Records | None = None) -> Float[Array, " N"]:
        """The probability of each option shown, in the order of `data.options`.

        `history`: earlier answers of the same people.
        """
        ...


# A fresh estimator for each fold, so that nothing learnt on one is left for the next.
MakeEstimator = Callable[[], Estimator]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Probabilities of every option of the judged observations, and what was chosen.

    `row` is each observation's place in the records, ascending; `person` and `fold` are codes;
    the options of observation b are `offsets[b]:offsets[b + 1]`, `chosen` counts within the menu.
    """

    row: Int[Array, " B"]
    person: Int[Array, " B"]
    fold: Int[Array, " B"]
    weight: Float[Array, " B"]
    chosen: Int[Array, " B"]
    offsets: Int[Array, " B1"]
    probabilities: Float[Array, " N"]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def num_people(self) -> int:
        return len(np.unique(self.person))

    @property
    def log_prob(self) -> Float[Array, " B"]:
        """Log-probability of what was chosen, in nats."""
        return -self.losses

    @property
    def losses(self) -> Float[Array, " B"]:
        """Negative log-likelihood of what was chosen, in nats."""
        return negative_log_likelihood(self.probabilities, self.offsets, self.chosen)

    @property
    def hits(self) -> Float[Array, " B"]:
        """1 where the likeliest option was chosen, ties shared."""
        return accuracy(self.probabilities, self.offsets, self.chosen)

    def nll(self, level: float = 0.95) -> Interval:
        """Mean negative log-likelihood in nats per choice, with an interval over people."""
        return clustered_mean(self.losses, self.person, self.weight, level)

    def accuracy(self, level: float = 0.95) -> Interval:
        """Share of choices of the likeliest option, with an interval over people."""
        return clustered_mean(self.hits, self.person, self.weight, level)

    def reliability(self, num_bins: int = 15) -> Reliability:
        """All option probabilities against what happened, in bins of equal mass."""
        return reliability(
            self.probabilities,
            chosen_indicator(self.offsets, self.chosen),
            np.repeat(self.weight, np.diff(self.offsets)),
            num_bins,
        )

    def ece(self, num_bins: int = 15) -> float:
        """Expected calibration error over bins of equal mass of all option probabilities."""
        return self.reliability(num_bins).error


def predict(
    fitted: Estimator,
    records: Records,
    rows: Int[Array, " B"],
    fold: int,
    history: Int[Array, " H"] | None = None,
) -> Predictions:
    """What a fitted estimator foretells of these rows, given the answers in the rows of `history`.

    The estimator gets the rows without their answers, so that it cannot look.

    Raises DataError if what it says are not probabilities, or the rows are not single choices.
    """
    known = None if history is None else records.take(history)
    judged = records.take(rows)
    chosen = chosen_options(judged)
    said = np.asarray(fitted.predict_proba(blinded(judged), history=known), dtype=np.float64)
    _refuse_other_than_probabilities(said, judged)
    return Predictions(
        row=rows,
        person=groups_of(records, "person").of_row[rows],
        fold=np.full(len(rows), fold, dtype=np.int64),
        weight=to_floats(judged.rows["weight"]),
        chosen=chosen,
        offsets=judged.offsets,
        probabilities=said,
    )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several folds, in the order of the rows."""
    row = np.concatenate([part.row for part in parts])
    order = np.argsort(row, kind="stable")
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    start = np.cumsum(sizes) - sizes
    probabilities = np.concatenate([part.probabilities for part in parts])
    names = ("row", "person", "fold", "weight", "chosen")
    columns = {n: np.concatenate([getattr(part, n) for part in parts])[order] for n in names}
    return Predictions(
        **columns,
        offsets=np.concatenate([[0], np.cumsum(sizes[order])]),
        probabilities=probabilities[ragged_arange(start[order], sizes[order])],
    )


def blinded(records: Records) -> Records:
    """The same menus as nobody has answered them yet."""
    answers = [name for name in _ANSWERS_OF_ROWS if name in records.rows.column_names]
    return records.with_columns(rows={name: pa.nulls(len(records), pa.int64()) for name in answers})


def chosen_options(records: Records) -> Int[Array, " B"]:
    """The place on its menu of what each observation chose (a pair's winner is its choice).

    Raises DataError at an observation that is no single choice, or has no answer.
    """
    chosen = winners(records)
    bad = chosen < 0
    if bad.any():
        row = int(np.argmax(bad))
        kind = records.kinds[records.kind_codes[row]]
        raise DataError(
            f"observation {row} of those to be judged is feedback of kind {kind!r} with no "
            f"single winner ({int(bad.sum())} of {len(bad)} are like this); expected a choice, or "
            "a pair without a tie. Keep only those for the evaluation."
        )
    return chosen


def winners(records: Records) -> Int[Array, " B"]:
    """The place of each observation's one winner, -1 where there is none: ties, other kinds."""
    kinds = records.kinds[records.kind_codes] if len(records) else np.zeros(0, dtype=object)
    chosen = np.full(len(records), -1, dtype=np.int64)
    for name, of_kinds in (("chosen", ("choice", "edit")), ("outcome", ("pair",))):
        mine = np.isin(kinds, of_kinds)
        if mine.any():
            chosen[mine] = to_ints(records.rows[name], missing=-1)[mine]
    return np.where(chosen < records.menu_sizes, chosen, -1)


def _refuse_other_than_probabilities(said: Array, records: Records) -> None:
    num = records.options.num_rows
    if said.shape != (num,):
        raise DataError(
            f"predict_proba gave an array of shape {said.shape}; expected ({num},), one "
            "probability for each option shown, in the order of the records' options."
        )
    if not num:
        return
    sums = np.add.reduceat(said, records.offsets[:-1])
    bad = ~(np.abs(sums - 1) < 1e-6) | (np.minimum.reduceat(said, records.offsets[:-1]) < 0)
    if bad.any():
        row = int(np.argmax(bad))
        menu = said[records.offsets[row] : records.offsets[row + 1]]
        raise DataError(
            f"predict_proba gave {np.array2string(menu[:6], precision=4)} for judged observation "
            f"{row} ({int(bad.sum())} of {len(bad)} are like this); expected probabilities that "
            "sum to 1 over the menu."
        )
