"""Judged on known people: a person's later choices foretold once the first ones were seen."""

from collections.abc import Callable

from penchant.data.records import Records
from penchant.data.splits import known_people_folds
from penchant.evaluation.predictions import MakeEstimator, Predictions, joined, predict


def predict_known_people(
    make_estimator: MakeEstimator,
    records: Records,
    num_known: int = 6,
    num_folds: int = 5,
    seed: int = 0,
    order_by: str | None = None,
    on_fold: Callable[[int], None] | None = None,
) -> Predictions:
    """Predictions of what people chose after their first `num_known` observations.

    Fold by fold over people: the estimator learns from all others' observations and from these
    people's first ones, and gets those again as `history` when it predicts. First means first in
    the records, or by the column `order_by`. People with no more than `num_known` observations
    are never judged.

    Raises DataError if an observation to be judged is not a single choice.
    """
    parts = []
    for fold, split in enumerate(known_people_folds(records, num_known, num_folds, seed, order_by)):
        fitted = make_estimator().fit(records.take(split.train))
        parts.append(predict(fitted, records, split.test, fold, history=split.history))
        if on_fold is not None:
            on_fold(fold)
    return joined(parts)
