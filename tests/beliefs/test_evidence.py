"""What a belief makes of all answers of a person together."""

import numpy as np
import pytest

from penchant.beliefs.evidence import log_evidence
from penchant.data.records import Records
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.latent_class_logit import LatentClassLogit
from penchant.models.mixed_logit import MixedLogit


def choices(rng, num_people=60, num_tasks=5):
    shape = (num_people * num_tasks, 3)
    x, y = rng.normal(size=shape), rng.normal(size=shape)
    taste = np.repeat(rng.normal(1.0, 1.5, num_people), num_tasks)[:, None]
    return Records.from_arrays(
        options={"x": x, "y": y},
        rows={
            "person": np.repeat([f"p{i:02}" for i in range(num_people)], num_tasks),
            "chosen": (taste * x + 0.5 * y + rng.gumbel(size=shape)).argmax(axis=1),
        },
    )


@pytest.fixture(scope="module")
def records():
    return choices(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("estimator", "tolerance"),
    [
        (ConditionalLogit("x + y"), 1e-8),
        (LatentClassLogit("x + y", num_classes=2), 1e-6),
        (MixedLogit("x + y", num_draws=2000), 0.05),
    ],
)
def test_over_all_people_it_is_the_likelihood_of_the_fit(records, estimator, tolerance):
    belief = estimator.fit(records).belief_
    evidence = log_evidence(belief, belief.encode(records))
    assert evidence.shape == (60,)
    assert evidence.sum() == pytest.approx(belief.report.log_likelihood, abs=tolerance)


def test_a_person_of_lasting_taste_is_likelier_together_than_answer_by_answer(records):
    belief = LatentClassLogit("x + y", num_classes=2).fit(records).belief_
    batch = belief.encode(records)
    alone = sum(block.sum() for block in belief.log_prob(batch))
    assert log_evidence(belief, batch).sum() > alone + 10


def test_one_random_taste_is_integrated_as_by_quadrature():
    records = choices(np.random.default_rng(1), num_people=12, num_tasks=30)
    belief = MixedLogit("x + y", random="x", num_draws=200).fit(records).belief_
    batch = belief.encode(records)
    location, spread = belief.theta[0], belief.theta[-1]
    grid = np.linspace(-9, 9, 4001)
    log_joint = np.tile(-0.5 * grid**2 - 0.5 * np.log(2 * np.pi), (12, 1))
    (block,) = batch.blocks
    for row in range(len(block)):
        worth = np.outer(location + spread * grid, block.features[row, :, 0])
        worth += belief.theta[1] * block.features[row, :, 1]
        chosen = worth[:, block.answer["chosen"][row]]
        log_joint[block.group[row]] += chosen - np.log(np.exp(worth).sum(axis=1))
    exact = np.log(np.exp(log_joint).sum(axis=1) * (grid[1] - grid[0]))
    np.testing.assert_allclose(log_evidence(belief, batch), exact, atol=0.01)
