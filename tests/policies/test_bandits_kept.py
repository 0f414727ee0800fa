"""What a bandit knows is kept in files, and whoever takes it up decides as it would have."""

import json

import numpy as np
import pytest

from penchant.beliefs.storage import JSON_NAME
from penchant.errors import BeliefError
from penchant.policies.bandits.advice import AdviceBandit, AdviceBelief, AdviceConfig
from penchant.policies.bandits.combinations import SemiBandit, largest
from penchant.policies.bandits.linear import LinearBandit, LinearState
from penchant.policies.bandits.rules import (
    Elimination,
    ExploreFirst,
    InverseGap,
    Thompson,
    UpperConfidence,
)
from penchant.policies.bandits.zooming import ZoomingBandit, ZoomingBelief, ZoomingConfig

ADVICE = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])


def advised(kept=None):
    """No horizon, so that its steps hang on how many rewards there were."""
    config = AdviceConfig(num_experts=3, num_arms=3, floor=0.1)
    return AdviceBandit(kept or config, random_state=5)


def advise(bandit, rng):
    decision = bandit.decide(ADVICE)
    bandit.update(decision, float(rng.random() < 0.3 + 0.2 * decision.arm))
    return decision.probabilities


def zooming(kept=None):
    config = ZoomingConfig(num_rounds=200, num_coordinates=2, lipschitz=1.5, width=0.3)
    return ZoomingBandit(kept or config, random_state=5)


def zoom(bandit, rng):
    decision = bandit.decide()
    bandit.update(decision, float(rng.random() < 0.9 - 0.5 * abs(decision.point[0] - 0.4)))
    return decision.point


def together(rule):
    def make(kept=None):
        if kept is not None:
            return SemiBandit.resumed(kept, largest(2), num_draws=16, random_state=5)
        return SemiBandit("abcd", 2, largest(2), rule=rule, noise=0.5, prior_precision=0.3,
                          num_draws=16, random_state=5)  # fmt: skip

    return make


def combine(bandit, rng):
    decision = bandit.decide(rng.normal(size=2))
    rewards = {name: float(rng.normal() + "abcd".index(name)) for name in decision.items}
    bandit.update(decision, rewards)
    return decision.inclusion


def linear(rule, **settings):
    def make(kept=None):
        if kept is not None:
            return LinearBandit.resumed(kept, random_state=5)
        return LinearBandit("abc", 2, rule=rule, random_state=5, **settings)

    return make


def play(bandit, rng):
    decision = bandit.decide(rng.normal(size=2))
    bandit.update(decision, float(rng.random() < 0.2 + 0.3 * decision.place))
    return decision.probabilities


CASES = [
    (advised, advise, "belief_"), (zooming, zoom, "belief_"),
    (together(Thompson(width=0.7)), combine, "state"),
    (together(UpperConfidence(width=1.3)), combine, "state"),
    (linear(ExploreFirst(num_each=30)), play, "state"),
    (linear(Elimination(), prior_precision=0.2, noise=0.7), play, "state"),
    (linear(InverseGap(gamma=9.0), forgetting=0.95), play, "state"),
    (linear(Thompson(), is_binary=True), play, "state"),
]  # fmt: skip


@pytest.mark.parametrize("before", [0, 1, 60])
@pytest.mark.parametrize(("make", "round_", "name"), CASES)
def test_broken_off_and_taken_up_again_it_decides_as_if_it_had_not_been(
    make, round_, name, before, tmp_path
):
    bandit, rng = make(), np.random.default_rng(1)
    for _ in range(before):
        round_(bandit, rng)
    known = getattr(bandit, name)
    known.save(tmp_path)
    again = make(type(known).load(tmp_path))
    # Chance is not kept: both get the same from here on.
    for each in (bandit, again):
        each._generator, each._chances = np.random.default_rng(3), []
    assert again._generator is not bandit._generator
    one, other = np.random.default_rng(2), np.random.default_rng(2)
    for _ in range(60):
        np.testing.assert_array_equal(round_(bandit, one), round_(again, other))


@pytest.mark.parametrize(("make", "round_", "name"), CASES)
def test_what_was_kept_does_not_change_with_what_is_learnt_later(make, round_, name):
    bandit, rng = make(), np.random.default_rng(1)
    for _ in range(5):
        round_(bandit, rng)
    known = getattr(bandit, name)
    before = json.dumps(_plain(known))
    for _ in range(5):
        round_(bandit, rng)
    assert json.dumps(_plain(known)) == before
    assert json.dumps(_plain(getattr(bandit, name))) != before


def _plain(known):
    return {field: np.asarray(getattr(known, field)).tolist() for field in known.__slots__
            if field not in ("rule", "config")}  # fmt: skip


def test_another_belief_a_damaged_or_a_newer_one_is_refused(tmp_path):
    advised().belief_.save(tmp_path)
    for kind in (ZoomingBelief, LinearState):
        with pytest.raises(BeliefError, match="holds a AdviceBelief"):
            kind.load(tmp_path)
    file = tmp_path / JSON_NAME
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"format": 99}))
    with pytest.raises(BeliefError, match="format 99"):
        AdviceBelief.load(tmp_path)
    told["belief"]["fields"]["num_seen"] = 7
    file.write_text(json.dumps(told))
    with pytest.raises(BeliefError, match="changed after"):
        AdviceBelief.load(tmp_path)
