"""Ctrl-C in the middle of a fit, and the same command once more."""

import json
import os
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from penchant.cli.main import app
from penchant.models.hierarchical_logit import HierarchicalLogit

COMMAND = str(Path(sysconfig.get_path("scripts")) / "penchant")
DESCRIPTION = """
layout = "long"
[rows]
person = "who"
situation = ["task"]
[options]
option = "option"
features = ["x", "y"]
[answer]
kind = "choice"
column = "chosen"
"""


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    lines = ["who,task,option,x,y,chosen"]
    for person in range(30):
        taste = rng.normal(1.0, 1.0)
        for task in range(6):
            x, y = rng.normal(size=(2, 2))
            best = int(np.argmax(taste * x + 0.5 * y + rng.gumbel(size=2)))
            lines += [
                f"p{person},{task},{'ab'[k]},{x[k]:.4f},{y[k]:.4f},{int(k == best)}" for k in (0, 1)
            ]
    folder = tmp_path_factory.mktemp("trips")
    (folder / "trips.csv").write_text("\n".join(lines) + "\n")
    (folder / "trips.toml").write_text(DESCRIPTION)
    return folder / "trips.csv"


def command(trips: Path, out: Path | None, *more: str) -> list[str]:
    kept = [] if out is None else ["--out", str(out)]
    return [COMMAND, "fit", str(trips), "-m", "hierarchical", "--formula", "x + y",
            "--chains", "2", "--draws", "150", *kept, *more]  # fmt: skip


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)


def interrupted(words: list[str], when: Path) -> subprocess.CompletedProcess[str]:
    """Run until the file is there, then press Ctrl-C."""
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    for _ in range(3000):
        if when.exists() or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def plain(folder: Path) -> dict[str, object]:
    document = json.loads((folder / "fit.json").read_text())
    document["fit"].pop("seconds")
    return document


def test_ctrl_c_keeps_the_finished_chains_and_the_same_command_takes_them_up(
    trips: Path, tmp_path: Path
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    unbroken = run(command(trips, whole))
    assert unbroken.returncode in (0, 4), unbroken.stderr
    assert not (whole / "unfinished").exists()
    stopped = interrupted(command(trips, broken), broken / "unfinished" / "chain-1-of-2.npz")
    assert stopped.returncode == 130, stopped.stderr
    said = " ".join(stopped.stderr.split())
    assert "Interrupted. Kept in" in said
    assert "chain 1 of 2" in said
    assert stopped.stdout == ""
    assert not (broken / "fit.json").exists()
    resumed = run(command(trips, broken))
    assert resumed.returncode == unbroken.returncode
    assert "Taken up from an interrupted run: chain 1 of 2" in " ".join(resumed.stderr.split())
    assert plain(broken) == plain(whole)
    assert not (broken / "unfinished").exists()


def test_another_fit_into_the_same_folder_begins_anew(trips: Path, tmp_path: Path):
    out = tmp_path / "out"
    stopped = interrupted(command(trips, out), out / "unfinished" / "chain-1-of-2.npz")
    assert stopped.returncode == 130, stopped.stderr
    other = run(command(trips, out, "--seed", "7"))
    assert "Taken up" not in other.stderr
    assert not (out / "unfinished").exists()


def test_without_a_folder_ctrl_c_says_that_nothing_is_kept(
    trips: Path, monkeypatch: pytest.MonkeyPatch
):
    def pressed(self: HierarchicalLogit, data: object, *, checkpoint: object = None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(HierarchicalLogit, "fit", pressed)
    done = CliRunner().invoke(app, command(trips, None)[1:])
    assert done.exit_code == 130, done.output
    assert "Interrupted. Nothing is kept without --out." in " ".join(done.stderr.split())
    assert done.stdout == ""
