"""The two values that every likelihood gives beside its density, and the pieces they are made of.

Legend: B observations, K (and L) options, M (and N) own parameters of the likelihood,
S kinds of people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, align, constant, namespace


@dataclass(frozen=True, kw_only=True, eq=False)
class Score:
    """First derivatives of the log-density: per unit of utility, per unit of own parameter."""

    utilities: Float[Array, "B K *S"]
    parameters: Float[Array, "B M *S"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Curvature:
    """MINUS the second derivatives of the log-density, which is the observed information."""

    utilities: Float[Array, "B K L *S"]
    cross: Float[Array, "B K M *S"]
    parameters: Float[Array, "B M N *S"]


def score_of_utilities(utilities: Float[Array, "B K *S"]) -> Score:
    """The score of a likelihood without own parameters."""
    return Score(utilities=utilities, parameters=utilities[:, :0])


def curvature_of_utilities(utilities: Float[Array, "B K L *S"]) -> Curvature:
    """The curvature of a likelihood without own parameters."""
    return Curvature(
        utilities=utilities, cross=utilities[:, :, :0], parameters=utilities[:, :0, :0]
    )


def outer(a: Float[Array, "B K *#S"], b: Float[Array, "B L *#S"]) -> Float[Array, "B K L *#S"]:
    """a_k b_l in each row and kind of people."""
    return a[:, :, None] * b[:, None, :]


def diagonal(x: Float[Array, "B K *S"]) -> Float[Array, "B K K *S"]:
    """x_k where k = l, and 0 elsewhere."""
    eye = constant(np.eye(x.shape[1]), x)
    return x[:, :, None] * align(eye[None], x[:, :, None])


def multinomial_curvature(p: Float[Array, "B K *S"]) -> Float[Array, "B K K *S"]:
    """diag(p) - p p' of probabilities p, the information in one draw from a softmax.

    The diagonal is the sum of the rest of its row, so that it keeps its digits when p nears 1.
    """
    xp = namespace(p)
    products = outer(p, p)
    off = align(constant(1.0 - np.eye(p.shape[1]), p)[None], products) * products
    return diagonal(xp.sum(off, axis=2)) - off
