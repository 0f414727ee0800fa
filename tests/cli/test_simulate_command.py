"""`penchant simulate`: policies against people, before anybody meets them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from penchant.cli.main import app

FEW = ("--people", "6", "--runs", "2", "--tasks", "3")


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_simulated_people_rank_policies_in_a_table_and_on_a_page(tmp_path):
    done = run(*FEW, "-p", "thompson/click", "-p", "greedy", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "greedy" in done.output
    kept = json.loads((tmp_path / "out" / "simulate.json").read_text())
    assert [one["name"] for one in kept["standings"]] == ["thompson/click", "greedy"]
    assert kept["num_rounds"] == 18
    assert "Policies that learn" in (tmp_path / "out" / "simulate.html").read_text()


def test_choices_in_a_file_are_real_people_who_come_in_another_order_each_run(tmp_path):
    from penchant.data.readers.native import save
    from penchant.data.samples import swissmetro

    save(swissmetro().take(np.arange(0, 8784, 30)), tmp_path / "trips.parquet")
    done = run(tmp_path / "trips.parquet", *FEW, "--formula", "option + time", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["unit"] == "share put in front rightly"
    assert found["num_people"] > 6
    same = run(tmp_path / "trips.parquet", *FEW, "--formula", "option + time", "--json")
    assert json.loads(same.stdout) == found


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "luck"], "thompson"),
        (["-p", "greedy/thumb"], "pick, clicks, click"),
        (["-p", "greedy", "-p", "greedy"], "of their own"),
    ],
)
def test_policies_that_cannot_be_say_what_was_expected(arguments, expected):
    done = run(*FEW, *arguments)
    assert done.exit_code == 2
    assert expected in " ".join(done.output.replace("│", " ").split())
