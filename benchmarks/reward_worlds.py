"""Simulated judgements of embedded texts, saved as .npy files: the same for every contender.

Legend: B pairs, D dimensions.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class World:
    """differences [B, D] float32, first minus second; outcome [B] 0 where the first won, 1 where
    the second did; prior_scale: standard deviation of the true weights, which everybody may know.
    """

    differences: np.ndarray
    outcome: np.ndarray
    prior_scale: float

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "differences.npy", self.differences)
        np.save(folder / "outcome.npy", self.outcome)
        np.save(folder / "prior_scale.npy", self.prior_scale)
        return folder

    def head(self, count: int) -> "World":
        """A tenth of the pairs (`count` people are nothing here), for the warm-up."""
        return World(self.differences[::10], self.outcome[::10], self.prior_scale)


def load(folder: Path) -> World:
    return World(
        np.load(folder / "differences.npy"),
        np.load(folder / "outcome.npy"),
        float(np.load(folder / "prior_scale.npy")),
    )


def pairs(num_pairs: int, dimensions: int, seed: int = 0) -> World:
    """Differences whose variances fall as 1 / rank, as those of sentence embeddings do (of the
    bundled ones the 8th is 2.7 %, the 64th 0.32 % of the whole); log-odds of standard deviation 2.
    """
    rng = np.random.default_rng(seed)
    sizes = (np.arange(1, dimensions + 1) ** -0.5).astype(np.float32)
    differences = rng.standard_normal((num_pairs, dimensions), dtype=np.float32)
    differences *= sizes / np.float32(np.sqrt((sizes.astype(float) ** 2).sum()))
    weights = rng.standard_normal(dimensions)
    scale = 2.0 / np.sqrt(np.mean((differences[:4000] @ weights) ** 2))
    log_odds = differences @ (scale * weights).astype(np.float32)
    outcome = (rng.random(num_pairs) > 1.0 / (1.0 + np.exp(-log_odds))).astype(np.int8)
    return World(differences, outcome, float(scale))


def mixed(num_pairs: int, dimensions: int, num_tastes: int = 10, seed: int = 1) -> World:
    """The same features, ten pairs a person in a row, everybody with one of some tastes."""
    alike = pairs(num_pairs, dimensions)
    rng = np.random.default_rng(seed)
    weights = alike.prior_scale * rng.standard_normal((num_tastes, dimensions))
    taste = np.repeat(rng.integers(0, num_tastes, num_pairs // 10 + 1), 10)[:num_pairs]
    log_odds = np.zeros(num_pairs)
    for kind in range(num_tastes):
        theirs = taste == kind
        log_odds[theirs] = alike.differences[theirs] @ weights[kind].astype(np.float32)
    outcome = (rng.random(num_pairs) > 1.0 / (1.0 + np.exp(-log_odds))).astype(np.int8)
    return World(alike.differences, outcome, alike.prior_scale)


def log_posterior(world: World, weights: np.ndarray) -> float:
    """sum_b log p - |w|^2 / (2 scale^2), in float64: by which everybody is judged."""
    total = -0.5 * float(weights @ weights) / world.prior_scale**2
    for at in range(0, len(world.outcome), 8192):
        rows = slice(at, at + 8192)
        gap = world.differences[rows].astype(np.float64) @ weights
        total -= float(np.logaddexp(0.0, np.where(world.outcome[rows] == 0, -gap, gap)).sum())
    return total
