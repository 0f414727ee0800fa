"""`penchant evaluate`, run as installed: several models, pair by pair and answer by answer."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
DESCRIPTION = """
layout = "wide"
[rows]
person = "who"
[options]
alternatives = ["bus", "car"]
[answer]
kind = "choice"
column = "choice"
[features.time]
bus = "bus_time"
car = "car_time"
[features.noise]
bus = "bus_noise"
car = "car_noise"
"""
PEOPLE, TASKS, KNOWN = 60, 7, 3


def penchant(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People whose tastes for the two options differ widely: their answers tell of the next."""
    rng = np.random.default_rng(3)
    lines = ["who,bus_time,car_time,bus_noise,car_noise,choice"]
    for person in range(PEOPLE):
        favour = 2.5 * rng.standard_normal()
        for _ in range(TASKS):
            time, noise = rng.uniform(10, 60, 2), rng.uniform(0, 1, 2)
            worth = -0.05 * time + favour * np.array([0.0, 1.0]) + rng.gumbel(size=2)
            numbers = ",".join(f"{x:.3f}" for x in (*time, *noise))
            lines.append(f"p{person},{numbers},{('bus', 'car')[int(worth.argmax())]}")
    place = tmp_path_factory.mktemp("evaluate")
    (place / "trips.csv").write_text("\n".join(lines) + "\n")
    (place / "trips.toml").write_text(DESCRIPTION)
    return place / "trips.csv"


@pytest.fixture(scope="module")
def judged(trips: Path) -> dict[str, list[dict[str, object]]]:
    done = penchant(
        "evaluate", trips, "-m", "pooled", "-m", "personal", "--formula", "option + time",
        "--random", "option[car]", "--folds", 3, "--known", KNOWN, "--few-shot", KNOWN, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_every_two_models_are_compared_on_the_same_choices(judged):
    nll = {(row["model"], row["split"]): row["nll"] for row in judged["ladder"]}
    pairs = {(d["model"], d["against"], d["split"]): d for d in judged["differences"]}
    models = ("market shares", "pooled", "personal")
    assert set(pairs) == {
        (later, earlier, split)
        for split in ("new_people", "known_people")
        for i, later in enumerate(models)
        for earlier in models[:i]
    }
    for (model, against, split), pair in pairs.items():
        assert pair["difference"] == pytest.approx(nll[model, split] - nll[against, split])
        assert pair["low"] < pair["difference"] < pair["high"]
        assert pair["people"] == PEOPLE
        # The interval and the test look at the same totals by person.
        assert (pair["p"] < 0.01) or (pair["low"] < 0.02 and pair["high"] > -0.02)


def test_pairs_are_surer_than_two_intervals_side_by_side(judged):
    rows = {r["model"]: r for r in judged["ladder"] if r["split"] == "new_people"}
    widths = [rows[m]["nll_high"] - rows[m]["nll_low"] for m in ("pooled", "personal")]
    pair = next(
        d for d in judged["differences"]
        if (d["model"], d["against"], d["split"]) == ("personal", "pooled", "new_people")
    )  # fmt: skip
    assert pair["high"] - pair["low"] < 0.7 * sum(w**2 for w in widths) ** 0.5


def test_a_model_of_persons_learns_from_their_answers_and_a_pooled_one_does_not(judged):
    curves = {
        model: [line for line in judged["few_shot"] if line["model"] == model]
        for model in ("pooled", "personal")
    }
    for curve in curves.values():
        assert [line["answers"] for line in curve] == list(range(KNOWN + 1))
        assert {line["choices"] for line in curve} == {PEOPLE * (TASKS - KNOWN)}
        assert [line["gain"] for line in curve] == pytest.approx(
            [line["nll"] - curve[0]["nll"] for line in curve]
        )
    assert all(line["gain"] == 0 for line in curves["pooled"])
    last = curves["personal"][-1]
    assert last["gain_high"] < 0
    assert curves["personal"][1]["gain"] > last["gain"]


def test_the_tables_say_who_is_better_and_how_the_error_falls(trips: Path):
    done = penchant(
        "evaluate", trips, "-m", "pooled", "-m", "personal", "--formula", "option + time",
        "--random", "option[car]", "--folds", 2, "--known", 3, "--few-shot", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("personal less pooled", "the better", "a tie", "1 answer (personal)"):
        assert words in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    known = next(x for x in lines if x.startswith("personal less pooled known people"))
    assert known.endswith("personal")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--known", 7), 3, "nobody gave more than 7"),
        (("--few-shot", 8), 3, "nobody gave more than 7"),
        (("-m", "pooled", "-m", "context", "--random", "time"), 2, "none of pooled, context"),
        (("-m", "pooled", "-m", "nonsense"), 2, "there is no model 'nonsense'"),
        (("-m", "classes", "--random", "time"), 2, "with --model classes it would change nothing"),
    ],
)
def test_what_cannot_be_judged_is_said(trips: Path, arguments, code: int, words: str):
    done = penchant("evaluate", trips, *arguments)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())


def test_an_option_goes_to_the_models_that_have_a_use_for_it(trips: Path):
    """Two models at once are each what they are alone."""
    said = ("--formula", "option + time", "--folds", 2, "--json")
    both = penchant("evaluate", trips, "-m", "pooled", "-m", "classes", "--classes", 3, *said)
    alone = penchant("evaluate", trips, "-m", "classes", "--classes", 3, *said)
    assert both.returncode == alone.returncode == 0, both.stderr + alone.stderr
    one, two = (json.loads(each.stdout)["ladder"][-1] for each in (both, alone))
    assert one == two


def answered(kind: str) -> list[str]:
    """A hundred people who want opposite things, five answers each to menus of three."""
    rng = np.random.default_rng(4)
    lines = ["person,task,option,rank,x" if kind == "ranking" else "user,item,x,stars"]
    for person in range(100):
        taste = 2.5 * (1 if person % 2 else -1)
        for task in range(5):
            x = rng.normal(size=3)
            order = np.argsort(np.argsort(-(taste * x + rng.gumbel(size=3)))) + 1
            felt = taste * x + rng.logistic(size=3)
            stars = 1 + (felt[:, None] > np.array([-1.5, 0.0, 1.5])).sum(axis=1)
            if kind == "ranking":
                lines += [
                    f"p{person},p{person}t{task},o{k},{order[k]},{x[k]:.3f}" for k in range(3)
                ]
            else:
                lines.append(f"p{person},i{person}t{task},{x[0]:.3f},{stars[0]}")
    return lines


STARS = """layout = "ratings"
[rows]
person = "user"
[options]
option = "item"
features = ["x"]
[answer]
kind = "rating"
column = "stars"
"""


@pytest.mark.parametrize("kind", ["ranking", "rating"])
def test_answers_that_are_no_choice_are_judged_and_help_to_know_a_person(kind, tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text("\n".join(answered(kind)) + "\n")
    if kind == "rating":
        (tmp_path / "answers.toml").write_text(STARS)
    said = ("-m", "pooled", "-m", "classes", "--formula", "x", "--folds", 2, "--few-shot", 3)
    done = penchant("evaluate", file, *said, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (pooled, classes) = (line for line in document["kinds"] if line["model"] != "options alone")
    assert pooled["kind"] == classes["kind"] == kind
    assert pooled["answers"] == 500
    curve = [line for line in document["few_shot"] if line["model"] == "classes"]
    assert curve[3]["gain_high"] < 0
    assert curve[3]["gain"] < curve[1]["gain"] < 0
    if kind == "ranking":
        # Of three options in an order nobody can foretell: log 6 for all, log 3 for the first.
        assert pooled["nll"] == pytest.approx(np.log(6), abs=0.05)
        assert pooled["question_nll"] == pytest.approx(np.log(3), abs=0.03)
        assert pooled["off"] is None
    else:
        assert pooled["question_nll"] == pytest.approx(pooled["nll"])
        assert 0.7 < pooled["off"] < 1.6
    shown = penchant("evaluate", file, *said[:6], "--folds", 2)
    assert shown.returncode == 0, shown.stderr
    for words in ("nats per answer", "kind of answer", "Right is, of"):
        assert words in shown.stdout
    assert "choice" not in shown.stdout.replace("best_worst", "")
