"""Lines in, decisions out, where arms stay the same or fill a continuum: Exp3, Exp4, zooming.

`deciding.py` does it for menus of any options. Legend: N experts, K arms.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.beliefs.storage import load_value, save_value
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array
from penchant.policies.bandits.advice import (
    AdviceBandit,
    AdviceBelief,
    AdviceConfig,
    AdviceDecision,
)
from penchant.policies.bandits.zooming import (
    ZoomingBandit,
    ZoomingBelief,
    ZoomingConfig,
    ZoomingDecision,
)
from penchant.serving.deciding import (
    MOST_OPEN,
    Decider,
    answer_name,
    event_of,
    is_number,
    logged_situation,
    options_of,
)
from penchant.serving.deciding import load as load_menus


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueConfig:
    """kind: exp3 (each arm its own expert), exp4 (a line names what each expert advises), zooming
    (points of a continuum). zooming: of the last. rate, horizon, floor: of the other two, as in
    `AdviceConfig`. seed: of chance, which each decision has its own of, so that the same lines are
    answered in the same way however often the work is broken off."""

    kind: str
    zooming: ZoomingConfig | None = None
    rate: float | None = None
    horizon: int | None = None
    floor: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        is_point = self.kind == "zooming"
        if self.kind not in ("exp3", "exp4", "zooming") or is_point != (self.zooming is not None):
            raise ConfigError(
                f"kind is {self.kind!r} and zooming {self.zooming}; expected exp3 or exp4 and "
                "None, or zooming and its settings."
            )
        if self.zooming is None:
            self.advice(2, 2)

    def advice(self, num_experts: int, num_arms: int) -> AdviceConfig:
        """For so many. Raises `ConfigError` for numbers out of range."""
        return AdviceConfig(num_experts=num_experts, num_arms=num_arms, num_rounds=self.horizon,
                            rate=self.rate, floor=self.floor)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A decision that may still be answered. asked: its line, as JSON. said: what was answered to
    it, as JSON. place: of the arm; probabilities: of all arms. seen: answers that were learnt."""

    asked: str
    said: str
    place: int
    probabilities: tuple[float, ...] = ()
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CatalogueState:
    """All that must be kept. belief: None before the first menu, which says what arms and experts
    there are. early: answers to events that are not known yet, as JSON."""

    config: CatalogueConfig
    belief: AdviceBelief | ZoomingBelief | None = None
    arms: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()
    num_decisions: int = 0
    open: Mapping[str, Shown] = field(default_factory=dict)
    early: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class CatalogueDecider:
    """Answers lines of what is to be decided, learns from lines of what was answered.

    Decisions that had their reward are remembered, the latest 100,000, so that one that comes twice
    is learnt once. logged: as of a `Decider`, for exp3 and exp4; zooming plays with certainty, so
    that its log could judge nothing.
    """

    def __init__(self, state: CatalogueState) -> None:
        self._state = state
        # The oldest leave first, which a dict finds by going past all that left before.
        self._open, self._early = OrderedDict(state.open), dict(state.early)
        self._num_decisions = state.num_decisions
        self._bandit = _bandit(state)
        self.logged: list[str] = []

    @property
    def num_open(self) -> int:
        """Decisions that may still be answered."""
        return len(self._open)

    @property
    def state(self) -> CatalogueState:
        """What there is now, as a value."""
        belief = None if self._bandit is None else self._bandit.belief_
        return replace(self._state, belief=belief, num_decisions=self._num_decisions,
                       open=dict(self._open), early=dict(self._early))  # fmt: skip

    def answer(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """What is said to one line. Raises `DataError` where it cannot be used.

        Whatever has a `kind` is an answer: `event_id`, `kind` "reward" and a `value` from 0 to 1,
        perhaps with a `feedback_id`. Anything else asks: for a point (zooming), or for one of
        `options` [{"id"}], always the same ones, with `advice` {expert: {id: probability}} of
        always the same experts (exp4). An answer before its question is kept until that comes.
        """
        return self._learn(line) if "kind" in line else self._decide(line)

    def _decide(self, line: Mapping[str, Any]) -> dict[str, Any]:
        event = event_of(line) or f"decision-{self._num_decisions + 1}"
        if event in self._open:
            return dict(json.loads(self._open[event].said))
        chance = np.random.default_rng((self._state.config.seed, self._num_decisions))
        made = self._point(event, line, chance) if self._zooms else self._arm(event, line, chance)
        self._num_decisions += 1
        while len(self._open) >= MOST_OPEN:
            self._open.popitem(last=False)
        self._open[event] = made
        refused = []
        for kept in self._early.pop(event, ()):
            try:
                self._learn(json.loads(kept))
            except DataError as error:
                refused.append(str(error))
        return json.loads(made.said) | ({"refused": refused} if refused else {})

    def _learn(self, line: Mapping[str, Any]) -> dict[str, Any]:
        event, reward = event_of(line), line.get("value")
        if event is None or line["kind"] != "reward" or not is_number(reward):
            raise DataError(
                f"an answer of kind {line['kind']!r} with the value {reward!r:.60} to event "
                f"{event!r} came; expected kind reward, a number from 0 to 1, and the event_id "
                "that it is of."
            )
        said = {"event_id": event, "accepted": True, "duplicate": False}
        if event not in self._open:
            while len(self._early) >= MOST_OPEN:
                del self._early[next(iter(self._early))]
            self._early[event] = (*self._early.get(event, ()), json.dumps(dict(line)))
            return said | {"learnt": False}
        known, name = self._open[event], answer_name(line)
        if name in known.seen:
            return said | {"duplicate": True, "learnt": False}
        self._teach(known, reward)
        if not known.seen and not self._zooms:
            self.logged.append(_log_line(event, known, self._state.arms, reward))
        self._open[event] = replace(known, seen=(*known.seen, name))
        return said | {"learnt": True}

    @property
    def has_log(self) -> bool:
        """Whether what it did can judge other policies."""
        return not self._zooms

    @property
    def _zooms(self) -> bool:
        return self._state.config.zooming is not None

    def _point(self, event: str, line: Mapping[str, Any], chance: np.random.Generator) -> Shown:
        if "options" in line or "advice" in line:
            raise DataError(
                "a line has options or advice, and zooming answers with a point of its own; "
                'expected {"event_id": ...} alone.'
            )
        assert isinstance(self._bandit, ZoomingBandit)
        found = self._bandit.decide(generator=chance)
        said = {"event_id": event, "point": found.point.tolist()}
        return Shown(asked=json.dumps(dict(line)), said=json.dumps(said), place=found.place)

    def _arm(self, event: str, line: Mapping[str, Any], chance: np.random.Generator) -> Shown:
        advice = self._advice(line)
        arms, experts = self._state.arms, self._state.experts
        named = _arms(line)
        if self._bandit is None:
            arms, experts = named, tuple(advice) or named
        if set(named) != set(arms) or line.get("slots", 1) != 1:
            raise DataError(
                f"options are {list(named)} for {line.get('slots', 1)} slots; expected one slot, "
                f"and {list(arms)} as in the first menu: these rules compare the same arms all "
                "along. Take a rule on menus, such as thompson, where they change."
            )
        law = _laid_out(advice, experts, arms)
        bandit = self._bandit or AdviceBandit(self._state.config.advice(*law.shape))
        assert isinstance(bandit, AdviceBandit)
        found = bandit.decide(law, generator=chance)
        # What could not be used has said nothing of what arms and experts there are.
        self._bandit, self._state = bandit, replace(self._state, arms=arms, experts=experts)
        said = {"event_id": event, "ranking": [arms[found.arm]],
                "probabilities": dict(zip(arms, found.probabilities.tolist()))}  # fmt: skip
        return Shown(asked=json.dumps(dict(line)), said=json.dumps(said), place=found.arm,
                     probabilities=tuple(found.probabilities.tolist()))  # fmt: skip

    def _advice(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        said, is_advised = line.get("advice"), self._state.config.kind == "exp4"
        if not is_advised and said is not None:
            raise DataError(
                "a line has advice, and exp3 takes none; expected options alone. Begin in another "
                "folder with --rule exp4, or leave advice out."
            )
        if not is_advised:
            return {}
        known = self._state.experts
        if not isinstance(said, Mapping) or len(said) < 2 or (known and set(said) != set(known)):
            raise DataError(
                f"advice is of {list(said) if isinstance(said, Mapping) else said!r}; expected "
                + (f"the experts of the first menu, {list(known)}" if known else "two experts")
                + ', as in {"ann": {"a": 0.9, "b": 0.1}, "model": {"a": 0.5, "b": 0.5}}.'
            )
        return said

    def _teach(self, known: Shown, reward: float) -> None:
        if isinstance(self._bandit, ZoomingBandit):
            point = np.array(json.loads(known.said)["point"])
            self._bandit.update(ZoomingDecision(point, known.place), reward)
            return
        assert self._bandit is not None
        advice = self._advice(json.loads(known.asked))
        law = _laid_out(advice, self._state.experts, self._state.arms)
        p = known.probabilities
        self._bandit.update(AdviceDecision(known.place, p[known.place], np.array(p), law), reward)


def save(decider: Decider | CatalogueDecider, folder: Path) -> None:
    """Everything, as JSON and safetensors."""
    save_value(decider.state, folder)


def taken_up(folder: Path) -> Decider | CatalogueDecider:
    """Goes on where what `save` wrote stopped. Raises `BeliefError` where the folder is damaged or
    holds anything else."""
    found = load_value(folder)
    return (
        CatalogueDecider(found) if isinstance(found, CatalogueState)
        else Decider(load_menus(folder))
    )  # fmt: skip


def _bandit(state: CatalogueState) -> AdviceBandit | ZoomingBandit | None:
    if isinstance(state.belief, AdviceBelief):
        return AdviceBandit(state.belief)
    if state.config.zooming is not None:
        return ZoomingBandit(state.belief or state.config.zooming)
    return None


def _arms(line: Mapping[str, Any]) -> tuple[str, ...]:
    names = tuple([str(each["id"]) for each in options_of(line)])
    if len(names) < 2:
        raise DataError(
            f"options are {list(names)}; expected two or more, each with an `id` of its own (a "
            "text)."
        )
    return names


def _laid_out(
    advice: Mapping[str, Any], experts: tuple[str, ...], arms: tuple[str, ...]
) -> Float[Array, "N K"]:
    """A line an expert; who leaves an arm out gives it no chance. Without advice each arm is its
    own expert."""
    if not advice:
        return np.eye(len(arms))
    for name, said in advice.items():
        is_law = isinstance(said, Mapping) and not set(said) - set(arms) and all(
            is_number(p) for p in said.values()
        )  # fmt: skip
        if not is_law:
            raise DataError(
                f"{name!r} advises {said!r:.200}; expected a probability of some of "
                f"{list(arms)}, 1 in all."
            )
    return np.array([[float(advice[name].get(arm, 0.0)) for arm in arms] for name in experts])


def _log_line(event: str, known: Shown, arms: tuple[str, ...], reward: float) -> str:
    """Decision-service JSON, as `penchant ope` reads it. Person, situation and features played no
    part, and stay with the line for other policies to look at."""
    asked = json.loads(known.asked)
    options = {each["id"]: each for each in asked["options"]}
    order = [known.place, *(k for k in range(len(arms)) if k != known.place)]
    return json.dumps(
        {"_label_cost": -reward, "_label_probability": known.probabilities[known.place],
         "_label_Action": known.place + 1, "_labelIndex": known.place, "EventId": event,
         "a": [k + 1 for k in order], "p": [known.probabilities[k] for k in order],
         **logged_situation(asked, [options[arm] for arm in arms])}
    )  # fmt: skip
