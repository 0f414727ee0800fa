"""Texts in PostgreSQL, which holds every character but the one of code 0.

Ids may be any text. The character is written as two others, and the first of these as two of it,
so that different texts stay different; whoever reads gets what was written.
"""

import re
from typing import TYPE_CHECKING, Any

from psycopg.types.string import StrBinaryDumper, StrDumper, TextBinaryLoader, TextLoader

if TYPE_CHECKING:
    import psycopg

_MARK, _FOR_NONE = "\x01", "\x01\x02"
_WRITTEN = re.compile("\x01([\x01\x02])")


def written(text: str) -> str:
    """As the database takes it."""
    if "\x00" not in text and _MARK not in text:
        return text
    return text.replace(_MARK, 2 * _MARK).replace("\x00", _FOR_NONE)


def read(text: str) -> str:
    """What was written."""
    if _MARK not in text:
        return text
    return _WRITTEN.sub(lambda found: _MARK if found[1] == _MARK else "\x00", text)


# Values of the driver's own methods are of several types of buffers.
class _Dumper(StrDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(written(obj))


class _BinaryDumper(StrBinaryDumper):
    def dump(self, obj: str) -> Any:
        return super().dump(written(obj))


class _Loader(TextLoader):
    def load(self, data: Any) -> Any:
        return read(str(super().load(data)))


class _BinaryLoader(TextBinaryLoader):
    def load(self, data: Any) -> Any:
        return read(str(super().load(data)))


def adapt(session: "psycopg.Connection") -> None:
    """From now on texts go to and fro that way."""
    for dumper in (_Dumper, _BinaryDumper):
        session.adapters.register_dumper(str, dumper)
    for loader in (_Loader, _BinaryLoader):
        session.adapters.register_loader("text", loader)
