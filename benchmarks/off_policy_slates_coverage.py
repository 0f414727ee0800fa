"""How often intervals hold where rounds show several options, and whether findings fire.

python benchmarks/off_policy_slates_coverage.py [--replications 500] [--rounds 1500] [--out FILE]

Logs are simulated (`SlateWorld`) and read as `penchant ope` reads them; the truth is a sum over all
orders. An estimator is listed with its assumption held or broken.
"""

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.data.slates import slates_of
from penchant.evaluation.off_policy_slates import evaluate_slates
from penchant.policies.policy import Column
from penchant.simulation.slates import SlateWorld

RESULTS = Path(__file__).parent / "results" / "off_policy_slates_coverage.json"
WORLDS = {
    "clicks, each place by itself": SlateWorld(),
    "clicks, three places": SlateWorld(num_places=3),
    "clicks, nobody reads below one": SlateWorld(reading="cascade"),
    "clicks, the last item moves those above": SlateWorld(reading="whole"),
    "picks of two": SlateWorld(answer="pick"),
    "picks of three": SlateWorld(answer="pick", num_places=3),
    "rankings of three": SlateWorld(answer="ranking", num_places=3),
}


def coverage(world: SlateWorld, replications: int, rounds: int) -> dict:
    truth, hits, fired = world.true_value(), Counter(), Counter()
    for seed in range(replications):
        slates = slates_of(world.draw(rounds, np.random.default_rng((seed, 8))))
        one = evaluate_slates(slates, {"target": Column("target")}).policies[0]
        hits.update({e.estimator: int(e.low <= truth <= e.high) for e in one.estimates})
        fired.update(f"{f.name}: {f.verdict}" for f in one.findings if f.verdict != "fine")
    return {
        "truth": round(truth, 5),
        "coverage": {name: round(count / replications, 4) for name, count in hits.items()},
        "fired": {name: round(count / replications, 4) for name, count in fired.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=RESULTS)
    said = parser.parse_args()
    found = {name: coverage(w, said.replications, said.rounds) for name, w in WORLDS.items()}
    document = {
        **circumstances(None), "replications": said.replications, "rounds": said.rounds,
        "nominal": 0.95, "worlds": found,
    }  # fmt: skip
    said.out.write_text(json.dumps(document, indent=1) + "\n")
    for name, one in found.items():
        print(f"{name:42s} {one['coverage']}  fired: {one['fired']}")


if __name__ == "__main__":
    main()
