"""What a place of a description may hold, asked before anything is made of it."""

from collections.abc import Callable, Mapping
from typing import Any

from penchant.errors import ConfigError


def checked(place: str, value: Any, kind: Any, name: str) -> Any:
    """The value, where it is what a field of this type takes.

    kind: the type of the description's field; name: what the description is called in an error.
    Raises `ConfigError` that says what was found and what to write.
    """
    found = _TABLES.get(place, _TYPES.get(kind))
    if found is not None and not found[0](value):
        raise ConfigError(f"{name} says {place} = {value!r}; expected {found[1]}.")
    return value


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _list_of(is_such: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """One word stands for a list of one."""
    return lambda value: (
        isinstance(value, str)
        or (isinstance(value, list | tuple) and all(is_such(each) for each in value))
    )


def _table_of(is_such: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(is_such, value.values()))


_WORD = "a word in quotes, as the name of a column is"
_TYPES: dict[Any, tuple[Callable[[Any], bool], str]] = {
    str: (_is_word, _WORD),
    str | None: (_is_word, _WORD),
    tuple[str, ...]: (_list_of(_is_word), 'a list of words, as in ["age", "sex"]'),
    tuple[Any, ...]: (_list_of(_is_plain), "a list of words or numbers, as in [1, 2, 3]"),
}
_TABLES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "codes": (_table_of(_is_plain), 'a table of words, as in [codes] and below it 1 = "car"'),
    "available": (
        _table_of(_is_word),
        'a table of columns, as in [available] and below it car = "has_car"',
    ),
    "features": (
        _table_of(_table_of(_is_word)),
        'a table of columns for each feature, as in [features.time] and below it car = "car_time". '
        "They belong to wide data and pairs; what describes the options of other layouts is a list "
        "under [options]",
    ),
    "labels": (
        _table_of(_table_of(_is_plain)),
        'a table of words for each column, as in [labels.purpose] and below it 1 = "work"',
    ),
}
