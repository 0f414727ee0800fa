"""Whether one model foretells the same choices better than another, beyond luck.

Legend: P people, R draws.
"""

from dataclasses import dataclass

import numpy as np

from penchant.errors import DataError
from penchant.evaluation.predictions import Predictions
from penchant.metrics.intervals import Interval, clustered_mean, dense_codes

_EXACT_PEOPLE = 12  # 4,096 ways to flip their signs: all are tried
_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Comparison:
    """Mean difference in nats per choice, the first model's loss minus the second's.

    Below 0 the first is better. `p_value` is two-sided, of the models being equally good for
    every person.
    """

    difference: Interval
    p_value: float
    people: int
    choices: int


def compare(
    first: Predictions,
    second: Predictions,
    generator: np.random.Generator,
    level: float = 0.95,
    num_draws: int = 10_000,
) -> Comparison:
    """The paired comparison of two models on the same choices, clustered by person.

    The interval is that of `clustered_mean` on the differences of the losses. The test flips the
    sign of all of a person's differences at once (Fisher 1935): the p-value is the share of flips
    whose total is as far from 0 as that seen, over all of them up to 12 people, else over
    `num_draws` at random and the one seen.

    Raises DataError if the predictions are not of the same rows.
    """
    interval = paired_difference(first, second, level)
    differences = first.losses - second.losses
    codes, people = dense_codes(first.person)
    totals = np.bincount(codes, first.weight * differences, minlength=people)
    return Comparison(interval, sign_flip_p_value(totals, generator, num_draws), people, len(first))


def paired_difference(first: Predictions, second: Predictions, level: float = 0.95) -> Interval:
    """The first model's loss less the second's in nats per choice, with an interval over people.

    Far surer than the distance of two separate intervals: what makes a choice hard to foretell for
    one model makes it hard for the other.

    Raises DataError if the predictions are not of the same rows.
    """
    if not np.array_equal(first.row, second.row):
        common = np.intersect1d(first.row, second.row)
        raise DataError(
            f"the models were judged on {len(first)} and {len(second)} rows, {len(common)} of them "
            "the same; expected the same rows. Use the same records, folds and split for both."
        )
    return clustered_mean(first.losses - second.losses, first.person, first.weight, level)


def sign_flip_p_value(
    totals: np.ndarray, generator: np.random.Generator, num_draws: int = 10_000
) -> float:
    """The two-sided sign-flip test of the totals being symmetric about 0; NaN without any."""
    num = len(totals)
    if not num or not np.isfinite(totals).all():
        return float("nan")
    # Equal sums in another order differ by rounding; they are ties all the same.
    seen = abs(totals.sum()) - 1e-12 * np.abs(totals).sum()
    if num <= _EXACT_PEOPLE:
        flips = (np.arange(2**num)[:, None] >> np.arange(num)) & 1
        return float((np.abs((1 - 2 * flips) @ totals) >= seen).mean())
    beyond, at_once = 0, max(1, _DRAWS_AT_ONCE // num)
    for start in range(0, num_draws, at_once):
        size = (min(at_once, num_draws - start), num)
        flipped = (1 - 2 * generator.integers(0, 2, size, dtype=np.int8)) @ totals
        beyond += int((np.abs(flipped) >= seen).sum())
    return (1 + beyond) / (1 + num_draws)
