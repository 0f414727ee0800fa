"""The probability that a set of options comes before the rest, in whatever order: exact ties.

A tie in a ranking says that the order within it is not known. Its probability under Plackett-Luce
is the sum over all orders of the tied options, here by dynamic programming over subsets, 2^n
steps instead of n! orders.

Legend: B tie groups of one size, T tied options, V = T + 1 variables (the tied options' utilities,
then the log of the total weight of all that come after), S kinds of people.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from jaxtyping import Float

from penchant.feedback.derivatives import diagonal, outer
from penchant.numerics.arrays import Array, log_sum_exp, namespace, softmax, stack


@dataclass(frozen=True, kw_only=True, eq=False)
class TieDerivatives:
    """Of the log-probability to the V variables: the tied utilities, then `rest`."""

    gradient: Float[Array, "B V *S"]
    hessian: Float[Array, "B V W *S"] | None


def log_prob(
    utilities: Float[Array, "B T *S"], rest: Float[Array, " B *S"]
) -> Float[Array, " B *S"]:
    """log of sum over orders o of prod_i exp(u_o(i)) / (exp(rest) + sum_{j >= i} exp(u_o(j))).

    With f(A) the same sum for a subset A of the tied options, f of nothing is 1 and
    f(A) = sum_{i in A} w_i f(A without i) / (W_rest + sum_{j in A} w_j), with w = exp(u).
    """
    empty = 0.0 * rest
    found: dict[tuple[int, ...], Array] = {(): empty}
    for subset in _subsets(utilities.shape[1]):
        first = [utilities[:, i] + found[_without(subset, i)] for i in subset]
        found[subset] = log_sum_exp(stack(first, axis=1), axis=1) - _log_total(
            utilities, rest, subset
        )
    return found[tuple(range(utilities.shape[1]))]


def derivatives(
    utilities: Float[Array, "B T *S"], rest: Float[Array, " B *S"], *, has_hessian: bool
) -> TieDerivatives:
    """First and, where asked for, second derivatives, carried along the same recursion."""
    size = utilities.shape[1]
    variables = namespace(utilities).concat([utilities, rest[:, None]], axis=1)
    nothing = 0.0 * variables
    start = (0.0 * rest, nothing, nothing[:, :, None] * nothing[:, None])
    found: dict[tuple[int, ...], tuple[Array, Array, Array]] = {(): start}
    for subset in _subsets(size):
        previous = [found[_without(subset, i)] for i in subset]
        first = stack([utilities[:, i] + f for i, (f, _, _) in zip(subset, previous)], axis=1)
        share = softmax(first, axis=1)
        # Who of the subset came first: each adds one to its own slope.
        slopes = [_bump(gradient, i) for i, (_, gradient, _) in zip(subset, previous)]
        total = _softmax_over(variables, (*subset, size))
        mean = _mix(share, slopes)
        bend = nothing[:, :, None]
        if has_hessian:
            bends = [
                hessian + outer(slope, slope) for slope, (_, _, hessian) in zip(slopes, previous)
            ]
            bend = _mix(share, bends) - outer(mean, mean)
            bend = bend - diagonal(total) + outer(total, total)
        value = log_sum_exp(first, axis=1) - _log_total(utilities, rest, subset)
        found[subset] = (value, mean - total, bend)
        # Only sets of one option less are ever looked up again.
        found = {key: kept for key, kept in found.items() if len(key) >= len(subset) - 1}
    _, gradient, hessian = found[tuple(range(size))]
    return TieDerivatives(gradient=gradient, hessian=hessian if has_hessian else None)


def _subsets(size: int) -> Iterator[tuple[int, ...]]:
    """All subsets but the empty one, smaller ones first."""
    return (s for count in range(1, size + 1) for s in combinations(range(size), count))


def _without(subset: tuple[int, ...], gone: int) -> tuple[int, ...]:
    return tuple(i for i in subset if i != gone)


def _log_total(utilities: Array, rest: Array, subset: tuple[int, ...]) -> Array:
    return log_sum_exp(stack([rest, *(utilities[:, i] for i in subset)], axis=1), axis=1)


def _softmax_over(variables: Float[Array, "B V *S"], subset: tuple[int, ...]) -> Array:
    """The softmax over some of the variables, zero at the others."""
    weights = softmax(stack([variables[:, v] for v in subset], axis=1), axis=1)
    place = {v: i for i, v in enumerate(subset)}
    columns = [
        weights[:, place[v]] if v in place else 0.0 * weights[:, 0]
        for v in range(variables.shape[1])
    ]
    return stack(columns, axis=1)


def _bump(gradient: Float[Array, "B V *S"], place: int) -> Float[Array, "B V *S"]:
    columns = [gradient[:, v] + (1.0 if v == place else 0.0) for v in range(gradient.shape[1])]
    return stack(columns, axis=1)


def _mix(share: Float[Array, "B N *S"], values: list[Array]) -> Array:
    """sum_i share_i value_i, whatever axes the values have behind the first."""
    total = 0.0
    for i, value in enumerate(values):
        extra = value.ndim - (share.ndim - 1)
        weight = share[:, i]
        total = total + weight.reshape((weight.shape[0],) + (1,) * extra + weight.shape[1:]) * value
    return total
