"""Bradley-Terry and Plackett-Luce against choix, where it is installed: the same estimates."""

import numpy as np
import pytest

from penchant.data.records import Records
from penchant.models.bradley_terry import BradleyTerry
from penchant.models.plackett_luce import PlackettLuce

choix = pytest.importorskip("choix", reason="choix is not installed; it is in the extra [dev]")
pytestmark = pytest.mark.reference

NUM_ITEMS = 12
NAMES = np.array([f"item{i:02d}" for i in range(NUM_ITEMS)])
# Spread so that no difference to the first item is near zero: 1e-4 is asked of each relatively.
SCORES = np.linspace(-1.5, 1.8, NUM_ITEMS)


def scores_of(belief) -> np.ndarray:
    """The belief's scores in the order of NAMES, the first item at zero."""
    by_name = dict(zip(belief.parameter_names, belief.theta, strict=True))
    values = np.array([by_name.get(name, 0.0) for name in NAMES])
    return values - values[0]


def pairs(num_pairs: int, seed: int) -> np.ndarray:
    """[num_pairs, 2], the winner first."""
    rng = np.random.default_rng(seed)
    first = rng.integers(NUM_ITEMS, size=num_pairs)
    second = (first + rng.integers(1, NUM_ITEMS, size=num_pairs)) % NUM_ITEMS
    won = rng.random(num_pairs) < 1 / (1 + np.exp(SCORES[second] - SCORES[first]))
    return np.where(won[:, None], np.stack([first, second], 1), np.stack([second, first], 1))


def rankings(num_rankings: int, size: int, seed: int) -> np.ndarray:
    """[num_rankings, size] items, best first: Gumbel errors make it Plackett-Luce."""
    rng = np.random.default_rng(seed)
    menus = rng.permuted(np.tile(np.arange(NUM_ITEMS), (num_rankings, 1)), axis=1)[:, :size]
    worth = SCORES[menus] + rng.gumbel(size=menus.shape)
    return np.take_along_axis(menus, np.argsort(-worth, axis=1), axis=1)


def test_bradley_terry_finds_the_scores_and_the_likelihood_of_choix():
    data = pairs(3_000, seed=1)
    # The winner is not always shown first: who stands where must not matter.
    swap = np.arange(len(data)) % 2
    shown = np.where(swap[:, None] == 1, data[:, ::-1], data)
    records = Records.from_arrays(
        options={"option": NAMES[shown]}, rows={"outcome": swap}, kind="pair"
    )
    belief = BradleyTerry().fit(records).belief_
    theirs = choix.ilsr_pairwise(NUM_ITEMS, data.tolist(), max_iter=1_000, tol=1e-12)
    np.testing.assert_allclose(scores_of(belief)[1:], (theirs - theirs[0])[1:], rtol=1e-4)
    assert belief.report.log_likelihood == pytest.approx(
        choix.log_likelihood_pairwise(data.tolist(), theirs), rel=1e-6
    )


def test_full_rankings_find_the_scores_of_choix():
    data = rankings(600, size=NUM_ITEMS, seed=2)
    check_rankings(data, data, np.tile(np.arange(1, NUM_ITEMS + 1), (len(data), 1)))


def test_rankings_of_small_menus_find_the_scores_of_choix():
    data = rankings(1_500, size=5, seed=3)
    # The menu is shown in another order than the ranking's.
    shown = data[:, ::-1]
    check_rankings(data, shown, np.tile(np.arange(5, 0, -1), (len(data), 1)))


def check_rankings(data: np.ndarray, shown: np.ndarray, rank: np.ndarray) -> None:
    records = Records.from_arrays(
        options={"option": NAMES[shown], "rank": rank}, rows={}, kind="ranking"
    )
    belief = PlackettLuce().fit(records).belief_
    theirs = choix.ilsr_rankings(NUM_ITEMS, data.tolist(), max_iter=1_000, tol=1e-12)
    np.testing.assert_allclose(scores_of(belief)[1:], (theirs - theirs[0])[1:], rtol=1e-4)
    assert belief.report.log_likelihood == pytest.approx(
        choix.log_likelihood_rankings(data.tolist(), theirs), rel=1e-6
    )


def test_top_one_answers_find_the_scores_of_choix():
    full = rankings(3_000, size=4, seed=4)
    records = Records.from_arrays(
        options={
            "option": NAMES[full],
            "rank": np.tile([1, 0, 0, 0], (len(full), 1)),
        },
        rows={},
        kind="ranking",
    )
    belief = PlackettLuce().fit(records).belief_
    data = [(int(row[0]), tuple(int(i) for i in row[1:])) for row in full]
    theirs = choix.ilsr_top1(NUM_ITEMS, data, max_iter=1_000, tol=1e-12)
    np.testing.assert_allclose(scores_of(belief)[1:], (theirs - theirs[0])[1:], rtol=1e-4)
    assert belief.report.log_likelihood == pytest.approx(
        choix.log_likelihood_top1(data, theirs), rel=1e-6
    )
