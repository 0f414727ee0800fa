"""Judgements of texts as choices whose features are few: the reward everybody agrees on, and form.

A linear head, fitted before, says what each text is worth to the average judge. What is left to
tell judges apart are a handful of numbers: how much that reward counts for them (how reliable
they are), which form they like, how readily they call a tie, whether they favour what is shown
first. Davidson's ties are a third option half-way between the two, so that a judgement is a
conditional logit over (first, second, tie).

Legend: B pairs, N options over all menus, T distinct texts, E dimensions of the embedding,
C attributes, L directions of taste, F features, H texts that were met, A of them kept as anchors,
P people.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float16, Float32, Int, UInt64

from penchant.data.batch import Batch, Block
from penchant.data.batch_builder import build_batch, groups_of
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded, Embedding
from penchant.encoders.known_texts import known_texts, nearness
from penchant.encoders.reasons_heard import ReasonsHeard
from penchant.encoders.reward_pairs import Pairs, pair_rows, pairs_at, read_pairs
from penchant.encoders.text_attributes import text_attributes
from penchant.errors import DataError
from penchant.numerics.arrays import Array

TIE, SHOWN_FIRST = "tie", "shown_first"


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownPeople:
    """Judges whose own answers were heard: the mean and the covariance of what is known of each
    one's weights on the features."""

    names: tuple[str, ...]
    mean: Float[Array, "P F"]
    covariance: Float[Array, "P F F"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardEncoder:
    """weights, coefficients: the head, per dimension and per attribute (in units of `spread`).

    mean: of the embeddings it was fitted on. attributes: of `text_attributes`; spread: of their
    differences within the pairs that differ in them. doubt: a root of the covariance of the
    weights, which were N(0, prior_scale^2) before any data. has_ties: whether a tie is an answer.
    has_position: whether the order shown is known; it is not where the winner always stands first,
    as in TRL's files.
    usual_ignorance: the share of the prior variance that is left of the gap in 99 of 100 pairs of
    texts that were left out; usual_text_ignorance: of a text beside the mean of all.
    new_text_share: what the content of a text that the head has not met counts for, beside that of
    those it has, whose keys are known_texts (empty where nothing tells them apart).
    new_text_variance, strange_text_variance: of what a new text is worth beyond its content
    (logits squared): of one just like a known text, and what a cosine of zero to all of them adds.
    anchors: known texts' embeddings, of length one; usual_nearness: the cosine to the nearest of
    them that 99 in 100 texts left out exceed. are_anchors_centred: whether both are of embeddings
    beside the mean; in folders that do not say so they are not.
    form_doubt: the further rows of that root, the coefficients beside the weights. form_seen: the
    least, the mean and the greatest of each attribute over the texts of the fit, in units of
    `spread`. people: the judges of the fit whose tastes are known.
    tastes: directions of the embedding in which judges are told apart, in logits beside the average
    head (`models/reward_kinds.py`); None where they are not. `coefficients`, `spread`, `form_doubt`
    and `form_seen` then go on behind the attributes, with nothing to say of them.
    sizes: in which the prior, ignorance and nearness measure each dimension, where a few are far
    larger than the rest (`dimension_sizes.py`); None where they are alike. Weights, tastes and
    doubt are of the embedding as it is.
    reasons: what written reasons told the head, None where there were none.
    Features of an option: `reward`, each attribute, `taste 1`, .., `shown_first` and `tie`.
    """

    embedding: Embedding
    mean: Float[Array, " E"]
    weights: Float[Array, " E"]
    attributes: tuple[str, ...]
    spread: Float[Array, " C"]
    coefficients: Float[Array, " C"]
    doubt: Float32[Array, "E E"]
    prior_scale: float
    has_ties: bool
    group_by: str = "person"
    has_position: bool = True
    usual_ignorance: float = np.inf
    usual_text_ignorance: float = np.inf
    new_text_share: float = 1.0
    form_doubt: Float32[Array, "C _"] | None = None
    form_seen: Float[Array, "3 C"] | None = None
    people: "KnownPeople | None" = None
    known_texts: UInt64[Array, " H"] = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    new_text_variance: float = 0.0
    strange_text_variance: float = 0.0
    anchors: Float16[Array, "A E"] | None = None
    usual_nearness: float = -np.inf
    are_anchors_centred: bool = False
    tastes: Float32[Array, "E L"] | None = None
    sizes: Float32[Array, " E"] | None = None
    reasons: ReasonsHeard | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        names = ("reward", *self.attributes, *self.taste_names)
        names = (*names, SHOWN_FIRST) if self.has_position else names
        return (*names, TIE) if self.has_ties else names

    @property
    def taste_names(self) -> tuple[str, ...]:
        """Of the directions in which judges are told apart."""
        num = 0 if self.tastes is None else self.tastes.shape[1]
        return tuple(f"taste {place + 1}" for place in range(num))

    def with_tastes(self, tastes: Float32[Array, "E L"]) -> "RewardEncoder":
        """The same with directions in which judges are told apart."""
        num = tastes.shape[1]
        root, seen = self.form_doubt, self.form_seen
        # How far texts lie along them the embedding's own ignorance tells: nothing is out of range.
        open_ = np.tile(np.array([[-np.inf], [0.0], [np.inf]]), num)
        return replace(
            self, tastes=tastes,
            coefficients=np.concatenate([self.coefficients, np.zeros(num)]),
            spread=np.concatenate([self.spread, np.ones(num)]),
            form_doubt=None if root is None else np.pad(root, ((0, num), (0, 0))),
            form_seen=None if seen is None else np.column_stack([seen, open_]),
        )  # fmt: skip

    def rewards(self, embedded: Embedded) -> Float[Array, " T"]:
        """What each text is worth to the average judge, in logits."""
        return self.look(embedded).rewards

    def look(self, embedded: Embedded) -> "Looked":
        """What the encoder sees in each text. Who asks for several things asks one `Looked`, which
        counts, hashes and multiplies once."""
        return Looked(encoder=self, embedded=embedded)

    def form(self, embedded: Embedded) -> Float[Array, "T C"]:
        """The attributes in units of the spread of their differences, and places along tastes."""
        return self.look(embedded).form

    def gap_variances(self, pairs: Pairs) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        """The variance of what the embeddings say of each gap, now and before any data."""
        return self.look(pairs.embedded).gap_variances(pairs.first, pairs.second)

    def text_variances(self, embedded: Embedded) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
        """The same of each text beside the mean of the texts that the head was fitted on."""
        return self.look(embedded).text_variances()

    def encode(self, records: Records) -> Batch:
        """One choice of (first, second, tie) a pair; other feedback as it is, on these features."""
        is_pair = pair_rows(records)
        if is_pair.all():
            return self.encode_pairs(records, read_pairs(records, self.embedding))
        return self.encode_mixed(records, is_pair, self.embedding.embed(records))

    def encode_mixed(
        self, records: Records, is_pair: Bool[Array, " B"], embedded: Embedded
    ) -> Batch:
        """The same where some observations are no pairs, their texts embedded already."""
        seen = self.look(embedded)
        of_text = np.column_stack([seen.rewards, seen.form])
        features = np.zeros((len(embedded.of_option), len(self.feature_names)))
        features[:, : of_text.shape[1]] = of_text[embedded.of_option]
        num_groups = len(groups_of(records, self.group_by).names)
        batch = build_batch(
            records, features, self.feature_names, np.zeros((num_groups, 0)), (), self.group_by
        )
        blocks = [block.take(np.flatnonzero(~is_pair[block.row])) for block in batch.blocks]
        place = np.flatnonzero(is_pair)
        if len(place):
            group = np.empty(len(records), dtype=np.int64)
            for block in batch.blocks:
                group[block.row] = block.group
            pairs = self.encode_pairs(records.take(place), pairs_at(records, embedded, place))
            told = pairs.blocks[0]
            told = replace(told, row=place[told.row], group=group[place[told.row]])
            blocks.append(told.take(np.argsort(told.group, kind="stable")))
        return replace(batch, blocks=tuple(block for block in blocks if len(block)))

    def encode_pairs(self, records: Records, pairs: Pairs) -> Batch:
        """The same where the pairs have been read already."""
        if not self.has_ties and (pairs.outcome == 2).any():
            row = int(np.argmax(pairs.outcome == 2))
            raise DataError(
                f"observation {row} is a tie ({int((pairs.outcome == 2).sum())} of "
                f"{len(pairs.outcome)} are); the model was fitted without ties. Fit it with "
                "ties='davidson' on data that have some, or drop them."
            )
        seen = self.look(pairs.embedded)
        of_text = np.column_stack([seen.rewards, seen.form])
        first, second = of_text[pairs.first], of_text[pairs.second]
        own = seen.own_variance
        if own.any():
            # The average of a sigmoid over what new texts are worth beyond their content is a
            # sigmoid of a gap drawn in (MacKay 1992), by as much on both sides of a tie.
            drawn = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * (own[pairs.first] + own[pairs.second]))
            middle, half = 0.5 * (first + second), 0.5 * drawn[:, None] * (first - second)
            first, second = middle + half, middle - half
        shown = [first, second, 0.5 * (first + second)][: 3 if self.has_ties else 2]
        features = np.zeros((len(first), len(shown), len(self.feature_names)))
        features[:, :, : of_text.shape[1]] = np.stack(shown, axis=1)
        if self.has_position:
            features[:, 0, of_text.shape[1]] = 1.0
        if self.has_ties:
            features[:, 2, -1] = 1.0
        groups = groups_of(records, self.group_by)
        of_pair = np.arange(len(first)) if pairs.row is None else pairs.row
        order = np.argsort(groups.of_row[of_pair], kind="stable")
        of_pair = of_pair[order]
        block = Block(
            kind="choice",
            features=features[order],
            offered=np.ones((len(first), len(shown)), dtype=bool),
            option=np.broadcast_to(np.arange(len(shown)), (len(first), len(shown))),
            row=of_pair,
            group=groups.of_row[of_pair],
            weight=pairs.weight[order],
            answer={"chosen": pairs.outcome[order]},
        )
        return Batch(
            blocks=(block,) if len(first) else (),
            feature_names=self.feature_names,
            option_names=("first", "second", "tie")[: len(shown)],
            group_names=groups.names,
            group_features=np.zeros((len(groups.names), 0)),
            num_rows=len(records),
            fingerprint=records.fingerprint,
            notes=records.notes,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """Texts as an encoder sees them; every property is worked out once, when it is asked for."""

    encoder: RewardEncoder
    embedded: Embedded

    @cached_property
    def form(self) -> Float[Array, "T C"]:
        """The attributes in units of the spread of their differences, and the text's place along
        each direction of taste, of which a new text's embedding tells as little as of its reward.
        """
        encoder, num = self.encoder, len(self.encoder.attributes)
        counted = text_attributes(self.embedded.texts, encoder.attributes) / encoder.spread[:num]
        if encoder.tastes is None:
            return counted
        along = self.familiarity[:, None] * (self._apart @ encoder.tastes)
        return np.column_stack([counted, along])

    @cached_property
    def is_known(self) -> Bool[Array, " T"]:
        """Whether the head has met the text (after that prompt, where it was told prompts); all
        where nothing tells known from new."""
        if not len(self.encoder.known_texts):
            return np.ones(len(self.embedded.texts), dtype=bool)
        return known_texts(self.embedded, self.encoder.known_texts)

    @cached_property
    def familiarity(self) -> Float[Array, " T"]:
        """1 for texts that the head has met, `new_text_share` for others."""
        return np.where(self.is_known, 1.0, self.encoder.new_text_share)

    @cached_property
    def rewards(self) -> Float[Array, " T"]:
        """What each text is worth to the average judge, in logits."""
        encoder = self.encoder
        content = self.embedded.vectors @ encoder.weights - encoder.mean @ encoder.weights
        return self.familiarity * content + self.form @ encoder.coefficients

    @cached_property
    def nearness(self) -> Float[Array, " T"]:
        """The cosine to the nearest anchor of texts that the head has not met, beside the mean text
        of the fit; 1 for others. Of numbers with a large mean, which no text is told apart by, all
        would lie near each other."""
        near = np.ones(len(self.embedded.texts))
        new = np.flatnonzero(~self.is_known)
        if len(new) and self.encoder.anchors is not None:
            centred = self.encoder.are_anchors_centred
            vectors = self._apart if centred else self.embedded.vectors
            near[new] = nearness(self._even(vectors[new]), self.encoder.anchors)
        return near

    @cached_property
    def own_variance(self) -> Float[Array, " T"]:
        """Of what each text is worth beyond what its embedding says (logits squared), which the
        answers of others tell of those that the head has met."""
        encoder = self.encoder
        own = encoder.new_text_variance + encoder.strange_text_variance * (1.0 - self.nearness)
        return np.where(self.is_known, 0.0, own)

    @cached_property
    def is_far(self) -> Bool[Array, " T"]:
        """Whether a text that the head has not met is further from all that it has than 99 in 100
        that were left out."""
        return ~self.is_known & (self.nearness < self.encoder.usual_nearness)

    @cached_property
    def form_apart(self) -> Float[Array, "T C"]:
        """The attributes beside those of the mean text of the fit."""
        seen = self.encoder.form_seen
        return self.form if seen is None else self.form - seen[1]

    @cached_property
    def is_strange(self) -> Bool[Array, " T"]:
        """Far from all texts that were met, or with an attribute that lies further beyond what the
        fit has seen than texts of one pair lie apart."""
        if self.encoder.form_seen is None:
            return self.is_far
        low, _, high = self.encoder.form_seen
        return self.is_far | ((self.form < low - 1.0) | (self.form > high + 1.0)).any(axis=1)

    def gap_doubt(self, first: Int[Array, " B"], second: Int[Array, " B"]) -> Float[Array, " B"]:
        """The variance of each gap in reward by our doubt about the head, attributes counted in."""
        told, left = self._with_form(self._rooted, self.form)
        return _squares(told[first] - told[second]) + _squares(left[first] - left[second])

    @cached_property
    def text_doubt(self) -> Float[Array, " T"]:
        """The same of each text beside the mean of the texts that the head was fitted on."""
        told, left = self._with_form(self._rooted, self.form_apart)
        return _squares(told) + _squares(left)

    def gap_variances(
        self, first: Int[Array, " B"], second: Int[Array, " B"]
    ) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
        """The variance of what the embeddings say of each gap, now and before any data."""
        now = _squares(self._rooted[first] - self._rooted[second])
        apart = self._even(self._apart[first] - self._apart[second])
        return now, self.encoder.prior_scale**2 * _squares(apart)

    def text_variances(self) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
        """The same of each text beside the mean of the texts that the head was fitted on."""
        now, before = _squares(self._rooted), _squares(self._even(self._apart))
        return now, self.encoder.prior_scale**2 * before

    @cached_property
    def _rooted(self) -> Float32[Array, "T E"]:
        # Beside the mean, which is large in states of language models and cancels out of gaps.
        return self._apart @ self.encoder.doubt

    @cached_property
    def _apart(self) -> Float32[Array, "T E"]:
        return (self.embedded.vectors - self.encoder.mean).astype(np.float32)

    def _even(self, vectors: Float[Array, "N E"]) -> Float[Array, "N E"]:
        sizes = self.encoder.sizes
        return vectors if sizes is None else vectors / sizes

    def _with_form(self, rooted: Array, form: Float[Array, "T C"]) -> tuple[Array, Array]:
        root, size = self.encoder.form_doubt, len(self.encoder.weights)
        if root is None:
            return rooted, np.zeros((len(rooted), 0))
        narrow = form.astype(np.float32)
        return rooted + narrow @ root[:, :size], narrow @ root[:, size:]


def _squares(rooted: Float[Array, "B _"]) -> Float[Array, " B"]:
    return np.einsum("be,be->b", rooted, rooted).astype(np.float64)
