"""`penchant simulate`: policies against people, before anybody meets them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from penchant.cli.main import app

FILE = ("--people", "6", "--runs", "2")
FEW = (*FILE, "--tasks", "3")


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
    done = run(tmp_path / "trips.parquet", *FILE, "--formula", "option + time", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["unit"] == "share put in front rightly"
    assert found["num_people"] > 6
    same = run(tmp_path / "trips.parquet", *FILE, "--formula", "option + time", "--json")
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


FOUR_PEOPLE = "person,task,option,price,chosen\n" + "".join(
    f"p{p},{p}-{t},{name},{(p + t * k) % 4},{int(k == t)}\n"
    for p in range(4)
    for t in range(2)
    for k, name in enumerate(("bus", "car"))
)


def test_a_file_of_few_people_is_taken_whole_and_more_of_them_are_not_to_be_had(tmp_path):
    file = tmp_path / "few.csv"
    file.write_text(FOUR_PEOPLE)
    done = run(file, "-p", "greedy", "--json", "--runs", "2")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["num_people"] == 4
    many = run(file, "-p", "greedy", "--people", "5")
    assert many.exit_code == 2
    assert "Give --people 4" in " ".join(many.output.replace("│", " ").split())


def test_options_that_would_change_nothing_are_refused(tmp_path):
    file = tmp_path / "few.csv"
    file.write_text(FOUR_PEOPLE)
    for arguments, said in [
        ((file, "--menu", "3", "--taste-scale", "2"), "--menu, --taste-scale would change nothing"),
        (("--formula", "price"), "--formula would change nothing"),
    ]:
        done = run(*arguments, "-p", "greedy")
        assert done.exit_code == 2
        assert said in " ".join(done.output.replace("│", " ").split())
