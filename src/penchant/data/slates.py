"""Logged rounds that showed several options at once: where each stood, and what people did.

Legend: B rounds, L places from the top, N options over all menus.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.columns import to_bools, to_floats, to_ints
from penchant.data.decisions import clusters_of, propensities_of
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.numerics.arrays import Array

# Of these a place is told its reward, of the others which was preferred.
_REWARDED = {"binary": "success", "outcome": "value", "approval": "approved"}
_PREFERRED = ("choice", "ranking", "pair")
Feedback = Literal["rewards", "preferences"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Slates:
    """Rounds in which every place that was shown has an answer.

    line: of each place from the top, its line in `records.options`; -1 beyond the last. feedback:
    "rewards" of each place, or "preferences" among those shown. reward: 0 beyond the last place;
    rank: 1 is best, equal ranks are ties, 0 not ranked and worse than all that are. Each is zeros
    where feedback is the other. propensities: as logged, NaN where not. notes: what was left out.
    log: the records as they were given.
    """

    records: Records
    line: Int[Array, "B L"]
    feedback: Feedback
    reward: Float[Array, "B L"]
    rank: Int[Array, "B L"]
    propensities: Float[Array, " N"]
    cluster: Int[Array, " B"]
    weight: Float[Array, " B"]
    notes: tuple[str, ...] = ()
    log: Records | None = None

    def __len__(self) -> int:
        return len(self.line)

    @property
    def shown(self) -> Bool[Array, "B L"]:
        """Which places a round has."""
        return self.line >= 0

    @property
    def num_clusters(self) -> int:
        """People, or rounds of nobody known."""
        return int(self.cluster.max(initial=-1)) + 1

    def at_places(self, values: Float[Array, " N"], beyond: float) -> Float[Array, "B L"]:
        """Of what stands at each place; `beyond` the last one."""
        return np.where(self.shown, values[np.maximum(self.line, 0)], beyond)


def shows_several(records: Records) -> bool:
    """Whether feedback is about several options of a round: a pick, a ranking, a comparison, or a
    reward for each of several places."""
    kinds = set(records.kinds[np.unique(records.kind_codes)].tolist())
    if kinds and kinds <= {*_PREFERRED, "approval"}:
        return True
    if len(kinds) != 1 or not kinds <= set(_REWARDED):
        return False
    given = ~np.isnan(_rewards(records, kinds.pop()))
    return bool((np.bincount(records.row_of_option[given], minlength=len(records)) > 1).any())


def slates_of(records: Records) -> Slates:
    """The rounds of a log that are answered, as slates.

    Options with a `position` were shown, in its order; where the log has no such column all of a
    menu were, in their order. Raises DataError for several kinds of feedback at once, places
    without a reward beside others that have one, and answers about what was not shown.
    """
    kinds = sorted(set(records.kinds[np.unique(records.kind_codes)].tolist()))
    if len(kinds) != 1 or kinds[0] not in (*_REWARDED, *_PREFERRED):
        raise DataError(
            f"the log holds feedback of kind {', '.join(kinds) or 'none'}; expected one kind, of "
            f"{', '.join((*_REWARDED, *_PREFERRED))}. Judge kinds one by one."
        )
    is_rewarded = kinds[0] in _REWARDED
    values = _rewards(records, kinds[0]) if is_rewarded else _ranks(records, kinds[0])
    known = ~np.isnan(values)
    answered = np.bincount(records.row_of_option[known], minlength=len(records)) > 0
    if not answered.any():
        raise DataError("no round of the log is answered; expected rewards, picks or rankings.")
    notes, log = list[str](), records
    if not answered.all():
        notes.append(f"{int((~answered).sum()):,} rounds without an answer were left out")
        values = values[answered[records.row_of_option]]
        records = records.take(np.flatnonzero(answered))
    line = _places(records)
    _check(records, line, values, is_rewarded)
    here = np.where(line >= 0, np.nan_to_num(values)[np.maximum(line, 0)], 0.0)
    nothing = np.zeros(line.shape)
    return Slates(
        records=records, line=line, feedback="rewards" if is_rewarded else "preferences",
        reward=here if is_rewarded else nothing,
        rank=(nothing if is_rewarded else here).astype(np.int64),
        propensities=propensities_of(records), cluster=clusters_of(records),
        weight=to_floats(records.rows["weight"]), notes=tuple(notes), log=log,
    )  # fmt: skip


def _rewards(records: Records, kind: str) -> Float[Array, " N"]:
    column = records.options[_REWARDED[kind]]
    if kind == "approval":
        approved = to_bools(column).astype(np.float64)
        return np.where(np.asarray(column.is_null()), np.nan, approved)
    return to_floats(column)


def _ranks(records: Records, kind: str) -> Float[Array, " N"]:
    """1 is best; NaN of rounds that nobody has answered."""
    num, start = records.options.num_rows, records.offsets[:-1]
    ranks = np.zeros(num)
    if kind == "ranking":
        ranks = np.maximum(to_ints(records.options["rank"], missing=0), 0).astype(np.float64)
        answered = np.add.reduceat(ranks, start) > 0
    else:
        column = "chosen" if kind == "choice" else "outcome"
        said = to_ints(records.rows[column])
        answered = said >= 0
        if kind == "choice":
            ranks[(start + said)[answered]] = 1
        else:
            # 0: the first, 1: the second, 2: a tie of both.
            ranks[(start + 0)[answered]] = np.where(said == 1, 2, 1)[answered]
            ranks[(start + 1)[answered]] = np.where(said == 0, 2, 1)[answered]
    return np.where(answered[records.row_of_option], ranks, np.nan)


def _places(records: Records) -> Int[Array, "B L"]:
    row = records.row_of_option
    place = np.arange(len(row), dtype=np.float64)
    if "position" in records.options.column_names:
        place = to_floats(records.options["position"])
    order = np.lexsort((place, row))
    order = order[~np.isnan(place[order])]
    count = np.bincount(row[order], minlength=len(records))
    begin = np.concatenate([[0], np.cumsum(count)[:-1]])
    line = np.full((len(records), int(count.max(initial=0))), -1)
    line[row[order], np.arange(len(order)) - begin[row[order]]] = order
    return line


def _check(
    records: Records, line: Int[Array, "B L"], values: Float[Array, " N"], is_rewarded: bool
) -> None:
    shown = np.zeros(records.options.num_rows, dtype=bool)
    shown[line[line >= 0]] = True
    told = ~np.isnan(values) if is_rewarded else np.nan_to_num(values) > 0
    lacking = shown & ~told if is_rewarded else np.zeros(len(shown), dtype=bool)
    for wrong, what, mend in (
        (told & ~shown, "was not shown, and an answer is about it",
         "Give it a position, or take the answer out."),
        (lacking, "was shown beside others, and has no reward as they have",
         "Write 0 where nothing was earned, or leave the round out."),
    ):  # fmt: skip
        if wrong.any():
            option = int(np.argmax(wrong))
            raise DataError(
                f"option {option} (round {int(records.row_of_option[option])}) {what} "
                f"({int(wrong.sum()):,} are like this); expected an answer for every place that "
                f"was shown, and none for others. {mend}"
            )
