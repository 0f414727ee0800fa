"""What a decision costs over HTTP, durable, beside a bare ASGI endpoint in the same run.

    python benchmarks/service.py [--pairs N] [--clients N] [--postgresql] [--quick] [--out FILE]

20 options with 20 features each, 3 of the context, no key. `service_load.py`, a second process on
loopback, keeps its clients asking; each waits for its answer before it asks again. CPU seconds are
the serving process's own (user and system), as the kernel counts them; the learner is a process of
its own and counted apart. The bare endpoint (`service_bare.py`) parses and answers the same JSON
under the same server and decides and keeps nothing. With --postgresql the same service is asked in
turns on SQLite and on a PostgreSQL of our own on this machine, which waits for its disk too and is
counted apart.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from measure import HERE, ONE_THREAD, circumstances

RESULTS = HERE / "results"
_TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20_000, help="ranks with their feedback")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--long", type=int, default=0, help="pairs of a long run, for memory")
    parser.add_argument("--quick", action="store_true", help="a tenth, and no results file")
    parser.add_argument("--postgresql", action="store_true", help="SQLite and PostgreSQL in turns")
    parser.add_argument("--out", type=Path)
    said = parser.parse_args()
    pairs = said.pairs // 10 if said.quick else said.pairs
    told = {"circumstances": circumstances(None), "clients": said.clients, "pairs": pairs}
    told |= (on_both if said.postgresql else beside_bare)(pairs, said.clients, said.long)
    print(json.dumps(told, indent=1))
    if not said.quick:
        name = "service_postgresql.json" if said.postgresql else "service.json"
        (said.out or RESULTS / name).write_text(json.dumps(told, indent=1) + "\n")


def beside_bare(pairs: int, clients: int, long: int) -> dict:
    """The service on SQLite and the bare endpoint."""
    told: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "log.db"
        bare = Served([sys.executable, str(HERE / "service_bare.py")])
        ours = Served(serve(f"sqlite:///{database}"))
        for served in (bare, ours):
            served.asked("rank", pairs // 10, clients)
        # In turns, so that what else the machine does meets both.
        for _ in range(3):
            for served in (bare, ours):
                served.measured("rank", pairs // 3, clients)
            ours.measured("pair", pairs // 3, clients)
        told |= {"bare": bare.result("rank"), "rank": ours.result("rank"),
                 "pair": ours.result("pair")}  # fmt: skip
        if long:
            told["memory"] = ours.memory(long, clients)
        told["learner_cpu_seconds"] = ours.learner_seconds()
        told["bytes_a_pair"] = round(database.stat().st_size / ours.num_pairs)
        for served in (bare, ours):
            served.stop()
    return told | {"median_beside_bare": told["rank"]["median_ms"] / told["bare"]["median_ms"]}


def on_both(pairs: int, clients: int, long: int) -> dict:
    """The service on SQLite and on PostgreSQL. database_cpu_us: of PostgreSQL's own processes, for
    each pair and a rank beside it."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from serving import postgres

    server, told = postgres.Server(syncs=True), {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            addresses = {"sqlite": f"sqlite:///{folder}/log.db",
                         "postgresql": server.database().address}  # fmt: skip
            served = {name: Served(serve(address)) for name, address in addresses.items()}
            for each in served.values():
                each.asked("rank", pairs // 10, clients)
            before = family_seconds(server.process.pid)
            for _ in range(3):
                for kind in ("rank", "pair"):
                    for each in served.values():
                        each.measured(kind, pairs // 3, clients)
            used = family_seconds(server.process.pid) - before
            for name, each in served.items():
                told[name] = {kind: each.result(kind) for kind in ("rank", "pair")}
                told[name]["learner_cpu_seconds"] = each.learner_seconds()
                if long:
                    told[name]["memory"] = each.memory(long, clients)
                each.stop()
            told["postgresql"]["database_cpu_us"] = used / (pairs // 3 * 3) * 1e6
        told["postgresql"]["version"] = server.run("SHOW server_version")[0][0]
    finally:
        server.close()
    return told


def serve(address: str) -> list[str]:
    return [sys.executable, "-m", "penchant.cli.main", "serve", "--insecure", "--port", "0",
            "--database", address]  # fmt: skip


class Served:
    """A server as a process, and what it was seen to do."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, env=os.environ | ONE_THREAD, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        found = re.search(r"127.0.0.1:(\d+)", self.process.stderr.readline())
        assert found, "the server said no port"
        self.port, self.seen, self.num_pairs = int(found[1]), {"rank": [], "pair": []}, 0
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health").close()
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("the server did not start")

    def asked(self, kind: str, number: int, clients: int) -> dict:
        self.num_pairs += number
        said = subprocess.run(
            [sys.executable, str(HERE / "service_load.py"), str(self.port), kind, str(number),
             str(clients)], check=True, capture_output=True, text=True,
        )  # fmt: skip
        return json.loads(said.stdout)

    def measured(self, kind: str, number: int, clients: int) -> None:
        before = cpu_seconds(self.process.pid)
        told = self.asked(kind, number, clients)
        told["cpu_us"] = (cpu_seconds(self.process.pid) - before) / number * 1e6
        self.seen[kind].append(told)

    def result(self, kind: str) -> dict:
        """Medians of the runs: CPU microseconds of the server and milliseconds of waiting, of a
        rank or of a pair; how many a second of wall time, and how many a second of its CPU."""
        runs = self.seen[kind]
        told = {name: sorted(run[name] for run in runs)[len(runs) // 2] for name in runs[0]}
        told["all_cpu_us"] = [run["cpu_us"] for run in runs]
        return told | {"per_cpu_second": 1e6 / told["cpu_us"]}

    def memory(self, pairs: int, clients: int) -> dict:
        """Resident megabytes after each tenth of a long run."""
        grown = []
        for _ in range(10):
            self.asked("pair", pairs // 10, clients)
            grown.append(resident_mb(self.process.pid))
        return {"pairs": pairs, "resident_mb": grown}

    def learner_seconds(self) -> float:
        return round(sum(cpu_seconds(child) for child in children(self.process.pid)), 2)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def family_seconds(pid: int) -> float:
    """Of a process and those that it started, which must last."""
    return cpu_seconds(pid) + sum(cpu_seconds(child) for child in children(pid))


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(each) for task in tasks for each in (task / "children").read_text().split()]


if __name__ == "__main__":
    main()
