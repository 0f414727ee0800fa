"""Texts as numbers for a language model: padded rows, on either side, that mean the same.

Legend: B rows, T tokens, U tokens with those read before, H numbers of a state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array, take_option

Side = Literal["left", "right"]


@runtime_checkable
class Tokenizer(Protocol):
    """Between text and tokens. pad, begin, end: tokens that stand for no text; None where the
    model has none."""

    @property
    def pad(self) -> int: ...
    @property
    def begin(self) -> int | None: ...
    @property
    def end(self) -> int | None: ...

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, none of them special."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of tokens; special ones are left out."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Tokens:
    """Rows of tokens in torch; `is_text` is False at padding, which no real token may see. Where a
    model goes on from a memory, it covers what was read before too."""

    ids: Int[Array, "B T"]
    is_text: Bool[Array, "B U"]

    def to(self, device: Any) -> "Tokens":
        """The same on another device."""
        return Tokens(ids=self.ids.to(device), is_text=self.is_text.to(device))


def padded(rows: Sequence[Sequence[int]], pad: int, side: Side = "right") -> Tokens:
    """Rows of different lengths as one rectangle.

    Raises `DataError` for a row without any token: there would be no state to read.
    """
    import torch

    lengths = np.array([len(row) for row in rows])
    if not len(rows) or (lengths == 0).any():
        raise DataError(
            f"row {int(np.argmin(lengths)) if len(rows) else 0} of {len(rows)} has no token; "
            "expected one or more each. Put the model's begin or end token there."
        )
    width = int(lengths.max())
    ids = np.full((len(rows), width), pad, dtype=np.int64)
    place = np.arange(width)
    shift = width - lengths if side == "left" else 0 * lengths
    is_text = (place >= shift[:, None]) & (place < (shift + lengths)[:, None])
    ids[is_text] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
    return Tokens(ids=torch.from_numpy(ids), is_text=torch.from_numpy(is_text))


def positions(is_text: Bool[Array, "B U"]) -> Int[Array, "B U"]:
    """0, 1, 2, ... from each row's first token on, so that the side of the padding is not felt."""
    return (is_text.long().cumsum(dim=1) - 1).clamp(min=0)


def last_states(states: Float[Array, "B T H"], is_text: Bool[Array, "B T"]) -> Float[Array, "B H"]:
    """The state at each row's last token, wherever the padding is."""
    place = is_text.shape[1] - 1 - is_text.flip(1).long().argmax(dim=1)
    return take_option(states, place)


def mean_states(states: Float[Array, "B T H"], is_text: Bool[Array, "B T"]) -> Float[Array, "B H"]:
    """The mean state over each row's tokens, for models that read both ways."""
    share = is_text.to(states.dtype)
    return (states * share[..., None]).sum(dim=1) / share.sum(dim=1, keepdim=True)


def cut(ids: Sequence[int], window: int | None) -> tuple[list[int], bool]:
    """The last `window` tokens, and whether any were lost: the answer stands at the end."""
    if window is None or len(ids) <= window:
        return list(ids), False
    return list(ids[-window:]), True


def fingerprint(rows: Sequence[Sequence[int]], parameters: Mapping[str, Array]) -> str:
    """Of what a training starts from: rows of tokens, and the numbers of the parameters."""
    seen = blake2b(digest_size=8)
    for row in rows:
        seen.update(repr(list(row)).encode())
    for name, value in parameters.items():
        seen.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return f"{len(rows)} rows of tokens and {len(parameters)} parameters {seen.hexdigest()}"
