"""Sequences side by side without padding; what several begin with stands there once.

A segment begins itself or goes on from another: an answer from its prompt, ways on from the end of
a piece. Its places go on there, and it sees the tokens of all that it goes on from; nobody sees
another's. What a sequence would be told alone, it is told here (Krell et al. 2021; Prefix Grouper,
2025), and no product is spent on padding.

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
    segment that one goes on from, -1 where it begins itself; all that go on from one that begins
    itself, at whatever remove, follow it and one another."""

    ids: Int[Array, " N"]
    sizes: Int[Array, " S"]
    after: Int[Array, " S"]

    def __post_init__(self) -> None:
        own = np.arange(len(self.after))
        heads = np.maximum.accumulate(np.where(self.after < 0, own, 0))
        assert (self.sizes > 0).all(), "a segment has a token"
        among = (self.after >= heads) & (self.after < own)
        assert ((self.after < 0) | among).all(), "those that go on follow"

    @cached_property
    def segment(self) -> Int[Array, " N"]:
        """Of each token."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def lines(self) -> list[list[int]]:
        """Of each segment all that it goes on from, the beginning first."""
        found: list[list[int]] = []
        for before in self.after.tolist():
            found.append([] if before < 0 else [*found[before], before])
        return found

    @cached_property
    def before(self) -> Int[Array, " S"]:
        """Tokens of what each segment goes on from."""
        return np.array([int(self.sizes[line].sum()) if line else 0 for line in self.lines])

    @cached_property
    def places(self) -> Int[Array, " N"]:
        """Of each token in its own sequence, from 0 on."""
        starts = np.cumsum(self.sizes) - self.sizes
        return np.arange(self.sizes.sum()) - np.repeat(starts - self.before, self.sizes)


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
    num = len(packed.sizes)
    mine, place = np.full((len(used), width), num), np.zeros((len(used), width), dtype=np.int64)
    mine[row[of_token], column], place[row[of_token], column] = packed.segment, packed.places
    # Padding is one segment more, which sees nothing.
    goes_on = np.zeros((num + 1, num + 1), dtype=bool)
    for own, line in enumerate(packed.lines):
        goes_on[own, [*line, own]] = True
    sees = goes_on[mine[:, :, None], mine[:, None, :]]
    sees &= place[:, None, :] <= place[:, :, None]
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
    for own, line in enumerate(packed.lines):
        if not line:
            found.append(attend(qs[own], ks[own], vs[own], is_causal=True))
            continue
        keys, values = (torch.cat([each[at] for at in [*line, own]], dim=2) for each in (ks, vs))
        found.append(attend(qs[own], keys, values, attn_mask=masks[own]))
    return torch.cat(found, dim=2)


def masks_after(packed: Packed, device: Any) -> list[Any]:
    """Which tokens of what it goes on from and of its own each segment looks at; None for those
    that begin themselves."""
    import torch

    made: dict[tuple[int, int], Any] = {}
    found: list[Any] = []
    for size, before in zip(packed.sizes.tolist(), packed.before.tolist(), strict=True):
        if not before:
            found.append(None)
            continue
        shape = (size, before)
        if shape not in made:
            seen = torch.ones(size, size + shape[1], dtype=torch.bool, device=device)
            made[shape] = seen.tril(diagonal=shape[1])
        found.append(made[shape])
    return found
