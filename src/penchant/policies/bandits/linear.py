"""A bandit whose arms pay by a linear function of the context, each arm by its own.

Legend: A arms, D features, E = D + 2.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Bool, Float

from penchant.beliefs.linear_weights import LinearWeights
from penchant.beliefs.storage import load_as, save_value
from penchant.errors import ConfigError, DataError
from penchant.fitting.online_linear import OnlineLinear
from penchant.numerics.arrays import Array, sigmoid
from penchant.policies.bandits.rules import InverseGapLoss, Rule, UpperConfidence

# As a dtype and by place: looking up what a keyword means takes longer than the copy.
_FLOAT = np.dtype(np.float64)


@dataclass(slots=True, eq=False)
class Decision:
    """What was played, and with what probability: all that a log needs.

    arm: its name, the `place`-th of the bandit's. probabilities: of every arm. context: a copy.
    """

    arm: str
    place: int
    probability: float
    probabilities: Float[Array, " A"]
    context: Float[Array, " D"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LinearState:
    """All that a `LinearBandit` knows, to be taken up by another. root, rows, rounds: as
    `OnlineLinear` has them; num_decisions: so far, which some rules look at."""

    arms: tuple[str, ...]
    rule: Rule
    root: Float[Array, "A D D"]
    rows: Float[Array, "A E"]
    rounds: tuple[int, ...]
    is_binary: bool
    prior_precision: float
    noise: float
    forgetting: float
    num_decisions: int

    def save(self, folder: str | Path) -> None:
        """As JSON and safetensors in a folder."""
        save_value(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "LinearState":
        """What `save` wrote. Raises `BeliefError` for a damaged folder or anything else."""
        return load_as(cls, folder)


class LinearBandit:
    """Arms with weights of their own on a shared context (the disjoint model of Li et al. 2010).

    decide -> the world answers -> update, as late and in whatever order answers come; an answer
    that never comes teaches nothing (it is missing, not zero). What is believed of an arm is a
    normal law of its weights; how that becomes a decision is the rule's part: `UpperConfidence`
    (LinUCB), `Thompson`, `InverseGap` (SquareCB), `EpsilonGreedy`, ... Add a feature that is always
    1 where rewards have a level.

    is_binary: rewards are yes (1), no (0) or a share between, and log-odds are linear (logistic
    regression). noise: standard deviation of a reward around its mean; spreads are in its units.
    prior_precision: of each weight, in units of 1 / noise^2. forgetting: how much each earlier
    reward counts when one more arrives, of whatever arm (1: as much as ever); below 1 every reward
    takes A D^3 operations. Features of some unit size
    suit the prior. `state` is what `LinearState.save` keeps in files and `resumed` takes up.

    Raises `ConfigError` for fewer than two arms, doubled names, or numbers out of range.
    """

    def __init__(
        self,
        arms: Iterable[str],
        num_features: int,
        *,
        rule: Rule | None = None,
        is_binary: bool = False,
        prior_precision: float = 1.0,
        noise: float = 1.0,
        forgetting: float = 1.0,
        random_state: int | np.random.Generator = 0,
    ) -> None:
        self._places: dict[str, int] = {}
        self.rule = rule or UpperConfidence()
        if not (noise > 0 and math.isfinite(noise)):
            raise ConfigError(f"noise is {noise}; expected a number above 0.")
        if is_binary and noise != 1.0:
            raise ConfigError(
                f"noise is {noise}, but rewards are yes or no; their noise follows from their "
                "probability. Leave it out."
            )
        self.noise = noise
        self.is_binary = is_binary
        self.num_features = num_features
        self._shape = (num_features,)
        self._generator = np.random.default_rng(random_state)
        self._chances: list[float] = []
        self._step = 0
        self._weights = OnlineLinear.empty(
            0,
            num_features,
            prior_precision=prior_precision,
            forgetting=forgetting,
            is_binary=is_binary,
        )
        self._is_compiled = True
        self.add_arms(arms)
        if len(self._places) < 2:
            raise ConfigError(
                f"a bandit of {len(self._places)} arm(s) has nothing to decide; expected two or "
                "more."
            )

    @classmethod
    def resumed(
        cls, state: LinearState, *, random_state: int | np.random.Generator = 0
    ) -> "LinearBandit":
        """Goes on where another stopped."""
        made = cls(
            state.arms, state.root.shape[1], rule=state.rule, is_binary=state.is_binary,
            prior_precision=state.prior_precision, noise=state.noise, forgetting=state.forgetting,
            random_state=random_state,
        )  # fmt: skip
        held = made._weights
        held.root[:], held.rows[:], held.rounds = state.root, state.rows, list(state.rounds)
        made._step = state.num_decisions
        return made

    @property
    def state(self) -> LinearState:
        """What is known now; later rewards do not change it."""
        held = self._weights
        return LinearState(
            arms=self.arms, rule=self.rule, root=held.root.copy(), rows=held.rows.copy(),
            rounds=tuple(held.rounds), is_binary=self.is_binary, noise=self.noise,
            prior_precision=held.prior_precision, forgetting=held.forgetting,
            num_decisions=self._step,
        )  # fmt: skip

    @property
    def arms(self) -> tuple[str, ...]:
        """Names, in the order of `Decision.probabilities`."""
        return self._names

    @property
    def belief_(self) -> LinearWeights:
        """What is believed now; later rewards do not change it."""
        return self._weights.belief(self.arms, self.noise)

    def add_arms(self, arms: Iterable[str]) -> None:
        """Further arms, of which nothing is known but the prior. To retire one, do not offer it."""
        names = list(arms)
        doubled = sorted({n for n in names if n in self._places or names.count(n) > 1})
        if doubled:
            raise ConfigError(f"arms {doubled} are named twice; expected a name of its own each.")
        self._places |= {name: len(self._places) + i for i, name in enumerate(names)}
        self._names = tuple(self._places)
        self._weights.add_arms(len(names))
        num = len(self._places)
        self._all = np.ones(num, dtype=bool)

    def decide(self, context: Float[Array, " D"], offered: Sequence[str] | None = None) -> Decision:
        """Play an arm. offered: names of those that may be played now; None: all.

        Raises `DataError` for unknown arms, none at all, or a context of other length or with
        missing or infinite numbers.
        """
        self._step += 1
        # A copy, as of `_checked`, whose call takes long enough to be left out.
        x = np.array(context, _FLOAT)
        if x.shape != self._shape:
            x = self._checked(context)
        is_offered = self._all if offered is None else self._mask(offered)
        probabilities = np.empty(len(self._names))
        loops = _loops() if self._is_compiled else None
        in_loops = None if loops is None else self.rule.in_loops(self._step)
        if loops is None or in_loops is None:
            place = self._play(x, is_offered, probabilities)
        else:
            name, first, second = in_loops
            weights, chances = self._weights, self._chances or self._drawn()
            place = loops.decide(
                weights.root, weights.rows, x, self.noise,
                self.is_binary and self.rule.in_reward, is_offered,
                loops.PLACE[name], first, second, chances.pop(), probabilities,
            )  # fmt: skip
        probability: float = probabilities.item(place)
        # Any number that is none ends here, without a look at each on the way.
        if not probability > 0.0:
            raise DataError(
                f"the context is {x}; expected finite numbers, small enough that their squares are "
                "finite too. Fill in or leave out what is missing."
            )
        return Decision(self._names[place], place, probability, probabilities, x)

    def update(self, decision: Decision, reward: float, weight: float = 1.0) -> None:
        """Learn from the answer to a decision of this bandit, whenever it comes.

        Raises as `learn` does.
        """
        # As Python's own numbers, with which checks and calls are twice as fast as with NumPy's.
        reward, weight = float(reward), float(weight)
        # Of these there is nothing to check, whatever the rule.
        if not (0.0 <= reward <= 1.0 and weight == 1.0):
            self._check_answer(decision.arm, reward, weight)
        self._weights.learn(decision.place, decision.context, reward, weight)

    def learn(
        self, context: Float[Array, " D"], arm: str, reward: float, weight: float = 1.0
    ) -> None:
        """Learn from a reward of any arm, whoever played it. weight: it counts as so many.

        Raises `DataError` for an unknown arm, a reward that is not finite or a negative weight.
        """
        place = self._places.get(arm)
        if place is None:
            raise DataError(f"arm {arm!r} is unknown; expected one of {list(self._places)}.")
        self._check_answer(arm, reward, weight)
        x = self._checked(context)
        with np.errstate(over="ignore", invalid="ignore"):
            is_finite = math.isfinite(float(x @ x))
        if not is_finite:
            raise DataError(f"the context is {x}; expected finite numbers.")
        self._weights.learn(place, x, float(reward), float(weight))

    def moments(self, context: Float[Array, " D"]) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Mean and standard deviation of each arm's expected reward (of its log-odds if binary).

        Raises `DataError` for a context of another length.
        """
        mean, spread = np.empty(len(self._names)), np.empty(len(self._names))
        with np.errstate(over="ignore", invalid="ignore"):
            self._weights.moments(self._checked(context), mean, spread)
        return mean, self.noise * spread

    def _check_answer(self, arm: str, reward: float, weight: float) -> None:
        if not (-math.inf < reward < math.inf and 0.0 <= weight < math.inf):
            raise DataError(
                f"the reward of {arm!r} is {reward} with weight {weight}; expected finite numbers, "
                "the weight not below 0. A missing reward is left out, not given as NaN."
            )
        if 0.0 <= reward <= 1.0:
            return
        if isinstance(self.rule, InverseGapLoss):
            raise DataError(
                f"the reward of {arm!r} is {reward}; expected 0 to 1, since InverseGapLoss counts "
                "in losses 1 - reward. Rescale rewards, or take InverseGap."
            )
        if self.is_binary:
            raise DataError(
                f"the reward of {arm!r} is {reward}; expected yes (1), no (0) or a share between, "
                "as is_binary says. Leave is_binary out for rewards on another scale."
            )

    def _play(
        self, x: Float[Array, " D"], is_offered: Bool[Array, " A"], out: Float[Array, " A"]
    ) -> int:
        """Without loops: fills `out` with the probability of each arm, NaN for a context with bad
        numbers."""
        mean, spread = self.moments(x)
        if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
            out[:] = np.nan
            return 0
        if self.is_binary and self.rule.in_reward:
            mean = expected_share(mean, spread)
        out[:] = self.rule.probabilities(mean[None], spread[None], is_offered[None], self._step)[0]
        return pick(out, (self._chances or self._drawn()).pop())

    def _drawn(self) -> list[float]:
        """Uniform numbers are drawn by the hundred: one by one they take longer than a decision."""
        self._chances = self._generator.random(256).tolist()
        return self._chances

    def _checked(self, context: Float[Array, " D"]) -> Float[Array, " D"]:
        # A copy: answers come late, and callers use their arrays again.
        x = np.array(context, _FLOAT)
        if x.shape != self._shape:
            raise DataError(
                f"the context has shape {x.shape}; expected ({self.num_features},), one number a "
                "feature."
            )
        return x

    def _mask(self, offered: Sequence[str]) -> Bool[Array, " A"]:
        unknown = [name for name in offered if name not in self._places]
        if unknown or not offered:
            raise DataError(
                f"the arms offered are {list(offered)}; expected one or more of "
                f"{list(self._places)}" + (f", not {unknown}." if unknown else ".")
            )
        is_offered = np.zeros(len(self._places), dtype=bool)
        is_offered[[self._places[name] for name in offered]] = True
        return is_offered


def expected_share(mean: Float[Array, " K"], spread: Float[Array, " K"]) -> Float[Array, " K"]:
    """E sigmoid(l) for l ~ N(mean, spread^2), to 0.02: sigmoid(mean / sqrt(1 + pi spread^2 / 8)),
    MacKay 1992."""
    return sigmoid(mean / np.sqrt(1.0 + np.pi / 8.0 * spread**2))


def pick(probabilities: Float[Array, " K"], chance: float) -> int:
    """The arm on which a uniform number falls; rounding goes to the last possible one."""
    sums = probabilities.cumsum()
    place = int(sums.searchsorted(chance, side="right"))
    return place if place < len(sums) else int(np.flatnonzero(probabilities > 0)[-1])


@functools.cache
def _loops() -> ModuleType | None:
    try:
        from penchant.policies.bandits import rules_fused
    except ImportError:
        return None
    return rules_fused
