"""The tasks that `penchant align` knows by name, and how their settings are written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from penchant.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Known:
    """most_tokens: that an answer (in a world, a turn) needs. made: the task from settings."""

    told: str
    most_tokens: int
    made: Callable[[], type]
    defaults: Mapping[str, Any]


def _chain() -> type:
    from penchant.simulation.tasks.chain import Chain

    return Chain


def _rank() -> type:
    from penchant.simulation.tasks.ranking import RankItems

    return RankItems


def _find() -> type:
    from penchant.simulation.tasks.find import Find

    return Find


def _look() -> type:
    from penchant.simulation.tasks.find import FindByLooking

    return FindByLooking


def _tool() -> type:
    from penchant.simulation.tasks.tool import CallTool

    return CallTool


def _grid() -> type:
    from penchant.simulation.tasks.grid import NameCell

    return NameCell


def _door() -> type:
    from penchant.simulation.tasks.door import OpenDoor

    return OpenDoor


def _talk() -> type:
    from penchant.simulation.tasks.talk import FindWish

    return FindWish


def _retry() -> type:
    from penchant.simulation.tasks.retry import RetryDoor

    return RetryDoor


TASKS: Mapping[str, Known] = {
    "CHAIN": Known(told="sums in chains, modulo ten", most_tokens=16, made=_chain,
                   defaults={"fewest": 1, "most": 3}),
    "RANK": Known(told="lists for a profile, best first", most_tokens=26, made=_rank, defaults={}),
    "FIND": Known(told="facts over several hops, read at once", most_tokens=8, made=_find,
                  defaults={"hops": 2, "facts": 4}),
    "LOOK": Known(told="the same, looked up one by one", most_tokens=8, made=_look,
                  defaults={"hops": 2, "facts": 4}),
    "TOOL": Known(told="calls with typed arguments", most_tokens=12, made=_tool, defaults={}),
    "GRID": Known(told="cells of a grid by description", most_tokens=5, made=_grid,
                  defaults={"rows": 2, "columns": 2, "near": 1}),
    "DOOR": Known(told="a key and a door in a row of rooms", most_tokens=3, made=_door,
                  defaults={"rooms": 4, "horizon": 12}),
    "RETRY": Known(told="reflections between an actor's trials at a door", most_tokens=3,
                   made=_retry, defaults={}),
    "TALK": Known(told="a partner with a hidden wish", most_tokens=14, made=_talk, defaults={}),
}  # fmt: skip


def known_task(text: str) -> Known | None:
    """The task that NAME or NAME:setting=value,... names; None where it is none."""
    return TASKS.get(text.partition(":")[0])


def read_task(text: str) -> Any:
    """The task of NAME:setting=value,... Raises `ConfigError` for settings that it has not."""
    name, _, said = text.partition(":")
    known = TASKS[name]
    kind = known.made()
    own = {field.name: field.type for field in fields(kind)}
    settings = dict(known.defaults)
    for part in filter(None, said.split(",")):
        key, sign, value = part.partition("=")
        if key not in own or not sign:
            raise ConfigError(
                f"{name} got the setting {part!r}; expected name=value with one of "
                f"{', '.join(own) or 'no names: it has none'}."
            )
        settings[key] = _value(name, key, value, own[key])
    return kind(**settings)


def _value(task: str, key: str, text: str, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        return kind(text)
    except (KeyError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{task} got {key}={text}; expected a value of type {kind.__name__}."
        ) from error
