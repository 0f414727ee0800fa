"""`--model neural` in the shell: fitted, judged, interrupted, taken up; asked for without torch."""

import importlib.util
import json
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest

COMMAND = str(Path(sysconfig.get_path("scripts")) / "penchant")
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="training a network needs torch"
)
DESCRIPTION = """
layout = "long"
[rows]
person = "who"
situation = ["task"]
context = ["mood"]
[options]
option = "option"
features = ["x"]
[answer]
kind = "choice"
column = "chosen"
"""


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What x is worth turns with the mood, which no formula was told."""
    rng = np.random.default_rng(0)
    lines = ["who,task,mood,option,x,chosen"]
    for person in range(60):
        for task in range(8):
            mood, x = rng.integers(2), rng.normal(size=2)
            best = int(np.argmax((2.0 if mood else -2.0) * x + rng.gumbel(size=2)))
            lines += [
                f"p{person},{task},{('low', 'high')[mood]},{'ab'[k]},{x[k]:.4f},{int(k == best)}"
                for k in (0, 1)
            ]
    folder = tmp_path_factory.mktemp("neural")
    (folder / "trips.csv").write_text("\n".join(lines) + "\n")
    (folder / "trips.toml").write_text(DESCRIPTION)
    return folder / "trips.csv"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300, check=False
    )


@needs_torch
def test_a_network_finds_what_the_formula_was_not_told(trips: Path):
    done = run("evaluate", trips, "-m", "pooled", "-m", "neural", "--folds", 2, "--json")
    assert done.returncode == 0, done.stderr
    pairs = json.loads(done.stdout)["differences"]
    last = pairs[-1]
    assert (last["model"], last["against"]) == ("neural", "pooled")
    assert last["high"] < -0.1


@needs_torch
def test_an_interrupted_training_is_taken_up_and_ends_as_it_would_have(trips: Path, tmp_path: Path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    words = ("fit", trips, "-m", "neural", "--out")
    unbroken = run(*words, whole)
    assert unbroken.returncode in (0, 4), unbroken.stderr
    assert "What one unit more is worth" in unbroken.stdout
    process = subprocess.Popen(
        [COMMAND, *map(str, (*words, broken))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for _ in range(3000):
        if list(broken.glob("unfinished/*/network_1/*.safetensors")) or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "The same command goes on from there" in " ".join(err.split())
    assert out == ""
    resumed = run(*words, broken)
    assert resumed.returncode == unbroken.returncode
    assert "Taken up from an interrupted run" in resumed.stderr
    first, second = (json.loads((folder / "fit.json").read_text()) for folder in (whole, broken))
    assert first["slopes"] == second["slopes"]
    assert first["fit"]["log_likelihood"] == second["fit"]["log_likelihood"]
    assert [slope["feature"] for slope in first["slopes"]] == ["x"]
    for folder in (whole, broken):
        assert not (folder / "unfinished").exists()


def test_without_torch_the_extra_is_named(trips: Path):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "sys.argv = ['penchant', 'fit', sys.argv[1], '--model', 'neural']\n"
        "from penchant.cli.main import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(trips)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'penchant[torch]'" in " ".join(done.stderr.replace("│", " ").split())


def test_what_a_network_has_no_use_for_is_refused(trips: Path):
    done = run("fit", trips, "-m", "neural", "--random", "x")
    assert done.returncode == 2
    other = run("fit", trips, "-m", "pooled", "--context", "mood")
    assert other.returncode == 2
    assert "--context belongs to --model neural" in " ".join(other.stderr.split())
