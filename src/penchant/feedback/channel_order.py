"""Channels of an order: a ranking in part or whole, the best and the worst.

`channel_contract.py` says what a channel promises. Legend: B observations, K options, M own
parameters, S kinds of people.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback import (
    best_worst,
    davidson_luce,
    ranking,
)
from penchant.feedback.answers import (
    answers_of,
    sizes_of_ties,
)
from penchant.feedback.channel_contract import CommonChannel, Likelihood
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Ranking(CommonChannel):
    """The menu in order, in part or whole. Probabilities [B, K] of being ranked first.

    ties: "exact" (Plackett-Luce; the order within a tie is not known; at most eight tied) or
    "davidson_luce" (a tie is an answer of its own), whose `tie_sizes` lists every size from two on
    that may happen: each has a parameter of its own. `Ranking.fitting(batch)` chooses.
    """

    ties: Literal["exact", "davidson_luce"] = "exact"
    tie_sizes: tuple[int, ...] = ()
    kind: ClassVar[str] = "ranking"

    def __post_init__(self) -> None:
        sizes = self.tie_sizes
        if list(sizes) != sorted(set(sizes)) or any(size < 2 for size in sizes):
            raise ConfigError(
                f"tie_sizes is {sizes}; expected increasing sizes from 2 on, such as (2, 3). "
                "Sort them, and leave out 1: a set of one is no tie."
            )
        if self.ties == "exact" and sizes:
            raise ConfigError(
                f"got tie_sizes {sizes} with ties='exact', which has no parameters; expected none. "
                "Leave them out, or use ties='davidson_luce'."
            )

    @classmethod
    def fitting(cls, batch: Batch) -> "Ranking":
        """Exact ties where at most eight options tie, Davidson-Luce beyond."""
        counting, largest = sizes_of_ties(batch)
        if largest <= ranking.MOST_TIED:
            return cls()
        return cls(ties="davidson_luce", tie_sizes=counting)

    def validate(self, batch: Batch) -> None:
        sizes, largest = sizes_of_ties(batch)
        if self.ties == "exact" and largest > ranking.MOST_TIED:
            raise DataError(
                f"{largest} options share one rank, with others behind them; expected at most "
                f"{ranking.MOST_TIED}, since the exact probability sums over all their orders. Use "
                f"Ranking(ties='davidson_luce', tie_sizes={sizes})."
            )
        missing = set(sizes) - set(self.tie_sizes)
        if self.ties == "davidson_luce" and missing:
            raise DataError(
                f"options tie in sets of {sorted(missing)}, sizes that `tie_sizes` does not list: "
                f"expected all of {sizes}. Use Ranking(ties='davidson_luce', tie_sizes={sizes})."
            )

    def num_common(self) -> int:
        return len(self.tie_sizes)

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        return tuple(f"log tie strength [{size}]" for size in self.tie_sizes)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        if self.ties == "davidson_luce":
            return Likelihood(
                log_prob=davidson_luce.log_prob,
                score=davidson_luce.score,
                curvature=davidson_luce.curvature,
                probabilities=_first_probabilities,
                arguments=(block.offered, block.answer["rank"], parameters[None]),
                probability_arguments=(block.offered,),
                options={"tie_sizes": self.tie_sizes},
            )
        return Likelihood(
            log_prob=ranking.log_prob,
            score=ranking.score,
            curvature=ranking.curvature,
            probabilities=_first_probabilities,
            arguments=(block.offered, block.answer["rank"]),
            probability_arguments=(block.offered,),
        )


@dataclass(frozen=True, kw_only=True)
class BestWorst(CommonChannel):
    """The best and the worst of the menu. Probabilities [B, K, K] of (best, worst).

    model: "sequential" (the best first, then the worst of the others) or "max_diff" (both at
    once). `best_worst.py` says why the first is the default.
    """

    model: Literal["sequential", "max_diff"] = "sequential"
    kind: ClassVar[str] = "best_worst"

    def validate(self, batch: Batch) -> None:
        best = answers_of(batch, self.kind, "best")
        same = int(np.sum(best == answers_of(batch, self.kind, "worst")))
        if same:
            raise DataError(
                f"{same} observations name one option both best and worst; expected two different "
                "ones. Correct or drop these rows."
            )

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        arguments = (block.offered, block.answer["best"], block.answer["worst"])
        if self.model == "max_diff":
            return Likelihood(
                log_prob=best_worst.max_diff_log_prob,
                score=best_worst.max_diff_score,
                curvature=best_worst.max_diff_curvature,
                probabilities=best_worst.max_diff_probabilities,
                arguments=arguments,
                probability_arguments=(block.offered,),
            )
        return Likelihood(
            log_prob=best_worst.sequential_log_prob,
            score=best_worst.sequential_score,
            curvature=best_worst.sequential_curvature,
            probabilities=best_worst.sequential_probabilities,
            arguments=arguments,
            probability_arguments=(block.offered,),
        )


def _first_probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], tie_sizes: tuple[int, ...] = ()
) -> Float[Array, "B K *S"]:
    """Of being ranked first; with Davidson-Luce, of being first where one alone is."""
    return ranking.first_probabilities(utilities, offered)
