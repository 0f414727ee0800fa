"""Potato's annotations: a folder of a project, read and written.

`data/*.jsonl` has the items, `{"id", "text"}`, the text of a pair a list of two;
`annotation_output/USER/annotated_instances.jsonl` what each annotator said of them, `{"id",
"label_annotations": {scheme: {label: value}}}`: `selection` A, B or tie of a pair, a number of a
scale. What neither says is kept as extras.
"""

import json
import re
from collections.abc import Mapping
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

OUTPUT, INSTANCES = "annotation_output", "annotated_instances.jsonl"
_SELECTED = {"a": FIRST, "b": SECOND, "tie": TIE}
_NAMES = "option_names"
_NOBODY = "anonymous"
Items = Mapping[str, Mapping[str, Any]]


def read_potato(path: str | Path, raises: bool = True) -> LoggedEvents:
    """Records of a project's folder, of its `annotation_output`, or of one annotator's file: one
    observation for each judgement. Lines are numbered through all files, annotators by name.

    Raises `DataError` where nobody's annotations are found.
    """
    files = _instances(Path(path))
    if not files:
        raise DataError(
            f"{path} holds no {INSTANCES}; expected a folder of Potato with {OUTPUT}/USER/"
            f"{INSTANCES}. Set output_annotation_format to jsonl and export again."
        )
    items = _items(files[0].parent.parent.parent)
    texts, people = [], []
    for file in files:
        lines = [line for line in _text(file).split("\n") if line.strip()]
        texts += lines
        people += [file.parent.name] * len(lines)
    numbered = [json.dumps([who, text]) for who, text in zip(people, texts)]
    found, bad = parse_each(
        numbered, range(1, len(texts) + 1), lambda line: _said(line, items), Path(path).name, raises
    )
    judged = [each for line in found for each in line]
    return LoggedEvents(
        records=to_records(judged), bad=bad,
        lines=pa.table({"person": pa.array(people), "line": pa.array(texts)}),
    )  # fmt: skip


def is_potato(path: str | Path) -> bool:
    """Whether annotations of Potato are there."""
    return bool(_instances(Path(path)))


def _instances(path: Path) -> list[Path]:
    if path.name == INSTANCES and path.is_file():
        return [path]
    if not path.is_dir():
        return []
    return sorted([*path.glob(f"*/{INSTANCES}"), *path.glob(f"{OUTPUT}/*/{INSTANCES}")])


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file.name} cannot be read ({error}); expected UTF-8.") from None


def _items(project: Path) -> dict[str, dict[str, Any]]:
    """All items of the project by id; what is no list of items is left aside."""
    found = {}
    for file in sorted([*project.glob("data*/*.json"), *project.glob("data*/*.jsonl")]):
        text = _text(file)
        try:
            rows = json.loads(text)
        except ValueError:
            lines = [line for line in text.split("\n") if line.strip()]
            try:
                rows = [json.loads(line) for line in lines]
            except ValueError:
                continue
        for row in rows if isinstance(rows, list) else [rows]:
            if isinstance(row, dict) and "id" in row:
                found[str(row["id"])] = row
    return found


def _said(line: str, items: Items) -> list[Judgement]:
    person, text = json.loads(line)
    try:
        said = json.loads(text)
    except ValueError:
        raise Problem("the line", text[:80], "a JSON object", "correct the line") from None
    schemes = said.get("label_annotations") if isinstance(said, dict) else None
    if not isinstance(schemes, dict) or "id" not in said:
        raise Problem("the line", text[:80], "an `id` and `label_annotations`",
                      "export Potato's annotations as jsonl")  # fmt: skip
    name = str(said["id"])
    item = items.get(name, {"text": said.get("displayed_text")})
    judged, extras = [], {}
    for scheme, labels in schemes.items():
        made = _judged(labels, item, name) if isinstance(labels, dict) else None
        if made is not None:
            judged.append({"question": scheme, **made})
        elif labels:
            extras[scheme] = _words(labels)
    who = None if person == _NOBODY else person
    return [
        Judgement(person=who, situation=name, extras=extras, **each) for each in judged
    ]  # fmt: skip


def _judged(labels: Mapping[str, Any], item: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    if set(labels) == {"selection"}:
        side = _SELECTED.get(str(labels["selection"]).lower())
        texts = item.get("text")
        if side is None:
            raise Problem("selection", labels["selection"], "A, B or tie", "correct the line")
        if not isinstance(texts, list) or len(texts) != 2:
            raise Problem(
                f"the item {name}", texts, "a list of two texts in a file of the folder data",
                "put the project's items beside its annotations",
            )  # fmt: skip
        return {"kind": "pair", "value": side, **_menu(item, [str(each) for each in texts])}
    level = _level(labels)
    text = item.get("text")
    if level is None or not isinstance(text, str):
        return None
    return {"kind": "rating", "value": level, **_menu(item, [text])}


def _level(labels: Mapping[str, Any]) -> int | None:
    """The number of a scale: its value, or the end of its name where the value is `true`."""
    if len(labels) != 1:
        return None
    ((label, value),) = labels.items()
    named = re.fullmatch(r"scale_(\d+)", str(label))
    if named is None:
        return None
    level = int(value) if re.fullmatch(r"\d+", str(value)) else int(named[1])
    return level if 1 <= level <= MOST_LEVELS else None


def _menu(item: Mapping[str, Any], texts: list[str]) -> dict[str, Any]:
    names = item.get(_NAMES)
    if isinstance(names, list) and len(names) == len(texts):
        return {"options": tuple(map(str, names)), "texts": tuple(texts)}
    return {"options": tuple(texts), "texts": tuple(texts)}


def _words(labels: Mapping[str, Any]) -> str:
    marked = [label for label, value in labels.items() if str(value).lower() == "true"]
    if len(marked) == len(labels):
        return ", ".join(marked)
    if len(labels) == 1:
        return str(next(iter(labels.values())))
    return json.dumps(labels, ensure_ascii=False)


def write_potato(records: Records, folder: str | Path) -> Path:
    """Records as a project: items, annotations of each annotator, and a `config.yaml` to collect
    more of the same kind with. Menus that nobody has answered are items alone.

    Raises `DataError` for lists and edits, for which Potato has other forms, and for names of
    people that name no folder.
    """
    target = Path(folder)
    items: dict[str, dict[str, Any]] = {}
    said: dict[str, list[str]] = {}
    schemes: dict[str, str] = {}
    for each in from_records(records, "Potato"):
        if each.kind not in ("pair", "rating"):
            raise DataError(
                f"answers of kind {each.kind} are not written for Potato; expected pairs and "
                "ratings. Write the others for Label Studio."
            )
        text = shown(each) if each.kind == "pair" else shown(each)[0]
        menu = {"text": text, _NAMES: list(each.options)}
        name = _id_of(each.situation or f"item_{len(items) + 1}", menu, items)
        items[name] = menu
        scheme = each.question or ("preference" if each.kind == "pair" else "rating")
        schemes[scheme] = each.kind
        if each.value is None:
            continue
        labels = {"selection": ("A", "B", "tie")[each.value]} if each.kind == "pair" else {
            f"scale_{each.value}": str(each.value)
        }  # fmt: skip
        further = {key: {"text_box": words} for key, words in each.extras.items()}
        line = {"id": name, "displayed_text": str(text), "span_annotations": {},
                "label_annotations": {scheme: labels, **further}}  # fmt: skip
        said.setdefault(_folder_of(each.person), []).append(json.dumps(line, ensure_ascii=False))
    most = len(records.scale) or 5
    _write(target / "data" / "items.jsonl", [
        json.dumps({"id": name, **menu}, ensure_ascii=False) for name, menu in items.items()
    ])  # fmt: skip
    for person, lines in said.items():
        _write(target / OUTPUT / person / INSTANCES, lines)
    # JSON is YAML.
    _write(target / "config.yaml", [json.dumps(_config(schemes, most), indent=1)])
    return target


def _id_of(name: str, menu: Mapping[str, Any], items: Items) -> str:
    """The item's name, told apart from another menu that has it."""
    free, number = name, 1
    while free in items and items[free] != menu:
        number += 1
        free = f"{name}-{number}"
    return free


def _folder_of(person: str | None) -> str:
    if person is None:
        return _NOBODY
    if not re.fullmatch(r"[^/\\\x00]{1,200}", person) or person in (".", ".."):
        raise DataError(
            f"the person {person!r:.80} cannot name a folder, as Potato has one of each annotator; "
            "expected a name without strokes. Give people other names."
        )
    return person


def _config(schemes: Mapping[str, str], most: int) -> dict[str, Any]:
    scale = {"annotation_type": "likert", "size": most, "min_label": "worst", "max_label": "best"}
    pair = {"annotation_type": "pairwise", "mode": "binary", "items_key": "text",
            "labels": ["A", "B"], "allow_tie": True}  # fmt: skip
    return {
        "annotation_task_name": "preferences", "task_dir": ".", "data_files": ["data/items.jsonl"],
        "item_properties": {"id_key": "id", "text_key": "text"},
        "output_annotation_dir": OUTPUT, "output_annotation_format": "jsonl",
        "annotation_schemes": [
            {"name": name, "description": "Which do you prefer?" if kind == "pair" else
             "How good is it?", **(pair if kind == "pair" else scale)}
            for name, kind in schemes.items()
        ],
    }  # fmt: skip


def _write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
