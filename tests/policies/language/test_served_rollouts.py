"""Rollouts from a server: groups, games of several turns, versions of rows, training on them."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.lm.sample import SampleConfig
from penchant.policies.language.episodes import play
from penchant.policies.language.layout import read_drawn
from penchant.policies.language.methods.group_relative import GroupRelative, grpo
from penchant.policies.language.rollouts import draw_rollouts, put_together
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
from penchant.simulation.tasks.find import FindByLooking
from penchant.simulation.tasks.tool import CallTool

torch = pytest.importorskip("torch")

from lm.test_remote_sampling import Server, served  # noqa: E402  # it needs torch
from lm.tiny_models import tiny  # noqa: E402


@pytest.fixture
def server():
    with Server(tiny(dtype=torch.float32)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_rows_that_are_taken_keep_their_own_versions():
    local = tiny(dtype=torch.float32)
    found = draw_rollouts(local, ["ab", "c"], 2, SampleConfig(most_tokens=3),
                          torch.Generator().manual_seed(0), version=7)  # fmt: skip
    assert found.take(np.array([3, 0])).versions.tolist() == [7, 7]
    mixed = replace(found, version=np.array([4, 5, 6, 7]))
    assert mixed.take(np.array([3, 0, 2])).versions.tolist() == [7, 4, 6]
    both = put_together([mixed, found.take(np.array([1]))])
    assert both.versions.tolist() == [4, 5, 6, 7, 7]


def agrees(model, rollouts):
    """What the model says of the drawn tokens, beside what the server said."""
    read = read_drawn(model, rollouts)
    np.testing.assert_allclose(read.placed(read.log_prob, rollouts), rollouts.log_prob, atol=1e-4)


def test_groups_from_a_server_are_those_of_a_local_model_token_for_token(server):
    model = served(server)
    found = draw_rollouts(model, ["ab", "c"], 3, SampleConfig(most_tokens=5),
                          torch.Generator().manual_seed(0))  # fmt: skip
    assert found.prompt_of.tolist() == [0, 0, 0, 1, 1, 1]
    agrees(model, found)
    server.version = "3"
    again = draw_rollouts(model, ["ab", "c"], 3, SampleConfig(most_tokens=5),
                          torch.Generator().manual_seed(0))  # fmt: skip
    assert torch.equal(again.tokens.ids, found.tokens.ids)
    assert again.versions.tolist() == [3] * 6
    assert again.take(np.array([4, 1])).versions.tolist() == [3, 3]


def test_games_of_several_turns_are_played_through_a_server_without_reading_anew(server):
    model = served(server)
    rng = np.random.default_rng(0)
    worlds = [FindByLooking().draw_world(rng) for _ in range(3)]
    server.version = "2"
    found = play(model, worlds, np.arange(3), SampleConfig(most_tokens=4),
                 torch.Generator().manual_seed(0)).rollouts  # fmt: skip
    assert found.turn_of.max() >= 1
    agrees(model, found)
    assert found.versions.tolist() == [2, 2, 2]
    # What was asked of a later turn is what had been drawn and heard, token for token.
    asked = sorted((said["prompt"] for _, said in server.seen), key=len)
    rows = [row[real].tolist() for row, real in zip(found.tokens.ids, found.tokens.is_text)]
    assert all(any(row[: len(prompt)] == prompt for row in rows) for prompt in asked)


def trained(model, method, steps=2):
    config = TrainerConfig(prompts=2, group_size=3, most_tokens=4, learning_rate=0.01)
    trainer = PolicyTrainer(model, CallTool(), method, config, grade=lambda problem, said: {
        "correct": float(len(said) % 2)})  # fmt: skip
    return trainer, [trainer.step() for _ in range(steps)]


def test_a_policy_that_its_server_follows_trains_on_its_own_answers(server, tmp_path):
    trainer, reports = trained(served(server, weights=tmp_path), GroupRelative())
    loads = [said for path, said in server.seen if path == "/update_weights_from_disk"]
    assert [said["weight_version"] for said in loads] == ["0", "1"]
    # Drawn from itself: the sampler's correction is one all over.
    assert all(report.effective == pytest.approx(1.0, abs=1e-4) for report in reports)
    assert np.isnan(reports[0].entropy)
    moved = trainer.model.parameters["layers.0.self_attn.q_proj.weight"]
    assert not torch.equal(moved, tiny(dtype=torch.float32).parameters[
        "layers.0.self_attn.q_proj.weight"])  # fmt: skip


def test_a_server_that_keeps_its_weights_needs_a_method_that_corrects_for_that(server):
    with pytest.raises(ConfigError, match="most_weight"):
        trained(served(server), grpo())
    _, reports = trained(served(server), GroupRelative())
    assert reports[1].effective < 1.0


def test_a_model_without_a_sampler_draws_as_before():
    local = tiny(dtype=torch.float32)
    found = draw_rollouts(local, ["ab"], 2, SampleConfig(most_tokens=3),
                          torch.Generator().manual_seed(0), version=5)  # fmt: skip
    assert found.versions.tolist() == [5, 5]
    assert replace(local, name="x").sampler is None
