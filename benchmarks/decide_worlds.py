"""Worlds of arms on disk, for contenders that share no code with penchant."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class World:
    """contexts [T, D]; expected [T, A]: what each arm pays on average; paid [T, A]: then."""

    contexts: np.ndarray
    expected: np.ndarray
    paid: np.ndarray

    def head(self, rounds: int) -> "World":
        return World(self.contexts[:rounds], self.expected[:rounds], self.paid[:rounds])

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("contexts", "expected", "paid"):
            np.save(folder / f"{name}.npy", getattr(self, name))
        return folder

    def judged(self, arms: np.ndarray) -> dict:
        """A row of figures of what was played: regret in reward, mean over rounds and total."""
        rounds = np.arange(len(arms))
        regret = self.expected[rounds].max(axis=1) - self.expected[rounds, arms]
        return {"rounds": len(arms), "regret": float(regret.sum()), "last_tenth": float(
            regret[-max(len(arms) // 10, 1) :].mean())}  # fmt: skip


def load(folder: Path) -> World:
    return World(*(np.load(folder / f"{name}.npy") for name in ("contexts", "expected", "paid")))


def linear(num_arms: int, num_features: int, num_rounds: int, seed: int) -> World:
    """Rewards linear in the context, weights normal with variance 1 / D, noise 0.1; then mapped
    to 0 to 1 (divided by 8, plus a half), where every contender can take them as they are."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(num_arms, num_features)) / np.sqrt(num_features)
    contexts = rng.normal(size=(num_rounds, num_features))
    worth = contexts @ weights.T
    paid = worth + 0.1 * rng.normal(size=worth.shape)
    return World(contexts, worth / 8.0 + 0.5, paid / 8.0 + 0.5)
