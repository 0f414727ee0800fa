"""Batches small enough to fit many times: plain choices, and all kinds of feedback at once."""

import numpy as np

from penchant.data.batch import Batch, Block
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import Pair
from penchant.simulation.choices import SimulationConfig, simulate_choices

CHANNELS = (
    Choice(),
    Pair(ties="davidson"),
    Ranking(),
    Rating(levels=4, by_person=True),
    BestWorst(),
)


def small(seed=0, **sizes):
    config = SimulationConfig.pooled(
        (1.0, -0.5, 0.3), **({"num_people": 40, "num_tasks": 5} | sizes)
    )
    return simulate_choices(config, np.random.default_rng(seed)).batch


def mixed_feedback(rng, num_people=12, num_items=5):
    """One batch with choices, pairs with ties, rankings, ratings and best-worst of named items."""
    offered = np.ones((num_people, 3), dtype=bool)

    def block(kind, start, width=3, **answer):
        option = np.argsort(rng.random((num_people, num_items)), axis=1)[:, :width]
        return Block(
            kind=kind,
            features=rng.normal(size=(num_people, width, 2)),
            offered=offered[:, :width],
            option=option,
            row=start + np.arange(num_people),
            group=np.arange(num_people),
            weight=rng.uniform(0.5, 2.0, num_people),
            answer=answer,
        )

    place = rng.integers(0, 3, num_people)
    blocks = (
        block("choice", 0, chosen=place),
        block("pair", 100, width=2, outcome=rng.integers(0, 3, num_people)),
        block("ranking", 200, rank=np.argsort(rng.random((num_people, 3)), axis=1) + 1),
        block("rating", 300, level=rng.integers(-1, 4, (num_people, 3))),
        block("best_worst", 400, best=place, worst=(place + 1) % 3),
    )
    return Batch(
        blocks=blocks,
        feature_names=("x", "y"),
        option_names=tuple("abcde"[:num_items]),
        group_names=tuple(f"p{g}" for g in range(num_people)),
        group_features=np.zeros((num_people, 0)),
        num_rows=500,
    )
