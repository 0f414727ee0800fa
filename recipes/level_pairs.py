"""Levels in place of rewards (TRPA, 2025): every better answer of a group preferred to every worse
one, beside GRPO with rewards added up, from one start and at equal sampled tokens.

Theirs: 86 % of puzzles with eight people, their start 67. Ours: sums of one operation, a decoder of
0.1 million parameters, taught with the answer's mark ("#7") and, half of the time, without ("7",
which nobody can parse). Levels: right, wrong, marked but not to be parsed, not marked. GRPO gets 1
for a right answer and 1 for its form, or, mis-scaled, 5 for its form. Counted are right answers,
and wrong ones in good form, on 1,000 held-out draws. Paired by seed, 95 % intervals of five seeds;
one rate for all of 3e-4 and 1e-3, the better on another. Levels: 13.9 % right, 1.6 points above
GRPO (0.5 to 2.7), and 1.7 fewer in form alone than mis-scaled (0.6 to 2.7): those that it has more
of right, for mis-scaling costs GRPO itself nothing (likely since z-scores forget the scale once all
answers have their form), so that it was no trial of it. Tiny: two seeds, a few steps, nothing
learnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.policy_trial import tried
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.lm.decoder import DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig
from penchant.policies.language.grading import Reward, correct
from penchant.policies.language.methods.group_relative import grpo
from penchant.policies.language.methods.level_pairs import LevelPairs
from penchant.policies.language.methods.method import PolicyMethod
from penchant.policies.language.teaching import taught_from_scratch
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig, need_torch
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.task import Problem

MOST = 6
SHAPE = DecoderConfig(width=64, layers=2, heads=4, window=32)
RATES = {"GRPO": 1e-3, "mis-scaled": 1e-3, "TRPA": 1e-3}
SOURCE = "K&K, eight people: 67 to 86 %"


@dataclass(frozen=True, kw_only=True)
class Config:
    """tokens: drawn by each method. demonstrations, epochs: of the start."""

    num_seeds: int = 5
    tokens: int = 20_000
    demonstrations: int = 1_500
    epochs: int = 4
    held_out: int = 1_000
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, tokens=1_500, demonstrations=60, epochs=1, held_out=20)


@dataclass(frozen=True, kw_only=True)
class Marked(Chain):
    """Half of the demonstrations leave the mark out. level: 1 for right answers, 2 / 3 for wrong
    ones, 1 / 3 where a mark has something else about it, 0 without one."""

    def draw(self, num: int, generator: np.random.Generator) -> Sequence[Problem]:
        problems = super().draw(num, generator)
        bare = generator.random(num) < 0.5
        return tuple(
            replace(p, demonstration=p.demonstration.replace("#", "")) if b else p
            for p, b in zip(problems, bare)
        )

    def grade(self, problem: Problem, response: str) -> Mapping[str, float]:
        found = super().grade(problem, response)
        level = (1.0 if found["correct"] else 2 / 3) if found["format"] else (
            1 / 3 if "#" in response else 0.0
        )  # fmt: skip
        return {**found, "level": level}


def main(config: Config) -> dict[str, Any]:
    need_torch()
    task = Marked(fewest=1, most=1, scratch=False)
    methods: dict[str, tuple[PolicyMethod, Reward]] = {
        "GRPO": (grpo(), lambda said: said["correct"] + said["format"]),
        "mis-scaled": (grpo(), lambda said: said["correct"] + 5.0 * said["format"]),
        "TRPA": (LevelPairs(), lambda said: said["level"]),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ("start", *methods)}
    for index in range(config.num_seeds):
        seed = config.seed + index
        start = taught_from_scratch(task, SHAPE, config.demonstrations, config.epochs, seed)
        found["start"].append(judged(start, task, config))
        for name, (method, reward) in methods.items():
            how = TrainerConfig(most_tokens=MOST, learning_rate=RATES[name], seed=seed)
            trainer = PolicyTrainer(start, task, method, how, reward=reward)
            while trainer.step().tokens < config.tokens:
                pass
            found[name].append(judged(trainer.model, task, config))
    right, formed = ({name: np.array(pairs)[:, k] for name, pairs in found.items()} for k in (0, 1))
    ahead = {name: right["TRPA"] - right[name] for name in ("GRPO", "mis-scaled")}
    fewer = formed["mis-scaled"] - formed["TRPA"]
    claims = [
        no_worse("points right beside GRPO, low end", 0.0, low_over_seeds(ahead["GRPO"]),
                 source=SOURCE),
        no_worse("points fewer in form alone than mis-scaled, low end", 0.0,
                 low_over_seeds(fewer), source="our notes on TRPA"),
    ]  # fmt: skip
    return results(
        claims, points_beside={name: over_seeds(points, 2) for name, points in ahead.items()},
        fewer_in_form_alone=over_seeds(fewer, 2),
        right_and_formed={name: np.round(pairs, 1).tolist() for name, pairs in found.items()},
    )  # fmt: skip


def judged(model: LanguageModel, task: Marked, config: Config) -> tuple[float, float]:
    """Right answers, and wrong ones in good form, in 100."""
    sampling = SampleConfig(most_tokens=MOST)
    got = tried(model, task, config.held_out, sampling, task.grade, correct, 0)
    is_right, is_formed = (got.grades.components[name] for name in ("correct", "format"))
    return 100.0 * float(is_right.mean()), 100.0 * float((is_formed * (1.0 - is_right)).mean())


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
