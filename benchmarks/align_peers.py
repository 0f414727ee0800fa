"""TRL's side of `align.py`, one process a line: python align_peers.py grpo|dpo FOLDER CELL."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer

import align_worlds as worlds

# Tokens of a group that TRL's trainer reads at once: 8 rows of the usual cell, 2 of prompts of
# 2,048. More rows are accumulated, which is as fast here and takes less memory.
AT_ONCE = 8 * (512 + worlds.COMPLETION)


class Clock(TrainerCallback):
    """Marks the end of each step: one draws between the end of the last and its own."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.ends.append(worlds.now())

    @property
    def spans(self) -> list[list[float]]:
        """Of the steps after the first."""
        return np.diff(self.ends, axis=0).tolist()


def common(folder: Path, cell: worlds.Cell) -> dict[str, Any]:
    """What both trainers are told: nothing written, nothing computed twice."""
    return {
        "output_dir": str(folder / "trl"), "learning_rate": 1e-6, "report_to": [],
        "save_strategy": "no", "logging_strategy": "no", "use_cpu": True,
        "bf16": cell.precision == "bfloat16", "gradient_checkpointing": False,
        "disable_tqdm": True,
    }  # fmt: skip


def steps(folder: Path, cell: worlds.Cell) -> dict[str, Any]:
    """Seconds of each step of `GRPOTrainer` after the first."""
    clock = Clock()
    at_once = min(cell.group, AT_ONCE // (cell.prompt + worlds.COMPLETION))

    def reward(completion_ids: list[list[int]], **kwargs: Any) -> list[float]:
        return [worlds.even_share(ids) for ids in completion_ids]

    config = GRPOConfig(
        **common(folder, cell), per_device_train_batch_size=at_once,
        gradient_accumulation_steps=cell.group // at_once, num_generations=cell.group,
        max_completion_length=worlds.COMPLETION, beta=0.0, max_steps=cell.steps + 1,
        temperature=1.0, loss_type="grpo", generation_kwargs={"suppress_tokens": [0, worlds.END]},
        top_k=0,
    )  # fmt: skip
    texts = [worlds.as_text(ids) for ids in worlds.prompts_of(cell)]
    GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        reward_funcs=reward, args=config, processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_dict({"prompt": texts}), callbacks=[clock],
    ).train()  # fmt: skip
    return worlds.medians(clock.spans)


def preferences(folder: Path, cell: worlds.Cell) -> dict[str, Any]:
    """Seconds of a step of `DPOTrainer`: the mean of a pass over all pairs, after a first one."""
    clock, each = Clock(), cell.pairs // cell.batch
    rows = [
        {"prompt": worlds.as_text(p), "chosen": " " + worlds.as_text(a),
         "rejected": " " + worlds.as_text(b)}
        for p, a, b in worlds.pairs_of(cell)
    ]  # fmt: skip
    config = DPOConfig(
        **common(folder, cell), per_device_train_batch_size=cell.batch, beta=0.1, max_length=None,
        num_train_epochs=1 + cell.steps,
    )  # fmt: skip
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), args=config,
        processing_class=AutoTokenizer.from_pretrained(folder),
        train_dataset=Dataset.from_list(rows), callbacks=[clock],
    )  # fmt: skip
    # Nothing is cut, and answers end as ours do: the same tokens on both sides.
    read = sum(int(batch["attention_mask"].sum()) for batch in trainer.get_train_dataloader())
    assert read == sum(2 * len(p) + len(a) + len(b) + 2 for p, a, b in worlds.pairs_of(cell))
    trainer.train()
    passes = np.diff(clock.ends[each - 1 :: each], axis=0)
    return worlds.medians(passes, each)


if __name__ == "__main__":
    kind, folder, cell = sys.argv[1], Path(sys.argv[2]), worlds.told(sys.argv[3])
    run = {"grpo": steps, "dpo": preferences}[kind]
    print(json.dumps({**run(folder, cell), "peak MB": round(worlds.peak_mb())}))
