"""A mixture of linear reward heads with a context router: fitted from many starts, in seconds.

With person ids all answers of a person share one head; without them every pair stands alone and
only the context can tell heads apart: sigmoid(t) + sigmoid(-t) = 1, so that half a population
against the other half looks like indifference, one answer at a time.

Legend: as in `head_mixture_density.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.beliefs.reward_heads import RewardHeads
from penchant.errors import ConfigError, DataError
from penchant.feedback.gap import GapModel
from penchant.fitting.head_mixture_density import (
    GroupedPairs,
    HeadMixtureDensity,
    PoolingSide,
    respond,
    take_pairs,
)
from penchant.fitting.head_mixture_start import Units, second_moment, starting_points
from penchant.fitting.head_pairs import HeadPairs, refuse_offset
from penchant.fitting.lbfgs import LbfgsConfig, MatrixFreeOptimum, Slope, maximise_lbfgs
from penchant.fitting.linear_head import HeadConfig, LinearHead, fit_linear_head
from penchant.fitting.separation import WEAK_SCALE
from penchant.fitting.shrinkage import evidence_spread
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread

OnStep = Callable[[int, float], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadMixtureConfig:
    """num_starts: places to start from. start_pairs: the starts see at most about so many pairs,
    in whole groups. short_steps: given to every start; num_finalists: how many of the best go on,
    for finalist_steps. evidence_rounds: re-estimates of the prior scales where the data choose.
    max_steps: passes over all pairs. tolerance: stop when a step gains less than this share of
    the loss; 1e-7 is near the limit of single precision."""

    num_starts: int = 8
    start_pairs: int = 8192
    short_steps: int = 15
    num_finalists: int = 2
    finalist_steps: int = 40
    evidence_rounds: int = 3
    max_steps: int = 60
    tolerance: float = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadMixture:
    """The fitted heads, numbered by how many follow them. responsibilities: of each group, in the
    order of its code. head_scale, router_scale: prior standard deviations of a head's weight and
    of a router's slope (per root mean square of the context). starts: log-posteriors where the
    short runs ended, best first; gain_over_one: nats above the one head that they share."""

    heads: RewardHeads
    responsibilities: Float[Array, "G S"]
    log_likelihood: float
    gain_over_one: float
    head_scale: float
    router_scale: float
    starts: tuple[float, ...]
    converged: bool
    iterations: int
    gain_left: float
    seconds: float


@one_blas_thread
def fit_head_mixture(
    pairs: HeadPairs,
    num_heads: int,
    *,
    rng: np.random.Generator,
    group: Int[Array, " B"] | None = None,
    context: Float[Array, "G Q"] | None = None,
    model: GapModel | None = None,
    pooled: PoolingSide = "outside",
    mixing: Float[Array, "S K"] | None = None,
    head_scale: float | None = None,
    balance: float = 0.0,
    config: HeadMixtureConfig | None = None,
    on_step: OnStep | None = None,
) -> HeadMixture:
    """Heads, router and shares that make the answers most likely a posteriori.

    group: whose each pair is, codes 0 .. G - 1; None makes every pair a group of its own. context:
    what is known of each group beforehand (of each pair without groups). pooled: "outside" or
    "inside" the link, see `RewardHeads`. mixing: kinds of people as given mixes of the heads,
    equally frequent (see `populations/prototypes.py`). head_scale: prior standard deviation of
    each weight; None lets the evidence choose (MacKay 1992), never beyond a weak prior, so that
    perfectly predicted answers stay finite. balance: nats a group for an even router (Shen et al.
    2025, MiCRo, use 0.5; it costs accuracy where heads are needed unevenly, so 0 is the default).

    The climb is L-BFGS on the likelihood with the kinds summed out, whose gradient is that of EM
    (Fisher's identity) without its slow steps.

    Raises `ConfigError` for impossible settings, `DataError` for pairs that do not fit together.
    """
    began = time.perf_counter()
    config = config or HeadMixtureConfig()
    model = model or GapModel()
    _check(pairs, num_heads, group, context, pooled, balance, head_scale)
    known = Context.of(pairs, group, context)
    data = group_pairs(pairs, group, known)
    density = HeadMixtureDensity(
        data=data, model=model, num_heads=num_heads, side=pooled, mixing=mixing, balance=balance,
        log_weights=None if mixing is None else np.full(len(mixing), -np.log(len(mixing))),
    )  # fmt: skip
    found = _search(density, head_scale, config, rng)
    scales, everything = found.scales, _with_scales(density, found.scales)
    units = Units.of(everything, found.spread, found.directions)
    best = _climb(everything, units, found.theta, config.max_steps, config.tolerance, on_step)
    by_one = _alone(everything, config.tolerance).log_likelihood
    theta = _largest_first(everything, best.theta)
    shares, parts = everything.responsibilities(theta), everything.split(theta)
    reached = best.value + 0.5 * float(everything.precision() @ theta**2)
    return HeadMixture(
        heads=RewardHeads(
            weights=parts.heads, router=parts.router, centre=known.centre, scale=known.unit,
            model=model,
            own=parts.own, coefficients=parts.columns, pooled=pooled, mixing=mixing,
        ),
        responsibilities=shares,
        log_likelihood=reached,
        gain_over_one=reached - by_one,
        head_scale=scales[0],
        router_scale=scales[1],
        starts=found.starts,
        converged=best.converged,
        iterations=found.steps + best.iterations,
        gain_left=best.decrement,
        seconds=time.perf_counter() - began,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """Where the climb over all pairs begins, the prior scales, and eigenvalues and eigenvectors of
    the mean of x x', in whose directions it is measured."""

    theta: Float[Array, " T"]
    scales: tuple[float, float]
    spread: Float[Array, " D"]
    directions: Float[Array, "D D"]
    starts: tuple[float, ...]
    steps: int


def _search(
    whole: HeadMixtureDensity,
    head_scale: float | None,
    config: HeadMixtureConfig,
    rng: np.random.Generator,
) -> _Found:
    """The best of many starts on some of the groups, with the scales that its evidence prefers."""
    sample = _some_groups(whole.data, config.start_pairs, rng)
    spread, directions = second_moment(sample)
    longest = WEAK_SCALE / max(np.sqrt(spread.mean()), 1e-12)
    scales = (head_scale or min(2.0 / max(np.sqrt(spread.sum()), 1e-12), longest), 3.0)
    density = _with_scales(replace(whole, data=sample), scales)
    units = Units.of(density, spread, directions)
    alone = _alone(density, config.tolerance)
    pooled = np.concatenate([alone.weights, alone.coefficients, alone.own])
    starts = starting_points(density, pooled, units, config.num_starts, rng)
    short = [_climb(density, units, at, config.short_steps, config.tolerance) for at in starts]
    short.sort(key=lambda found: -found.value)
    long = [
        _climb(density, units, found.theta, config.finalist_steps, config.tolerance)
        for found in short[: config.num_finalists]
    ]
    best = max(long, key=lambda found: found.value)
    steps = sum(found.iterations for found in (*short, *long))
    for _ in range(config.evidence_rounds):
        fresh = _evidence(density, best.theta, units, scales, longest, head_scale)
        moved = max(abs(np.log(a / b)) for a, b in zip(fresh, scales))
        scales = fresh
        if moved < 0.05:
            break
        density = _with_scales(density, scales)
        units = Units.of(density, spread, directions)
        best = _climb(density, units, best.theta, config.finalist_steps, config.tolerance)
        steps += best.iterations
    return _Found(
        theta=best.theta, scales=scales, spread=spread, directions=directions,
        starts=tuple(found.value for found in short), steps=steps,
    )  # fmt: skip


def _alone(density: HeadMixtureDensity, tolerance: float) -> LinearHead:
    """The one head that everybody would share, under the same prior."""
    return fit_linear_head(
        density.data.pairs, density.model, prior_scale=density.head_precision**-0.5,
        has_covariance=False, config=HeadConfig(tolerance=tolerance),
    )  # fmt: skip


def _check(
    pairs: HeadPairs,
    num_heads: int,
    group: Int[Array, " B"] | None,
    context: Float[Array, "G Q"] | None,
    pooled: PoolingSide,
    balance: float,
    head_scale: float | None,
) -> None:
    if num_heads < 1 or balance < 0 or not (head_scale is None or head_scale > 0):
        raise ConfigError(
            f"got num_heads={num_heads}, balance={balance} and head_scale={head_scale}; expected "
            "one head or more, a balance of zero or more, and a positive scale or None."
        )
    if pooled == "inside" and context is None and num_heads > 1:
        raise ConfigError(
            f"{num_heads} heads pooled inside the link with constant weights are one head, their "
            "mean. Give a context that tells weights apart, or pool outside."
        )
    if len(pairs) == 0 or not pairs.weight.sum() > 0:
        raise DataError(f"got {len(pairs)} pairs with no weight; expected at least one pair.")
    # One product finds whether any is not finite.
    if not np.isfinite(pairs.features.sum(axis=1, dtype=np.float64).sum()):
        bad = ~np.isfinite(pairs.features).all(axis=1)
        raise DataError(
            f"the features of text {int(np.argmax(bad))} are not all finite numbers "
            f"({int(bad.sum())} of {len(bad)} texts are like this). Drop them, or embed them again."
        )
    groups = len(pairs) if group is None else int(group.max()) + 1
    if group is not None and len(np.unique(group)) < groups:
        raise DataError(
            f"group has codes up to {groups - 1} but {len(np.unique(group))} different ones; "
            "expected every code from 0 on. Use the inverse that numpy.unique gives."
        )
    if context is not None and (len(context) != groups or not np.isfinite(context).all()):
        raise DataError(
            f"the context has {len(context)} lines for {groups} groups, "
            f"{int((~np.isfinite(context)).sum())} numbers of it not finite; expected one line a "
            "group (a pair, without groups) of finite numbers."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """What is known of each group beforehand, centred, in units of its typical length."""

    features: Float[Array, "G Q"]
    centre: Float[Array, " Q"]
    unit: float

    @classmethod
    def of(
        cls, pairs: HeadPairs, group: Int[Array, " B"] | None, context: Float[Array, "G Q"] | None
    ) -> "Context":
        """No features where nothing is known."""
        num = len(pairs) if group is None else int(group.max()) + 1
        known = np.zeros((num, 0)) if context is None else np.asarray(context, dtype=np.float64)
        centre = known.mean(axis=0)
        unit = float(np.sqrt(((known - centre) ** 2).sum(axis=1).mean())) or 1.0
        return cls(features=(known - centre) / unit, centre=centre, unit=unit)


def group_pairs(pairs: HeadPairs, group: Int[Array, " B"] | None, context: Context) -> GroupedPairs:
    """The pairs in the order of their groups, in the layout with fewer bytes to read.

    Raises `DataError` for pairs with an offset.
    """
    refuse_offset(pairs, "a mixture of heads")
    pairs, sizes = pairs.compact(), np.ones(len(pairs), dtype=np.int64)
    if group is not None:
        sizes = np.bincount(group)
        if (np.diff(group) < 0).any():
            pairs = take_pairs(pairs, np.argsort(group, kind="stable"))
    start = np.concatenate([[0], np.cumsum(sizes)])
    return GroupedPairs(pairs=pairs, group_start=start, context=context.features)


def _some_groups(data: GroupedPairs, most: int, rng: np.random.Generator) -> GroupedPairs:
    """Groups at random until there are enough pairs; all of them where there are few."""
    if len(data.pairs) <= 1.25 * most:
        return data
    order = rng.permutation(len(data))
    total = np.cumsum(np.diff(data.group_start)[order])
    return data.take_groups(np.sort(order[: int(np.searchsorted(total, most)) + 1]))


def _with_scales(density: HeadMixtureDensity, scales: tuple[float, float]) -> HeadMixtureDensity:
    return replace(
        density, head_precision=1.0 / scales[0] ** 2, router_precision=1.0 / scales[1] ** 2
    )


def _climb(
    density: HeadMixtureDensity,
    units: Units,
    start: Float[Array, " T"],
    max_steps: int,
    tolerance: float,
    on_step: OnStep | None = None,
) -> MatrixFreeOptimum:
    """L-BFGS in coordinates of even curvature, whose gain left is then |gradient|^2 / 2."""

    def slope(eta: Float[Array, " T"]) -> Slope:
        here = density.at(units.outward(density, eta))
        return Slope(value=here.value, gradient=units.inward(density, here.gradient))

    def told(step: int, _: Float[Array, " T"], value: float) -> None:
        if on_step is not None:
            on_step(step, value)

    loss = 0.7 * float(density.data.pairs.weight.sum())
    found = maximise_lbfgs(
        slope,
        lambda _, direction: direction,
        units.coordinates(density, start),
        np.ones(len(start)),
        LbfgsConfig(
            max_steps=max_steps, memory=20, tolerance=100 * tolerance * loss, rounding=tolerance
        ),
        on_step=told,
    )
    return replace(found, theta=units.outward(density, found.theta))


def _evidence(
    density: HeadMixtureDensity,
    theta: Float[Array, " T"],
    units: Units,
    scales: tuple[float, float],
    longest: float,
    head_scale: float | None,
) -> tuple[float, float]:
    """The next scales of heads and router by MacKay's fixed point.

    Of each head as if the kinds were known: its own pairs bend the log-posterior along the same
    directions as all pairs do.
    """
    parts, data = density.split(theta), density.data
    shares = density.responsibilities(theta).T
    differences = data.pairs.differences(np.arange(len(data.pairs)))
    gaps = parts.heads.astype(np.float32) @ differences.T
    if density.mixing is not None:
        gaps = density.mixing.astype(np.float32) @ gaps
    slope = respond(density.model, gaps, data.pairs.answer, parts.own).slope
    # Two answers: p (1 - p) is |slope| (1 - |slope|); of three it is near enough for a scale.
    bend = (np.abs(slope) * (1 - np.abs(slope)) * data.pairs.weight) * shares[:, data.group_of_row]
    each = bend.sum(axis=1)
    if density.mixing is not None:
        each = each @ density.mixing**2
    curvature = each[:, None] * units.spread
    scale = head_scale or _fixed_point(parts.heads, curvature, scales[0], longest)
    slopes = parts.router[:, 1:]
    if not slopes.size:
        return scale, scales[1]
    weight = density.prior_shares(theta)
    spent = (weight * (1 - weight) * data.group_weight[:, None]).sum(axis=0)[1:]
    moment = np.linalg.eigvalsh(data.context.T @ data.context / len(data))
    routed = spent[:, None] * np.maximum(moment, 0.0)
    # A router that is certain of everybody says no more for being ten times as steep.
    return scale, _fixed_point(slopes, routed, scales[1], 20.0 * np.sqrt(slopes.shape[1]))


def _fixed_point(
    weights: Float[Array, "K D"], curvature: Float[Array, "K D"], scale: float, longest: float
) -> float:
    variance = 1.0 / (curvature + 1.0 / scale**2)
    return float(np.clip(evidence_spread(weights, variance, scale, least=1.0),
                         1e-3 * longest, longest))  # fmt: skip


def _largest_first(density: HeadMixtureDensity, theta: Float[Array, " T"]) -> Float[Array, " T"]:
    """Theta with heads numbered by how many follow them."""
    if density.mixing is not None or density.num_heads == 1:
        return theta
    shares = density.responsibilities(theta)
    parts = density.split(theta)
    order = np.argsort(-(density.data.group_weight @ shares), kind="stable")
    router = np.concatenate([np.zeros((1, parts.router.shape[1])), parts.router])[order]
    return np.concatenate(
        [parts.heads[order].ravel(), (router[1:] - router[0]).ravel(), parts.columns, parts.own]
    )
