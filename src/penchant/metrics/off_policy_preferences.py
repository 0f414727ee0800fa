"""The value of a policy where feedback is a pick, a ranking or a comparison, not a reward.

Rounds show several options at once and people say which they prefer. What a policy is worth is
then how it fares against what was shown beside it, or the worth of what people pick from it.
Terms are as in `metrics/off_policy.py`: one a round, their mean the estimate.

Legend: B rounds, L options shown together.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array


def win_shares(rank: Int[Array, "B L"], shown: Bool[Array, "B L"]) -> Float[Array, "B L"]:
    """Of the other options shown, the share that each was preferred to; ties count one half.

    rank: 1 is best, equal ranks are ties, 0 is not ranked and worse than all that are. A pick is
    rank 1 of the one picked and 0 of the others; a comparison, ranks 1 and 2 (or 1 and 1). What
    was shown alone has no rival and share NaN; what was not shown 0.
    """
    place = np.where(rank > 0, rank, np.iinfo(np.int64).max)
    better = place[:, :, None] < place[:, None, :]
    even = place[:, :, None] == place[:, None, :]
    rival = shown[:, :, None] & shown[:, None, :] & ~np.eye(rank.shape[1], dtype=bool)
    wins = ((better + 0.5 * even) * rival).sum(axis=2)
    rivals = rival.sum(axis=2)
    with np.errstate(invalid="ignore"):
        return np.where(shown, wins / rivals, 0.0)


def preferred_to_shown(
    weight: Float[Array, "B L"], share: Float[Array, "B L"], shown: Bool[Array, "B L"]
) -> Float[Array, " B"]:
    """How often the target's option is preferred to those the log shows beside it.

    V(pi) = E_x (1/L) sum_l E_{a ~ pi} E[share of a | a at place l], estimated by the mean over
    places of w_l share_l, w_l = pi(a_l|x) / mu_l(a_l|x) with mu_l the logging policy's chance of a
    at place l. One half is as good as the log itself where nobody ties with himself; unbiased
    given support, whatever moves people (no scale of worth, no transitivity).
    """
    return (weight * np.where(shown, share, 0.0)).sum(axis=1) / shown.sum(axis=1)


def preferred_to_shown_doubly_robust(
    weight: Float[Array, "B L"],
    share: Float[Array, "B L"],
    shown: Bool[Array, "B L"],
    predicted: Float[Array, "B L"],
    value: Float[Array, "B L"],
) -> Float[Array, " B"]:
    """The same with a model of shares: value + w (share - predicted), averaged over places.

    predicted: of the option shown at l, its expected share; value: the target's mean of that over
    options. By a Bradley-Terry or Plackett-Luce fit that has not seen the round.
    """
    terms = value + weight * (share - predicted)
    return np.where(shown, terms, 0.0).sum(axis=1) / shown.sum(axis=1)


def preferred_to_policy(
    first_weight: Float[Array, " B"],
    second_weight: Float[Array, " B"],
    outcome: Float[Array, " B"],
    predicted: Float[Array, " B"] | None = None,
    value: Float[Array, " B"] | None = None,
) -> Float[Array, " B"]:
    """P(an option of one policy is preferred to one of another), from compared pairs.

    w_1(a) w_2(b) y, with y 1, 1/2 or 0 for the first shown, w_1 = pi(a) / mu_1(a) of the policy at
    the first place and w_2 = rho(b) / mu_2(b) of its rival at the second (dueling bandits: Yue et
    al. 2012). With a model of y for the pair shown (`predicted`) and its mean over both policies
    (`value`), doubly robust.
    """
    weight = first_weight * second_weight
    if predicted is None or value is None:
        return weight * outcome
    return value + weight * (outcome - predicted)


def worth_of_pick(
    weight: Float[Array, " B"], worth: Float[Array, "B L"], picked: Int[Array, " B"]
) -> Float[Array, " B"]:
    """w u(picked): the mean worth, to whoever decides, of what people pick of the policy's slates.

    weight: of the whole slate (`metrics/off_policy_slates.py`). worth: what each option shown is
    worth, a margin or a fitted utility. picked: its place, -1 where nothing was picked (worth 0).
    """
    rows = np.arange(len(picked))
    return weight * np.where(picked >= 0, worth[rows, np.maximum(picked, 0)], 0.0)
