"""Answers of any kind, person by person, for random coefficients: what is no choice.

`panel_logit.PanelChoices` is the same for plain choices, and many times faster; `as_choices` says
which answers are made of them.

Legend: B observations, K options, D features, P own parameters of the likelihoods, F = D + P,
G groups (people), S draws, Z pairs of the lower triangle of F.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block
from penchant.feedback.channel_contract import Channel
from penchant.fitting.panel_logit import PersonPass, people_weight
from penchant.fitting.pooled_density import serving_channel
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class PanelAnswers:
    """Each kind of answer by the channel that serves it.

    blocks: sorted by person, without rows of weight zero; row_start[i]: where the rows of each
    person begin in block i. What counts as tastes here are the D tastes and, after them, the P own
    parameters of all channels, the same for every draw.
    """

    blocks: tuple[Block, ...]
    row_start: tuple[Int[Array, " G1"], ...]
    channels: tuple[Channel, ...]
    sizes: tuple[int, ...]
    num_tastes: int
    weight: Float[Array, " G"]

    @classmethod
    def of(cls, batch: Batch, channels: tuple[Channel, ...]) -> "PanelAnswers":
        """Raises `DataError` where a person's rows have different weights."""
        weight = people_weight(
            np.concatenate([block.group for block in batch.blocks]),
            np.concatenate([block.weight for block in batch.blocks]),
            np.concatenate([block.row for block in batch.blocks]),
            batch.num_groups,
        )
        blocks, starts = [], []
        for block in batch.blocks:
            kept = np.flatnonzero(block.weight > 0)
            mine = block.take(kept[np.argsort(block.group[kept], kind="stable")])
            blocks.append(mine)
            starts.append(np.searchsorted(mine.group, np.arange(batch.num_groups + 1)))
        return cls(
            blocks=tuple(blocks),
            row_start=tuple(starts),
            channels=channels,
            sizes=tuple(channel.num_parameters(batch) for channel in channels),
            num_tastes=batch.num_features,
            weight=weight,
        )

    @property
    def num_groups(self) -> int:
        return len(self.weight)

    @property
    def num_features(self) -> int:
        """F."""
        return self.num_tastes + sum(self.sizes)

    def take_groups(self, groups: Int[Array, " H"]) -> "PanelAnswers":
        """These people only, in this order."""
        blocks, starts = [], []
        for block, start in zip(self.blocks, self.row_start):
            counts = np.diff(start)[groups]
            first = np.concatenate([[0], np.cumsum(counts)])
            rows = np.repeat(start[groups] - first[:-1], counts) + np.arange(first[-1])
            group = np.repeat(np.arange(len(groups)), counts)
            blocks.append(replace(block.take(rows), group=group))
            starts.append(first)
        return replace(
            self, blocks=tuple(blocks), row_start=tuple(starts), weight=self.weight[groups]
        )

    def person(
        self, g: int, taste: Float[Array, "F S"], *, has_information: bool = True
    ) -> PersonPass:
        """What person g's answers say of these tastes."""
        num_draws, size, cut = taste.shape[1], self.num_features, self.num_tastes
        log_prob, slope = np.zeros(num_draws), np.zeros((size, num_draws))
        asked = size if has_information else 0
        information = np.zeros((asked, asked, num_draws))
        for block, start in zip(self.blocks, self.row_start):
            if start[g] == start[g + 1]:
                continue
            mine = _rows(block, slice(int(start[g]), int(start[g + 1])))
            index = serving_channel(self.channels, block.kind)
            channel = self.channels[index]
            first = cut + sum(self.sizes[:index])
            own = taste[first : first + self.sizes[index], :1]
            # One set of own parameters for all: a row's are where the first row's are.
            place = first + channel.parameter_index(mine)[0]
            flat = mine.features.reshape(-1, cut)
            worths = (flat @ taste[:cut]).reshape(*mine.offered.shape, num_draws)
            log_prob += channel.log_prob(worths, mine, own).sum(axis=0)
            score = channel.score(worths, mine, own)
            slope[:cut] += flat.T @ score.utilities.reshape(-1, num_draws)
            slope[place] += score.parameters.sum(axis=0)
            if not has_information:
                continue
            bend = channel.curvature(worths, mine, own)
            half = np.einsum("bkls,bkd->blds", bend.utilities, mine.features, optimize=True)
            half = half.reshape(len(flat), -1)
            information[:cut, :cut] += (flat.T @ half).reshape(cut, cut, num_draws)
            if len(place):
                cross = flat.T @ bend.cross.reshape(len(flat), -1)
                cross = cross.reshape(cut, len(place), num_draws)
                information[:cut, place] += cross
                information[place, :cut] += np.swapaxes(cross, 0, 1)
                information[np.ix_(place, place)] += bend.parameters.sum(axis=0)
        rows, columns = np.tril_indices(asked)
        return PersonPass(log_prob=log_prob, slope=slope, information=information[rows, columns])


def _rows(block: Block, rows: slice) -> Block:
    """A part of a block, without copies."""
    return replace(
        block,
        **{
            name: getattr(block, name)[rows]
            for name in ("features", "offered", "option", "row", "weight", "group")
        },
        answer={name: values[rows] for name, values in block.answer.items()},
    )
