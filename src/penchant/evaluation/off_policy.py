"""What other policies would have earned on a log of decisions: estimates, doubt, and whether to
believe them.

Legend: B rounds, N options over all menus, M policies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from penchant.data.columns import combine_codes, to_codes
from penchant.data.decisions import Decisions
from penchant.errors import ConfigError, DataError
from penchant.evaluation.cross_fitting import RewardModel, cross_fit_reward, estimated_propensities
from penchant.evaluation.off_policy_intervals import (
    IntervalConfig,
    IntervalKind,
    ends_of_terms,
    interval_of,
)
from penchant.evaluation.off_policy_words import (
    Counted,
    Finding,
    finding_of_interval,
    finding_of_learning,
    findings_of_log,
    findings_of_policy,
)
from penchant.metrics import off_policy, off_policy_tuning
from penchant.metrics.importance import Overlap, overlap, unsupported_mass
from penchant.metrics.intervals import Interval, clustered_mean, dense_codes
from penchant.metrics.off_policy_embeddings import marginalised_weights
from penchant.metrics.policy_choice import PolicyChoice, choose_policy
from penchant.numerics.arrays import Array
from penchant.policies.policy import Policy

# Best first: the first of these that a log allows is the one to quote.
TO_QUOTE = ("doubly robust", "snips", "ips")


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig:
    """formula: features of the reward model; empty for none, and for estimates by weights alone.
    num_folds: parts for cross-fitting. interval, level, num_draws, tightest_at: `IntervalConfig`,
    of values and gains; policies are compared by Student's law whatever the interval.
    propensity_formula: estimate propensities by a conditional logit of what was
    taken, in place of the log's. embedding: columns of options that say all that matters of an
    option, for marginalised weights. clip: largest weight of clipped IPS; None picks it, as it
    picks the thresholds of the other compromises. prior_scale: of the reward model's
    part-worths, per standard deviation of a feature; None fits without unless data are separated.
    """

    formula: str = ""
    num_folds: int = 2
    interval: IntervalKind = "normal"
    level: float = 0.95
    propensity_formula: str = ""
    embedding: tuple[str, ...] = ()
    clip: float | None = None
    prior_scale: float | None = None
    num_draws: int = 1000
    tightest_at: float = 1000.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.intervals.kind == "bernstein" and self.propensity_formula:
            raise ConfigError(
                "bernstein intervals hold at any size only with the propensities that were used, "
                "and a propensity formula was given; expected one of the two. Leave out the "
                "formula, or take normal intervals."
            )
        if self.clip is not None and not self.clip > 0:
            raise ConfigError(
                f"clip is {self.clip}; expected a weight above 0, such as 10, or None to have it "
                "picked."
            )

    @property
    def intervals(self) -> IntervalConfig:
        return IntervalConfig(
            kind=self.interval, level=self.level, num_draws=self.num_draws,
            tightest_at=self.tightest_at,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueEstimate:
    """One estimator's answer in units of the reward. setting: the threshold it was used with, NaN
    where it has none. terms: one a round, their mean the estimate."""

    estimator: str
    value: float
    low: float
    high: float
    error: float
    setting: float
    terms: Float[Array, " B"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyValue:
    """What one policy would have earned. quoted: the name of the estimate to quote; gain: its
    difference to what was logged, on the same rounds."""

    policy: str
    estimates: tuple[ValueEstimate, ...]
    quoted: str
    gain: Interval
    overlap: Overlap
    findings: tuple[Finding, ...]

    def estimate(self, estimator: str) -> ValueEstimate:
        """The answer of one estimator, by name. Raises ConfigError for one that is not there."""
        for one in self.estimates:
            if one.estimator == estimator:
                return one
        raise ConfigError(
            f"there is no estimate by {estimator!r}; expected one of "
            f"{', '.join(one.estimator for one in self.estimates)}."
        )

    @property
    def best(self) -> ValueEstimate:
        return self.estimate(self.quoted)


@dataclass(frozen=True, kw_only=True, eq=False)
class OffPolicyReport:
    """logged: mean reward of the log. interval: the kind of its, the values' and the gains'.
    choice: all policies compared, where there are several, by Student's law at this size. counted:
    what values are of, rewards of a round or preferences (how often what a policy puts at a place
    is preferred to what the log shows beside it)."""

    rounds: int
    clusters: int
    interval: IntervalKind
    logged: Interval
    policies: tuple[PolicyValue, ...]
    choice: PolicyChoice | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    counted: Counted = "rewards"


def evaluate_policies(
    decisions: Decisions, policies: Mapping[str, Policy], config: OffPolicyConfig | None = None
) -> OffPolicyReport:
    """Every policy by every estimator that the log allows.

    The direct method, doubly robust and their kin need whole menus and a formula, weights need
    propensities (logged or estimated). Raises DataError where neither is there.
    """
    config = config or OffPolicyConfig()
    if not policies:
        raise ConfigError("no policy was given; expected at least one, such as Uniform().")
    targets = {name: policy(decisions.records) for name, policy in policies.items()}
    if config.propensity_formula:
        decisions = _with_estimates(decisions, config)
    elif np.isnan(decisions.propensity).any():
        raise DataError(
            f"{int(np.isnan(decisions.propensity).sum()):,} of {len(decisions):,} rounds have no "
            "propensity of the action taken; expected one for each. Name its column, or give a "
            "propensity formula to estimate what the logging policy did."
        )
    model = _reward_model(decisions, list(targets.values()), config)
    found = tuple(
        _value(decisions, name, target, None if model is None else (model, m), config)
        for m, (name, target) in enumerate(targets.items())
    )
    found = tuple(
        replace(
            one,
            findings=(
                *one.findings,
                *finding_of_learning(decisions.records, policy, decisions.log),
            ),
        )
        for one, policy in zip(found, policies.values())
    )
    rng = np.random.default_rng(config.seed)
    choice = _choice(decisions, found, config, rng)
    return OffPolicyReport(
        rounds=len(decisions), clusters=decisions.num_clusters, interval=config.interval,
        logged=clustered_mean(decisions.reward, decisions.cluster, decisions.weight, config.level),
        policies=found, choice=choice,
        findings=findings_of_log(decisions, is_estimated=bool(config.propensity_formula)),
        notes=decisions.notes,
    )  # fmt: skip


def _choice(
    decisions: Decisions,
    found: Sequence[PolicyValue],
    config: OffPolicyConfig,
    rng: np.random.Generator,
) -> PolicyChoice | None:
    """All policies that the log can speak of, compared; those it cannot have NaN ends."""
    told = np.array([one.overlap.effective > 0 for one in found])
    if told.sum() < 2:
        return None
    few = choose_policy(
        np.stack([one.best.terms for one in found if one.overlap.effective > 0]),
        decisions.reward, decisions.cluster, rng, weight=decisions.weight, level=config.level,
    )  # fmt: skip
    value, low, high = np.full((3, len(found)), np.nan)
    value[told], low[told], high[told] = few.value, few.low, few.high
    may_be_best, beats_logged = np.zeros((2, len(found)), dtype=bool)
    may_be_best[told], beats_logged[told] = few.may_be_best, few.beats_logged
    return PolicyChoice(
        value=value, low=low, high=high, may_be_best=may_be_best, beats_logged=beats_logged,
        best=int(np.flatnonzero(told)[few.best]),
    )  # fmt: skip


def _with_estimates(decisions: Decisions, config: OffPolicyConfig) -> Decisions:
    if not decisions.has_whole_menus:
        raise DataError(
            "propensities cannot be estimated from a log of the options shown only; expected whole "
            "menus. Log them, or complete the menus with all options of the log (--menu)."
        )
    found = estimated_propensities(
        decisions, config.propensity_formula, config.num_folds, config.seed
    )
    return replace(decisions, propensities=found)


def _reward_model(
    decisions: Decisions, targets: Sequence[Float[Array, " N"]], config: OffPolicyConfig
) -> RewardModel | None:
    if not config.formula or not decisions.has_whole_menus:
        return None
    return cross_fit_reward(
        decisions, targets, config.formula, config.num_folds, config.seed, config.prior_scale
    )


def _value(
    decisions: Decisions,
    name: str,
    target: Float[Array, " N"],
    model: tuple[RewardModel, int] | None,
    config: OffPolicyConfig,
) -> PolicyValue:
    weight = off_policy.importance_weights(target[decisions.taken], decisions.propensity)
    if not np.isfinite(weight).all():
        row = int(np.argmax(~np.isfinite(weight)))
        raise DataError(
            f"policy {name!r} has no finite weight in round {row}: it takes the action with "
            f"probability {target[decisions.taken][row]:.6g}, the log says "
            f"{decisions.propensity[row]:.6g} ({int((~np.isfinite(weight)).sum())} rounds are like "
            "this); expected a propensity above 0 for what was taken. Mend the log."
        )
    overlaps = overlap(
        weight, decisions.cluster,
        unsupported_mass(target, decisions.propensities, decisions.records.row_of_option),
    )  # fmt: skip
    rng = np.random.default_rng(config.seed)
    settled = _terms(decisions, target, weight, model, config)
    ends = ends_of_terms(decisions, target, config.clip)
    is_bernstein = config.interval == "bernstein"
    if is_bernstein and not ends:
        raise DataError(
            f"bernstein intervals of policy {name!r} need ends that no reward and no weight can "
            "pass; expected rewards of the kind binary and propensities of whole menus. Declare "
            "and log them, or take normal intervals."
        )
    estimates = []
    for estimator, (terms, setting) in settled.items():
        interval = interval_of(decisions, terms, ends.get(estimator), config.intervals, rng)
        is_unseen = overlaps.effective == 0 and estimator != "direct"
        if is_unseen:
            # All terms are alike because nothing was seen, not because all is known; without a
            # reward model there is not even a guess.
            alone = estimator in ("ips", "clipped ips", "marginalised ips")
            interval = Interval(np.nan if alone else interval.estimate, np.nan, np.nan)
        error = np.nan if is_unseen else _error(decisions, terms)
        estimates.append(
            ValueEstimate(
                estimator=estimator,
                value=interval.estimate,
                low=interval.low,
                high=interval.high,
                error=error,
                setting=setting,
                terms=terms,
            )
        )
    quoted = "ips" if is_bernstein else next(one for one in TO_QUOTE if one in settled)
    return PolicyValue(
        policy=name, estimates=tuple(estimates), quoted=quoted,
        gain=interval_of(decisions, settled[quoted][0] - decisions.reward, ends.get("gain"),
                         config.intervals, rng),
        overlap=overlaps,
        findings=(
            *finding_of_interval(config.interval, config.tightest_at),
            *findings_of_policy(
                decisions, overlaps, weight, target,
                model[0].predicted if model is not None and "direct" in settled else None,
            ),
        ),
    )  # fmt: skip


def _terms(
    decisions: Decisions,
    target: Float[Array, " N"],
    weight: Float[Array, " B"],
    model: tuple[RewardModel, int] | None,
    config: OffPolicyConfig,
) -> dict[str, tuple[Float[Array, " B"], float]]:
    """The terms of every estimator, and the threshold where it has one."""
    reward, none = decisions.reward, np.nan
    clip = off_policy_tuning.clip(weight, reward) if config.clip is None else config.clip
    found = {
        "ips": (off_policy.ips(weight, reward), none),
        "clipped ips": (off_policy.clipped_ips(weight, reward, clip), clip),
        "snips": (off_policy.snips(weight, reward, decisions.weight), none),
    }
    if config.embedding:
        marginal = _marginal_weights(decisions, target, config.embedding)
        found["marginalised ips"] = (off_policy.ips(marginal, reward), none)
    if model is None or np.isnan(target).any():
        return found
    return _model_terms(decisions, target, weight, *model) | found


def _model_terms(
    decisions: Decisions,
    target: Float[Array, " N"],
    weight: Float[Array, " B"],
    model: RewardModel,
    policy: int,
) -> dict[str, tuple[Float[Array, " B"], float]]:
    """Of estimators with a reward model; each with the doubt that comes from having fitted it."""
    reward, own = decisions.reward, model.predicted[decisions.taken]
    value = decisions.total(target * model.predicted)

    def influence(used: Float[Array, " B"]) -> Float[Array, " B"]:
        return model.correction(policy, used)

    switch = off_policy_tuning.switch_threshold(weight, reward - own, value, influence)
    shrink = off_policy_tuning.shrinkage(weight, reward - own, value, influence)
    inputs = (weight, reward, own, value)
    whole = np.average(weight, weights=decisions.weight)
    plain = {
        "doubly robust": (off_policy.doubly_robust(*inputs), weight, np.nan),
        "self-normalised doubly robust": (
            off_policy.self_normalised_doubly_robust(*inputs, decisions.weight),
            weight / (whole or np.nan), np.nan,
        ),
        "switch doubly robust": (
            off_policy.switch_doubly_robust(*inputs, switch),
            np.where(weight <= switch, weight, 0.0), switch,
        ),
        "shrunk doubly robust": (
            off_policy.shrunk_doubly_robust(*inputs, shrink),
            off_policy.shrunk_weights(weight, shrink), shrink,
        ),
        "direct": (off_policy.direct(value), np.zeros_like(weight), np.nan),
    }  # fmt: skip
    return {
        name: (terms + influence(used), setting) for name, (terms, used, setting) in plain.items()
    }


def _marginal_weights(
    decisions: Decisions, target: Float[Array, " N"], columns: tuple[str, ...]
) -> Float[Array, " B"]:
    if not decisions.has_whole_propensities:
        raise DataError(
            "marginalised weights need the propensity of every option of a menu, not only of the "
            "one taken; expected whole propensities that add up to 1. Log them, or give a "
            "propensity formula."
        )
    options, kind = decisions.records.options, np.zeros(len(target), dtype=np.int64)
    for name in columns:
        if name not in options.column_names:
            raise DataError(
                f"there is no column {name!r} of options to marginalise over; expected one of "
                f"{', '.join(options.column_names)}."
            )
        kind = combine_codes(kind, to_codes(options[name])[0])
    row = decisions.records.row_of_option
    kind = dense_codes(kind)[0]
    return marginalised_weights(target, decisions.propensities, kind, row, decisions.taken)


def _error(decisions: Decisions, terms: Float[Array, " B"]) -> float:
    one = clustered_mean(terms, decisions.cluster, decisions.weight, level=0.6826894921370859)
    return (one.high - one.low) / 2
