"""One taste for all, from any mix of feedback: maximum likelihood or posterior mode by Newton.

Legend: B observations, K options, D tastes, M parameters (tastes, then each channel's own),
G groups (people).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.inference import (
    covariances,
    effective_parameters,
    invert_information,
    widened,
)
from penchant.fitting.newton import Evaluation, NewtonConfig, Optimum, maximise
from penchant.fitting.separation import WEAK_SCALE, describe, runaway_directions
from penchant.fitting.shrinkage import Learned, Mode, Shrinkage, learn_spreads
from penchant.numerics.arrays import Array
from penchant.populations.pooled import Pooled
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledDensity:
    """sum_b w_b log p(y_b | u_b(theta), own(theta)) over all answers, and its derivatives.

    prior_precision: of the normal prior around zero that the fit adds, per parameter (0: none).
    """

    batch: Batch
    utility: Utility
    channels: tuple[Channel, ...]
    sizes: tuple[int, ...]
    prior_precision: Float[Array, " M"]

    @property
    def num_tastes(self) -> int:
        """D, the parameters before the channels' own."""
        return len(self.prior_precision) - sum(self.sizes)

    def evaluate(self, theta: Float[Array, " M"]) -> Evaluation:
        """Value, gradient and information of the log-likelihood alone."""
        num_tastes = self.num_tastes
        value, gradient = 0.0, np.zeros(len(theta))
        information = np.zeros((len(theta), len(theta)))
        for block, channel, own in self._parts():
            utilities, weight = self._worths(block, theta), block.weight
            value += float(weight @ channel.log_prob(utilities, block, theta[own]))
            score = channel.score(utilities, block, theta[own])
            bend = channel.curvature(utilities, block, theta[own])
            gradient[:num_tastes] += self.utility.gradient(
                block, score.utilities, weight, num_tastes
            )
            information[:num_tastes, :num_tastes] += self.utility.information(
                block, bend.utilities, weight, num_tastes
            )
            if own.stop > own.start:
                place_BM = own.start + channel.parameter_index(block)
                np.add.at(gradient, place_BM, score.parameters * weight[:, None])
                np.add.at(
                    information,
                    (place_BM[:, :, None], place_BM[:, None, :]),
                    bend.parameters * weight[:, None, None],
                )
                cross = self._cross(block, bend.cross, place_BM, len(theta))
                information[:num_tastes] += cross
                information[:, :num_tastes] += cross.T
        return Evaluation(value=value, gradient=gradient, information=information)

    def group_scores(self, theta: Float[Array, " M"]) -> Float[Array, "G M"]:
        """d log p(answers of g) / d theta, for errors that only trust people to be independent."""
        scores = np.zeros((self.batch.num_groups, len(theta)))
        for block, channel, own in self._parts():
            utilities = self._worths(block, theta)
            score = channel.score(utilities, block, theta[own])
            rows = self.utility.row_scores(block, score.utilities, self.num_tastes)
            np.add.at(scores[:, : self.num_tastes], block.group, rows * block.weight[:, None])
            if own.stop > own.start:
                place_BM = own.start + channel.parameter_index(block)
                np.add.at(
                    scores,
                    (block.group[:, None], place_BM),
                    score.parameters * block.weight[:, None],
                )
        return scores

    def _cross(
        self,
        block: Block,
        cross: Float[Array, "B K M"],
        place: Int[Array, "B M"],
        num_parameters: int,
    ) -> Float[Array, "D M2"]:
        """The curvature between tastes and own parameters, at the places of the latter."""
        total = np.zeros((self.num_tastes, num_parameters))
        if np.all(place == place[:1]):
            total[:, place[0]] = self.utility.cross_information(
                block, cross, block.weight, self.num_tastes
            )
            return total
        for column in range(place.shape[1]):
            rows = self.utility.row_scores(block, cross[:, :, column], self.num_tastes)
            np.add.at(total.T, place[:, column], rows * block.weight[:, None])
        return total

    def _worths(self, block: Block, theta: Float[Array, " M"]) -> Float[Array, "B K"]:
        return self.utility.worths(block, theta[None, None, : self.num_tastes])[:, :, 0]

    def _parts(self) -> Iterator[tuple[Block, Channel, slice]]:
        """Each block with the channel that serves it and that channel's slice of theta."""
        starts = self.num_tastes + np.concatenate([[0], np.cumsum(self.sizes)]).astype(int)
        for block in self.batch.blocks:
            index = serving_channel(self.channels, block.kind)
            yield block, self.channels[index], slice(int(starts[index]), int(starts[index + 1]))


def serving_channel(channels: tuple[Channel, ...], kind: str) -> int:
    """Which channel gives the likelihood of this kind of feedback.

    Raises `DataError` where none does.
    """
    for index, channel in enumerate(channels):
        if kind == channel.kind:
            return index
    served = sorted({channel.kind for channel in channels})
    raise DataError(
        f"the data hold feedback of kind {kind!r}, which this model has no likelihood for; "
        f"expected {served}. Keep only these rows, or give the model a channel for {kind!r}."
    )


def fit_pooled(
    batch: Batch,
    *,
    utility: Utility | None = None,
    channels: tuple[Channel, ...] = (Choice(),),
    prior_scale: float | None = None,
    shrinkage: Shrinkage | None = None,
    start: Float[Array, " M"] | None = None,
    config: NewtonConfig | None = None,
    encoder: Encoder | None = None,
    on_step: Callable[[int, Float[Array, " M"], float], None] | None = None,
) -> Belief:
    """Fit one taste to all feedback of a batch.

    prior_scale: standard deviation of each taste before any data, in utility per standard
    deviation of its feature within menus. None fits without a prior unless the data push a
    parameter to infinity (or do not identify it); then a weak prior on the parameters concerned
    is turned on and `report.warnings` says so. shrinkage: families of parameters shrunk to zero by
    an amount that the data tell.

    Raises `DataError` for a batch without observations or with a kind that no channel serves.
    """
    began = time.perf_counter()
    if batch.num_observations == 0:
        raise DataError(
            "the batch holds no observations; expected at least one. Check the filters, or the "
            "quarantine, that came before."
        )
    utility = utility or Linear()
    for block in batch.blocks:
        serving_channel(channels, block.kind)
    for channel in channels:
        channel.validate(batch)
    own_names = tuple(channel.parameter_names(batch) for channel in channels)
    sizes = tuple(len(names) for names in own_names)
    taste_names = utility.taste_names(batch)
    names = taste_names + tuple(name for own in own_names for name in own)
    initial = np.concatenate(
        [np.zeros(len(taste_names)), *(channel.initial(batch) for channel in channels)]
    )
    scales = np.concatenate([utility.scales(batch), np.ones(sum(sizes))])
    precision = np.concatenate(
        [np.zeros(len(taste_names)), *(channel.prior_precision(batch) for channel in channels)]
    )
    prior = None
    if prior_scale is not None:
        precision[: len(taste_names)] = (scales[: len(taste_names)] / prior_scale) ** 2
        prior = f"normal, standard deviation {prior_scale:g} per standard deviation of the feature"
    density = PooledDensity(
        batch=batch,
        utility=utility,
        channels=channels,
        sizes=sizes,
        prior_precision=precision,
    )
    pass_over_data = _fastest(density)
    at_zero = pass_over_data(initial)
    first = initial if start is None else start
    if shrinkage is not None:
        learned = _learn(
            lambda precision, theta: maximise(
                _with_prior(pass_over_data, precision), theta, config, on_step=on_step
            ),
            shrinkage,
            scales,
            precision,
            first,
        )
        precision, optimum = learned.precision, learned.fit
        prior = learned.sentence(shrinkage)
    else:
        evaluate = _with_prior(pass_over_data, precision)
        optimum = maximise(evaluate, first, config, on_step=on_step)
    warnings: tuple[str, ...] = batch.notes
    runaway = runaway_directions(optimum.information, at_zero.information, scales)
    if runaway.parameters.any():
        safe = np.where(scales > 0, scales, 1.0)
        precision = precision + runaway.parameters * (safe / WEAK_SCALE) ** 2
        evaluate = _with_prior(pass_over_data, precision)
        optimum = maximise(evaluate, initial, config, on_step=on_step)
        warnings += describe(runaway, names)
        weak = f"weak, standard deviation {WEAK_SCALE:g}, where the data do not bound a parameter"
        prior = weak if prior is None else f"{prior}; {weak}"
    climb = _Climb(
        optimum=optimum,
        null=at_zero.value,
        unbounded=runaway.parameters,
        prior=prior,
        warnings=warnings,
        seconds=time.perf_counter() - began,
    )
    return _belief(replace(density, prior_precision=precision), climb, names, encoder)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Climb:
    """Where the fit ended and what is to be said of it. null: the log-likelihood at the start."""

    optimum: Optimum
    null: float
    unbounded: Bool[Array, " M"]
    prior: str | None
    warnings: tuple[str, ...]
    seconds: float


Evaluate = Callable[[Float[Array, " M"]], Evaluation]


def _learn(
    climb: Callable[[Float[Array, " M"], Float[Array, " M"]], Optimum],
    shrinkage: Shrinkage,
    scales: Float[Array, " M"],
    precision: Float[Array, " M"],
    start: Float[Array, " M"],
) -> Learned[Optimum]:
    def mode(precision: Float[Array, " M"], start: Float[Array, " M"] | None) -> Mode[Optimum]:
        assert start is not None
        optimum = climb(precision, start)
        inverse, _ = invert_information(optimum.information)
        return Mode(theta=optimum.theta, covariance=inverse, fit=optimum)

    return learn_spreads(mode, shrinkage, scales, precision, start=start)


def _with_prior(pass_over_data: Evaluate, precision: Float[Array, " M"]) -> Evaluate:
    """The log-density with a normal prior around zero added to a pass over the data."""

    def evaluate(theta: Float[Array, " M"]) -> Evaluation:
        data = pass_over_data(theta)
        return Evaluation(
            value=data.value - 0.5 * float(precision @ theta**2),
            gradient=data.gradient - precision * theta,
            information=data.information + np.diag(precision),
        )

    return evaluate


def _fastest(density: PooledDensity) -> Evaluate:
    """The log-likelihood: fused where the model is a plain conditional logit, else in general."""
    if not _is_plain(density):
        return density.evaluate
    from penchant.feedback.choice_fused import value_score_information

    flat = density.batch.flat_choices()

    def evaluate(theta: Float[Array, " M"]) -> Evaluation:
        value, gradient, information = value_score_information(
            flat.features, flat.menu_start, flat.chosen, flat.weight, theta
        )
        return Evaluation(value=float(value), gradient=gradient, information=information)

    return evaluate


def _group_scores(density: PooledDensity, theta: Float[Array, " M"]) -> Float[Array, "G M"]:
    """Each group's score: fused where the climb was."""
    if not _is_plain(density):
        return density.group_scores(theta)
    from penchant.feedback.choice_fused import group_scores

    flat = density.batch.flat_choices()
    return group_scores(
        flat.features, flat.menu_start, flat.chosen, flat.weight, flat.group_start, theta
    )


def _is_plain(density: PooledDensity) -> bool:
    """Whether the fused conditional logit says it all."""
    plain = density.utility == Linear() and density.channels == (Choice(),)
    return plain and all(block.kind == "choice" for block in density.batch.blocks)


def _belief(
    density: PooledDensity, climb: _Climb, names: tuple[str, ...], encoder: Encoder | None
) -> Belief:
    batch, optimum, warnings = density.batch, climb.optimum, climb.warnings
    scores = _group_scores(density, optimum.theta)
    covariance = covariances(optimum.information, scores, density.prior_precision)
    if not optimum.converged:
        warnings += (
            f"The fit did not converge: after {optimum.iterations} steps one more would still "
            f"gain {optimum.decrement:.2g} nats. Rescale features of very different size, or "
            "raise max_steps.",
        )
    num_people = int(np.count_nonzero(_rows_of_groups(batch)))
    if num_people < 30:
        warnings += (
            f"Robust errors rest on {num_people} people; below some 30 they are too narrow.",
        )
    return Belief(
        theta=optimum.theta,
        parameter_names=names,
        utility=density.utility,
        population=Pooled(),
        channels=density.channels,
        channel_sizes=density.sizes,
        group_names=batch.group_names if _is_personal(density) else (),
        encoder=encoder,
        covariance=covariance.classical,
        robust_covariance=widened(covariance, climb.unbounded),
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=optimum.value + 0.5 * float(density.prior_precision @ optimum.theta**2),
            null_log_likelihood=climb.null,
            rows=batch.num_observations,
            people=num_people,
            parameters=len(names),
            effective_parameters=effective_parameters(
                covariance.classical, density.prior_precision
            ),
            converged=optimum.converged,
            iterations=optimum.iterations,
            seconds=climb.seconds,
            method="Newton",
            prior=climb.prior,
            warnings=warnings,
        ),
    )


def _is_personal(density: PooledDensity) -> bool:
    """Whether a channel has parameters of single people, which must be found again by name."""
    return any(np.any(c.prior_precision(density.batch)) for c in density.channels)


def _rows_of_groups(batch: Batch) -> Float[Array, " G"]:
    counts = np.zeros(batch.num_groups)
    for block in batch.blocks:
        counts += np.bincount(block.group, minlength=batch.num_groups)
    return counts
