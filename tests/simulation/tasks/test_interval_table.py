"""A table that finds intervals: overlaps, chances and the gradient are exact."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.simulation.tasks.interval_table import FEATURES, SIZE, Finder, Streams

EVERY = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij"), axis=2)


def some(seed=0, num=3):
    rng = np.random.default_rng(seed)
    finder = Finder(first=rng.normal(size=FEATURES), last=rng.normal(size=FEATURES),
                    long=rng.normal(size=SIZE))  # fmt: skip
    return finder, Streams.drawn(num, rng), rng


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_an_overlap_is_what_both_cover_over_what_either_covers(seed):
    finder, streams, rng = some(seed)
    said = finder.drawn(streams, 4, rng)
    assert np.all(said[..., 0] <= said[..., 1])
    for p, g in np.ndindex(3, 4):
        mine, true = (set(range(a, b + 1)) for a, b in (said[p, g], streams.true[p]))
        wanted = len(mine & true) / len(mine | true)
        np.testing.assert_allclose(streams.overlap(said)[p, g], wanted)
    size = streams.true[:, 1] - streams.true[:, 0] + 1
    assert np.all((size >= 12) & (size <= 48) & (streams.true[:, 1] < SIZE))


def test_symbols_tell_the_inside_from_the_outside():
    _, streams, _ = some(num=400)
    middle = streams.looks.reshape(400, SIZE, -1, 7)[:, :, 8]  # of the place itself
    place = np.arange(SIZE)
    inside = (place >= streams.true[:, :1]) & (place <= streams.true[:, 1:])
    of_half = middle[..., :3].sum(axis=-1)
    assert abs(of_half[inside].mean() - 0.8) < 0.02
    assert abs(of_half[~inside].mean() - 0.2) < 0.02


def test_recall_is_the_share_of_answers_that_overlap_enough():
    _, streams, rng = some()
    finder = Finder.blank()
    for _ in range(30):  # towards the truth, so that some do
        finder = finder.climbed(streams, streams.true[:, None], np.full((3, 1), 0.3), 0.3)
    drawn = streams.overlap(finder.drawn(streams, 20_000, rng)) >= 0.7
    assert 0.05 < drawn.mean() < 0.95
    np.testing.assert_allclose(finder.recall(streams), drawn.mean(), atol=0.01)


def test_a_climb_is_the_gradient_of_the_expected_overlap():
    finder, streams, rng = some(1, num=1)
    said = EVERY[np.triu_indices(SIZE)][None]

    def expected(finder):
        first, last = finder.chances(streams, np.arange(SIZE)[None])
        chance = first[0, said[0, :, 0]] * last[0, said[0, :, 0], said[0, :, 1]]
        np.testing.assert_allclose(chance.sum(), 1.0)
        return chance, float(chance @ streams.overlap(said)[0])

    weight = expected(finder)[0] * streams.overlap(said)[0]
    moved = finder.climbed(streams, said, weight[None], 1.0)
    for name in ("first", "last", "long"):
        way = rng.normal(size=getattr(finder, name).shape)
        ends = [expected(Finder(**{n: getattr(finder, n) + (h * way if n == name else 0.0)
                                   for n in ("first", "last", "long")}))[1]
                for h in (1e-5, -1e-5)]  # fmt: skip
        slope = (getattr(moved, name) - getattr(finder, name)) @ way
        assert abs(slope) > 1e-4
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-5, rtol=1e-4, atol=1e-8)
