"""Whether a log can be believed about a policy, in plain words."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.data.columns import to_codes, to_floats
from penchant.data.decisions import Decisions
from penchant.data.records import Records
from penchant.metrics.importance import Overlap, drift_p_value, errors_from, propensity_test
from penchant.numerics.arrays import Array
from penchant.policies.bandits.menu_policy import MenuPolicy
from penchant.policies.policy import Policy

# Seen by chance once in a thousand logs.
SURPRISING, SURPRISING_Z = 1e-3, 3.29
# Of 600 logs of 1,500 rounds: at a median effective share of 0.35 (1 % of rounds with 10 % of all
# weight) 95 % intervals of ips hold 93 to 94 times in 100, at 0.21 (15 %) 89 to 92, at 0.14 (20 %)
# 86, at 0.05 (30 %) 54 to 59 (`benchmarks/off_policy_coverage.py` repeats three of them).
_FEW, _FEW_SHARE, _HEAVY = 100.0, 0.25, 0.15


Counted = Literal["rewards", "preferences"]


@dataclass(frozen=True)
class Words:
    """How values are spoken of. unit: behind a number. heading: of the page. would, surely: of a
    policy, before its value. more, less: beside the log."""

    unit: str
    heading: str
    logged: str
    would: str
    surely: str
    more: str
    less: str


WORDS: dict[Counted, Words] = {
    "rewards": Words(
        unit="a round", heading="What other policies would have earned",
        logged="the logging policy earned", would="would have earned", surely="surely earns",
        more="more than was logged", less="less than was logged",
    ),
    "preferences": Words(
        unit="of the time", heading="How often other policies would have been preferred",
        logged="what was shown is preferred to what stood beside it",
        would="would have been preferred to what was shown", surely="is surely preferred",
        more="more often than what was logged", less="less often than what was logged",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """name: what was looked at. verdict: "fine", "care" (read the interval with care) or "wrong"
    (an assumption does not hold). text: a sentence for a reader."""

    name: str
    verdict: Literal["fine", "care", "wrong"]
    text: str


def findings_of_log(decisions: Decisions, *, is_estimated: bool) -> tuple[Finding, ...]:
    """What holds of the log whatever the policy: are propensities true, did its policy change?"""
    found = []
    if decisions.has_whole_propensities and not is_estimated:
        found.append(_calibration(decisions))
    elif not decisions.has_whole_menus:
        found.append(
            Finding(
                "menus",
                "care",
                "The log says only what was shown, not what else could have been: support cannot "
                "be checked, and estimates by a reward model are not possible. Log whole menus, or "
                "complete them with --menu.",
            )
        )
    if is_estimated:
        found.append(
            Finding(
                "propensities",
                "care",
                "Propensities were estimated from what was taken: everything below holds only if "
                "the formula knows all that the logging policy looked at.",
            )
        )
    found.append(_drift(decisions, is_estimated))
    return tuple(found)


def findings_of_policy(
    decisions: Decisions,
    overlap: Overlap,
    weight: Float[Array, " B"],
    target: Float[Array, " N"],
    predicted: Float[Array, " N"] | None,
) -> tuple[Finding, ...]:
    """Overlap, support, E[w] = 1, balance of the weights, and the reward model's own mistakes."""
    found = list(findings_of_overlap(overlap))
    if predicted is not None:
        found += _balance(decisions, weight, target, predicted)
    return tuple(found)


def findings_of_overlap(overlap: Overlap) -> tuple[Finding, ...]:
    """What the weights alone say: are there enough, do they cover the policy, do they average 1?"""
    found = [_effective(overlap), _support(overlap), _mean_weight(overlap)]
    if overlap.heaviest > _HEAVY:
        found.append(
            Finding(
                "heavy weights",
                "care",
                f"1 % of the rounds carry {overlap.heaviest:.0%} of all weight, the heaviest "
                f"{overlap.max_weight:,.0f} times its own: few rounds decide, and normal "
                "intervals by weights alone may be too narrow.",
            )
        )
    return tuple(found)


def finding_of_interval(interval: str, tightest_at: float) -> tuple[Finding, ...]:
    """What an interval of a kind with conditions holds for."""
    if interval == "bernstein":
        return (
            Finding(
                "interval", "fine",
                "Bernstein's intervals hold at any size, of estimates by weights alone, whose "
                "terms have ends: ips is quoted, others have none.",
            ),
        )  # fmt: skip
    if interval == "anytime":
        return (
            Finding(
                "interval", "fine",
                "Intervals may be looked at as the log grows, if from the first look on they are "
                f"narrowest at the same number of people (tightest_at, {tightest_at:g}); they "
                "hold from some hundred people on, as they rest on the spread seen.",
            ),
        )  # fmt: skip
    return ()


def finding_of_learning(
    records: Records, policy: Policy, log: Records | None = None
) -> tuple[Finding, ...]:
    """Whether the model behind a policy has seen the rounds that now judge it.

    By the fingerprint of the data that a model keeps: the same file read in the same way; of a
    bandit, by the names of the decisions whose answers taught it. Policies without a model, or with
    one that keeps neither, say nothing. log: the records as they stand in the file.
    """
    if isinstance(policy, MenuPolicy):
        return _finding_of_decisions(records, policy)
    belief = getattr(policy, "belief", None)
    seen = str(getattr(belief, "fingerprint", "")).partition(",")[0]
    if not seen:
        return ()
    if seen in ((records if log is None else log).fingerprint, records.fingerprint):
        return (
            Finding(
                "learning", "wrong",
                "This policy was learnt from this very log: it knows by heart what happened to "
                "pay there, so that its value is too high, and no interval says by how much. Fit "
                "it on some people and judge it on others.",
            ),
        )  # fmt: skip
    return (
        Finding(
            "learning", "fine",
            "The model was not fitted on this file as it stands; had it seen these rounds in "
            "another one, its value would be too high.",
        ),
    )  # fmt: skip


def _finding_of_decisions(records: Records, policy: MenuPolicy) -> tuple[Finding, ...]:
    rows = records.rows
    if "situation" not in rows.column_names or not policy.learnt_from:
        return ()
    names = rows["situation"].to_pylist()
    learnt = sum(name in policy.learnt_from for name in names)
    if learnt:
        return (
            Finding(
                "learning", "wrong",
                f"This bandit learnt from {learnt:,} of the {len(names):,} decisions that judge "
                "it: it knows what happened to pay there, so that its value is too high, and no "
                "interval says by how much. Judge it on decisions that came later.",
            ),
        )  # fmt: skip
    return (
        Finding(
            "learning", "fine",
            f"None of the latest {len(policy.learnt_from):,} decisions that this bandit learnt "
            "from is in the log; had it seen others of it before, its value would be too high.",
        ),
    )  # fmt: skip


def together(interval: str) -> str:
    """What holds of a comparison of all policies, for the head of it."""
    if interval == "normal":
        return "corrected for looking at each"
    return (
        "corrected for looking at each, by normal intervals for a log of this size (not by "
        f"{interval} ones)"
    )


def _calibration(decisions: Decisions) -> Finding:
    codes, names = to_codes(decisions.records.options["option"])
    test = propensity_test(
        np.maximum(codes, 0), decisions.records.row_of_option, decisions.propensities,
        decisions.taken,
    )  # fmt: skip
    if test.p_value >= SURPRISING:
        return Finding(
            "propensities", "fine", "Options were taken as often as their propensities say."
        )
    worst, rounds = int(np.abs(test.z).argmax()), len(decisions)
    name = str(names[worst]) if names else "one option"
    return Finding(
        "propensities", "wrong",
        f"Option {name!r} was taken in {test.taken[worst] / rounds:.1%} of the rounds, where its "
        f"propensities say {test.said[worst] / rounds:.1%} ({abs(test.z[worst]):.0f} standard "
        "errors apart): the logged propensities are not those of the policy that decided.",
    )  # fmt: skip


def _drift(decisions: Decisions, is_estimated: bool) -> Finding:
    """Of what was taken, between the earlier and the later half of the log."""
    rows, taken = decisions.records.rows, decisions.records.options["option"].take(decisions.taken)
    moment = np.arange(len(decisions), dtype=np.float64)
    if "time" in rows.column_names:
        time = rows["time"]
        moment = np.asarray(time.to_numpy()).astype("datetime64[us]").astype(np.float64) if (
            "timestamp" in str(time.type)
        ) else to_floats(time) if "string" not in str(time.type) else moment  # fmt: skip
    half = (np.argsort(np.argsort(moment, kind="stable")) >= len(moment) // 2).astype(np.int64)
    p_value = drift_p_value(to_codes(taken)[0], half)
    if p_value >= SURPRISING:
        return Finding("drift", "fine", "The logging policy took the same actions early and late.")
    return Finding(
        "drift", "care" if is_estimated else "fine",
        "The logging policy changed between the first and the second half of the log"
        + (": one model of it for all rounds is doubtful." if is_estimated
           else "; logged propensities take care of that."),
    )  # fmt: skip


def _effective(overlap: Overlap) -> Finding:
    if overlap.effective == 0:
        return Finding(
            "overlap",
            "wrong",
            f"This policy takes none of the {overlap.rounds:,} logged actions: no weight can tell "
            "what it would earn, so that it is not compared with others. Log some rounds in which "
            "it decides.",
        )
    share = overlap.effective / max(overlap.rounds, 1)
    text = (
        f"The {overlap.rounds:,} rounds are worth {overlap.effective:,.0f} ({share:.1%}) decided "
        "by this policy itself; "
        f"it might have taken the logged action in {overlap.agreeing:.1%} of them."
    )
    if overlap.effective >= _FEW and share >= _FEW_SHARE:
        return Finding("overlap", "fine", text)
    return Finding(
        "overlap",
        "care",
        f"{text} Normal intervals by weights alone are too narrow there: in simulations 95 % ones "
        "held 9 times in 10 at a fifth, 6 in 10 at a twentieth. Doubly robust ones held as long as "
        "the reward model was right.",
    )


def _support(overlap: Overlap) -> Finding:
    if np.isnan(overlap.unsupported):
        return Finding(
            "support",
            "care",
            "Whether the log covers all that this policy does is not known: propensities of what "
            "was not taken are not in the log.",
        )
    if overlap.unsupported > 1e-9:
        return Finding(
            "support",
            "wrong",
            f"{overlap.unsupported:.2%} of what this policy does is never done by the logging "
            "policy: no weight can tell what that would earn, only the reward model guesses it.",
        )
    return Finding("support", "fine", "Everything that this policy does, the log does at times.")


def _mean_weight(overlap: Overlap) -> Finding:
    said = (
        f"Weights average {overlap.mean_weight:.3f}, {abs(overlap.mean_z):.1f} standard errors "
        "from 1"
    )
    if np.isnan(overlap.mean_z):
        return Finding(
            "mean weight", "care",
            f"Weights average {overlap.mean_weight:.3f}; of one person alone nobody knows how far "
            "from 1 that may be by chance.",
        )  # fmt: skip
    if np.isinf(overlap.mean_z):
        said = f"Weights are all {overlap.mean_weight:.3f} and should average 1"
    if abs(overlap.mean_z) < SURPRISING_Z:
        return Finding("mean weight", "fine", f"{said}, as they should.")
    return Finding(
        "mean weight", "wrong",
        f"{said}: propensities are not true, or the policy does what the log never does.",
    )  # fmt: skip


def _balance(
    decisions: Decisions,
    weight: Float[Array, " B"],
    target: Float[Array, " N"],
    predicted: Float[Array, " N"],
) -> list[Finding]:
    """E[w q] = E[sum pi q] for any q if weights are true; E[w (r - q)] = 0 if q is."""
    own = predicted[decisions.taken]
    value = decisions.total(target * predicted)
    found = []
    z = _z(decisions, weight * own - value)
    if abs(z) >= SURPRISING_Z:
        found.append(
            Finding(
                "balance",
                "wrong",
                f"Weighted, the log's expected rewards are {abs(z):.1f} standard errors from those "
                "of the policy: the propensities are not true.",
            )
        )
    z = _z(decisions, weight * (decisions.reward - own))
    if abs(z) >= SURPRISING_Z:
        found.append(
            Finding(
                "reward model",
                "care",
                f"The reward model is {abs(z):.1f} standard errors {'low' if z > 0 else 'high'} "
                "under this policy: do not quote the direct estimate.",
            )
        )
    else:
        found.append(
            Finding("reward model", "fine", "The reward model shows no mistake under this policy.")
        )
    return found


def _z(decisions: Decisions, terms: Float[Array, " B"]) -> float:
    return errors_from(terms, 0.0, decisions.cluster, decisions.weight)
