"""A decision service killed again and again under load: is anything lost that it acknowledged?

    python benchmarks/faults.py [--kills N] [--clients N] [--seed N] [--out FILE]

At random instants the server, its learner or both are killed (SIGKILL: no handler runs) and started
again on the same file, while clients rank, reward and send every reward twice. Afterwards: every
acknowledged rank is in the log with the answer that was given, every acknowledged reward is joined
with it, nothing is there twice, and the published belief equals a refit from the log bit by bit.
What a power cut does to a disk cannot be tried here; that every commit is synchronised is tested.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from measure import HERE, circumstances

sys.path.insert(0, str(HERE.parent / "tests"))

from serving.running import Load, Service, caught_up, check, learner_of

RESULTS = HERE / "results" / "faults.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    said = parser.parse_args()
    told = {"circumstances": circumstances(None)}
    with tempfile.TemporaryDirectory() as folder:
        told |= killed(Path(folder) / "log.db", said.kills, said.clients, random.Random(said.seed))
    print(json.dumps(told, indent=1))
    said.out.write_text(json.dumps(told, indent=1) + "\n")


def killed(database: Path, kills: int, clients: int, chance: random.Random) -> dict:
    """Raises AssertionError where anything was lost, doubled or wrong."""
    service = Service(database, "--insecure")
    loads = [Load(service.url, f"person {k}") for k in range(clients)]
    for load in loads:
        load.start()
    done = {"server": 0, "learner": 0, "both": 0}
    try:
        while sum(done.values()) < kills:
            time.sleep(chance.expovariate(2.0))
            victim = chance.choice(list(done))
            child = learner_of(service)
            if victim != "server":
                if child is None:
                    continue
                os.kill(child, signal.SIGKILL)
            if victim != "learner":
                service.kill()
                service.start()
            done[victim] += 1
        time.sleep(3.0)
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.join()
    caught_up(database)
    service.stop()
    rewarded = check(database, loads)
    return {
        "kills": done,
        "clients": clients,
        "ranks_acknowledged": sum(len(load.told) for load in loads),
        "rewards_acknowledged": rewarded,
    }


if __name__ == "__main__":
    main()
