"""Reward heads on language models: the feedback's own likelihoods, however the steps are cut."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fitting.judged_rows import batch_of, block_of, mixed_rows
from penchant.errors import ConfigError, DataError
from penchant.feedback.corrupted_pair import margin_log_prob, soft_log_prob
from penchant.feedback.gap import GapModel
from penchant.fitting.channel_head import joint_channels
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.sgd import TrainConfig

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # they need torch
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig  # noqa: E402
from penchant.fitting.language_reward import (  # noqa: E402
    LanguageRewardConfig,
    fit_language_reward,
    fresh_head,
)
from penchant.fitting.next_token import NextToken, fit_next_token  # noqa: E402
from penchant.lm.language_model import moved_to  # noqa: E402
from penchant.lm.log_probs import log_probs  # noqa: E402
from penchant.lm.low_rank import LowRankConfig, fresh_low_rank, merged  # noqa: E402
from penchant.lm.states import read_states  # noqa: E402
from penchant.lm.tokens import padded  # noqa: E402
from penchant.utilities.reward_head import reward  # noqa: E402

SHORT = TrainConfig(batch_size=8, max_epochs=2, learning_rate=0.01, patience=None)
LEARNER = LearnerConfig(at_once=8)


def config(trained="low_rank", width=0, **learner):
    return LanguageRewardConfig(
        trained=trained, width=width, low_rank=LowRankConfig(rank=2),
        learner=replace(LEARNER, **learner),
    )  # fmt: skip


def rewards_of(trained="low_rank", width=0, training=SHORT, model=None, **learner):
    texts, batch = mixed_rows()
    fitted, _ = fit_language_reward(
        model or tiny(), texts, batch, training, config=config(trained, width, **learner)
    )
    return fitted.rewards(texts)


@pytest.mark.parametrize("trained", ["head", "low_rank", "whole"])
@pytest.mark.parametrize("width", [0, 3])
def test_one_step_of_eight_is_eight_steps_of_one_added_up(trained, width):
    whole = rewards_of(trained, width)
    for at_once in (1, 3):
        parts = rewards_of(trained, width, at_once=at_once)
        np.testing.assert_allclose(parts, whole, rtol=1e-8, atol=1e-10)
    assert np.ptp(whole) > 1e-3


@pytest.mark.parametrize("trained", ["low_rank", "whole"])
def test_products_in_half_precision_learn_the_same_and_parameters_stay_single(trained):
    texts, batch = mixed_rows()
    model = moved_to(tiny(), dtype=torch.float32)
    single, half = (
        fit_language_reward(
            model, texts, batch, SHORT, config=replace(config(trained), is_half=is_half)
        )[0]
        for is_half in (False, True)
    )
    assert {value.dtype for value in half.model.parameters.values()} == {torch.float32}
    one, other = single.rewards(texts), half.rewards(texts)
    # Not the same digits, or nothing was in half precision; the same order and size.
    assert 0 < np.abs(one - other).max() < 0.1 * np.ptp(one)
    assert np.corrcoef(one, other)[0, 1] > 0.99


def test_a_head_on_frozen_states_is_the_one_that_newton_finds():
    """The minibatch loop, run long on pairs, ends where the quick path is at once."""
    texts, _ = mixed_rows(num_texts=12)
    rng = np.random.default_rng(1)
    two = np.array([rng.choice(12, 2, replace=False) for _ in range(200)])
    states = read_states(tiny(), texts)
    truth = states.numpy() @ rng.normal(size=16)
    gap = 0.5 * (truth[two[:, 0]] - truth[two[:, 1]]) / np.std(truth)
    outcome = (rng.random(200) > 1 / (1 + np.exp(-gap))).astype(int)
    batch = batch_of(block_of("pair", two, 0, outcome=outcome), num_texts=12)
    newton = fit_linear_head(
        HeadPairs(
            features=states.numpy().astype(np.float32), first=two[:, 0], second=two[:, 1],
            answer=outcome, weight=np.ones(200),
        ),
        GapModel(), prior_scale=30.0,
    )  # fmt: skip
    long = TrainConfig(batch_size=200, max_epochs=400, learning_rate=0.2, schedule="cosine",
                       patience=None)  # fmt: skip
    fitted, done = fit_language_reward(
        tiny(), texts, batch, long, config=config("head", most_norm=None, at_once=200)
    )
    ours, theirs = fitted.rewards(texts), states.numpy() @ newton.weights
    np.testing.assert_allclose(ours - ours.mean(), theirs - theirs.mean(), atol=0.05)
    assert 200 * done.looks[-1].train == pytest.approx(newton.log_likelihood, abs=0.2)


def test_what_is_maximised_are_the_likelihoods_of_the_channels():
    """The first look of a head of given weights is the mean of the channels' own log_prob."""
    texts, batch = mixed_rows()
    model = tiny()
    channels = joint_channels(batch)
    head = fresh_head(16, 3, torch.Generator().manual_seed(0), torch.float64)
    assert set(head) == {"hidden", "bias", "out"}
    fitted, done = fit_language_reward(model, texts, batch, SHORT, config=config("whole", 3))
    worth = fitted.rewards(texts)
    total = weight = 0.0
    own, at = fitted.own, 0
    for channel in channels:
        size = channel.num_parameters(batch)
        (block,) = [b for b in batch.blocks if b.kind == channel.kind]
        utilities = np.where(block.offered, worth[block.option], 0.0)
        said = channel.log_prob(utilities, block, own[at : at + size])
        total, weight, at = total + block.weight @ said, weight + block.weight.sum(), at + size
    assert at == len(own)
    everybody = np.arange(batch.num_observations)
    again, looked = fit_language_reward(
        fitted.model, texts, batch, replace(SHORT, learning_rate=1e-12),
        config=config("head", 3), held_out=everybody[::2],
    )  # fmt: skip
    assert np.isfinite(looked.looks[0].held_out)
    assert done.looks[-1].train > -np.inf
    # A head that is put back reads the same states, so that its looks are this mean.
    objective = _objective(fitted, texts, batch, channels)
    parameters = {f"head.{n}": v for n, v in fitted.head.items()}
    parameters["own"] = torch.from_numpy(fitted.own)
    found = float(objective.log_prob(parameters, everybody)) / objective.weight(everybody)
    assert found == pytest.approx(total / weight, rel=1e-9)
    assert again.rewards(texts).shape == worth.shape


def _objective(fitted, texts, batch, channels):
    from penchant.fitting.channel_examples import ChannelExamples
    from penchant.fitting.language_reward import _Objective

    return _Objective(
        model=fitted.model, texts=texts, config=config("head"),
        answers=ChannelExamples.of(batch, channels, torch.float64),
        states=read_states(fitted.model, texts),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["margin", "soft"])
def test_margins_and_soft_labels_are_those_of_the_feedback_room(kind):
    texts, _ = mixed_rows()
    rng = np.random.default_rng(0)
    two = np.array([rng.choice(9, 2, replace=False) for _ in range(6)])
    told = rng.random(6)
    if kind == "margin":
        # Minus the margin beside the winner, who stands first.
        features = np.stack([-told, 0 * told], axis=1)[:, :, None]
        block = block_of("pair", two, 0, features=features, outcome=np.zeros(6, dtype=int))
        batch = batch_of(block, num_texts=9, names=("offset",))
    else:
        batch = batch_of(
            block_of("pair", two, 0, outcome=np.zeros(6, dtype=int), weight=told),
            block_of("pair", two, 6, outcome=np.ones(6, dtype=int), weight=1 - told),
            num_texts=9,
        )
    fitted, _ = fit_language_reward(tiny(), texts, batch, SHORT, config=config("head"))
    objective = _objective(fitted, texts, batch, joint_channels(batch))
    parameters = {"head.out": fitted.head["out"], "own": torch.zeros(0, dtype=torch.float64)}
    found = objective.log_prob(parameters, np.arange(batch.num_observations))
    worth = fitted.rewards(texts)
    gap = worth[two[:, 0]] - worth[two[:, 1]]
    wanted = margin_log_prob(gap, told) if kind == "margin" else soft_log_prob(gap, told)
    assert float(found) == pytest.approx(wanted.sum(), rel=1e-9)
    assert np.abs(gap).max() > 1e-3


@pytest.mark.parametrize("trained", ["head", "low_rank", "whole"])
def test_a_training_taken_up_again_is_the_unbroken_one(tmp_path, trained):
    texts, batch = mixed_rows()
    kwargs = {"config": config(trained)}
    whole, done = fit_language_reward(tiny(), texts, batch, SHORT, **kwargs)
    step, seen = LanguageLearner.step, []

    def breaks(self, examples, rate):
        if len(seen) == 6:
            raise KeyboardInterrupt
        seen.append(len(examples))
        return step(self, examples, rate)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageLearner, "step", breaks)
        with pytest.raises(KeyboardInterrupt):
            fit_language_reward(tiny(), texts, batch, SHORT, checkpoint=tmp_path, **kwargs)
    again, resumed = fit_language_reward(tiny(), texts, batch, SHORT, checkpoint=tmp_path, **kwargs)
    assert resumed.steps == done.steps
    assert [look.train for look in resumed.looks[1:]] == [look.train for look in done.looks[1:]]
    np.testing.assert_array_equal(again.rewards(texts), whole.rewards(texts))
    with pytest.raises(ConfigError, match="fingerprint"):
        fit_language_reward(tiny(1), texts, batch, SHORT, checkpoint=tmp_path, **kwargs)
    with pytest.raises(ConfigError, match="fingerprint"):
        fit_language_reward(
            tiny(), texts, batch, SHORT, checkpoint=tmp_path, held_out=np.arange(3), **kwargs
        )


def test_next_tokens_are_not_gone_on_with_from_other_places_rows_or_settings(tmp_path):
    model, rows = tiny(), [[1, 30 + k, 60 + k, 2] for k in range(16)]
    given = {"checkpoint": tmp_path, "from_place": np.full(16, 2), "config": LEARNER}
    told, done = fit_next_token(model, rows, SHORT, **given)
    # Nats a token: at first a little more than those of any of the 259.
    assert done.looks[1].train == pytest.approx(-np.log(259), abs=2.0)
    again, _ = fit_next_token(model, rows, SHORT, **given)
    assert all(torch.equal(again.parameters[n], told.parameters[n]) for n in told.parameters)
    for other in (
        {"from_place": np.full(16, 1)}, {"held_out": np.arange(4)},
        {"config": replace(LEARNER, most_norm=0.1)},
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="fingerprint"):
            fit_next_token(model, rows, SHORT, **(given | other))


def test_frozen_stays_frozen_and_adapters_leave_the_base_alone():
    texts, batch = mixed_rows()
    model = tiny()
    before = {name: value.clone() for name, value in model.parameters.items()}
    for trained in ("head", "low_rank", "whole"):
        fitted, _ = fit_language_reward(model, texts, batch, SHORT, config=config(trained))
        changed = {
            name for name, value in fitted.model.parameters.items()
            if not torch.equal(value, before[name])
        }  # fmt: skip
        assert all(torch.equal(value, before[n]) for n, value in model.parameters.items())
        if trained == "head":
            assert not changed
        elif trained == "low_rank":
            assert changed == {name for name in before if "proj" in name}
            for name in changed:
                rank = torch.linalg.matrix_rank(fitted.model.parameters[name] - before[name])
                assert rank <= 2
        else:
            assert changed == set(before)


def test_adapters_start_at_no_change_and_are_the_product_of_two():
    base = tiny().parameters
    thin = fresh_low_rank(base, LowRankConfig(rank=3), torch.Generator().manual_seed(0))
    assert all(torch.equal(v, base[n]) for n, v in merged(base, thin, 2.0).items())
    thin = {name: torch.ones_like(value) for name, value in thin.items()}
    name = "layers.0.self_attn.q_proj.weight"
    torch.testing.assert_close(merged(base, thin, 2.0)[name], base[name] + 6.0)
    with pytest.raises(ConfigError, match="no matrix"):
        fresh_low_rank(base, LowRankConfig(targets="nowhere"), torch.Generator())


def test_heads_in_numpy_and_torch_say_the_same():
    rng = np.random.default_rng(0)
    head = {"hidden": rng.normal(size=(5, 3)), "bias": rng.normal(size=(1, 3)),
            "out": rng.normal(size=3)}  # fmt: skip
    states = rng.normal(size=(4, 5))
    inner = states @ head["hidden"] + head["bias"]
    wanted = (inner / (1 + np.exp(-inner))) @ head["out"]
    np.testing.assert_allclose(reward(head, states), wanted)
    as_torch = {name: torch.from_numpy(value) for name, value in head.items()}
    np.testing.assert_allclose(reward(as_torch, torch.from_numpy(states)).numpy(), wanted)
    np.testing.assert_allclose(reward({"out": head["hidden"][:, 0]}, states),
                               states @ head["hidden"][:, 0])  # fmt: skip


def test_several_members_give_one_column_each():
    rng = np.random.default_rng(0)
    heads = [{"hidden": rng.normal(size=(5, 3)), "bias": rng.normal(size=(1, 3)),
              "out": rng.normal(size=3)} for _ in range(2)]  # fmt: skip
    together = {name: np.stack([head[name] for head in heads]) for name in heads[0]}
    states = rng.normal(size=(4, 5))
    wanted = np.stack([reward(head, states) for head in heads])
    np.testing.assert_allclose(reward(together, states), wanted)


def test_features_that_no_reward_of_text_knows_are_refused():
    texts, batch = mixed_rows()
    odd = replace(
        batch, feature_names=("length",),
        blocks=tuple(replace(b, features=np.ones((*b.option.shape, 1))) for b in batch.blocks),
    )  # fmt: skip
    with pytest.raises(DataError, match="'offset' alone"):
        fit_language_reward(tiny(), texts, odd, SHORT)
    with pytest.raises(DataError, match="shows text 8, but there are 3"):
        fit_language_reward(tiny(), texts[:3], batch, SHORT)
    with pytest.raises(ConfigError, match="expected one of"):
        LanguageRewardConfig(trained="some")
    with pytest.raises(ConfigError, match="at_once=0"):
        LearnerConfig(at_once=0)


def test_a_long_gradient_is_cut_to_the_length_that_is_said():
    learner = LanguageLearner({"w": torch.zeros(2)}, _Slope(), LearnerConfig(most_norm=0.5))
    cut = learner._cut({"w": torch.tensor([3.0, 4.0])})["w"]
    torch.testing.assert_close(cut, torch.tensor([0.3, 0.4]))
    short = torch.tensor([0.03, 0.04])
    torch.testing.assert_close(learner._cut({"w": short})["w"], short)


class _Slope:
    def weight(self, examples):
        return float(len(examples))

    def log_prob(self, parameters, examples):
        return parameters["w"].sum() * len(examples)

    def penalty(self, parameters):
        return 0.0


def test_next_tokens_are_learnt_and_prompts_are_not_where_answers_alone_count():
    model = tiny()
    rows = [[1, 30 + k, 60 + k, 2] for k in range(4)] * 8
    training = TrainConfig(batch_size=8, max_epochs=40, learning_rate=0.01, patience=None)
    told, done = fit_next_token(
        model, rows, training, from_place=np.full(len(rows), 2), config=LearnerConfig()
    )
    assert done.looks[1].train < -1.0
    said = log_probs(told, padded(rows[:4], 0)).log_prob
    assert said[:, 1:].sum(dim=1).min() > -0.5
    before = log_probs(model, padded(rows[:4], 0)).log_prob
    # The first token after begin was never foretold; what stands after it is.
    assert said[:, 0].mean() < before[:, 0].mean() + 1.0
    with pytest.raises(DataError, match="nothing to foretell"):
        fit_next_token(model, [[1]], training)


def test_every_token_counts_once_however_rows_are_cut():
    model = tiny()
    rows = [[1, 5, 6, 7, 2], [1, 5, 2], [1, 2]]
    objective = NextToken(model=model, rows=rows, from_place=np.array([1, 2, 1]))
    assert objective.weight(np.arange(3)) == 4 + 1 + 1
    whole = float(objective.log_prob({}, np.arange(3)))
    parts = sum(float(objective.log_prob({}, np.array([e]))) for e in range(3))
    assert whole == pytest.approx(parts, rel=1e-10)
    by_hand = log_probs(model, padded(rows, 0)).log_prob
    wanted = by_hand[0].sum() + by_hand[1, 1] + by_hand[2, 0]
    assert whole == pytest.approx(float(wanted), rel=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("trained", ["head", "low_rank"])
def test_two_processes_of_torchrun_are_one(tmp_path, trained):
    folder = Path(__file__).parent
    run = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
        str(folder / "two_processes.py"), str(tmp_path), trained,
    ]  # fmt: skip
    paths = os.pathsep.join([str(folder.parent), *filter(None, sys.path)])
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    one = rewards_of(trained)
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, one, rtol=1e-9, atol=1e-12)
    # Both took up what the first had kept, and the second had kept nothing of its own.
    resumed = [np.load(tmp_path / f"{rank}.resumed.npy") for rank in (0, 1)]
    np.testing.assert_array_equal(resumed, [first, first])
    shares = [np.load(tmp_path / f"{rank}.share.npy") for rank in (0, 1)]
    assert sorted(np.concatenate(shares).tolist()) == list(range(7))
    assert len(shares[0]) == 4


@pytest.mark.parametrize("trained", ["low_rank", "whole"])
def test_layers_worked_out_again_train_to_the_same_model(tmp_path, trained):
    pytest.importorskip("transformers")
    from lm.tiny_models import save_tiny
    from penchant.lm.pretrained import load_pretrained

    save_tiny(tmp_path / "base")
    model = load_pretrained(str(tmp_path / "base"))
    texts, batch = mixed_rows()
    plain = config(trained)
    one, other = (
        fit_language_reward(model, texts, batch, SHORT, config=each)[0].rewards(texts)
        for each in (plain, replace(plain, recomputes=True))
    )
    np.testing.assert_allclose(other, one, atol=1e-5)
    assert np.ptp(one) > 1e-3


def test_what_would_change_nothing_for_a_head_alone_is_refused():
    with pytest.raises(ConfigError, match="recomputes=True with trained='head'"):
        replace(config("head"), recomputes=True)
