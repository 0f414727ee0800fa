"""What is known of each voter from their votes, the scores being given: modes, nodes, weights.

Legend: B rows, V voters, K effects, Q nodes, M own parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.feedback.gap import GapModel, GapResponse
from penchant.fitting.vote_rows import VoteRows, range_sums
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.populations.voters import EFFECTS, Voters, standard_nodes

# Rows times nodes held at once: some 100 MB with all derivatives.
_AT_ONCE = 2_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A voter's gap, log tie strength and so on at nodes: what the likelihood is asked about."""

    gap: Float[Array, "B Q"]
    own: Float[Array, "B M #Q"]
    reliability: Float[Array, "B Q"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Posteriors:
    """Each voter's posterior as weighted nodes, and log p(votes of v) with the effects summed out.

    centre, root: the normal that the nodes were laid out by.
    """

    nodes: Float[Array, "V Q K"]
    weights: Float[Array, "V Q"]
    log_likelihood: Float[Array, " V"]

    @property
    def mean(self) -> Float[Array, "V K"]:
        """Posterior mean of each effect."""
        return np.einsum("vq,vqk->vk", self.weights, self.nodes)

    @property
    def variance(self) -> Float[Array, "V K"]:
        """Posterior variance of each effect."""
        return np.einsum("vq,vqk->vk", self.weights, (self.nodes - self.mean[:, None]) ** 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class VoterProblem:
    """Rows with the gap that a voter of reliability 1 and no bias would feel."""

    rows: VoteRows
    model: GapModel
    gap: Float[Array, " B"]
    own: Float[Array, " M"]
    voters: Voters

    def heard(self, effects: Float[Array, "V Q K"], first: int, last: int) -> Heard:
        """What voters first .. last - 1 hear, whose effects are given."""
        whole = self.voters.full(effects)
        start = self.rows.voter_start
        counts = np.diff(start[first : last + 1])
        rows = slice(start[first], start[last])
        each = np.repeat(whole, counts, axis=0)
        reliability = np.exp(each[..., 0])
        own = np.broadcast_to(self.own[None, :, None], (*each.shape[:1], len(self.own), 1))
        if len(self.own):
            own = own + each[:, None, :, 2]
        return Heard(
            gap=reliability * self.gap[rows, None] + each[..., 1],
            own=own,
            reliability=reliability,
        )

    def chunks(self, num_nodes: int) -> Iterator[tuple[int, int, slice]]:
        """Runs of voters whose rows times nodes fit in memory, with their rows."""
        start = self.rows.voter_start
        first = 0
        while first < self.rows.num_voters:
            room = start[first] + max(_AT_ONCE // num_nodes, 1)
            last = max(int(np.searchsorted(start, room, side="right")) - 1, first + 1)
            yield first, last, slice(int(start[first]), int(start[last]))
            first = last

    def respond(self, heard: Heard, rows: slice) -> GapResponse:
        """The likelihood of these rows' answers at every node."""
        return self.model.respond(heard.gap, self.rows.answer[rows], heard.own)


def improve_modes(
    problem: VoterProblem, modes: Float[Array, "V K"], num_steps: int
) -> tuple[Float[Array, "V K"], Float[Array, "V K K"]]:
    """Steps by Gauss and Newton towards each voter's mode, all voters at once; then the curvature.

    The curvature leaves out how the slope itself bends with log reliability, so that it is
    positive definite everywhere. A step is at most one prior standard deviation long: modes only
    say where to look, and looks are weighted exactly.
    """
    voters = problem.voters
    at = [EFFECTS.index(effect) for effect in voters.effects]
    for step in range(num_steps + 1):
        gradient, curvature = _derivatives(problem, modes)
        gradient = gradient[:, at] - (modes - voters.means) / voters.spreads**2
        curvature = curvature[:, at][:, :, at] + np.diag(voters.spreads**-2.0)
        if step < num_steps:
            move = np.linalg.solve(curvature, gradient[..., None])[..., 0]
            modes = modes + np.clip(move, -voters.spreads, voters.spreads)
    return modes, curvature


def _derivatives(
    problem: VoterProblem, modes: Float[Array, "V K"]
) -> tuple[Float[Array, "V 3"], Float[Array, "V 3 3"]]:
    """Gradient of log p(votes of v) by all three effects and the Gauss-Newton information."""
    count = problem.rows.num_voters
    gradient, information = np.zeros((count, 3)), np.zeros((count, 3, 3))
    for first, last, rows in problem.chunks(1):
        heard = problem.heard(modes[first:last, None], first, last)
        found = problem.respond(heard, rows)
        weight = problem.rows.weight[rows]
        pull = (heard.reliability[:, 0] * problem.gap[rows])[:, None]
        reach = np.concatenate([pull, np.ones_like(pull)], axis=1)
        steep = np.zeros((len(pull), 3))
        steep[:, :2] = (weight * found.slope[:, 0])[:, None] * reach
        bends = np.zeros((len(pull), 3, 3))
        bends[:, :2, :2] = (weight * found.bend[:, 0])[:, None, None] * (
            reach[:, :, None] * reach[:, None]
        )
        if len(problem.own):
            steep[:, 2] = weight * found.own_slope[:, :, 0].sum(axis=1)
            cross = weight * found.cross[:, :, 0].sum(axis=1)
            bends[:, :2, 2] = bends[:, 2, :2] = cross[:, None] * reach
            bends[:, 2, 2] = weight * found.own_bend[:, :, :, 0].sum(axis=(1, 2))
        start = problem.rows.voter_start[first : last + 1] - rows.start
        gradient[first:last] = range_sums(steep, start)
        information[first:last] = range_sums(bends, start)
    return gradient, information


def posteriors(
    problem: VoterProblem, modes: Float[Array, "V K"], curvature: Float[Array, "V K K"]
) -> Posteriors:
    """Adaptive Gauss-Hermite quadrature around each voter's mode (Liu and Pierce 1994).

    Nodes z_q = mode + L x_q with L L' the inverse curvature; p(votes of v) = sum_q w_q |L|
    p(votes | z_q) p(z_q) / phi(x_q). With one node this is Laplace.
    """
    voters, standard = problem.voters, standard_nodes(modes.shape[1])
    root = np.linalg.cholesky(np.linalg.inv(curvature))
    nodes = modes[:, None] + np.einsum("vkl,ql->vqk", root, standard.places)
    log_joint = voters.log_density(nodes)
    for first, last, rows in problem.chunks(len(standard.places)):
        heard = problem.heard(nodes[first:last], first, last)
        logs = problem.respond(heard, rows).value * problem.rows.weight[rows, None]
        start = problem.rows.voter_start[first : last + 1] - rows.start
        log_joint[first:last] += range_sums(logs, start)
    # log of w / phi(x), and of the volume |L|.
    log_phi = -0.5 * np.sum(standard.places**2, axis=1) - 0.5 * modes.shape[1] * np.log(2 * np.pi)
    volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    log_joint = log_joint + standard.log_weights - log_phi + volume[:, None]
    total = log_sum_exp(log_joint, axis=1)
    return Posteriors(nodes=nodes, weights=np.exp(log_joint - total[:, None]), log_likelihood=total)


def average_response(problem: VoterProblem, found: Posteriors) -> GapResponse:
    """The response of each row to the common gap, averaged over what is known of its voter.

    The slope and the bend by the common gap are r and r^2 times those by what the voter hears.
    """
    parts: list[list[Array]] = []
    for first, last, rows in problem.chunks(found.nodes.shape[1]):
        heard = problem.heard(found.nodes[first:last], first, last)
        one = problem.respond(heard, rows)
        counts = np.diff(problem.rows.voter_start[first : last + 1])
        share = np.repeat(found.weights[first:last], counts, axis=0)
        scaled = share * heard.reliability
        parts.append(
            [
                np.sum(share * one.value, axis=1),
                np.sum(scaled * one.slope, axis=1),
                np.sum(scaled * heard.reliability * one.bend, axis=1),
                np.sum(share[:, None] * one.own_slope, axis=2),
                np.sum(scaled[:, None] * one.cross, axis=2),
                np.sum(share[:, None, None] * one.own_bend, axis=3),
            ]
        )
    names = ("value", "slope", "bend", "own_slope", "cross", "own_bend")
    return GapResponse(
        **{name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(names)}
    )
