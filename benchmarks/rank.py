"""How fast and how right the leaderboards are, beside evalica, arena-rank, choix, scikit-learn.

    python benchmarks/rank.py --peers-python PYTHON [--only SECTION ...] [--skip-peers]

Each contender runs in a process of its own on the same .npy files, one thread, a warm-up first,
then the median CPU seconds of several fits; peak memory is the process's own. Log-likelihoods are
computed here, in plain NumPy, from everybody's strengths. PYTHON is an environment with
requirements-bench-rank.txt. Sections that are run again replace their part of the results file.
"""

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time

import numpy as np

import measure
import rank_shell
import rank_worlds
from rank_worlds import World

RESULTS = Path(__file__).resolve().parent / "results" / "rank.json"


class Bench(measure.Bench):
    """Strengths are judged by their log-likelihood."""

    def judge(self, result: dict) -> str:
        strengths = result.pop("strengths", None)
        judged = None if strengths is None else log_likelihood(self.world, np.array(strengths))
        result["judged_log_likelihood"] = judged
        return ""


def log_likelihood(world: World, strengths: np.ndarray) -> float:
    """Of votes or of rankings, in plain NumPy."""
    if world.rankings.size:
        worth = strengths[world.rankings]
        rest = np.logaddexp.accumulate(worth[:, ::-1], axis=1)[:, ::-1]
        return float((worth - rest).sum())
    sign = np.where(world.outcome == 0, 1.0, -1.0)
    return -float(
        np.logaddexp(0.0, -sign * (strengths[world.first] - strengths[world.second])).sum()
    )


def _bench(folder: Path, world: World, peers_python: str | None, name: str) -> Bench:
    return Bench(world.save(folder / name), world, peers_python)


def thousand(folder: Path, peers_python: str | None) -> dict:
    """1,000 items, 10 million votes, from arrays to strengths."""
    bench = _bench(folder, rank_worlds.votes(1_000, 10_000_000), peers_python, "thousand")
    bench.add("rank_ours:bradley_terry", repeats=7)
    bench.add("rank_peers:evalica_bradley_terry", repeats=3)
    bench.add("rank_peers:arena_rank_bradley_terry")
    bench.add("rank_peers:choix_pairwise")
    bench.add("rank_peers:evalica_from_integers")
    names = Bench(bench.folder, bench.world, peers_python)
    names.add("rank_ours:bradley_terry_arrow", repeats=5)
    names.add("rank_ours:bradley_terry_strings", repeats=3)
    names.add("rank_ours:bradley_terry_lists", repeats=2)
    names.add("rank_peers:evalica_from_names")
    names.add("rank_peers:evalica_from_series")
    counts = Bench(bench.folder, bench.world, peers_python)
    counts.add("rank_ours:on_counts", repeats=7)
    counts.add("rank_peers:sklearn_on_counts", repeats=3)
    return {"arrays_to_strengths": bench.table(), "names_to_strengths": names.table(),
            "counts_to_strengths": counts.table(), "floor": floor(10_000_000, 499_500)}  # fmt: skip


def many_sparse(folder: Path, peers_python: str | None) -> dict:
    """10,000 items, 1 million votes."""
    bench = _bench(folder, rank_worlds.votes(10_000, 1_000_000), peers_python, "sparse")
    bench.add("rank_ours:bradley_terry", repeats=7)
    bench.add("rank_peers:evalica_bradley_terry")
    bench.add("rank_peers:evalica_from_names")
    return {"arrays_to_strengths": bench.table(), "floor": floor(1_000_000, 989_879)}


def many(folder: Path, peers_python: str | None) -> dict:
    """10,000 items, 10 million votes."""
    bench = _bench(folder, rank_worlds.votes(10_000, 10_000_000), peers_python, "many")
    bench.add("rank_ours:bradley_terry", repeats=3)
    bench.add("rank_ours:counting", repeats=3)
    bench.add("rank_peers:evalica_bradley_terry")
    return {"arrays_to_strengths": bench.table(), "floor": floor(10_000_000, 9_062_682)}


def very_many(folder: Path, peers_python: str | None) -> dict:
    """100,000 items, 10 million votes."""
    bench = _bench(folder, rank_worlds.votes(100_000, 10_000_000), peers_python, "very_many")
    bench.add("rank_ours:bradley_terry", repeats=3)
    return {"arrays_to_strengths": bench.table(), "floor": floor(10_000_000, 9_990_073)}


def doubt(folder: Path, peers_python: str | None) -> dict:
    """Errors and intervals beside the fit on counts: 1,000 and 2,000 items exact, 10,000 drawn."""
    found = {}
    for num_items, num_votes in ((1_000, 10_000_000), (2_000, 10_000_000), (10_000, 10_000_000)):
        world = rank_worlds.votes(num_items, num_votes)
        bench = _bench(folder, world, peers_python, f"doubt{num_items}")
        bench.add("rank_ours:bradley_terry", repeats=3)
        bench.add("rank_ours:errors", repeats=3)
        found[f"{num_items} items"] = bench.table()
    world = rank_worlds.votes(200, 1_000_000)
    bench = _bench(folder, world, peers_python, "intervals")
    bench.add("rank_ours:bradley_terry", repeats=3)
    for kind in ("profile", "bootstrap"):
        bench.add("rank_ours:interval", kind=kind)
    bench.add("rank_ours:rank_intervals")
    found["200 items, 1 million votes"] = bench.table()
    return found


def rankings(folder: Path, peers_python: str | None) -> dict:
    """Plackett-Luce: 20,000 rankings of 10 among 1,000 items."""
    bench = _bench(folder, rank_worlds.rankings(1_000, 20_000, 10), peers_python, "rankings")
    bench.add("rank_ours:plackett_luce", repeats=7, warm=1000)
    bench.add("rank_peers:choix_rankings", warm=1000)
    return {"rankings_to_strengths": bench.table()}


def seen_once(folder: Path, peers_python: str | None) -> dict:
    """A million items seen once, from the shell: half a million islands of two."""
    file = rank_shell.write_seen_once(folder / "once.csv", 1_000_000)
    named = ("--left", "left", "--right", "right", "--winner", "winner")
    run = rank_shell.run_rank(file, *named, "--json")
    return {"shell": _shell({"penchant rank, a million items seen once": run})}


def large_file(folder: Path, peers_python: str | None) -> dict:
    """A CSV of two gigabytes: 20 million votes among 1,000 items, streamed; and Ctrl-C halfway."""
    file = rank_shell.write_votes(folder / "votes.csv", 20_000_000, 1_000)
    size = file.stat().st_size
    start = time.process_time()
    with file.open("rb") as raw:
        while raw.read(1 << 22):
            pass
    reading = time.process_time() - start
    runs = {f"penchant rank, {size / 1e9:.2f} GB of CSV": rank_shell.run_rank(file)}
    half = 0.5 * next(iter(runs.values()))["cpu_median"]
    halfway = file.rename(folder / "halfway.csv")
    runs["the same, Ctrl-C halfway"] = rank_shell.run_rank(halfway, interrupt_after=half)
    read = {"bytes": size, "seconds": reading, "bytes_per_second": size / reading}
    return {"shell": _shell(runs), "floor": read}


def _shell(runs: dict[str, dict]) -> dict:
    first = next(iter(runs.values()))["cpu_median"]
    rows = [{"contender": name, "judged_log_likelihood": None, **run,
             "times_ours": run["cpu_median"] / first} for name, run in runs.items()]  # fmt: skip
    return {"rows": rows, "missing": []}


def floor(num_votes: int, num_pairs: int) -> dict:
    """The least that must be read, at the speed at which this machine adds up memory.

    Every vote once (9 bytes), every pair once (32 bytes) for the gradient and once (12) for each
    product with the curvature: one step of each.
    """
    block = np.ones(50_000_000)
    spent = []
    for _ in range(3):
        start = time.process_time()
        block.sum()
        spent.append(time.process_time() - start)
    speed = block.nbytes / min(spent)
    moved = 9 * num_votes + (32 + 12) * num_pairs
    return {"bytes": moved, "bytes_per_second": speed, "seconds": moved / speed}


SECTIONS = {
    "thousand": thousand, "many_sparse": many_sparse, "many": many, "very_many": very_many,
    "doubt": doubt, "rankings": rankings, "seen_once": seen_once, "large_file": large_file,
}  # fmt: skip


def _print(content: dict) -> None:
    for key, part in content.items():
        if not (isinstance(part, dict) and "rows" in part):
            continue
        print(f"  {key}\n    {'contender':46}{'CPU s':>10}{'peak MB':>9}{'log-lik':>18}{'x':>8}")
        for row in part["rows"]:
            judged = row["judged_log_likelihood"]
            print(
                f"    {row['contender']:46}{row['cpu_median']:>10.3f}{row['peak_mb']:>9.0f}"
                f"{'' if judged is None else f'{judged:.3f}':>18}{row['times_ours']:>8.1f}"
            )
        for reason in part["missing"]:
            print(f"    not run: {reason}")


if __name__ == "__main__":
    measure.run_sections(__doc__, SECTIONS, RESULTS, _print)
