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
from penchant.policies.bandits.pacing import Pacing
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
    exposure: what every option is granted, as in `MenuBandit`. budget: what it may spend on what
    stands in front, over all rounds; None: nothing is paid."""

    name: str
    rule: Rule
    told: str = "pick"
    config: MenuBanditConfig = field(default_factory=MenuBanditConfig)
    floor: float = 0.0
    exposure: float = 0.0
    budget: float | None = None

    def __post_init__(self) -> None:
        Grants(floor=self.floor, exposure=self.exposure)
        if self.told not in TOLD:
            raise ConfigError(f"told is {self.told!r}; expected one of {', '.join(TOLD)}.")
        if self.budget is not None and self.told != "click":
            raise ConfigError(
                f"{self.name!r} has a budget and is told {self.told!r}; expected click: what is "
                "paid for is shown alone, so that only it can be taken. Say RULE/click/budget=..."
            )

    def channels(self) -> tuple[Channel, ...]:
        """Of what it is told."""
        return (Choice(),) if self.told == "pick" else (Binary(),)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """earned, spent: a round, over all rounds and orders; gain: paired, beside the first contender.
    low, high: 95 %. curve: earned a round so far, at `Comparison.rounds`."""

    name: str
    earned: float
    low: float
    high: float
    spent: float
    gain: float
    gain_low: float
    gain_high: float
    curve: tuple[float, ...]
    curve_low: tuple[float, ...]
    curve_high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """unit: what is earned; least, most: in a round at worst and at best. rounds: where curves are
    told. num_people, num_orders: behind them. has_costs: whether showing an option costs something.
    """

    standings: tuple[Standing, ...]
    rounds: tuple[int, ...]
    unit: str
    least: float
    most: float
    num_people: int
    num_orders: int
    num_rounds: int
    has_costs: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Followed:
    """What each round earned, and what it cost."""

    earned: Float[Array, " T"]
    spent: Float[Array, " T"]


def follow(arrivals: Arrivals, contender: Contender, seed: int = 0) -> Followed:
    """Round by round: put an option in front, be told, learn. A round earns whether what stood in
    front was what the person took; of simulated people how often they would take it, less how often
    they would take the best (the negative of regret). Where nothing can be paid from a budget any
    more, nothing is shown and nothing taken.

    Raises `ConfigError` for a budget where nothing is known to cost anything.
    """
    pacing = None
    if contender.budget is not None:
        if arrivals.cost is None:
            raise ConfigError(
                f"{contender.name!r} has a budget, and it is not known what options cost; expected "
                "the column that says it (`--cost COLUMN`; of simulated people `--priced`)."
            )
        pacing = Pacing(budget=contender.budget, num_rounds=len(arrivals))
    bandit = MenuBandit(
        arrivals.features.shape[2], channels=contender.channels(), rule=contender.rule,
        config=contender.config, floor=contender.floor, exposure=contender.exposure,
        pacing=pacing, random_state=seed,
    )  # fmt: skip
    earned, spent = np.empty(len(arrivals)), np.zeros(len(arrivals))
    for t in range(len(arrivals)):
        places = np.flatnonzero(arrivals.offered[t])
        costs = {} if arrivals.cost is None else {str(k): arrivals.cost[t, k] for k in places}
        if bandit.pacing is not None and min(costs.values()) > bandit.pacing.left:
            bandit.pacing = bandit.pacing.after(0.0)
            earned[t] = _earned(arrivals, t, None, False)
            continue
        menu = {str(k): arrivals.features[t, k] for k in places}
        slots, paid = (len(menu), None) if bandit.pacing is None else (1, costs)
        decision = bandit.decide(menu, person=str(arrivals.person[t]), slots=slots, cost=paid)
        front, chosen = decision.ranking[0], str(arrivals.chosen[t])
        earned[t], spent[t] = (
            _earned(arrivals, t, int(front), front == chosen), costs.get(front, 0.0)
        )  # fmt: skip
        if contender.told == "pick":
            bandit.update(decision, "pick", chosen)
        elif contender.told == "clicks":
            bandit.update(decision, "reward", {name: int(name == chosen) for name in menu})
        else:
            bandit.update(decision, "reward", int(front == chosen))
    return Followed(earned=earned, spent=spent)


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
    spent = np.empty_like(earned)
    for s, world in enumerate(worlds):
        for c, contender in enumerate(contenders):
            found = follow(world, contender, seed=s)
            earned[c, s] = found.earned[: earned.shape[2]]
            spent[c, s] = found.spent[: earned.shape[2]]
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
            _standing(name, earned[c], earned[0], spent[c], cluster, rounds)
            for c, name in enumerate(names)
        ),
        rounds=tuple(int(t) for t in rounds),
        unit="share taken, less that of the best" if is_known else "share put in front rightly",
        least=-1.0 if is_known else 0.0, most=0.0 if is_known else 1.0,
        num_people=len(np.unique(np.concatenate([w.person for w in worlds]))),
        num_orders=len(worlds), num_rounds=earned.shape[2],
        has_costs=worlds[0].cost is not None,
    )  # fmt: skip


def _earned(arrivals: Arrivals, t: int, front: int | None, is_hit: bool) -> float:
    if arrivals.share is None:
        return float(is_hit)
    taken = 0.0 if front is None else float(arrivals.share[t, front])
    return taken - float(arrivals.share[t].max())


def _standing(
    name: str,
    mine: Float[Array, "S T"],
    first: Float[Array, "S T"],
    spent: Float[Array, "S T"],
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
        name=name, earned=own.estimate, low=own.low, high=own.high, spent=float(spent.mean()),
        gain=gain.estimate, gain_low=gain.low, gain_high=gain.high,
        curve=tuple(middle.tolist()), curve_low=tuple((middle - reach).tolist()),
        curve_high=tuple((middle + reach).tolist()),
    )  # fmt: skip
