"""How well worths order what people ranked, one number per menu; ties are shared, never broken.

Legend: B observations, K options (padding has `offered` False). Higher worth is better; a rank of
1 is best and 0 means not ranked, worse than everything ranked.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array


def kendall(
    worth: Float[Array, "B K"], rank: Int[Array, "B K"], offered: Bool[Array, "B K"]
) -> Float[Array, " B"]:
    """Kendall's (1945) tau-b between the order of the worths and the ranking, from -1 to 1.

    (agreeing pairs - disagreeing pairs) / sqrt(pairs not tied in worth x pairs not tied in rank);
    options that were not ranked are tied with each other. NaN where all are tied in either.
    """
    width = worth.shape[1]
    goodness = np.where(rank > 0, -rank, np.iinfo(np.int64).min // 2)
    first, second = np.triu_indices(width, 1)
    both = offered[:, first] & offered[:, second]
    by_worth = np.sign(worth[:, first] - worth[:, second]) * both
    by_rank = np.sign(goodness[:, first] - goodness[:, second]) * both
    agreement = (by_worth * by_rank).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return agreement / np.sqrt((by_worth**2).sum(axis=1) * (by_rank**2).sum(axis=1))


def ndcg(
    worth: Float[Array, "B K"],
    relevance: Float[Array, "B K"],
    offered: Bool[Array, "B K"],
    top: int | None = None,
) -> Float[Array, " B"]:
    """Normalised discounted cumulative gain of the first `top` options (all, if None).

    sum over places j of gain / log2(1 + j), over that of the best order (Järvelin and Kekäläinen
    2002), the gain being the relevance itself (0 or more). Options of equal worth share the mean of
    their discounts (McSherry and Najork 2008). NaN where nothing on the menu is relevant.
    """
    gains = np.where(offered, relevance, 0.0)
    best = _discounted(gains, gains, offered, top)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _discounted(worth, gains, offered, top) / best


def top_k(
    worth: Float[Array, "B K"],
    chosen: Int[Array, " B"],
    offered: Bool[Array, "B K"],
    top: int,
) -> Float[Array, " B"]:
    """The probability that the chosen option is among the first `top`, ties broken by lot."""
    mine = np.take_along_axis(worth, chosen[:, None], axis=1)
    above = ((worth > mine) & offered).sum(axis=1)
    tied = ((worth == mine) & offered).sum(axis=1)
    return np.clip((top - above) / tied, 0.0, 1.0)


def _discounted(
    worth: Float[Array, "B K"],
    gains: Float[Array, "B K"],
    offered: Bool[Array, "B K"],
    top: int | None,
) -> Float[Array, " B"]:
    width = worth.shape[1]
    places = np.arange(width)
    discount = np.where(places < (width if top is None else top), 1 / np.log2(places + 2), 0.0)
    before = np.concatenate([[0.0], np.cumsum(discount)])
    masked = np.where(offered, worth, -np.inf)
    ahead = (masked[:, None, :] > masked[:, :, None]).sum(axis=2)
    tied = (masked[:, None, :] == masked[:, :, None]).sum(axis=2)
    shared = (before[np.minimum(ahead + tied, width)] - before[ahead]) / tied
    return (gains * shared * offered).sum(axis=1)
