"""Blocks of every kind of answer, on menus of several sizes, some of it not answered."""

import numpy as np

from penchant.data.batch import Batch, Block

PEOPLE, OPTIONS = 4, 4


def block_of(kind, rng, num_rows=6):
    """Answers of one kind on menus of two to four options (two for pairs), some not answered."""
    size = 2 if kind in ("pair", "graded") else OPTIONS
    count = rng.integers(2, size + 1, num_rows)
    offered = np.arange(size) < count[:, None]
    place = rng.integers(0, count)
    order = np.argsort(np.where(offered, rng.random((num_rows, size)), 9.0), axis=1)
    rank = np.where(offered, np.argsort(order, axis=1) + 1, 0)
    shape = (num_rows, size)
    # Some name their best few only, and some call the rest equal.
    cut = rng.integers(1, size + 1, num_rows)[:, None]
    rest = np.where(rng.random((num_rows, 1)) < 0.5, 0, cut + 1)
    answer = {
        "choice": {"chosen": place},
        "pair": {"outcome": rng.integers(0, 3, num_rows)},
        "graded": {"grade": rng.integers(0, 5, num_rows)},
        "ranking": {"rank": np.where(offered & (rank > cut), rest, rank)},
        "best_worst": {"best": order[:, 0], "worst": order[np.arange(num_rows), count - 1]},
        "rating": {"level": rng.integers(-1, 4, shape)},
        "approval": {"approved": rng.random(shape) < 0.5},
        "binary": {"success": rng.integers(-1, 2, shape)},
        "outcome": {"value": rng.normal(size=shape)},
    }[kind]
    return Block(
        kind=kind,
        features=rng.normal(size=(*shape, 3)) * offered[:, :, None],
        offered=offered,
        option=np.where(offered, np.arange(size), -1),
        row=np.arange(num_rows),
        group=rng.integers(0, PEOPLE, num_rows),
        weight=rng.uniform(0.5, 2.0, num_rows),
        answer=answer,
    )


def batch_of(*blocks):
    return Batch(
        blocks=blocks,
        feature_names=("x", "y", "z"),
        option_names=tuple("abcd"),
        group_names=tuple(f"p{g}" for g in range(PEOPLE)),
        group_features=np.zeros((PEOPLE, 0)),
        num_rows=6,
    )
