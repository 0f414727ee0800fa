"""One taste for all, from any mix of feedback: maximum likelihood or posterior mode by Newton.

Legend: B observations, K options, D tastes, M parameters (tastes, then each channel's own),
G groups (people).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.errors import DataError
from penchant.feedback.channel import Channel, Choice
from penchant.fitting.inference import covariances
from penchant.fitting.newton import Evaluation, NewtonConfig, Optimum, maximise
from penchant.fitting.separation import WEAK_SCALE, describe, runaway_directions
from penchant.numerics.arrays import Array
from penchant.populations.pooled import Pooled
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility


@dataclass(frozen=True, kw_only=True, eq=False)
class PooledDensity:
    """log p(all answers | theta) + log prior, and its derivatives.

    The log-likelihood is sum_b w_b log p(y_b | u_b(theta), own(theta)) over blocks of any kind;
    the prior is normal around zero with the given precision per parameter (0: none).
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

    def log_likelihood(self, theta: Float[Array, " M"]) -> float:
        """Without the prior."""
        total = 0.0
        for block, channel, own in self._parts():
            utilities = self._worths(block, theta)
            total += float(block.weight @ channel.log_prob(utilities, block, theta[own]))
        return total

    def evaluate(self, theta: Float[Array, " M"]) -> Evaluation:
        """Value, gradient and information, prior included."""
        num_tastes = self.num_tastes
        value = -0.5 * float(self.prior_precision @ theta**2)
        gradient = -self.prior_precision * theta
        information = np.diag(self.prior_precision)
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
                gradient[own] += weight @ score.parameters
                cross = self.utility.cross_information(block, bend.cross, weight, num_tastes)
                information[:num_tastes, own] += cross
                information[own, :num_tastes] += cross.T
                information[own, own] += np.einsum("b,bmn->mn", weight, bend.parameters)
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
                own_scores = np.zeros((self.batch.num_groups, own.stop - own.start))
                np.add.at(own_scores, block.group, score.parameters * block.weight[:, None])
                scores[:, own] += own_scores
        return scores

    def _worths(self, block, theta):  # type: ignore[no-untyped-def]  # private, typed by its use
        return self.utility.worths(block, theta[None, None, : self.num_tastes])[:, :, 0]

    def _parts(self):  # type: ignore[no-untyped-def]  # private, typed by its use
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
        if kind in channel.kinds:
            return index
    served = sorted({kind for channel in channels for kind in channel.kinds})
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
    start: Float[Array, " M"] | None = None,
    config: NewtonConfig | None = None,
    encoder: Encoder | None = None,
    on_step: Callable[[int, Float[Array, " M"], float], None] | None = None,
) -> Belief:
    """Fit one taste to all feedback of a batch.

    prior_scale: standard deviation of each taste before any data, in utility per standard
    deviation of its feature within menus. None fits without a prior unless the data push a
    parameter to infinity (or do not identify it); then a weak prior on the parameters concerned
    is turned on and `report.warnings` says so.

    Raises `DataError` for a batch without observations or with a kind that no channel serves.
    """
    began = time.perf_counter()
    if batch.num_observations == 0:
        raise DataError(
            "the batch holds no observations; expected at least one. Check the filters, or the "
            "quarantine, that came before."
        )
    utility = utility or Linear()
    own_names = tuple(channel.parameter_names(batch) for channel in channels)
    sizes = tuple(len(names) for names in own_names)
    taste_names = utility.taste_names(batch)
    names = taste_names + tuple(name for own in own_names for name in own)
    initial = np.concatenate(
        [np.zeros(len(taste_names)), *(channel.initial(batch) for channel in channels)]
    )
    scales = np.concatenate([utility.scales(batch), np.ones(sum(sizes))])
    precision = np.zeros(len(names))
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
    evaluate = _fastest(density)
    at_zero = evaluate(initial)
    optimum = maximise(evaluate, initial if start is None else start, config, on_step=on_step)
    warnings: tuple[str, ...] = batch.notes
    runaway = runaway_directions(optimum.information, at_zero.information, scales)
    if runaway.parameters.any():
        safe = np.where(scales > 0, scales, 1.0)
        precision = precision + runaway.parameters * (safe / WEAK_SCALE) ** 2
        density = replace(density, prior_precision=precision)
        evaluate = _fastest(density)
        optimum = maximise(evaluate, initial, config, on_step=on_step)
        warnings += describe(runaway, names)
        prior = f"weak, standard deviation {WEAK_SCALE:g}, where the data do not bound a parameter"
    return _belief(density, optimum, names, at_zero, initial, encoder, prior, warnings, began)


def _fastest(density: PooledDensity) -> Callable[[Float[Array, " M"]], Evaluation]:
    """The fused pass where the model is a plain conditional logit, else the general one."""
    plain = density.utility == Linear() and density.channels == (Choice(),)
    if not plain or any(block.kind != "choice" for block in density.batch.blocks):
        return density.evaluate
    from penchant.feedback.choice_fused import value_score_information

    flat = density.batch.flat_choices()
    precision = density.prior_precision

    def evaluate(theta: Float[Array, " M"]) -> Evaluation:
        value, gradient, information = value_score_information(
            flat.features, flat.menu_start, flat.chosen, flat.weight, theta
        )
        return Evaluation(
            value=float(value) - 0.5 * float(precision @ theta**2),
            gradient=gradient - precision * theta,
            information=information + np.diag(precision),
        )

    return evaluate


def _belief(
    density: PooledDensity,
    optimum: Optimum,
    names: tuple[str, ...],
    at_zero: Evaluation,
    initial: Float[Array, " M"],
    encoder: Encoder | None,
    prior: str | None,
    warnings: tuple[str, ...],
    began: float,
) -> Belief:
    batch = density.batch
    scores = density.group_scores(optimum.theta)
    covariance = covariances(optimum.information, scores)
    if not optimum.converged:
        warnings += (
            f"The fit did not converge: after {optimum.iterations} steps one more would still "
            f"gain {optimum.decrement:.2g} nats. Rescale features of very different size, or "
            "raise max_steps.",
        )
    if len(scores) < 30:
        warnings += (
            f"Robust errors rest on {len(scores)} people; below some 30 they are too narrow.",
        )
    log_likelihood = optimum.value + 0.5 * float(density.prior_precision @ optimum.theta**2)
    return Belief(
        theta=optimum.theta,
        parameter_names=names,
        utility=density.utility,
        population=Pooled(),
        channels=density.channels,
        channel_sizes=density.sizes,
        encoder=encoder,
        covariance=covariance.classical,
        robust_covariance=covariance.robust,
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=log_likelihood,
            null_log_likelihood=at_zero.value + 0.5 * float(density.prior_precision @ initial**2),
            rows=batch.num_observations,
            people=int(np.count_nonzero(_rows_of_groups(batch))),
            parameters=len(names),
            converged=optimum.converged,
            iterations=optimum.iterations,
            seconds=time.perf_counter() - began,
            method="Newton",
            prior=prior,
            warnings=warnings,
        ),
    )


def _rows_of_groups(batch: Batch) -> Float[Array, " G"]:
    counts = np.zeros(batch.num_groups)
    for block in batch.blocks:
        counts += np.bincount(block.group, minlength=batch.num_groups)
    return counts
