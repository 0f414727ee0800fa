"""Earlier and later judgements of the same people: what knowing a judge is worth.

Legend: B pairs, D dimensions, A answers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import place_within
from penchant.data.records import Records
from penchant.encoders.embedding import Embedding, EmbeddingColumn
from penchant.encoders.reward_pairs import Pairs, read_pairs
from penchant.encoders.text_attributes import text_attributes
from penchant.fitting.head_pairs import HeadPairs
from penchant.metrics.intervals import Interval, clustered_mean
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownJudges:
    """earlier: pairs to learn from, their judges coded 0 .. G - 1; later: pairs of the same judges
    to foretell. Features are the centred embedding, then attributes per standard deviation; the one
    column of a pair says that its first was shown first."""

    earlier: HeadPairs
    earlier_judge: Int[Array, " B"]
    later: HeadPairs
    later_judge: Int[Array, " C"]

    def losses(self, probabilities: Float[Array, "C A"]) -> Float[Array, " C"]:
        """Nats of each later judgement."""
        said = probabilities[np.arange(len(self.later)), self.later.answer]
        return -np.log(np.maximum(said, 1e-300))

    def gain(self, probabilities: Float[Array, "C A"], baseline: Float[Array, "C A"]) -> Interval:
        """Mean nats less those of the baseline, below 0 where better, with a 95 % interval over
        judges."""
        return clustered_mean(self.losses(probabilities) - self.losses(baseline), self.later_judge)


def known_judges(
    records: Records,
    *,
    share: float = 0.6,
    attributes: tuple[str, ...] = ("length",),
    embedding: Embedding | None = None,
    group_by: str = "person",
) -> KnownJudges:
    """The first `share` of everybody's answered judgements to learn from, the rest to foretell.

    In the order of the records. Judges with a single judgement are learned from alone.
    """
    pairs = read_pairs(records, embedding or EmbeddingColumn())
    judge = groups_of(records, group_by).of_row
    told = np.flatnonzero(pairs.outcome >= 0)
    _, judge = np.unique(judge[told], return_inverse=True)
    is_early = place_within(judge) < np.ceil(share * np.bincount(judge)[judge])
    features = _features(pairs, attributes)
    early, late = np.flatnonzero(is_early), np.flatnonzero(~is_early)
    return KnownJudges(
        earlier=_take(pairs, features, told[early]),
        earlier_judge=judge[early],
        later=_take(pairs, features, told[late]),
        later_judge=judge[late],
    )


def _features(pairs: Pairs, attributes: tuple[str, ...]) -> Float32[Array, "T D"]:
    vectors = pairs.embedded.vectors
    form = text_attributes(pairs.embedded.texts, attributes)
    spread = form.std(axis=0)
    form = (form - form.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([vectors - vectors.mean(axis=0), form]).astype(np.float32)


def _take(pairs: Pairs, features: Float32[Array, "T D"], rows: Int[Array, " B"]) -> HeadPairs:
    return HeadPairs(
        features=features, first=pairs.first[rows], second=pairs.second[rows],
        answer=pairs.outcome[rows], weight=pairs.weight[rows], columns=np.ones((len(rows), 1)),
    )  # fmt: skip
