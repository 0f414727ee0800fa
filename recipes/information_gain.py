"""Turns earn what they tell of the true answer (IGPO, 2025), beside the outcome alone, from one
start and at equal sampled tokens.

Theirs: 51.9 to 60.2 % with a model of 7B, 32.3 to 48.9 % with 3B. Ours: facts over two hops, looked
up one by one (LOOK), a decoder of 0.1 million parameters taught until it answers some rightly,
16 worlds of 4 games a step. The outcome alone is less the other games' at each turn; gains of the
answer's probability are added to it, scaled within the group, centred after they are summed (ours)
or before (as published). Silent groups: the share whose games all have the same reward, so that the
outcome says nothing of them, over all steps, and of these the share in which gains do tell turns
apart. Paired by seed, 95 % intervals of five seeds. Tiny: two seeds, a few steps, nothing learnt.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.policy_trial import share_right, trained_for
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.lm.decoder import DecoderConfig
from penchant.lm.sample import SampleConfig
from penchant.policies.language.methods.informed import InformationGain
from penchant.policies.language.methods.method import PolicyMethod
from penchant.policies.language.methods.turnwise import TurnWise
from penchant.policies.language.teaching import taught_from_scratch
from penchant.policies.language.trainer import TrainerConfig, need_torch
from penchant.simulation.tasks.find import FindByLooking

MOST = 7
SHAPE = DecoderConfig(width=64, layers=2, heads=4, window=64)
SOURCE = "IGPO, seven sets of questions, 3B"


@dataclass(frozen=True, kw_only=True)
class Config:
    """tokens: drawn by each method. demonstrations, epochs: of the start."""

    num_seeds: int = 5
    tokens: int = 40_000
    demonstrations: int = 1_000
    epochs: int = 3
    held_out: int = 400
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, tokens=1_500, demonstrations=60, epochs=1, held_out=20)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    task = FindByLooking(hops=2, facts=4, most_turns=4)
    sampling = SampleConfig(most_tokens=MOST)
    methods: dict[str, PolicyMethod] = {
        "outcome": TurnWise(),
        "gains": InformationGain(),
        "gains, as published": InformationGain(order="centred_first"),
    }
    right: dict[str, list[float]] = {name: [] for name in ("start", *methods)}
    silent = []
    for index in range(config.num_seeds):
        seed = config.seed + index
        start = taught_from_scratch(task, SHAPE, config.demonstrations, config.epochs, seed)
        right["start"].append(share_right(start, task, config.held_out, sampling, 0))
        for name, method in methods.items():
            how = TrainerConfig(prompts=16, group_size=4, most_tokens=MOST, learning_rate=3e-4,
                                seed=seed)  # fmt: skip
            policy, reports = trained_for(start, task, method, how, config.tokens)
            right[name].append(share_right(policy, task, config.held_out, sampling, 0))
            if name == "outcome":
                silent.append(100.0 * float(np.mean([report.degenerate for report in reports])))
    points = {
        name: 100.0 * np.subtract(right[name], right["outcome"]) for name in methods
        if name != "outcome"
    }  # fmt: skip
    ours = 100.0 * np.subtract(right["gains"], right["gains, as published"])
    return results(
        [
            no_worse("points beside the outcome alone, low end", 0.0,
                     low_over_seeds(points["gains"]), source=SOURCE),
            no_worse("points of our order beside the published one, high end", 0.0,
                     2.0 * float(ours.mean()) - low_over_seeds(ours), source="our notes on IGPO"),
        ],
        points_beside_outcome={name: over_seeds(f, digits=2) for name, f in points.items()},
        our_order=over_seeds(ours, digits=2), silent_of_outcome=over_seeds(np.array(silent), 1),
        right={name: np.round(found, 3).tolist() for name, found in right.items()},
    )  # fmt: skip


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
