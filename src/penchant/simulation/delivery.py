"""The board of a delivery van, and people's answers about pairs of its paths.

A world whose truth is known, and real answers about it: Hatgis-Kessell et al. (2024), Influencing
humans to conform to preference models, after Knox et al. (2024).

Legend: S cells, A steps, F features of a step, B pairs of paths.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.fitting.trajectory_head import SegmentPairs, Segments
from penchant.numerics.arrays import Array
from penchant.numerics.planning import FiniteWorld, share_of_best
from penchant.simulation.grids import STEPS, grid_steps

# What a step brings beyond its gas, by the codes of the cell that is entered.
HOUSE, MUD = (2, 8), (6, 8, 10, 11)
ENTERED = {"goal": (1, 7), "sheep": (3, 9), "coin": (4, 10), "road_block": (5, 11)}
FIRST, SECOND, SAME = 0, 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class DeliveryBoard:
    """world: cells, row by row, and steps as `STEPS`; a goal and sheep end. features: gas, mud,
    goal, sheep, coin, road block. weights: points of each. drivable: cells where a path may be."""

    world: FiniteWorld
    features: Float[Array, "S A F"]
    weights: Float[Array, " F"]
    drivable: Bool[Array, " S"]

    @classmethod
    def read(cls, path: Path, discount: float = 1.0) -> "DeliveryBoard":
        """From `cells`, `size` and `reward_weights` of a JSON file."""
        told = json.loads(path.read_text(encoding="utf-8"))
        cell, (height, width) = np.array(told["cells"]).ravel(), told["size"]
        here, houses = np.arange(len(cell))[:, None], np.isin(cell, HOUSE)
        ends = np.isin(cell, ENTERED["goal"] + ENTERED["sheep"])
        onto = np.where(ends[:, None], here, grid_steps(width, height, houses))
        # Who stays where they were enters nothing, and collects no second coin.
        found = [np.isin(cell[onto], codes) & (onto != here) for codes in ENTERED.values()]
        gas, mud = ~(found[0] | found[1]), np.isin(cell[onto], MUD)
        features = np.stack([gas, mud, *found], axis=2) * 1.0
        points = told["reward_weights"]
        weights = [points["gas"], points["mud"] - points["gas"], *(points[x] for x in ENTERED)]
        return cls(
            world=FiniteWorld.deterministic(onto, ends, discount),
            features=np.where(ends[:, None, None], 0.0, features),
            weights=np.array(weights, dtype=float),
            drivable=~(ends | houses),
        )

    @property
    def rewards(self) -> Float[Array, "S A"]:
        """Points of each step."""
        return self.features @ self.weights

    def share(self, rewards: Float[Array, "S A"]) -> float:
        """What the best plan for `rewards` earns in truth: 0 as steps at random, 1 as the best."""
        return share_of_best(self.world, rewards, self.rewards, self.drivable)


@dataclass(frozen=True, kw_only=True, eq=False)
class PathAnswers:
    """paths: the first and the second of each pair. gain: points of the first less those of the
    second. answer: `FIRST`, `SECOND` or `SAME`. question: the same number for the same two paths.
    experiment, condition: how people were asked, and what they were told to look at."""

    paths: tuple[Segments, Segments]
    gain: Float[Array, " B"]
    answer: Int[Array, " B"]
    question: Int[Array, " B"]
    experiment: np.ndarray
    condition: np.ndarray

    @classmethod
    def read(cls, path: Path, width: int = 10) -> "PathAnswers":
        """From a table of paths as flat lists of rows and columns. Raises `DataError` for a
        preference that is none of first, second and same, and for a step that is none of four."""
        import pandas as pd

        rows = pd.read_parquet(path)
        codes = {"first": FIRST, "second": SECOND, "same": SAME}
        unknown = sorted(set(rows.preference) - set(codes))
        if unknown:
            raise DataError(
                f"{path} has the preferences {unknown}; expected first, second or same. Drop or "
                "rename these."
            )
        shown = rows[["states_0", "actions_0", "states_1", "actions_1"]].astype(str)
        first, second = (
            _segments(rows[f"states_{i}"].tolist(), rows[f"actions_{i}"].tolist(), width)
            for i in "01"
        )
        return cls(
            paths=(first, second),
            gain=(rows.return_0 - rows.return_1).to_numpy(float),
            answer=rows.preference.map(codes).to_numpy(np.int64),
            question=np.unique(shown.agg("|".join, axis=1), return_inverse=True)[1],
            experiment=rows.experiment.to_numpy(str),
            condition=rows.condition.to_numpy(str),
        )

    def pairs(self, rows: Int[Array, " M"]) -> SegmentPairs:
        """Some of them to learn from; the same is a half."""
        both = [
            np.concatenate([getattr(path, part)[rows] for path in self.paths])
            for part in ("states", "actions", "length")
        ]
        return SegmentPairs(
            segments=Segments(states=both[0], actions=both[1], length=both[2]),
            first=np.arange(len(rows)),
            second=np.arange(len(rows), 2 * len(rows)),
            won=np.array([1.0, 0.0, 0.5])[self.answer[rows]],
        )


def _segments(states: Sequence[Array], moves: Sequence[Array], width: int) -> Segments:
    cells = [np.reshape(each, (-1, 2)) @ [width, 1] for each in states]
    most = max(len(each) for each in cells)
    steps = np.stack([np.reshape(each, (-1, 1, 2)) for each in moves])
    known = (steps == np.array(STEPS)).all(axis=3)
    found = Segments(
        states=np.stack([np.pad(each, (0, most - len(each)), "edge") for each in cells]),
        # After an end a table may say (0, 0): padding, whatever its number.
        actions=known.argmax(axis=2),
        length=np.array([len(each) - 1 for each in cells]),
    )
    odd = np.argwhere(found.taken & ~known.any(axis=2))
    if len(odd):
        row, step = odd[0]
        raise DataError(
            f"step {step + 1} of row {row + 1} is {steps[row, step, 0].tolist()} ({len(odd)} steps "
            f"are like this); expected one of {STEPS} until a path ends. Mend or drop such rows."
        )
    return found
