"""Networks from feedback: autograd beside scores, resumed beside unbroken, curves beside lines."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from fitting.small_batches import CHANNELS, mixed_feedback, small
from penchant.beliefs.belief import Belief
from penchant.data.batch import Batch, Block
from penchant.errors import ConfigError, MissingExtraError
from penchant.feedback.channel_choice import Choice, Nested
from penchant.feedback.channel_option import Approval, Outcome, Rating
from penchant.feedback.channel_order import Ranking
from penchant.feedback.channel_pair import Pair
from penchant.fitting.neural import fit_neural, reweighted
from penchant.fitting.neural_learner import NetworkConfig, NetworkLearner, random_network
from penchant.fitting.pooled import fit_pooled
from penchant.fitting.pooled_density import PooledDensity
from penchant.fitting.sgd import TrainConfig
from penchant.utilities.neural import Neural

torch = pytest.importorskip("torch")

SMALL = NetworkConfig(hidden=(6, 4), num_networks=2)
SHORT = TrainConfig(batch_size=64, max_epochs=4, patience=None)


def curved(features):
    """Nearer to zero is better along the first axis; the others work together."""
    return (
        2.0
        - 2.0 * features[..., 0] ** 2 / (1 + features[..., 0] ** 2 / 4)
        + 1.5 * (features[..., 1] * features[..., 2])
    )


def curved_choices(rng, num_people=150, num_tasks=8, num_options=3):
    shape = (num_people * num_tasks, num_options)
    features = rng.normal(size=(*shape, 3))
    utilities = curved(features) + rng.gumbel(size=shape)
    return make_batch("choice", features, {"chosen": utilities.argmax(axis=1)}, num_people)


def make_batch(kind, features, answer, num_people):
    num_rows, num_options, _ = features.shape
    block = Block(
        kind=kind,
        features=features,
        offered=np.ones((num_rows, num_options), dtype=bool),
        option=np.tile(np.arange(num_options), (num_rows, 1)),
        row=np.arange(num_rows),
        group=np.arange(num_rows) * num_people // num_rows,
        weight=np.ones(num_rows),
        answer=answer,
    )
    return Batch(
        blocks=(block,),
        feature_names=("near", "left", "right"),
        option_names=tuple("abcd"[:num_options]),
        group_names=tuple(f"p{g}" for g in range(num_people)),
        group_features=np.zeros((num_people, 0)),
        num_rows=num_rows,
        fingerprint="made",
    )


def mean_log_prob(belief, batch):
    return float(np.mean(np.concatenate(belief.log_prob(batch))))


def test_autograd_equals_the_scores_of_all_channels_together():
    rng = np.random.default_rng(0)
    batch = mixed_feedback(rng)
    sizes = tuple(channel.num_parameters(batch) for channel in CHANNELS)
    network = random_network(batch, SMALL, seed=1)
    own = rng.normal(size=sum(sizes)) * 0.2
    learner = NetworkLearner(
        batch, CHANNELS, network, (0, 1), np.concatenate([[0.3, -0.2], own]), 0.0
    )
    head = rng.normal(size=4) * 0.5
    learner.parameters["head"] = torch.from_numpy(head)
    learner.own_precision = 0.0 * learner.own_precision
    utility = Neural(networks=(network,), feature_names=batch.feature_names, linear=(0, 1))
    density = PooledDensity(
        batch=batch, utility=utility, channels=CHANNELS, sizes=sizes,
        prior_precision=np.zeros(6 + sum(sizes)),
    )  # fmt: skip
    slope = density.slope(np.concatenate([[0.3, -0.2], head, own]))
    total = sum(block.weight.sum() for block in batch.blocks)
    everything = np.arange(batch.num_observations)
    assert learner.evaluate(everything) == pytest.approx(slope.value / total)
    leaves = {n: v.clone().requires_grad_() for n, v in learner.parameters.items()}
    learner._log_prob(learner.answers.examples.batch, leaves).backward()
    found = np.concatenate([leaves[n].grad.numpy() for n in ("linear", "head", "own")])
    np.testing.assert_allclose(found, slope.gradient / total, atol=1e-12)


def test_the_layers_gradient_equals_differences():
    rng = np.random.default_rng(2)
    batch = small(0)
    config = replace(SMALL, sees_menu=True)
    network = random_network(batch, config, seed=1)
    learner = NetworkLearner(batch, (Choice(),), network, (), np.zeros(0), 0.0)
    learner.parameters["head"] = torch.from_numpy(rng.normal(size=4))
    everything = np.arange(batch.num_observations)
    leaves = {n: v.clone().requires_grad_() for n, v in learner.parameters.items()}
    learner._log_prob(learner.answers.examples.batch, leaves).backward()
    for name in ("weights.0", "menu.1", "biases.1"):
        ends = []
        for step in (1e-6, -1e-6):
            moved = learner.parameters[name].clone()
            moved.view(-1)[1] += step
            kept, learner.parameters[name] = learner.parameters[name], moved
            ends.append(learner.evaluate(everything))
            learner.parameters[name] = kept
        assert float(leaves[name].grad.view(-1)[1]) == pytest.approx(
            (ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-8
        )


def test_weight_decay_takes_its_share_of_layers_and_head_and_of_nothing_else():
    # The same gradient with and without: what differs is rate x decay of what stood there before.
    batch, rng = mixed_feedback(np.random.default_rng(0)), np.random.default_rng(1)
    network = random_network(batch, replace(SMALL, sees_menu=True), seed=1)
    start = np.zeros(2 + sum(channel.num_parameters(batch) for channel in CHANNELS))
    plain, decayed = (
        NetworkLearner(batch, CHANNELS, network, (0, 1), start, decay) for decay in (0.0, 0.5)
    )
    # Nothing at zero, where decay would take nothing.
    before = {
        name: value + torch.from_numpy(rng.normal(size=value.shape) * 0.3)
        for name, value in plain.parameters.items()
    }
    for learner in (plain, decayed):
        learner.parameters = {name: value.clone() for name, value in before.items()}
        learner.step(np.arange(batch.num_observations), 0.1)
    for name, value in before.items():
        taken = plain.parameters[name] - decayed.parameters[name]
        share = 0.05 if name.startswith(("weights", "menu", "head")) else 0.0
        np.testing.assert_allclose(taken, share * value, atol=1e-14)


def test_a_fit_passes_its_weight_decay_on_to_the_layers():
    batch = small(0)
    sizes = []
    for decay in (0.0, 3.0):
        config = replace(SMALL, num_networks=1, weight_decay=decay)
        network = fit_neural(batch, (Choice(),), network=config, training=SHORT).utility.networks[0]
        sizes.append(sum(float((layer**2).sum()) for layer in network.weights))
    assert sizes[1] < 0.9 * sizes[0]


def test_a_network_finds_the_taste_that_no_line_can_say():
    train, test = (curved_choices(np.random.default_rng(seed)) for seed in (0, 1))
    block = test.blocks[0]
    truth = curved(block.features)
    gap = truth - np.log(np.exp(truth).sum(axis=1, keepdims=True))
    best = gap[np.arange(len(block)), block.answer["chosen"]].mean()
    line = mean_log_prob(fit_pooled(train), test)
    network = mean_log_prob(
        fit_neural(
            train, (Choice(),), network=NetworkConfig(num_networks=2),
            training=TrainConfig(batch_size=200, learning_rate=0.02, patience=5),
        ),
        test,
    )  # fmt: skip
    assert line < best - 0.3
    assert network > best - 0.06


def test_without_curves_a_network_is_hardly_worse_than_the_line():
    train, test = small(0, num_people=200), small(1, num_people=200)
    network = fit_neural(train, (Choice(),), network=SMALL)
    assert mean_log_prob(network, test) > mean_log_prob(fit_pooled(train), test) - 0.01


def test_a_plain_network_needs_no_linear_part():
    train = curved_choices(np.random.default_rng(0), num_people=60)
    belief = fit_neural(
        train, (Choice(),), network=replace(SMALL, has_linear=False), training=SHORT
    )
    assert belief.parameter_names == tuple(f"hidden[{h}]" for h in range(8))
    assert mean_log_prob(belief, train) > mean_log_prob(fit_pooled(train), train) + 0.05
    pairs = make_batch(
        "pair", train.blocks[0].features[:, :2], {"outcome": train.blocks[0].row % 2}, 60
    )
    ties = fit_neural(pairs, (Pair(),), network=replace(SMALL, has_linear=False), training=SHORT)
    assert ties.report.null_log_likelihood == pytest.approx(-480 * np.log(2))


def ranks(utilities):
    return np.argsort(np.argsort(-utilities, axis=1), axis=1) + 1


FEEDBACK = {
    "pair": (2, Pair(), lambda u: {"outcome": (u[:, 1] > u[:, 0]).astype(int)}),
    "ranking": (3, Ranking(), lambda u: {"rank": ranks(u)}),
    "rating": (2, Rating(levels=4), lambda u: {"level": np.digitize(u, [-2.0, 0.0, 2.0])}),
    "approval": (3, Approval(), lambda u: {"approved": u > 0.5}),
    "outcome": (2, Outcome(has_intercept=True), lambda u: {"value": u}),
}


@pytest.mark.parametrize("kind", FEEDBACK)
def test_every_kind_of_feedback_teaches_the_same_curve(kind):
    width, channel, answer = FEEDBACK[kind]
    rng = np.random.default_rng(3)
    features = rng.normal(size=(900, width, 3))
    noise = (
        rng.logistic(size=(900, width))
        if kind in ("rating", "approval")
        else (rng.gumbel(size=(900, width)))
    )
    batch = make_batch(kind, features, answer(curved(features) + noise), 100)
    belief = fit_neural(
        batch, (channel,), network=NetworkConfig(hidden=(12, 6), num_networks=1),
        training=TrainConfig(batch_size=170, learning_rate=0.03, max_epochs=40, patience=5),
    )  # fmt: skip
    asked = make_batch("choice", rng.normal(size=(300, 2, 3)), {"chosen": np.zeros(300, int)}, 30)
    made = next(iter(belief.utilities(asked))).utilities[:, :, 0]
    truth = curved(asked.blocks[0].features)
    assert np.corrcoef(made[:, 0] - made[:, 1], truth[:, 0] - truth[:, 1])[0, 1] > 0.85
    assert belief.theta.shape == (len(belief.parameter_names),)
    assert belief.channel_sizes == (channel.num_parameters(batch),)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    batch = small(0)
    one, two = (fit_neural(batch, (Choice(),), network=SMALL, training=SHORT) for _ in range(2))
    assert one.theta.tobytes() == two.theta.tobytes()
    other = fit_neural(batch, (Choice(),), network=SMALL, training=replace(SHORT, seed=1))
    assert other.theta.tobytes() != one.theta.tobytes()


def test_an_interrupted_fit_goes_on_to_the_same_bits(tmp_path):
    batch = small(0)
    whole = fit_neural(batch, (Choice(),), network=SMALL, training=SHORT)

    def stop(number, look):
        if number == 1 and look.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_neural(
            batch, (Choice(),), network=SMALL, training=SHORT, checkpoint=tmp_path, on_look=stop
        )
    seen = []
    resumed = fit_neural(
        batch, (Choice(),), network=SMALL, training=SHORT, checkpoint=tmp_path,
        on_look=lambda number, look: seen.append((number, look.epoch)),
    )  # fmt: skip
    assert seen == [(1, 3.0), (1, 4.0)]
    assert resumed.theta.tobytes() == whole.theta.tobytes()
    with pytest.raises(ConfigError, match="another folder"):
        fit_neural(
            batch, (Choice(),), network=replace(SMALL, hidden=(3,)), training=SHORT,
            checkpoint=tmp_path,
        )  # fmt: skip


def test_layers_of_other_features_weights_or_channels_are_refused(tmp_path):
    batch = small(0)
    few = replace(SMALL, num_networks=1)
    fit_neural(batch, (Choice(),), network=few, training=SHORT, checkpoint=tmp_path)
    block = batch.blocks[0]
    mirrored = replace(block, features=-block.features)
    heavy = replace(block, weight=np.where(np.arange(len(block)) < 5, 2.0, block.weight))
    others = {
        "names": (replace(batch, feature_names=tuple("abcdef"[: batch.num_features])), Choice()),
        "features": (replace(batch, blocks=(mirrored, *batch.blocks[1:])), Choice()),
        "weights": (replace(batch, blocks=(heavy, *batch.blocks[1:])), Choice()),
        "channels": (batch, Nested(nests=(0,) * len(batch.option_names))),
    }
    for data, channel in others.values():
        with pytest.raises(ConfigError, match="another folder"):
            fit_neural(data, (channel,), network=few, training=SHORT, checkpoint=tmp_path)


def test_a_saved_network_answers_alike_and_needs_no_torch(tmp_path, monkeypatch):
    batch = small(0)
    belief = fit_neural(batch, (Choice(),), network=SMALL, training=SHORT)
    belief.save(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)
    loaded = Belief.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict_proba(batch)[0], belief.predict_proba(batch)[0])
    one, two = (b.sample(3, np.random.default_rng(0)) for b in (belief, loaded))
    assert [s.theta.tobytes() for s in one] == [s.theta.tobytes() for s in two]
    with pytest.raises(MissingExtraError, match=r"penchant\[torch\]"):
        fit_neural(batch, (Choice(),), network=SMALL, training=SHORT)


def test_draws_and_moments_tell_one_story():
    batch = small(0)
    belief = fit_neural(batch, (Choice(),), network=replace(SMALL, num_networks=4), training=SHORT)
    batch = batch.take_groups(np.arange(3))
    drawn = np.stack([
        next(iter(one.utilities(batch))).utilities[:, :, 0]
        for one in belief.sample(600, np.random.default_rng(0))
    ])  # fmt: skip
    moments = belief.moments(batch)
    gap = drawn[:, :, 1] - drawn[:, :, 0]
    doubt = moments.doubt[0]
    variance = doubt[:, 0, 0] + doubt[:, 1, 1] - 2 * doubt[:, 0, 1]
    mean = moments.mean[0][:, 1] - moments.mean[0][:, 0]
    assert np.median(gap.var(axis=0) / variance) == pytest.approx(1.0, abs=0.15)
    assert np.all(np.abs(gap.mean(axis=0) - mean) < 0.35 * np.sqrt(variance))


def test_ninety_per_cent_intervals_hold_most_of_the_time_and_one_network_is_too_sure():
    inside: dict[int, list[float]] = {1: [], 6: []}
    for seed in range(2):
        train = curved_choices(np.random.default_rng(seed))
        asked = curved_choices(np.random.default_rng(100 + seed), num_people=20)
        truth = curved(asked.blocks[0].features)
        for num_networks in inside:
            belief = fit_neural(
                train, (Choice(),), network=NetworkConfig(num_networks=num_networks),
                training=TrainConfig(
                    batch_size=255, learning_rate=0.03, patience=4, seed=seed
                ),
            )  # fmt: skip
            drawn = np.stack([
                next(iter(one.utilities(asked))).utilities[:, :, 0]
                for one in belief.sample(120, np.random.default_rng(1))
            ])  # fmt: skip
            low, high = np.quantile(drawn[:, :, 1] - drawn[:, :, 0], [0.05, 0.95], axis=0)
            gap = truth[:, 1] - truth[:, 0]
            inside[num_networks].append(np.mean((low < gap) & (gap < high)))
    assert np.mean(inside[1]) < np.mean(inside[6]) - 0.05
    assert 0.8 < np.mean(inside[6]) <= 0.99


def test_weights_of_the_bootstrap_belong_to_people():
    batch = small(0)
    weight, group = reweighted(batch, 0, 1).blocks[0].weight, batch.blocks[0].group
    of_group = np.zeros(batch.num_groups)
    of_group[group] = weight
    np.testing.assert_array_equal(of_group[group], weight)
    assert len(set(of_group)) == batch.num_groups
    assert np.mean(of_group) == pytest.approx(1.0, abs=0.5)
    assert not np.array_equal(weight, reweighted(batch, 0, 2).blocks[0].weight)


@pytest.mark.parametrize("rate", [1e3, 1e8])
def test_a_rate_far_too_high_is_not_called_convergence(rate):
    training = TrainConfig(batch_size=64, max_epochs=20, patience=3, learning_rate=rate)
    report = fit_neural(small(0), (Choice(),), network=SMALL, training=training).report
    assert not report.converged
    assert any("Lower the learning rate" in warning for warning in report.warnings)


def test_a_fit_that_did_not_settle_says_so():
    report = fit_neural(
        small(0), (Choice(),), network=replace(SMALL, num_networks=1),
        training=TrainConfig(batch_size=64, max_epochs=2),
    ).report  # fmt: skip
    assert not report.converged
    assert any("did not settle" in warning for warning in report.warnings)
    assert any("far too narrow" in warning for warning in report.warnings)
    assert report.null_log_likelihood == pytest.approx(-200 * np.log(4))


@pytest.mark.parametrize("bad", [{"hidden": ()}, {"hidden": (4, 0)}, {"num_networks": 0}])
def test_a_network_that_cannot_be_built_is_refused(bad):
    with pytest.raises(ConfigError, match="expected"):
        NetworkConfig(**bad)
