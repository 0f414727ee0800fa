"""Strengths from counts against choix and evalica, where they are installed: equal to 1e-6."""

import numpy as np
import pytest

from penchant.data.pair_counts import count_votes
from penchant.fitting.paired import PairedConfig, fit_paired

pytestmark = pytest.mark.reference
NUM_ITEMS = 30


def votes(seed, tie_share):
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=NUM_ITEMS)
    first = rng.integers(0, NUM_ITEMS, 20_000)
    second = (first + rng.integers(1, NUM_ITEMS, 20_000)) % NUM_ITEMS
    chance = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    outcome = np.where(rng.random(20_000) < chance, 0, 1)
    outcome[rng.random(20_000) < tie_share] = 2
    return first, second, outcome


def test_choix_finds_the_same_log_strengths():
    choix = pytest.importorskip("choix", reason="choix is not installed; it is in the extra [dev]")
    first, second, outcome = votes(0, 0.0)
    winner, loser = np.where(outcome == 0, first, second), np.where(outcome == 0, second, first)
    theirs = choix.ilsr_pairwise(NUM_ITEMS, np.stack([winner, loser], 1).tolist(), tol=1e-11)
    counts = count_votes(tuple(map(str, range(NUM_ITEMS))), first, second, outcome)
    ours = fit_paired(counts, PairedConfig(ties=None)).strengths
    np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-6)


@pytest.mark.parametrize("tie_share", [0.0, 0.2])
def test_evalica_finds_the_same_log_strengths_with_half_wins(tie_share):
    evalica = pytest.importorskip("evalica", reason="evalica is not installed")
    first, second, outcome = votes(1, tie_share)
    words = [evalica.Winner.X, evalica.Winner.Y, evalica.Winner.Draw]
    found = evalica.bradley_terry(
        first.tolist(), second.tolist(), [words[o] for o in outcome], tolerance=1e-14, limit=10_000
    )
    theirs = np.log(found.scores.reindex(range(NUM_ITEMS)).to_numpy())
    counts = count_votes(tuple(map(str, range(NUM_ITEMS))), first, second, outcome)
    ours = fit_paired(counts, PairedConfig(ties="half")).strengths
    np.testing.assert_allclose(ours, theirs - theirs.mean(), atol=1e-6)
