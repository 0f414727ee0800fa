"""How shares answer to a change of an attribute, in per cent for per cent.

Legend: C options by name.
"""

import math
from dataclasses import dataclass

from penchant.beliefs.belief import Belief
from penchant.beliefs.marginal import row_weights
from penchant.data.records import Records
from penchant.policies.oneshot.what_if import Change, apply_changes, expected_shares


@dataclass(frozen=True, kw_only=True)
class Elasticity:
    """Per cent change of the share of `of` when `feature` of `changed` rises by one per cent."""

    feature: str
    changed: str
    of: str
    value: float


def elasticities(
    belief: Belief, records: Records, feature: str, *, step: float = 0.01
) -> tuple[Elasticity, ...]:
    """Aggregate own and cross elasticities, d log S_i / d log x_j, by sample enumeration.

    Central differences of size `step` in log x_j on the expected shares S (Ben-Akiva and Lerman
    1985, 5.3): each person's probabilities are moved and summed, so that nobody's elasticity is
    averaged. Independence of irrelevant alternatives shows as equal cross elasticities.
    """
    base = belief.encode(records)
    names, weight = base.option_names, row_weights(base)
    middle = expected_shares(belief.predict_proba(base), base, weight)
    result = []
    for changed in names:
        ends = []
        for factor in (1.0 + step, 1.0 / (1.0 + step)):
            moved = belief.encode(
                apply_changes(records, [Change(feature=feature, option=changed, multiply=factor)])
            )
            ends.append(expected_shares(belief.predict_proba(moved), moved, weight))
        for place, name in enumerate(names):
            rise = (ends[0][place] - ends[1][place]) / middle[place]
            slope = rise / (2.0 * math.log1p(step))
            result.append(Elasticity(feature=feature, changed=changed, of=name, value=float(slope)))
    return tuple(result)
