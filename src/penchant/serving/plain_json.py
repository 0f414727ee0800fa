"""JSON at the border: whatever came in is parsed or refused, whatever goes out is JSON."""

import json
import math
from collections.abc import Mapping
from typing import Any

from penchant.errors import DataError


def parsed(text: str | bytes, where: str) -> Any:
    """The document. Raises `DataError`, naming `where` it stood, for what is no JSON, is nested
    deeper than Python follows, holds a number of thousands of digits, or is not UTF-8."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise DataError(f"{where} is no JSON (nested too deep).") from error
    except ValueError as error:
        raise DataError(f"{where} is no JSON ({error}).") from error


def finite(value: Any) -> Any:
    """The same document with NaN and infinities as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value
