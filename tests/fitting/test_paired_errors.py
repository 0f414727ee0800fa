"""Errors of strengths: against dense algebra written out, each other, and under relabelling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.paired_twin import fit_slowly, log_posterior, simulated_counts, simulated_votes
from penchant.data.pair_counts import PairCounts
from penchant.data.votes import Votes
from penchant.errors import DataError
from penchant.fitting import paired_draws, paired_draws_fused, paired_errors, paired_islands
from penchant.fitting.paired_errors import (
    DrawConfig,
    clustered_errors,
    curvature_errors,
    vote_errors,
)
from penchant.fitting.paired_prior import normal_prior, weak_prior
from penchant.numerics.graph import connectivity

TRUTH = np.linspace(-1.2, 1.2, 9)
MODELS = [("half", -np.inf), ("davidson", -0.7), ("rao_kupper", -0.9)]


def votes_of(world, weight=None, voter=None):
    first, second, outcome = world
    num_items = max(first.max(), second.max()) + 1
    others = {} if weight is None else {"weight": weight}
    if voter is not None:
        others |= {"voter": voter, "voters": tuple(f"v{v}" for v in range(voter.max() + 1))}
    names = tuple(f"i{n}" for n in range(num_items))
    return Votes.from_outcomes(names, first, second, outcome, **others)


def graph_of(counts):
    return connectivity(
        counts.first, counts.second, counts.first_wins + counts.ties,
        counts.second_wins + counts.ties, counts.num_items,
    )  # fmt: skip


@pytest.fixture
def by_draws(monkeypatch):
    monkeypatch.setattr(paired_errors, "MOST_DENSE", 0)
    monkeypatch.setattr(paired_islands, "MOST_ON_ISLAND", 0)


@pytest.mark.parametrize(("ties", "tie"), MODELS)
def test_the_covariance_is_the_inverse_of_the_whole_information_seen_from_the_gauge(ties, tie):
    counts = simulated_counts(TRUTH, 900, np.random.default_rng(0), ties=ties, tie=tie)
    point = fit_slowly(counts, ties=ties)
    theta = np.append(point.strengths, point.tie_parameter)
    information = log_posterior(theta, counts, ties, "logit", None)[2]
    if ties == "half":
        information = information[:-1, :-1]
    whole = np.linalg.pinv(information, hermitian=True)[:9, :9]
    centre = np.eye(9) - 1 / 9
    found = curvature_errors(point)
    np.testing.assert_allclose(found.covariance, centre @ whole @ centre, atol=1e-10)
    np.testing.assert_allclose(found.se**2, np.diag(found.covariance))
    step = np.zeros(9)
    step[[2, 5]] = 1.0, -1.0
    np.testing.assert_allclose(
        found.of_difference(np.array([2]), np.array([5]))[0] ** 2, step @ whole @ step
    )


@pytest.mark.parametrize(("ties", "tie"), MODELS)
def test_vote_errors_are_the_sandwich_of_the_votes_written_out(ties, tie):
    generator = np.random.default_rng(1)
    world = simulated_votes(TRUTH, 700, generator, ties=ties, tie=tie)
    votes = votes_of(world)
    point = fit_slowly(votes.counts(), ties=ties)
    theta = np.append(point.strengths, point.tie_parameter)
    information = log_posterior(theta, point.counts, ties, "logit", None)[2]
    scores = np.array([
        log_posterior(theta, votes.take(np.array([b])).counts(), ties, "logit", None)[1]
        for b in range(700)
    ])  # fmt: skip
    if ties == "half":
        information, scores = information[:-1, :-1], scores[:, :-1]
    bread = np.linalg.pinv(information, hermitian=True)
    sandwich = (bread @ scores.T @ scores @ bread)[:9, :9] * 700 / 699
    centre = np.eye(9) - 1 / 9
    expected = centre @ sandwich @ centre
    np.testing.assert_allclose(vote_errors(point).covariance, expected, atol=1e-10)
    np.testing.assert_allclose(vote_errors(point, votes).covariance, expected, atol=1e-10)
    voter = generator.integers(0, 40, 700)
    sums = np.stack([np.bincount(voter, column) for column in scores.T], axis=1)
    sandwich = (bread @ sums.T @ sums @ bread)[:9, :9] * 40 / 39
    found = clustered_errors(point, votes, voter)
    np.testing.assert_allclose(found.covariance, centre @ sandwich @ centre, atol=1e-10)


@pytest.mark.parametrize(("ties", "tie"), MODELS)
@pytest.mark.parametrize("kind", ["curvature", "vote", "voter"])
@pytest.mark.parametrize("has_prior", [False, True])
def test_drawn_errors_are_the_exact_ones_within_their_stated_accuracy(
    kind, ties, tie, has_prior, monkeypatch
):
    generator = np.random.default_rng(5)
    truth = generator.normal(size=60)
    world = simulated_votes(truth, 6000, generator, ties=ties, tie=tie)
    votes = votes_of(world)
    prior = normal_prior(0.5, graph_of(votes.counts())) if has_prior else None
    point = fit_slowly(votes.counts(), ties=ties, prior=prior)
    voter = generator.integers(0, 300, 6000)

    def errors(config=None):
        if kind == "curvature":
            return curvature_errors(point, np.random.default_rng(2), config)
        if kind == "vote":
            return vote_errors(point, None, np.random.default_rng(2), config)
        return clustered_errors(point, votes, voter, np.random.default_rng(2), config)

    exact = errors()
    monkeypatch.setattr(paired_errors, "MOST_DENSE", 0)
    monkeypatch.setattr(paired_islands, "MOST_ON_ISLAND", 0)
    drawn = errors(DrawConfig(most_draws=3000))
    assert drawn.covariance is None
    assert drawn.accuracy <= 0.02
    # A bound that holds for each item with 95 % may be passed by some of sixty.
    worst = np.abs(drawn.se / exact.se - 1.0).max()
    assert worst < 2.0 * max(drawn.accuracy, 0.005)
    if kind != "curvature" or ties != "half":
        return
    rough = errors(DrawConfig(accuracy=0.0, most_draws=32))
    spread = errors(DrawConfig(fewest_draws=2000, most_draws=2000)).draws.std(axis=0)
    np.testing.assert_allclose(spread, exact.se, rtol=0.1)
    assert np.abs(rough.se / exact.se - 1.0).max() < 2.0 * rough.accuracy


def test_every_further_draw_buys_accuracy(by_draws):
    counts = simulated_counts(np.zeros(40), 200, np.random.default_rng(3))
    point = fit_slowly(counts, prior=normal_prior(1.0, graph_of(counts)))
    few, many = (
        curvature_errors(
            point, np.random.default_rng(0), DrawConfig(accuracy=0.0, most_draws=draws)
        ).accuracy
        for draws in (64, 1024)
    )
    assert many < 0.4 * few


@given(st.integers(0, 2**32 - 1), st.permutations(range(9)))
@settings(max_examples=20)
def test_labels_and_sides_mean_nothing(seed, order):
    order = np.array(order)
    world = simulated_votes(TRUTH, 400, np.random.default_rng(seed))
    counts = votes_of((*world[:2], world[2])).counts()
    if graph_of(counts).is_separated:
        return
    point = fit_slowly(counts)
    place = np.argsort(order)
    turned = (place[world[1]], place[world[0]], np.array([1, 0, 2])[world[2]])
    other = fit_slowly(votes_of(turned).counts())
    for kind in (curvature_errors, vote_errors):
        np.testing.assert_allclose(kind(other).se, kind(point).se[order], rtol=1e-6)


def test_votes_split_into_weights_are_the_same_to_the_curvature_and_to_voters_but_not_to_votes():
    generator = np.random.default_rng(4)
    first, second, outcome = simulated_votes(TRUTH, 500, generator)
    voter = generator.integers(0, 50, 500)
    whole = votes_of((first, second, outcome), voter=voter)
    halves = votes_of(
        (np.tile(first, 2), np.tile(second, 2), np.tile(outcome, 2)),
        weight=np.full(1000, 0.5), voter=np.tile(voter, 2),
    )  # fmt: skip
    point, same = fit_slowly(whole.counts()), fit_slowly(halves.counts())
    np.testing.assert_allclose(curvature_errors(same).se, curvature_errors(point).se, rtol=1e-6)
    np.testing.assert_allclose(
        clustered_errors(same, halves, halves.voter).se,
        clustered_errors(point, whole, whole.voter).se, rtol=1e-6,
    )  # fmt: skip
    # Two half-votes taken for independent look like more evidence than one whole vote.
    ratio = vote_errors(same, halves).se / vote_errors(point, whole).se
    np.testing.assert_allclose(ratio, np.sqrt(0.5), rtol=1e-3)


def test_half_wins_make_the_curvature_too_cautious_and_the_votes_know():
    counts = simulated_counts(TRUTH, 20_000, np.random.default_rng(6), ties="davidson", tie=1.0)
    point = fit_slowly(counts)
    assert (vote_errors(point).se < 0.8 * curvature_errors(point).se).all()


def test_unknown_voters_are_voters_of_one_vote_each():
    votes = votes_of(simulated_votes(TRUTH, 500, np.random.default_rng(7)))
    point = fit_slowly(votes.counts())
    unknown = clustered_errors(point, votes, np.full(500, -1))
    np.testing.assert_allclose(unknown.se, vote_errors(point).se, rtol=1e-9)
    mixed = clustered_errors(point, votes, np.where(np.arange(500) < 250, -1, 3))
    assert np.isfinite(mixed.se).all()


def test_one_voter_with_half_of_the_votes_leaves_few_degrees_of_freedom():
    votes = votes_of(simulated_votes(TRUTH, 2000, np.random.default_rng(8)))
    voter = np.where(np.arange(2000) < 1000, 0, 1 + np.arange(2000) % 100)
    found = clustered_errors(fit_slowly(votes.counts()), votes, voter)
    assert (found.degrees_of_freedom < 4.0).all()
    even = clustered_errors(fit_slowly(votes.counts()), votes, np.arange(2000) % 100)
    assert (even.degrees_of_freedom > 60.0).all()


def test_a_single_voter_cannot_tell_how_voters_differ():
    votes = votes_of(simulated_votes(TRUTH, 100, np.random.default_rng(9)))
    with pytest.raises(DataError, match="at least two"):
        clustered_errors(fit_slowly(votes.counts()), votes, np.zeros(100, dtype=int))


def test_islands_have_errors_of_their_own_and_an_unseen_item_an_infinite_one():
    counts = simulated_counts(TRUTH[:4], 300, np.random.default_rng(0))
    both = PairCounts(
        items=tuple(f"i{n}" for n in range(9)),
        first=np.concatenate([counts.first, counts.first + 5]),
        second=np.concatenate([counts.second, counts.second + 5]),
        **{
            name: np.tile(getattr(counts, name), 2)
            for name in ("first_wins", "second_wins", "ties")
        },
    )
    alone, together = curvature_errors(fit_slowly(counts)), curvature_errors(fit_slowly(both))
    np.testing.assert_allclose(together.covariance[:4, :4], alone.covariance, atol=1e-12)
    np.testing.assert_allclose(together.covariance[5:, 5:], alone.covariance, atol=1e-12)
    np.testing.assert_allclose(together.covariance[:4, 5:], 0.0, atol=1e-12)
    assert together.se[4] == np.inf


def test_separation_without_a_prior_has_no_errors_and_with_one_wide_ones():
    counts = PairCounts(
        items=("a", "b", "c"), first=np.array([0, 0, 1]), second=np.array([1, 2, 2]),
        first_wins=np.array([5.0, 5.0, 3.0]), second_wins=np.array([0.0, 0.0, 2.0]),
        ties=np.zeros(3),
    )  # fmt: skip
    far = fit_slowly(counts, prior=normal_prior(1e6, graph_of(counts)))
    with pytest.raises(DataError, match="weak prior"):
        curvature_errors(
            paired_errors.PairedPoint(
                counts=counts, strengths=far.strengths + np.array([99.0, 0, 0]), island=far.island
            )
        )
    prior = weak_prior(5.0, graph_of(counts))
    held = curvature_errors(fit_slowly(counts, prior=prior))
    assert held.se[0] > 1.2
    assert held.se[0] > held.se[1]


@given(st.integers(0, 2**32 - 1), st.integers(1, 32))
@settings(max_examples=30)
def test_fused_products_and_noise_are_their_plain_twins(seed, num_vectors):
    generator = np.random.default_rng(seed)
    first, second = np.triu_indices(7, 1)
    kept = generator.random(len(first)) < 0.7
    first, second = first[kept].astype(np.int32), second[kept].astype(np.int32)
    weight = generator.random(len(first))
    vectors = generator.normal(size=(7, num_vectors))
    fused, plain = np.empty_like(vectors), np.empty_like(vectors)
    diagonal = generator.random(7)
    paired_draws_fused.information_product(first, second, weight, diagonal, vectors, fused)
    paired_draws.plain_product(first, second, weight, diagonal, vectors, plain)
    np.testing.assert_allclose(fused, plain, atol=1e-12)
    bits = generator.integers(0, 2**32, len(first), dtype=np.uint32)
    fused, plain = np.zeros_like(vectors), np.zeros_like(vectors)
    paired_draws_fused.signed_sums(first, second, weight, bits, fused)
    paired_draws.plain_signed_sums(first, second, weight, bits, plain)
    np.testing.assert_allclose(fused, plain, atol=1e-12)


def test_without_numba_the_draws_are_the_same(by_draws, monkeypatch):
    counts = simulated_counts(np.zeros(30), 900, np.random.default_rng(3))
    point = fit_slowly(counts)
    fused = curvature_errors(point, np.random.default_rng(0))
    monkeypatch.setitem(__import__("sys").modules, "penchant.fitting.paired_draws_fused", None)
    plain = curvature_errors(point, np.random.default_rng(0))
    np.testing.assert_allclose(plain.se, fused.se, rtol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_blocks_of_vectors_meet_the_prior_and_the_islands_as_single_ones_do(seed):
    generator = np.random.default_rng(seed)
    first, second = np.triu_indices(9, 1)
    kept = generator.random(len(first)) < 0.2
    counts = PairCounts(
        items=tuple(f"i{n}" for n in range(9)), first=first[kept], second=second[kept],
        first_wins=generator.integers(0, 3, kept.sum()) + 0.0,
        second_wins=generator.integers(0, 3, kept.sum()) + 1.0, ties=np.zeros(kept.sum()),
    )  # fmt: skip
    prior = weak_prior(2.0, graph_of(counts)) or normal_prior(2.0, graph_of(counts))
    point = paired_errors.PairedPoint(
        counts=counts, strengths=np.zeros(9), island=graph_of(counts).island, prior=prior
    )
    information, vectors = point.information, generator.normal(size=(9, 4))
    expected = np.stack([prior.information_times(v) for v in vectors.T], axis=1)
    np.testing.assert_allclose(information.prior_times(vectors), expected, atol=1e-12)
    for part in range(information.island.max() + 1):
        inside = information.island == part
        sums = information.centred(vectors)[inside].sum(axis=0)
        np.testing.assert_allclose(sums, 0.0, atol=1e-12)
    noise = paired_draws.prior_noise(information, 4000, generator)
    centre = information.centred(information.centred(prior.information()).T)
    np.testing.assert_allclose(noise @ noise.T / 4000, centre, atol=0.15)


def test_a_solution_solves_and_says_when_it_does_not():
    counts = simulated_counts(np.zeros(30), 900, np.random.default_rng(3), ties="davidson", tie=0.0)
    information = fit_slowly(counts, ties="davidson").information
    right = information.centred(np.random.default_rng(0).normal(size=(30, 5)))
    found = paired_draws.solve(information, right, paired_draws.SolveConfig(tolerance=1e-10))
    assert found.converged
    np.testing.assert_allclose(
        paired_draws.product_of(information)(found.vectors), right, atol=1e-7
    )
    hasty = paired_draws.solve(information, right, paired_draws.SolveConfig(max_steps=1))
    assert not hasty.converged
