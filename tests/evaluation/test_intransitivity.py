"""The test for cycles keeps its size and has power; its picture and its winner say the same."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from penchant.data.pair_counts import PairCounts
from penchant.errors import ConfigError, DataError
from penchant.evaluation.cycle_charts import cycle_picture
from penchant.evaluation.intransitivity import cyclicity_test, intransitivity
from penchant.metrics.cyclicity import bootstrap_p_value, deviance, largest_plane
from penchant.utilities.intransitive import skew_matrix, strongest_cycles


def votes(rng, size, num_votes, cyclic):
    worth, embedding = 1.5 * rng.normal(size=size), rng.normal(size=(size, 2)) * np.sqrt(cyclic)
    comparison = worth[:, None] - worth + skew_matrix(embedding, np.ones(1))
    first, second = (index.astype(np.int32) for index in np.triu_indices(size, 1))
    wins = rng.binomial(num_votes, 1 / (1 + np.exp(-comparison[first, second]))).astype(float)
    return PairCounts(
        items=tuple(f"i{k}" for k in range(size)), first=first, second=second,
        first_wins=wins, second_wins=num_votes - wins, ties=np.zeros(len(wins)),
    )  # fmt: skip


def rejections(size, num_votes, cyclic, kind, level, seed, worlds):
    rng = np.random.default_rng(seed)
    return np.mean([
        cyclicity_test(votes(rng, size, num_votes, cyclic), rng, kind=kind, num_draws=39).p_value
        <= level
        for _ in range(worlds)
    ])  # fmt: skip


@pytest.mark.parametrize(("kind", "size", "num_votes"), [("deviance", 12, 2), ("plane", 6, 20)])
def test_transitive_worlds_are_rejected_no_more_often_than_said(kind, size, num_votes):
    # 30 worlds at 10 %: more than 8 would happen twice in a thousand times.
    assert rejections(size, num_votes, 0.0, kind, 0.10, seed=size, worlds=30) <= 8 / 30


@pytest.mark.parametrize("kind", ["deviance", "plane"])
def test_cyclic_worlds_are_noticed(kind):
    assert rejections(10, 15, 1.0, kind, 0.10, seed=1, worlds=12) >= 0.75


def test_the_deviance_is_the_likelihood_ratio_by_hand():
    wins, count, log_odds = np.array([3.0, 4.0]), np.array([4.0, 4.0]), np.array([0.0, 2.0])
    p = 1 / (1 + np.exp(-2.0))
    by_hand = 2 * (3 * np.log(0.75 / 0.5) + np.log(0.25 / 0.5) - 4 * np.log(p))
    assert deviance(wins, count, log_odds) == pytest.approx(by_hand)
    assert deviance(count * p, count, np.full(2, 2.0)) == pytest.approx(0.0, abs=1e-12)


def test_the_largest_plane_of_a_balanced_cycle_is_root_three_surprises():
    first, second = np.array([0, 1, 0]), np.array([1, 2, 2])
    wins, count = np.array([75.0, 75.0, 25.0]), np.full(3, 100.0)
    found = largest_plane(3, first, second, wins, count, np.zeros(3))
    assert found == pytest.approx(np.sqrt(3) * 25 / 5)


def test_a_p_value_counts_the_draws_at_or_above():
    assert bootstrap_p_value(2.0, np.array([1.0, 2.0, 3.0])) == 0.75
    assert bootstrap_p_value(9.0, np.arange(3.0)) == 0.25


def test_votes_just_as_a_line_expects_leave_no_surprise():
    worth = np.array([1.2, 0.4, -0.3, -1.3])
    first, second = (index.astype(np.int32) for index in np.triu_indices(4, 1))
    wins = np.round(100_000 / (1 + np.exp(worth[second] - worth[first])))
    counts = PairCounts(
        items=("a", "b", "c", "d"), first=first, second=second, first_wins=wins,
        second_wins=100_000 - wins, ties=np.full(6, 7.0),
    )  # fmt: skip
    for kind in ("deviance", "plane"):
        found = cyclicity_test(counts, np.random.default_rng(0), kind=kind, num_draws=19)
        assert found.statistic < 0.1
        assert found.p_value == 1.0
        assert found.votes == 600_000


def test_relabelling_items_and_reversing_roles_keep_the_statistic():
    rng = np.random.default_rng(3)
    counts = votes(rng, 7, 9, 0.5)
    flipped = replace(counts, first_wins=counts.second_wins, second_wins=counts.first_wins)
    for kind in ("deviance", "plane"):
        one, two = (
            cyclicity_test(c, np.random.default_rng(0), kind=kind, num_draws=19).statistic
            for c in (counts, flipped)
        )
        assert one == pytest.approx(two, rel=1e-6)


def test_a_cycle_is_seen_split_drawn_and_hedged():
    turn = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    comparison = np.zeros((5, 5))
    comparison[:3, :3] = 2.0 * turn
    comparison[:3, 3:], comparison[3:, :3] = 2.0, -2.0
    first, second = (index.astype(np.int32) for index in np.triu_indices(5, 1))
    rng = np.random.default_rng(0)
    wins = rng.binomial(60, 1 / (1 + np.exp(-comparison[first, second]))).astype(float)
    counts = PairCounts(
        items=("rock & roll", "paper", "scissors", "mud", "dust"), first=first, second=second,
        first_wins=wins, second_wins=60 - wins, ties=np.zeros(10),
    )  # fmt: skip
    found = intransitivity(counts, rng, num_draws=59)
    assert all(test.p_value < 0.05 for test in found.tests)
    assert set(found.cycles[0].items) == {0, 1, 2}
    assert found.winner.probability[:3].min() > 0.1
    assert found.winner.probability[3:].max() == 0.0
    assert found.winner.worst >= 0.5 - 1e-7
    assert found.best_worst < 0.3
    picture = cycle_picture(found.fit.comparison(), counts.items, found.cycles,
                            lottery=found.winner.probability)  # fmt: skip
    tree = ElementTree.fromstring(picture)
    words = " ".join(tree.itertext())
    assert "rock & roll" in words
    assert "paper" in words
    assert "mud" not in words


def test_a_transitive_world_elects_the_strongest():
    rng = np.random.default_rng(8)
    counts = votes(rng, 8, 60, 0.0)
    found = intransitivity(counts, rng, num_draws=19)
    assert found.split.cyclic_share == pytest.approx(0.0, abs=1e-12)
    assert found.winner.probability[found.best] == pytest.approx(1.0)
    assert found.best_worst == found.winner.worst or found.best_worst > 0.5
    assert found.cycles == ()


def test_many_cycles_fit_the_picture():
    rng = np.random.default_rng(1)
    comparison = skew_matrix(rng.normal(size=(30, 2)), np.ones(1))
    cycles = strongest_cycles(comparison, ~np.eye(30, dtype=bool), top=40)
    tree = ElementTree.fromstring(
        cycle_picture(comparison, [f"item {k}" for k in range(30)], cycles, max_items=8)
    )
    circles = [node for node in tree.iter() if node.tag.endswith("circle")]
    assert 3 <= len(circles) <= 8


def test_votes_that_no_test_can_use_are_refused():
    rng = np.random.default_rng(0)
    counts = votes(rng, 5, 6, 0.0)
    with pytest.raises(DataError, match="fractions of votes"):
        cyclicity_test(replace(counts, first_wins=counts.first_wins + 0.5), rng)
    tree = PairCounts(
        items=("a", "b", "c"), first=np.array([0, 1]), second=np.array([1, 2]),
        first_wins=np.array([3.0, 1.0]), second_wins=np.array([1.0, 2.0]), ties=np.zeros(2),
    )  # fmt: skip
    with pytest.raises(DataError, match="cannot go round"):
        cyclicity_test(tree, rng)
    with pytest.raises(ConfigError, match="at least 19 draws"):
        cyclicity_test(counts, rng, num_draws=5)
    with pytest.raises(DataError, match="no cycle to draw"):
        cycle_picture(np.zeros((3, 3)), "abc", ())
