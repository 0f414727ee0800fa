"""Our rewards, credit, data and checkpoints in TRL's own trainers, where TRL is installed."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    trl = pytest.importorskip("trl", reason="trl is not installed; it is in requirements-bench.txt")
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer

from typer.testing import CliRunner  # noqa: E402

from lm.tiny_models import save_tiny  # noqa: E402  # they need torch
from penchant.cli.main import app  # noqa: E402
from penchant.errors import ConfigError  # noqa: E402
from penchant.lm.decoder import DecoderConfig  # noqa: E402
from penchant.policies.language.methods.conflict import ConflictAware  # noqa: E402
from penchant.policies.language.methods.group_relative import (  # noqa: E402
    GroupRelative,
    dr_grpo,
    grpo,
)
from penchant.policies.language.methods.level_pairs import LevelPairs  # noqa: E402
from penchant.policies.language.methods.proximal import Proximal  # noqa: E402
from penchant.serving.trainer_credit import trl_settings, trl_trainer  # noqa: E402
from penchant.serving.trainer_grades import trl_grade  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
COMMON = {"use_cpu": True, "report_to": [], "disable_tqdm": True, "bf16": False, "max_steps": 1,
          "gradient_checkpointing": False, "save_strategy": "no"}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    save_tiny(tmp_path / "model", DecoderConfig(width=16, layers=2, heads=2, window=64))
    return tmp_path


def odd(problem, response):
    """A reward that a random model meets half of the time; some answers cannot be graded."""
    if len(response) % 5 == 4:
        raise ValueError("not gradable")
    return {"correct": float(len(response) % 2)}


def trained(folder, kind, settings, rewards):
    """One step; the batch that the loss was made of."""
    done = CliRunner().invoke(app, ["export", "CHAIN:most=2", "--to", "trl", "--num", "16", "--out",
                                    str(folder / "data"), "--held-out", "0"])  # fmt: skip
    assert done.exit_code == 0, done.output
    data = load_dataset("parquet", data_files=str(folder / "data" / "prompts-train.parquet"),
                        cache_dir=str(folder / "cache"))["train"]  # fmt: skip
    seen = []

    class Watched(kind):
        def _compute_loss(self, model, inputs):
            seen.append({name: value.clone() for name, value in inputs.items()
                         if isinstance(value, torch.Tensor)})  # fmt: skip
            return super()._compute_loss(model, inputs)

    trainer = Watched(
        model=str(folder / "model"), reward_funcs=rewards, train_dataset=data,
        args=GRPOConfig(
            output_dir=str(folder / "out"), per_device_train_batch_size=8, num_generations=4,
            **{"max_completion_length": 6} | settings, **COMMON,
        ),
    )  # fmt: skip
    trainer.train()
    return trainer, seen[0]


def told_rewards():
    """The reward function with what it answered kept."""
    kept = []

    def reward(**columns):
        kept[:] = trl_grade(odd)(**columns)
        return kept

    return kept, reward


def test_our_rewards_and_credit_make_the_batch_that_trl_learns_from(folder):
    kept, reward = told_rewards()
    method = GroupRelative()
    trainer, batch = trained(folder, trl_trainer(GRPOTrainer, method), trl_settings(method), reward)
    told = np.array([np.nan if value is None else value for value in kept])
    is_scored = np.isfinite(told)
    wanted = method.credit(told, np.repeat([0, 1], 4), is_scored).advantage
    mask = batch["completion_mask"].numpy()
    # TRL shuffles the batch: rows are found again by their values.
    found = batch["advantages"].numpy()
    assert found.shape == mask.shape
    rows = sorted(found[b, 0] for b in range(8))
    np.testing.assert_allclose(rows, np.sort(wanted), atol=1e-6)
    np.testing.assert_allclose(found, found[:, :1] * mask, atol=1e-7)
    assert np.abs(wanted).max() > 0.1
    (logged,) = (said for said in trainer.state.log_history if "penchant/failed" in said)
    assert logged["penchant/failed"] == np.sum(~is_scored)


def test_grpos_credit_in_trl_is_trls_own(folder):
    batches = []
    for kind in (GRPOTrainer, trl_trainer(GRPOTrainer, grpo())):
        torch.manual_seed(0)
        batches.append(trained(folder, kind, {"seed": 3}, trl_grade(odd))[1])
    theirs, ours = batches
    assert torch.equal(theirs["completion_ids"], ours["completion_ids"])
    wanted = theirs["advantages"][:, None] * theirs["completion_mask"]
    torch.testing.assert_close(ours["advantages"], wanted, atol=1e-5, rtol=1e-5)
    assert wanted.abs().max() > 0.1


def test_a_step_under_our_settings_moves_the_model(folder):
    trainer, _ = trained(
        folder, trl_trainer(GRPOTrainer, dr_grpo(6)), trl_settings(dr_grpo(6)), trl_grade(odd)
    )
    assert trainer.args.loss_type == "dr_grpo"
    assert trainer.state.global_step == 1


def test_methods_that_ask_for_what_trl_has_not_are_refused(folder):
    with pytest.raises(ConfigError, match="learnt value"):
        trl_trainer(GRPOTrainer, Proximal())
    with pytest.raises(ConfigError, match="entropies"):
        trained(folder, trl_trainer(GRPOTrainer, ConflictAware()), {}, trl_grade(odd))
    with pytest.raises(ConfigError, match="reference"):
        trained(folder, trl_trainer(GRPOTrainer, LevelPairs()), {}, trl_grade(odd))


def test_exported_pairs_and_answers_train_trls_own_trainers(folder):
    import json

    file = folder / "pairs.jsonl"
    file.write_text("".join(
        json.dumps({"prompt": f"q{k}", "chosen": f" good {k}", "rejected": f" bad {k}"}) + "\n"
        for k in range(12)
    ))  # fmt: skip
    done = CliRunner().invoke(app, ["export", str(file), "--to", "trl", "--out",
                                    str(folder / "data"), "--held-out", "0"])  # fmt: skip
    assert done.exit_code == 0, done.output
    for name, config, kind in (("preference", DPOConfig, DPOTrainer),
                               ("unpaired", KTOConfig, KTOTrainer)):  # fmt: skip
        data = load_dataset("parquet", data_files=str(folder / "data" / f"{name}-train.parquet"),
                            cache_dir=str(folder / "cache"))["train"]  # fmt: skip
        trainer = kind(
            model=str(folder / "model"),
            train_dataset=data,
            args=config(output_dir=str(folder / name), per_device_train_batch_size=4, **COMMON),
        )
        trainer.train()
        assert trainer.state.global_step == 1
