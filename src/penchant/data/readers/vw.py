"""Vowpal Wabbit's text format for contextual bandits, read and written.

Without features of actions, a line an event: `action:cost:probability | features`, actions counted
from 1. With them (ADF), a line an action and a blank line after each event: `shared | features`
first where there is something shared, then `[0:cost:probability] | features`, the label on the
action that was taken.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

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
from penchant.data.records import Records
from penchant.errors import DataError

ENDINGS = (".vw",)
_LABEL = "`action:cost:probability` with three numbers, the probability above 0 and at most 1"


def read_vw(path: str | Path, raises: bool = True) -> LoggedEvents:
    """Records of a log; which of the two forms it has, its blank lines and `shared` tell."""
    found = _events_in(path)
    return parse_events(
        found.texts, found.lines, found.parse, features, Path(path).name, raises
    )  # fmt: skip


def vw_events(path: str | Path, raises: bool = True) -> ParsedEvents:
    """The same, event by event, as they stood."""
    found = _events_in(path)
    return parsed_events(found.texts, found.lines, found.parse, Path(path).name, raises)


@dataclass(frozen=True, slots=True)
class _Found:
    texts: list[str]
    lines: list[int]
    parse: Callable[[str], Event]


def _events_in(path: str | Path) -> _Found:
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name} cannot be read ({error}); expected Vowpal Wabbit's text format in UTF-8. "
            "Check the path, or convert the file."
        ) from None
    # Not splitlines: it breaks lines at marks that mean nothing in this format.
    lines = text.replace("\r\n", "\n").split("\n")
    blank = [not line.strip() for line in lines]
    if any(blank[: _last(blank)]) or any(line.startswith("shared") for line in lines):
        return _Found(*_joined(lines), _adf_event)
    numbers = [at + 1 for at, is_blank in enumerate(blank) if not is_blank]
    texts = [lines[at - 1] for at in numbers]
    # The file does not say how many actions there are: as many as the largest that it names.
    words = (word for text in texts for word in text.partition("|")[0].split())
    numbered = (re.match(r"\d+(?=:|$)", word) for word in words)
    most = max((int(found[0]) for found in numbered if found), default=1)
    return _Found(texts, numbers, lambda line: _plain_event(line, most))


def _last(blank: list[bool]) -> int:
    """The end of what is not blank."""
    return max((at for at, is_blank in enumerate(blank) if not is_blank), default=0)


def _joined(lines: list[str]) -> tuple[list[str], list[int]]:
    texts: list[str] = []
    numbers: list[int] = []
    open_event: list[str] = []
    for number, line in enumerate([*lines, ""], start=1):
        if line.strip():
            if not open_event:
                numbers.append(number)
            open_event.append(line)
        elif open_event:
            texts.append("\n".join(open_event))
            open_event = []
    return texts, numbers


def _adf_event(text: str) -> Event:
    shared = ""
    actions: list[str] = []
    names: list[str] = []
    taken, cost, propensity = -1, math.nan, math.nan
    for line in text.split("\n"):
        head, words = _split(line)
        if head[:1] == ["shared"]:
            if shared or actions:
                raise Problem("the event", text, "one `shared` line, its first",
                              "put a blank line between events")  # fmt: skip
            shared = words
            continue
        tag, label = _tag_of(head)
        if label:
            if taken >= 0:
                raise Problem("the event", text, "a label on one action, the one taken",
                              "remove the others, or put a blank line between events")  # fmt: skip
            if len(label) > 1:
                raise Problem("the label", " ".join(label), _LABEL, "correct the line")
            _, cost, propensity = _label(label[0])
            taken = len(actions)
        actions.append(words)
        # An action is what its features say; a tag names it.
        names.append(tag or words.strip() or str(len(actions)))
    if not actions:
        raise Problem("the event", text, "at least one action after `shared`", "log the menu")
    known = [math.nan] * len(actions)
    if taken >= 0:
        known[taken] = propensity
    return Event(
        shared=shared, actions=tuple(actions), names=tuple(names), taken=taken, cost=cost,
        propensity=tuple(known),
    )  # fmt: skip


def _plain_event(line: str, most: int) -> Event:
    head, words = _split(line)
    tag, labels = _tag_of(head)
    menu: list[int] = []
    taken, cost, propensity = -1, math.nan, math.nan
    for label in labels:
        if ":" in label:
            if taken >= 0:
                raise Problem("the label", " ".join(labels), "one action with a cost",
                              "keep the one that was taken")  # fmt: skip
            action, cost, propensity = _label(label)
            taken = len(menu)
        else:
            action = _action(label)
        menu.append(action)
    if any(action < 1 for action in menu) or len(set(menu)) < len(menu):
        raise Problem("the label", " ".join(labels), "actions counted from 1, each once",
                      "correct the line")  # fmt: skip
    # Several actions in a label are the menu; a single one was taken from among all.
    if len(menu) <= 1:
        taken = menu[0] - 1 if taken >= 0 else -1
        menu = list(range(1, most + 1))
    known = [math.nan] * len(menu)
    if taken >= 0:
        known[taken] = propensity
    return Event(
        shared=words, actions=("",) * len(menu), names=tuple(map(str, menu)), taken=taken,
        cost=cost, propensity=tuple(known), extras={"tag": tag} if tag else {},
    )  # fmt: skip


def _split(line: str) -> tuple[list[str], str]:
    """What stands before the first bar, word by word, and the features from that bar on."""
    head, bar, words = line.partition("|")
    if not bar:
        raise Problem("the line", line, "a bar `|` before the features", "add one")
    return head.split(), f"|{words}"


def _tag_of(head: list[str]) -> tuple[str, list[str]]:
    """The tag, a last word with a quote before it or one that is no label, and the words before."""
    if head and (head[-1].startswith("'") or not re.search(r"[:\d]", head[-1])):
        return head[-1].lstrip("'"), head[:-1]
    return "", head


def _action(word: str) -> int:
    if not word.isdigit():
        raise Problem("the action", word, "a whole number", "correct the line")
    return int(word)


def _label(word: str) -> tuple[int, float, float]:
    parts = word.split(":")
    try:
        action, cost, probability = int(parts[0]), float(parts[1]), float(parts[2])
    except (ValueError, IndexError):
        raise Problem("the label", word, _LABEL, "correct the line") from None
    if len(parts) > 3 or not math.isfinite(cost) or not 0 < probability <= 1:
        raise Problem("the label", word, _LABEL, "correct the line")
    return action, cost, probability


def features(text: str) -> Features:
    """`|place:2 dist:1.5 near` as {place.dist: 3, place.near: 2}; repeated names add up."""
    found: dict[str, float | str] = {}
    for part in text.split("|")[1:]:
        words = part.split()
        space, scale = "", 1.0
        # A name that touches the bar is the namespace, perhaps with a weight.
        if words and not part[:1].isspace():
            space, scale = _name_and_value(words.pop(0))
            space += "."
        for word in words:
            name, value = _name_and_value(word)
            key = space + name
            found[key] = float(found.get(key, 0.0)) + scale * value
    return found


def _name_and_value(word: str) -> tuple[str, float]:
    name, colon, value = word.partition(":")
    if not colon:
        return name, 1.0
    try:
        return name, float(value)
    except ValueError:
        raise Problem("the feature", word, "`name` or `name:number`", "correct the line") from None


def write_vw(records: Records, path: str | Path) -> Path:
    """The records as a log that `vw --cb_adf` (or, where actions have no features, `--cb`) reads.

    Features are written as they stood where the records keep them, else from the columns: a number
    as `name:number`, a word as `name=word`.
    """
    events = _texts(records)
    adf = any(action != "" for _, actions in events for action in actions)
    value, propensity = answers(records)
    lines: list[str] = []
    names = [str(name) for name in records.options["option"].to_pylist()]
    most = max((int(name) for name in names if name.isdigit()), default=0)
    tags = [None] * len(records)
    if "tag" in records.rows.column_names:
        tags = records.rows["tag"].to_pylist()
    for b, (shared, actions) in enumerate(events):
        start = int(records.offsets[b])
        own = names[start : start + len(actions)]
        label = ["" if adf else name for name in own]
        for k, name in enumerate(own):
            if not math.isnan(value[start + k]):
                # Minus a value of 0 would be written "-0".
                cost = _number(-value[start + k] + 0.0)
                label[k] = f"{0 if adf else name}:{cost}:{_number(propensity[start + k])}"
        if adf:
            lines += [f"shared {shared}"] if shared else []
            for k, action in enumerate(actions):
                tag = f"'{_word(own[k])}" if own[k] not in (action.strip(), str(k + 1)) else ""
                lines.append(" ".join(filter(None, (label[k], tag, action or "|"))))
            lines.append("")
        else:
            # A menu of all actions goes without saying.
            whole = own == [str(k) for k in range(1, most + 1)]
            said = [word for word in label if ":" in word or not whole]
            tag = f"'{tags[b]}" if tags[b] else ""
            lines.append(" ".join(filter(None, (*said, tag, shared or "|"))))
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path(path)


def answers(records: Records) -> tuple[Any, Any]:
    """Value and propensity of every option, NaN where unknown.

    Raises `DataError` for records of other feedback, or values without a propensity.
    """
    for name in ("value", "success"):
        if name in records.options.column_names and "propensity" in records.options.column_names:
            value = to_floats(records.options[name])
            propensity = to_floats(records.options["propensity"])
            lacking = ~np.isnan(value) & np.isnan(propensity)
            if lacking.any():
                raise DataError(
                    f"{int(lacking.sum())} actions were taken with an unknown probability; "
                    "expected a propensity for each. A log without them cannot be evaluated."
                )
            return value, propensity
    raise DataError(
        f"{records!r} are no decisions with propensities; expected a column `propensity` and a "
        "`value` or `success` of what was done. Write them as a long table instead."
    )


def _texts(records: Records) -> list[tuple[str, list[str]]]:
    rows, options = records.rows, records.options
    if SHARED in rows.column_names and "text" in options.column_names:
        shared, actions = rows[SHARED].to_pylist(), options["text"].to_pylist()
        if all(text == "" or text.startswith("|") for text in (*shared, *actions)):
            return [
                (shared[b], actions[records.offsets[b] : records.offsets[b + 1]])
                for b in range(len(records))
            ]
    shared = _as_features(rows, records.columns("context") + records.columns("person_feature"))
    actions = _as_features(options, records.columns("feature"))
    names = options["option"].to_pylist()
    if not any(word.strip("| ") for word in actions):
        # Without features an action is its name.
        actions = ["" if str(n).isdigit() else f"| {_word(str(n))}" for n in names]
    return [
        (shared[b], actions[records.offsets[b] : records.offsets[b + 1]])
        for b in range(len(records))
    ]


def _as_features(table: pa.Table, names: tuple[str, ...]) -> list[str]:
    columns = []
    for name in names:
        word = _word(name)
        if is_number(table[name].type):
            values = to_floats(table[name])
            columns.append([f"{word}:{_number(v)}" if v and v == v else "" for v in values])
        else:
            values = table[name].to_pylist()
            columns.append(["" if v is None else f"{word}={_word(str(v))}" for v in values])
    if not columns:
        return [""] * table.num_rows
    return ["| " + " ".join(filter(None, row)) for row in zip(*columns, strict=True)]


def _word(text: str) -> str:
    """Blanks, bars and colons mean something in this format."""
    return re.sub(r"[\s|:]+", "_", text)


def _number(value: float) -> str:
    return repr(int(value)) if value == int(value) else repr(float(value))
