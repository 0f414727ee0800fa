"""The log-likelihood of one taste for all, and its derivatives in three sizes.

Dense for Newton (`evaluate`), without a matrix for L-BFGS (`slope`, `information_times`), group by
group for robust errors (`group_scores`).

Legend: B observations, K options, D tastes, M parameters (tastes, then each channel's own),
G groups (people).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_contract import Channel
from penchant.feedback.scaled import Scaled
from penchant.fitting.lbfgs import Slope
from penchant.fitting.newton import Evaluation
from penchant.numerics.arrays import Array
from penchant.utilities.utility import Utility


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledDensity:
    """sum_b w_b log p(y_b | u_b(theta), own(theta)) over all answers, and its derivatives.

    prior_precision: of the normal prior around zero that the fit adds, per parameter (0: none).
    """

    batch: Batch
    utility: Utility
    channels: tuple[Channel, ...]
    sizes: tuple[int, ...]
    prior_precision: Float[Array, " M"]

    @property
    def num_tastes(self) -> int:
        """D, the parameters before the channels' own."""
        return len(self.prior_precision) - sum(self.sizes)

    def evaluate(self, theta: Float[Array, " M"]) -> Evaluation:
        """Value, gradient and information of the log-likelihood alone."""
        here = self.slope(theta)
        return Evaluation(
            value=here.value, gradient=here.gradient, information=self.information(theta)
        )

    def information(self, theta: Float[Array, " M"]) -> Float[Array, "M M"]:
        """Minus the second derivatives of the log-likelihood alone."""
        num_tastes, information = self.num_tastes, np.zeros((len(theta), len(theta)))
        for block, channel, own in self._parts():
            bend = channel.curvature(self._worths(block, theta), block, theta[own])
            information[:num_tastes, :num_tastes] += self.utility.information(
                block, bend.utilities, block.weight, num_tastes
            )
            if own.stop > own.start:
                place_BM = own.start + channel.parameter_index(block)
                np.add.at(
                    information,
                    (place_BM[:, :, None], place_BM[:, None, :]),
                    bend.parameters * block.weight[:, None, None],
                )
                cross = self._cross(block, bend.cross, place_BM, len(theta))
                information[:num_tastes] += cross
                information[:, :num_tastes] += cross.T
        return information

    def slope(self, theta: Float[Array, " M"]) -> Slope:
        """Value and gradient of the log-likelihood alone: no M x M matrix is made."""
        num_tastes = self.num_tastes
        value, gradient = 0.0, np.zeros(len(theta))
        for block, channel, own in self._parts():
            utilities, weight = self._worths(block, theta), block.weight
            value += float(weight @ channel.log_prob(utilities, block, theta[own]))
            score = channel.score(utilities, block, theta[own])
            gradient[:num_tastes] += self.utility.gradient(
                block, score.utilities, weight, num_tastes
            )
            if own.stop > own.start:
                place_BM = own.start + channel.parameter_index(block)
                np.add.at(gradient, place_BM, score.parameters * weight[:, None])
        return Slope(value=value, gradient=gradient)

    def information_times(
        self, theta: Float[Array, " M"], direction: Float[Array, " M"]
    ) -> Float[Array, " M"]:
        """I(theta) v, exactly: worths are linear in tastes, so that X v are worths too."""
        num_tastes, total = self.num_tastes, np.zeros(len(theta))
        for block, channel, own in self._parts():
            bend = channel.curvature(self._worths(block, theta), block, theta[own])
            moved_BK = self._worths(block, direction)
            pull_BK = np.einsum("bkl,bl->bk", bend.utilities, moved_BK)
            if own.stop > own.start:
                place_BM = own.start + channel.parameter_index(block)
                step_BM = direction[place_BM]
                pull_BK += np.einsum("bkm,bm->bk", bend.cross, step_BM)
                push_BM = np.einsum("bkm,bk->bm", bend.cross, moved_BK)
                push_BM += np.einsum("bmn,bn->bm", bend.parameters, step_BM)
                np.add.at(total, place_BM, push_BM * block.weight[:, None])
            total[:num_tastes] += self.utility.gradient(block, pull_BK, block.weight, num_tastes)
        return total

    def group_log_prob(self, theta: Float[Array, " M"]) -> Float[Array, " G"]:
        """log p(answers of g), their rows weighed."""
        total = np.zeros(self.batch.num_groups)
        for block, channel, own in self._parts():
            log_prob = channel.log_prob(self._worths(block, theta), block, theta[own])
            total += np.bincount(block.group, weights=log_prob * block.weight, minlength=len(total))
        return total

    def reweighted(self, share: Float[Array, " G"]) -> "PooledDensity":
        """The density with all rows of each group weighed by its share besides."""
        blocks = tuple(
            replace(block, weight=block.weight * share[block.group]) for block in self.batch.blocks
        )
        return replace(self, batch=replace(self.batch, blocks=blocks))

    def group_scores(self, theta: Float[Array, " M"]) -> Float[Array, "G M"]:
        """d log p(answers of g) / d theta, for errors that only trust people to be independent."""
        scores = np.zeros((self.batch.num_groups, len(theta)))
        for block, channel, own in self._parts():
            utilities = self._worths(block, theta)
            score = channel.score(utilities, block, theta[own])
            rows = self.utility.row_scores(block, score.utilities, self.num_tastes)
            np.add.at(scores[:, : self.num_tastes], block.group, rows * block.weight[:, None])
            if own.stop > own.start:
                place_BM = own.start + channel.parameter_index(block)
                np.add.at(
                    scores,
                    (block.group[:, None], place_BM),
                    score.parameters * block.weight[:, None],
                )
        return scores

    def _cross(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        place: Int[Array, "B M"],
        num_parameters: int,
    ) -> Float[Array, "D M2"]:
        """The curvature between tastes and own parameters, at the places of the latter."""
        total = np.zeros((self.num_tastes, num_parameters))
        if np.all(place == place[:1]):
            total[:, place[0]] = self.utility.cross_information(
                block, cross, block.weight, self.num_tastes
            )
            return total
        for column in range(place.shape[1]):
            rows = self.utility.row_scores(block, cross[:, :, column], self.num_tastes)
            np.add.at(total.T, place[:, column], rows * block.weight[:, None])
        return total

    def _worths(self, block: Block, theta: Float[Array, " M"]) -> Float[Array, "B K"]:
        return self.utility.worths(block, theta[None, None, : self.num_tastes])[:, :, 0]

    def _parts(self) -> Iterator[tuple[Block, Channel, slice]]:
        """Each block with the channel that serves it and that channel's slice of theta."""
        starts = self.num_tastes + np.concatenate([[0], np.cumsum(self.sizes)]).astype(int)
        for block in self.batch.blocks:
            index = serving_channel(self.channels, block.kind)
            yield block, self.channels[index], slice(int(starts[index]), int(starts[index + 1]))


def serving_channel(channels: tuple[Channel, ...], kind: str) -> int:
    """Which channel gives the likelihood of this kind of feedback.

    Raises `DataError` where none does.
    """
    for index, channel in enumerate(channels):
        if kind == channel.kind:
            return index
    served = sorted({channel.kind for channel in channels})
    raise DataError(
        f"the data hold feedback of kind {kind!r}, which this model has no likelihood for; "
        f"expected {served}. Keep only these rows, or give the model a channel for {kind!r}."
    )


def is_personal(channel: Channel, batch: Batch) -> bool:
    """Whether a channel has parameters of single people, which their priors hold to zero."""
    heard = channel.channel if isinstance(channel, Scaled) else channel
    return bool(np.any(heard.prior_precision(batch)))


def check_common(batch: Batch, channels: tuple[Channel, ...], why: str) -> None:
    """Whether channels whose own parameters all people share serve every answer of a batch.

    Raises `DataError` for an answer of a kind that no channel serves, or that one holds impossible,
    `ConfigError` for a channel with parameters of single people: `why` says what is wrong then.
    """
    for block in batch.blocks:
        serving_channel(channels, block.kind)
    for channel in channels:
        channel.validate(batch)
        if is_personal(channel, batch):
            raise ConfigError(
                f"{channel} has parameters of single people, which {why}; expected parameters "
                "common to all. Leave `by_person` out, or fit one taste for all with it "
                "(OrdinalRatings, fit_pooled)."
            )
