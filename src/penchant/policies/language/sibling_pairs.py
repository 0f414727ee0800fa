"""Pairs of actions at one history, the better one first: of turns what `own_pairs` is of games.

Legend: U actions, N pairs, T1 tokens after those before them.
"""

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import DataError
from penchant.numerics.arrays import Array
from penchant.policies.language.game_trees import Steps
from penchant.policies.language.pairs import Pairs


def siblings(
    steps: Steps, *, gap: float, least_visits: int = 1, most: int | None = None
) -> Int[Array, "N 2"]:
    """Actions of one history whose Q are more than `gap` apart, the better first.

    least_visits: games through either; fewer say little. most: of a history, the widest gaps first;
    None: all. Raises `DataError` where there is none.
    """
    found: list[tuple[int, int]] = []
    for history in np.unique(steps.history_of):
        mine = np.flatnonzero((steps.history_of == history) & (steps.visits >= least_visits))
        mine = mine[np.argsort(-steps.value[mine], kind="stable")]
        apart = steps.value[mine][:, None] - steps.value[mine][None, :]
        better, worse = np.nonzero(np.triu(apart > gap, 1))
        widest = np.argsort(-apart[better, worse], kind="stable")[:most]
        found += zip(mine[better[widest]].tolist(), mine[worse[widest]].tolist())
    if not found:
        raise DataError(
            f"of {len(steps.rows)} histories none has two actions of {least_visits} games or more "
            f"whose values are more than {gap:g} apart; expected one or more. Search longer, or "
            "lower `gap` or `least_visits`."
        )
    return np.array(found)


def sibling_pairs(steps: Steps, chosen: Int[Array, "N 2"]) -> Pairs:
    """Of each pair the history is the prompt, and the action alone is scored."""
    history = steps.history_of[chosen[:, 0]]
    first, second = (
        [[*steps.rows[h], *steps.ids[k]] for h, k in zip(history, side)] for side in chosen.T
    )
    return Pairs(
        first=first, second=second, place=np.array([len(steps.rows[h]) for h in history]),
        first_wins=np.ones(len(chosen)), person=np.arange(len(chosen)),
    )  # fmt: skip


def stored_reference(steps: Steps, chosen: Int[Array, "N 2"]) -> Float[Array, "N 2 T1"]:
    """What `fit_direct` takes as `reference`: log-probabilities as the actions were drawn, so that
    whoever learns from a tree needs not have the policy that grew it."""
    import torch

    start = [len(steps.rows[h]) for h in steps.history_of[chosen[:, 0]]]
    longest = max(at + len(steps.ids[k]) for at, pair in zip(start, chosen) for k in pair)
    told = np.zeros((len(chosen), 2, longest - 1))
    for row, (at, pair) in enumerate(zip(start, chosen)):
        for side, k in enumerate(pair):
            told[row, side, at - 1 : at - 1 + len(steps.ids[k])] = steps.log_prob[k]
    return torch.from_numpy(told)
