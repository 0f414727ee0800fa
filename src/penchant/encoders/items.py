"""Options that are known by name alone: the encoder of leaderboards and rankings.

Legend: B observations, K options, N options over all menus.
"""

from dataclasses import dataclass, replace

import numpy as np

from penchant.data.batch import Batch
from penchant.data.batch_builder import build_batch, groups_of, with_option_names
from penchant.data.columns import to_codes
from penchant.data.records import Records
from penchant.encoders.formula import closest
from penchant.errors import DataError, NotFittedError


@dataclass(frozen=True)
class ItemEncoder:
    """No features: `option` in each block points into `items`, fixed when it was fitted.

    Items stand in sorted order, so that the same data in another order give the same belief.
    """

    group_by: str = "person"
    items: tuple[str, ...] = ()

    def fit(self, records: Records) -> "ItemEncoder":
        """The same encoder with the items of these records."""
        codes, names = to_codes(records.options["option"])
        present = {str(names[code]) for code in np.unique(codes[codes >= 0])}
        # The first item stands at zero: the outside option, where there is one.
        first = [name for name in present if name == records.outside_option]
        return replace(self, items=(*first, *sorted(present.difference(first))))

    def encode(self, records: Records) -> Batch:
        """These records as a batch. Raises `DataError` for an item that the fit never saw."""
        if not self.items:
            raise NotFittedError(
                "this encoder has not seen any items; call `encoder.fit(records)` and use what it "
                "returns."
            )
        groups = groups_of(records, self.group_by)
        nothing = np.zeros((records.options.num_rows, 0))
        batch = build_batch(
            records, nothing, (), np.zeros((len(groups.names), 0)), (), self.group_by
        )
        batch = with_option_names(batch, self.items)
        for block in batch.blocks:
            strange = block.option >= len(self.items)
            if np.any(strange):
                row, place_in_menu = (int(x[0]) for x in np.nonzero(strange))
                name = batch.option_names[block.option[row, place_in_menu]]
                raise DataError(
                    f"observation {block.row[row]} shows item {name!r}, which was not among the "
                    f"{len(self.items)} items of the fit. {closest(name, list(self.items))} Fit "
                    "again with data that has it, or leave the observation out."
                )
        return replace(batch, option_names=self.items)
