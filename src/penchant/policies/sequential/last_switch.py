"""Which arm when, if arms tire with play and recover with rest: plans near the best there is.

The model is of Laforgue et al. (2022), plans over patterns of Foussoul et al. (2023, Last switch
dependent bandits with monotone payoff functions); theirs differ in detail.

Legend: A arms, D rounds until nothing changes any more, P patterns, N states.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.numerics.planning import best_cycle_mean
from penchant.simulation.switching import SwitchingArms, switched


@dataclass(frozen=True, kw_only=True, eq=False)
class PatternPlan:
    """How often each arm follows each pattern of resting `rest` rounds and playing `play`.

    share[a, p]: of the time; the rest of an arm's time it is not played. bound: what no policy
    earns more than, a round.
    """

    rest: Int[Array, " P"]
    play: Int[Array, " P"]
    share: Float[Array, "A P"]
    bound: float


def plan_patterns(arms: SwitchingArms) -> PatternPlan:
    """The linear program over patterns of each arm by itself (after Foussoul et al. 2023).

    A pattern of d rounds of rest and l plays earns v = [rested(d) + sum_{k<l} tired(k)] / (d + l) a
    round and takes u = l / (d + l) of it: max sum x v, with sum_p x_ap <= 1 for each arm and sum x
    u <= 1, one play a round. To play without end is the pattern of no rest.
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_diag, csr_array, vstack

    rested, tired = arms.rested, arms.tired
    num, far = rested.shape
    steps = np.arange(1, far + 1)
    rest, play = np.append(np.repeat(steps, far), 0), np.append(np.tile(steps, far), 1)
    sums = np.concatenate([np.zeros((num, 1)), np.cumsum(tired[:, :-1], axis=1)], axis=1)
    earned = (rested[:, rest[:-1] - 1] + sums[:, play[:-1] - 1]) / (rest + play)[:-1]
    earned = np.concatenate([earned, tired[:, -1:]], axis=1)
    load = play / (rest + play)
    each = block_diag([np.ones((1, len(rest)))] * num)
    found = linprog(
        -earned.ravel(), A_ub=vstack([csr_array(np.tile(load, num)[None, :]), each]),
        b_ub=np.ones(1 + num), bounds=(0, None), method="highs",
    )  # fmt: skip
    assert found.status == 0, found.message
    share = np.maximum(found.x, 0.0).reshape(num, -1)
    return PatternPlan(rest=rest, play=play, share=share, bound=-float(found.fun))


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotation:
    """One pattern for each arm, and where in it the arm begins; `rest` -1: never played."""

    rest: Int[Array, " A"]
    play: Int[Array, " A"]
    phase: Int[Array, " A"]

    @classmethod
    def drawn(cls, plan: PatternPlan, generator: np.random.Generator) -> "Rotation":
        """A pattern by its share of the arm's time, a phase with even chances."""
        num = len(plan.share)
        idle = np.maximum(1.0 - plan.share.sum(axis=1, keepdims=True), 0.0)
        law = np.concatenate([plan.share, idle], axis=1)
        edges = np.cumsum(law / law.sum(axis=1, keepdims=True), axis=1)
        which = (edges < generator.random((num, 1))).sum(axis=1)
        rest, play = np.append(plan.rest, -1)[which], np.append(plan.play, 1)[which]
        length = np.maximum(rest + play, 1)
        return cls(rest=rest, play=play, phase=generator.integers(length))

    def wants(self, step: int) -> tuple[int, ...]:
        """The arms whose turn it is: in every pattern rest comes first."""
        place = (self.phase + step) % np.maximum(self.rest + self.play, 1)
        return tuple(np.flatnonzero((self.rest >= 0) & (place >= self.rest)).tolist())


def choose_arm(wanted: tuple[int, ...], pays: Float[Array, " A"]) -> int:
    """Of the arms that want to be played the one that pays most now; of all, where none does.

    The others' patterns go on as if they had been: they rested instead, and by monotonicity pay no
    less when their turn comes. pays: of each arm in the state that it is truly in.
    """
    several = wanted or tuple(range(len(pays)))
    return max(several, key=lambda arm: float(pays[arm]))


def best_average(arms: SwitchingArms) -> float:
    """What the best policy earns a round, exactly: the best cycle of all states that arms can be
    in. Grows as D to the power of arms."""
    num, far = arms.rested.shape
    start = np.full(num, far)
    places, order = {tuple(start.tolist()): 0}, [start]
    following, pays = list[list[int]](), list[Array]()
    for since in order:
        pays.append(arms.pays(since))
        row = []
        for arm in range(num):
            then = switched(since, np.array([arm]), far)
            key = tuple(then.tolist())
            if key not in places:
                places[key] = len(order)
                order.append(then)
            row.append(places[key])
        following.append(row)
    return best_cycle_mean(np.array(following), np.stack(pays))


@dataclass(frozen=True, kw_only=True, slots=True)
class LastSwitchConfig:
    """far: rounds D beyond which neither rest nor play changes what an arm pays. num_rounds:
    horizon T. block: rounds between two plans. width: how hopeful plans are, in units of noise;
    noise: standard deviation of a reward."""

    far: int
    num_rounds: int
    block: int = 100
    width: float = 1.0
    noise: float = 0.1

    def __post_init__(self) -> None:
        if min(self.far, self.num_rounds, self.block) < 1 or min(self.width, self.noise) < 0:
            raise ConfigError(
                f"{self} has numbers out of range; expected one or more of far, rounds and block, "
                "width and noise not below 0."
            )


class LastSwitchBandit:
    """Plans patterns by what each arm may at best pay in each state, and learns from every play.

    What a state may pay is mean + width noise sqrt(2 log T / n), no more than what more rest or
    less play may pay: monotone payoffs let a state that was never seen be bounded by others. Each
    block draws a `Rotation` from the plan by those tables. Rewards are from 0 to 1, where nothing
    is known 1.

    decide -> the world answers -> update, in turn; an arm that is not decided on rests.
    """

    def __init__(
        self,
        num_arms: int,
        config: LastSwitchConfig,
        *,
        random_state: int | np.random.Generator = 0,
    ) -> None:
        if num_arms < 2:
            raise ConfigError(f"there are {num_arms} arms; expected two or more.")
        self._config = config
        self._generator = np.random.default_rng(random_state)
        # Of each arm the rewards of rests 1..D, then of plays 1..D in a row.
        self._count = np.zeros((num_arms, 2 * config.far))
        self._sum = np.zeros((num_arms, 2 * config.far))
        self._since = np.full(num_arms, config.far)
        self._step, self._arm = 0, -1
        self._hope: SwitchingArms
        self._rotation: Rotation

    def decide(self) -> int:
        """The arm to play now."""
        if self._step % self._config.block == 0:
            self._hope = self.hope()
            self._rotation = Rotation.drawn(plan_patterns(self._hope), self._generator)
        self._arm = choose_arm(self._rotation.wants(self._step), self._hope.pays(self._since))
        return self._arm

    def update(self, reward: float) -> None:
        """What the arm that was decided on paid. Raises `DataError` before a decision, or for a
        reward that is not finite."""
        if self._arm < 0 or not np.isfinite(reward):
            raise DataError(
                f"a reward of {reward} came "
                + ("before any decision" if self._arm < 0 else "for a decision")
                + "; expected a finite number after each `decide`."
            )
        since, far = int(self._since[self._arm]), self._config.far
        column = since - 1 if since > 0 else far - since - 1
        self._count[self._arm, column] += 1
        self._sum[self._arm, column] += reward
        self._since = switched(self._since, np.array([self._arm]), far)
        self._step, self._arm = self._step + 1, -1

    def hope(self) -> SwitchingArms:
        """What each arm may at best pay."""
        config = self._config
        seen = np.maximum(self._count, 1)
        reach = config.width * config.noise * np.sqrt(2.0 * np.log(config.num_rounds) / seen)
        hope = np.where(self._count > 0, np.minimum(self._sum / seen + reach, 1.0), 1.0)
        rested, tired = hope[:, : config.far], hope[:, config.far :]
        return SwitchingArms(
            rested=np.minimum.accumulate(rested[:, ::-1], axis=1)[:, ::-1],
            tired=np.minimum.accumulate(tired, axis=1),
        )
