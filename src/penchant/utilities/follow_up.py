"""Worth by what people would say next: a good answer makes thanks likely and complaints unlikely.

Legend: B observations, K options, F aspects of an answer that a follow-up may speak of.
"""

from jaxtyping import Float

from penchant.numerics.arrays import Array, namespace


def follow_up_worths(
    praise: Float[Array, "B K F"], complaint: Float[Array, "B K F"]
) -> Float[Array, "B K"]:
    """u = mean_f [log p(praise_f | x, a) - log p(complaint_f | x, a)], in nats.

    Follow-up likelihood as reward (FLR 2024; the mean over aspects is inferred). Any model of texts
    gives the log-probabilities: a language model's of fixed phrases, or `fit_naive_bayes`'s of
    what followed on such answers. Unlike the worth of comparisons it has a zero of its own: as
    likely praised as not. An aspect where either is missing (NaN) is left out, never zero; the
    worth is NaN where none is left.
    """
    xp = namespace(praise)
    apart = praise - complaint
    known = ~xp.isnan(apart)
    number = xp.sum(xp.astype(known, apart.dtype), axis=2)
    total = xp.sum(xp.where(known, apart, xp.zeros_like(apart)), axis=2)
    filled = total / xp.where(number > 0, number, xp.ones_like(number))
    return xp.where(number > 0, filled, xp.nan)
