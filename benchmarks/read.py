"""How long a table of a million rows and twenty columns takes to become checked records.

    python benchmarks/read.py [--rows 1000000] [--repeats 3]

writes results/read.json: for each layout and format, process CPU seconds (median of the repeats,
all threads counted) from the file to `Records`, the wall seconds, and the aim: 3 s from Parquet,
8 s from CSV. Data are simulated; only their size and types matter here.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from measure import circumstances
from penchant.data.description import Description
from penchant.data.readers.read import read

RESULTS = Path(__file__).resolve().parent / "results" / "read.json"
AIMS = {"parquet": 3.0, "csv": 8.0}
WORDS = np.array(["commuter", "business", "leisure", "shopping", "other"])


def wide_table(rows: int, generator: np.random.Generator) -> tuple[pa.Table, Description]:
    """One line per choice: three alternatives with four features each, twenty columns."""
    modes = ("train", "bus", "car")
    columns: dict[str, Any] = _who_and_where(rows, np.arange(rows) // 10, generator)
    columns["task"] = np.arange(rows) % 10
    available = generator.random(rows) < 0.8
    columns["wave"] = (np.arange(rows) % 3).astype(np.int8)
    columns["car_av"] = available.astype(np.int8)
    for feature in ("time", "cost", "headway", "seats"):
        for mode in modes:
            columns[f"{mode}_{feature}"] = np.round(generator.gamma(2.0, 30.0, rows), 2)
    choice = generator.integers(0, 3, rows)
    columns["choice"] = np.array(modes)[np.where((choice == 2) & ~available, 0, choice)]
    said = Description(
        layout="wide", person="person_id", situation=("task",), person_features=("age", "income"),
        context=("purpose",), alternatives=modes, answer="choice", available={"car": "car_av"},
        feature_columns={
            feature: {mode: f"{mode}_{feature}" for mode in modes}
            for feature in ("time", "cost", "headway", "seats")
        },
    )  # fmt: skip
    return pa.table(columns), said


def long_table(rows: int, generator: np.random.Generator) -> tuple[pa.Table, Description]:
    """One line per option, four options a menu: twelve features, twenty columns."""
    menus = rows // 4
    repeat = np.repeat(np.arange(menus), 4)
    per_menu = _who_and_where(menus, np.arange(menus) // 8, generator)
    columns = {name: values[repeat] for name, values in per_menu.items()}
    columns["menu"] = repeat
    columns["mode"] = np.tile(np.array(["train", "bus", "car", "walk"]), menus)
    columns["chosen"] = np.zeros(4 * menus, dtype=np.int8)
    columns["chosen"][np.arange(menus) * 4 + generator.integers(0, 4, menus)] = 1
    features = tuple(f"feature_{i}" for i in range(12))
    for name in features:
        columns[name] = np.round(generator.normal(size=4 * menus), 3)
    said = Description(
        layout="long", person="person_id", situation=("menu",), option="mode", answer="chosen",
        person_features=("age", "income"), context=("purpose",), features=features,
    )  # fmt: skip
    columns["wave"] = (repeat % 3).astype(np.int8)
    return pa.table(columns), said


def shuffled_table(rows: int, generator: np.random.Generator) -> tuple[pa.Table, Description]:
    """The long table with its lines in no order."""
    table, said = long_table(rows, generator)
    return table.take(pa.array(generator.permutation(table.num_rows))), said


def _who_and_where(
    rows: int, person: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    people = int(person.max()) + 1
    names = np.char.add("p", np.arange(people).astype(str))
    return {
        "person_id": names[person],
        "age": generator.integers(18, 90, people)[person],
        "income": np.round(generator.gamma(3.0, 20.0, people), 1)[person],
        "purpose": WORDS[generator.integers(0, 5, rows)],
    }


def measure(path: Path, said: Description, repeats: int) -> dict[str, Any]:
    """Median CPU and wall seconds of reading one file, and what was read."""
    cpu, wall = [], []
    for _ in range(repeats):
        start, clock = time.process_time(), time.perf_counter()
        result = read(path, said)
        cpu.append(time.process_time() - start)
        wall.append(time.perf_counter() - clock)
    return {
        "cpu_seconds": round(float(np.median(cpu)), 3),
        "wall_seconds": round(float(np.median(wall)), 3),
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "observations": result.report.observations,
        "options": result.report.options,
        "people": result.report.people,
    }


def main(rows: int, repeats: int) -> dict[str, Any]:
    """Every layout in every format."""
    generator = np.random.default_rng(20261121)
    runs = []
    makers = {"wide": wide_table, "long": long_table, "long, shuffled": shuffled_table}
    with tempfile.TemporaryDirectory() as folder:
        for layout, make in makers.items():
            table, said = make(rows, generator)
            for ending, aim in AIMS.items():
                path = Path(folder) / f"table.{ending}"
                if ending == "parquet":
                    pq.write_table(table, path)
                else:
                    csv.write_csv(table, path)
                found = measure(path, said, repeats)
                runs.append(
                    {"layout": layout, "format": ending, "rows": table.num_rows,
                     "columns": table.num_columns, **found, "aim_cpu_seconds": aim,
                     "within_aim": found["cpu_seconds"] <= aim}
                )  # fmt: skip
                path.unlink()
    return {"circumstances": circumstances(None), "runs": runs}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    wanted = parser.parse_args()
    found = json.dumps(main(wanted.rows, wanted.repeats), indent=2)
    wanted.out.write_text(found + "\n")
    print(found)
