"""Can this log speak about that policy? Effective size, support, and whether propensities are true.

Legend: B rounds, N options over all menus, A different options.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.metrics.intervals import clustered_mean
from penchant.numerics.arrays import Array

# Propensities are often logged with few digits: 1/6 as 0.1667 is no false one.
_ROUNDED = 1e-3


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """How well logged rounds cover a target policy.

    effective: Kish's effective number of rounds, (sum w)^2 / sum w^2. max_weight, mean_weight: of
    the importance weights, whose mean is 1 if propensities are true and cover the target.
    mean_z: standard errors between that mean and 1; infinite where all weights are alike and not
    1, NaN where there is one person only. heaviest: share of all weight on the heaviest
    1 % of rounds. agreeing: share of rounds whose action the target might have taken.
    unsupported: the target's mean probability of actions that the logging policy never takes;
    NaN where only the taken action's propensity is known.
    """

    rounds: int
    effective: float
    max_weight: float
    mean_weight: float
    mean_z: float
    heaviest: float
    agreeing: float
    unsupported: float


def overlap(
    weight: Float[Array, " B"], cluster: Int[Array, " B"], unsupported: float = np.nan
) -> Overlap:
    """The overlap of importance weights; errors of their mean are clustered."""
    total = float(weight.sum())
    squares = float((weight**2).sum())
    num_heavy = max(1, len(weight) // 100)
    heavy = np.partition(weight, len(weight) - num_heavy)[-num_heavy:] if len(weight) else weight
    return Overlap(
        rounds=len(weight),
        effective=total**2 / squares if squares > 0 else 0.0,
        max_weight=float(weight.max(initial=0.0)),
        mean_weight=float(weight.mean()) if len(weight) else np.nan,
        mean_z=errors_from(weight, 1.0, cluster, tolerance=_ROUNDED),
        heaviest=float(heavy.sum()) / total if total > 0 else np.nan,
        agreeing=float((weight > 0).mean()) if len(weight) else np.nan,
        unsupported=unsupported,
    )


def errors_from(
    values: Float[Array, " B"],
    expected: float,
    cluster: Int[Array, " B"],
    weight: Float[Array, " B"] | None = None,
    tolerance: float = 0.0,
) -> float:
    """Standard errors, clustered, from what was expected to the mean of the values.

    A distance and an error both below `tolerance` are rounding, of sums or of what was logged.

    Values that are all alike have no error: any distance from what was expected is then infinitely
    many. NaN for the values of a single cluster, whose error nobody knows.
    """
    mean = clustered_mean(values, cluster, weight, level=0.6826894921370859)
    error, apart = (mean.high - mean.low) / 2, mean.estimate - expected
    digits = 1e-12 * max(float(np.abs(values).max(initial=0.0)), abs(expected))
    if np.isnan(error):
        return np.nan
    if max(error, abs(apart)) <= max(tolerance, digits):
        return 0.0
    return float(apart / error) if error > digits else float(np.copysign(np.inf, apart))


def unsupported_mass(
    target: Float[Array, " N"], propensity: Float[Array, " N"], row: Int[Array, " N"]
) -> float:
    """The target's mean probability of actions with propensity 0.

    `row` is the round of each line. NaN where a propensity is unknown, and where those of a menu do
    not add up to 1: what is missing from it the logging policy did too.
    """
    if np.isnan(propensity).any() or np.isnan(target).any():
        return np.nan
    total = np.bincount(row, propensity)
    if not np.allclose(total, 1.0, atol=1e-3):
        return np.nan
    return float(target[propensity <= 0].sum()) / len(total)


@dataclass(frozen=True, kw_only=True, eq=False)
class PropensityTest:
    """Whether actions are taken as often as the propensities say, over all rounds.

    taken, said: how often each option was taken, and how often by its propensities. z: their
    difference in standard errors. p_value: that the largest |z| were so large by chance
    (Bonferroni over the options).
    """

    taken: Float[Array, " A"]
    said: Float[Array, " A"]
    z: Float[Array, " A"]
    p_value: float


def propensity_test(
    option: Int[Array, " N"],
    row: Int[Array, " N"],
    propensity: Float[Array, " N"],
    taken: Int[Array, " B"],
) -> PropensityTest:
    """E[1{a taken} - mu(a|x)] = 0 for each option, what calibrated propensities must satisfy.

    `option` codes the options from 0; `taken` are lines among the N, one a round. An option that
    is expected fewer than five times is not tested: its law is no normal one.
    """
    from scipy.special import ndtr

    num = int(option.max(initial=-1)) + 1
    chosen = np.zeros(len(option))
    chosen[taken] = 1.0
    count = np.bincount(option, chosen, minlength=num)
    said = np.bincount(option, propensity, minlength=num)
    # Within a round the indicator has variance mu (1 - mu).
    variance = np.bincount(option, propensity * (1.0 - propensity), minlength=num)
    tested = (said >= 5.0) & (variance > 0)
    z = np.where(tested, (count - said) / np.sqrt(np.where(tested, variance, 1.0)), 0.0)
    worst = float(np.abs(z).max(initial=0.0))
    p_value = min(1.0, 2.0 * float(ndtr(-worst)) * max(int(tested.sum()), 1))
    return PropensityTest(taken=count, said=said, z=z, p_value=p_value)


def drift_p_value(option: Int[Array, " B"], half: Int[Array, " B"]) -> float:
    """That the shares of actions taken differ so much between two halves by chance.

    Pearson's chi-squared test of homogeneity; options taken fewer than ten times are put together.
    """
    from scipy.special import chdtrc

    codes, num = np.unique(option, return_inverse=True)[1], len(np.unique(option))
    table = np.zeros((2, num))
    np.add.at(table, (half, codes), 1.0)
    rare = table.sum(axis=0) < 10
    table = np.column_stack([table[:, ~rare], table[:, rare].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(chdtrc(table.shape[1] - 1, ((table - expected) ** 2 / expected).sum()))
