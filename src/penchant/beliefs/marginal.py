"""How worths move when a feature moves, seen through the encoder; and who is asked.

Legend: B observations, D tastes, S kinds of people, G groups, G1 groups or 1 where all share.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array


def marginal_features(
    belief: Belief, records: Records, feature: str, option: str | None
) -> Float[Array, "B D"]:
    """d x / d feature of each row, averaged over the options (or of the named option).

    Rows that do not offer the named option get zeros.
    """
    if feature not in records.columns("feature"):
        raise ConfigError(
            f"there is no option feature {feature!r}; expected one of "
            f"{list(records.columns('feature'))}."
        )
    base = belief.encode(records)
    if option is not None and option not in base.option_names:
        raise ConfigError(
            f"there is no option {option!r}; expected one of {list(base.option_names)}."
        )
    values = np.asarray(records.options[feature].to_numpy(), dtype=np.float64)
    step = 1e-4 * max(float(np.nanmean(np.abs(values))), 1e-6)
    moved = belief.encode(records.with_columns(options={feature: values + step}))
    num_tastes = len(belief.utility.taste_names(base))
    slopes = np.zeros((base.num_rows, num_tastes))
    for one, two in zip(base.blocks, moved.blocks):
        counted = one.offered
        if records.outside_option in base.option_names:
            counted = counted & (one.option != base.option_names.index(records.outside_option))
        if option is not None:
            counted = counted & (one.option == base.option_names.index(option))
        # Summed over the options by the utility itself, whatever multiplies its tastes.
        weight = counted / np.maximum(counted.sum(axis=1, keepdims=True), 1)
        ends = [belief.utility.row_scores(block, weight, num_tastes) for block in (one, two)]
        slopes[one.row] = (ends[1] - ends[0]) / step
    return slopes


def subgroups(records: Records, by: str | None) -> tuple[list[str], Int[Array, " B"]]:
    """Labels of a row column's values and, for each row, which label it has.

    Raises `ConfigError` for an unknown column, `DataError` for more than fifty values.
    """
    if by is None:
        return ["everybody"], np.zeros(len(records), dtype=np.int64)
    if by not in records.rows.column_names:
        raise ConfigError(
            f"there is no row column {by!r} to divide people by; expected one of "
            f"{[*records.columns('person_feature'), *records.columns('context')]}."
        )
    values = np.array([str(value) for value in records.rows[by].to_pylist()], dtype=object)
    labels, index = np.unique(values.astype(str), return_inverse=True)
    if len(labels) > 50:
        raise DataError(
            f"{by!r} has {len(labels)} different values; expected at most 50 subgroups. Cut it "
            "into classes first."
        )
    return [str(label) for label in labels], index


def row_weights(batch: Batch) -> Float[Array, " B"]:
    """Each row's weight, in the order of the records; 0 for rows that the batch left out."""
    weight = np.zeros(batch.num_rows)
    for block in batch.blocks:
        weight[block.row] = block.weight
    return weight


def person_of_row(batch: Batch) -> Int[Array, " B"]:
    """Each row's group, in the order of the records."""
    person = np.zeros(batch.num_rows, dtype=np.int64)
    for block in batch.blocks:
        person[block.row] = block.group
    return person
