"""A fitted reward model as a function from texts to rewards, for whoever is known or for anybody.

Legend: N texts, F features of the second stage, D of them reward and attributes, A pairs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded
from penchant.encoders.language_states import LanguageStates
from penchant.encoders.reward import KnownPeople, Looked, RewardEncoder
from penchant.encoders.reward_pairs import Pairs
from penchant.encoders.text_embedding import ReadTexts
from penchant.errors import BeliefError, DataError
from penchant.metrics.intervals import Z95
from penchant.models.reward_head import in_pairs, of_named
from penchant.numerics.arrays import Array, sigmoid
from penchant.populations.normal import Normal
from penchant.populations.pooled import Pooled
from penchant.populations.population import Tastes


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
    share of what could be known of such a text that is not, from 0 to 1; is_unfamiliar: as in
    `Judgements`. knows_person: whether that person's own answers were used."""

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
    one, averaged over our doubt and, where the judge is not known, over judges. own_variance: the
    part of the interval's variance that is what new texts are worth of their own (logits squared).
    """

    margin: Float[Array, " A"]
    low: Float[Array, " A"]
    high: Float[Array, " A"]
    soft_label: Float[Array, " A"]
    own_variance: Float[Array, " A"]
    ignorance: Float[Array, " A"]
    is_unfamiliar: Bool[Array, " A"]
    knows_person: Bool[Array, " A"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardScorer:
    """average: what the reward and each attribute count for with anybody; people: with whom we
    know. Both are rows of the second stage's features. doubt: our covariance of the average;
    differing: how normal people's own differ from it; doubt_of: our covariance of each known one's.
    kinds: whom somebody may be, where people are of so many kinds; None where they are normal."""

    encoder: RewardEncoder
    average: Float[Array, " F"]
    people: Mapping[str, Float[Array, " F"]] = field(default_factory=dict)
    doubt: Float[Array, "F F"] | None = None
    differing: Float[Array, "F F"] | None = None
    doubt_of: Mapping[str, Float[Array, "F F"]] = field(default_factory=dict)
    kinds: Tastes | None = None

    @classmethod
    def of(cls, belief: Belief, history: Records | None = None) -> "RewardScorer":
        """history: answers of the people who are to be known, beside those whom the fit knew; of
        somebody of both, the history counts.

        Raises `BeliefError` for a belief that is no reward model's.
        """
        encoder = belief.encoder
        if not isinstance(encoder, RewardEncoder):
            raise BeliefError(
                f"the belief was fitted by another model ({type(encoder).__name__}); expected a "
                "reward model's, as `penchant fit --model reward` leaves it."
            )
        known, covariance_of = _known(encoder.people)
        everybody = belief.population.tastes(belief.population_theta, np.zeros((1, 0)))
        average = everybody.mean()[0]
        if history is not None and not isinstance(belief.population, Pooled):
            named = in_pairs(of_named(history, encoder.group_by), encoder.embedding)
            if len(named):
                batch = belief.encode(named)
                told, doubts = _known(people_of(belief, batch, set(batch.group_names)))
                known, covariance_of = {**known, **told}, {**covariance_of, **doubts}
        differing, kinds = None, None
        if isinstance(belief.population, Normal):
            differing = belief.population.taste_covariance(belief.population_theta)
        elif not isinstance(belief.population, Pooled):
            kinds = everybody
        return cls(
            encoder=encoder, average=average, people=known, differing=differing,
            doubt=_doubt_of_average(belief, len(average)), doubt_of=covariance_of, kinds=kinds,
        )  # fmt: skip

    @property
    def linear_weights(self) -> Float[Array, " E"]:
        """What one more of each dimension is worth to anybody, of texts that the model has not
        met."""
        encoder = self.encoder
        weights = self.average[0] * encoder.weights
        if encoder.tastes is not None:
            place = 1 + len(encoder.attributes)
            own = self.average[place : place + encoder.tastes.shape[1]]
            weights = weights + encoder.tastes.astype(np.float64) @ own
        return encoder.new_text_share * weights

    @classmethod
    def load(
        cls, folder: str | Path, history: Records | None = None, cache: str | Path | None = None
    ) -> "RewardScorer":
        """The scorer of a saved model; `cache`: a folder for embeddings, in place of the model's.
        A language model is looked for in the folder itself, beside it, and where it was.

        Raises `BeliefError` for a folder that is missing, damaged or no reward model's, and where
        its language model is in none of these places or has changed.
        """
        belief = Belief.load(folder)
        if isinstance(belief.encoder, RewardEncoder):
            embedding = belief.encoder.embedding
            if isinstance(embedding, LanguageStates):
                embedding = embedding.found_from(Path(folder))
            if cache is not None and isinstance(embedding, ReadTexts):
                embedding = replace(embedding, cache=str(cache))
            belief = replace(belief, encoder=replace(belief.encoder, embedding=embedding))
        return cls.of(belief, history)

    def score(self, asked: Texts) -> Scores:
        """The reward of each text. Raises `DataError` where a text or embedding is missing."""
        if not len(asked):
            none = np.zeros(0)
            return Scores(reward=none, low=none, high=none, ignorance=none,
                          is_unfamiliar=none > 0, knows_person=none > 0)  # fmt: skip
        embedded = self._embedded(asked)
        tastes, known = self._tastes(asked.people, len(asked))
        at, seen = embedded.of_option, self.encoder.look(embedded)
        reward = self._rewards(seen, at, tastes)
        now, before = (variance[at] for variance in seen.text_variances())
        coefficients = self.encoder.coefficients
        common = seen.rewards - seen.form @ coefficients + seen.form_apart @ coefficients
        apart = np.column_stack([common, seen.form_apart])[at]
        doubts, _ = self._covariances(asked.people, known)
        variance = _doubt(apart, seen.text_doubt[at], tastes, doubts) + seen.own_variance[at]
        reach, ignorance = Z95 * np.sqrt(variance), _share(now, before)
        return Scores(
            reward=reward, low=reward - reach, high=reward + reach, ignorance=ignorance,
            is_unfamiliar=(ignorance > self.encoder.usual_text_ignorance) | seen.is_strange[at],
            knows_person=known,
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
        at = embedded.of_option
        pairs = Pairs(
            embedded=embedded, first=at[:size], second=at[size:],
            outcome=np.full(size, -1), weight=np.ones(size),
        )  # fmt: skip
        return self.margins(pairs, first.people)

    def margins(self, pairs: Pairs, people: Sequence[str | None] | None = None) -> Margins:
        """Pairs of embedded texts, each judged by the person of its place, else by anybody."""
        encoder, size = self.encoder, len(pairs.first)
        tastes, known = self._tastes(people, size)
        seen = encoder.look(pairs.embedded)
        of_text = np.column_stack([seen.rewards, seen.form])
        apart = of_text[pairs.first] - of_text[pairs.second]
        margin = np.einsum("nf,nf->n", apart, tastes[:, : apart.shape[1]])
        doubts, differing = self._covariances(people, known)
        # A text beside itself is worth the same, whatever that is.
        own = np.where(
            pairs.first == pairs.second,
            0.0,
            seen.own_variance[pairs.first] + seen.own_variance[pairs.second],
        )
        variance = _doubt(apart, seen.gap_doubt(pairs.first, pairs.second), tastes, doubts)
        variance = variance + own
        over_people = variance + _quadratic(apart, differing)
        now, before = seen.gap_variances(pairs.first, pairs.second)
        reach, ignorance = Z95 * np.sqrt(variance), _share(now, before)
        return Margins(
            margin=margin, low=margin - reach, high=margin + reach,
            soft_label=self._averaged(apart, margin, over_people, known),
            own_variance=own,
            ignorance=ignorance,
            is_unfamiliar=(ignorance > encoder.usual_ignorance)
            | seen.is_strange[pairs.first] | seen.is_strange[pairs.second],
            knows_person=known,
        )  # fmt: skip

    def _averaged(
        self, apart: Float[Array, "A D"], margin: Float[Array, " A"], variance: Float[Array, " A"],
        known: Bool[Array, " A"],
    ) -> Float[Array, " A"]:  # fmt: skip
        """The probability that the first is preferred, averaged over normal doubt of this variance
        (by MacKay's (1992) approximation) and, of whoever is not known, over kinds of people."""
        drawn = np.sqrt(1.0 + np.pi * variance / 8.0)
        alone = sigmoid(margin / drawn)
        if self.kinds is None:
            return alone
        of_kind = apart @ self.kinds.values[0, :, : apart.shape[1]].T / drawn[:, None]
        return np.where(known, alone, sigmoid(of_kind) @ np.exp(self.kinds.log_weights[0]))

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
            prompts = asked.prompts
            return Embedded(
                texts=texts, vectors=vectors, of_option=np.arange(len(texts)),
                prompts=None if prompts is None else tuple(p or "" for p in prompts),
            )  # fmt: skip
        if not isinstance(embedding, ReadTexts):
            raise DataError(
                f"{len(asked)} texts came without embeddings, and the reward model was fitted on "
                f"embeddings from elsewhere ({embedding}); expected {size} numbers for each text. "
                "Send them along, or fit with a text model (`--embedder`)."
            )
        return embedding.embed(_rows_of(asked, embedding))

    def _rewards(
        self, seen: Looked, at: Int[Array, " N"], tastes: Float[Array, "N F"]
    ) -> Float[Array, " N"]:
        own = tastes[:, 1 : 1 + seen.form.shape[1]]
        return tastes[:, 0] * seen.rewards[at] + np.einsum("nc,nc->n", seen.form[at], own)

    def _covariances(
        self, people: Sequence[str | None] | None, known: Bool[Array, " N"]
    ) -> tuple[Float[Array, "N D D"], Float[Array, "N D D"]]:
        """Of the weights on reward and attributes: our doubt about each judge's, and how judges
        differ where this one is not known."""
        end = 1 + len(self.encoder.coefficients)
        nothing = np.zeros((end, end))
        doubt = nothing if self.doubt is None else self.doubt[:end, :end]
        differing = nothing if self.differing is None else self.differing[:end, :end]
        doubts = np.broadcast_to(doubt, (len(known), end, end)).copy()
        between = np.where(known[:, None, None], nothing, differing)
        for place in np.flatnonzero(known).tolist():
            own = self.doubt_of.get(str((people or ())[place]))
            doubts[place] = nothing if own is None else own[:end, :end]
        return doubts, between

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


def people_of(belief: Belief, answers: Batch, named: Collection[str]) -> KnownPeople:
    """What their answers tell of the weights of each of these people."""
    mean: list[Array] = []
    covariance: list[Array] = []
    for part, _ in belief.in_parts(answers, answers):
        for whole, told in zip((mean, covariance), _moments(belief.tastes(part, answers))):
            whole.append(told)
    kept = [place for place, name in enumerate(answers.group_names) if name in named]
    return KnownPeople(
        names=tuple(answers.group_names[place] for place in kept),
        mean=np.concatenate(mean)[kept],
        covariance=np.concatenate(covariance)[kept],
    )


def _moments(tastes: Tastes) -> tuple[Float[Array, "P F"], Float[Array, "P F F"]]:
    """Mean and covariance over the kinds that somebody may be."""
    weights = np.exp(tastes.log_weights)
    values = np.broadcast_to(tastes.values, (len(weights), *tastes.values.shape[1:]))
    centre = np.einsum("gs,gsd->gd", weights, values)
    apart = values - centre[:, None]
    return centre, np.einsum("gs,gsd,gse->gde", weights, apart, apart, optimize=True)


def _doubt_of_average(belief: Belief, size: int) -> Float[Array, "F F"] | None:
    """Our covariance of the average judge's weights; None where the fit made none."""
    if belief.covariance is None:
        return None
    if isinstance(belief.population, Normal | Pooled):
        return belief.covariance[:size, :size]
    slopes = belief.average_taste_slopes()
    return slopes.T @ belief.covariance[: len(slopes), : len(slopes)] @ slopes


def _known(people: KnownPeople | None) -> tuple[dict[str, Array], dict[str, Array]]:
    if people is None:
        return {}, {}
    return dict(zip(people.names, people.mean)), dict(zip(people.names, people.covariance))


def _doubt(
    apart: Float[Array, "N D"],
    head: Float[Array, " N"],
    tastes: Float[Array, "N F"],
    doubts: Float[Array, "N D D"],
) -> Float[Array, " N"]:
    """The variance of apart' taste where the reward, its first column, has the variance `head` and
    the taste the covariance `doubts` (delta method, with the product of both)."""
    return (tastes[:, 0] ** 2 + doubts[:, 0, 0]) * head + _quadratic(apart, doubts)


def _quadratic(apart: Float[Array, "N D"], matrix: Float[Array, "N D D"]) -> Float[Array, " N"]:
    return np.einsum("nd,nde,ne->n", apart, matrix, apart, optimize=True)


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


def _rows_of(asked: Texts, embedding: ReadTexts) -> Records:
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
