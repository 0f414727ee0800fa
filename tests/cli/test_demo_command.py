"""The demo, small: every part of it is there, and the parts agree."""

import json
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from penchant.cli.demo import RECORDED_SEED, RECORDED_TREES, SharedFits, _collect
from penchant.cli.demo_models import LONDON, REFERENCE, SWISSMETRO, Settings
from penchant.data.samples import swissmetro

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [str(COMMAND), "demo", "--quick", "--out", str(out)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nats per choice" in done.stdout
    return out


def test_the_ladder_is_a_list_of_the_promised_rows(made: Path):
    rows = json.loads((made / "ladder.json").read_text())
    assert {row["model"] for row in rows} == set(SWISSMETRO.models)
    for row in rows:
        assert list(row) == ["model", "split", "nll", "nll_low", "nll_high", "accuracy", "ece",
                             "people", "choices"]  # fmt: skip
        assert row["nll_low"] < row["nll"] < row["nll_high"]
    assert {row["split"] for row in rows} == {"new_people", "known_people"}
    of_split = {row["split"]: row["choices"] for row in rows}
    assert of_split["new_people"] == 3 * of_split["known_people"]
    london = json.loads((made / "ladder_london.json").read_text())
    assert {row["model"] for row in london} == set(LONDON.models)
    assert {row["split"] for row in london} == {"new_people", "known_people"}


def test_every_rung_of_a_ladder_is_put_into_words():
    for study in (SWISSMETRO, LONDON):
        assert list(study.rungs) == [model for model in study.models if model != REFERENCE]


def test_the_report_shows_the_ladder_and_what_follows_from_it(made: Path):
    page = (made / "report.html").read_text()
    for words in ("quick demo", "London", "What if Swissmetro cost 20 % more?", "Bierlaire",
                  "an hour less of travel", "How far to trust it", "annual pass"):  # fmt: skip
        assert words in page
    for row in json.loads((made / "ladder.json").read_text()):
        assert f"{row['nll']:.3f}" in page


def test_the_choices_it_leaves_can_be_read_by_the_other_commands(made: Path):
    from penchant import read

    left = read(made / "swissmetro.parquet", made / "swissmetro.toml").records
    assert left.fingerprint == swissmetro().fingerprint


def test_the_belief_it_leaves_can_be_asked(made: Path):
    from penchant.beliefs.belief import Belief

    assert Belief.load(made / "belief").report.converged in (True, False)


def test_without_scikit_learn_the_trees_are_shown_as_recorded():
    judged = _collect(SWISSMETRO, {}, {REFERENCE}, Settings(seed=RECORDED_SEED))
    assert [(row.model, row.split, row.nll) for row in judged.rows] == [
        (REFERENCE, line[0], line[1]) for line in RECORDED_TREES
    ]
    assert "as recorded" in judged.notes[0]


@pytest.mark.parametrize("settings", [Settings(seed=1), Settings(seed=0, quick=True)])
def test_recorded_trees_are_not_shown_beside_other_folds_or_people(settings):
    judged = _collect(SWISSMETRO, {}, {REFERENCE}, settings)
    assert judged.rows == ()
    assert "left out" in judged.notes[0]


def test_the_same_data_are_fitted_once():
    class Counting:
        fits = 0

        def fit(self, data):
            Counting.fits += 1
            return self

    data = swissmetro()
    half = data.take(np.arange(100))
    shared = SharedFits(Counting)
    first, again = shared().fit(data), shared().fit(data.take(np.arange(len(data))))
    assert first is again
    assert shared().fit(half) is not first
    assert Counting.fits == 2
