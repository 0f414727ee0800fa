"""A learnt value of every token as the baseline (PPO, Schulman et al. 2017, with generalised
advantages, 2016) beside GRPO's groups (Shao et al. 2024), from one start, at equal sampled tokens.

Theirs: GRPO was proposed as PPO without its value, at no loss (no figure of both is given; 0 stands
for it). Ours: sums of one operation, a decoder of 0.1 million parameters, right answers on 2,000
draws; 128 responses a step, groups of eight by GRPO, single ones by PPO, whose value reads the
policy's own states. Paired by seed, 95 % intervals of five seeds; each at the better rate of 3e-4
and 1e-3 on another. No difference beyond chance: PPO is 1.5 points
ahead with single responses (-1.6 to 4.7), 0.3 with groups of eight (-3.2 to 3.7); GRPO gains 2.5
over the start (0.2 to 4.8). Tiny: two seeds, a few steps, nothing learnt.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.policy_trial import share_right, trained_for
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.lm.decoder import DecoderConfig
from penchant.lm.sample import SampleConfig
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.methods.method import PolicyMethod
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.teaching import taught_from_scratch
from penchant.policies.language.trainer import TrainerConfig, need_torch
from penchant.simulation.tasks.chain import Chain

MOST, TASK = 6, Chain(fewest=1, most=1)
SHAPE = DecoderConfig(width=64, layers=2, heads=4, window=32)
SOURCE = "GRPO without a value, at no loss"
# The method, responses to a prompt, the rate.
METHODS: dict[str, tuple[PolicyMethod, int, float]] = {
    "GRPO": (grpo(), 8, 3e-4),
    "PPO": (Proximal(), 1, 1e-3),
    "PPO, groups": (Proximal(), 8, 1e-3),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """tokens: drawn by each method. demonstrations, epochs: of the start."""

    num_seeds: int = 5
    tokens: int = 30_000
    demonstrations: int = 1_500
    epochs: int = 4
    held_out: int = 2_000
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, tokens=1_500, demonstrations=60, epochs=1, held_out=20)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    rows = [one_seed(config, config.seed + s) for s in range(config.num_seeds)]
    right = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    beside = {name: right["GRPO"] - right[name] for name in right if name != "GRPO"}
    claims = [
        no_worse(f"points of GRPO beside {name}, high end", 0.0, float(found.mean()),
                 slack=float(found.mean()) - low_over_seeds(found), source=SOURCE)
        for name, found in beside.items() if name.startswith("PPO")
    ]  # fmt: skip
    return results(
        claims, grpo_beside={name: over_seeds(found, 2) for name, found in beside.items()},
        right={name: np.round(found, 1).tolist() for name, found in right.items()},
    )  # fmt: skip


def one_seed(config: Config, seed: int) -> dict[str, float]:
    start = taught_from_scratch(TASK, SHAPE, config.demonstrations, config.epochs, seed)
    policies = {"start": start}
    for name, (method, group, rate) in METHODS.items():
        how = TrainerConfig(prompts=128 // group, group_size=group, most_tokens=MOST,
                            learning_rate=rate, seed=seed)  # fmt: skip
        policies[name], _ = trained_for(start, TASK, method, how, config.tokens)
    sampling = SampleConfig(most_tokens=MOST)
    return {name: 100.0 * share_right(model, TASK, config.held_out, sampling, 0)
            for name, model in policies.items()}  # fmt: skip


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
