"""One taste from any feedback: derivatives, truth, weights, separation, shrinkage."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.small_batches import CHANNELS, mixed_feedback, small
from penchant.errors import DataError
from penchant.feedback.channel_choice import Choice, Nested
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_density import PooledDensity
from penchant.fitting.shrinkage import Shrinkage
from penchant.utilities.items import Items
from penchant.utilities.linear import Linear


class AnotherChoice(Choice):
    """The conditional logit under another name, which has no fused pass."""


@pytest.mark.parametrize("utility", [Linear(), Items()])
def test_derivatives_of_a_mixed_likelihood_equal_differences(utility):
    rng = np.random.default_rng(0)
    batch = mixed_feedback(rng)
    sizes = tuple(channel.num_parameters(batch) for channel in CHANNELS)
    num_tastes = len(utility.taste_names(batch))
    density = PooledDensity(
        batch=batch, utility=utility, channels=CHANNELS, sizes=sizes,
        prior_precision=np.zeros(num_tastes + sum(sizes)),
    )  # fmt: skip
    theta = rng.normal(size=num_tastes + sum(sizes)) * 0.3
    here = density.evaluate(theta)
    steps = 1e-5 * np.eye(len(theta))
    ends = [(density.evaluate(theta + h), density.evaluate(theta - h)) for h in steps]
    slopes = np.array([(up.value - down.value) / 2e-5 for up, down in ends])
    bends = np.array([(down.gradient - up.gradient) / 2e-5 for up, down in ends])
    np.testing.assert_allclose(here.gradient, slopes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(here.information, bends, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(density.group_scores(theta).sum(axis=0), slopes, atol=1e-6)


def test_mixed_feedback_fits_jointly_to_one_utility():
    rng = np.random.default_rng(1)
    belief = fit_pooled(mixed_feedback(rng, num_people=80), utility=Items(), channels=CHANNELS)
    assert belief.report.converged
    assert belief.parameter_names[:4] == ("b", "c", "d", "e")
    alone = fit_pooled(
        replace(mixed_feedback(rng, num_people=80), blocks=mixed_feedback(rng, 80).blocks[:1]),
        utility=Items(),
    )
    # Five answers a person tell more than one.
    assert np.all(np.diag(belief.covariance)[:4] < np.diag(alone.covariance)[:4])


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_fused_fit_equals_the_general_one(seed):
    batch = small(seed)
    fused = fit_pooled(batch)
    # Any channel but a bare Choice takes the general path.
    general = fit_pooled(batch, channels=(AnotherChoice(),))
    np.testing.assert_allclose(fused.theta, general.theta, atol=1e-7)
    np.testing.assert_allclose(fused.covariance, general.covariance, rtol=1e-6)
    np.testing.assert_allclose(fused.robust_covariance, general.robust_covariance, rtol=1e-6)
    assert fused.report.log_likelihood == pytest.approx(general.report.log_likelihood)
    assert fused.report.null_log_likelihood == pytest.approx(-200 * np.log(4))


def test_the_truth_lies_within_its_interval_as_often_as_said():
    inside, z = 0, []
    for seed in range(60):
        belief = fit_pooled(small(seed, num_people=60))
        error = belief.theta - np.array([1.0, -0.5, 0.3])
        z.append(error / np.sqrt(np.diag(belief.covariance)))
        inside += np.sum(np.abs(z[-1]) < 1.96)
    # 180 intervals at 95 %: a share outside 0.90 to 0.99 has odds below one in a hundred.
    assert 0.90 <= inside / 180 <= 0.99
    assert np.all(np.abs(np.mean(z, axis=0)) < 3.5 / np.sqrt(60))


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_weight_of_two_is_the_answer_given_twice(seed):
    batch = small(seed)
    block = batch.blocks[0]
    twice = np.arange(len(block)) % 3 == 0
    weighted = replace(batch, blocks=(replace(block, weight=1.0 + twice),))
    repeated = replace(
        batch, blocks=(block.take(np.sort(np.r_[np.arange(len(block)), np.flatnonzero(twice)])),)
    )
    one, two = fit_pooled(weighted), fit_pooled(repeated)
    np.testing.assert_allclose(one.theta, two.theta, atol=1e-8)
    np.testing.assert_allclose(one.robust_covariance, two.robust_covariance, rtol=1e-6)


def test_a_never_chosen_option_is_bounded_wide_and_told():
    batch = small(3)
    block = batch.blocks[0]
    features = np.concatenate([block.features, np.zeros((*block.offered.shape, 1))], axis=2)
    features[:, 0, 3] = 1.0
    kept = np.flatnonzero(block.answer["chosen"] != 0)
    lonely = replace(
        batch,
        blocks=(replace(block, features=features).take(kept),),
        feature_names=(*batch.feature_names, "option[never]"),
    )
    belief = fit_pooled(lonely)
    assert belief.report.converged
    assert -40 < belief.theta[3] < -2
    for covariance in (belief.covariance, belief.robust_covariance):
        assert np.sqrt(covariance[3, 3]) > 1.0
    told = [w for w in belief.report.warnings if "option[never]" in w]
    assert len(told) == 1
    assert "perfectly predicted" in told[0]
    # The other part-worths are what they are without the option.
    without = replace(lonely, blocks=(replace(
        lonely.blocks[0], offered=lonely.blocks[0].offered & (np.arange(4) > 0)),))  # fmt: skip
    clean = fit_pooled(replace(without, blocks=(replace(
        without.blocks[0], features=without.blocks[0].features[:, :, :3]),),
        feature_names=batch.feature_names))  # fmt: skip
    np.testing.assert_allclose(belief.theta[:3], clean.theta, atol=0.05)


def test_a_column_said_twice_is_told_and_the_prediction_unharmed():
    batch = small(4)
    block = batch.blocks[0]
    doubled = replace(
        batch,
        blocks=(replace(block, features=block.features[:, :, [0, 1, 2, 2]]),),
        feature_names=("a", "b", "c", "c again"),
    )
    belief, once = fit_pooled(doubled), fit_pooled(batch)
    assert any("cannot tell `c`, `c again` apart" in w for w in belief.report.warnings)
    assert belief.theta[2] + belief.theta[3] == pytest.approx(once.theta[2], abs=0.02)
    np.testing.assert_allclose(
        belief.predict_proba(doubled)[0], once.predict_proba(batch)[0], atol=0.01
    )


def test_a_fit_without_separation_uses_no_prior_and_says_nothing():
    report = fit_pooled(small(5)).report
    assert report.prior is None
    assert report.warnings == ()


def test_shrinkage_finds_which_family_matters():
    rng = np.random.default_rng(6)
    batch = small(6, num_people=150)
    block = batch.blocks[0]
    extra = rng.normal(size=(*block.offered.shape, 20))
    worth = (extra[..., :10] @ rng.normal(size=10)) * 0.5 + block.features @ [1.0, -0.5, 0.3]
    chosen = np.argmax(worth + rng.gumbel(size=worth.shape), axis=1)
    wide = replace(
        batch,
        blocks=(replace(block, features=np.concatenate([block.features, extra], axis=2),
                        answer={"chosen": chosen}),),
        feature_names=tuple(f"f{d}" for d in range(23)),
    )  # fmt: skip
    shrinkage = Shrinkage(families=(-1,) * 3 + (0,) * 10 + (1,) * 10, names=("signal", "noise"))
    shrunk, free = fit_pooled(wide, shrinkage=shrinkage), fit_pooled(wide)
    assert np.abs(shrunk.theta[13:]).max() < 0.5 * np.abs(free.theta[13:]).max()
    np.testing.assert_allclose(shrunk.theta[3:13], free.theta[3:13], atol=0.15)
    assert "signal" in shrunk.report.prior


def test_a_kind_without_a_likelihood_is_refused_by_name():
    batch = mixed_feedback(np.random.default_rng(0))
    with pytest.raises(DataError, match=r"'ranking'.*'choice'"):
        fit_pooled(replace(batch, blocks=batch.blocks[2:3]))


def test_an_empty_batch_is_refused():
    with pytest.raises(DataError, match="no observations"):
        fit_pooled(replace(small(), blocks=()))


def test_few_people_are_a_reason_to_doubt_the_robust_errors():
    assert any(
        "Robust errors rest on 12" in w for w in fit_pooled(small(num_people=12)).report.warnings
    )


def test_nests_of_scale_one_are_the_conditional_logit():
    batch = small(7, num_people=100)
    nested = fit_pooled(batch, channels=(Nested(nests=(0, 0, 1, 1)),))
    flat = fit_pooled(batch)
    gain = 2 * (nested.report.log_likelihood - flat.report.log_likelihood)
    # The truth has no nests: twice the gain is chi-squared with two degrees of freedom.
    assert 0 <= gain < 14
    assert np.all(np.abs(nested.theta[3:]) < 3.5 * np.sqrt(np.diag(nested.covariance)[3:]))


def test_a_fit_that_learns_to_shrink_can_be_watched_and_taken_up_again():
    batch = small(8, num_people=100)
    shrinkage = Shrinkage(families=(-1, 0, 0), names=("some",))
    seen = []
    whole = fit_pooled(batch, shrinkage=shrinkage, on_step=lambda *step: seen.append(step[1]))
    assert len(seen) > 2
    again = []
    resumed = fit_pooled(
        batch, shrinkage=shrinkage, start=seen[-1], on_step=lambda *step: again.append(step[1])
    )
    assert len(again) < len(seen)
    np.testing.assert_allclose(resumed.theta, whole.theta, atol=5e-3)
