"""What a person at the shell waits for: import, the first `penchant fit`, the next one."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 5
SAMPLES = Path(__file__).resolve().parents[1] / "src" / "penchant" / "data" / "samples"


def shell_times(folder: Path) -> dict:
    """CPU and wall seconds of whole processes, and whether torch was among their modules."""
    data = folder / "shell"
    data.mkdir(parents=True, exist_ok=True)
    for name in ("swissmetro.parquet", "swissmetro.toml"):
        shutil.copy(SAMPLES / name, data / name)
    program = shutil.which("penchant", path=str(Path(sys.executable).parent))
    if program is None:
        return {"missing": ["the command `penchant` is not installed in this environment"]}
    fit = [program, "fit", str(data / "swissmetro.parquet"), "--model", "pooled"]
    fit += ["--out", str(data / "out"), "--json"]
    # Code compiled by earlier runs lies in this cache; an empty one is what an installation has.
    cold = {"NUMBA_CACHE_DIR": str(data / "cache")}
    nothing = _median([sys.executable, "-c", "pass"], {})
    numpy = _median([sys.executable, "-c", "import numpy"], {})
    imported = _median([sys.executable, "-c", "import penchant"], {})
    first = _run(fit, cold)
    again = _median(fit, cold)
    return {
        "python_alone": nothing,
        "import_numpy": numpy,
        "import_penchant": imported,
        "fit_first_time": first,
        "fit_again": again,
        "torch_loaded": _loads_torch(fit, cold),
        "choices": 8784,
    }


def _run(command: list[str], extra: dict[str, str]) -> dict:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, env=os.environ | extra, capture_output=True, text=True)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise RuntimeError(f"{command} failed: {done.stderr[-500:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": cpu, "wall_seconds": wall}


def _median(command: list[str], extra: dict[str, str]) -> dict:
    runs = [_run(command, extra) for _ in range(REPEATS)]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def _loads_torch(command: list[str], extra: dict[str, str]) -> bool:
    """Python lists every module a process imports; torch must not be one of them."""
    environment = os.environ | extra | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    modules = [line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()]
    assert "penchant" in modules, "the list of imports was not printed"
    return "torch" in modules
