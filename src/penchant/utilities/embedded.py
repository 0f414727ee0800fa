"""The worth of a text from its embedding, held once however often the text is shown.

Legend: B observations, K options, S kinds of people, T distinct texts, E dimensions of the
embedding, C further features of an option, D = E + C tastes, M own parameters of a likelihood,
G1 groups (1 where all share).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.numerics.arrays import Array
from penchant.utilities.linear import Linear


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """u[b, k] = f_t' w + x[b, k]' beta with t = option(b, k), the linear reward head.

    The batch's options are the texts, by their line in `vectors`. What a likelihood says of options
    is gathered by text before it meets an embedding, so that a pass costs T x E, not B x K x E, and
    the curvature is F' M F with M sparse, text by text.
    """

    vectors: Float[Array, "T E"]

    @property
    def num_dimensions(self) -> int:
        """E; tastes beyond it belong to further features."""
        return int(self.vectors.shape[1])

    def taste_names(self, batch: Batch) -> tuple[str, ...]:
        """The dimensions, then the further features.

        Raises `DataError` where an option has no line in the embeddings.
        """
        most = max((int(block.option.max(initial=-1)) for block in batch.blocks), default=-1)
        if most >= len(self.vectors):
            raise DataError(
                f"the batch shows text {most}, but there are {len(self.vectors)} embeddings; "
                "expected one for each text. Number the options by the texts that were embedded."
            )
        dimensions = tuple(f"embedding[{e}]" for e in range(self.num_dimensions))
        return dimensions + batch.feature_names

    def worths(self, block: Block, values: Float[Array, "G1 S D"]) -> Float[Array, "B K S"]:
        """The utility of each option; all people share one taste (G1 is 1)."""
        assert len(values) == 1
        cut = self.num_dimensions
        of_text = (self.vectors @ values[0, :, :cut].T.astype(self.vectors.dtype)).astype(
            np.float64
        )
        # Padding has option -1 and reads the last text; `offered` keeps it out of every sum.
        return of_text[block.option] + Linear().worths(block, values[:, :, cut:])

    def row_scores(
        self, block: Block, score: Float[Array, "B K"], num_tastes: int
    ) -> Float[Array, "B D"]:
        """d log p_b / d tastes from d log p_b / d u."""
        shown = np.where(block.offered, score, 0.0)
        content = np.zeros((len(block), self.num_dimensions))
        for place in range(shown.shape[1]):
            content += shown[:, place, None] * self.vectors[block.option[:, place]]
        rest = Linear().row_scores(block, shown, num_tastes - self.num_dimensions)
        return np.concatenate([content, rest], axis=1)

    def gradient(
        self, block: Block, score: Float[Array, "B K"], weight: Float[Array, " B"], num_tastes: int
    ) -> Float[Array, " D"]:
        """sum_b w_b d log p_b / d tastes."""
        shown = np.where(block.offered, score, 0.0)
        pull = self._by_text(block, (shown * weight[:, None])[:, :, None])[:, 0]
        rest = Linear().gradient(block, shown, weight, num_tastes - self.num_dimensions)
        return np.concatenate([self._meet(pull), rest])

    def information(
        self,
        block: Block,
        curvature: Float[Array, "B K K"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "D D"]:
        """sum_b w_b X_b' C_b X_b."""
        cut = self.num_dimensions
        both = block.offered[:, :, None] & block.offered[:, None, :]
        shown = np.where(both, curvature, 0.0)
        total = np.empty((num_tastes, num_tastes))
        between = self._text_by_text(block, shown * weight[:, None, None])
        total[:cut, :cut] = self.vectors.T @ (between @ self.vectors)
        pull = self._by_text(block, (shown @ block.features) * weight[:, None, None])
        total[:cut, cut:] = self._meet(pull)
        total[cut:, :cut] = total[:cut, cut:].T
        total[cut:, cut:] = Linear().information(block, shown, weight, num_tastes - cut)
        return total

    def cross_information(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        weight: Float[Array, " B"],
        num_tastes: int,
    ) -> Float[Array, "D M"]:
        """The curvature between tastes and a likelihood's own parameters."""
        shown = np.where(block.offered[:, :, None], cross, 0.0)
        pull = self._by_text(block, shown * weight[:, None, None])
        rest = Linear().cross_information(block, shown, weight, num_tastes - self.num_dimensions)
        return np.concatenate([self._meet(pull), rest])

    def scales(self, batch: Batch) -> Float[Array, " D"]:
        """One unit for all dimensions, since a rotation of an embedding changes nothing: the root
        mean square of their standard deviations within menus. Of a menu of one text, which has no
        spread of its own, that of all texts counts."""
        total = count = 0.0
        whole = self.vectors.astype(np.float64).var(axis=0).mean()
        for block in batch.blocks:
            share = block.offered / np.maximum(block.offered.sum(axis=1, keepdims=True), 1)
            spread = _variance_within(self.vectors, block.option, share)
            alone = block.offered.sum(axis=1) < 2
            total += block.weight @ np.where(alone, whole, spread)
            count += float(block.weight.sum())
        unit = np.sqrt(total / count) if count > 0 else 0.0
        return np.concatenate([np.full(self.num_dimensions, unit), Linear().scales(batch)])

    def _by_text(self, block: Block, values: Float[Array, "B K M"]) -> Float[Array, "T M"]:
        """Sums over all places where a text is shown."""
        place = np.where(block.offered, block.option, 0).ravel()
        flat = values.reshape(len(place), values.shape[2])
        gathered = np.zeros((len(self.vectors), flat.shape[1]))
        for column in range(flat.shape[1]):
            gathered[:, column] = np.bincount(place, flat[:, column], minlength=len(self.vectors))
        return gathered

    def _meet(self, pull: Float[Array, " T *M"]) -> Float[Array, " E *M"]:
        return (self.vectors.T @ pull.astype(self.vectors.dtype)).astype(np.float64)

    def _text_by_text(self, block: Block, values: Float[Array, "B K K"]) -> Array:
        """The sparse sum of curvatures between texts."""
        from scipy.sparse import coo_array

        place = np.where(block.offered, block.option, 0)
        rows = np.broadcast_to(place[:, :, None], values.shape).ravel()
        columns = np.broadcast_to(place[:, None, :], values.shape).ravel()
        size = len(self.vectors)
        return coo_array(
            (values.ravel().astype(self.vectors.dtype), (rows, columns)), shape=(size, size)
        ).tocsr()


def _variance_within(
    vectors: Float[Array, "T E"], option: Int[Array, "B K"], share: Float[Array, "B K"]
) -> Float[Array, " B"]:
    """Of each menu's embeddings, averaged over the dimensions: sum_k s_k |f_k|^2 - |mean|^2."""
    square = np.einsum("te,te->t", vectors, vectors, dtype=np.float64)
    total = np.einsum("bk,bk->b", share, square[option])
    mean = np.zeros((len(option), vectors.shape[1]))
    for place in range(option.shape[1]):
        mean += share[:, place, None] * vectors[option[:, place]]
    return np.maximum(total - np.einsum("be,be->b", mean, mean), 0.0) / vectors.shape[1]
