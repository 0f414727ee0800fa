"""Structures of the catalogue: Slivkins (2019), Introduction to Multi-Armed Bandits: continua of
arms, advice of experts, combinations of items.

Theirs: exponents of regret in the number of rounds: (d + 1) / (d + 2) for zooming in on a continuum
of dimension d (0 for a peak with straight sides, 1/2 for a top that is round like x^2), 1/2 for
Exp4, Exp3 and combinatorial semi-bandits; and no more than sqrt(2 T K log N) for Exp4. Ours: slopes
of log regret on log rounds, 500 to 8,000, within 0.1. Zooming: 2,000 to 128,000 rounds that pay 0
or 1 on a line, a third of the published radius. Exp4: 20 experts who each name one of five arms, at
the worst of a fixed gap and one that can just not be told; and arms good in turn. Semi-bandits: 3
of 8 items, optimism with half the published radius. The worst line that there is (2/3) is left out:
nobody learns anything of it, and whoever does not try to has the same exponent. Tiny: fewer rounds,
2 seeds. 100 s on one core.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import Claim, no_worse, within_reach
from penchant.evaluation.play import play_advised, play_combinations, play_continuum
from penchant.evaluation.recipes import results, run_recipe
from penchant.policies.bandits.advice import AdviceBandit, AdviceConfig
from penchant.policies.bandits.combinations import SemiBandit, largest
from penchant.policies.bandits.rules import Thompson, UpperConfidence
from penchant.policies.bandits.zooming import ZoomingBandit, ZoomingConfig
from penchant.simulation.arms import bernoulli_arms

BOOK = "textbook"
Regret = Callable[[int, float, np.random.Generator], np.ndarray]
ARMS, ITEMS, SHOWN = 5, 8, 3


@dataclass(frozen=True, kw_only=True)
class Config:
    rounds: tuple[int, ...] = (500, 2000, 8000)
    num_seeds: int = 8
    num_experts: int = 20
    width: float = 0.35
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(rounds=(50, 200), num_seeds=2)


def main(config: Config) -> dict[str, Any]:
    hope = lambda T: UpperConfidence(width=float(np.sqrt(1.5 * np.log(T))))  # noqa: E731
    regrets: dict[str, tuple[float, int, Regret]] = {
        "Exp4": (1 / 2, ARMS, lambda T, gap, rng: advised(config, gap, T, rng)),
        "Exp3": (1 / 2, ARMS, exp3),
        "semi-bandits, optimism": (
            1 / 2, ITEMS // SHOWN, lambda T, gap, rng: combined(hope(T), gap, T, rng)
        ),
        "semi-bandits, Thompson": (
            1 / 2, ITEMS // SHOWN, lambda T, gap, rng: combined(Thompson(), gap, T, rng)
        ),
    }  # fmt: skip
    peak: Regret = lambda T, gap, rng: on_a_line(config, 1, T, rng)  # noqa: E731
    top: Regret = lambda T, gap, rng: on_a_line(config, 2, T, rng)  # noqa: E731
    # What is open grows by leaps, as balls of many arms shrink together: a longer range evens it.
    later = replace(config, rounds=(*(4 * T for T in config.rounds), 16 * config.rounds[-1]))
    claims = [slope(later, "zooming, a peak", 1 / 2, 0, peak),
              slope(later, "zooming, a round top", 3 / 5, 0, top),
              *(slope(config, name, *about) for name, about in regrets.items())]  # fmt: skip
    return results([*claims, adversarial(config)])


def slope(config: Config, name: str, exponent: float, arms: int, regret: Regret) -> Claim:
    """Of log regret, of the worst gap, on log rounds, within 0.1 of the exponent."""
    mean = []
    for T in config.rounds:
        rngs = [np.random.default_rng((config.seed, i, T)) for i in range(config.num_seeds)]
        gaps = (float(2 * np.sqrt(arms / T)), 0.3) if arms else (0.0,)
        mean.append(max(np.mean([regret(T, gap, r).sum() for r in rngs]) for gap in gaps))
    found = float(np.polyfit(np.log(config.rounds), np.log(np.maximum(mean, 1e-9)), 1)[0])
    what = f"exponent of regret, {name}, {config.rounds[0]} to {config.rounds[-1]}"
    return within_reach(what, exponent, found, reach=0.1, source=BOOK)


def on_a_line(config: Config, power: int, T: int, rng: np.random.Generator) -> np.ndarray:
    """0.9 at best; less by 0.8 x distance (power 1), or by its square (2)."""
    best, scale, lipschitz = rng.uniform(0.2, 0.8), *((0.8, 0.8) if power == 1 else (1.0, 1.6))
    made = ZoomingConfig(num_rounds=T, lipschitz=lipschitz, width=config.width)
    worth: Callable[[np.ndarray], float] = lambda x: float(  # noqa: E731
        0.9 - scale * abs(x[0] - best) ** power
    )
    return play_continuum(ZoomingBandit(made, random_state=rng), worth, 0.9, T, rng)


def advised(config: Config, gap: float, T: int, rng: np.random.Generator) -> np.ndarray:
    """Experts name one arm each, every arm by one of them at least."""
    N = config.num_experts
    named = np.concatenate([np.arange(ARMS), rng.integers(ARMS, size=N - ARMS)])
    made = AdviceConfig(num_experts=N, num_arms=ARMS, num_rounds=T)
    advice = np.broadcast_to(np.eye(ARMS)[named], (T, N, ARMS))
    return play_advised(AdviceBandit(made, random_state=rng), advice, one_better(gap, T, rng))


def exp3(T: int, gap: float, rng: np.random.Generator) -> np.ndarray:
    """Each arm its own expert, the horizon not known."""
    bandit = AdviceBandit(AdviceConfig(num_experts=ARMS, num_arms=ARMS), random_state=rng)
    advice = np.broadcast_to(np.eye(ARMS), (T, ARMS, ARMS))
    return play_advised(bandit, advice, one_better(gap, T, rng))


def one_better(gap: float, T: int, rng: np.random.Generator) -> np.ndarray:
    """What each arm pays in each round, one of them in `gap` more of all rounds."""
    probability = np.full(ARMS, 0.5 - gap / 2)
    probability[rng.integers(ARMS)] += gap
    return bernoulli_arms(np.clip(probability, 0.0, 1.0), T, rng).paid


def combined(rule: UpperConfidence | Thompson, gap: float, T: int, rng: np.random.Generator
             ) -> np.ndarray:  # fmt: skip
    """Three of eight items, three of which pay in `gap` more of all rounds."""
    best = np.isin(np.arange(ITEMS), rng.choice(ITEMS, SHOWN, replace=False))
    world = bernoulli_arms(np.clip(0.5 - gap / 2 + gap * best, 0.0, 1.0), T, rng)
    bandit = SemiBandit([str(k) for k in range(ITEMS)], 1, largest(SHOWN), rule=rule, noise=0.5,
                        prior_precision=0.25, num_draws=8, random_state=rng)  # fmt: skip
    return play_combinations(bandit, world, np.broadcast_to(best, (T, ITEMS)))


def adversarial(config: Config) -> Claim:
    """Arms are good in turn, for an eighth of all rounds each; regret as a share of the bound."""
    T, found = config.rounds[-1], []
    paid = np.eye(ARMS)[np.arange(T) * 8 // T % ARMS]
    for index in range(config.num_seeds):
        rng = np.random.default_rng((config.seed, index))
        advice = rng.dirichlet(np.ones(ARMS), size=(8, config.num_experts))[np.arange(T) * 8 // T]
        made = AdviceConfig(num_experts=config.num_experts, num_arms=ARMS, num_rounds=T)
        found.append(play_advised(AdviceBandit(made, random_state=rng), advice, paid).sum())
    bound = float(np.sqrt(2 * T * ARMS * np.log(config.num_experts)))
    return no_worse("bound less regret, Exp4, arms good in turn", 0.0,
                    float(bound - np.mean(found)), source=BOOK)  # fmt: skip


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
