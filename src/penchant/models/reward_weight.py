"""What the head's word is worth: the weight of the reward in the second stage, never below zero.

A head that learnt nothing says noise of the pairs that it has not seen, and noise is as likely to
point away from the answers as at them: a free weight would follow it and turn every reward round.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from penchant.beliefs.belief import Belief
from penchant.fitting.separation import WEAK_SCALE
from penchant.metrics.intervals import Z95

# Mean and standard deviation before any data. A head whose prior was chosen well is worth 1 on
# pairs to come, and what a thousand pairs say outweighs this by far; with none, the interval
# holds zero, so that to have learnt something takes data.
PRIOR = (1.0, 1.0)
# Standard deviation of a weight that is held at zero.
_HELD = 1e-5

Anchors = Mapping[int, tuple[float, float]]


def weighed(fit: Callable[[Anchors], Belief], num_attributes: int = 0) -> Belief:
    """The second stage, given how to fit it under normal priors on some of its features, of which
    the reward is the first: the mode under N(1, 1) on its weight, cut off below zero. Of the
    attributes, which come next, a weak prior keeps what a few pairs say of one within reason.

    Where that is zero, the others are fitted beside it and the weight keeps the error of the fit
    that knew no bound. A note says so where the 95 % interval holds zero.
    """
    beside = dict.fromkeys(range(1, 1 + num_attributes), (0.0, WEAK_SCALE))
    belief = fit({0: PRIOR, **beside})
    assert belief.covariance is not None
    weight, error = float(belief.theta[0]), float(np.sqrt(belief.covariance[0, 0]))
    if weight < 0.0:
        held = fit({0: (0.0, _HELD), **beside})
        theta = held.theta.copy()
        theta[0] = 0.0
        belief = replace(
            held,
            theta=theta,
            covariance=_with_error(held.covariance, error),
            robust_covariance=_with_error(held.robust_covariance, error),
        )
    report = belief.report
    if report is None or weight - Z95 * error > 0.0:
        return belief
    note = (
        "On texts that it had not seen, the head's word cannot be told from chance (where 1 is "
        f"full weight, the answers give it {weight:.2g}, {weight - Z95 * error:.2g} to "
        f"{weight + Z95 * error:.2g}): nothing is known to have been learnt of new texts, and "
        "their rewards should decide nothing. Give it more pairs, or fewer dimensions."
    )
    return replace(belief, report=replace(report, warnings=(*report.warnings, note)))


def _with_error(covariance: np.ndarray | None, error: float) -> np.ndarray | None:
    if covariance is None:
        return None
    widened = covariance.copy()
    widened[0, 0] = error**2
    return widened
