"""Applicants come, are accepted or not, and a panel reports who was treated too differently.

Legend: T rounds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array
from penchant.policies.bandits.one_sided import FairOneSided
from penchant.simulation.applicants import Applicants, Panel, ThresholdRules


@dataclass(frozen=True, kw_only=True, eq=False)
class Accepted:
    """error: expected share of wrong decisions of each round. is_reported: whether a pair was.
    loss_of_rules: total Lagrangian loss of each rule on the same reports; loss: the policy's."""

    error: Float[Array, " T"]
    is_reported: Bool[Array, " T"]
    loss: float
    loss_of_rules: Float[Array, " H"]

    @property
    def regret(self) -> float:
        """Loss beyond that of the best rule, reports as they came."""
        return self.loss - float(self.loss_of_rules.min())


def accept_applicants(
    policy: FairOneSided,
    applicants: Applicants,
    rules: ThresholdRules,
    panel: Panel,
    price: float,
) -> Accepted:
    """Round by round. price: of a report, in errors, with which losses are counted."""
    num, each = applicants.chance.shape
    error, is_reported = np.empty(num), np.zeros(num, dtype=bool)
    loss, of_rules = 0.0, np.zeros(len(rules.offset))
    for t in range(num):
        made = policy.decide(rules.accept(applicants.features[t]))
        pair = panel.report(applicants.features[t], made.share)
        policy.update(made, applicants.is_good[t], pair)
        # Wrong with what probability: bad ones accepted, good ones not.
        odds = 1.0 - 2.0 * applicants.chance[t]
        error[t] = (applicants.chance[t] + made.share * odds).sum() / each
        loss += float(made.share @ odds)
        of_rules += made.accepts @ odds
        if pair is not None:
            is_reported[t] = True
            first, second = pair
            loss += price * float(made.share[first] - made.share[second])
            of_rules += price * (made.accepts[:, first] * 1.0 - made.accepts[:, second])
    return Accepted(error=error, is_reported=is_reported, loss=loss, loss_of_rules=of_rules)
