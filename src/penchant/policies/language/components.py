"""Several rewards of an answer as one grader: each has its own time, and fails for itself alone.

Legend: M components.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penchant.errors import ConfigError, DataError
from penchant.policies.language.grading import Reward
from penchant.simulation.tasks.task import Problem
from penchant.utilities.compose import Missing, weighted_sum


@dataclass(frozen=True, kw_only=True, eq=False)
class Component:
    """grade: a number of a problem and a response, None where it does not apply. seconds: of wall
    time for one call, None without a limit: what takes longer is left behind (what may hang for
    good or do harm belongs into `agents/sandbox.py`, which kills it)."""

    name: str
    grade: Callable[[Problem, str], float | None]
    seconds: float | None = 10.0

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds > 0.0:
            raise ConfigError(
                f"component {self.name!r} has seconds={self.seconds}; expected above 0, or None."
            )


@dataclass(eq=False)
class Components:
    """A grader of components. One that raises, takes too long or gives NaN or infinity is missing
    there, the others stay; `errors` counts such failures by name. One that took too long `patience`
    times in a row is not called any more: every call left behind still takes its share of the
    machine.

    Raises `ConfigError` for none, and for two of a name.
    """

    parts: Sequence[Component]
    patience: int = 5
    errors: dict[str, int] = field(default_factory=dict, init=False)
    _slow: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) < len(names) or self.patience < 1:
            raise ConfigError(
                f"got components {names} with patience={self.patience}; expected one or more, each "
                "with a name of its own, and 1 or more."
            )
        self.errors.update(dict.fromkeys(names, 0))

    def __call__(self, problem: Problem, response: str) -> Mapping[str, float | Exception | None]:
        """Each component's number, or what went wrong with it."""
        return {part.name: self._told(part, problem, response) for part in self.parts}

    def _told(self, part: Component, problem: Problem, response: str) -> float | Exception | None:
        try:
            if self._slow.get(part.name, 0) >= self.patience:
                raise DataError(
                    f"{part.name} took more than {part.seconds:g} s {self.patience} times in a row "
                    "and is not called any more. Give it more seconds, or leave it out."
                )
            said = within(part.seconds, part.grade, problem, response)
            found = None if said is None else float(said)
            if found is not None and not math.isfinite(found):
                raise DataError(f"got {found}; expected a finite number, or None for no grade.")
        except TimeoutError as error:
            self._slow[part.name] = self._slow.get(part.name, 0) + 1
            self.errors[part.name] += 1
            return TimeoutError(f"{part.name}: {error}")
        except (Exception, SystemExit) as error:  # one component must not take the others with it
            self.errors[part.name] += 1
            if isinstance(error, Exception):
                return error
            return DataError(f"{part.name} called exit({error}); expected it to return.")
        self._slow[part.name] = 0
        return found


def weighted(weights: Mapping[str, float], missing: Missing = "spread") -> Reward:
    """The reward sum_m w_m r_m by `compose.weighted_sum`, which says what a missing component does.

    Raises `ConfigError` without any weight other than 0.
    """
    if not any(weights.values()):
        raise ConfigError(f"got weights {dict(weights)}; expected one other than 0.")
    names, values = list(weights), np.array(list(weights.values()), dtype=float)

    def reward(components: Mapping[str, float]) -> float:
        told = np.array([components.get(name, np.nan) for name in names])
        return float(weighted_sum(told, values, missing))

    return reward


def within(seconds: float | None, work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` returns or raises; `TimeoutError` where it takes longer, leaving it behind."""
    if seconds is None:
        return work(*arguments)
    told: dict[str, Any] = {}

    def run() -> None:
        try:
            told["value"] = work(*arguments)
        except BaseException as error:  # handed over to whoever waits
            told["error"] = error

    # Of no pool: the interpreter would wait at its end for one that never comes back.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer in {seconds:g} s; left behind")
    if "error" in told:
        raise told["error"]
    return told["value"]
