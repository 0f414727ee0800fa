"""A head for taste that goes round: worths plus turning planes, both linear in an embedding.

Legend: B pairs, N texts, D dimensions, L blocks, E = 2 L numbers that a text turns into, X numbers
of a context, M all parameters.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.lbfgs import Climb, Slope, climb_lbfgs
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid, softmax
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.intransitive import skew_comparison


@dataclass(frozen=True, kw_only=True, eq=False)
class SkewPairs:
    """B comparisons of N texts. won: the share of the first, 0 to 1 (a tie is a half). context: of
    each pair, for the gates; without columns the gates are all 1."""

    features: Float[Array, "N D"]
    first: Int[Array, " B"]
    second: Int[Array, " B"]
    won: Float[Array, " B"]
    weight: Float[Array, " B"]
    context: Float[Array, "B X"] = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        if not self.context.size:
            object.__setattr__(self, "context", np.zeros((len(self.first), 0)))


@dataclass(frozen=True, kw_only=True, slots=True)
class SkewHeadConfig:
    """num_blocks: turning planes; 0 is Bradley-Terry. worth_scale: standard deviation of the prior
    of each weight of the worths (log-odds per unit of a feature); 0 leaves them out. plane_scale:
    of each weight of the planes; the product of two of them is log-odds. gate_scale: of each weight
    of the gates. num_starts: random starts, of which the best is kept."""

    num_blocks: int = 1
    worth_scale: float = 1.0
    plane_scale: float = 1.0
    gate_scale: float = 1.0
    num_starts: int = 4
    max_steps: int = 500
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class SkewHead:
    """worth: per dimension; planes: what a text turns into is f' planes; gates: per number of the
    context and block. starts: log-posterior that each start ended at, best first."""

    worth: Float[Array, " D"]
    planes: Float[Array, "D E"]
    gates: Float[Array, "X L"]
    log_likelihood: float
    log_posterior: float
    starts: tuple[float, ...]
    converged: bool

    def log_odds(
        self,
        first: Float[Array, "B D"],
        second: Float[Array, "B D"],
        context: Float[Array, "B X"] | None = None,
    ) -> Float[Array, " B"]:
        """That the first is preferred."""
        context = np.zeros((len(first), 0)) if context is None else context
        turned = skew_comparison(
            first @ self.planes, second @ self.planes, open_gates(context, self.gates)
        )
        return (first - second) @ self.worth + turned

    def comparison(
        self, features: Float[Array, "N D"], context: Float[Array, " X"] | None = None
    ) -> Float[Array, "N N"]:
        """Log-odds of every text against every other, in one context; for `hodge_split`."""
        size = len(features)
        first, second = (each.ravel() for each in np.indices((size, size)))
        repeated = None if context is None else np.tile(context, (size * size, 1))
        return self.log_odds(features[first], features[second], repeated).reshape(size, size)


def open_gates(context: Float[Array, "B X"], gates: Float[Array, "X L"]) -> Float[Array, "B L"]:
    """lambda_l(x) = L softmax(x' W)_l, never negative, 1 on average (Zhang et al. 2024)."""
    if gates.shape[1] == 0:
        return np.zeros((len(context), 0))
    return gates.shape[1] * softmax(context @ gates, axis=1)


@one_blas_thread
def fit_skew_head(pairs: SkewPairs, config: SkewHeadConfig | None = None) -> SkewHead:
    """The posterior mode of c(a, b | x) = (f_a - f_b)' w + sum_l lambda_l(x) skew_l(V f_a, V f_b).

    General preference model of Zhang et al. 2024 on a frozen embedding, lengths free as in their
    best checkpoints, with the worths kept apart: they are transitive taste, which costs a plane of
    its own else. Every weight has a normal prior with mean 0. The density has many tops that are
    turns of one another and may have others, hence the starts.

    Raises `DataError` for features that are not finite, `ConfigError` for settings out of range.
    """
    config = config or SkewHeadConfig()
    _check(pairs, config)
    climbs = [_climb(pairs, config, start) for start in range(max(config.num_starts, 1))]
    climbs.sort(key=lambda climb: -climb.value)
    worth, planes, gates = _split(climbs[0].theta, pairs, config)
    head = SkewHead(
        worth=worth,
        planes=planes,
        gates=gates,
        log_likelihood=np.nan,
        log_posterior=climbs[0].value,
        starts=tuple(climb.value for climb in climbs),
        converged=climbs[0].converged,
    )
    object.__setattr__(head, "log_likelihood", skew_log_likelihood(head, pairs))
    return head


def skew_log_likelihood(head: SkewHead, pairs: SkewPairs) -> float:
    """sum_b weight_b log p, in nats."""
    log_odds = head.log_odds(
        pairs.features[pairs.first], pairs.features[pairs.second], pairs.context
    )
    return float(pairs.weight @ _log_prob(pairs.won, log_odds))


def _log_prob(won: Float[Array, " B"], log_odds: Float[Array, " B"]) -> Float[Array, " B"]:
    return won * log_sigmoid(log_odds) + (1.0 - won) * log_sigmoid(-log_odds)


def _climb(pairs: SkewPairs, config: SkewHeadConfig, start: int) -> Climb:
    rng = np.random.default_rng((config.seed, start))
    dimensions, blocks = pairs.features.shape[1], config.num_blocks
    # No plane at all is a saddle. Planes of unit size give comparisons of the order of one.
    size = 0.5 / np.sqrt(max((pairs.features**2).sum(axis=1).mean(), 1e-12))
    theta = np.concatenate([
        np.zeros(dimensions), size * rng.standard_normal(dimensions * 2 * blocks),
        np.zeros(pairs.context.shape[1] * blocks),
    ])  # fmt: skip
    flat = 1e-6 * max(1.0, float(pairs.weight.sum()))
    return climb_lbfgs(
        lambda point: _slope(point, pairs, config), theta, max_steps=config.max_steps, flat=flat
    )


def _slope(theta: Float[Array, " M"], pairs: SkewPairs, config: SkewHeadConfig) -> Slope:
    """The log-posterior and its gradient."""
    worth, planes, gates = _split(theta, pairs, config)
    turned = pairs.features @ planes
    a, b = turned[pairs.first], turned[pairs.second]
    area = a[:, 0::2] * b[:, 1::2] - a[:, 1::2] * b[:, 0::2]
    opened = open_gates(pairs.context, gates)
    level = pairs.features @ worth
    log_odds = level[pairs.first] - level[pairs.second] + (opened * area).sum(axis=1)
    slope = pairs.weight * (pairs.won - sigmoid(log_odds))
    # d area / d a is b turned by a quarter, and the other way round.
    pull = np.repeat(slope[:, None] * opened, 2, axis=1)
    of_text = _gather(pairs, pull * _quarter(b), -pull * _quarter(a))
    of_worth = _gather(pairs, slope[:, None], -slope[:, None])[:, 0]
    mean_area = (opened * area).sum(axis=1, keepdims=True) / max(config.num_blocks, 1)
    shown = slope[:, None] * opened * (area - mean_area)
    precision = np.concatenate([
        np.full(len(worth), config.worth_scale**-2 if config.worth_scale else 0.0),
        np.full(planes.size, config.plane_scale**-2), np.full(gates.size, config.gate_scale**-2),
    ])  # fmt: skip
    gradient = np.concatenate([
        pairs.features.T @ of_worth if config.worth_scale else np.zeros(len(worth)),
        (pairs.features.T @ of_text).ravel(), (pairs.context.T @ shown).ravel(),
    ])  # fmt: skip
    value = float(pairs.weight @ _log_prob(pairs.won, log_odds))
    value -= 0.5 * float(precision @ theta**2)
    return Slope(value=value, gradient=gradient - precision * theta)


def _gather(
    pairs: SkewPairs, first: Float[Array, "B E"], second: Float[Array, "B E"]
) -> Float[Array, "N E"]:
    """What belongs to each text, added up over the pairs that show it."""
    size = len(pairs.features)
    columns = [
        np.bincount(pairs.first, one, size) + np.bincount(pairs.second, other, size)
        for one, other in zip(first.T, second.T)
    ]
    return np.array(columns).reshape(first.shape[1], size).T


def _quarter(planes: Float[Array, "B E"]) -> Float[Array, "B E"]:
    turned = np.empty_like(planes)
    turned[:, 0::2], turned[:, 1::2] = planes[:, 1::2], -planes[:, 0::2]
    return turned


def _split(
    theta: Float[Array, " M"], pairs: SkewPairs, config: SkewHeadConfig
) -> tuple[Array, Array, Array]:
    dimensions, blocks = pairs.features.shape[1], config.num_blocks
    end = dimensions * (1 + 2 * blocks)
    planes = theta[dimensions:end].reshape(dimensions, 2 * blocks)
    return theta[:dimensions], planes, theta[end:].reshape(pairs.context.shape[1], blocks)


def _check(pairs: SkewPairs, config: SkewHeadConfig) -> None:
    if config.num_blocks < 0 or min(config.plane_scale, config.gate_scale) <= 0:
        raise ConfigError(
            f"num_blocks = {config.num_blocks}, plane_scale = {config.plane_scale}, gate_scale = "
            f"{config.gate_scale}; expected 0 or more blocks and positive scales."
        )
    if config.worth_scale < 0 or (config.worth_scale == 0 and config.num_blocks == 0):
        raise ConfigError(
            f"worth_scale = {config.worth_scale} with num_blocks = {config.num_blocks}; expected a "
            "positive scale, or 0 (no worths) beside at least one block."
        )
    for name in ("features", "won", "weight", "context"):
        if not np.all(np.isfinite(getattr(pairs, name))):
            raise DataError(f"the {name} of the pairs are not all finite numbers; expected so.")
    if not pairs.weight.sum() > 0:
        raise DataError("the pairs have no weight; expected at least one that counts.")
