"""What TRL's trainers make of a batch beside ours, loss by loss: numbers and gradients.

The same weights, tokens and masks go to TRL's own loss functions and to what ours train with.
"""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    trl = pytest.importorskip("trl", reason="trl is not installed; it is in requirements-bench.txt")
    import transformers
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer

from lm.tiny_models import tiny  # noqa: E402  # they need torch
from penchant.fitting.next_token import NextToken  # noqa: E402
from penchant.lm.folder import save_language_model  # noqa: E402
from penchant.lm.language_model import moved_to  # noqa: E402
from penchant.lm.tokens import padded  # noqa: E402
from penchant.policies.language.aggregation import token_scale  # noqa: E402
from penchant.policies.language.direct import DirectConfig, of_pairs, reference_of  # noqa: E402
from penchant.policies.language.loss import Surrogate  # noqa: E402
from penchant.policies.language.methods.anchor import Anchor  # noqa: E402
from penchant.policies.language.objective import PolicyObjective, in_parts  # noqa: E402
from penchant.policies.language.pairs import Pairs  # noqa: E402
from penchant.policies.language.preference import robust_pair_loss  # noqa: E402
from penchant.policies.language.rollouts import demonstration_ids, written_rollouts  # noqa: E402
from penchant.policies.language.unpaired import (  # noqa: E402
    Judged,
    UnpairedConfig,
    _in_parts,
    _Unpaired,
)

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("ignore")]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
COMMON = {"use_cpu": True, "report_to": [], "disable_tqdm": True, "bf16": False,
          "gradient_checkpointing": False, "save_strategy": "no"}  # fmt: skip
PROMPTS = ("hi", "two?", "b", "say it")
CHOSEN = (" hello there", " 2", " yes", " it")
REJECTED = (" go", " three, I think", " no", " never again")
BETA, TEMPERATURE = 0.3, 0.7


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Ours and TRL's with the same weights, policy and reference; TRL's three trainers."""
    folder = tmp_path_factory.mktemp("models")
    policy, reference = (moved_to(tiny(seed), dtype=torch.float32) for seed in (0, 1))
    for name, model in (("policy", policy), ("reference", reference)):
        save_language_model(model, folder / name)
    load = transformers.AutoModelForCausalLM.from_pretrained
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "policy")
    pairs = [{"prompt": p, "chosen": c, "rejected": r}
             for p, c, r in zip(PROMPTS, CHOSEN, REJECTED)]  # fmt: skip
    judged = [{"prompt": p, "completion": c, "label": k % 2 == 0}
              for k, (p, c) in enumerate(zip(PROMPTS, CHOSEN))]  # fmt: skip
    common = {"output_dir": str(folder / "out"), "per_device_train_batch_size": 4} | COMMON
    shared = {"processing_class": tokenizer}
    return SimpleNamespace(
        policy=policy,
        reference=reference,
        dpo=DPOTrainer(
            model=load(folder / "policy"), ref_model=load(folder / "reference"),
            args=DPOConfig(beta=BETA, **common), train_dataset=Dataset.from_list(pairs), **shared,
        ),
        kto=KTOTrainer(
            model=load(folder / "policy"), ref_model=load(folder / "reference"),
            args=KTOConfig(beta=BETA, **common), train_dataset=Dataset.from_list(judged), **shared,
        ),
        grpo=GRPOTrainer(
            model=load(folder / "policy"), reward_funcs=lambda completions, **_: [0.0],
            args=GRPOConfig(num_generations=2, max_completion_length=8, temperature=TEMPERATURE,
                            **common),
            train_dataset=Dataset.from_list([{"prompt": p} for p in PROMPTS]), **shared,
        ),
    )  # fmt: skip


def rows_of(answers):
    """Tokens of prompt and answer, and where each answer begins."""
    told = [demonstration_ids(tiny().tokenizer, p, a) for p, a in zip(PROMPTS, answers)]
    return [ids for ids, _ in told], np.array([place for _, place in told])


def as_inputs(rows, place, prefix=""):
    """TRL's tensors of whole rows."""
    tokens = padded(rows, 0)
    at = torch.arange(tokens.ids.shape[1])[None, :] >= torch.from_numpy(place)[:, None]
    return {f"{prefix}input_ids": tokens.ids, f"{prefix}attention_mask": tokens.is_text.long(),
            f"{prefix}completion_mask": (tokens.is_text & at).long()}  # fmt: skip


def leaves_of(model):
    return {name: value.clone().requires_grad_() for name, value in model.parameters.items()}


def assert_same(loss, leaves, theirs, model):
    """The same loss and gradients, and something to compare."""
    model.zero_grad()
    theirs.backward()
    loss.backward()
    torch.testing.assert_close(loss, theirs, **CLOSE)
    found = dict(model.named_parameters())
    most = 0.0
    for name, leaf in leaves.items():
        other = found[f"model.{name}"].grad
        torch.testing.assert_close(leaf.grad, other, **CLOSE)
        most = max(most, float(other.abs().max()))
    assert most > 1e-3


def told_pairs(models, leaves, config):
    """What `fit_direct` trains with."""
    chosen, rejected = rows_of(CHOSEN), rows_of(REJECTED)
    pairs = Pairs(first=chosen[0], second=rejected[0], place=chosen[1], first_wins=np.ones(4),
                  person=np.arange(4))  # fmt: skip
    reference = reference_of(models.reference, pairs, config.layout)
    policy = models.policy.with_parameters(leaves)
    return of_pairs([policy], pairs, reference, config, np.arange(4))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sigmoid", DirectConfig(strength=BETA)),
        ("hinge", DirectConfig(strength=BETA, loss="hinge")),
        # TRL takes IPO's log-ratios a token, as its authors do.
        ("ipo", DirectConfig(strength=BETA, loss="squared", mean=True)),
        ("sigmoid_norm", DirectConfig(strength=BETA, mean=True)),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_losses_of_pairs_and_their_gradients_are_trls(models, theirs, ours):
    models.dpo.loss_types = [theirs]
    leaves = leaves_of(models.policy)
    loss = -told_pairs(models, leaves, ours).log_prob.mean()
    assert_same(loss, leaves, of_trl(models), models.dpo.model)


def of_trl(models):
    """TRL's loss of the pairs, the chosen answers first."""
    both = [*rows_of(CHOSEN)[0], *rows_of(REJECTED)[0]]
    inputs = as_inputs(both, np.concatenate([rows_of(CHOSEN)[1], rows_of(REJECTED)[1]]))
    return models.dpo.compute_loss(models.dpo.model, inputs)


def test_the_loss_for_turned_labels_is_trls(models):
    models.dpo.loss_types, models.dpo.label_smoothing = ["robust"], 0.2
    leaves = leaves_of(models.policy)
    told = told_pairs(models, leaves, DirectConfig(strength=BETA))
    loss = robust_pair_loss(told.worth, 0.2).mean()
    assert_same(loss, leaves, of_trl(models), models.dpo.model)


def test_imitation_beside_pairs_is_trls(models):
    models.dpo.loss_types = ["sft"]
    leaves = leaves_of(models.policy)
    rows, place = rows_of(CHOSEN)
    objective = NextToken(model=models.policy, rows=rows, from_place=place)
    every = np.arange(4)
    loss = -objective.log_prob(leaves, every) / objective.weight(every)
    assert_same(loss, leaves, of_trl(models), models.dpo.model)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.8, 1.6)])
@pytest.mark.parametrize("is_moved", [False, True], ids=["level 0", "level above 0"])
def test_the_loss_of_single_answers_is_trls(models, weights, is_moved):
    """`is_moved`: policy and reference change places, one of which gives a level of 0."""
    trainer, policy, reference = models.kto, models.policy, models.reference
    trainer.desirable_weight, trainer.undesirable_weight = weights
    if is_moved:
        policy, reference = reference, policy
        exchange(trainer)
    rows, place = rows_of(CHOSEN)
    judged = Judged(rows=rows, place=place, is_desired=np.array([True, False, True, False]))
    beside = [[*rows[e][: place[e]], *rows[o][place[o] :]]
              for e, o in zip(range(4), np.roll(range(4), 1))]  # fmt: skip
    inputs = as_inputs(rows, place) | as_inputs(beside, place, "KL_")
    inputs["label"] = torch.from_numpy(judged.is_desired)
    theirs = trainer.compute_loss(trainer.model, inputs)
    level = next(m for m in trainer._metrics.values() if m["kl"])["kl"][-1]
    assert (level > 0.0) == is_moved

    config = UnpairedConfig(strength=BETA, desired_weight=weights[0], undesired_weight=weights[1])
    every = np.arange(4)
    objective = _Unpaired(
        model=reference, judged=judged, config=config,
        reference=_in_parts(reference, judged, every, config.layout),
    )  # fmt: skip
    leaves = leaves_of(policy)
    loss = -objective.log_prob(leaves, every) / objective.weight(every)
    try:
        assert_same(loss, leaves, theirs, trainer.model)
    finally:
        if is_moved:
            exchange(trainer)


def exchange(trainer):
    """Policy and reference of TRL's trainer, weight by weight."""
    for own, other in zip(trainer.model.parameters(), trainer.ref_model.parameters()):
        own.data, other.data = other.data, own.data


SAID = (" hello", " 2 then", " y", " it is so")
ADVANTAGE = torch.tensor([0.9, -1.1, 0.4, -0.3])


def rollouts_and_inputs(models):
    """The same rollouts for ours and for TRL, whose prompts are padded on the left; the policy
    has moved since it drew them."""
    rows, place = rows_of(SAID)
    rollouts = written_rollouts(rows, place, np.arange(4), models.policy.tokenizer,
                                next(iter(models.policy.parameters.values())))  # fmt: skip
    noise = torch.randn(rollouts.log_prob.shape, generator=torch.Generator().manual_seed(3))
    now = in_parts(models.policy, rollouts, TEMPERATURE, 4)
    old = torch.where(torch.from_numpy(rollouts.is_drawn), now + 0.3 * noise, 0.0)
    kept = in_parts(models.reference, rollouts, TEMPERATURE, 4)
    prompts = padded([row[:at] for row, at in zip(rows, place)], 0, side="left")
    said = padded([row[at:] for row, at in zip(rows, place)], 0)

    def of_answers(values):
        width = said.ids.shape[1]
        found = torch.zeros(len(rows), width)
        for b, at in enumerate(place):
            size = len(rows[b]) - at
            found[b, :size] = values[b, at - 1 : at - 1 + size]
        return found

    inputs = {
        "prompt_ids": prompts.ids, "prompt_mask": prompts.is_text.long(),
        "completion_ids": said.ids, "completion_mask": said.is_text.long(),
        "advantages": ADVANTAGE, "old_per_token_logps": of_answers(old),
        "ref_per_token_logps": of_answers(kept), "num_items_in_batch": said.is_text.sum(),
    }  # fmt: skip
    return rollouts, old, kept, inputs


def told(
    models, theirs, surrogate, mean, *, length=None, strength=0.0, rows=None, is_weighed=False
):
    """Our loss of some rows, with what is needed to take its gradient, and TRL's."""
    trainer, rows = models.grpo, np.arange(4) if rows is None else rows
    rollouts, old, kept, inputs = rollouts_and_inputs(models)
    trainer.beta, trainer.epsilon_low = strength, 0.15
    trainer.loss_type, trainer.max_completion_length = theirs, 8
    trainer.importance_sampling_level = "sequence" if surrogate.level == "unit" else "token"
    # CISPO's bound is the greatest ratio itself.
    trainer.epsilon_high = surrogate.high + (1.0 if theirs == "cispo" else 0.0)
    trainer.args.delta, trainer.args.use_bias_correction_kl = surrogate.worst, is_weighed
    trainer.model.eval()  # one batch, not one of several that are summed
    some = {name: value if value.dim() == 0 else value[rows] for name, value in inputs.items()}
    unit_of = np.where(rollouts.is_drawn, np.arange(4)[:, None], -1)
    objective = PolicyObjective(
        model=models.policy, rollouts=rollouts, unit_of=unit_of,
        advantage=np.where(rollouts.is_drawn, ADVANTAGE.numpy()[:, None], 0.0),
        scale=token_scale(unit_of, mean, length=length), surrogate=surrogate,
        temperature=TEMPERATURE, old=old, reference=kept,
        anchor=Anchor(strength=strength, place="loss", is_weighed=is_weighed) if strength else None,
    )  # fmt: skip
    leaves = leaves_of(models.policy)
    loss = -objective.log_prob(leaves, rows)
    return loss, leaves, trainer.compute_loss(trainer.model, some)


TOKENS = Surrogate(low=0.15, high=0.2)
ROWS = Surrogate(level="unit", low=0.15, high=0.2)


@pytest.mark.parametrize(
    ("strength", "is_weighed"), [(0.0, False), (0.2, False), (0.2, True)],
    ids=["alone", "with k3", "with k3 by its ratio"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("theirs", "surrogate", "mean", "length"),
    [
        ("grpo", TOKENS, "row", None),
        ("bnpo", TOKENS, "token", None),
        ("dr_grpo", TOKENS, "constant", 8),
        ("dapo", TOKENS, "token", None),
        ("grpo", Surrogate(low=0.15, high=0.2, worst=1.3), "row", None),
        ("cispo", Surrogate(form="truncated", low=0.15, high=0.05), "token", None),
        ("grpo", ROWS, "row", None),
        ("luspo", ROWS, "constant", 1),
    ],
    ids=["grpo", "bnpo", "dr_grpo", "dapo", "two-sided", "cispo", "sequences", "luspo"],
)
def test_losses_of_rewards_and_their_gradients_are_trls(
    models, theirs, surrogate, mean, length, strength, is_weighed
):
    found = told(models, theirs, surrogate, mean, length=length, strength=strength,
                 is_weighed=is_weighed)  # fmt: skip
    assert_same(*found, models.grpo.model)


def test_what_the_bounds_stop_is_what_trl_stops(models):
    """The batch above is one in which bounds matter, for tokens and for sequences."""
    for surrogate in (TOKENS, ROWS):
        free = Surrogate(level=surrogate.level, form="plain")
        with torch.no_grad():
            stopped, open_ = (told(models, "grpo", each, "row")[0] for each in (surrogate, free))
        assert abs(float(stopped - open_)) > 1e-3


def test_parts_of_a_batch_of_tokens_sum_to_trls_mean_over_all_of_them(models):
    """DAPO's mean counts the tokens of all that was drawn, whatever is read at once."""
    for rows in (np.array([0, 1]), np.array([2, 3])):
        assert_same(*told(models, "dapo", TOKENS, "token", rows=rows), models.grpo.model)


def test_divergence_alone_has_trls_gradient(models):
    found = []
    for strength in (0.0, 0.5):
        loss, leaves, theirs = told(models, "grpo", TOKENS, "row", strength=strength)
        models.grpo.model.zero_grad()
        theirs.backward()
        loss.backward()
        other = dict(models.grpo.model.named_parameters())
        found.append({n: (leaf.grad, other[f"model.{n}"].grad.clone()) for n, leaf in
                      leaves.items()})  # fmt: skip
    for name, (ours, theirs) in found[1].items():
        torch.testing.assert_close(ours - found[0][name][0], theirs - found[0][name][1], **CLOSE)
