"""How shares answer to a change of an attribute, in per cent for per cent.

Legend: C options by name, N draws of our doubt.
"""

import math
from dataclasses import dataclass

import numpy as np

from penchant.beliefs.belief import Belief
from penchant.beliefs.marginal import row_weights
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.metrics.intervals import Z95
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.what_if import Change, apply_changes, expected_shares

# The outer quantiles of 30 draws hold nine of ten, not nineteen of twenty, and jump with the seed.
ENOUGH_FOR_QUANTILES = 200


@dataclass(frozen=True, kw_only=True)
class Elasticity:
    """Per cent change of the share of `of` when `feature` of `changed` rises by one per cent.

    low, high: 95 % interval of our doubt; NaN where no draws were asked for.
    """

    feature: str
    changed: str
    of: str
    value: float
    low: float = math.nan
    high: float = math.nan


def elasticities(
    belief: Belief,
    records: Records,
    feature: str,
    *,
    step: float = 0.01,
    num_draws: int = 0,
    rng: np.random.Generator | None = None,
    robust: bool = True,
) -> tuple[Elasticity, ...]:
    """Aggregate own and cross elasticities, d log S_i / d log x_j, by sample enumeration.

    Central differences of size `step` in log x_j on the expected shares S (Ben-Akiva and Lerman
    1985, 5.3): each person's probabilities are moved and summed, so that nobody's elasticity is
    averaged. Independence of irrelevant alternatives shows as equal cross elasticities.
    num_draws: of our doubt, from `rng`, for intervals: their quantiles, or of fewer than 200, whose
    quantiles lie too far in, 1.96 root mean squares about the value. robust: by the covariance
    clustered by person where the belief has one.

    Raises `ConfigError` for a feature that the records do not have, and for draws without `rng`.
    """
    if num_draws and rng is None:
        raise ConfigError(
            f"{num_draws} draws were asked for without a generator; expected "
            "rng=np.random.default_rng(seed), so that the same seed gives the same intervals."
        )
    base = belief.encode(records)
    # The outside option has no features that could change.
    changing = [name for name in base.option_names if name != records.outside_option]
    ends = [
        tuple(
            belief.encode(apply_changes(
                records, [Change(feature=feature, option=changed, multiply=factor)]
            ))
            for factor in (1.0 + step, 1.0 / (1.0 + step))
        )
        for changed in changing
    ]  # fmt: skip
    mode = _matrix(belief, base, ends, step)
    low = high = np.full_like(mode, math.nan)
    if rng is not None and num_draws:
        doubtful = belief.sample(num_draws, rng, robust=robust)
        drawn = np.stack([_matrix(one, base, ends, step) for one in doubtful])
        if num_draws < ENOUGH_FOR_QUANTILES:
            reach = Z95 * np.sqrt(((drawn - mode) ** 2).mean(axis=0))
            low, high = mode - reach, mode + reach
        else:
            low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    names = base.option_names
    return tuple(
        Elasticity(
            feature=feature, changed=changed, of=name, value=float(mode[j, i]),
            low=float(low[j, i]), high=float(high[j, i]),
        )
        for j, changed in enumerate(changing)
        for i, name in enumerate(names)
    )  # fmt: skip


def _matrix(belief: Belief, base: Batch, ends: list[tuple[Batch, ...]], step: float) -> Array:
    """[C2, C] line j, column i: d log S_i / d log x_j."""
    weight = row_weights(base)
    middle = expected_shares(belief.predict_proba(base), base, weight)
    up, down = (
        np.stack([
            expected_shares(belief.predict_proba(pair[side]), pair[side], weight) for pair in ends
        ])
        for side in (0, 1)
    )  # fmt: skip
    slope: Array = (up - down) / middle / (2.0 * math.log1p(step))
    return slope
