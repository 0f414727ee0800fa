"""A reward model that knows who is judging: what a text is worth, to whom, and how sure we are.

Legend: B pairs, A answers (first, second, tie), T distinct texts, E dimensions, C attributes.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.data.records import Records
from penchant.encoders.embedding import Embedding, EmbeddingColumn
from penchant.encoders.reward import Pairs, RewardEncoder, read_pairs
from penchant.encoders.text_attributes import text_attributes
from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import HeadConfig, LinearHead, fit_linear_head
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.simulated import SimulatedConfig, fit_simulated
from penchant.metrics.intervals import Z95
from penchant.models.estimator import Estimator, encoded
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal

# What of a person may differ, from nothing to everything that is told apart.
NOTHING: tuple[str, ...] = ()
# Parts of the pairs for heads that have not seen a part.
_FOLDS = 5
HABITS = ("reward", "tie", "shown_first")


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgements:
    """What is foretold of each pair.

    probabilities: that the first wins, the second, a tie. gap: first's reward minus second's to
    the average judge (logits), low and high its 95 % interval: our doubt about the head, which
    shrinks with data. ignorance: the share of the prior variance of the gap that the data left, 1
    where nothing was learned of such texts. knows_person: whether the judge's own answers were
    used.
    """

    probabilities: Float[Array, "B A"]
    gap: Float[Array, " B"]
    low: Float[Array, " B"]
    high: Float[Array, " B"]
    ignorance: Float[Array, " B"]
    knows_person: Bool[Array, " B"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Head:
    """The first stage: the encoder that it becomes, and how its fit went."""

    encoder: RewardEncoder
    fitted: LinearHead


@dataclass(eq=False)
class RewardModel(Estimator):
    """reward(text) = f' w + c' beta on a frozen embedding f and counted attributes c; a judge's own
    weights on reward and attributes, tie rate and favour for the first shown ~ N(mean, L L').

    Two stages: a ridge-penalised Davidson (1970) head on all pairs, its penalty chosen by the
    evidence, then a panel mixed logit over (first, second, tie) on what heads say of pairs that
    they have not seen (cross-fitted in five parts; Stone 1974), so that its weight on the reward
    is what the reward is worth on new pairs. A new judge's posterior takes few answers.

    embedding: where the numbers come from: a column of the data, or a model that reads the texts.
    attributes: of `text_attributes`, held apart from the embedding. ties: "davidson", or None
    where nobody may tie. personal: what differs between judges: True for everything, `HABITS`
    for reliability, tie rate and favour for the first alone, or names; False for one average judge.
    """

    embedding: Embedding = field(default_factory=EmbeddingColumn)
    attributes: tuple[str, ...] = ("length",)
    ties: str | None = "davidson"
    personal: bool | tuple[str, ...] = True
    correlated: bool = True
    prior_scale: float | None = None
    num_draws: int = 200
    doubt_draws: int = 0
    group_by: str = "person"
    random_state: int = 0

    def fit(
        self, data: Records | Batch, *, sample_weight: Float[Array, " B"] | None = None
    ) -> "RewardModel":
        """Learn from pairs of texts.

        Raises `DataError` for feedback that is no pair, missing texts or embeddings.
        """
        if not isinstance(data, Records):
            raise DataError(
                f"a reward model got a {type(data).__name__}; expected Records, whose texts it can "
                "read. Read a file with `penchant.read`."
            )
        pairs = self._pairs(data, sample_weight)
        has_ties = self.ties is not None
        model = GapModel(ties="davidson" if has_ties else None)
        head = self._head(pairs, model)
        encoder = head.encoder
        answered = np.flatnonzero(pairs.outcome >= 0)
        batch = self._unseen(data, pairs, encoder, model).take_rows(answered)
        places = self._personal(encoder.feature_names)
        if places:
            population = Normal(
                random=places, distributions=("normal",) * len(places), correlated=self.correlated,
                num_draws=self.num_draws, seed=self.random_state,
            )  # fmt: skip
            belief = fit_simulated(
                batch, population, config=SimulatedConfig(max_steps=200, tolerance=1e-6),
                encoder=encoder,
            )  # fmt: skip
        else:
            belief = fit_pooled(batch, encoder=encoder)
        self.belief_ = _told(belief, head.fitted)
        return self

    def judge(self, data: Records, history: Records | None = None) -> Judgements:
        """What is foretold of each pair of the records, in their order; `history` as in
        `predict_proba`."""
        belief = self._belief()
        encoder = self._encoder()
        batch = encoded(belief, data)
        known = None if history is None else encoded(belief, history)
        probabilities = np.full((batch.num_rows, len(batch.option_names)), np.nan)
        for block, said in zip(batch.blocks, belief.predict_proba(batch, known)):
            probabilities[block.row] = said
        pairs = read_pairs(data, encoder.embedding)
        rewards = encoder.rewards(pairs.embedded)
        gap = rewards[pairs.first] - rewards[pairs.second]
        posterior, prior = encoder.gap_variances(pairs)
        reach = Z95 * np.sqrt(posterior)
        names = set() if known is None else _answered_names(known)
        group = np.empty(batch.num_rows, dtype=object)
        for block in batch.blocks:
            group[block.row] = np.asarray(batch.group_names, dtype=object)[block.group]
        return Judgements(
            probabilities=probabilities,
            gap=gap,
            low=gap - reach,
            high=gap + reach,
            ignorance=np.clip(posterior / np.where(prior > 0, prior, 1.0), 0.0, 1.0),
            knows_person=np.array([name in names for name in group], dtype=bool),
        )

    def _pairs(self, data: Records, sample_weight: Float[Array, " B"] | None) -> Pairs:
        pairs = read_pairs(data, self.embedding)
        if self.ties not in (None, "davidson"):
            raise ConfigError(f"got ties={self.ties!r}; expected 'davidson' or None.")
        if (pairs.outcome >= 0).sum() == 0:
            raise DataError(
                f"none of the {len(pairs.outcome)} pairs has an answer; expected at least one."
            )
        if sample_weight is None:
            return pairs
        weight = np.asarray(sample_weight, dtype=np.float64)
        if weight.shape != pairs.weight.shape or not np.all(weight >= 0):
            raise DataError(
                f"sample_weight has shape {weight.shape} and minimum {weight.min(initial=0)}; "
                f"expected one number, zero or more, for each of the {len(pairs.weight)} rows."
            )
        return replace(pairs, weight=pairs.weight * weight)

    def _head(self, pairs: Pairs, model: GapModel, *, prior_scale: float | None = None) -> _Head:
        mean = pairs.embedded.vectors.mean(axis=0)
        form = text_attributes(pairs.embedded.texts, self.attributes)
        told = np.flatnonzero(pairs.outcome >= 0)
        apart = form[pairs.first[told]] - form[pairs.second[told]]
        spread = np.sqrt((apart**2).mean(axis=0))
        spread = np.where(spread > 0, spread, 1.0)
        columns = np.column_stack([apart / spread, np.ones(len(told))])
        head = fit_linear_head(
            HeadPairs(
                features=pairs.embedded.vectors - mean,
                first=pairs.first[told],
                second=pairs.second[told],
                answer=pairs.outcome[told],
                weight=pairs.weight[told],
                columns=columns,
            ),
            model,
            prior_scale=prior_scale or self.prior_scale,
            config=HeadConfig(),
        )
        assert head.covariance is not None
        size = len(head.weights)
        encoder = RewardEncoder(
            embedding=self.embedding,
            mean=mean,
            weights=head.weights,
            attributes=tuple(self.attributes),
            spread=spread,
            coefficients=head.coefficients[:-1],
            doubt=np.linalg.cholesky(head.covariance[:size, :size]).astype(np.float32),
            prior_scale=head.prior_scale,
            has_ties=self.ties is not None,
            group_by=self.group_by,
        )
        return _Head(encoder=encoder, fitted=head)

    def _unseen(
        self, data: Records, pairs: Pairs, encoder: RewardEncoder, model: GapModel
    ) -> Batch:
        """The pairs as the second stage learns from them: each judged by a head that has not seen
        it. By the head that has, rewards would look surer than they are of pairs to come."""
        batch = encoder.encode_pairs(data, pairs)
        # Whoever judges the same two texts belongs to the same part.
        lower, upper = np.sort([pairs.first, pairs.second], axis=0)
        answered = np.flatnonzero(pairs.outcome >= 0)
        both = lower[answered] * len(pairs.embedded.texts) + upper[answered]
        met, pair = np.unique(both, return_inverse=True)
        num_folds = min(_FOLDS, len(met))
        if num_folds < 2:
            return batch
        part = np.random.default_rng(self.random_state).permutation(len(met)) % num_folds
        fold = np.full(len(pairs.outcome), -1)
        fold[answered] = part[pair]
        (block,) = batch.blocks
        features = block.features.copy()
        for out in range(num_folds):
            others = replace(pairs, outcome=np.where(fold == out, -1, pairs.outcome))
            apart = self._head(others, model, prior_scale=encoder.prior_scale).encoder
            there = fold[block.row] == out
            features[there, :, 0] = apart.encode_pairs(data, pairs).blocks[0].features[there, :, 0]
        return replace(batch, blocks=(replace(block, features=features),))

    def _personal(self, names: tuple[str, ...]) -> tuple[int, ...]:
        asked = names if self.personal is True else self.personal or ()
        unknown = [name for name in asked if name not in names and name != "tie"]
        if unknown:
            raise ConfigError(
                f"judges cannot differ in {unknown[0]!r}; expected some of {', '.join(names)}."
            )
        return tuple(place for place, name in enumerate(names) if name in asked)

    def _encoder(self) -> RewardEncoder:
        encoder = self._belief().encoder
        assert isinstance(encoder, RewardEncoder)
        return encoder


def _told(belief: Belief, head: LinearHead) -> Belief:
    """The belief, whose report is of the second stage, with what the first one left open."""
    if head.converged or belief.report is None:
        return belief
    warning = (
        f"The reward head did not converge: after {head.iterations} steps, one more would bring "
        f"{head.gain_left:.3g} nats. Rewards are where it stopped, their intervals may be wrong. "
        "Look for embeddings of very different sizes, or set a smaller prior_scale."
    )
    report = replace(belief.report, converged=False, warnings=(*belief.report.warnings, warning))
    return replace(belief, report=report)


def _answered_names(known: Batch) -> set[str]:
    return {known.group_names[group] for block in known.blocks for group in np.unique(block.group)}
