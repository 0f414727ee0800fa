"""Ways on from partial answers: fresh endings, and trees with several where each piece ends.

Legend: N partial answers, U edges (pieces), B rows (one a leaf), T1 tokens after those before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.lm.language_model import LanguageModel
from penchant.lm.precision import at_least_single
from penchant.lm.sample import SampleConfig, sample
from penchant.numerics.arrays import Array
from penchant.policies.language.rollouts import (
    Rollouts,
    check_room,
    check_support,
    prompt_ids,
    written_rollouts,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tree:
    """rollouts: a row for each leaf, the whole way to it from the prompt. parent: of each edge the
    one before it, -1 of those that leave the prompt; root: its prompt. leaf: of each row its last
    edge. edge_of: of each token of a row its edge, -1 where it is not drawn or where an earlier row
    has it too: every token that was drawn stands once."""

    rollouts: Rollouts
    parent: Int[Array, " U"]
    root: Int[Array, " U"]
    leaf: Int[Array, " B"]
    edge_of: Int[Array, "B T1"]

    @property
    def num_drawn(self) -> int:
        """Tokens, each counted once."""
        return int((self.edge_of >= 0).sum())


@dataclass(frozen=True, eq=False)
class _Edge:
    parent: int
    root: int
    ids: list[int]
    log_prob: list[float]
    entropy: list[float]
    has_ended: bool
    version: int


def draw_tree(
    model: LanguageModel,
    prompts: Sequence[str],
    branches: Sequence[int],
    segment: int,
    config: SampleConfig,
    generator: Any,
    *,
    version: int = 0,
) -> Tree:
    """`branches[0]` pieces of `segment` tokens go out from each prompt, `branches[1]` from the end
    of each of these that has not ended, and so on; the last ones run to the answer's end.

    Raises `DataError` for a prompt that leaves no room in the window, `ConfigError` for sampling
    that cuts the distribution off.
    """
    check_support(config)
    begun = [prompt_ids(model.tokenizer, prompt) for prompt in prompts]
    check_room(begun, config.most_tokens, model.network.window)
    edges: list[_Edge] = []
    front = [(-1, root) for root in range(len(begun))]
    for depth, num in enumerate(branches):
        room = config.most_tokens - depth * segment
        if not front or room < 1:
            break
        most = room if depth + 1 == len(branches) else min(segment, room)
        rows = [[*begun[root], *_way(edges, at)] for at, root in front]
        drawn = sample(model, rows, replace(config, most_tokens=most), generator, copies=num)
        first = len(edges)
        for k, real in enumerate(drawn.is_text):
            parent, root = front[k // num]
            edges.append(_Edge(
                parent, root, drawn.ids[k][real].tolist(), drawn.log_prob[k][real].tolist(),
                drawn.entropy[k][real].tolist(), bool(drawn.has_ended[k]),
                version if drawn.version is None else int(drawn.version[k]),
            ))  # fmt: skip
        front = [(e, edges[e].root) for e in range(first, len(edges)) if not edges[e].has_ended]
    return _tree(model, begun, edges)


def draw_endings(
    model: LanguageModel,
    begun: Sequence[Sequence[int]],
    room: Int[Array, " N"],
    config: SampleConfig,
    generator: Any,
    *,
    copies: int,
) -> list[list[int]]:
    """So many fresh endings of each row of tokens, one's side by side, each of no more tokens than
    the row has `room` for (1 or more)."""
    found: list[list[int]] = [[] for _ in range(copies * len(begun))]
    for part in _read_together(begun, room, model.network.window):
        most = replace(config, most_tokens=int(room[part].max()))
        drawn = sample(model, [begun[at] for at in part], most, generator, copies=copies)
        for place, (real, new) in enumerate(zip(drawn.is_text, drawn.ids)):
            at = int(part[place // copies])
            found[copies * at + place % copies] = new[real].tolist()[: room[at]]
    return found


def _read_together(
    begun: Sequence[Sequence[int]], room: Int[Array, " N"], window: int | None
) -> list[Int[Array, " _"]]:
    """Places of the rows in parts that the window holds: all, or those of equal room."""
    if not len(begun):
        return []
    longest = max(map(len, begun))
    if window is None or longest + int(room.max()) <= window:
        return [np.arange(len(begun))]
    return [np.flatnonzero(room == each) for each in np.unique(room)]


def _line(edges: Sequence[_Edge], last: int) -> list[int]:
    """The edges from the prompt to this one."""
    found: list[int] = []
    while last >= 0:
        found.append(last)
        last = edges[last].parent
    return found[::-1]


def _way(edges: Sequence[_Edge], last: int) -> list[int]:
    return [token for e in _line(edges, last) for token in edges[e].ids]


def _tree(model: LanguageModel, begun: Sequence[list[int]], edges: Sequence[_Edge]) -> Tree:
    parent = np.array([edge.parent for edge in edges])
    leaf = np.setdiff1d(np.arange(len(edges)), parent)
    # Those of a prompt side by side.
    leaf = leaf[np.argsort([edges[e].root for e in leaf], kind="stable")]
    lines = [_line(edges, e) for e in leaf.tolist()]
    root = np.array([edges[e].root for e in leaf])
    start = np.array([len(begun[p]) for p in root])
    like = at_least_single(next(iter(model.parameters.values())).new_zeros((0, 0)))

    def along(name: str) -> list[list[float]]:
        return [[value for e in line for value in getattr(edges[e], name)] for line in lines]

    said = [_way(edges, e) for e in leaf.tolist()]
    rollouts = written_rollouts(
        [[*begun[p], *ids] for p, ids in zip(root, said)], start, root, model.tokenizer, like,
        [np.array(values) for values in along("log_prob")],
    )  # fmt: skip
    entropy = rollouts.log_prob.new_zeros(rollouts.is_drawn.shape)
    edge_of = np.full(rollouts.is_drawn.shape, -1)
    met: set[int] = set()
    for row, (line, told) in enumerate(zip(lines, along("entropy"))):
        mine = np.flatnonzero(rollouts.is_drawn[row])
        entropy[row, mine] = entropy.new_tensor(told)
        of_token = np.repeat(line, [len(edges[e].ids) for e in line])
        edge_of[row, mine] = np.where(np.isin(of_token, list(met)), -1, of_token)
        met |= set(line)
    rollouts = replace(
        rollouts, entropy=entropy, version=np.array([min(edges[e].version for e in line)
                                                     for line in lines]),
        has_ended=np.array([edges[e].has_ended for e in leaf]),
    )  # fmt: skip
    return Tree(rollouts=rollouts, parent=parent, root=np.array([e.root for e in edges]),
                leaf=leaf, edge_of=edge_of)  # fmt: skip


def even_weights(parent: Int[Array, " U"], root: Int[Array, " U"]) -> Float[Array, " U"]:
    """What of its prompt stands behind an edge: the children of a node share its weight alike.

    With it the sum over edges of weight x advantage x grad log pi is one prompt's gradient, however
    deep and however unlike its ways are.
    """
    node = np.where(parent >= 0, parent, len(parent) + root)
    share = 1.0 / np.bincount(node)[node]
    # A parent stands before its children.
    for edge in range(len(parent)):
        if parent[edge] >= 0:
            share[edge] *= share[parent[edge]]
    return share


def first_ways(parent: Int[Array, " U"], leaf: Int[Array, " B"]) -> Bool[Array, " B"]:
    """The rows that take the first way on each time: of every piece that leaves a prompt one
    answer, as the policy gives them. All rows are none such: of long answers there are more."""
    is_first = parent < 0
    is_first[np.unique(parent, return_index=True)[1]] = True
    for edge, above in enumerate(parent):  # a parent stands before its children
        is_first[edge] &= above < 0 or is_first[above]
    return is_first[leaf]
