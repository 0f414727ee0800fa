"""How few votes could tell an order at all? Allocations made with the truth known, on real debates.

    PENCHANT_DATA=... python benchmarks/elicitation_bound.py

For each debate of `elicitation.py` the strengths from all judgments are the truth r. Votes w on the
pairs tell the strengths up to a normal error of covariance C = (P + sum w_ij p_ij (1 - p_ij)
(e_i - e_j)(e_i - e_j)')^-1 (P: the prior that the fits have), so that pairs in the wrong order are
expected to be L(w) = sum_ij Phi(-|r_i - r_j| / s_ij), which is Kendall's tau: 1 - 2 L / pairs.
`uniform` spreads n votes evenly over what was judged; `best` lowers L by multiplicative steps along
its gradient, knowing r, once with any number of votes a pair and once with no more than were
collected. The ratio is of the votes at which the best allocation has uniform's L. Nobody who does
not know r does as well, whatever the criterion: it is a bound on any way of choosing, but for the
normal approximation.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from elicitation import MARKS, debates
from measure import circumstances
from penchant.data.pair_counts import PairCounts
from penchant.fitting.strengths import fit_strengths
from penchant.numerics.arrays import log_normal_density, ndtr

RESULTS = Path(__file__).resolve().parent / "results" / "elicitation_bound.json"
STEPS = 40


class Debate:
    """The truth of a debate, and what votes would tell of it."""

    def __init__(self, counts: PairCounts):
        self.first, self.second = counts.first, counts.second
        self.size = counts.num_items
        self.judged = counts.first_wins + counts.second_wins + counts.ties
        truth = fit_strengths(counts)
        self.truth, self.precision = truth.mean, truth.prior_scale**-2
        p = 1.0 / (1.0 + np.exp(self.truth[self.second] - self.truth[self.first]))
        self.told = p * (1.0 - p)
        self.upper = np.triu_indices(self.size, 1)

    def wrong(self, votes: np.ndarray) -> tuple[float, np.ndarray]:
        """Pairs expected in the wrong order, and how much a further vote on each pair mends."""
        information = np.diag(np.full(self.size, self.precision))
        both = votes * self.told
        np.add.at(information, (self.first, self.second), -both)
        np.add.at(information, (self.second, self.first), -both)
        mine = np.bincount(self.first, both, self.size) + np.bincount(self.second, both, self.size)
        covariance = np.linalg.inv(information + np.diag(mine))
        i, j = self.upper
        variance = covariance[i, i] + covariance[j, j] - 2.0 * covariance[i, j]
        k = np.abs(self.truth[i] - self.truth[j]) / np.sqrt(variance)
        slope = np.exp(log_normal_density(k)) * k / (2.0 * variance)
        weight = np.zeros((self.size, self.size))
        weight[i, j] = weight[j, i] = slope
        moved = covariance @ (np.diag(weight.sum(axis=1)) - weight) @ covariance
        f, s = self.first, self.second
        return float(ndtr(-k).sum()), self.told * (moved[f, f] + moved[s, s] - 2.0 * moved[f, s])

    def uniform(self, num: float) -> np.ndarray:
        return num * self.judged / self.judged.sum()

    def best(self, num: float, is_limited: bool) -> float:
        """Pairs in the wrong order under the best allocation of so many votes."""
        votes, limit = self.uniform(num), self.judged if is_limited else np.inf
        least = np.inf
        for _ in range(STEPS):
            wrong, mends = self.wrong(votes)
            least = min(least, wrong)
            votes = votes * np.sqrt(mends / max(float(mends @ votes) / num, 1e-300))
            # What is above the limit goes to the others, in proportion.
            for _ in range(8):
                votes = np.minimum(votes, limit)
                free = votes < limit
                missing = num - votes.sum()
                if missing <= 1e-9 * num or not free.any():
                    break
                votes[free] *= 1.0 + missing / votes[free].sum()
        return min(least, self.wrong(votes)[0])


def votes_needed(debates: list[Debate], num: float, is_limited: bool) -> tuple[float, float, float]:
    """The part of `num` at which the mean of all debates' best orders is as good as uniform's, with
    a 95 % interval by bootstrap over debates."""
    uniform = np.array([debate.wrong(debate.uniform(num))[0] for debate in debates])
    shares = np.linspace(0.3, 1.0, 8)
    curves = np.array([[d.best(share * num, is_limited) for share in shares] for d in debates])
    rng = np.random.default_rng(0)
    found = []
    for draw in range(1001):
        who = rng.integers(0, len(debates), len(debates)) if draw else np.arange(len(debates))
        gap = curves[who].mean(axis=0) - uniform[who].mean()
        found.append(float(np.interp(0.0, -gap, shares)))
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return found[0], float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three debates, no file")
    options = parser.parse_args()
    if "PENCHANT_DATA" not in os.environ:
        sys.exit("set PENCHANT_DATA to the folder that holds convincing_arguments/")
    worlds = [Debate(counts) for counts in (debates()[:3] if options.quick else debates())]
    rows = []
    for mark in MARKS:
        tau = np.mean([
            1.0 - 2.0 * w.wrong(w.uniform(mark))[0] / len(w.upper[0]) for w in worlds
        ])  # fmt: skip
        for is_limited in (False, True):
            ratio, low, high = votes_needed(worlds, mark, is_limited)
            rows.append({
                "uniform": mark, "expected tau": round(float(tau), 3),
                "votes a pair": "as collected" if is_limited else "any",
                "ratio": round(ratio, 3), "low": round(low, 3), "high": round(high, 3),
            })  # fmt: skip
            print(rows[-1], flush=True)
    if not options.quick:
        RESULTS.write_text(json.dumps({**circumstances(None), "bound": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
