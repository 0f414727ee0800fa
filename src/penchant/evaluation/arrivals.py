"""Policies that learn while people come one by one: what each way of asking is worth.

Legend: S orders of arrival, T rounds, C contenders, G people.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Binary
from penchant.metrics.intervals import clustered_mean, students_quantile
from penchant.numerics.arrays import Array
from penchant.policies.bandits.joint import Grants
from penchant.policies.bandits.menu import MenuBandit, MenuBanditConfig
from penchant.policies.bandits.rules import Rule
from penchant.simulation.arrivals import Arrivals

TOLD: dict[str, str] = {
    "pick": "what was taken of the menu, as one choice",
    "clicks": "the same, as a yes or no of each option by itself",
    "click": "whether what stood in front was taken",
}


@dataclass(frozen=True, kw_only=True)
class Contender:
    """name: as it is called. rule: how it decides. told: what it is told after each round. floor,
    exposure: what every option is granted, as in `MenuBandit`."""

    name: str
    rule: Rule
    told: str = "pick"
    config: MenuBanditConfig = field(default_factory=MenuBanditConfig)
    floor: float = 0.0
    exposure: float = 0.0

    def __post_init__(self) -> None:
        Grants(floor=self.floor, exposure=self.exposure)
        if self.told not in TOLD:
            raise ConfigError(f"told is {self.told!r}; expected one of {', '.join(TOLD)}.")

    def channels(self) -> tuple[Channel, ...]:
        """Of what it is told."""
        return (Choice(),) if self.told == "pick" else (Binary(),)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """earned: a round, over all rounds and orders; gain: paired, beside the first contender. low,
    high: 95 %. curve: earned a round so far, at `Comparison.rounds`."""

    name: str
    earned: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    curve: tuple[float, ...]
    curve_low: tuple[float, ...]
    curve_high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """unit: what is earned; least, most: in a round at worst and at best. rounds: where curves are
    told. num_people, num_orders: behind them."""

    standings: tuple[Standing, ...]
    rounds: tuple[int, ...]
    unit: str
    least: float
    most: float
    num_people: int
    num_orders: int
    num_rounds: int


def follow(arrivals: Arrivals, contender: Contender, seed: int = 0) -> Float[Array, " T"]:
    """Round by round: put an option in front, be told, learn. Gives what each round earned: whether
    what stood in front was what the person took; of simulated people how often they would take it,
    less how often they would take the best (the negative of regret)."""
    bandit = MenuBandit(
        arrivals.features.shape[2], channels=contender.channels(), rule=contender.rule,
        config=contender.config, floor=contender.floor, exposure=contender.exposure,
        random_state=seed,
    )  # fmt: skip
    earned = np.empty(len(arrivals))
    for t in range(len(arrivals)):
        places = np.flatnonzero(arrivals.offered[t])
        menu = {str(k): arrivals.features[t, k] for k in places}
        decision = bandit.decide(menu, person=str(arrivals.person[t]), slots=len(menu))
        front, chosen = decision.ranking[0], str(arrivals.chosen[t])
        earned[t] = _earned(arrivals, t, int(front), front == chosen)
        if contender.told == "pick":
            bandit.update(decision, "pick", chosen)
        elif contender.told == "clicks":
            bandit.update(decision, "reward", {name: int(name == chosen) for name in menu})
        else:
            bandit.update(decision, "reward", int(front == chosen))
    return earned


def compare_arrivals(
    worlds: Sequence[Arrivals],
    contenders: Sequence[Contender],
    *,
    tick: Callable[[], None] | None = None,
) -> Comparison:
    """All contenders on all worlds: orders of arrival of the same people, or simulated people.

    Intervals are clustered by person where real people come in several orders; where people are
    simulated, each world is one observation, since all its people share tastes. Those of curves
    are over worlds. tick: called after each run. Raises `ConfigError` without contenders, with two
    of one name, or with less than two worlds.
    """
    names = [contender.name for contender in contenders]
    if not names or len(set(names)) < len(names) or len(worlds) < 2:
        raise ConfigError(
            f"{len(worlds)} worlds and contenders {names} were given; expected two worlds or more "
            "and contenders with a name of their own each."
        )
    earned = np.empty((len(contenders), len(worlds), min(map(len, worlds))))
    for s, world in enumerate(worlds):
        for c, contender in enumerate(contenders):
            earned[c, s] = follow(world, contender, seed=s)[: earned.shape[2]]
            if tick is not None:
                tick()
    is_known = worlds[0].share is not None
    cluster = np.concatenate([
        np.full(earned.shape[2], s) if is_known else world.person[: earned.shape[2]]
        for s, world in enumerate(worlds)
    ])  # fmt: skip
    cluster = np.unique(cluster, return_inverse=True)[1]
    rounds = np.unique(np.linspace(1, earned.shape[2], 60).round().astype(int))
    return Comparison(
        standings=tuple(
            _standing(name, earned[c], earned[0], cluster, rounds) for c, name in enumerate(names)
        ),
        rounds=tuple(int(t) for t in rounds),
        unit="share taken, less that of the best" if is_known else "share put in front rightly",
        least=-1.0 if is_known else 0.0, most=0.0 if is_known else 1.0,
        num_people=len(np.unique(np.concatenate([w.person for w in worlds]))),
        num_orders=len(worlds), num_rounds=earned.shape[2],
    )  # fmt: skip


def _earned(arrivals: Arrivals, t: int, front: int, is_hit: bool) -> float:
    if arrivals.share is None:
        return float(is_hit)
    return float(arrivals.share[t, front] - arrivals.share[t].max())


def _standing(
    name: str,
    mine: Float[Array, "S T"],
    first: Float[Array, "S T"],
    cluster: Array,
    rounds: Array,
) -> Standing:
    own, gain = (
        clustered_mean(mine.ravel(), cluster),
        clustered_mean((mine - first).ravel(), cluster),
    )
    so_far = np.cumsum(mine, axis=1)[:, rounds - 1] / rounds
    quantile = students_quantile(np.array([len(mine) - 1.0]), 0.95)[0]
    reach = quantile * so_far.std(axis=0, ddof=1) / np.sqrt(len(mine))
    middle = so_far.mean(axis=0)
    return Standing(
        name=name, earned=own.estimate, low=own.low, high=own.high,
        gain=gain.estimate, gain_low=gain.low, gain_high=gain.high,
        curve=tuple(middle.tolist()), curve_low=tuple((middle - reach).tolist()),
        curve_high=tuple((middle + reach).tolist()),
    )  # fmt: skip
