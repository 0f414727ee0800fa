"""Reasons: which attribute people name for a choice, a second channel on the same worths.

Legend: B comparisons, D attributes.
"""

from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, log_sum_exp, namespace, one_hot, softmax


def reason_log_prob(
    contributions: Float[Array, "B D"], named: Int[Array, " B"], sharpness: float, lapse: float
) -> Float[Array, " B"]:
    """log p of the attribute that was named, and 0 where none was (`named` is -1).

    p(d) = (1 - e) softmax_d(gamma c_d) + e / D, with c_d = w_d (x_winner,d - x_loser,d) what the
    attribute contributed to the gap: attributes compete to be named as options do to be chosen, the
    larger their say the likelier. lapse e: the share that names anything. After the joint
    likelihood of choice and rationale of Just et al. (2024), whose reason is a text and whose
    likelihood a language model's.
    """
    xp = namespace(contributions)
    scaled = sharpness * contributions
    said = one_hot(named, contributions.shape[1], contributions)
    sure = xp.exp(xp.sum(said * scaled, axis=1) - log_sum_exp(scaled, axis=1))
    mixed = (1.0 - lapse) * sure + lapse / contributions.shape[1]
    return xp.where(named >= 0, xp.log(mixed), xp.zeros_like(mixed))


def reason_score(
    contributions: Float[Array, "B D"], named: Int[Array, " B"], sharpness: float, lapse: float
) -> Float[Array, "B D"]:
    """d/d contributions."""
    xp = namespace(contributions)
    shares = softmax(sharpness * contributions, axis=1)
    said = one_hot(named, contributions.shape[1], contributions)
    sure = (1.0 - lapse) * xp.sum(said * shares, axis=1)
    mixed = sure + lapse / contributions.shape[1]
    return (sharpness * sure / mixed)[:, None] * (said - shares) * (named >= 0)[:, None]
