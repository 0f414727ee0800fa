"""Wishes that training did not cover: *Robust Preference Alignment via Directional Neighborhood
Consensus* (2025), RPS.

Theirs: for a direction far from those trained on, one answer for each of five directions within 30
degrees towards training, the best in the direction wanted is kept; it beats the best of five at
that direction in 52 to 67 % of prompts over nine pairs of models and data, 69.1 % at 45 degrees for
DPA; models that could not be had. Compared is the claim of our method notes, a guess: a generator
whose bias and noise grow with the angle outside of training loses to RPS in 60 % of prompts 45
degrees outside and ties (47 to 53 %) inside. Ours: answers with two rewards on a circle of radius
one at the angle asked, less `bias` times the square of the angle outside (radians), noise of 0.15
growing by 0.3 a radian; 4,000 prompts, ties half, Wilson's 95 % intervals. Inside, RPS asks for the
wanted direction alone, and the tie is its rule. Not met: with noise that grows but no bias, where
it cannot be. Answers asked for nearer to training have less of what is wanted on average, and less
noise to pick from, so that no such neighbours beat the direction wanted in more than half of
prompts (`by_width`: the narrower, the nearer to a half; five within 30 degrees 0.34); those on its
far side do (`beyond`: 0.52). The notes leave the bias open: 1 is one with which the claim is met;
with half of it neighbours win 0.52 (`by_bias`), and 0.46 with all of it at 15 degrees outside.
`blind` is the rule that does not know where training ended and always turns: inside it loses a
little (0.47). Tiny: 500 prompts. 1 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_better, no_worse, within_reach
from penchant.evaluation.recipes import results, run_recipe
from penchant.metrics.calibration import wilson
from penchant.utilities.objectives import angles, directed_worths, neighbourhood, turned

SOURCE = "claim of the method card"
MIDDLE = np.array([1.0, 0.0])
REACH = 30.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """bias: reward lost per squared radian outside of training; noise: of each reward, growth: of
    the noise per radian outside; widths: degrees that neighbours may lie away."""

    num_prompts: int = 4000
    num_answers: int = 5
    bias: float = 1.0
    noise: float = 0.15
    growth: float = 0.3
    biases: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0)
    widths: tuple[float, ...] = (0.0, 3.0, 10.0, 20.0, 30.0)
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_prompts=500)


def main(config: Config) -> dict[str, Any]:
    rng = np.random.default_rng(config.seed)
    won = {f"{out:g} degrees outside": share(config, config.bias, out, rng)
           for out in (-15.0, 15.0, 30.0, 45.0)}  # fmt: skip
    by_bias = {f"{bias:g}": share(config, bias, 45.0, rng) for bias in config.biases}
    blind = {f"{out:g} degrees outside": share(config, config.bias, out, rng, knows=False)
             for out in (-15.0, 45.0)}  # fmt: skip
    by_width = {f"{width:g}": share(config, 0.0, 45.0, rng, widest=width)
                for width in config.widths}  # fmt: skip
    beyond = share(config, 0.0, 45.0, rng, is_towards=False)
    most, plain = max(won for won, _, _ in by_width.values()), by_bias["0"][0]
    inside, outside = won["-15 degrees outside"], won["45 degrees outside"]
    claims = [
        no_worse("prompts won 45 degrees outside", 0.6, outside[0], source=SOURCE),
        within_reach("prompts won inside", 0.5, inside[0], reach=0.03, source=SOURCE),
        no_better("no bias: the most that neighbours towards training win", 0.5, most, slack=0.03,
                  source="the direction wanted itself"),
    ]  # fmt: skip
    behind = [no_worse("prompts won 45 degrees outside, no bias", 0.6, plain, source=SOURCE)]
    return results(claims, not_met=behind, won=won, by_bias=by_bias, by_width=by_width,
                   beyond=beyond, blind=blind)  # fmt: skip


def share(
    config: Config, bias: float, outside: float, rng: np.random.Generator, *,
    knows: bool = True, widest: float = 30.0, is_towards: bool = True,
) -> list[float]:  # fmt: skip
    """Of prompts where neighbours' best answer, towards training or away from it, beats the best of
    as many at the direction."""
    wanted = compass(np.array([REACH + outside]))[0]
    reach = REACH if knows else 0.0
    way = MIDDLE if is_towards else turned(wanted, MIDDLE, -angles(wanted, MIDDLE)[None])[0]
    near = neighbourhood(wanted, way, config.num_answers, reach=reach, widest=widest)
    same = np.repeat(wanted[None], config.num_answers, axis=0)
    best = [
        directed_worths(answers(config, bias, asked, rng), wanted).max(axis=1)
        for asked in (near, same)
    ]
    won = float(np.mean(np.where(best[0] == best[1], 0.5, best[0] > best[1])))
    low, high = wilson(np.array([won]), np.array([float(config.num_prompts)]))
    return [round(x, 4) for x in (won, float(low[0]), float(high[0]))]


def answers(config: Config, bias: float, asked: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two rewards of one answer to each prompt for each direction asked for."""
    outside = np.radians(np.maximum(angles(asked, MIDDLE) - REACH, 0.0))[:, None]
    spread = config.noise + config.growth * outside
    noise = rng.normal(size=(config.num_prompts, *asked.shape))
    return asked - bias * outside**2 * asked + spread * noise


def compass(degrees: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=-1)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
