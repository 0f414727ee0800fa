"""When the data push an estimate to infinity: found, bounded, and said in a sentence.

Legend: M parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from penchant.numerics.arrays import Array

# Standard deviation of the weak prior, in utility per standard deviation of the feature within
# menus: at 5, one standard deviation of the feature may turn even odds into 150 to 1.
WEAK_SCALE = 5.0
# Estimates beyond so many such units are looked at one by one where no matrix is at hand.
FAR = 8.0
MOST_LOOKED_AT = 200
# A direction whose standard error exceeds 100 such units is not being estimated.
FLAT = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Runaway:
    """Parameters that the data do not bound. `identified` tells separation (the data prefer
    infinity) from collinearity (the data say nothing at all)."""

    parameters: Bool[Array, " M"]
    identified: Bool[Array, " M"]


def runaway_directions(
    information: Float[Array, "M M"],
    information_at_zero: Callable[[], Float[Array, "M M"]],
    scales: Float[Array, " M"],
) -> Runaway:
    """The parameters in directions along which the information is gone (Albert and Anderson 1984).

    Both informations are measured per standard deviation of the feature. A direction that is flat
    at the optimum but not at zero is separation: the likelihood rises for ever along it. One that
    is flat at both is not identified. `information_at_zero` is asked for only if one is found.
    """
    size = np.where(scales > 0, scales, 1.0)
    values, vectors = np.linalg.eigh(information / size[:, None] / size)
    involved = np.zeros(len(size), dtype=bool)
    identified = np.zeros(len(size), dtype=bool)
    if np.all(values > FLAT):
        return Runaway(parameters=involved, identified=identified)
    at_zero = information_at_zero() / size[:, None] / size
    largest = float(np.abs(np.diag(at_zero)).max(initial=1e-300))
    for value, vector in zip(values, vectors.T):
        if value > FLAT:
            break
        inside = np.abs(vector) > 0.05 * np.abs(vector).max()
        involved |= inside
        if vector @ at_zero @ vector > 1e-9 * largest:
            identified |= inside
    return Runaway(parameters=involved, identified=identified)


def far_parameters(
    theta: Float[Array, " M"],
    information_times: Callable[[Float[Array, " M"]], Float[Array, " M"]],
    scales: Float[Array, " M"],
) -> Runaway:
    """Parameters far out along which the information is gone, from products with it alone.

    For fits too large for `runaway_directions`: the climb itself has carried a separated parameter
    far from zero. Looked at are the axes of far parameters (the `MOST_LOOKED_AT` farthest) and the
    direction of all of them together. Collinear features, which stay near zero, are not found.
    """
    size = np.where(scales > 0, scales, 1.0)
    distance = np.abs(theta * size)
    far = np.argsort(-distance)[: int(np.sum(distance > FAR))]
    involved = np.zeros(len(theta), dtype=bool)
    if len(far):
        together = np.zeros(len(theta))
        together[far] = theta[far] / np.linalg.norm(theta[far] * size[far])
        if together @ information_times(together) <= FLAT:
            involved[far] = distance[far] > 0.05 * distance[far[0]]
    for place in far[:MOST_LOOKED_AT]:
        axis = np.zeros(len(theta))
        axis[place] = 1.0 / size[place]
        involved[place] |= axis @ information_times(axis) <= FLAT
    return Runaway(parameters=involved, identified=involved.copy())


def describe(runaway: Runaway, names: tuple[str, ...]) -> tuple[str, ...]:
    """One sentence for each reason, naming the parameters."""
    sentences = []
    separated = [n for n, r, i in zip(names, runaway.parameters, runaway.identified) if r and i]
    unidentified = [
        n for n, r, i in zip(names, runaway.parameters, runaway.identified) if r and not i
    ]
    if separated:
        sentences.append(
            f"The answers are perfectly predicted along {_listed(separated)}: without a prior the "
            "estimate would grow without limit. A weak prior (normal around 0, standard deviation "
            f"{WEAK_SCALE:g} utility units per standard deviation of the feature) bounds it; read "
            "its sign and its wide interval, not its value. An option that is never chosen, or a "
            "column that decides every answer, does this."
        )
    if unidentified:
        sentences.append(
            f"The data cannot tell {_listed(unidentified)} apart, or never vary them within a "
            "menu. A weak prior around 0 "
            f"(standard deviation {WEAK_SCALE:g} utility units per standard deviation of the "
            "feature) picks the smallest values that fit; leave a term out of the formula to "
            "choose yourself."
        )
    return tuple(sentences)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:6])
    return shown if len(names) <= 6 else f"{shown} and {len(names) - 6} more"
