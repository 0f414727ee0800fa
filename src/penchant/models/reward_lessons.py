"""From judged records to what heads learn from: their weights, margins and soft labels.

Legend: B observations.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from penchant.data.columns import to_floats
from penchant.data.records import Records
from penchant.encoders.embedding import Embedding
from penchant.encoders.reward_pairs import pair_margins, pair_outcomes
from penchant.encoders.text_embedding import ReadTexts
from penchant.errors import ConfigError, DataError
from penchant.models.reward_head import HeadSettings, Lessons
from penchant.numerics.arrays import Array


def read_lessons(
    data: Records,
    sample_weight: Float[Array, " B"] | None,
    *,
    embedding: Embedding,
    attributes: tuple[str, ...],
    group_by: str,
    has_ties: bool,
) -> Lessons:
    """The records with their texts embedded and their weights; has_ties: whether a tie is heard
    where there is one.

    Raises `DataError` for weights that are no weights.
    """
    won = pair_outcomes(data)
    if isinstance(embedding, ReadTexts):
        embedding = embedding.settled()
    settings = HeadSettings(
        embedding=embedding, attributes=attributes, group_by=group_by,
        has_ties=has_ties and bool((won == 2).any()),
        # Where the winner always stands first, that is how the file is written.
        has_position=len(np.unique(won[(won == 0) | (won == 1)])) > 1,
    )  # fmt: skip
    return Lessons.read(data, _weights(data, sample_weight), settings)


def _weights(data: Records, sample_weight: Float[Array, " B"] | None) -> Float[Array, " B"]:
    weight = to_floats(data.rows["weight"])
    if sample_weight is None:
        return weight
    given = np.asarray(sample_weight, dtype=np.float64)
    if given.shape != weight.shape or not np.all(given >= 0):
        raise DataError(
            f"sample_weight has shape {given.shape} and minimum {given.min(initial=0)}; "
            f"expected one number, zero or more, for each of the {len(weight)} rows."
        )
    return weight * given


def with_margins(lessons: Lessons, column: str) -> Lessons:
    """The lessons with the column's margins."""
    return replace(lessons, margin=pair_margins(lessons.records, column))


def softened(lessons: Lessons, column: str) -> Lessons:
    """The lessons with the column's probabilities for answers.

    Raises `DataError` for a column that is not there or holds other than probabilities,
    `ConfigError` for feedback other than pairs.
    """
    rows = lessons.records.rows
    if column not in rows.column_names:
        raise DataError(
            f"the rows have no column {column!r} of soft labels; they have "
            f"{', '.join(rows.column_names)}."
        )
    if not lessons.is_pair.all():
        raise ConfigError(
            f"got soft_label={column!r} and feedback other than pairs; expected pairs alone, whose "
            "first has the probability."
        )
    share = to_floats(rows[column])
    bad = np.isfinite(share) & ((share < 0) | (share > 1))
    if bad.any():
        raise DataError(
            f"observation {int(np.argmax(bad))} has the soft label {share[np.argmax(bad)]:g} "
            f"({int(bad.sum())} of {len(bad)} are outside); expected probabilities from 0 to 1."
        )
    return replace(lessons, share=share)
