"""Size and power of the tests for cycles: how often are worlds with and without one called cyclic?

    python benchmarks/cyclicity.py [--worlds 200]     # writes results/cyclicity.json

Strengths are normal with standard deviation 1.5 (log-odds), each world's own; the cyclic part is
one plane with embeddings of variance `cyclic`. Level 5 %, 99 bootstrap draws. The Monte-Carlo error
of a rejection rate near 5 % is 1.5 points at 200 worlds.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.data.pair_counts import PairCounts
from penchant.evaluation.intransitivity import cyclicity_test
from penchant.utilities.intransitive import hodge_split, skew_matrix

RESULTS = Path(__file__).resolve().parent / "results" / "cyclicity.json"
# Items, votes a pair, share of pairs that met.
DESIGNS = ((8, 3, 1.0), (8, 20, 1.0), (20, 1, 1.0), (20, 2, 1.0), (30, 4, 0.5))


def world(
    rng: np.random.Generator, size: int, votes: int, density: float, cyclic: float
) -> tuple[PairCounts, float]:
    worth, embedding = 1.5 * rng.normal(size=size), rng.normal(size=(size, 2)) * np.sqrt(cyclic)
    comparison = worth[:, None] - worth + skew_matrix(embedding, np.ones(1))
    first, second = (index.astype(np.int32) for index in np.triu_indices(size, 1))
    kept = rng.random(len(first)) < density
    first, second = first[kept], second[kept]
    wins = rng.binomial(votes, 1 / (1 + np.exp(-comparison[first, second]))).astype(float)
    counts = PairCounts(
        items=tuple(f"i{k}" for k in range(size)), first=first, second=second,
        first_wins=wins, second_wins=votes - wins, ties=np.zeros(len(wins)),
    )  # fmt: skip
    return counts, hodge_split(comparison).cyclic_share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=200)
    worlds, rows = parser.parse_args().worlds, []
    for size, votes, density in DESIGNS:
        for cyclic in (0.0, 0.3, 1.0):
            rng, began = np.random.default_rng((size, votes, int(10 * cyclic))), time.process_time()
            found, shares = [], []
            for _ in range(worlds):
                counts, share = world(rng, size, votes, density, cyclic)
                shares.append(share)
                found.append([
                    cyclicity_test(counts, rng, kind=kind, num_draws=99).p_value <= 0.05
                    for kind in ("deviance", "plane")
                ])  # fmt: skip
            deviance, plane = np.mean(found, axis=0)
            rows.append({
                "items": size, "votes a pair": votes, "pairs met": density,
                "cyclic share": round(float(np.mean(shares)), 3), "deviance": float(deviance),
                "plane": float(plane), "cpu_seconds": round(time.process_time() - began, 1),
            })  # fmt: skip
            print(rows[-1], flush=True)
    RESULTS.write_text(json.dumps({**circumstances(None), "worlds": worlds, "rows": rows}, indent=1)
                       + "\n")  # fmt: skip


if __name__ == "__main__":
    main()
