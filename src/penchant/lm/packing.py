"""Sequences side by side without padding; what several begin with stands there once.

A segment begins itself or goes on from one that does: an answer from its prompt, whose places go
on and whose tokens it sees. Nobody sees another's. What a sequence would be told alone, it is told
here (Krell et al. 2021; Prefix Grouper, 2025), and no product is spent on padding.

Legend: N tokens of all segments, S segments, B rows, T tokens of a row, A heads, C numbers a head.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.lm.language_model import Parameters
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Packed:
    """ids: of the segments, one after another. sizes: tokens of each, one or more. after: the
    segment that one goes on from, -1 where it begins itself; those that go on from it follow it."""

    ids: Int[Array, " N"]
    sizes: Int[Array, " S"]
    after: Int[Array, " S"]

    def __post_init__(self) -> None:
        heads = np.maximum.accumulate(np.where(self.after < 0, np.arange(len(self.after)), 0))
        assert (self.sizes > 0).all(), "a segment has a token"
        assert ((self.after < 0) | (self.after == heads)).all(), "those that go on follow"

    @cached_property
    def segment(self) -> Int[Array, " N"]:
        """Of each token."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def places(self) -> Int[Array, " N"]:
        """Of each token in its own sequence, from 0 on."""
        starts = np.cumsum(self.sizes) - self.sizes
        before = np.where(self.after < 0, 0, self.sizes[self.after])
        return np.arange(self.sizes.sum()) - np.repeat(starts - before, self.sizes)


@runtime_checkable
class Packs(Protocol):
    """A network that may be able to read segments."""

    def why_unpacked(self) -> str | None:
        """What keeps it from that; None where nothing does."""
        ...

    def read_packed(self, parameters: Parameters, packed: Packed) -> Float[Array, "N H"]:
        """The states of all tokens. Raises `ConfigError` where it has no way to."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class SideBySide:
    """Where segments stand in rows of one width. row, column: of each token; sees: whether one
    place of a row looks at another (padding at itself alone)."""

    row: Int[Array, " N"]
    column: Int[Array, " N"]
    sees: Bool[Array, "B T T"]


def in_rows(packed: Packed) -> SideBySide:
    """Segments in rows as wide as the widest family of them, each where there is room first, the
    widest first: for attention that knows masks only."""
    family = np.cumsum(packed.after < 0) - 1
    of_token = family[packed.segment]
    sizes = np.bincount(of_token)
    width = int(sizes.max())
    used: list[int] = []
    row, begins = np.zeros(len(sizes), dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    for each in np.argsort(-sizes, kind="stable"):
        at = next((b for b, taken in enumerate(used) if taken + sizes[each] <= width), len(used))
        if at == len(used):
            used.append(0)
        row[each], begins[each] = at, used[at]
        used[at] += int(sizes[each])
    first = np.cumsum(sizes) - sizes
    column = begins[of_token] + np.arange(len(of_token)) - first[of_token]
    told = {"mine": packed.segment, "after": packed.after[packed.segment], "place": packed.places}
    blank = {"mine": -2, "after": -3, "place": 0}
    laid = {name: np.full((len(used), width), blank[name]) for name in told}
    for name, values in told.items():
        laid[name][row[of_token], column] = values
    mine, after, place = (laid[name] for name in ("mine", "after", "place"))
    is_own = mine[:, :, None] == mine[:, None, :]
    sees = is_own | (after[:, :, None] == mine[:, None, :])
    sees &= place[:, None, :] <= place[:, :, None]
    sees[(mine < 0)[:, :, None] & is_own] = False
    sees |= np.eye(width, dtype=bool)
    return SideBySide(row=row[of_token], column=column, sees=sees)


def attended_apart(
    q: Float[Array, "1 A N C"],
    k: Float[Array, "1 A N C"],
    v: Float[Array, "1 A N C"],
    packed: Packed,
    masks: list[Any],
) -> Float[Array, "1 A N C"]:
    """Attention segment by segment: no product between what does not see each other. masks: of
    `masks_after`, the same for every layer."""
    import torch

    attend = torch.nn.functional.scaled_dot_product_attention
    # One split has one way back; slices would add as many arrays of full length.
    qs, ks, vs = (each.split(packed.sizes.tolist(), dim=2) for each in (q, k, v))
    found = []
    for own, before in enumerate(packed.after.tolist()):
        if before < 0:
            found.append(attend(qs[own], ks[own], vs[own], is_causal=True))
            continue
        keys, values = (torch.cat([each[before], each[own]], dim=2) for each in (ks, vs))
        found.append(attend(qs[own], keys, values, attn_mask=masks[own]))
    return torch.cat(found, dim=2)


def masks_after(packed: Packed, device: Any) -> list[Any]:
    """Which tokens of the one before and of its own each segment that goes on looks at; None for
    those that begin themselves."""
    import torch

    made: dict[tuple[int, int], Any] = {}
    found: list[Any] = []
    for size, before in zip(packed.sizes.tolist(), packed.after.tolist(), strict=True):
        if before < 0:
            found.append(None)
            continue
        shape = (size, int(packed.sizes[before]))
        if shape not in made:
            seen = torch.ones(size, size + shape[1], dtype=torch.bool, device=device)
            made[shape] = seen.tril(diagonal=shape[1])
        found.append(made[shape])
    return found
