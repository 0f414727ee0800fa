"""What a person's rankings, ratings and ties say of their taste, against integrals by a grid."""

from dataclasses import replace

import numpy as np
import pytest

from feedback.blocks_of_kinds import batch_of, block_of
from penchant.beliefs.belief import Belief
from penchant.beliefs.evidence import log_evidence
from penchant.beliefs.posterior import group_log_likelihood
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Approval, Outcome, Rating
from penchant.feedback.channel_order import Ranking
from penchant.feedback.channel_pair import Pair
from penchant.numerics.arrays import log_sum_exp
from penchant.populations.normal import Normal
from penchant.utilities.linear import Linear

CHANNELS = (Choice(), Ranking(), Rating(levels=4), Pair(ties="davidson"), Approval())
OWN = np.array([-1.0, 0.2, 0.1, -0.4, 0.3])
TASTES = np.array([0.4, -0.6, 0.3, 1.1])


def belief_in(channels=CHANNELS, own=OWN, posterior="laplace"):
    """Of people who differ in the first of three features only, by 1.1."""
    sizes = {Choice: 0, Ranking: 0, Rating: 3, Pair: 1, Approval: 1, Outcome: 1}
    return Belief(
        theta=np.concatenate([TASTES, own]),
        parameter_names=tuple(f"m{m}" for m in range(len(TASTES) + len(own))),
        utility=Linear(),
        population=Normal(random=(0,), distributions=("normal",), num_draws=500),
        channels=channels,
        channel_sizes=tuple(sizes[type(channel)] for channel in channels),
        posterior=posterior,
    )


def answers_of(kinds, seed=5):
    rng = np.random.default_rng(seed)
    return batch_of(*(block_of(kind, rng) for kind in kinds))


def by_grid(belief, batch):
    """log-evidence, mean and standard deviation of the first taste, person by person."""
    z = np.linspace(-9.0, 9.0, 4001)
    values = np.tile(TASTES[:3], (1, len(z), 1))
    values[0, :, 0] += TASTES[3] * z
    total = np.zeros((batch.num_groups, len(z)))
    for block in batch.blocks:
        log_prob = belief._log_prob(batch, block, Linear().worths(block, values))
        total += group_log_likelihood(log_prob, block.group, block.weight, batch.num_groups)
    joint = total - 0.5 * z**2 - 0.5 * np.log(2 * np.pi) + np.log(z[1] - z[0])
    evidence = log_sum_exp(joint, axis=1)
    weight = np.exp(joint - evidence[:, None])
    mean = weight @ values[0, :, 0]
    return evidence, mean, np.sqrt(weight @ values[0, :, 0] ** 2 - mean**2)


@pytest.mark.parametrize(
    "kinds", [("ranking",), ("rating",), ("choice", "ranking", "rating", "pair", "approval")]
)
def test_posteriors_and_evidence_from_any_answers_equal_those_of_a_grid(kinds):
    belief, batch = belief_in(), answers_of(kinds)
    evidence, mean, sd = by_grid(belief, batch)
    np.testing.assert_allclose(log_evidence(belief, batch), evidence, atol=0.004)
    found = belief.tastes(batch, batch)
    np.testing.assert_allclose(found.mean()[:, 0], mean, atol=0.02)
    np.testing.assert_allclose(found.mean()[:, 1:], np.tile(TASTES[1:3], (4, 1)), atol=1e-12)
    square = np.einsum("gs,gs->g", np.exp(found.log_weights), found.values[:, :, 0] ** 2)
    np.testing.assert_allclose(np.sqrt(square - found.mean()[:, 0] ** 2), sd, atol=0.02)
    assert sd.min() < 0.9


def test_answers_that_are_no_choices_have_their_mode_by_their_own_derivatives():
    batch = answers_of(("ranking", "outcome"))
    belief = belief_in((Ranking(), Outcome()), np.array([0.1]))
    evidence, mean, _ = by_grid(belief, batch)
    found = belief.tastes(batch, batch)
    assert found.values.shape == (4, 256, 3)
    np.testing.assert_allclose(found.mean()[:, 0], mean, atol=0.02)
    np.testing.assert_allclose(log_evidence(belief, batch), evidence, atol=0.004)


def test_a_person_without_answers_has_evidence_of_nothing():
    belief, batch = belief_in(), answers_of(("rating",))
    only = replace(batch, blocks=tuple(b.take(np.flatnonzero(b.group != 1)) for b in batch.blocks))
    assert log_evidence(belief, only)[1] == pytest.approx(0.0, abs=1e-6)
