"""How far the policy has moved since a token was drawn, and what of it the gradient may use.

Every row names its denominator: what drew it (`behaviour`), the trainer at the start of the update
(`old`), or the policy itself (`itself`: ratio 1, a demonstration under a policy-gradient weight).
On-policy, replayed and demonstrated rows then mix in one batch.

Legend: B rows, T tokens, V units in rows.
"""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array, add_rows, constant, namespace, stop_gradient

Level = Literal["token", "unit"]
BEHAVIOUR, OLD, ITSELF = 0, 1, 2


def denominator(
    logp: Float[Array, "B T"],
    kind: Int[Array, " B"],
    behaviour: Float[Array, "B T"],
    old: Float[Array, "B T"] | None = None,
) -> Float[Array, "B T"]:
    """The log-probability that each row's ratio is taken against: `BEHAVIOUR`, `OLD` or `ITSELF`.

    old: under the *training* context, which may lack what the sampler saw; without it, `OLD` is
    the policy itself, as in the first step of an update.
    """
    xp, here = namespace(logp), stop_gradient(logp)
    of_row = kind[:, None]
    other = xp.where(of_row == BEHAVIOUR, behaviour, here if old is None else old)
    return xp.where(of_row == ITSELF, here, other)


def log_ratio(
    logp: Float[Array, "B T"],
    against: Float[Array, "B T"],
    unit_of: Int[Array, "B T"],
    level: Level = "token",
) -> Float[Array, "B T"]:
    """log pi / pi_denominator of each token, or its mean over the tokens of a unit.

    level="unit": the geometric mean of the ratios, the same for all tokens of a unit that lie in
    one row (GSPO, Zheng et al. 2025, where the unit is the response; Rank-GRPO, where it is a
    listed item). unit_of: -1 where a token is not trained; its log-ratio is 0 and has no gradient.
    """
    xp, is_trained = namespace(logp), unit_of >= 0
    apart = xp.where(is_trained, logp, 0.0) - xp.where(is_trained, against, 0.0)
    return apart if level == "token" else unit_mean(apart, unit_of)


def unit_mean(values: Float[Array, "B T"], unit_of: Int[Array, "B T"]) -> Float[Array, "B T"]:
    """The mean over the tokens of the same unit in the same row; 0 where no unit is."""
    place, num_places = unit_places(unit_of)
    total = _totals(values, place, num_places)
    num = _totals(namespace(values).ones_like(values), place, num_places)
    mean = total / namespace(values).where(num > 0.0, num, 1.0)
    return namespace(values).where(unit_of >= 0, mean[place], 0.0)


def unit_places(unit_of: Int[Array, "B T"]) -> tuple[Int[Array, "B T"], int]:
    """A number for every unit in every row, and how many numbers; -1 makes the last, unused."""
    xp = namespace(unit_of)
    num_rows, num_tokens = unit_of.shape
    width = int(xp.max(unit_of)) + 1 if unit_of.shape[0] * num_tokens else 0
    row = constant(np.arange(num_rows), unit_of)[:, None]
    inside = row * width + unit_of
    # A unit seldom spans rows: close up the numbers, or B x U of them would be held.
    found, place = xp.unique_inverse(xp.where(unit_of >= 0, inside, num_rows * width))
    return place.reshape(unit_of.shape), len(found)


def clipped(
    ratio: Float[Array, "B T"],
    advantage: Float[Array, "B T"],
    low: Float[Array, "#B #T"] | float = 0.2,
    high: Float[Array, "#B #T"] | float = 0.28,
    worst: float | None = None,
) -> Float[Array, "B T"]:
    """min(rho A, clip(rho, 1 - low, 1 + high) A), to be maximised (PPO, Schulman et al. 2017).

    high > low lets rare tokens rise (DAPO, Yu et al. 2025). worst: a floor of worst * A where A is
    negative, for ratios gone far above 1 (dual clip, Ye et al. 2020; 3 is usual).
    """
    xp = namespace(ratio)
    inside = xp.where(ratio < 1.0 - low, 1.0 - low, xp.where(ratio > 1.0 + high, 1.0 + high, ratio))
    lower = xp.minimum(ratio * advantage, inside * advantage)
    if worst is None:
        return lower
    return xp.where(advantage < 0.0, xp.maximum(lower, worst * advantage), lower)


def is_clipped(
    ratio: Float[Array, "B T"],
    advantage: Float[Array, "B T"],
    low: Float[Array, "#B #T"] | float = 0.2,
    high: Float[Array, "#B #T"] | float = 0.28,
    worst: float | None = None,
) -> Bool[Array, "B T"]:
    """Where `clipped` has no gradient: the ratio has gone as far as it may, the way A pushes it;
    or, with `worst`, so far the other way that A is not heard."""
    above = (ratio > 1.0 + high) & (advantage > 0.0)
    stopped = above | ((ratio < 1.0 - low) & (advantage < 0.0))
    return stopped if worst is None else stopped | ((ratio > worst) & (advantage < 0.0))


def truncated(
    logp: Float[Array, "B T"],
    ratio: Float[Array, "B T"],
    advantage: Float[Array, "B T"],
    high: float = 0.28,
) -> Float[Array, "B T"]:
    """min(rho, 1 + high) A log pi, the ratio a constant: every token keeps a gradient (CISPO,
    MiniMax 2025)."""
    xp, rho = namespace(ratio), stop_gradient(ratio)
    return xp.where(rho > 1.0 + high, 1.0 + high, rho) * advantage * logp


def regressed(
    logp: Float[Array, "B T"],
    against: Float[Array, "B T"],
    advantage: Float[Array, "B T"],
    unit_of: Int[Array, "B T"],
    pull: float,
) -> Float[Array, "B T"]:
    """A log pi - (tau / 2) (log pi(y) - log pi_start(y))^2, y a unit, the square in equal parts on
    its tokens, to be maximised.

    Mirror descent with a squared anchor in place of a ratio (Kimi k1.5, 2025): off-policy steps on
    one batch stay near where they began. pull: tau; at 0 REINFORCE, with nothing that stops it.
    """
    apart = log_ratio(logp, against, unit_of)
    place, num_places = unit_places(unit_of)
    total, num = (
        _totals(each, place, num_places)[place]
        for each in (apart, namespace(apart).ones_like(apart))
    )
    return advantage * logp - 0.5 * pull * total * total / num


def importance_weight(
    logp_start: Float[Array, "B T"], logp_behaviour: Float[Array, "B T"], most: float = 2.0
) -> Float[Array, "B T"]:
    """min(pi_start / pi_behaviour, most), a constant: what the sampler's numbers differ by from
    the trainer's for the same weights."""
    xp = namespace(logp_start)
    # Cut off before exp, lest a token that the sampler's rounding made impossible be infinite.
    gap = stop_gradient(logp_start - logp_behaviour)
    bound = xp.log(most * xp.ones_like(gap))
    return xp.exp(xp.minimum(gap, bound))


def _totals(
    values: Float[Array, "B T"], place: Int[Array, "B T"], num_places: int
) -> Float[Array, " V"]:
    nothing = constant(np.zeros(num_places), values)
    return add_rows(nothing, place.reshape(-1), values.reshape(-1))
