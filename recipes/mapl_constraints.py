"""The same answer under two prompts: Multi-level Aware Preference Learning (2025), MAPL.

Theirs: pairs of an answer under a prompt that it satisfies and under one that it violates (the
paper's intra-sample pairs) teach a reward model to follow several instructions; gains on benchmarks
of language models, none of which could be had, nor do our method notes have a figure of their own
(0.87 to 0.91 there is of `recipes/contrast_consistency.py`, another world). Compared is what the
notes ask as an order: such pairs raise how often an answer is worth more under its own prompt, more
so for constraint combinations never seen, and accuracy within prompts is unchanged. Ours: a prompt
asks for 3 of 10 constraints, a quarter of the 120 combinations being seen; a near prompt has one
that the answer breaks in place of one that it meets; worth is minus the constraints broken; a
network of 64 hidden units on prompt and answer; 3,000 pairs within prompts, with and without as
many across; 30 seeds, low ends of 95 % intervals. Not met: that combinations never seen gain more.
What pairs within prompts alone leave wrong (the bound) is as much on both, pairs across mend all of
it on combinations seen and most of it on others: the gain is no larger there, nor where prompts are
of a half or a tenth of the combinations (`shares`). Tiny: 1 seed, 600 pairs. 50 s. No data.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_better, no_worse
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.fitting.adam import AdamConfig
from penchant.fitting.reward_network import RewardNetworkConfig, SoftPairs, fit_reward_networks
from penchant.fitting.sgd import TrainConfig
from penchant.metrics.reversals import pair_accuracy
from penchant.numerics.arrays import sigmoid

SOURCE = "our method notes, as an order"
Reward = Callable[[np.ndarray], np.ndarray]
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Config:
    """share: of combinations that are seen. sharpness: logits for each constraint broken."""

    num_pairs: int = 3000
    num_constraints: int = 10
    num_asked: int = 3
    share: float = 0.25
    shares: tuple[float, ...] = (0.1, 0.5)
    sharpness: float = 2.0
    max_epochs: int = 40
    num_seeds: int = 30
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_pairs=600, max_epochs=10, num_seeds=1)


def main(config: Config) -> dict[str, Any]:
    told = runs(config)
    gained = {what: told[f"{what}, across"] - told[f"{what}, within"]
              for what in ("seen", "never seen", "accuracy")}  # fmt: skip
    left = 1.0 - told["never seen, within"]
    claims = [
        no_worse("gained by pairs across, low end", 0.0, low_over_seeds(gained["seen"]),
                 source=SOURCE),
        no_worse("gained on combinations never seen, low end", 0.0,
                 low_over_seeds(gained["never seen"]), source=SOURCE),
        no_better("gained on combinations never seen", float(left.mean()),
                  float(gained["never seen"].mean()), source="all that was wrong"),
        no_worse("accuracy within prompts, change", 0.0, float(gained["accuracy"].mean()),
                 slack=0.005, source=SOURCE),
    ]  # fmt: skip
    behind = [no_worse("gained more on combinations never seen, low end", 0.0,
                       low_over_seeds(gained["never seen"] - gained["seen"]),
                       source=SOURCE)]  # fmt: skip
    few = replace(config, num_seeds=min(config.num_seeds, 10))
    others = {f"{share:g}": runs(replace(few, share=share)) for share in config.shares}
    return results(claims, not_met=behind, found=summary(told),
                   shares={share: summary(each) for share, each in others.items()})  # fmt: skip


def summary(told: dict[str, np.ndarray]) -> dict[str, list[float]]:
    more = told["never seen, across"] - told["never seen, within"]
    more = more - told["seen, across"] + told["seen, within"]
    return {name: over_seeds(each) for name, each in {**told, "more on never seen": more}.items()}


def runs(config: Config) -> dict[str, np.ndarray]:
    made = [one_run(config, np.random.default_rng((config.seed, k)))
            for k in range(config.num_seeds)]  # fmt: skip
    return {name: np.array([run[name] for run in made]) for name in made[0]}


def one_run(config: Config, rng: np.random.Generator) -> dict[str, float]:
    size, num = config.num_constraints, config.num_pairs
    prompts = np.array([np.isin(np.arange(size), some) for some in
                        combinations(range(size), config.num_asked)], dtype=float)  # fmt: skip
    is_seen = rng.permutation(len(prompts)) < config.share * len(prompts)
    # One constraint swapped for another.
    is_near = np.abs(prompts[:, None] - prompts).sum(axis=2) == 2

    def within(pool: np.ndarray) -> Pairs:
        """Two answers to one prompt; the first's worth less the second's."""
        asked = prompts[rng.choice(np.flatnonzero(pool), num)]
        met, other = (rng.random((2, num, size)) < 0.6).astype(float)
        gap = (asked * (met - other)).sum(axis=1)
        return np.column_stack([asked, met]), np.column_stack([asked, other]), gap

    def across(pool: np.ndarray) -> Pairs:
        """One answer to a prompt that it meets, and to a near one that it does not."""
        own = rng.choice(np.flatnonzero(pool & (is_near & pool).any(axis=1)), num)
        near = (rng.random((num, len(prompts))) * (is_near[own] & pool)).argmax(axis=1)
        met = np.maximum(prompts[own], rng.random((num, size)) < 0.6)
        met[prompts[near] > prompts[own]] = 0.0
        one, two = (np.column_stack([prompts[kind], met]) for kind in (own, near))
        return one, two, np.ones(num)

    new = {"seen": across(is_seen), "never seen": across(~is_seen)}
    judged, found = within(~is_seen), {}
    of_prompt, crossed = (ordered(make(is_seen), config.sharpness, rng)
                          for make in (within, across))  # fmt: skip
    both = [np.concatenate(sides) for sides in zip(of_prompt, crossed)]
    for name, (better, worse) in (("within", of_prompt), ("across", both)):
        reward = network(better, worse, config)
        for kind, (own, near, _) in new.items():
            found[f"{kind}, {name}"] = pair_accuracy(reward(own) - reward(near))
        told = (reward(judged[0]) - reward(judged[1])) * judged[2]
        found[f"accuracy, {name}"] = pair_accuracy(told[judged[2] != 0])
    return found


def ordered(pairs: Pairs, sharpness: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Winners and losers, by a noisy judge."""
    one, two, gap = pairs
    won = (rng.random(len(gap)) < sigmoid(sharpness * gap))[:, None]
    return [np.where(won, one, two), np.where(won, two, one)]


def network(better: np.ndarray, worse: np.ndarray, config: Config) -> Reward:
    size = np.arange(len(better))
    pairs = SoftPairs.plain(np.concatenate([better, worse]), size, len(better) + size)
    training = TrainConfig(batch_size=64, max_epochs=config.max_epochs, schedule="cosine",
                           patience=None)  # fmt: skip
    decayed = RewardNetworkConfig(adam=AdamConfig(weight_decay=0.01))
    nets = fit_reward_networks(pairs, decayed, training)[0]
    return lambda texts: nets.rewards(texts)[0]


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
