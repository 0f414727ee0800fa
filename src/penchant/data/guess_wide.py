"""A first guess for wide tables: a line is a menu, columns come in groups for its alternatives."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from penchant.data.columns import is_number, to_floats
from penchant.data.description import Description, Drop
from penchant.data.seen_columns import SeenColumns

# What a column with the answer is called.
ANSWERS = ("choice", "chosen", "choose", "selected", "decision", "mode", "picked", "winner",
           "answer", "preferred", "preference", "outcome")  # fmt: skip
_AVAILABLE = ("av", "avail", "available", "availability")
# What options have, and are never called: in time_bus and cost_bus the bus is the option.
_ATTRIBUTES = frozenset((
    "time", "cost", "price", "fare", "toll", "fee", "rent", "wait", "waiting", "access", "egress",
    "transfer", "transfers", "changes", "headway", "freq", "frequency", "dist", "distance",
    "duration", "delay", "speed", "comfort", "quality", "safety", "size", "weight", "length",
    "seats", "tt", "tc", "ivt", "ovt",
))  # fmt: skip
# Answers that mean nothing may be left out if they are at most this share of the lines.
FEW = 0.02


def guess_wide(columns: SeenColumns) -> tuple[Description, str] | None:
    """The description of a wide table, and why; None where it is none."""
    answer = columns.first(ANSWERS)
    if answer is None:
        return None
    best: tuple[tuple[int, ...], list[str], dict[str, dict[str, str]]] | None = None
    for alternative_first in (True, False):
        table = _grid(columns, answer, alternative_first)
        shared = {feature: row for feature, row in table.items() if len(row) >= 2}
        names = list(dict.fromkeys(name for row in shared.values() for name in row))
        if len(names) < 2:
            continue
        # A feature that only one alternative has still belongs to it (seats of one mode).
        extra = {f: row for f, row in table.items() if set(row) <= set(names)}
        quality = (
            any(feature.lower() in _AVAILABLE for feature in shared),
            len(set(names) & {str(v) for v in columns.values(answer)}),
            -sum(name.lower() in _ATTRIBUTES for name in names),
            -abs(len(names) - len(columns.values(answer))),
            sum(map(len, extra.values())),
        )
        if best is None or quality > best[0]:
            best = (quality, names, extra)
    if best is None:
        return None
    _, names, features = best
    available: dict[str, str] = {}
    for feature in [f for f in features if f.lower() in _AVAILABLE]:
        available = features.pop(feature)
    codes = _answer_codes(columns, answer, names, available)
    said = Description(
        layout="wide", kind="choice", alternatives=tuple(names), answer=answer,
        codes=codes,
        feature_columns=features, available=available,
        drop=_unknown_answers(columns, answer, codes, names),
    )  # fmt: skip
    check = f" CHECK under [codes] which value of {answer} means which." if codes else ""
    return said, f"Columns come in groups for {', '.join(names)}.{check}"


def _grid(columns: SeenColumns, answer: str, alternative_first: bool) -> dict[str, dict[str, str]]:
    """feature -> alternative -> column, from names like train_time or time_train."""
    table: dict[str, dict[str, str]] = {}
    for name in columns.names:
        if name == answer or not is_number(columns.table[name].type):
            continue
        match = re.match(r"^([^_.-]+)[_.-](.+)$" if alternative_first else r"^(.+)[_.-]([^_.-]+)$",
                         name)  # fmt: skip
        if match:
            left, right = match.groups()
            feature, alternative = (right, left) if alternative_first else (left, right)
            table.setdefault(feature, {})[alternative] = name
    return table


def _answer_codes(
    columns: SeenColumns, answer: str, names: list[str], available: Mapping[str, str]
) -> dict[str, str]:
    """Which value means which alternative: the first order that no availability contradicts."""
    values = columns.values(answer)
    if {str(value) for value in values} <= set(names):
        return {}
    if not all(isinstance(value, int | float) for value in values):
        return _alike(values, names)
    numbers = sorted(v for v in values if isinstance(v, int | float))
    counting = (
        [v for v in numbers if v > 0][-len(names) :] if len(numbers) > len(names) else numbers
    )
    if len(counting) != len(names):
        return {str(value): name for value, name in zip(values, names, strict=False)}
    offered = {name: to_floats(columns.table[column]) != 0 for name, column in available.items()}
    chosen = to_floats(columns.table[answer])
    orders = itertools.permutations(names) if len(names) <= 6 else iter([tuple(names)])
    fewest, meaning = None, tuple(names)
    for order in orders:
        clashes = sum(
            int((~offered[name] & (chosen == value)).sum())
            for value, name in zip(counting, order, strict=True)
            if name in offered
        )
        if fewest is None or clashes < fewest:
            fewest, meaning = clashes, order
    return {f"{value:g}": name for value, name in zip(counting, meaning, strict=True)}


def _alike(values: Sequence[Any], names: Sequence[str]) -> dict[str, str]:
    """Words that begin alike mean the same alternative: walk, walking."""
    found = {}
    for value in map(str, values):
        match = next((n for n in names if n[:3].lower() == value[:3].lower()), None)
        if match is not None:
            found[value] = match
    return found


def _unknown_answers(
    columns: SeenColumns, answer: str, codes: Mapping[str, str], names: Sequence[str]
) -> tuple[Drop, ...]:
    """A rule that leaves out answers which mean no alternative, if they are few."""
    known = {*codes, *names}
    strange = tuple(
        value for value in columns.values(answer)
        if str(value) not in known and (isinstance(value, str) or f"{value:g}" not in known)
    )  # fmt: skip
    lines = np.isin(
        columns.codes(answer)[0], [columns.codes(answer)[1].index(value) for value in strange]
    )
    if not strange or lines.mean() > FEW:
        return ()
    return (Drop(column=answer, values=strange, reason="no alternative has this code: CHECK"),)
