"""Latent classes: from a batch of answers to a belief, and how many classes the data bear.

Legend: G groups (people), S classes, D features, P own parameters of likelihoods, Q group features,
M parameters.
"""

import time
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.belief import Belief, Encoder
from penchant.beliefs.report import FitReport
from penchant.data.batch import Batch
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel import default_channels
from penchant.feedback.channel_contract import Channel
from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.class_density import ClassDensity, ClassEvaluation
from penchant.fitting.em import EMConfig, OnStep, multi_start, newton_climb, one_class
from penchant.fitting.inference import (
    covariances,
    effective_parameters,
    remarks_on_robust_errors,
    widened,
)
from penchant.fitting.newton import Optimum
from penchant.fitting.separation import WEAK_SCALE, Runaway, describe, runaway_directions
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.linear import Linear

# Where a parameter that ran away starts anew, in standard deviations of the weak prior from zero.
_DISTANCES = (2.0, 1.0, 0.5, 0.0)


@one_blas_thread
def fit_latent_classes(
    batch: Batch,
    num_classes: int,
    *,
    rng: np.random.Generator,
    channels: tuple[Channel, ...] | None = None,
    prior_scale: float | None = None,
    router_scale: float | None = None,
    config: EMConfig | None = None,
    encoder: Encoder | None = None,
    start: Float[Array, " M"] | None = None,
    on_step: OnStep | None = None,
    checkpoint: Checkpoint | None = None,
) -> Belief:
    """The maximum of the panel latent-class likelihood, found from many starts.

    Classes are numbered by share, the largest first (before a weak prior moves what the data do
    not bound). channels: how each kind of answer comes about, by default `default_channels`; their
    own parameters (thresholds, tie strength) are shared by the classes. prior_scale: standard
    deviation of each class's part-worths around zero (utility per standard deviation of the feature
    within menus); router_scale: that of the router's slopes (log-odds per standard deviation of the
    group feature). None fits without a prior unless an estimate grows without limit, then a weak
    one on the parameters concerned is turned on and
    `report.warnings` says so.
    start: climb from there alone, to take up an interrupted fit that `on_step` recorded.
    checkpoint keeps the runs that are finished; taken up, the fit ends as it would have.

    Raises `DataError` for a batch without observations or with a kind that no channel serves,
    `ConfigError` for less than one class or channels with parameters of single people.
    """
    began = time.perf_counter()
    if batch.num_observations == 0:
        raise DataError(
            "the batch holds no observations; expected at least one. Check the filters, or "
            "the quarantine, that came before."
        )
    config, channels = config or EMConfig(), channels or default_channels(batch)
    density = ClassDensity.from_batch(batch, num_classes, channels)
    own = np.concatenate([np.zeros(0), *(channel.initial(batch) for channel in channels)])
    scales = np.concatenate([_scales(batch, num_classes), np.ones(len(own))])
    names = density.classes.parameter_names(batch.feature_names, batch.group_feature_names)
    names += tuple(name for channel in channels for name in channel.parameter_names(batch))
    prior: str | None = None
    notes: tuple[str, ...] = ()
    if prior_scale is not None or router_scale is not None:
        density = replace(density, precision=_precision(density, scales, prior_scale, router_scale))
        prior = _in_words(prior_scale, router_scale)
    optimum, steps = _climb(density, own, scales, rng, config, start, on_step, checkpoint)
    # Numbered before any prior is chosen, so that the prior stays with its class.
    ordered = density.largest_first(optimum.theta)
    optimum = newton_climb(density, ordered, config.newton, on_step)
    at_zero = density.evaluate(np.concatenate([np.zeros(density.num_population), own]))
    runaway = runaway_directions(optimum.information, lambda: at_zero.complete, scales)
    if runaway.parameters.any():
        density = replace(density, precision=density.precision + _weak(runaway, density, scales))
        optimum, more = _climb_back(density, optimum.theta, runaway, scales, config, on_step)
        steps += more
        prior = f"weak, standard deviation {WEAK_SCALE:g}, where the data do not bound a parameter"
        notes = _sentences(runaway, density, names)
    return _belief(
        batch,
        density,
        channels,
        names,
        replace(optimum, iterations=steps),
        at_zero.log_likelihood,
        encoder,
        prior,
        runaway.parameters,
        "EM from many starts, then Newton" if start is None else "Newton from a given start",
        batch.notes + notes,
        began,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassChoice:
    """Fits with 1, 2, .. classes and the number that the criterion prefers."""

    beliefs: tuple[Belief, ...]
    criteria: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """The number of classes with the smallest criterion."""
        return int(np.argmin(self.criteria)) + 1

    @property
    def best(self) -> Belief:
        """The fit with that number."""
        return self.beliefs[self.num_classes - 1]


def choose_num_classes(
    batch: Batch,
    most: int,
    *,
    seed: int,
    channels: tuple[Channel, ...] | None = None,
    prior_scale: float | None = None,
    router_scale: float | None = None,
    config: EMConfig | None = None,
    encoder: Encoder | None = None,
    patience: int = 1,
    checkpoint: Checkpoint | None = None,
) -> ClassChoice:
    """Fit 1, 2, .. classes until the criterion has not improved `patience` times, or to `most`.

    The criterion is M log G - 2 log L with G people: the independent observations of a panel
    (Schwarz 1978; Nylund, Asparouhov and Muthen 2007 find it the most reliable for classes). Twice
    the gain in log-likelihood is not chi-squared here: with one class the second one's parameters
    mean nothing.
    """
    if most < 1:
        raise ConfigError(f"most is {most}; expected the largest number of classes to try, 1 or up")
    beliefs: list[Belief] = []
    criteria: list[float] = []
    for num_classes in range(1, most + 1):
        rng = np.random.default_rng((seed, num_classes))
        belief = fit_latent_classes(
            batch,
            num_classes,
            rng=rng,
            channels=channels,
            prior_scale=prior_scale,
            router_scale=router_scale,
            config=config,
            encoder=encoder,
            checkpoint=checkpoint,
        )
        report = belief.report
        assert report is not None
        beliefs.append(belief)
        criteria.append(
            report.parameters * np.log(max(report.people, 1)) - 2.0 * report.log_likelihood
        )
        if num_classes - 1 - int(np.argmin(criteria)) >= patience:
            break
    return ClassChoice(beliefs=tuple(beliefs), criteria=tuple(criteria))


def _climb(
    density: ClassDensity,
    own: Float[Array, " P"],
    scales: Float[Array, " M"],
    rng: np.random.Generator,
    config: EMConfig,
    start: Float[Array, " M"] | None,
    on_step: OnStep | None,
    checkpoint: Checkpoint | None,
) -> tuple[Optimum, int]:
    """The optimum and the steps it took to get there."""
    if start is not None:
        optimum = newton_climb(density, start, config.newton, on_step)
        return optimum, optimum.iterations
    pooled = one_class(density, config.newton, own)
    if density.classes.num_classes == 1:
        return pooled, pooled.iterations
    num_features = density.panel.num_features
    found = multi_start(
        density, pooled.theta, scales[:num_features], rng, config, on_step, checkpoint
    )
    return found.optimum, pooled.iterations + found.steps


def _climb_back(
    density: ClassDensity,
    theta: Float[Array, " M"],
    runaway: Runaway,
    scales: Float[Array, " M"],
    config: EMConfig,
    on_step: OnStep | None,
) -> tuple[Optimum, int]:
    """The best optimum under the weak prior, from several distances of what ran away.

    The way back from infinity is flat. From zero alone the classes may part in another way: on the
    electricity data of recipes/electricity_latent_classes.py that ended 28 nats lower.
    """
    size = np.where(scales > 0, scales, 1.0)
    found = []
    for distance in _DISTANCES:
        bound = distance * WEAK_SCALE / size
        start = np.where(runaway.parameters, np.clip(theta, -bound, bound), theta)
        found.append(newton_climb(density, start, config.newton, on_step))
    best = max(found, key=lambda optimum: optimum.value)
    return best, sum(optimum.iterations for optimum in found)


def _precision(
    density: ClassDensity,
    scales: Float[Array, " M"],
    prior_scale: float | None,
    router_scale: float | None,
) -> Float[Array, " M"]:
    """The prior asked for. Intercepts are free: how large a class is, the data say best."""
    precision = np.zeros(len(scales))
    cut, width = density.num_population, density.group_features.shape[1]
    own, router = density.classes.split(precision[:cut], width)
    own_scales, slope_scales = density.classes.split(scales[:cut], width)
    if prior_scale is not None:
        own[:] = (own_scales / prior_scale) ** 2
    if router_scale is not None:
        router[:, 1:] = (slope_scales[:, 1:] / router_scale) ** 2
    return precision


def _in_words(prior_scale: float | None, router_scale: float | None) -> str:
    parts = []
    if prior_scale is not None:
        parts.append(f"{prior_scale:g} per standard deviation of the feature")
    if router_scale is not None:
        parts.append(f"{router_scale:g} for the log-odds of classes")
    return f"normal, standard deviation {' and '.join(parts)}"


def _weak(
    runaway: Runaway, density: ClassDensity, scales: Float[Array, " M"]
) -> Float[Array, " M"]:
    """The weak prior's precision; on a column of the router for all classes or for none, so that
    it does not depend on how classes are numbered."""
    flags = runaway.parameters.astype(np.float64)
    width = density.group_features.shape[1]
    _, router = density.classes.split(flags[: density.num_population], width)
    router[:] = router.max(axis=0, initial=0.0)
    return flags * (np.where(scales > 0, scales, 1.0) / WEAK_SCALE) ** 2


def _sentences(runaway: Runaway, density: ClassDensity, names: tuple[str, ...]) -> tuple[str, ...]:
    """What ran away, shares apart from the rest."""
    num_classes = density.classes.num_classes
    routed = slice(num_classes * density.panel.num_features, density.num_population)
    astray = [name for name, flag in zip(names[routed], runaway.parameters[routed]) if flag]
    flags = runaway.parameters.copy()
    flags[routed] = False
    sentences = describe(replace(runaway, parameters=flags), names)
    if astray:
        sentences += (
            f"The data do not bound the log-odds {', '.join(f'`{name}`' for name in astray)}: a "
            "class that nobody belongs to, two classes that are alike, or an attribute that "
            f"decides the class. A weak prior (normal around 0, standard deviation {WEAK_SCALE:g}) "
            f"bounds them. Fewer classes than {num_classes} may do.",
        )
    return sentences


def _scales(batch: Batch, num_classes: int) -> Float[Array, " M"]:
    """The unit of each parameter: that of its feature; log-odds for intercepts."""
    spread = batch.group_features.std(axis=0) if batch.num_groups else np.ones(0)
    router = np.concatenate([[1.0], np.where(spread > 0, spread, 1.0)])
    return np.concatenate(
        [np.tile(Linear().scales(batch), num_classes), np.tile(router, num_classes - 1)]
    )


def _belief(
    batch: Batch,
    density: ClassDensity,
    channels: tuple[Channel, ...],
    names: tuple[str, ...],
    optimum: Optimum,
    null_log_likelihood: float,
    encoder: Encoder | None,
    prior: str | None,
    unbounded: Bool[Array, " M"],
    method: str,
    notes: tuple[str, ...],
    began: float,
) -> Belief:
    theta = optimum.theta
    here = density.evaluate(theta, has_observed=True)
    scores = density.group_weight[:, None] * here.group_scores
    covariance = covariances(here.observed, scores, density.precision)
    effective = effective_parameters(covariance.classical, density.precision)
    people = int(np.count_nonzero(density.panel.answered))
    return Belief(
        theta=theta,
        parameter_names=names,
        utility=Linear(),
        population=density.classes,
        channels=channels,
        channel_sizes=tuple(channel.num_parameters(batch) for channel in channels),
        encoder=encoder,
        covariance=covariance.classical,
        robust_covariance=widened(covariance, unbounded),
        fingerprint=batch.fingerprint,
        report=FitReport(
            log_likelihood=here.log_likelihood,
            null_log_likelihood=null_log_likelihood,
            rows=batch.num_observations,
            people=people,
            parameters=len(theta),
            effective_parameters=effective,
            converged=optimum.converged,
            iterations=optimum.iterations,
            seconds=time.perf_counter() - began,
            method=method,
            prior=prior,
            warnings=notes
            + _remarks(density, here, optimum, people)
            + remarks_on_robust_errors(people, len(theta) if effective is None else effective),
        ),
    )


def _remarks(
    density: ClassDensity, here: ClassEvaluation, optimum: Optimum, people: int
) -> tuple[str, ...]:
    """Empty classes, a climb cut short: each in a sentence."""
    remarks = []
    members = here.responsibility[density.panel.answered].sum(axis=0)
    for s, size in enumerate(members):
        if len(members) > 1 and size < 1.0:
            remarks.append(
                f"Class {s + 1} holds {size:.2g} people, less than one: the data do not bear "
                f"{len(members)} classes. Fit with num_classes={len(members) - 1}."
            )
    if not optimum.converged:
        remarks.append(
            f"The fit did not converge: after {optimum.iterations} steps one more would still gain "
            f"{optimum.decrement:.2g} nats. Rescale features of very different size, or raise "
            "max_steps."
        )
    return tuple(remarks)
