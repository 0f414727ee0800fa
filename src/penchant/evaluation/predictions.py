"""What a model foretold of answers it had not seen, row by row; the form in which all are judged.

Legend: B observations judged, Q questions that they answered, N possible answers over all of those:
for choices Q is B, and the possible answers are the options of the menus.
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
from penchant.evaluation.answers import Foreteller, judged_answers
from penchant.metrics.calibration import Reliability, reliability
from penchant.metrics.intervals import Interval, clustered_mean
from penchant.metrics.scoring import accuracy, chosen_indicator, negative_log_likelihood
from penchant.numerics.arrays import Array

_ANSWERS_OF_ROWS = ("chosen", "best", "worst", "outcome", "grade")
_ANSWERS_OF_OPTIONS = {
    "rank": pa.int64(), "level": pa.int64(), "approved": pa.bool_(), "success": pa.int64(),
    "value": pa.float64(),
}  # fmt: skip


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


_OF_OBSERVATIONS = ("row", "person", "fold", "weight")
_OF_ANSWERS = ("whole", "distance")

# A fresh estimator for each fold, so that nothing learnt on one is left for the next.
MakeEstimator = Callable[[], Estimator]


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """Probabilities of every option of the judged observations, and what was chosen.

    `row` is each observation's place in the records, ascending; `person` and `fold` are codes;
    the options of observation b are `offsets[b]:offsets[b + 1]`, `chosen` counts within the menu.

    Of answers that are not all single choices, `question` says which observation asked each of
    the Q questions that `offsets` and `chosen` then count (`evaluation.answers`), `whole` is the
    log-probability of each whole answer and `distance` that of expected from given ratings and
    numbers, NaN of other answers.
    """

    row: Int[Array, " B"]
    person: Int[Array, " B"]
    fold: Int[Array, " B"]
    weight: Float[Array, " B"]
    chosen: Int[Array, " Q"]
    offsets: Int[Array, " Q1"]
    probabilities: Float[Array, " N"]
    question: Int[Array, " Q"] | None = None
    whole: Float[Array, " B"] | None = None
    distance: Float[Array, " B"] | None = None

    def __len__(self) -> int:
        return len(self.row)

    @property
    def num_people(self) -> int:
        return len(np.unique(self.person))

    @property
    def log_prob(self) -> Float[Array, " B"]:
        """Log-probability of what was answered, in nats."""
        return -self.losses

    @property
    def losses(self) -> Float[Array, " B"]:
        """Negative log-likelihood of what was answered, in nats."""
        if self.whole is not None:
            return -self.whole
        return negative_log_likelihood(self.probabilities, self.offsets, self.chosen)

    @property
    def hits(self) -> Float[Array, " B"]:
        """1 where the likeliest answer was given, ties shared, mean over an observation's
        questions; NaN where it asked none."""
        return self._by_observation(accuracy(self.probabilities, self.offsets, self.chosen))

    @property
    def question_losses(self) -> Float[Array, " B"]:
        """Negative log-likelihood of what a question was answered by, mean over an observation's
        questions; of choices the same as `losses`, of a ranking that of its first place."""
        nll = negative_log_likelihood(self.probabilities, self.offsets, self.chosen)
        return self._by_observation(nll)

    def nll(self, level: float = 0.95) -> Interval:
        """Mean negative log-likelihood in nats per answer, with an interval over people."""
        return clustered_mean(self.losses, self.person, self.weight, level)

    def accuracy(self, level: float = 0.95) -> Interval:
        """Share of questions answered by what was likeliest, with an interval over people."""
        return self._mean(self.hits, level)

    def error(self, level: float = 0.95) -> Interval:
        """Mean distance of expected from given ratings or numbers, with an interval over people;
        NaN where there are none."""
        apart = np.full(len(self), np.nan) if self.distance is None else self.distance
        return self._mean(apart, level)

    def question_nll(self, level: float = 0.95) -> Interval:
        """Mean of `question_losses`, with an interval over people."""
        return self._mean(self.question_losses, level)

    def _by_observation(self, values: Float[Array, " Q"]) -> Float[Array, " B"]:
        """The mean over each observation's questions; NaN where it asked none."""
        if self.question is None:
            return values
        asked = np.bincount(self.question, minlength=len(self)).astype(np.float64)
        total = np.bincount(self.question, weights=values, minlength=len(self))
        return total / np.where(asked > 0, asked, np.nan)

    def _mean(self, values: Float[Array, " B"], level: float) -> Interval:
        """Over those observations that have a value."""
        known = np.isfinite(values)
        return clustered_mean(values[known], self.person[known], self.weight[known], level)

    def reliability(self, num_bins: int = 15) -> Reliability:
        """All option probabilities against what happened, in bins of equal mass."""
        return reliability(
            self.probabilities,
            chosen_indicator(self.offsets, self.chosen),
            np.repeat(self._question_weight(), np.diff(self.offsets)),
            num_bins,
        )

    def ece(self, num_bins: int = 15) -> float:
        """Expected calibration error over bins of equal mass of all option probabilities."""
        return self.reliability(num_bins).error

    def take(self, keep: Int[Array, " C"]) -> "Predictions":
        """The observations at these places, in this order."""
        asked = np.arange(len(self)) if self.question is None else self.question
        place = np.full(len(self), -1, dtype=np.int64)
        place[keep] = np.arange(len(keep))
        kept = np.flatnonzero(place[asked] >= 0)
        kept = kept[np.argsort(place[asked[kept]], kind="stable")]
        sizes = np.diff(self.offsets)[kept]
        return Predictions(
            **{n: getattr(self, n)[keep] for n in _OF_OBSERVATIONS},
            **{n: None if (x := getattr(self, n)) is None else x[keep] for n in _OF_ANSWERS},
            chosen=self.chosen[kept],
            question=None if self.question is None else place[asked[kept]],
            offsets=np.concatenate([[0], np.cumsum(sizes)]),
            probabilities=self.probabilities[ragged_arange(self.offsets[:-1][kept], sizes)],
        )

    def _question_weight(self) -> Float[Array, " Q"]:
        return self.weight if self.question is None else self.weight[self.question]


def predict(
    fitted: Estimator,
    records: Records,
    rows: Int[Array, " B"],
    fold: int,
    history: Int[Array, " H"] | None = None,
) -> Predictions:
    """What a fitted estimator foretells of these rows, given the answers in the rows of `history`.

    The estimator gets the rows without their answers, so that it cannot look. Records that hold
    anything but choices and pairs without ties are judged answer by answer (`evaluation.answers`).

    Raises DataError if what it says are not probabilities, or a row to be judged has no answer.
    """
    known = None if history is None else records.take(history)
    judged = records.take(rows)
    about: dict[str, Array] = {
        "row": rows,
        "person": groups_of(records, "person").of_row[rows],
        "fold": np.full(len(rows), fold, dtype=np.int64),
        "weight": to_floats(judged.rows["weight"]),
    }
    if isinstance(fitted, Foreteller) and not is_choices(records):
        found = judged_answers(fitted, judged, blinded(judged), known)
        return Predictions(
            **about,
            chosen=found.chosen,
            offsets=found.offsets,
            probabilities=found.probabilities,
            question=found.question,
            whole=found.log_prob,
            distance=found.distance,
        )
    chosen = chosen_options(judged)
    said = np.asarray(fitted.predict_proba(blinded(judged), history=known), dtype=np.float64)
    _refuse_other_than_probabilities(said, judged)
    return Predictions(**about, chosen=chosen, offsets=judged.offsets, probabilities=said)


def is_choices(records: Records) -> bool:
    """Whether every answer names one option: choices, and pairs without ties."""
    return bool((winners(records) >= 0).all())


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several folds, in the order of the rows."""
    sizes = np.concatenate([np.diff(part.offsets) for part in parts])
    before = np.cumsum([0, *(len(part) for part in parts)])
    names = (*_OF_OBSERVATIONS, *_OF_ANSWERS, "chosen", "probabilities")
    whole = Predictions(
        **{n: _concatenated([getattr(part, n) for part in parts]) for n in names},
        question=_concatenated(
            [None if p.question is None else start + p.question for p, start in zip(parts, before)]
        ),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
    )
    return whole.take(np.argsort(whole.row, kind="stable"))


def _concatenated(parts: Sequence[Array | None]) -> Array | None:
    """One array of several; None where they are None, as all are then."""
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def blinded(records: Records) -> Records:
    """The same menus as nobody has answered them yet."""
    answers = [name for name in _ANSWERS_OF_ROWS if name in records.rows.column_names]
    told = {n: t for n, t in _ANSWERS_OF_OPTIONS.items() if n in records.options.column_names}
    blind = records.with_columns(
        rows={name: pa.nulls(len(records), pa.int64()) for name in answers}
    )
    if not told:
        return blind
    num = records.options.num_rows
    return blind.with_columns(options={name: pa.nulls(num, kind) for name, kind in told.items()})


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
