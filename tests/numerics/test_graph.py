"""Islands and strong connectivity: against plain search, and in words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.numerics.graph import bounded_sides, connectivity, describe
from penchant.numerics.graph_fused import is_strongly_connected


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
    wins = wins_of(first, second, up, down)
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


def wins_of(first, second, up, down):
    wins = [(j, i) for i, j, u in zip(first, second, up, strict=True) if u > 0]
    return wins + [(i, j) for i, j, d in zip(first, second, down, strict=True) if d > 0]


def main_by_hand(world, inside, component):
    """The part of an island inside which most points were scored; None where two have as many."""
    first, second, up, down, _ = world
    if len(set(component[inside])) == 1:
        return set(inside)
    points = dict.fromkeys(component[inside], 0.0)
    for i, j, u, d in zip(first, second, up, down, strict=True):
        if i in inside and component[i] == component[j]:
            points[component[i]] += u + d
    best = [c for c in points if points[c] == max(points.values())]
    return set(inside[component[inside] == best[0]]) if len(best) == 1 else None


@given(meetings())
def test_bounds_are_chains_of_points_to_and_from_all_of_the_reference(world):
    first, second, up, down, num_items = world
    reach = reachable(wins_of(first, second, up, down), num_items)
    found = connectivity(*world)
    below, above = bounded_sides(first, second, up, down, found)
    for island in range(found.num_islands):
        inside = np.flatnonzero(found.island == island)
        main = main_by_hand(world, inside, found.component)
        assert set(inside[found.main[inside]]) == (main or set())
        assert found.has_main[island] == (main is not None)
        reference = np.array(sorted(main or set(inside)))
        np.testing.assert_array_equal(inside[found.reference[inside]], reference)
        np.testing.assert_array_equal(below[inside], reach[np.ix_(reference, inside)].all(axis=0))
        np.testing.assert_array_equal(above[inside], reach[np.ix_(inside, reference)].all(axis=1))


@given(meetings(), st.randoms(use_true_random=False))
def test_names_and_sides_mean_nothing_to_main_components_and_bounds(world, random):
    first, second, up, down, num_items = world
    order = list(range(num_items))
    random.shuffle(order)
    order, turn = np.array(order, dtype=int), np.array([random.random() < 0.5 for _ in first], bool)
    here, there = order[first], order[second]
    other = (
        np.where(turn, there, here), np.where(turn, here, there),
        np.where(turn, down, up), np.where(turn, up, down),
    )  # fmt: skip
    shuffled = np.array(random.sample(range(len(first)), len(first)), dtype=int)
    other = tuple(column[shuffled] for column in other)
    found, moved = connectivity(*world), connectivity(*other, num_items)
    np.testing.assert_array_equal(moved.main[order], found.main)
    sides = bounded_sides(first, second, up, down, found)
    for one, two in zip(sides, bounded_sides(*other, moved), strict=True):
        np.testing.assert_array_equal(two[order], one)


@given(meetings())
def test_whoever_never_lost_has_no_upper_bound_and_whoever_never_won_no_lower_one(world):
    first, second, up, down, _ = world
    found = connectivity(*world)
    below, above = bounded_sides(first, second, up, down, found)
    assert not above[found.unbeaten].any()
    assert not below[found.winless].any()
    # Only in a main component are both ends known for sure to exist.
    seen = ~found.unseen
    assert (below & above)[found.main & seen].all()
    if found.num_components == found.num_islands:
        assert (below & above).all()


@pytest.mark.parametrize("length", [2, 3, 4, 7])
def test_in_a_chain_of_wins_only_the_ends_are_bounded_on_one_side_each(length):
    first, second = np.arange(length - 1), np.arange(1, length)
    up, down = np.ones(length - 1), np.zeros(length - 1)
    found = connectivity(first, second, up, down, length)
    below, above = bounded_sides(first, second, up, down, found)
    assert not found.main.any()
    np.testing.assert_array_equal(np.flatnonzero(below), [0])
    np.testing.assert_array_equal(np.flatnonzero(above), [length - 1])


def test_in_a_star_only_the_one_who_met_all_is_bounded():
    first, second = np.zeros(4, dtype=int), np.arange(1, 5)
    up, down = np.ones(4), np.zeros(4)
    for ups, downs, side in ((up, down, 0), (down, up, 1)):
        found = connectivity(first, second, ups, downs, 5)
        sides = bounded_sides(first, second, ups, downs, found)
        np.testing.assert_array_equal(np.flatnonzero(sides[side]), [0])
        assert not sides[1 - side].any()


def test_the_main_component_is_that_of_most_points_not_of_most_items():
    # a <-> b exchanged ten points; c, d, e one point each in a ring; a beat c nine times.
    first, second = np.array([0, 2, 3, 2, 0]), np.array([1, 3, 4, 4, 2])
    up, down = np.array([6.0, 1, 1, 0, 9]), np.array([4.0, 0, 0, 1, 0])
    found = connectivity(first, second, up, down, 5)
    np.testing.assert_array_equal(np.flatnonzero(found.main), [0, 1])
    below, above = bounded_sides(first, second, up, down, found)
    np.testing.assert_array_equal(below, [True, True, False, False, False])
    np.testing.assert_array_equal(above, [True] * 5)


@given(st.integers(0, 2**31), st.integers(2, 60))
def test_what_a_few_passes_call_whole_is_whole_to_a_full_search(seed, num_items):
    generator = np.random.default_rng(seed)
    # A chain in any order, and some pairs more: both answers occur.
    order = generator.permutation(num_items)
    ends = np.sort(np.stack([order[:-1], order[1:]]), axis=0)
    first, second = np.unique(
        np.concatenate([ends, np.sort(generator.integers(0, num_items, (2, num_items)), axis=0)],
                       axis=1), axis=1,
    )  # fmt: skip
    apart = first != second
    first, second = first[apart], second[apart]
    points = generator.choice([0.0, 1.0], size=(2, len(first)), p=[0.1, 0.9])
    quick = is_strongly_connected(first, second, *points, num_items)
    tail = np.concatenate([second[points[0] > 0], first[points[1] > 0]])
    head = np.concatenate([first[points[0] > 0], second[points[1] > 0]])
    reach = reachable(zip(tail, head), num_items)
    assert not quick or reach.all()
    # Both ways of every pair: a chain of 60 is at most one pass for each turn of its order.
    if num_items < 8:
        assert quick == reach.all()


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
    assert "2 parts of an island" in sentences[0]
    assert "met only with all points going one way" in sentences[0]
    assert "`a`, `b`" in sentences[0]
    assert "`c`, `d`" in sentences[0]


def test_a_chain_s_inner_items_are_told_of_as_parts():
    first, second = np.arange(3), np.arange(1, 4)
    found = connectivity(first, second, np.ones(3), np.zeros(3), 4)
    text = " | ".join(describe(found, tuple("abcd")))
    assert "`a` never lost: nothing in the data bounds the strength from above" in text
    assert "`d` never won" in text
    assert "2 parts of an island" in text
    assert "among them `b` and `c`" in text


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
