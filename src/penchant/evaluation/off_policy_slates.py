"""What another policy would have earned where rounds show several options: slates, picks,
rankings, comparisons.

Legend: B rounds, L places from the top, K options of a menu, N options over all menus, M policies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.slates import Slates
from penchant.errors import ConfigError, DataError
from penchant.evaluation.off_policy import OffPolicyReport, PolicyValue, ValueEstimate
from penchant.evaluation.off_policy_words import (
    SURPRISING_Z,
    Finding,
    finding_of_learning,
    findings_of_overlap,
)
from penchant.evaluation.slates_reward_model import cascade_terms, cross_fit_places
from penchant.metrics import off_policy_slates
from penchant.metrics.importance import errors_from, overlap, unsupported_mass
from penchant.metrics.intervals import clustered_mean
from penchant.metrics.off_policy_preferences import preferred_to_shown, win_shares
from penchant.metrics.policy_choice import PolicyChoice, choose_policy
from penchant.numerics.arrays import Array
from penchant.policies.policy import Policy

Places = Literal["drawn", "each"]
# What an estimate assumes of rewards, and one that assumes less, with which it must agree.
ASSUMES = {
    "cascade ips": (
        "slate ips", "that people read from the top: a place's reward hangs on it and those above"
    ),
    "independent ips": (
        "cascade ips", "that each place is taken or left whatever stands around it"
    ),
    "pseudo-inverse": (
        "slate ips", "that each item adds to the whole by itself, at its own place"
    ),
}  # fmt: skip

# The first that there is; both assume that people read from the top.
QUOTED = ("cascade doubly robust", "cascade ips")
# Chances of every slate of one round, over all rounds that are not alike: 400 MB.
_MOST_SLATES = 50_000_000
# Of the cross-fitted reward model, where nothing else is said.
_FOLDS = 2
# Below it a probability is what rounding left of 0.
_NO_CHANCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class SlatesConfig:
    """places: "drawn" where probabilities are those of standing in front, and further places are
    drawn from what is left of them (as `penchant decide` does); "each" where they are those of what
    was shown at its own place, given what stands above. formula: features of the reward model of
    doubly robust estimates, which need rewards and drawn places (else `evaluate_slates` refuses
    both); "" for none, None for the options alone. num_folds: for cross-fitting. level: how often
    an interval holds."""

    places: Places = "drawn"
    formula: str | None = None
    num_folds: int = _FOLDS
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.places not in ("drawn", "each"):
            raise ConfigError(f"places is {self.places!r}; expected drawn or each.")
        if not 0 < self.level < 1:
            raise ConfigError(f"the level is {self.level}; expected a share such as 0.95.")


@dataclass(frozen=True, eq=False)
class _Chances:
    """Of what stands at each place: given those above it, and of the place alone (None where
    slates have too many places for that). law: of each option to stand in front; item: the option
    at each place, -1 beyond the last; both None where that is not known."""

    in_turn: Float[Array, "B L"]
    alone: Float[Array, "B L"] | None
    law: Float[Array, "B K"] | None = None
    item: Int[Array, "B L"] | None = None


def evaluate_slates(
    slates: Slates, policies: Mapping[str, Policy], config: SlatesConfig | None = None
) -> OffPolicyReport:
    """Every policy by every estimator of slates that the log allows.

    Of rewards: what the places of a round earn together, by `slate_ips`, `cascade_ips`,
    `independent_ips`, `pseudo_inverse` and, quoted where there is one, `cascade_doubly_robust` with
    a cross-fitted reward model of each place. Of picks, rankings and comparisons: how often what
    the policy puts at a place is preferred to what the log shows beside it (`preferred_to_shown`);
    the log's own value is the same of itself. Raises DataError for propensities that are not there
    or do not add up.
    """
    config = config or SlatesConfig()
    if not policies:
        raise ConfigError("no policy was given; expected at least one, such as Uniform().")
    logged = _chances(slates, slates.propensities, "the log", config)
    if not ((logged.in_turn > 0) & (logged.in_turn <= 1 + 1e-6)).all():
        row = int(np.argmax(~(logged.in_turn > 0).all(axis=1)))
        raise DataError(
            f"in round {row} something was shown that the log's propensities give no chance, or "
            "none is logged; expected a propensity above 0 for all that was shown. Mend the log, "
            "or say with `places` (--places) whether they are of standing in front or of each "
            "place."
        )
    own, model = _logged_terms(slates), _model(slates, config)
    found = tuple(
        _value(slates, name, policy, logged, own, model, config)
        for name, policy in policies.items()
    )
    return OffPolicyReport(
        rounds=len(slates), clusters=slates.num_clusters, interval="normal",
        logged=clustered_mean(own, slates.cluster, slates.weight, config.level),
        policies=found, choice=_choice(slates, found, own, config), findings=(), notes=slates.notes,
        counted=slates.feedback,
    )  # fmt: skip


def _chances(slates: Slates, law: Float[Array, " N"], name: str, config: SlatesConfig) -> _Chances:
    at_place = slates.at_places(law, 1.0)
    if np.isnan(at_place).any():
        raise DataError(
            f"{name!r} has no probability of something that was shown "
            f"({int(np.isnan(at_place).sum()):,} places are like this); expected one for each. "
            "Name its column, or take a policy that says it."
        )
    if config.places == "each":
        return _Chances(at_place, at_place)
    records = slates.records
    total = np.add.reduceat(law, records.offsets[:-1])
    if not np.allclose(total, 1.0, atol=1e-3):
        row = int(np.argmax(~np.isclose(total, 1.0, atol=1e-3)))
        raise DataError(
            f"the probabilities of {name!r} add up to {total[row]:.6g} in round {row}; expected 1 "
            "over all that might have stood in front. Where they are those of each place that was "
            "shown, say so: places 'each' (`--places each`)."
        )
    width = int(records.menu_sizes.max(initial=1))
    within = np.arange(len(law)) - records.offsets[:-1][records.row_of_option]
    padded = np.zeros((len(slates), width))
    # Digits that a log left out must not be drawn from once all else is.
    padded[records.row_of_option, within] = law / total[records.row_of_option]
    item = np.where(slates.shown, within[np.maximum(slates.line, 0)], -1)
    turn = off_policy_slates.in_turn(padded, item)
    # Also where what was shown lets it be overlooked: such a policy has no second place at all.
    is_short = np.isnan(turn).any(axis=1) | (
        (padded > _NO_CHANCE).sum(axis=1) < slates.shown.sum(axis=1)
    )
    if is_short.any():
        raise DataError(
            f"{name!r} has nothing left to show at further places of round "
            f"{int(np.argmax(is_short))} ({int(is_short.sum()):,} are like this); expected a "
            "policy that gives as many options a chance as there are places. Take softmax or "
            "epsilon."
        )
    if item.shape[1] > 3:
        return _Chances(turn, None, padded, item)
    of_place = off_policy_slates.of_place(padded, item.shape[1])
    alone = np.take_along_axis(of_place, np.maximum(item, 0)[:, :, None], axis=2)[:, :, 0]
    return _Chances(turn, np.where(item >= 0, alone, 1.0), padded, item)


def _model(slates: Slates, config: SlatesConfig) -> Float[Array, "B K L"] | None:
    """What each option of a menu would earn at each place; None where nothing can be foretold."""
    formula = config.formula
    if formula is None:
        formula = "option" if "option" in slates.records.options.column_names else ""
    has_model = slates.feedback == "rewards" and config.places == "drawn" and bool(formula)
    if not has_model and (config.formula or config.num_folds != _FOLDS):
        raise ConfigError(
            f"the reward model has formula {config.formula!r} and {config.num_folds} folds, which "
            f"would change nothing: there are {slates.feedback}, and places are {config.places}; "
            "expected rewards, places that are drawn, and a formula for it. Leave both out."
        )
    if not has_model:
        return None
    found = cross_fit_places(slates, formula, config.num_folds, config.seed)
    records = slates.records
    within = np.arange(len(found)) - records.offsets[:-1][records.row_of_option]
    padded = np.zeros((len(slates), int(records.menu_sizes.max(initial=1)), found.shape[1]))
    padded[records.row_of_option, within] = found
    return padded


def _logged_terms(slates: Slates) -> Float[Array, " B"]:
    if slates.feedback == "rewards":
        return slates.reward.sum(axis=1)
    return _mean_share(slates, np.ones(slates.line.shape))


def _mean_share(slates: Slates, weight: Float[Array, "B L"]) -> Float[Array, " B"]:
    several = slates.shown.sum(axis=1) > 1
    if not several.all():
        raise DataError(
            f"{int((~several).sum()):,} of {len(slates):,} rounds showed one option alone; "
            "expected two or more, as what was shown beside it is what it is compared with. Give "
            "what was shown a `position`, and what was not none."
        )
    return preferred_to_shown(weight, win_shares(slates.rank, slates.shown), slates.shown)


def _value(
    slates: Slates,
    name: str,
    policy: Policy,
    logged: _Chances,
    own: Float[Array, " B"],
    model: Float[Array, "B K L"] | None,
    config: SlatesConfig,
) -> PolicyValue:
    law = policy(slates.records)
    target = _chances(slates, law, name, config)
    turn = target.in_turn / logged.in_turn
    alone = None
    if target.alone is not None and logged.alone is not None:
        alone = target.alone / logged.alone
    terms = _terms(slates, turn, alone)
    notes = list[Finding]()
    if slates.feedback == "rewards":
        if model is not None and target.law is not None and target.item is not None:
            terms["cascade doubly robust"] = cascade_terms(
                target.law, target.item, turn, slates.reward, model
            )
        notes = _add_pseudo_inverse(slates, logged, target, terms)
    quoted = next((key for key in QUOTED if key in terms), next(iter(terms)))
    estimates = tuple(_estimate(slates, key, each, config) for key, each in terms.items())
    weight = turn.prod(axis=1)
    if slates.feedback == "preferences":
        used = turn if alone is None else alone
        weight = np.where(slates.shown, used, 0.0).sum(axis=1) / slates.shown.sum(axis=1)
    unsupported = np.nan
    if config.places == "drawn":
        unsupported = unsupported_mass(law, slates.propensities, slates.records.row_of_option)
    overlaps = overlap(weight, slates.cluster, unsupported)
    return PolicyValue(
        policy=name, estimates=estimates, quoted=quoted,
        gain=clustered_mean(terms[quoted] - own, slates.cluster, slates.weight, config.level),
        overlap=overlaps,
        findings=(
            *findings_of_overlap(overlaps),
            *_assumptions(slates, terms, quoted, alone is None), *notes,
            *finding_of_learning(slates.records, policy, slates.log),
        ),
    )  # fmt: skip


def _terms(
    slates: Slates, turn: Float[Array, "B L"], alone: Float[Array, "B L"] | None
) -> dict[str, Float[Array, " B"]]:
    if slates.feedback == "preferences":
        if alone is None:
            raise DataError(
                f"slates have {slates.line.shape[1]} places; expected at most 3 for picks and "
                "rankings with places that are drawn one from another. Log the chance of each "
                "place alone, and say `--places each`."
            )
        plain = _mean_share(slates, alone)
        mean = np.where(slates.shown, alone, 0.0).sum(axis=1) / slates.shown.sum(axis=1)
        level = float(np.average(plain, weights=slates.weight))
        whole = float(np.average(mean, weights=slates.weight))
        # Weights should average 1; counting them out is biased by 1 / B and spreads less.
        self_normalised = level / whole + (plain - level / whole * mean) / whole
        return {"preferred to shown": plain, "self-normalised": self_normalised}
    found = {
        "slate ips": off_policy_slates.slate_ips(turn, slates.reward),
        "cascade ips": off_policy_slates.cascade_ips(turn, slates.reward),
    }
    if alone is not None:
        found["independent ips"] = off_policy_slates.independent_ips(alone, slates.reward)
    return found


def _add_pseudo_inverse(
    slates: Slates, logged: _Chances, target: _Chances, terms: dict[str, Float[Array, " B"]]
) -> list[Finding]:
    """The estimate, or why there is none. Rounds with the same chances are solved once."""
    if logged.law is None or target.law is None or logged.item is None:
        return []
    num, places = slates.line.shape
    width = logged.law.shape[1]
    both, of_round = np.unique(
        np.concatenate([logged.law, target.law, slates.shown], axis=1), axis=0, return_inverse=True
    )
    is_whole = bool(slates.shown.all())
    if (
        not is_whole
        or places > 3
        or len(both) * max(width**places, (places * width) ** 2) > _MOST_SLATES
    ):
        return [Finding(
            "pseudo-inverse", "care",
            f"The pseudo-inverse is left out: slates of {places} places out of {width} options, "
            f"{len(both):,} rounds of {num:,} unlike the others, are too many to sum over, or "
            "rounds have unlike numbers of places.",
        )]  # fmt: skip
    seen = np.zeros((num, places, width))
    seen[np.arange(num)[:, None], np.arange(places), logged.item] = 1.0
    try:
        weight = off_policy_slates.pseudo_inverse_weights(
            off_policy_slates.of_place(both[:, width : 2 * width], places),
            off_policy_slates.second_moment_in_turn(both[:, :width], places),
        )[of_round.ravel()]
    except DataError as error:
        return [Finding("pseudo-inverse", "care", f"The pseudo-inverse is left out: {error}")]
    terms["pseudo-inverse"] = slates.reward.sum(axis=1) * (weight * seen).sum(axis=(1, 2))
    return []


def _estimate(
    slates: Slates, name: str, terms: Float[Array, " B"], config: SlatesConfig
) -> ValueEstimate:
    found = clustered_mean(terms, slates.cluster, slates.weight, config.level)
    one = clustered_mean(terms, slates.cluster, slates.weight, 0.6826894921370859)
    return ValueEstimate(
        estimator=name, value=found.estimate, low=found.low, high=found.high,
        error=(one.high - one.low) / 2, setting=np.nan, terms=terms,
    )  # fmt: skip


def _assumptions(
    slates: Slates, terms: Mapping[str, Float[Array, " B"]], quoted: str, is_left_out: bool
) -> list[Finding]:
    """Each estimate beside one that assumes less: they are of one number if both are right."""
    found = []
    if is_left_out:
        found.append(Finding(
            "places", "care",
            "Slates have more than three places: estimates by each place alone are left out.",
        ))  # fmt: skip
    for more, (less, assumed) in ASSUMES.items():
        if more not in terms or less not in terms:
            continue
        z = errors_from(terms[more] - terms[less], 0.0, slates.cluster, slates.weight)
        shared = f" (as {quoted})" if more in QUOTED and quoted in QUOTED[:1] else ""
        if abs(z) >= SURPRISING_Z:
            # What is wrong with an estimate that nobody quotes leaves the quoted one as it is.
            found.append(Finding(
                more, "wrong" if more in QUOTED and quoted in QUOTED else "care",
                f"{more}{shared} assumes {assumed}; it is {abs(z):.1f} standard errors "
                f"{'above' if z > 0 else 'below'} {less}, which assumes less. Quote that.",
            ))  # fmt: skip
        else:
            found.append(Finding(more, "fine", f"{more} agrees with {less}, which assumes less."))
    return found


def _choice(
    slates: Slates,
    found: Sequence[PolicyValue],
    own: Float[Array, " B"],
    config: SlatesConfig,
) -> PolicyChoice | None:
    if len(found) < 2:
        return None
    return choose_policy(
        np.stack([one.best.terms for one in found]), own, slates.cluster,
        np.random.default_rng(config.seed), weight=slates.weight, level=config.level,
    )  # fmt: skip
