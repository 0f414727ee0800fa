"""What is known of each voter from their votes, the scores being given: modes, nodes, weights.

Legend: B rows, V voters, K effects, Q nodes, M own parameters.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from penchant.feedback.gap import GapModel, GapResponse
from penchant.fitting.vote_rows import VoteRows, range_sums
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.populations.voters import EFFECTS, Voters, standard_nodes

# Rows times nodes held at once: some 100 MB with all derivatives.
_AT_ONCE = 2_000_000
# Spreads between these: below the first voters do not differ.
SMALLEST_SPREAD, LARGEST_SPREAD = 0.02, 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """A voter's gap, log tie strength and so on at nodes: what the likelihood is asked about."""

    gap: Float[Array, "B Q"]
    own: Float[Array, "B M #Q"]
    reliability: Float[Array, "B Q"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Posteriors:
    """Each voter's posterior as weighted nodes, and log p(votes of v) with the effects summed
    out."""

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


@dataclass(frozen=True, kw_only=True, eq=False)
class VoterNodes:
    """Where to look at each voter's effects, and the weight of each look in an integral."""

    places: Float[Array, "V Q K"]
    log_weights: Float[Array, "V Q"]


def adaptive_nodes(modes: Float[Array, "V K"], curvature: Float[Array, "V K K"]) -> VoterNodes:
    """Adaptive Gauss-Hermite quadrature around each voter's mode (Liu and Pierce 1994).

    Nodes z_q = mode + L x_q with L L' the inverse curvature, of weight w_q |L| / phi(x_q). With one
    node this is Laplace.
    """
    standard = standard_nodes(modes.shape[1])
    root = np.linalg.cholesky(np.linalg.inv(curvature))
    log_phi = -0.5 * np.sum(standard.places**2, axis=1) - 0.5 * modes.shape[1] * np.log(2 * np.pi)
    volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return VoterNodes(
        places=modes[:, None] + np.einsum("vkl,ql->vqk", root, standard.places),
        log_weights=standard.log_weights - log_phi + volume[:, None],
    )


def weighed(voters: Voters, nodes: VoterNodes, log_votes: Float[Array, "V Q"]) -> Posteriors:
    """p(votes of v) = sum_q weight_q p(votes | z_q) p(z_q), and each node's part in it; `log_votes`
    are log p(votes of v | z_q)."""
    log_joint = voters.log_density(nodes.places) + log_votes + nodes.log_weights
    total = log_sum_exp(log_joint, axis=1)
    return Posteriors(
        nodes=nodes.places, weights=np.exp(log_joint - total[:, None]), log_likelihood=total
    )


def posteriors(
    problem: VoterProblem, modes: Float[Array, "V K"], curvature: Float[Array, "V K K"]
) -> Posteriors:
    """What each voter's votes tell of the effects, around these modes."""
    nodes = adaptive_nodes(modes, curvature)
    log_votes = np.zeros(nodes.log_weights.shape)
    for first, last, rows in problem.chunks(log_votes.shape[1]):
        heard = problem.heard(nodes.places[first:last], first, last)
        logs = problem.respond(heard, rows).value * problem.rows.weight[rows, None]
        start = problem.rows.voter_start[first : last + 1] - rows.start
        log_votes[first:last] = range_sums(logs, start)
    return weighed(problem.voters, nodes, log_votes)


def next_population(voters: Voters, found: Posteriors, active: Bool[Array, " V"]) -> Voters:
    """Means and spreads after one round of EM, from the voters who voted.

    For the spreads MacKay's fixed point (1992), which has the same rest points as EM's and is
    faster.
    """
    mean, variance = found.mean[active], found.variance[active]
    bias_mean = voters.bias_mean
    if "bias" in voters.effects:
        bias_mean = float(mean[:, voters.effects.index("bias")].mean())
    centre = replace(voters, bias_mean=bias_mean).means
    square = ((mean - centre) ** 2).sum(axis=0)
    determined = (1.0 - np.minimum(variance / voters.spreads**2, 1.0)).sum(axis=0)
    # Where votes hardly determine an effect the fixed point is a ratio of noise: EM's is not.
    by_em = (square + variance.sum(axis=0)) / len(mean)
    spreads = np.where(determined > 1.0, square / np.maximum(determined, 1.0), by_em)
    return Voters(
        effects=voters.effects, bias_mean=bias_mean,
        spreads=np.clip(np.sqrt(spreads), SMALLEST_SPREAD, LARGEST_SPREAD),
    )  # fmt: skip


def effect_errors(
    voters: Voters, found: Posteriors, active: Bool[Array, " V"]
) -> Float[Array, "V K"]:
    """Standard deviations of voters' effects, with the error of the mean over voters.

    With prior variance T and posterior variance V, a voter's votes have the part 1 - V / T in what
    is known of the effect, and the mean has the variance T / sum_v (1 - V / T) (Morris 1983). A
    bias rests on the mean by V / T; reliability and ties, measured from it, by 1 - V / T.
    """
    rest = np.minimum(found.variance / voters.spreads**2, 1.0)
    determined = np.maximum((1.0 - rest)[active].sum(axis=0), 1e-9)
    part = np.where([effect == "bias" for effect in voters.effects], rest, 1.0 - rest)
    return np.sqrt(found.variance + part**2 * voters.spreads**2 / determined)


def bound_sentences(voters: Voters) -> tuple[str, ...]:
    """Which spreads stand at the largest that is looked for."""
    found = [effect for effect, spread in zip(voters.effects, voters.spreads)
             if spread > 0.99 * LARGEST_SPREAD]  # fmt: skip
    if not found:
        return ()
    return (
        f"How much voters differ in {' and '.join(found)} stands at its bound, a standard "
        f"deviation of {LARGEST_SPREAD:g} logits: no group of people differs so much. Answers that "
        "echo each other (copies, or one voter's to the same question again and again) look like "
        "this; count one of a voter and question. What is said of single voters is worth little.",
    )


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
