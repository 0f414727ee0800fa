"""Plackett-Luce at scale: by brute force over orders, and as the plain model says."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penchant import PlackettLuce
from penchant.data.rankings import Rankings, rankings_from_records
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.fitting.ranked import (
    RankedConfig,
    RankedDensity,
    StrictPart,
    TiedPart,
    fit_ranked,
    placings_plain,
)
from penchant.fitting.ranked_fused import add_placings


def names(count):
    return tuple(f"item {i}" for i in range(count))


def made(seed, N=6, num_rankings=60, has_ties=False):
    """Menus of 2 to 5 items, ranked in full or in part by Plackett-Luce."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=N)
    items, tiers, sizes = [], [], []
    for _ in range(num_rankings):
        size = int(rng.integers(2, min(N, 5) + 1))
        menu = rng.permutation(N)[:size]
        menu = menu[np.argsort(-(strengths[menu] + rng.gumbel(size=size)))]
        ranked = int(rng.integers(1, size + 1))
        tier = np.minimum(np.arange(size), ranked)
        if has_ties and size > 2:
            tier[1:] -= 1
            tier = np.maximum(tier, 0)
            if tier.max() == 0:
                tier[-1] = 1
        items.append(menu)
        tiers.append(np.cumsum(np.diff(tier, prepend=0) > 0))
        sizes.append(size)
    return strengths, Rankings(
        items=names(N), item=np.concatenate(items).astype(np.int32),
        tier=np.concatenate(tiers).astype(np.int32),
        start=np.concatenate([[0], np.cumsum(sizes)]),
        weight=rng.integers(1, 4, num_rankings) * 1.0,
    )  # fmt: skip


def brute_force(rankings, strengths):
    """The sum over all orders that the tiers allow, one ranking at a time."""
    total = 0.0
    for r in range(len(rankings)):
        part = slice(rankings.start[r], rankings.start[r + 1])
        item, tier = rankings.item[part], rankings.tier[part]
        groups = [list(item[tier == t]) for t in range(tier.max() + 1)]
        chance = 0.0
        for order in itertools.product(*(itertools.permutations(g) for g in groups)):
            whole = [i for group in order for i in group]
            p = 1.0
            for place in range(len(whole)):
                left = np.exp(strengths[whole[place:]])
                p *= left[0] / left.sum()
            chance += p
        total += rankings.weight[r] * math.log(chance)
    return total


seeds = st.integers(0, 2**31)


@given(seeds, st.booleans())
@settings(max_examples=15)
def test_the_likelihood_is_that_of_brute_force(seed, has_ties):
    strengths, rankings = made(seed, num_rankings=8, has_ties=has_ties)
    density = RankedDensity(rankings, None, np.zeros(6, dtype=np.int64))
    assert density.log_likelihood(strengths) == pytest.approx(brute_force(rankings, strengths))


@given(seeds, st.floats(0.1, 30))
@settings(max_examples=40)
def test_compiled_loops_say_what_the_plain_model_says(seed, spread):
    strengths, rankings = made(seed)
    strengths = strengths * spread
    rng = np.random.default_rng(seed)
    strict, plain = StrictPart.of(rankings), TiedPart.all_of(rankings)
    fused, parts = strict.slopes(strengths), [part.slopes(strengths) for part in plain]
    vector = rng.normal(size=6)
    assert strict.log_likelihood(strengths) == pytest.approx(
        sum(part.log_likelihood(strengths) for part in plain)
    )
    for k in (0, 1):
        np.testing.assert_allclose(fused[k], sum(part[k] for part in parts), atol=1e-9)
    np.testing.assert_allclose(fused[2](vector), sum(part[2](vector) for part in parts), atol=1e-8)


@given(seeds)
def test_compiled_placings_are_those_of_the_plain_twin(seed):
    _, rankings = made(seed, num_rankings=20, has_ties=bool(seed % 2))
    columns = rankings.item, rankings.tier, rankings.start, rankings.weight
    sums = np.zeros((4, 6))
    add_placings(*columns, *sums[:2])
    placings_plain(*columns, *sums[2:])
    np.testing.assert_allclose(sums[:2], sums[2:])
    assert sums[0].sum() == pytest.approx(sums[1].sum())


@given(seeds, st.floats(700, 900))
@settings(max_examples=15)
def test_worths_too_far_apart_to_be_held_at_once_are_taken_menu_by_menu(seed, spread):
    _, rankings = made(seed, num_rankings=20)
    # Two groups that no menu joins: the far one says the same as it does nearby.
    shift = np.where(np.arange(12) < 6, 0.0, spread)
    twice = Rankings(
        items=names(12), item=np.concatenate([rankings.item, rankings.item + 6]),
        tier=np.tile(rankings.tier, 2), weight=np.tile(rankings.weight, 2),
        start=np.append(rankings.start, rankings.start[1:] + rankings.start[-1]),
    )  # fmt: skip
    strengths = np.tile(np.random.default_rng(seed).normal(size=6), 2) + shift
    gradient, diagonal, _ = StrictPart.of(twice).slopes(strengths)
    np.testing.assert_allclose(gradient[6:], gradient[:6], atol=1e-9)
    np.testing.assert_allclose(diagonal[6:], diagonal[:6], atol=1e-9)


@given(seeds, st.booleans())
@settings(max_examples=20)
def test_the_information_is_the_product_with_every_direction(seed, has_ties):
    strengths, rankings = made(seed, has_ties=has_ties)
    density = RankedDensity(rankings, None, np.zeros(6, dtype=np.int64))
    local = density.look(strengths)
    matrix = density.information(strengths)
    for i, e in enumerate(np.eye(6)):
        np.testing.assert_allclose(matrix[:, i], local.times(e), atol=1e-9)
    np.testing.assert_allclose(np.diag(matrix), local.diagonal, atol=1e-9)


@given(seeds, st.booleans())
@settings(max_examples=15)
def test_the_fit_stands_where_every_slope_is_zero(seed, has_ties):
    _, rankings = made(seed, num_rankings=200, has_ties=has_ties)
    fit = fit_ranked(rankings)
    # Now and then somebody never loses in 200 rankings.
    assume(not fit.connectivity.is_separated)
    assert fit.converged
    assert fit.warnings == ()
    local = RankedDensity(rankings, None, fit.connectivity.island).look(fit.strengths)
    np.testing.assert_allclose(local.gradient, 0.0, atol=1e-5)


def records_of(rankings, seed=0):
    """The same rankings as records, options in another order than ranked."""
    rng = np.random.default_rng(seed)
    options, ranks = [], []
    for r in range(len(rankings)):
        part = slice(rankings.start[r], rankings.start[r + 1])
        shuffled = rng.permutation(part.stop - part.start)
        tier = rankings.tier[part]
        rank = np.where(tier == tier[-1], 0, tier + 1)
        options += [rankings.items[i] for i in rankings.item[part][shuffled]]
        ranks += list(rank[shuffled])
    return Records.from_arrays(
        options={"option": options, "rank": ranks}, menu_sizes=np.diff(rankings.start),
        rows={"weight": rankings.weight}, kind="ranking",
    )  # fmt: skip


@pytest.mark.parametrize("has_ties", [False, True])
def test_records_give_the_estimate_of_the_plain_estimator(has_ties):
    _, rankings = made(5, num_rankings=150, has_ties=has_ties)
    records = records_of(rankings)
    slow = PlackettLuce().fit(records)
    theirs = {row.name: row.estimate for row in slow.summary().coefficients}
    fit = fit_ranked(rankings_from_records(records))
    ours = dict(zip(fit.rankings.items, fit.strengths, strict=True))
    reference = next(name for name in ours if not any(name in full for full in theirs))
    for name, value in ours.items():
        if name != reference:
            estimate = next(e for full, e in theirs.items() if name in full)
            assert value - ours[reference] == pytest.approx(estimate, abs=1e-6)


def test_records_keep_their_tiers():
    records = Records.from_arrays(
        options={"option": list("abcdab"), "rank": [2, 1, 0, 2, 1, 1]},
        menu_sizes=np.array([4, 2]), rows={"weight": np.array([2.0, 1.0])}, kind="ranking",
    )  # fmt: skip
    found = rankings_from_records(records)
    # The second ranking ties all it has: it says nothing.
    assert [found.items[i] for i in found.item] == ["b", "a", "d", "c"]
    assert found.tier.tolist() == [0, 1, 1, 2]
    assert found.weight.tolist() == [2.0]
    assert found.has_ties.tolist() == [True]


def test_best_and_worst_of_three_are_a_ranking():
    records = Records.from_arrays(
        options={"option": np.array([["a", "b", "c"]])},
        rows={"best": np.array([2]), "worst": np.array([0])}, kind="best_worst",
    )  # fmt: skip
    found = rankings_from_records(records)
    assert [found.items[i] for i in found.item] == ["c", "b", "a"]


def test_an_item_always_first_is_bounded_and_named():
    order = np.array([[0, 1, 2], [0, 2, 1], [0, 1, 2]], dtype=np.int32)
    rankings = Rankings(
        items=("best", "b", "c"), item=order.ravel(), tier=np.tile(np.arange(3), 3),
        start=np.array([0, 3, 6, 9]), weight=np.ones(3),
    )  # fmt: skip
    fit = fit_ranked(rankings)
    assert fit.converged
    assert np.isfinite(fit.strengths).all()
    assert any("`best` never lost" in text for text in fit.warnings)
    assert fit.prior_weight[0] > 0
    assert fit.prior_weight[1:].tolist() == [0.0, 0.0]


def test_few_rankings_of_many_items_end_in_finite_scores():
    rng = np.random.default_rng(0)
    order = np.stack([rng.choice(200, 10, replace=False) for _ in range(150)])
    fit = fit_ranked(Rankings(
        items=names(200), item=order.ravel().astype(np.int32), tier=np.tile(np.arange(10), 150),
        start=np.arange(0, 1501, 10), weight=np.ones(150),
    ))  # fmt: skip
    assert fit.converged
    assert np.isfinite(fit.strengths).all()


def test_a_step_far_too_long_is_no_error():
    _, rankings = made(0)
    far = np.array([2000.0, 0, 0, 0, 0, -2000.0])
    part = StrictPart.of(rankings)
    plain = sum(block.log_likelihood(far) for block in TiedPart.all_of(rankings))
    assert part.log_likelihood(far) == pytest.approx(plain)
    # No number, where worths are lost beside others: the climb takes a shorter step.
    part.slopes(far)


def test_rankings_that_never_meet_are_islands():
    rankings = Rankings(
        items=names(4), item=np.array([0, 1, 1, 0, 2, 3, 3, 2]), tier=np.tile([0, 1], 4),
        start=np.arange(0, 9, 2), weight=np.ones(4),
    )  # fmt: skip
    fit = fit_ranked(rankings)
    assert any("2 islands" in text for text in fit.warnings)
    np.testing.assert_allclose(fit.strengths, 0.0, atol=1e-9)


def test_a_prior_that_was_asked_for_shrinks():
    _, rankings = made(1, num_rankings=200)
    free, held = (fit_ranked(rankings, RankedConfig(prior_scale=p)) for p in (None, 0.2))
    assert np.ptp(held.strengths) < np.ptp(free.strengths)


def test_what_is_no_ranking_is_refused():
    with pytest.raises(DataError, match="start at 0"):
        Rankings(items=("a", "b"), item=np.array([0, 1]), tier=np.array([1, 0]),
                 start=np.array([0, 2]), weight=np.ones(1))  # fmt: skip
    records = Records.from_arrays(
        options={"option": ["a", "a"], "rank": [1, 2]}, menu_sizes=np.array([2]), rows={},
        kind="ranking",
    )  # fmt: skip
    with pytest.raises(DataError, match="'a' twice on its menu"):
        rankings_from_records(records)
