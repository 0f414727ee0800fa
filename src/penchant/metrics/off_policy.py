"""What another policy would have earned, from rounds that a logging policy decided.

Every estimator returns one term a round. The mean of the terms is the estimate, and their spread
is its doubt: each is the round's influence on the estimate, so that intervals follow from the
terms alone (`metrics/intervals.py`, `metrics/sequences.py`).

Legend: B rounds. `weight` is pi(a|x) / mu(a|x) of the action taken, target over logging policy;
`predicted` a reward model's q(x, a) of the action taken; `value` its sum_a pi(a|x) q(x, a).
Rewards and values have one unit, that of the reward.
"""

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array


def importance_weights(
    target: Float[Array, " B"], propensity: Float[Array, " B"]
) -> Float[Array, " B"]:
    """pi(a|x) / mu(a|x) of the action taken; 0 where the target never takes it.

    Infinite where the target takes what the log calls impossible: such a log contradicts itself.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(target > 0, target / propensity, np.where(np.isnan(target), target, 0.0))


def ips(weight: Float[Array, " B"], reward: Float[Array, " B"]) -> Float[Array, " B"]:
    """Inverse propensity scores, w r (Horvitz and Thompson 1952). Unbiased given support."""
    return weight * reward


def clipped_ips(
    weight: Float[Array, " B"], reward: Float[Array, " B"], most: float
) -> Float[Array, " B"]:
    """min(w, most) r (Ionides 2008; Bottou et al. 2013): less spread, biased to 0."""
    return np.minimum(weight, most) * reward


def snips(
    weight: Float[Array, " B"],
    reward: Float[Array, " B"],
    sample_weight: Float[Array, " B"] | None = None,
) -> Float[Array, " B"]:
    """Self-normalised: v = sum w r / sum w, terms v + w (r - v) / mean w.

    Hajek (1971); Swaminathan and Joachims (2015b). Never outside the range of rewards, and moved
    by no constant added to them. Terms are by the delta method and average to v exactly. NaN where
    no round has weight.
    """
    whole = np.average(weight, weights=sample_weight)
    if not whole > 0:
        return np.full(len(weight), np.nan)
    value = np.average(weight * reward, weights=sample_weight) / whole
    return value + weight * (reward - value) / whole


def direct(value: Float[Array, " B"]) -> Float[Array, " B"]:
    """The reward model's own opinion, sum_a pi(a|x) q(x, a).

    Its spread leaves out the doubt about the model, which is most of it: add each round's influence
    through the fitted parameters (`RewardModel.correction`).
    """
    return value


def doubly_robust(
    weight: Float[Array, " B"],
    reward: Float[Array, " B"],
    predicted: Float[Array, " B"],
    value: Float[Array, " B"],
) -> Float[Array, " B"]:
    """value + w (r - q) (Robins, Rotnitzky and Zhao 1994; Dudik, Langford and Li 2011).

    Right if either propensities or reward model are; the model must not have seen the round.
    """
    return value + weight * (reward - predicted)


def self_normalised_doubly_robust(
    weight: Float[Array, " B"],
    reward: Float[Array, " B"],
    predicted: Float[Array, " B"],
    value: Float[Array, " B"],
    sample_weight: Float[Array, " B"] | None = None,
) -> Float[Array, " B"]:
    """value + the self-normalised mean of the residuals r - q (Thomas and Brunskill 2016)."""
    return value + snips(weight, reward - predicted, sample_weight)


def switch_doubly_robust(
    weight: Float[Array, " B"],
    reward: Float[Array, " B"],
    predicted: Float[Array, " B"],
    value: Float[Array, " B"],
    threshold: float,
) -> Float[Array, " B"]:
    """Doubly robust up to the weight `threshold`, the reward model beyond.

    value + 1{w <= threshold} w (r - q) (Wang, Agarwal and Dudik 2017).
    """
    return value + np.where(weight <= threshold, weight, 0.0) * (reward - predicted)


def shrunk_weights(weight: Float[Array, " B"], shrinkage: float) -> Float[Array, " B"]:
    """w lambda / (w^2 + lambda): w itself as lambda grows, 0 at lambda 0 (Su et al. 2020, 4.2)."""
    if shrinkage == np.inf:
        return weight
    # w / (1 + w^2 / lambda) would divide by 0 at lambda 0; this form has no such corner but 0/0.
    bottom = weight**2 + shrinkage
    return np.where(bottom > 0, weight * shrinkage / np.where(bottom > 0, bottom, 1.0), 0.0)


def shrunk_doubly_robust(
    weight: Float[Array, " B"],
    reward: Float[Array, " B"],
    predicted: Float[Array, " B"],
    value: Float[Array, " B"],
    shrinkage: float,
) -> Float[Array, " B"]:
    """Doubly robust with optimistically shrunk weights (Su, Dimakopoulou, Krishnamurthy, Dudik
    2020)."""
    return value + shrunk_weights(weight, shrinkage) * (reward - predicted)
