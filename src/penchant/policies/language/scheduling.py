"""Which prompts are tried, how often, and which rollouts an update listens to.

Legend: P prompts, R rollouts, B rows.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


def nearest_to_half(value: Float[Array, " P"], num: int) -> Int[Array, " _"]:
    """The prompts whose predicted success is nearest to one half (PCL, 2025): mixed groups, with
    no rollouts spent on finding them. Equal ones: the earlier first."""
    return np.sort(np.argsort(np.abs(value - 0.5), kind="stable")[:num])


def useful_failures(num_rollouts: Float[Array, "*#B"], value: Float[Array, "*#B"]) -> Array:
    """B (1 - p) (1 - (1 - p)^(B - 1)): expected failures in groups that hold a success too.

    A budget's worth (V0, 2026): failures teach where something in the group is better than they.
    """
    wrong = 1.0 - value
    return num_rollouts * wrong * (1.0 - wrong ** np.maximum(num_rollouts - 1.0, 0.0))


def budget(value: Float[Array, " P"], total: int, low: int = 1, high: int = 16) -> Int[Array, " P"]:
    """Rollouts of each prompt, from `low` to `high`, that maximise `useful_failures` in all.

    Exactly, as a knapsack: the first rollouts of a prompt gain more with each other, so that
    giving them out greedily one by one would hand everything to one prompt.

    Raises `ConfigError` where so many rollouts cannot be handed out between the bounds.
    """
    if not low * len(value) <= total <= high * len(value):
        raise ConfigError(
            f"got {total} rollouts for {len(value)} prompts with {low} to {high} each; expected "
            f"{low * len(value)} to {high * len(value)}."
        )
    spare, most = total - low * len(value), high - low
    worth = useful_failures(np.arange(low, high + 1.0)[None, :], value[:, None])
    best = np.full(spare + 1, -np.inf)
    best[0] = 0.0
    chosen = np.zeros((len(value), spare + 1), dtype=np.int64)
    for p in range(len(value)):
        tried = np.full((most + 1, spare + 1), -np.inf)
        for extra in range(min(most, spare) + 1):
            tried[extra, extra:] = best[: spare + 1 - extra] + worth[p, extra]
        chosen[p], best = tried.argmax(axis=0), tried.max(axis=0)
    given = np.zeros(len(value), dtype=np.int64)
    for p in reversed(range(len(value))):
        given[p] = chosen[p, spare]
        spare -= given[p]
    return low + given


def is_one_more_worth_it(
    mean: Float[Array, " P"],
    prior: Float[Array, " P"],
    num_rollouts: Int[Array, " P"],
    cost: float = 1.0 / 256.0,
) -> Bool[Array, " P"]:
    """Whether one more rollout lowers a shrunk baseline's squared error by `cost` or more.

    MSE(k) = D (1/k) / (D + 1/k), D = max(0, (mean - prior)^2 - 1/k) (V0.5), rewards -1 and 1; the
    default cost is what the sixteenth rollout gains where the prior is useless.
    """
    k = np.asarray(num_rollouts, dtype=np.float64)
    bias = np.maximum(0.0, (mean - prior) ** 2 - 1.0 / k)

    def error(k: Float[Array, " P"]) -> Float[Array, " P"]:
        return bias / (1.0 + bias * k)

    return error(k) - error(k + 1.0) >= cost


def doubt_fall(
    deviation: Float[Array, " P"], num_rollouts: Int[Array, " P"], level: float = 0.05
) -> Float[Array, " P"]:
    """h(n) - h(n + 1), h(n) = t_{1 - level/2, n - 1} s / sqrt(n): how much narrower one more
    rollout makes the interval of a prompt's mean reward (XRPO, 2025), s the deviation of its n
    rewards so far (n - 1 below), two of them at the least."""
    from scipy.special import stdtrit

    n = np.asarray(num_rollouts, dtype=np.float64)

    def half_width(n: Float[Array, " P"]) -> Float[Array, " P"]:
        return stdtrit(n - 1.0, 1.0 - 0.5 * level) * deviation / np.sqrt(n)

    return half_width(n) - half_width(n + 1.0)


def where_doubt_falls(
    deviation: Float[Array, " P"],
    num_rollouts: Int[Array, " P"],
    spare: int,
    bonus: float,
    level: float = 0.05,
) -> Int[Array, " P"]:
    """How many of `spare` rollouts go to each prompt, one by one to the largest h(n) - h(n + 1) +
    bonus sqrt(log(1 + T) / n), T all rollouts so far (XRPO, 2025; that T is of all prompts is
    inferred). Equal ones: the earlier first. Deviations stay as they are meanwhile."""
    num = np.array(num_rollouts, dtype=np.int64)
    for _ in range(spare):
        seldom = np.sqrt(np.log1p(num.sum()) / num)
        num[np.argmax(doubt_fall(deviation, num, level) + bonus * seldom)] += 1
    return num - num_rollouts


def most_varied(advantage: Float[Array, " R"], num: int) -> Int[Array, " _"]:
    """The `num` rollouts whose advantages vary most (D3S, 2025): so many from the top, the rest
    from the bottom, for the best of all such splits."""
    order = np.argsort(-advantage, kind="stable")
    num = min(num, len(order))
    best, kept = -1.0, order[:0]
    for above in range(num + 1):
        tried = np.concatenate([order[:above], order[len(order) - (num - above) :]])
        spread = float(np.var(advantage[tried])) if num else 0.0
        if spread > best:
            best, kept = spread, tried
    return np.sort(kept)


def extremes(reward: Float[Array, " R"], length: Float[Array, " R"], num: int) -> Int[Array, " _"]:
    """Half of `num` best and half worst of a group; among equals the short successes and the long
    failures (contrastive selection of ChatShopBuddy, 2026; its rule for ties is inferred)."""
    best_first = np.lexsort((length, -reward))
    num = min(num, len(reward))
    above = (num + 1) // 2
    return np.sort(np.concatenate([best_first[:above], best_first[len(reward) - (num - above) :]]))


def rows_of_budget(
    rollout_of: Int[Array, " B"], num: int, generator: np.random.Generator
) -> Int[Array, " _"]:
    """Exactly `num` rows, rollouts alike: one at random of each, then round after round, the last
    of which falls to some of them by lot.

    A rollout whose rows are all in gives some again (MemAct, 2025): long rollouts cannot dominate,
    which is not the gradient of trajectories.
    """
    line_up = generator.permutation(np.unique(rollout_of))
    rows = [generator.permutation(np.flatnonzero(rollout_of == r)) for r in line_up]
    if not rows:
        raise ConfigError("there are no rows to choose from; expected at least one rollout.")
    rounds = -(-num // len(rows))
    line = [mine[turn % len(mine)] for turn in range(rounds) for mine in rows]
    return np.sort(np.array(line[:num]))
