"""Answers of those accepted only: estimates are right on average, and the panel is heard."""

import itertools

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.evaluation.one_sided import accept_applicants
from penchant.policies.bandits.one_sided import FairOneSided, OneSidedConfig, OneSidedDecision
from penchant.simulation.applicants import Panel, ThresholdRules, drawn_applicants

ACCEPTS = np.array([[True, True, False], [False, True, False], [True, False, True]])


def test_estimated_losses_are_those_of_all_on_average():
    """Over every set of accepted people, weighted by its probability under the policy."""
    config = OneSidedConfig(num_rules=3, num_each=3, num_rounds=100, exploration=0.2, rate=0.3)
    good = np.array([True, False, True])
    policy = FairOneSided(config)
    share = policy.decide(ACCEPTS).share
    np.testing.assert_allclose(share, 0.2 + 0.8 * ACCEPTS.mean(axis=0))
    total = np.zeros(3)
    outcomes = [(0.2, np.ones(3, dtype=bool)), *((0.8 / 3, row) for row in ACCEPTS)]
    for chance, taken in outcomes:
        fresh = FairOneSided(config)
        fresh.update(OneSidedDecision(taken, share, ACCEPTS), good, None)
        total += chance * fresh._loss
    np.testing.assert_allclose(total, ACCEPTS @ (1 - 2.0 * good))


def test_a_report_costs_the_rules_that_favour_the_first_and_pays_the_others():
    config = OneSidedConfig(num_rules=3, num_each=3, num_rounds=100, price=2.0)
    policy, none = FairOneSided(config), np.zeros(3, dtype=bool)
    policy.update(OneSidedDecision(none, np.ones(3), ACCEPTS), none, (1, 0))
    np.testing.assert_allclose(policy._loss, [0.0, 2.0, -2.0])
    assert policy.weights[2] > policy.weights[0] > policy.weights[1]
    assert policy.weights.sum() == pytest.approx(1.0)


def test_acceptance_is_as_likely_as_it_says():
    config = OneSidedConfig(num_rules=3, num_each=3, num_rounds=100, exploration=0.3)
    policy = FairOneSided(config, random_state=1)
    made = [policy.decide(ACCEPTS) for _ in range(4000)]
    taken = np.mean([decision.accepted for decision in made], axis=0)
    np.testing.assert_allclose(taken, made[0].share, atol=0.03)


def test_a_pair_is_reported_when_enough_auditors_find_it_too_far_apart():
    features, share = np.array([[0.0], [0.1], [2.0]]), np.array([0.9, 0.2, 0.1])
    panel = Panel(weight=np.array([[1.0], [1.0], [50.0]]), slack=0.1)
    assert panel.report(features, share) == (0, 1)
    assert Panel(weight=panel.weight, slack=0.7).report(features, share) is None
    assert Panel(weight=panel.weight, slack=0.1, quorum=1.0).report(features, share) is None
    assert panel.report(features, np.full(3, 0.4)) is None


def run(price, num_rounds=1500):
    rng = np.random.default_rng(0)
    applicants, rules = drawn_applicants(num_rounds, 4, rng), ThresholdRules.grid(5, 7)
    plain = OneSidedConfig(num_rules=35, num_each=4, num_rounds=num_rounds, price=price)
    config = OneSidedConfig(
        num_rules=35, num_each=4, num_rounds=num_rounds, price=price, rate=4 * plain.step
    )
    panel = Panel(weight=np.full((3, 2), 0.3))
    policy = FairOneSided(config, random_state=0)
    return accept_applicants(policy, applicants, rules, panel, config.charged), applicants, policy


def test_errors_fall_as_answers_of_accepted_people_come_in():
    found, applicants, _ = run(price=0.0)
    assert found.error[-400:].mean() < 0.9 * found.error[:100].mean()
    # No policy errs less than one that knows every chance.
    known = np.minimum(applicants.chance, 1 - applicants.chance).mean()
    assert found.error[-400:].mean() > known


def test_a_price_on_reports_makes_them_rare():
    free, dear = run(price=0.0)[0], run(price=4.0)[0]
    assert dear.is_reported[-400:].mean() < 0.4 * free.is_reported[-400:].mean()


def test_losses_of_rules_are_those_of_following_each_alone():
    found, applicants, _ = run(price=0.0, num_rounds=60)
    rules = ThresholdRules.grid(5, 7)
    accepts = rules.accept(applicants.features)
    np.testing.assert_allclose(
        found.loss_of_rules, np.einsum("thk,tk->h", accepts, 1 - 2 * applicants.chance)
    )
    assert found.regret == found.loss - found.loss_of_rules.min()


def test_rules_of_a_grid_are_all_different():
    rules = ThresholdRules.grid(4, 3)
    lines = {(*d.round(6), o) for d, o in zip(rules.direction, rules.offset.tolist())}
    assert len(lines) == 12
    one = rules.accept(np.array([[0.3, 0.4]]))
    for h, k in itertools.product(range(12), range(1)):
        assert one[h, k] == (rules.direction[h] @ [0.3, 0.4] >= rules.offset[h])


def test_steps_are_those_of_the_second_moments_of_losses():
    made = OneSidedConfig(num_rules=100, num_each=4, num_rounds=16, price=3.0, exploration=0.5)
    assert made.step == pytest.approx(np.sqrt(np.log(100) / (16 * (16 / 0.5 + 9))))
    assert OneSidedConfig(num_rules=2, num_each=1, num_rounds=16).explored == 0.5


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="two rules or more"):
        OneSidedConfig(num_rules=1, num_each=1, num_rounds=1)
    with pytest.raises(ConfigError, match="exploration is 0"):
        OneSidedConfig(num_rules=2, num_each=1, num_rounds=1, exploration=0.0)
    with pytest.raises(ConfigError, match="price is -1"):
        OneSidedConfig(num_rules=2, num_each=1, num_rounds=1, price=-1.0)
    policy = FairOneSided(OneSidedConfig(num_rules=2, num_each=3, num_rounds=9))
    with pytest.raises(DataError, match="3 rules answered"):
        policy.decide(ACCEPTS)
