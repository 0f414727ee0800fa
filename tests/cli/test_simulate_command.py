"""`penchant simulate`: policies against people, before anybody meets them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from penchant.beliefs.neural_worths import NeuralConfig
from penchant.cli.main import app
from penchant.errors import ConfigError
from penchant.policies.bandits.menu import MenuBanditConfig
from penchant.policies.bandits.rules import UpperConfidence

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
        (["-p", "greedy/pick/budget=3"], "expected click"),
        (["-p", "greedy/luck=3"], "expected one of floor, exposure, budget"),
        (["-p", "greedy/kinds=1.5"], "whole number"),
        (["-p", "greedy/kinds=nan"], "whole number"),
        (["-p", "greedy/kinds=inf"], "whole number"),
        (["-p", "greedy/network=wide"], "WIDTH or WIDTH:FIRST"),
        (["-p", "greedy/network="], "with its value"),
        (["--person-scale", "0.5"], "--policy thompson/click/person-scale=0.5"),
        (["-p", "greedy/budget=3"], "--cost COLUMN"),
        (["-p", "greedy/exposure=0.1/exposure=0.2"], "each once"),
        (["-p", "greedy/exposure=much"], "expected a number"),
        (["-p", "greedy/exposure=1.5"], "exposure is 1.5"),
    ],
)
def test_policies_that_cannot_be_say_what_was_expected(arguments, expected):
    done = run(*FEW, *arguments)
    assert done.exit_code == 2
    assert expected in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("granted", ["floor=1", "exposure=1", "pick/exposure=1/floor=0.5"])
def test_what_every_option_is_granted_reaches_the_policy(granted):
    named = f"greedy/{granted}"
    done = run(*FEW, "-p", "epsilon:1", "-p", named, "-p", "greedy", "--json")
    assert done.exit_code == 0, done.output
    luck, even, best = json.loads(done.stdout)["standings"]
    assert even["curve"] == pytest.approx(luck["curve"])
    assert even["curve"] != pytest.approx(best["curve"])


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
        (("--cost", "price"), "--cost would change nothing"),
        (("--labelled", "--kinds", "2"), "--kinds would change nothing"),
    ]:
        done = run(*arguments, "-p", "greedy")
        assert done.exit_code == 2
        assert said in " ".join(done.output.replace("│", " ").split())


def test_every_option_reaches_the_worlds_and_the_contenders(monkeypatch):
    """What each changes is looked for in what would be played; nothing is."""
    from penchant.evaluation import arrivals

    met = {}

    def keep(worlds, contenders, *, tick=None):
        met["worlds"], met["contenders"] = worlds, contenders
        raise ConfigError("seen")

    monkeypatch.setattr(arrivals, "compare_arrivals", keep)

    def of(*arguments):
        run(*arguments)
        return met["worlds"], met["contenders"]

    plain, _ = of("--people", 9, "--seed", 4)
    size = lambda worlds: worlds[0].features.shape  # noqa: E731
    assert size(plain) == (90, 5, 6)
    assert len(of("--runs", 3)[0]) == 3
    assert len(of()[0]) == 5
    assert size(of("--people", 9, "--tasks", 4)[0])[0] == 36
    assert size(of("--menu", 3)[0])[1] == 3
    assert size(of("--attributes", 2)[0])[2] == 2
    again, other = of("--people", 9, "--seed", 4)[0], of("--people", 9, "--seed", 5)[0]
    np.testing.assert_array_equal(plain[0].features, again[0].features)
    assert not np.array_equal(plain[0].features, other[0].features)
    # Without tastes every option is as likely; what sets people apart shows within one menu only.
    even = of("--people", 9, "--taste-scale", 0, "--differences", 0)[0][0]
    np.testing.assert_allclose(even.share, 0.2)
    assert of("--people", 9, "--taste-scale", 0)[0][0].share.std() > 0.05
    assert of("--people", 9, "--differences", 0)[0][0].share.std() > 0.05
    bent = of("--people", 9, "--seed", 4, "--curves", 2)[0][0]
    assert (bent.share != plain[0].share).any()
    assert plain[0].cost is None
    priced = of("--people", 9, "--seed", 4, "--priced")[0][0]
    assert (priced.cost[:, 0] == 0).all()
    assert (priced.cost[:, 1:] > 0).all()
    labels = of("--labelled", "--menu", 3, "--attributes", 2, "--people", 9)[0][0]
    assert labels.features.shape == (90, 3, 9)
    assert (labels.share.max(axis=1) == 1).all()
    kinds = of("--people", 9, "--kinds", 3, "--differences", 0, "--seed", 4)[0][0]
    assert (kinds.share != of("--people", 9, "--differences", 0, "--seed", 4)[0][0].share).any()
    _, contenders = of("-p", "ucb:3/click/person-scale=0.7")
    assert [one.told for one in contenders] == ["click"]
    assert contenders[0].rule == UpperConfidence(width=3.0)


@pytest.mark.parametrize(
    ("setting", "config"),
    [
        ("prior-scale=3", MenuBanditConfig(prior_scale=3.0)),
        ("person-scale=0.7", MenuBanditConfig(person_scale=0.7)),
        ("half-life=50", MenuBanditConfig(half_life=50.0)),
        ("kinds=3", MenuBanditConfig(num_kinds=3)),
        ("kinds=2/kind-scale=2", MenuBanditConfig(num_kinds=2, kind_scale=2.0)),
        ("network=8:30", MenuBanditConfig(network=NeuralConfig(width=8, first=30))),
    ],
)
def test_every_setting_behind_a_policy_reaches_its_bandit(setting, config):
    from penchant.cli.bandit_options import SETTINGS, read_settings

    assert read_settings(setting.split("/")) == (config, {})
    assert config != MenuBanditConfig()
    assert read_settings(["budget=3", "floor=0.1", "exposure=0.2"])[1] == {
        "budget": 3.0, "floor": 0.1, "exposure": 0.2
    }  # fmt: skip
    assert {*SETTINGS} == {"floor", "exposure", "budget", "prior-scale", "person-scale",
                           "half-life", "kinds", "kind-scale", "network"}  # fmt: skip


def test_a_budget_is_spent_on_what_stands_in_front_and_not_beyond(tmp_path):
    done = run(*FEW, "--priced", "-p", "greedy/click", "-p", "greedy/budget=2", "--json",
               "--out", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    free, paid = json.loads(done.stdout)["standings"]
    assert free["spent"] * 18 > 2.0
    assert 0 < paid["spent"] * 18 <= 2.0
    assert "spent a round" in (tmp_path / "out" / "simulate.html").read_text()
    table = run(*FEW, "--priced", "-p", "greedy/budget=2")
    assert "spent" in table.output
    file = tmp_path / "few.csv"
    file.write_text(FOUR_PEOPLE)
    real = run(file, "-p", "greedy/budget=3", "--cost", "price", "--formula", "option", "--json",
               "--runs", "2")  # fmt: skip
    assert real.exit_code == 0, real.output
    assert 0 < json.loads(real.stdout)["standings"][0]["spent"] * 8 <= 3.0


def test_costs_that_are_no_costs_are_refused(tmp_path):
    file = tmp_path / "few.csv"
    file.write_text(FOUR_PEOPLE.replace(",0,", ",-1,"))
    done = run(file, "-p", "greedy/budget=3", "--cost", "price", "--formula", "option")
    assert done.exit_code == 3
    assert "numbers of 0 or more" in " ".join(done.output.replace("│", " ").split())
