"""Do chosen comparisons need fewer votes than uniform ones? Real votes, bought in another order.

    python benchmarks/elicitation.py [--seeds 2] [--collected] [--quick]

convincing_arguments: 32 debates of 25 to 35 arguments, some 2,100 judgments each (ties are half a
win each). The strengths from all judgments of a debate are held as the truth. A replay buys votes
20 at a time, uniformly or as `ask_next` says once every argument has met about two others.
"collected": each judgment is bought once. "outcomes": a vote on a pair is drawn with replacement
from the pair's judgments. Two goals: the order (Kendall's tau with the truth) and the first five
(their overlap with the true five). `uniform` and `chosen` are where the mean curve over debates and
seeds first reaches what uniform sampling has after 400, 700 and 1,000 votes; the 95 % interval of
their ratio is by bootstrap over debates. Then: is `votes_to_settle` right about what is to come?
"""

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.agents.elicitation.comparisons import expected_gain, top_items, vote_information
from penchant.agents.elicitation.settled import top_doubt, votes_to_settle
from penchant.beliefs.strengths import Strengths
from penchant.data.pair_counts import PairCounts, count_votes
from penchant.fitting.strengths import fit_strengths

RESULTS = Path(__file__).resolve().parent / "results" / "elicitation.json"
BATCH, BUDGET, MARKS = 20, 1600, (400, 700, 1000)
GOALS = {"order": None, "first five": 5}


def debates() -> list[PairCounts]:
    import pyarrow.parquet as pq

    table = pq.read_table(
        Path(os.environ["PENCHANT_DATA"]) / "convincing_arguments" / "judgments.parquet",
        columns=["debate", "argument_1", "argument_2", "choice"],
    ).to_pandas()
    found = []
    for _, rows in table.groupby("debate"):
        names = sorted({*rows.argument_1, *rows.argument_2})
        place = {name: index for index, name in enumerate(names)}
        first, second = (rows[side].map(place).to_numpy() for side in ("argument_1", "argument_2"))
        outcome = rows.choice.map({"a1": 0, "a2": 1, "equal": 2}).to_numpy()
        found.append(count_votes(tuple(names), first, second, outcome))
    return found


class Votes:
    """The judgments of a debate, to be bought one by one."""

    def __init__(self, counts: PairCounts, again: bool, rng: np.random.Generator):
        self.counts, self.again, self.rng = counts, again, rng
        self.left = np.stack([counts.first_wins, counts.second_wins, counts.ties], axis=1)
        self.bought = np.zeros_like(self.left)

    def buyable(self) -> np.ndarray:
        return np.flatnonzero(self.left.sum(axis=1) > 0.5)

    def uniform(self) -> int:
        """Any judgment is as likely as any other, or any pair where judgments are drawn again."""
        if self.again:
            return int(self.rng.integers(len(self.left)))
        size = self.left.sum(axis=1)
        return int(self.rng.choice(len(size), p=size / size.sum()))

    def buy(self, pair: int) -> None:
        chances = self.left[pair] / self.left[pair].sum()
        outcome = int(self.rng.choice(3, p=chances))
        self.bought[pair, outcome] += 1
        if not self.again:
            self.left[pair, outcome] -= 1

    def so_far(self) -> PairCounts:
        wins, losses, ties = self.bought.T
        return replace(self.counts, first_wins=wins, second_wins=losses, ties=ties)


def choose(votes: Votes, belief: Strengths, top: int | None) -> list[int]:
    """`ask_next`, but that a pair whose judgments are used up cannot be asked again."""
    spare = votes.left.sum(axis=1)
    picks = []
    for _ in range(BATCH):
        able = np.flatnonzero(spare > 0.5)
        if not len(able):
            break
        first, second = votes.counts.first[able], votes.counts.second[able]
        best = int(np.argmax(expected_gain(belief, first, second, top=top)))
        picks.append(int(able[best]))
        spare[picks[-1]] -= 0 if votes.again else 1
        a, b = int(first[best]), int(second[best])
        told = vote_information(*belief.gaps(first[best : best + 1], second[best : best + 1]))
        belief = replace(belief, covariance=belief.after(a, b, float(told[0])))
    return picks


def replay(counts: PairCounts, again: bool, top: int | None, active: bool, seed: int) -> np.ndarray:
    """Accuracy after each batch of a debate, its last value kept where votes run out."""
    from scipy.stats import kendalltau

    rng = np.random.default_rng((seed, counts.num_pairs, int(counts.votes)))
    votes, truth = Votes(counts, again, rng), fit_strengths(counts)
    belief, curve = None, []
    for bought in range(0, BUDGET, BATCH):
        if active and bought >= counts.num_items:
            for pair in choose(votes, belief, top):
                votes.buy(pair)
        else:
            for _ in range(min(BATCH, int(votes.left.sum()))):
                votes.buy(votes.uniform())
        belief = fit_strengths(votes.so_far(), start=None if belief is None else belief.mean)
        if top is None:
            curve.append(kendalltau(belief.mean, truth.mean).statistic)
        else:
            curve.append(len({*top_items(belief, top)} & {*top_items(truth, top)}) / top)
    return np.array(curve)


def reach(curve: np.ndarray, target: float) -> float:
    above = np.flatnonzero(np.maximum.accumulate(curve) >= target - 1e-12)
    return BATCH * (above[0] + 1.0) if len(above) else np.inf


def compare(worlds: list[PairCounts], seeds: int, ways: tuple[bool, ...]) -> list[dict]:
    rows = []
    for again in ways:
        for goal, top in GOALS.items():
            began = time.process_time()
            curves = {
                active: np.array([
                    np.mean([replay(one, again, top, active, s) for s in range(seeds)], axis=0)
                    for one in worlds
                ])
                for active in (False, True)
            }  # fmt: skip
            rng = np.random.default_rng(0)
            for mark in MARKS:
                ratios = []
                for draw in range(1001):
                    who = rng.integers(0, len(worlds), len(worlds))
                    who = np.arange(len(worlds)) if draw == 0 else who
                    uniform, active = (curves[kind][who].mean(axis=0) for kind in (False, True))
                    target = np.maximum.accumulate(uniform)[mark // BATCH - 1]
                    ratios.append(reach(active, target) / reach(uniform, target))
                low, high = np.quantile(ratios[1:], [0.025, 0.975], method="inverted_cdf")
                mean = curves[False].mean(axis=0)
                target = float(np.maximum.accumulate(mean)[mark // BATCH - 1])
                rows.append({
                    "votes": "outcomes" if again else "collected", "goal": goal,
                    "accuracy": round(target, 3), "uniform": float(reach(mean, target)),
                    "chosen": float(reach(curves[True].mean(axis=0), target)),
                    "ratio": round(float(ratios[0]), 3),
                    "low": round(float(low), 3), "high": round(float(high), 3),
                })  # fmt: skip
                print(rows[-1], flush=True)
            print(f"  {time.process_time() - began:.0f} CPU s", flush=True)
    return rows


def calibration(worlds: int) -> dict:
    """Ten items of standard normal strengths, four votes a pair seen, uniform votes to come."""
    rng = np.random.default_rng(0)
    first, second = (index.astype(np.int32) for index in np.triu_indices(10, 1))
    names, found = tuple(f"i{k}" for k in range(10)), []
    for _ in range(worlds):
        strengths = rng.normal(size=10)
        p = 1 / (1 + np.exp(strengths[second] - strengths[first]))
        wins = rng.binomial(4, p).astype(float)
        seen = PairCounts(items=names, first=first, second=second, first_wins=wins,
                          second_wins=4 - wins, ties=np.zeros(45))  # fmt: skip
        said = votes_to_settle(fit_strengths(seen), first, second, 3, rng, horizon=20_000)
        more, votes = 0.0, np.stack([wins, 4 - wins])
        while more < 20_000:
            doubt = top_doubt(
                fit_strengths(replace(seen, first_wins=votes[0], second_wins=votes[1])), 3
            )
            if doubt <= 0.05:
                break
            step = max(1, int(0.12 * more))
            asked = rng.multinomial(step, np.full(45, 1 / 45))
            won = rng.binomial(asked, p)
            votes = votes + np.stack([won, asked - won])
            more += step
        more = np.inf if more >= 20_000 else more
        found.append((said.low <= more <= said.high, more < said.low, more <= said.median))
    inside, below, half = np.mean(found, axis=0)
    row = {"worlds": worlds, "inside 80 %": inside, "sooner": below, "by the median": half}
    print({name: round(float(value), 3) for name, value in row.items()})
    return {name: float(value) for name, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="replays of each debate")
    parser.add_argument("--collected", action="store_true", help="no votes with replacement")
    parser.add_argument("--quick", action="store_true", help="four debates, one seed, no file")
    options = parser.parse_args()
    if "PENCHANT_DATA" not in os.environ:
        sys.exit("set PENCHANT_DATA to the folder that holds convincing_arguments/")
    worlds = debates()[:4] if options.quick else debates()
    ways = (False,) if options.collected else (False, True)
    rows = compare(worlds, 1 if options.quick else options.seeds, ways)
    settled = calibration(20 if options.quick else 60)
    if not options.quick:
        RESULTS.write_text(
            json.dumps(
                {**circumstances(None), "replays": rows, "votes_to_settle": settled}, indent=1
            )
            + "\n"
        )


if __name__ == "__main__":
    main()
