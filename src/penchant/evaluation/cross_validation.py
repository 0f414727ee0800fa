"""Judged on new people: nobody is learnt from and judged at once."""

from collections.abc import Callable

from penchant.data.records import Records
from penchant.data.splits import person_folds
from penchant.evaluation.predictions import MakeEstimator, Predictions, joined, predict


def cross_validate(
    make_estimator: MakeEstimator,
    records: Records,
    num_folds: int = 5,
    seed: int = 0,
    on_fold: Callable[[int], None] | None = None,
) -> Predictions:
    """Predictions for everybody, each by an estimator that has seen nothing of them.

    Raises DataError if an observation to be judged is not a single choice.
    """
    parts = []
    for fold, split in enumerate(person_folds(records, num_folds, seed)):
        fitted = make_estimator().fit(records.take(split.train))
        parts.append(predict(fitted, records, split.test, fold))
        if on_fold is not None:
            on_fold(fold)
    return joined(parts)
