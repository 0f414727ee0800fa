"""Lists, best first: every rank is a credit unit, compared with the same rank of other lists.

Legend: B rows (one a list), K ranks, T1 tokens after those before them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.credit import Scale, advantage
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen
from penchant.simulation.tasks.task import Problem
from penchant.utilities.response_rewards import rank_returns


@dataclass(frozen=True, kw_only=True, slots=True)
class RankRelative:
    """Rank-GRPO (2025): z-scores of what a list earns from a rank on, among the lists of a prompt
    that reach it; one ratio an item, the geometric mean over its tokens, clipped at 0.06 and 0.08;
    the mean over ranks, then over lists.

    hits: the relevance of each rank, of a problem and a response. separators: tokens that end an
    item, themselves part of it. Items beyond the last rank are not trained. is_local: a rank earns
    its own relevance, not what comes after it.
    """

    hits: Callable[[Problem, str], Float[Array, " K"]]
    separators: frozenset[int]
    is_local: bool = False
    leave_one_out: bool = False
    scale: Scale = "group"
    surrogate: Surrogate = field(
        default_factory=lambda: Surrogate(level="unit", low=0.06, high=0.08)
    )
    mean: Mean = "unit"
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)

    @property
    def smallest_group(self) -> int:
        return 1 if self.leave_one_out else 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def heard(self, seen: Seen) -> Heard:
        rollouts = seen.rollouts
        found = [self.hits(p, said) for p, said in zip(seen.problems, rollouts.responses)]
        returns = rank_returns(np.array(found), is_local=self.is_local)
        num_rows, num_ranks = returns.shape
        rank = item_of(rollouts.tokens.ids[:, 1:].cpu().numpy(), rollouts.is_drawn, self.separators)
        is_trained = (rank >= 0) & (rank < num_ranks) & seen.is_scored[:, None]
        unit_of = np.where(is_trained, np.arange(num_rows)[:, None] * num_ranks + rank, -1)
        is_there = np.isin(np.arange(returns.size), unit_of)
        row, place = np.divmod(np.arange(returns.size), num_ranks)
        key = np.where(is_there, rollouts.prompt_of[row] * num_ranks + place, -1)
        credit = advantage(
            np.where(is_there, returns.reshape(-1), 0.0), key, row, is_there,
            leave_one_out=self.leave_one_out, scale=self.scale,
        )  # fmt: skip
        return Heard(unit_of=unit_of, advantage=to_tokens(credit.advantage, unit_of))

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, group_of=group)


def item_of(
    ids: Int[Array, "B T1"], is_drawn: Array, separators: frozenset[int]
) -> Int[Array, "B T1"]:
    """Which item of its list a token belongs to, from 0 on; -1 where it was not drawn."""
    ends = np.isin(ids, list(separators)) & is_drawn
    before = np.cumsum(ends, axis=1) - ends
    return np.where(is_drawn, before, -1)
