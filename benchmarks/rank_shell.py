"""`penchant rank` from the shell, for `rank.py`: a CSV of 2 GB, a million items seen once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from measure import ONE_THREAD

_LINES_AT_ONCE = 1_000_000
_TICKS = os.sysconf("SC_CLK_TCK")


def write_votes(path: Path, num_lines: int, num_items: int, seed: int = 0) -> Path:
    """Arena votes of some 105 bytes a line, with columns that a ranking does not need."""
    rng = np.random.default_rng(seed)
    strengths = rng.normal(size=num_items)
    names = pa.array([f"model {i}" for i in range(num_items)])
    sides = pa.array(["model_a", "model_b", "tie"])
    words = [f"word{i}" for i in range(20)]
    prompts = pa.array([" ".join(rng.choice(words, 10)) for _ in range(1000)])
    languages = pa.array(["English", "French", "Chinese", "Russian"])

    def taken(values: pa.Array, places: np.ndarray) -> pa.Array:
        return values.take(pa.array(places))

    with path.open("wb") as file:
        for begin in range(0, num_lines, _LINES_AT_ONCE):
            count = min(_LINES_AT_ONCE, num_lines - begin)
            first = rng.integers(0, num_items, count)
            second = (first + rng.integers(1, num_items, count)) % num_items
            wins = rng.random(count) < 1 / (1 + np.exp(strengths[second] - strengths[first]))
            winner = np.where(rng.random(count) < 0.1, 2, np.where(wins, 0, 1))
            table = pa.table({
                "id": np.arange(begin, begin + count), "model_a": taken(names, first),
                "model_b": taken(names, second), "winner": taken(sides, winner),
                "language": taken(languages, rng.integers(0, 4, count)),
                "prompt": taken(prompts, rng.integers(0, 1000, count)),
            })  # fmt: skip
            pa.csv.write_csv(table, file, pa.csv.WriteOptions(include_header=begin == 0))
    return path


def write_seen_once(path: Path, num_items: int, seed: int = 0) -> Path:
    """Every item meets one other, once: islands of two, each with an item that never lost."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(num_items)
    won = rng.integers(0, 2, num_items // 2)
    table = pa.table({
        "left": [f"item {i}" for i in order[: num_items // 2]],
        "right": [f"item {i}" for i in order[num_items // 2 :]],
        "winner": pa.array(["left", "right"]).take(pa.array(won)),
    })  # fmt: skip
    pa.csv.write_csv(table, path)
    return path


def run_rank(file: Path, *options: str, interrupt_after: float | None = None) -> dict:
    """CPU and wall seconds, peak memory, exit code and last words of `penchant rank FILE`.

    `interrupt_after`: CPU seconds after which Ctrl-C is pressed.
    """
    command = [sys.executable, "-c", "from penchant.cli.main import main; main()", "rank"]
    out = file.parent / f"{file.stem}.out"
    began = time.perf_counter()
    with (file.parent / "stdout").open("wb") as said, (file.parent / "stderr").open("wb") as told:
        process = subprocess.Popen(
            [*command, str(file), *options, "--out", str(out)], stdout=said, stderr=told,
            env=os.environ | ONE_THREAD,
        )  # fmt: skip
        cpu, peak, is_asked = 0.0, 0.0, False
        while process.poll() is None:
            cpu, peak = max(cpu, _cpu_of(process.pid)), max(peak, _peak_of(process.pid))
            if interrupt_after is not None and cpu > interrupt_after and not is_asked:
                process.send_signal(signal.SIGINT)
                is_asked = True
            time.sleep(0.05)
    told = (file.parent / "stderr").read_text(errors="replace").replace("\r", "\n")
    return {
        "cpu_seconds": [round(cpu, 2)], "cpu_median": cpu,
        "wall_median": time.perf_counter() - began, "peak_mb": peak,
        "exit_code": process.returncode, "last_words": " ".join(told.split())[-300:],
        "left_behind": sorted(p.name for p in out.glob("*")) if out.exists() else [],
    }  # fmt: skip


def _cpu_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_of(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")),
               default=0.0)  # fmt: skip
