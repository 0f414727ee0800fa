"""Linear part-worths: what an option is worth is the sum of what its attributes are worth.

Legend: B observations, K options, S kinds of people, D features, M own parameters of a
likelihood, G1 groups (1 where all share).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch, Block
from penchant.numerics.arrays import Array


@dataclass(frozen=True)
class Linear:
    """u[b, k, s] = sum_d x[b, k, d] beta[g(b), s, d] (Lancaster 1966; McFadden 1974).

    Generic, alternative-specific and interacted part-worths differ only in the features that the
    encoder writes. A part-worth is utility per unit of its feature.
    """

    def taste_names(self, batch: Batch) -> tuple[str, ...]:
        """One name for each part-worth."""
        return batch.feature_names

    def worths(self, block: Block, values: Float[Array, "G1 S D"]) -> Float[Array, "B K S"]:
        """The utility of each option to each kind of people."""
        if values.shape[0] == 1:
            num_rows, num_options, _ = block.features.shape
            flat = _flat(block) @ values[0].T
            return flat.reshape(num_rows, num_options, values.shape[1])
        # A batched product, not an einsum: BLAS reads each row's features once.
        return block.features @ np.swapaxes(values[block.group], 1, 2)

    def row_scores(
        self, block: Block, score: Float[Array, "B K"], num_tastes: int
    ) -> Float[Array, "B D"]:
        """d log p_b / d beta from d log p_b / d u."""
        return np.einsum("bk,bkd->bd", score, block.features)

    def gradient(
        self,
        block: Block,
        score: Float[Array, "B K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, " D"]:
        """sum_b w_b X_b' s_b."""
        return _flat(block).T @ (score * weight[:, None]).ravel()

    def information(
        self,
        block: Block,
        curvature: Float[Array, "B K K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "D D"]:
        """sum_b w_b X_b' C_b X_b."""
        weighted = (curvature * weight[:, None, None]) @ block.features
        return _flat(block).T @ weighted.reshape(_flat(block).shape)

    def cross_information(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "D M"]:
        """sum_b w_b X_b' C_b."""
        weighted = cross * weight[:, None, None]
        return _flat(block).T @ weighted.reshape(len(_flat(block)), cross.shape[2])

    def scales(self, batch: Batch) -> Float[Array, " D"]:
        """Root mean square of each feature's standard deviation within menus, where it varies.

        Menus in which the feature is constant do not count, so that a rare category has the same
        unit as a frequent one.
        """
        total, count = np.zeros(batch.num_features), np.zeros(batch.num_features)
        for block in batch.blocks:
            # A few menus at a time, so that what is made of them stays in cache: four times faster.
            step = max(1, 20_000 // max(block.features[:1].size, 1))
            for start in range(0, len(block), step):
                rows = slice(start, start + step)
                offered, features = block.offered[rows], block.features[rows]
                # Seen from an option of the menu: what is constant is then exactly so.
                one = offered.argmax(axis=1)
                features = features - features[np.arange(len(one)), one][:, None]
                share_BK = offered / np.maximum(offered.sum(axis=1, keepdims=True), 1)
                mean_BD = np.einsum("bk,bkd->bd", share_BK, features)
                square_BD = np.einsum("bk,bkd->bd", share_BK, (features - mean_BD[:, None]) ** 2)
                total += block.weight[rows] @ square_BD
                count += block.weight[rows] @ (square_BD > 0)
        return np.sqrt(total / np.where(count > 0, count, 1.0))


def _flat(block: Block) -> Float[Array, "N D"]:
    """All options of all menus, one after the other; also where there are no features at all."""
    num_rows, num_options, num_features = block.features.shape
    return block.features.reshape(num_rows * num_options, num_features)
