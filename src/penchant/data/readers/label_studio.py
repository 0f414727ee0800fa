"""Label Studio's JSON: tasks with what annotators said of them, read and written.

A file is one list of tasks: `data` is what was shown, `annotations` are lists of results, each of a
control of the labelling interface: Pairwise (`selected`: left or right), Ranker (ids in order),
Rating (stars) and TextArea. The interface itself is not in the file, so that what a control speaks
of is told by `to_name` where that names data, and by the data otherwise.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from penchant.data.readers.judgements import (
    FIRST,
    MOST_LEVELS,
    SECOND,
    TIE,
    Judgement,
    from_records,
    shown,
    to_records,
)
from penchant.data.readers.logged_events import LoggedEvents, Problem, parse_each
from penchant.data.records import Records
from penchant.errors import DataError

_SIDES = {"left": FIRST, "right": SECOND, "tie": TIE, "none": TIE}
# Two things side by side, as tasks name them.
_PAIRS = (
    ("text1", "text2"), ("text_1", "text_2"), ("left", "right"), ("a", "b"), ("text_a", "text_b"),
    ("option1", "option2"), ("response1", "response2"), ("response_a", "response_b"),
    ("answer1", "answer2"), ("answer_a", "answer_b"), ("image1", "image2"),
)  # fmt: skip
_CONTROL = {"pair": "pairwise", "ranking": "ranker", "rating": "rating", "edit": "textarea"}
# Written by us beside the data, so that names of options and situations come back.
_NAMES, _SITUATION = "option_names", "situation"


def read_label_studio(path: str | Path, raises: bool = True) -> LoggedEvents:
    """Records of an export: one observation for each judgement of each annotator.

    Tasks are numbered as lines from 1. Left out are annotations that were cancelled and predictions
    of models; what no control of ours said is kept as extras of the annotation's judgements.
    """
    name = Path(path).name
    try:
        tasks = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{name} cannot be read ({error}); expected Label Studio's export in JSON, a list of "
            "tasks. Export it as JSON, not JSON-MIN."
        ) from None
    if not isinstance(tasks, list) or not tasks:
        raise DataError(f"{name} holds no list of tasks; expected Label Studio's export in JSON.")
    texts = [json.dumps(task, ensure_ascii=False) for task in tasks]
    found, bad = parse_each(texts, range(1, len(texts) + 1), _task, name, raises)
    judgements = [each for task in found for each in task]
    return LoggedEvents(
        records=to_records(judgements), bad=bad, lines=pa.table({"task": pa.array(texts)})
    )


def is_label_studio(path: str | Path) -> bool:
    """Whether a JSON file is a list of tasks with annotations."""
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            # What is no list is told by its beginning, whatever its size.
            if file.read(1) != "[":
                return False
            file.seek(0)
            tasks = json.load(file)
    except (OSError, ValueError, RecursionError):
        return False
    first = tasks[0] if isinstance(tasks, list) and tasks else None
    return isinstance(first, dict) and "data" in first and (
        "annotations" in first or "completions" in first
    )  # fmt: skip


def _task(text: str) -> list[Judgement]:
    task = json.loads(text)
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        raise Problem("the task", text[:80], "an object with `data` and `annotations`",
                      "export the project as JSON")  # fmt: skip
    known = data.get(_SITUATION, task.get("id"))
    situation = None if known is None else str(known)
    found: list[Judgement] = []
    for annotation in _listed(task.get("annotations", task.get("completions")), "annotations"):
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            found += _annotation(annotation, data, situation)
    return found or _unanswered(data, situation)


def _annotation(
    annotation: Mapping[str, Any], data: Mapping[str, Any], situation: str | None
) -> list[Judgement]:
    results = [each for each in _listed(annotation.get("result"), "result")
               if isinstance(each, dict)]  # fmt: skip
    time = annotation.get("created_at")
    said = {
        "person": _person(annotation.get("completed_by")), "situation": situation,
        "time": None if time is None else str(time),
    }  # fmt: skip
    judged, extras = [], {}
    for result in results:
        made = _judged(result, data)
        if made is None:
            value = result.get("value")
            words = value.get("text", value) if isinstance(value, dict) else value
            text = words[0] if isinstance(words, list) and len(words) == 1 else words
            extras[str(result.get("from_name", result.get("type")))] = (
                text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            )
        else:
            judged.append(made)
    return [Judgement(**{**said, **each, "extras": extras}) for each in judged]


def _listed(value: Any, name: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise Problem(name, str(value)[:80], "a list", "export the project as JSON")
    return value or []


def _judged(result: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any] | None:
    value = result.get("value")
    kind, value = result.get("type"), value if isinstance(value, dict) else {}
    question = str(result.get("from_name", kind))
    names = [each.strip() for each in str(result.get("to_name", "")).split(",")]
    if kind == "pairwise":
        side = value.get("selected")
        if not isinstance(side, str) or side not in _SIDES:
            raise Problem("selected", side, "left, right or tie", "correct the task")
        first, second = _pair(data, names)
        return {"kind": "pair", "value": _SIDES[side], "question": question,
                **_menu(data, [data[first], data[second]])}  # fmt: skip
    if kind == "ranker":
        items = _items(data)
        order = _order(value.get("ranker"), [name for name, _ in items])
        place = {name: at + 1 for at, name in enumerate(order)}
        return {"kind": "ranking", "question": question,
                "options": tuple(name for name, _ in items),
                "texts": tuple(text for _, text in items),
                "rank": tuple(place.get(name, 0) for name, _ in items)}  # fmt: skip
    if kind == "rating":
        stars = value.get("rating")
        if isinstance(stars, bool) or not isinstance(stars, int) or not 1 <= stars <= MOST_LEVELS:
            raise Problem("rating", stars, f"a whole number from 1 to {MOST_LEVELS}",
                          "correct the task")  # fmt: skip
        return {"kind": "rating", "value": stars, "question": question,
                **_menu(data, [_single(data, names)])}  # fmt: skip
    if kind == "textarea" and _edits(result, value):
        (after,) = value["text"] if isinstance(value["text"], list) else [value["text"]]
        return {"kind": "edit", "question": question,
                **_menu(data, [after, _single(data, names)], ("edited", None))}  # fmt: skip
    return None


def _edits(result: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """Whether a text area holds the edited text: its control says so by name."""
    text = value.get("text")
    is_one = isinstance(text, str) or (isinstance(text, list) and len(text) == 1)
    return is_one and "edit" in str(result.get("from_name", "")).lower()


def _pair(data: Mapping[str, Any], names: Sequence[str]) -> tuple[str, str]:
    if len(names) == 2 and all(name in data for name in names):
        return names[0], names[1]
    for pair in _PAIRS:
        if all(name in data for name in pair):
            return pair
    texts = [name for name, value in data.items() if isinstance(value, str)]
    if len(texts) == 2:
        return texts[0], texts[1]
    raise Problem(
        "data", ", ".join(data), "two texts, such as text1 and text2, or a `to_name` of both",
        "name the texts of a pair text1 and text2",
    )  # fmt: skip


def _items(data: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    for value in data.values():
        if isinstance(value, list) and value and all(
            isinstance(each, dict) and "id" in each for each in value
        ):  # fmt: skip
            return [
                (str(e["id"]), "\n".join(str(e[k]) for k in ("title", "body") if e.get(k)) or None)
                for e in value
            ]
    raise Problem("data", ", ".join(data), "a list of items with an `id` each", "add the list")


def _order(ranker: Any, names: Sequence[str]) -> list[str]:
    """Ids, best first. Buckets are no order."""
    lists = [value for key, value in ranker.items() if key != "_"] if isinstance(
        ranker, dict) else [ranker]  # fmt: skip
    is_one = len(lists) == 1 and isinstance(lists[0], list)
    order = [str(each) for each in lists[0]] if is_one else []
    if not order or len(set(order)) < len(order) or set(order) - set(names):
        raise Problem("ranker", json.dumps(ranker), f"one list of some of {', '.join(names)}",
                      "rank into one list")  # fmt: skip
    return order


def _single(data: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in (*names, "text"):
        if name in data:
            return data[name]
    texts = [value for value in data.values() if isinstance(value, str)]
    if len(texts) == 1:
        return texts[0]
    raise Problem("data", ", ".join(data), "one text, or a `to_name` of the one that is meant",
                  "name it text")  # fmt: skip


def _menu(
    data: Mapping[str, Any], values: Sequence[Any], names: Sequence[str | None] = ()
) -> dict[str, Any]:
    """Options are known by the names that we wrote, else by what was shown."""
    texts = [each if isinstance(each, str) else json.dumps(each) for each in values]
    known = data.get(_NAMES)
    if isinstance(known, list) and len(known) == len(texts):
        return {"options": tuple(map(str, known)), "texts": tuple(texts)}
    given = [name or text for name, text in zip(names or [None] * len(texts), texts)]
    return {"options": tuple(given), "texts": tuple(texts)}


def _person(completed_by: Any) -> str | None:
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email", completed_by.get("id"))
    return None if completed_by is None else str(completed_by)


def _unanswered(data: Mapping[str, Any], situation: str | None) -> list[Judgement]:
    """A menu that waits for an answer, where the data tell what it is."""
    try:
        first, second = _pair(data, ())
    except Problem:
        return []
    menu = _menu(data, [data[first], data[second]])
    return [Judgement(kind="pair", situation=situation, **menu)]


def write_label_studio(records: Records, path: str | Path) -> Path:
    """Records as tasks, to be imported into a project: a task for each menu of a situation, with an
    annotation for each answer. Menus that nobody has answered become tasks to be judged.

    Raises `DataError` for answers that no control gives, and lists with ties.
    """
    tasks: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in from_records(records, "Label Studio"):
        # Of an edit the first text is the answer, all others were shown.
        key = (each.kind, each.situation or "", *each.options, *shown(each)[each.kind == "edit" :])
        about = {} if each.situation is None else {_SITUATION: each.situation}
        task = tasks.setdefault(key, {"data": {**_data(each), **about}, "annotations": []})
        result = _result(each)
        if result is not None:
            task["annotations"].append({
                "result": [result, *_reasons(each)], "was_cancelled": False,
                **({} if each.person is None else {"completed_by": _by(each.person)}),
                **({} if each.time is None else {"created_at": each.time}),
            })  # fmt: skip
    text = json.dumps(list(tasks.values()), ensure_ascii=False, indent=1)
    Path(path).write_text(text + "\n", encoding="utf-8")
    return Path(path)


def _data(each: Judgement) -> dict[str, Any]:
    texts = shown(each)
    if each.kind == "ranking":
        return {"items": [
            {"id": name, "title": text} for name, text in zip(each.options, texts)
        ]}  # fmt: skip
    if each.kind == "pair":
        return {"text1": texts[0], "text2": texts[1], _NAMES: list(each.options)}
    if each.kind == "edit":
        return {"text": texts[1], _NAMES: list(each.options)}
    return {"text": texts[0], _NAMES: list(each.options)}


def _result(each: Judgement) -> dict[str, Any] | None:
    value: dict[str, Any]
    if each.kind == "edit":
        value = {"text": [shown(each)[0]]}
    elif each.kind == "ranking":
        if not each.rank:
            return None
        ranked = sorted((place, name) for place, name in zip(each.rank, each.options) if place)
        if len({place for place, _ in ranked}) < len(ranked):
            raise DataError(
                f"the list {', '.join(each.options)} has ties, which Label Studio's Ranker cannot "
                "say; expected places of their own. Take such lists out."
            )
        value = {"ranker": {"rank": [name for _, name in ranked]}}
    elif each.value is None:
        return None
    elif each.kind == "pair":
        value = {"selected": ("left", "right", "tie")[each.value]}
    else:
        value = {"rating": each.value}
    about = {"pair": "text1,text2", "ranking": "items"}.get(each.kind, "text")
    control = _CONTROL[each.kind]
    question = each.question or ("edited" if each.kind == "edit" else control)
    return {"from_name": question, "to_name": about, "type": control, "value": value}


def _reasons(each: Judgement) -> Iterable[dict[str, Any]]:
    for name, text in each.extras.items():
        yield {"from_name": name, "to_name": "text1" if each.kind == "pair" else "text",
               "type": "textarea", "value": {"text": [text]}}  # fmt: skip


def _by(person: str) -> Any:
    # A number alone is Label Studio's id; one like 007 would come back as another.
    is_id = re.fullmatch(r"[1-9][0-9]{0,17}", person) is not None
    return int(person) if is_id else {"email": person}
