"""TRL's trainers beside ours, where TRL is installed: losses, margins, gradients of one batch."""

import warnings

import numpy as np
import pytest

from fitting.judged_rows import batch_of, block_of
from penchant.feedback.gap import GapModel
from penchant.feedback.pairwise import bradley_terry_log_prob
from penchant.fitting.channel_head import joint_channels
from penchant.fitting.head_pairs import HeadDensity, HeadPairs
from penchant.utilities.implicit import log_ratio_utility

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    trl = pytest.importorskip("trl", reason="trl is not installed; it is in requirements-bench.txt")
    import transformers
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from lm.tiny_models import tiny  # noqa: E402  # they need torch
from penchant.fitting.channel_examples import ChannelExamples  # noqa: E402
from penchant.fitting.language_reward import LanguageRewardConfig, _Objective  # noqa: E402
from penchant.lm.folder import ScoreLayer, save_language_model  # noqa: E402
from penchant.lm.language_model import moved_to  # noqa: E402
from penchant.lm.log_probs import log_probs  # noqa: E402
from penchant.lm.states import read_states  # noqa: E402
from penchant.lm.tokens import Tokens  # noqa: E402

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
PAIRS = [
    {"prompt": "hi", "chosen": " hello there", "rejected": " go", "margin": 0.5},
    {"prompt": "two?", "chosen": " 2", "rejected": " three, I think", "margin": 0.0},
    {"prompt": "b", "chosen": " yes", "rejected": " no", "margin": 2.0},
]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
COMMON = {"per_device_train_batch_size": 3, "use_cpu": True, "report_to": [], "disable_tqdm": True,
          "bf16": False, "gradient_checkpointing": False}  # fmt: skip


def single(seed=0):
    return moved_to(tiny(seed), dtype=torch.float32)


@pytest.mark.parametrize("has_margin", [False, True])
def test_the_reward_loss_with_margin_and_its_gradients_are_trls(tmp_path, has_margin):
    weights = torch.randn(16, generator=torch.Generator().manual_seed(1))
    ours = single()
    save_language_model(ours, tmp_path / "model", score=ScoreLayer(weights=weights.numpy()))
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    names = ("prompt", "chosen", "rejected", *(["margin"] if has_margin else []))
    trainer = RewardTrainer(
        model=model, args=RewardConfig(output_dir=str(tmp_path / "out"), **COMMON),
        processing_class=transformers.AutoTokenizer.from_pretrained(tmp_path / "model"),
        train_dataset=Dataset.from_list([{name: pair[name] for name in names} for pair in PAIRS]),
    )  # fmt: skip
    inputs = next(iter(trainer.get_train_dataloader()))
    ids, mask = inputs["input_ids"], inputs["attention_mask"].bool()
    margin = inputs["margin"].numpy().copy() if has_margin else np.zeros(3)
    theirs = trainer.compute_loss(trainer.model, dict(inputs))
    theirs.backward()

    rows = [row[real].tolist() for row, real in zip(ids, mask)]
    two = np.stack([np.arange(3), np.arange(3, 6)], axis=1)
    block = block_of(
        "pair", two, 0, outcome=np.zeros(3, dtype=int),
        features=np.stack([-margin, 0.0 * margin], axis=1)[:, :, None],
    )  # fmt: skip
    batch = batch_of(block, num_texts=6, names=("offset",))
    objective = _Objective(
        model=ours, texts=rows, config=LanguageRewardConfig(trained="whole"), states=None,
        answers=ChannelExamples.of(batch, joint_channels(batch), torch.float32),
    )  # fmt: skip
    leaves = {f"body.{n}": v.clone().requires_grad_() for n, v in ours.parameters.items()}
    leaves |= {"head.out": weights.clone().requires_grad_(), "own": torch.zeros(0)}
    loss = -objective.log_prob(leaves, np.arange(3)) / objective.weight(np.arange(3))
    loss.backward()
    torch.testing.assert_close(loss, theirs, **CLOSE)
    assert len(rows) == 6
    assert not has_margin or margin.max() == 2.0
    found = dict(trainer.model.named_parameters())
    torch.testing.assert_close(leaves["head.out"].grad, found["score.weight"].grad[0], **CLOSE)
    for name in ours.parameters:
        theirs_of = found[f"model.{name}"].grad
        torch.testing.assert_close(leaves[f"body.{name}"].grad, theirs_of, **CLOSE)
        assert theirs_of.abs().max() > 0

    # The head on frozen states, as `RewardModel(margin=...)` fits it, at the same weights.
    pairs = HeadPairs(
        features=read_states(single(), rows).numpy(), first=np.arange(3), second=np.arange(3, 6),
        answer=np.zeros(3, dtype=int), weight=np.ones(3), offset=-margin.astype(float),
    )  # fmt: skip
    density = HeadDensity(pairs=pairs, model=GapModel(), precision=np.zeros(16))
    answered = density.respond(density.gaps(weights.numpy().astype(float)), np.zeros(0))
    assert -answered.value.mean() == pytest.approx(float(theirs), abs=1e-5)
    pull = -density.gather(answered) / 3
    np.testing.assert_allclose(pull, found["score.weight"].grad[0].numpy(), atol=1e-5)


def test_the_margins_of_direct_preference_optimisation_and_their_gradients_are_trls(tmp_path):
    policy, reference = single(0), single(1)
    for name, model in (("policy", policy), ("reference", reference)):
        save_language_model(model, tmp_path / name)
    load = transformers.AutoModelForCausalLM.from_pretrained
    trainer = DPOTrainer(
        model=load(tmp_path / "policy"), ref_model=load(tmp_path / "reference"),
        args=DPOConfig(output_dir=str(tmp_path / "out"), beta=0.3, **COMMON),
        processing_class=transformers.AutoTokenizer.from_pretrained(tmp_path / "policy"),
        train_dataset=Dataset.from_list(
            [{name: pair[name] for name in ("prompt", "chosen", "rejected")} for pair in PAIRS]
        ),
    )  # fmt: skip
    inputs = next(iter(trainer.get_train_dataloader()))
    theirs = trainer.compute_loss(trainer.model, dict(inputs))
    theirs.backward()
    said = next(m for m in trainer._metrics.values() if "rewards/chosen" in m)

    tokens = Tokens(ids=inputs["input_ids"], is_text=inputs["attention_mask"].bool())
    answers = inputs["completion_mask"].bool()[:, 1:]
    leaves = {n: v.clone().requires_grad_() for n, v in policy.parameters.items()}

    def paired(values):
        return torch.stack(values.chunk(2), dim=1)

    with torch.no_grad():
        usual = log_probs(reference, tokens).log_prob
    utilities = log_ratio_utility(
        paired(log_probs(policy.with_parameters(leaves), tokens).log_prob), paired(usual),
        paired(answers), strength=0.3,
    )  # fmt: skip
    loss = -bradley_terry_log_prob(utilities, torch.zeros(3, dtype=torch.long)).mean()
    loss.backward()
    torch.testing.assert_close(loss, theirs, **CLOSE)
    told = {key: values[-1] for key, values in said.items()}
    mean = utilities.detach().mean(dim=0).numpy()
    np.testing.assert_allclose(mean, [told["rewards/chosen"], told["rewards/rejected"]], atol=1e-5)
    assert told["rewards/margins"] == pytest.approx(mean[0] - mean[1], abs=1e-5)
    assert abs(told["rewards/margins"]) > 0.01
    found = dict(trainer.model.named_parameters())
    for name in policy.parameters:
        torch.testing.assert_close(leaves[name].grad, found[f"model.{name}"].grad, **CLOSE)
