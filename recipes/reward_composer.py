"""Rewards made of rewards: HARMO, Mixed-R1, ORBIT (all 2025), and weights that change on the way
(research ideas with dynamic control, 2025).

Their figures are of trained language models and are not repeated. What was asked of small
simulations: Mixed-R1's mutual match ranks paraphrase over truncated over unrelated in at least 95 %
of triples; of HARMO's two rules, an advantage less its group's mean weighs prompts by p (1 - p) and
one over its standard deviation weighs nearly certain prompts far more; weights for each step beat
the best fixed ones. Ours: those three, and a rubric whose judge fails one time in five: what
counting a failure as zero does to the choice among answers, beside leaving it out.
Tiny: a tenth. 5 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import results, run_recipe
from penchant.utilities.compose import mutual_match, rubric, weighted_sum

SOURCE = "asked of a simulation"
WEIGHTS = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])


@dataclass(frozen=True, kw_only=True)
class Config:
    """repeats: triples, groups, rubrics and ways. rollouts: of a group. fails: of the judge."""

    repeats: int = 2_000
    rollouts: int = 16
    candidates: int = 8
    fails: float = 0.2
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(repeats=200)


def main(config: Config) -> dict[str, Any]:
    rng = np.random.default_rng(config.seed)
    by_mean, by_spread = prompt_weights(config, rng)
    stepwise, fixed = steps(config, rng)
    zero, left_out, whole = failing_judge(config, rng)
    claims = [
        no_worse("triples ranked right by mutual match", 0.95, triples(config, rng), source=SOURCE),
        no_worse("sure prompts' weight over p (1 - p), by spread", 2.0,
                 by_spread / by_mean, source="order, simulated"),
        no_worse("weights for each step less the best fixed", 0.0, stepwise - fixed, source=SOURCE),
        no_worse("a failed judgement left out, less counted as zero", 0.0, left_out - zero,
                 source="our own question"),
    ]  # fmt: skip
    return results(
        claims,
        weight_of_sure_prompts={"less the mean": by_mean, "over the spread": by_spread,
                                "p (1 - p) of 0.05 over that of 0.5": 0.05 * 0.95 / 0.25},
        points_of_the_answer_taken={"failed is zero": zero, "left out": left_out,
                                    "judge that never fails": whole},
    )  # fmt: skip


def triples(config: Config, rng: np.random.Generator) -> float:
    """Tokens of an answer, of the same in other words and order, of its first third, of another."""
    right = 0
    for _ in range(config.repeats):
        answer = rng.normal(size=(rng.integers(9, 20), 24))
        paraphrase = rng.permutation(answer) + 0.4 * rng.normal(size=answer.shape)
        cut, other = answer[: len(answer) // 3], rng.normal(size=answer.shape)
        matches = [float(mutual_match(answer, text)) for text in (paraphrase, cut, other)]
        right += matches[0] > matches[1] > matches[2]
    return right / config.repeats


def prompt_weights(config: Config, rng: np.random.Generator) -> tuple[float, float]:
    """Mean squared advantage of prompts solved 1 time in 20, over that of those solved half the
    time: less the group's mean, and over its standard deviation as well."""
    found = []
    for spread in (False, True):
        size = []
        for chance in (0.05, 0.5):
            rewards = (rng.random((config.repeats, config.rollouts)) < chance).astype(float)
            advantage = rewards - rewards.mean(axis=1, keepdims=True)
            if spread:
                advantage /= rewards.std(axis=1, keepdims=True) + 1e-8
            size.append(float((advantage**2).mean()))
        found.append(size[0] / size[1])
    return found[0], found[1]


def steps(config: Config, rng: np.random.Generator) -> tuple[float, float]:
    """Worth of the candidates taken, by weights of each step and by the best of a grid of fixed."""
    scores = rng.normal(size=(config.repeats, config.candidates, 3))
    truth = WEIGHTS[np.arange(config.repeats) % 3][:, None]
    worth = weighted_sum(scores, truth)

    def taken(weights: np.ndarray) -> float:
        place = weighted_sum(scores, weights).argmax(axis=1)
        return float(worth[np.arange(len(worth)), place].mean())

    grid = np.array([(a, b, 1 - a - b) for a in np.linspace(0, 1, 11)
                     for b in np.linspace(0, 1, 11) if a + b <= 1.0 + 1e-9])  # fmt: skip
    return taken(truth), max(taken(weights) for weights in grid)


def failing_judge(config: Config, rng: np.random.Generator) -> tuple[float, float, float]:
    """Points of the answer of the highest score: failures as zero, left out, none failed."""
    points = rng.integers(1, 6, (config.repeats, 10)).astype(float)
    quality = rng.normal(size=(config.repeats, config.candidates, 1))
    met = (rng.normal(size=(config.repeats, config.candidates, 10)) < quality).astype(float)
    gained = rubric(met, points)
    judged = np.where(rng.random(met.shape) < config.fails, np.nan, met)
    found = []
    for score in (rubric(np.nan_to_num(judged), points),
                  rubric(judged, points, missing="leave_out"), gained):  # fmt: skip
        # Where nothing of an answer was judged there is no score, and it is not taken.
        place = np.where(np.isnan(score), -np.inf, score).argmax(axis=1)
        found.append(float(gained[np.arange(len(gained)), place].mean()))
    return found[0], found[1], found[2]


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
