"""What doubt is good for: Zhang et al. (2025), Ctrl-U; Coste et al. (2024), Reward model ensembles
help mitigate overoptimization.

Theirs are image generators and language models. Compared is what our own method notes ask of the
first at small scale: a policy regressed on a proxy of uneven error, two replicates for each text,
ends a tenth nearer to gold where texts are weighed by exp(-disagreement) than where the same two
are averaged alike; and the second's headline as an order: less its ensemble's disagreement a proxy
pays more under best-of-n and under a policy held by KL. Ours: 200 texts of 20 attributes, errors of
sd exp(N(0, 1)), 40 seeds: 56 % less (with exp(N(0, 1/4)) 13 % more, with even ones half as much
again: one disagreement tells little of a text's error, and weights are not free); networks
on 300 pairs of a gold that saturates, 20 prompts of 1,000 candidates of which three in ten are 2.5
times as far out as what people compared, 20 worlds. Where those far out are worse the farther out,
a sd taken off pays beyond the mean of the same heads (and three sd most: best of n tops at 1.02 sd
of gold and ends at 0.37, by the mean alone at 0.22 and -0.21); where they are like any other text,
it does not. Not met: a tenth more than one head there (5 to 6 %), most of it the mean's.
Tiny: 4 and 2 seeds. 20 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import Claim, no_worse
from penchant.evaluation.over_optimisation import best_of_n_curve, tilted_curve
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.fitting.reward_network import RewardNetworkConfig, SoftPairs, fit_reward_networks
from penchant.fitting.sgd import TrainConfig
from penchant.numerics.arrays import sigmoid
from penchant.simulation.saturating import SaturatingWorth

SOURCE, ORDER = "our method notes, as asked", "headline, as an order"
SIZES = (1, 4, 16, 64, 256, 1024)
BETAS = (10.0, 3.0, 1.0, 0.3, 0.1)


@dataclass(frozen=True, kw_only=True)
class Config:
    """unevenness: sd of the log of errors. worse: what far candidates lose, in sd of gold for each
    length beyond. members: of the ensemble. doubts: sd taken off."""

    num_seeds: int = 40
    texts: int = 200
    attributes: int = 20
    unevenness: tuple[float, ...] = (0.0, 0.5, 1.0)
    num_worlds: int = 20
    pairs: int = 300
    members: int = 8
    candidates: int = 1000
    worse: tuple[float, ...] = (0.0, 2.0)
    doubts: tuple[float, ...] = (1.0, 3.0)
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=4, num_worlds=2, candidates=100)


def main(config: Config) -> dict[str, Any]:
    saved = {}
    for uneven in config.unevenness:
        runs = [replicates(config, uneven, index) for index in range(config.num_seeds)]
        saved[uneven] = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    most = low_over_seeds(saved[config.unevenness[-1]]["disagreement"])
    claims = [no_worse("low end of the error saved by weights", 0.1, most, source=SOURCE)]
    behind: list[Claim] = []
    facts: dict[str, Any] = {}
    for worse in config.worse:
        runs = [lean(config, worse, index) for index in range(config.num_worlds)]
        gold = {name: np.array([run[name] for run in runs]) for name in runs[0]}
        where = f"far ones {worse:g} sd worse"
        facts[f"gold, {where}"] = {n: v.mean(axis=0).round(3).tolist() for n, v in gold.items()}
        for way in ("best of n", "closed form"):
            less, heads, head = (gold[f"{way}, {name}"][:, -1]
                                 for name in ("mean less 1 sd", "mean", "one head"))  # fmt: skip
            facts[f"gained, {where}, {way}"] = {
                "over the mean": over_seeds(less - heads, 3),
                "over one head": over_seeds(less - head, 3),
            }
            if worse > 0:
                claims.append(no_worse(f"{way}, {where}: by doubt over the mean, low end", 0.0,
                                       low_over_seeds(less - heads), source=ORDER))  # fmt: skip
            else:
                gain = float(less.mean() / head.mean() - 1.0)
                behind.append(no_worse(f"{way}, {where}: by doubt over one head, share", 0.1, gain,
                                       source="asked of doubt"))  # fmt: skip
    facts["error saved, errors of sd exp(N(0, s^2))"] = {
        f"s = {uneven:g}": {name: over_seeds(v, 3) for name, v in found.items()}
        for uneven, found in saved.items()
    }
    return results(claims, not_met=behind, **facts)


def replicates(config: Config, uneven: float, index: int) -> dict[str, float]:
    """Share of the squared error of gold that weights save, by disagreement and by the truth."""
    rng, size = np.random.default_rng((config.seed, index)), (config.texts, config.attributes)
    texts, truth = rng.normal(size=size), rng.normal(size=config.attributes)
    error = np.exp(uneven * rng.normal(size=config.texts))
    told = (texts @ truth)[:, None] + error[:, None] * rng.normal(size=(config.texts, 2))
    mean, apart = told.mean(axis=1), np.abs(told[:, 0] - told[:, 1])
    off = {}
    for name, weight in (("alike", np.ones(config.texts)), ("disagreement", np.exp(-apart)),
                         ("known errors", error**-2.0)):  # fmt: skip
        moments = (texts * weight[:, None]).T @ texts
        off[name] = ((np.linalg.solve(moments, texts.T @ (weight * mean)) - truth) ** 2).sum()
    return {name: float(1.0 - v / off["alike"]) for name, v in off.items() if name != "alike"}


def lean(config: Config, worse: float, index: int) -> dict[str, np.ndarray]:
    """Gold along best of n and along the closed form, by what is leant on."""
    rng, size = np.random.default_rng((config.seed, 1, index)), config.attributes
    worth = SaturatingWorth.drawn(size, rng)
    unit = worth.of(rng.normal(size=(2000, size))).std()

    def gold(texts: np.ndarray) -> np.ndarray:
        beyond = np.maximum(np.linalg.norm(texts, axis=-1) / size**0.5 - 1.5, 0.0)
        return worth.of(texts) / unit - worse * beyond

    known = rng.normal(size=(2 * config.pairs, size))
    first, second = np.arange(config.pairs), np.arange(config.pairs, 2 * config.pairs)
    won = rng.random(config.pairs) < sigmoid(2.0 * (gold(known[first]) - gold(known[second])))
    pairs = SoftPairs.plain(known, np.where(won, first, second), np.where(won, second, first),
                            config.members, rng)  # fmt: skip
    training = TrainConfig(batch_size=32, max_epochs=30, learning_rate=3e-3, patience=5)
    networks = fit_reward_networks(pairs, RewardNetworkConfig(seed=index), training,
                                   np.arange(0, config.pairs, 6))[0]  # fmt: skip
    far = rng.random((20, config.candidates, 1)) < 0.3
    shown = rng.normal(size=(20, config.candidates, size)) * np.where(far, 2.5, 1.0)
    told = networks.rewards(shown.reshape(-1, size)).reshape(-1, 20, config.candidates)
    ways = {"one head": told[0], "mean": told.mean(axis=0), "worst head": told.min(axis=0)}
    ways |= {f"mean less {d:g} sd": told.mean(axis=0) - d * told.std(axis=0) for d in config.doubts}
    paid = gold(shown)
    found = {f"best of n, {name}": best_of_n_curve(r, paid, SIZES).gold for name, r in ways.items()}
    return found | {f"closed form, {name}": tilted_curve(r, paid, BETAS).gold
                    for name, r in ways.items()}  # fmt: skip


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
