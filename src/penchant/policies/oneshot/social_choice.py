"""From many people's utilities to one order: five rules, as ranks and as what they would choose.

Legend: V voters (people, or classes of people with weights), N options.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cmp_to_key
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.minimax_winner import minimax_order, minimax_winner

Rule = Literal["sum", "nash", "maximin", "borda", "minimax_winner"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, kw_only=True, eq=False)
class SocialChoice:
    """rank: places from 1 (best), shared by options the rule cannot tell apart.
    score: what the rule ranks by, higher better: mean utility (sum), mean log of the gain as a part
    of the voter's largest (nash; -inf where somebody gains nothing), the worst voter's utility
    (maximin), mean Borda points from 0 to 1 (borda), probability of the lottery (minimax_winner).
    lottery: what the rule does if it must choose: even chances among the first places; for the
    minimax winner its own probabilities.
    """

    rule: Rule
    rank: Int[Array, " N"]
    score: Float[Array, " N"]
    lottery: Float[Array, " N"]


def social_choice(
    utilities: Float[Array, "V N"],
    rule: Rule,
    *,
    weight: Float[Array, " V"] | None = None,
    disagreement: Float[Array, " V"] | None = None,
) -> SocialChoice:
    """One order from the utilities of all voters.

    - sum: sum_v w_v u_v (Bentham; Harsanyi 1955). Needs utilities in one unit for all.
    - nash: sum_v w_v log(u_v - d_v) (Nash 1950; Kaneko and Nakamura 1979), the same in each
      voter's own unit and zero, since gains count in parts of the voter's largest. `disagreement`
      d_v is what a voter has if nothing is chosen; None takes the voter's lowest utility. Options
      are first ordered by the weight of the voters who gain nothing (less is better), then by the
      sum over the others (Caragiannis et al. 2019). Voters to whom all options are alike have no
      say where d is their lowest utility.
    - maximin: the worst-off voter, then the next worst, and so on (leximin; Rawls 1971, Sen 1970).
      Needs levels that compare between voters; weights are widths of steps of the sorted
      utilities, so that a voter of weight 2 is two voters.
    - borda: mean over voters of the share of other options ranked below, ties half (Borda 1784).
      Uses only each voter's order.
    - minimax_winner: the lottery that no option beats by a majority of weight in expectation
      (`minimax_winner`). Uses only each voter's order.

    Raises `DataError` for utilities that are not finite, weights or disagreement points that do not
    fit, `ConfigError` for an unknown rule.
    """
    weight = check_voters(utilities, weight)
    shares = weight / weight.sum()
    if disagreement is not None and (
        disagreement.shape != (len(utilities),) or not np.all(np.isfinite(disagreement))
    ):
        raise DataError(
            f"disagreement points have shape {disagreement.shape} for {len(utilities)} voters; "
            "expected one finite utility each: what the voter has if nothing is chosen."
        )
    if rule == "nash":
        return _nash(utilities, shares, disagreement)
    rules: dict[str, Callable[[Array, Array], SocialChoice]] = {
        "sum": _sum, "maximin": _maximin, "borda": _borda, "minimax_winner": _minimax_winner,
    }  # fmt: skip
    if rule not in rules:
        raise ConfigError(f"there is no rule {rule!r}; expected one of {', '.join(RULES)}.")
    return rules[rule](utilities, shares)


def on_unit_range(utilities: Float[Array, "V N"]) -> Float[Array, "V N"]:
    """Each voter's utilities from 0 (their worst option) to 1 (their best); 0 if all are alike.

    Relative utilitarianism (Dhillon and Mertens 1999): one way to compare people whose utilities
    have no common unit. It counts a strong taste no more than a weak one.
    """
    low = utilities.min(axis=1, keepdims=True)
    reach = utilities.max(axis=1, keepdims=True) - low
    return (utilities - low) / np.where(reach > 0, reach, 1.0)


def majority(utilities: Float[Array, "V N"], shares: Float[Array, " V"]) -> Float[Array, "N N"]:
    """The share of voters who prefer i to j, those to whom both are alike counted half."""
    above = np.stack([shares @ (column[:, None] > utilities) for column in utilities.T])
    # What neither side wins is a tie, and half of it goes to each.
    # Shares add up to 1 but for rounding, and a probability is not below 0 by that.
    return np.clip(0.5 * (above + 1.0 - above.T), 0.0, 1.0)


def check_voters(
    utilities: Float[Array, "V N"], weight: Float[Array, " V"] | None
) -> Float[Array, " V"]:
    """The weights, 1 each if None. Raises `DataError` for what no rule can use."""
    if utilities.size == 0:
        raise DataError(
            f"utilities have shape {utilities.shape}; expected at least one voter and one option."
        )
    if not np.all(np.isfinite(utilities)):
        voter, option = (int(index[0]) for index in np.nonzero(~np.isfinite(utilities)))
        raise DataError(
            f"voter {voter} values option {option} at {utilities[voter, option]}; expected finite "
            "utilities of every option. Predict what a voter did not see with a fitted model, or "
            "drop the voter."
        )
    weight = np.ones(len(utilities)) if weight is None else weight
    if weight.shape != (len(utilities),) or not (
        np.all((weight >= 0) & np.isfinite(weight)) and weight.sum() > 0
    ):
        raise DataError(
            f"weights have shape {weight.shape} and sum {weight.sum():.6g} for {len(utilities)} "
            "voters; expected one number of 0 or more each, some positive."
        )
    return weight


def _sum(utilities: Array, shares: Array) -> SocialChoice:
    return _by_score("sum", shares @ utilities)


def _borda(utilities: Array, shares: Array) -> SocialChoice:
    size = utilities.shape[1]
    beaten = majority(utilities, shares).sum(axis=1) - 0.5
    return _by_score("borda", beaten / max(size - 1, 1))


def _minimax_winner(utilities: Array, shares: Array) -> SocialChoice:
    preference = majority(utilities, shares)
    lottery = minimax_winner(preference).probability
    return SocialChoice(
        rule="minimax_winner", rank=minimax_order(preference), score=lottery, lottery=lottery
    )


def _nash(
    utilities: Float[Array, "V N"],
    shares: Float[Array, " V"],
    disagreement: Float[Array, " V"] | None,
) -> SocialChoice:
    if disagreement is None:
        disagreement = utilities.min(axis=1)
        has_say = (utilities > disagreement[:, None]).any(axis=1)
        utilities, disagreement = utilities[has_say], disagreement[has_say]
        shares = shares[has_say]
    gain = utilities - disagreement[:, None]
    is_left_out = gain <= 0
    left_out = shares @ is_left_out
    # In parts of the voter's largest gain: the product is ordered alike in any unit, but the sums
    # over "the others" of two options run over different voters, and there units would not cancel.
    largest = gain.max(axis=1, keepdims=True)
    part = np.where(is_left_out, 1.0, gain / np.where(largest > 0, largest, 1.0))
    logs = shares @ np.log(part)
    rank = _places(np.stack([np.round(-left_out, 12), _rounded(logs)], axis=1))
    score = np.where(left_out > 0, -np.inf, logs)
    return SocialChoice(rule="nash", rank=rank, score=score, lottery=_first(rank))


def _maximin(utilities: Array, shares: Array) -> SocialChoice:
    kept = shares > 0
    utilities, shares = utilities[kept], shares[kept]
    order = np.argsort(utilities, axis=0, kind="stable")
    levels = np.take_along_axis(utilities, order, axis=0)
    reach = np.round(np.cumsum(shares[order], axis=0), 12)
    reach[-1] = 1.0

    def compare(one: int, two: int) -> int:
        # The two step functions of voters sorted from worst to best, where they first differ.
        ends = np.union1d(reach[:, one], reach[:, two])
        at = [levels[np.searchsorted(reach[:, option], ends), option] for option in (one, two)]
        differ = np.flatnonzero(at[0] != at[1])
        return int(np.sign(at[1][differ[0]] - at[0][differ[0]])) if len(differ) else 0

    best_first = sorted(range(levels.shape[1]), key=cmp_to_key(compare))
    rank = np.ones(levels.shape[1], dtype=np.int64)
    for place, (before, option) in enumerate(pairwise(best_first), start=2):
        rank[option] = rank[before] if compare(before, option) == 0 else place
    return SocialChoice(rule="maximin", rank=rank, score=levels[0], lottery=_first(rank))


def _by_score(rule: Rule, score: Float[Array, " N"]) -> SocialChoice:
    rank = _places(_rounded(score)[:, None])
    return SocialChoice(rule=rule, rank=rank, score=score, lottery=_first(rank))


def _rounded(score: Float[Array, " N"]) -> Float[Array, " N"]:
    """Sums that are equal but for rounding made equal, whatever their size."""
    step = 1e-11 * max(float(np.abs(score).max()), 1e-300)
    return np.asarray(np.round(score / step) * step)


def _places(keys: Float[Array, "N _"]) -> Int[Array, " N"]:
    """Places from 1, higher keys first, the first column deciding; equal rows share a place."""
    _, code, count = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    above = np.cumsum(count[::-1])[::-1] - count
    return np.asarray(1 + above[code.ravel()], dtype=np.int64)


def _first(rank: Int[Array, " N"]) -> Float[Array, " N"]:
    return np.asarray((rank == 1) / np.count_nonzero(rank == 1))
