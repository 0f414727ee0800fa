"""Strengths plus planes from counts: truth found, silence where there is none, the threshold."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.fitting.skew import SkewConfig, fit_skew, noise_level, score_matrix
from penchant.fitting.strengths import fit_strengths
from penchant.utilities.intransitive import hodge_split, skew_matrix


def votes(comparison, num_votes, rng, density=1.0):
    """Votes between all pairs, or some, with these log-odds."""
    size = len(comparison)
    first, second = np.triu_indices(size, 1)
    kept = rng.random(len(first)) < density
    first, second = first[kept].astype(np.int32), second[kept].astype(np.int32)
    wins = rng.binomial(num_votes, 1 / (1 + np.exp(-comparison[first, second]))).astype(float)
    return PairCounts(
        items=tuple(f"i{k}" for k in range(size)), first=first, second=second,
        first_wins=wins, second_wins=num_votes - wins, ties=np.zeros(len(wins)),
    )  # fmt: skip


def world(rng, size, cyclic):
    worth, embedding = rng.normal(size=size), rng.normal(size=(size, 2)) * np.sqrt(cyclic)
    return worth[:, None] - worth + skew_matrix(embedding, np.ones(1))


def test_transitive_votes_have_no_plane_at_all():
    rng = np.random.default_rng(0)
    for size in (5, 12, 40):
        fit = fit_skew(votes(world(rng, size, 0.0), 10, rng))
        assert fit.converged
        assert np.all(fit.embedding == 0)
        assert hodge_split(fit.comparison()).cyclic_share == pytest.approx(0.0, abs=1e-12)


def test_a_cyclic_world_is_found_again():
    rng = np.random.default_rng(1)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = world(rng, 40, 1.0)
        fit = fit_skew(votes(truth, 15, rng, density=0.7))
        true, found = hodge_split(truth), hodge_split(fit.comparison())
        assert np.corrcoef(true.cyclic.ravel(), found.cyclic.ravel())[0, 1] > 0.95
        assert np.corrcoef(true.strengths, found.strengths)[0, 1] > 0.98
        assert found.cyclic_share == pytest.approx(true.cyclic_share, abs=0.08)
        # The second block has nothing to say, and stays silent.
        assert np.all(fit.embedding[:, 2:] == 0)


def test_a_balanced_cycle_is_half_for_bradley_terry_and_learnt_by_a_plane():
    # Identity: no line of strengths beats 2/3 on a balanced cycle; one plane has it all right.
    comparison = np.log(9) * np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    counts = votes(comparison, 200, np.random.default_rng(2))
    flat = fit_skew(counts, SkewConfig(num_blocks=0)).comparison()
    turning = fit_skew(counts, SkewConfig(num_blocks=1)).comparison()
    assert np.abs(flat).max() < 0.5
    off = ~np.eye(3, dtype=bool)
    assert np.all((turning > 0)[off] == (comparison > 0)[off])
    np.testing.assert_allclose(turning, comparison, atol=0.5)


def test_no_block_is_bradley_terry():
    rng = np.random.default_rng(3)
    counts = votes(world(rng, 9, 0.5), 20, rng)
    mine = fit_skew(counts, SkewConfig(num_blocks=0, strength_scale=3.0))
    other = fit_strengths(counts, prior_scale=3.0)
    np.testing.assert_allclose(mine.strengths, other.mean - other.mean.mean(), atol=1e-5)


def test_a_plane_appears_just_where_the_scores_exceed_the_penalty():
    rng = np.random.default_rng(4)
    counts = votes(world(rng, 12, 0.6), 20, rng)
    strengths = fit_skew(counts, SkewConfig(num_blocks=0)).strengths
    threshold = np.linalg.norm(score_matrix(counts, strengths), 2)
    below = fit_skew(counts, SkewConfig(penalty=0.97 * threshold, relaxation=1.0))
    above = fit_skew(counts, SkewConfig(penalty=1.03 * threshold, relaxation=1.0))
    assert np.abs(below.embedding).max() > 0.01
    assert np.all(above.embedding == 0)


def test_the_climb_ends_where_no_small_step_gains():
    rng = np.random.default_rng(5)
    counts = votes(world(rng, 8, 1.0), 30, rng)
    config = SkewConfig(num_blocks=1, penalty=3.0, relaxation=1.0)
    fit = fit_skew(counts, config)

    def objective(strengths, embedding):
        moved = replace(fit, strengths=strengths, embedding=embedding)
        c = moved.comparison()[counts.first, counts.second]
        value = -counts.first_wins @ np.log1p(np.exp(-c)) - counts.second_wins @ np.log1p(np.exp(c))
        return value - 1.5 * (embedding**2).sum() - (strengths**2).sum() / 200

    top = objective(fit.strengths, fit.embedding)
    for _ in range(200):
        step = 1e-3 * rng.normal(size=(8, 3))
        assert objective(fit.strengths + step[:, 0], fit.embedding + step[:, 1:]) < top


def test_noise_stays_below_its_level():
    rng = np.random.default_rng(6)
    above = []
    for _ in range(60):
        counts = votes(world(rng, 20, 0.0), 6, rng)
        strengths = fit_skew(counts, SkewConfig(num_blocks=0)).strengths
        size = np.linalg.norm(score_matrix(counts, strengths), 2)
        above.append(size > noise_level(counts, strengths))
    assert np.mean(above) <= 0.05


def test_ties_are_half_a_win_each():
    rng = np.random.default_rng(7)
    counts = votes(world(rng, 6, 1.0), 30, rng)
    tied = replace(counts, ties=np.full(15, 4.0))
    halves = replace(counts, first_wins=counts.first_wins + 2, second_wins=counts.second_wins + 2)
    np.testing.assert_allclose(
        fit_skew(tied).comparison(), fit_skew(halves).comparison(), atol=1e-6
    )


def test_nothing_to_fit_and_odd_settings_are_refused():
    counts = votes(np.zeros((3, 3)), 4, np.random.default_rng(0))
    silent = replace(counts, first_wins=np.zeros(3), second_wins=np.zeros(3))
    with pytest.raises(DataError, match="no votes"):
        fit_skew(silent)
    with pytest.raises(ConfigError, match="num_blocks = -1"):
        fit_skew(counts, SkewConfig(num_blocks=-1))
