"""Kinds of intervals of strengths, and the errors each starts from: as sure as votes allow.

Legend: N items, B votes.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from penchant.data.rankings import Rankings
from penchant.data.votes import Votes
from penchant.errors import ConfigError, DataError
from penchant.fitting.paired_errors import (
    StrengthErrors,
    clustered_errors,
    vote_errors,
)
from penchant.fitting.paired_information import PairedPoint
from penchant.metrics.intervals import students_quantile
from penchant.numerics.arrays import Array

IntervalKind = Literal[
    "auto", "wald", "sandwich", "voter", "profile", "bootstrap", "voter_bootstrap"
]
INTERVAL_KINDS = (
    "auto", "wald", "sandwich", "voter", "profile", "bootstrap", "voter_bootstrap"
)  # fmt: skip
# A voter-clustered error from fewer than this many equally busy voters is itself a rough guess.
FEW_VOTERS = 10.0
# So is one by the scores of fewer than this many votes of equal weight.
_FEW_VOTES = 10.0
# Scores that come to less than this part of the curvature's error (a tenth of its square) agree
# too well to be believed: of ties alone, or of equal soft votes, they are zero.
_TELLS_NOTHING = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalConfig:
    """kind: "wald" trusts the model's curvature; "sandwich" that votes are independent; "voter"
    that voters are; "profile" follows the likelihood's own shape; "bootstrap" and
    "voter_bootstrap" fit resamples of votes and of voters; "auto" picks among the first four.
    level: how often an interval should hold. num_resamples: of either bootstrap.
    unbounded: what stands where the votes bound a strength on one side only: "infinite", or the
    end of the posterior under a weak "prior"."""

    kind: IntervalKind = "auto"
    level: float = 0.95
    num_resamples: int = 500
    unbounded: Literal["infinite", "prior"] = "infinite"

    def __post_init__(self) -> None:
        if self.kind not in INTERVAL_KINDS:
            raise ConfigError(
                f"interval kind is {self.kind!r}; expected one of {', '.join(INTERVAL_KINDS)}."
            )
        if not 0.0 < self.level < 1.0:
            raise ConfigError(f"level is {self.level}; expected a share between 0 and 1.")
        if self.num_resamples < 20:
            raise ConfigError(
                f"num_resamples is {self.num_resamples}; expected at least 20, and 500 for ends "
                "that are steady to a tenth of a standard error."
            )


def chosen_kind(point: PairedPoint, votes: Votes | None) -> IntervalKind:
    if has_repeating_voters(votes):
        return "voter"
    is_half = point.ties == "half" and bool((point.counts.ties > 0).any())
    is_uneven = votes is not None and _is_uneven(votes)
    return "sandwich" if is_half or is_uneven else "wald"


def _is_uneven(votes: Votes) -> bool:
    """Whether votes weigh unlike one, or are probabilities."""
    soft = ~votes.tie & (votes.share > 0.0) & (votes.share < 1.0)
    return bool(soft.any() or (votes.weight != 1.0).any())


def errors_of_kind(
    kind: str,
    point: PairedPoint,
    votes: Votes | None,
    plain: StrengthErrors,
    generator: np.random.Generator,
) -> StrengthErrors:
    if kind == "sandwich":
        uneven = votes if votes is not None and _is_uneven(votes) else None
        return vote_errors(point, uneven, generator)
    if kind == "voter":
        if votes is None or votes.voter is None:
            raise DataError(
                "errors by voter were asked for, and these votes name no voters. Name the voters' "
                'column, or use interval "sandwich" or "wald".'
            )
        return clustered_errors(point, votes, votes.voter, generator)
    return plain


def errors_as_chosen(
    kind: IntervalKind,
    point: PairedPoint,
    votes: Votes | None,
    plain: StrengthErrors,
    level: float,
    generator: np.random.Generator,
) -> StrengthErrors:
    """The errors of a kind that "auto" chose, never surer than few votes or voters allow."""
    errors = errors_of_kind(kind, point, votes, plain, generator)
    if kind == "voter":
        return floored_by_voter(errors, plain, level)
    if kind != "sandwich":
        return errors
    effective, cast = _effective_votes(point, votes), point.counts.votes_of_item
    # The curvature takes a vote of weight ten for ten votes; it is one.
    stretch = np.sqrt(np.where(effective > 0.0, cast / np.maximum(effective, 1e-300), 1.0))
    few = effective < _FEW_VOTES
    return _never_surer(errors, plain, few, stretch, level, is_students=False)


def floored_by_voter(errors: StrengthErrors, plain: StrengthErrors, level: float) -> StrengthErrors:
    """Errors by voter, never surer than the curvature's where voters were few or all but agree."""
    few = errors.degrees_of_freedom + 1.0 < FEW_VOTERS
    return _never_surer(errors, plain, few, np.ones(len(few)), level, is_students=True)


def has_repeating_voters(votes: Votes | Rankings | None) -> bool:
    """Whether two voters or more are named, and some voted, or ranked, more than once."""
    if votes is None or votes.voter is None:
        return False
    known = np.bincount(votes.voter[votes.voter >= 0], minlength=1)
    return bool((known > 0).sum() >= 2 and known.max() > 1)


def _never_surer(
    errors: StrengthErrors,
    plain: StrengthErrors,
    few: Bool[Array, " N"],
    stretch: Float[Array, " N"],
    level: float,
    *,
    is_students: bool,
) -> StrengthErrors:
    """Few votes or voters may agree by chance, and so may many; then the curvature's interval,
    stretched, is the floor.

    The floor is under the interval, not under the error: Student's quantile for three voters has
    already paid for their number, and would pay twice. Where it need not stay Student's, the error
    is the curvature's and so is the quantile. What an error lacks is added with the
    curvature's correlations, so that differences between items are as unsure as the items.
    """
    degrees = errors.degrees_of_freedom
    normal = students_quantile(plain.degrees_of_freedom, level)
    wanted = normal / students_quantile(degrees, level) * stretch * plain.se
    seen = np.isfinite(plain.se) & np.isfinite(errors.se)
    floored = seen & (errors.se < wanted) & (few | (errors.se < _TELLS_NOTHING * wanted))
    if not floored.any():
        return errors
    if not is_students:
        wanted, degrees = stretch * plain.se, np.where(floored, np.inf, degrees)
    lacking = np.zeros(len(wanted))
    lacking[floored] = np.sqrt(wanted[floored] ** 2 - errors.se[floored] ** 2) / plain.se[floored]
    covariance, draws = errors.covariance, errors.draws
    if covariance is not None and plain.covariance is not None:
        known = np.where(seen[:, None] & seen, plain.covariance, 0.0)
        covariance = covariance + known * lacking[:, None] * lacking
    if draws is not None and plain.draws is not None:
        num_draws = min(len(draws), len(plain.draws))
        draws = draws[:num_draws] + plain.draws[:num_draws] * lacking
    se = np.where(floored, wanted, errors.se)
    return replace(errors, se=se, covariance=covariance, draws=draws, degrees_of_freedom=degrees)


def _effective_votes(point: PairedPoint, votes: Votes | None) -> Float[Array, " N"]:
    """(sum_b w_b)^2 / sum_b w_b^2 of the weights w_b of an item's votes."""
    total = point.counts.votes_of_item
    if votes is None:
        return total
    square, N = votes.weight**2, len(total)
    squares = np.bincount(votes.first, square, N) + np.bincount(votes.second, square, N)
    return np.divide(total**2, squares, out=np.zeros(N), where=squares > 0)
