"""Methods guided by a value on a table: what they spend, what they choose, what is learnt."""

from dataclasses import replace

import numpy as np

from penchant.evaluation.table_trial import chain_features, climbed_table
from penchant.policies.language.methods.value_guided import (
    prompt_curriculum,
    shrunk_prior,
    useful_budget,
)
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.step_table import Sums

ONE = Chain(fewest=1, most=1)
MIXED = Chain(fewest=1, most=6)


def test_a_step_of_even_groups_and_one_of_budgets_cost_the_same_where_problems_are_alike():
    for method in (replace(useful_budget(), spending="even"), useful_budget()):
        run = climbed_table(method, ONE, 1, 30.0, 0, num_problems=4, group_size=8)
        assert run.tokens == (0, 32)
        assert len(run.right) == 2
        assert len(run.mixed) == 1


def test_rollouts_until_the_baseline_is_sure_stay_between_a_group_and_the_most():
    run = climbed_table(shrunk_prior(), ONE, 1, 30.0, 1, num_problems=6, group_size=4)
    assert 24 < run.tokens[-1] <= 96
    least = replace(shrunk_prior(), most=4)
    assert climbed_table(least, ONE, 1, 30.0, 1, num_problems=6, group_size=4).tokens[-1] == 24


def test_it_climbs_and_the_same_seed_is_the_same_run():
    runs = [climbed_table(prompt_curriculum(), MIXED, 12_000, 30.0, seed) for seed in (2, 2, 3)]
    for run in runs:
        assert run.right[-1] > run.right[0] + 0.02
    assert runs[0].right == runs[1].right != runs[2].right


def test_the_curriculum_takes_problems_of_middling_length_once_its_value_knows_them():
    chosen = climbed_table(prompt_curriculum(), Chain(fewest=2, most=8), 9_000, 0.0, 4)
    plain = climbed_table(replace(prompt_curriculum(), candidates=1), Chain(fewest=2, most=8),
                          9_000, 0.0, 4)  # fmt: skip
    # With rate 0 the table stays: long chains are hopeless to it, and it comes to leave them out.
    assert np.mean(chosen.length[-5:]) < np.mean(plain.length[-5:]) - 0.5
    assert np.mean(chosen.mixed[-5:]) > np.mean(plain.mixed[-5:])
    assert chosen.right[0] == chosen.right[-1]


def test_features_say_what_stands_in_a_problem():
    sums = Sums.read(Chain(fewest=2, most=2).draw(3, np.random.default_rng(0)))
    features = chain_features(sums)
    np.testing.assert_allclose(features[:, :30].sum(axis=1), 0.6)
    np.testing.assert_allclose(features[:, 30], 0.2)
