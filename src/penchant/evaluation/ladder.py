"""Several models judged on the same folds, from the plainest to the richest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.evaluation.comparison import Comparison, compare, paired_difference
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.known_people import predict_known_people
from penchant.evaluation.predictions import MakeEstimator, Predictions
from penchant.evaluation.report import KNOWN_PEOPLE, NEW_PEOPLE, Difference, LadderRow

SPLITS = (NEW_PEOPLE, KNOWN_PEOPLE)


def ladder_row(model: str, split: str, predictions: Predictions) -> LadderRow:
    """A model's row: nats per choice with its 95 % interval over people, accuracy, calibration."""
    loss = predictions.nll()
    return LadderRow(
        model=model,
        split=split,
        nll=loss.estimate,
        nll_low=loss.low,
        nll_high=loss.high,
        accuracy=predictions.accuracy().estimate,
        ece=predictions.ece(),
        people=predictions.num_people,
        choices=len(predictions),
    )


def judge(
    models: Mapping[str, MakeEstimator],
    records: Records,
    splits: Sequence[str] = SPLITS,
    num_folds: int = 5,
    num_known: int = 6,
    seed: int = 0,
    on_fold: Callable[[str, str, int], None] | None = None,
) -> dict[tuple[str, str], Predictions]:
    """The predictions of every model on every split, by (model, split), on the same folds.

    `new_people` is `cross_validate`, `known_people` is `predict_known_people`. `on_fold` is told
    the model, the split and the fold that is done.

    Raises ConfigError if a split is neither.
    """
    unknown = [split for split in splits if split not in SPLITS]
    if unknown:
        raise ConfigError(
            f"there is no split {unknown[0]!r}; expected {' or '.join(map(repr, SPLITS))}."
        )
    found = {}
    for model, make_estimator in models.items():
        for split in splits:

            def told(fold: int, model: str = model, split: str = split) -> None:
                if on_fold is not None:
                    on_fold(model, split, fold)

            if split == NEW_PEOPLE:
                found[model, split] = cross_validate(
                    make_estimator, records, num_folds, seed, on_fold=told
                )
            else:
                found[model, split] = predict_known_people(
                    make_estimator, records, num_known, num_folds, seed, on_fold=told
                )
    return found


def ladder_of(judged: Mapping[tuple[str, str], Predictions]) -> tuple[LadderRow, ...]:
    """One row for each model and split, in the order judged."""
    return tuple(ladder_row(model, split, each) for (model, split), each in judged.items())


def differences_from(
    reference: str, judged: Mapping[tuple[str, str], Predictions]
) -> tuple[Difference, ...]:
    """How much better or worse than the reference each other model is on the same choices.

    Nothing on a split where the reference was not judged.
    """
    found = []
    for (model, split), predictions in judged.items():
        if model != reference and (reference, split) in judged:
            gap = paired_difference(predictions, judged[reference, split])
            found.append(
                Difference(model=model, split=split, value=gap.estimate, low=gap.low, high=gap.high)
            )
    return tuple(found)


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """How `model` stands to `against` on the same choices of one split; below 0 it is better."""

    model: str
    against: str
    split: str
    found: Comparison


def every_pair(
    judged: Mapping[tuple[str, str], Predictions], seed: int = 0
) -> tuple[ModelPair, ...]:
    """Each model compared with each one before it, split by split, clustered by person."""
    splits = dict.fromkeys(split for _, split in judged)
    return tuple(
        ModelPair(
            model=later,
            against=earlier,
            split=split,
            # Every pair flips by the same signs: what is asked of one does not depend on others.
            found=compare(
                judged[later, split], judged[earlier, split], np.random.default_rng(seed)
            ),
        )
        for split in splits
        for earlier, later in combinations([m for m, s in judged if s == split], 2)
    )
