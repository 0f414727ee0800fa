"""Choices, pairs, ratings and rankings of the same people speak of one utility, and it is found."""

import numpy as np

from penchant.data.batch import Batch, Block
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Rating
from penchant.feedback.channel_order import Ranking
from penchant.feedback.channel_pair import Pair
from penchant.feedback.scaled import Scaled
from penchant.fitting.pooled import fit_pooled

TASTES = np.array([1.0, -0.5, 0.3])


def block(kind, features, **answer):
    num, size, _ = features.shape
    return Block(
        kind=kind,
        features=features,
        offered=np.ones((num, size), dtype=bool),
        option=np.tile(np.arange(size), (num, 1)),
        row=np.arange(num),
        group=np.arange(num) // 5,
        weight=np.ones(num),
        answer=answer,
    )


def test_one_utility_is_recovered_from_four_kinds_of_feedback_with_their_own_noise():
    rng, num = np.random.default_rng(0), 1500
    menus, pairs, rated, ranked = (rng.normal(size=(num, size, 3)) for size in (4, 2, 1, 4))
    chosen = np.argmax(menus @ TASTES + rng.gumbel(size=(num, 4)), axis=1)
    # Comparing is twice as sharp as choosing, rating half as sharp; gaps below 0.7 are ties.
    gap = 2 * (pairs[:, 0] - pairs[:, 1]) @ TASTES + rng.logistic(size=num)
    outcome = np.where(np.abs(gap) < 0.7, 2, np.where(gap > 0, 0, 1))
    level = np.digitize(0.5 * rated @ TASTES + rng.logistic(size=(num, 1)), [-1.0, 0.0, 1.0])
    order = np.argsort(-(ranked @ TASTES + rng.gumbel(size=(num, 4))), axis=1)
    batch = Batch(
        blocks=(
            block("choice", menus, chosen=chosen),
            block("pair", pairs, outcome=outcome),
            block("rating", rated, level=level),
            block("ranking", ranked, rank=1 + np.argsort(order, axis=1)),
        ),
        feature_names=("a", "b", "c"),
        option_names=tuple("abcd"),
        group_names=tuple(str(g) for g in range(num // 5)),
        group_features=np.zeros((num // 5, 0)),
        num_rows=num,
    )
    channels = (
        Choice(),
        Scaled(channel=Pair(ties="rao_kupper")),
        Scaled(channel=Rating(levels=4)),
        Ranking(),
    )
    belief = fit_pooled(batch, channels=channels)
    truth = [*TASTES, np.log(2.0), np.log(0.7), np.log(0.5), -1.0, 0.0, 0.0]
    errors = np.sqrt(np.diag(belief.covariance))
    assert belief.report.converged
    assert np.all(np.abs(belief.theta - truth) < 3.5 * errors)
    # Four kinds of feedback know more than the choices alone.
    alone = fit_pooled(Batch(**{**vars(batch), "blocks": batch.blocks[:1]}), channels=(Choice(),))
    assert np.all(errors[:3] < 0.7 * np.sqrt(np.diag(alone.covariance)))
