"""What grades add: errors of scores from five grades, from who was better, and from soft votes.

    python benchmarks/graded.py [--worlds 40]     # writes results/graded.json

Eight items, 400 votes, thresholds at 0.5 and 1.72 logits and their mirror images; scores normal
with standard deviation 1. "Who was better" has Rao and Kupper's ties, the same scale of scores.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.data.votes import Votes
from penchant.models.leaderboard import Leaderboard
from penchant.simulation.votes import VoteWorld, simulate_votes

RESULTS = Path(__file__).resolve().parent / "results" / "graded.json"
WORLD = VoteWorld(num_items=8, num_votes=400, grade_steps=(-0.7, 0.2))


def readings(votes: Votes) -> dict[str, Leaderboard]:
    return {
        "grades": Leaderboard().fit(votes),
        "who was better": Leaderboard(ties="rao_kupper").fit(votes.directions()),
        "soft votes": Leaderboard().fit(votes.ungraded()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=40)
    worlds = parser.parse_args().worlds
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(worlds):
        made = simulate_votes(WORLD, np.random.default_rng(seed))
        truth = dict(zip(made.votes.items, made.scores[0, 0], strict=True))
        for name, board in readings(made.votes).items():
            found.setdefault(name, []).extend(
                (row.strength - truth[row.name], row.se, row.low <= truth[row.name] <= row.high)
                for row in board.standings_
            )
    rows = []
    for name, lines in found.items():
        off, se, inside = np.array(lines, dtype=float).T
        rows.append({"read as": name, "error": round(float(np.sqrt(np.mean(off**2))), 4),
                     "said to be": round(float(np.sqrt(np.mean(se**2))), 4),
                     "coverage": round(float(inside.mean()), 4)})  # fmt: skip
        print(rows[-1])
    RESULTS.write_text(json.dumps({**circumstances(None), "worlds": worlds, "rows": rows}, indent=1)
                       + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
