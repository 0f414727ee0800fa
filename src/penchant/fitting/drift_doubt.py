"""How much scores drift, and how sure that is: the drift's own doubt, summed out of theirs.

What is learnt of a variance from some fifty steps is no certainty; an error that takes it for known
is too small (Laird and Louis 1987; Kass and Steffey 1989). Here the drift has a density: the
evidence, times a prior that is flat on the variance of what a score moves by over the whole time
(Stein's; intervals of what varies then hold as often as they say, Morris 1983).

Legend: D nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array

# Standard deviations that a score moves by over all the time of the votes, in logits.
_LEAST, _MOST = 0.01, 5.0
# Where the evidence looks first; the climb then looks closer.
_LOOKS = 12
# The density is followed down to exp(-5) of its top: what lies beyond is less than a hundredth.
_FALL = 5.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(7)


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftDensity:
    """best: the move over the whole time that the evidence prefers, in logits, 0 where none moves;
    moves and shares: nodes of its density, and how much of it each stands for."""

    best: float
    moves: Float[Array, " D"]
    shares: Float[Array, " D"]


def learn_drift(evidence: Callable[[float], float]) -> DriftDensity:
    """The density of how far scores move; `evidence` is the log marginal likelihood of a move."""
    seen = _Seen(evidence)
    looks = np.geomspace(_LEAST, _MOST, _LOOKS)
    for move in (0.0, *looks):
        seen(float(move))
    best = _best(seen, looks)
    low, high = _reach(seen)
    moves = 0.5 * (low + high) + 0.5 * (high - low) * _NODES
    logs = np.array([seen(float(move)) for move in moves])
    # Flat on the square of the move.
    shares = _WEIGHTS * moves * np.exp(logs - logs.max())
    return DriftDensity(best=best, moves=moves, shares=shares / shares.sum())


@dataclass
class _Seen:
    """The evidence, and all of it that was looked at."""

    evidence: Callable[[float], float]
    values: dict[float, float] = field(default_factory=dict)

    def __call__(self, move: float) -> float:
        if move not in self.values:
            self.values[move] = self.evidence(move)
        return self.values[move]


def _best(seen: _Seen, looks: Float[Array, " L"]) -> float:
    from scipy.optimize import minimize_scalar

    top = int(np.argmax([seen(float(move)) for move in looks]))
    around = looks[max(top - 1, 0)], looks[min(top + 1, len(looks) - 1)]
    found = minimize_scalar(
        lambda log_move: -seen(float(np.exp(log_move))), bounds=np.log(around), method="bounded",
        options={"xatol": 0.03},
    )  # fmt: skip
    move = float(np.exp(found.x))
    return 0.0 if move < 1.1 * _LEAST else move


def _reach(seen: _Seen) -> tuple[float, float]:
    """Between which moves the density is worth following."""
    from scipy.interpolate import PchipInterpolator

    known = np.array(sorted(seen.values))
    logs = np.array([seen.values[float(move)] for move in known])
    fine = np.unique(np.concatenate([np.linspace(0.0, _MOST, 2001), np.geomspace(1e-4, 1.0, 500)]))
    curve = PchipInterpolator(known, logs)(fine)
    inside = np.flatnonzero(curve > curve.max() - _FALL)
    low, high = max(inside[0] - 1, 0), min(inside[-1] + 1, len(fine) - 1)
    return float(fine[low]), float(fine[high])
