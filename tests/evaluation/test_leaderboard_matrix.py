"""Who was placed above whom, of rankings: by hand, by the race that rankings are, and as shown."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.data.rankings import Rankings
from penchant.evaluation import leaderboard_matrix
from penchant.evaluation.leaderboard_matrix import met_in_rankings
from penchant.evaluation.leaderboard_page import leaderboard_page, render_leaderboard
from penchant.models.leaderboard import Leaderboard


def laid(menus, items):
    """Rankings of lists of tiers, each a list of items; (tiers, weight) each."""
    item = [i for tiers, _ in menus for tier in tiers for i in tier]
    tier = [t for tiers, _ in menus for t, some in enumerate(tiers) for _ in some]
    sizes = [sum(map(len, tiers)) for tiers, _ in menus]
    return Rankings(
        items=tuple(f"item {i}" for i in range(items)), item=np.array(item, dtype=np.int32),
        tier=np.array(tier, dtype=np.int32), start=np.concatenate([[0], np.cumsum(sizes)]),
        weight=np.array([weight for _, weight in menus], dtype=np.float64),
    )  # fmt: skip


def by_chance(seed, items, num=40):
    """Menus of some items in random tiers, some of them tied, of weights 1 to 3."""
    rng = np.random.default_rng(seed)
    menus = []
    for _ in range(num):
        some = rng.permutation(items)[: rng.integers(2, items + 1)]
        cut = np.flatnonzero(rng.random(len(some) - 1) < 0.6) + 1
        tiers = [list(map(int, part)) for part in np.split(some, cut)]
        menus.append((tiers, int(rng.integers(1, 4))))
    return menus


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([4, 7, 20]))
def test_the_matrix_counts_every_two_of_every_ranking(seed, items):
    menus = by_chance(seed, items)
    order = np.random.default_rng(seed).permutation(items)
    met = met_in_rankings(laid(menus, items), order)
    shown = min(items, leaderboard_matrix.MOST_CELLS)
    wins, ties = np.zeros((2, items, items))
    for tiers, weight in menus:
        of = {item: t for t, some in enumerate(tiers) for item in some}
        for a, b in combinations(of, 2):
            if of[a] == of[b]:
                ties[a, b] += weight
                ties[b, a] += weight
            else:
                above, below = (a, b) if of[a] < of[b] else (b, a)
                wins[above, below] += weight
    at = order[:shown]
    np.testing.assert_array_equal(met.wins, wins[np.ix_(at, at)])
    np.testing.assert_array_equal(met.ties, ties[np.ix_(at, at)])


def raced(strengths, num, ranked, size, seed=0):
    """Top `ranked` of menus of `size` by Plackett and Luce."""
    rng = np.random.default_rng(seed)
    menus = []
    for _ in range(num):
        menu = rng.permutation(len(strengths))[:size]
        order = menu[np.argsort(-(strengths[menu] + rng.gumbel(size=size)))]
        tiers = [[int(i)] for i in order[:ranked]] + [list(map(int, order[ranked:]))]
        menus.append(([tier for tier in tiers if tier], 1))
    return laid(menus, len(strengths))


@pytest.mark.parametrize("ranked", [1, 2, 5])
def test_of_those_put_apart_the_share_is_what_scores_of_the_pair_foretell(ranked):
    truth = np.array([1.2, 0.7, 0.0, -0.4, -0.8, -0.7])
    rankings = raced(truth, 6_000, ranked, 5)
    page = leaderboard_page(Leaderboard().fit(rankings), rankings)
    place = [rankings.items.index(name) for name in page.matrix_names]
    for i, row in enumerate(page.matrix):
        for j, cell in enumerate(row):
            if cell is None:
                continue
            p = 1 / (1 + np.exp(truth[place[j]] - truth[place[i]]))
            assert cell.expected == pytest.approx(p, abs=0.05)
            assert abs(cell.share - p) < 4.0 * np.sqrt(p * (1 - p) / cell.votes)
    assert page.foretells_pairs


def test_whoever_beats_one_item_against_the_order_is_framed():
    rankings = raced(np.array([1.0, 0.0, -1.0]), 300, 3, 3)
    odd = laid([([[2], [0]], 200)], 3)
    both = Rankings(
        items=rankings.items, item=np.concatenate([rankings.item, odd.item]),
        tier=np.concatenate([rankings.tier, odd.tier]),
        start=np.concatenate([rankings.start, [rankings.start[-1] + 2]]),
        weight=np.concatenate([rankings.weight, odd.weight]),
    )  # fmt: skip
    page = leaderboard_page(Leaderboard().fit(both), both)
    html = render_leaderboard(page)
    assert sum(cell.is_surprise for row in page.matrix for cell in row if cell) >= 2
    assert 'class="odd"' in html
    assert "how many put the item at the left above" in html
    assert "rankings that put them apart" in html
    assert page.calibration is None


def test_ties_above_others_foretell_nothing_and_the_page_says_so():
    menus = [([[0, 1], [2], [3]], 5), ([[1], [0, 2], [3]], 4), ([[3], [0], [1, 2]], 3)]
    rankings = replace(laid(menus, 5), items=("a", "b", "c", "d", "alone"))
    page = leaderboard_page(Leaderboard().fit(rankings), rankings)
    cells = [cell for row in page.matrix for cell in row if cell]
    assert all(cell.expected is None and not cell.is_surprise for cell in cells)
    html = render_leaderboard(page)
    assert "Framed" not in html
    assert "foretell" not in html.split("<h2>Every pair</h2>")[1].split("</section>")[0]
    a, b = page.matrix_names.index("a"), page.matrix_names.index("b")
    # Of twelve rankings four put b above a, three a above b, five leave them together.
    assert page.matrix[a][b].share == pytest.approx(3 / 7)
    assert page.matrix[a][b].ties == 5
    assert "5 that leave them together" in html
    assert "never on one menu" in html
