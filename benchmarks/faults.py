"""A decision service killed again and again under load: is anything lost that it acknowledged?

    python benchmarks/faults.py [--kills N] [--clients N] [--seed N] [--postgresql] [--out FILE]

At random instants the server, its learner or both are killed (SIGKILL: no handler runs) and started
again on the same log, while clients rank, reward and send every reward twice. With --postgresql two
servers share a database of a PostgreSQL of our own, which is struck as well: all its sessions are
ended, one of its processes is killed (it then starts itself anew), or it is shut down as after a
crash and started up to a second later. Afterwards: every
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

from penchant.serving.database import Database
from penchant.serving.sqlite_database import SqliteDatabase
from serving import postgres
from serving.running import Load, Service, caught_up, check, learner_of, unbroken

RESULTS = HERE / "results"
# What is struck of the services, and of the database.
_SERVICES, _DATABASES = ("server", "learner", "both"), ("sessions", "backend", "database")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgresql", action="store_true", help="two servers on one database")
    parser.add_argument("--out", type=Path)
    said = parser.parse_args()
    told = {"circumstances": circumstances(None)}
    chance = random.Random(said.seed)
    if said.postgresql:
        server = postgres.Server(syncs=True)
        told["postgresql"] = server.run("SHOW server_version")[0][0]
        try:
            told |= killed(server.database(), said.kills, said.clients, chance, server)
        finally:
            server.close()
    else:
        with tempfile.TemporaryDirectory() as folder:
            told |= killed(SqliteDatabase(Path(folder) / "log.db"), said.kills, said.clients,
                           chance)  # fmt: skip
    print(json.dumps(told, indent=1))
    name = "faults_postgresql.json" if said.postgresql else "faults.json"
    (said.out or RESULTS / name).write_text(json.dumps(told, indent=1) + "\n")


def killed(
    database: Database, kills: int, clients: int, chance: random.Random,
    server: postgres.Server | None = None,
) -> dict:  # fmt: skip
    """Raises AssertionError where anything was lost, doubled or wrong."""
    services = [Service(database, "--insecure") for _ in range(2 if server else 1)]
    loads = [Load(services[k % len(services)].url, f"person {k}") for k in range(clients)]
    for load in loads:
        load.start()
    done = dict.fromkeys(_SERVICES + (_DATABASES if server else ()), 0)
    try:
        while sum(done.values()) < kills:
            time.sleep(chance.expovariate(2.0))
            # Who stopped is told at once: to strike on would show nothing.
            unbroken(loads)
            victim, service = chance.choice(list(done)), chance.choice(services)
            if server and victim in _DATABASES:
                strike(server, database, victim, chance)
            elif not strike_service(service, victim):
                continue
            done[victim] += 1
        time.sleep(3.0)
    finally:
        for load in loads:
            load.over.set()
        for load in loads:
            load.join()
    caught_up(database)
    for service in services:
        service.stop()
    rewarded = check(database, loads)
    return {
        "kills": done,
        "clients": clients,
        "ranks_acknowledged": sum(len(load.told) for load in loads),
        "rewards_acknowledged": rewarded,
    }


def strike_service(service: Service, victim: str) -> bool:
    """Whether there was anything to kill."""
    if victim != "server":
        child = learner_of(service)
        if child is None:
            return False
        os.kill(child, signal.SIGKILL)
    if victim != "learner":
        service.kill()
        service.start()
    return True


def strike(server: postgres.Server, database: Database, victim: str, chance: random.Random) -> None:
    """The server of the database, which is waited for so that it may be struck again."""
    if victim == "sessions":
        server.end_sessions(database)
    elif victim == "backend":
        server.kill_backend(database)
        server.wait()
    else:
        server.stop()
        time.sleep(chance.random())
        server.start()


if __name__ == "__main__":
    main()
