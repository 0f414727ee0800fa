"""One answer of any kind and a normal law of worths: the mode, and what is known there.

Legend: K options of a menu, M own parameters of a channel, E = K + M, R numbers an answer tells.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Block
from penchant.feedback.channel_contract import Channel
from penchant.numerics.arrays import Array

_STEPS = 60
# Newton's steps square their error: after one this small nothing is left to gain.
_TOLERANCE = 1e-7


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """What one answer does to a normal law of worths and own parameters with covariance V.

    step: the mode moves by V step. root: the information of the answer there is root root'.
    log_evidence: of the answer, by Laplace's approximation.
    """

    step: Float[Array, " E"]
    root: Float[Array, "E R"]
    log_evidence: float


def laplace(
    channel: Channel,
    block: Block,
    mean: Float[Array, " E"],
    covariance: Float[Array, "E E"],
    weight: float = 1.0,
) -> Told:
    """The mode of normal(eta; mean, covariance) p(answer | eta)^weight and the information there.

    The mode is mean + V s with s the score there. Newton's step solves (I + H V) s' = score + H V
    s, with H the curvature without its negative parts, and is halved until the sum of
    log-likelihood and log-prior rises. It is a step of K worths, not of all weights, so that a
    hundred features cost little more than one (Spiegelhalter and Lauritzen 1990 for one yes or no;
    Chu and Ghahramani 2005 for preferences). Own parameters are the last entries of eta.
    """
    K = block.offered.shape[1]

    def value(s: Float[Array, " E"]) -> float:
        eta = mean + covariance @ s
        log_prob = channel.log_prob(eta[None, :K], block, eta[K:])
        return float(weight * log_prob[0] - 0.5 * s @ covariance @ s)

    # What is known for sure, such as a noise, tells nothing and hides nothing.
    is_open = (np.diag(covariance) > 0).astype(np.float64)
    s = np.zeros(len(mean))
    now = value(s)
    for _ in range(_STEPS):
        score, root = _derivatives(channel, block, mean + covariance @ s, K, is_open * weight)
        right = score + root @ (root.T @ covariance @ s)
        # By Woodbury's identity: I + H V is singular to rounding where V is large, this never.
        spread_R, along = told_beside(root, covariance)
        ahead = right - along @ ((along.T @ (covariance @ right)) / (1.0 + spread_R))
        share, after = 1.0, value(ahead)
        while not after >= now - 1e-12 * abs(now) and share > 1e-9:
            share *= 0.5
            after = value(s + share * (ahead - s))
        moved = share * float(np.abs(ahead - s).max(initial=0.0))
        s, now = s + share * (ahead - s), after
        if moved <= _TOLERANCE * (1.0 + float(np.abs(s).max(initial=0.0))):
            break
    root = _derivatives(channel, block, mean + covariance @ s, K, is_open * weight)[1]
    volume = float(np.log1p(told_beside(root, covariance)[0]).sum())
    return Told(step=s, root=root, log_evidence=now - 0.5 * volume)


def seen_through(root: Float[Array, "E R"], other: Float[Array, "E E"]) -> Float[Array, "E R"]:
    """What root tells of one part of a sum whose other part has covariance `other`: its noise is
    I + root' other root in place of I."""
    spread_R, along = told_beside(root, other)
    return along / np.sqrt(1.0 + spread_R)


def told_beside(
    root: Float[Array, "E R"], covariance: Float[Array, "E E"]
) -> tuple[Float[Array, " R"], Float[Array, "E R"]]:
    """The root turned so that what it tells is independent before it is told, and by how much each
    number varies there in units of its noise."""
    spread_R, vector_RR = np.linalg.eigh(root.T @ covariance @ root)
    return np.maximum(spread_R, 0.0), root @ vector_RR


def _derivatives(
    channel: Channel, block: Block, eta: Float[Array, " E"], K: int, weight: Float[Array, " E"]
) -> tuple[Float[Array, " E"], Float[Array, "E R"]]:
    """Score, and a root of the curvature without its negative directions."""
    utilities, own = eta[None, :K], eta[K:]
    score = channel.score(utilities, block, own)
    curvature = channel.curvature(utilities, block, own)
    cross = curvature.cross[0]
    whole = np.block([[curvature.utilities[0], cross], [cross.T, curvature.parameters[0]]])
    value, vector = np.linalg.eigh(whole * np.minimum(weight[:, None], weight))
    kept = value > 1e-14 * float(value[-1])
    first = weight * np.concatenate([score.utilities[0], score.parameters[0]])
    return first, vector[:, kept] * np.sqrt(value[kept])
