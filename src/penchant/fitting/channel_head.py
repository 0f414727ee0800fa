"""One linear reward head from feedback of every kind: pairs, grades, ratings, rankings, edits.

Legend: T texts, E dimensions, C further features, M own parameters of all channels,
P = E + C + M parameters.
"""

import time
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32, Int

from penchant.data.batch import Batch
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel import default_channels
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Outcome, Rating
from penchant.feedback.scaled import Scaled
from penchant.fitting.evidence_scales import (
    HELD,
    Evidence,
    HeldScales,
    curvature_at,
    likeliest,
)
from penchant.fitting.linear_head import LinearHead
from penchant.fitting.newton import NewtonConfig, Optimum, maximise, with_prior
from penchant.fitting.pooled_density import PooledDensity, serving_channel
from penchant.fitting.pooled_task import MOST_DENSE
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.embedded import Embedded

# Two numbers a rater; beyond so many raters the dense curvature costs more than the shift is worth.
_MOST_RATERS = 300
# Nats a unit of weight; in float32, what a step gains below this is rounding.
_TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-7}
# Numbers of the embeddings up to which they are copied to float64 (64 MB).
_MOST_EXACT = 8_000_000
# Columns and own parameters are free; this much keeps them finite where nothing tells of them.
_LOOSE = 1e-6
# Of the log of what one kind of feedback is sharper than another, before any data: two in three
# within a factor of 1.6. A few answers that worths tell apart without a fault would else make it
# endless and, since a weight may shrink as it grows, the weights' own prior vanish.
_SCALE_SPREAD = 0.5
# What worths spread by in a dimension where the search for the scale of weights begins, in logits,
# or in the spread of numbers; the logs within which it stays beside that; and how far the log of
# another scale is looked for: a thousandth of what numbers spread by is no noise.
_USUAL_SPREAD, _WITHIN, _FARTHEST = 0.3, (-5.7, 3.5), 7.0
# Nats to which each look at the evidence is climbed.
_ROUGH = 1e-8


def joint_channels(batch: Batch) -> tuple[Channel, ...]:
    """A channel for each kind of feedback, with a noise of its own for every kind but the first.

    The first is a choice or pair where there is one, so that rewards are in its logits. The log of
    another kind's scale is N(0, 0.5^2) before any data, and free where one of the two kinds is
    numbers, whose unit is anybody's. Ratings have thresholds of each person's own (up to 300
    people, of two answers on average or more), numbers an intercept, and likewise each person's own
    level and range.

    Raises `DataError` where all ratings are one and the same.
    """
    _refuse_one_level(batch)
    made = [_with_people(channel, batch) for channel in default_channels(batch)]
    made.sort(key=lambda channel: channel.kind not in ("choice", "pair"))
    return (*made[:1], *(_beside(made[0], channel) for channel in made[1:]))


def _beside(first: Channel, channel: Channel) -> Scaled:
    has_unit = isinstance(first, Outcome) or isinstance(channel, Outcome)
    return Scaled(channel=channel, spread=None if has_unit else _SCALE_SPREAD)


def _refuse_one_level(batch: Batch) -> None:
    told = [block.answer["level"] for block in batch.blocks if block.kind == "rating"]
    levels = np.concatenate([np.zeros(0), *(level[level >= 0] for level in told)])
    if len(levels) and (levels == levels[0]).all():
        raise DataError(
            f"all {len(levels):,} ratings are the same; expected at least two different ones: what "
            "everything gets says nothing of what is better. Look at the column of ratings, or "
            "leave the ratings out."
        )


def _with_people(channel: Channel, batch: Batch) -> Channel:
    # Somebody's only rating says nothing of their thresholds, their only number of their level.
    several = 2 * batch.num_groups <= batch.num_observations
    by_person = several and 1 < batch.num_groups <= _MOST_RATERS
    if isinstance(channel, Rating):
        return replace(channel, by_person=by_person)
    if not isinstance(channel, Outcome):
        return channel
    spread = float(np.exp(channel.initial(batch)[0]))
    return replace(channel, has_intercept=True, by_person=by_person, shift_scale=spread)


@one_blas_thread
def fit_channel_head(
    vectors: Float32[Array, "T E"],
    batch: Batch,
    channels: tuple[Channel, ...] | None = None,
    *,
    prior_scale: float | None = None,
    column_scale: float | None = None,
    config: NewtonConfig | None = None,
) -> LinearHead:
    """The posterior mode of U = f' w + x' beta under all channels together; w ~ N(0, scale^2), beta
    ~ N(0, column_scale^2), free without one.

    The options of the batch are numbered by the lines of `vectors`; its features are x, perhaps
    none, and the channels' own parameters are free, but for the scales of kinds of feedback and the
    noise of numbers, which are those of the largest evidence (`evidence_scales.py`), whose doubt
    the covariance counts.
    prior_scale None: chosen by the evidence too (MacKay 1992). channels None: `joint_channels`. For
    pairs alone `fit_linear_head` finds the same head faster.

    Raises `DataError` for a batch without answers or embeddings that are not finite, `ConfigError`
    for a prior scale that is not positive or more than 2,000 parameters.
    """
    began = time.perf_counter()
    _check(vectors, batch, prior_scale)
    utility = _utility(vectors)
    channels = channels or joint_channels(batch)
    density, start = _density(utility, batch, channels)
    num_tastes, dimensions = density.num_tastes, utility.num_dimensions

    weight = sum(float(block.weight.sum()) for block in batch.blocks)
    config = config or NewtonConfig(tolerance=weight * _TOLERANCE[utility.vectors.dtype])
    base = _base_precision(density, dimensions, column_scale)
    evidence = Evidence(
        density=density, base=base, places=_scale_places(density), dimensions=dimensions,
        scale=_usual_scale(utility, batch, channels) if prior_scale is None else prior_scale,
        is_open=prior_scale is None,
    )  # fmt: skip
    held, precision, summit, covariance = _top(start, evidence, config)
    prior = base + _of_weights(len(start), dimensions, float(precision[0] ** -0.5))
    return LinearHead(
        weights=summit.theta[:dimensions],
        coefficients=summit.theta[dimensions:num_tastes],
        own=summit.theta[num_tastes:],
        prior_scale=float(precision[0] ** -0.5),
        log_likelihood=held.log_likelihood(summit.theta),
        covariance=covariance,
        effective=len(start) - float(prior @ np.diag(covariance)),
        converged=summit.converged,
        iterations=summit.iterations,
        gain_left=summit.decrement,
        seconds=time.perf_counter() - began,
    )


def channel_likelihood(
    vectors: Float32[Array, "T E"],
    batch: Batch,
    *,
    head: LinearHead,
    column_scale: float | None = None,
) -> tuple[HeldScales, Float[Array, " P"]]:
    """The log-likelihood on whose top `fit_channel_head` found a head, and the precision of its
    prior."""
    utility = _utility(vectors)
    density, start = _density(utility, batch, joint_channels(batch))
    base = _base_precision(density, utility.num_dimensions, column_scale)
    places = _scale_places(density)
    base[places] = HELD
    precision = base + _of_weights(len(start), utility.num_dimensions, head.prior_scale)
    return HeldScales(density=density, places=places, values=head.theta[places]), precision


def _top(
    start: Float[Array, " P"],
    evidence: Evidence,
    config: NewtonConfig,
) -> tuple[HeldScales, Float[Array, " P"], Optimum, Float[Array, "P P"]]:
    """With the scales of the largest evidence: the likelihood, the precision of its prior, the
    posterior's top, and its covariance."""
    latest, rough = start, NewtonConfig(tolerance=_ROUGH)

    def climb(h: Float[Array, " C"], how: NewtonConfig) -> tuple[HeldScales, Array, Optimum]:
        nonlocal latest
        held, precision = evidence.held(h)
        theta = latest.copy()
        theta[held.places] = held.values
        summit = maximise(with_prior(held.evaluate, precision), theta, how)
        latest = summit.theta
        return held, precision, summit

    def told(h: Float[Array, " C"]) -> tuple[float, Float[Array, " C"]]:
        _, precision, summit = climb(h, rough)
        return evidence.at(h, summit, precision)

    begin = np.concatenate([np.zeros(int(evidence.is_open)), start[evidence.places]])
    bounds = [_WITHIN] * evidence.is_open
    bounds += [(at - _FARTHEST, at + _FARTHEST) for at in start[evidence.places].tolist()]
    best = likeliest(told, begin, bounds) if len(begin) else begin
    bent = curvature_at(told, best) if len(evidence.places) else np.zeros((len(best), len(best)))
    held, precision, summit = climb(best, config)
    return held, precision, summit, evidence.covariance(summit, bent)


def _usual_scale(utility: Embedded, batch: Batch, channels: tuple[Channel, ...]) -> float:
    """Of weights, from which the search begins."""
    unit = float(utility.scales(batch)[0])
    return _USUAL_SPREAD * np.exp(_log_unit(channels[0], batch)) / (unit if unit > 0 else 1.0)


def _scale_places(density: PooledDensity) -> Int[Array, " H"]:
    """Where theta has the logs of scales of kinds of feedback, and of the noise of numbers."""
    found: list[int] = []
    for first, channel in zip(_firsts(density.num_tastes, density.sizes), density.channels):
        is_scaled = isinstance(channel, Scaled)
        found += [first] * is_scaled
        found += [first + is_scaled] * isinstance(_heard(channel), Outcome)
    return np.array(found, dtype=np.int64)


def _heard(channel: Channel) -> Channel:
    return channel.channel if isinstance(channel, Scaled) else channel


def _firsts(num_tastes: int, sizes: tuple[int, ...]) -> Int[Array, " H"]:
    """Where in theta each channel's own parameters begin."""
    return num_tastes + np.cumsum([0, *sizes[:-1]])


def _log_unit(channel: Channel, batch: Batch) -> float:
    """The log of what answers of a kind spread by; 0 but for numbers, whose unit is anybody's."""
    heard = _heard(channel)
    return float(heard.initial(batch)[0]) if isinstance(heard, Outcome) else 0.0


def _utility(vectors: Float32[Array, "T E"]) -> Embedded:
    exact = vectors.astype(np.float64) if vectors.size <= _MOST_EXACT else vectors
    return Embedded(vectors=exact)


def _base_precision(
    density: PooledDensity, dimensions: int, column_scale: float | None
) -> Float[Array, " P"]:
    """Of the prior on all but the embedding's weights."""
    base = density.prior_precision + _LOOSE * (density.prior_precision == 0)
    base[:dimensions] = 0.0
    # Where numbers begin is in their unit, and may be far from zero: the year, say.
    for first, channel in zip(_firsts(density.num_tastes, density.sizes), density.channels):
        heard = _heard(channel)
        if isinstance(heard, Outcome) and heard.has_intercept:
            log_spread, mean = heard.initial(density.batch)[:2]
            place = first + isinstance(channel, Scaled) + 1
            base[place] = _LOOSE / (np.exp(2.0 * log_spread) + mean**2)
    if column_scale is not None:
        base[dimensions : density.num_tastes] = column_scale**-2.0
    return base


def _of_weights(size: int, dimensions: int, prior_scale: float) -> Float[Array, " P"]:
    return np.where(np.arange(size) < dimensions, prior_scale**-2.0, 0.0)


def _density(
    utility: Embedded, batch: Batch, channels: tuple[Channel, ...]
) -> tuple[PooledDensity, Float[Array, " P"]]:
    for block in batch.blocks:
        serving_channel(channels, block.kind)
    for channel in channels:
        channel.validate(batch)
    own = [channel.initial(batch) for channel in channels]
    for channel, mine in zip(channels, own):
        if isinstance(channel, Scaled):
            mine[0] = _log_unit(channel, batch) - _log_unit(channels[0], batch)
    num_tastes = len(utility.taste_names(batch))
    start = np.concatenate([np.zeros(num_tastes), *own])
    if len(start) > MOST_DENSE:
        raise ConfigError(
            f"the head has {len(start)} parameters ({utility.num_dimensions} of them dimensions of "
            f"the embedding); expected at most {MOST_DENSE} where feedback is of several kinds. "
            "Embed with fewer dimensions, or keep pairs only."
        )
    precision = [channel.prior_precision(batch) for channel in channels]
    density = PooledDensity(
        batch=batch, utility=utility, channels=channels, sizes=tuple(map(len, own)),
        prior_precision=np.concatenate([np.zeros(num_tastes), *precision]),
    )  # fmt: skip
    return density, start


def _check(vectors: Array, batch: Batch, prior_scale: float | None) -> None:
    if prior_scale is not None and not prior_scale > 0:
        raise ConfigError(
            f"got prior_scale={prior_scale}; expected a positive standard deviation of each "
            "weight, or None to let the data choose it."
        )
    if not np.isfinite(vectors).all():
        bad = ~np.isfinite(vectors).all(axis=1)
        raise DataError(
            f"the embedding of text {int(np.argmax(bad))} is not all finite numbers "
            f"({int(bad.sum())} of {len(bad)} texts are like this). Drop these texts, or embed "
            "them again."
        )
    if not sum(float(block.weight.sum()) for block in batch.blocks) > 0:
        raise DataError(
            f"the batch holds {batch.num_observations} observations with no weight at all; "
            "expected at least one with a positive weight."
        )
