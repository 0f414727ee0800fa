"""The observations of a batch as examples 0 .. N - 1, so that a few can be taken at a time.

Legend: N observations over all blocks, C of them.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from penchant.data.batch import Batch
from penchant.numerics.arrays import Array, constant


@dataclass(frozen=True, kw_only=True, eq=False)
class Examples:
    """Which block an example lies in, where in that block, and whose it is."""

    batch: Batch
    block: Int[Array, " N"]
    place: Int[Array, " N"]
    group: Int[Array, " N"]

    @classmethod
    def of(cls, batch: Batch) -> "Examples":
        """Block by block, in the order of the batch (of NumPy or of torch)."""
        sizes = [len(block) for block in batch.blocks]
        nothing = np.zeros(0, dtype=np.int64)
        return cls(
            batch=batch,
            block=np.repeat(np.arange(len(sizes)), sizes),
            place=np.concatenate([nothing, *(np.arange(size) for size in sizes)]),
            group=np.concatenate([nothing, *(np.asarray(block.group) for block in batch.blocks)]),
        )

    def __len__(self) -> int:
        return len(self.place)

    def take(self, examples: Int[Array, " C"]) -> Batch:
        """A batch of these examples; people stay numbered as they were."""
        of_block, place = self.block[examples], self.place[examples]
        blocks = []
        for number in np.unique(of_block):
            block = self.batch.blocks[number]
            blocks.append(block.take(constant(place[of_block == number], block.row)))
        return replace(self.batch, blocks=tuple(blocks))
