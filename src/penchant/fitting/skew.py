"""Strengths and cycles from pair counts: Bradley-Terry plus a low-rank skew comparison.

Legend: Q pairs that met, N items, L blocks, E = 2 L numbers of an embedding.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid
from penchant.numerics.threads import one_blas_thread
from penchant.utilities.intransitive import comparison_matrix, embed_skew, skew_comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class SkewConfig:
    """num_blocks: turning planes at most; 0 is Bradley-Terry.
    penalty: lambda in nats per squared unit of embedding; None takes `noise_level`, below which
    chance alone seldom makes a plane.
    relaxation: planes that survive the penalty are fitted again under this fraction of it, since
    what is needed to silence noise halves a true cycle; 1 leaves them shrunk.
    strength_scale: standard deviation of the prior of strengths (log-odds), wide: it only keeps
    items that always or never won finite.
    """

    num_blocks: int = 2
    penalty: float | None = None
    relaxation: float = 0.1
    strength_scale: float = 10.0
    max_steps: int = 2000
    tolerance: float = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class SkewFit:
    """strengths: mean zero. embedding: of the skew part, gates all 1. log_likelihood: nats, of
    the counts with ties as half a win each. penalty: the lambda that was used."""

    items: tuple[str, ...]
    strengths: Float[Array, " N"]
    embedding: Float[Array, "N E"]
    log_likelihood: float
    penalty: float
    converged: bool

    def comparison(self) -> Float[Array, "N N"]:
        """Log-odds of every item against every other."""
        half = self.embedding[:, 0::2] @ self.embedding[:, 1::2].T
        return self.strengths[:, None] - self.strengths + half - half.T


@one_blas_thread
def fit_skew(counts: PairCounts, config: SkewConfig | None = None) -> SkewFit:
    """Maximise log p(votes) - (lambda / 2) sum_i |v_i|^2 - sum_i r_i^2 / (2 scale^2).

    log-odds c_ij = r_i - r_j + skew(v_i, v_j). In the squares of the embedding the penalty is
    lambda / 2 times the sum of singular values of the skew matrix (its nuclear norm; Srebro, Rennie
    and Jaakkola 2004), so that planes the votes do not ask for are exactly zero: v = 0 is the
    optimum if and only if the largest singular value of the matrix of scores, wins minus what
    Bradley-Terry expects, is at most lambda. The climb starts along that matrix's largest planes,
    because v = 0 is always stationary: a start beside it may stay there.

    Raises `DataError` without votes, `ConfigError` for settings out of range.
    """
    config = config or SkewConfig()
    _check(counts, config)
    strengths, _ = _climb(counts, config, np.zeros(counts.num_items), 0, 0.0)
    strengths = strengths[:, 0]
    penalty = noise_level(counts, strengths) if config.penalty is None else config.penalty
    planes = embed_skew(score_matrix(counts, strengths), config.num_blocks)
    size = np.linalg.norm(planes, axis=0) ** 2
    start = np.where(size > penalty, 0.3 * planes / np.sqrt(np.maximum(size, 1e-300)), 0.0)
    theta, converged = _climb(
        counts, config, np.column_stack([strengths, start]), config.num_blocks, penalty
    )
    half = theta[:, 1::2] @ theta[:, 2::2].T
    planes = embed_skew(half - half.T, config.num_blocks)
    # Rounding leaves planes of the size of the solver's tolerance where there are none.
    alive = np.repeat(np.linalg.norm(planes[:, 0::2], axis=0) ** 2 > 1e-4 * np.sqrt(len(theta)), 2)
    theta[:, 1:] = np.where(alive, planes, 0.0)
    if alive.any() and config.relaxation != 1:
        found, converged = _climb(
            counts, config, theta[:, np.concatenate([[True], alive])], int(alive.sum()) // 2,
            config.relaxation * penalty,
        )  # fmt: skip
        theta[:, np.concatenate([[True], alive])] = found
    strengths = theta[:, 0] - theta[:, 0].mean()
    return SkewFit(
        items=counts.items,
        strengths=strengths,
        embedding=theta[:, 1:],
        log_likelihood=_log_likelihood(counts, _log_odds(counts, strengths, theta[:, 1:])),
        penalty=float(penalty),
        converged=converged,
    )


def score_matrix(counts: PairCounts, strengths: Float[Array, " N"]) -> Float[Array, "N N"]:
    """d log p / d c[i, j]: wins of i over j minus those that the strengths expect."""
    wins, losses = counts.halved()
    expected = (wins + losses) * sigmoid(strengths[counts.first] - strengths[counts.second])
    return comparison_matrix(counts.num_items, counts.first, counts.second, wins - expected)


def noise_level(counts: PairCounts, strengths: Float[Array, " N"]) -> float:
    """2 max_i sqrt(sum_j n_ij p_ij (1 - p_ij)): about the largest singular value of the scores when
    the strengths are the whole truth (Bandeira and van Handel 2016, leading term)."""
    p = sigmoid(strengths[counts.first] - strengths[counts.second])
    spread = sum(counts.halved()) * p * (1 - p)
    total = np.bincount(counts.first, spread, minlength=counts.num_items)
    total += np.bincount(counts.second, spread, minlength=counts.num_items)
    return 2.0 * float(np.sqrt(total.max(initial=0.0)))


def _climb(
    counts: PairCounts,
    config: SkewConfig,
    start: Float[Array, "N ..."],
    num_blocks: int,
    penalty: float,
) -> tuple[Float[Array, "N F"], bool]:
    shape = (counts.num_items, 1 + 2 * num_blocks)
    wins, losses = counts.halved()
    precision = np.full(shape[1], penalty)
    precision[0] = config.strength_scale**-2

    def uphill(flat: Float[Array, " M"]) -> Slope:
        theta = flat.reshape(shape)
        log_odds = _log_odds(counts, theta[:, 0], theta[:, 1:])
        value = _log_likelihood(counts, log_odds) - 0.5 * float((precision * theta**2).sum())
        slope = (wins - (wins + losses) * sigmoid(log_odds))[:, None]
        first, second = theta[counts.first, 1:], theta[counts.second, 1:]
        gradient = -precision * theta
        np.add.at(gradient[:, 0], counts.first, slope[:, 0])
        np.add.at(gradient[:, 0], counts.second, -slope[:, 0])
        np.add.at(gradient[:, 1:], counts.first, slope * _turned(second))
        np.add.at(gradient[:, 1:], counts.second, -slope * _turned(first))
        return Slope(value=value, gradient=gradient.ravel())

    flat = config.tolerance * max(1.0, counts.votes)
    climb = climb_lbfgs(
        uphill, np.ravel(start), max_steps=config.max_steps, rounding=1e-15, flat=flat
    )
    return climb.theta.reshape(shape), climb.converged


def _turned(embedding: Float[Array, "Q E"]) -> Float[Array, "Q E"]:
    """d (a1 b2 - a2 b1) / d a, from b."""
    turned = np.empty_like(embedding)
    turned[:, 0::2], turned[:, 1::2] = embedding[:, 1::2], -embedding[:, 0::2]
    return turned


def _log_odds(
    counts: PairCounts, strengths: Float[Array, " N"], embedding: Float[Array, "N E"]
) -> Float[Array, " Q"]:
    skew = skew_comparison(
        embedding[counts.first], embedding[counts.second], np.ones(embedding.shape[1] // 2)
    )
    return strengths[counts.first] - strengths[counts.second] + skew


def _log_likelihood(counts: PairCounts, log_odds: Float[Array, " Q"]) -> float:
    wins, losses = counts.halved()
    return float(wins @ log_sigmoid(log_odds) + losses @ log_sigmoid(-log_odds))


def _check(counts: PairCounts, config: SkewConfig) -> None:
    if counts.votes <= 0:
        raise DataError("there are no votes to fit; expected at least one pair that met.")
    if (
        config.num_blocks < 0
        or config.strength_scale <= 0
        or min(config.penalty or 0.0, config.relaxation) < 0
    ):
        raise ConfigError(
            f"num_blocks = {config.num_blocks}, penalty = {config.penalty} and strength_scale = "
            f"{config.strength_scale}; expected at least 0, at least 0 and above 0."
        )
