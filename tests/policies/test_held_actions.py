"""Actions that pay later are held until they have, and what they pay in the long run is found."""

import math

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.dynamical import play_held
from penchant.policies.bandits.dynamical import HeldActions, HeldConfig
from penchant.simulation.dynamical import DynamicalSystem, channels

ACTIONS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.4, 0.3, 0.3]])


def learner(radius, num_rounds=2000, **settings):
    plain = {"noise": 0.02, "transient": 1.0, "gain_bound": 3.0, "width": 0.3}
    config = HeldConfig(num_rounds=num_rounds, radius=radius, **(plain | settings))
    return HeldActions(ACTIONS, config)


def test_what_is_held_for_ever_pays_its_gain():
    system = channels(0.7, noise=0.0)
    rng, held = np.random.default_rng(0), np.array([0.2, 0.5, 0.3])
    state = np.zeros(3)
    for _ in range(200):
        state, pays = system.step(state, held, rng)
    assert pays == pytest.approx(float(system.gain() @ held))


def test_gains_are_found_where_actions_are_held_and_missed_where_not():
    system = channels(0.8)
    held, hasty = learner(0.8), learner(0.0)
    play_held(held, system, ACTIONS, 2000, np.random.default_rng(1))
    play_held(hasty, system, ACTIONS, 2000, np.random.default_rng(1))
    # The first channel is the best one, of which a hasty learner sees only the first round.
    assert held.gain[0] == pytest.approx(system.gain()[0], rel=0.15)
    assert hasty.gain[0] < 0.5 * system.gain()[0]


def test_regret_is_a_part_of_that_of_a_learner_that_holds_nothing():
    system = channels(0.8)
    best = (ACTIONS @ system.gain()).max()
    held, hasty = (
        np.mean([
            (best - play_held(learner(radius), system, ACTIONS, 2000, np.random.default_rng(s)))
            .sum() for s in range(3)
        ])
        for radius in (0.8, 0.0)
    )  # fmt: skip
    assert held < 0.2 * hasty


def test_epochs_last_as_long_as_the_effect_takes_to_fade():
    """In epoch m less than 1 / (m radius) of what earlier actions moved is left in the last reward:
    radius^(length - 1)."""
    made = learner(0.6, num_rounds=500)
    lengths, epoch = [], 0
    for _ in range(300):
        made.decide()
        if made._epoch > epoch:
            epoch = made._epoch
            lengths.append(made._left)
        made.update(0.0)
    m = np.arange(1, len(lengths) + 1)
    np.testing.assert_array_equal(
        lengths, [1 + math.floor(math.log(k) / math.log(1 / 0.6)) for k in m]
    )
    assert (0.6 ** (np.array(lengths) - 1) < 1 / (m * 0.6)).all()


def test_the_bonus_is_the_published_one():
    """c1 sqrt(ridge) + c2 / sqrt(ridge) log(e (t + 1)) + the noise's, by the norms of the paper."""
    theta, omega, control, radius, action, state, noise = 0.5, 0.8, 0.6, 0.7, 2.0, 1.5, 0.1
    ridge, rounds, t, num = 3.0, 500, 37, 3
    c1 = theta + omega * control / (1 - radius)
    c2 = action * omega * (action * control / (1 - radius) + state)
    made = learner(
        radius, rounds, noise=noise, gain_bound=c1, action_bound=action, ridge=ridge, width=0.5,
        transient=c2 / action,
    )  # fmt: skip
    for _ in range(t):
        made.decide()
        made.update(0.0)
    spread = math.log(rounds) + num / 2 * math.log(1 + t * action**2 / (num * ridge))
    whole = (
        c1 * math.sqrt(ridge)
        + c2 / math.sqrt(ridge) * math.log(math.e * (t + 1))
        + math.sqrt(2 * noise**2 * spread)
    )
    assert made._bonus() == pytest.approx(0.5 * whole)


def test_only_the_last_reward_of_an_epoch_teaches():
    """Two learners told the same in last rounds, and otherwise nonsense, believe the same."""
    first, second = learner(0.6, num_rounds=300), learner(0.6, num_rounds=300)
    for t in range(300):
        assert first.decide() == second.decide()
        is_last = first._left == 1
        first.update(float(t % 3))
        second.update(float(t % 3) if is_last else 1e6)
    np.testing.assert_array_equal(first.gain, second.gain)


def test_a_radius_of_nothing_is_ridge_regression_on_every_reward():
    made = learner(0.0, num_rounds=60)
    rng, played, paid = np.random.default_rng(3), [], []
    for _ in range(60):
        played.append(ACTIONS[made.decide()])
        paid.append(float(rng.normal()))
        made.update(paid[-1])
    x = np.array(played)
    ridge = np.linalg.solve(np.log(60) * np.eye(3) + x.T @ x, x.T @ np.array(paid))
    np.testing.assert_allclose(made.gain, ridge)


def test_numbers_out_of_range_and_rewards_out_of_turn_are_refused():
    with pytest.raises(ConfigError, match="radius is 1"):
        HeldConfig(num_rounds=10, radius=1.0)
    with pytest.raises(ConfigError, match="out of range"):
        HeldConfig(num_rounds=10, radius=0.5, noise=-1.0)
    with pytest.raises(ConfigError, match="ridge is 0"):
        HeldConfig(num_rounds=10, radius=0.5, ridge=0.0)
    with pytest.raises(ConfigError, match="two or more"):
        HeldActions(ACTIONS[:1], HeldConfig(num_rounds=10, radius=0.5))
    made = learner(0.5)
    with pytest.raises(DataError, match="after each `decide`"):
        made.update(1.0)
    made.decide()
    with pytest.raises(DataError, match="nan"):
        made.update(float("nan"))


def test_noise_of_the_state_reaches_later_rewards():
    system = DynamicalSystem(
        transition=np.array([[0.5]]), effect=np.zeros((1, 1)), readout=np.ones(1),
        direct=np.zeros(1), state_noise=1.0, noise=0.0,
    )  # fmt: skip
    state, first = system.step(np.zeros(1), np.zeros(1), np.random.default_rng(0))
    assert first == 0.0
    assert state[0] != 0.0
