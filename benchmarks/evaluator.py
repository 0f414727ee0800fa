"""One judge for all contenders: log-likelihoods in plain NumPy, float64, sharing no code with any.

Legend: B observations, K options, D features, P people, S classes, R draws, T estimates judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worlds import World

NUM_DRAWS = 10_000


@dataclass(frozen=True)
class Verdict:
    """The simulated log-likelihood of one estimate.

    `lead` is how far it lies above the first estimate judged (nats), `lead_error` the Monte-Carlo
    standard error of that difference: the draws are common to all estimates, so that the
    difference is far better known than either figure.
    """

    log_likelihood: float
    lead: float
    lead_error: float


def conditional(world: World, coefficients: np.ndarray) -> float:
    """Log-likelihood of a conditional logit."""
    worth_BK = world.features @ coefficients
    return float(_log_probability_of_chosen(worth_BK, world).sum())


def latent_classes(
    world: World, classes: np.ndarray, shares: np.ndarray, *, panel: bool = True
) -> float:
    """Log-likelihood of latent classes; `panel`: a person keeps one class through all choices."""
    log_prob_BS = np.stack(
        [_log_probability_of_chosen(world.features @ taste, world) for taste in classes], axis=1
    )
    if panel:
        starts = np.flatnonzero(np.diff(world.person, prepend=-1))
        log_prob_BS = np.add.reduceat(log_prob_BS, starts, axis=0)
    top = log_prob_BS.max(axis=1)
    return float((top + np.log(np.exp(log_prob_BS - top[:, None]) @ shares)).sum())


def normal_mixtures(
    world: World,
    estimates: Sequence[tuple[np.ndarray, np.ndarray]],
    num_draws: int = NUM_DRAWS,
    seed: int = 20_261_121,
) -> list[Verdict]:
    """Simulated log-likelihoods of panel mixed logits, each given as (mean, Cholesky factor).

    Each person has pseudo-random draws of their own, so that no contender's quasi-random sequence
    is favoured; all estimates are judged on the same draws.
    """
    rng = np.random.default_rng(seed)
    starts = np.append(np.flatnonzero(np.diff(world.person, prepend=-1)), len(world.person))
    num_people = len(starts) - 1
    log_mean = np.zeros((len(estimates), num_people))
    variance_of_lead = np.zeros((len(estimates), num_people))
    # One person at a time: 32 options x 10,000 draws x 8 bytes are 2.5 MB, and stay in cache.
    for person in range(num_people):
        rows = slice(starts[person], starts[person + 1])
        likelihood_TR = _person_likelihoods(world, rows, estimates, num_draws, rng)
        mean_T = likelihood_TR.mean(axis=1)
        log_mean[:, person] = np.log(mean_T)
        ratio_TR = likelihood_TR / mean_T[:, None]
        variance_of_lead[:, person] = (ratio_TR - ratio_TR[0]).var(axis=1) / num_draws
    totals = log_mean.sum(axis=1)
    return [
        Verdict(float(total), float(total - totals[0]), float(np.sqrt(variance.sum())))
        for total, variance in zip(totals, variance_of_lead, strict=True)
    ]


def _person_likelihoods(
    world: World,
    rows: slice,
    estimates: Sequence[tuple[np.ndarray, np.ndarray]],
    num_draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    draws_DR = rng.standard_normal((world.features.shape[2], num_draws))
    chosen = world.chosen[rows]
    menus = world.features[rows]
    # Differences to the chosen option: p = 1 / sum_k exp(u_k - u_chosen).
    gaps_BKD = menus - np.take_along_axis(menus, chosen[:, None, None], axis=1)
    likelihoods = []
    for mean, cholesky in estimates:
        gap_BKR = (gaps_BKD @ mean)[..., None] + (gaps_BKD @ cholesky) @ draws_DR
        likelihoods.append((1.0 / np.exp(gap_BKR).sum(axis=1)).prod(axis=0))
    return np.array(likelihoods)


def _log_probability_of_chosen(worth_BK: np.ndarray, world: World) -> np.ndarray:
    if world.offered is not None:
        worth_BK = np.where(world.offered, worth_BK, -np.inf)
    top = worth_BK.max(axis=1, keepdims=True)
    log_norm = top[:, 0] + np.log(np.exp(worth_BK - top).sum(axis=1))
    return np.take_along_axis(worth_BK, world.chosen[:, None], axis=1)[:, 0] - log_norm
