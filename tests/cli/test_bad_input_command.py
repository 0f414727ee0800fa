"""The same bad input through the shell and from Python: the same words, got, expected and mend."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from penchant.beliefs.belief import Belief
from penchant.cli.main import app
from penchant.data.readers.read import read
from penchant.errors import BeliefError, DataError
from penchant.models.conditional_logit import ConditionalLogit

DESCRIPTION = """
layout = "wide"
[rows]
person = "who"
context = ["place"]
[options]
alternatives = ["train", "car"]
[answer]
kind = "choice"
column = "choice"
[codes]
1 = "train"
2 = "car"
[available]
train = "train_av"
car = "car_av"
[features.time]
train = "train_time"
car = "car_time"
"""


def trips(num_rows=60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "who": [f"p{row // 6}" for row in range(num_rows)],
        "place": rng.choice(["x", "y"], num_rows), "choice": rng.integers(1, 3, num_rows),
        "train_av": 1, "car_av": 1, "train_time": rng.uniform(10, 60, num_rows).round(1),
        "car_time": rng.uniform(10, 60, num_rows).round(1),
    })  # fmt: skip


def spoilt(column: str, value: object, row: int = 3) -> pd.DataFrame:
    table = trips()
    table[column] = table[column].astype(object)
    table.loc[row, column] = value
    return table


def as_csv(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "trips.csv", index=False)
    return folder / "trips.csv"


def off_the_menu(folder: Path) -> Path:
    return as_csv(spoilt("choice", 2).assign(car_av=[int(row != 3) for row in range(60)]), folder)


def in_latin_1(folder: Path) -> Path:
    words = spoilt("place", "Zürich").to_csv(index=False)
    (folder / "trips.csv").write_bytes(words.encode("latin-1"))
    return folder / "trips.csv"


def cut_short(folder: Path) -> Path:
    trips().to_parquet(folder / "whole.parquet")
    whole = (folder / "whole.parquet").read_bytes()
    (folder / "trips.parquet").write_bytes(whole[: len(whole) // 2])
    return folder / "trips.parquet"


# What is wrong -> the file, what was got, what was expected, and the mend.
REFUSED = {
    "a missing feature": (
        lambda folder: as_csv(spoilt("car_time", None), folder),
        ("row 4 (line 5 of the file): car_time is missing", "a finite number", "fill the gap"),
    ),
    "NaN": (
        lambda folder: as_csv(spoilt("car_time", "NaN"), folder),
        ("car_time is missing", "a finite number", "options.allow_missing"),
    ),
    "infinity": (
        lambda folder: as_csv(spoilt("car_time", "-inf"), folder),
        ("row 4 (line 5 of the file): car_time is -inf", "a finite number", "correct the value"),
    ),
    "a choice off the menu": (
        off_the_menu,
        ("is 'car'", "an option on the menu", "correct the availability or the choice"),
    ),
    "an empty menu": (
        lambda folder: as_csv(spoilt("car_av", 0).assign(train_av=spoilt("train_av", 0).train_av),
                              folder),
        ("the number of alternatives on offer is 0", "at least one", "under [available]"),
    ),
    "one option everywhere": (
        lambda folder: as_csv(trips().assign(car_av=0, choice=1), folder),
        ("60 menus has one option only", "menus of two options or more", "add the options"),
    ),
    "ten thousand levels": (
        lambda folder: as_csv(
            trips(10_001).assign(place=[f"town {row}" for row in range(10_001)]), folder
        ),
        ("column 'place' has 10001 levels", "expected at most 1000", "Merge rare levels"),
    ),
    "a wrong encoding": (
        in_latin_1,
        ("byte 0xfc", "Expected utf-8", 'often encoding = "cp1252"'),
    ),
    "a Parquet file cut short": (
        cut_short,
        ("is not a complete Parquet file", "begins and ends with", "Copy or export it again"),
    ),
}  # fmt: skip
# In the shell the flag stands for the argument.
FLAGS = {'on_bad_rows="quarantine"': "--on-bad-rows quarantine"}


def shell(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, _flat(done.stderr.replace("│", " "))


def read_and_fit(file: Path, description: Path) -> None:
    records = read(file, description).records
    ConditionalLogit(formula="time + time:place").fit(records)


def _flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("wrong", REFUSED)
def test_bad_input_is_refused_alike_with_what_was_got_expected_and_the_mend(wrong, tmp_path):
    make, parts = REFUSED[wrong]
    file = make(tmp_path)
    (tmp_path / "trips.toml").write_text(DESCRIPTION)
    with pytest.raises(DataError) as caught:
        read_and_fit(file, tmp_path / "trips.toml")
    told = _flat(str(caught.value))
    for part in parts:
        assert part in told
    for argument, flag in FLAGS.items():
        told = told.replace(argument, flag)
    code, said = shell("fit", file, "--formula", "time + time:place", "--out", tmp_path / "out")
    assert code == 3
    assert told in said
    assert not (tmp_path / "out" / "fit.json").exists()


def test_a_column_that_is_not_there_is_named_with_the_closest(tmp_path):
    file = as_csv(trips(), tmp_path)
    (tmp_path / "trips.toml").write_text(DESCRIPTION.replace('"train_time"', '"trian_time"'))
    with pytest.raises(DataError) as caught:
        read(file, tmp_path / "trips.toml")
    told = _flat(str(caught.value))
    assert "'trian_time' (features.time.train)" in told
    assert "Did you mean 'train_time'" in told
    assert "Correct `features.time.train` in the description" in told
    code, said = shell("fit", file)
    assert (code, told in said) == (3, True)


def test_what_can_be_used_is_used_and_said(tmp_path):
    once = trips()
    once = pd.concat([once, once.iloc[:6], once.iloc[[0]].assign(who="alone", train_time=1.0)])
    once.loc[7, ["car_av", "choice"]] = 0, 1
    file = as_csv(once, tmp_path)
    (tmp_path / "trips.toml").write_text(DESCRIPTION)
    warnings = read(file, tmp_path / "trips.toml").report.warnings
    assert len(warnings) == 2
    code, said = shell("fit", file)
    assert code == 0
    for warning, words in zip(sorted(warnings), ("1 of 67 menus", "6 of 67 lines repeat")):
        assert words in _flat(warning)
        assert _flat(warning) in said


def test_a_belief_of_another_version_is_refused_alike(tmp_path):
    file = as_csv(trips(), tmp_path)
    (tmp_path / "trips.toml").write_text(DESCRIPTION)
    assert shell("fit", file, "--out", tmp_path / "belief")[0] == 0
    said = tmp_path / "belief" / "belief.json"
    said.write_text(said.read_text().replace('"format": 1', '"format": 999'))
    with pytest.raises(BeliefError) as caught:
        Belief.load(tmp_path / "belief")
    told = _flat(str(caught.value))
    for part in ("a belief of format 999", "reads format 1", "fit again"):
        assert part in told
    code, shown = shell("predict", file, "--belief", tmp_path / "belief")
    # The panel breaks long paths; the words that follow them are whole.
    assert (code, told[told.index("holds") :] in shown) == (3, True)
