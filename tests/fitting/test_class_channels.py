"""Classes from every kind of answer: the general pass equals the fused one, truth is found."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.answers_of_kinds import answered_by
from fitting.small_batches import mixed_feedback
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Outcome, Rating
from penchant.feedback.channel_order import BestWorst, Ranking
from penchant.feedback.channel_pair import Pair
from penchant.fitting.class_answers import AnswerPanel
from penchant.fitting.class_channels import ChannelPanel
from penchant.fitting.class_choices import ChoicePanel, counted_people
from penchant.fitting.class_density import ClassDensity
from penchant.fitting.em import EMConfig, em_climb
from penchant.fitting.latent_classes import choose_num_classes, fit_latent_classes
from penchant.fitting.pooled import fit_pooled
from penchant.simulation.choices import SimulationConfig, simulate_choices

TWO = SimulationConfig(
    part_worths=((1.0, -1.0, 0.5), (-1.0, 0.5, 0.5)),
    router=((-0.5, 1.0),),
    num_group_features=1,
    num_people=250,
)
FEW = EMConfig(num_starts=4, num_finalists=1)
COMMON = (Choice(), Pair(ties="davidson"), Ranking(), Rating(levels=4), BestWorst())


def kinds_at_once(seed, num_classes):
    """Five kinds of answers of the same twelve people, two of them with own parameters."""
    rng = np.random.default_rng(seed)
    batch = mixed_feedback(rng)
    features = rng.normal(size=(batch.num_groups, 2))
    batch = replace(batch, group_features=features, group_feature_names=("z0", "z1"))
    density = ClassDensity.from_batch(batch, num_classes, COMMON)
    return density, 0.7 * rng.normal(size=len(density.precision))


@settings(max_examples=25, deadline=None)  # the first call compiles
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 10.0))
def test_the_general_pass_over_choices_equals_the_fused_one(seed, num_classes, size):
    rng = np.random.default_rng(seed)
    config = SimulationConfig.pooled((1.0, -0.5), num_people=9, num_tasks=4)
    batch = simulate_choices(replace(config, menu_sizes=(3, 2, 5)), rng).batch
    weighted = tuple(replace(b, weight=rng.uniform(0.5, 2, len(b))) for b in batch.blocks)
    batch = replace(batch, blocks=weighted)
    flat, counts = counted_people(batch.flat_choices())
    general, group_weight = ChannelPanel.of(batch, (Choice(),))
    np.testing.assert_allclose(group_weight, counts, rtol=1e-12)
    some = np.sort(rng.choice(9, size=5, replace=False))
    log_prior = np.log(rng.dirichlet(np.ones(num_classes), size=9))
    values = size * rng.normal(size=(num_classes, 2))
    for people in (np.arange(9), some):
        passes = [
            panel.take_groups(people).run(counts[people], log_prior[people], values, np.zeros(0))
            for panel in (ChoicePanel(flat=flat), general)
        ]
        for name in ("log_density", "responsibility", "scores", "information"):
            fused, plain = (getattr(one, name) for one in passes)
            np.testing.assert_allclose(fused, plain, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=25, deadline=None)  # the first call compiles
@given(st.integers(0, 10_000), st.integers(1, 4), st.floats(0.1, 5.0))
def test_the_general_pass_over_answers_equals_the_one_over_the_choices_they_are_made_of(
    seed, num_classes, size
):
    rng = np.random.default_rng(seed)
    batch = mixed_feedback(rng)
    (apart, counts), (general, group_weight) = (
        panel.of(batch, COMMON) for panel in (AnswerPanel, ChannelPanel)
    )
    np.testing.assert_array_equal(counts, group_weight)
    assert (apart.num_features, apart.num_own) == (general.num_features, general.num_own)
    log_prior = np.log(rng.dirichlet(np.ones(num_classes), size=12))
    values, own = size * rng.normal(size=(num_classes, 2)), rng.normal(size=4)
    for people in (np.arange(12), np.array([2, 3, 9])):
        passes = [
            panel.take_groups(people).run(counts[people], log_prior[people], values, own)
            for panel in (apart, general)
        ]
        for name in ("log_density", "responsibility", "scores", "information"):
            fused, plain = (getattr(one, name) for one in passes)
            np.testing.assert_allclose(fused, plain, rtol=1e-8, atol=1e-8, err_msg=name)
        answered = [panel.take_groups(people).answered for panel in (apart, general)]
        np.testing.assert_array_equal(*answered)


def test_classes_take_answers_apart_where_they_can():
    rng = np.random.default_rng(0)
    config = replace(TWO, num_people=10)
    ranked, valued = (answered_by(kind, config, rng).batch for kind in ("ranking", "outcome"))
    of_ranked = ClassDensity.from_batch(ranked, 2, (Ranking(),))
    assert isinstance(of_ranked.panel, AnswerPanel)
    of_valued = ClassDensity.from_batch(valued, 2, (Outcome(),))
    assert isinstance(of_valued.panel, ChannelPanel)


@pytest.mark.parametrize("num_classes", [1, 2, 3])
def test_gradient_and_information_equal_central_differences(num_classes):
    density, theta = kinds_at_once(11, num_classes)
    here = density.evaluate(theta, has_observed=True)
    gradient, information = np.zeros_like(theta), np.zeros((len(theta),) * 2)
    for m in range(len(theta)):
        step = np.zeros_like(theta)
        step[m] = 1e-5
        above, below = density.evaluate(theta + step), density.evaluate(theta - step)
        gradient[m] = (above.value - below.value) / 2e-5
        information[m] = -(above.gradient - below.gradient) / 2e-5
    np.testing.assert_allclose(here.gradient, gradient, atol=1e-6)
    np.testing.assert_allclose(here.observed, information, atol=1e-5)
    np.testing.assert_allclose(density.group_weight @ here.group_scores, here.gradient, atol=1e-10)
    assert density.panel.num_own == 4


@pytest.mark.parametrize("seed", range(3))
def test_em_never_lowers_the_likelihood(seed):
    density, _ = kinds_at_once(seed, 3)
    start = 2.0 * np.random.default_rng(seed).normal(size=len(density.precision))
    values = em_climb(density, start, max_steps=30).values
    assert np.all(np.diff(values) >= 0)
    assert values[-1] > values[0] + 10


@pytest.mark.parametrize("kind", ["ranking", "rating"])
def test_one_class_is_one_taste_for_all(kind):
    batch = answered_by(kind, replace(TWO, num_people=60), np.random.default_rng(0)).batch
    classes = fit_latent_classes(batch, 1, rng=np.random.default_rng(0))
    pooled = fit_pooled(batch, channels=classes.channels)
    np.testing.assert_allclose(classes.theta, pooled.theta, atol=1e-7)
    np.testing.assert_allclose(classes.covariance, pooled.covariance, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        classes.robust_covariance, pooled.robust_covariance, rtol=1e-5, atol=1e-10
    )
    for name in ("log_likelihood", "null_log_likelihood"):
        mine, theirs = (getattr(each.report, name) for each in (classes, pooled))
        assert mine == pytest.approx(theirs, rel=1e-10)


OWN = {
    "ranking": (),
    "best_worst": (),
    "rating": (-1.0, np.log(1.2), np.log(1.2)),
    "approval": (0.5,),
    "graded": (np.log(0.5), 0.0),
    "outcome": (0.0,),
    "pair": (np.log(0.7),),
}


@pytest.mark.parametrize("kind", OWN)
def test_the_truth_lies_within_the_intervals(kind):
    config = replace(TWO, menu_sizes=(2,)) if kind in ("graded", "pair") else TWO
    simulated = answered_by(kind, config, np.random.default_rng(7))
    channels = (Pair(ties="rao_kupper"),) if kind == "pair" else None
    belief = fit_latent_classes(
        simulated.batch, 2, rng=np.random.default_rng(0), channels=channels, config=FEW
    )
    truth = np.concatenate(
        [
            belief.population.largest_first(simulated.theta, simulated.batch.group_features),
            OWN[kind],
        ]
    )
    assert len(belief.parameter_names) == len(truth)
    apart = belief.theta - truth
    for covariance in (belief.covariance, belief.robust_covariance):
        assert np.abs(apart / np.sqrt(np.diag(covariance))).max() < 3.7
        # Chi-squared with 8 to 11 degrees of freedom.
        assert 0.5 < apart @ np.linalg.solve(covariance, apart) < 31
    assert belief.report.converged
    assert belief.report.warnings == ()
    told = np.argmax(belief.tastes(simulated.batch, simulated.batch).log_weights, axis=1)
    order = np.argsort(-np.bincount(simulated.classes), kind="stable")
    assert np.mean(order[told] == simulated.classes) > 0.85


def test_a_column_of_ones_tells_the_generous_from_the_rest():
    rng = np.random.default_rng(0)
    batch = simulate_choices(SimulationConfig.pooled((1.0, -1.0), num_people=100), rng).batch
    (block,) = batch.blocks
    generous = rng.random(100) < 0.35
    ones = np.ones((*block.features.shape[:2], 1))
    felt = block.features @ np.array([1.0, -1.0]) + 2.0 * generous[block.group][:, None]
    level = (felt + rng.logistic(size=felt.shape))[:, :, None] > np.array([-1.0, 0.2, 1.4])
    rated = replace(
        block,
        kind="rating",
        features=np.concatenate([block.features, ones], axis=2),
        answer={"level": level.sum(axis=2)},
    )
    batch = replace(batch, blocks=(rated,), feature_names=("x0", "x1", "one"))
    belief = fit_latent_classes(batch, 2, rng=np.random.default_rng(0), config=FEW)
    first, second = belief.theta[2], belief.theta[5]
    assert second - first == pytest.approx(2.0, abs=0.25)
    np.testing.assert_allclose(belief.theta[:2], belief.theta[3:5], atol=0.25)
    assert any("`one [class 1]`" in w and "`threshold 0|1`" in w for w in belief.report.warnings)


def test_the_number_of_classes_is_found_from_rankings():
    two = answered_by("ranking", replace(TWO, num_people=150), np.random.default_rng(1)).batch
    assert choose_num_classes(two, 3, seed=0, config=FEW).num_classes == 2
    one = SimulationConfig.pooled((1.0, -1.0), num_people=150)
    alike = answered_by("ranking", one, np.random.default_rng(1)).batch
    assert choose_num_classes(alike, 3, seed=0, config=FEW).num_classes == 1


def test_doubling_the_weights_is_meeting_everybody_twice():
    batch = answered_by("rating", replace(TWO, num_people=80), np.random.default_rng(3)).batch
    blocks = tuple(replace(block, weight=2.0 * block.weight) for block in batch.blocks)
    once, twice = (
        fit_latent_classes(each, 2, rng=np.random.default_rng(0), config=FEW)
        for each in (batch, replace(batch, blocks=blocks))
    )
    np.testing.assert_allclose(twice.theta, once.theta, atol=1e-6)
    np.testing.assert_allclose(twice.covariance, once.covariance / 2, rtol=1e-4, atol=1e-9)


def test_a_prior_on_part_worths_leaves_thresholds_free():
    batch = answered_by("rating", replace(TWO, num_people=80), np.random.default_rng(3)).batch
    tight = fit_latent_classes(
        batch, 2, rng=np.random.default_rng(0), prior_scale=0.01, router_scale=0.5, config=FEW
    )
    assert np.abs(tight.theta[:6]).max() < 0.05
    null = fit_pooled(batch, channels=tight.channels, prior_scale=0.01)
    np.testing.assert_allclose(tight.theta[-3:], null.theta[-3:], atol=0.01)


def test_pairs_without_ties_take_the_fused_pass():
    batch = answered_by("pair", replace(TWO, menu_sizes=(2,)), np.random.default_rng(2)).batch
    (block,) = batch.blocks
    decided = block.take(np.flatnonzero(block.answer["outcome"] != 2))
    batch = replace(batch, blocks=(decided,))
    belief = fit_latent_classes(batch, 2, rng=np.random.default_rng(0), config=FEW)
    density = ClassDensity.from_batch(batch, 2, belief.channels)
    assert isinstance(density.panel, ChoicePanel)
    general, _ = ChannelPanel.of(batch, belief.channels)
    theirs = replace(density, panel=general).evaluate(belief.theta, has_observed=True)
    assert theirs.log_likelihood == pytest.approx(belief.report.log_likelihood, rel=1e-10)
    assert np.isfinite(belief.log_prob(batch)[0]).all()


def test_parameters_of_single_people_and_kinds_without_a_channel_are_refused():
    batch = answered_by("rating", replace(TWO, num_people=20), np.random.default_rng(0)).batch
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="by_person"):
        fit_latent_classes(batch, 2, rng=rng, channels=(Rating(levels=4, by_person=True),))
    with pytest.raises(DataError, match="'rating'"):
        fit_latent_classes(batch, 2, rng=rng, channels=(Choice(),))
