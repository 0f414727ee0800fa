"""Which tokens an update listens to: constants from what is known when the batch was drawn.

Legend: B rows, T tokens.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array


def unsure_tokens(logp: Float[Array, "B T"], most: float = 0.9) -> Bool[Array, "B T"]:
    """Tokens that were drawn with probability below `most`: where the policy had a choice (SPO,
    Guo et al. 2025). Biased: what was drawn decides whether it counts."""
    return np.exp(logp) < most


def top_share(
    importance: Float[Array, "B T"], is_trained: Bool[Array, "B T"], share: float
) -> Bool[Array, "B T"]:
    """In each row, the trained tokens of largest importance: a share of them, one at the least.

    With |A| times entropy for importance, the token half of down-sampling in D3S (2025). Equal
    ones: the earlier first.
    """
    wanted = np.ceil(share * is_trained.sum(axis=1) - 1e-9).clip(1)
    order = np.argsort(np.where(is_trained, -importance, np.inf), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(order.shape[1])[None, :], axis=1)
    return is_trained & (place < wanted[:, None])


def entropy_fall(entropy: Float[Array, "*B"], logp: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """S = p (H + log p): by how much entropy falls for each unit that the logit of a token drawn
    with probability p is raised (entropy dynamics 2026)."""
    return np.exp(logp) * (entropy + logp)


def steady_entropy(
    entropy: Float[Array, "B T"],
    logp: Float[Array, "B T"],
    advantage: Float[Array, "B T"],
    is_trained: Bool[Array, "B T"],
    spread: float = 2.5,
) -> Bool[Array, "B T"]:
    """Tokens whose update would not tear entropy down (Clip_B, entropy dynamics 2026).

    Tokens with A < 0 and S (`entropy_fall`) more than `spread` standard deviations below the
    batch's mean are dropped. For samples of the policy itself only.
    """
    change = entropy_fall(entropy, logp)
    trained = change[is_trained]
    mean, deviation = (trained.mean(), trained.std()) if len(trained) else (0.0, 0.0)
    return is_trained & ((advantage >= 0.0) | (change - mean >= -spread * deviation))


def conflict_weights(
    tokens: Int[Array, "B T"],
    length: Int[Array, " B"],
    is_good: Bool[Array, " B"],
    group_of: Int[Array, " B"],
) -> Float[Array, "B T"]:
    """2 on good and 0 on bad responses where both say the same, 1 elsewhere (GTPO, 2025).

    A token is shared if it stands at the same place in a good and in a bad response of the group,
    in an unbroken run from the start; and likewise, aligned at the end, backwards. Where both runs
    cover a token the factors multiply. What all answers need (tags, formats) is thus not unlearnt
    with the bad ones.
    """
    weight = np.ones(tokens.shape)
    for group in np.unique(group_of):
        rows = np.flatnonzero(group_of == group)
        good, bad = rows[is_good[rows]], rows[~is_good[rows]]
        for mine, others, factor in ((good, bad, 2.0), (bad, good, 0.0)):
            for row in mine:
                shared = [_shared(tokens[row, : length[row]], tokens[o, : length[o]])
                          for o in others]  # fmt: skip
                ahead = max((first for first, _ in shared), default=0)
                behind = max((last for _, last in shared), default=0)
                weight[row, :ahead] *= factor
                weight[row, length[row] - behind : length[row]] *= factor
    return weight


def _shared(one: Int[Array, " T"], other: Int[Array, " V"]) -> tuple[int, int]:
    """How many tokens agree from the start, and how many back from the end."""
    most = min(len(one), len(other))
    if most == 0:
        return 0, 0
    ahead = one[:most] == other[:most]
    behind = one[::-1][:most] == other[::-1][:most]
    return (most if ahead.all() else int(ahead.argmin()),
            most if behind.all() else int(behind.argmin()))  # fmt: skip
