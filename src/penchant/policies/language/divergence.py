"""How far one policy is from another, estimated from the tokens that were drawn.

With d = log pi - log pi_other of a draw from pi itself there are three estimators (Schulman 2020),
and what one may do with each differs:

- k1 = d, unbiased. As a loss its gradient is zero on average; taken off the reward, as a constant
  with return-to-go, it gives the gradient of KL(pi || other), for sequences too.
- k2 = d^2 / 2, biased. As a loss of the log-ratio *summed over the response* its gradient is
  exactly that of KL(pi || other).
- k3 = exp(-d) - 1 + d, unbiased, never negative. As a loss it gives the gradient of
  KL(other || pi), the other way round; times the ratio of pi to what drew it, through which the
  gradient goes, that of KL(pi || other), whoever drew it.

Token by token, k2 and k3 leave out that a token changes what comes after it. Rows that another
policy drew need the ratio as a factor. The estimator and its place are therefore both named.

Legend: B rows, T tokens.
"""

from typing import Literal

from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array, namespace, stop_gradient

Estimator = Literal["k1", "k2", "k3"]


def divergence(
    logp: Float[Array, "*B"], other: Float[Array, "*B"], estimator: Estimator
) -> Float[Array, "*B"]:
    """The estimate for each token, or for each response from summed log-probabilities."""
    apart = logp - stop_gradient(other)
    if estimator == "k1":
        return apart
    if estimator == "k2":
        return 0.5 * apart * apart
    return namespace(logp).expm1(-apart) + apart


def summed(logp: Float[Array, "B T"], is_trained: Bool[Array, "B T"]) -> Float[Array, " B"]:
    """log pi of each response: the sum over the tokens that are trained."""
    xp = namespace(logp)
    return xp.sum(xp.where(is_trained, logp, 0.0), axis=1)


def outside_band(
    entropy: Float[Array, "*B"],
    usual: Float[Array, "*#B"],
    low: float = 0.0,
    high: float = 2.0,
) -> Float[Array, "*B"]:
    """max(0, H - high H_usual) + max(0, low H_usual - H): entropy that left its history's band.

    As hinges, whose gradient brings it back; the penalty of EPO (2025) as released is a constant
    outside the band and has none. usual: the mean so far, a constant.
    """
    xp, level = namespace(entropy), stop_gradient(usual)
    above, below = entropy - high * level, low * level - entropy
    return xp.where(above > 0.0, above, 0.0) + xp.where(below > 0.0, below, 0.0)
