"""The multinomial probit whose errors vary together: GHK simulation with fixed draws.

Legend: B observations, A alternatives (2 to 6), J = A - 1 differences, R draws, M own parameters,
S kinds of people.

Columns are alternatives: column a of every row is the same alternative, and those missing from a
menu are not offered. Only differences of errors can be known, and only up to scale: the covariance
of the errors' differences to alternative 0 is L L', with L lower triangular and L[0, 0] = sqrt(2),
as if errors had unit variance. The own parameters are the rest of L row by row, with the logarithm
of each diagonal entry: (log L_11 with L_10 before it), and so on. A (A - 1) / 2 - 1 in all.
`independent_parameters` gives those of independent errors.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback.derivatives import Curvature, Score
from penchant.numerics.arrays import (
    Array,
    align,
    constant,
    inverse_mills,
    log_ndtr,
    log_sum_exp,
    mask_options,
    namespace,
    ndtri_exp,
    one_hot,
    softmax,
    stack,
    take_option,
    take_options,
)

MOST_ALTERNATIVES = 6
_STEP = 1e-5


def num_parameters(num_alternatives: int) -> int:
    """The free entries of L."""
    return num_alternatives * (num_alternatives - 1) // 2 - 1


def independent_parameters(num_alternatives: int) -> Float[Array, " M"]:
    """The parameters of independent errors with unit variance."""
    size = num_alternatives - 1
    factor = np.linalg.cholesky(np.eye(size) + np.ones((size, size)))
    factor[np.diag_indices(size)] = np.log(np.diag(factor))
    return factor[np.tril_indices(size)][1:]


def log_prob(
    utilities: Float[Array, "B A *S"],
    offered: Bool[Array, "B A"],
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, " B *S"]:
    """Log of the simulated probability of the option each person chose.

    The mean over draws of prod_j Phi(b_j): rivals are taken one after the other, each error drawn
    from the part of its normal in which the chosen option stays ahead (Geweke 1991; Hajivassiliou
    and McFadden 1998; Keane 1994; in Train 2009, section 5.6.3). `draws` are uniform in (0, 1),
    the same for all rows; better evenly spread ones.
    """
    return _simulate(utilities, offered, chosen, draws, parameters).log_p


def score(
    utilities: Float[Array, "B A *S"],
    offered: Bool[Array, "B A"],
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Score:
    """First derivatives of the simulated log-probability itself, backwards through its steps."""
    xp = namespace(utilities)
    run = _simulate(utilities, offered, chosen, draws, parameters)
    J = utilities.shape[1] - 1
    weight = softmax(run.log_terms, axis=-1)
    gap_slopes: list[Array] = [0.0] * J
    factor_slopes = [[0.0 * run.log_p for _ in range(J)] for _ in range(J)]
    error_slopes = [0.0 * weight for _ in range(J)]
    for j in range(J - 1, -1, -1):
        mills = inverse_mills(run.bounds[j])
        slope = mills * weight + error_slopes[j] * (mills / inverse_mills(run.errors[j]))
        slope = slope / run.factor[..., j, j][..., None]
        gap_slopes[j] = xp.sum(slope, axis=-1)
        factor_slopes[j][j] = -xp.sum(slope * run.finite_bounds[j], axis=-1)
        for i in range(j):
            factor_slopes[j][i] = -xp.sum(slope * run.errors[i], axis=-1)
            error_slopes[i] = error_slopes[i] - slope * run.factor[..., j, i][..., None]
    pull = stack(gap_slopes, axis=1)
    spread = align(one_hot(run.rivals, J + 1, pull), pull[:, :, None])
    hit = align(one_hot(chosen, J + 1, pull), pull)
    rivals = xp.sum(spread * pull[:, :, None], axis=1)
    rows = [stack(row, axis=-1) for row in factor_slopes]
    return Score(
        utilities=hit * xp.sum(pull, axis=1, keepdims=True) - rivals,
        parameters=_parameter_slopes(stack(rows, axis=-2), run, parameters, chosen, utilities),
    )


def curvature(
    utilities: Float[Array, "B A *S"],
    offered: Bool[Array, "B A"],
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Curvature:
    """Minus the second derivatives, as central differences of the exact score.

    The simulator has no second derivative short enough to be worth its page; the error of these is
    about 1e-9.
    """
    xp = namespace(utilities)
    A = utilities.shape[1]
    parameters = 0.0 * utilities[:, :1] + align(parameters, utilities)
    point = xp.concat([utilities, parameters], axis=1)
    columns = []
    for v in range(point.shape[1]):
        step = _STEP * align(one_hot(constant(np.array([v]), point), point.shape[1], point), point)
        up, down = (
            score(moved[:, :A], offered, chosen, draws, moved[:, A:])
            for moved in (point + step, point - step)
        )
        change = [xp.concat([found.utilities, found.parameters], axis=1) for found in (up, down)]
        columns.append((change[0] - change[1]) / (2 * _STEP))
    bend = -stack(columns, axis=2)
    bend = 0.5 * (bend + xp.moveaxis(bend, 1, 2))
    return Curvature(utilities=bend[:, :A, :A], cross=bend[:, :A, A:], parameters=bend[:, A:, A:])


def probabilities(
    utilities: Float[Array, "B A *S"],
    offered: Bool[Array, "B A"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, "B A *S"]:
    """The simulated probability of each alternative, scaled to sum to one; zero if not offered."""
    columns = []
    for a in range(utilities.shape[1]):
        chosen = constant(np.full(utilities.shape[0], a), utilities)
        columns.append(log_prob(utilities, offered, chosen, draws, parameters))
    return softmax(mask_options(stack(columns, axis=1), offered, fill=-math.inf), axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """One pass of the simulator; lists run over the J rivals, arrays end in the draws."""

    log_p: Float[Array, " B *S"]
    log_terms: Float[Array, "B *S R"]
    rivals: Int[Array, "B J"]
    factor: Float[Array, "B *#S J J"]
    bounds: list[Array]
    finite_bounds: list[Array]
    errors: list[Array]


def _simulate(
    utilities: Float[Array, "B A *S"],
    offered: Bool[Array, "B A"],
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> _Run:
    xp = namespace(utilities)
    J = utilities.shape[1] - 1
    rivals = constant(_others(J + 1), chosen)[chosen]
    gaps = take_option(utilities, chosen)[:, None] - take_options(utilities, rivals)
    is_absent = xp.logical_not(take_options(offered, rivals))
    factor = _factor_of_chosen(align(parameters, utilities), chosen)
    log_uniform = xp.log(constant(draws, utilities))
    bounds: list[Array] = []
    finite_bounds: list[Array] = []
    errors: list[Array] = []
    log_terms = 0.0
    for j in range(J):
        bound = gaps[:, j][..., None] + 0.0 * log_uniform[:, j]
        for i in range(j):
            bound = bound - factor[..., j, i][..., None] * errors[i]
        bound = bound / factor[..., j, j][..., None]
        # A rival that is not there bounds nothing, and its error is drawn from all of its normal.
        absent = align(is_absent[:, j], bound)
        finite_bounds.append(xp.where(absent, 0.0, bound))
        log_phi = xp.where(absent, 0.0, log_ndtr(finite_bounds[j]))
        bounds.append(xp.where(absent, math.inf, bound))
        errors.append(ndtri_exp(log_uniform[:, j] + log_phi))
        log_terms = log_terms + log_phi
    log_p = log_sum_exp(log_terms, axis=-1) - math.log(draws.shape[0])
    return _Run(
        log_p=log_p,
        log_terms=log_terms,
        rivals=rivals,
        factor=factor,
        bounds=bounds,
        finite_bounds=finite_bounds,
        errors=errors,
    )


def _others(num_alternatives: int) -> Int[Array, "A J"]:
    """For each alternative all others, in order."""
    return np.array(
        [[a for a in range(num_alternatives) if a != c] for c in range(num_alternatives)]
    )


def _contrasts(num_alternatives: int) -> Float[Array, "A J J"]:
    """Maps differences to alternative 0 into differences of the others to each alternative."""
    to_base = np.eye(num_alternatives)[:, 1:]
    return np.stack(
        [to_base[others] - to_base[c] for c, others in enumerate(_others(num_alternatives))]
    )


def _base_factor(parameters: Float[Array, "B M *S"]) -> Float[Array, "B *S J J"]:
    """The lower triangular L."""
    xp = namespace(parameters)
    J = round((math.sqrt(9 + 8 * parameters.shape[1]) - 1) / 2)
    zero = 0.0 * xp.sum(parameters, axis=1)
    rows, free = [], 0
    for i in range(J):
        row = []
        for k in range(J):
            if k > i:
                row.append(zero)
            elif i == 0:
                row.append(zero + math.sqrt(2.0))
            else:
                entry = parameters[:, free]
                row.append(xp.exp(entry) if k == i else entry)
                free += 1
        rows.append(stack(row, axis=-1))
    return stack(rows, axis=-2)


def _factor_of_chosen(
    parameters: Float[Array, "#B M *#S"], chosen: Int[Array, " B"]
) -> Float[Array, "B *#S J J"]:
    """The factor of the covariance of the rivals' errors minus the chosen one's."""
    xp = namespace(parameters)
    base = _base_factor(parameters)
    contrast = constant(_contrasts(base.shape[-1] + 1), base)[chosen]
    contrast = contrast.reshape((len(chosen),) + (1,) * (base.ndim - 3) + contrast.shape[1:])
    mapped = xp.matmul(contrast, base)
    return xp.linalg.cholesky(xp.matmul(mapped, _transpose(mapped)))


def _parameter_slopes(
    factor_slope: Float[Array, "B *S J J"],
    run: _Run,
    parameters: Float[Array, "#B M *#S"],
    chosen: Int[Array, " B"],
    like: Float[Array, "B A *S"],
) -> Float[Array, "B M *S"]:
    """From the slopes to the factor back to those to the parameters (Murray 2016, section 2)."""
    xp = namespace(like)
    parameters = align(parameters, like)
    base = _base_factor(parameters)
    J = base.shape[-1]
    inverse = xp.linalg.inv(run.factor)
    lower = constant(np.tril(np.ones((J, J))) - 0.5 * np.eye(J), like)
    inner = lower * xp.matmul(_transpose(run.factor), factor_slope)
    covariance_slope = xp.matmul(xp.matmul(_transpose(inverse), inner + _transpose(inner)), inverse)
    contrast = constant(_contrasts(J + 1), like)[chosen]
    contrast = contrast.reshape((len(chosen),) + (1,) * (base.ndim - 3) + contrast.shape[1:])
    base_slope = xp.matmul(
        xp.matmul(_transpose(contrast), covariance_slope), xp.matmul(contrast, base)
    )
    columns = [
        base_slope[..., i, k] * (base[..., i, i] if i == k else 1.0)
        for i in range(1, J)
        for k in range(i + 1)
    ]
    return stack(columns, axis=1) if columns else 0.0 * like[:, :0]


def _transpose(x: Float[Array, "... J K"]) -> Float[Array, "... K J"]:
    return namespace(x).moveaxis(x, -1, -2)
