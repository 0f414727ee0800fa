"""`penchant ope` as installed: its table, its JSON, its folder, and what it refuses."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penchant.simulation.decisions import DecisionWorld
from penchant.simulation.slates import SlateWorld

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
DESCRIPTION = """layout = "decisions"
[rows]
context = ["x"]
[options]
option = "menu"
propensity = "p"
features = ["target"]
[answer]
column = "click"
action = "action"
"""


def penchant(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "COLUMNS": "200"}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = DecisionWorld().draw(2000, np.random.default_rng(0))
    square = {
        name: records.options[name].to_numpy(zero_copy_only=False).reshape(-1, 4)
        for name in ("propensity", "target", "success")
    }
    action = np.argmin(np.isnan(square["success"]), axis=1)
    rows = np.arange(len(action))
    folder = tmp_path_factory.mktemp("ope")
    pq.write_table(
        pa.table({
            "menu": [list("abcd")] * len(action), "p": list(square["propensity"]),
            "target": list(square["target"]), "x": records.rows["x"],
            "action": action, "click": square["success"][rows, action].astype(int),
            "shown": [list("abcd")[a] for a in action],
            "chance": square["propensity"][rows, action],
        }),
        folder / "log.parquet",
    )  # fmt: skip
    (folder / "log.toml").write_text(DESCRIPTION)
    return folder / "log.parquet"


def test_json_tells_every_estimate_and_the_interval_holds(log):
    done = penchant("ope", log, "--policy", "uniform", "--policy", "new=column:target", "--json",
                    "--formula", "option + x + option:x")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["rounds"] == 2000
    assert [one["policy"] for one in document["policies"]] == ["uniform", "new"]
    new = document["policies"][1]
    assert new["quoted"] == "doubly robust"
    assert new["low"] < DecisionWorld().true_value() < new["high"]
    assert len(new["estimates"]) == 8
    assert document["choice"]["best"] == "new"


def test_the_columns_of_a_log_can_be_named_in_the_shell_alone(log, tmp_path):
    bare = tmp_path / "bare.parquet"
    bare.write_bytes(log.read_bytes())
    roles = ["layout=decisions", "rows.context=x", "options.option=menu", "options.propensity=p",
             "options.features=target", "answer.column=click", "answer.action=action"]  # fmt: skip
    typed = [word for role in roles for word in ("--role", role)]
    policy = ["--policy", "column:target", "--json", "--formula", "option + x"]
    done = penchant("ope", bare, *policy, *typed)
    assert done.returncode == 0, done.stderr
    said, described = json.loads(done.stdout), json.loads(penchant("ope", log, *policy).stdout)
    assert said["rounds"] == described["rounds"] == 2000
    assert said["policies"] == described["policies"]


def test_the_table_and_the_folder_say_the_same(log, tmp_path):
    done = penchant("ope", log, "--policy", "column:target", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    saved = json.loads((tmp_path / "out" / "ope.json").read_text(encoding="utf-8"))
    page = (tmp_path / "out" / "ope.html").read_text(encoding="utf-8")
    for one in saved["policies"][0]["estimates"]:
        assert f"{one['value']:.4f}" in done.stdout
        assert f"{one['value']:.4f}" in page
    assert saved["policies"][0]["findings"][0]["text"] in done.stdout
    assert "Reward model: " in done.stderr


def test_a_fitted_model_is_a_policy(log, tmp_path):
    # Clicks as answers to one option each: a model of what is clicked.
    table = pq.read_table(log)
    pq.write_table(table.select(["shown", "click", "x"]), tmp_path / "seen.parquet")
    (tmp_path / "seen.toml").write_text(
        'layout = "decisions"\n[rows]\ncontext = ["x"]\n[options]\noption = "shown"\n'
        '[answer]\ncolumn = "click"\nkind = "binary"\n'
    )
    from penchant.data.readers.read import read
    from penchant.encoders.table import TableEncoder
    from penchant.feedback.channel_option import Binary
    from penchant.fitting.pooled import fit_pooled

    records = read(tmp_path / "seen.parquet", tmp_path / "seen.toml").records
    encoder = TableEncoder("option + x + option:x", unseen="reference").fit(records)
    fit_pooled(encoder.encode(records), channels=(Binary(),), encoder=encoder).save(
        tmp_path / "model"
    )
    policies = [f"greedy:{tmp_path}/model", f"cold=softmax:{tmp_path}/model:0.1",
                f"careful=epsilon:{tmp_path}/model:0.2"]  # fmt: skip
    said = [word for one in policies for word in ("--policy", one)]
    done = penchant("ope", log, *said, "--json")
    assert done.returncode == 0, done.stderr
    value = {one["policy"]: one["value"] for one in json.loads(done.stdout)["policies"]}
    greedy = value[f"greedy:{tmp_path}/model"]
    assert greedy > value["careful"]
    assert abs(greedy - value["cold"]) < 0.05


def test_a_log_of_what_was_shown_alone_is_judged_by_weights_or_with_menus_completed(log, tmp_path):
    table = pq.read_table(log)
    pq.write_table(table.select(["shown", "chance", "click", "x"]), tmp_path / "shown.parquet")
    (tmp_path / "shown.toml").write_text(
        'layout = "decisions"\n[rows]\ncontext = ["x"]\n[options]\noption = "shown"\n'
        'propensity = "chance"\n[answer]\ncolumn = "click"\n'
    )
    done = penchant("ope", tmp_path / "shown.parquet", "--policy", "logged", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {e["estimator"] for e in document["policies"][0]["estimates"]} == {
        "ips", "clipped ips", "snips",
    }  # fmt: skip
    alone = penchant("ope", tmp_path / "shown.parquet", "--policy", "uniform")
    assert alone.returncode == 3
    assert "--menu seen" in " ".join(alone.stderr.replace("│", " ").split())
    whole = penchant("ope", tmp_path / "shown.parquet", "--policy", "uniform", "--menu", "seen",
                     "--json", "--formula", "option + x + option:x")  # fmt: skip
    same = penchant("ope", log, "--policy", "uniform", "--json", "--formula",
                    "option + x + option:x")  # fmt: skip
    one, two = (json.loads(d.stdout)["policies"][0]["value"] for d in (whole, same))
    assert one == pytest.approx(two, abs=1e-6)


def test_a_column_that_no_description_names_is_a_policy_all_the_same(log, tmp_path):
    said = tmp_path / "less.toml"
    said.write_text(DESCRIPTION.replace('features = ["target"]\n', ""))
    arguments = ("ope", log, "--policy", "column:target", "--formula", "none", "--json")
    one, two = (
        json.loads(penchant(*arguments, *more).stdout)
        for more in ((), ("--description", said))
    )  # fmt: skip
    assert one["policies"] == two["policies"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--policy", "best"], 2, "expected one of uniform"),
        (["--policy", "uniform", "--policy", "uniform"], 2, "name one"),
        (["--policy", "column:nothing"], 3, "no column 'nothing'"),
        (["--policy", "uniform", "--interval", "exact"], 2, "expected one of normal"),
        (["--policy", "uniform", "--menu", "all"], 2, "seen:COLUMN"),
        (["--policy", "greedy:nowhere"], 3, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_mend(log, arguments, code, words):
    done = penchant("ope", log, *arguments)
    assert done.returncode == code, done.stderr
    assert words in " ".join(done.stderr.replace("│", " ").split())


@pytest.fixture(scope="module")
def slates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two places of five items drawn one by one, clicks, whole menus, a line an option."""
    records = SlateWorld(reading="cascade").draw(4000, np.random.default_rng((0, 8)))
    table = records.options.append_column("round", pa.array(np.repeat(np.arange(4000), 5)))
    folder = tmp_path_factory.mktemp("slates")
    pq.write_table(table, folder / "slates.parquet")
    (folder / "slates.toml").write_text(
        'layout = "long"\n[rows]\nsituation = ["round"]\n[options]\noption = "option"\n'
        'position = "position"\npropensity = "propensity"\nfeatures = []\n'
        '[answer]\ncolumn = "success"\nkind = "binary"\n'
    )
    return folder / "slates.parquet"


def test_a_log_of_slates_is_judged_place_by_place(slates, tmp_path):
    done = penchant("ope", slates, "-p", "new=column:target", "-p", "uniform", "--json",
                    "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    new = document["policies"][0]
    assert [e["estimator"] for e in new["estimates"]] == [
        "slate ips", "cascade ips", "independent ips", "cascade doubly robust", "pseudo-inverse"
    ]  # fmt: skip
    assert new["quoted"] == "cascade doubly robust"
    assert new["low"] < SlateWorld(reading="cascade").true_value() < new["high"]
    assert document["choice"]["best"] == "new"
    assert "cascade ips" in (tmp_path / "out" / "ope.html").read_text(encoding="utf-8")
    told = penchant("ope", slates, "-p", "column:target", "--level", "0.5", "--json")
    half = json.loads(told.stdout)["policies"][0]
    assert half["high"] - half["low"] < 0.4 * (new["high"] - new["low"])


def test_the_reward_model_of_slates_is_said_as_that_of_single_decisions_is(slates):
    def found(*more):
        done = penchant("ope", slates, "-p", "column:target", "--json", *more)
        assert done.returncode == 0, done.stderr
        estimates = json.loads(done.stdout)["policies"][0]["estimates"]
        return {one["estimator"]: one["value"] for one in estimates}

    plain, folds = found(), found("--folds", "5")
    assert folds["cascade doubly robust"] != plain["cascade doubly robust"]
    assert folds["cascade ips"] == plain["cascade ips"]
    assert "cascade doubly robust" not in found("--formula", "none")
    assert found("--formula", "option")["cascade doubly robust"] == plain["cascade doubly robust"]


def test_options_that_slates_have_no_use_for_are_refused(slates, log):
    done = penchant("ope", slates, "-p", "uniform", "--formula", "none", "--interval", "anytime")
    assert done.returncode == 2
    assert "--interval would change nothing" in done.stderr
    done = penchant("ope", slates, "-p", "uniform", "--places", "each", "--folds", "3")
    assert done.returncode == 2
    assert "--folds would change nothing" in done.stderr
    done = penchant("ope", slates, "-p", "uniform", "--formula", "none", "--folds", "3")
    assert done.returncode == 2
    assert "--folds would change nothing" in done.stderr
    done = penchant("ope", slates, "-p", "column:target", "--places", "each")
    assert done.returncode == 0, done.stderr
    done = penchant("ope", slates, "-p", "uniform", "--places", "both")
    assert done.returncode == 2
    assert "drawn or each" in done.stderr
    done = penchant("ope", log, "-p", "uniform", "--places", "each")
    assert done.returncode == 2
    assert "--places would change nothing" in done.stderr
