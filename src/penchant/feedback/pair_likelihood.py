"""Which likelihood of `pairwise.py` and `probit.py` says how a vote for one of two arises.

Legend: B observations, M own parameters, S kinds of people.
"""

from typing import Literal

from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.feedback import pairwise, probit
from penchant.feedback.channel_contract import Likelihood
from penchant.feedback.cumulative import Link
from penchant.feedback.thresholds import Thresholds
from penchant.numerics.arrays import Array

Ties = Literal["davidson", "rao_kupper"]


def vote_likelihood(
    ties: Ties | None, link: Link, answer: Int[Array, " B"], own: Float[Array, "#B M *#S"]
) -> Likelihood:
    """Of answers 0 (the first won), 1 (the second did) and 2 (a tie); own: the log tie strength,
    or the log tie threshold, and nothing where there are no ties."""
    if ties == "davidson":
        return Likelihood(
            log_prob=pairwise.davidson_log_prob,
            score=pairwise.davidson_score,
            curvature=pairwise.davidson_curvature,
            probabilities=pairwise.davidson_probabilities,
            arguments=(answer, own),
            probability_arguments=(own,),
        )
    if ties == "rao_kupper":
        return Likelihood(
            log_prob=pairwise.rao_kupper_log_prob,
            score=pairwise.rao_kupper_score,
            curvature=pairwise.rao_kupper_curvature,
            probabilities=pairwise.rao_kupper_probabilities,
            arguments=(answer, own),
            probability_arguments=(own,),
            options={"link": link},
        )
    if link == "probit":
        return Likelihood(
            log_prob=probit.pair_log_prob,
            score=probit.pair_score,
            curvature=probit.pair_curvature,
            probabilities=probit.pair_probabilities,
            arguments=(answer,),
        )
    return Likelihood(
        log_prob=pairwise.bradley_terry_log_prob,
        score=pairwise.bradley_terry_score,
        curvature=pairwise.bradley_terry_curvature,
        probabilities=pairwise.bradley_terry_probabilities,
        arguments=(answer,),
    )


def grade_likelihood(
    thresholds: Thresholds, link: Link, grade: Int[Array, " B"], own: Float[Array, "#B M *#S"]
) -> Likelihood:
    """Of grades 0 .. L - 1, higher better for the first; own: the thresholds' parameters."""
    return Likelihood(
        log_prob=pairwise.graded_log_prob,
        score=pairwise.graded_score,
        curvature=pairwise.graded_curvature,
        probabilities=pairwise.graded_probabilities,
        arguments=(grade, own),
        probability_arguments=(own,),
        options={"thresholds": thresholds, "link": link},
    )


def check_ties(ties: Ties | None, link: Link) -> None:
    """Raises `ConfigError` for ties that the link has no form of."""
    if ties == "davidson" and link == "probit":
        raise ConfigError(
            "got ties='davidson' with link='probit'; Davidson's ties exist for the logit "
            "only. Use ties='rao_kupper', which has a probit form."
        )
