"""Menus in any order, laid out so that each column is the same alternative, and back.

A covariance between alternatives belongs to the alternatives, not to their places in a menu.

Legend: B observations, K places of the menu, A alternatives, M own parameters, S kinds of people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.feedback import probit_correlated
from penchant.feedback.derivatives import Curvature, Score
from penchant.numerics.arrays import (
    Array,
    constant,
    mask_options,
    namespace,
    take_option,
    take_options,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class MenuLayout:
    """Where in each menu every alternative stands (0 where it does not), and the other way round.

    `option[b, k]` is the alternative at each place; padding may hold anything.
    """

    option: Int[Array, "B K"]
    place: Int[Array, "B A"]
    offered: Bool[Array, "B A"]
    offered_K: Bool[Array, "B K"]

    def columns(self, x: Float[Array, "B K *S"]) -> Float[Array, "B A *S"]:
        """From places of the menu to alternatives."""
        return mask_options(take_options(x, self.place), self.offered, fill=0.0)

    def places(self, x: Float[Array, "B A *S"]) -> Float[Array, "B K *S"]:
        """From alternatives to places of the menu; zero at what is not offered."""
        return mask_options(take_options(x, self.option), self.offered_K, fill=0.0)


def lay_out(
    option: Int[Array, "B K"], offered: Bool[Array, "B K"], num_alternatives: int
) -> MenuLayout:
    """The layout of menus whose options are numbered 0 .. A - 1, each at most once in a menu."""
    xp = namespace(option)
    option = xp.where(offered, option, 0)
    numbers = constant(np.arange(num_alternatives), option)
    is_there = xp.logical_and(option[:, None] == numbers[:, None], offered[:, None])
    return MenuLayout(
        option=option,
        place=xp.argmax(xp.astype(is_there, option.dtype), axis=2),
        offered=xp.any(is_there, axis=2),
        offered_K=offered,
    )


def log_prob(
    utilities: Float[Array, "B K *S"],
    layout: MenuLayout,
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, " B *S"]:
    """Log-probability under the correlated probit of the place of the menu that was chosen."""
    return probit_correlated.log_prob(
        layout.columns(utilities),
        layout.offered,
        take_option(layout.option, chosen),
        draws,
        parameters,
    )


def score(
    utilities: Float[Array, "B K *S"],
    layout: MenuLayout,
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Score:
    """First derivatives."""
    found = probit_correlated.score(
        layout.columns(utilities),
        layout.offered,
        take_option(layout.option, chosen),
        draws,
        parameters,
    )
    return Score(utilities=layout.places(found.utilities), parameters=found.parameters)


def curvature(
    utilities: Float[Array, "B K *S"],
    layout: MenuLayout,
    chosen: Int[Array, " B"],
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Curvature:
    """Minus the second derivatives."""
    xp = namespace(utilities)
    found = probit_correlated.curvature(
        layout.columns(utilities),
        layout.offered,
        take_option(layout.option, chosen),
        draws,
        parameters,
    )
    rows = xp.moveaxis(layout.places(found.utilities), 2, 1)
    return Curvature(
        utilities=xp.moveaxis(layout.places(rows), 2, 1),
        cross=layout.places(found.cross),
        parameters=found.parameters,
    )


def probabilities(
    utilities: Float[Array, "B K *S"],
    layout: MenuLayout,
    draws: Float[Array, "R J"],
    parameters: Float[Array, "#B M *#S"],
) -> Float[Array, "B K *S"]:
    """The probability of choosing each place of the menu."""
    p = probit_correlated.probabilities(
        layout.columns(utilities), layout.offered, draws, parameters
    )
    return layout.places(p)
