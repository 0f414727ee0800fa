"""Options and the situation they are met in, side by side: what a network reads.

A formula for choices refuses context alone, which changes no choice when worths are linear in it.
A network makes its own products, so it is given the context as it is.

Legend: B observations, Q columns of context.
"""

from dataclasses import dataclass, replace

import numpy as np

from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError


@dataclass(frozen=True)
class ContextEncoder:
    """The features of `options`, then the columns of `context`, the same for all options of a menu.

    options: the encoder of the options' features; context: one whose `group_formula` names columns
    of the rows and whose groups are the rows themselves. `ContextEncoder.of` makes both.
    """

    options: TableEncoder
    context: TableEncoder

    def __post_init__(self) -> None:
        if self.context.group_by != "row":
            raise ConfigError(
                f"the context is grouped by {self.context.group_by!r}; expected 'row', since every "
                "observation has a context of its own. Use ContextEncoder.of(...)."
            )

    @classmethod
    def of(cls, formula: str, context: str, group_by: str = "person") -> "ContextEncoder":
        """From two formulas: of the options, as for a choice model, and of the rows."""
        return cls(
            TableEncoder(formula, group_by=group_by),
            TableEncoder("", group_formula=context, group_by="row"),
        )

    def fit(self, records: Records) -> "ContextEncoder":
        """The same encoder with what both learn; levels that it never saw count as reference."""
        return ContextEncoder(
            *(replace(e.fit(records), unseen="reference") for e in (self.options, self.context))
        )

    @property
    def num_option_features(self) -> int:
        """How many of the batch's columns describe options; the rest is context."""
        return len(self.options.feature_names)

    def encode(self, records: Records) -> Batch:
        """The records as a batch. Raises `DataError` as `TableEncoder.encode` does."""
        batch, rows = self.options.encode(records), self.context.encode(records)
        # Groups of single rows stand in the rows' own order.
        context_BQ = rows.group_features
        blocks = []
        for block in batch.blocks:
            wide = np.where(block.offered[:, :, None], context_BQ[block.row][:, None, :], 0.0)
            features = np.concatenate([block.features, wide], axis=2)
            blocks.append(replace(block, features=features))
        return replace(
            batch,
            blocks=tuple(blocks),
            feature_names=(*batch.feature_names, *self.context.group_feature_names),
            notes=tuple(dict.fromkeys((*batch.notes, *rows.notes))),
        )
