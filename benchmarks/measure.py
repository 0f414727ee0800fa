"""How a contender is run and how the circumstances are written down."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

HERE = Path(__file__).resolve().parent
# One thread each: CPU seconds then count work, not waiting, and no contender spins on spare cores.
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)


class ContenderFailed(RuntimeError):
    """A contender's process ended badly; its last words are the message."""


def run_contender(
    contender: str,
    world: Path,
    *,
    python: str = sys.executable,
    settings: dict | None = None,
    repeats: int = 3,
    warm: int = 200,
) -> dict:
    """The contender's result with the median CPU and wall seconds of its repeats."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [python, str(HERE / "contender.py"), contender, str(world), str(out)]
        command += ["--settings", json.dumps(settings or {})]
        command += ["--repeats", str(repeats), "--warm", str(warm)]
        load = os.getloadavg()[0]
        process = subprocess.run(
            command, env=os.environ | ONE_THREAD, capture_output=True, text=True, cwd=HERE
        )
        if process.returncode != 0:
            reason = process.stderr.strip().splitlines()[-1:] or [f"exit {process.returncode}"]
            raise ContenderFailed(f"{contender}: {reason[0]}")
        result = json.loads(out.read_text())
    return result | {
        "cpu_median": statistics.median(result["cpu_seconds"]),
        "wall_median": statistics.median(result["wall_seconds"]),
        "repeats": repeats,
        "load_average_before": round(load, 2),
    }


@dataclass
class Bench:
    """Runs contenders on one world and remembers what failed, in words. A kind of bench says how
    it judges a result, by `judge`, and how many people warm it up."""

    folder: Path
    world: Any
    peers_python: str | None
    rows: list[dict] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warm: ClassVar[int] = 2000

    def judge(self, result: dict) -> str:
        """Takes the estimates out of a result, puts into it how good they are, and says it."""
        raise NotImplementedError

    def run(
        self, contender: str, *, repeats: int = 1, warm: int | None = None, **settings: object
    ) -> dict | None:
        """One contender's row; None where it is a peer that was left out, or failed."""
        label = contender + "".join(f" ({value})" for value in settings.values())
        is_peer = contender.split(":")[0].endswith("peers")
        if is_peer and self.peers_python is None:
            self.missing.append(f"{label}: peers were left out")
            return None
        python = self.peers_python if is_peer else sys.executable
        print(f"  {label} ...", end="", flush=True, file=sys.stderr)
        try:
            result = run_contender(
                contender, self.folder, python=str(python), settings=settings, repeats=repeats,
                warm=self.warm if warm is None else warm,
            )  # fmt: skip
        except ContenderFailed as failure:
            self.missing.append(str(failure))
            print(f" failed: {failure}", file=sys.stderr)
            return None
        judged = self.judge(result)
        said = f" {result['cpu_median']:.4f} s, {result['peak_mb']:.0f} MB{judged}"
        print(said, file=sys.stderr)
        return {"contender": label, **result}

    def add(self, contender: str, **how: Any) -> dict | None:
        """The same, kept as a row."""
        row = self.run(contender, **how)
        if row is not None:
            self.rows.append(row)
        return row

    def table(self) -> dict:
        """The rows, each with its time as a multiple of the first's."""
        first = self.rows[0]["cpu_median"] if self.rows else float("nan")
        for row in self.rows:
            row["times_ours"] = row["cpu_median"] / first
        return {"rows": self.rows, "missing": self.missing}


Section = Callable[[Path, str | None], dict]


def run_sections(
    doc: str, sections: Mapping[str, Section], results: Path, show: Callable[[dict], None]
) -> None:
    """The command line of a bench: the sections asked for, run one by one, each replacing its part
    of the results file as soon as it is done."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections))
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=results)
    arguments = parser.parse_args()
    peers_python = None if arguments.skip_peers else arguments.peers_python
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in arguments.only:
        print(name, file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            content = sections[name](Path(folder), peers_python)
        found[name] = {"circumstances": circumstances(peers_python), **content}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")
        print(f"\n{name}: {sections[name].__doc__}")
        show(content)


def circumstances(peers_python: str | None) -> dict:
    """Date, commit, machine, versions and command: what a reader needs to believe a figure."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "threads": 1,
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "versions": versions(sys.executable),
        "peers_versions": versions(peers_python) if peers_python else {},
        # The interpreter's own place says nothing to a reader, and is left out.
        "command": " ".join(
            ["python", "benchmarks/" + Path(sys.argv[0]).name, *_plain_arguments()]
        ),
    }


def versions(python: str) -> dict:
    """Python's and the named packages' versions in an environment, those installed there."""
    script = (
        "import json, sys\n"
        "from importlib.metadata import version, PackageNotFoundError\n"
        "found = {'python': sys.version.split()[0]}\n"
        "for name in ('numpy', 'scipy', 'numba', 'pyarrow', 'penchant', 'xlogit', 'choice-learn',\n"
        "             'tensorflow', 'choix', 'biogeme', 'evalica', 'arena-rank', 'jax',\n"
        "             'scikit-learn', 'torch', 'obp', 'transformers', 'trl'):\n"
        "    try:\n"
        "        found[name] = version(name)\n"
        "    except PackageNotFoundError:\n"
        "        pass\n"
        "print(json.dumps(found))\n"
    )
    return json.loads(subprocess.check_output([python, "-c", script], text=True))


def _plain_arguments() -> list[str]:
    arguments = list(sys.argv[1:])
    if "--peers-python" in arguments:
        place = arguments.index("--peers-python")
        arguments[place + 1 : place + 2] = ["PEERS_PYTHON"]
    # Where results are written says nothing to a reader either.
    if "--out" in arguments:
        place = arguments.index("--out")
        del arguments[place : place + 2]
    return [a if not a.startswith("--peers-python=") else "--peers-python=..." for a in arguments]


def _commit() -> str:
    git = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
