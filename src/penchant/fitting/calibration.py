"""From worths to probabilities that come true: somebody else's scores, on answers kept aside.

A model trained too long has worths in the right order and probabilities far too sure. Ranks do not
mind; decisions by expected cost do.

Legend: B observations, K options (classes), M parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.fitting.lbfgs import Slope, climb_lbfgs
from penchant.numerics.arrays import Array, log_sum_exp, softmax
from penchant.numerics.threads import one_blas_thread


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """p = softmax(worths @ matrix + shift). log_likelihood: nats, of what it was fitted on."""

    matrix: Float[Array, "K K"]
    shift: Float[Array, " K"]
    log_likelihood: float

    def probabilities(self, worths: Float[Array, "B K"]) -> Float[Array, "B K"]:
        """Of each option. Under a temperature the likeliest stays who it was."""
        return softmax(worths @ self.matrix + self.shift, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class MonotoneMap:
    """A probability for every score that never falls as the score rises; straight lines between
    the scores it was learnt from, constant beyond them."""

    score: Float[Array, " M"]
    share: Float[Array, " M"]

    def probabilities(self, score: Float[Array, "*B"]) -> Float[Array, "*B"]:
        return np.interp(score, self.score, self.share)


@one_blas_thread
def fit_calibration(
    worths: Float[Array, "B K"],
    chosen: Int[Array, " B"],
    kind: str = "temperature",
    *,
    prior_scale: float = 1.0,
) -> Calibration:
    """The conditional logit of given worths, by maximum likelihood.

    "temperature": a u, a > 0 (Guo et al. 2017), for options whose numbers mean nothing too.
    "shifted": a u_k + b_k (vector scaling with one slope). "matrix": u' A + b, near a times the
    identity by a normal prior of `prior_scale` on what differs from it; on log-probabilities it is
    Dirichlet calibration (Kull et al. 2019). b has the same prior, which a temperature has no use
    for; log a ~ N(0, 3^2). To be fitted on answers that the worths' model has not seen: on its own
    it finds everything right.

    Raises `DataError` for worths that are not finite, `ConfigError` for another kind or a scale
    that is not positive.
    """
    if not prior_scale > 0:
        raise ConfigError(f"got prior_scale={prior_scale}; expected a positive number, such as 1.")
    if kind not in ("temperature", "shifted", "matrix"):
        raise ConfigError(f"got kind={kind!r}; expected 'temperature', 'shifted' or 'matrix'.")
    _check(worths, chosen)
    size, rows = worths.shape[1], np.arange(len(chosen))
    free = {"temperature": 1, "shifted": 1 + size, "matrix": 1 + size + size**2}[kind]

    def split(theta: Float[Array, " M"]) -> tuple[Float[Array, "K K"], Float[Array, " K"]]:
        whole = np.zeros(1 + size + size**2)
        whole[:free] = theta
        # The logarithm of the slope: it stays positive.
        matrix = np.exp(whole[0]) * np.eye(size) + whole[1 + size :].reshape(size, size)
        return matrix, whole[1 : 1 + size]

    def slope(theta: Float[Array, " M"]) -> Slope:
        matrix, shift = split(theta)
        told = worths @ matrix + shift
        value = float((told[rows, chosen] - log_sum_exp(told, axis=1)).sum())
        pull = -softmax(told, axis=1)
        pull[rows, chosen] += 1.0
        by_matrix = worths.T @ pull
        by_slope = np.exp(theta[0]) * np.trace(by_matrix)
        gradient = np.concatenate([[by_slope], pull.sum(axis=0), by_matrix.ravel()])[:free]
        gradient[1:] -= theta[1:] / prior_scale**2
        # Worths without a mistake ask for a slope without bound.
        gradient[0] -= theta[0] / 9.0
        own = 0.5 * float((theta[1:] ** 2).sum()) / prior_scale**2 + 0.5 * float(theta[0]) ** 2 / 9
        return Slope(value=value - own, gradient=gradient)

    matrix, shift = split(climb_lbfgs(slope, np.zeros(free), max_steps=1000).theta)
    told = worths @ matrix + shift
    nats = (told[rows, chosen] - log_sum_exp(told, axis=1)).sum()
    return Calibration(matrix=matrix, shift=shift, log_likelihood=float(nats))


def fit_monotone(score: Float[Array, " B"], share: Float[Array, " B"]) -> MonotoneMap:
    """The monotone share nearest in squares to what came true, by pooling adjacent violators (Ayer
    et al. 1955; Zadrozny and Elkan 2002), such as who wins by the margin of a reward model.

    share: 0 or 1, or anything between. Scores that are equal get one share.

    Raises `DataError` without answers or for scores that are not finite.
    """
    from scipy.optimize import isotonic_regression

    if not len(score) or not (np.all(np.isfinite(score)) and np.all((share >= 0) & (share <= 1))):
        raise DataError(
            f"{len(score)} scores are not all finite with a share from 0 to 1; expected at least "
            "one that is. Drop the others."
        )
    levels, place = np.unique(score, return_inverse=True)
    count = np.bincount(place)
    mean = np.bincount(place, share) / count
    found = isotonic_regression(mean, weights=count.astype(np.float64))
    return MonotoneMap(score=levels, share=np.asarray(found.x))


def _check(worths: Float[Array, "B K"], chosen: Int[Array, " B"]) -> None:
    if not len(chosen) or not np.all(np.isfinite(worths)):
        raise DataError(
            "there are no answers, or worths that are not finite numbers; expected at least one "
            "answer and finite worths. Drop the others."
        )
    if chosen.min() < 0 or chosen.max() >= worths.shape[1]:
        raise DataError(
            f"options {chosen.min()} to {chosen.max()} were chosen of {worths.shape[1]}; expected "
            f"0 to {worths.shape[1] - 1}. Number options by the columns of worths."
        )
