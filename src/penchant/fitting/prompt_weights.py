"""Weights of objectives that depend on the prompt: which objective counts, where.

Legend: B pairs, M objectives, X numbers of a prompt.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, log_sigmoid, sigmoid, softmax
from penchant.numerics.threads import one_blas_thread


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptWeights:
    """slopes: per number of the prompt and objective. sharpness: log-odds per unit of the weighted
    sum of scores."""

    slopes: Float[Array, "X M"]
    sharpness: float

    def weights(self, prompt: Float[Array, "B X"]) -> Float[Array, "B M"]:
        """softmax(x' S): positive, one in sum."""
        return softmax(prompt @ self.slopes, axis=1)

    def log_odds(
        self, prompt: Float[Array, "B X"], differences: Float[Array, "B M"]
    ) -> Float[Array, " B"]:
        """That the first is preferred: its scores less the second's, weighed as the prompt says."""
        return self.sharpness * (self.weights(prompt) * differences).sum(axis=1)


@one_blas_thread
def fit_prompt_weights(
    prompt: Float[Array, "B X"],
    differences: Float[Array, "B M"],
    *,
    prior_scale: float = 3.0,
    max_steps: int = 500,
) -> PromptWeights:
    """The mode of sum_b log sigmoid(k softmax(x_b' S) d_b), S ~ N(0, prior_scale^2), k > 0 free.

    differences: scores of the preferred answer less those of the other, one column an objective.
    Only pairs tell of weights: the scores of preferred answers alone (`preferred_weights`) give a
    shrunken picture of them. Needs a constant among the prompt's numbers for weights that differ
    where every prompt is alike. Not concave; the climb starts at equal weights.

    Raises `DataError` for numbers that are not finite, `ConfigError` for a prior that is not one.
    """
    if not (np.all(np.isfinite(prompt)) and np.all(np.isfinite(differences))):
        raise DataError("prompts or differences hold numbers that are not finite; expected so.")
    if not prior_scale > 0:
        raise ConfigError(f"got prior_scale={prior_scale}; expected a positive one.")
    shape = (prompt.shape[1], differences.shape[1])

    def slope(theta: Float[Array, " M1"]) -> Slope:
        slopes, sharp = theta[:-1].reshape(shape), np.exp(theta[-1])
        weight = softmax(prompt @ slopes, axis=1)
        total = (weight * differences).sum(axis=1)
        pull = sigmoid(-sharp * total) * sharp
        by_slope = prompt.T @ (pull[:, None] * weight * (differences - total[:, None]))
        gradient = np.append(by_slope.ravel() - theta[:-1] / prior_scale**2, pull @ total)
        value = float(log_sigmoid(sharp * total).sum())
        value -= 0.5 * float(theta[:-1] @ theta[:-1]) / prior_scale**2
        # A weak prior on the logarithm keeps answers that are never wrong from driving it away.
        gradient[-1] -= theta[-1] / 9.0
        return Slope(value=value - 0.5 * float(theta[-1]) ** 2 / 9.0, gradient=gradient)

    found = climb_lbfgs(slope, np.zeros(shape[0] * shape[1] + 1), max_steps=max_steps).theta
    return PromptWeights(slopes=found[:-1].reshape(shape), sharpness=float(np.exp(found[-1])))


def preferred_weights(
    prompt: Float[Array, "B X"], scores: Float[Array, "B M"], *, ridge: float = 1.0
) -> PromptWeights:
    """The adapter of preference orchestration (2025): softmax weights regressed on the normalised
    scores of preferred answers.

    Target softmax of the standardised scores of the answer that won, model softmax(x' S), fitted by
    least squares of centred logits with a ridge. Where rejected answers are not known it is all
    there is; else a start. The form of the target is inferred.
    """
    apart = (scores - scores.mean(axis=0)) / np.maximum(scores.std(axis=0), 1e-12)
    logits = apart - apart.mean(axis=1, keepdims=True)
    normal = prompt.T @ prompt + ridge * np.eye(prompt.shape[1])
    return PromptWeights(slopes=np.linalg.solve(normal, prompt.T @ logits), sharpness=1.0)
