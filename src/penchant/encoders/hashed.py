"""Features of any name, hashed into so many numbers: no list of names, no fit before the first row.

Legend: D features.
"""

import functools
import hashlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

# Whole numbers may be larger.
_MOST = sys.float_info.max
PARTS = ("option", "name", "option*context", "name*context")


@dataclass(frozen=True, kw_only=True, slots=True)
class HashedMenu:
    """An option among others as `num_features` numbers (Weinberger et al. 2009).

    A number stands under its name, a text under name=text as 1, objects within objects under names
    with dots; what is missing or 0 adds nothing. Each name falls on one of `num_features` places
    with a sign, so that names which share one do not all push the same way.

    parts: what features an option has. "option": its own; "option*context": its own by those of the
    situation; "name": a level of its own; "name*context": weights of its own on the situation.
    ("name", "name*context") is the disjoint model of Li et al. (2010), ("option",
    "option*context") the shared one, all four the hybrid one. What describes the situation alone is
    the same for all options and has no part of its own.

    Raises `ConfigError` for unknown parts, none, or less than one number.
    """

    num_features: int = 128
    parts: tuple[str, ...] = ("option", "name", "option*context", "name*context")

    def __post_init__(self) -> None:
        if not self.parts or set(self.parts) - set(PARTS) or self.num_features < 1:
            raise ConfigError(
                f"parts are {list(self.parts)} in {self.num_features} features; expected one or "
                f"more of {', '.join(PARTS)} in at least one."
            )

    def encode(
        self, name: str, option: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Float[Array, " D"]:
        """One option. Raises `DataError` for values that are no number, text, yes or no."""
        own = list(flat(option))
        situation = list(flat(context)) if any("context" in part for part in self.parts) else []
        found = np.zeros(self.num_features)
        for part in self.parts:
            mine = [(name, 1.0)] if part.startswith("name") else own
            beside = situation if part.endswith("context") else [("", 1.0)]
            for token, value in mine:
                for other, times in beside:
                    place, sign = _place(f"{part}\0{token}\0{other}", self.num_features)
                    found[place] += sign * value * times
        return found


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Names and numbers of an object, objects within it under names with dots."""
    for name, value in values.items():
        token = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{token}.")
        elif isinstance(value, str):
            yield f"{token}={value}", 1.0
        elif isinstance(value, int | float | np.number) and -_MOST <= value <= _MOST:
            if value != 0:
                yield token, float(value)
        elif value is not None:
            raise DataError(
                f"feature {token!r} is {value!r}; expected a finite number, a text, true or false, "
                "or an object of these. Leave out what is missing."
            )


@functools.lru_cache(maxsize=1 << 16)
def _place(token: str, num: int) -> tuple[int, float]:
    # The same in every process, which Python's own hash is not, and without pattern: by a checksum
    # two options that meet in one situation meet in every one whose name is as long.
    code = int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")
    return (code >> 1) % num, 1.0 if code & 1 else -1.0
