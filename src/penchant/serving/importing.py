"""Decisions that another system made, into the log of a service: what it showed, with what
probability, and what came of it, to be learnt from and judged by like the service's own.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penchant.data.readers.dsjson import ENDINGS, dsjson_events, is_dsjson
from penchant.data.readers.dsjson import features as dsjson_features
from penchant.data.readers.logged_events import Event, Features, ParsedEvents, Problem
from penchant.data.readers.vw import ENDINGS as VW_ENDINGS
from penchant.data.readers.vw import features as vw_features
from penchant.data.readers.vw import vw_events
from penchant.errors import DataError
from penchant.serving.event_store import RANK, Entry, EventStore
from penchant.serving.wire import (
    Limits,
    Option,
    RankAnswer,
    RankRequest,
    encode,
    feedback_body,
    named,
    rank_request,
)

# By which model imported decisions were made; no name of a model of ours has a colon.
MODEL = "import:log"
_AT_ONCE = 1_000
_LONGEST_ID = 256
_FEEDBACK = named("imported")


@dataclass(frozen=True, kw_only=True)
class Imported:
    """decisions, rewards: new in the log; known: entries that were there before, or were erased.
    guessed: decisions of which the log says only with what probability the taken action was
    taken, so that the others share the rest evenly. bad: lines that cannot be used, with why."""

    decisions: int
    rewards: int
    known: int
    guessed: int
    bad: Sequence[tuple[int, str]]


def import_log(
    store: EventStore,
    tenant: str,
    path: Path,
    *,
    limits: Limits | None = None,
    raises: bool = True,
    on_step: Callable[[int], None] | None = None,
) -> Imported:
    """All decisions of a log of decision-service JSON (as the hosted personalisers exported it) or
    of Vowpal Wabbit's text, in its order; the reward is minus the cost.

    A thousand decisions are one transaction; broken off and begun again, what is there is left. An
    event is known by its EventId, else by its text and how often that came before. on_step: told
    how many were read. Raises `DataError` for a line that cannot be used, unless raises is False.
    """
    found, features = _read(path, raises)
    counts: Counter[str] = Counter()
    bad = _bad_lines(found)
    for start in range(0, len(found.events), _AT_ONCE):
        entries: list[Entry] = []
        for event, line, text in _part(found, start):
            try:
                made = _entries(tenant, event, text, counts, features, limits or Limits())
            except (DataError, Problem) as error:
                told = error.what if isinstance(error, Problem) else str(error)
                if raises:
                    raise DataError(
                        f"{path.name}, line {line}: {told} Correct the line, or set such lines "
                        "aside with --on-bad-rows quarantine."
                    ) from error
                bad.append((line, told))
                continue
            entries += made
        receipts = store.append(entries)
        for entry, receipt in zip(entries, receipts):
            counts["known" if not receipt.is_new else entry.kind] += 1
        if on_step is not None:
            on_step(min(start + _AT_ONCE, len(found.events)))
    return Imported(decisions=counts[RANK], rewards=counts["reward"], known=counts["known"],
                    guessed=counts["guessed"], bad=tuple(sorted(bad)))  # fmt: skip


def _read(path: Path, raises: bool) -> tuple[ParsedEvents, Callable[[str], Features]]:
    if path.suffix.lower() in VW_ENDINGS:
        return vw_events(path, raises), vw_features
    if path.suffix.lower() in ENDINGS or is_dsjson(path):
        return dsjson_events(path, raises), dsjson_features
    raise DataError(
        f"{path} is no log of decisions that can be imported; expected decision-service JSON "
        "(.dsjson, or JSON lines with `c` and `_multi`) or Vowpal Wabbit's text (.vw)."
    )


def _bad_lines(found: ParsedEvents) -> list[tuple[int, str]]:
    numbers, reasons = found.bad.found()
    return list(zip(numbers.tolist(), reasons.to_pylist()))


def _part(found: ParsedEvents, start: int) -> Iterator[tuple[Event, int, str]]:
    part = slice(start, start + _AT_ONCE)
    return zip(found.events[part], found.lines[part], found.texts[part])


def _entries(
    tenant: str,
    event: Event,
    text: str,
    counts: Counter[str],
    features: Callable[[str], Features],
    limits: Limits,
) -> list[Entry]:
    """The decision, and its reward where there is one."""
    name = event.extras.get("situation")
    if name is None:
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        counts[digest] += 1
        name = f"import:{digest}:{counts[digest]}"
    ids = _ids(event)
    person = event.extras.get("person")
    asked = encode(RankRequest(
        [Option(k, _checked(features(action))) for k, action in zip(ids, event.actions)],
        str(name), None if person is None else str(person), _checked(features(event.shared)),
    ))  # fmt: skip
    rank_request(asked, limits)
    probabilities, is_guessed = _probabilities(event)
    counts["guessed"] += is_guessed
    first = event.taken if event.taken >= 0 else _shown_first(event)
    answer = encode(RankAnswer(
        str(name), [ids[first]], dict(zip(ids, probabilities)), MODEL, 0
    ))  # fmt: skip
    made = [Entry(tenant, str(name), "", RANK, None if person is None else str(person), asked,
                  answer)]  # fmt: skip
    if event.taken >= 0:
        body = feedback_body("reward", 0.0 - event.cost, event.extras.get("time"))
        made.append(Entry(tenant, str(name), _FEEDBACK, "reward", None, body))
    return made


def _ids(event: Event) -> list[str]:
    """Names of the actions: their `id` or `_tag`, else their place from 1; each its own."""
    ids: list[str] = []
    for at, (action, name) in enumerate(zip(event.actions, event.names), start=1):
        given = _id_of(action) if action.startswith("{") else name if name != action.strip() else ""
        is_free = 0 < len(given) <= _LONGEST_ID and given not in ids
        ids.append(given if is_free else f"action {at}")
    return ids


def _id_of(action: str) -> str:
    said = json.loads(action)
    inner = said.get("i")
    for found in (said.get("id"), inner.get("id") if isinstance(inner, dict) else None,
                  said.get("_tag")):  # fmt: skip
        if isinstance(found, str | int) and not isinstance(found, bool):
            return str(found)
    return ""


def _checked(found: Features) -> dict[str, Any]:
    """Without the id of an action, which is its name, and numbers that are none."""
    kept = {name: value for name, value in found.items() if name not in ("id", "i.id")}
    if any(isinstance(value, float) and not math.isfinite(value) for value in kept.values()):
        raise DataError("a feature is no finite number; expected one.")
    return kept


def _probabilities(event: Event) -> tuple[list[float], bool]:
    """Of each action; where only that of the taken one is known the others share the rest."""
    known = [p for p in event.propensity if not math.isnan(p)]
    if len(known) == len(event.actions) and abs(sum(known) - 1.0) < 1e-3:
        return list(event.propensity), False
    if event.taken < 0:
        raise DataError("nothing says with what probability the actions were shown; expected `p`.")
    taken = event.propensity[event.taken]
    others = len(event.actions) - 1
    rest = (1.0 - taken) / others if others else 0.0
    return [taken if k == event.taken else rest for k in range(others + 1)], others > 0


def _shown_first(event: Event) -> int:
    if not event.position:
        raise DataError("nothing says which action was taken; expected a label or `a`.")
    return event.position.index(0)
