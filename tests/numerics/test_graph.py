"""Islands and strong connectivity: against plain search, and in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.numerics import graph
from penchant.numerics.graph import bounded_sides, connectivity, describe


@st.composite
def meetings(draw):
    num_items = draw(st.integers(1, 8))
    pairs = [(i, j) for i in range(num_items) for j in range(i + 1, num_items)]
    met = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    first, second = np.array(met, dtype=int).reshape(-1, 2).T
    points = st.lists(st.sampled_from([0.0, 0.5, 2.0]), min_size=len(met), max_size=len(met))
    return first, second, np.array(draw(points)), np.array(draw(points)), num_items


def reachable(edges, num_items):
    """Whom a chain of edges leads to: Warshall's plain closure, self included."""
    reach = np.eye(num_items, dtype=bool)
    for i, j in edges:
        reach[i, j] = True
    for k in range(num_items):
        reach |= reach[:, [k]] & reach[[k], :]
    return reach


@given(meetings())
def test_parts_are_those_that_a_plain_search_finds(world):
    first, second, up, down, num_items = world
    wins = [(j, i) for i, j, u in zip(first, second, up, strict=True) if u > 0]
    wins += [(i, j) for i, j, d in zip(first, second, down, strict=True) if d > 0]
    reach = reachable(wins, num_items)
    either = reachable([*wins, *((j, i) for i, j in wins)], num_items)
    found = connectivity(first, second, up, down, num_items)
    same_component = found.component[:, None] == found.component
    np.testing.assert_array_equal(same_component, reach & reach.T)
    np.testing.assert_array_equal(found.island[:, None] == found.island, either)
    alone = np.eye(num_items, dtype=bool)
    np.testing.assert_array_equal(found.unseen, ~(either & ~alone).any(axis=1))
    conceded, scored = (reach & ~alone).any(axis=1), (reach & ~alone).any(axis=0)
    np.testing.assert_array_equal(found.unbeaten, ~found.unseen & ~conceded)
    np.testing.assert_array_equal(found.winless, ~found.unseen & ~scored)
    assert found.is_separated == (found.num_components > found.num_islands)


@given(meetings())
def test_parts_are_numbered_by_size(world):
    found = connectivity(*world)
    for label in (found.island, found.component):
        sizes = np.bincount(label)
        assert (np.diff(sizes) <= 0).all()
        assert sizes.min() > 0


@given(meetings())
def test_bounds_are_chains_of_points_to_and_from_the_largest_component(world):
    first, second, up, down, num_items = world
    wins = [(j, i) for i, j, u in zip(first, second, up, strict=True) if u > 0]
    wins += [(i, j) for i, j, d in zip(first, second, down, strict=True) if d > 0]
    reach = reachable(wins, num_items)
    found = connectivity(*world)
    below, above = bounded_sides(first, second, up, down, found)
    for island in range(found.num_islands):
        inside = np.flatnonzero(found.island == island)
        main = inside[np.argmin(found.component[inside])]
        np.testing.assert_array_equal(below[inside], reach[main, inside])
        np.testing.assert_array_equal(above[inside], reach[inside, main])


def test_a_part_of_the_edges_settles_only_what_all_of_them_would(monkeypatch):
    monkeypatch.setattr(graph, "_EDGES_TRIED", 1)
    generator = np.random.default_rng(0)
    first, second = np.triu_indices(30, 1)
    one_way = generator.random(len(first))
    found = connectivity(first, second, one_way, 1.0 - one_way, 30)
    assert found.num_components == 1
    # All of one's points lost: strided edges must not hide it.
    one_way[first == 0] = 0.0
    found = connectivity(first, second, one_way, 1.0 * (one_way < 1), 30)
    assert found.num_components == 2
    assert found.winless[0]


def test_all_well_needs_no_words():
    found = connectivity(np.array([0, 1]), np.array([1, 2]), np.ones(2), np.ones(2), 3)
    assert describe(found, ("a", "b", "c")) == ()
    assert found.is_connected
    assert not found.is_separated


def test_islands_unbeaten_winless_and_unseen_items_are_named():
    # a - b - c meet, c never wins; d and e meet, d never loses; f meets nobody.
    first, second = np.array([0, 1, 3]), np.array([1, 2, 4])
    found = connectivity(first, second, np.array([1.0, 3, 2]), np.array([1.0, 0, 0]), 6)
    text = " | ".join(describe(found, ("a", "b", "c", "d", "e", "f")))
    assert "`f` was never compared" in text
    assert "2 islands that never meet, not even through others (`a`, `b`, `c`; `d`, `e`)" in text
    assert "`d` never lost" in text
    assert "`c`, `e` never won" in text
    assert "groups" not in text


def test_a_group_that_only_wins_against_the_rest_is_named():
    first, second = np.array([0, 2, 0]), np.array([1, 3, 2])
    found = connectivity(first, second, np.array([1.0, 1, 5]), np.array([1.0, 1, 0]), 4)
    sentences = describe(found, tuple("abcd"))
    assert len(sentences) == 1
    assert "2 groups of items met only with all points going one way" in sentences[0]
    assert "`a`, `b`" in sentences[0]
    assert "`c`, `d`" in sentences[0]


def test_a_tie_keeps_a_gap_finite_on_both_sides():
    tied = connectivity(np.array([0]), np.array([1]), np.array([1.5]), np.array([0.5]), 2)
    assert not tied.is_separated


def test_pairs_without_votes_do_not_count_as_met():
    found = connectivity(np.array([0]), np.array([1]), np.zeros(1), np.zeros(1), 2)
    assert found.unseen.all()
    assert found.num_islands == 2


@pytest.mark.parametrize("num_items", [0, 1])
def test_nobody_and_one_alone_are_no_error(num_items):
    none = np.zeros(0, dtype=int)
    found = connectivity(none, none, np.zeros(0), np.zeros(0), num_items)
    assert found.num_islands == num_items
    assert found.unseen.all()


def test_long_lists_of_names_are_cut():
    num_items = 20
    first, second = np.zeros(num_items - 1, dtype=int), np.arange(1, num_items)
    found = connectivity(first, second, np.ones(num_items - 1), np.zeros(num_items - 1), num_items)
    names = tuple(f"i{i}" for i in range(num_items))
    assert "and 13 more never won" in " ".join(describe(found, names))
