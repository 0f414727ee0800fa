"""The installed command, run as a user runs it: what it prints, writes and ends with."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
DESCRIPTION = """
layout = "wide"
[rows]
person = "who"
person_features = ["age"]
context = ["purpose"]
[options]
alternatives = ["bus", "car"]
[answer]
kind = "choice"
column = "choice"
[codes]
1 = "bus"
2 = "car"
[features.time]
bus = "bus_time"
car = "car_time"
[features.cost]
bus = "bus_cost"
car = "car_cost"
"""
TRUTH = {"time": -0.1, "cost": -0.5}


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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """trips.csv with its description: 80 people, 6 choices each, one taste for all."""
    rng = np.random.default_rng(7)
    people, tasks = 80, 6
    size = people * tasks
    time, cost = rng.uniform(10, 60, (size, 2)), rng.uniform(1, 9, (size, 2))
    worth = TRUTH["time"] * time + TRUTH["cost"] * cost + rng.gumbel(size=(size, 2))
    lines = ["who,age,purpose,bus_time,car_time,bus_cost,car_cost,choice"]
    for b in range(size):
        purpose = ("work", "leisure")[int(rng.integers(2))]
        numbers = ",".join(f"{x:.3f}" for x in (*time[b], *cost[b]))
        lines.append(
            f"p{b // tasks},{20 + b // tasks % 40},{purpose},{numbers},{worth[b].argmax() + 1}"
        )
    place = tmp_path_factory.mktemp("cli")
    (place / "trips.csv").write_text("\n".join(lines) + "\n")
    (place / "trips.toml").write_text(DESCRIPTION)
    return place


@pytest.fixture(scope="module")
def belief(folder: Path) -> Path:
    done = penchant("fit", folder / "trips.csv", "--out", folder / "belief", "--price", "cost")
    assert done.returncode == 0, done.stderr
    assert "time" in done.stdout
    assert "What people would pay" in done.stdout
    whole, fit = map(
        float, re.search(r"([\d.]+) s from the shell.* ([\d.]+) s", done.stderr).groups()
    )
    assert 0 < fit < whole < 60
    return folder / "belief"


def test_fit_prints_the_promised_document_and_finds_the_truth(folder: Path):
    done = penchant("fit", folder / "trips.csv", "--model", "pooled", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert list(document) == ["model", "coefficients", "fit", "warnings"]
    assert document["model"] == "pooled"
    assert set(document["fit"]) == {
        "log_likelihood", "rows", "people", "parameters", "aic", "bic", "converged", "seconds"
    }  # fmt: skip
    assert document["fit"]["rows"] == 480
    assert document["fit"]["people"] == 80
    assert document["fit"]["converged"] is True
    found = {line["name"]: line for line in document["coefficients"]}
    assert set(found) == {"option[car]", "time", "cost"}
    for name, truth in TRUTH.items():
        line = found[name]
        assert set(line) == {"name", "estimate", "se", "robust_se", "low", "high"}
        assert abs(line["estimate"] - truth) < 3.5 * line["robust_se"]
        assert line["low"] < line["estimate"] < line["high"]


def test_fit_leaves_a_folder_that_says_the_same(belief: Path):
    names = {path.name for path in belief.iterdir()}
    assert {"belief.json", "belief.safetensors", "description.toml", "fit.json", "fit.txt"} <= names
    document = json.loads((belief / "fit.json").read_text())
    assert "log-likelihood" in (belief / "fit.txt").read_text()
    worth = json.loads((belief / "willingness.json").read_text())
    assert worth[0]["feature"] == "time"
    assert worth[0]["low"] < TRUTH["time"] / TRUTH["cost"] < worth[0]["high"]
    assert document["fit"]["people"] == 80


def test_context_model_asks_what_each_feature_is_worth_in_each_situation(folder: Path):
    done = penchant("fit", folder / "trips.csv", "-m", "context", "--json")
    names = [line["name"] for line in json.loads(done.stdout)["coefficients"]]
    assert any("time:purpose" in name for name in names)
    assert any("cost:scale(age)" in name for name in names)


def test_shrunk_terms_are_fitted_and_judged(folder: Path):
    said = ("--formula", "time + cost", "--shrunk", "time:purpose", "--json")
    done = penchant("fit", folder / "trips.csv", *said)
    names = [line["name"] for line in json.loads(done.stdout)["coefficients"]]
    assert names[:2] == ["time", "cost"]
    assert any("time:purpose" in name for name in names[2:])
    # Judged as they are fitted: the model that ignores them foretells otherwise.
    judged = penchant("evaluate", folder / "trips.csv", *said, "--folds", 2)
    plain = penchant("evaluate", folder / "trips.csv", *said[:2], "--json", "--folds", 2)
    one, two = (json.loads(each.stdout)["ladder"][-1]["nll"] for each in (judged, plain))
    assert one != two


def test_probabilities_of_each_menu_sum_to_one(folder: Path, belief: Path):
    done = penchant("predict", folder / "trips.csv", "--belief", belief, "--json")
    assert done.returncode == 0, done.stderr
    lines = json.loads(done.stdout)
    assert len(lines) == 2 * 480
    assert set(lines[0]) == {"row", "person", "option", "probability"}
    sums = np.bincount([x["row"] for x in lines], [x["probability"] for x in lines])
    np.testing.assert_allclose(sums, 1.0)


def test_predictions_go_to_the_file_asked_for(folder: Path, belief: Path):
    out = folder / "predictions.csv"
    done = penchant("predict", folder / "trips.csv", "-b", belief, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert out.read_text().count("\n") == 961


def test_a_dearer_bus_loses_and_its_riders_with_it(folder: Path, belief: Path):
    done = penchant(
        "what-if", folder / "trips.csv", "-b", belief, "--set", "bus.cost*=1.5",
        "--price", "cost", "--by", "purpose", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    change = {share["option"]: share["change"] for share in result["shares"]}
    assert change["bus"] < -0.01
    assert change["bus"] + change["car"] == pytest.approx(0.0, abs=1e-9)
    assert {group["group"] for group in result["welfare"]} == {"work", "leisure"}
    assert all(group["mean"] < 0 for group in result["welfare"])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("fit",), 2, "Missing argument"),
        (("fit", "trips.csv", "--model", "nonsense"), 2, "expected one of: pooled"),
        (("fit", "trips.csv", "--random", "time=normal"), 2, "belongs to --model mixed"),
        (("fit", "trips.csv", "-m", "mixed", "--random", "time=cauchy"), 2, "expected one of"),
        (("fit", "trips.csv", "--formula", "option + tyme"), 3, "tyme"),
        (("fit", "nowhere.csv"), 3, "there is no file"),
        (("fit", "trips.csv", "-d", "other.toml"), 3, "no_such_column"),
        (("predict", "trips.csv", "--belief", "."), 3, "is not a belief"),
        (("what-if", "trips.csv", "-b", "belief", "--set", "cost up"), 2, "--set got 'cost up'"),
        (("what-if", "trips.csv", "-b", "belief", "--set", "tram.cost*=2"), 2, "tram"),
        (("describe", "trips.csv", "--out", "trips.toml"), 2, "is there already"),
    ],
)
def test_what_goes_wrong_ends_with_its_code_and_one_clear_panel(
    folder: Path, belief: Path, arguments: tuple[str, ...], code: int, words: str
):
    (folder / "other.toml").write_text(DESCRIPTION.replace('"who"', '"no_such_column"'))
    place = [str(folder / a) if (folder / a).exists() else a for a in arguments[1:]]
    done = penchant(arguments[0], *place)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_where_an_error_came_from(folder: Path):
    done = penchant("fit", folder / "trips.csv", "--formula", "tyme", "--debug")
    assert done.returncode == 3
    assert "Traceback" in done.stderr


def test_a_first_guess_can_be_fitted_at_once(folder: Path):
    guessed = penchant("describe", folder / "trips.csv")
    assert guessed.returncode == 0, guessed.stderr
    (folder / "guess.toml").write_text(guessed.stdout)
    done = penchant("fit", folder / "trips.csv", "-d", folder / "guess.toml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fit"]["rows"] == 480


def test_bad_rows_are_set_aside_and_the_rest_is_fitted(folder: Path):
    text = (folder / "trips.csv").read_text().splitlines()
    text[5] = text[5].rsplit(",", 1)[0] + ",9"
    (folder / "spoilt.csv").write_text("\n".join(text) + "\n")
    (folder / "spoilt.toml").write_text(DESCRIPTION)
    strict = penchant("fit", folder / "spoilt.csv")
    assert strict.returncode == 3
    assert "9" in strict.stderr
    lenient = penchant("fit", folder / "spoilt.csv", "--on-bad-rows", "quarantine", "--json")
    assert lenient.returncode == 0, lenient.stderr
    assert json.loads(lenient.stdout)["fit"]["rows"] == 479
    assert (folder / "spoilt.quarantined.csv").read_text().count("\n") == 2


def test_a_report_is_one_page_that_names_every_coefficient(folder: Path, belief: Path):
    out = folder / "page.html"
    done = penchant(
        "report", folder / "trips.csv", "-b", belief, "--out", out, "--price", "cost",
        "--by", "purpose",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    for words in ("option[car]", "no difference by purpose", "What one unit less of time is worth"):
        assert words in page


def test_a_report_of_classes_shows_each_kind_of_people_by_its_own_price(
    folder: Path, tmp_path: Path
):
    done = penchant(
        "fit", folder / "trips.csv", "--model", "classes", "--classes", "2", "--out", tmp_path / "b"
    )
    assert done.returncode in (0, 4), done.stderr
    page = tmp_path / "report.html"
    done = penchant(
        "report", folder / "trips.csv", "-b", tmp_path / "b", "--price", "cost", "--out", page
    )
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "of people would pay" in text
    assert "kinds of people, each as high as its share" in text
    assert "half are above" not in text


def test_a_report_names_a_taste_that_follows_the_context_and_claims_no_more(
    folder: Path, tmp_path: Path
):
    said = ("--formula", "option + time + cost + cost:purpose")
    fitted = penchant("fit", folder / "trips.csv", *said, "--out", tmp_path / "belief")
    assert fitted.returncode == 0, fitted.stderr
    page = tmp_path / "report.html"
    drawn = penchant(
        "report", folder / "trips.csv", "-b", tmp_path / "belief", "--price", "cost", "--out", page
    )
    assert drawn.returncode == 0, drawn.stderr
    text = page.read_text()
    assert "The coefficients: taste by context" in text
    assert "Grey bars: what the model expects of each person in their situations" in text
    assert "from their answers" not in text


def test_help_and_version_do_not_load_the_library():
    code = (
        "import sys; sys.argv = ['penchant', '--help']\n"
        "from penchant.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pyarrow', 'torch', 'numba', 'pandas'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout
    assert penchant("--version").stdout.strip() == "0.1.0"


def test_no_torch_in_the_process_of_a_fit(folder: Path):
    code = (
        "import sys; sys.argv = ['penchant', 'fit', sys.argv[1], '--json']\n"
        "from penchant.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "trips.csv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_pipe_that_closes_early_is_no_error(folder: Path, belief: Path):
    script = f"{COMMAND} predict {folder / 'trips.csv'} -b {belief} --json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_fit_whose_notes_nobody_reads_is_finished_all_the_same(folder: Path, tmp_path: Path):
    script = f"{COMMAND} fit {folder / 'trips.csv'} --out {tmp_path / 'out'} 2>&1 | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], check=False)
    assert done.returncode == 0
    assert (tmp_path / "out" / "fit.json").is_file()


def test_roles_can_be_named_in_the_shell_alone(tmp_path: Path):
    rng = np.random.default_rng(3)
    lines = ["k,grp,alt,took,zz"]
    for row in range(120):
        price = rng.uniform(1, 9, 2)
        best = int(np.argmax(-0.5 * price + rng.gumbel(size=2)))
        lines += [f"{row},u{row // 6},{'pq'[k]},{int(k == best)},{price[k]:.3f}" for k in (0, 1)]
    (tmp_path / "odd.csv").write_text("\n".join(lines) + "\n")
    roles = ["layout=long", "rows.person=grp", "rows.situation=k", "options.option=alt",
             "answer.kind=choice", "answer.column=took", "options.features=zz"]  # fmt: skip
    typed = [word for role in roles for word in ("--role", role)]
    done = penchant("fit", tmp_path / "odd.csv", *typed, "--out", tmp_path / "belief", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["fit"]["rows"], said["fit"]["people"]) == (120, 20)
    worth = {each["name"]: each["estimate"] for each in said["coefficients"]}
    assert worth["zz"] == pytest.approx(-0.5, abs=0.25)
    # What was typed stays with the belief, and can be written down.
    again = penchant("predict", tmp_path / "odd.csv", "-b", tmp_path / "belief", "--json")
    assert again.returncode == 0, again.stderr
    written = penchant("describe", tmp_path / "odd.csv", *typed, "--out", tmp_path / "odd.toml")
    assert written.returncode == 0, written.stderr
    of_file = penchant("fit", tmp_path / "odd.csv", "--json")
    assert json.loads(of_file.stdout)["coefficients"] == said["coefficients"]
    wrong = penchant("fit", tmp_path / "odd.csv", "--role", "took")
    assert wrong.returncode == 2
    assert "expected PLACE=COLUMN" in wrong.stderr
    twice = penchant("fit", tmp_path / "odd.csv", "--role", "rows.time=k", "--role", "rows.time=zz")
    assert twice.returncode == 2
    assert "names rows.time twice" in " ".join(twice.stderr.replace("│", " ").split())
