"""Decision-service JSON (dsjson), the log of hosted personalisers and of Vowpal Wabbit.

One JSON object a line: `c` holds what is shared and, in `_multi`, the actions; `a` the actions as
ranked, from 1; `p` the probability of each in that order; `_labelIndex` (or `_label_Action`, from
1), `_label_cost` and `_label_probability` what was taken and what it cost.
"""

import json
import math
from pathlib import Path
from typing import Any

from penchant.data.columns import is_number, to_floats
from penchant.data.readers.logged_events import (
    SHARED,
    Event,
    Features,
    LoggedEvents,
    ParsedEvents,
    Problem,
    parse_events,
    parsed_events,
)
from penchant.data.readers.vw import answers
from penchant.data.records import Records
from penchant.errors import DataError

ENDINGS = (".dsjson",)
_LABELS = ("_label_cost", "_label_probability", "_label_Action", "_labelIndex")
_READ = (*_LABELS, "a", "p", "c", "EventId", "Timestamp")


def read_dsjson(path: str | Path, raises: bool = True) -> LoggedEvents:
    """Records of a log: EventId is the situation, Timestamp the time, other keys are extras."""
    texts, numbers = _lines_of(path)
    return parse_events(texts, numbers, _event, features, Path(path).name, raises)


def dsjson_events(path: str | Path, raises: bool = True) -> ParsedEvents:
    """The same, event by event, as they stood."""
    return parsed_events(*_lines_of(path), _event, Path(path).name, raises)


def _lines_of(path: str | Path) -> tuple[list[str], list[int]]:
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name} cannot be read ({error}); expected one JSON object a line, in UTF-8. Check "
            "the path, or convert the file."
        ) from None
    # Not splitlines: JSON may hold U+2028, which is a line's end to Python alone.
    lines = text.replace("\r\n", "\n").split("\n")
    numbers = [at + 1 for at, line in enumerate(lines) if line.strip()]
    return [lines[at - 1] for at in numbers], numbers


def is_dsjson(path: str | Path) -> bool:
    """Whether the first line of a JSON Lines file is a decision of this format."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            first = json.loads(file.readline())
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and isinstance(first.get("c"), dict) and "_multi" in first["c"]


def _event(line: str) -> Event:
    try:
        said = json.loads(line)
    except ValueError:
        raise Problem("the line", line[:80], "a JSON object", "correct the line") from None
    context = said.get("c") if isinstance(said, dict) else None
    menu = context.get("_multi") if isinstance(context, dict) else None
    if not isinstance(menu, list) or not menu or not all(isinstance(a, dict) for a in menu):
        raise Problem(
            "the decision", line[:80], "an object `c` with a list `_multi` of actions",
            "join rewards that came late to their decision",
        )  # fmt: skip
    assert isinstance(context, dict)
    order = _order(said, len(menu))
    propensity = _propensity(said, order)
    taken, cost = _label(said, len(menu))
    if taken >= 0:
        given = _number(said, "_label_probability")
        if not 0 < given <= 1:
            raise Problem("_label_probability", given, "a number above 0 and at most 1",
                          "log the probability of what was taken")  # fmt: skip
        if not math.isnan(propensity[taken]) and abs(propensity[taken] - given) > 1e-4:
            raise Problem(
                "_label_probability", given, f"what `p` says of that action, {propensity[taken]}",
                "correct one of the two",
            )  # fmt: skip
        propensity[taken] = given
    shared = {name: value for name, value in context.items() if name != "_multi"}
    actions = tuple(_text(action) for action in menu)
    extras = {name: value for name, value in said.items() if name not in _READ}
    for key, name in (("EventId", "situation"), ("Timestamp", "time")):
        if said.get(key) is not None:
            extras[name] = str(said[key])
    dropped = said.get("pdrop", 0.0)
    return Event(
        shared=_text(shared), actions=actions,
        names=tuple(str(a.get("_tag") or text) for a, text in zip(menu, actions)),
        taken=taken, cost=cost, propensity=tuple(propensity),
        position=() if order is None else tuple(_ranks(order)),
        weight=1.0 / (1.0 - dropped) if isinstance(dropped, float) and 0 <= dropped < 1 else 1.0,
        extras=extras,
    )  # fmt: skip


def _order(said: dict[str, Any], size: int) -> list[int] | None:
    """`a`, from 0."""
    order = said.get("a")
    if order is None:
        return None
    whole = isinstance(order, list) and all(isinstance(x, int) for x in order)
    if not whole or sorted(order) != list(range(1, size + 1)):
        raise Problem("a", order, f"the actions from 1 to {size}, each once", "correct the line")
    return [x - 1 for x in order]


def _ranks(order: list[int]) -> list[int]:
    ranks = [0] * len(order)
    for place, action in enumerate(order):
        ranks[action] = place
    return ranks


def _propensity(said: dict[str, Any], order: list[int] | None) -> list[float]:
    """Of each action in the order of `_multi`; `p` is in the order of `a`."""
    size = len(said["c"]["_multi"])
    given = said.get("p")
    if given is None:
        return [math.nan] * size
    numbers = isinstance(given, list) and all(
        isinstance(x, int | float) and 0 <= x <= 1 for x in given
    )
    if not numbers or len(given) != size:
        raise Problem("p", given, f"{size} probabilities from 0 to 1", "correct the line")
    result = [math.nan] * size
    for place, probability in enumerate(given):
        result[place if order is None else order[place]] = float(probability)
    return result


def _label(said: dict[str, Any], size: int) -> tuple[int, float]:
    if said.get("_label_cost") is None:
        return -1, math.nan
    cost = _number(said, "_label_cost")
    if said.get("_labelIndex") is not None:
        taken, key = said["_labelIndex"], "_labelIndex"
    else:
        taken, key = said.get("_label_Action"), "_label_Action"
        taken = taken - 1 if isinstance(taken, int) else None
    if not isinstance(taken, int) or not 0 <= taken < size:
        raise Problem(key, said.get(key), f"one of the {size} actions", "correct the line")
    return taken, cost


def _number(said: dict[str, Any], key: str) -> float:
    value = said.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Problem(key, value, "a number", "correct the line")
    return float(value)


def features(text: str) -> Features:
    """Nested objects by dots, lists of numbers by place, truth as 1 and 0; names that begin with
    an underscore are no features."""
    found: dict[str, float | str] = {}
    if text:
        _flatten(json.loads(text), "", found)
    return found


def _flatten(value: Any, name: str, found: dict[str, float | str]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not key.startswith("_"):
                _flatten(inner, f"{name}.{key}" if name else key, found)
    elif isinstance(value, list):
        # A list of objects is one namespace in several pieces.
        for place, inner in enumerate(value):
            _flatten(inner, name if isinstance(inner, dict) else f"{name}[{place}]", found)
    elif isinstance(value, str):
        found[name] = value
    elif isinstance(value, bool | int | float):
        found[name] = float(value)


def write_dsjson(records: Records, path: str | Path) -> Path:
    """The records as decision-service JSON; features as they stood where the records keep them."""
    value, propensity = answers(records)
    shared, actions = _json_texts(records)
    position = None
    if "position" in records.options.column_names:
        position = to_floats(records.options["position"])
    rows = {name: records.rows[name].to_pylist() for name in records.rows.column_names}
    kept = [name for name in records.columns("extra") if name in rows and name != SHARED]
    lines = []
    for b in range(len(records)):
        own = slice(int(records.offsets[b]), int(records.offsets[b + 1]))
        menu = list(range(own.stop - own.start))
        order = menu
        if position is not None:
            order = sorted(menu, key=lambda k: position[own][k])
        said: dict[str, Any] = {}
        for k in menu:
            if not math.isnan(value[own][k]):
                said |= {
                    "_label_cost": float(-value[own][k] + 0.0),
                    "_label_probability": float(propensity[own][k]),
                    "_label_Action": k + 1,
                    "_labelIndex": k,
                }
        for name, key in (("time", "Timestamp"), ("situation", "EventId")):
            if name in rows and rows[name][b] is not None:
                said[key] = str(rows[name][b])
        if position is not None:
            said["a"] = [k + 1 for k in order]
        said["c"] = {**json.loads(shared[b]), "_multi": [json.loads(a) for a in actions[own]]}
        if not any(math.isnan(x) for x in propensity[own]):
            said["p"] = [float(propensity[own][k]) for k in order]
        for name in kept:
            if rows[name][b] is not None:
                said[name] = _value(rows[name][b])
        lines.append(json.dumps(said, ensure_ascii=False))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path(path)


def _json_texts(records: Records) -> tuple[list[str], list[str]]:
    rows, options = records.rows, records.options
    if SHARED in rows.column_names and "text" in options.column_names:
        shared, actions = rows[SHARED].to_pylist(), options["text"].to_pylist()
        if all(text.startswith("{") for text in (*shared, *actions)):
            return shared, actions
    context = (*records.columns("context"), *records.columns("person_feature"))
    names = options["option"].to_pylist()
    features = _objects(options, records.columns("feature"))
    return (
        [_text(x) for x in _objects(rows, context)],
        [_text({"_tag": str(n), **x} if n is not None else x) for n, x in zip(names, features)],
    )


def _objects(table: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    columns = {
        name: to_floats(table[name]).tolist() if is_number(table[name].type)
        else table[name].to_pylist()
        for name in names
    }  # fmt: skip
    return [
        {
            name: column[at]
            for name, column in columns.items()
            if column[at] is not None and column[at] == column[at]
        }
        for at in range(table.num_rows)
    ]


def _value(kept: Any) -> Any:
    """An extra that was no word or number stands as JSON."""
    if isinstance(kept, str) and kept[:1] in "[{":
        try:
            return json.loads(kept)
        except ValueError:
            return kept
    return kept


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
