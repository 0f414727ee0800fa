"""A person's taste from answers of every kind: as by hand, as by quadrature, as from choices."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.answers_of_kinds import answered_by
from penchant.beliefs.belief import Belief
from penchant.beliefs.evidence import log_evidence
from penchant.beliefs.foretold import foretell
from penchant.beliefs.personal import (
    PersonalAnswers,
    personal_answers,
    personal_modes,
    posterior_draws,
    quasi_normal,
    taste_prior,
)
from penchant.beliefs.personal_kinds import AnswersOfKinds
from penchant.beliefs.taste_posterior import TastePrior
from penchant.data.batch import Batch
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Approval, Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import GradedPair, Pair
from penchant.populations.normal import Normal
from penchant.simulation.choices import SimulationConfig, simulate_choices
from penchant.utilities.linear import Linear

# The likelihoods that `answered_by` draws from.
TRUTH = {
    "ranking": (Ranking(), ()),
    "best_worst": (BestWorst(), ()),
    "rating": (Rating(levels=4), (-1.0, np.log(1.2), np.log(1.2))),
    "approval": (Approval(), (0.5,)),
    "graded": (GradedPair(levels=5), (np.log(0.5), 0.0)),
    "outcome": (Outcome(), (0.0,)),
    "pair": (Pair(ties="rao_kupper"), (np.log(0.7),)),
}
WORLD = SimulationConfig(part_worths=((1.0, -0.5),), spread=((1.2, 0.0), (0.6, 0.8)))


def world(kind, seed=0, num_people=200, num_tasks=6):
    """People of the world above, their answers, and a belief that knows it as it is."""
    size = 2 if kind in ("pair", "graded") else 3
    config = replace(WORLD, num_people=num_people, num_tasks=num_tasks, menu_sizes=(size,))
    rng = np.random.default_rng(seed)
    simulated = simulate_choices(config, rng) if kind == "choice" else answered_by(
        kind, config, rng
    )  # fmt: skip
    channel, own = (Choice(), ()) if kind == "choice" else TRUTH[kind]
    return simulated, belief_of((channel,), np.array(own))


def belief_of(channels, own, sizes=None):
    population = Normal(random=(0, 1), distributions=("normal",) * 2, correlated=True)
    theta = np.concatenate([[1.0, -0.5, 1.2, 0.6, 0.8], own])
    return Belief(
        theta=theta,
        parameter_names=tuple(map(str, range(len(theta)))),
        utility=Linear(),
        population=population,
        channels=channels,
        channel_sizes=sizes or (len(own),),
        posterior="laplace",
    )


@settings(max_examples=15, deadline=None)  # the first call compiles
@given(st.integers(0, 10_000), st.floats(0.1, 10.0), st.booleans())
def test_from_choices_the_general_path_equals_the_fused_one(seed, size, is_weighted):
    rng = np.random.default_rng(seed)
    config = SimulationConfig(
        part_worths=((1.0, -0.5, 0.3),), num_people=7, num_tasks=5, menu_sizes=(3, 2, 5)
    )
    batch = simulate_choices(config, rng).batch
    if is_weighted:
        blocks = tuple(replace(b, weight=rng.uniform(0.2, 3, len(b))) for b in batch.blocks)
        batch = replace(batch, blocks=blocks)
    root = np.tril(size * rng.normal(size=(2, 2)))
    prior = TastePrior(mean=rng.normal(size=3), random=np.array([0, 2]), root=root)
    flat = batch.flat_choices()
    general = AnswersOfKinds(batch=batch, channels=(Choice(),), own=(np.zeros(0),))
    fused, plain = personal_modes(flat, prior), personal_modes(general, prior)
    np.testing.assert_allclose(plain.mode, fused.mode, atol=1e-5)
    np.testing.assert_allclose(plain.lower, fused.lower, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(plain.log_joint, fused.log_joint, atol=1e-8)
    noise = quasi_normal(16, 2, 0)
    mine, theirs = (posterior_draws(a, prior, fused, noise) for a in (general, flat))
    np.testing.assert_allclose(mine.z, theirs.z, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mine.log_ratio, theirs.log_ratio, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", sorted(set(TRUTH) - {"outcome"}))
def test_answers_made_of_choices_equal_their_own_likelihoods(kind):
    simulated, belief = world(kind, num_people=12)
    made = personal_answers(belief, simulated.batch)
    assert not isinstance(made.answers, AnswersOfKinds)
    own = (np.array(TRUTH[kind][1], dtype=float),)
    general = PersonalAnswers.of_kinds(
        AnswersOfKinds(batch=simulated.batch, channels=belief.channels, own=own),
        taste_prior(belief),
    )
    one, other = made.modes(), general.modes()
    np.testing.assert_allclose(other.mode, one.mode, atol=1e-6)
    np.testing.assert_allclose(other.lower, one.lower, rtol=1e-5, atol=1e-6)
    noise = quasi_normal(16, 2, 0)
    np.testing.assert_allclose(
        general.draws(one, noise).log_ratio, made.draws(one, noise).log_ratio, atol=1e-8
    )


def test_numbers_by_hand():
    """Gaussian numbers and a normal population: the posterior is a line with a ridge."""
    simulated, belief = world("outcome", num_people=5)
    batch = simulated.batch
    (block,) = batch.blocks
    tastes = belief.tastes(batch, batch)
    covariance = np.array([[1.2, 0.0], [0.6, 0.8]]) @ np.array([[1.2, 0.6], [0.0, 0.8]])
    logs = log_evidence(belief, batch)
    for g in range(5):
        rows = np.flatnonzero(block.group == g)
        x, y = block.features[rows].reshape(-1, 2), block.answer["value"][rows].ravel()
        posterior = np.linalg.inv(np.linalg.inv(covariance) + x.T @ x)
        mean = posterior @ (np.linalg.solve(covariance, [1.0, -0.5]) + x.T @ y)
        np.testing.assert_allclose(tastes.mean()[g], mean, atol=0.01)
        w = np.exp(tastes.log_weights[g])
        apart = tastes.values[g] - mean
        np.testing.assert_allclose((apart * w[:, None]).T @ apart, posterior, atol=0.01)
        spread = np.eye(len(y)) + x @ covariance @ x.T
        left = y - x @ [1.0, -0.5]
        by_hand = -0.5 * (
            left @ np.linalg.solve(spread, left)
            + np.linalg.slogdet(spread)[1]
            + len(y) * np.log(2 * np.pi)
        )
        assert logs[g] == pytest.approx(by_hand, abs=0.02)


@pytest.mark.parametrize("kind", sorted(TRUTH))
def test_posteriors_equal_quadrature(kind):
    simulated, belief = world(kind, seed=3, num_people=4, num_tasks=3)
    batch = simulated.batch
    points, step = np.linspace(-6, 6, 161, retstep=True)
    z = np.stack(np.meshgrid(points, points, indexing="ij"), axis=-1).reshape(-1, 2)
    values = np.array([1.0, -0.5]) + z @ np.array([[1.2, 0.0], [0.6, 0.8]]).T
    prior = -0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi) + 2 * np.log(step)
    channel, own = TRUTH[kind]
    total = np.zeros((4, len(z)))
    for block in batch.blocks:
        worths = block.features @ values.T
        log_prob = channel.log_prob(worths, block, np.array(own, dtype=float)[:, None])
        np.add.at(total, block.group, log_prob)
    joint = np.exp(total + prior)
    np.testing.assert_allclose(log_evidence(belief, batch), np.log(joint.sum(axis=1)), atol=0.02)
    mean = joint @ values / joint.sum(axis=1)[:, None]
    np.testing.assert_allclose(belief.mean_tastes(batch, batch), mean, atol=0.03)


@pytest.mark.parametrize("kind", sorted(TRUTH))
def test_the_true_taste_lies_within_nineteen_of_twenty_intervals(kind):
    """Of people drawn from the population itself a posterior is right as often as it says."""
    simulated, belief = world(kind, seed=1, num_people=600)
    tastes = belief.tastes(simulated.batch, simulated.batch)
    weights = np.exp(tastes.log_weights)
    below = (weights[:, :, None] * (tastes.values < simulated.tastes[:, None])).sum(axis=1)
    covered = (np.abs(below - 0.5) < 0.475).mean(axis=0)
    # 600 people: a standard error of 0.9 points.
    assert np.all(np.abs(covered - 0.95) < 0.03), covered
    assert np.all(np.abs(below.mean(axis=0) - 0.5) < 0.05)


@pytest.mark.parametrize("kind", sorted(TRUTH))
def test_the_more_answers_the_nearer_is_the_taste(kind):
    simulated, belief = world(kind, seed=2, num_people=300, num_tasks=8)
    batch = simulated.batch
    errors = []
    for k in (0, 1, 2, 4, 8):
        rows = np.arange(batch.num_rows)
        history = batch.take_rows(rows[rows % 8 < k])
        found = belief.mean_tastes(batch, history)
        errors.append(float(np.mean((found - simulated.tastes) ** 2)))
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 0.5 * errors[0]


def test_kinds_together_tell_more_than_each_alone():
    rating, _ = world("rating", seed=5, num_tasks=3)
    order, _ = world("ranking", seed=5, num_tasks=3)
    np.testing.assert_array_equal(rating.tastes, order.tastes)
    own = TRUTH["rating"][1]
    belief = belief_of((TRUTH["rating"][0], Ranking()), np.array(own), (3, 0))

    def error(*batches: Batch) -> float:
        history = replace(
            batches[0], blocks=tuple(block for batch in batches for block in batch.blocks)
        )
        found = belief.mean_tastes(rating.batch, history)
        return float(np.mean((found - rating.tastes) ** 2))

    both = error(rating.batch, order.batch)
    assert both < 0.9 * min(error(rating.batch), error(order.batch))


def test_ties_inside_a_ranking_are_read_by_the_sum_over_orders():
    simulated, belief = world("ranking", seed=6, num_people=100)
    (block,) = simulated.batch.blocks
    # First and second are not told apart: what is left is who came last.
    tied = np.where(block.answer["rank"] == 3, 2, 1)
    batch = replace(simulated.batch, blocks=(replace(block, answer={"rank": tied}),))
    found = belief.mean_tastes(batch, batch)
    before = np.mean((simulated.tastes - [1.0, -0.5]) ** 2)
    assert np.mean((found - simulated.tastes) ** 2) < 0.7 * before


def test_a_person_who_said_nothing_is_the_population():
    simulated, belief = world("rating", num_people=3)
    history = simulated.batch.take_groups(np.array([1]))
    tastes = belief.tastes(simulated.batch, history)
    np.testing.assert_allclose(np.exp(tastes.log_weights[0]), 1 / 256, rtol=1e-9)
    assert np.exp(tastes.log_weights[1]).std() > 1e-4
    expected = foretell(belief, simulated.batch, history)[0].expected
    assert np.isfinite(expected).all()


def test_whom_no_step_takes_up_stays_with_the_value_that_belongs_there(monkeypatch):
    simulated, belief = world("rating", num_people=5)
    own = (np.array(TRUTH["rating"][1], dtype=float),)
    answers = AnswersOfKinds(batch=simulated.batch, channels=belief.channels, own=own)
    prior, true_slope = taste_prior(belief), AnswersOfKinds.slope_and_bend

    def downhill(self, prior, z):
        slope, bend = true_slope(self, prior, z)
        return -1e3 * slope, bend

    monkeypatch.setattr(AnswersOfKinds, "slope_and_bend", downhill)
    # Steps of a thousand units that all lead down: forty halvings leave the last ones.
    modes = personal_modes(answers, prior, max_steps=2)
    found = answers.log_prob(prior, modes.mode[:, None])[:, 0] - 0.5 * (modes.mode**2).sum(axis=1)
    np.testing.assert_array_equal(modes.log_joint, found)
