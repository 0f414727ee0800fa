"""A GRPO step of ours beside TRL's on the same model, prompts and rewards, in one run.

    python benchmarks/align.py --peer /path/of/a/python/with/trl [--prompt 512] [--group 8]
        [--steps 5] [--vocabulary 32000] [--out FILE]

A decoder of Llama's form, 4 layers of 256, randomly initialised; prompts of `--prompt` random
tokens, completions of exactly 64 (the end token is never drawn), one group of 8, one optimiser step
of AdamW, no reference, float32. The two take turns, each in a process of its own: CPU seconds of a
step (median of the steps after the first), their ratio, and the peak of resident memory. Rewards
are a count of even tokens, so that they differ within a group.

The share of the theoretical saving: with P tokens of a prompt and R of a completion a group of G
needs P + G R tokens in place of G (P + R); reached is the ratio of forward and backward of our own
two layouts over that of the tokens.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, WIDTH, HEADS, COMPLETION = 4, 256, 4, 64


def even_share(ids: list[int]) -> float:
    """The reward: how many of the tokens are even."""
    return float(np.mean([each % 2 == 0 for each in ids]))


def prompts_of(size: int, vocabulary: int, num: int = 64) -> list[list[int]]:
    """Random prompts of exactly so many tokens, none of them special."""
    rng = np.random.default_rng(0)
    return rng.integers(8, vocabulary, (num, size)).tolist()


def model_folder(folder: Path, vocabulary: int, window: int) -> None:
    """The model, and a tokenizer of one word a token (`t17`)."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {"<pad>": 0, "<begin>": 1, "<end>": 2}
    words |= {f"t{n}": n for n in range(3, vocabulary)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<end>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=688,
            num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
            max_position_embeddings=window, tie_word_embeddings=True, pad_token_id=0,
            bos_token_id=None, eos_token_id=2,
        )
    ).save_pretrained(folder)  # fmt: skip


def ours(folder: Path, prompts: list[list[int]], group: int, steps: int) -> dict[str, Any]:
    """Seconds of each step of `PolicyTrainer`, our decoder with the same numbers."""
    from dataclasses import dataclass

    from safetensors.torch import load_file

    from penchant.fitting.adam import AdamConfig
    from penchant.fitting.language_learner import LearnerConfig
    from penchant.lm.decoder import Decoder, DecoderConfig
    from penchant.lm.language_model import LanguageModel
    from penchant.policies.language.methods.group_relative import grpo
    from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
    from penchant.simulation.tasks.task import Problem

    @dataclass(frozen=True)
    class Words:
        pad: int = 0
        begin: None = None
        end: None = None

        def encode(self, text: str) -> list[int]:
            return [int(word[1:]) for word in text.split()]

        def decode(self, ids: Any) -> str:
            return " ".join(f"t{each}" for each in ids)

    @dataclass(frozen=True)
    class Given:
        texts: tuple[str, ...]

        def draw(self, num: int, generator: np.random.Generator) -> tuple[Problem, ...]:
            chosen = generator.choice(len(self.texts), num, replace=False)
            return tuple(
                Problem(prompt=self.texts[n], demonstration="", difficulty=1) for n in chosen
            )

        def grade(self, problem: Problem, response: str) -> dict[str, float]:
            return {"correct": even_share([int(word[1:]) for word in response.split()])}

    said = json.loads((folder / "config.json").read_text())
    found = {
        n.removeprefix("model."): v for n, v in load_file(folder / "model.safetensors").items()
    }
    shape = DecoderConfig(
        num_tokens=said["vocab_size"], width=WIDTH, layers=LAYERS, heads=HEADS, inner=688,
        window=said["max_position_embeddings"],
    )  # fmt: skip
    found = {name: value for name, value in found.items() if name != "lm_head.weight"}
    model = LanguageModel(network=Decoder(config=shape), parameters=found, tokenizer=Words())
    texts = tuple(" ".join(f"t{each}" for each in ids) for ids in prompts)
    trainer = PolicyTrainer(
        model, Given(texts), grpo(),
        TrainerConfig(
            prompts=1, group_size=group, most_tokens=COMPLETION, learning_rate=1e-6,
            learner=LearnerConfig(adam=AdamConfig(), at_once=group),
        ),
    )  # fmt: skip
    return timed(trainer.step, steps) | layouts(model, trainer, group)


def layouts(model: Any, trainer: Any, group: int) -> dict[str, Any]:
    """CPU seconds of forward and backward in both layouts."""

    from penchant.policies.language.layout import read_drawn

    rollouts = trainer._gathered().rollouts
    found = {}
    for layout in ("padded", "shared"):
        taken = []
        for _ in range(3):
            leaves = {n: v.detach().clone().requires_grad_() for n, v in model.parameters.items()}
            began = time.process_time()
            read_drawn(
                model.with_parameters(leaves), rollouts, layout=layout
            ).log_prob.sum().backward()
            taken.append(time.process_time() - began)
        found[f"{layout} forward and backward"] = statistics.median(taken)
    return found


def theirs(folder: Path, prompts: list[list[int]], group: int, steps: int) -> dict[str, Any]:
    """Seconds of each step of TRL's trainer."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    texts = [" ".join(f"t{each}" for each in ids) for ids in prompts]
    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.process_time())

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            marks.append(time.process_time())

    def reward(completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        return [even_share(ids) for ids in completion_ids]

    config = GRPOConfig(
        output_dir=str(folder / "trl"), per_device_train_batch_size=group, num_generations=group,
        max_completion_length=COMPLETION, beta=0.0, learning_rate=1e-6, max_steps=steps + 1,
        report_to=[], save_strategy="no", logging_strategy="no", use_cpu=True, bf16=False,
        gradient_checkpointing=False, disable_tqdm=True, temperature=1.0, loss_type="grpo",
        generation_kwargs={"suppress_tokens": [0, 2]}, top_k=0,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model, reward_funcs=reward, args=config, processing_class=tokenizer,
        train_dataset=Dataset.from_dict({"prompt": texts}), callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()
    # A step of theirs draws between the end of one and the beginning of the next.
    spans = np.diff(marks[1::2])
    return {"seconds": statistics.median(spans.tolist()), "all": np.round(spans, 3).tolist()}


def timed(step: Any, num: int) -> dict[str, Any]:
    """Of steps after the first."""
    step()
    spans = []
    for _ in range(num):
        began = time.process_time()
        step()
        spans.append(time.process_time() - began)
    return {"seconds": statistics.median(spans), "all": np.round(spans, 3).tolist()}


def one(side: str, folder: Path, said: argparse.Namespace) -> dict[str, Any]:
    """What a process of its own found."""
    python = said.peer if side == "theirs" else sys.executable
    done = subprocess.run(
        [python, __file__, "--side", side, "--folder", str(folder), "--prompt", str(said.prompt),
         "--group", str(said.group), "--steps", str(said.steps),
         "--vocabulary", str(said.vocabulary)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--peer", help="a Python with trl")
    words.add_argument("--prompt", type=int, default=512)
    words.add_argument("--group", type=int, default=8)
    words.add_argument("--steps", type=int, default=5)
    words.add_argument("--vocabulary", type=int, default=32_000)
    words.add_argument("--out", type=Path)
    words.add_argument("--side", help=argparse.SUPPRESS)
    words.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    said = words.parse_args()
    prompts = prompts_of(said.prompt, said.vocabulary)
    if said.side:
        run = {"ours": ours, "theirs": theirs}[said.side]
        found = run(said.folder, prompts, said.group, said.steps)
        found["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model_folder(folder, said.vocabulary, said.prompt + COMPLETION)
        found = {
            side: one(side, folder, said)
            for side in ("ours", "theirs")
            if side == "ours" or said.peer
        }
    saved = said.group * (said.prompt + COMPLETION) / (said.prompt + said.group * COMPLETION)
    mine = found["ours"]
    reached = mine["padded forward and backward"] / mine["shared forward and backward"]
    lines = [f"prompts of {said.prompt}, completions of {COMPLETION}, a group of {said.group}"]
    lines += [
        f"{side:7s} {each['seconds']:.2f} CPU s a step, peak {each['peak MB']:.0f} MB"
        for side, each in found.items()
    ]
    if "theirs" in found:
        lines.append(f"ratio   {found['theirs']['seconds'] / mine['seconds']:.2f}")
    lines.append(f"sharing {reached:.2f} of {saved:.2f} by tokens ({reached / saved:.0%})")
    print("\n".join(lines))
    if said.out:
        from penchant.evaluation.recipes import circumstances

        kept = {**circumstances(Path(__file__).parent), "prompt": said.prompt, "group": said.group,
                "vocabulary": said.vocabulary, **found}  # fmt: skip
        said.out.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
