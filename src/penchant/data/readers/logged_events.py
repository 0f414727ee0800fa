"""Logged decisions, event by event: what Vowpal Wabbit's text and decision-service JSON share.

Legend: B events, K actions of an event, N actions over all events.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import from_codes, numbers_with_nulls
from penchant.data.readers.source import BadLines
from penchant.data.records import RESERVED_OPTIONS, RESERVED_ROWS, Records

# Sparse features beyond so many become no columns: they stay in the text, where nothing is lost.
MOST_COLUMNS = 500
SHARED = "shared"
Features = Mapping[str, float | str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One decision. shared, actions: their features as they stood; taken: place of the action that
    was taken, -1 where no cost is known; propensity: of each action, NaN where it was not logged;
    position: order shown, empty where it was not logged; extras: all else that the log says."""

    shared: str
    actions: tuple[str, ...]
    names: tuple[str, ...]
    taken: int = -1
    cost: float = math.nan
    propensity: tuple[float, ...] = ()
    position: tuple[int, ...] = ()
    weight: float = 1.0
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Problem(Exception):
    """Why an event cannot be used: what is wrong, what stands there, what would be right."""

    what: str
    found: Any
    expected: str
    mend: str


@dataclass(frozen=True, kw_only=True, eq=False)
class LoggedEvents:
    """Records of a log, its bad events, and the text of every event."""

    records: Records
    bad: BadLines
    lines: pa.Table


@dataclass(frozen=True, kw_only=True, eq=False)
class ParsedEvents:
    """Events of a log with the number and the text of each, and its bad ones."""

    events: Sequence[Event]
    lines: Sequence[int]
    texts: Sequence[str]
    bad: BadLines


def parsed_events(
    texts: Sequence[str],
    line: Sequence[int],
    parse: Callable[[str], Event],
    name: str,
    raises: bool,
) -> ParsedEvents:
    """Events as they stood; `parse` raises `Problem` for one that cannot be used."""
    events, bad = parse_each(texts, line, parse, name, raises)
    sound = np.flatnonzero(~bad.bad).tolist()
    return ParsedEvents(
        events=events, lines=[line[at] for at in sound], texts=[texts[at] for at in sound], bad=bad
    )


def parse_each(
    texts: Sequence[str], line: Sequence[int], parse: Callable[[str], Any], name: str, raises: bool
) -> tuple[list[Any], BadLines]:
    """What `parse` makes of each text, and the bad ones; it raises `Problem` for one that cannot be
    used."""
    bad = BadLines(name=name, line=np.asarray(line, dtype=np.int64), raises=raises)
    parsed: list[Any] = []
    problems: dict[tuple[str, str, str], dict[int, str]] = {}
    for at, text in enumerate(texts):
        try:
            parsed.append(parse(text))
        except Problem as problem:
            found = "missing" if problem.found is None else str(problem.found)
            key = (problem.what, problem.expected, problem.mend)
            problems.setdefault(key, {})[at] = found
    for (what, expected, mend), places in problems.items():
        mask = np.zeros(len(texts), dtype=bool)
        mask[list(places)] = True
        values = pa.array([places.get(at) for at in range(len(texts))], pa.string())
        bad.add(mask, what, values, expected, mend)
    return parsed, bad


def parse_events(
    texts: Sequence[str],
    line: Sequence[int],
    parse: Callable[[str], Event],
    features: Callable[[str], Features],
    name: str,
    raises: bool,
) -> LoggedEvents:
    """Events to records; `parse` raises `Problem` for one that cannot be used.

    A cost is a loss: the records' value is minus the cost, a success where all are 0 or 1.
    """

    def checked(text: str) -> Event:
        event = parse(text)
        # Looked at here, so that a feature that is no number is told with its line.
        for part in (event.shared, *event.actions):
            features(part)
        return event

    events, bad = parse_each(texts, line, checked, name, raises)
    return LoggedEvents(
        records=to_records(events, features),
        bad=bad,
        lines=pa.table({"line": pa.array(list(texts), pa.string())}),
    )


def to_records(events: Sequence[Event], features: Callable[[str], Features]) -> Records:
    """Features become columns, 0 where an event does not name a number; texts are kept beside."""
    notes: list[str] = ["values are minus the logged costs"]
    sizes = np.array([len(event.actions) for event in events], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    taken = np.array([event.taken for event in events], dtype=np.int64)
    reward = -np.array([event.cost for event in events], dtype=np.float64)
    known = taken >= 0
    is_binary = bool(known.any()) and bool(np.isin(reward[known], (0.0, 1.0)).all())
    value = np.full(int(offsets[-1]), np.nan)
    # Adding 0 turns minus zero into zero: it would be written back as "-0".
    value[(offsets[:-1] + taken)[known]] = reward[known] + 0.0
    rows: dict[str, Any] = {
        "kind": from_codes(
            np.zeros(len(events), dtype=np.int64), ["binary" if is_binary else "outcome"]
        ),
        "weight": pa.array([event.weight for event in events], pa.float64()),
        SHARED: pa.array([event.shared for event in events], pa.string()),
    }
    roles = {SHARED: "extra"}
    for name, column in _extras(events).items():
        rows[name] = column
        if name not in RESERVED_ROWS:
            roles[name] = "extra"
    answer = numbers_with_nulls(value)
    options: dict[str, Any] = {
        "option": pa.array([n for e in events for n in e.names], pa.string()),
        "text": pa.array([a for e in events for a in e.actions], pa.string()),
        "propensity": numbers_with_nulls(_ragged(events, sizes, "propensity", math.nan)),
        **({"success": answer.cast(pa.int64())} if is_binary else {"value": answer}),
    }
    if any(event.position for event in events):
        position = _ragged(events, sizes, "position", math.nan)
        options["position"] = numbers_with_nulls(position).cast(pa.int64())
    shared = [event.shared for event in events]
    actions = [action for event in events for action in event.actions]
    for side, texts, table, role in (
        ("situations", shared, rows, "context"),
        ("actions", actions, options, "feature"),
    ):
        for name, column in _columns(map(features, texts), side, notes).items():
            # A name has one role in both tables.
            free = _free(name, {**rows, **options})
            table[free], roles[free] = column, role
    return Records(
        rows=pa.table(rows), options=pa.table(options), offsets=offsets, roles=roles,
        notes=tuple(notes),
    ).normalised()  # fmt: skip


def words_may_be_missing(records: Records) -> tuple[str, ...]:
    """Features of words: null where an event does not name them."""
    return tuple(
        name
        for name in records.columns("feature")
        if pa.types.is_string(records.options[name].type)
        or pa.types.is_dictionary(records.options[name].type)
    )


def _ragged(events: Sequence[Event], sizes: Any, name: str, missing: float) -> Any:
    flat: list[float] = []
    for event, size in zip(events, sizes):
        own = getattr(event, name)
        flat.extend(own if own else (missing,) * int(size))
    return np.array(flat, dtype=np.float64)


def _extras(events: Sequence[Event]) -> dict[str, Any]:
    names = dict.fromkeys(name for event in events for name in event.extras)
    columns: dict[str, Any] = {}
    for name in names:
        values = [event.extras.get(name) for event in events]
        kinds = {type(value) for value in values if value is not None}
        plain = len(kinds) <= 1 and kinds <= {str, float, bool, int}
        columns[name] = pa.array(
            values if plain else [None if v is None else json.dumps(v) for v in values]
        )
    return columns


def _columns(rows: Iterable[Features], side: str, notes: list[str]) -> dict[str, Any]:
    known = list(rows)
    names = dict.fromkeys(name for row in known for name in row)
    if len(names) > MOST_COLUMNS:
        notes.append(
            f"the {len(names)} features of {side} are kept as text only; more than "
            f"{MOST_COLUMNS} make no columns"
        )
        return {}
    columns: dict[str, Any] = {}
    for name in names:
        values = [row.get(name) for row in known]
        if any(isinstance(value, str) for value in values):
            words = [v if isinstance(v, str) or v is None else f"{v:g}" for v in values]
            columns[name] = pa.array(words, pa.string())
        else:
            columns[name] = pa.array([0.0 if v is None else float(v) for v in values])
    return columns


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """A name with a meaning of its own, or one that is taken, gets an underscore after it."""
    while name in RESERVED_ROWS or name in RESERVED_OPTIONS or name in taken:
        name += "_"
    return name
