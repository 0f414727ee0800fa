"""Utilities of an answering machine by chosen edges: Mazeika et al. (2025), Utility Engineering.

Their published figures are of hosted language models, whose comparisons could not be had. Compared
are those of a simulation of their procedure in our own method notes: 100 items, 10 answers in each
order, held out pairs predicted with accuracy 0.957 (edges chosen) and 0.935 (at random) at half of
N log2 N edges, 0.978 and 0.961 at N log2 N, 0.981 and 0.987 at their default of twice that:
choosing pays only where edges are scarce. Ours: 30 simulated agents with a mean and a noise for
each outcome and a lean to the option shown first, which both orders cancel; their noise is not
known. So the digits are not repeated, only that accuracy is no lower, and that choosing gains where
edges are scarce and less where they are not (0.009 against their 0.022 at the fewest). `coherence`
asks about lotteries and amounts: one mind takes expected utility, one overweighs small chances.
Tiny: 24 items, 3 agents. 12 s on one core. No data.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.agents.elicitation.edges import next_edges, regular_graph
from penchant.data.pair_counts import PairCounts, count_shares
from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import low_over_seeds, reach_over_seeds, results, run_recipe
from penchant.fitting.thurstone import fit_thurstone
from penchant.metrics.coherence import exchange_rate, expected_utility, log_curve, transitivity
from penchant.numerics.arrays import ndtr

THEIRS = {0.5: (0.957, 0.935), 1.0: (0.978, 0.961), 2.0: (0.981, 0.987)}
SOURCE = "our method notes' simulation"


@dataclass(frozen=True, kw_only=True)
class Config:
    """num_answers: of each pair in each order. noise: median standard deviation of an outcome's
    utility from answer to answer (1 between outcomes). lean: added to the utility of what is shown
    first. rounds: batches of edges for each budget."""

    num_items: int = 100
    num_answers: int = 10
    num_agents: int = 30
    noise: float = 0.35
    lean: float = 0.3
    rounds: int = 6
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_items=24, num_agents=3, rounds=3)


class Agent:
    """Answers with the option of higher utility, utilities drawn anew for every answer."""

    def __init__(self, mean: np.ndarray, config: Config, rng: np.random.Generator):
        self.mean, self.config, self.rng = mean, config, rng
        self.noise = config.noise * np.exp(0.3 * rng.normal(size=len(mean)))

    def shares(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """How often the first of each pair was preferred, over both orders."""
        gap = self.mean[first] - self.mean[second]
        spread = np.hypot(self.noise[first], self.noise[second])
        times, lean = self.config.num_answers, self.config.lean
        won = [self.rng.binomial(times, ndtr((gap + side) / spread)) for side in (lean, -lean)]
        return sum(won) / (2.0 * times)


def main(config: Config) -> dict[str, Any]:
    chosen, random = (
        np.array([agent_accuracy(config, k, choose) for k in range(config.num_agents)])
        for choose in (True, False)
    )
    gain = chosen - random
    compared = [
        *((f"accuracy, chosen, {share:g} N log2 N edges", theirs, ours)
          for (share, (theirs, _)), ours in zip(THEIRS.items(), chosen.mean(axis=0))),
        ("gain at the fewest edges, low end", 0.0, low_over_seeds(gain[:, 0])),
        ("gain at the fewest less at the most", 0.0, (gain[:, 0] - gain[:, -1]).mean()),
    ]  # fmt: skip
    claims = [no_worse(what, theirs, float(ours), source=SOURCE) for what, theirs, ours in compared]
    reach = np.array([reach_over_seeds(each) for each in gain.T])
    rows = {"chosen": chosen.mean(axis=0), "random": random.mean(axis=0), "gain_reach": reach}
    told = {name: row.round(4).tolist() for name, row in rows.items()}
    return results(claims, **told, coherence=coherence(config))


def agent_accuracy(config: Config, index: int, chosen: bool) -> list[float]:
    """Accuracy on held-out pairs (one in twenty) at half, once and twice N log2 N edges."""
    size, rng = config.num_items, np.random.default_rng((config.seed, index))
    agent = Agent(rng.normal(size=size), config, rng)
    first, second = np.triu_indices(size, 1)
    held = rng.random(len(first)) < 0.05
    truth = agent.mean[first[held]] > agent.mean[second[held]]
    barred = np.eye(size, dtype=bool)
    barred[first[held], second[held]] = barred[second[held], first[held]] = True
    # The first ring, of which held-out pairs are left out.
    ring = np.array([edge for edge in zip(*regular_graph(size, 2, rng)) if not barred[edge]]).T
    counts, found = ask(agent, ring), []
    for share in THEIRS:
        budget = min(int(share * size * math.log2(size)), int((~barred).sum()) // 2)
        step = max(1, math.ceil((budget - counts.num_pairs) / config.rounds))
        while counts.num_pairs < budget:
            asked = barred.copy()
            asked[counts.first, counts.second] = asked[counts.second, counts.first] = True
            num_edges = min(step, budget - counts.num_pairs)
            if chosen:
                new = next_edges(fit_thurstone(counts).mean, asked, num_edges, rng)
            else:
                left = np.argwhere(np.triu(~asked, 1))
                new = left[rng.choice(len(left), num_edges, replace=False)].T
            counts = counts.merged(ask(agent, np.array(new)))
        predicted = fit_thurstone(counts).win_probability(first[held], second[held]) > 0.5
        found.append(float(np.mean(predicted == truth)))
    return found


def ask(agent: Agent, edges: np.ndarray) -> PairCounts:
    names = tuple(f"outcome {index}" for index in range(len(agent.mean)))
    weight = np.full(edges.shape[1], 2.0 * agent.config.num_answers)
    return count_shares(names, *edges, agent.shares(*edges), weight)


def coherence(config: Config) -> dict[str, float]:
    """Outcomes, lotteries over them and amounts of money, compared by two minds."""
    rng = np.random.default_rng(config.seed)
    outcomes, amounts = rng.normal(size=12), 2.0 ** np.arange(6)
    chances = rng.dirichlet(np.full(12, 0.15), size=20)
    found = {}
    for name, power in (("expected utility", 1.0), ("small chances overweighed", 0.4)):
        weighed = chances**power / (chances**power).sum(axis=1, keepdims=True)
        money, time = 0.5 * np.log(amounts) - 1.0, 0.5 * np.log(amounts / 3.0) - 1.0
        means = np.concatenate([outcomes, weighed @ outcomes, money, time])
        agent = Agent(means, config, rng)
        counts = ask(agent, np.array(np.triu_indices(len(means), 1)))
        fit = fit_thurstone(counts)
        judged = expected_utility(fit.mean[12:32], chances, fit.mean[:12])
        curves = [log_curve(amounts, fit.mean[32 + 6 * k : 38 + 6 * k]) for k in range(2)]
        share = np.full((len(means), len(means)), np.nan)
        wins = counts.first_wins / (counts.first_wins + counts.second_wins)
        share[counts.first, counts.second], share[counts.second, counts.first] = wins, 1 - wins
        found[f"{name}: cyclic triads"] = transitivity(share).cyclic
        found[f"{name}: correlation of lotteries"] = judged.correlation
        found[f"{name}: same order of lotteries"] = judged.same_order
        found[f"{name}: hours worth one coin (3 in truth)"] = exchange_rate(*curves)
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
