"""Answers of any kind, person by person: how likely they are at given tastes, and each one's mode.

By the channels' own derivatives, for all people at once in NumPy. Plain choices, and whatever is
made of choices (`feedback.as_choices`), take the fused loops of `personal_fused` instead; here are
left real outcomes, ties inside a ranking, and their like.

Legend: B observations, K options, G groups (people), R random tastes, S draws. z are random tastes
in standard units: beta = mean + root z.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.taste_posterior import (
    PersonalDraws,
    PersonalModes,
    TastePrior,
    drawn_around,
)
from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.feedback.channel_contract import Channel
from penchant.numerics.arrays import Array

# Floats that the worths of rows taken together may hold: 4 MB, so that they stay in the cache.
CHUNK_FLOATS = 500_000
# A tie in a ranking is a sum over orders, which need not be concave; the prior's curvature of one
# makes up for it but for far tails, where a Newton step would otherwise go the wrong way.
LEAST_CURVATURE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswersOfKinds:
    """Rows of people whose groups are numbered 0 .. G - 1, each kind with its likelihood.

    own: the own parameters of each channel, for these people.
    """

    batch: Batch
    channels: tuple[Channel, ...]
    own: tuple[Float[Array, " _"], ...]

    def log_prob(self, prior: TastePrior, z: Float[Array, "G S R"]) -> Float[Array, "G S"]:
        """sum over the rows of each person of w_b log p(y_b | mean + root z)."""
        total = np.zeros(z.shape[:2])
        for block, channel, own in self._chunks(z.shape[1]):
            offset, design = _standardised(block, prior)
            worths = offset[:, :, None] + np.einsum("bkr,bsr->bks", design, z[block.group])
            log_prob = channel.log_prob(worths, block, own[:, None])
            np.add.at(total, block.group, log_prob * block.weight[:, None])
        return total

    def slope_and_bend(
        self, prior: TastePrior, z: Float[Array, "G R"]
    ) -> tuple[Float[Array, "G R"], Float[Array, "G R R"]]:
        """Gradient of log p(answers | z) - z'z / 2 of each person, and minus its Hessian."""
        num_groups, size = z.shape
        slope, bend = -z, np.broadcast_to(np.eye(size), (num_groups, size, size)).copy()
        for block, channel, own in self._chunks(size):
            offset, design = _standardised(block, prior)
            worths = offset + np.einsum("bkr,br->bk", design, z[block.group])
            pull = channel.score(worths, block, own).utilities * block.weight[:, None]
            np.add.at(slope, block.group, np.einsum("bk,bkr->br", pull, design))
            curvature = channel.curvature(worths, block, own).utilities
            weighted = np.einsum("bkl,blr->bkr", curvature, design) * block.weight[:, None, None]
            rows = np.swapaxes(design, 1, 2) @ weighted
            np.add.at(bend, block.group, rows)
        return slope, bend

    def _chunks(self, num_draws: int) -> Iterator[tuple[Block, Channel, Float[Array, " _"]]]:
        for block in self.batch.blocks:
            place = _serving(self.channels, block)
            step = max(1, CHUNK_FLOATS // (block.offered.shape[1] * max(num_draws, 1)))
            for start in range(0, len(block), step):
                rows = np.arange(start, min(start + step, len(block)))
                part = block if len(block) <= step else block.take(rows)
                yield part, self.channels[place], self.own[place]


def climb(
    answers: AnswersOfKinds,
    prior: TastePrior,
    start: Float[Array, "G R"] | None,
    max_steps: int,
    tolerance: float,
) -> PersonalModes:
    """Damped Newton for everybody at once, from the population's middle where there is no start;
    who has arrived stands still."""

    def log_joint(z: Float[Array, "G R"]) -> Float[Array, " G"]:
        found = answers.log_prob(prior, z[:, None])[:, 0]
        return found - 0.5 * (z**2).sum(axis=1)

    if start is None:
        start = np.zeros((answers.batch.num_groups, len(prior.random)))
    z = np.array(start, dtype=np.float64)
    here = log_joint(z)
    for _ in range(max_steps + 1):
        slope, bend = answers.slope_and_bend(prior, z)
        lower = _root(bend)
        step = np.linalg.solve(lower @ np.swapaxes(lower, 1, 2), slope[:, :, None])[:, :, 0]
        decrement = 0.5 * np.einsum("gr,gr->g", slope, step)
        is_moving = decrement > tolerance
        if not is_moving.any():
            break
        length = is_moving.astype(np.float64)
        for _ in range(40):
            there = log_joint(z + length[:, None] * step)
            is_lower = is_moving & ~(there >= here - 1e-13 * np.abs(here))
            if not is_lower.any():
                break
            length = np.where(is_lower, 0.5 * length, length)
        else:
            # Whom no step takes up stays, with the value that belongs there.
            length, there = np.where(is_lower, 0.0, length), np.where(is_lower, here, there)
        z, here = z + length[:, None] * step, there
    return PersonalModes(mode=z, lower=lower, log_joint=here, decrement=decrement)


def weigh_kinds(
    answers: AnswersOfKinds,
    prior: TastePrior,
    mode: Float[Array, "G R"],
    lower: Float[Array, "G R R"],
    noise: Float[Array, "C S R"],
) -> PersonalDraws:
    """Draws around each mode and log p(answers, z) - log proposal(z)."""
    z, against = drawn_around(mode, lower, noise)
    log_joint = answers.log_prob(prior, z) - 0.5 * (z**2).sum(axis=2)
    return PersonalDraws(z=z, log_ratio=log_joint + against)


def _root(bend: Float[Array, "G R R"]) -> Float[Array, "G R R"]:
    """Lower roots, of a matrix bent upwards where it is not."""
    try:
        return np.linalg.cholesky(bend)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(bend)
        raised = vectors * np.maximum(values, LEAST_CURVATURE)[:, None, :]
        return np.linalg.cholesky(raised @ np.swapaxes(vectors, 1, 2))


def _standardised(
    block: Block, prior: TastePrior
) -> tuple[Float[Array, "B K"], Float[Array, "B K R"]]:
    """What all share of each worth, and the features in units of z."""
    return block.features @ prior.mean, block.features[:, :, prior.random] @ prior.root


def _serving(channels: tuple[Channel, ...], block: Block) -> int:
    for place, channel in enumerate(channels):
        if channel.kind == block.kind:
            return place
    raise DataError(
        f"the belief has no likelihood for feedback of kind {block.kind!r}; it was fitted on "
        f"{sorted({channel.kind for channel in channels})}. Keep only rows of these kinds, or fit "
        "on data that has this kind too."
    )
