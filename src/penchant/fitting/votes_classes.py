"""A few kinds of voters, each with scores of its own: latent classes on votes.

Davidson's model is a conditional logit with three answers, worth u_1, u_2 and (u_1 + u_2) / 2 +
log nu, so that the classes of `class_density.py` and their EM from many starts serve votes too.

Legend: B rows, A answers laid end to end, N items, C covariates, D features (items, tie,
covariates), V voters, S classes, M parameters.
"""

import time
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from penchant.data.batch import FlatChoices
from penchant.data.votes import Votes
from penchant.errors import ConfigError
from penchant.feedback.gap import GapModel
from penchant.fitting.class_choices import ChoicePanel
from penchant.fitting.class_density import ClassDensity, ClassEvaluation
from penchant.fitting.em import EMConfig, multi_start, newton_climb, one_class
from penchant.fitting.inference import covariances, effective_parameters
from penchant.fitting.newton import Optimum
from penchant.fitting.vote_rows import VoteRows, vote_rows
from penchant.fitting.votes_pooled import VotesConfig
from penchant.fitting.votes_table import centred_covariance, centring, log_prob_by_answer
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.numerics.graph import connectivity
from penchant.numerics.threads import one_blas_thread
from penchant.populations.classes import Classes

# Features are dense, three answers a row: a gigabyte.
_MOST_NUMBERS = 125_000_000
_WEAK = 5.0


@dataclass(frozen=True, kw_only=True)
class VoterClassesConfig:
    """num_classes: kinds of voters, numbered by share, the largest first. score_scale: standard
    deviation of each class's scores around 0 before any vote, in logits; it keeps finite what few
    votes of a class would send to infinity. em: how many starts, and how long."""

    num_classes: int = 2
    score_scale: float = 2.0
    seed: int = 0
    em: EMConfig = field(default_factory=EMConfig)


@dataclass(frozen=True, kw_only=True, eq=False)
class VoterClassesFit:
    """Classes numbered by share. Strengths have mean zero in each class within each island of items
    that met, and errors are infinite for an item that met nobody; `mean_strengths` are those of the
    voters together, each class weighed by its share.

    membership: the probability that each voter is of each class, given their votes. own: log tie
    strength of each class. criterion: M log V - 2 log L with M the parameters that the data
    determine and V the voters who voted; lower is better.
    """

    items: tuple[str, ...]
    voters: tuple[str, ...]
    model: GapModel
    shares: Float[Array, " S"]
    strengths: Float[Array, "S N"]
    strength_se: Float[Array, "S N"]
    mean_strengths: Float[Array, " N"]
    mean_covariance: Float[Array, "N N"]
    own: Float[Array, "S M"]
    coefficients: Float[Array, "S C"]
    coefficient_se: Float[Array, "S C"]
    membership: Float[Array, "V S"]
    log_likelihood: float
    criterion: float
    converged: bool
    iterations: int
    seconds: float
    warnings: tuple[str, ...]

    def log_prob(self, votes: Votes) -> Float[Array, " B"]:
        """log p of each vote, its voter's classes weighed by membership; a stranger's by share."""
        known = {name: v for v, name in enumerate(self.voters)}
        place = np.array([known.get(name, -1) for name in votes.voters] + [-1], dtype=np.int64)
        voter = np.full(len(votes), -1) if votes.voter is None else place[votes.voter]
        weights = np.concatenate([self.membership, self.shares[None]])[voter]
        gap = self.strengths[:, votes.first] - self.strengths[:, votes.second]
        gap = (gap + self.coefficients @ votes.covariates.T).T
        own = np.broadcast_to(self.own.T, (len(votes), *self.own.T.shape))
        with np.errstate(divide="ignore"):
            logs = [
                log_sum_exp(
                    np.log(weights) + self.model.log_prob(gap, np.full(len(votes), answer), own),
                    axis=1,
                )
                for answer in range(self.model.num_answers)
            ]
        return log_prob_by_answer(logs, votes)


@one_blas_thread
def fit_voter_classes(
    votes: Votes, config: VotesConfig, classes: VoterClassesConfig | None = None
) -> VoterClassesFit:
    """The maximum of the latent-class posterior, found from many starts.

    log L = sum_v log sum_s w_s prod_(b of v) p(y_b | scores_s) (Kamakura and Russell 1989 on
    choices; Croon 1989 on preferences).

    Raises `ConfigError` for a model that is no logit, contexts, or more votes times items than
    memory holds; `DataError` for votes without voters.
    """
    began = time.perf_counter()
    classes = classes or VoterClassesConfig()
    _check(config, classes)
    rows = vote_rows(votes, ties=config.ties, by_voter=True)
    rows = _voting(rows)
    scales = _scales(rows, config.model)
    density = _density(rows, config.model, classes, scales)
    optimum, steps = _climb(density, classes, scales)
    here = density.evaluate(optimum.theta, has_observed=True)
    return _tabulate(
        votes, rows, config.model, density, here, optimum, steps, time.perf_counter() - began
    )


def _check(config: VotesConfig, classes: VoterClassesConfig) -> None:
    model = config.model
    if model.link != "logit" or model.ties == "rao_kupper" or model.levels is not None:
        raise ConfigError(
            f"classes of voters were asked for with {model}; expected the logit with Davidson's "
            "ties, half-wins or none. Use GapModel(ties='davidson')."
        )
    if config.has_context:
        raise ConfigError(
            "classes of voters and scores by context were asked for at once; expected one of the "
            "two. Fit them one after the other and compare their predictions."
        )
    if classes.score_scale <= 0:
        raise ConfigError(f"score_scale is {classes.score_scale}; expected more than 0, such as 2.")


def _voting(rows: VoteRows) -> VoteRows:
    """The rows, and an error where their features would not fit in memory."""
    numbers = 3 * len(rows.edge) * (rows.num_items + 1 + rows.covariates.shape[1])
    if numbers > _MOST_NUMBERS:
        raise ConfigError(
            f"{len(rows.edge)} distinct votes between {rows.num_items} items make {numbers:.2g} "
            f"numbers; expected at most {_MOST_NUMBERS:.2g} for classes of voters. Keep the items "
            "with most votes, or one context at a time."
        )
    return rows


def _features(rows: VoteRows, model: GapModel) -> Float[Array, "A D"]:
    """The answers of each row end to end: first, second and, where there are ties, tie."""
    count, num, ties = len(rows.edge), rows.num_items, model.num_own
    features = np.zeros((count, 2 + ties, num + ties + rows.covariates.shape[1]))
    place = np.arange(count)
    first, second = rows.edge_first[rows.edge], rows.edge_second[rows.edge]
    features[place, 0, first] = 1.0
    features[place, 1, second] = 1.0
    features[:, 0, num + ties :] = rows.covariates
    if ties:
        features[:, 2] = 0.5 * (features[:, 0] + features[:, 1])
        features[:, 2, num] = 1.0
    return features.reshape(-1, features.shape[2])


def _density(
    rows: VoteRows, model: GapModel, classes: VoterClassesConfig, scales: Float[Array, " D"]
) -> ClassDensity:
    count, answers = len(rows.edge), model.num_answers
    menu_start = answers * np.arange(count + 1)
    kinds = Classes(classes.num_classes)
    flat = FlatChoices(
        features=_features(rows, model),
        menu_start=menu_start,
        chosen=menu_start[:-1] + rows.answer,
        weight=rows.weight,
        group_start=rows.voter_start,
        row=np.arange(count),
    )
    own = (scales / _WEAK) ** 2
    own[: rows.num_items] = classes.score_scale**-2
    router = np.zeros(kinds.num_classes - 1)
    return ClassDensity(
        panel=ChoicePanel(flat=flat),
        group_weight=(np.diff(rows.voter_start) > 0).astype(np.float64),
        group_features=np.zeros((rows.num_voters, 0)),
        classes=kinds,
        precision=np.concatenate([np.tile(own, kinds.num_classes), router]),
    )


def _scales(rows: VoteRows, model: GapModel) -> Float[Array, " D"]:
    size = rows.covariates.std(axis=0)
    return np.concatenate([np.ones(rows.num_items + model.num_own), np.where(size > 0, size, 1.0)])


def _climb(
    density: ClassDensity, classes: VoterClassesConfig, scales: Float[Array, " D"]
) -> tuple[Optimum, int]:
    pooled = one_class(density, classes.em.newton)
    if classes.num_classes == 1:
        return pooled, pooled.iterations
    rng = np.random.default_rng((classes.seed, classes.num_classes))
    found = multi_start(density, pooled.theta, scales, rng, classes.em)
    ordered = density.classes.largest_first(found.optimum.theta, density.group_features)
    return newton_climb(density, ordered, classes.em.newton, None), found.steps


def _tabulate(
    votes: Votes,
    rows: VoteRows,
    model: GapModel,
    density: ClassDensity,
    here: ClassEvaluation,
    optimum: Optimum,
    steps: int,
    seconds: float,
) -> VoterClassesFit:
    num, ties, count = rows.num_items, model.num_own, density.classes.num_classes
    values, _ = density.classes.split(optimum.theta, 0)
    covariance = covariances(here.observed, here.group_scores, density.precision).classical
    size = values.shape[1]
    strength_se, coefficient_se = np.empty((count, num)), np.empty((count, size - num - ties))
    island = connectivity(
        votes.first, votes.second, votes.weight, votes.weight, num
    ).island  # fmt: skip
    centre = centring(island)
    shares = density.classes.shares(optimum.theta, np.zeros((1, 0)))
    combination = np.zeros((num, len(optimum.theta)))
    for s in range(count):
        own = covariance[s * size : (s + 1) * size, s * size : (s + 1) * size]
        strength_se[s] = np.sqrt(np.diag(centred_covariance(own[:num, :num], island)))
        coefficient_se[s] = np.sqrt(np.diag(own)[num + ties :])
        combination[:, s * size : s * size + num] = shares[s] * centre
    voted = int(density.group_weight.sum())
    determined = effective_parameters(covariance, density.precision)
    members = (here.responsibility * density.group_weight[:, None]).sum(axis=0)
    empty = int((members < 1.0).sum())
    notes: tuple[str, ...] = ()
    if empty:
        notes = (
            f"{empty} of the {count} classes hold less than one voter: the votes do not bear so "
            f"many. Ask for {count - empty}.",
        )
    if not optimum.converged:
        notes += (f"The fit did not converge: one more step would gain {optimum.decrement:.2g}.",)
    num_voters = len(votes.voters)
    return VoterClassesFit(
        items=votes.items,
        voters=votes.voters,
        model=model,
        shares=shares,
        strengths=values[:, :num] @ centre,
        strength_se=strength_se,
        mean_strengths=combination @ optimum.theta,
        mean_covariance=centred_covariance(combination @ covariance @ combination.T, island),
        own=values[:, num : num + ties],
        coefficients=values[:, num + ties :],
        coefficient_se=coefficient_se,
        membership=here.responsibility[:num_voters],
        log_likelihood=here.log_likelihood,
        criterion=(determined or len(optimum.theta)) * np.log(max(voted, 1))
        - 2.0 * here.log_likelihood,
        converged=optimum.converged,
        iterations=steps,
        seconds=seconds,
        warnings=notes,
    )
