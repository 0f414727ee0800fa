"""Direct preference learning: a policy whose own log-ratios say what people chose.

The likelihood of a pair is `feedback`'s on the implicit utility; with several kinds of people it is
a mixture over people, of adapters on one base, and `populations.classes` says who is of which.

Legend: B pairs or lists, K answers of each, G people, C people of a step, S kinds, Q features of a
person, T1 tokens after those before them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.processes import number
from penchant.fitting.sgd import TrainConfig, Training, train
from penchant.lm.language_model import LanguageModel
from penchant.lm.low_rank import LowRankConfig, fresh_low_rank, merged
from penchant.lm.precision import Precision, at_least_single, in_precision
from penchant.lm.tokens import fingerprint
from penchant.numerics.arrays import Array, add_rows, log_sum_exp
from penchant.policies.language.answers import answer_log_probs
from penchant.policies.language.layout import Layout, check_reading
from penchant.policies.language.lists import Lists, best_of, list_answers, ranked_log_prob
from penchant.policies.language.pair_terms import Term, of_term, term_reference, told_term
from penchant.policies.language.pairs import (
    Pairs,
    pair_answers,
    people_within,
    settled_pairs,
    told_data,
)
from penchant.policies.language.preference import (
    hinge_pair_loss,
    soft_pair_loss,
    squared_pair_loss,
    tied_pair_loss,
)
from penchant.populations.classes import router_log_weights
from penchant.utilities.implicit import log_ratio_utility

_ROUTER, _TIES = "router", "ties"
# Pairs whose log-probabilities under the reference are made at a time.
_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectConfig:
    """strength: beta, nats of utility a nat of log-ratio. loss: "logistic" (DPO, a likelihood),
    "squared" (IPO), "hinge" (SLiC); the latter two take the likelier winner for sure. ties: what a
    label of one half is: "half" a win to each side; an answer of its own, after "davidson" (1970)
    or "rao_kupper" (1967), whose strength is learnt with the policy. mean: log-ratios a token.
    margin: asked of the likelier winner by the logistic loss, in utility. anchor: weight of -log pi
    a token of the better answer, lest both grow unlikely (IRPO), to each kind in the measure that
    the person is of it. kinds: of people, each an adapter; low_rank: adapters, None trains the
    whole model (one kind). layout: "packed" reads a prompt once for its answers and pads nothing
    (its numbers are compared with "padded" before the first step, which is what a model that cannot
    pack is read by); tokens_at_once: about how many tokens are read together (None: as many people
    as the learner says); people are not divided.
    """

    strength: float = 0.1
    loss: Literal["logistic", "squared", "hinge"] = "logistic"
    ties: Literal["half", "davidson", "rao_kupper"] = "half"
    mean: bool = False
    margin: float = 0.0
    anchor: float = 0.0
    kinds: int = 1
    low_rank: LowRankConfig | None = None
    layout: Layout = "packed"
    tokens_at_once: int | None = None
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        check_reading(self.layout, self.tokens_at_once)
        if self.kinds < 1 or not self.strength > 0.0:
            raise ConfigError(
                f"got kinds={self.kinds} and strength={self.strength}; expected one kind or more, "
                "and a strength above 0."
            )
        if self.margin != 0.0 and self.loss != "logistic":
            raise ConfigError(
                f"got margin={self.margin} with loss={self.loss!r}; expected none: the squared and "
                "the hinge loss have a gap of their own to reach."
            )
        if self.ties != "half" and (self.loss != "logistic" or self.margin != 0.0):
            raise ConfigError(
                f"got ties={self.ties!r} with loss={self.loss!r} and margin={self.margin}; "
                'expected the logistic loss without a margin, or ties="half": only a likelihood '
                "knows an answer of its own for them."
            )
        if self.kinds > 1 and (self.low_rank is None or self.loss != "logistic"):
            raise ConfigError(
                f"got kinds={self.kinds} with loss={self.loss!r} and low_rank={self.low_rank}; "
                "expected the logistic loss, whose likelihoods can be mixed, and adapters: one for "
                "each kind on the same base."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class DirectFit:
    """policies: one a kind. log_shares: of the kinds, for each person before their answers are
    seen. posterior: the same after they were. training: how it went. ties: the own parameter of
    `DirectConfig.ties`, log nu (Davidson) or log eta (Rao and Kupper); None without."""

    policies: tuple[LanguageModel, ...]
    log_shares: Float[Array, "G S"]
    posterior: Float[Array, "G S"]
    training: Training
    ties: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class PairsTold:
    """Of some pairs (or lists of K answers), under each policy. log_prob: minus the loss (of the
    logistic one the log-likelihood); better: mean log-probability of the better answer; worth:
    implicit utilities, logp: of tokens, both with the likelier winner of a pair first, is_turned
    where that is the second."""

    log_prob: Float[Array, "C S"]
    better: Float[Array, "C S"]
    worth: Float[Array, "C K S"]
    logp: Float[Array, "C K T1 S"]
    is_turned: Bool[Array, " C"]


def fit_direct(
    model: LanguageModel,
    pairs: Pairs | Lists,
    training: TrainConfig,
    config: DirectConfig | None = None,
    *,
    person_features: Float[Array, "G Q"] | None = None,
    terms: Sequence[Term] = (),
    reference: Float[Array, "B K T1"] | None = None,
    checkpoint: Path | None = None,
) -> DirectFit:
    """Maximise sum_g log sum_s w_gs prod_{b of g} p_s(answer of b), beside the model as given.

    Rafailov et al. (2023) with one kind; a mixture of people with more, as Chidambaram et al.
    (2024) fit by expectation and maximisation, here climbed directly. w_g: a logit of
    `person_features` (of a constant without them). An example of the training is a person. terms:
    what stands beside the pairs (`pair_terms.py`), beside the model as given. reference: what
    log-ratios of the pairs are beside in place of it, as `reference_of` tells of another model (the
    one before the first round), or as stored when the answers were drawn. Of `Lists` an answer is a
    ranking, by Plackett and Luce. Raises `ConfigError` for lists with what only pairs have,
    `DataError` for a reference of another shape.
    """
    config = config or DirectConfig()
    if isinstance(pairs, Lists) and not (
        config.loss == "logistic" and config.ties == "half" and config.margin == 0.0 and not terms
    ):
        raise ConfigError(
            f"got lists with loss={config.loss!r}, ties={config.ties!r}, margin={config.margin} "
            f"and {len(terms)} terms; expected the logistic loss alone: the others are of pairs. "
            "Equal ranks say that the order is not known."
        )
    num_people = int(pairs.person.max()) + 1
    features = np.zeros((num_people, 0)) if person_features is None else person_features
    if len(features) != num_people:
        raise DataError(
            f"there are {len(features)} rows of person_features for {num_people} people; expected "
            "one for each number in `person`."
        )
    config = replace(config, layout=settled_pairs(model, pairs, config.layout))
    beside = reference
    if beside is None:
        beside = reference_of(model, pairs, config.layout, config.learner.precision)
    objective = _Mixture(
        model=model, pairs=pairs, config=config, features=features, terms=terms,
        reference=_checked(beside, model, pairs),
        term_references=[term_reference(model, term, len(pairs)) for term in terms],
    )  # fmt: skip
    fresh = _fresh(model, config, features.shape[1])
    if config.ties != "half" and isinstance(pairs, Pairs):
        fresh[_TIES] = next(iter(model.parameters.values())).new_tensor([tie_start(pairs, config)])
    learner = LanguageLearner(fresh, objective, config.learner)
    done = train(
        learner, np.arange(num_people), np.zeros(0, dtype=np.int64), training,
        checkpoint=checkpoint, is_writer=number() == 0,
        fingerprint="" if checkpoint is None else (
            f"{config!r} on {told_data(model, pairs, features)}"
            + "".join(told_term(term) for term in terms)
            + ("" if reference is None else f", beside {fingerprint((), {'it': reference})}")
        ),
    )  # fmt: skip
    log_shares, joint = objective.told(learner.parameters)
    return DirectFit(
        policies=tuple(_of_kind(model, learner.parameters, config, s) for s in range(config.kinds)),
        log_shares=log_shares,
        posterior=np.exp(joint - log_sum_exp(joint, axis=1)[:, None]),
        training=done,
        ties=None if config.ties == "half" else float(learner.parameters[_TIES]),
    )


def tie_start(pairs: Pairs, config: DirectConfig) -> float:
    """The likeliest parameter where all answers are worth the same, as they are at the start.

    With a share s of ties Davidson's nu / (2 + nu) = s, Rao and Kupper's 2 F(eta) - 1 = s. Raises
    `DataError` unless some pairs are ties and some are not.
    """
    share = float(pairs.weights[pairs.first_wins == 0.5].sum() / pairs.weights.sum())
    if not 0.0 < share < 1.0:
        raise DataError(
            f"a share of {share:g} of the pairs are ties (first_wins of one half); expected some "
            f'and not all for ties={config.ties!r}, which learns how likely they are. Give "half".'
        )
    if config.ties == "davidson":
        return math.log(2.0 * share / (1.0 - share))
    return math.log(math.log((1.0 + share) / (1.0 - share)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mixture:
    """Implements `language_learner.Objective`; an example is a person."""

    model: LanguageModel
    pairs: Pairs | Lists
    config: DirectConfig
    features: Float[Array, "G Q"]
    reference: Float[Array, "B K T1"]
    terms: Sequence[Term] = ()
    term_references: Sequence[Float[Array, "B _"] | None] = ()

    def parts(self, examples: Int[Array, " C"]) -> list[Int[Array, " _"]] | None:
        """People who are read together."""
        config = self.config
        if config.tokens_at_once is None:
            return None
        return people_within(self.pairs, examples, config.tokens_at_once, config.layout)

    def weight(self, examples: Int[Array, " C"]) -> float:
        return float(self.pairs.weights[np.isin(self.pairs.person, examples)].sum())

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        import torch

        people = np.sort(examples)
        rows = np.flatnonzero(np.isin(self.pairs.person, people))
        policies = self._policies(parameters)
        told = self._of_pairs(parameters, rows)
        weight = torch.from_numpy(self.pairs.weights[rows]).to(told.log_prob)[:, None]
        of_pair, beside = weight * told.log_prob, self.config.anchor * told.better
        for term, reference in zip(self.terms, self.term_references, strict=True):
            beside = beside - of_term(policies, term, reference, told, rows, self.config.strength)
        where = torch.from_numpy(np.searchsorted(people, self.pairs.person[rows]))
        joint = add_rows(self._log_shares(parameters, people), where.to(of_pair.device), of_pair)
        # Who is of another kind has another better answer: it must not hold this one's policy.
        posterior = joint.detach().softmax(dim=1)[where.to(joint.device)]
        return log_sum_exp(joint, axis=1).sum() + (posterior * weight * beside).sum()

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0

    def told(self, parameters: Parameters) -> tuple[Float[Array, "G S"], Float[Array, "G S"]]:
        """Log-shares of each person, and joint with their answers."""
        import torch

        if self.config.kinds == 1:
            return (np.zeros((len(self.features), 1)),) * 2
        shares, joints = [], []
        with torch.no_grad():
            for person in range(len(self.features)):
                mine, rows = np.array([person]), np.flatnonzero(self.pairs.person == person)
                shares.append(self._log_shares(parameters, mine))
                joint = shares[-1]
                for start in range(0, len(rows), _AT_ONCE):
                    part = rows[start : start + _AT_ONCE]
                    told = self._of_pairs(parameters, part).log_prob
                    weight = torch.from_numpy(self.pairs.weights[part]).to(told)[:, None]
                    joint = joint + (weight * told).sum(dim=0)
                joints.append(joint)
        return torch.cat(shares).cpu().numpy(), torch.cat(joints).cpu().numpy()

    def _log_shares(self, parameters: Parameters, people: Int[Array, " C"]) -> Float[Array, "C S"]:
        import torch

        like = next(iter(self.model.parameters.values()))
        if self.config.kinds == 1:
            return like.new_zeros((len(people), 1))
        features = torch.from_numpy(self.features[people]).to(like)
        return router_log_weights(parameters[_ROUTER], features)

    def _policies(self, parameters: Parameters) -> list[LanguageModel]:
        kinds = range(self.config.kinds)
        return [_of_kind(self.model, parameters, self.config, s) for s in kinds]

    def _of_pairs(self, parameters: Parameters, rows: Int[Array, " C"]) -> PairsTold:
        policies, pairs, reference = self._policies(parameters), self.pairs, self.reference[rows]
        if isinstance(pairs, Lists):
            return of_lists(policies, pairs, reference, self.config, rows)
        return of_pairs(policies, pairs, reference, self.config, rows, parameters.get(_TIES))


def of_pairs(
    policies: Sequence[LanguageModel],
    pairs: Pairs,
    reference: Float[Array, "C 2 T1"],
    config: DirectConfig,
    rows: Int[Array, " C"],
    ties: Float[Array, " 1"] | None = None,
) -> PairsTold:
    """What policies say of these pairs, each counted once; reference: log-probabilities of these
    rows; ties: their own parameter."""
    import torch

    answers = pair_answers(policies[0], pairs, rows)
    said, scored = zip(*(answer_log_probs(each, answers, config.layout) for each in policies))
    logp = torch.stack(said, dim=2).unflatten(0, (len(rows), 2))
    is_scored = scored[0].unflatten(0, (len(rows), 2))
    wins = torch.from_numpy(pairs.first_wins[rows]).to(logp)
    # The likelier winner first: a margin, and losses that are no likelihood, take its side.
    turned = wins < 0.5
    other = reference[:, :, : logp.shape[2], None]
    logp, other = (torch.where(turned[:, None, None, None], v.flip(1), v) for v in (logp, other))
    is_scored = torch.where(turned[:, None, None], is_scored.flip(1), is_scored)
    worth = log_ratio_utility(logp, other, is_scored, strength=config.strength, mean=config.mean)
    sure = torch.maximum(wins, 1.0 - wins)
    if config.ties != "half" and ties is not None:
        loss = tied_pair_loss(worth, sure, ties.to(worth), config.ties)
    elif config.loss == "logistic":
        loss = soft_pair_loss(worth, sure, config.margin)
    elif config.loss == "squared":
        loss = squared_pair_loss(worth, config.strength)
    else:
        loss = hinge_pair_loss(worth)
    better = logp[:, 0].sum(dim=1) / is_scored[:, 0].sum(dim=1)[:, None]
    return PairsTold(log_prob=-loss, better=better, worth=worth, logp=logp, is_turned=turned)


def of_lists(
    policies: Sequence[LanguageModel],
    lists: Lists,
    reference: Float[Array, "C K T1"],
    config: DirectConfig,
    rows: Int[Array, " C"],
) -> PairsTold:
    """What policies say of these rankings, as `of_pairs` does of pairs."""
    import torch

    answers = list_answers(policies[0], lists, rows)
    said, scored = zip(*(answer_log_probs(each, answers, config.layout) for each in policies))
    size = (len(rows), reference.shape[1])
    logp, is_scored = torch.stack(said, dim=2).unflatten(0, size), scored[0].unflatten(0, size)
    other = reference[:, :, : logp.shape[2], None]
    worth = log_ratio_utility(logp, other, is_scored, strength=config.strength, mean=config.mean)
    best = torch.from_numpy(best_of(lists, rows)).to(logp.device)
    each = torch.arange(len(rows), device=logp.device)
    better = logp[each, best].sum(dim=1) / is_scored[each, best].sum(dim=1)[:, None]
    return PairsTold(
        log_prob=ranked_log_prob(worth, lists, rows), better=better, worth=worth, logp=logp,
        is_turned=torch.zeros(len(rows), dtype=torch.bool, device=logp.device),
    )  # fmt: skip


def reference_of(
    model: LanguageModel,
    pairs: Pairs | Lists,
    layout: Layout = "packed",
    precision: Precision = "full",
) -> Float[Array, "B K T1"]:
    """Log-probabilities of the model as given, made once; 0 where nothing is scored."""
    import torch

    width = max(len(row) for mine in pairs.rows for row in mine) - 1
    like = at_least_single(next(iter(model.parameters.values())).new_zeros(0))
    num = len(pairs.rows[0])
    found = like.new_zeros((len(pairs), num, width))
    with torch.no_grad(), in_precision(precision, like.device):
        for start in range(0, len(pairs), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(pairs)))
            told, _ = answer_log_probs(model, pair_answers(model, pairs, rows), layout)
            found[rows, :, : told.shape[1]] = told.unflatten(0, (len(rows), num))
    return found


def _checked(
    reference: Float[Array, "B K T1"], model: LanguageModel, pairs: Pairs | Lists
) -> Float[Array, "B K T1"]:
    """In the type and on the device that the model's own would have."""
    width = max(len(row) for mine in pairs.rows for row in mine) - 1
    asked = (len(pairs), len(pairs.rows[0]), width)
    if tuple(reference.shape) != asked:
        raise DataError(
            f"the reference has the shape {tuple(reference.shape)}; expected {asked}: of each "
            "answer each token after the first of the longest. `reference_of` makes it."
        )
    return reference.to(at_least_single(next(iter(model.parameters.values())).new_zeros(0)))


def _fresh(model: LanguageModel, config: DirectConfig, num_features: int) -> dict[str, Any]:
    """What is trained: the whole model, or an adapter for each kind; and the router."""
    import torch

    generator = torch.Generator().manual_seed(config.seed)
    like = next(iter(model.parameters.values()))
    if config.low_rank is None:
        return dict(model.parameters)
    router = {_ROUTER: like.new_zeros((config.kinds - 1, 1 + num_features))}
    thin: dict[str, Any] = {}
    for s in range(config.kinds):
        for name, value in fresh_low_rank(model.parameters, config.low_rank, generator).items():
            # Kinds that begin alike would stay so: the sum over them has a saddle there.
            if config.kinds > 1 and name.endswith(".up"):
                value = value + 0.02 * torch.randn(value.shape, generator=generator).to(value)
            thin[f"{s}/{name}"] = value
    return {**thin, **router}


def _of_kind(
    model: LanguageModel, parameters: Parameters, config: DirectConfig, kind: int
) -> LanguageModel:
    if config.low_rank is None:
        return model.with_parameters({n: v for n, v in parameters.items() if n != _TIES})
    mark = f"{kind}/"
    thin = {n.removeprefix(mark): v for n, v in parameters.items() if n.startswith(mark)}
    return model.with_parameters(merged(model.parameters, thin, config.low_rank.scale))
