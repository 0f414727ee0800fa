"""What the mathematics sees: integers and floats, blocked by kind of feedback and size of menu.

Legend: B observations, K options of the largest menu of a block, D features,
G groups of rows that share a taste (people, most often), Q group features, N options over all
menus.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array

# The arrays that an answer of each kind consists of; K stands for one entry per option.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "choice": ("chosen",),  # [B] index into the menu
    "pair": ("outcome",),  # [B] 0 first won, 1 second won, 2 tie; K = 2
    "graded": ("grade",),  # [B] 0 .. L-1, higher is better for the first; K = 2
    "ranking": (
        "rank",
    ),  # [B, K] 1 is best, equal ranks are ties, 0 is not ranked (worse than all ranked)
    "best_worst": ("best", "worst"),  # [B], [B] indices into the menu
    "rating": ("level",),  # [B, K] 0 .. L-1, -1 where no rating was given
    "approval": ("approved",),  # [B, K] bool
    "binary": ("success",),  # [B, K] 0 or 1, -1 where nothing was observed
    "outcome": ("value",),  # [B, K] real reward, NaN where nothing was observed
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Observations of one kind of feedback with menus of similar size, padded to K options.

    `row` is each observation's place in the records it came from; `group` indexes
    `Batch.group_names`. Padding has `offered` False, `option` -1 and zero features. An `edit` is a
    choice of the edited text over the proposal and has kind `choice` here.
    """

    kind: str
    features: Float[Array, "B K D"]
    offered: Bool[Array, "B K"]
    option: Int[Array, "B K"]
    row: Int[Array, " B"]
    group: Int[Array, " B"]
    weight: Float[Array, " B"]
    answer: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, keep: Int[Array, " C"]) -> "Block":
        """The observations at the given places of this block, in that order."""
        # Blocks of torch may carry groups of NumPy, which takes a tensor of one for a scalar.
        mixed = np.asarray(keep) if isinstance(self.group, np.ndarray) else keep
        return replace(
            self,
            **{
                name: getattr(self, name)[keep]
                for name in ("features", "offered", "option", "row", "weight")
            },
            group=self.group[mixed],
            answer={name: values[keep] for name, values in self.answer.items()},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FlatChoices:
    """Choices without padding, sorted by group: what the fused loops read.

    The options of observation b are `features[menu_start[b]:menu_start[b + 1]]`; `chosen` points
    into them absolutely; the observations of group g are `group_start[g]:group_start[g + 1]`.
    """

    features: Float[Array, "N D"]
    menu_start: Int[Array, " B1"]
    chosen: Int[Array, " B"]
    weight: Float[Array, " B"]
    group_start: Int[Array, " G1"]
    row: Int[Array, " B"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """All observations that a model is fitted on or asked about.

    Columns of features carry names; people carry theirs in `group_names`; `num_rows` counts the
    rows of the records behind it, so that predictions can be put back in their order.
    """

    blocks: tuple[Block, ...]
    feature_names: tuple[str, ...]
    option_names: tuple[str, ...]
    group_names: tuple[str, ...]
    group_features: Float[Array, "G Q"]
    group_feature_names: tuple[str, ...] = ()
    num_rows: int
    fingerprint: str = ""
    notes: tuple[str, ...] = field(default=())
    scale: tuple[str, ...] = ()  # what the levels of ratings are called, where that is known

    @property
    def num_groups(self) -> int:
        return len(self.group_names)

    @property
    def num_observations(self) -> int:
        return sum(len(block) for block in self.blocks)

    @property
    def num_features(self) -> int:
        return len(self.feature_names)

    def take_groups(self, groups: Int[Array, " H"]) -> "Batch":
        """The rows of these groups only; groups are renumbered in the order given."""
        new_index = np.full(self.num_groups, -1, dtype=np.int64)
        new_index[groups] = np.arange(len(groups))
        blocks = []
        for block in self.blocks:
            kept = block.take(np.flatnonzero(new_index[block.group] >= 0))
            if len(kept):
                blocks.append(replace(kept, group=new_index[kept.group]))
        return replace(
            self,
            blocks=tuple(blocks),
            group_names=tuple(self.group_names[g] for g in groups),
            group_features=self.group_features[groups],
        )

    def take_rows(self, rows: Int[Array, " R"]) -> "Batch":
        """The observations whose `row` is among these; groups stay numbered as they were."""
        wanted = np.zeros(self.num_rows, dtype=bool)
        wanted[rows] = True
        blocks = (block.take(np.flatnonzero(wanted[block.row])) for block in self.blocks)
        return replace(self, blocks=tuple(block for block in blocks if len(block)))

    def in_parts(self, num_groups: int) -> Iterator[tuple["Batch", tuple[Int[Array, " _"], ...]]]:
        """The batch by so many groups at a time; with each part, its rows' places in the blocks.

        Every part has all blocks, empty ones too, and its groups are numbered from zero.
        """
        if self.num_groups <= num_groups:
            yield self, tuple(np.arange(len(block)) for block in self.blocks)
            return
        for first in range(0, self.num_groups, num_groups):
            mine = slice(first, first + num_groups)
            places = tuple(
                np.flatnonzero((block.group >= first) & (block.group < first + num_groups))
                for block in self.blocks
            )
            taken = (block.take(place) for block, place in zip(self.blocks, places))
            part = replace(
                self,
                blocks=tuple(replace(block, group=block.group - first) for block in taken),
                group_names=self.group_names[mine],
                group_features=self.group_features[mine],
            )
            yield part, places

    def flat_choices(self) -> FlatChoices:
        """Every choice (and every pair without a tie) as one ragged table sorted by group."""
        parts = [_flatten(block, _winner(block)) for block in self.blocks]
        if not parts:
            raise DataError(
                "the batch holds no observation; expected at least one choice. "
                "Check the filters that came before."
            )
        size, row, group, weight, place = (
            np.concatenate([part[i] for part in parts]) for i in range(5)
        )
        features = parts[0][5] if len(parts) == 1 else np.concatenate([part[5] for part in parts])
        # One uniform block, already sorted by group, is the common large case: nothing is copied.
        menu_start = np.concatenate([[0], np.cumsum(size)])
        if not _is_sorted(group, row):
            order = np.lexsort((row, group))
            gather = _ragged_arange(menu_start[:-1][order], size[order])
            features = features[gather]
            size, row, group = size[order], row[order], group[order]
            weight, place = weight[order], place[order]
            menu_start = np.concatenate([[0], np.cumsum(size)])
        counts = np.bincount(group, minlength=self.num_groups)
        return FlatChoices(
            features=np.ascontiguousarray(features),
            menu_start=menu_start,
            chosen=menu_start[:-1] + place,
            weight=weight,
            group_start=np.concatenate([[0], np.cumsum(counts)]),
            row=row,
        )

    def flat(self, blocks: Sequence[Float[Array, "_ _"]]) -> Float[Array, " N"]:
        """One number per option of each block as one per option shown, in the records' order."""
        sizes = np.zeros(self.num_rows, dtype=np.int64)
        for block in self.blocks:
            sizes[block.row] = block.offered.sum(axis=1)
        start = np.concatenate([[0], np.cumsum(sizes)])
        flat = np.full(start[-1], np.nan)
        for block, values in zip(self.blocks, blocks, strict=True):
            before = np.cumsum(block.offered, axis=1) - 1
            place = start[block.row][:, None] + before
            flat[place[block.offered]] = values[block.offered]
        return flat

    def to_torch(self, dtype: object = None, device: object = None) -> "Batch":
        """The same batch with torch tensors in place of NumPy arrays (floats cast to `dtype`)."""
        import torch

        def convert(array: Array) -> Array:
            # Arrow's arrays are read-only, which torch cannot promise to keep: those are copied.
            tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
            if tensor.is_floating_point() and dtype is not None:
                tensor = tensor.to(dtype)
            return tensor if device is None else tensor.to(device)

        names = ("features", "offered", "option", "row", "group", "weight")
        blocks = tuple(
            replace(
                block,
                **{name: convert(getattr(block, name)) for name in names},
                answer={name: convert(values) for name, values in block.answer.items()},
            )
            for block in self.blocks
        )
        return replace(self, blocks=blocks, group_features=convert(self.group_features))


def _winner(block: Block) -> Int[Array, " B"]:
    if block.kind == "choice":
        return block.answer["chosen"]
    if block.kind == "pair" and not np.any(block.answer["outcome"] == 2):
        return block.answer["outcome"]
    raise DataError(
        f"a model of choices got feedback of kind {block.kind!r}"
        f"{' with ties' if block.kind == 'pair' else ''}; expected single choices. Either keep the "
        "choices only, or use an estimator made for this kind (PlackettLuce, OrdinalRatings, "
        "BestWorst, BradleyTerry), or one that takes them all: one taste (ConditionalLogit; "
        "--model pooled or context), a few kinds of people (LatentClassLogit; --model classes), "
        "random coefficients (MixedLogit; --model mixed) or a taste for each person "
        "(PersonalLogit, HierarchicalLogit; --model personal or hierarchical)."
    )


def _flatten(block: Block, winner: Int[Array, " B"]) -> Sequence[Array]:
    if block.offered.all():
        size = np.full(len(block), block.offered.shape[1])
        return (size, block.row, block.group, block.weight, winner,
                block.features.reshape(-1, block.features.shape[2]))  # fmt: skip
    size = block.offered.sum(axis=1)
    # Absent options drop out, so a winner's place moves up by the absent ones before it.
    before = np.cumsum(block.offered, axis=1) - 1
    place = np.take_along_axis(before, winner[:, None], axis=1)[:, 0]
    return size, block.row, block.group, block.weight, place, block.features[block.offered]


def _is_sorted(group: Int[Array, " B"], row: Int[Array, " B"]) -> bool:
    """Whether rows already lie by group, and within a group in their order."""
    step = np.diff(group)
    return bool(np.all((step > 0) | ((step == 0) & (np.diff(row) >= 0))))


def _ragged_arange(start: Int[Array, " B"], size: Int[Array, " B"]) -> Int[Array, " N"]:
    """The concatenation of arange(start_b, start_b + size_b)."""
    shift = np.repeat(start - np.concatenate([[0], np.cumsum(size)[:-1]]), size)
    return shift + np.arange(size.sum())
