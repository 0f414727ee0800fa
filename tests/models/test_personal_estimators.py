"""Personal tastes from answers that are no choice: found, surer with every answer, saved."""

from dataclasses import replace

import numpy as np
import pytest

from fitting.answers_of_kinds import answered_by
from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch
from penchant.feedback.channel_option import Rating
from penchant.models.personal_logit import PersonalLogit
from penchant.simulation.choices import SimulationConfig

WORLD = SimulationConfig(
    part_worths=((1.0, -0.5),), spread=((1.0, 0.0), (0.5, 0.7)), num_people=160, num_tasks=6,
    menu_sizes=(3,),
)  # fmt: skip
CUTS = (-1.0, np.log(1.2), np.log(1.2))
KINDS = ("rating", "ranking", "both")


def world(kind, seed):
    """Answers of one kind, or the first half of the tasks in stars and the second in order."""
    if kind != "both":
        return answered_by(kind, WORLD, np.random.default_rng(seed))
    stars, order = (
        answered_by(k, WORLD, np.random.default_rng(seed)) for k in ("rating", "ranking")
    )
    blocks = []
    for each, is_mine in ((stars, lambda row: row % 6 < 3), (order, lambda row: row % 6 >= 3)):
        (block,) = each.batch.blocks
        blocks.append(block.take(np.flatnonzero(is_mine(block.row))))
    return replace(stars, batch=replace(stars.batch, blocks=tuple(blocks)))


def first(batch: Batch, k: int) -> Batch:
    """The first k answers of everybody, in the order of their tasks."""
    rows = np.arange(batch.num_rows)
    return batch.take_rows(rows[rows % 6 < k])


@pytest.fixture(scope="module", params=KINDS)
def fitted(request):
    simulated = world(request.param, 0)
    return request.param, simulated, PersonalLogit(num_draws=100).fit(simulated.batch)


def test_the_population_and_the_thresholds_are_found(fitted):
    kind, simulated, model = fitted
    belief = model.belief_
    truth = np.concatenate([simulated.theta, () if kind == "ranking" else CUTS])
    assert len(belief.theta) == len(truth)
    for covariance in (belief.covariance, belief.robust_covariance):
        assert np.abs((belief.theta - truth) / np.sqrt(np.diag(covariance))).max() < 3.5
    assert belief.report.converged
    assert belief.posterior == "laplace"


def test_a_new_person_is_known_better_with_every_answer(fitted):
    kind, _, model = fitted
    fresh = world(kind, 1)
    errors, losses = [], []
    rows = np.arange(fresh.batch.num_rows)
    last = fresh.batch.take_rows(rows[rows % 6 == 5])
    for k in (0, 1, 2, 5):
        history = first(fresh.batch, k)
        tastes = model.belief_.mean_tastes(fresh.batch, history)
        errors.append(float(np.mean((tastes - fresh.tastes) ** 2)))
        losses.append(-model.score(last, history=history))
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 0.55 * errors[0]
    assert losses[-1] < losses[0] - 0.1


def test_nineteen_of_twenty_new_people_lie_where_their_answers_say(fitted):
    kind, _, model = fitted
    fresh = world(kind, 2)
    tastes = model.belief_.tastes(fresh.batch, fresh.batch)
    below = np.einsum(
        "gs,gsd->gd", np.exp(tastes.log_weights), tastes.values < fresh.tastes[:, None]
    )
    covered = float((np.abs(below - 0.5) < 0.475).mean())
    # 320 tastes, from a population that is itself estimated: a standard error of 1.7 points.
    assert 0.89 < covered < 0.99


def test_what_was_learnt_of_ratings_survives_a_folder(fitted, tmp_path):
    kind, simulated, model = fitted
    model.save(tmp_path / "belief")
    again = Belief.load(tmp_path / "belief")
    one, two = (b.mean_tastes(simulated.batch, simulated.batch) for b in (model.belief_, again))
    np.testing.assert_array_equal(one, two)
    if kind != "ranking":
        assert any(isinstance(channel, Rating) for channel in again.channels)


def test_people_asked_about_together_or_alone_are_told_the_same():
    simulated = world("rating", 3)
    model = PersonalLogit(num_draws=60).fit(simulated.batch)
    whole = model.foretell(simulated.batch, simulated.batch)[0].expected
    (block,) = simulated.batch.blocks
    some = simulated.batch.take_groups(np.array([7, 3]))
    alone = model.foretell(some, simulated.batch)[0].expected
    mine = np.flatnonzero(np.isin(block.group, [3, 7]))
    np.testing.assert_allclose(alone, whole[mine], rtol=1e-8)
