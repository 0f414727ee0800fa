"""What is remembered of each prompt between batches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.policies.language.trackers import ReplayBuffer, ShortestAnswers, ValueTracker


def outcomes(seed, num=12, num_prompts=3):
    rng = np.random.default_rng(seed)
    return rng.integers(0, num_prompts, num), rng.random(num), rng.exponential(0.05, num)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_a_batch_of_outcomes_is_the_same_one_by_one_or_in_two_parts(seed, cut):
    prompt, reward, drift = outcomes(seed)
    whole = ValueTracker.new(3).updated(prompt, reward, drift)
    parts = ValueTracker.new(3).updated(prompt[:cut], reward[:cut], drift[:cut])
    parts = parts.updated(prompt[cut:], reward[cut:], drift[cut:])
    good, bad = np.full(3, 0.5), np.full(3, 0.5)
    for p, r, d in zip(prompt, reward, drift, strict=True):
        kept = min(max(2 ** (-d / 0.06), 0.875), 0.96)
        good[p], bad[p] = kept * good[p] + r, kept * bad[p] + 1 - r
    for found in (whole, parts):
        np.testing.assert_allclose(found.successes, good)
        np.testing.assert_allclose(found.failures, bad)


def test_a_value_goes_where_successes_go_and_faster_when_the_policy_has_moved():
    # Long success, then ten failures: with drift less of the past is left.
    tracker = ValueTracker.new(1).updated(np.zeros(60, dtype=int), np.ones(60), np.zeros(60))
    assert tracker.value[0] > 0.97
    still, moved = (
        tracker.updated(np.zeros(10, dtype=int), np.zeros(10), np.full(10, drift)).value[0]
        for drift in (0.0, 1.0)
    )
    assert moved < still < 0.8


def test_probes_say_where_to_begin_and_with_how_much_weight():
    tracker = ValueTracker.new(2, successes=np.array([0, 4]), probes=4)
    np.testing.assert_allclose(tracker.value, [0.1, 0.9])
    np.testing.assert_allclose(tracker.successes + tracker.failures, 8.0)
    np.testing.assert_allclose(ValueTracker.new(2).value, 0.5)
    with pytest.raises(ConfigError, match="both or neither"):
        ValueTracker.new(2, probes=4)


def test_rewards_that_are_no_shares_are_refused():
    with pytest.raises(ConfigError, match="0 to 1"):
        ValueTracker.new(1).updated(np.array([0]), np.array([-1.0]), np.array([0.0]))


def test_prompts_in_the_middle_come_most_often_and_none_never():
    weight = ValueTracker(
        successes=np.array([1.0, 5.0, 9.0, 1e9]), failures=np.array([9.0, 5.0, 1.0, 1e-9])
    ).sampling_weight()
    assert weight.argmax() == 1
    assert weight[0] == pytest.approx(weight[2])
    assert weight[3] == pytest.approx(0.05)


def test_the_shortest_right_answer_is_kept_and_wrong_ones_are_not():
    first = ShortestAnswers.new(2)
    assert np.isinf(first.length).all()
    seen = first.updated(
        np.array([0, 0, 1]), np.array([30.0, 10.0, 5.0]), np.array([True, True, False])
    )
    assert seen.length.tolist() == [10.0, np.inf]
    assert np.isinf(first.length).all()


def test_a_buffer_keeps_the_last_successes_of_each_prompt():
    buffer = ReplayBuffer.new(2, room=2)
    for rollout in "abc":
        buffer = buffer.updated(1, rollout)
    assert buffer.draw(0, lambda num: 0) is None
    assert [buffer.draw(1, lambda num, at=at: at) for at in range(2)] == ["b", "c"]


def test_a_buffer_without_room_is_refused():
    with pytest.raises(ConfigError, match="room"):
        ReplayBuffer.new(2, room=0)
