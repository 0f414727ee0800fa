"""Personal tastes from stars, by the installed command: fitted, foretold, judged."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
DESCRIPTION = """layout = "ratings"
[rows]
person = "user"
[options]
option = "item"
features = ["sweet"]
[answer]
kind = "rating"
column = "stars"
levels = [1, 2, 3, 4]
"""
PEOPLE, TASKS = 50, 6


def penchant(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People who love or loathe sweet things, more or less."""
    rng = np.random.default_rng(1)
    lines = ["user,item,sweet,stars"]
    for person in range(PEOPLE):
        taste = 2.5 * rng.standard_normal()
        for task in range(TASKS):
            sweet = rng.normal()
            felt = taste * sweet + rng.logistic()
            level = 1 + int((felt > np.array([-1.5, 0.0, 1.5])).sum())
            lines.append(f"u{person},i{person}t{task},{sweet:.3f},{level}")
    place = tmp_path_factory.mktemp("stars")
    (place / "stars.csv").write_text("\n".join(lines) + "\n")
    (place / "stars.toml").write_text(DESCRIPTION)
    return place / "stars.csv"


@pytest.mark.parametrize("model", ["personal", "hierarchical"])
def test_each_person_is_foretold_by_the_stars_they_gave(stars: Path, model: str, tmp_path: Path):
    more = ("--chains", 2, "--draws", 300) if model == "hierarchical" else ("--draws", 60)
    folder = tmp_path / "belief"
    done = penchant(
        "fit", stars, "-m", model, "--formula", "sweet", "--out", folder, "--json", *more
    )
    assert done.returncode in (0, 4), done.stderr  # so few draws may not have met to the last digit
    document = json.loads(done.stdout)
    found = {c["name"]: c for c in document["coefficients"]}
    assert found["sd(sweet)"]["low"] < 2.5 < found["sd(sweet)"]["high"]
    assert list(found)[-3:] == [
        "threshold 1|2", "log threshold step 2|3", "log threshold step 3|4",
    ]  # fmt: skip
    given = np.array([int(line.rsplit(",", 1)[1]) for line in stars.read_text().split()[1:]])
    nearness = []
    for history in ((), ("--history", stars)):
        told = penchant("predict", stars, "-b", folder, "--json", *history)
        assert told.returncode == 0, told.stderr
        expected = np.array([line["expected"] for line in json.loads(told.stdout)])
        nearness.append(float(np.abs(expected - given).mean()))
    # Whom nobody knows is expected in the middle.
    assert nearness[1] < 0.75 * nearness[0]


def test_the_error_on_a_new_person_falls_with_their_stars(stars: Path):
    done = penchant(
        "evaluate", stars, "-m", "personal", "--formula", "sweet", "--draws", 40, "--folds", 2,
        "--few-shot", 3, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curve = json.loads(done.stdout)["few_shot"]
    assert [line["answers"] for line in curve] == [0, 1, 2, 3]
    assert curve[3]["gain_high"] < 0
    assert curve[3]["gain"] < curve[1]["gain"] < 0
