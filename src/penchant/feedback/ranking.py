"""Rankings of a menu, in part or whole, with or without ties: Plackett-Luce.

Legend: B observations, K (and L) options, I stages (one for each place in sorted order; only those
where a group of equal rank begins count), T options tied, S kinds of people.

`rank` is 1 for the best; equal ranks are ties, gaps between ranks mean nothing, 0 is not ranked:
worse than everything ranked, in unknown order. So a top-k ranking has k positive entries.

A tie means that the order within it is not known, and its probability is the exact sum over orders
(`ties.py`), practical up to eight tied options. The other reading, a tie as an answer of its own,
is the Davidson-Luce model of `davidson_luce.py`, which takes ties of any size.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.feedback import choice, ties
from penchant.feedback.derivatives import (
    Curvature,
    Score,
    curvature_of_utilities,
    diagonal,
    score_of_utilities,
)
from penchant.numerics.arrays import (
    Array,
    add_rows,
    align,
    log_cum_sum_exp,
    log_sigmoid,
    mask_options,
    namespace,
    one_hot,
    put_options,
    sigmoid,
    stack,
    take_options,
)

MOST_TIED = 8


def log_prob(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], rank: Int[Array, "B K"]
) -> Float[Array, " B *S"]:
    """Log-probability of the ranking: the best is chosen, then the best of the rest, and so on.

    log p = sum_i [u_o(i) - log sum_{k not before i} exp(u_k)] over the ranked options in order
    (Luce 1959; Plackett 1975). Raises DataError where more than eight options tie.
    """
    xp = namespace(utilities)
    order = sort_ranking(utilities, offered, rank)
    single = log_sigmoid(order.utilities - order.finite_rest)
    log_p = xp.sum(xp.where(align(order.is_single, single), single, 0.0), axis=1)
    for tie in order.ties():
        log_p = add_rows(log_p, tie.row, ties.log_prob(tie.utilities, tie.rest))
    return log_p


def score(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], rank: Int[Array, "B K"]
) -> Score:
    """First derivatives: each option's own stage, less its share in all stages before."""
    xp = namespace(utilities)
    order = sort_ranking(utilities, offered, rank)
    gap = order.finite_rest - order.utilities
    is_single = align(order.is_single, gap)
    own = xp.where(is_single, sigmoid(gap), 0.0)
    log_pull = xp.where(is_single, log_sigmoid(gap) - order.finite_rest, -math.inf)
    for tie in order.ties():
        found = ties.derivatives(tie.utilities, tie.rest, has_hessian=False).gradient
        own = put_options(own, tie.row[:, None], tie.member, found[:, :-1])
        tie_pull = _log_or_none(-found[:, -1]) - tie.rest
        log_pull = put_options(log_pull, tie.row, tie.member[:, 0], tie_pull)
    before = log_cum_sum_exp(log_pull, axis=1)
    before = take_options(before, xp.clip(order.start - 1, 0))
    has_before = xp.logical_and(order.start > 0, order.offered)
    share = xp.exp(mask_options(order.utilities + before, has_before, fill=-math.inf))
    return score_of_utilities(take_options(own - share, order.inverse))


def curvature(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], rank: Int[Array, "B K"]
) -> Curvature:
    """Minus the second derivatives, stage by stage."""
    xp = namespace(utilities)
    order = sort_ranking(utilities, offered, rank)
    K = utilities.shape[1]
    gap = order.finite_rest - order.utilities
    is_single = align(order.is_single, gap)
    share = order.shares()
    pull = xp.where(is_single, sigmoid(gap), 0.0)
    bend = pull * sigmoid(-gap)
    eye = align(one_hot(xp.arange(K), K, share)[None], share)
    step = eye - share
    total = diagonal(_weigh(pull, share)) - _gram(pull, share) + _gram(bend, step)
    for tie in order.ties():
        found = ties.derivatives(tie.utilities, tie.rest, has_hessian=True)
        members = one_hot(tie.member, K, share)
        rest = share[tie.row, tie.member[:, 0]]
        pull = -found.gradient[:, -1][:, None]
        spread = diagonal(pull * rest) - pull[:, :, None] * rest[:, :, None] * rest[:, None]
        total = add_rows(total, tie.row, spread - _sandwich(found.hessian, members, rest))
    inverse = order.inverse
    total = take_options(total, inverse)
    total = xp.moveaxis(take_options(xp.moveaxis(total, 2, 1), inverse), 2, 1)
    return curvature_of_utilities(total)


def first_probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"]
) -> Float[Array, "B K *S"]:
    """The probability that each option is ranked first."""
    return choice.probabilities(utilities, offered)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tie:
    """All tied groups of one size that something comes after."""

    row: Int[Array, " N"]
    member: Int[Array, "N T"]
    utilities: Float[Array, "N T *S"]
    rest: Float[Array, " N *S"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SortedRanking:
    """Menus with the best first, the unranked last and padding behind them."""

    utilities: Float[Array, "B K *S"]
    offered: Bool[Array, "B K"]
    inverse: Int[Array, "B K"]
    start: Int[Array, "B K"]  # where each option's group of equal rank begins,
    stop: Int[Array, "B K"]  # and where the next one does
    is_ranked: Bool[Array, "B K"]
    has_rest: Bool[Array, "B K"]
    finite_rest: Float[Array, "B K *S"]  # log of the weight of all behind the group, or 0 if none

    @property
    def is_single(self) -> Bool[Array, "B K"]:
        return self._is_group_of(1)

    def ties(self) -> Iterator[Tie]:
        """The ties, size by size. Those that nothing comes after say nothing: any order will do."""
        xp = namespace(self.utilities)
        largest = int(xp.max(xp.where(self._counts, self.stop - self.start, 0)))
        if largest > MOST_TIED:
            raise DataError(
                f"{largest} options share one rank, with others behind them; expected at most "
                f"{MOST_TIED}, since the exact probability sums over all their orders. Use the "
                "Davidson-Luce model, Ranking(ties='davidson_luce'), for ties of this size."
            )
        for size in range(2, largest + 1):
            is_leader = xp.logical_and(self._is_group_of(size), self.start == self._position)
            row, place = xp.nonzero(is_leader)
            if len(row):
                member = place[:, None] + self._position[:size][None]
                yield Tie(
                    row=row,
                    member=member,
                    utilities=self.utilities[row[:, None], member],
                    rest=self.finite_rest[row, place],
                )

    def shares(self) -> Float[Array, "B I K *S"]:
        """What part each option has in what comes after stage i."""
        xp = namespace(self.utilities)
        is_behind = xp.logical_and(self.stop[:, :, None] <= self._position, self.offered[:, None])
        gaps = self.utilities[:, None] - self.finite_rest[:, :, None]
        return xp.exp(xp.where(align(is_behind, gaps), gaps, -math.inf))

    @property
    def _position(self) -> Int[Array, " K"]:
        xp = namespace(self.start)
        return xp.cumulative_sum(xp.ones_like(self.start[0])) - 1

    @property
    def _counts(self) -> Bool[Array, "B K"]:
        return namespace(self.start).logical_and(self.is_ranked, self.has_rest)

    def _is_group_of(self, size: int) -> Bool[Array, "B K"]:
        xp = namespace(self.start)
        return xp.logical_and(self._counts, self.stop - self.start == size)


def sort_ranking(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], rank: Int[Array, "B K"]
) -> SortedRanking:
    """The menus in the order of their ranks."""
    xp = namespace(utilities)
    last = xp.max(rank) + 1
    key = xp.where(offered, xp.where(rank > 0, rank, last), last + 1)
    order = xp.argsort(key, axis=1, stable=True)
    key = take_options(key, order)
    start = xp.sum(xp.astype(key[:, :, None] > key[:, None], rank.dtype), axis=2)
    stop = xp.sum(xp.astype(key[:, :, None] >= key[:, None], rank.dtype), axis=2)
    is_offered = key <= last
    u = take_options(utilities, order)
    suffix = xp.flip(mask_options(u, is_offered, fill=-math.inf), axis=1)
    suffix = xp.flip(log_cum_sum_exp(suffix, axis=1), axis=1)
    has_rest = stop < xp.sum(xp.astype(is_offered, rank.dtype), axis=1)[:, None]
    rest = take_options(suffix, xp.clip(stop, 0, rank.shape[1] - 1))
    return SortedRanking(
        utilities=u,
        offered=is_offered,
        inverse=xp.argsort(order, axis=1),
        start=start,
        stop=stop,
        is_ranked=key < last,
        has_rest=has_rest,
        finite_rest=mask_options(rest, has_rest, fill=0.0),
    )


def _log_or_none(x: Array) -> Array:
    xp = namespace(x)
    return xp.where(x > 0, xp.log(xp.where(x > 0, x, 1.0)), -math.inf)


def _weigh(weight: Float[Array, "B I *S"], x: Float[Array, "B I K *S"]) -> Array:
    return namespace(x).sum(weight[:, :, None] * x, axis=1)


def _gram(weight: Float[Array, "B I *S"], x: Float[Array, "B I K *S"]) -> Array:
    """sum_i weight_i x_i x_i'."""
    xp = namespace(x)
    last = xp.moveaxis(x, (1, 2), (-2, -1))
    weighted = xp.moveaxis(weight[:, :, None] * x, (1, 2), (-1, -2))
    return xp.moveaxis(xp.matmul(weighted, last), (-2, -1), (1, 2))


def _sandwich(
    hessian: Float[Array, "N V W *S"],
    members: Float[Array, "N T K"],
    rest: Float[Array, "N K *S"],
) -> Float[Array, "N K L *S"]:
    """J' H J, where J maps options to the tied utilities and the log of the weight behind them."""
    xp = namespace(hessian)
    J = stack([*(align(members[:, t], rest) + 0.0 * rest for t in range(members.shape[1])), rest],
              axis=1)  # fmt: skip
    right = xp.sum(hessian[:, :, :, None] * J[:, None], axis=2)
    return xp.sum(J[:, :, :, None] * right[:, :, None], axis=1)
