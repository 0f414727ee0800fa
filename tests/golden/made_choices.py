"""The small data sets behind the golden figures, made again from their seeds on both sides.

Only NumPy: the makers run it beside the peers, the reference tests beside penchant.
"""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Choices:
    """features [B, K, D], offered [B, K], chosen [B], person [B]."""

    features: np.ndarray
    offered: np.ndarray
    chosen: np.ndarray
    person: np.ndarray

    @property
    def fingerprint(self) -> str:
        """Answers depend on every drawn number, so equal answers mean equal data."""
        digest = hashlib.sha256(np.ascontiguousarray(self.chosen, dtype=np.int64).tobytes())
        digest.update(np.packbits(self.offered).tobytes())
        digest.update(np.ascontiguousarray(np.round(self.features, 6)).tobytes())
        return digest.hexdigest()[:16]


def conditional_choices(seed: int = 11) -> Choices:
    """1,200 choices of 200 people among up to four options, some of them absent."""
    rng = np.random.default_rng(seed)
    tastes = np.broadcast_to(np.array([-0.9, 0.6, 0.4, -0.2, 0.3]), (200, 5))
    return _choose(rng, tastes, choices=6, options=4, absent=0.15)


def mixed_choices(seed: int = 12) -> Choices:
    """960 choices of 120 people among three options; the taste for x0 varies normally."""
    rng = np.random.default_rng(seed)
    mean, spread = np.array([-0.8, 0.7, 0.5]), np.array([1.1, 0.0, 0.0])
    tastes = mean + rng.standard_normal((120, 3)) * spread
    return _choose(rng, tastes, choices=8, options=3, absent=0.0)


def _choose(
    rng: np.random.Generator, tastes: np.ndarray, choices: int, options: int, absent: float
) -> Choices:
    people, attributes = tastes.shape
    person = np.repeat(np.arange(people), choices)
    features = rng.standard_normal((people * choices, options, attributes))
    worth = np.einsum("bkd,bd->bk", features, tastes[person]) + rng.gumbel(size=features.shape[:2])
    offered = rng.random(worth.shape) >= absent
    offered[:, 0] = True
    chosen = np.where(offered, worth, -np.inf).argmax(axis=1)
    return Choices(features, offered, chosen, person)
