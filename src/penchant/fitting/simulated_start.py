"""Where the climb to a simulated likelihood's top begins.

Legend: D features, P spreads, M = D + P parameters.
"""

import numpy as np
from jaxtyping import Float

from penchant.data.batch import Batch
from penchant.fitting.answer_density import AnswerDensity, SimulatedDensity
from penchant.fitting.newton import NewtonConfig, maximise, newton_step, with_prior
from penchant.fitting.panel_logit import PanelChoices
from penchant.numerics.arrays import Array
from penchant.populations.normal import Normal
from penchant.utilities.linear import Linear


def starting_point(density: SimulatedDensity) -> Float[Array, " M"]:
    """One taste for all, by Newton, and spreads of half a unit of utility."""
    if isinstance(density, AnswerDensity):
        return _from_answers(density)
    choices = density.choices
    assert isinstance(choices, PanelChoices)
    size = np.sqrt(np.mean(choices.differences**2, axis=0)) if len(choices.differences) else 0.0
    unit = 1.0 / np.where(size > 0, size, 1.0)
    return _spread_out(_pooled(choices, unit), unit, density.population)


def _from_answers(density: AnswerDensity) -> Float[Array, " M"]:
    """The same from answers of any kind; own parameters begin where nobody has any taste."""
    alike, own = density.one_taste, density.own_initial
    unit = 1.0 / _sizes(alike.batch)
    start = np.concatenate([np.zeros(len(unit)), own])
    # Of own parameters, a prior that only holds what the answers leave open.
    precision = np.concatenate([0.1 / unit**2, np.full(len(own), 1e-3)])
    few = NewtonConfig(max_steps=8)
    theta = maximise(with_prior(alike.evaluate, precision, start), start, few).theta
    tastes = _spread_out(theta[: len(unit)].copy(), unit, density.population)
    return np.concatenate([tastes, theta[len(unit) :]])


def _sizes(batch: Batch) -> Float[Array, " D"]:
    """Of each feature: its standard deviation within menus, or, where it has none (options that
    are shown one by one), its root mean square."""
    within, total, count = Linear().scales(batch), np.zeros(batch.num_features), 0
    for block in batch.blocks:
        total += (block.features[block.offered] ** 2).sum(axis=0)
        count += int(block.offered.sum())
    size = np.where(within > 0, within, np.sqrt(total / max(count, 1)))
    return np.where(size > 0, size, 1.0)


def _spread_out(
    locations: Float[Array, " D"], unit: Float[Array, " D"], population: Normal
) -> Float[Array, " M"]:
    """A taste that all share as the middle of a population."""
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
