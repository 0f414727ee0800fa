"""The installed commands that test, compare and explain models: what they print and refuse."""

import json
import os
import subprocess
import sysconfig
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
SAMPLES = Path(str(files("penchant.data.samples")))
TRIPS, CONJOINT = SAMPLES / "swissmetro.parquet", SAMPLES / "conjoint.parquet"


def penchant(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "100", **settings},
        check=False,
    )


@pytest.fixture(scope="module")
def beliefs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """plain within headway; seats beside headway, not nested."""
    place = tmp_path_factory.mktemp("beliefs")
    for name, formula in (("plain", "option + time + cost"), ("headway", "option + time + cost + "
                          "headway"), ("seats", "option + time + cost + seats")):  # fmt: skip
        done = penchant("fit", TRIPS, "--formula", formula, "--out", place / name)
        assert done.returncode == 0, done.stderr
    return place


def test_nested_models_are_compared_by_likelihood_ratio(beliefs: Path):
    done = penchant("compare", beliefs / "headway", beliefs / "plain", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    log_likelihood = {line["model"]: line["log_likelihood"] for line in told["models"]}
    (test,) = told["tests"]
    assert (test["smaller"], test["larger"]) == ("plain", "headway")
    assert test["degrees"] == 1
    assert test["statistic"] == pytest.approx(
        2 * (log_likelihood["headway"] - log_likelihood["plain"])
    )
    assert test["p"] < 0.001
    for line in told["models"]:
        assert line["aic"] == pytest.approx(2 * line["parameters"] - 2 * line["log_likelihood"])


def test_models_that_are_not_nested_want_the_data_and_get_vuongs_test(beliefs: Path):
    pair = (beliefs / "headway", beliefs / "seats")
    without = penchant("compare", *pair)
    assert without.returncode == 0, without.stderr
    assert "give --data FILE" in without.stdout
    done = penchant("compare", *pair, "--data", TRIPS, "--json")
    (test,) = json.loads(done.stdout)["tests"]
    assert test["test"] == "Vuong"
    assert test["people"] == 976
    assert (test["z"] > 0) == (test["difference"] > 0)
    shown = penchant("compare", *pair, "--data", TRIPS, "--format", "markdown").stdout
    assert shown.startswith("### 8,784 rows of 976 people")
    assert "Vuong's test" in shown


def test_models_of_different_data_are_refused(beliefs: Path, tmp_path: Path):
    done = penchant("fit", CONJOINT, "--formula", "gender", "--out", tmp_path / "other")
    assert done.returncode == 0, done.stderr
    refused = penchant("compare", beliefs / "plain", tmp_path / "other")
    assert refused.returncode == 3
    assert "different data" in " ".join(refused.stderr.replace("│", " ").split())
    assert penchant("compare", beliefs / "plain").returncode == 2


def test_elasticities_of_a_logit_are_equal_across_and_negative_at_home(beliefs: Path):
    done = penchant(
        "elasticities", TRIPS, "-b", beliefs / "plain", "--feature", "cost", "--draws", 20, "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) == 9
    for line in told:
        assert line["low"] < line["value"] < line["high"]
        assert (line["value"] < 0) == (line["changed"] == line["of"])
    again = penchant(
        "elasticities", TRIPS, "-b", beliefs / "plain", "-f", "cost", "--draws", 20, "--json"
    )
    assert again.stdout == done.stdout
    shown = penchant("elasticities", TRIPS, "-b", beliefs / "headway", "-f", "headway").stdout
    assert "headway is 0, or of no effect, for car." in shown
    refused = penchant("elasticities", TRIPS, "-b", beliefs / "plain", "-f", "headway")
    assert refused.returncode == 2
    assert "moves no share" in refused.stderr


def test_component_effects_compare_with_the_level_asked_for():
    done = penchant(
        "effects", CONJOINT, "-a", "gender", "-r", "gender=Male", "--json"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (effect,) = json.loads(done.stdout)["effects"]
    assert (effect["level"], effect["reference"]) == ("Female", "Male")
    assert effect["low"] < effect["effect"] < effect["high"]
    assert 0.005 < effect["effect"] < 0.03


def test_effects_by_a_number_cut_in_two_leave_out_whom_it_is_unknown_of():
    arguments = ("effects", CONJOINT, "-a", "language_skills", "--by", "ethnocentrism>13")
    done = penchant(*arguments)
    assert done.returncode == 0, done.stderr
    assert "1,020 choices are left out" in done.stderr
    assert "do groups differ?" in done.stdout
    told = json.loads(penchant(*arguments, "--means", "--json").stdout)
    groups = {line["group"] for line in told["means"]}
    assert groups == {"ethnocentrism > 13", "ethnocentrism <= 13"}
    assert told["test"]["degrees"] == 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("effects", CONJOINT, "-a", "genders"), 2, "no attribute 'genders'"),
        (("effects", CONJOINT, "--by", "ethnocentrism"), 3, "at most 50"),
        (("effects", CONJOINT, "--by", "height>2"), 2, "no column"),
        (("effects", CONJOINT, "-r", "gender"), 2, "ATTRIBUTE=LEVEL"),
        (("effects", CONJOINT, "-r", "gender=Male", "--means"), 2, "Leave one"),
        (("effects", CONJOINT, "--format", "pdf"), 2, "markdown"),
        (("effects", CONJOINT, "--format", "latex", "--json"), 2, "Leave one"),
        (("fit", TRIPS, "--chains", "2"), 2, "belongs to --model hierarchical"),
        (("fit", TRIPS, "-m", "hierarchical", "--random", "time=lognormal"), 2, "normal tastes"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_mend(arguments, code, words):
    done = penchant(*arguments)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("markdown", "| time | "),
        ("latex", r"\begin{tabular}{lrrrrrrr}"),
        ("html", '<table class="penchant-summary">'),
    ],
)
def test_the_table_of_a_fit_comes_in_every_form(form: str, words: str):
    done = penchant("fit", TRIPS, "--formula", "option + time + cost", "--format", form,
                    "--price", "cost")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(words) >= 1
    assert "less of" in done.stdout


def test_hierarchical_bayes_tells_whether_its_chains_have_met(tmp_path: Path):
    rng = np.random.default_rng(0)
    lines = ["who,task,option,x,chosen"]
    for person in range(30):
        taste = rng.normal(1.0, 1.0)
        for task in range(6):
            x = rng.normal(size=2)
            best = int(np.argmax(taste * x + rng.gumbel(size=2)))
            lines += [f"p{person},{task},{'ab'[k]},{x[k]:.4f},{int(k == best)}" for k in (0, 1)]
    (tmp_path / "trips.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "trips.toml").write_text(
        'layout = "long"\n[rows]\nperson = "who"\nsituation = ["task"]\n[options]\n'
        'option = "option"\nfeatures = ["x"]\n[answer]\nkind = "choice"\ncolumn = "chosen"\n'
    )
    arguments = ("fit", tmp_path / "trips.csv", "-m", "hierarchical", "--formula", "x",
                 "--chains", 2, "--draws", 150)  # fmt: skip
    done = penchant(*arguments, "--json", "--out", tmp_path / "belief")
    assert done.returncode in (0, 4), done.stderr
    told = json.loads(done.stdout)
    assert [line["name"] for line in told["chains"]] == ["x", "sd(x)"]
    for line in told["coefficients"]:
        assert line["low"] < line["estimate"] < line["high"]
        assert line["se"] > 0
        assert line["robust_se"] is None
    for line in told["chains"]:
        assert 0.98 < line["r_hat"] < 1.2
        assert 10 < line["bulk_ess"] <= 1000
    met = all(line["r_hat"] <= 1.01 for line in told["chains"])
    assert (done.returncode == 0) == met
    shown = penchant(*arguments).stdout
    assert "R-hat" in shown
    assert "effective draws" in shown
