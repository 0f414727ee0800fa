"""Answers about rows of tokens: pairs, ties, rankings and ratings in one batch."""

import numpy as np

from penchant.data.batch import Batch, Block


def block_of(kind, option, row, features=None, weight=None, **answer):
    size = np.shape(option)
    return Block(
        kind=kind,
        features=np.zeros((*size, 0)) if features is None else features,
        offered=np.asarray(option) >= 0,
        option=np.asarray(option),
        row=np.arange(row, row + size[0]),
        group=np.arange(size[0]) % 3,
        weight=np.ones(size[0]) if weight is None else weight,
        answer=answer,
    )


def batch_of(*blocks, num_texts, names=()):
    return Batch(
        blocks=blocks, feature_names=names, option_names=tuple(map(str, range(num_texts))),
        group_names=("ann", "bob", "cy"), group_features=np.zeros((3, 0)),
        num_rows=sum(len(block) for block in blocks),
    )  # fmt: skip


def mixed_rows(seed=0, num_texts=9, size=10):
    """Rows of tokens, and a batch of all kinds about them; some menus are padded."""
    rng = np.random.default_rng(seed)
    texts = [[1, *rng.integers(3, 20, rng.integers(1, 7)).tolist(), 2] for _ in range(num_texts)]
    two = np.array([rng.choice(num_texts, 2, replace=False) for _ in range(size)])
    four = np.array([rng.choice(num_texts, 4, replace=False) for _ in range(size)])
    four[::2, 3] = -1
    rank = np.where(four >= 0, np.argsort(np.argsort(rng.random(four.shape), axis=1)) + 1, 0)
    weight = rng.uniform(0.5, 2, size)
    return texts, batch_of(
        block_of("pair", two, 0, weight=weight, outcome=rng.integers(0, 3, size)),
        block_of("ranking", four, size, rank=rank),
        block_of("rating", two[:, :1], 2 * size, level=rng.integers(0, 3, (size, 1))),
        num_texts=num_texts,
    )  # fmt: skip
