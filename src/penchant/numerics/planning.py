"""Planning in finite worlds: values and policies by iteration, hard or soft, and what follows them.

Legend: N states, A actions, F features of a step.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, log_sum_exp, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class FiniteWorld:
    """moves[s, a, s']: probability of the next state. ends: states where nothing comes after and
    nothing is earned. discount: of each step, 0 to 1; 1 where every policy of interest ends."""

    moves: Float[Array, "N A N"]
    ends: Bool[Array, " N"]
    discount: float

    @classmethod
    def deterministic(
        cls, following: Int[Array, "N A"], ends: Bool[Array, " N"], discount: float
    ) -> "FiniteWorld":
        """From the next state of each state and action."""
        return cls(moves=np.eye(len(following))[following], ends=ends, discount=discount)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """Values of states and of actions in them, and the policy: a probability of each action."""

    values: Float[Array, " N"]
    action_values: Float[Array, "N A"]
    policy: Float[Array, "N A"]


def plan(
    world: FiniteWorld,
    rewards: Float[Array, "N A"],
    *,
    temperature: float = 0.0,
    tolerance: float = 1e-9,
    max_sweeps: int = 10_000,
) -> Plan:
    """Value iteration (Bellman 1957): Q = r + gamma E V(s'), V = max_a Q.

    With a temperature, V = t log sum_a exp(Q / t) and the policy is softmax(Q / t) (Ziebart 2010):
    the choice model of people who plan (Rust 1987), without the constant of the Gumbel's mean.

    Raises `ConfigError` where values do not settle, as of rewards that a policy may collect for
    ever without discount, and for a temperature below zero.
    """
    if not temperature >= 0.0:
        raise ConfigError(
            f"got temperature={temperature}; expected 0 for the best policy, more for a soft one."
        )
    open_ = ~world.ends
    values = np.zeros(len(rewards))
    if temperature == 0.0 and world.discount < 1.0:
        values = _howard(world, rewards)
    elif world.discount < 1.0:
        values = _soft_howard(world, rewards, temperature)
    for _ in range(max_sweeps):
        action_values = np.where(
            open_[:, None], rewards + world.discount * (world.moves @ values), 0.0
        )
        fresh = action_values.max(axis=1)
        if temperature > 0.0:
            fresh = temperature * log_sum_exp(action_values / temperature, axis=1)
        fresh = np.where(open_, fresh, 0.0)
        moved = np.abs(fresh - values).max()
        values = fresh
        if moved <= tolerance * max(1.0, np.abs(values).max()):
            break
    else:
        raise ConfigError(
            f"values still move by {moved:.3g} after {max_sweeps} sweeps with discount "
            f"{world.discount}; expected them to settle. Discount, or make every step cost."
        )
    if temperature > 0.0:
        return Plan(
            values=values,
            action_values=action_values,
            policy=softmax(action_values / temperature, axis=1),
        )
    best = action_values >= action_values.max(axis=1, keepdims=True) - 1e-9
    return Plan(
        values=values,
        action_values=action_values,
        policy=best / best.sum(axis=1, keepdims=True),
    )


def _howard(world: FiniteWorld, rewards: Float[Array, "N A"], max_rounds: int = 50) -> Array:
    """Policy iteration (Howard 1960): a few linear systems in place of hundreds of sweeps."""
    best = rewards.argmax(axis=1)
    every = np.arange(len(rewards))
    for _ in range(max_rounds):
        policy = np.zeros(rewards.shape)
        policy[every, best] = 1.0
        values = policy_values(world, policy, rewards)
        ahead = rewards + world.discount * (world.moves @ values)
        # A tie changes nothing, or two equal policies would take turns for ever.
        better = ahead.max(axis=1) > ahead[every, best] + 1e-10
        if not better.any():
            break
        best = np.where(better, ahead.argmax(axis=1), best)
    return values


def _soft_howard(
    world: FiniteWorld, rewards: Float[Array, "N A"], temperature: float, max_rounds: int = 50
) -> Array:
    """The same for soft values: what a policy earns and is paid for leaving things open. Newton's
    method on their equation, so that digits double from round to round."""
    values = np.zeros(len(rewards))
    for _ in range(max_rounds):
        ahead = (rewards + world.discount * (world.moves @ values)) / temperature
        log_policy = ahead - log_sum_exp(ahead, axis=1)[:, None]
        policy = np.exp(log_policy)
        fresh = policy_values(world, policy, rewards - temperature * log_policy)
        moved = np.abs(fresh - values).max()
        values = fresh
        if moved <= 1e-10 * max(1.0, np.abs(values).max()):
            break
    return values


def successor_features(
    world: FiniteWorld, policy: Float[Array, "N A"], features: Float[Array, "N A F"]
) -> Float[Array, "N F"]:
    """psi(s) = E sum_t gamma^t phi(s_t, a_t) of a policy from each state on (Dayan 1993).

    Its value of any reward phi w is psi w. Of the best (or soft) policy for w it is also the
    gradient of the value by w: how the policy would change matters only at second order.

    Raises `ConfigError` for a policy that need never end, without discount.
    """
    going = np.where(world.ends[:, None], 0.0, policy)
    onward = np.einsum("sa,sat->st", going, world.moves)
    system = np.eye(len(policy)) - world.discount * onward
    try:
        return np.linalg.solve(system, np.einsum("sa,saf->sf", going, features))
    except np.linalg.LinAlgError as error:
        raise ConfigError(
            "the policy may go on for ever and nothing is discounted, so that it has no value; "
            "expected a discount below 1 or a policy that ends."
        ) from error


def policy_values(
    world: FiniteWorld, policy: Float[Array, "N A"], rewards: Float[Array, "N A"]
) -> Float[Array, " N"]:
    """What a policy earns from each state on."""
    return successor_features(world, policy, rewards[:, :, None])[:, 0]


def share_of_best(
    world: FiniteWorld,
    learnt: Float[Array, "N A"],
    rewards: Float[Array, "N A"],
    starts: Bool[Array, " N"] | None = None,
) -> float:
    """What the best plan for rewards that were learnt earns in truth, on average over where one
    starts: 0 as much as steps at random, 1 as much as the best; NaN where these are the same.

    Raises `ConfigError` where nothing is discounted and one of the plans need never end.
    """
    random = np.full(rewards.shape, 1.0 / rewards.shape[1])
    tried = (random, plan(world, learnt).policy, plan(world, rewards).policy)
    begun = ~world.ends if starts is None else starts
    low, found, top = (policy_values(world, each, rewards)[begun].mean() for each in tried)
    return float((found - low) / (top - low)) if top > low else float("nan")


def best_cycle_mean(following: Int[Array, "N A"], rewards: Float[Array, "N A"]) -> float:
    """The largest reward a step of all cycles that can be reached from the first state.

    max_s min_{k < n} (F_n(s) - F_k(s)) / (n - k), F_k(s) the most that k steps to s earn (Karp
    1978): what a deterministic world pays on average in the long run, exactly. Takes N^2 A
    operations and N^2 numbers.
    """
    num = len(following)
    most = np.full((num + 1, num), -np.inf)
    most[0, 0] = 0.0
    target = following.ravel()
    for k in range(num):
        np.maximum.at(most[k + 1], target, (most[k][:, None] + rewards).ravel())
    steps = np.arange(num, 0, -1)[:, None]
    with np.errstate(invalid="ignore"):
        # A state that k steps cannot reach puts no bound on what its cycles earn.
        mean = np.where(np.isfinite(most[:-1]), (most[-1] - most[:-1]) / steps, np.inf)
    worst = np.where(np.isfinite(most[-1]), mean.min(axis=0), -np.inf)
    return float(worst.max())
