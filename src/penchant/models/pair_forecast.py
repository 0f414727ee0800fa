"""What a leaderboard's fit foretells of pairs, and the belief that policies and askers receive.

Legend: B pairs, N items, L answers, A of who won.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.strengths import Strengths
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.paired import PairedFit
from penchant.fitting.paired_prior import WEAK_SCALE
from penchant.fitting.ranked import RankedFit
from penchant.fitting.ranked_reliability import RankersFit
from penchant.fitting.votes_table import VotesFit
from penchant.numerics.arrays import Array


def strengths_belief(
    items: tuple[str, ...],
    strengths: Float[Array, " N"],
    covariance: Float[Array, "N N"] | None,
    island: Int[Array, " N"],
    *,
    logits_per_unit: float,
    prior_scale: float | None,
    converged: bool,
) -> Strengths:
    """A normal belief over strengths, in logits.

    How far islands are apart the data do not say, nor where an item stands that met nobody: there
    a level is as unsure as the weak prior has it, 5 logits, so that of items of two islands either
    may be the stronger one. Raises `DataError` where items are too many for a covariance.
    """
    if covariance is None:
        raise DataError(
            f"a belief over {len(items)} strengths needs a matrix of all pairs, which is kept for "
            "some 2,000 items at most; expected fewer. Use `standings_`, or rank fewer items."
        )
    unseen = np.isinf(np.diag(covariance))
    known = np.where(unseen[:, None] | unseen, 0.0, covariance) * logits_per_unit**2
    if island.max(initial=0) > 0:
        known = known + WEAK_SCALE["logit"] ** 2 * (island[:, None] == island)
    return Strengths(
        items=items, mean=strengths * logits_per_unit, covariance=known,
        prior_scale=np.inf if prior_scale is None else prior_scale * logits_per_unit,
        converged=converged,
    )  # fmt: skip


def pair_probabilities(
    fit: PairedFit | RankedFit | RankersFit | VotesFit, items: tuple[str, ...], votes: Votes
) -> Float[Array, "B L"]:
    """Of each vote that the first wins, that the second does and, where ties are modelled, that
    they tie: at the estimates, with the covariates and in the context of the vote. Of grades, those
    above the middle are wins of the first; the middle one of an odd number is a tie.

    Items are found by name. Raises `DataError` for one that was not ranked.
    """
    votes = _by_name(votes, items)
    if isinstance(fit, VotesFit):
        return _answers(fit, fit.gaps(votes))
    return _answers(fit, fit.strengths[votes.first] - fit.strengths[votes.second])


def preferred(
    fit: PairedFit | RankedFit | RankersFit | VotesFit, gap: Float[Array, " B"]
) -> Float[Array, " B"]:
    """p(the first is preferred | one of the two is) at these gaps: ties are left out."""
    answers = _answers(fit, gap)
    return np.asarray(answers[:, 0] / (answers[:, 0] + answers[:, 1]))


def _answers(
    fit: PairedFit | RankedFit | RankersFit | VotesFit, gap: Float[Array, " B"]
) -> Float[Array, "B A"]:
    """Of the first, of the second and, where there are some, of ties."""
    if isinstance(fit, VotesFit):
        return _sides(fit.model, fit.model.probabilities(gap, fit.own[None]))
    if isinstance(fit, RankedFit | RankersFit):
        return GapModel().probabilities(gap, np.zeros((1, 0)))
    has_ties = fit.tie_parameter is not None and fit.model.ties != "half"
    model = GapModel(ties=fit.model.ties if has_ties else None, link=fit.model.link)  # type: ignore[arg-type]  # "half" is no tie model
    return model.probabilities(gap, np.full((1, model.num_own), fit.tie_parameter or 0.0))


def _sides(model: GapModel, answers: Float[Array, "B L"]) -> Float[Array, "B A"]:
    if model.levels is None:
        return answers
    half = model.levels // 2
    first, second = answers[:, -half:].sum(axis=1), answers[:, :half].sum(axis=1)
    ties = [answers[:, half]] if model.levels % 2 else []
    return np.stack([first, second, *ties], axis=1)


def votes_between(pairs: "list[tuple[str, str]]") -> Votes:
    """Pairs of names as votes still to be cast."""
    names = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    place = {name: number for number, name in enumerate(names)}
    first, second = (
        np.array([place[pair[side]] for pair in pairs], dtype=np.int64) for side in (0, 1)
    )
    return Votes.from_outcomes(names, first, second, np.zeros(len(pairs), dtype=np.int64))


def _by_name(votes: Votes, items: tuple[str, ...]) -> Votes:
    place = {name: number for number, name in enumerate(items)}
    strangers = [name for name in votes.items if name not in place]
    if strangers:
        raise DataError(
            f"{strangers[0]!r} was not ranked ({len(strangers)} of {len(votes.items)} items were "
            "not); expected names of `standings_`. Drop their pairs, or fit again with their votes."
        )
    at = np.array([place[name] for name in votes.items], dtype=np.int64)
    return replace(votes, items=items, first=at[votes.first], second=at[votes.second])
