"""A door, its key and actions of two names: what a policy earns is exact."""

import numpy as np

from penchant.simulation.tasks.action_names import BEGIN, LENGTHS, ROOMS, Speaker, after


def speaker(seed=0):
    rng = np.random.default_rng(seed)
    return Speaker(move=rng.normal(size=(ROOMS, 3)), size=rng.normal(size=(ROOMS, 3, 2)))


def test_the_door_opens_with_the_key_alone():
    room = BEGIN
    for move in (2, 2, 1, 0, 0, 0, 0, 0):
        room = int(after(np.array([room]), np.array([move]))[0])
        assert room < ROOMS
    assert after(np.array([room]), np.array([1]))[0] == ROOMS
    assert after(np.array([5]), np.array([1]))[0] == 5  # at the door without it
    assert after(np.array([0, 5]), np.array([2, 0])).tolist() == [0, 5]  # walls


def test_worth_and_the_share_of_short_names_are_those_of_what_is_played():
    # Towards the key, then towards the door, so that it opens more often than not.
    best = np.repeat([2, 0], ROOMS // 2)
    best[[0, ROOMS - 1]] = 1
    policy = Speaker(move=speaker().move + 3.0 * np.eye(3)[best], size=speaker().size)
    told = policy.played(20_000, np.random.default_rng(1))
    for discount in (1.0, 0.9):
        worth, short = policy.worth(discount)
        earned = (discount**told.step * told.reward).sum() / 20_000
        np.testing.assert_allclose(worth, earned, atol=0.01)
    assert worth > 0.2
    np.testing.assert_allclose(short, (told.size == 0).mean(), atol=0.01)
    assert told.length.tolist() == LENGTHS[told.move, told.size].tolist()
    assert Speaker.blank().worth()[1] == 0.5
    # Nobody acts once the door is open.
    opened = told.step[told.reward]
    last = np.array([told.step[told.row == row].max() for row in told.row[told.reward][:50]])
    np.testing.assert_array_equal(last, opened[:50])


def test_a_climb_is_the_gradient_of_what_was_said():
    policy, rng = speaker(2), np.random.default_rng(3)
    told = policy.played(3, rng)
    of_move, of_size = rng.normal(size=(2, len(told.row)))

    def said(policy):
        of = [np.log(np.exp(a) / np.exp(a).sum(axis=-1, keepdims=True))
              for a in (policy.move, policy.size)]  # fmt: skip
        return (of_move @ of[0][told.room, told.move]
                + of_size @ of[1][told.room, told.move, told.size])  # fmt: skip

    moved = policy.climbed(told, of_move, of_size, 1.0)
    way = speaker(4)
    ends = [said(Speaker(move=policy.move + h * way.move, size=policy.size + h * way.size))
            for h in (1e-6, -1e-6)]  # fmt: skip
    slope = ((moved.move - policy.move) * way.move).sum()
    slope += ((moved.size - policy.size) * way.size).sum()
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-6)
