"""A first guess of which column plays which role, to be corrected by who knows the data.

Legend: B lines, K alternatives.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.columns import (
    is_number,
    is_text,
    one_chunk,
    to_floats,
)
from penchant.data.description import OF_FORMAT, Description
from penchant.data.guess_doubts import doubts, other_answers
from penchant.data.guess_grades import grade_scale
from penchant.data.guess_pairs import guess_pairs, holds_shares, judges_beside
from penchant.data.guess_rankings import guess_rankings
from penchant.data.guess_texts import guess_texts
from penchant.data.guess_wide import ANSWERS, FEW, guess_wide
from penchant.data.readers import chat, dsjson, label_studio, potato, ranked_texts, vw
from penchant.data.readers.preflib import ENDINGS
from penchant.data.readers.table import CSV, load_table
from penchant.data.seen_columns import SeenColumns
from penchant.errors import DataError

# A scale in words often stands beside its numbers.
_RATING = ("rating", "stars", "score", "grade", "rate", "rating_numeric", "rating_value")
_PROPENSITY = ("propensity", "action_prob", "pscore", "probability", "prob", "p_shown")
_REWARD = ("click", "reward", "clicked", "converted", "conversion", "purchase", "outcome", "cost")
_ITEM = ("option", "alternative", "alt", "mode", "item", "item_id", "product", "product_id",
         "movie", "movie_id", "song", "track", "track_id", "place", "place_id", "profile",
         "brand", "platform", "module", "style", "arm", "action", "candidate", "statement", "film",
         "book", "recipe", "restaurant", "hotel", "game")  # fmt: skip
_VERLS = {"input", "output", "score", "step"}
_FORMATS = {
    "vw": "a log of decisions", "dsjson": "a log of decisions",
    "label_studio": "an export of Label Studio", "potato": "a project of Potato",
}  # fmt: skip
# How much of a CSV is looked at to find its encoding; a later letter is found on reading.
_HEAD_BYTES = 1 << 26


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A description to start from, what was seen in each column, and why it was read so."""

    description: Description
    seen: Mapping[str, str]
    reasons: tuple[str, ...]
    assumed: tuple[str, ...] = ()  # those of the reasons that whoever knows the file should check
    by_judges: "Guess | None" = None  # the same with the answers of all judges, where several are

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


def guess(data: Any, answer: str | None = None) -> Guess:
    """A first guess for a file, a DataFrame, an Arrow table or a dataset.

    answer: the column that whoever knows the file calls the answer, whatever its name says.
    """
    if isinstance(data, str | Path) and Path(data).suffix.lower() in ENDINGS:
        return Guess(
            description=Description(layout="preflib"), seen={},
            reasons=("The ending says that this is a PrefLib file of orders.",),
        )  # fmt: skip
    log = _log_format(data)
    if log is not None:
        return Guess(
            description=Description(layout=log), seen={},
            reasons=(f"This is {_FORMATS[log]}, whose format says what each part means.",),
        )  # fmt: skip
    file, reasons = _file_settings(data)
    table = load_table(data, file).table
    if not table.num_rows:
        raise DataError(
            f"the data hold no line (columns: {', '.join(table.column_names[:40])}); expected "
            "lines of answers to guess from. Look whether the export was cut off behind its header."
        )
    columns = SeenColumns(table)
    found = (
        _chat(columns) or _arena(columns) or guess_pairs(columns) or _best_worst(columns)
        or guess_rankings(columns) or _whole_menus(columns) or _decisions(columns)
        or _long(columns, answer) or _ratings(columns, answer) or guess_texts(columns)
        or guess_wide(columns)
    )  # fmt: skip
    if found is None:
        found = (
            Description(layout="long"),
            "No column looks like an answer. Name the layout and the answer yourself.",
        )
    description, reason = found
    description = replace(description, encoding=file.encoding, delimiter=file.delimiter)
    description = columns.with_people(description)
    if description.layout == "trl":
        lists = ranked_texts.own_names(ranked_texts.list_columns(table, description))
        own = tuple(name for name in description.context if name not in (*chat.OWN_COLUMNS, *lists))
        description = replace(description, context=own)
    judges = judges_beside(columns, description)
    by_judges = None
    if judges:
        by_judges = _guessed(columns, replace(description, answer_columns=judges), reasons, reason)
    return replace(_guessed(columns, description, reasons, reason), by_judges=by_judges)


def _guessed(columns: SeenColumns, said: Description, reasons: Sequence[str], reason: str) -> Guess:
    assumed = (*reasons, *doubts(columns, said))
    return Guess(description=said, seen=columns.seen(), reasons=(*assumed, reason), assumed=assumed)


def guess_answered(data: Any) -> Guess:
    """A first guess that can be learnt from.

    Raises DataError where no column looks like an answer.
    """
    found = guess(data)
    check_answered(found.description, tuple(found.seen))
    return found


def check_answered(said: Description, columns: Sequence[str]) -> None:
    """Raises DataError where the description names no answer, and its format none by itself."""
    of_format = said.layout in ("trl", *OF_FORMAT) or said.kind == "edit"
    if said.answer is None and not said.answer_columns and not of_format:
        raise DataError(
            f"no column looks like an answer (columns: {', '.join(list(columns)[:40])}); "
            "expected a description that names it. Write one with `penchant describe FILE`, "
            "correct it, and give it as `description` (in the shell, --role answer.column=NAME "
            "names the column)."
        )


def _log_format(data: Any) -> str | None:
    """Vowpal Wabbit's text by its ending, decision-service JSON also by its first line, Label
    Studio's export by its list of tasks, Potato's by its files."""
    if not isinstance(data, str | Path):
        return None
    ending = Path(data).suffix.lower()
    if ending in vw.ENDINGS:
        return "vw"
    if ending == ".json" and label_studio.is_label_studio(data):
        return "label_studio"
    if potato.is_potato(data):
        return "potato"
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
    if names >= _VERLS:
        said = Description(
            layout="long", situation=("step", "input"), text="output", kind="outcome",
            answer="score",
        )  # fmt: skip
        return said, "input, output, score and step are what verl keeps of its rollouts."
    lists = ranked_texts.list_columns(columns.table)
    if lists is not None:
        said = Description(
            layout="trl", text=lists.texts, kind=lists.kind,
            answer=None if lists.is_inside else lists.answer,
        )  # fmt: skip
        best = "1 for the best" if lists.kind == "ranking" else "higher for better"
        return said, f"{lists.texts} lists answers, and {lists.answer} says of each, {best}."
    return None


def _arena(columns: SeenColumns) -> tuple[Description, str] | None:
    if {"model_a", "model_b", "winner"} <= set(columns.names):
        # Of 0 and 1, or 1 and 2, nothing says which is which.
        if not is_text(columns.table["winner"].type) and not (
            is_number(columns.table["winner"].type)
            and holds_shares(columns, "winner", needs_fractions=True)
        ):
            return None
        grades = grade_scale({str(value) for value in columns.values("winner")})
        said = Description(
            layout="arena", option_columns=("model_a", "model_b"), answer="winner",
            kind="graded" if grades else None, levels=grades,
            person=columns.first(("judge", "user_id")),
        )  # fmt: skip
        return said, "model_a, model_b and winner are the columns of arena votes."
    return None


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


def _whole_menus(columns: SeenColumns) -> tuple[Description, str] | None:
    """Decisions in long form: a line an option, a reward on the line of the one taken."""
    propensity, reward = columns.first(_PROPENSITY), columns.first(_REWARD)
    option, task = columns.first(("action", "item_id", "arm", *_ITEM)), columns.situation()
    if propensity is None or reward is None or option is None or task is None:
        return None
    numbers = {name: columns.table[name].type for name in (propensity, reward)}
    if not all(is_number(kind) for kind in numbers.values()):
        return None
    # Rounds may be numbered for everybody, or within a person.
    person = columns.person()
    tried = [[task]] if person is None else [[task], [person, task]]
    keys = next((k for k in tried if _adds_up(columns, propensity, columns.key_of(k))), None)
    if keys is None:
        return None
    key = columns.key_of(keys)
    rewards = to_floats(columns.table[reward])
    given = ~np.isnan(rewards)
    if np.bincount(columns.codes(key)[0], given).max() > 1:
        return None
    features = tuple(
        name for name in columns.names
        if name not in (*keys, person, option, propensity, reward)
        and (is_number(columns.table[name].type) or is_text(columns.table[name].type))
        and not columns.is_constant_within(name, key)
        # Probabilities of another policy tell nothing of what an option is.
        and not (is_number(columns.table[name].type) and _adds_up(columns, name, key))
    )  # fmt: skip
    is_binary = bool(np.isin(rewards[given], (0.0, 1.0)).all())
    said = Description(
        layout="long", kind="binary" if is_binary else "outcome", person=person,
        situation=(task,), option=option, propensity=propensity, features=features, answer=reward,
        allow_missing=_meant_gaps(columns, features, option),
    )  # fmt: skip
    return said, (
        f"{propensity} adds up to 1 over the lines of one {' and '.join(keys)}, which are whole "
        f"menus; {reward} stands on the line of what was taken."
    )


def _adds_up(columns: SeenColumns, name: str, key: str) -> bool:
    """Whether a column holds probabilities over menus of several lines."""
    code, share = columns.codes(key)[0], to_floats(columns.table[name])
    if not len(code) or code.min() < 0 or not ((share >= 0) & (share <= 1.001)).all():
        return False
    total, sizes = np.bincount(code, share), np.bincount(code)
    # Propensities are often logged in single precision, or rounded.
    return bool(sizes.max() > 1 and np.abs(total - 1.0)[sizes > 0].max() < 2e-2)


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


def _long(columns: SeenColumns, answer: str | None = None) -> tuple[Description, str] | None:
    person, task = columns.person(), columns.situation()
    keys = [name for name in (person, task) if name is not None]
    rank = columns.first(("rank", "ranking"))
    is_ranks = rank is not None and answer in (None, rank) and is_number(columns.table[rank].type)
    if rank is not None and is_ranks and keys:
        return _long_description(columns, keys, rank, "ranking", person, task)
    for name in columns.names:
        is_answer = name.lower() in ANSWERS if answer is None else name == answer
        if not is_answer or not columns.is_flag(name) or not keys:
            continue
        code = columns.codes(columns.key_of(keys))[0]
        marked = np.asarray([str(v).lower() in ("1", "1.0", "true", "yes")
                             for v in columns.codes(name)[1]] + [False])  # fmt: skip
        once = columns.first_of_equal_lines()
        count = np.bincount(code[once], weights=marked[columns.codes(name)[0][once]])
        sizes = np.bincount(code[once])
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
    named = [name for name in _ITEM if name in columns.lower]
    option = columns.first(name for name in named if columns.values(columns.lower[name]))
    key = columns.key_of(keys)
    features = [
        name for name in columns.names
        if name not in (*keys, answer, option)
        and (is_number(columns.table[name].type) or is_text(columns.table[name].type))
        and not columns.is_constant_within(name, key)
        and not columns.counts_lines(name) and name not in other_answers(columns, answer)
    ]  # fmt: skip
    said = Description(
        layout="long", kind=kind, person=person, situation=() if task is None else (task,),
        option=option, features=tuple(features), answer=answer,
        allow_missing=_meant_gaps(columns, features, option),
    )  # fmt: skip
    return said, f"Lines with one {' and '.join(keys)} share a menu; {answer} holds the answer."


def _meant_gaps(
    columns: SeenColumns, features: Sequence[str], option: str | None
) -> tuple[str, ...]:
    """Features that some options never have, or that many lines lack.

    A gap or two elsewhere is a line gone wrong, which reading should name.
    """
    meant = []
    for name in features:
        absent = np.asarray(one_chunk(columns.table[name].is_null()))
        if option is not None and absent.any():
            place = columns.codes(option)[0] + 1
            gaps, lines = np.bincount(place, absent), np.bincount(place)
            stray = gaps[gaps < lines].sum()
            absent = absent & (stray == 0 or stray > FEW * len(absent))
        if absent.any():
            meant.append(name)
    return tuple(meant)


def _ratings(columns: SeenColumns, answer: str | None = None) -> tuple[Description, str] | None:
    numbers = [name for name in columns.names if is_number(columns.table[name].type)]
    known = {name.lower(): name for name in numbers}
    said_so = _RATING if answer is None else (answer.lower(),)
    rating = next((known[word] for word in said_so if word in known), None)
    item = columns.first(_ITEM)
    if rating is None or item is None:
        return None
    levels = sorted(columns.values(rating))
    if rating.lower() not in _RATING and len(levels) < 3:
        return None  # Yes and no are a click or a choice, whatever was named as the answer.
    scale = tuple(range(int(levels[0]), int(levels[-1]) + 1)) if len(levels) <= 20 and all(
        float(v).is_integer() for v in levels
    ) else ()  # fmt: skip
    said = Description(
        layout="ratings", kind="rating" if scale else "outcome", option=item, answer=rating,
        levels=scale,
    )  # fmt: skip
    return said, f"{rating} looks like a rating of {item}."


def describe(path: str | Path) -> str:
    """The commented TOML text of a first guess: what `penchant describe FILE` prints.

    Raises DataError if the file cannot be read.
    """
    if not Path(path).is_file():
        raise DataError(f"there is no file {path}; expected a file of preferences. Check the path.")
    return guess(path).to_toml()
