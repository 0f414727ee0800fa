"""Every recipe runs in its tiny size, and what it says of the published figures is judged."""

import importlib.util
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from penchant.errors import DataError, MissingExtraError
from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import packaged_file, results, run_recipe, shared_file

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
NAMES = sorted(path.stem for path in RECIPES.glob("*.py"))
# Of these the tiny size is complete enough for the published figures to be met.
HOLD_WHEN_TINY = {"swissmetro_logit", "immigration_component_effects"}


@dataclass(frozen=True)
class TinyConfig:
    seed: int = 0


def load(name):
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up their module by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_runs_in_its_tiny_size(name):
    recipe = load(name)
    try:
        found = recipe.main(recipe.Config.tiny())
    except (DataError, MissingExtraError) as error:
        pytest.skip(str(error))
    # All that was looked for may have failed: then it says that.
    judged = [*found["claims"], *found.get("not_met", ())]
    assert judged
    for claim in judged:
        assert math.isfinite(claim["ours"]), claim
        # Of a bound the other end is open.
        assert (claim["low"], claim["high"]) != (None, None), claim
    json.dumps(found)
    if name in HOLD_WHEN_TINY:
        assert all(claim["holds"] for claim in found["claims"])


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_whose_figures_it_repeats_and_fits_on_a_page(name):
    text = (RECIPES / f"{name}.py").read_text()
    head = load(name).__doc__
    assert "Theirs:" in head or "Their" in head
    assert "Ours" in head
    assert "Tiny" in head
    assert text.count("\n") < 150
    assert ("not_met=" in text) == ("Not met:" in " ".join(head.split()))
    assert f"recipes/{name}.py" in (RECIPES.parent / "docs" / "papers.md").read_text()


def test_the_shell_prints_theirs_beside_ours_and_keeps_them_with_date_and_commit(tmp_path):
    done = subprocess.run(
        [sys.executable, RECIPES / "swissmetro_logit.py", "--tiny", "--seed", "3",
         "--out", tmp_path],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "theirs" in done.stdout
    assert done.stdout.count("holds") == 5
    kept = json.loads((tmp_path / "swissmetro_logit.json").read_text())
    assert kept["config"] == {"complete": False, "seed": 3}
    assert {"date", "commit", "versions", "wall_seconds", "claims"} <= set(kept)
    assert all(claim["holds"] for claim in kept["claims"])


def test_a_recipe_of_which_nothing_was_met_says_so_and_nothing_else(monkeypatch, capsys):
    found = results([], not_met=[no_worse("points", 1.0, 0.5)])
    monkeypatch.setattr(sys, "argv", ["missed"])
    run_recipe("missed.py", TinyConfig, lambda config: found)
    name, _, said, *rest = capsys.readouterr().out.splitlines()
    assert (name, said) == ("missed", "Looked for, and not met:")
    assert sum("theirs" in line for line in rest) == 1
    assert sum("DIFFERS" in line for line in rest) == 1


def test_data_that_are_not_there_are_told_with_the_mend(monkeypatch):
    with pytest.raises(DataError, match="pip install --no-deps no-such-package"):
        packaged_file("no_such_package", "data.csv")
    monkeypatch.delenv("PENCHANT_DATA", raising=False)
    with pytest.raises(DataError, match="export PENCHANT_DATA"):
        shared_file("rankings/game_platforms.parquet")


def test_kept_results_are_of_recipes_that_exist_and_hold_or_say_so():
    for path in (RECIPES / "results").glob("*.json"):
        kept = json.loads(path.read_text())
        assert kept["recipe"] == path.stem
        assert path.stem in NAMES
        assert kept["config"].get("num_customers") is None
        assert all(claim["holds"] is True for claim in kept["claims"]), path.stem
        # What was met after all is a claim.
        assert not any(claim["holds"] for claim in kept.get("not_met", ())), path.stem
