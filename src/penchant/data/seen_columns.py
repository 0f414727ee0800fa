"""What can be seen in the columns of a table that nobody has described yet.

Legend: B lines.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from penchant.data.columns import (
    combine_codes,
    first_appearance,
    is_number,
    is_text,
    line_hashes,
    one_chunk,
    to_codes,
    to_floats,
)
from penchant.data.description import Description
from penchant.numerics.arrays import Array

_PERSON = re.compile(
    r"^(person|respondent|resp|user|participant|worker|household|traveller|traveler|judge|voter|"
    r"customer|subject|annotator|rater|reviewer|writer|editor|expert|individual|"
    r"decision_?maker|panel|voter|member)?"
    r"(_?(id|code|nr|no))?$"
)
_SITUATION = re.compile(
    r"^(task|obs|observation|situation|trip|chid|question|round|scenario|choice_?set|case|menu|"
    r"choice_?situation|session|query|impression)(_?(id|nr|no|number))?$"
)
_TIME = ("timestamp", "tstamp", "time", "date", "datetime", "created_at", "when")
_WEIGHT = ("weight", "weights", "w", "survey_weight")
# Words with more levels are free text or names of things, not a category.
MANY_LEVELS = 200


class SeenColumns:
    """The columns of a table, and quick answers about them."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.names: list[str] = table.column_names
        self.lower = {name.lower(): name for name in self.names}
        self._codes: dict[str, tuple[Array, list[Any]]] = {}
        self._distinct: Array | None = None

    def first(self, wanted: Iterable[str]) -> str | None:
        return next((self.lower[name] for name in wanted if name in self.lower), None)

    def matching(self, pattern: re.Pattern[str]) -> str | None:
        return next((n for n in self.names if n and pattern.match(n.lower())), None)

    def situation(self) -> str | None:
        return self.matching(_SITUATION)

    def codes(self, name: str) -> tuple[Array, list[Any]]:
        if name not in self._codes:
            column = one_chunk(self.table[name])
            if pa.types.is_nested(column.type):
                column = pa.array(np.arange(len(column)))
            self._codes[name] = to_codes(column)
        return self._codes[name]

    def values(self, name: str) -> list[Any]:
        return [value for value in self.codes(name)[1] if value is not None]

    def first_of_equal_lines(self) -> Array:
        """The lines that repeat no earlier one: an export doubled the others."""
        if self._distinct is None:
            self._distinct = np.sort(np.unique(line_hashes(self.table), return_index=True)[1])
        return self._distinct

    def is_flag(self, name: str) -> bool:
        words = {str(value).lower() for value in self.values(name)}
        return bool(words) and words <= {"0", "1", "0.0", "1.0", "true", "false", "yes", "no"}

    def counts_lines(self, name: str) -> bool:
        """Whether a column numbers the lines: it says where they stood, not what they hold."""
        if not pa.types.is_integer(self.table[name].type) or self.table.num_rows < 3:
            return False
        numbers = to_floats(self.table[name])
        return bool((np.diff(numbers) == 1).all())

    def person(self) -> str | None:
        return self.matching(_PERSON)

    def is_constant_within(self, name: str, group: str) -> bool:
        codes, groups = self.codes(name)[0], self.codes(group)[0]
        pairs = len(np.unique(combine_codes(groups, codes)))
        return pairs == len(np.unique(groups))

    def with_people(self, said: Description) -> Description:
        """Person, weight and time, and all other columns as features of people or as context."""
        person = said.person or self.person()
        weight = said.weight or self.first(_WEIGHT)
        if weight is not None and not is_number(self.table[weight].type):
            weight = None
        # A trip's time is a feature of the options, not the moment of the answer.
        spoken_for = set(said.named_columns())
        time = said.time or next(
            (n for n in self.names
             if n.lower() in _TIME and n not in spoken_for and not self._is_short(n)),
            None,
        )  # fmt: skip
        taken = set(replace(said, person=person, weight=weight, time=time).named_columns())
        situation = said.situation
        if not situation and said.layout not in ("ratings", "decisions"):
            task = self.situation()
            situation = (task,) if task is not None and task not in taken else ()
        taken |= set(situation)
        who: list[str] = []
        where: list[str] = []
        for name in self.names:
            if name in taken or not self._is_useful(name, said):
                continue
            steady = person is not None and self.is_constant_within(name, person)
            (who if steady else where).append(name)
        return replace(
            said, person=person, weight=weight, time=time, situation=situation,
            person_features=said.person_features or tuple(who),
            context=said.context or tuple(where),
        )  # fmt: skip

    def _is_short(self, name: str) -> bool:
        return is_text(self.table[name].type) and len(self.values(name)) < 20

    def _is_useful(self, name: str, said: Description) -> bool:
        """Not for free text and ids of everything; not for what varies within a long menu."""
        kind = self.table[name].type
        if not (is_number(kind) or is_text(kind)):
            return False
        if len(self.codes(name)[1]) <= 1:
            return False
        if is_text(kind) and len(self.values(name)) > MANY_LEVELS:
            return False
        if is_number(kind) and not np.isfinite(to_floats(self.table[name])).any():
            return False
        if pa.types.is_integer(kind) and len(self.values(name)) == self.table.num_rows > 20:
            return False  # a number for each line says where it stood, not what it was
        keys = [key for key in (said.person, *said.situation) if key]
        return said.layout != "long" or all(
            self.is_constant_within(name, key) for key in [self.key_of(keys)]
        )

    def key_of(self, keys: Sequence[str]) -> str:
        """Several key columns as one (remembered under their joined names)."""
        joined = "\0" + "\0".join(keys)
        if joined not in self._codes:
            code = None
            for name in keys:
                fresh = self.codes(name)[0]
                code = fresh if code is None else first_appearance(combine_codes(code, fresh))[0]
            if code is None:
                code = np.arange(self.table.num_rows)
            self._codes[joined] = (code, [])
        return joined

    def seen(self) -> dict[str, str]:
        return {name: self._say(name) for name in self.names}

    def _say(self, name: str) -> str:
        column = one_chunk(self.table[name])
        missing = f", {column.null_count} missing" if column.null_count else ""
        if pa.types.is_nested(column.type):
            return f"{column.type}{missing}"
        values = self.values(name)
        kind = "words" if is_text(column.type) else "numbers"
        if pa.types.is_temporal(column.type):
            kind = "times"
        if is_number(column.type) and not pa.types.is_boolean(column.type) and len(values) > 12:
            numbers = to_floats(column)
            numbers = numbers[np.isfinite(numbers)]
            span = f"{numbers.min():g} to {numbers.max():g}" if len(numbers) else "none finite"
            return f"{kind} {span}, {len(values)} different{missing}"
        if not is_text(column.type):
            values = sorted(values)
        shown = ", ".join(_short(value) for value in values[:6])
        more = ", ..." if len(values) > 6 else ""
        return f"{kind}, {len(values)} different: {shown}{more}{missing}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:21] + "..."
