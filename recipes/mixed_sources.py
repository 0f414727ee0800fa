"""Demonstrations where nothing is right (HPT, 2025) and earlier successes where a whole group fails
(ARPO, 2025), beside GRPO, imitation, and imitation before GRPO, at equal sampled tokens.

Theirs: HPT above its baselines on six mathematical sets; ARPO 83.9 % of 128 tasks with replay
beside GRPO's 72.9. Ours: the 300 sums of one operation, a decoder of 0.1 million parameters taught
until some tenth is right, and one that is right half the time, for ARPO's other end. Imitation gets
as many demonstrations as HPT took. Counted are right answers on 1,000 draws, and one of eight right
on 300 problems. Paired by seed, 95 % intervals of five seeds; rates chosen on another.
Tiny: two seeds, a few steps, nothing learnt.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.policy_trial import share_right, trained_for
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.fitting.sgd import TrainConfig
from penchant.lm.decoder import DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.policies.language.gathering import Ask, Gathered
from penchant.policies.language.methods.demonstrated import GatedDemonstrations, hpt
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.methods.replayed import Replayed
from penchant.policies.language.rollouts import draw_rollouts
from penchant.policies.language.teaching import Teaching, taught, taught_from_scratch
from penchant.policies.language.trainer import TrainerConfig, need_torch
from penchant.simulation.tasks.chain import Chain

MOST, RATE = 6, 3e-4
TASK, SAMPLING = Chain(fewest=1, most=1), SampleConfig(most_tokens=MOST)
SHAPE = DecoderConfig(width=64, layers=2, heads=4, window=32)
IMITATION = TrainConfig(batch_size=16, max_epochs=1, learning_rate=1e-3, patience=None)
SOURCE = "ARPO: 83.9 beside 72.9 %"


@dataclass(frozen=True, kw_only=True)
class Config:
    """tokens: drawn by each method. demonstrations: of either start, passes: over them."""

    num_seeds: int = 5
    tokens: int = 20_000
    demonstrations: int = 1_500
    passes: tuple[int, int] = (2, 16)
    held_out: int = 1_000
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, tokens=1_500, demonstrations=60, passes=(1, 1), held_out=20)


@dataclass(frozen=True, kw_only=True)
class Counted(GatedDemonstrations):
    """shown: how many demonstrations each step took."""

    shown: list[int] = field(default_factory=list)

    def gathered(self, ask: Ask) -> Gathered:
        batch = GatedDemonstrations.gathered(self, ask)
        self.shown.append(len(batch.told["gated"]))
        return batch


def main(config: Config) -> dict[str, Any]:
    need_torch()
    rows = [one_seed(config, config.seed + s) for s in range(config.num_seeds)]
    each = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    points = {
        f"HPT beside {name}": each["HPT"] - each[name]
        for name in ("GRPO", "imitation", "imitation, then GRPO")
    }
    points["ARPO beside GRPO"] = each["ARPO"] - each["GRPO"]
    points["ARPO beside GRPO, from half"] = each["ARPO, from half"] - each["GRPO, from half"]
    points["one of eight, HPT beside the start"] = each["HPT, of eight"] - each["start, of eight"]
    points["prompts shown, first less last"] = each["shown at first"] - each["shown at last"]
    claims = [
        no_worse(f"{name}, low end", 0.0, low_over_seeds(found), source=SOURCE)
        for name, found in points.items()
    ]
    return results(
        claims, points={name: over_seeds(found, 2) for name, found in points.items()},
        each={name: np.round(found, 1).tolist() for name, found in each.items()},
    )  # fmt: skip


def one_seed(config: Config, seed: int) -> dict[str, float]:
    starts = [taught_from_scratch(TASK, SHAPE, config.demonstrations, passes, seed)
              for passes in config.passes]  # fmt: skip
    how = TrainerConfig(most_tokens=MOST, learning_rate=RATE, seed=seed)
    gate = Counted(base=hpt(MOST).base)

    def after(start: LanguageModel, method: Any) -> LanguageModel:
        return trained_for(start, TASK, method, how, config.tokens)[0]

    weak, half = starts
    policies = {"start": weak, "HPT": after(weak, gate), "GRPO": after(weak, grpo()),
                "ARPO": after(weak, Replayed())}  # fmt: skip
    shown = Teaching(num=max(sum(gate.shown), 1), training=IMITATION, seed=seed + 1_000)
    policies["imitation"] = taught(weak, TASK, shown)[0]
    policies["imitation, then GRPO"] = after(policies["imitation"], grpo())
    policies |= {"start, from half": half, "GRPO, from half": after(half, grpo()),
                 "ARPO, from half": after(half, Replayed())}  # fmt: skip
    found = {name: 100.0 * share_right(model, TASK, config.held_out, SAMPLING, 0)
             for name, model in policies.items()}  # fmt: skip
    steps = np.array_split(np.array(gate.shown) / how.prompts, min(5, len(gate.shown)))
    return {
        **found, **{f"{name}, of eight": of_eight(policies[name]) for name in ("start", "HPT")},
        "shown at first": 100.0 * steps[0].mean(), "shown at last": 100.0 * steps[-1].mean(),
    }  # fmt: skip


def of_eight(model: LanguageModel) -> float:
    """Problems in 100 of which one of eight answers is right."""
    import torch

    problems = TASK.draw(300, np.random.default_rng(10_000))
    drawn = draw_rollouts(model, [p.prompt for p in problems], 8, SAMPLING,
                          torch.Generator().manual_seed(0))  # fmt: skip
    right = [TASK.grade(problems[p], said)["correct"] > 0
             for p, said in zip(drawn.prompt_of, drawn.responses)]  # fmt: skip
    return 100.0 * float(np.mean(np.reshape(right, (300, 8)).any(axis=1)))


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
