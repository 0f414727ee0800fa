"""A fitted reward model as a function from texts to rewards, for whoever is known or for anybody.

Legend: N texts, F features of the second stage, C attributes, A pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float

from penchant.beliefs.belief import Belief
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded
from penchant.encoders.reward import Pairs, RewardEncoder
from penchant.encoders.text_embedding import TextEmbedding
from penchant.errors import BeliefError, DataError
from penchant.metrics.intervals import Z95
from penchant.models.reward_head import of_named
from penchant.numerics.arrays import Array, sigmoid
from penchant.populations.pooled import Pooled


@dataclass(frozen=True, kw_only=True, eq=False)
class Texts:
    """What is to be scored. prompts, people: one each, None where there is none. vectors: their
    embeddings, for a model that was fitted on embeddings from elsewhere."""

    texts: Sequence[str]
    prompts: Sequence[str | None] | None = None
    people: Sequence[str | None] | None = None
    vectors: Float[Array, "N E"] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """reward in logits: a text a unit better is preferred e : 1, against any other; only
    differences mean something. low, high: its 95 % interval beside the mean text. ignorance: the
    share of what could be known of such a text that is not, from 0 to 1; is_unfamiliar: more than
    of 99 in 100 texts left out whole. knows_person: whether that person's own answers were used."""

    reward: Float[Array, " N"]
    low: Float[Array, " N"]
    high: Float[Array, " N"]
    ignorance: Float[Array, " N"]
    is_unfamiliar: Bool[Array, " N"]
    knows_person: Bool[Array, " N"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Margins:
    """Of each pair the reward of the first minus the second's, its 95 % interval, ignorance and
    flags as in `Scores`; soft_label: the probability that the first is preferred by whoever prefers
    one, our doubt averaged over."""

    margin: Float[Array, " A"]
    low: Float[Array, " A"]
    high: Float[Array, " A"]
    soft_label: Float[Array, " A"]
    ignorance: Float[Array, " A"]
    is_unfamiliar: Bool[Array, " A"]
    knows_person: Bool[Array, " A"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardScorer:
    """average: what the reward and each attribute count for with anybody; people: with whom we
    know. Both are rows of the second stage's features."""

    encoder: RewardEncoder
    average: Float[Array, " F"]
    people: Mapping[str, Float[Array, " F"]] = field(default_factory=dict)

    @classmethod
    def of(cls, belief: Belief, history: Records | None = None) -> "RewardScorer":
        """history: answers of the people who are to be known.

        Raises `BeliefError` for a belief that is no reward model's.
        """
        encoder = belief.encoder
        if not isinstance(encoder, RewardEncoder):
            raise BeliefError(
                f"the belief was fitted by another model ({type(encoder).__name__}); expected a "
                "reward model's, as `penchant fit --model reward` leaves it."
            )
        known: dict[str, Array] = {}
        everybody = belief.population.tastes(belief.population_theta, np.zeros((1, 0)))
        average = everybody.mean()[0]
        if history is not None and not isinstance(belief.population, Pooled):
            named = of_named(history, encoder.group_by)
            if len(named):
                batch = belief.encode(named)
                known = dict(zip(batch.group_names, belief.mean_tastes(batch, batch)))
        return cls(encoder=encoder, average=average, people=known)

    @classmethod
    def load(
        cls, folder: str | Path, history: Records | None = None, cache: str | Path | None = None
    ) -> "RewardScorer":
        """The scorer of a saved model; `cache`: a folder for embeddings, in place of the model's.

        Raises `BeliefError` for a folder that is missing, damaged or no reward model's.
        """
        scorer = cls.of(Belief.load(folder), history)
        embedding = scorer.encoder.embedding
        if cache is None or not isinstance(embedding, TextEmbedding):
            return scorer
        embedding = replace(embedding, cache=str(cache))
        return replace(scorer, encoder=replace(scorer.encoder, embedding=embedding))

    def score(self, asked: Texts) -> Scores:
        """The reward of each text. Raises `DataError` where a text or embedding is missing."""
        if not len(asked):
            none = np.zeros(0)
            return Scores(reward=none, low=none, high=none, ignorance=none,
                          is_unfamiliar=none > 0, knows_person=none > 0)  # fmt: skip
        embedded = self._embedded(asked)
        tastes, known = self._tastes(asked.people, len(asked))
        at = embedded.of_option
        reward = self._rewards(embedded, tastes)
        now, before = (variance[at] for variance in self.encoder.text_variances(embedded))
        reach = Z95 * np.abs(tastes[:, 0]) * np.sqrt(now)
        ignorance = _share(now, before)
        return Scores(
            reward=reward, low=reward - reach, high=reward + reach, ignorance=ignorance,
            is_unfamiliar=ignorance > self.encoder.usual_text_ignorance, knows_person=known,
        )  # fmt: skip

    def compare(self, first: Texts, second: Texts) -> Margins:
        """Each first text beside the second of the same place, judged by the first's person.

        Raises `DataError` where a text or embedding is missing, or the numbers of texts differ.
        """
        if len(first) != len(second):
            raise DataError(
                f"got {len(first)} first and {len(second)} second texts; expected as many of each."
            )
        size = len(first)
        embedded = self._embedded(_joined(first, second))
        tastes, known = self._tastes(first.people, size)
        at = embedded.of_option
        reward = self._rewards(embedded, np.concatenate([tastes, tastes]))
        pairs = Pairs(
            embedded=embedded, first=at[:size], second=at[size:],
            outcome=np.full(size, -1), weight=np.ones(size),
        )  # fmt: skip
        now, before = self.encoder.gap_variances(pairs)
        margin, variance = reward[:size] - reward[size:], tastes[:, 0] ** 2 * now
        reach, ignorance = Z95 * np.sqrt(variance), _share(now, before)
        return Margins(
            margin=margin, low=margin - reach, high=margin + reach,
            # MacKay's (1992) approximation to the average of a sigmoid over normal doubt.
            soft_label=sigmoid(margin / np.sqrt(1.0 + np.pi * variance / 8.0)),
            ignorance=ignorance, is_unfamiliar=ignorance > self.encoder.usual_ignorance,
            knows_person=known,
        )  # fmt: skip

    def _embedded(self, asked: Texts) -> Embedded:
        """The texts' numbers: those that came along, else by the model that reads them."""
        embedding, size = self.encoder.embedding, len(self.encoder.weights)
        if asked.vectors is not None:
            vectors = np.asarray(asked.vectors, dtype=np.float32)
            if vectors.shape != (len(asked), size) or not np.isfinite(vectors).all():
                raise DataError(
                    f"got embeddings of shape {vectors.shape} for {len(asked)} texts; expected "
                    f"({len(asked)}, {size}) finite numbers, from the model that the reward model "
                    "was fitted with."
                )
            texts = tuple(str(text) for text in asked.texts)
            return Embedded(texts=texts, vectors=vectors, of_option=np.arange(len(texts)))
        if not isinstance(embedding, TextEmbedding):
            raise DataError(
                f"{len(asked)} texts came without embeddings, and the reward model was fitted on "
                f"embeddings from elsewhere ({embedding}); expected {size} numbers for each text. "
                "Send them along, or fit with a text model (`--embedder`)."
            )
        return embedding.embed(_rows_of(asked, embedding))

    def _rewards(self, embedded: Embedded, tastes: Float[Array, "N F"]) -> Float[Array, " N"]:
        at, form = embedded.of_option, self.encoder.form(embedded)
        common, own = self.encoder.rewards(embedded)[at], tastes[:, 1 : 1 + form.shape[1]]
        return tastes[:, 0] * common + np.einsum("nc,nc->n", form[at], own)

    def _tastes(
        self, people: Sequence[str | None] | None, size: int
    ) -> tuple[Float[Array, "N F"], Bool[Array, " N"]]:
        tastes = np.broadcast_to(self.average, (size, len(self.average))).copy()
        known = np.zeros(size, dtype=bool)
        for place, person in enumerate(people or ()):
            taste = None if person is None else self.people.get(str(person))
            if taste is not None:
                tastes[place], known[place] = taste, True
        return tastes, known


def _share(now: Float[Array, " N"], before: Float[Array, " N"]) -> Float[Array, " N"]:
    return np.clip(now / np.where(before > 0, before, 1.0), 0.0, 1.0)


def _joined(first: Texts, second: Texts) -> Texts:
    def both(a: Sequence | None, b: Sequence | None) -> list | None:
        if a is None and b is None:
            return None
        return [*(a or [None] * len(first)), *(b or [None] * len(second))]

    vectors = None
    if first.vectors is not None and second.vectors is not None:
        vectors = np.concatenate([first.vectors, second.vectors])
    return Texts(
        texts=[*first.texts, *second.texts],
        prompts=both(first.prompts, second.prompts),
        vectors=vectors,
    )


def _rows_of(asked: Texts, embedding: TextEmbedding) -> Records:
    """Each text a menu of its own that nobody has answered."""
    size = len(asked)
    text = pa.array([str(text) for text in asked.texts], pa.string())
    rows = {"kind": pa.array(["binary"] * size)}
    if asked.prompts is not None and embedding.prompt is not None:
        rows[embedding.prompt] = pa.array([p or "" for p in asked.prompts], pa.string())
    return Records(
        rows=pa.table(rows),
        options=pa.table({embedding.text: text, "success": pa.nulls(size, pa.int64())}),
        offsets=np.arange(size + 1),
    ).normalised()
