"""A reward model that knows who is judging: what a text is worth, to whom, and how sure we are.

Legend: B pairs, A answers (first, second, tie), T distinct texts, E dimensions, C attributes.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.data.batch_builder import groups_of
from penchant.data.records import Records
from penchant.encoders.embedding import Embedding, EmbeddingColumn
from penchant.encoders.reasons import read_reasons
from penchant.encoders.reward import RewardEncoder
from penchant.encoders.reward_pairs import read_pairs
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.fitting.channel_head import joint_channels
from penchant.fitting.linear_head import LinearHead
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.models.estimator import Estimator, encoded
from penchant.models.reward_head import (
    Lessons,
    RewardHead,
    in_pairs,
    of_named,
)
from penchant.models.reward_kinds import (
    PEOPLE,
    People,
    find_tastes,
    fit_kinds,
    with_tastes,
)
from penchant.models.reward_lessons import read_lessons, softened, with_margins
from penchant.models.reward_new_texts import left_out_texts, with_new_texts
from penchant.models.reward_reason_weight import with_reasons
from penchant.models.reward_scorer import RewardScorer, people_of
from penchant.models.reward_unseen import (
    choices_of,
    encode_lessons,
    told_rows,
    unseen_answers,
)
from penchant.models.reward_weight import weighed
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal
from penchant.populations.pooled import Pooled

# Of tastes for each judge, where judges are normal.
_NUM_DRAWS = 200
# What of a person may differ, from nothing to everything that is told apart.
NOTHING: tuple[str, ...] = ()
HABITS = ("reward", "tie", "shown_first")
_ADVICE = "Look for embeddings of very different sizes, or set a smaller prior_scale."


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgements:
    """What is foretold of each pair.

    probabilities: that the first wins, the second, a tie. gap: first's reward minus second's to the
    average judge (logits), low and high its 95 % interval: our doubt about the head, about what it
    and each attribute count for, and about what new texts are worth beyond what their embeddings
    say, all of which shrink with data. own_variance: the part of its variance that is the last of
    these, which probabilities count in, too (logits squared). ignorance: the share of the prior
    variance of the head's gap that the data left, 1 where nothing was learned of such texts.
    is_unfamiliar: whether that is more than of 99 in 100 pairs of texts that were left out whole,
    or above 0.95, or a new text lies further from all that were met than 99 in 100 of those left
    out, or an attribute beyond what the fit has seen: texts of a kind that the model does not know.
    knows_person: whether the judge's own answers were used.
    """

    probabilities: Float[Array, "B A"]
    gap: Float[Array, " B"]
    low: Float[Array, " B"]
    high: Float[Array, " B"]
    own_variance: Float[Array, " B"]
    ignorance: Float[Array, " B"]
    is_unfamiliar: Bool[Array, " B"]
    knows_person: Bool[Array, " B"]


@dataclass(eq=False)
class RewardModel(Estimator):
    """reward(text) = f' w + c' beta on a frozen embedding f and counted attributes c; a judge's own
    weights on reward and attributes, tie rate and favour for the first shown ~ N(mean, L L').

    Two stages: a ridge-penalised head on all feedback, its penalty chosen by the evidence, then a
    panel mixed logit over (first, second, tie) on what heads say of pairs that they have not seen
    (cross-fitted in five parts; Stone 1974), so that its weight on the reward is what the reward is
    worth on new pairs: N(1, 1) before any data, and never below zero, so that a head that learnt
    nothing cannot turn rewards round; `report.warnings` says where that cannot be ruled out. A new
    judge's posterior takes few answers.

    The head hears pairs (Davidson 1970), edits (the edited text against the proposal), choices,
    rankings, grades, ratings (each rater's own thresholds), clicks and numbers together, each kind
    through its own likelihood and, beside the first, with its own noise. Judges are told apart by
    their pairs and choices; where there are none, by the pairs that their ratings, numbers and
    rankings imply (`data/implied_pairs.py`); where nothing is, all are one average judge.

    embedding: where the numbers come from: a column of the data, or a model that reads the texts.
    attributes: of `text_attributes`, held apart from the embedding. ties: "davidson", or None
    where nobody may tie. personal: what differs between judges: True for everything, `HABITS`
    for reliability, tie rate and favour for the first alone, or names; False for one average judge.
    soft_label: a column with the probability that the first of a pair is preferred, from several
    votes or another model, in place of its answer; for all-pair data and one average judge.
    margin: a column with the strength of each preference, in logits by which the winner has to win:
    the head's loss is log sigmoid(gap - margin) (Touvron et al. 2023), which is no likelihood. What
    its word then counts for is found without margins, on pairs that it has not seen, so that
    probabilities stay those of answers; for all-pair data and one kind.
    reasons: a column, or several, of what people wrote about why (one text or a list of texts a
    row; empty: none), beside the feedback of any kind; read as texts are. The head hears them as a
    second channel (Just et al. 2024), as much as judgements that it had not seen tell them to be
    worth, and not at all where they save nothing (`reward_reason_weight.py`).
    has_own_worth: whether a text that the fit has not met is worth something of its own, beside
    what its embedding says, which draws probabilities in and widens intervals.
    kinds: heads of a mixture whose differences, kinds - 1 directions of the embedding, are features
    as attributes are: `taste 1` and on (`reward_kinds.py`); 1 for none. people: how judges differ
    in all their weights: "normal" around the mean (a latent person, where there are directions), of
    one of so many "classes" each, or a mix of as many "prototypes".
    """

    embedding: Embedding = field(default_factory=EmbeddingColumn)
    attributes: tuple[str, ...] = ("length",)
    ties: str | None = "davidson"
    personal: bool | tuple[str, ...] = True
    correlated: bool = True
    soft_label: str | None = None
    margin: str | None = None
    reasons: str | tuple[str, ...] = ()
    prior_scale: float | None = None
    num_draws: int = _NUM_DRAWS
    doubt_draws: int = 0
    group_by: str = "person"
    random_state: int = 0
    has_own_worth: bool = True
    kinds: int = 1
    people: People = "normal"

    def fit(
        self, data: Records | Batch, *, sample_weight: Float[Array, " B"] | None = None
    ) -> "RewardModel":
        """Learn from judged texts.

        Raises `DataError` for missing texts or embeddings, or where nobody answered.
        """
        if not isinstance(data, Records):
            raise DataError(
                f"a reward model got a {type(data).__name__}; expected Records, whose texts it can "
                "read. Read a file with `penchant.read`."
            )
        self._check_kinds()
        self._check_evidence()
        lessons = self._lessons(data, sample_weight)
        columns = (self.reasons,) if isinstance(self.reasons, str) else tuple(self.reasons)
        # Before anything is fitted: a column that is not there is told at once.
        written = read_reasons(data, columns, lessons.settings.embedding) if columns else None
        everything = np.ones(len(data), dtype=bool)
        whole = lessons.fit(everything, self.prior_scale)
        reasoned = None
        if written is not None:
            reasoned = with_reasons(lessons, whole, written, self.random_state)
            lessons, whole = reasoned.lessons, reasoned.whole
        tastes = None
        if self.kinds > 1:
            tastes = find_tastes(lessons, everything, self.kinds, self.random_state)
            whole = with_tastes(whole, tastes.loadings)
        self._refuse_unknown_names(whole.encoder.feature_names)
        unseen = unseen_answers(lessons, whole, tastes, self.random_state)
        batch, choices = unseen.batch, choices_of(unseen.batch)
        encoder, of_new = self._of_new_texts(lessons, unseen.heard, whole, choices)
        if reasoned is not None:
            encoder = replace(encoder, reasons=reasoned.heard)
            of_new = (*reasoned.notes, *of_new)
        whole = replace(whole, encoder=encoder)
        alone = lessons.why_one_judge(choices)
        places = () if alone else self._personal(whole.encoder.feature_names)
        if places and tastes is not None and self.people != "normal":
            belief = fit_kinds(
                choices, self.people, tastes, encoder=whole.encoder, seed=self.random_state
            )
        elif places:
            population = Normal(
                random=places, distributions=("normal",) * len(places), correlated=self.correlated,
                num_draws=self.num_draws, seed=self.random_state,
            )  # fmt: skip
            belief = weighed(lambda anchors: fit_simulated(
                choices, population, config=SimulatedConfig(max_steps=200, tolerance=1e-6),
                encoder=whole.encoder, anchors=anchors,
            ), len(self.attributes))  # fmt: skip
        else:
            told = choices if choices.blocks else batch
            channels = (Choice(),) if choices.blocks else (*joint_channels(batch), Choice())
            belief = weighed(lambda anchors: fit_pooled(
                told, channels=channels, encoder=whole.encoder, anchors=anchors
            ), len(self.attributes))  # fmt: skip
        belief = _told(belief, whole.fitted, [part.fitted for part in unseen.parts])
        if places:
            named = set(groups_of(of_named(data, self.group_by), self.group_by).names)
            people = people_of(belief, choices, named)
            belief = replace(belief, encoder=replace(encoder, people=people))
        alone = alone if self.personal else ()
        self.belief_ = _noted(belief, (*of_new, *lessons.remarks(), *alone))
        self._heard = _Heard(of=data.fingerprint, choices=choices)
        return self

    def judge(self, data: Records, history: Records | None = None) -> Judgements:
        """What is foretold of each pair of the records, in their order; `history` as in
        `predict_proba`."""
        belief = self._belief()
        encoder = self._encoder()
        pairs = read_pairs(data, encoder.embedding)
        batch = encoder.encode_pairs(data, pairs)
        known = self._known(history)
        probabilities = np.full((batch.num_rows, len(batch.option_names)), np.nan)
        for block, shares in zip(batch.blocks, belief.predict_proba(batch, known)):
            probabilities[block.row] = shares
        said = RewardScorer.of(belief).margins(pairs)
        names: set[str] = set()
        if known is not None and not isinstance(belief.population, Pooled):
            names = _answered_names(known)
        group = np.empty(batch.num_rows, dtype=object)
        for block in batch.blocks:
            group[block.row] = np.asarray(batch.group_names, dtype=object)[block.group]
        return Judgements(
            probabilities=probabilities,
            gap=said.margin,
            low=said.low,
            high=said.high,
            own_variance=said.own_variance,
            ignorance=said.ignorance,
            is_unfamiliar=said.is_unfamiliar,
            knows_person=np.array([name in names for name in group], dtype=bool),
        )

    def _known(self, history: Records | None) -> Batch | None:
        """What the history's people answered, as the second stage hears it. Of the very records
        that the model was fitted on, the readings are those of heads that had not seen them."""
        if history is None:
            return None
        belief, encoder = self._belief(), self._encoder()
        heard: _Heard | None = getattr(self, "_heard", None)
        if heard is not None and heard.of == history.fingerprint:
            return _of_people(heard.choices, of_named(history, encoder.group_by), encoder.group_by)
        named = in_pairs(of_named(history, encoder.group_by), encoder.embedding)
        return encoded(belief, named) if len(named) else None

    def _lessons(self, data: Records, sample_weight: Float[Array, " B"] | None) -> Lessons:
        if self.ties not in (None, "davidson"):
            raise ConfigError(f"got ties={self.ties!r}; expected 'davidson' or None.")
        lessons = read_lessons(
            data, sample_weight, embedding=self.embedding, attributes=tuple(self.attributes),
            group_by=self.group_by, has_ties=self.ties is not None,
        )  # fmt: skip
        if self.margin is not None:
            return with_margins(lessons, self.margin)
        return lessons if self.soft_label is None else softened(lessons, self.soft_label)

    def _check_evidence(self) -> None:
        """Raise `ConfigError` for columns of margins, soft labels and reasons that do not go
        together."""
        if self.margin is not None and (self.soft_label is not None or self.kinds > 1):
            other = f"kinds={self.kinds}"
            if self.soft_label is not None:
                other = f"soft_label={self.soft_label!r}"
            raise ConfigError(
                f"got margin={self.margin!r} with {other}; a margin is of who won, to one average "
                "head. Expected one of the two."
            )
        if self.reasons and self.soft_label is not None:
            raise ConfigError(
                f"got reasons={self.reasons!r} with soft_label={self.soft_label!r}; a reason says "
                "why one text was preferred, and a soft label prefers none. Expected one of the "
                "two."
            )
        if self.soft_label is not None and self.personal:
            raise ConfigError(
                f"got soft_label={self.soft_label!r} with personal={self.personal!r}; expected "
                "personal=False and pairs alone, since a soft label is no answer of one person."
            )

    def _check_kinds(self) -> None:
        """Raise `ConfigError` for kinds of judges that cannot be."""
        if self.kinds < 1 or self.people not in PEOPLE:
            raise ConfigError(
                f"got kinds={self.kinds} and people={self.people!r}; expected 1 kind or more, and "
                f"one of {', '.join(map(repr, PEOPLE))}."
            )
        if self.kinds == 1 and self.people != "normal":
            raise ConfigError(
                f"got people={self.people!r} with kinds=1, which is one taste for all; expected 2 "
                "kinds or more."
            )
        if self.people != "normal" and not (self.correlated and self.num_draws == _NUM_DRAWS):
            raise ConfigError(
                f"got correlated={self.correlated} and num_draws={self.num_draws} with people="
                f"{self.people!r}; {self.people} are summed over, none is drawn, and both would "
                "change nothing. Leave them out, or choose people='normal'."
            )
        if self.kinds > 1 and self.personal is not True:
            raise ConfigError(
                f"got kinds={self.kinds} with personal={self.personal!r}; kinds of judges differ "
                "in everything. Expected personal=True, or kinds=1."
            )

    def _of_new_texts(
        self, lessons: Lessons, heard: Lessons, whole: RewardHead, seen: Batch
    ) -> tuple[RewardEncoder, tuple[str, ...]]:
        """The encoder with what heads that have not met whole texts tell of them."""
        told = told_rows(lessons, encode_lessons(lessons, whole.encoder))
        parts = left_out_texts(lessons, heard, told, whole.encoder.prior_scale, self.random_state)
        return with_new_texts(
            whole.encoder, heard, parts, seen,
            lambda given: weighed(
                lambda anchors: fit_pooled(given, anchors=anchors), len(self.attributes)
            ),
            self.has_own_worth,
        )  # fmt: skip

    def _refuse_unknown_names(self, names: tuple[str, ...]) -> None:
        asked = () if isinstance(self.personal, bool) else self.personal
        unknown = [name for name in asked if name not in (*names, *HABITS)]
        if unknown:
            raise ConfigError(
                f"judges cannot differ in {unknown[0]!r}; expected some of {', '.join(names)}."
            )

    def _personal(self, names: tuple[str, ...]) -> tuple[int, ...]:
        asked = names if self.personal is True else self.personal or ()
        return tuple(place for place, name in enumerate(names) if name in asked)

    def _encoder(self) -> RewardEncoder:
        encoder = self._belief().encoder
        assert isinstance(encoder, RewardEncoder)
        return encoder


@dataclass(frozen=True, kw_only=True, eq=False)
class _Heard:
    """The answers of a fit as its second stage heard them. of: the records' fingerprint. Not part
    of the belief: a saved model keeps what it knows of people, not what they said."""

    of: str
    choices: Batch


def _of_people(batch: Batch, named: Records, group_by: str) -> Batch | None:
    """The answers of those who are known by name."""
    if not len(named) or not batch.blocks:
        return None
    names = set(groups_of(named, group_by).names)
    kept = np.array([name in names for name in batch.group_names], dtype=bool)
    blocks = tuple(b.take(np.flatnonzero(kept[b.group])) for b in batch.blocks)
    return replace(batch, blocks=tuple(block for block in blocks if len(block)))


def _told(belief: Belief, whole: LinearHead, parts: list[LinearHead]) -> Belief:
    """The belief, whose report is of the second stage, with what the first one left open."""
    stopped = [part for part in parts if not part.converged]
    if belief.report is None or (whole.converged and not stopped):
        return belief
    warnings = []
    if not whole.converged:
        warnings.append(
            f"The reward head did not converge: after {whole.iterations} steps, one more would "
            f"bring {whole.gain_left:.3g} nats. Rewards are where it stopped, their intervals may "
            f"be wrong. {_ADVICE}"
        )
    if stopped:
        worst = max(part.gain_left for part in stopped)
        warnings.append(
            f"{len(stopped)} of the {len(parts)} heads that judge what they have not seen did not "
            f"converge (one more step would bring up to {worst:.3g} nats): how much the reward "
            f"counts for judges may be wrong. {_ADVICE}"
        )
    report = replace(belief.report, converged=False, warnings=(*belief.report.warnings, *warnings))
    return replace(belief, report=report)


def _noted(belief: Belief, notes: tuple[str, ...]) -> Belief:
    if belief.report is None or not notes:
        return belief
    warnings = tuple(dict.fromkeys((*belief.report.warnings, *notes)))
    return replace(belief, report=replace(belief.report, warnings=warnings))


def _answered_names(known: Batch) -> set[str]:
    return {known.group_names[group] for block in known.blocks for group in np.unique(block.group)}
