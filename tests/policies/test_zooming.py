"""Zooming: every point is covered or opened, and arms come to stand where it may be best."""

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.play import play_continuum
from penchant.policies.bandits.zooming import ZoomingBandit, ZoomingConfig


def peak(x):
    return 0.9 - 0.8 * float(np.abs(x - 0.3).max())


def test_what_is_not_covered_is_opened_and_the_most_hopeful_arm_is_played():
    config = ZoomingConfig(num_rounds=300, lipschitz=0.8, width=0.2)
    bandit, rng = ZoomingBandit(config, random_state=0), np.random.default_rng(0)
    line = np.linspace(0.0, 1.0, config.num_each)
    for _ in range(300):
        decision = bandit.decide()
        mean, radius = bandit.moments()
        assert decision.place == (mean + 2 * radius).argmax()
        apart = np.abs(line[:, None] - bandit.points[:, 0])
        # One arm is opened a round, which covers what was seen to be bare; the rest waits for it.
        np.testing.assert_array_equal(bandit._covers, (0.8 * apart <= radius).sum(axis=1))
        bandit.update(decision, float(rng.random() < peak(decision.point)))
    seen = bandit._seen
    np.testing.assert_allclose(bandit.moments()[1], [config.radius(n) for n in seen.tolist()])
    assert seen.sum() == 300


def test_balls_of_several_coordinates_reach_as_far_in_each():
    config = ZoomingConfig(num_rounds=60, num_coordinates=2, lipschitz=2.0, width=0.3)
    bandit, line = ZoomingBandit(config, random_state=0), np.linspace(0.0, 1.0, config.num_each)
    for t in range(60):
        bandit.update(bandit.decide(), t % 2)
    inside = [
        [2.0 * max(abs(x - at[0]), abs(y - at[1])) <= radius for x in line for y in line]
        for at, radius in zip(bandit.points, bandit.moments()[1])
    ]
    np.testing.assert_array_equal(bandit._covers, np.sum(inside, axis=0))
    assert len(inside) > 3


@pytest.mark.parametrize("num_coordinates", [1, 2])
def test_arms_stand_close_where_it_may_be_best_and_few_elsewhere(num_coordinates):
    config = ZoomingConfig(
        num_rounds=3000, num_coordinates=num_coordinates, lipschitz=0.8, width=0.2
    )
    bandit = ZoomingBandit(config, random_state=1)
    regret = play_continuum(bandit, peak, 0.9, 3000, np.random.default_rng(1))
    assert regret[-1000:].mean() < 0.6 * regret[:300].mean()
    near = np.abs(bandit.points - 0.3).max(axis=1) < 0.25
    # A quarter around the peak on both sides is half of the line, a quarter of the square.
    assert near.mean() > {1: 0.5, 2: 0.25}[num_coordinates]


def test_a_grid_is_as_fine_as_the_smallest_ball_and_no_finer_than_a_million():
    config = ZoomingConfig(num_rounds=1000, lipschitz=2.0)
    assert 1.0 / (config.num_each - 1) <= config.radius(1000) / 2.0
    assert config.radius(0) == pytest.approx(np.sqrt(2 * np.log(1000)))
    with pytest.raises(ConfigError, match="a million at most"):
        ZoomingConfig(num_rounds=100_000, num_coordinates=4, width=0.1)
    # Two points a coordinate are the least: a million and a little in 20 coordinates.
    assert ZoomingConfig(num_rounds=9, num_coordinates=19, lipschitz=1e-9).num_each == 2


@pytest.mark.parametrize(
    "settings",
    [{"num_coordinates": 20, "lipschitz": 1e-9}, {"num_coordinates": 10**30},
     {"lipschitz": 1e300}, {"lipschitz": 1e308, "width": 1e-9}, {"lipschitz": 1e6}],
)  # fmt: skip
def test_a_grid_beyond_all_counting_is_refused_at_once_and_told_in_short(settings):
    with pytest.raises(ConfigError, match="a million at most") as refused:
        ZoomingConfig(num_rounds=100, **settings)
    assert len(str(refused.value)) < 400


def test_late_answers_and_arrays_used_again_change_nothing():
    config = ZoomingConfig(num_rounds=50, width=0.1)
    bandit = ZoomingBandit(config)
    first = bandit.decide()
    first.point[:] = 7.0
    bandit.points[:] = 7.0
    second = bandit.decide()
    bandit.update(second, 1.0)
    bandit.update(first, 0.0)
    assert bandit.points.max() <= 1.0
    assert bandit._seen.sum() == 2


def test_bad_input_says_what_was_expected():
    with pytest.raises(ConfigError, match="two rounds or more"):
        ZoomingConfig(num_rounds=1)
    with pytest.raises(ConfigError, match="lipschitz is 0"):
        ZoomingConfig(num_rounds=10, lipschitz=0.0)
    bandit = ZoomingBandit(ZoomingConfig(num_rounds=10))
    with pytest.raises(DataError, match="expected 0 to 1"):
        bandit.update(bandit.decide(), 1.5)
