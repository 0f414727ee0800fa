"""Bradley-Terry and its kin on counts of pairs, by Newton steps that never build a matrix.

Legend: Q pairs that met, N items.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.paired_density import (
    PairModel,
    Slopes,
    bend_times,
    log_likelihood,
    slopes,
)
from penchant.fitting.paired_prior import (
    StrengthPrior,
    centred,
    in_gauge,
    prior_for,
    prior_sentences,
    prior_weight,
)
from penchant.fitting.paired_terms import Link
from penchant.fitting.strengths_start import strengths_from_wins
from penchant.fitting.truncated_newton import Local, climb
from penchant.numerics.arrays import Array
from penchant.numerics.graph import Connectivity, connectivity, describe
from penchant.numerics.threads import one_blas_thread


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedConfig:
    """link: "logit" (Bradley-Terry) or "probit" (Thurstone).
    ties: "davidson", "rao_kupper" (tie strength estimated), "half" (half a win for either side) or
    None (a tie is an error).
    prior_scale: standard deviation of every strength before any data, in units of the link; None
    fits without a prior, but for a weak one on items that no finite strength fits.
    max_steps: Newton steps before giving up (and saying so).
    tolerance: gain, in nats, that one more step may still promise when the climb ends."""

    link: Link = "logit"
    ties: Literal["davidson", "rao_kupper", "half"] | None = "davidson"
    prior_scale: float | None = None
    max_steps: int = 100
    tolerance: float = 1e-12

    def __post_init__(self) -> None:
        if self.link not in ("logit", "probit"):
            raise ConfigError(f'link is {self.link!r}; expected "logit" or "probit".')
        if self.ties not in ("davidson", "rao_kupper", "half", None):
            raise ConfigError(
                f'ties is {self.ties!r}; expected "davidson", "rao_kupper", "half" or None.'
            )
        if self.ties == "davidson" and self.link == "probit":
            raise ConfigError(
                'Davidson\'s ties belong to the logistic link; expected ties="rao_kupper" or '
                '"half" with link="probit".'
            )
        if self.prior_scale is not None and not self.prior_scale > 0:
            raise ConfigError(f"prior_scale is {self.prior_scale}; expected a positive number.")


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedFit:
    """Strengths of N items, with a mean of 0 within each island, over the items that no weak
    prior holds.

    `tie_parameter` is log nu of Davidson or log eta of Rao and Kupper; None where ties have no
    strength of their own. `prior` is None where none was needed, and `prior_weight` the part of the
    prior in what is known of each item. `decrement` is the expected gain of one more step, in nats.
    """

    counts: PairCounts
    model: PairModel
    strengths: Float[Array, " N"]
    tie_parameter: float | None
    converged: bool
    iterations: int
    decrement: float
    connectivity: Connectivity
    prior: StrengthPrior | None
    prior_weight: Float[Array, " N"]
    warnings: tuple[str, ...]

    @cached_property
    def log_likelihood(self) -> float:
        """Of the votes, without the prior. Worked out when first asked for: the climb needs none,
        and over ten million pairs it takes as long as two of its steps."""
        return log_likelihood(self.counts, self.strengths, self.tie_parameter or 0.0, self.model)

    @property
    def prior_scale(self) -> float | None:
        """Standard deviation of the prior, None where there is none."""
        return None if self.prior is None else self.prior.scale


@one_blas_thread
def fit_paired(
    counts: PairCounts,
    config: PairedConfig | None = None,
    *,
    start: PairedFit | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> PairedFit:
    """Maximise the likelihood of the counts by truncated Newton steps.

    Each step solves (sum_q bend_q (e_i - e_j)(e_i - e_j)') p = gradient by conjugate gradients,
    streaming over the pairs (Dembo and Steihaug 1983). Finite strengths exist where the graph of
    who scored against whom is strongly connected (Ford 1957); elsewhere a weak prior bounds the
    items concerned, and `warnings` name them. `start` is an earlier fit of the same items;
    `on_step(step, decrement)` is called after each.

    Raises DataError if there are no votes, or a tie where `ties` is None.
    """
    config = config or PairedConfig()
    model, warnings = _model_for(counts, config)
    found = connectivity(counts.first, counts.second, *counts.halved(), counts.num_items)
    prior = prior_for(config.prior_scale, config.link, found)
    density = _Density(counts=counts, model=model, prior=prior, island=found.island)
    peak = climb(
        density.look,
        np.append(
            _start_strengths(counts, found, config.link, start), _start_tie(counts, model, start)
        ),
        max_steps=config.max_steps,
        tolerance=config.tolerance,
        is_logistic=config.link == "logit" and not density.climbs_eta,
        longest=density.longest if density.climbs_eta else None,
        on_step=on_step,
    )
    strengths = in_gauge(peak.theta[:-1], found.island, prior)
    tie = density.tie_parameter(peak.theta[-1]) if model.has_tie_parameter else None
    weight = prior_weight(peak.local.diagonal[:-1], prior)
    return PairedFit(
        counts=counts, model=model, strengths=strengths, tie_parameter=tie,
        converged=peak.converged, iterations=peak.iterations, decrement=peak.decrement,
        connectivity=found,
        prior=prior, prior_weight=weight,
        warnings=(*warnings, *describe(found, counts.items),
                  *prior_sentences(counts.items, prior, config.link, weight)),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Density:
    """The penalised log-likelihood in strengths and, behind them, the tie parameter.

    Rao and Kupper's threshold is climbed as eta itself, in which the likelihood is concave; the
    logarithm of Davidson's nu is so already.
    """

    counts: PairCounts
    model: PairModel
    prior: StrengthPrior | None
    island: Int[Array, " N"]

    @property
    def climbs_eta(self) -> bool:
        return self.model.ties == "rao_kupper"

    def tie_parameter(self, tie: float) -> float:
        return float(np.log(tie)) if self.climbs_eta else float(tie)

    def longest(self, theta: Array, step: Array) -> float:
        """Eta stays positive."""
        return float(0.9 * theta[-1] / -step[-1]) if step[-1] < 0 else 1.0

    def look(self, theta: Array) -> Local:
        strengths, tie = theta[:-1], theta[-1]
        found = slopes(self.counts, strengths, self.tie_parameter(tie), self.model)
        if self.climbs_eta:
            found = Slopes(
                gradient=found.gradient, bend=found.bend, diagonal=found.diagonal,
                cross=found.cross / tie, own_slope=found.own_slope / tie,
                own_bend=(found.own_bend + found.own_slope) / tie**2,
            )  # fmt: skip
        gradient = np.append(found.gradient, found.own_slope)
        diagonal = np.append(found.diagonal, found.own_bend)
        if self.prior is not None:
            gradient[:-1] += self.prior.gradient(strengths)
            diagonal[:-1] += self.prior.diagonal()
        if self.prior is None or self.prior.is_weak:
            # Only gaps are seen, so the slopes of an island sum to 0; what rounding adds to that
            # has no bend to answer it, and near the top would be all that is solved for.
            gradient[:-1] = centred(gradient[:-1], self.island)
        # An item that met nobody has neither slope nor bend: any number will do.
        diagonal = np.where(diagonal > 0, diagonal, 1.0)
        return Local(
            gradient=gradient, diagonal=diagonal, times=lambda vector: self._times(found, vector)
        )

    def _times(self, found: Slopes, vector: Array) -> Array:
        strengths, tie = vector[:-1], vector[-1]
        product = bend_times(self.counts, found.bend, strengths)
        if self.prior is not None:
            product += self.prior.information_times(strengths)
        if not self.model.has_tie_parameter:
            return np.append(product, tie)
        product += found.cross * tie
        return np.append(product, found.cross @ strengths + found.own_bend * tie)


def _model_for(counts: PairCounts, config: PairedConfig) -> tuple[PairModel, tuple[str, ...]]:
    tied = float(counts.ties.sum())
    if not counts.votes:
        raise DataError(
            f"there are no votes between the {counts.num_items} items; expected at least one. "
            "Check that the file has answers, and that weights are not all 0."
        )
    if config.ties is None:
        if tied:
            raise DataError(
                f"{tied:g} of {counts.votes:g} votes are ties; expected none, as `ties` is None. "
                'Say ties="davidson", "rao_kupper" or "half", or drop them.'
            )
        return PairModel(link=config.link), ()
    if config.ties == "half" or not tied:
        return PairModel(link=config.link), ()
    if tied == counts.votes:
        return PairModel(link=config.link), (
            "Every vote is a tie: all items come out alike; how strong ties are cannot be told.",
        )
    return PairModel(ties=config.ties, link=config.link), ()


def _start_strengths(
    counts: PairCounts, found: Connectivity, link: Link, start: PairedFit | None
) -> Array:
    if start is not None:
        return start.strengths.copy()
    won, lost, tied = counts.totals_of_item.T
    guess = strengths_from_wins(won + 0.5 * tied, lost + 0.5 * tied)
    return centred(guess if link == "logit" else guess / 1.7, found.island)


def _start_tie(counts: PairCounts, model: PairModel, start: PairedFit | None) -> float:
    """A tie strength that explains the share of ties between equals."""
    if start is not None and start.tie_parameter is not None and start.model.ties == model.ties:
        return float(np.exp(start.tie_parameter)) if model.ties == "rao_kupper" else (
            start.tie_parameter
        )  # fmt: skip
    share = float(counts.ties.sum()) / counts.votes
    if model.ties == "davidson":
        return float(np.log(2.0 * share / (1.0 - share)))
    if model.ties == "rao_kupper":
        # Logistic: 1 - 2 F(-eta) = share; a probit's unit is about 1.7 times as long.
        logit = float(np.log((1.0 + share) / (1.0 - share)))
        return logit if model.link == "logit" else logit / 1.7
    return 0.0
