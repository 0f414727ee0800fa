"""Latent people: posteriors that add up, objectives that collapse, questions that tell."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.sgd import TrainConfig
from penchant.numerics.arrays import log_sigmoid, sigmoid
from penchant.populations.variational import (
    LatentPosterior,
    VariationalPeople,
    normal_nodes,
)
from penchant.simulation.judgements import judge_pairs


def some_people(seed, dims=4, latent=2, hidden=5, units=0):
    rng = np.random.default_rng(seed)
    return VariationalPeople(
        base=rng.normal(size=dims), loadings=rng.normal(size=(dims, latent + units)),
        weights=(rng.normal(size=(dims, hidden)), rng.normal(size=(hidden, 2 * latent))),
        biases=(rng.normal(size=hidden), rng.normal(size=2 * latent)), size=1.5,
        bends=rng.normal(size=(latent, units)), bend_biases=rng.normal(size=units),
    )  # fmt: skip


def answers(seed, num, people=3, dims=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, dims)), rng.integers(2, size=num), rng.integers(people, size=num)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_answers_add_up_in_any_order_and_opposite_ones_pull_the_other_way_as_surely(seed):
    people, (x, answer, person) = some_people(seed), answers(seed, 12)
    whole = people.posterior(x, answer, person, 4)
    # Nobody answered as the fourth: the prior.
    assert whole.mean[3] == pytest.approx(0.0)
    assert whole.variance[3] == pytest.approx(1.0)
    order = np.random.default_rng(seed).permutation(12)
    shuffled = people.posterior(x[order], answer[order], person[order], 4)
    np.testing.assert_allclose(shuffled.mean, whole.mean, atol=1e-12)
    turned = people.posterior(x, 1 - answer, person, 4)
    np.testing.assert_allclose(turned.mean, -whole.mean, atol=1e-12)
    np.testing.assert_allclose(turned.variance, whole.variance, atol=1e-12)
    # The same pair shown the other way round is the same answer.
    mirrored = people.posterior(-x, 1 - answer, person, 4)
    np.testing.assert_allclose(mirrored.mean, whole.mean, atol=1e-12)
    first, second = (
        people.posterior(x[part], answer[part], person[part], 4)
        for part in (slice(0, 5), slice(5, 12))
    )
    together = 1 / first.variance + 1 / second.variance - 1.0
    np.testing.assert_allclose(1 / whole.variance, together, rtol=1e-10)
    assert (whole.variance <= first.variance + 1e-12).all()


def test_where_answers_are_nearly_gaussian_the_encoder_finds_their_exact_posterior():
    """log sigmoid(g) = -log 2 + g / 2 - g^2 / 8 + ..: for small gaps a linear-Gaussian person."""
    pytest.importorskip("torch")
    from penchant.fitting.variational import VariationalConfig, fit_variational

    rng = np.random.default_rng(0)
    z, x = rng.normal(size=400), rng.normal(size=(400 * 30, 3))
    person = np.repeat(np.arange(400), 30)
    gap = 0.9 * x[:, 0] * z[person]
    answer = (rng.random(len(gap)) > sigmoid(gap)).astype(int)
    pairs = HeadPairs(
        features=x.astype(np.float32), first=np.arange(len(x)), second=None, answer=answer,
        weight=np.ones(len(x)),
    )  # fmt: skip
    training = TrainConfig(batch_size=50, max_epochs=40, learning_rate=0.02, schedule="cosine",
                           patience=None)  # fmt: skip
    found = fit_variational(
        pairs, person, VariationalConfig(latent=1, hidden=16, training=training)
    )
    loaded = x @ found.people.loadings[:, 0]
    shared = x @ found.people.base
    precision = 1.0 + np.bincount(person, loaded**2 / 4)
    pull = np.bincount(person, loaded * (np.where(answer == 0, 0.5, -0.5) - shared / 4))
    exact = pull / precision
    assert found.active_units == 1
    assert np.corrcoef(found.posterior.mean[:, 0], exact)[0, 1] > 0.98
    # How sure: by the bend where the answers are, a little below the quarter at a gap of zero.
    p = sigmoid(shared + loaded * exact[person])
    surer = 1.0 + np.bincount(person, loaded**2 * p * (1 - p))
    assert found.posterior.variance.mean() == pytest.approx((1 / surer).mean(), rel=0.2)
    assert abs(np.corrcoef(found.posterior.mean[:, 0], z)[0, 1]) > 0.8


def test_kl_and_the_mean_of_a_sigmoid_are_those_of_quadrature():
    q = LatentPosterior(mean=np.array([[0.7, -1.2]]), variance=np.array([[0.3, 2.0]]))
    grid = np.linspace(-14, 14, 40001)
    total = 0.0
    for mean, variance in zip(q.mean[0], q.variance[0]):
        log_q = -0.5 * (grid - mean) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
        log_p = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi)
        total += np.trapezoid(np.exp(log_q) * (log_q - log_p), grid)
    assert q.kl()[0] == pytest.approx(total, rel=1e-6)
    for mean, variance in ((0.3, 0.5), (-2.0, 9.0), (1.0, 0.0)):
        density = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
        exact = np.trapezoid(density * sigmoid(mean + np.sqrt(variance) * grid), grid)
        nodes, weights = normal_nodes(np.array([mean]), np.array([variance]))
        assert (sigmoid(nodes) @ weights)[0] == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("units", [0, 3])
def test_the_gain_of_a_question_is_the_expected_fall_in_entropy(units):
    people = some_people(3, latent=1, units=units)
    x, answer, person = answers(3, 4, people=1)
    posterior = people.posterior(x, answer, person, 1)
    question = np.random.default_rng(8).normal(size=(5, 4)) * 2
    grid = np.linspace(-8, 8, 8001)
    density = np.exp(-0.5 * (grid - posterior.mean[0, 0]) ** 2 / posterior.variance[0, 0])
    density /= density.sum()

    def entropy(p):
        return -(p[p > 0] * np.log(p[p > 0])).sum()

    placed = np.column_stack([grid, np.tanh(grid[:, None] @ people.bends + people.bend_biases)])
    tastes = people.base + placed @ people.loadings.T
    mean = people.probabilities(question, posterior, np.zeros(5, int))
    # Draws of z are less exact than a rule for normal gaps, most so in the tails.
    close = 2e-4 if units == 0 else 0.015
    np.testing.assert_allclose(mean, density @ sigmoid(tastes @ question.T), atol=close)
    for row, gain in zip(question, people.information_gain(question, posterior, np.zeros(5, int))):
        first = sigmoid(tastes @ row)
        after = 0.0
        for p in (first, 1 - first):
            joint = density * p
            after += joint.sum() * entropy(joint / joint.sum())
        assert gain == pytest.approx(entropy(density) - after, abs=close)
        assert gain >= 0


def small_fit(seed=0, people=300, **changes):
    pytest.importorskip("torch")
    from penchant.fitting.variational import VariationalConfig, fit_variational

    made = judge_pairs(8 * np.eye(6)[:2], people, 6, np.random.default_rng(seed))
    training = TrainConfig(batch_size=32, max_epochs=30, learning_rate=0.02, schedule="cosine",
                           patience=None)  # fmt: skip
    config = VariationalConfig(latent=2, hidden=16, training=training, **changes)
    return fit_variational(made.pairs(), made.person, config)


def test_people_of_two_kinds_are_told_apart_and_the_amortised_posterior_is_near_the_exact_one():
    found = small_fit()
    assert found.active_units >= 1
    assert not found.warnings
    new = judge_pairs(8 * np.eye(6)[:2], 200, 12, np.random.default_rng(5))
    place = np.tile(np.arange(12), 200)
    right = []
    for known in (0, 6):
        few, later = place < known, place >= 6
        q = found.people.posterior(new.differences[few], new.answer[few], new.person[few], 200)
        said = found.people.probabilities(new.differences[later], q, new.person[later])
        right.append(np.mean((said > 0.5) == (new.gap[later] > 0)))
    assert right[1] > right[0] + 0.06
    # Exact posterior means under the decoder, by weighted draws of z.
    z = np.random.default_rng(0).standard_normal((4000, 2))
    tastes = found.people.base + z @ found.people.loadings.T
    exact = []
    for one in range(100):
        mine = new.person == one
        sign = np.where(new.answer[mine] == 0, 1.0, -1.0)[:, None]
        told = log_sigmoid(new.differences[mine] @ tastes.T * sign).sum(axis=0)
        weight = np.exp(told - told.max())
        exact.append(weight @ z / weight.sum())
    q = found.people.posterior(new.differences, new.answer, new.person, 200)
    main = np.argmax(np.linalg.norm(found.people.loadings, axis=0))
    assert np.corrcoef(np.array(exact)[:, main], q.mean[:100, main])[0, 1] > 0.85


def test_a_decoder_whose_bends_say_nothing_is_the_linear_one():
    bent, (x, answer, person) = some_people(1, units=3), answers(1, 30)
    loadings = np.column_stack([bent.loadings[:, :2], np.zeros((4, 3))])
    told = bent.posterior(x, answer, person, 3)
    # People in any order: whose draws are whose is the person's.
    order = np.random.default_rng(0).permutation(30)
    linear = replace(bent, loadings=loadings[:, :2], bends=np.zeros((2, 0)),
                     bend_biases=np.zeros(0))  # fmt: skip
    said = replace(bent, loadings=loadings).probabilities(x[order], told, person[order])
    np.testing.assert_allclose(said, linear.probabilities(x[order], told, person[order]), atol=5e-3)
    assert np.abs(said - bent.probabilities(x[order], told, person[order])).max() > 0.05


def test_people_of_four_kinds_are_foretold_better_by_a_decoder_that_bends():
    pytest.importorskip("torch")
    from penchant.fitting.variational import VariationalConfig, fit_variational

    rng, tastes = np.random.default_rng(0), 10 * np.eye(6)[:4]
    made, new = judge_pairs(tastes, 600, 8, rng), judge_pairs(tastes, 300, 20, rng)
    place, right = np.tile(np.arange(20), 300), []
    training = TrainConfig(batch_size=32, max_epochs=40, learning_rate=0.02, schedule="cosine",
                           patience=None)  # fmt: skip
    for units in (0, 16):
        config = VariationalConfig(latent=3, hidden=16, decoder_hidden=units, training=training)
        people = fit_variational(made.pairs(), made.person, config).people
        few = place < 8
        told = people.posterior(new.differences[few], new.answer[few], new.person[few], 300)
        said = people.probabilities(new.differences, told, new.person)
        right.append(np.mean(((said > 0.5) == (new.gap > 0))[place >= 8]))
    assert right[1] > right[0] + 0.02


def test_averaging_over_pairs_collapses_the_posterior_and_says_so():
    found = small_fit(fit_term="mean")
    assert found.active_units == 0
    assert "posterior collapsed" in found.warnings[0]
    assert "a mean over pairs" in found.warnings[0]


def test_training_taken_up_takes_the_step_that_it_would_have_taken():
    pytest.importorskip("torch")
    from penchant.fitting.variational import LatentLearner, VariationalConfig

    made = judge_pairs(3 * np.eye(4)[:2], 40, 5, np.random.default_rng(0))
    config = VariationalConfig(latent=2, hidden=4)
    one, two = (LatentLearner(made.pairs(), made.person, config) for _ in range(2))
    some = np.arange(1, 40, 3)
    one.step(some, 0.05)
    one.step(some - 1, 0.05)
    two.restore(one.state())
    assert one.step(some, 0.05) == two.step(some, 0.05)
    for name, value in one.state().items():
        np.testing.assert_array_equal(value, two.state()[name])


@pytest.mark.parametrize("units", [0, 3])
def test_the_elbo_is_of_all_pairs_of_everybody_however_many_they_have(units):
    pytest.importorskip("torch")
    from penchant.fitting.variational import LatentLearner, VariationalConfig

    rng, person = np.random.default_rng(4), np.array([2, 0, 2, 1, 2, 0, 2, 3])
    x, answer = rng.normal(size=(8, 4)).astype(np.float32), rng.integers(2, size=8)
    pairs = HeadPairs(features=x, first=np.arange(8), second=None, answer=answer,
                      weight=np.ones(8))  # fmt: skip
    config = VariationalConfig(latent=2, hidden=4, decoder_hidden=units)
    learner = LatentLearner(pairs, person, config)
    people, some = learner.people(), np.array([2, 0, 3])
    q = people.posterior(x.astype(float), answer, person, 4)
    noise = np.random.default_rng(config.training.seed).standard_normal((4, 3, 2))
    value = 0.0
    for place, one in enumerate(some):
        z = q.mean[one] + np.sqrt(q.variance[one]) * noise[:, place]
        placed = np.column_stack([z, np.tanh(z @ people.bends + people.bend_biases)])
        gap = x[person == one] @ (people.base + placed @ people.loadings.T).T
        sign = np.where(answer[person == one] == 0, 1.0, -1.0)[:, None]
        value += log_sigmoid(sign * gap).sum(axis=0).mean() - q.kl()[one]
    assert learner.evaluate(some) == pytest.approx(value / 3, rel=1e-6)


def test_what_cannot_be_fitted_is_refused():
    pytest.importorskip("torch")
    from penchant.fitting.variational import VariationalConfig, fit_variational

    with pytest.raises(ConfigError, match="latent=0"):
        VariationalConfig(latent=0)
    with pytest.raises(ConfigError, match="decoder_hidden=-1"):
        VariationalConfig(decoder_hidden=-1)
    pairs = HeadPairs(
        features=np.zeros((3, 2), dtype=np.float32), first=np.arange(3), second=None,
        answer=np.array([0, 1, 2]), weight=np.ones(3),
    )  # fmt: skip
    with pytest.raises(DataError, match="drop ties"):
        fit_variational(pairs, np.arange(3))
    # What it has no place for is not passed over.
    plain = replace(pairs, answer=np.zeros(3, dtype=np.int64))
    for more in (replace(plain, columns=np.ones((3, 2))), replace(plain, weight=np.arange(3.0))):
        with pytest.raises(DataError, match=r"(2 columns|weights from 0 to 2).* fit_head_mixture"):
            fit_variational(more, np.arange(3))
