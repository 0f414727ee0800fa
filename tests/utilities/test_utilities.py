"""Item scores are linear part-worths of indicators: one law ties the two implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.data.batch import Batch, Block
from penchant.errors import DataError
from penchant.utilities.items import Items
from penchant.utilities.linear import Linear
from penchant.utilities.utility import Utility


def ragged_block(rng, num_rows=7, num_options=4, num_items=5):
    """Menus of different sizes over named items, with the items' indicators as features."""
    offered = np.arange(num_options) < rng.integers(2, num_options + 1, num_rows)[:, None]
    option = np.where(offered, rng.integers(0, num_items, offered.shape), -1)
    indicators = (option[:, :, None] == np.arange(1, num_items)) & offered[:, :, None]
    return Block(
        kind="choice",
        features=indicators.astype(float),
        offered=offered,
        option=option,
        row=np.arange(num_rows),
        group=rng.integers(0, 3, num_rows),
        weight=rng.uniform(0.5, 2.0, num_rows),
        answer={"chosen": np.zeros(num_rows, dtype=int)},
    )


@given(st.integers(0, 10_000))
def test_item_scores_equal_linear_part_worths_of_indicators(seed):
    rng = np.random.default_rng(seed)
    block = ragged_block(rng)
    values = rng.normal(size=(rng.choice([1, 3]), 2, 4))
    absent = ~block.offered
    by_item, by_feature = (kind.worths(block, values) for kind in (Items(), Linear()))
    by_item[absent] = by_feature[absent] = 0.0
    np.testing.assert_allclose(by_item, by_feature, atol=1e-12)

    score = np.where(block.offered, rng.normal(size=block.offered.shape), 0.0)
    bend = rng.normal(size=(*block.offered.shape, 4))
    both = block.offered[:, :, None] & block.offered[:, None, :]
    bend = np.where(both, bend + np.swapaxes(bend, 1, 2), 0.0)
    cross = np.where(block.offered[:, :, None], rng.normal(size=(*block.offered.shape, 2)), 0.0)
    for name, derivative in (("row_scores", (score,)), ("gradient", (score, block.weight)),
                             ("information", (bend, block.weight)),
                             ("cross_information", (cross, block.weight))):  # fmt: skip
        one, two = (getattr(kind, name)(block, *derivative, 4) for kind in (Items(), Linear()))
        np.testing.assert_allclose(one, two, atol=1e-10, err_msg=name)


@given(st.integers(0, 10_000))
def test_the_gradient_is_the_weighted_sum_of_row_scores(seed):
    rng = np.random.default_rng(seed)
    block = ragged_block(rng)
    score = np.where(block.offered, rng.normal(size=block.offered.shape), 0.0)
    for kind in (Items(), Linear()):
        rows = kind.row_scores(block, score, 4)
        np.testing.assert_allclose(
            kind.gradient(block, score, block.weight, 4), block.weight @ rows, atol=1e-12
        )


def test_scales_see_only_what_varies_within_a_menu():
    rng = np.random.default_rng(0)
    block = ragged_block(rng)
    level = rng.normal(size=(7, 1, 1)) * 100.0
    spread = np.array([1.0, -1.0, 1.0, -1.0])[None, :, None] * np.ones((7, 1, 1))
    offered = np.ones_like(block.offered)
    from dataclasses import replace

    block = replace(block, features=level + spread, offered=offered, option=np.abs(block.option))
    batch = Batch(
        blocks=(block,),
        feature_names=("x",),
        option_names=("a", "b", "c", "d", "e"),
        group_names=("p", "q", "r"),
        group_features=np.zeros((3, 0)),
        num_rows=7,
    )
    np.testing.assert_allclose(Linear().scales(batch), [1.0])
    # Thirds do not add up to one; a feature that is constant all the same never varies.
    three = offered & (np.arange(4) > 0)
    constant = replace(block, features=np.zeros((7, 4, 1)) + level, offered=three)
    assert Linear().scales(replace(batch, blocks=(constant,))) == 0.0


def test_one_item_cannot_be_compared():
    batch = Batch(
        blocks=(),
        feature_names=(),
        option_names=("only",),
        group_names=(),
        group_features=np.zeros((0, 0)),
        num_rows=0,
    )
    with pytest.raises(DataError, match="at least two"):
        Items().taste_names(batch)


def test_both_are_utilities():
    assert isinstance(Items(), Utility)
    assert isinstance(Linear(), Utility)
