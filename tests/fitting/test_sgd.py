"""The mini-batch loop: the same trajectory however it is cut, stopping, and mini-batch MAP."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.small_batches import CHANNELS, mixed_feedback, small
from penchant.errors import BeliefError, ConfigError, FitError
from penchant.feedback.channel_choice import Choice
from penchant.fitting import sgd_pooled
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.examples import Examples
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_task import prepare
from penchant.fitting.sgd import TrainConfig, hold_out, learning_rate, train
from penchant.fitting.sgd_pooled import PooledLearner, fit_pooled_sgd
from penchant.utilities.items import Items
from penchant.utilities.linear import Linear


class Mean:
    """Learns the mean of numbers; remembers what it was shown."""

    def __init__(self, numbers, fail_at=None):
        self.numbers, self.fail_at = numbers, fail_at
        self.value, self.seen = np.zeros(1), []

    def step(self, examples, learning_rate):
        if len(self.seen) == self.fail_at:
            raise KeyboardInterrupt
        before = self.evaluate(examples)
        self.value = self.value + learning_rate * np.mean(self.numbers[examples] - self.value)
        self.seen.append(tuple(examples))
        return before

    def evaluate(self, examples):
        return -float(np.mean((self.numbers[examples] - self.value) ** 2))

    def state(self):
        return {"value": self.value.copy()}

    def restore(self, state):
        self.value = np.array(state["value"])


NUMBERS = np.random.default_rng(0).normal(size=100) + 5.0
EVERYBODY, NOBODY = np.arange(80), np.zeros(0, dtype=np.int64)
HELD = np.arange(80, 100)


@pytest.mark.parametrize("fail_at", [3, 8, 9, 17, 40])
@pytest.mark.parametrize("evaluations", [1, 3])
def test_a_resumed_training_equals_an_unbroken_one(tmp_path, fail_at, evaluations):
    config = TrainConfig(
        batch_size=9, max_epochs=5, learning_rate=0.05, schedule="cosine", patience=None,
        evaluations=evaluations, warmup_share=0.1,
    )  # fmt: skip
    whole = Mean(NUMBERS)
    unbroken = train(whole, EVERYBODY, HELD, config)
    broken = Mean(NUMBERS, fail_at)
    with pytest.raises(KeyboardInterrupt):
        train(broken, EVERYBODY, HELD, config, checkpoint=tmp_path)
    again = Mean(NUMBERS)
    resumed = train(again, EVERYBODY, HELD, config, checkpoint=tmp_path)
    assert again.value.tobytes() == whole.value.tobytes()
    # The first look has no training behind it: its NaN equals no NaN.
    assert [repr(look) for look in resumed.looks] == [repr(look) for look in unbroken.looks]
    # Steps taken after the last look are repeated, no others.
    assert len(again.seen) < len(whole.seen) or fail_at <= 9
    # Finished, it is not trained further.
    third = Mean(NUMBERS)
    train(third, EVERYBODY, HELD, config, checkpoint=tmp_path)
    assert third.seen == []
    assert third.value.tobytes() == whole.value.tobytes()


def test_every_epoch_shows_each_example_once_in_an_order_of_its_own():
    learner = Mean(NUMBERS)
    train(learner, EVERYBODY, NOBODY, TrainConfig(batch_size=30, max_epochs=3, patience=None))
    epochs = [sum(learner.seen[3 * e : 3 * e + 3], ()) for e in range(3)]
    assert all(sorted(epoch) == list(range(80)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_training_stops_when_held_out_people_gain_nothing_and_goes_back_to_the_best():
    config = TrainConfig(batch_size=80, max_epochs=500, learning_rate=0.2, patience=4)
    # Held-out numbers lie half-way: the best mean for them is passed on the way to 5.
    numbers = np.r_[np.full(80, 5.0), np.full(20, 2.5)]
    learner = Mean(numbers)
    done = train(learner, EVERYBODY, HELD, config)
    assert done.has_settled
    assert done.steps == done.best + 4
    assert done.looks[done.best].held_out == max(look.held_out for look in done.looks)
    assert learner.evaluate(HELD) == done.looks[done.best].held_out
    short = train(Mean(numbers), EVERYBODY, HELD, TrainConfig(batch_size=80, max_epochs=2))
    assert not short.has_settled
    assert not train(Mean(numbers), EVERYBODY, NOBODY, config).has_settled


@pytest.mark.parametrize("value", [math.nan, -math.inf])
@pytest.mark.parametrize("part", ["step", "evaluate"])
@pytest.mark.parametrize("evaluated", [HELD, NOBODY])
def test_a_look_that_is_not_finite_ends_the_training(tmp_path, part, value, evaluated):
    class Broken(Mean):
        def step(self, examples, learning_rate):
            before = super().step(examples, learning_rate)
            return value if part == "step" and len(self.seen) > 4 else before

        def evaluate(self, examples):
            return value if len(self.seen) > 4 else super().evaluate(examples)

    config = TrainConfig(batch_size=20, max_epochs=50, patience=3)
    with pytest.raises(FitError, match=r"after 8 steps .* Lower the learning rate"):
        train(Broken(NUMBERS), EVERYBODY, evaluated, config, checkpoint=tmp_path)
    # What was kept is the last look that was sound.
    sound = train(Mean(NUMBERS), EVERYBODY, evaluated, config, checkpoint=tmp_path)
    assert sound.looks[1].step == 4


def test_a_training_that_never_gained_has_not_settled():
    config = TrainConfig(batch_size=80, max_epochs=50, learning_rate=3.0, patience=4)
    learner = Mean(NUMBERS)
    done = train(learner, EVERYBODY, HELD, config)
    assert (done.best, done.has_settled, done.steps) == (0, False, 4)
    assert learner.value == 0.0


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    config = TrainConfig(batch_size=40, max_epochs=2, patience=None)
    train(Mean(NUMBERS), EVERYBODY, HELD, config, checkpoint=tmp_path, fingerprint="one")
    with pytest.raises(ConfigError, match="fingerprint one; this one has two"):
        train(Mean(NUMBERS), EVERYBODY, HELD, config, checkpoint=tmp_path, fingerprint="two")
    other = TrainConfig(batch_size=40, max_epochs=3, patience=None)
    with pytest.raises(ConfigError, match="another folder"):
        train(Mean(NUMBERS), EVERYBODY, HELD, other, checkpoint=tmp_path, fingerprint="one")
    (tmp_path / "training.safetensors").write_bytes(b"half a file")
    with pytest.raises(BeliefError, match="start again"):
        train(Mean(NUMBERS), EVERYBODY, HELD, config, checkpoint=tmp_path, fingerprint="one")


def test_the_rate_rises_and_falls_as_asked():
    config = TrainConfig(learning_rate=0.1, schedule="cosine", warmup_share=0.2)
    rates = [learning_rate(config, step, 100) for step in range(100)]
    np.testing.assert_allclose(rates[:20], 0.1 * np.arange(1, 21) / 20)
    assert rates[20] == pytest.approx(0.1)
    assert rates[60] == pytest.approx(0.05)
    assert np.all(np.diff(rates[20:]) < 0)
    assert rates[99] < 1e-4


@given(st.integers(0, 1000), st.floats(0.1, 0.9))
@settings(max_examples=20, deadline=None)
def test_nobody_is_on_both_sides(seed, share):
    group = np.random.default_rng(seed).integers(0, 15, 200)
    mine, held = hold_out(group, share, seed)
    assert set(group[mine]).isdisjoint(group[held])
    assert sorted([*mine, *held]) == list(range(200))
    assert len(set(group[held])) == round(share * len(set(group)))


@pytest.mark.parametrize("bad", [{"batch_size": 0}, {"patience": 0}, {"learning_rate": 0.0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        TrainConfig(**bad)
    with pytest.raises(ConfigError, match="on either side"):
        hold_out(np.zeros(5, dtype=np.int64), 0.5, 0)


def test_adam_by_hand():
    one, memory = {"x": np.array([1.0])}, AdamMemory.fresh({"x": np.array([1.0])})
    config = AdamConfig(weight_decay=0.5, floor=0.0)
    first, memory = adam_step(one, {"x": np.array([4.0])}, memory, 0.1, config, frozenset({"x"}))
    # The first step is the rate, whatever the size of the gradient; 5 % decay.
    assert first["x"][0] == pytest.approx(0.95 - 0.1)
    second, _ = adam_step(first, {"x": np.array([-4.0])}, memory, 0.1, config)
    mean, square = (0.9 * 0.4 - 0.4) / (1 - 0.81), (0.999 * 0.016 + 0.016) / (1 - 0.999**2)
    assert second["x"][0] == pytest.approx(0.85 - 0.1 * mean / math.sqrt(square))


def test_examples_cover_all_blocks():
    batch = mixed_feedback(np.random.default_rng(0))
    examples = Examples.of(batch)
    assert len(examples) == batch.num_observations
    taken = examples.take(np.array([0, 13, 40, 14]))
    assert [block.kind for block in taken.blocks] == ["choice", "pair", "rating"]
    assert [block.row.tolist() for block in taken.blocks] == [[0], [101, 102], [304]]


@pytest.mark.parametrize("seed", [0, 1])
def test_mini_batches_end_at_newtons_optimum(seed):
    batch = small(seed)
    newton, sgd = fit_pooled(batch), fit_pooled_sgd(batch)
    assert sgd.report.converged
    se = np.sqrt(np.diag(newton.covariance))
    assert np.all(np.abs(newton.theta - sgd.theta) < 0.1 * se)
    np.testing.assert_allclose(sgd.covariance, newton.covariance, rtol=0.05)


@pytest.mark.parametrize("after", [0, 7])
def test_what_counts_is_the_mean_of_all_points_after_the_first_so_many(after):
    task = prepare(small(1), Linear(), (Choice(),), has_matrix=False)
    learner = PooledLearner(task, task.density.prior_precision, after)
    points = []
    for batch in np.array_split(np.random.default_rng(0).permutation(200), 20):
        learner.step(batch, 0.05)
        points.append(learner.parameters["scaled"] / learner.size)
        counted = points[after:] or points[-1:]
        np.testing.assert_allclose(learner.theta, np.mean(counted, axis=0), rtol=1e-12)
    # What is kept and taken up again is that mean, too.
    again = PooledLearner(task, task.density.prior_precision, after)
    again.restore(learner.state())
    np.testing.assert_array_equal(again.theta, learner.theta)
    assert not np.allclose(learner.theta, points[-1], rtol=1e-3)


def test_the_mean_of_the_points_trembles_less_than_the_points():
    astray = []
    for seed in range(5):
        batch = small(seed)
        newton = fit_pooled(batch)
        task = prepare(batch, Linear(), (Choice(),), has_matrix=False)
        learner = PooledLearner(task, task.density.prior_precision, 100)
        config = TrainConfig(batch_size=10, max_epochs=20, learning_rate=0.05, patience=None)
        train(learner, np.arange(200), NOBODY, config)
        se, last = np.sqrt(np.diag(newton.covariance)), learner.parameters["scaled"] / learner.size
        astray.append([np.abs(theta - newton.theta) / se for theta in (learner.theta, last)])
    averaged, points = np.mean(astray, axis=(0, 2))
    # Measured: 0.04 and 0.33 of a standard error.
    assert averaged < 0.5 * points


def test_mini_batches_serve_mixed_feedback_and_a_prior():
    batch = mixed_feedback(np.random.default_rng(5), num_people=50)
    config = TrainConfig(
        batch_size=25, max_epochs=60, learning_rate=0.05, schedule="cosine", patience=None
    )
    arguments = {"utility": Items(), "channels": CHANNELS, "prior_scale": 1.0}
    newton = fit_pooled(batch, **arguments)
    sgd = fit_pooled_sgd(batch, config=config, **arguments)
    se = np.sqrt(np.diag(newton.covariance))
    assert np.all(np.abs(newton.theta - sgd.theta) < 0.15 * se)


def test_too_few_steps_are_not_called_convergence(monkeypatch):
    config = TrainConfig(batch_size=200, max_epochs=1, learning_rate=1e-6, patience=None)
    assert fit_pooled_sgd(small(0), config=config).report.converged
    monkeypatch.setattr(sgd_pooled, "MOST_STEPS", 1)
    report = fit_pooled_sgd(small(0), config=config).report
    assert not report.converged
    assert any("more epochs" in warning for warning in report.warnings)


def test_the_same_seed_gives_the_same_bits_and_an_interrupted_fit_too(tmp_path):
    config = TrainConfig(
        batch_size=30, max_epochs=10, learning_rate=0.05, schedule="cosine", patience=None
    )
    whole = fit_pooled_sgd(small(2), config=config)
    again = fit_pooled_sgd(small(2), config=config)
    assert whole.theta.tobytes() == again.theta.tobytes()

    def stop(look):
        if look.epoch == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_pooled_sgd(small(2), config=config, checkpoint=tmp_path, on_look=stop)
    resumed = fit_pooled_sgd(small(2), config=config, checkpoint=tmp_path)
    assert resumed.theta.tobytes() == whole.theta.tobytes()


def test_a_pooled_training_with_another_prior_or_other_weights_is_refused(tmp_path):
    batch = small(2)
    config = TrainConfig(batch_size=200, max_epochs=2, patience=None)
    one = fit_pooled_sgd(batch, config=config, prior_scale=1.0, checkpoint=tmp_path)
    again = fit_pooled_sgd(batch, config=config, prior_scale=1.0, checkpoint=tmp_path)
    assert one.theta.tobytes() == again.theta.tobytes()
    heavy = replace(batch, blocks=tuple(replace(b, weight=2.0 * b.weight) for b in batch.blocks))
    for data, scale in ((batch, 0.1), (heavy, 1.0)):
        with pytest.raises(ConfigError, match="another folder"):
            fit_pooled_sgd(data, config=config, prior_scale=scale, checkpoint=tmp_path)


def test_an_option_never_chosen_is_bounded_by_mini_batches_too():
    batch = small(3)
    block = batch.blocks[0]
    never = np.zeros((*block.offered.shape, 1))
    never[:, 0] = 1.0
    kept = np.flatnonzero(block.answer["chosen"] != 0)
    lonely = replace(
        batch,
        blocks=(
            replace(block, features=np.concatenate([block.features, never], axis=2)).take(kept),
        ),
        feature_names=(*batch.feature_names, "option[never]"),
    )
    belief = fit_pooled_sgd(lonely)
    np.testing.assert_allclose(belief.theta, fit_pooled(lonely).theta, atol=0.01)
    assert any("option[never]" in warning for warning in belief.report.warnings)
