"""Which column of a file plays which role: one schema, written as TOML, flags or a dataclass.

The schema (every key is optional but `layout`):

    layout = "wide"          # long, wide, pairs, arena, trl, preflib, ratings, rankings,
                             # best_worst, decisions, vw, dsjson, label_studio or potato
    [file]
    encoding = "utf-8"       # of CSV and JSONL
    delimiter = ","
    nulls = ["", "NA"]       # words that mean "unknown" in CSV

    [rows]                   # columns that hold once per observation
    person = "id"            # who (rows of one person share a taste)
    situation = ["task"]     # which observation the lines of a long file belong to
    time = "when"
    weight = "w"
    source = "where_from"
    person_features = ["age"]
    context = ["purpose"]

    [options]
    option = "mode"          # long, ratings, decisions: which option a line is about
    position = "slot"        # order shown
    propensity = "p"         # probability with which a policy showed it
    text = "answer"
    offered = "avail"        # long: 1 where the line's option was really on offer
    features = ["cost"]      # long, ratings, decisions: what describes the option
    allow_missing = ["wifi"] # features that may be null
    alternatives = ["train", "car"]         # wide: the options of every menu
    outside_option = "none"  # choices: "none of these", an option without features on every menu;
                             # who has chosen nothing has taken it
    columns = ["option_a", "option_b"]      # pairs, rankings, best_worst: who is on the menu
    menus_differ = false     # rankings without such columns: true where a line's menu is what it
                             # ranks, not every option that occurs

    [answer]
    kind = "choice"          # choice, pair, graded, ranking, best_worst, rating, approval,
                             # binary, outcome or edit (pairs: the first column holds what was
                             # made of the second, and there is no answer column)
    column = "choice"        # rankings: may hold each ranking as a list of names, best first
    worst = "choice_worst"   # best_worst: the other column
    action = "taken"         # decisions with whole menus: which option of the list was taken
    columns = ["first", "second"]           # rankings: names of options, best first; pairs: the
                             # answers of several judges, each a voter of its own
    levels = [1, 2, 3]       # ratings and graded pairs: the scale, lowest first
    low_is_good = false      # true of ratings, approval, binary, outcome where 1 is the best, as of
                             # school grades or costs: read from the other end

    [codes]                  # what the words of the answer mean: a value of the file -> an
    1 = "train"              # alternative (wide), "first", "second", "tie" (pairs), a column of
    2 = "car"                # options.columns (best_worst)

    [features.time]          # wide and pairs: the column of each alternative; one that is left
    train = "train_time"     # out has 0 (a car has no headway)
    car = "car_time"

    [available]              # wide: 1 where the alternative was on offer
    car = "car_av"

    [labels.purpose]         # words for the codes of a column
    1 = "commuter"

    [[drop]]                 # lines to leave out, counted and said
    column = "choice"
    values = [0]
    reason = "choice unknown"

    [[replace]]              # values to put right
    columns = ["train_cost"]
    where = "ga"
    equals = [1]
    value = 0
    reason = "the pass is paid already"

Columns that no key names are kept as extras: nothing is dropped on reading.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from penchant.data.description_places import checked
from penchant.data.toml_text import assignment, key_text, value_text
from penchant.errors import ConfigError, DataError

LAYOUTS = ("long", "wide", "pairs", "arena", "trl", "preflib", "ratings", "rankings",
           "best_worst", "decisions", "vw", "dsjson", "label_studio", "potato")  # fmt: skip
# Formats that say themselves what each part means.
OF_FORMAT = ("preflib", "vw", "dsjson", "label_studio", "potato")

# Answers that are numbers whose low end may be the good one.
_TURNABLE = ("rating", "approval", "binary", "outcome")


@dataclass(frozen=True, kw_only=True)
class Drop:
    """Lines to leave out: those whose `column` holds one of `values`."""

    column: str
    values: tuple[Any, ...]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Replace:
    """Values to put right: `columns` become `value` where `where` holds one of `equals`."""

    columns: tuple[str, ...]
    where: str
    equals: tuple[Any, ...]
    value: Any
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Description:
    """The roles of a file's columns; the module's head documents every field as TOML."""

    layout: str
    encoding: str = "utf-8"
    delimiter: str = ","
    # "None" is no null: it is a level of many categories.
    nulls: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "NULL")
    person: str | None = None
    situation: tuple[str, ...] = ()
    time: str | None = None
    weight: str | None = None
    source: str | None = None
    person_features: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    option: str | None = None
    position: str | None = None
    propensity: str | None = None
    text: str | None = None
    offered: str | None = None
    features: tuple[str, ...] = ()
    allow_missing: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    option_columns: tuple[str, ...] = ()
    outside_option: str | None = None
    menus_differ: bool = False
    kind: str | None = None
    answer: str | None = None
    worst: str | None = None
    action: str | None = None
    answer_columns: tuple[str, ...] = ()
    levels: tuple[Any, ...] = ()
    low_is_good: bool = False
    codes: Mapping[str, str] = field(default_factory=dict)
    feature_columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    available: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    drop: tuple[Drop, ...] = ()
    replace: tuple[Replace, ...] = ()

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ConfigError(
                f"there is no layout {self.layout!r}; expected one of {', '.join(LAYOUTS)}."
                f"{_did_you_mean(self.layout, LAYOUTS)}"
            )
        if not isinstance(self.low_is_good, bool):
            raise ConfigError(
                f"low_is_good is {self.low_is_good!r}; expected true or false under [answer]."
            )
        if self.menus_differ and (self.layout != "rankings" or self.option_columns):
            raise ConfigError(
                f"menus_differ is {self.menus_differ!r}; expected it of rankings that do not say "
                f"who was on the menu; got layout {self.layout!r} and options.columns "
                f"{list(self.option_columns)}. Leave it out."
            )
        # A long table without a kind holds choices.
        kind = "rating" if self.layout == "ratings" and self.kind is None else self.kind
        can_turn = self.layout in ("ratings", "long") and kind in _TURNABLE
        if self.low_is_good and not can_turn:
            raise ConfigError(
                f'low_is_good belongs to layout "ratings" or "long" and answers of kind '
                f"{', '.join(_TURNABLE)}; got layout {self.layout!r} and kind {self.kind!r}. Of "
                "rankings 1 is the best, and grades of pairs are listed from the second's side to "
                "the first's (`levels`)."
            )

    def named_columns(self) -> dict[str, str]:
        """Every column that the description names, with where it names it."""
        named: dict[str, str] = {}
        for key, attribute in _PLACES.items():
            if attribute in _NOT_COLUMNS:
                continue
            value = getattr(self, attribute)
            for column in (value,) if isinstance(value, str) else value or ():
                named.setdefault(column, key)
        for feature, columns in self.feature_columns.items():
            for alternative, column in columns.items():
                named.setdefault(column, f"features.{feature}.{alternative}")
        for alternative, column in self.available.items():
            named.setdefault(column, f"available.{alternative}")
        for column in self.labels:
            named.setdefault(column, f"labels.{column}")
        for rule in self.drop:
            named.setdefault(rule.column, "drop")
        for change in self.replace:
            for column in (*change.columns, change.where):
                named.setdefault(column, "replace")
        return named

    def check_columns(self, present: Sequence[str], where: str = "the file") -> None:
        """Raises DataError, with the closest names, if a column is named that is not there."""
        for column, key in self.named_columns().items():
            if column not in present:
                raise DataError(
                    f"the description names column {column!r} ({key}), which {where} does not "
                    f"have.{_did_you_mean(column, present)} Its columns are: "
                    f"{', '.join(present[:40])}{', ...' if len(present) > 40 else ''}. Correct "
                    f"`{key}` in the description."
                )

    def to_toml(self, comments: Mapping[str, str] | None = None) -> str:
        """The description as a TOML text; `comments` explains columns beside their names."""
        return _write_toml(self, comments or {})

    def save(self, path: str | Path) -> None:
        Path(path).write_text(self.to_toml(), encoding="utf-8")


# Where each plain field stands in the TOML file.
_PLACES = {
    "file.encoding": "encoding",
    "file.delimiter": "delimiter",
    "file.nulls": "nulls",
    "rows.person": "person",
    "rows.situation": "situation",
    "rows.time": "time",
    "rows.weight": "weight",
    "rows.source": "source",
    "rows.person_features": "person_features",
    "rows.context": "context",
    "options.option": "option",
    "options.position": "position",
    "options.propensity": "propensity",
    "options.text": "text",
    "options.offered": "offered",
    "options.features": "features",
    "options.allow_missing": "allow_missing",
    "options.alternatives": "alternatives",
    "options.columns": "option_columns",
    "options.outside_option": "outside_option",
    "options.menus_differ": "menus_differ",
    "answer.kind": "kind",
    "answer.column": "answer",
    "answer.worst": "worst",
    "answer.action": "action",
    "answer.columns": "answer_columns",
    "answer.levels": "levels",
    "answer.low_is_good": "low_is_good",
}
_TABLES = {"codes": "codes", "features": "feature_columns",
           "available": "available", "labels": "labels"}  # fmt: skip
_NOT_COLUMNS = ("encoding", "delimiter", "nulls", "alternatives", "kind", "levels",
                "allow_missing", "outside_option", "menus_differ", "low_is_good")  # fmt: skip
# Tables of tables: a feature's columns by alternative, a column's words by code.
_DEEP = ("feature_columns", "labels")
_NOT_PLAIN = (*_TABLES.values(), "drop", "replace")
# Places that say what a column is; it is one of them at a time.
_ROLES = {*_PLACES.values()} - {*_NOT_COLUMNS, "situation"}
_TYPES: dict[str, Any] = {f.name: f.type for f in fields(Description)}
_TUPLES = tuple(
    f.name for f in fields(Description) if str(f.type).startswith("tuple") and f.name not in
    ("drop", "replace")
)  # fmt: skip


def load(path: str | Path) -> Description:
    """The description in a TOML file.

    Raises DataError if the file is missing or no TOML, ConfigError if a key is unknown.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise DataError(
            f"the description {path} cannot be read ({error}); expected a TOML file in UTF-8. "
            "Write a first guess with `penchant describe FILE`."
        ) from None
    return parse(text, str(path))


def parse(text: str, name: str = "the description") -> Description:
    """The description in a TOML text.

    Raises `DataError` where it is no TOML, `ConfigError` where a place is not known or holds what
    it cannot.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(
            f'{name} is not valid TOML: {error}. Expected lines like `person = "id"` under a '
            "heading like [rows]; words stand in quotes."
        ) from None
    found: dict[str, Any] = {}
    for heading, body in content.items():
        if heading == "layout":
            found["layout"] = checked(heading, body, str, name)
        elif heading in _TABLES:
            found[_TABLES[heading]] = checked(heading, body, _TYPES[_TABLES[heading]], name)
        elif heading in ("drop", "replace") and not isinstance(body, list | str | Mapping):
            raise ConfigError(
                f"{name} says {heading} = {body!r}; expected rules, each under [[{heading}]]."
            )
        elif heading == "drop":
            found["drop"] = tuple(_rule(Drop, rule, name) for rule in body)
        elif heading == "replace":
            found["replace"] = tuple(_rule(Replace, rule, name) for rule in body)
        elif isinstance(body, Mapping):
            for key, value in body.items():
                attribute, place = _attribute(f"{heading}.{key}", name), f"{heading}.{key}"
                found[attribute] = checked(place, value, _TYPES[attribute], name)
        else:
            _attribute(heading, name)
    if "layout" not in found:
        raise ConfigError(
            f"{name} has no `layout`; expected one of {', '.join(LAYOUTS)} as its first line, for "
            'example `layout = "wide"`.'
        )
    return _build(found)


def with_overrides(description: Description, overrides: Mapping[str, Any]) -> Description:
    """The description with some places replaced, as flags of the command line do it.

    Keys are places in the TOML file ("rows.person", "answer.column", "codes.1",
    "features.time.car", "layout") or field names; a list may come as words with commas between
    them. None leaves a place as it is. A column that is given a role leaves the one it had, but for
    `situation`: what tells menus apart may also be known of them.
    """
    changes: dict[str, Any] = {}
    names = [f.name for f in fields(Description)]
    for key, value in overrides.items():
        heading, _, place = key.partition(".")
        if value is None:
            continue
        if heading in _TABLES and place:
            attribute = _TABLES[heading]
            table = changes.get(attribute, getattr(description, attribute))
            changes[attribute] = _with_entry(table, place, value, attribute in _DEEP)
            continue
        attribute = (
            key if key in names and key not in _NOT_PLAIN else _attribute(key, "what was typed")
        )
        if attribute in ("low_is_good", "menus_differ") and value in ("true", "false"):
            value = value == "true"
        if attribute in _TUPLES and isinstance(value, str):
            value = tuple(word.strip() for word in value.split(",") if word.strip())
        changes[attribute] = value
    merged = {name: getattr(description, name) for name in names}
    return _build(_left(merged, changes) | changes)


def _with_entry(table: Mapping[str, Any], place: str, value: Any, is_deep: bool) -> dict[str, Any]:
    """The table with one entry replaced; `time.car` is an entry of an entry where it is deep."""
    outer, found, inner = place.partition(".")
    if not is_deep:
        return {**table, place: value}
    if not found:
        raise ConfigError(
            f"what was typed names {place!r} alone; expected a feature and an alternative (or a "
            "column and a code), as in features.time.car=car_time."
        )
    return {**table, outer: {**table.get(outer, {}), inner: value}}


def _left(had: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without the columns that other fields are given."""
    taken: set[str] = set()
    for name in _ROLES & changes.keys():
        given = changes[name]
        taken |= {given} if isinstance(given, str) else set(given)
    left = dict(had)
    for name in _ROLES:
        value = had[name]
        if isinstance(value, tuple):
            left[name] = tuple(column for column in value if column not in taken)
        elif value in taken:
            left[name] = None
    return left


def _build(found: Mapping[str, Any]) -> Description:
    ready = dict(found)
    for name in _TUPLES:
        if name in ready:
            value = ready[name]
            ready[name] = (value,) if isinstance(value, str) else tuple(value)
    if "codes" in ready:
        ready["codes"] = {str(key): str(value) for key, value in ready["codes"].items()}
    return Description(**ready)


def _attribute(key: str, name: str) -> str:
    if key in _PLACES:
        return _PLACES[key]
    known = (*_PLACES, *_TABLES, "layout", "drop", "replace")
    raise ConfigError(
        f"{name} has a key {key!r} that means nothing.{_did_you_mean(key, known)} Known keys: "
        f"{', '.join(known)}."
    )


def _rule(kind: type, body: Any, name: str) -> Any:
    known = {f.name for f in fields(kind)}
    if not isinstance(body, Mapping) or set(body) - known:
        raise ConfigError(
            f"{name} has a rule [[{kind.__name__.lower()}]] with keys {sorted(body)}; expected "
            f"{sorted(known)}."
        )
    ready = {k: tuple(v) if isinstance(v, list) else v for k, v in body.items()}
    try:
        return kind(**ready)
    except TypeError as error:
        raise ConfigError(
            f"{name} has an incomplete rule [[{kind.__name__.lower()}]]: {error}."
        ) from None


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lowered, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(lowered[name]) for name in close)}?" if close else ""


def _write_toml(description: Description, comments: Mapping[str, str]) -> str:
    lines = [f"layout = {value_text(description.layout)}"]
    blank = Description(layout=description.layout)
    for heading in ("file", "rows", "options", "answer"):
        body = []
        for key, attribute in _PLACES.items():
            if not key.startswith(f"{heading}.") or key == "answer.levels":
                continue
            value = getattr(description, attribute)
            if value != getattr(blank, attribute):
                said = {} if attribute in _NOT_COLUMNS else comments
                body += assignment(key.split(".")[1], value, said)
        if heading == "answer" and description.levels:
            body.append(f"levels = {value_text(description.levels)}")
        if body:
            lines += ["", f"[{heading}]", *body]
    for heading in ("codes", "available"):
        table = getattr(description, heading)
        if table:
            lines += [
                "",
                f"[{heading}]",
                *(f"{key_text(k)} = {value_text(v)}" for k, v in table.items()),
            ]
    for heading, tables in (("features", description.feature_columns),
                            ("labels", description.labels)):  # fmt: skip
        for name, table in tables.items():
            lines += ["", f"[{heading}.{key_text(name)}]"]
            lines += [f"{key_text(k)} = {value_text(v)}" for k, v in table.items()]
    for heading in ("drop", "replace"):
        for rule in getattr(description, heading):
            lines += ["", f"[[{heading}]]"]
            lines += [
                f"{f.name} = {value_text(getattr(rule, f.name))}"
                for f in fields(rule) if f.name != "reason" or rule.reason
            ]  # fmt: skip
    return "\n".join(lines) + "\n"
