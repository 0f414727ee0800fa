"""A reward model judged on what it has not seen: new judges, known ones, new topics.

Legend: R judged pairs, A answers (first, second, perhaps a tie), B observations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import place_within
from penchant.data.implied_pairs import as_pairs
from penchant.data.records import Records
from penchant.encoders.embedding import Embedding
from penchant.encoders.reward_pairs import pair_outcomes
from penchant.errors import DataError
from penchant.evaluation.predictions import Predictions
from penchant.metrics.calibration import clustered_share
from penchant.metrics.intervals import Z95, Interval
from penchant.models.reward_head import pairs_within
from penchant.models.reward_model import RewardModel
from penchant.numerics.arrays import Array

MakeReward = Callable[[], RewardModel]


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardTrial:
    """What was foretold of answered pairs, by models that had seen neither them nor whatever their
    part was left out for. row: in the records of `judged_pairs`; person: its judge's number; the
    others as in `Judgements`."""

    row: Int[Array, " R"]
    person: Int[Array, " R"]
    outcome: Int[Array, " R"]
    probabilities: Float[Array, "R A"]
    gap: Float[Array, " R"]
    low: Float[Array, " R"]
    high: Float[Array, " R"]
    own_variance: Float[Array, " R"]
    ignorance: Float[Array, " R"]
    is_unfamiliar: Bool[Array, " R"]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, keep: Array) -> "RewardTrial":
        """Some of the pairs."""
        return RewardTrial(**{f.name: getattr(self, f.name)[keep] for f in fields(self)})

    @property
    def decided(self) -> Bool[Array, " R"]:
        """Where a side won."""
        return self.outcome < 2

    @property
    def first_wins(self) -> Float[Array, " R"]:
        """The probability that the first wins where a side does."""
        return self.probabilities[:, 0] / self.probabilities[:, :2].sum(axis=1)

    @property
    def doubt_variance(self) -> Float[Array, " R"]:
        """Of each gap in reward by our doubt, what new texts are worth of their own counted in."""
        return ((self.high - self.low) / (2 * Z95)) ** 2

    @property
    def averaged_odds(self) -> Float[Array, " R"]:
        """Log-odds that the first wins where a side does, averaged over our doubt: odds that rest
        on little are drawn in by sqrt(1 + pi v / 8) (MacKay 1992). Of v the probabilities count in
        already what new texts are worth of their own, which is not taken off twice."""
        inside = np.clip(self.first_wins, 1e-12, 1 - 1e-12)
        odds = np.log(inside) - np.log1p(-inside)
        drawn, whole = (1.0 + np.pi / 8.0 * v for v in (self.own_variance, self.doubt_variance))
        return odds * np.sqrt(drawn / np.maximum(whole, drawn))

    @property
    def hits(self) -> Float[Array, " R"]:
        """1 where the likelier side won, 1/2 where neither was likelier; of decided pairs."""
        p = self.first_wins
        return np.where(p == 0.5, 0.5, (p > 0.5) == (self.outcome == 0)).astype(np.float64)

    def accuracy(self, keep: Bool[Array, " R"] | None = None) -> Interval:
        """Share of decided pairs whose likelier side won, with an interval over judges."""
        mine = self.decided if keep is None else self.decided & keep
        return clustered_share(self.hits[mine], self.person[mine])

    def predictions(self) -> Predictions:
        """The same as probabilities of (first, second, tie), for all that judges those."""
        size = self.probabilities.shape[1]
        return Predictions(
            row=self.row, person=self.person, fold=np.zeros(len(self), dtype=np.int64),
            weight=np.ones(len(self)), chosen=self.outcome,
            offsets=size * np.arange(len(self) + 1), probabilities=self.probabilities.ravel(),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPairs:
    """The pairs that a trial is about, and the observation that each was read from."""

    records: Records
    row: Int[Array, " R"]


def judged_pairs(
    records: Records, part: Int[Array, " B"], embedding: Embedding, seed: int = 0
) -> JudgedPairs:
    """The records themselves where somebody compared two texts; else the pairs that ratings,
    numbers and rankings imply within each part (`data/implied_pairs.py`).

    Raises `DataError` where there is neither.
    """
    if (pair_outcomes(records) >= 0).any():
        return JudgedPairs(records=records, row=np.arange(len(records)))
    found = pairs_within(records, embedding, part, seed)
    if not len(found):
        raise DataError(
            f"none of the {len(records)} observations compares two texts, and nobody rated or "
            "ranked two texts (written to one prompt) differently; expected some, to judge the "
            "model by. Name who answered (`person`), or leave the report out (`--folds 0`)."
        )
    return JudgedPairs(records=as_pairs(records, found), row=found.row)


def judge_parts(
    make: MakeReward,
    records: Records,
    part: Int[Array, " B"],
    *,
    shots: Sequence[int] = (0,),
    on_part: Callable[[int], None] | None = None,
) -> tuple[RewardTrial, ...]:
    """Part by part: a model fitted on all others foretells the pairs of this one, given the first
    0, 1, ... of `shots` answers of each judge in it. One trial for each of `shots`, all on the same
    pairs: those that come after the most answers that are ever given. part: -1 never judged. What
    a trial is about are the `judged_pairs` of the records.

    Raises `DataError` where nothing is left to judge.
    """
    judged = judged_pairs(records, part, make().embedding)
    asked, part_of = judged.records, part[judged.row]
    person = groups_of(asked, "person").of_row
    outcome = pair_outcomes(asked)
    told = np.flatnonzero(outcome >= 0)
    # Counted over answered pairs alone.
    nth = np.zeros(len(person), dtype=np.int64)
    nth[told] = place_within(person[told])
    found: list[list[RewardTrial]] = [[] for _ in shots]
    numbers = [int(k) for k in np.unique(part[part >= 0])]
    for k in numbers:
        mine = told[part_of[told] == k]
        rows = mine[nth[mine] >= max(shots)]
        if not len(rows):
            continue
        model = make().fit(records.take(np.flatnonzero(part != k)))
        for trials, shot in zip(found, shots):
            history = asked.take(mine[nth[mine] < shot]) if shot else None
            trials.append(_trial(model, asked, rows, person, outcome, history))
        if on_part is not None:
            on_part(k)
    if not found[0]:
        raise DataError(
            f"no judge of a left-out part has more than {max(shots)} answered pairs; expected some "
            "to be judged. Ask for fewer answers."
        )
    return tuple(_joined(trials) for trials in found)


def parts_by_person(records: Records, num_parts: int, seed: int) -> Int[Array, " B"]:
    """Each judge's answers in one part, judges shared out at random; of a single judge, who cannot
    be left out, the answers one by one."""
    person = groups_of(records, "person").of_row
    if not person.any():
        person = np.arange(len(records))
    return _shared_out(person, num_parts, seed)


def parts_by_column(records: Records, column: str, num_parts: int, seed: int) -> Int[Array, " B"]:
    """Each topic's answers in one part. Raises `DataError` where fewer than two are known."""
    groups = groups_of(records, column)
    if len(groups.names) < 2:
        raise DataError(
            f"column {column!r} has one value only ({groups.names}); expected at least two topics, "
            "to learn on some and be judged on others."
        )
    return _shared_out(groups.of_row, min(num_parts, len(groups.names)), seed)


def _shared_out(group: Int[Array, " B"], num_parts: int, seed: int) -> Int[Array, " B"]:
    size = int(group.max()) + 1
    return (np.random.default_rng(seed).permutation(size) % num_parts)[group]


def _trial(
    model: RewardModel, records: Records, rows: Array, person: Array, outcome: Array,
    history: Records | None,
) -> RewardTrial:  # fmt: skip
    # A model that saw no tie gives it no place; neither does it see one here.
    said_of = rows[outcome[rows] < (3 if "tie" in model.belief_.encoder.feature_names else 2)]  # type: ignore[union-attr]  # a reward model's belief has its encoder
    said = model.judge(records.take(said_of), history)
    return RewardTrial(
        row=said_of, person=person[said_of], outcome=outcome[said_of],
        probabilities=said.probabilities, gap=said.gap, low=said.low, high=said.high,
        own_variance=said.own_variance, ignorance=said.ignorance, is_unfamiliar=said.is_unfamiliar,
    )  # fmt: skip


def _joined(trials: Sequence[RewardTrial]) -> RewardTrial:
    width = max(trial.probabilities.shape[1] for trial in trials)
    columns = {}
    for f in fields(RewardTrial):
        values = [getattr(trial, f.name) for trial in trials]
        if f.name == "probabilities":
            values = [np.pad(v, ((0, 0), (0, width - v.shape[1]))) for v in values]
        columns[f.name] = np.concatenate(values)
    whole = RewardTrial(**columns)
    return whole.take(np.argsort(whole.row, kind="stable"))
