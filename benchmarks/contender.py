"""One contender in a process of its own: prepare, warm up, fit several times, report as JSON.

python contender.py FILE:FUNCTION WORLD OUT [--settings JSON] [--repeats N] [--warm PEOPLE]

FILE is `peers`, `ours`, `rank_peers` or `rank_ours`. CPU seconds are the process's own, user and
system, all threads; the peak is the kernel's high-water mark of this process (interpreter,
libraries and data included).
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

import worlds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender")
    parser.add_argument("world", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warm", type=int, default=200, help="people in the warm-up, 0 for all")
    arguments = parser.parse_args()

    module, name = arguments.contender.split(":")
    contenders = importlib.import_module(module)
    prepare = getattr(contenders, name)
    # A file of contenders may bring worlds of its own.
    world = getattr(contenders, "worlds", worlds).load(arguments.world)
    small = world if arguments.warm == 0 else world.head(arguments.warm)
    start = time.process_time()
    prepare(small, **arguments.settings)()
    first_seconds = time.process_time() - start

    fit = prepare(world, **arguments.settings)
    resident = _status("VmRSS")
    cpu, wall, result = [], [], {}
    for _ in range(arguments.repeats):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        result = fit()
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    result |= {
        "cpu_seconds": cpu,
        "wall_seconds": wall,
        "warm_up_cpu_seconds": first_seconds,
        "peak_mb": _status("VmHWM"),
        "resident_before_mb": resident,
        "torch_loaded": "torch" in sys.modules,
    }
    arguments.out.write_text(json.dumps(result))


def _status(key: str) -> float:
    """Megabytes of VmRSS or VmHWM. (ru_maxrss would count the parent's memory before exec.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main()
