"""Values as TOML writes them: Python reads the format and does not write it."""

from collections.abc import Mapping
from typing import Any


def assignment(key: str, value: Any, comments: Mapping[str, str]) -> list[str]:
    """The lines that give a key its value, with what `comments` say of the names in it."""
    if isinstance(value, tuple) and any(name in comments for name in value):
        inner = [f"  {value_text(name)},{_comment(comments.get(name))}" for name in value]
        return [f"{key} = [", *inner, "]"]
    hint = comments.get(value) if isinstance(value, str) else None
    return [f"{key} = {value_text(value)}{_comment(hint)}"]


def _comment(text: str | None) -> str:
    return f"  # {' '.join(text.split())}" if text else ""


def value_text(value: Any) -> str:
    """A truth value, a number, a list of these, or else words in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(entry) for entry in value)}]"
    return _quoted(str(value))


def key_text(key: str) -> str:
    """A key, in quotes where TOML wants them."""
    plain = key and all(c.isascii() and (c.isalnum() or c in "-_") for c in key)
    return key if plain else _quoted(key)


def _quoted(text: str) -> str:
    special = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    body = "".join(special.get(c, c if c.isprintable() else f"\\U{ord(c):08X}") for c in text)
    return f'"{body}"'
