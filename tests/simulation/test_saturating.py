"""Worth that saturates: near a line, then at its bound; pairs by it, and labels turned round."""

import numpy as np

from penchant.simulation.saturating import SaturatingWorth, ordered_by, turned_round


def test_worth_is_a_line_for_small_texts_and_bounded_for_large_ones():
    worth = SaturatingWorth.drawn(5, np.random.default_rng(0))
    texts = np.random.default_rng(1).normal(size=(3, 40, 5))
    line = texts @ worth.hidden @ worth.out
    np.testing.assert_allclose(worth.of(1e-4 * texts), 1e-4 * line, atol=1e-10)
    assert np.abs(worth.of(1e6 * texts)).max() <= np.abs(worth.out).sum() + 1e-9
    np.testing.assert_allclose(worth.of(-texts), -worth.of(texts))


def test_attributes_of_standard_normal_texts_have_standard_normal_inputs():
    worth = SaturatingWorth.drawn(200, np.random.default_rng(0), num_attributes=50)
    assert abs(np.sqrt((worth.hidden**2).sum(axis=0)).mean() - 1.0) < 0.05


def test_winners_are_worth_more_unless_their_label_is_wrong():
    worth = np.array([3.0, 1.0, 2.0, 5.0])
    found = ordered_by(worth, np.array([0, 1, 2]), np.array([1, 2, 3]))
    np.testing.assert_array_equal(found, [[0, 2, 3], [1, 1, 2]])
    labels = turned_round(*found, np.array([False, True, False]))
    np.testing.assert_array_equal(labels, [[0, 1, 3], [1, 2, 2]])
