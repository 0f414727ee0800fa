"""Reasons: which attribute people name for a choice, a second channel on the same worths.

Legend: B comparisons, D attributes.
"""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, log_sum_exp, namespace, one_hot, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class ReasonBend:
    """The expected information of a reason by contributions, in three lines of each comparison:
    I = diag(own) - own shares' - shares own' + (sum own) shares shares'."""

    own: Float[Array, "B D"]
    shares: Float[Array, "B D"]


def reason_log_prob(
    contributions: Float[Array, "B D"],
    named: Int[Array, " B"],
    sharpness: float,
    lapse: float,
    usual: Float[Array, " D"] | None = None,
) -> Float[Array, " B"]:
    """log p of the attribute that was named, and 0 where none was (`named` is -1).

    p(d) = (1 - e) m_d exp(gamma c_d) / sum_k m_k exp(gamma c_k) + e m_d, with c_d = w_d (x_winner,d
    - x_loser,d) what the attribute contributed to the gap: attributes compete to be named as
    options do to be chosen, the larger their say the likelier. m: the share of reasons that name
    each one whatever it contributed (`usual`; alike without). lapse e: the share that names
    anything. With gamma = 0 reasons tell nothing of what texts are worth. After the joint
    likelihood of choice and rationale of Just et al. (2024), whose reason is a text and whose
    likelihood a language model's.
    """
    xp = namespace(contributions)
    scaled, base = _scaled(contributions, sharpness, usual)
    said = one_hot(named, contributions.shape[1], contributions)
    sure = xp.exp(xp.sum(said * scaled, axis=1) - log_sum_exp(scaled, axis=1))
    mixed = (1.0 - lapse) * sure + lapse * xp.sum(said * base, axis=1)
    # Where none was named the sum is empty; its logarithm is left out, not looked at.
    safe = xp.where(named >= 0, mixed, xp.ones_like(mixed))
    return xp.log(safe)


def reason_score(
    contributions: Float[Array, "B D"],
    named: Int[Array, " B"],
    sharpness: float,
    lapse: float,
    usual: Float[Array, " D"] | None = None,
) -> Float[Array, "B D"]:
    """d/d contributions."""
    said, shares, sure, mixed = _parts(contributions, named, sharpness, lapse, usual)
    return (sharpness * sure / mixed)[:, None] * (said - shares) * (named >= 0)[:, None]


def reading_score(
    contributions: Float[Array, "B D"],
    named: Int[Array, " B"],
    sharpness: float,
    lapse: float,
    usual: Float[Array, " D"] | None = None,
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """d/d sharpness and d/d lapse."""
    xp = namespace(contributions)
    said, shares, sure, mixed = _parts(contributions, named, sharpness, lapse, usual)
    is_told = named >= 0
    by_sharpness = sure / mixed * xp.sum((said - shares) * contributions, axis=1)
    _, base = _scaled(contributions, sharpness, usual)
    by_lapse = (xp.sum(said * base, axis=1) - xp.sum(said * shares, axis=1)) / mixed
    return by_sharpness * is_told, by_lapse * is_told


def reason_bend(
    contributions: Float[Array, "B D"],
    sharpness: float,
    lapse: float,
    usual: Float[Array, " D"] | None = None,
) -> ReasonBend:
    """The expected information by contributions, sum_k p_k s_k s_k' over whatever may be named
    with its score s_k: no curvature of the density, which is not concave, but never negative.

    Of a comparison without a reason the caller counts nothing.
    """
    scaled, base = _scaled(contributions, sharpness, usual)
    shares = softmax(scaled, axis=1)
    mixed = (1.0 - lapse) * shares + lapse * base
    return ReasonBend(own=(sharpness * (1.0 - lapse) * shares) ** 2 / mixed, shares=shares)


def _scaled(contributions: Any, sharpness: float, usual: Any) -> tuple[Any, Any]:  # arrays
    """Log-odds of being named before they are summed up, and how often each is named anyway."""
    xp = namespace(contributions)
    if usual is None:
        even = xp.ones_like(contributions[:1]) / contributions.shape[1]
        return sharpness * contributions, even
    return xp.log(usual)[None] + sharpness * contributions, usual[None]


def _parts(
    contributions: Any, named: Any, sharpness: float, lapse: float, usual: Any
) -> tuple[Any, Any, Any, Any]:  # arrays
    """What was named, the shares without a lapse, the part of p that is no lapse, and p."""
    xp = namespace(contributions)
    scaled, base = _scaled(contributions, sharpness, usual)
    shares = softmax(scaled, axis=1)
    said = one_hot(named, contributions.shape[1], contributions)
    sure = (1.0 - lapse) * xp.sum(said * shares, axis=1)
    mixed = sure + lapse * xp.sum(said * base, axis=1)
    return said, shares, sure, xp.where(named >= 0, mixed, xp.ones_like(mixed))
