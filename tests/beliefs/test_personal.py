"""One person's posterior: mode, curvature and draws, against brute force and each other."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs import personal
from penchant.beliefs.belief import Belief
from penchant.beliefs.personal import (
    TastePosterior,
    personal_modes,
    personal_tastes,
    posterior_draws,
    posterior_update,
    quasi_normal,
    taste_prior,
)
from penchant.beliefs.taste_posterior import TastePrior
from penchant.errors import BeliefError
from penchant.populations.classes import Classes
from penchant.populations.normal import Normal
from penchant.simulation.choices import SimulationConfig, simulate_choices
from penchant.utilities.linear import Linear


def world(seed, num_features=3, num_people=6, num_tasks=6, size=1.0, menu_sizes=(3, 2)):
    """People, the prior they come from, and their choices; the first taste does not vary."""
    rng = np.random.default_rng(seed)
    root = np.tril(rng.normal(size=(num_features, num_features))) * size
    root[0] = 0.0
    simulated = simulate_choices(
        SimulationConfig(
            part_worths=(tuple(rng.normal(size=num_features)),),
            spread=tuple(map(tuple, root)),
            num_people=num_people,
            num_tasks=num_tasks,
            menu_sizes=menu_sizes,
        ),
        rng,
    )
    # The first column of L moves the others too: the covariance has full rank without taste 0.
    covariance = (root @ root.T)[1:, 1:]
    prior = TastePrior(
        mean=simulated.theta[:num_features],
        random=np.arange(1, num_features),
        root=np.linalg.cholesky(covariance + 1e-12 * np.eye(num_features - 1)),
    )
    return simulated, prior


def belief_of(prior, population=None):
    pairs = np.tril_indices(len(prior.random))
    population = population or Normal(
        random=tuple(prior.random.tolist()),
        distributions=("normal",) * len(prior.random),
        correlated=True,
        num_draws=64,
    )
    theta = np.concatenate([prior.mean, prior.root[pairs]])
    return Belief(
        theta=theta,
        parameter_names=tuple(map(str, range(len(theta)))),
        utility=Linear(),
        population=population,
        posterior="laplace",
    )


def log_joint(simulated, prior, person, z):
    """Plain Python: log p(answers of one person | z) - z'z/2."""
    total = -0.5 * float(z @ z)
    taste = prior.mean.copy()
    taste[prior.random] += prior.root @ z
    for block in simulated.batch.blocks:
        for b in np.flatnonzero(block.group == person):
            worths = block.features[b] @ taste
            total += worths[block.answer["chosen"][b]] - np.log(np.exp(worths).sum())
    return total


@settings(max_examples=20, deadline=None)  # the first call compiles
@given(st.integers(0, 10_000), st.floats(0.1, 20.0), st.integers(2, 5))
def test_fused_modes_and_draws_equal_the_plain_ones(seed, size, num_features):
    simulated, prior = world(seed, num_features, size=size)
    flat = simulated.flat()
    start = np.zeros((6, num_features - 1))
    fused = personal_modes(flat, prior)
    plain = personal.laplace(flat, prior, start, 50, 1e-14)
    np.testing.assert_allclose(fused.mode, plain.mode, atol=1e-6)
    np.testing.assert_allclose(fused.lower, plain.lower, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fused.log_joint, plain.log_joint, atol=1e-9)
    noise = quasi_normal(16, num_features - 1, 0)
    mine = posterior_draws(flat, prior, plain, noise)
    theirs = personal.weigh(flat, prior, plain.mode, plain.widened(), noise)
    np.testing.assert_allclose(mine.z, theirs.z, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(mine.log_ratio, theirs.log_ratio, rtol=1e-9, atol=1e-9)


def test_at_the_mode_the_slope_is_zero_and_lower_is_the_root_of_the_curvature():
    simulated, prior = world(3)
    modes = personal_modes(simulated.flat(), prior)
    for person in range(6):
        z = modes.mode[person]

        def value(shift, person=person, z=z):
            return log_joint(simulated, prior, person, z + shift)

        axes = 1e-4 * np.eye(len(z))
        slope = [(value(a) - value(-a)) / 2e-4 for a in axes]
        bend = [
            [-(value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / 4e-8 for a in axes]
            for b in axes
        ]
        np.testing.assert_allclose(slope, 0.0, atol=1e-4)
        lower = modes.lower[person]
        np.testing.assert_allclose(lower @ lower.T, bend, atol=1e-5)
        assert modes.log_joint[person] == pytest.approx(value(np.zeros(len(z))), abs=1e-9)


def test_weighted_draws_equal_reweighting_of_many_prior_draws():
    simulated, prior = world(5, num_people=4, size=1.5)
    flat = simulated.flat()
    draws = posterior_draws(flat, prior, personal_modes(flat, prior), quasi_normal(4000, 2, 1))
    weights = np.exp(draws.log_weights)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-12)
    mean = np.einsum("gs,gsr->gr", weights, draws.z)
    second = np.einsum("gs,gsr,gsq->grq", weights, draws.z, draws.z)
    many = np.random.default_rng(0).normal(size=(20_000, 2))
    for person in range(4):
        logs = np.array([log_joint(simulated, prior, person, z) for z in many])
        logs += 0.5 * (many**2).sum(axis=1)
        brute = np.exp(logs - logs.max())
        evidence = np.log(brute.mean()) + logs.max()
        brute /= brute.sum()
        np.testing.assert_allclose(mean[person], brute @ many, atol=0.05)
        np.testing.assert_allclose(
            second[person], np.einsum("s,sr,sq->rq", brute, many, many), atol=0.08
        )
        assert draws.log_evidence[person] == pytest.approx(evidence, abs=0.05)


def test_laplace_alone_is_close_and_the_weights_mend_the_rest():
    simulated, prior = world(9, num_people=30, size=2.0)
    flat = simulated.flat()
    modes = personal_modes(flat, prior)
    rough = posterior_draws(flat, prior, modes, quasi_normal(2000, 2, 0)).log_evidence
    fine = posterior_draws(flat, prior, modes, quasi_normal(20_000, 2, 7)).log_evidence
    assert np.abs(rough - fine).max() < 0.02
    assert 0.01 < np.abs(modes.log_evidence - fine).max() < 0.5


def test_a_person_without_answers_has_the_prior():
    simulated, prior = world(2)
    history = simulated.batch.take_rows(np.arange(6, 36))  # the first person says nothing
    tastes = personal_tastes(belief_of(prior), simulated.batch, history, num_draws=2048)
    np.testing.assert_allclose(tastes.log_weights[0], -np.log(2048), atol=1e-9)
    np.testing.assert_allclose(tastes.values[0].mean(axis=0), prior.mean, atol=0.01)
    spread = np.cov(tastes.values[0, :, 1:].T)
    np.testing.assert_allclose(spread, prior.root @ prior.root.T, atol=0.05)
    assert np.ptp(tastes.log_weights[1]) > 0.1


def test_what_a_person_says_does_not_depend_on_how_many_are_asked(monkeypatch):
    simulated, prior = world(3, num_people=7)
    belief, batch = belief_of(prior), simulated.batch
    together = belief.predict_proba(batch, batch)
    log_prob, means = belief.log_prob(batch, batch), belief.mean_tastes(batch, batch)
    # Room for three people's draws at a time, and then for less than one's.
    for room in (3 * 256 * 3, 1):
        monkeypatch.setattr(personal, "DRAW_FLOATS", room)
        for one, other in zip(together, belief.predict_proba(batch, batch)):
            np.testing.assert_allclose(other, one, rtol=1e-13)
        for one, other in zip(log_prob, belief.log_prob(batch, batch)):
            np.testing.assert_allclose(other, one, rtol=1e-13)
        np.testing.assert_allclose(belief.mean_tastes(batch, batch), means, rtol=1e-13)
    alone = batch.take_groups(np.array([4]))
    assert belief.tastes(alone, batch).values.shape[1] == 256
    np.testing.assert_allclose(belief.mean_tastes(alone, batch)[0], means[4], rtol=1e-13)


def test_predictions_with_history_equal_reweighting_the_population():
    simulated, prior = world(4, num_people=8, num_tasks=8, menu_sizes=(3,))
    task = simulated.batch.blocks[0].row % 8
    history = simulated.batch.take_rows(np.flatnonzero(task < 6))
    future = simulated.batch.take_rows(np.flatnonzero(task >= 6))
    by_laplace = belief_of(prior).predict_proba(future, history)[0]
    population = Normal(
        random=(1, 2), distributions=("normal", "normal"), correlated=True, num_draws=20_000
    )
    reweighted = belief_of(prior, population)
    object.__setattr__(reweighted, "posterior", "reweight")
    np.testing.assert_allclose(by_laplace, reweighted.predict_proba(future, history)[0], atol=0.01)


def test_all_answers_to_one_menu_update_to_the_same_mode_as_newton():
    simulated, prior = world(6, num_people=5, num_tasks=1, menu_sizes=(4,))
    modes = personal_modes(simulated.flat(), prior)
    covariance = np.zeros((3, 3))
    covariance[1:, 1:] = prior.root @ prior.root.T
    start = TastePosterior(mean=prior.mean, covariance=covariance)
    (block,) = simulated.batch.blocks
    for person in range(5):
        updated = posterior_update(
            start, block.features[person], int(block.answer["chosen"][person])
        )
        expected = prior.mean.copy()
        expected[1:] += prior.root @ modes.mode[person]
        np.testing.assert_allclose(updated.mean, expected, atol=1e-6)
        np.testing.assert_allclose(
            updated.covariance[1:, 1:],
            prior.root @ modes.covariance()[person] @ prior.root.T,
            atol=1e-6,
        )


def test_updating_answer_by_answer_stays_near_the_posterior_of_all():
    simulated, prior = world(7, num_people=1, num_tasks=40, menu_sizes=(3,))
    mode = personal_modes(simulated.flat(), prior).mode[0]
    covariance = np.zeros((3, 3))
    covariance[1:, 1:] = prior.root @ prior.root.T
    belief = TastePosterior(mean=prior.mean, covariance=covariance)
    (block,) = simulated.batch.blocks
    for features, chosen in zip(block.features, block.answer["chosen"]):
        belief = posterior_update(belief, features, int(chosen))
        assert np.linalg.eigvalsh(belief.covariance).min() > -1e-10
    sd = np.sqrt(np.diag(belief.covariance)[1:])
    shift = (belief.mean[1:] - prior.mean[1:] - prior.root @ mode) / sd
    assert np.abs(shift).max() < 1.0
    assert sd.max() < 0.7 * np.sqrt(np.diag(covariance)[1:].max())


def test_a_wild_answer_does_not_throw_the_update_off():
    start = TastePosterior(mean=np.array([30.0, -30.0]), covariance=100.0 * np.eye(2))
    menu = np.array([[5.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    updated = posterior_update(start, menu, 1)
    worths = menu @ updated.mean
    expo = np.exp(worths - worths.max())
    residual = np.array([0.0, 1.0, 0.0]) - expo / expo.sum()
    np.testing.assert_allclose(updated.mean - start.mean, 100.0 * menu.T @ residual, atol=1e-4)


def test_only_normal_populations_are_taken():
    belief = Belief(theta=np.zeros(5), parameter_names=(), utility=Linear(), population=Classes(2))
    with pytest.raises(BeliefError, match="needs a population whose tastes are normal"):
        taste_prior(belief)


def test_a_new_person_takes_less_than_a_millisecond():
    simulated, prior = world(8, num_features=10, num_people=1, num_tasks=6, menu_sizes=(3,))
    flat = simulated.flat()
    personal_modes(flat, prior)
    times = []
    for _ in range(50):
        began = time.process_time()
        personal_modes(flat, prior)
        times.append(time.process_time() - began)
    assert np.median(times) < 1e-3


def test_a_persons_prediction_does_not_depend_on_who_else_is_asked_about():
    spread = ((0.8, 0.0), (0.3, 0.6))
    config = SimulationConfig(part_worths=((1.0, -0.5),), spread=spread, num_people=30)
    batch = simulate_choices(config, np.random.default_rng(0)).batch
    population = Normal(random=(0, 1), distributions=("normal",) * 2, correlated=True)
    theta = np.array([1.0, -0.5, 0.8, 0.3, 0.6])
    belief = Belief(
        theta=theta,
        parameter_names=tuple("abcde"),
        utility=Linear(),
        population=population,
        posterior="laplace",
    )
    together = belief.predict_proba(batch, batch)[0]
    for person in (0, 7, 29):
        alone = batch.take_groups(np.array([person]))
        mine = batch.blocks[0].group == person
        np.testing.assert_array_equal(belief.predict_proba(alone, alone)[0], together[mine])
