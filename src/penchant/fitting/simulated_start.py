"""Where the climb to a simulated likelihood's top begins.

Legend: D features, P spreads, M = D + P parameters.
"""

import numpy as np
from jaxtyping import Float

from penchant.fitting.newton import newton_step
from penchant.fitting.panel_logit import PanelChoices
from penchant.fitting.panel_logit_density import PanelDensity
from penchant.numerics.arrays import Array


def starting_point(density: PanelDensity) -> Float[Array, " M"]:
    """One taste for all, by Newton, and spreads of half a unit of utility."""
    choices, population = density.choices, density.population
    size = np.sqrt(np.mean(choices.differences**2, axis=0)) if len(choices.differences) else 0.0
    unit = 1.0 / np.where(size > 0, size, 1.0)
    locations = _pooled(choices, unit)
    locations[list(population.centred)] = 0.0
    if population.price is not None:
        scale = max(-float(locations[population.price]), 0.1 * float(unit[population.price]))
        locations, unit = locations / scale, unit / scale
        locations[population.price] = np.log(scale)
    width = {"triangular": np.sqrt(6.0), "uniform": np.sqrt(3.0)}
    spreads = np.zeros(len(population.spread_pairs))
    for place, (row, column) in enumerate(population.spread_pairs):
        name = population.distributions[row]
        plain, feature = name.removeprefix("-"), population.random[row]
        if row != column:
            continue
        spreads[place] = 0.5 * unit[feature] * width.get(plain, 1.0)
        if feature == population.price:
            spreads[place] = 0.5
        elif plain in ("lognormal", "censored", "truncated"):
            sign = -1.0 if name.startswith("-") else 1.0
            level = max(sign * locations[feature], 0.1 * unit[feature])
            locations[feature] = np.log(level) if plain == "lognormal" else level
            spreads[place] = 0.5 if plain == "lognormal" else spreads[place]
    return np.concatenate([locations, spreads])


def _pooled(choices: PanelChoices, unit: Float[Array, " D"]) -> Float[Array, " D"]:
    """The conditional logit under a weak prior, to start from: a few Newton steps."""
    x = choices.differences * unit
    menu = np.repeat(np.arange(len(choices.menu_start) - 1), np.diff(choices.menu_start))
    num_menus = len(choices.menu_start) - 1
    weight = np.repeat(choices.weight, np.diff(choices.group_start))
    theta = np.zeros(x.shape[1])
    for _ in range(8):
        odds = np.exp(np.minimum(x @ theta, 30.0))
        share = odds / (1.0 + np.bincount(menu, weights=odds, minlength=num_menus))[menu]
        weighted = x * (share * weight[menu])[:, None]
        mean = np.stack(
            [np.bincount(menu, weights=x[:, d] * share, minlength=num_menus)
             for d in range(x.shape[1])], axis=1,
        )  # fmt: skip
        information = weighted.T @ x - (mean * weight[:, None]).T @ mean + 0.1 * np.eye(len(theta))
        step = newton_step(information, -weighted.sum(axis=0) - 0.1 * theta)
        # Far from the top the full step may overshoot: bounded to two units of utility.
        theta += step / max(1.0, 0.5 * float(np.abs(step).max()))
    return theta * unit
