"""How fast a model gets to know a new person: the error after none, one, two, ... answers."""

from collections.abc import Callable, Sequence

from penchant.data.batch_builder import groups_of
from penchant.data.columns import place_within
from penchant.data.records import Records
from penchant.data.splits import known_people_folds
from penchant.evaluation.comparison import paired_difference
from penchant.evaluation.predictions import MakeEstimator, Predictions, joined, predict
from penchant.evaluation.report import FewShotPoint
from penchant.metrics.intervals import Interval


def predict_after_answers(
    make_estimator: MakeEstimator,
    records: Records,
    num_known: int = 6,
    num_folds: int = 5,
    seed: int = 0,
    on_fold: Callable[[int], None] | None = None,
) -> tuple[Predictions, ...]:
    """Predictions of the same choices given 0, 1, ... `num_known` earlier answers of each person.

    The judged choices are those of `predict_known_people`; here the estimator has never met these
    people when it is fitted (once a fold, on the others), so the curve starts at a stranger.
    """
    parts: list[list[Predictions]] = [[] for _ in range(num_known + 1)]
    for fold, split in enumerate(known_people_folds(records, num_known, num_folds, seed)):
        fitted = make_estimator().fit(records.take(split.others))
        nth = place_within(groups_of(records, "person").of_row)[split.history]
        for answers in range(num_known + 1):
            history = split.history[nth < answers] if answers else None
            parts[answers].append(predict(fitted, records, split.test, fold, history))
        if on_fold is not None:
            on_fold(fold)
    return tuple(joined(each) for each in parts)


def few_shot_points(curve: Sequence[Predictions], level: float = 0.95) -> tuple[FewShotPoint, ...]:
    """The curve in nats per choice, with intervals over people."""
    losses = [predictions.nll(level) for predictions in curve]
    return tuple(
        FewShotPoint(answers=answers, nll=loss.estimate, low=loss.low, high=loss.high)
        for answers, loss in enumerate(losses)
    )


def few_shot_gains(curve: Sequence[Predictions], level: float = 0.95) -> tuple[Interval, ...]:
    """The error after 0, 1, 2, ... answers less that after none, in nats on the same choices.

    Paired and clustered by person: below 0 the answers helped. Far surer than the distance of two
    points of the curve, whose intervals both hold what makes a choice hard to foretell.
    """
    return tuple(paired_difference(known, curve[0], level) for known in curve)
