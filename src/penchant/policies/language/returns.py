"""Rewards become returns: what was earned from a unit on, and what a value predicted of it.

Legend: U units, R rollouts.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.numerics.arrays import Array


def return_to_go(
    reward: Float[Array, " U"],
    rollout_of: Int[Array, " U"],
    order: Int[Array, " U"],
    discount: float = 1.0,
) -> Float[Array, " U"]:
    """G_u = r_u + discount G_next: what the rollout earns from this unit on.

    order: the units' places in time within a rollout; equal ones are refused by `follower`.
    """
    returns = np.array(reward, dtype=np.float64)
    following = follower(rollout_of, order)
    for now in _from_the_end(following):
        returns[now] += discount * returns[following[now]]
    return returns


def generalised_advantage(
    reward: Float[Array, " U"],
    value: Float[Array, " U"],
    rollout_of: Int[Array, " U"],
    order: Int[Array, " U"],
    *,
    discount: Float[Array, "#U"],
    trace: Float[Array, "#U"],
    last_value: Float[Array, " R"] | None = None,
) -> Float[Array, " U"]:
    """A_u = delta_u + discount_u trace_u A_next, delta_u = r_u + discount_u V_next - V_u.

    Schulman et al. (2016). discount and trace of the step out of each unit: discount 1 inside an
    action and less between actions is the decomposed backup of POAD (2024), whose long actions are
    not discounted for their length. last_value: V after a rollout's last unit, 0 where it ended
    (None: everywhere); of a rollout cut short, V of the last unit itself (EGAE, T-PPO 2025).
    """
    following = follower(rollout_of, order)
    is_last = following < 0
    end = np.zeros(len(reward)) if last_value is None else last_value[rollout_of]
    beyond = np.where(is_last, end, value[following])
    gamma = np.broadcast_to(discount, reward.shape)
    decay = gamma * np.broadcast_to(trace, reward.shape)
    credit = reward + gamma * beyond - value
    for now in _from_the_end(following):
        credit[now] += decay[now] * credit[following[now]]
    return credit


def tree_values(parent: Int[Array, " U"], outcome: Float[Array, " U"]) -> Float[Array, " U"]:
    """V of the node that each edge leads to: a leaf's outcome, otherwise the mean of its children.

    parent: the edge before, -1 for those out of the root; after it in no order. What `outcome`
    says of inner nodes is not read (Guo et al. 2025, SPO).
    """
    value = np.array(outcome, dtype=np.float64)
    for edges in reversed(_by_depth(parent)[1:]):
        num = np.bincount(parent[edges], minlength=len(parent))
        total = np.bincount(parent[edges], weights=value[edges], minlength=len(parent))
        value = np.where(num > 0, total / np.maximum(num, 1), value)
    return value


def tree_advantage(
    parent: Int[Array, " U"],
    outcome: Float[Array, " U"],
    root: Int[Array, " U"],
    *,
    is_corrected: bool = True,
) -> Float[Array, " U"]:
    """V(child) - V(parent) of each edge of a tree of continuations (SPO-tree, Guo et al. 2025).

    root: which tree (prompt) an edge belongs to. A parent's value is the mean of b children, the
    edge's own included, which shrinks the gradient by (b - 1) / b; `is_corrected` takes that back.
    An only child has advantage 0.
    """
    value = tree_values(parent, outcome)
    # Siblings share their parent, or their tree where they leave its root.
    node = np.where(parent >= 0, parent, len(parent) + root)
    num = np.bincount(node)[node]
    mean = np.bincount(node, weights=value)[node] / num
    factor = num / np.maximum(num - 1, 1) if is_corrected else 1.0
    return np.where(num > 1, factor * (value - mean), 0.0)


def follower(rollout_of: Int[Array, " U"], order: Int[Array, " U"]) -> Int[Array, " U"]:
    """The unit that comes next in the same rollout, -1 for the last."""
    line = np.lexsort((order, rollout_of))
    same = rollout_of[line[1:]] == rollout_of[line[:-1]]
    assert not np.any(same & (order[line[1:]] == order[line[:-1]])), "units at the same time"
    following = np.full(len(line), -1)
    following[line[:-1][same]] = line[1:][same]
    return following


def first_of_rollout(rollout_of: Int[Array, " U"], order: Int[Array, " U"]) -> Bool[Array, " U"]:
    """Whether a unit is its rollout's first: one representative of each, for statistics."""
    line = np.lexsort((order, rollout_of))
    is_first = np.ones(len(line), dtype=bool)
    is_first[line[1:]] = rollout_of[line[1:]] != rollout_of[line[:-1]]
    return is_first


def _from_the_end(following: Int[Array, " U"]) -> list[Int[Array, " _"]]:
    """Units that have one after them, those nearest the end first."""
    # A unit waits for its follower, as a child in a tree for its parent.
    return _by_depth(following)[1:]


def _by_depth(parent: Int[Array, " U"]) -> list[Int[Array, " _"]]:
    """The nodes of a forest by their distance from a root; a root's parent is -1."""
    depth = np.where(parent < 0, 0, -1)
    levels = [np.flatnonzero(depth == 0)]
    while len(levels[-1]):
        waiting = np.flatnonzero(depth < 0)
        here = waiting[depth[parent[waiting]] == len(levels) - 1]
        depth[here] = len(levels)
        levels.append(here)
    assert np.all(depth >= 0), "a unit comes before itself"
    return levels[:-1]
