"""Votes whose truth is known: scores by context, covariates, voters who differ, drift.

Legend: B votes, N items, X contexts, C covariates, V voters, S classes, T steps of time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.votes import Votes
from penchant.feedback.gap import GapModel
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class VoteWorld:
    """num_items scores are normal with standard deviation score_spread, in logits.

    log_tie: log of Davidson's tie strength, None for no ties. coefficients: one a covariate, whose
    values are whole numbers around 0. context_spread: standard deviation of what each of
    num_contexts adds to a score. Voters: num_voters of them, with log reliability, bias for the
    first shown and log tie strength normal with these standard deviations, around 0, bias_mean and
    log_tie. class_shares: with two classes or more, each has scores of its own, drawn like the
    others. drift: standard deviation of a score's step between one of num_times times and the next.
    grade_steps: logs of the steps between thresholds of graded votes, from the middle outwards, of
    as many grades as twice that and one, or two with has_middle_grade=False; none for plain votes.
    """

    num_items: int = 10
    num_votes: int = 2000
    score_spread: float = 1.0
    log_tie: float | None = None
    coefficients: tuple[float, ...] = ()
    num_contexts: int = 0
    context_spread: float = 0.0
    num_voters: int = 0
    reliability_spread: float = 0.0
    bias_mean: float = 0.0
    bias_spread: float = 0.0
    tie_spread: float = 0.0
    class_shares: tuple[float, ...] = (1.0,)
    num_times: int = 1
    drift: float = 0.0
    grade_steps: tuple[float, ...] = ()
    has_middle_grade: bool = True

    @property
    def model(self) -> GapModel:
        """How votes arise from gaps."""
        if self.grade_steps:
            return GapModel(levels=2 * len(self.grade_steps) + (1 if self.has_middle_grade else 2))
        return GapModel(ties=None if self.log_tie is None else "davidson")


@dataclass(frozen=True, kw_only=True, eq=False)
class SimulatedVotes:
    """The votes and what they came from; the scores of a class at a time have mean zero.

    voters: log reliability, bias, and what is added to the log tie strength, a row each.
    """

    votes: Votes
    scores: Float[Array, "S T N"]
    deviations: Float[Array, "X N"]
    voters: Float[Array, "V 3"]
    voter_class: Int[Array, " V"]


def simulate_votes(world: VoteWorld, rng: np.random.Generator) -> SimulatedVotes:
    """Draw a world and its votes: pairs at random, shown in random order."""
    num, count = world.num_items, world.num_votes
    scores = world.score_spread * rng.normal(size=(len(world.class_shares), 1, num))
    steps = world.drift * rng.normal(size=(len(world.class_shares), world.num_times, num))
    steps[:, 0] = 0.0
    scores = scores + np.cumsum(steps, axis=1)
    scores -= scores.mean(axis=2, keepdims=True)
    deviations = world.context_spread * rng.normal(size=(world.num_contexts, num))
    spreads = (world.reliability_spread, world.bias_spread, world.tie_spread)
    voters = rng.normal(size=(max(world.num_voters, 1), 3)) * spreads
    voters[:, 1] += world.bias_mean
    voter_class = rng.choice(len(world.class_shares), len(voters), p=world.class_shares)
    first = rng.integers(0, num, count)
    second = (first + rng.integers(1, num, count)) % num
    voter = rng.integers(0, len(voters), count)
    time = np.sort(rng.integers(0, world.num_times, count))
    covariates = rng.integers(-2, 3, (count, len(world.coefficients))).astype(np.float64)
    kind = voter_class[voter]
    gap = (
        scores[kind, time, first]
        - scores[kind, time, second]
        + covariates @ np.array(world.coefficients)
    )
    context = None
    if world.num_contexts:
        context = rng.integers(0, world.num_contexts, count)
        gap = gap + deviations[context, first] - deviations[context, second]
    gap = np.exp(voters[voter, 0]) * gap + voters[voter, 1]
    model = world.model
    own_parameters = np.zeros((count, 0))
    if world.grade_steps:
        own_parameters = np.tile(world.grade_steps, (count, 1))
    elif world.log_tie is not None:
        own_parameters = world.log_tie + voters[voter, 2:]
    probabilities = model.probabilities(gap, own_parameters)
    outcome = (rng.random((count, 1)) > np.cumsum(probabilities, axis=1)).sum(axis=1)
    answers = [first, second, np.minimum(outcome, model.num_answers - 1)]
    make: Callable[..., Votes] = Votes.from_outcomes
    if world.grade_steps:
        make = Votes.from_grades
        answers.append([f"grade {level}" for level in range(model.num_answers)])
    votes = make(
        tuple(f"item {n}" for n in range(num)),
        *answers,
        voter=voter if world.num_voters else None,
        voters=tuple(f"voter {v}" for v in range(world.num_voters)),
        covariates=covariates,
        covariate_names=tuple(f"x{c}" for c in range(len(world.coefficients))),
        context=context,
        contexts=tuple(f"context {x}" for x in range(world.num_contexts)),
        time=time.astype(np.float64) if world.num_times > 1 else None,
    )
    return SimulatedVotes(
        votes=votes, scores=scores, deviations=deviations, voters=voters, voter_class=voter_class
    )
