"""A reward on a language model trained here: head on frozen states, adapters, or the whole model.

    python benchmarks/language_reward.py [--seeds 5] [--out FILE]

For each seed a new world (`simulation/letters.py`: what a letter is worth depends on the prompt), a
decoder of 0.11 million parameters trained from scratch on 4,000 of its texts, then pairs judged by
Bradley and Terry's model, the last 15 % of them held out by adapters and whole model to say when to
stop. The share of 2,000 fresh pairs whose order by the truth is foretold, with
95 % intervals over worlds (Student's), of differences too; CPU seconds.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from penchant.data.batch import Batch, Block
from penchant.evaluation.recipes import circumstances
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.language_reward import LanguageRewardConfig, fit_language_reward
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.next_token import fit_next_token
from penchant.fitting.sgd import TrainConfig
from penchant.lm.byte_tokenizer import ByteTokenizer
from penchant.lm.decoder import Decoder, DecoderConfig, fresh_parameters
from penchant.lm.language_model import LanguageModel, num_parameters
from penchant.lm.states import read_states, text_rows
from penchant.simulation.letters import JudgedTexts, LetterWorld, prompt_letter, written

SIZES, LENGTH, CORPUS, FRESH = (300, 1500), 12, 4000, 2000
CONFIG = DecoderConfig(width=64, layers=2, heads=4, window=32)
RATES = {"low_rank": 3e-3, "whole": 1e-3}


def trained_here(world: LetterWorld, rng: np.random.Generator, seed: int) -> LanguageModel:
    """A decoder that has read texts of the world and no judgement."""
    model = LanguageModel(
        network=Decoder(config=CONFIG),
        parameters=fresh_parameters(CONFIG, torch.Generator().manual_seed(seed)),
        tokenizer=ByteTokenizer(), name=f"world {seed}",
    )  # fmt: skip
    prompt = rng.integers(len(world.worth), size=CORPUS)
    texts = [written(text) for text in world.texts(prompt, LENGTH, rng)]
    rows, _ = text_rows(model, [prompt_letter(each) for each in prompt], texts)
    training = TrainConfig(batch_size=64, max_epochs=4, learning_rate=3e-3, schedule="cosine",
                           warmup_share=0.1, patience=None, seed=seed)  # fmt: skip
    return fit_next_token(model, rows, training)[0]


def rows_of(model: LanguageModel, judged: JudgedTexts) -> list[list[int]]:
    """First texts, then second ones."""
    return text_rows(model, judged.prompt * 2, [*judged.first, *judged.second])[0]


def pairs(judged: JudgedTexts) -> Batch:
    """As learners take them."""
    size = len(judged.outcome)
    option = np.stack([np.arange(size), np.arange(size, 2 * size)], axis=1)
    block = Block(
        kind="pair", features=np.zeros((size, 2, 0)), offered=option >= 0, option=option,
        row=np.arange(size), group=np.zeros(size, dtype=np.int64), weight=np.ones(size),
        answer={"outcome": judged.outcome},
    )  # fmt: skip
    return Batch(blocks=(block,), feature_names=(), option_names=tuple(map(str, range(2 * size))),
                 group_names=("anybody",), group_features=np.zeros((1, 0)),
                 num_rows=size)  # fmt: skip


def agreement(rewards: np.ndarray, judged: JudgedTexts) -> float:
    """The share of pairs that are put in the true order."""
    first, second = np.split(rewards, 2)
    return float(np.mean((first > second) == (judged.gap > 0)))


def one(seed: int) -> dict[str, dict[str, float]]:
    """Agreement and CPU seconds of each way, by number of pairs."""
    rng = np.random.default_rng(seed)
    world = LetterWorld.draw(rng)
    began = time.process_time()
    model = trained_here(world, rng, seed)
    found: dict[str, dict[str, float]] = {"trained from scratch": {
        "seconds": time.process_time() - began}}  # fmt: skip
    fresh = world.judged(FRESH, LENGTH, rng)
    fresh_rows = rows_of(model, fresh)
    found["answers themselves"] = {
        "agreement": float(np.mean((fresh.outcome == 0) == (fresh.gap > 0)))
    }
    for size in SIZES:
        judged = world.judged(size, LENGTH, rng)
        rows = rows_of(model, judged)
        began = time.process_time()
        states = read_states(model, rows).numpy()
        head = fit_linear_head(
            HeadPairs(features=states - states.mean(axis=0), first=np.arange(size),
                      second=np.arange(size, 2 * size), answer=judged.outcome,
                      weight=np.ones(size)),
            GapModel(),
        )  # fmt: skip
        found[f"head, {size}"] = {
            "seconds": time.process_time() - began,
            "agreement": agreement(read_states(model, fresh_rows).numpy() @ head.weights, fresh),
        }
        for trained, rate in RATES.items():
            began = time.process_time()
            training = TrainConfig(batch_size=32, max_epochs=10, learning_rate=rate, seed=seed,
                                   schedule="cosine", warmup_share=0.1, evaluations=2,
                                   patience=6)  # fmt: skip
            fitted, _ = fit_language_reward(
                model, rows, pairs(judged), training,
                config=LanguageRewardConfig(trained=trained, seed=seed),
                held_out=np.arange(round(0.85 * size), size),
            )  # fmt: skip
            found[f"{trained}, {size}"] = {
                "seconds": time.process_time() - began,
                "agreement": agreement(fitted.rewards(fresh_rows), fresh),
            }
    print(json.dumps({name: {k: round(v, 3) for k, v in each.items()}
                      for name, each in found.items()}), flush=True)  # fmt: skip
    return found


def interval(values: np.ndarray) -> list[float]:
    """Mean, low, high: Student's 95 %."""
    from scipy.stats import t

    reach = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return [round(float(each), 4)
            for each in (values.mean(), values.mean() - reach, values.mean() + reach)]  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--seeds", type=int, default=5)
    words.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "language_reward.json"
    )
    given = words.parse_args()
    torch.set_num_threads(1)
    runs = [one(seed) for seed in range(given.seeds)]
    told: dict[str, Any] = {}
    for name in runs[0]:
        told[name] = {
            what: interval(np.array([run[name][what] for run in runs]))
            if what == "agreement"
            else round(float(np.median([run[name][what] for run in runs])), 2)
            for what in runs[0][name]
        }
    for size in SIZES:
        for one_way, other in (("low_rank", "head"), ("whole", "head"), ("whole", "low_rank")):
            apart = [run[f"{one_way}, {size}"]["agreement"] - run[f"{other}, {size}"]["agreement"]
                     for run in runs]  # fmt: skip
            told[f"{one_way} less {other}, {size}"] = interval(np.array(apart))
    model = fresh_parameters(CONFIG, torch.Generator())
    document = {**circumstances(given.out.parent), "seeds": given.seeds,
                "parameters": num_parameters(model), "found": told}  # fmt: skip
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
