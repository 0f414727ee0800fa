"""A first guess of which column plays which role, to be corrected by who knows the data.

Legend: B lines, K alternatives.
"""

import codecs
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import (
    is_number,
    is_text,
    one_chunk,
    to_floats,
)
from penchant.data.description import Description, Drop
from penchant.data.readers import dsjson, vw
from penchant.data.readers.pairs import COMMON_WORDS
from penchant.data.readers.preflib import ENDINGS
from penchant.data.readers.table import CSV, load_table
from penchant.data.seen_columns import MANY_LEVELS, SeenColumns
from penchant.errors import DataError

_ANSWER = ("choice", "chosen", "choose", "selected", "decision", "mode", "picked", "winner",
           "answer", "preferred", "preference", "outcome")  # fmt: skip
_RATING = ("rating", "stars", "score", "grade", "rate")
_PROPENSITY = ("propensity", "action_prob", "pscore", "probability", "prob", "p_shown")
_REWARD = ("click", "reward", "clicked", "converted", "conversion", "purchase", "outcome", "cost")
_ITEM = ("option", "alternative", "alt", "mode", "item", "item_id", "product", "product_id",
         "movie", "movie_id", "song", "track", "track_id", "place", "place_id", "profile",
         "brand", "platform", "module", "style", "arm", "action", "candidate")  # fmt: skip
_AVAILABLE = ("av", "avail", "available", "availability")
_PAIRED_ENDS = (("1", "2"), ("a", "b"), ("left", "right"), ("x", "y"))
# The same without anything before them.
_PAIRED_NAMES = (("left", "right"), ("first", "second"), ("a", "b"), ("x", "y"))
_AGAINST = (("model", "baseline"), ("model_1", "model_2"), ("generator_1", "generator_2"))
_WIN_SHARE = ("win_probability", "p_win", "preference", "win_rate")
# Beside two columns of the same names, these are the probability that the first wins.
_SOFT = (*_WIN_SHARE, "p", "prob", "probability", "p_left", "p_first", "p_a")
# Answers that mean nothing may be left out if they are at most this share of the lines.
_FEW = 0.02
# How much of a CSV is looked at to find its encoding; a later letter is found on reading.
_HEAD_BYTES = 1 << 26


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A description to start from, what was seen in each column, and why it was read so."""

    description: Description
    seen: Mapping[str, str]
    reasons: tuple[str, ...]

    def to_toml(self) -> str:
        """The description with what was seen beside each column, as a file to be corrected."""
        head = [
            "# A first guess: read it and correct it. Columns without a role are kept as extras."
        ]
        head += [f"# {reason}" for reason in self.reasons]
        named = self.description.named_columns()
        rest = [name for name in self.seen if name not in named]
        tail = ["", "# Columns without a role:"] if rest else []
        tail += [f"#   {name}: {self.seen[name]}" for name in rest]
        body = self.description.to_toml(self.seen)
        return "\n".join([*head, body.rstrip(), *tail]) + "\n"


def guess(data: Any) -> Guess:
    """A first guess for a file, a DataFrame, an Arrow table or a dataset."""
    if isinstance(data, str | Path) and Path(data).suffix.lower() in ENDINGS:
        return Guess(
            description=Description(layout="preflib"), seen={},
            reasons=("The ending says that this is a PrefLib file of orders.",),
        )  # fmt: skip
    log = _log_format(data)
    if log is not None:
        return Guess(
            description=Description(layout=log), seen={},
            reasons=("This is a log of decisions, whose format says what each part means.",),
        )  # fmt: skip
    file, reasons = _file_settings(data)
    table = load_table(data, file).table
    columns = SeenColumns(table)
    found = (
        _chat(columns) or _arena(columns) or _pairs(columns) or _best_worst(columns)
        or _decisions(columns) or _long(columns) or _ratings(columns) or _wide(columns)
    )  # fmt: skip
    if found is None:
        found = (
            Description(layout="long"),
            "No column looks like an answer. Name the layout and the answer yourself.",
        )
    description, reason = found
    description = replace(description, encoding=file.encoding, delimiter=file.delimiter)
    description = columns.with_people(description)
    return Guess(description=description, seen=columns.seen(), reasons=(*reasons, reason))


def _log_format(data: Any) -> str | None:
    """Vowpal Wabbit's text by its ending, decision-service JSON also by its first line."""
    if not isinstance(data, str | Path):
        return None
    ending = Path(data).suffix.lower()
    if ending in vw.ENDINGS:
        return "vw"
    is_json = ending in (".json", ".jsonl", ".ndjson") and dsjson.is_dsjson(data)
    return "dsjson" if is_json or ending in dsjson.ENDINGS else None


def _file_settings(data: Any) -> tuple[Description, list[str]]:
    """Encoding and delimiter of a CSV; nothing for other inputs."""
    plain = Description(layout="long")
    if not isinstance(data, str | Path) or not str(data).lower().endswith(CSV):
        return plain, []
    path = Path(data)
    if not path.is_file() or path.suffix == ".gz":
        return plain, []
    with path.open("rb") as file:
        content = file.read(_HEAD_BYTES)
    reasons = []
    encoding = "utf-8"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        try:
            # A letter cut in two at the end of the part is no mistake.
            codecs.getincrementaldecoder("utf-8")().decode(content, len(content) < _HEAD_BYTES)
        except UnicodeDecodeError as error:
            encoding = "cp1252"
            line = content.count(b"\n", 0, error.start) + 1
            reasons.append(
                f"Line {line} is not UTF-8; cp1252 (Windows, western Europe) is assumed: check "
                "the letters with accents."
            )
    header = content[:20_000].decode(encoding, errors="replace").split("\n")[0]
    delimiter = max((",", ";", "|", "\t"), key=header.count)
    return replace(plain, encoding=encoding, delimiter=delimiter), reasons


def _chat(columns: SeenColumns) -> tuple[Description, str] | None:
    names = set(columns.names)
    if {"chosen", "rejected"} <= names or {"completion", "label"} <= names:
        return Description(layout="trl"), "The column names are those of TRL's preference formats."
    return None


def _arena(columns: SeenColumns) -> tuple[Description, str] | None:
    if {"model_a", "model_b", "winner"} <= set(columns.names):
        said = Description(
            layout="arena", option_columns=("model_a", "model_b"), answer="winner",
            person=columns.first(("judge", "user_id")),
        )  # fmt: skip
        return said, "model_a, model_b and winner are the columns of arena votes."
    return None


def _pairs(columns: SeenColumns) -> tuple[Description, str] | None:
    if {"winner", "loser"} <= set(columns.names):
        said = Description(
            layout="pairs", kind="pair", option_columns=("winner", "loser"), answer="winner"
        )
        return said, "winner and loser name the two options of every line."
    for name, other, first, second in _paired_columns(columns):
        if not (is_text(columns.table[name].type) and is_text(columns.table[other].type)):
            continue
        common = set(columns.values(name)) & set(columns.values(other))
        answer, codes = _pair_answer(columns, (name, other))
        answer = answer or _soft_answer(columns)
        if answer is None or not common:
            continue
        said = Description(
            layout="pairs", kind="pair", option_columns=(name, other), answer=answer, codes=codes,
            feature_columns=_pair_features(columns, first, second, (name, other)),
        )  # fmt: skip
        what = "says which won"
        if is_number(columns.table[answer].type):
            what = f"looks like the probability that {name} wins"
        return said, f"{name} and {other} hold the same names, and {answer} {what}."
    share = columns.first(_WIN_SHARE)
    for one, other in _AGAINST:
        if share is not None and {one, other} <= set(columns.names):
            said = Description(
                layout="pairs", kind="pair", option_columns=(one, other), answer=share,
                feature_columns={
                    name[len(one) :].strip("_"): {"first": name, "second": other + name[len(one) :]}
                    for name in columns.names
                    if name.startswith(one + "_") and other + name[len(one) :] in columns.names
                },
            )  # fmt: skip
            return said, f"{share} looks like the probability that {one} beats {other}."
    return None


def _paired_columns(columns: SeenColumns) -> Iterator[tuple[str, str, str, str]]:
    """Two columns that differ in how they end (model_a, model_b), and the two endings."""
    for first, second in _PAIRED_NAMES:
        if {first, second} <= set(columns.names):
            yield first, second, first, second
    for first, second in _PAIRED_ENDS:
        for name in columns.names:
            stem = name[: -len(first)]
            if stem and name.endswith(first) and stem + second in columns.names:
                yield name, stem + second, first, second


def _pair_answer(columns: SeenColumns, sides: tuple[str, str]) -> tuple[str | None, dict[str, str]]:
    """The column that says who won, and what its words mean where that is no common knowledge."""
    names = {str(v) for side in sides for v in columns.values(side)}
    for name in columns.names:
        if name in sides or not is_text(columns.table[name].type):
            continue
        words = {str(value) for value in columns.values(name)}
        if words and all(w.strip().lower() in COMMON_WORDS for w in words):
            return name, {}
        if words and words <= names and _is_one_of(columns, name, sides):
            return name, {}
        codes = _side_codes(words)
        if codes:
            return name, codes
    return None, {}


def _soft_answer(columns: SeenColumns) -> str | None:
    """A column of numbers from 0 to 1 that is called a probability."""
    name = columns.first(_SOFT)
    if name is None or not is_number(columns.table[name].type):
        return None
    values = to_floats(columns.table[name])
    values = values[~np.isnan(values)]
    return name if len(values) and ((values >= 0) & (values <= 1)).all() else None


def _side_codes(words: set[str]) -> dict[str, str]:
    """Two words that differ in how they end (a1, a2) are sides; all others must be common ones."""
    own = sorted(word for word in words if word.strip().lower() not in COMMON_WORDS)
    if len(own) != 2:
        return {}
    for first, second in _PAIRED_ENDS:
        stem = own[0][: -len(first)]
        if stem and own[0].endswith(first) and own[1] == stem + second:
            return {own[0]: "first", own[1]: "second"}
    return {}


def _is_one_of(columns: SeenColumns, answer: str, sides: tuple[str, str]) -> bool:
    """Whether the answer names, on every line, one of the two options of that line."""
    parts = [pc.cast(one_chunk(columns.table[name]), pa.string()) for name in (answer, *sides)]
    either = pc.or_(pc.equal(parts[0], parts[1]), pc.equal(parts[0], parts[2]))
    return bool(pc.all(either.fill_null(True)).as_py())


def _pair_features(
    columns: SeenColumns, first: str, second: str, sides: tuple[str, str]
) -> dict[str, dict[str, str]]:
    found = {}
    for name in columns.names:
        stem = name[: -len(first)]
        other = stem + second
        if name in sides or not (name.endswith(first) and stem and other in columns.names):
            continue
        if all(str(v).strip().lower() in COMMON_WORDS for v in columns.values(name)):
            continue  # the votes of several judges, not a property of the options
        feature = stem.rstrip("_-. ") or stem
        if is_text(columns.table[name].type) and len(columns.values(name)) > MANY_LEVELS:
            feature = "text"
        found[feature] = {"first": name, "second": other}
    return found


def _best_worst(columns: SeenColumns) -> tuple[Description, str] | None:
    stems: dict[str, list[str]] = {}
    for name in columns.names:
        match = re.match(r"^(.*[_.-])([a-h]|[1-8])$", name.lower())
        if match and is_text(columns.table[name].type):
            stems.setdefault(match.group(1), []).append(name)
    menus = [names for names in stems.values() if len(names) >= 3]
    pairs = [
        (name, name[: -len(good)] + bad)
        for good, bad in (("best", "worst"), ("_pos", "_neg"), ("most", "least"))
        for name in columns.names
        if name.endswith(good) and name[: -len(good)] + bad in columns.names
    ]
    for menu in menus:
        sizes = [str(v).lower() for pair in pairs[:1] for v in columns.values(pair[0])]
        letters = {chr(ord("a") + i) for i in range(len(menu))}
        numerals = {str(i + 1) for i in range(len(menu))}
        own = {str(v).lower() for name in menu for v in columns.values(name)}
        if pairs and sizes and all(s in letters or s in numerals or s in own for s in sizes):
            overall = next((pair for pair in pairs if "overall" in pair[0]), pairs[0])
            said = Description(
                layout="best_worst", kind="best_worst", option_columns=tuple(menu),
                answer=overall[0], worst=overall[1],
            )  # fmt: skip
            return said, f"{overall[0]} and {overall[1]} name one of {', '.join(menu)}."
    return None


def _decisions(columns: SeenColumns) -> tuple[Description, str] | None:
    propensity, reward = columns.first(_PROPENSITY), columns.first(_REWARD)
    option = columns.first(("action", "item_id", "arm", *_ITEM))
    if propensity is None or reward is None or option is None:
        return None
    said = Description(
        layout="decisions", option=option, propensity=propensity, answer=reward,
        position=columns.first(("position", "slot")),
    )  # fmt: skip
    return (
        said,
        f"{propensity} looks like the probability of showing {option}, {reward} its result.",
    )


def _long(columns: SeenColumns) -> tuple[Description, str] | None:
    person, task = columns.person(), columns.situation()
    keys = [name for name in (person, task) if name is not None]
    rank = columns.first(("rank", "ranking"))
    if rank is not None and keys:
        return _long_description(columns, keys, rank, "ranking", person, task)
    for name in columns.names:
        if name.lower() not in _ANSWER or not columns.is_flag(name) or not keys:
            continue
        code = columns.codes(columns.key_of(keys))[0]
        marked = np.asarray([str(v).lower() in ("1", "1.0", "true", "yes")
                             for v in columns.codes(name)[1]] + [False])  # fmt: skip
        count = np.bincount(code, weights=marked[columns.codes(name)[0]])
        sizes = np.bincount(code)
        if np.mean((count == 1) & (sizes > 1)) > 0.9:
            return _long_description(columns, keys, name, "choice", person, task)
    return None


def _long_description(
    columns: SeenColumns,
    keys: list[str],
    answer: str,
    kind: str,
    person: str | None,
    task: str | None,
) -> tuple[Description, str]:
    option = columns.first(_ITEM)
    key = columns.key_of(keys)
    features = [
        name for name in columns.names
        if name not in (*keys, answer, option)
        and (is_number(columns.table[name].type) or is_text(columns.table[name].type))
        and not columns.is_constant_within(name, key)
    ]  # fmt: skip
    said = Description(
        layout="long", kind=kind, person=person, situation=() if task is None else (task,),
        option=option, features=tuple(features), answer=answer,
        allow_missing=tuple(n for n in features if columns.table[n].null_count),
    )  # fmt: skip
    return said, f"Lines with one {' and '.join(keys)} share a menu; {answer} holds the answer."


def _ratings(columns: SeenColumns) -> tuple[Description, str] | None:
    rating, item = columns.first(_RATING), columns.first(_ITEM)
    if rating is None or item is None or not is_number(columns.table[rating].type):
        return None
    levels = sorted(columns.values(rating))
    scale = tuple(range(int(levels[0]), int(levels[-1]) + 1)) if len(levels) <= 20 and all(
        float(v).is_integer() for v in levels
    ) else ()  # fmt: skip
    said = Description(
        layout="ratings", kind="rating" if scale else "outcome", option=item, answer=rating,
        levels=scale,
    )  # fmt: skip
    return said, f"{rating} looks like a rating of {item}."


def _wide(columns: SeenColumns) -> tuple[Description, str] | None:
    answer = columns.first(_ANSWER)
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
    return said, (
        f"Columns come in groups for {', '.join(names)}. CHECK under [codes] which value of "
        f"{answer} means which."
    )


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
    if not strange or lines.mean() > _FEW:
        return ()
    return (Drop(column=answer, values=strange, reason="no alternative has this code: CHECK"),)


def describe(path: str | Path) -> str:
    """The commented TOML text of a first guess: what `penchant describe FILE` prints.

    Raises DataError if the file cannot be read.
    """
    if not Path(path).is_file():
        raise DataError(f"there is no file {path}; expected a file of preferences. Check the path.")
    return guess(path).to_toml()
