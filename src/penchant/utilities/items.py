"""Item scores: each named option has one worth, whatever it is made of.

Legend: B observations, K options, S kinds of people, I items after the first, M own parameters of
a likelihood, G1 groups (1 where all share).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True)
class Items:
    """u[b, k, s] = score[s, item(b, k)] (Zermelo 1929; Bradley and Terry 1952; Luce 1959).

    Only differences matter, so scores are determined up to a constant: the first item stands at
    zero and has no taste of its own.
    """

    def taste_names(self, batch: Batch) -> tuple[str, ...]:
        """The items after the first.

        Raises `DataError` where fewer than two items are named.
        """
        if len(batch.option_names) < 2:
            raise DataError(
                f"scores compare items, but the data name {len(batch.option_names)} distinct "
                "item(s); expected at least two. Check which column names the options."
            )
        return batch.option_names[1:]

    def worths(self, block: Block, values: Float[Array, "G1 S I"]) -> Float[Array, "B K S"]:
        """The score of each option shown."""
        scores_GSI = np.concatenate([np.zeros((*values.shape[:2], 1)), values], axis=2)
        # Padding has option -1 and reads the last score; `offered` keeps it out of every sum.
        if scores_GSI.shape[0] == 1:
            return scores_GSI[0].T[block.option]
        return scores_GSI[block.group[:, None], :, block.option]

    def row_scores(
        self, block: Block, score: Float[Array, "B K"], num_tastes: int
    ) -> Float[Array, "B I"]:
        """d log p_b / d scores from d log p_b / d u."""
        scores_BI = np.zeros((len(block), num_tastes + 1))
        rows = np.broadcast_to(np.arange(len(block))[:, None], block.option.shape)
        np.add.at(scores_BI, (rows, self._place(block)), np.where(block.offered, score, 0.0))
        return scores_BI[:, 1:]

    def gradient(
        self,
        block: Block,
        score: Float[Array, "B K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, " I"]:
        """sum_b w_b d log p_b / d scores, without a row of indicators for each option."""
        weighted = np.where(block.offered, score, 0.0) * weight[:, None]
        return np.bincount(self._place(block).ravel(), weighted.ravel(), minlength=num_tastes + 1)[
            1:
        ]

    def information(
        self,
        block: Block,
        curvature: Float[Array, "B K K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "I I"]:
        """The curvature of each pair of options, gathered by pair of items."""
        place, size = self._place(block), num_tastes + 1
        both = _both(block.offered)
        full = np.bincount(
            (place[:, :, None] * size + place[:, None, :]).ravel(),
            (np.where(both, curvature, 0.0) * weight[:, None, None]).ravel(),
            minlength=size * size,
        )
        return full.reshape(size, size)[1:, 1:]

    def cross_information(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "I M"]:
        """The curvature between scores and a likelihood's own parameters, gathered by item."""
        gathered = np.zeros((num_tastes + 1, cross.shape[2]))
        weighted = np.where(block.offered[:, :, None], cross, 0.0) * weight[:, None, None]
        np.add.at(gathered, self._place(block).ravel(), weighted.reshape(-1, cross.shape[2]))
        return gathered[1:]

    def scales(self, batch: Batch) -> Float[Array, " I"]:
        """One: an item's score is already in units of utility."""
        return np.ones(len(batch.option_names) - 1)

    @staticmethod
    def _place(block: Block) -> Int[Array, "B K"]:
        return np.where(block.offered, block.option, 0)


def _both(offered: Bool[Array, "B K"]) -> Bool[Array, "B K K"]:
    return offered[:, :, None] & offered[:, None, :]
