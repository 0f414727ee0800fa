"""What somebody's values weigh, from what they did and from what they preferred: one utility.

Legend: N paths, T steps, V values, S states, A actions, B pairs of paths.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.fitting.newton import Evaluation, Optimum, maximise
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid
from penchant.numerics.planning_horizon import expected_visits, soft_plan


@dataclass(frozen=True, kw_only=True, eq=False)
class Paths:
    """Demonstrations: the state and the action of every step, all of one length."""

    state: Int[Array, "N T"]
    action: Int[Array, "N T"]

    def check(self, num_states: int, num_actions: int) -> None:
        """Raises `DataError` where a path leaves the world."""
        kinds = ("state", self.state, num_states), ("action", self.action, num_actions)
        for name, index, most in kinds:
            if index.size and (index.min() < 0 or index.max() >= most):
                raise DataError(
                    f"the paths have a {name} numbered {index.min()} or {index.max()}; expected 0 "
                    f"to {most - 1}. Drop these paths, or add the {name} to the world."
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueSystem:
    """weights: in logits per unit of each value, which is importance times how decidedly somebody
    acts; errors: their standard errors; shares: importance alone, summing to one."""

    weights: Float[Array, " V"]
    errors: Float[Array, " V"]
    optimum: Optimum

    @property
    def shares(self) -> Float[Array, " V"]:
        """Negative weights count as none."""
        kept = np.maximum(self.weights, 0.0)
        return kept / max(float(kept.sum()), 1e-300)


def fit_value_system(
    grounding: Float[Array, "S A V"],
    transition: Float[Array, "S A S"],
    *,
    demonstrations: Paths | None = None,
    apart: Float[Array, "B V"] | None = None,
    prior_scale: float = 10.0,
) -> ValueSystem:
    """The weights w under which somebody's paths and preferences are most likely.

    Demonstrations: maximum causal entropy (Ziebart, Bagnell and Dey 2010), log pi_w of each action
    given its state, the reward w' grounding; the gradient is the values they reached less those
    that pi_w would. Preferences: log sigmoid(w' apart), `apart` the preferred path's value totals
    less the other's. Both are log-likelihoods of the same w and add up (Holgado-Sanchez et al.
    2025 identify w from demonstrations alone, after grounding the values by preferences).

    Raises `DataError` with neither, or where a path leaves the world.
    """
    num_values = grounding.shape[2]
    if demonstrations is None and apart is None:
        raise DataError("got neither demonstrations nor preferences; expected at least one kind.")
    if demonstrations is not None:
        demonstrations.check(*grounding.shape[:2])
    compared = np.zeros((0, num_values)) if apart is None else apart

    def slope(weights: Float[Array, " V"]) -> tuple[float, Float[Array, " V"]]:
        gap = compared @ weights
        value = float(log_sigmoid(gap).sum()) - 0.5 * float(weights @ weights) / prior_scale**2
        gradient = compared.T @ sigmoid(-gap) - weights / prior_scale**2
        if demonstrations is not None:
            told, pull = _followed(weights, grounding, transition, demonstrations)
            value, gradient = value + told, gradient + pull
        return value, gradient

    def evaluate(weights: Float[Array, " V"]) -> Evaluation:
        value, gradient = slope(weights)
        # A few values: the curvature is differences of exact gradients.
        step = 1e-4
        bend = np.array([
            (slope(weights - step * axis)[1] - slope(weights + step * axis)[1]) / (2.0 * step)
            for axis in np.eye(num_values)
        ])  # fmt: skip
        return Evaluation(value=value, gradient=gradient, information=0.5 * (bend + bend.T))

    optimum = maximise(evaluate, np.zeros(num_values))
    errors = np.sqrt(np.diag(np.linalg.inv(optimum.information)))
    return ValueSystem(weights=optimum.theta, errors=errors, optimum=optimum)


def _followed(
    weights: Float[Array, " V"],
    grounding: Float[Array, "S A V"],
    transition: Float[Array, "S A S"],
    paths: Paths,
) -> tuple[float, Float[Array, " V"]]:
    """Log-probability of the actions given their states, and its gradient.

    d log pi_t(a | s) / dw = what the action promises of each value less what the policy does: both
    by the same recursion as the values, V times over.
    """
    horizon = paths.state.shape[1]
    plan = soft_plan(grounding @ weights, transition, horizon)
    value, gradient = 0.0, np.zeros(len(weights))
    ahead = np.zeros(grounding.shape[::2])
    for step in reversed(range(horizon)):
        promised = grounding + np.einsum("sat,tv->sav", transition, ahead)
        policy = np.exp(plan.log_policy[step])
        ahead = np.einsum("sa,sav->sv", policy, promised)
        state, action = paths.state[:, step], paths.action[:, step]
        value += float(plan.log_policy[step, state, action].sum())
        gradient += (promised[state, action] - ahead[state]).sum(axis=0)
    return value, gradient


def value_totals(grounding: Float[Array, "S A V"], paths: Paths) -> Float[Array, "N V"]:
    """What each path holds of each value."""
    return grounding[paths.state, paths.action].sum(axis=1)


def expected_totals(
    grounding: Float[Array, "S A V"],
    transition: Float[Array, "S A S"],
    weights: Float[Array, " V"],
    start: Float[Array, " S"],
    horizon: int,
) -> Float[Array, " V"]:
    """What somebody of these weights would reach of each value."""
    plan = soft_plan(grounding @ weights, transition, horizon)
    return np.einsum("sa,sav->v", expected_visits(plan.log_policy, transition, start), grounding)
