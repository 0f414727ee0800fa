"""One option chosen from a menu whose options come in nests: the two-level nested logit.

Legend: B observations, K (and L) options, M nests, S kinds of people.

`nest[b, k]` is the nest of each option, 0 .. M-1, or -1 for an option that stands alone.
Own parameters: the log of each nest's scale, `parameters[:, m] = log lambda_m`. A scale of one
makes the nest disappear; below one its options are alike; above one the model is consistent with
utility maximisation only for a range of utilities (Train 2009, section 4.2), and is not refused.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback.derivatives import Curvature, Score, diagonal, outer
from penchant.numerics.arrays import (
    Array,
    align,
    constant,
    log_sum_exp,
    marks,
    mask_options,
    namespace,
    one_hot,
    stack,
    take_option,
    take_options,
)


def log_prob(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    chosen: Int[Array, " B"],
    nest: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, " B *S"]:
    """Log-probability of the option each person chose.

    log p(j) = (u_j - W_m) / lambda_m + W_m - log sum_n exp(W_n), where m is the nest of j and
    W_n = lambda_n log sum_{k in n} exp(u_k / lambda_n) what a nest is worth as a whole
    (McFadden 1978; Train 2009, eq. 4.2).
    """
    return take_option(_levels(utilities, offered, nest, parameters).log_p, chosen)


def probabilities(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    nest: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, "B K *S"]:
    """The probability of choosing each option; zero for those not offered."""
    levels = _levels(utilities, offered, nest, parameters)
    return namespace(utilities).exp(levels.log_p)


def score(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    chosen: Int[Array, " B"],
    nest: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Score:
    """First derivatives; that of W_m to log lambda_m is lambda_m times the nest's entropy."""
    levels = _levels(utilities, offered, nest, parameters)
    hit, mine_K, mine_M = _chosen_nest(utilities, nest, chosen, levels.scale)
    log_q_chosen = take_option(levels.log_q, chosen)[:, None]
    return Score(
        utilities=(hit - mine_K * levels.q) / levels.scale_K
        + levels.q * (mine_K - levels.nest_p_K),
        parameters=mine_M * (-log_q_chosen - levels.entropy)
        + levels.scale * levels.entropy * (mine_M - levels.nest_p),
    )


def curvature(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    chosen: Int[Array, " B"],
    nest: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> Curvature:
    """Minus the second derivatives, for the chosen share within its nest and for the nests."""
    xp = namespace(utilities)
    levels = _levels(utilities, offered, nest, parameters)
    hit, mine_K, mine_M = _chosen_nest(utilities, nest, chosen, levels.scale)
    log_q_chosen = take_option(levels.log_q, chosen)[:, None]
    q, p, scale_K = levels.q, levels.q * levels.nest_p_K, levels.scale_K
    # Slopes to log lambda: of q within its nest, of W (the nest's worth), and of the entropy.
    q_slope = -levels.q_log_q - q * levels.entropy_K
    worth_slope = levels.scale * levels.entropy
    entropy_slope = -levels.within(q_slope * xp.where(q > 0, levels.log_q, 0.0))

    # Two options share a nest; one that stands alone shares it with itself.
    same = align(
        xp.logical_or(
            xp.logical_and(nest[:, :, None] == nest[:, None, :], nest[:, :, None] >= 0),
            constant(np.eye(nest.shape[1], dtype=bool), utilities)[None],
        ),
        outer(q, q),
    )
    within = diagonal(q) - xp.where(same, outer(q, q), 0.0)
    pull = (mine_K / scale_K - (mine_K - levels.nest_p_K)) / scale_K
    member = align(marks(nest, parameters.shape[1]), outer(q, worth_slope))
    to_its_nest = mine_K * (hit - q + q_slope) / scale_K - q_slope * (mine_K - levels.nest_p_K)
    weighted = levels.nest_p * worth_slope
    own = (
        mine_M * (entropy_slope - log_q_chosen - levels.entropy)
        - (mine_M - levels.nest_p) * levels.scale * (levels.entropy + entropy_slope)
        + levels.nest_p * worth_slope**2
    )
    return Curvature(
        utilities=pull[:, :, None] * within + xp.where(same, outer(q, p), 0.0) - outer(p, p),
        cross=xp.where(member, to_its_nest[:, :, None] + outer(p, worth_slope), 0.0)
        - outer(p, weighted),
        parameters=diagonal(own) - outer(weighted, weighted),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Levels:
    """The two levels: q, the share of each option within its nest, and the nests' own shares."""

    nest: Int[Array, "B K"]
    scale: Float[Array, "B M *#S"]
    scale_K: Float[Array, "B K *#S"]
    log_q: Float[Array, "B K *S"]
    log_nest_p: Float[Array, "B M *S"]
    log_nest_p_K: Float[Array, "B K *S"]

    @property
    def log_p(self) -> Float[Array, "B K *S"]:
        return self.log_q + self.log_nest_p_K

    @property
    def q(self) -> Float[Array, "B K *S"]:
        return namespace(self.log_q).exp(self.log_q)

    @property
    def q_log_q(self) -> Float[Array, "B K *S"]:
        q = self.q
        return q * namespace(q).where(q > 0, self.log_q, 0.0)

    @property
    def nest_p(self) -> Float[Array, "B M *S"]:
        return namespace(self.log_q).exp(self.log_nest_p)

    @property
    def nest_p_K(self) -> Float[Array, "B K *S"]:
        return namespace(self.log_q).exp(self.log_nest_p_K)

    @property
    def entropy(self) -> Float[Array, "B M *S"]:
        return -self.within(self.q_log_q)

    @property
    def entropy_K(self) -> Float[Array, "B K *S"]:
        return _per_option(self.entropy, self.nest, alone=0.0)

    def within(self, x: Float[Array, "B K *S"]) -> Float[Array, "B M *S"]:
        """The sum of x over the options of each nest."""
        xp = namespace(x)
        sums = [
            xp.sum(mask_options(x, self.nest == m, fill=0.0), axis=1)
            for m in range(self.scale.shape[1])
        ]
        return stack(sums, axis=1)


def _levels(
    utilities: Float[Array, "B K *S"],
    offered: Bool[Array, "B K"],
    nest: Int[Array, "B K"],
    parameters: Float[Array, "#B M *#S"],
) -> _Levels:
    xp = namespace(utilities)
    scale = xp.exp(align(parameters, utilities))
    scale = xp.broadcast_to(scale, (utilities.shape[0], *scale.shape[1:]))
    scale_K = _per_option(scale, nest, alone=1.0)
    scaled = utilities / scale_K
    members = [xp.logical_and(offered, nest == m) for m in range(scale.shape[1])]
    inclusive = stack(
        [log_sum_exp(mask_options(scaled, member, fill=-math.inf), axis=1) for member in members],
        axis=1,
    )
    # A nest of which nothing is offered is worth minus infinity, but not times its scale: the
    # derivative to that scale would be 0 times infinity.
    is_open = align(xp.stack([xp.any(member, axis=1) for member in members], axis=1), inclusive)
    inclusive = xp.where(is_open, inclusive, 0.0)
    worth = xp.where(is_open, scale * inclusive, -math.inf)
    alone = mask_options(utilities, xp.logical_and(offered, nest < 0), fill=-math.inf)
    log_norm = log_sum_exp(xp.concat([worth, alone], axis=1), axis=1)[:, None]
    in_nest = align(nest >= 0, utilities)
    log_q = xp.where(in_nest, scaled - _per_option(inclusive, nest, alone=0.0), 0.0)
    return _Levels(
        nest=nest,
        scale=scale,
        scale_K=scale_K,
        log_q=mask_options(log_q, offered, fill=-math.inf),
        log_nest_p=worth - log_norm,
        log_nest_p_K=xp.where(in_nest, take_options(worth, xp.clip(nest, 0)), alone) - log_norm,
    )


def _per_option(
    x: Float[Array, "B M *S"], nest: Int[Array, "B K"], alone: float
) -> Float[Array, "B K *S"]:
    """The entry of each option's nest, or `alone` for options that stand alone."""
    taken = take_options(x, namespace(nest).clip(nest, 0))
    return mask_options(taken, nest >= 0, fill=alone)


def _chosen_nest(
    utilities: Float[Array, "B K *S"],
    nest: Int[Array, "B K"],
    chosen: Int[Array, " B"],
    scale: Float[Array, "B M *#S"],
) -> tuple[Array, Array, Array]:
    """Ones at the option chosen, at all options of its nest, and at that nest."""
    xp = namespace(utilities)
    nest_chosen = take_option(nest, chosen)
    is_hit = marks(chosen, nest.shape[1])
    is_mine = xp.where(nest >= 0, nest == nest_chosen[:, None], is_hit)
    return (
        align(xp.astype(is_hit, utilities.dtype), utilities),
        align(xp.astype(is_mine, utilities.dtype), utilities),
        align(one_hot(nest_chosen, scale.shape[1], utilities), utilities),
    )
