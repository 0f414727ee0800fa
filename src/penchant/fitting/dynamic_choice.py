"""Rewards from the choices of people who look ahead: dynamic discrete choice, with doubt.

Legend: N paths, T steps (T1 = T + 1), S states, A actions (A1 = A - 1), F features of a step.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.fitting.newton import Evaluation, maximise
from penchant.fitting.value_system import Paths
from penchant.numerics.arrays import Array, log_sum_exp, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class DynamicChoice:
    """quality: soft action values, those of the anchor 0; values: log sum_a exp quality, 0 after
    the last step. weights: reward per unit of each feature, step by step. doubt: |phi| in the
    inverse of the step's ridged moments, so that `bonus` times it is what pessimism takes off."""

    quality: Float[Array, "T S A"]
    values: Float[Array, "T1 S"]
    weights: Float[Array, "T F"]
    reward: Float[Array, "T S A"]
    doubt: Float[Array, "T S A"]

    def pessimistic(self, bonus: float) -> Float[Array, "T S A"]:
        """Rewards less what is not known of them, `bonus` in rewards per unit of doubt."""
        return self.reward - bonus * self.doubt


def fit_dynamic_choice(
    features: Float[Array, "S A F"],
    transition: Float[Array, "S A S"],
    paths: Paths,
    *,
    anchor: int = 0,
    discount: float = 1.0,
    prior_scale: float = 5.0,
    ridge: float = 1e-3,
) -> DynamicChoice:
    """Action values by likelihood, rewards by Bellman's equation (Li, Yang and Wang 2023).

    People choose a with probability exp Q_t(s, a) / sum_b exp Q_t(s, b), where Q_t = r_t + gamma
    E V_(t+1) and V = log sum_a exp Q (Rust 1987; the constant of the Gumbel's mean is left out).
    Choices tell Q but for a number of each state, fixed here by Q_t(s, anchor) = 0; Q_t - gamma
    E V_(t+1) is regressed on the features by ridge. The truth must obey the anchor for rewards to
    be its own: another one gives r + f_t(s) - gamma E f_(t+1)(s'), with the same best policy.

    features, transition: known; a path that ends at T is worth nothing afterwards. prior_scale: of
    Q, whatever nobody visited staying at 0. The moves are used as they are where the paper uses
    those observed: of many paths the same.

    Raises `DataError` for paths that leave the world, `ConfigError` for settings out of range.
    """
    _check(features, paths, anchor, discount, ridge, prior_scale)
    horizon, (num_states, num_actions, size) = paths.state.shape[1], features.shape
    quality = np.zeros((horizon, num_states, num_actions))
    values = np.zeros((horizon + 1, num_states))
    weights, doubt = np.zeros((horizon, size)), np.zeros(quality.shape)
    for step in reversed(range(horizon)):
        count = np.zeros((num_states, num_actions))
        np.add.at(count, (paths.state[:, step], paths.action[:, step]), 1.0)
        quality[step] = _action_values(count, anchor, prior_scale)
        values[step] = log_sum_exp(quality[step], axis=1)
        target = quality[step] - discount * transition @ values[step + 1]
        moments = np.einsum("sa,saf,sag->fg", count, features, features) + ridge * np.eye(size)
        seen = np.einsum("sa,sa,saf->f", count, target, features)
        weights[step] = np.linalg.solve(moments, seen)
        reach = np.einsum("saf,fg,sag->sa", features, np.linalg.inv(moments), features)
        doubt[step] = np.sqrt(np.maximum(reach, 0.0))
    return DynamicChoice(
        quality=quality, values=values, weights=weights, doubt=doubt,
        reward=np.einsum("saf,tf->tsa", features, weights),
    )  # fmt: skip


def _action_values(
    count: Float[Array, "S A"], anchor: int, prior_scale: float
) -> Float[Array, "S A"]:
    """Each state's logit, the anchor's 0: the posterior mode under a normal prior."""
    free = np.delete(np.arange(count.shape[1]), anchor)
    told = np.zeros(count.shape)
    for state in np.flatnonzero(count.sum(axis=1) > 0):
        told[state, free] = _logit_mode(count[state], free, prior_scale)
    return told


def _logit_mode(
    count: Float[Array, " A"], free: Int[Array, " A1"], prior_scale: float
) -> Float[Array, " A1"]:
    total, precision = count.sum(), prior_scale**-2

    def evaluate(theta: Float[Array, " A1"]) -> Evaluation:
        worth = np.zeros((1, len(count)))
        worth[0, free] = theta
        p = softmax(worth, axis=1)[0][free]
        value = float(count @ worth[0] - total * log_sum_exp(worth, axis=1)[0])
        return Evaluation(
            value=value - 0.5 * precision * float(theta @ theta),
            gradient=count[free] - total * p - precision * theta,
            information=total * (np.diag(p) - np.outer(p, p)) + precision * np.eye(len(free)),
        )

    return maximise(evaluate, np.zeros(len(free))).theta


def _check(
    features: Float[Array, "S A F"], paths: Paths, anchor: int, discount: float, ridge: float,
    prior_scale: float,
) -> None:  # fmt: skip
    if not (0 <= anchor < features.shape[1] and 0 <= discount <= 1):
        raise ConfigError(
            f"got anchor={anchor}, discount={discount}; expected an action from 0 to "
            f"{features.shape[1] - 1} and a discount from 0 to 1."
        )
    if not (ridge > 0 and prior_scale > 0):
        raise ConfigError(f"got ridge={ridge}, prior_scale={prior_scale}; expected positive ones.")
    paths.check(features.shape[0], features.shape[1])
