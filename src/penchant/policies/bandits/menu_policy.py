"""A bandit that learns no more, as a policy on a log: what would it have shown?

Legend: N options over all menus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.data.records import Records
from penchant.encoders.hashed import HashedMenu
from penchant.numerics.arrays import Array
from penchant.policies.bandits.joint import NOTHING_GRANTED, Grants, menu_probabilities
from penchant.policies.bandits.menu import MenuBelief
from penchant.policies.bandits.rules import Rule
from penchant.policies.policy import refuse_what_was_shown_alone


@dataclass(frozen=True, kw_only=True, eq=False)
class MenuPolicy:
    """What a bandit believes at one moment, its features and its rule: a `Policy`.

    In records an option's name is its `id` where the log has one, else `option`; columns of
    options called option.NAME are its features, columns of rows called context.NAME the
    situation's, as `penchant decide` logs them. step: decisions so far, which some rules look
    at. grants: what every option has. learnt_from: names of decisions whose answers taught it, as
    far as they are still known; no value on a log that holds them can be trusted.
    """

    belief: MenuBelief
    encoder: HashedMenu
    rule: Rule
    step: int = 1
    grants: Grants = NOTHING_GRANTED
    learnt_from: frozenset[str] = frozenset()

    def __call__(self, records: Records) -> Float[Array, " N"]:
        refuse_what_was_shown_alone(records)
        options, situations = _named(records, "option"), _named(records, "context")
        shown = "id" if "id" in records.options.column_names else "option"
        names = records.options[shown].to_pylist()
        people = records.rows["person"].to_pylist()
        found = np.zeros(records.options.num_rows)
        for row, (start, end) in enumerate(zip(records.offsets[:-1], records.offsets[1:])):
            lines = range(int(start), int(end))
            features = np.stack(
                [self.encoder.encode(str(names[n]), options[n], situations[row]) for n in lines]
            )
            moments = self.belief.moments(features, people[row])
            found[start:end] = menu_probabilities(
                self.rule, *moments, self.step, self.belief.bar, self.grants
            )
        return found


def _named(records: Records, side: str) -> list[Mapping[str, Any]]:
    """Of each line, the columns called side.NAME; all features, where no column is."""
    table = records.options if side == "option" else records.rows
    role = "feature" if side == "option" else "context"
    columns = [name for name in table.column_names if name.startswith(f"{side}.")]
    if not columns:
        columns = [n for n in table.column_names if records.roles.get(n) == role and n != "id"]
    lists = {name.removeprefix(f"{side}."): table[name].to_pylist() for name in columns}
    return [
        {name: values[n] for name, values in lists.items() if values[n] is not None}
        for n in range(table.num_rows)
    ]
