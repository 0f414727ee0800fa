"""Lines in, decisions out: what is on offer, what was answered, and a log that others can judge."""

import json
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from penchant.beliefs.storage import load_value, save_value
from penchant.encoders.hashed import HashedMenu
from penchant.errors import BeliefError, ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.policies.bandits.joint import Grants
from penchant.policies.bandits.menu import (
    MenuBandit,
    MenuBanditConfig,
    MenuBelief,
    MenuDecision,
    refuse_rewards_without_ends,
)
from penchant.policies.bandits.menu_policy import MenuPolicy
from penchant.policies.bandits.pacing import Pacing
from penchant.policies.bandits.rules import Rule, Thompson

# Decisions that wait for further answers; beyond them the oldest is let go.
MOST_OPEN = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DeciderConfig:
    """bandit, encoder, rule, channels, floor, exposure: of the `MenuBandit`. budget, horizon: what
    options with a `cost` may cost in all, over so many decisions; None: nothing is paid. slots: how
    many options are shown where a line does not say. silence: the reward that a decision without
    any answer earned after `patience` further decisions; None: silence is missing and teaches
    nothing. seed: of chance, which each decision has its own of: however often the work is broken
    off, the same lines are answered in the same way."""

    bandit: MenuBanditConfig = field(default_factory=MenuBanditConfig)
    encoder: HashedMenu = field(default_factory=HashedMenu)
    rule: Rule = field(default_factory=Thompson)
    channels: tuple[Channel, ...] = (Choice(),)
    floor: float = 0.05
    exposure: float = 0.0
    budget: float | None = None
    horizon: int | None = None
    slots: int = 1
    silence: float | None = None
    patience: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        kinds = [channel.kind for channel in self.channels]
        if self.silence is not None and not {"binary", "outcome"} & set(kinds):
            raise ConfigError(
                f"silence is a reward of {self.silence}, but {kinds} learn from no reward; "
                "expected clicks or rewards among the answers. Add them, or leave silence out."
            )
        if self.silence is not None and "outcome" not in kinds and self.silence not in (0.0, 1.0):
            raise ConfigError(
                f"silence is a reward of {self.silence}, but rewards are clicks; expected 0 or 1. "
                "Add rewards to the answers for other numbers."
            )
        if (self.budget is None) != (self.horizon is None) or (
            self.budget is not None and self.slots != 1
        ):
            raise ConfigError(
                f"budget is {self.budget} for a horizon of {self.horizon} decisions of "
                f"{self.slots} slots; expected both numbers and one slot, or neither."
            )
        Grants(floor=self.floor, exposure=self.exposure)
        refuse_rewards_without_ends(self.rule, self.channels)
        if self.slots < 1 or self.patience < 1:
            raise ConfigError(
                f"slots is {self.slots} and patience {self.patience}; expected 1 or more."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenDecision:
    """A decision that may still be answered. asked: the line that asked for it, as JSON. order,
    probabilities: as in `MenuDecision`. seen: answers that were learnt, by their name. step: which
    decision it was."""

    asked: str
    order: tuple[int, ...]
    probabilities: tuple[float, ...]
    seen: tuple[str, ...] = ()
    step: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class DeciderState:
    """All that must be kept. pacing: what is left of a budget. early: answers to events that are
    not known yet, as JSON."""

    config: DeciderConfig
    belief: MenuBelief
    pacing: Pacing | None = None
    num_decisions: int = 0
    open: Mapping[str, OpenDecision] = field(default_factory=dict)
    early: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def policy(self) -> MenuPolicy:
        """What it would show now, learning no more. Raises `ConfigError` for one with a budget."""
        if self.pacing is not None:
            raise ConfigError(
                "what is shown from a budget hangs on what is left of it and on costs that a log "
                "does not hold; expected a folder without a budget. Judge the log's own policy "
                "with `logged`."
            )
        config = self.config
        return MenuPolicy(
            belief=self.belief, encoder=self.config.encoder, rule=self.config.rule,
            step=self.num_decisions + 1,
            grants=Grants(floor=config.floor, exposure=config.exposure),
            learnt_from=frozenset(event for event, known in self.open.items() if known.seen),
        )  # fmt: skip


class Decider:
    """Answers lines of what is on offer, learns from lines of what was answered.

    log: where each decision goes with its first answer, as a line of decision-service JSON that
    `penchant ope` reads; rewards are those of what stood in front (of a pick or ranking: 1 where it
    was the best).
    """

    def __init__(self, state: DeciderState) -> None:
        self._state = state
        self._open = OrderedDict(state.open)
        self._early = dict(state.early)
        self._num_decisions = state.num_decisions
        config = state.config
        self._bandit = MenuBandit(
            config.encoder.num_features, rule=config.rule, belief=state.belief, floor=config.floor,
            exposure=config.exposure, pacing=state.pacing, num_decisions=state.num_decisions,
        )  # fmt: skip
        self.logged: list[str] = []

    @classmethod
    def new(cls, config: DeciderConfig) -> "Decider":
        """Nothing learnt yet."""
        belief = config.bandit.prior(config.encoder.num_features, config.channels)
        pacing = None
        if config.budget is not None and config.horizon is not None:
            pacing = Pacing(budget=config.budget, num_rounds=config.horizon)
        return cls(DeciderState(config=config, belief=belief, pacing=pacing))

    @property
    def num_open(self) -> int:
        """Decisions that may still be answered."""
        return len(self._open)

    @property
    def state(self) -> DeciderState:
        """What there is now, as a value."""
        return replace(
            self._state, belief=self._bandit.belief_, pacing=self._bandit.pacing,
            num_decisions=self._num_decisions,
            open=dict(self._open), early=dict(self._early),
        )  # fmt: skip

    def answer(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """What is said to one line. Raises `DataError` where it is neither a menu nor an answer.

        A menu has `options` [{"id", "features"}] (with a budget also "cost"), and may have
        `event_id`, `person`, `context` and `slots`; an answer has `event_id`, `kind` and `value`,
        and may have `feedback_id` (the same one twice is learnt once) and `time`. An answer before
        its menu is kept until that comes; one that turns out not to fit it then is told under
        `refused`, and teaches nothing.
        """
        if "options" in line:
            return self._decide(line)
        if "kind" in line:
            return self._learn(line)
        raise DataError(
            f"a line has {sorted(line)}; expected `options` (what is on offer) or `kind` and "
            "`value` (what was answered)."
        )

    def _decide(self, line: Mapping[str, Any]) -> dict[str, Any]:
        event = event_of(line) or f"decision-{self._num_decisions + 1}"
        if event in self._open:
            known = self._open[event]
            return _said(event, json.loads(known.asked), known)
        menu = self._menu(line)
        person = None if line.get("person") is None else str(line["person"])
        slots = line.get("slots", self._state.config.slots)
        if not isinstance(slots, int) or isinstance(slots, bool):
            raise DataError(f"slots is {slots!r}; expected a whole number.")
        chance = np.random.default_rng((self._state.config.seed, self._num_decisions))
        decision = self._bandit.decide(
            menu, person=person, slots=slots, cost=self._cost(line), generator=chance
        )
        self._num_decisions += 1
        made = OpenDecision(
            asked=json.dumps(dict(line)), order=decision.order,
            probabilities=tuple(decision.probabilities.tolist()), step=self._num_decisions,
        )  # fmt: skip
        self._open[event] = made
        refused = []
        for kept in self._early.pop(event, ()):
            try:
                self._learn(json.loads(kept))
            except DataError as error:
                refused.append(str(error))
        self._close_what_is_silent()
        return _said(event, line, made) | ({"refused": refused} if refused else {})

    def _learn(self, line: Mapping[str, Any]) -> dict[str, Any]:
        event = event_of(line)
        if event is None:
            raise DataError(
                f"an answer of kind {line['kind']!r} has no event_id; expected that of the menu "
                "which it answers."
            )
        time = _time(line)
        if event not in self._open:
            while len(self._early) >= MOST_OPEN:
                del self._early[next(iter(self._early))]
            self._early[event] = (*self._early.get(event, ()), json.dumps(dict(line)))
            return {"event_id": event, "accepted": True, "duplicate": False, "learnt": False}
        known = self._open[event]
        name = answer_name(line)
        is_new = name not in known.seen
        if is_new:
            asked = json.loads(known.asked)
            value = line.get("value")
            if line["kind"] == "edit":
                value = self._edited(asked, value)
            decision = self._decision(asked, known)
            self._bandit.update(decision, str(line["kind"]), value, time=time)
            if not known.seen:
                self.logged.append(_log_line(event, asked, known, decision, line))
            self._open[event] = replace(known, seen=(*known.seen, name))
        return {"event_id": event, "accepted": True, "duplicate": not is_new, "learnt": is_new}

    def _menu(self, line: Mapping[str, Any]) -> dict[str, Any]:
        options, context = options_of(line), line.get("context") or {}
        encode = self._state.config.encoder.encode
        return {
            each["id"]: encode(each["id"], each.get("features") or {}, context) for each in options
        }

    def _cost(self, line: Mapping[str, Any]) -> dict[str, float]:
        """What options cost that say so; without a budget nothing is paid."""
        if self._state.pacing is None:
            return {}
        said = {each["id"]: each["cost"] for each in line["options"] if "cost" in each}
        for name, cost in said.items():
            if not is_number(cost):
                raise DataError(
                    f"option {name!r} costs {cost!r:.60}; expected a number, in units of the "
                    "budget."
                )
        return {name: float(cost) for name, cost in said.items()}

    def _edited(self, asked: Mapping[str, Any], value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise DataError(
                f"an edit has the value {value!r}; expected an object of the features that it left "
                "the option with."
            )
        return self._state.config.encoder.encode("", value, asked.get("context") or {})

    def _decision(self, asked: Mapping[str, Any], known: OpenDecision) -> MenuDecision:
        menu = self._menu(asked)
        person = None if asked.get("person") is None else str(asked["person"])
        return MenuDecision(
            tuple(menu), np.stack(list(menu.values())), np.array(known.probabilities),
            known.order, person,
        )  # fmt: skip

    def _close_what_is_silent(self) -> None:
        config = self._state.config
        while len(self._open) > 0:
            event, known = next(iter(self._open.items()))
            is_late = self._num_decisions - known.step >= config.patience
            if config.silence is not None and is_late:
                if not known.seen:
                    self._learn({"event_id": event, "kind": "reward", "value": config.silence})
            elif len(self._open) <= MOST_OPEN:
                break
            del self._open[event]


def save(decider: Decider, folder: Path) -> None:
    """Everything, as JSON and safetensors."""
    save_value(decider.state, folder)


def load(folder: Path) -> DeciderState:
    """What `save` wrote. Raises `BeliefError` where the folder is damaged or holds anything
    else."""
    found = load_value(folder)
    if not isinstance(found, DeciderState):
        raise BeliefError(
            f"{folder} holds a {type(found).__name__}; expected what `penchant decide` keeps of a "
            "rule on menus. A fitted belief decides by `greedy:`, `softmax:` or `epsilon:`; what "
            "exp3 and exp4 did is judged on their own log by `logged`."
        )
    return found


def event_of(line: Mapping[str, Any]) -> str | None:
    """Its name, perhaps a number; None where there is none."""
    event = line.get("event_id")
    if event is None or event == "":
        return None
    if isinstance(event, bool) or not isinstance(event, str | int):
        raise DataError(f"event_id is {event!r}; expected a text or a whole number.")
    return str(event)


def answer_name(line: Mapping[str, Any]) -> str:
    """What an answer is known by, so that a repetition is recognised; its content, unnamed."""
    return str(line.get("feedback_id") or json.dumps([line["kind"], line.get("value")]))


def options_of(line: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What is on offer. Raises `DataError` where that, or the context, is not as expected."""
    options: Any = line.get("options")
    context = line.get("context") or {}
    is_menu = isinstance(options, list) and all(
        isinstance(each, Mapping)
        and isinstance(each.get("id"), str)
        and isinstance(each.get("features") or {}, Mapping)
        for each in options
    )
    names = [each["id"] for each in options] if is_menu else []
    if not is_menu or len(set(names)) < len(names) or not isinstance(context, Mapping):
        raise DataError(
            "options or context of a line are not as expected: a list of objects, each with an "
            "`id` of its own (a text) and perhaps `features` (an object of names and values), "
            "and an object of what is known of the situation."
        )
    return list(options)


def is_number(said: Any) -> TypeGuard[float]:
    """Whether floating point can hold it: whole numbers of JSON may have any length."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return False
    try:
        return math.isfinite(said)
    except OverflowError:
        return False


def logged_situation(
    asked: Mapping[str, Any], options: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Who was asked, when, in which situation and of what, as decision-service JSON has it."""
    shared = {"context": asked["context"]} if asked.get("context") else {}
    menu = [{"id": o["id"], **({"option": o["features"]} if o.get("features") else {})}
            for o in options]  # fmt: skip
    named = {key: asked[key] for key in ("person", "time") if asked.get(key) is not None}
    return {**named, "c": {**shared, "_multi": menu}}


def _time(line: Mapping[str, Any]) -> float | None:
    time = line.get("time")
    if time is None:
        return None
    if isinstance(time, bool) or not isinstance(time, int | float) or not abs(time) < 1e300:
        raise DataError(
            f"time is {time!r}; expected a number, in the units of the half-life, such as hours or "
            "seconds. Leave it out where it is not known."
        )
    return float(time)


def _said(event: str, asked: Mapping[str, Any], made: OpenDecision) -> dict[str, Any]:
    names = [each["id"] for each in asked["options"]]
    return {
        "event_id": event,
        "ranking": [names[k] for k in made.order],
        "probabilities": dict(zip(names, made.probabilities)),
    }


def _log_line(
    event: str,
    asked: Mapping[str, Any],
    known: OpenDecision,
    decision: MenuDecision,
    line: Mapping[str, Any],
) -> str:
    """Decision-service JSON, with the answer as it came beside it."""
    first, p = known.order[0], known.probabilities
    rest = [k for k in range(len(p)) if k not in known.order]
    order = [*known.order, *rest]
    reward = _reward_in_front(decision, str(line["kind"]), line.get("value"))
    label = {} if reward is None else {
        "_label_cost": -reward, "_label_probability": p[first], "_label_Action": first + 1,
        "_labelIndex": first,
    }  # fmt: skip
    return json.dumps(
        {**label, "EventId": event, "a": [k + 1 for k in order], "p": [p[k] for k in order],
         "answer": {"kind": line["kind"], "value": line.get("value")},
         **logged_situation(asked, asked["options"])}
    )  # fmt: skip


def _reward_in_front(decision: MenuDecision, kind: str, value: Any) -> float | None:
    """What the answer says of the option in front; None where it does not speak of it alone."""
    front = decision.ranking[0]
    if kind in ("reward", "rating"):
        found = value.get(front) if isinstance(value, Mapping) else value
        return None if found is None else float(found)
    if kind == "pick":
        return float(value == front)
    return float(value[0] == front) if kind == "ranking" else None
