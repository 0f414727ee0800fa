"""How fast a reward head is fitted, asked and adapted, beside scikit-learn and Adam in torch.

    python benchmarks/reward.py --peers-python PYTHON [--only SECTION ...] [--skip-peers]

Each contender runs in a process of its own on the same .npy files, one thread, a warm-up first,
then the median CPU seconds of several fits. A fit counts where its log-posterior, computed here in
float64, is within 0.1 % of the best that anybody found: each solver's tolerance and Adam's rate,
batch and steps are chosen as the cheapest that get there. PYTHON is an environment with
scikit-learn and torch. Sections that are run again replace their part of the results file.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import measure
import reward_worlds

RESULTS = Path(__file__).resolve().parent / "results" / "reward.json"
# How far below the best log-posterior a fit may end, as a share of it.
NEAR = 1e-3
TOLERANCES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)


@dataclass
class Bench(measure.Bench):
    """Weights are judged by `short`: how far their log-posterior ends below the best, as a share of
    it."""

    best: float | None = None
    warm: ClassVar[int] = 1

    def judge(self, result: dict) -> str:
        weights = result.pop("weights", None)
        if weights is None:
            return ""
        value = reward_worlds.log_posterior(self.world, np.array(weights))
        self.best = value if self.best is None else max(self.best, value)
        result["short"] = (self.best - value) / abs(self.best)
        return f", {result['short']:.1e} short"

    def add_cheapest(self, contender: str, candidates: tuple[dict, ...], repeats: int) -> None:
        """The first of the candidates (from cheap to dear) that ends near enough, run again."""
        for settings in candidates:
            tried = self.run(contender, repeats=1, **settings)
            if tried is None:
                return
            if tried["short"] <= NEAR:
                self.add(contender, repeats=repeats, **settings)
                return
        self.missing.append(f"{contender}: none of {len(candidates)} settings came within 0.1 %")


def head(folder: Path, peers_python: str | None) -> dict:
    """100,000 pairs, 384 dimensions, float32: to 0.1 % of the optimum."""
    return _head(
        folder, peers_python, 100_000, 384, ("lbfgs", "newton-cg", "newton-cholesky", "saga")
    )


def wide(folder: Path, peers_python: str | None) -> dict:
    """50,000 pairs, 4,096 dimensions, float32 (0.8 GB): to 0.1 % of the optimum."""
    return _head(folder, peers_python, 50_000, 4_096, ("lbfgs", "newton-cg"))


def _head(
    folder: Path,
    peers_python: str | None,
    num_pairs: int,
    dimensions: int,
    solvers: tuple[str, ...],
) -> dict:
    world = reward_worlds.pairs(num_pairs, dimensions)
    bench = Bench(world.save(folder / "world"), world, peers_python)
    # The best log-posterior first, so that everybody is held against it.
    exact = bench.run("reward_ours:head", repeats=3, tolerance=1e-9)
    bench.add("reward_ours:head", repeats=7, tolerance=NEAR)
    if exact is not None:
        bench.rows.append(exact)
    for solver in solvers:
        settings = tuple({"solver": solver, "tol": tol} for tol in TOLERANCES)
        # saga touches one pair at a time: minutes for each tolerance.
        bench.add_cheapest(
            "reward_peers:sklearn_head", settings[3:5] if solver == "saga" else settings,
            1 if solver == "saga" else 3,
        )  # fmt: skip
    assert bench.best is not None
    found = bench.run(
        "reward_peers:adam_search", repeats=1, target=bench.best - NEAR * abs(bench.best),
        seconds=30.0,
    )  # fmt: skip
    for entry in (found or {}).get("reached", [])[:1]:
        bench.add(
            "reward_peers:adam_head", repeats=3, **{k: entry[k] for k in ("rate", "batch", "steps")}
        )
    passes = Bench(bench.folder, world, peers_python)
    passes.add("reward_ours:one_pass", repeats=15)
    passes.add("reward_ours:one_product", repeats=15)
    passes.add("reward_ours:reading", repeats=15)
    return {"fit": bench.table(), "passes": passes.table(),
            "floor": floor(bench, passes, world.differences.nbytes)}  # fmt: skip


def floor(bench: Bench, passes: Bench, num_bytes: int) -> dict:
    """Bytes over measured speed: a gradient cannot do with less than reading the features twice,
    and a fit from nothing with less than one gradient."""
    seconds = {row["contender"].split(":")[1]: row["cpu_median"] for row in passes.rows}
    twice = 2 * seconds["reading"]
    return {
        "bytes": num_bytes,
        "bytes_per_second": num_bytes / seconds["reading"],
        "read_twice_seconds": twice,
        "pass_over_floor": seconds["one_pass"] / twice,
        "product_over_floor": seconds["one_product"] / twice,
        "fit_over_floor": bench.rows[0]["cpu_median"] / twice,
    }


def use(folder: Path, peers_python: str | None) -> dict:
    """Scoring, a new judge's eight answers, a second encoding: on the bundled judgements."""
    world = reward_worlds.pairs(100, 4)
    bench = Bench(world.save(folder / "world"), world, None)
    for name in ("scoring", "rewards"):
        row = bench.add(f"reward_ours:{name}", repeats=5)
        if row is not None:
            row["pairs_per_second"] = row["pairs"] / row["cpu_median"]
    for draws in (0, 256):
        row = bench.add("reward_ours:adaptation", repeats=5, draws=draws)
        if row is not None:
            row["milliseconds_per_person"] = 1e3 * row["cpu_median"] / row["people"]
    bench.add("reward_ours:second_encoding", repeats=3)
    return {"use": bench.table()}


def mixture(folder: Path, peers_python: str | None) -> dict:
    """A mixture of 10 heads beside one: 100,000 pairs of 10,000 people, 384 dimensions."""
    world = reward_worlds.mixed(100_000, 384)
    where = world.save(folder / "world")
    passes, fits = Bench(where, world, None), Bench(where, world, None)
    passes.add("reward_ours:one_pass", repeats=15)
    passes.add("reward_ours:mixture_pass", repeats=7, heads=10)
    fits.add("reward_ours:head", repeats=5, tolerance=1e-9)
    fits.add("reward_ours:mixture_fit", repeats=2, heads=10)
    return {"passes": passes.table(), "fits": fits.table()}


SECTIONS = {"head": head, "wide": wide, "mixture": mixture, "use": use}


def _print(content: dict) -> None:
    for key, part in content.items():
        if "rows" not in part:
            print(f"  {key}: " + ", ".join(f"{name} {value:.4g}" for name, value in part.items()))
            continue
        print(f"  {key}\n    {'contender':58}{'CPU s':>10}{'peak MB':>9}{'short':>10}{'x':>8}")
        for row in part["rows"]:
            short = f"{row['short']:.1e}" if "short" in row else ""
            print(
                f"    {row['contender']:58}{row['cpu_median']:>10.4f}{row['peak_mb']:>9.0f}"
                f"{short:>10}{row['times_ours']:>8.1f}"
            )
        for reason in part["missing"]:
            print(f"    not run: {reason}")


if __name__ == "__main__":
    measure.run_sections(__doc__, SECTIONS, RESULTS, _print)
