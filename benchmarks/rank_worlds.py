"""Simulated votes and rankings, saved as .npy files: the same for every contender of `rank.py`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class World:
    """B votes between N items (`outcome` 0: the first won, 1: the second), or R rankings [R, K]."""

    num_items: int
    first: np.ndarray
    second: np.ndarray
    outcome: np.ndarray
    rankings: np.ndarray

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("first", "second", "outcome", "rankings"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        np.save(folder / "num_items.npy", self.num_items)
        return folder

    def head(self, count: int) -> "World":
        """A part for the warm-up, over the items that it names."""
        keep = min(count * 100, len(self.first))
        return World(
            self.num_items, self.first[:keep], self.second[:keep], self.outcome[:keep],
            self.rankings[: count * 5],
        )  # fmt: skip


def load(folder: Path) -> World:
    parts = [np.load(folder / f"{n}.npy") for n in ("first", "second", "outcome", "rankings")]
    return World(int(np.load(folder / "num_items.npy")), *parts)


def votes(num_items: int, num_votes: int, seed: int = 0) -> World:
    """Bradley-Terry with standard normal strengths, pairs at random."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=num_items)
    first = rng.integers(0, num_items, num_votes, dtype=np.int32)
    second = ((first + rng.integers(1, num_items, num_votes)) % num_items).astype(np.int32)
    wins = rng.random(num_votes) < 1 / (1 + np.exp(strengths[second] - strengths[first]))
    outcome = np.where(wins, 0, 1).astype(np.int8)
    return World(num_items, first, second, outcome, np.zeros((0, 0), dtype=np.int64))


def rankings(num_items: int, count: int, size: int, seed: int = 0) -> World:
    """Plackett-Luce with standard normal strengths, menus at random, ranked in full."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=num_items)
    menus = np.stack([rng.choice(num_items, size, replace=False) for _ in range(count)])
    order = np.argsort(-(strengths[menus] + rng.gumbel(size=menus.shape)), axis=1)
    nothing = np.zeros(0, dtype=np.int32)
    return World(
        num_items, nothing, nothing, nothing.astype(np.int8),
        np.take_along_axis(menus, order, axis=1),
    )  # fmt: skip
