"""The first stage of a reward model: what texts are worth to the average judge, from all feedback.

Legend: B observations, N options over all menus, T distinct texts, E dimensions of the embedding,
C attributes, P parameters.
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Float32, Int

from penchant.data.batch import Batch
from penchant.data.batch_builder import build_batch, groups_of
from penchant.data.columns import combine_codes, entry_hashes, to_codes
from penchant.data.implied_pairs import ImpliedPairs, as_pairs, implied_pairs
from penchant.data.records import Records
from penchant.encoders.dimension_sizes import dimension_sizes, told_of_sizes
from penchant.encoders.embedding import Embedded, Embedding
from penchant.encoders.reward import RewardEncoder
from penchant.encoders.reward_pairs import Pairs, pair_outcomes, pair_rows, pairs_at
from penchant.encoders.text_attributes import text_attributes
from penchant.feedback.gap import GapModel
from penchant.fitting.channel_head import channel_likelihood, fit_channel_head
from penchant.fitting.evidence_scales import given_scales
from penchant.fitting.head_pairs import HeadDensity, HeadPairs
from penchant.fitting.head_start import head_precision
from penchant.fitting.linear_head import HeadConfig, LinearHead, fit_linear_head
from penchant.fitting.reasoned_head import HeadLikelihood, hear_reasons
from penchant.fitting.separation import WEAK_SCALE
from penchant.models.reward_reasons import ReasonLessons
from penchant.numerics.arrays import Array

# With fewer prompts, parts of whole prompts would be too unlike each other, and texts are told
# apart instead.
_MANY_PROMPTS = 10


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The fields of a `RewardModel` that its heads need; see there."""

    embedding: Embedding
    attributes: tuple[str, ...]
    has_ties: bool
    has_position: bool
    group_by: str

    @property
    def pair_model(self) -> GapModel:
        """How an answer to a pair arises."""
        return GapModel(ties="davidson" if self.has_ties else None)


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardHead:
    """A head as the encoder that it becomes, and how its fit went."""

    encoder: RewardEncoder
    fitted: LinearHead


@dataclass(frozen=True, kw_only=True, eq=False)
class Lessons:
    """What heads learn from. weight: of each observation. share: of soft labels, the probability
    that the first of a pair is preferred, NaN where the answer stands; None without any. margin:
    logits that the head takes off the winner's lead, 0 of ties; None without any. sizes: of
    the embedding's dimensions, as in `RewardEncoder`. reasons: that heads hear beside the answers;
    None for none."""

    records: Records
    embedded: Embedded
    is_pair: Bool[Array, " B"]
    weight: Float[Array, " B"]
    settings: HeadSettings
    share: Float[Array, " B"] | None = None
    margin: Float[Array, " B"] | None = None
    sizes: Float32[Array, " E"] | None = None
    reasons: ReasonLessons | None = None

    @classmethod
    def read(
        cls, records: Records, weight: Float[Array, " B"], settings: HeadSettings
    ) -> "Lessons":
        """The records with their texts embedded, once."""
        embedded = settings.embedding.embed(records)
        return cls(
            records=records, embedded=embedded, is_pair=pair_rows(records), weight=weight,
            settings=settings, sizes=dimension_sizes(embedded.vectors),
        )  # fmt: skip

    def even(self, vectors: Float[Array, "T E"]) -> Float[Array, "T E"]:
        """Embeddings in units that suit one prior."""
        return vectors if self.sizes is None else vectors / self.sizes

    def menus(self) -> Int[Array, " B"]:
        """A number for each set of texts: whoever judged the same texts has the same one."""
        sizes = self.records.menu_sizes
        padded = np.full((len(sizes), int(sizes.max(initial=0))), -1, dtype=np.int64)
        padded[np.arange(padded.shape[1]) < sizes[:, None]] = self.embedded.of_option
        return np.unique(np.sort(padded, axis=1), axis=0, return_inverse=True)[1].reshape(-1)

    def asked(self) -> Int[Array, " B"]:
        """A number for what was asked: the prompt where texts stand alone on their menus and have
        one, so that all answers to it are left out together; else the set of texts."""
        prompt = getattr(self.settings.embedding, "prompt", None)
        code = prompt_codes(self.records, prompt)
        alone = bool((self.records.menu_sizes == 1).all())
        return code if alone and code.max(initial=0) + 1 >= _MANY_PROMPTS else self.menus()

    def in_pairs(self, part: Int[Array, " B"], seed: int) -> tuple["Lessons", Int[Array, " I"]]:
        """What the answers of each part and person say pair by pair, and which observation each
        pair comes from: the lessons of judges where nobody compared two texts outright."""
        found = pairs_within(self.records, self.settings.embedding, part, seed)
        told = part[found.row] >= 0
        found = replace(found, line=found.line[told], row=found.row[told],
                        outcome=found.outcome[told])  # fmt: skip
        of_option = self.embedded.of_option[found.line.ravel()]
        pairs = replace(
            self, records=as_pairs(self.records, found), weight=self.weight[found.row],
            embedded=replace(self.embedded, of_option=of_option),
            is_pair=np.ones(len(found), dtype=bool), reasons=None,
        )  # fmt: skip
        return pairs, found.row

    def touches(self, chosen: Bool[Array, " T"]) -> Bool[Array, " B"]:
        """Which observations show one of these texts."""
        return np.logical_or.reduceat(
            chosen[self.embedded.of_option], self.records.offsets[:-1].astype(np.int64)
        )

    def connected(self, told: Bool[Array, " B"]) -> Int[Array, " T"]:
        """A number for each group of texts that these observations connect, -1 for texts that
        they do not show."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        mine = np.repeat(told, self.records.menu_sizes)
        text = self.embedded.of_option
        first = np.repeat(text[self.records.offsets[:-1]], self.records.menu_sizes)
        size = len(self.embedded.texts)
        edges = coo_array((np.ones(int(mine.sum())), (first[mine], text[mine])), shape=(size, size))
        group = connected_components(edges, directed=False)[1].astype(np.int64)
        met = np.zeros(size, dtype=bool)
        met[text[mine]] = True
        return np.where(met, group, -1)

    def why_one_judge(self, choices: Batch) -> tuple[str, ...]:
        """Why judges cannot be told apart by these answers, in a sentence; empty where they can."""
        if not choices.blocks:
            return ("Judges are told apart by pairs and choices; there are none, so that all count "
                    "as one average judge.",)  # fmt: skip
        answers = np.bincount(np.concatenate([block.group for block in choices.blocks]))
        if (answers > 1).sum() > 1:
            return ()
        who = "one judge only" if len(answers) == 1 else "nobody known to have answered twice"
        return (f"There is {who}: judges are not told apart, and all count as one average judge.",)

    def remarks(self) -> tuple[str, ...]:
        """What a reader should know of the texts and answers."""
        of_texts = (*self.embedded.notes, *told_of_sizes(self.sizes))
        pair = np.flatnonzero(self.is_pair)
        if not len(pair) or "person" not in self.records.rows.column_names:
            return of_texts
        pairs = pairs_at(self.records, self.embedded, pair)
        person, _ = to_codes(self.records.rows["person"])
        known = (person[pair] >= 0) & (pairs.outcome >= 0) & (pairs.outcome < 2)
        texts = np.sort([pairs.first, pairs.second], axis=0)
        who = np.stack([person[pair], *texts])[:, known]
        won_lower = (np.where(pairs.outcome == 0, pairs.first, pairs.second) == texts[0])[known]
        _, asked = np.unique(who, axis=1, return_inverse=True)
        asked = asked.reshape(-1)
        times, lower = np.bincount(asked), np.bincount(asked, won_lower)
        both = (lower > 0) & (lower < times) & (times > 1)
        if not both.any():
            return of_texts
        return (
            *of_texts,
            f"{int(both.sum())} of {int((times > 1).sum())} times that a judge saw the same two "
            "texts again, they preferred the other one: both answers count.",
        )

    def texts_read(self) -> tuple[Float[Array, "T E"], Float[Array, "T C"]]:
        """The numbers of each text about their mean, in units that suit one prior, and its
        attributes."""
        vectors = self.even(self.embedded.vectors - self.embedded.vectors.mean(axis=0))
        return vectors, text_attributes(self.embedded.texts, self.settings.attributes)

    def fit(self, kept: Bool[Array, " B"], prior_scale: float | None) -> RewardHead:
        """The head that has seen these observations."""
        settings, mean = self.settings, self.embedded.vectors.mean(axis=0)
        vectors, form = self.texts_read()
        learn = self._from_pairs if self.is_pair.all() else self._from_all
        fitted, spread = learn(vectors, form, kept, prior_scale)
        assert fitted.covariance is not None
        size, whole = len(fitted.weights), len(fitted.weights) + form.shape[1]
        root = np.linalg.cholesky(fitted.covariance[:whole, :whole]).astype(np.float32)
        scaled = form / spread
        # From here on of the embedding as it is.
        unit = np.ones(size, dtype=np.float32) if self.sizes is None else self.sizes
        encoder = RewardEncoder(
            embedding=settings.embedding,
            mean=mean,
            weights=fitted.weights / unit,
            attributes=settings.attributes,
            spread=spread,
            coefficients=fitted.coefficients[: form.shape[1]],
            doubt=root[:size, :size] / unit[:, None],
            form_doubt=root[size:],
            form_seen=np.stack([scaled.min(axis=0), scaled.mean(axis=0), scaled.max(axis=0)]),
            prior_scale=fitted.prior_scale,
            has_ties=settings.has_ties,
            group_by=settings.group_by,
            has_position=settings.has_position,
            sizes=self.sizes,
        )
        return RewardHead(encoder=encoder, fitted=fitted)

    def pairs(self, rows: Int[Array, " C"]) -> Pairs:
        """The pairs at these places, with the weights of the lessons; a soft label is both
        answers, each with its probability as weight, the second ones after all of the first."""
        pairs = replace(pairs_at(self.records, self.embedded, rows), weight=self.weight[rows])
        if self.share is None:
            return pairs
        share = self.share[rows]
        soft = np.flatnonzero(np.isfinite(share))
        outcome, weight = pairs.outcome.copy(), pairs.weight.copy()
        outcome[soft], weight[soft] = 0, weight[soft] * share[soft]
        return replace(
            pairs,
            first=np.concatenate([pairs.first, pairs.first[soft]]),
            second=np.concatenate([pairs.second, pairs.second[soft]]),
            outcome=np.concatenate([outcome, np.ones(len(soft), dtype=np.int64)]),
            weight=np.concatenate([weight, pairs.weight[soft] * (1.0 - share[soft])]),
            row=np.concatenate([np.arange(len(rows)), soft]),
        )

    def head_pairs(self, kept: Bool[Array, " B"]) -> tuple[HeadPairs, Int[Array, " A"]]:
        """The answered pairs among these as heads read them, and the observation of each; of
        lessons that are pairs alone, without soft labels.

        Columns: the attributes in units of their spread, then being shown first.
        """
        rows = np.flatnonzero(kept)
        pairs, _ = self._told_pairs(*self.texts_read(), rows)
        return pairs, rows[pair_outcomes(self.records)[rows] >= 0]

    def _told_pairs(
        self, vectors: Array, form: Array, rows: Int[Array, " A"]
    ) -> tuple[HeadPairs, Float[Array, " C"]]:
        pairs = self.pairs(rows)
        told = np.flatnonzero(pairs.outcome >= 0)
        apart = form[pairs.first[told]] - form[pairs.second[told]]
        spread = _spread(apart)
        return HeadPairs(
            features=vectors,
            first=pairs.first[told],
            second=pairs.second[told],
            answer=pairs.outcome[told],
            weight=pairs.weight[told],
            columns=self._columns(apart / spread, np.ones(len(told))),
            offset=None if self.margin is None else self._offsets(rows)[told],
        ), spread

    def _from_pairs(
        self, vectors: Array, form: Array, kept: Array, prior_scale: float | None
    ) -> tuple[LinearHead, Float[Array, " C"]]:
        pairs, spread = self._told_pairs(vectors, form, np.flatnonzero(kept))
        model = self.settings.pair_model
        head = fit_linear_head(
            pairs, model, prior_scale=prior_scale, column_scale=WEAK_SCALE, config=HeadConfig()
        )
        if self.reasons is None:
            return head, spread
        precision = head_precision(pairs, len(head.theta), head.prior_scale, WEAK_SCALE)
        answers = HeadDensity(pairs=pairs, model=model, precision=precision)
        return self._reasoned(head, answers, precision, (vectors, form / spread), kept), spread

    def _from_all(
        self, vectors: Array, form: Array, kept: Array, prior_scale: float | None
    ) -> tuple[LinearHead, Float[Array, " C"]]:
        """All kinds of feedback together; being shown first counts in pairs only."""
        records, of_option = self.records, self.embedded.of_option
        first = records.offsets[:-1]
        # A rated text is alone on its menu: it is told apart from the texts of other menus.
        compared = records.menu_sizes > 1
        centre = np.where(compared[:, None], form[of_option[first]], form[of_option].mean(axis=0))
        spread = _spread(form[of_option] - centre[records.row_of_option])
        shown_first = np.zeros(len(of_option))
        shown_first[first[self.is_pair]] = 1.0
        # Beside the mean: a level that all texts share would run away with the thresholds.
        apart = (form - form[of_option].mean(axis=0)) / spread
        features = self._columns(apart[of_option], shown_first)
        batch = self.batch(features, kept)
        head = fit_channel_head(vectors, batch, prior_scale=prior_scale, column_scale=WEAK_SCALE)
        if self.reasons is None:
            return head, spread
        answers, precision = channel_likelihood(vectors, batch, head=head, column_scale=WEAK_SCALE)
        # Reasons tell of tastes, not of how sharply another kind of feedback is heard.
        assert head.covariance is not None
        head = replace(head, covariance=given_scales(head.covariance, answers.places))
        return self._reasoned(head, answers, precision, (vectors, form / spread), kept), spread

    def _reasoned(
        self, head: LinearHead, answers: HeadLikelihood, precision: Float[Array, " P"],
        texts: tuple[Array, Array], kept: Bool[Array, " B"],
    ) -> LinearHead:  # fmt: skip
        """The head with the reasons of these observations heard beside their answers."""
        reasons = self.reasons
        assert reasons is not None
        themes = reasons.heard(texts, self.embedded, kept, self.weight, len(precision))
        return hear_reasons(head, answers, precision, themes, reasons.reading)

    def _columns(self, form: Array, shown_first: Array) -> Array:
        return np.column_stack([form, shown_first]) if self.settings.has_position else form

    def _offsets(self, rows: Int[Array, " C"]) -> Float[Array, " C"]:
        """What margins add to the gap of each of these pairs."""
        taken, first = self.handicaps(), self.records.offsets[:-1][rows]
        return taken[first + 1] - taken[first]

    def handicaps(self) -> Float[Array, " N"]:
        """Of each text shown, what is taken off its worth: the margin, where it won a pair."""
        taken = np.zeros(len(self.embedded.of_option))
        if self.margin is not None:
            outcome = pair_outcomes(self.records)
            decided = np.flatnonzero((outcome == 0) | (outcome == 1))
            taken[self.records.offsets[:-1][decided] + outcome[decided]] = self.margin[decided]
        return taken

    def batch(
        self, features: Float[Array, "N C1"], kept: Bool[Array, " B"],
        named: tuple[str, ...] | None = None,
    ) -> Batch:  # fmt: skip
        """These observations, with texts for options and these features, called x0 and on."""
        names = pa.array([str(t) for t in range(len(self.embedded.texts))])
        option = pa.DictionaryArray.from_arrays(self.embedded.of_option.astype(np.int32), names)
        records = self.records.with_columns(options={"option": option})
        num_groups = len(groups_of(records, self.settings.group_by).names)
        named = named or tuple(f"x{place}" for place in range(features.shape[1]))
        batch = build_batch(
            records, features, named, np.zeros((num_groups, 0)), (), self.settings.group_by
        )
        text = np.array([*map(int, batch.option_names), -1])
        blocks = []
        for block in batch.blocks:
            mine = block.take(np.flatnonzero(kept[block.row]))
            if len(mine):
                blocks.append(replace(mine, option=text[mine.option], weight=self.weight[mine.row]))
        return replace(batch, blocks=tuple(blocks), option_names=tuple(names.to_pylist()))


def pairs_within(
    records: Records, embedding: Embedding, part: Int[Array, " B"], seed: int
) -> ImpliedPairs:
    """The pairs that the answers of each part imply; of texts written to one prompt alone, since
    each was read after its own."""
    prompt = getattr(embedding, "prompt", None)
    within = combine_codes(prompt_codes(records, prompt), part)
    return implied_pairs(records, within=within, seed=seed)


def in_pairs(records: Records, embedding: Embedding) -> Records:
    """The records themselves where somebody compared two texts, else the pairs they imply."""
    if not len(records) or pair_rows(records).any():
        return records
    part = np.zeros(len(records), dtype=np.int64)
    return as_pairs(records, pairs_within(records, embedding, part, seed=0))


def prompt_codes(records: Records, prompt: str | None) -> Int[Array, " B"]:
    """A number for each prompt; one for all where the rows have none."""
    if prompt is None or prompt not in records.rows.column_names:
        return np.zeros(len(records), dtype=np.int64)
    return np.unique(entry_hashes(records.rows[prompt]), return_inverse=True)[1].reshape(-1)


def of_named(records: Records, group_by: str) -> Records:
    """Without the answers of nobody knows whom: two of them are not one person because both stand
    on line 3 of their files."""
    if group_by not in records.rows.column_names:
        return records
    codes, _ = to_codes(records.rows[group_by])
    return records if (codes >= 0).all() else records.take(np.flatnonzero(codes >= 0))


def _spread(apart: Float[Array, "_ C"]) -> Float[Array, " C"]:
    """How much each attribute differs where it does: over all pairs, an attribute that hardly ever
    differs would be measured in next to nothing, and a few pairs would say anything of it."""
    # Attributes are shares and logarithms: what differs by less is the rounding of a mean.
    num = (np.abs(apart) > 1e-9).sum(axis=0)
    return np.where(num > 0, np.sqrt((apart**2).sum(axis=0) / np.maximum(num, 1)), 1.0)
