"""The simulated people choose as their tastes say, and the same seed gives the same people."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.simulation.choices import SimulationConfig, simulate_choices

TWO_CLASSES = SimulationConfig(
    part_worths=((1.0, -1.0), (-1.0, 0.5)),
    router=((0.5, 1.0),),
    num_group_features=1,
    num_people=4000,
    num_tasks=3,
    menu_sizes=(3, 2),
)


def test_the_same_seed_gives_the_same_bits():
    first = simulate_choices(TWO_CLASSES, np.random.default_rng(5))
    second = simulate_choices(TWO_CLASSES, np.random.default_rng(5))
    other = simulate_choices(TWO_CLASSES, np.random.default_rng(6))
    for mine, yours, theirs in zip(first.batch.blocks, second.batch.blocks, other.batch.blocks):
        assert np.array_equal(mine.features, yours.features)
        assert np.array_equal(mine.answer["chosen"], yours.answer["chosen"])
        assert not np.array_equal(mine.features, theirs.features)


def test_options_are_chosen_as_often_as_the_conditional_logit_says():
    simulated = simulate_choices(
        SimulationConfig.pooled((0.8, -0.4), num_people=5000, num_tasks=4),
        np.random.default_rng(1),
    )
    (block,) = simulated.batch.blocks
    worths = block.features @ np.array([0.8, -0.4])
    probability = np.exp(worths) / np.exp(worths).sum(axis=1, keepdims=True)
    chosen = np.zeros_like(probability)
    chosen[np.arange(len(block)), block.answer["chosen"]] = 1.0
    # The score of the truth is zero up to noise of known size: sqrt of the information.
    residual = np.einsum("bk,bkd->bd", chosen - probability, block.features)
    z = residual.sum(axis=0) / np.sqrt((residual**2).sum(axis=0))
    assert np.all(np.abs(z) < 3.5)


def test_classes_are_as_frequent_as_the_router_says():
    simulated = simulate_choices(TWO_CLASSES, np.random.default_rng(2))
    log_odds = 0.5 + simulated.batch.group_features[:, 0]
    share = 1.0 / (1.0 + np.exp(-log_odds))
    error = (simulated.classes - share).sum() / np.sqrt((share * (1 - share)).sum())
    assert abs(error) < 3.5
    assert np.array_equal(simulated.tastes, np.array(TWO_CLASSES.part_worths)[simulated.classes])


def test_spread_tastes_have_the_covariance_asked_for():
    root = ((1.0, 0.0), (0.8, 0.6))
    simulated = simulate_choices(
        SimulationConfig(part_worths=((1.0, 2.0),), spread=root, num_people=20_000, num_tasks=1),
        np.random.default_rng(3),
    )
    expected = np.array(root) @ np.array(root).T
    np.testing.assert_allclose(np.cov(simulated.tastes.T), expected, atol=0.04)
    np.testing.assert_allclose(simulated.theta, [1.0, 2.0, 1.0, 0.8, 0.6])


def test_rows_of_all_menu_sizes_cover_the_records_once_and_flatten():
    simulated = simulate_choices(TWO_CLASSES, np.random.default_rng(4))
    rows = np.sort(np.concatenate([block.row for block in simulated.batch.blocks]))
    assert np.array_equal(rows, np.arange(12_000))
    flat = simulated.flat()
    assert np.array_equal(np.diff(flat.group_start), np.full(4000, 3))
    assert np.array_equal(np.diff(flat.menu_start)[:6], [3, 2, 3, 3, 2, 3])


@pytest.mark.parametrize(
    "config",
    [
        SimulationConfig(part_worths=()),
        SimulationConfig(part_worths=((1.0,), (1.0, 2.0))),
        SimulationConfig(part_worths=((1.0,), (2.0,)), router=((0.0, 1.0),)),
        SimulationConfig(part_worths=((1.0, 2.0),), spread=((1.0,),)),
        SimulationConfig(part_worths=((1.0,),), num_people=0),
    ],
)
def test_shapes_that_contradict_each_other_are_refused(config):
    with pytest.raises(ConfigError, match="expected"):
        simulate_choices(config, np.random.default_rng(0))
