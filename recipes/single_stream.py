"""One response a prompt against what the prompt earned before (SPO, single stream, 2025), beside
groups of eight (GRPO), from one start and at equal sampled tokens.

Theirs: 3.4 points more than GRPO (maj@32, a model of 8B), no group that is all alike. Ours: a
decoder of 0.1 million parameters, taught the 300 sums of one operation until it is right some of
the time, then reinforced: 128 responses a step, of 16 prompts by GRPO, of 128 by the single stream,
the 128 chosen out of 512 by the tracker's weight. Methods are paired by seed, intervals are of five
seeds. Beside it a tracker that forgets at one rate (0.96), and how often GRPO's groups were all
alike (39 %; of single responses none is). Not met: more than GRPO beyond chance; the single stream
gains 1.8 points more, -0.3 to 3.8, which holds theirs too. A tracker of one rate does as well (1.3,
0.7 to 2.0), so that drift is not what counts here. Throughput was not timed: rollouts here take
equally long. The learning rate of both was chosen for GRPO on another seed. Tiny: two
seeds, a few steps, nothing learnt.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse, within_reach
from penchant.evaluation.policy_trial import share_right, trained_for
from penchant.evaluation.recipes import (
    low_over_seeds,
    over_seeds,
    reach_over_seeds,
    results,
    run_recipe,
)
from penchant.lm.decoder import DecoderConfig
from penchant.lm.sample import SampleConfig
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.methods.method import PolicyMethod
from penchant.policies.language.methods.single_stream import SingleStream
from penchant.policies.language.teaching import taught_from_scratch
from penchant.policies.language.trainer import TrainerConfig, need_torch
from penchant.simulation.tasks.chain import Chain

MOST, RESPONSES = 6, 128
SHAPE = DecoderConfig(width=64, layers=2, heads=4, window=32)
SOURCE = "SPO, five contests, maj@32"


@dataclass(frozen=True, kw_only=True)
class Config:
    """tokens: drawn by each method. demonstrations, epochs: of the start."""

    num_seeds: int = 5
    tokens: int = 40_000
    demonstrations: int = 1_500
    epochs: int = 4
    held_out: int = 2_000
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, tokens=1_500, demonstrations=60, epochs=1, held_out=20)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    task, sampling = Chain(fewest=1, most=1), SampleConfig(most_tokens=MOST)
    methods: dict[str, tuple[PolicyMethod, int]] = {
        "GRPO": (grpo(), 8),
        "single stream": (SingleStream(), 1),
        "one rate": (SingleStream(forgetting=0.96), 1),
    }
    right: dict[str, list[float]] = {name: [] for name in ("start", *methods)}
    alike = []
    for index in range(config.num_seeds):
        seed = config.seed + index
        start = taught_from_scratch(task, SHAPE, config.demonstrations, config.epochs, seed)
        right["start"].append(share_right(start, task, config.held_out, sampling, 0))
        for name, (method, group) in methods.items():
            how = TrainerConfig(prompts=RESPONSES // group, group_size=group, most_tokens=MOST,
                                learning_rate=3e-4, seed=seed)  # fmt: skip
            policy, reports = trained_for(start, task, method, how, config.tokens)
            right[name].append(share_right(policy, task, config.held_out, sampling, 0))
            if name == "GRPO":
                alike.append(float(np.mean([report.degenerate for report in reports])))
    points = {
        name: 100.0 * np.subtract(right[name], right["GRPO"]) for name in methods if name != "GRPO"
    }
    gained = points["single stream"]
    claims = [
        within_reach("points beside GRPO", 3.4, float(gained.mean()),
                     reach=reach_over_seeds(gained), source=SOURCE),
        no_worse("points of one rate beside GRPO, low end", 0.0, low_over_seeds(points["one rate"]),
                 source="ours: theirs forgets by drift"),
    ]  # fmt: skip
    short = [
        no_worse("points beside GRPO, low end", 0.0, low_over_seeds(gained), source=SOURCE),
    ]
    return results(
        claims,
        not_met=short,
        points_beside_grpo={name: over_seeds(found, digits=2) for name, found in points.items()},
        alike_of_grpo=over_seeds(np.array(alike), digits=3),
        right={name: np.round(found, 3).tolist() for name, found in right.items()},
    )


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
