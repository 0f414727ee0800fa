"""Answers as examples in torch, with the likelihoods of their kinds: what mini-batches learn from.

Legend: B observations, K options, N examples over all blocks, M own parameters of all channels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.feedback.channel_contract import Channel
from penchant.fitting.examples import Examples
from penchant.fitting.pooled_density import serving_channel
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelExamples:
    """own_start: where each channel's parameters begin in the vector of all; precision: of the
    normal priors on them; weight: of each example, in NumPy."""

    examples: Examples
    channels: tuple[Channel, ...]
    own_start: Int[Array, " _"]
    precision: Float[Array, " M"]
    weight: Float[Array, " N"]

    @classmethod
    def of(cls, batch: Batch, channels: tuple[Channel, ...], dtype: Any) -> "ChannelExamples":
        """Of a batch of NumPy."""
        import torch

        as_torch = batch.to_torch(dtype)
        # Whose an answer is picks places in a vector: numbers of NumPy, on either side.
        blocks = tuple(
            replace(one, group=two.group) for one, two in zip(as_torch.blocks, batch.blocks)
        )
        sizes = [channel.num_parameters(batch) for channel in channels]
        precision = [channel.prior_precision(batch) for channel in channels]
        return cls(
            examples=Examples.of(replace(as_torch, blocks=blocks)),
            channels=channels,
            own_start=np.concatenate([[0], np.cumsum(sizes)]).astype(int),
            precision=torch.from_numpy(np.concatenate([np.zeros(0), *precision])).to(dtype),
            weight=np.concatenate([np.zeros(0), *(block.weight for block in batch.blocks)]),
        )

    def log_prob(
        self, blocks: tuple[Block, ...], worths: Callable[[Block], Array], own: Float[Array, " M"]
    ) -> Any:
        """The weighted sum of the answers' log-probabilities, as one number of torch."""
        total: Any = 0.0
        for block in blocks:
            index = serving_channel(self.channels, block.kind)
            mine = own[self.own_start[index] : self.own_start[index + 1]]
            total = total + block.weight @ self.channels[index].log_prob(worths(block), block, mine)
        return total
