"""`penchant fit --model mixed` on files of rankings, ratings, pairs with ties and all at once."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from penchant.data.readers.native import save
from penchant.data.records import Records, concat

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
PEOPLE, CUTS, TIE = 200, np.array([-1.0, 0.2, 1.4]), np.log(0.6)
TRUTH = {
    "price": -1.0, "speed": 0.8, "sd(price)": 0.7, "sd(speed)": 0.5, "threshold 0|1": -1.0,
    "log threshold step 1|2": np.log(1.2), "log threshold step 2|3": np.log(1.2),
    "log tie strength": TIE,
}  # fmt: skip


def penchant(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "200"},
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def answers() -> dict[str, Records]:
    """The same people rank fours, rate threes and compare pairs, by one and the same taste."""
    rng = np.random.default_rng(0)
    tastes = [-1.0, 0.8] + np.array([0.7, 0.5]) * rng.standard_normal((PEOPLE, 2))

    def records(kind: str, menus: int, size: int) -> Records:
        person = np.repeat(np.arange(PEOPLE), menus)
        features = rng.standard_normal((len(person), size, 2)).round(3)
        worth = np.einsum("bkd,bd->bk", features, tastes[person])
        options = {
            "option": np.tile(np.array(["a", "b", "c", "d"])[:size], (len(person), 1)),
            "price": features[:, :, 0],
            "speed": features[:, :, 1],
        }
        rows = {"person": np.array([f"p{p}" for p in person])}
        if kind == "ranking":
            noisy = worth + rng.gumbel(size=worth.shape)
            options["rank"] = (-noisy).argsort(axis=1).argsort(axis=1) + 1
        elif kind == "rating":
            felt = worth + rng.logistic(size=worth.shape)
            options["level"] = (felt[:, :, None] > CUTS).sum(axis=2)
        else:
            three = np.column_stack([worth, TIE + worth.mean(axis=1)])
            rows["outcome"] = (three + rng.gumbel(size=three.shape)).argmax(axis=1)
        return Records.from_arrays(options=options, rows=rows, kind=kind)

    made = {
        "ranking": records("ranking", 3, 4), "rating": records("rating", 2, 3),
        "pair": records("pair", 4, 2),
    }  # fmt: skip
    return {**made, "mixed": concat(tuple(made.values()))}


@pytest.mark.parametrize("kind", ["ranking", "rating", "pair", "mixed"])
def test_any_file_is_fitted_foretold_and_shown(kind, answers, tmp_path):
    file, folder, page = tmp_path / "answers.parquet", tmp_path / "belief", tmp_path / "page.html"
    save(answers[kind], file)
    arguments = ("-m", "mixed", "--formula", "price + speed", "--json", "--out", folder)
    done = penchant("fit", file, *arguments)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["fit"]["converged"]
    assert document["fit"]["rows"] == len(answers[kind])
    assert document["fit"]["people"] == PEOPLE
    found = {line["name"]: line for line in document["coefficients"]}
    own = {"ranking": 0, "rating": 3, "pair": 1, "mixed": 4}[kind]
    assert len(found) == 4 + own
    for name, line in found.items():
        # Eight intervals of one fit: 3.5 standard errors, not 1.96.
        assert abs(line["estimate"] - TRUTH[name]) < 3.5 * line["robust_se"], name
        assert line["low"] < line["estimate"] < line["high"]
    done = penchant("predict", file, "-b", folder, "--history", file, "--json")
    assert done.returncode == 0, done.stderr
    done = penchant("report", file, "-b", folder, "--out", page)
    assert done.returncode == 0, done.stderr
    assert "sd(price)" in page.read_text()


def test_the_same_seed_prints_the_same_table_and_more_kinds_know_more(answers, tmp_path):
    both = []
    for kind in ("rating", "mixed", "mixed"):
        file = tmp_path / f"{kind}.parquet"
        save(answers[kind], file)
        arguments = ("-m", "mixed", "--formula", "price + speed", "--random", "price", "--seed", 3)
        both.append(json.loads(penchant("fit", file, *arguments, "--json").stdout))
    one, *mixed = ({c["name"]: c for c in each["coefficients"]} for each in both)
    assert mixed[0] == mixed[1]
    assert "sd(speed)" not in mixed[0]
    assert mixed[0]["price"]["se"] < 0.85 * one["price"]["se"]
