"""Conjoint experiments: how much each level of an attribute moves the chance of being chosen.

Legend: N profiles shown, C columns (levels after the reference), G groups (people).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.batch_builder import groups_of
from penchant.data.columns import to_codes
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError
from penchant.fitting.inference import covariances
from penchant.metrics.intervals import Z95
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class ComponentEffect:
    """Change of the probability of being chosen from the reference level to this one.

    effect, se, low, high: probabilities, the error clustered by person; profiles: how many showed
    the level.
    """

    attribute: str
    level: str
    reference: str
    effect: float
    se: float
    low: float
    high: float
    profiles: int


def component_effects(
    records: Records,
    attributes: tuple[str, ...] = (),
    *,
    references: dict[str, str] | None = None,
    group_by: str = "person",
) -> tuple[ComponentEffect, ...]:
    """Average marginal component effects (Hainmueller, Hopkins and Yamamoto 2014).

    Least squares of "was chosen" on indicators of all levels but one of each attribute; where
    levels were drawn independently at random this is the mean effect of the level over the other
    attributes, whatever people's tastes, with no model of choice. attributes: all option features
    if empty; references: the level that each is compared with, else the first in sorted order.

    Raises `ConfigError` for unknown attributes or levels, `DataError` where the records hold
    other feedback than choices or an attribute has one level only.
    """
    if set(records.kinds[np.unique(records.kind_codes)]) != {"choice"}:
        raise DataError(
            f"component effects need choices between profiles; the records hold {records!r}. "
            "Keep the rows of kind 'choice'."
        )
    attributes = attributes or records.columns("feature")
    columns, labels = _indicators(records, attributes, references or {})
    chosen = np.zeros(records.options.num_rows)
    place = np.asarray(records.rows["chosen"].to_numpy(), dtype=np.int64)
    chosen[records.offsets[:-1] + place] = 1.0
    weight = np.asarray(records.rows["weight"].to_numpy())[records.row_of_option]
    design = np.column_stack([np.ones(len(chosen)), *columns])
    information = design.T @ (design * weight[:, None])
    slopes = np.linalg.lstsq(
        design * np.sqrt(weight)[:, None], chosen * np.sqrt(weight), rcond=None
    )[0]
    residual = chosen - design @ slopes
    groups = groups_of(records, group_by)
    scores = np.zeros((len(groups.names), design.shape[1]))
    np.add.at(scores, groups.of_row[records.row_of_option], design * (residual * weight)[:, None])
    errors = np.sqrt(np.diag(covariances(information, scores).robust))
    return tuple(
        ComponentEffect(
            attribute=attribute,
            level=level,
            reference=reference,
            effect=float(slope),
            se=float(se),
            low=float(slope - Z95 * se),
            high=float(slope + Z95 * se),
            profiles=int(column.sum()),
        )
        for (attribute, level, reference), slope, se, column in zip(
            labels, slopes[1:], errors[1:], columns
        )
    )


def _indicators(
    records: Records, attributes: tuple[str, ...], references: dict[str, str]
) -> tuple[list[Float[Array, " N"]], list[tuple[str, str, str]]]:
    columns: list[Float[Array, " N"]] = []
    labels: list[tuple[str, str, str]] = []
    for attribute in attributes:
        if attribute not in records.columns("feature"):
            raise ConfigError(
                f"there is no attribute {attribute!r}; expected some of "
                f"{list(records.columns('feature'))}."
            )
        codes, names = to_codes(records.options[attribute])
        levels = {str(names[code]): code for code in np.unique(codes)}
        ordered = sorted(levels)
        if len(ordered) < 2:
            raise DataError(
                f"attribute {attribute!r} has {len(ordered)} level(s); expected at least two. "
                "Leave it out of `attributes`."
            )
        reference = references.get(attribute, ordered[0])
        if reference not in levels:
            raise ConfigError(
                f"attribute {attribute!r} has no level {reference!r}; expected one of {ordered}."
            )
        for level in ordered:
            if level != reference:
                columns.append((codes == levels[level]).astype(np.float64))
                labels.append((attribute, level, reference))
    return columns, labels
