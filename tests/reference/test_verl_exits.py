"""Our rewards, credit, data and settings in verl's own code, and its formulas beside ours.

Run where verl is installed (no GPU, no cluster: its functions and managers themselves are called).
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
verl = pytest.importorskip("verl", reason="verl is not installed; see requirements-bench.txt")

from hydra import compose, initialize_config_dir  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from typer.testing import CliRunner  # noqa: E402
from verl.trainer.ppo import core_algos  # noqa: E402
from verl.utils.config import omega_conf_to_dataclass  # noqa: E402

from lm.tiny_models import save_tiny  # noqa: E402
from penchant.cli.main import app  # noqa: E402
from penchant.policies.language.aggregation import token_scale  # noqa: E402
from penchant.policies.language.credit import STD_FLOOR  # noqa: E402
from penchant.policies.language.divergence import divergence  # noqa: E402
from penchant.policies.language.loss import (  # noqa: E402
    Surrogate,
    divergence_loss,
    policy_gradient_loss,
)
from penchant.policies.language.methods.group_relative import (  # noqa: E402
    GroupRelative,
    dr_grpo,
    grpo,
    rloo,
)
from penchant.policies.language.returns import generalised_advantage  # noqa: E402
from penchant.serving.trainer_credit import register_verl, verl_settings  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
ACTOR = "actor_rollout_ref.actor"
TASK = "CHAIN:most=2"


def config_of(*overrides):
    """verl's own configuration; a setting that it does not know is an error."""
    with initialize_config_dir(str(Path(verl.__file__).parent / "trainer" / "config"),
                               version_base=None):  # fmt: skip
        return compose("ppo_trainer", overrides=[
            f"{ACTOR}.ppo_micro_batch_size_per_gpu=4", "actor_rollout_ref.rollout.n=4", *overrides,
        ])  # fmt: skip


def actor_of(settings):
    said = config_of(*(f"{name}={value}" for name, value in settings.items()))
    return omega_conf_to_dataclass(said.actor_rollout_ref.actor)


# Rewards and data.


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A task as `penchant export` writes it, and a tokenizer in transformers' form."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("exported")
    done = CliRunner().invoke(app, ["export", TASK, "--to", "verl", "--num", "12", "--out",
                                    str(folder / "data")])  # fmt: skip
    assert done.exit_code == 0, done.output
    save_tiny(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    return folder / "data", tokenizer


def batch_of(exported, said):
    """verl's batch of what its own data set reads, each row answered with `said(row)`."""
    from verl.utils.dataset.rl_dataset import RLHFDataset

    folder, tokenizer = exported
    told = config_of(
        f"+data.cache_dir={folder / 'cache'}", "data.filter_overlong_prompts_workers=1"
    )
    data = RLHFDataset([str(folder / "train.parquet")], tokenizer, told.data)
    rows = [data[n] for n in range(len(data))]
    answers = [tokenizer.encode(said(row), add_special_tokens=False) for row in rows]
    width = max(map(len, answers))
    ids, mask = (torch.zeros(len(rows), width, dtype=torch.long) for _ in range(2))
    for n, answer in enumerate(answers):
        ids[n, : len(answer)], mask[n, : len(answer)] = torch.tensor(answer), 1
    prompt = torch.ones(len(rows), 1, dtype=torch.long)
    other = {name: np.array([row[name] for row in rows], dtype=object)
             for name in ("data_source", "reward_model", "extra_info")}  # fmt: skip
    tensors = {"prompts": prompt, "responses": ids,
               "attention_mask": torch.cat([prompt, mask], dim=1)}  # fmt: skip
    return verl.DataProto(batch=TensorDict(tensors, batch_size=len(rows)),
                          non_tensor_batch=other), mask  # fmt: skip


def half_right(row):
    """The demonstration, or something wrong."""
    shown = row["reward_model"]["ground_truth"]
    return shown if row["index"] % 2 == 0 else shown + "9"


def test_verls_data_set_reads_what_was_exported(exported):
    batch, _ = batch_of(exported, half_right)
    assert len(batch) >= 8
    assert set(batch.non_tensor_batch["data_source"]) == {f"penchant/{TASK}"}
    for known in batch.non_tensor_batch["extra_info"]:
        assert known["prompt"]
        assert known["split"] == "train"


def test_verls_reward_manager_grades_by_the_exported_file(exported):
    from verl.trainer.ppo.reward import load_reward_manager

    folder, tokenizer = exported
    # The name is verl's default there; under `custom_reward_function` it has none.
    said = config_of(f"reward.custom_reward_function.path={folder / 'reward.py'}")
    manager = load_reward_manager(said, tokenizer)
    batch, mask = batch_of(exported, half_right)

    async def graded():
        return [await manager.run_single(batch[n : n + 1]) for n in range(len(batch))]

    told = manager.loop.run_until_complete(graded())
    index = [known["index"] for known in batch.non_tensor_batch["extra_info"]]
    wanted = [float(n % 2 == 0) for n in index]
    assert 0.0 < np.mean(wanted) < 1.0
    assert [one["reward_score"] for one in told] == wanted
    assert all(one["reward_extra_info"]["correct"] == one["reward_score"] for one in told)
    assert all(one["reward_extra_info"]["failed"] == 0.0 for one in told)
    placed = manager.assemble_rm_scores(batch, [one["reward_score"] for one in told])
    last = mask.sum(dim=1) - 1
    assert placed[torch.arange(len(batch)), last].tolist() == wanted


def test_the_older_manager_and_the_older_setting_serve_too(exported):
    from verl.experimental.reward_loop.reward_loop import migrate_legacy_reward_impl
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.workers.reward_manager import NaiveRewardManager

    folder, tokenizer = exported
    said = migrate_legacy_reward_impl(config_of(
        f"custom_reward_function.path={folder / 'reward.py'}",
        "custom_reward_function.name=compute_score",
    ))  # fmt: skip
    manager = NaiveRewardManager(tokenizer, 0, get_custom_reward_fn(said))
    batch, _ = batch_of(exported, half_right)
    told = manager(batch, return_dict=True)
    index = [known["index"] for known in batch.non_tensor_batch["extra_info"]]
    wanted = [float(n % 2 == 0) for n in index]
    assert told["reward_tensor"].sum(dim=1).tolist() == wanted
    assert told["reward_extra_info"]["correct"] == wanted


# Credit.

INDEX = np.array(["b", "b", "a", "a", "b", "a", "b", "a"], dtype=object)
REWARD = [1.0, 0.0, 0.5, 0.25, 0.0, 1.0, 0.75, 0.0]
METHODS = {
    "ours": GroupRelative(), "ours-grpo": grpo(), "ours-rloo": rloo(6), "ours-dr-grpo": dr_grpo(6),
}  # fmt: skip


def rewarded(reward=REWARD, width=6):
    """Rewards at the last token of responses of several lengths."""
    size = torch.tensor([3, 6, 1, 4, 2, 5, 6, 4])[: len(reward)]
    mask = (torch.arange(width) < size[:, None]).float()
    told = torch.zeros(len(reward), width)
    told[torch.arange(len(reward)), size - 1] = torch.tensor(reward)
    return told, mask


def in_verl(name, told, mask, index=INDEX):
    """The advantages under this name, called for as verl's trainer calls for them."""
    said = config_of(f"algorithm.adv_estimator={name}")
    return core_algos.get_adv_estimator_fn(said.algorithm.adv_estimator)(
        token_level_rewards=told.clone(), response_mask=mask, config=said.algorithm, index=index
    )[0]


@pytest.mark.parametrize("name", METHODS)
def test_our_credit_is_known_to_verl_under_its_name(name):
    method = METHODS[name]
    register_verl(name, method)
    told, mask = rewarded()
    wanted = method.credit(np.array(REWARD), np.unique(INDEX, return_inverse=True)[1],
                           np.ones(8, bool)).advantage  # fmt: skip
    found = in_verl(name, told, mask)
    torch.testing.assert_close(found, torch.tensor(wanted)[:, None].float() * mask, **CLOSE)
    assert found.abs().max() > 0.1


@pytest.mark.parametrize(
    ("theirs", "options", "method"),
    [
        # verl adds 1e-6 to a deviation, ours what GRPO's authors add.
        ("grpo", {"epsilon": STD_FLOOR}, grpo()),
        ("grpo_vectorized", {"epsilon": STD_FLOOR}, grpo()),
        ("grpo", {"norm_adv_by_std_in_grpo": False}, dr_grpo(6)),
        ("rloo", {}, rloo(6)),
        ("rloo_vectorized", {}, rloo(6)),
    ],
)
def test_advantages_of_groups_are_verls(theirs, options, method):
    told, mask = rewarded()
    wanted, _ = core_algos.get_adv_estimator_fn(theirs)(
        token_level_rewards=told.clone(), response_mask=mask, index=INDEX, **options
    )
    found = method.credit(np.array(REWARD), np.unique(INDEX, return_inverse=True)[1],
                          np.ones(8, bool)).advantage  # fmt: skip
    torch.testing.assert_close(torch.tensor(found)[:, None].float() * mask, wanted, **CLOSE)
    assert wanted.abs().max() > 0.1


def test_a_response_that_could_not_be_graded_has_no_credit_in_verl():
    register_verl("ours-ungraded", METHODS["ours"])
    told, mask = rewarded([1.0, np.nan, 0.5, 0.25, 0.0, 1.0, 0.75, 0.0])
    found = in_verl("ours-ungraded", told, mask)
    assert torch.isfinite(found).all()
    assert found[1].abs().max() == 0.0
    assert found[0, 0] == pytest.approx(1.0 - 0.375)
    # verl's own would lose the whole group.
    assert torch.isnan(in_verl("rloo", told, mask)[[0, 4, 6], 0]).all()


@pytest.mark.parametrize(("discount", "trace"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0)])
def test_generalised_advantages_and_returns_are_verls(discount, trace):
    told, mask = rewarded()
    value = torch.randn(mask.shape, generator=torch.Generator().manual_seed(0))
    wanted, returns = core_algos.get_adv_estimator_fn("gae")(
        token_level_rewards=told, values=value, response_mask=mask, gamma=discount, lam=trace
    )
    rows, places = np.nonzero(mask.numpy())
    at = value[rows, places].double().numpy()
    found = generalised_advantage(
        told[rows, places].double().numpy(), at, rows, places,
        discount=np.full(len(rows), discount), trace=np.full(len(rows), trace),
    )  # fmt: skip
    np.testing.assert_allclose(found + at, returns[rows, places], **_numpy(CLOSE))
    # verl whitens by a deviation with n - 1, `Proximal` by one with n.
    white = (found - found.mean()) / np.sqrt(found.var(ddof=1) + 1e-8)
    np.testing.assert_allclose(white, wanted[rows, places], **_numpy(CLOSE))


def _numpy(close):
    return {"atol": close["atol"], "rtol": close["rtol"]}


# Losses.

MEANS = {
    "token-mean": ("token", None), "seq-mean-token-mean": ("row", None),
    "seq-mean-token-sum-norm": ("constant", 6), "seq-mean-token-sum": ("constant", 1),
}  # fmt: skip


def moved():
    """Log-probabilities of a policy that has moved, far enough that bounds matter."""
    generator = torch.Generator().manual_seed(1)
    _, mask = rewarded()
    old = -torch.rand(mask.shape, generator=generator) - 0.5
    now = old + 0.6 * torch.randn(mask.shape, generator=generator)
    credit = torch.randn(len(mask), 1, generator=generator).expand(mask.shape)
    # One ratio far above the others, of negative credit, for the second bound.
    now[1, 2], credit = old[1, 2] + 2.0, credit.clone()
    credit[1] = -1.0
    return now, old, mask, credit


def both(ours, theirs):
    """Loss and gradient of each, of one policy."""
    now = moved()[0]
    found = []
    for loss in (ours, theirs):
        leaf = now.clone().requires_grad_()
        value = loss(leaf)
        value.backward()
        found.append((value.detach(), leaf.grad))
    (one, slope), (other, wanted) = found
    torch.testing.assert_close(one, other, **CLOSE)
    torch.testing.assert_close(slope, wanted, **CLOSE)
    assert wanted.abs().max() > 1e-3
    return one


def ours_of(surrogate, mean, length):
    _, old, mask, credit = moved()
    unit_of = np.where(mask.numpy() > 0, np.arange(len(mask))[:, None], -1)
    scale = token_scale(unit_of, mean, length=length)
    return lambda logp: policy_gradient_loss(logp, old, credit, unit_of, scale, surrogate)


def verls_of(name, agg, settings):
    _, old, mask, credit = moved()
    loss, config = core_algos.get_policy_loss_fn(name), actor_of(settings)
    return lambda logp: loss(old, logp, credit, mask, agg, config)[0]


@pytest.mark.parametrize("agg", MEANS)
@pytest.mark.parametrize(
    ("name", "surrogate", "settings"),
    [
        ("vanilla", Surrogate(low=0.15, high=0.25, worst=3.0), {}),
        ("vanilla", Surrogate(low=0.15, high=0.25), {f"{ACTOR}.clip_ratio_c": 1e9}),
        ("gspo", Surrogate(level="unit", low=0.15, high=0.25), {}),
        ("cispo", Surrogate(form="truncated", high=0.25), {f"{ACTOR}.clip_ratio_low": 1.0}),
    ],
    ids=["clipped twice", "clipped", "gspo", "cispo"],
)
def test_policy_losses_and_their_gradients_are_verls(name, surrogate, settings, agg):
    bounds = {f"{ACTOR}.clip_ratio_low": 0.15, f"{ACTOR}.clip_ratio_high": 0.25} | settings
    both(ours_of(surrogate, *MEANS[agg]), verls_of(name, agg, bounds))


@pytest.mark.parametrize(
    "method",
    [GroupRelative(), grpo(), dr_grpo(9), GroupRelative(surrogate=Surrogate(worst=1.5))],
    ids=["ours", "grpo", "dr_grpo", "clipped twice"],
)
def test_under_our_settings_verls_loss_is_the_methods(method):
    settings = verl_settings("gae", method)  # any name that verl knows
    agg = settings[f"{ACTOR}.loss_agg_mode"]
    config = actor_of(settings)
    _, old, mask, credit = moved()
    factor = {"loss_scale_factor": config.loss_scale_factor}  # as verl's worker hands it on
    object.__setattr__(config, "global_batch_info", factor)
    loss = core_algos.get_policy_loss_fn(config.policy_loss.loss_mode)
    one = both(
        ours_of(method.surrogate, method.mean, method.length),
        lambda logp: loss(old, logp, credit, mask, agg, config)[0],
    )
    assert abs(float(one)) > 1e-3


def test_the_second_bound_stops_what_verl_stops():
    """The batch above is one in which it matters: without our setting the losses part."""
    losses = [float(verls_of("vanilla", "token-mean", settings)(moved()[0]))
              for settings in ({}, {f"{ACTOR}.clip_ratio_c": 1e9})]  # fmt: skip
    assert abs(losses[0] - losses[1]) > 1e-3


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("agg", MEANS)
def test_divergences_and_their_gradients_are_verls(estimator, agg):
    _, other, mask, _ = moved()
    scale = token_scale(np.where(mask.numpy() > 0, 0, -1), MEANS[agg][0], length=MEANS[agg][1])

    def theirs(logp):
        return core_algos.agg_loss(core_algos.kl_penalty(logp, other, estimator), mask, agg)

    both(lambda logp: divergence_loss(logp, other, scale, estimator), theirs)
    torch.testing.assert_close(
        divergence(moved()[0], other, estimator),
        core_algos.kl_penalty(moved()[0], other, estimator), **CLOSE,
    )  # fmt: skip


# As a user starts it.


def test_a_module_that_verl_is_told_of_makes_our_credit_known_to_it(tmp_path):
    (tmp_path / "our_credit.py").write_text(
        "from penchant.policies.language.methods.group_relative import GroupRelative\n"
        "from penchant.serving.trainer_credit import register_verl\n\n"
        "register_verl('ours', GroupRelative())\n"
    )
    program = (
        "from verl.trainer.ppo.core_algos import get_adv_estimator_fn\n"
        "print(get_adv_estimator_fn('ours').__module__)"
    )
    known = os.environ | {"VERL_USE_EXTERNAL_MODULES": "our_credit",
                          "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", program], env=known, capture_output=True,
                          text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "penchant.serving.trainer_credit"
