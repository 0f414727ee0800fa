"""Models, prompts and pairs that both sides of `align.py` read."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LAYERS, WIDTH, HEADS, INNER, COMPLETION, END = 4, 256, 4, 688, 64, 2


@dataclass(frozen=True)
class Cell:
    """What one line of the table measures. precision: "full" or "bfloat16". pairs: of a DPO."""

    prompt: int = 512
    group: int = 8
    steps: int = 2
    pairs: int = 64
    batch: int = 8
    vocabulary: int = 32_000
    precision: str = "full"
    layout: str = "shared"


def even_share(ids: list[int]) -> float:
    """The reward: how many of the tokens are even, so that they differ within a group."""
    return float(np.mean([each % 2 == 0 for each in ids]))


def prompts_of(cell: Cell, num: int = 16) -> list[list[int]]:
    """Random prompts of exactly so many tokens, none of them special."""
    rng = np.random.default_rng(0)
    return rng.integers(8, cell.vocabulary, (num, cell.prompt)).tolist()


def pairs_of(cell: Cell) -> list[tuple[list[int], list[int], list[int]]]:
    """Prompts (16 to 512 tokens, half below 128) with two answers each (4 to 256, half below 64):
    log-normal, as lengths of conversations are."""
    rng = np.random.default_rng(1)

    def drawn(middle: int, spread: float, low: int, high: int) -> list[int]:
        size = int(np.clip(round(middle * np.exp(spread * rng.standard_normal())), low, high))
        return rng.integers(8, cell.vocabulary, size).tolist()

    return [
        (drawn(128, 0.7, 16, 512), drawn(64, 0.8, 4, 256), drawn(64, 0.8, 4, 256))
        for _ in range(cell.pairs)
    ]


def as_text(ids: list[int]) -> str:
    """One word a token."""
    return " ".join(f"t{each}" for each in ids)


def model_folder(folder: Path, vocabulary: int, window: int) -> None:
    """A decoder of Llama's form, randomly initialised, and a tokenizer of one word a token."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {"<pad>": 0, "<begin>": 1, "<end>": END}
    words |= {f"t{n}": n for n in range(3, vocabulary)}
    inner = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="<end>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=WIDTH, intermediate_size=INNER,
            num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=HEADS,
            max_position_embeddings=window, tie_word_embeddings=True, pad_token_id=0,
            bos_token_id=None, eos_token_id=END,
        )
    ).save_pretrained(folder)  # fmt: skip


def peak_mb() -> float:
    """The kernel's high-water mark of this process (ru_maxrss would count its parent's, too)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def now() -> tuple[float, float]:
    """Process CPU seconds of all threads, and seconds by the clock."""
    return time.process_time(), time.perf_counter()


def spent(call: Any) -> tuple[float, float]:
    """What a call took of both."""
    began = now()
    call()
    return tuple(np.subtract(now(), began).tolist())


def medians(spans: Any, each: int = 1) -> dict[str, Any]:
    """Of what several calls took, of `each` steps every one: seconds of CPU, and by the clock."""
    cpu, wall = np.array(spans).T
    return {
        "seconds": float(np.median(cpu)) / each, "all": np.round(cpu, 3).tolist(),
        "wall": float(np.median(wall)) / each, "all wall": np.round(wall, 3).tolist(),
    }  # fmt: skip


def told(cell_json: str) -> Cell:
    """A cell from the command line of a side."""
    return Cell(**json.loads(cell_json))
