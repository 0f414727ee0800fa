"""The channels: for each kind of feedback, the likelihoods there are, as frozen values.

`channel_contract.py` says what they promise. Legend: B observations, K options, M own parameters,
m of them in one row, L levels, G groups, S kinds of people.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, DataError
from penchant.feedback import (
    accept,
    alternatives,
    best_worst,
    choice,
    davidson_luce,
    nested,
    outcome,
    pairwise,
    probit,
    probit_correlated,
    ranking,
    rating,
)
from penchant.feedback.answers import (
    answer_shares,
    answers_of,
    check_levels,
    ordered_names,
    ordered_start,
    quantiles,
    sizes_of_ties,
    validate_levels,
)
from penchant.feedback.channel_contract import Channel, CommonChannel, Likelihood
from penchant.feedback.cumulative import Link
from penchant.feedback.thresholds import Ordered, Personal, Symmetric, Thresholds
from penchant.numerics.arrays import Array, constant, namespace
from penchant.numerics.draws import draw_uniforms


@dataclass(frozen=True, kw_only=True)
class Choice(CommonChannel):
    """One option of the menu: conditional logit. Probabilities [B, K]."""

    kind: ClassVar[str] = "choice"

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        return Likelihood(
            log_prob=choice.log_prob,
            score=choice.score,
            curvature=choice.curvature,
            probabilities=choice.probabilities,
            arguments=(block.offered, block.answer["chosen"]),
            probability_arguments=(block.offered,),
        )


@dataclass(frozen=True, kw_only=True)
class Nested(CommonChannel):
    """One option of a menu whose options come in nests. Probabilities [B, K].

    nests: for each option of the batch, in the order of its `option_names`, the number of its
    nest, or -1 for an option that stands alone. nest_names: for the table of results.
    """

    nests: tuple[int, ...]
    nest_names: tuple[str, ...] = ()
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        numbers = {nest for nest in self.nests if nest >= 0}
        if not numbers or numbers != set(range(len(numbers))) or min(self.nests) < -1:
            raise ConfigError(
                f"nests are numbered {sorted(set(self.nests))}; expected 0, 1, 2, ... without a "
                "gap, and -1 for options that stand alone. Renumber them."
            )
        lonely = [nest for nest in sorted(numbers) if self.nests.count(nest) == 1]
        if lonely:
            raise ConfigError(
                f"nest {lonely[0]} holds one option only; expected at least two, since the scale "
                "of such a nest cannot be known. Give the option -1 instead: it stands alone."
            )
        if self.nest_names and len(self.nest_names) != len(numbers):
            raise ConfigError(
                f"got {len(self.nest_names)} nest names for {len(numbers)} nests; expected one "
                "name for each nest. Complete them, or leave them out."
            )

    def validate(self, batch: Batch) -> None:
        if len(batch.option_names) != len(self.nests):
            raise DataError(
                f"the batch has {len(batch.option_names)} options and `nests` names the nest of "
                f"{len(self.nests)}; expected one nest (or -1) for each of "
                f"{batch.option_names[:8]}. Complete `nests` in that order."
            )

    def num_common(self) -> int:
        return max(self.nests) + 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        names = self.nest_names or tuple(str(m) for m in range(self.num_common()))
        return tuple(f"log nest scale [{name}]" for name in names)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        # The -1 of padding picks the entry put at the end, which stands alone.
        nest = constant(np.array([*self.nests, -1]), block.option)[block.option]
        return Likelihood(
            log_prob=nested.log_prob,
            score=nested.score,
            curvature=nested.curvature,
            probabilities=nested.probabilities,
            arguments=(block.offered, block.answer["chosen"], nest, parameters[None]),
            probability_arguments=(block.offered, nest, parameters[None]),
        )


@dataclass(frozen=True, kw_only=True)
class Probit(CommonChannel):
    """One option of the menu under normal noise. Probabilities [B, K].

    num_correlated: None for independent errors of unit variance; else the number of alternatives
    (all options of the batch, 2 to 6) whose errors have a covariance of their own, simulated with
    `num_draws` evenly spread draws from `seed`, the same for all rows and in every fit.
    """

    num_correlated: int | None = None
    num_draws: int = 256
    seed: int = 0
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        most = probit_correlated.MOST_ALTERNATIVES
        if self.num_correlated is not None and not 2 <= self.num_correlated <= most:
            raise ConfigError(
                f"num_correlated is {self.num_correlated}; expected 2 to {most} alternatives. Use "
                "Probit() with independent errors, or nests, for more."
            )
        if self.num_draws < 1:
            raise ConfigError(f"num_draws is {self.num_draws}; expected 1 or more, such as 256.")

    def validate(self, batch: Batch) -> None:
        if self.num_correlated not in (None, len(batch.option_names)):
            raise DataError(
                f"the batch has {len(batch.option_names)} options and `num_correlated` is "
                f"{self.num_correlated}; expected the same number, since each option has errors "
                "of its own. Set `num_correlated`, or give Probit() independent errors."
            )

    def num_common(self) -> int:
        if self.num_correlated is None:
            return 0
        return probit_correlated.num_parameters(self.num_correlated)

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.num_correlated is None:
            return ()
        return tuple(
            f"log factor [{i}, {i}]" if i == k else f"factor [{i}, {k}]"
            for i in range(2, self.num_correlated)
            for k in range(1, i + 1)
        )

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        if self.num_correlated is None:
            return np.zeros(0)
        return probit_correlated.independent_parameters(self.num_correlated)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        chosen = block.answer["chosen"]
        if self.num_correlated is None:
            return Likelihood(
                log_prob=probit.log_prob,
                score=probit.score,
                curvature=probit.curvature,
                probabilities=probit.probabilities,
                arguments=(block.offered, chosen),
                probability_arguments=(block.offered,),
            )
        layout = alternatives.lay_out(block.option, block.offered, self.num_correlated)
        rng = np.random.default_rng(self.seed)
        draws = draw_uniforms("halton", 1, self.num_correlated - 1, self.num_draws, rng)[0].T
        return Likelihood(
            log_prob=alternatives.log_prob,
            score=alternatives.score,
            curvature=alternatives.curvature,
            probabilities=alternatives.probabilities,
            arguments=(layout, chosen, draws, parameters[None]),
            probability_arguments=(layout, draws, parameters[None]),
        )


@dataclass(frozen=True, kw_only=True)
class Pair(CommonChannel):
    """Who won of two. Probabilities [B, 2], or [B, 3] with the tie last.

    ties: None (a tie is an error), "davidson" (a tie is an answer of its own; logit only) or
    "rao_kupper" (a tie is a gap too small to notice). link: "logit" for Bradley-Terry, "probit"
    for Thurstone's case V, where the difference has a noise of unit variance.
    """

    ties: Literal["davidson", "rao_kupper"] | None = None
    link: Link = "logit"
    kind: ClassVar[str] = "pair"

    def __post_init__(self) -> None:
        if self.ties == "davidson" and self.link == "probit":
            raise ConfigError(
                "got ties='davidson' with link='probit'; Davidson's ties exist for the logit "
                "only. Use ties='rao_kupper', which has a probit form."
            )

    def validate(self, batch: Batch) -> None:
        num_ties = int(np.sum(answers_of(batch, self.kind, "outcome") == 2))
        if self.ties is None and num_ties:
            raise DataError(
                f"{num_ties} pairs ended in a tie; expected a winner in each, since `ties` is "
                "None. Use Pair(ties='davidson') or Pair(ties='rao_kupper'), or drop the ties."
            )

    def num_common(self) -> int:
        return 0 if self.ties is None else 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.ties is None:
            return ()
        return ("log tie strength",) if self.ties == "davidson" else ("log tie threshold",)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        if self.ties is None:
            return np.zeros(0)
        shares = answer_shares(answers_of(batch, self.kind, "outcome"), 3)
        if self.ties == "davidson":
            return np.log([2 * shares[2] / (1 - shares[2])])
        return np.log(quantiles(np.array([0.5 + shares[2] / 2]), self.link))

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        answer = block.answer["outcome"]
        if self.ties == "davidson":
            return Likelihood(
                log_prob=pairwise.davidson_log_prob,
                score=pairwise.davidson_score,
                curvature=pairwise.davidson_curvature,
                probabilities=pairwise.davidson_probabilities,
                arguments=(answer, parameters[None]),
                probability_arguments=(parameters[None],),
            )
        if self.ties == "rao_kupper":
            return Likelihood(
                log_prob=pairwise.rao_kupper_log_prob,
                score=pairwise.rao_kupper_score,
                curvature=pairwise.rao_kupper_curvature,
                probabilities=pairwise.rao_kupper_probabilities,
                arguments=(answer, parameters[None]),
                probability_arguments=(parameters[None],),
                options={"link": self.link},
            )
        if self.link == "probit":
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


@dataclass(frozen=True, kw_only=True)
class GradedPair(CommonChannel):
    """How much better the first of two is, in `levels` grades. Probabilities [B, L].

    has_position_bias: thresholds of their own for both sides, so that being shown first may help;
    without it they mirror each other. link: "logit" or "probit".
    """

    levels: int
    has_position_bias: bool = False
    link: Link = "logit"
    kind: ClassVar[str] = "graded"

    def __post_init__(self) -> None:
        check_levels(self.levels)

    def validate(self, batch: Batch) -> None:
        validate_levels(answers_of(batch, self.kind, "grade"), self.levels, lowest=0)

    def num_common(self) -> int:
        return self._thresholds().num_parameters

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        if self.has_position_bias:
            return ordered_names(self.levels)
        return tuple(
            f"log threshold step {m + 1} from the middle" for m in range(self.num_common())
        )

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        shares = answer_shares(answers_of(batch, self.kind, "grade"), self.levels)
        if self.has_position_bias:
            return ordered_start(shares, self.link)
        tau = quantiles(np.cumsum((shares + shares[::-1]) / 2)[:-1], self.link)
        positive = tau[tau.size - self.num_common() :]
        return np.log(np.diff(positive, prepend=0.0))

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        return Likelihood(
            log_prob=pairwise.graded_log_prob,
            score=pairwise.graded_score,
            curvature=pairwise.graded_curvature,
            probabilities=pairwise.graded_probabilities,
            arguments=(block.answer["grade"], parameters[None]),
            probability_arguments=(parameters[None],),
            options={"thresholds": self._thresholds(), "link": self.link},
        )

    def _thresholds(self) -> Thresholds:
        return Ordered(self.levels) if self.has_position_bias else Symmetric(self.levels)


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


@dataclass(frozen=True, kw_only=True)
class Rating(CommonChannel):
    """Ordered ratings of single options in `levels` levels. Probabilities [B, K, L].

    by_person: each group shifts and stretches the common thresholds by its own two numbers, held
    to zero by normal priors of standard deviation `shift_scale` (utility) and `stretch_scale`
    (log of a factor). A group that the fit did not see has both at zero. link: "logit", "probit".
    """

    levels: int
    by_person: bool = False
    shift_scale: float = 1.0
    stretch_scale: float = 0.3
    link: Link = "logit"
    kind: ClassVar[str] = "rating"

    def __post_init__(self) -> None:
        check_levels(self.levels)

    def validate(self, batch: Batch) -> None:
        validate_levels(answers_of(batch, self.kind, "level"), self.levels, lowest=-1)

    def num_common(self) -> int:
        return self.levels - 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        names = ordered_names(self.levels)
        if not self.by_person:
            return names
        own = ("threshold shift", "log threshold stretch")
        return names + tuple(f"{what} [{name}]" for name in batch.group_names for what in own)

    def num_parameters(self, batch: Batch) -> int:
        return self.levels - 1 + (2 * batch.num_groups if self.by_person else 0)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        level = answers_of(batch, self.kind, "level")
        start = np.zeros(self.num_parameters(batch))
        start[: self.levels - 1] = ordered_start(answer_shares(level, self.levels), self.link)
        return start

    def prior_precision(self, batch: Batch) -> Float[Array, " M"]:
        precision = np.zeros(self.num_parameters(batch))
        precision[self.levels - 1 :: 2] = self.shift_scale**-2
        precision[self.levels :: 2] = self.stretch_scale**-2
        precision[: self.levels - 1] = 0.0
        return precision

    def parameter_index(self, block: Block) -> Int[Array, "B m"]:
        common = super().parameter_index(block)
        if not self.by_person:
            return common
        own = self.levels - 1 + 2 * block.group[:, None] + np.arange(2)
        return np.concatenate([common, own], axis=1)

    def transfer(
        self, parameters: Float[Array, " M *S"], group_names: tuple[str, ...], batch: Batch
    ) -> Float[Array, " M2 *S"]:
        if not self.by_person:
            return parameters
        xp = namespace(parameters)
        trailing = tuple(parameters.shape[1:])
        own = parameters[self.levels - 1 :].reshape((len(group_names), 2, *trailing))
        # The row of zeros at the end is for those the fit did not see.
        own = xp.concat([own, 0.0 * own[:1]], axis=0)
        place = {name: g for g, name in enumerate(group_names)}
        rows = np.array([place.get(name, len(group_names)) for name in batch.group_names])
        own = own[constant(rows, parameters)].reshape((2 * len(rows), *trailing))
        return xp.concat([parameters[: self.levels - 1], own], axis=0)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        if self.by_person:
            thresholds: Thresholds = Personal(self.levels)
            index = self.parameter_index(block)
            own = parameters[constant(index, parameters)]
        else:
            thresholds, own = Ordered(self.levels), parameters[None]
        return Likelihood(
            log_prob=rating.log_prob,
            score=rating.score,
            curvature=rating.curvature,
            probabilities=rating.probabilities,
            arguments=(block.offered, block.answer["level"], own),
            probability_arguments=(own,),
            options={"thresholds": thresholds, "link": self.link},
        )


@dataclass(frozen=True, kw_only=True)
class Binary(CommonChannel):
    """Each option taken or left by itself (a click, a sale). Probabilities [B, K] of taking.

    The own parameter is the bar that a utility must pass to be taken half of the time.
    """

    link: Link = "logit"
    kind: ClassVar[str] = "binary"
    answer_name: ClassVar[str] = "success"

    def num_common(self) -> int:
        return 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        return (f"{self.kind} bar",)

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        taken = np.asarray(answers_of(batch, self.kind, self.answer_name), dtype=np.int64)
        return -quantiles(answer_shares(taken, 2)[1:], self.link)

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        answer = block.answer[self.answer_name]
        success = namespace(answer).astype(answer, block.option.dtype)
        return Likelihood(
            log_prob=accept.log_prob,
            score=accept.score,
            curvature=accept.curvature,
            probabilities=accept.probabilities,
            arguments=(block.offered, success, parameters[None]),
            probability_arguments=(parameters[None],),
            options={"link": self.link},
        )


@dataclass(frozen=True, kw_only=True)
class Approval(Binary):
    """Every option of the menu that is good enough. Probabilities [B, K] of being approved."""

    kind: ClassVar[str] = "approval"
    answer_name: ClassVar[str] = "approved"


@dataclass(frozen=True, kw_only=True)
class Outcome(CommonChannel):
    """A real number for an option, Gaussian around its utility.

    Own parameters: log sigma and, with has_intercept, the value of an option of utility zero.
    Needed where other feedback shapes the utilities and leaves their zero open; else a constant
    among the features does the same.
    """

    has_intercept: bool = False
    kind: ClassVar[str] = "outcome"

    def num_common(self) -> int:
        return 2 if self.has_intercept else 1

    def parameter_names(self, batch: Batch) -> tuple[str, ...]:
        return ("log sigma", "outcome intercept")[: self.num_common()]

    def initial(self, batch: Batch) -> Float[Array, " M"]:
        value = answers_of(batch, self.kind, "value")
        value = value[np.isfinite(value)]
        spread = float(np.std(value)) if value.size else 0.0
        mean = float(np.mean(value)) if value.size else 0.0
        start = [math.log(spread) if spread > 0 else 0.0, mean]
        return np.array(start[: self.num_common()])

    def likelihood(self, block: Block, parameters: Float[Array, "M *#S"]) -> Likelihood:
        return Likelihood(
            log_prob=outcome.log_prob,
            score=outcome.score,
            curvature=outcome.curvature,
            probabilities=_no_probabilities,
            arguments=(block.offered, block.answer["value"], parameters[None]),
        )


def default_channels(batch: Batch) -> tuple[Channel, ...]:
    """A channel for each kind of feedback in the batch, with as many levels as it shows.

    Pairs get Davidson's ties where there is a tie, rankings exact ties.
    """
    made: list[Channel] = []
    for kind in dict.fromkeys(block.kind for block in batch.blocks):
        if kind == "choice":
            made.append(Choice())
        elif kind == "pair":
            has_ties = bool(np.any(answers_of(batch, kind, "outcome") == 2))
            made.append(Pair(ties="davidson" if has_ties else None))
        elif kind == "graded":
            made.append(GradedPair(levels=int(answers_of(batch, kind, "grade").max()) + 1))
        elif kind == "ranking":
            made.append(Ranking.fitting(batch))
        elif kind == "best_worst":
            made.append(BestWorst())
        elif kind == "rating":
            made.append(Rating(levels=int(answers_of(batch, kind, "level").max()) + 1))
        elif kind == "approval":
            made.append(Approval())
        elif kind == "binary":
            made.append(Binary())
        else:
            made.append(Outcome())
    return tuple(made)


def channel_for(channels: Sequence[Channel], block: Block) -> Channel:
    """The channel that serves a block. Raises ConfigError where none or several do."""
    found = [channel for channel in channels if channel.kind == block.kind]
    if len(found) != 1:
        raise ConfigError(
            f"{len(found)} channels serve feedback of kind {block.kind!r}; expected exactly one of "
            f"{[type(channel).__name__ for channel in channels]}. Add or drop one."
        )
    return found[0]


def _first_probabilities(
    utilities: Float[Array, "B K *S"], offered: Bool[Array, "B K"], tie_sizes: tuple[int, ...] = ()
) -> Float[Array, "B K *S"]:
    """Of being ranked first; with Davidson-Luce, of being first where one alone is."""
    return ranking.first_probabilities(utilities, offered)


def _no_probabilities(utilities: Float[Array, "B K *S"]) -> Array:
    raise ConfigError(
        "asked for the probabilities of all answers of an outcome, which is a real number; "
        "expected a kind of feedback with finitely many answers. Use the utilities: they are the "
        "mean of the outcome."
    )
