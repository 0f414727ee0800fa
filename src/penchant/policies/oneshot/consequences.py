"""Who would lose by a common decision, by how much, and how sure we are of it.

Legend: V voters, N options, R draws of our doubt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.metrics.intervals import drawn_interval
from penchant.numerics.arrays import Array
from penchant.policies.oneshot.social_choice import (
    RULES,
    Rule,
    SocialChoice,
    check_voters,
    social_choice,
)

EVERYBODY = "everybody"


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a decision does to a group of voters, in their own units of utility.

    losing: the share of their weight that is worse off than under the reference.
    mean_loss: of those who lose, on average, 0 or more. mean_change: of all of them, positive if
    they gain on average. Each with a 95 % interval of our doubt (quantiles of the draws, of fewer
    than 200 1.96 root mean squares about the value); NaN where there are no draws.
    """

    group: str
    voters: int
    losing: float
    losing_low: float
    losing_high: float
    mean_loss: float
    mean_loss_low: float
    mean_loss_high: float
    mean_change: float
    mean_change_low: float
    mean_change_high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """A rule's decision and what follows from it.

    rank_low, rank_high: the 95 % interval of each option's place over draws of our doubt, and
    first: how often it came first; places themselves and their lottery where there are no draws.
    losses: of everybody, then of each group.
    """

    choice: SocialChoice
    rank_low: Float[Array, " N"]
    rank_high: Float[Array, " N"]
    first: Float[Array, " N"]
    losses: tuple[Loss, ...]


def who_loses(
    utilities: Float[Array, "V N"],
    lottery: Float[Array, " N"],
    reference: Float[Array, " N"],
    *,
    weight: Float[Array, " V"] | None = None,
    group: Int[Array, " V"] | None = None,
    group_names: Sequence[str] = (),
    draws: Float[Array, "R V N"] | None = None,
    margin: float = 0.0,
) -> tuple[Loss, ...]:
    """Each voter's expected utility under a decision against that under a reference.

    Both are lotteries over the options. A voter loses who is worse off by more than `margin`. Given
    `draws` of the utilities (our doubt; one draw serves all voters), the decision stays as it is
    and only what people want of it varies. The number of voters counts those of positive weight;
    a group of none is left out.

    Raises `DataError` where shapes do not fit.
    """
    weight = check_voters(utilities, weight)
    _check_lotteries(utilities, lottery, reference)
    change = utilities @ (lottery - reference)
    changes = None if draws is None else draws @ (lottery - reference)
    members = [(EVERYBODY, np.ones(len(change), dtype=bool))]
    if group is not None:
        members += [(name, group == code) for code, name in enumerate(group_names)]
    losses = []
    for name, inside in members:
        share = np.where(inside, weight, 0.0)
        if share.sum() <= 0:
            continue
        here = np.array(_loss(change, share, margin))
        doubt = np.full((2, 3), np.nan)
        if changes is not None:
            each = np.array([_loss(one, share, margin) for one in changes])
            doubt = np.array(drawn_interval(here, each))
            # A share ends at nobody and everybody, a loss of those who lose at none.
            doubt[:, 0], doubt[:, 1] = np.clip(doubt[:, 0], 0.0, 1.0), np.maximum(doubt[:, 1], 0.0)
        (losing, mean_loss, mean_change), low, high = here, doubt[0], doubt[1]
        losses.append(Loss(
            group=name, voters=int(np.count_nonzero(share)),
            losing=float(losing), losing_low=float(low[0]), losing_high=float(high[0]),
            mean_loss=float(mean_loss), mean_loss_low=float(low[1]), mean_loss_high=float(high[1]),
            mean_change=float(mean_change),
            mean_change_low=float(low[2]), mean_change_high=float(high[2]),
        ))  # fmt: skip
    return tuple(losses)


def compare_rules(
    utilities: Float[Array, "V N"],
    *,
    rules: Sequence[Rule] = RULES,
    reference: Float[Array, " N"] | None = None,
    weight: Float[Array, " V"] | None = None,
    disagreement: Float[Array, " V"] | None = None,
    group: Int[Array, " V"] | None = None,
    group_names: Sequence[str] = (),
    draws: Float[Array, "R V N"] | None = None,
    margin: float = 0.0,
) -> dict[Rule, Verdict]:
    """What each rule would do, how sure its order is, and who would lose by it.

    `reference` is the lottery that losing is measured against; None draws an option by lot, which
    is what people would have if nobody decided. The disagreement point is held fixed over draws.
    """
    size = utilities.shape[1]
    reference = np.full(size, 1.0 / size) if reference is None else reference
    verdicts: dict[Rule, Verdict] = {}
    for rule in rules:
        choice = social_choice(utilities, rule, weight=weight, disagreement=disagreement)
        rank, first = choice.rank.astype(np.float64), choice.lottery
        low = high = rank
        if draws is not None:
            made = [
                social_choice(one, rule, weight=weight, disagreement=disagreement) for one in draws
            ]
            ranks = np.array([one.rank for one in made], dtype=np.float64)
            first = np.mean([one.lottery for one in made], axis=0)
            low, high = (np.clip(end, 1.0, size) for end in drawn_interval(rank, ranks))
        verdicts[rule] = Verdict(
            choice=choice,
            rank_low=low,
            rank_high=high,
            first=first,
            losses=who_loses(
                utilities, choice.lottery, reference, weight=weight, group=group,
                group_names=group_names, draws=draws, margin=margin,
            ),
        )  # fmt: skip
    return verdicts


def _loss(
    change: Float[Array, " V"], weight: Float[Array, " V"], margin: float
) -> tuple[float, float, float]:
    """Share losing, mean loss of those, mean change of all."""
    # Rounding of two sums that are equal is nobody's loss.
    loses = change < -(margin + 1e-12 * (1.0 + np.abs(change).max()))
    lost = float(weight @ np.where(loses, -change, 0.0))
    weight_losing = float(weight @ loses)
    mean_loss = lost / weight_losing if weight_losing > 0 else 0.0
    whole = float(weight.sum())
    return weight_losing / whole, mean_loss, float(weight @ change) / whole


def _check_lotteries(utilities: Float[Array, "V N"], *lotteries: Float[Array, " N"]) -> None:
    for lottery in lotteries:
        if (
            lottery.shape != (utilities.shape[1],)
            or np.any(lottery < 0)
            or abs(lottery.sum() - 1) > 1e-6
        ):
            raise DataError(
                f"a lottery has shape {lottery.shape} and sum {lottery.sum():.6g} over "
                f"{utilities.shape[1]} options; expected one probability for each, summing to 1."
            )
