"""Latent classes by expectation-maximisation from many starts, finished by exact Newton.

Legend: B observations, G groups (people), S classes, D features, P own parameters of likelihoods,
W = D + P, Q group features, M parameters, R directions with information.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from penchant.fitting.checkpoint import Checkpoint
from penchant.fitting.class_density import ClassDensity
from penchant.fitting.newton import (
    Evaluation,
    NewtonConfig,
    Optimum,
    maximise,
    newton_step,
    step_up,
)
from penchant.numerics.arrays import Array
from penchant.populations.classes import Classes

OnStep = Callable[[int, Float[Array, " M"], float], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class EMConfig:
    """num_starts: places to start from, half by clustering people, half at random.
    short_steps: EM steps given to every start; num_finalists: how many of the best go on.
    max_steps: EM steps of a finalist; switch_gain: nats per step below which Newton takes over.
    start_people: the short runs see at most this many people.
    perturbation: size of random starts, in utility per standard deviation of a feature."""

    num_starts: int = 12
    short_steps: int = 12
    num_finalists: int = 3
    max_steps: int = 200
    switch_gain: float = 0.02
    start_people: int = 4000
    perturbation: float = 0.7
    newton: NewtonConfig = field(default_factory=NewtonConfig)


@dataclass(frozen=True, kw_only=True, eq=False)
class EMClimb:
    """Where EM got to and the log-posterior at every step; it never falls."""

    theta: Float[Array, " M"]
    values: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiStart:
    """The best optimum found; `values` are those of all finalists where EM left them."""

    optimum: Optimum
    values: tuple[float, ...]
    steps: int


def em_climb(
    density: ClassDensity,
    start: Float[Array, " M"],
    *,
    max_steps: int,
    min_gain: float = 0.0,
    on_step: OnStep | None = None,
) -> EMClimb:
    """Climb by EM with one Newton step as the M-step, until a step gains less than `min_gain`.

    Dempster, Laird and Rubin (1977); the M-step as one Newton step on the expected complete
    log-likelihood, theta <- theta + I_complete^-1 gradient, is Lange (1995): next to the maximum it
    is as fast as full EM, at one pass over the data. Where it would lower the likelihood, which
    full EM never does, the step is halved.
    """
    theta, here = np.array(start, dtype=np.float64), density.evaluate(start)
    values = [here.value]
    for number in range(1, max_steps + 1):
        advanced = step_up(
            density.evaluate, theta, newton_step(here.complete, here.gradient), here.value, 30
        )
        if advanced is None:
            break
        theta, here = advanced
        values.append(here.value)
        if on_step is not None:
            on_step(number, theta, here.value)
        if values[-1] - values[-2] < min_gain:
            break
    return EMClimb(theta=theta, values=tuple(values))


def newton_climb(
    density: ClassDensity, start: Float[Array, " M"], config: NewtonConfig, on_step: OnStep | None
) -> Optimum:
    """Newton on the exact observed information: quadratic where EM is slow."""

    def evaluate(theta: Float[Array, " M"]) -> Evaluation:
        here = density.evaluate(theta, has_observed=True)
        return Evaluation(value=here.value, gradient=here.gradient, information=here.observed)

    return maximise(evaluate, start, config, on_step=on_step)


def multi_start(
    density: ClassDensity,
    pooled: Float[Array, " W"],
    scales: Float[Array, " D"],
    rng: np.random.Generator,
    config: EMConfig,
    on_step: OnStep | None = None,
    checkpoint: Checkpoint | None = None,
) -> MultiStart:
    """Short EM runs from many places, long ones from the best few, Newton from the best.

    pooled: the one-class optimum. It is a stationary point for any number of classes, and fits
    that start beside it stay there; no start here is near it. scales: standard deviation of each
    feature within menus. checkpoint keeps the short runs, and each of the long ones.
    """
    checkpoint = checkpoint or Checkpoint()

    def run_short() -> dict[str, Array]:
        sample = _some_people(density, config.start_people, rng)
        climbs = [
            em_climb(sample, start, max_steps=config.short_steps)
            for start in starting_points(sample, pooled, scales, rng, config)
        ]
        climbs.sort(key=lambda climb: -climb.values[-1])
        return {"theta": np.stack([climb.theta for climb in climbs[: config.num_finalists]])}

    def run_long(start: Float[Array, " M"]) -> dict[str, Array]:
        climb = em_climb(
            density,
            start,
            max_steps=config.max_steps,
            min_gain=config.switch_gain,
            on_step=on_step,
        )
        return {"theta": climb.theta, "values": np.array(climb.values)}

    finalists, of = [], f"{density.classes.num_classes} classes"
    for place, start in enumerate(
        checkpoint.once(f"short runs of {of}", run_short)["theta"], start=1
    ):
        kept = checkpoint.once(f"long run {place} of {of}", partial(run_long, start))
        finalists.append(EMClimb(theta=kept["theta"], values=tuple(kept["values"].tolist())))
    finalists.sort(key=lambda climb: -climb.values[-1])
    optimum = newton_climb(density, finalists[0].theta, config.newton, on_step)
    return MultiStart(
        optimum=optimum,
        values=tuple(climb.values[-1] for climb in finalists),
        steps=sum(len(climb.values) - 1 for climb in finalists) + optimum.iterations,
    )


def starting_points(
    density: ClassDensity,
    pooled: Float[Array, " W"],
    scales: Float[Array, " D"],
    rng: np.random.Generator,
    config: EMConfig,
) -> list[Float[Array, " M"]]:
    """Half from clusters of people, half from random tastes around the pooled one; the own
    parameters of likelihoods start where the pooled fit has them."""
    num_classes, num_features = density.classes.num_classes, density.panel.num_features
    if num_classes == 1:
        return [pooled]
    taste, own = pooled[:num_features], pooled[num_features:]
    unit = np.where(scales > 0, config.perturbation / np.where(scales > 0, scales, 1.0), 0.0)
    router = np.zeros(density.num_population - num_classes * num_features)
    whitened = _whitened_scores(density, taste, own)
    starts = []
    for number in range(config.num_starts):
        if number % 2 == 0:
            labels = k_means(whitened, num_classes, rng)
            starts.append(_start_from_labels(density, taste, own, labels))
        else:
            noise = rng.standard_normal((num_classes, num_features))
            starts.append(np.concatenate([(taste + noise * unit).ravel(), router, own]))
    return starts


def _whitened_scores(
    density: ClassDensity, taste: Float[Array, " D"], own: Float[Array, " P"]
) -> Float[Array, "G R"]:
    """Each person's score at the pooled taste, in units of its standard deviation under the model.

    To first order the score is the person's information times their distance from that taste, so
    that people who pull the same way lie together.
    """
    size = len(taste)
    one = density.run(np.zeros((len(density.group_weight), 1)), taste[None], own)
    information = one.information[0, :size, :size] / max(density.group_weight.sum(), 1e-300)
    values, vectors = np.linalg.eigh(information)
    kept = values > 1e-10 * values[-1]
    return one.scores[:, 0, :size] @ (vectors[:, kept] / np.sqrt(values[kept]))


def _start_from_labels(
    density: ClassDensity,
    taste: Float[Array, " D"],
    own: Float[Array, " P"],
    labels: Int[Array, " G"],
) -> Float[Array, " M"]:
    """The tastes after one M-step from a soft version of the labels."""
    num_classes, size = density.classes.num_classes, len(taste)
    soft = np.full((len(labels), num_classes), 0.1 / num_classes)
    soft[np.arange(len(labels)), labels] += 0.9
    # With equal tastes the posterior is the prior, so the labels go in as log-weights.
    result = density.run(np.log(soft), np.repeat(taste[None], num_classes, axis=0), own)
    weight = density.group_weight[:, None] * result.responsibility
    values = [
        taste
        + newton_step(
            result.information[s, :size, :size] + np.diag(density.precision[:size]),
            weight[:, s] @ result.scores[:, s, :size],
        )
        for s in range(num_classes)
    ]
    router = np.zeros((num_classes - 1, 1 + density.group_features.shape[1]))
    shares = weight.sum(axis=0)
    router[:, 0] = np.log(shares[1:] / shares[0])
    return np.concatenate([*values, router.ravel(), own])


def k_means(
    points: Float[Array, "G D"], num_clusters: int, rng: np.random.Generator, num_steps: int = 20
) -> Int[Array, " G"]:
    """Labels by Lloyd's algorithm (1982) from k-means++ seeds (Arthur and Vassilvitskii 2007).

    Written out because SciPy's takes its generator under different names in different versions
    and warns of empty clusters; here an empty one keeps its centre.
    """
    centres = points[rng.integers(len(points))][None]
    gap = _squared_distances(points, centres)[:, 0]
    while len(centres) < num_clusters:
        total = gap.sum()
        odds = gap / total if total > 0 else np.full(len(gap), 1.0 / len(gap))
        centres = np.concatenate([centres, points[rng.choice(len(points), p=odds)][None]])
        gap = np.minimum(gap, _squared_distances(points, centres[-1:])[:, 0])
    labels = np.argmin(_squared_distances(points, centres), axis=1)
    for _ in range(num_steps):
        for cluster in range(num_clusters):
            if np.any(labels == cluster):
                centres[cluster] = points[labels == cluster].mean(axis=0)
        moved = np.argmin(_squared_distances(points, centres), axis=1)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return labels


def _squared_distances(
    points: Float[Array, "G D"], centres: Float[Array, "S D"]
) -> Float[Array, "G S"]:
    # Centre by centre: all differences at once would be a copy of the points for each.
    return np.stack([((points - centre) ** 2).sum(axis=1) for centre in centres], axis=1)


def _some_people(density: ClassDensity, most: int, rng: np.random.Generator) -> ClassDensity:
    """The density of a random sample of people; of all of them where they are few."""
    num_groups = len(density.group_weight)
    if num_groups <= most:
        return density
    return density.take_groups(np.sort(rng.choice(num_groups, size=most, replace=False)))


def one_class(
    density: ClassDensity,
    config: NewtonConfig | None = None,
    own: Float[Array, " P"] | None = None,
) -> Optimum:
    """The pooled optimum: the same data with one class, under the first class's prior.

    own: where the parameters of likelihoods start; at zero without it.
    """
    size, cut = density.panel.num_features, density.num_population
    precision = np.concatenate([density.precision[:size], density.precision[cut:]])
    single = replace(density, classes=Classes(1), precision=precision)
    start = np.zeros(size + density.panel.num_own)
    if own is not None:
        start[size:] = own
    return newton_climb(single, start, config or NewtonConfig(), None)
