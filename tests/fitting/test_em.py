"""Latent classes: EM climbs, leaves the one-class point, finds the truth, and says what is odd."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting import latent_classes
from penchant.fitting.class_density import ClassDensity
from penchant.fitting.em import EMConfig, em_climb, k_means, newton_climb, one_class
from penchant.fitting.latent_classes import choose_num_classes, fit_latent_classes
from penchant.fitting.newton import NewtonConfig
from penchant.fitting.pooled import fit_pooled
from penchant.simulation.choices import SimulationConfig, simulate_choices

TWO = SimulationConfig(
    part_worths=((1.0, -1.0, 0.5), (-1.0, 0.5, 0.5)),
    router=((-0.5, 1.0),),
    num_group_features=1,
    num_people=400,
)


@pytest.fixture(scope="module")
def two():
    return simulate_choices(TWO, np.random.default_rng(1))


@pytest.fixture(scope="module")
def fitted(two):
    return fit_latent_classes(two.batch, 2, rng=np.random.default_rng(0))


def test_one_class_is_the_conditional_logit(two):
    classes = fit_latent_classes(two.batch, 1, rng=np.random.default_rng(0))
    pooled = fit_pooled(two.batch)
    np.testing.assert_allclose(classes.theta, pooled.theta, atol=1e-7)
    np.testing.assert_allclose(classes.robust_covariance, pooled.robust_covariance, rtol=1e-6)
    assert classes.report.log_likelihood == pytest.approx(pooled.report.log_likelihood, rel=1e-10)


@pytest.mark.parametrize("seed", range(8))
def test_em_never_lowers_the_likelihood(two, seed):
    density = ClassDensity.from_batch(two.batch, 3)
    start = 2.0 * np.random.default_rng(seed).normal(size=len(density.precision))
    values = em_climb(density, start, max_steps=40).values
    assert np.all(np.diff(values) >= 0)
    assert values[-1] > values[0] + 10


def test_the_one_class_point_holds_newton_but_not_us(two, fitted):
    density = ClassDensity.from_batch(two.batch, 2)
    pooled = one_class(density)
    stuck = np.concatenate([pooled.theta, pooled.theta, np.zeros(2)])
    assert np.abs(density.evaluate(stuck).gradient).max() < 1e-5
    stayed = newton_climb(density, stuck, NewtonConfig(), None)
    assert stayed.value == pytest.approx(pooled.value, abs=1e-6)
    assert fitted.report.log_likelihood > pooled.value + 500


def test_the_truth_lies_within_the_intervals(two, fitted):
    truth = fitted.population.largest_first(two.theta, two.batch.group_features)
    for covariance in (fitted.covariance, fitted.robust_covariance):
        z = (fitted.theta - truth) / np.sqrt(np.diag(covariance))
        assert np.abs(z).max() < 3.5
        # Chi-squared with 8 degrees of freedom.
        distance = (fitted.theta - truth) @ np.linalg.solve(covariance, fitted.theta - truth)
        assert 0.5 < distance < 26
    assert fitted.report.converged
    assert fitted.report.warnings == ()


def test_intervals_of_many_samples_cover_the_truth():
    inside, total = 0, 0
    for seed in range(30):
        simulated = simulate_choices(replace(TWO, num_people=300), np.random.default_rng(seed))
        belief = fit_latent_classes(
            simulated.batch,
            2,
            rng=np.random.default_rng(seed),
            config=EMConfig(num_starts=4, num_finalists=1),
        )
        truth = belief.population.largest_first(simulated.theta, simulated.batch.group_features)
        z = (belief.theta - truth) / np.sqrt(np.diag(belief.covariance))
        inside += int((np.abs(z) < 1.96).sum())
        total += len(z)
    # 240 intervals: 0.95 with a standard error of 0.014, a little more as they are dependent.
    assert 0.89 < inside / total < 0.995


def test_people_are_told_apart_by_their_answers(two, fitted):
    tastes = fitted.tastes(two.batch, two.batch)
    guess = np.argmax(tastes.log_weights, axis=1)
    order = np.argsort(-np.bincount(two.classes), kind="stable")
    assert np.mean(order[guess] == two.classes) > 0.9
    np.testing.assert_allclose(np.exp(tastes.log_weights).sum(axis=1), 1.0, rtol=1e-12)


def test_the_same_seed_gives_the_same_bits_and_other_seeds_the_same_optimum(two, fitted):
    again = fit_latent_classes(two.batch, 2, rng=np.random.default_rng(0))
    assert np.array_equal(again.theta, fitted.theta)
    other = fit_latent_classes(two.batch, 2, rng=np.random.default_rng(99))
    np.testing.assert_allclose(other.theta, fitted.theta, atol=1e-5)


def test_a_climb_is_taken_up_where_it_was_interrupted(two, fitted):
    seen = []
    fit_latent_classes(
        two.batch,
        2,
        rng=np.random.default_rng(0),
        on_step=lambda step, theta, value: seen.append(theta.copy()),
    )
    resumed = fit_latent_classes(
        two.batch, 2, rng=np.random.default_rng(5), start=seen[len(seen) // 2]
    )
    np.testing.assert_allclose(resumed.theta, fitted.theta, atol=1e-5)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_population_of_one_taste_is_not_found_to_differ(seed):
    simulated = simulate_choices(
        SimulationConfig.pooled((1.0, -1.0), num_people=300), np.random.default_rng(seed)
    )
    choice = choose_num_classes(simulated.batch, 4, seed=0)
    assert choice.num_classes == 1
    assert len(choice.best.theta) == 2


def test_two_kinds_of_people_are_found_to_be_two(two):
    choice = choose_num_classes(two.batch, 4, seed=0)
    assert choice.num_classes == 2
    assert len(choice.beliefs) == 3


def test_doubled_weights_double_the_likelihood_and_leave_the_estimates(two, fitted):
    blocks = tuple(replace(block, weight=2.0 * block.weight) for block in two.batch.blocks)
    twice = fit_latent_classes(replace(two.batch, blocks=blocks), 2, rng=np.random.default_rng(0))
    np.testing.assert_allclose(twice.theta, fitted.theta, atol=1e-6)
    np.testing.assert_allclose(twice.covariance, fitted.covariance / 2, rtol=1e-4)
    np.testing.assert_allclose(twice.robust_covariance, fitted.robust_covariance, rtol=1e-4)


def test_a_class_that_never_takes_an_option_is_bounded_and_said():
    # The second class never takes what has the third feature; no likelihood bounds its dislike.
    simulated = simulate_choices(
        replace(TWO, part_worths=((1.0, -1.0, 0.5), (-1.0, 0.5, -60.0))), np.random.default_rng(2)
    )
    (block,) = simulated.batch.blocks
    features = block.features.copy()
    features[:, :, 2] = 0.0
    features[:, 0, 2] = 1.0
    worths = np.einsum("bkd,bd->bk", features, simulated.tastes[block.group])
    noise = np.random.default_rng(3).gumbel(size=worths.shape)
    answer = {"chosen": np.argmax(worths + noise, axis=1)}
    batch = replace(simulated.batch, blocks=(replace(block, features=features, answer=answer),))
    belief = fit_latent_classes(batch, 2, rng=np.random.default_rng(0))
    place = belief.parameter_names.index("x2 [class 2]")
    assert -30 < belief.theta[place] < -5
    assert np.sqrt(belief.covariance[place, place]) > 2
    assert any("`x2 [class 2]`" in sentence for sentence in belief.report.warnings)
    assert belief.report.prior.startswith("weak")
    # Its few people all agree, so that the sandwich alone would call that certainty.
    assert belief.robust_covariance[place, place] >= belief.covariance[place, place] * (1 - 1e-9)
    assert len(belief.theta) - 1 < belief.report.effective_parameters < len(belief.theta)
    assert belief.report.converged


def separated(seed):
    """900 people of three kinds, one choice each; the third never takes what has feature 3."""
    config = SimulationConfig(
        part_worths=((-1.0, 1.5, -1.4), (-8.0, 0.5, -6.0), (-7.0, -0.1, -30.0)),
        router=((0.0,), (0.0,)), num_people=900, num_tasks=1,
    )  # fmt: skip
    simulated = simulate_choices(config, np.random.default_rng(seed))
    (block,) = simulated.batch.blocks
    rng = np.random.default_rng(seed + 100)
    features = block.features.copy()
    features[:, :, 1:] = rng.integers(0, 2, features[:, :, 1:].shape)
    worths = np.einsum("bkd,bd->bk", features, simulated.tastes[block.group])
    answer = {"chosen": np.argmax(worths + rng.gumbel(size=worths.shape), axis=1)}
    return replace(simulated.batch, blocks=(replace(block, features=features, answer=answer),))


def test_what_ran_away_is_fetched_from_the_better_side(monkeypatch):
    """From zero alone the classes part in another, worse way."""
    batch = separated(6)
    found = fit_latent_classes(batch, 3, rng=np.random.default_rng(0)).report
    monkeypatch.setattr(latent_classes, "_DISTANCES", (0.0,))
    from_zero = fit_latent_classes(batch, 3, rng=np.random.default_rng(0)).report
    assert found.prior.startswith("weak")
    assert from_zero.prior.startswith("weak")
    assert found.log_likelihood > from_zero.log_likelihood + 0.4


def test_more_classes_than_people_differ_is_said():
    simulated = simulate_choices(
        SimulationConfig.pooled((1.0, -1.0), num_people=300), np.random.default_rng(3)
    )
    belief = fit_latent_classes(simulated.batch, 3, rng=np.random.default_rng(0))
    assert any("Fewer classes" in sentence for sentence in belief.report.warnings)
    assert np.all(np.isfinite(belief.theta))
    assert np.abs(belief.theta).max() < 30


def test_an_empty_batch_and_less_than_one_class_are_refused(two):
    with pytest.raises(DataError, match="no observations"):
        fit_latent_classes(replace(two.batch, blocks=()), 2, rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="num_classes is 0"):
        fit_latent_classes(two.batch, 0, rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="most is 0"):
        choose_num_classes(two.batch, 0, seed=0)


def test_k_means_finds_blobs_and_survives_points_that_coincide():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    truth = np.repeat(np.arange(3), 20)
    labels = k_means(centres[truth] + 0.1 * rng.normal(size=(60, 2)), 3, rng)
    assert len(np.unique(labels * 3 + truth)) == 3
    assert k_means(np.zeros((5, 2)), 3, rng).tolist() == [0] * 5


def test_a_prior_on_the_router_shrinks_its_slopes_and_nothing_else(two, fitted):
    tight = fit_latent_classes(two.batch, 2, rng=np.random.default_rng(0), router_scale=0.05)
    assert abs(tight.theta[-1]) < 0.2 * abs(fitted.theta[-1])
    np.testing.assert_allclose(tight.theta[:6], fitted.theta[:6], atol=0.05)
    assert tight.report.prior == "normal, standard deviation 0.05 for the log-odds of classes"
    loose = fit_latent_classes(
        two.batch, 2, rng=np.random.default_rng(0), router_scale=1e4, prior_scale=1e4
    )
    np.testing.assert_allclose(loose.theta, fitted.theta, atol=1e-5)
