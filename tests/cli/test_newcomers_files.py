"""Files as newcomers bring them, through the installed command: what goes wrong is named, with the
line, what was expected and the mend; what is no fault is fitted."""

import json
import os
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from penchant.data.readers.native import save
from penchant.data.readers.read import read

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
HEAD = "person,trip,age,purpose,mode,cost,time,chosen"
MODES = ("bus", "car", "train")


def penchant(*arguments: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "500"},
        check=False,
    )  # fmt: skip
    # A panel's borders are no part of what it says.
    done.stderr = " ".join(done.stderr.replace("│", " ").split())
    return done


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """30 people, 4 trips, 3 modes: a line an option, the header first."""
    rng = np.random.default_rng(11)
    made = [HEAD]
    for person in range(30):
        for trip in range(4):
            cost, time = rng.uniform(1, 9, 3).round(2), rng.uniform(10, 60, 3).round(1)
            best = (-0.4 * cost - 0.04 * time + rng.gumbel(size=3)).argmax()
            purpose = ("work", "leisure")[trip % 2]
            made += [
                f"p{person},{trip},{20 + person},{purpose},{mode},{cost[k]},{time[k]},"
                f"{int(k == best)}"
                for k, mode in enumerate(MODES)
            ]
    return made


def change(place: int, column: str, value: str) -> Callable[[list[str]], list[str]]:
    """One cell of line `place` (the header is 0) replaced."""

    def changed(lines: list[str]) -> list[str]:
        cells = lines[place].split(",")
        cells[HEAD.split(",").index(column)] = value
        return [*lines[:place], ",".join(cells), *lines[place + 1 :]]

    return changed


def chosen_only(lines: list[str]) -> list[str]:
    return [lines[0], *(line for line in lines[1:] if line.endswith(",1"))]


def without_mark(lines: list[str]) -> list[str]:
    return [*lines[:1], *(line[:-1] + "0" for line in lines[1:4]), *lines[4:]]


def nobody_answered(lines: list[str]) -> list[str]:
    return [line.rsplit(",", 1)[0] for line in lines]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change(5, "cost", ""), ("row 5 (line 6 of the file)", "cost is missing", "quarantine")),
        (change(5, "cost", "inf"), ("line 6", "cost is inf", "a finite number")),
        (change(5, "cost", "cheap"), ("line 6", "'cheap'", "expected a number")),
        (change(5, "mode", ""), ("line 6", "mode is missing", "the name of an option")),
        (change(5, "person", ""), ("the observation that begins here", "To mend it")),
        (without_mark, ("line 2", "no option", "exactly one option", "mark one option")),
        (lambda lines: [*lines, lines[4]], ("line 362", "each option once", "drop_duplicates")),
        (lambda lines: [*lines, "p1,2"], ("line 362", "2 cells", "expected 8")),
        (chosen_only, ("no column looks like an answer", "penchant describe")),
        (nobody_answered, ("no column looks like an answer", "penchant describe")),
        (lambda lines: lines[:1], ("the data hold no line", "cut off behind its header")),
        (lambda lines: [], ("cannot be read as CSV", "Expected a header line")),
    ],
)  # fmt: skip
def test_a_spoilt_file_is_told_with_its_line_and_the_mend(lines, spoil, words, tmp_path):
    file = tmp_path / "trips.csv"
    file.write_text("\n".join(spoil(lines)) + "\n")
    done = penchant("fit", file)
    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout == ""
    missing = [word for word in words if word not in done.stderr]
    assert not missing, done.stderr


def test_menus_of_one_option_teach_nothing_whatever_the_description_says(lines, tmp_path):
    whole, single = tmp_path / "whole.csv", tmp_path / "single.csv"
    whole.write_text("\n".join(lines) + "\n")
    single.write_text("\n".join(chosen_only(lines)) + "\n")
    assert penchant("describe", whole, "--out", tmp_path / "said.toml").returncode == 0
    done = penchant("fit", single, "-d", tmp_path / "said.toml")
    assert done.returncode == 3
    assert "each of the 120 menus has one option only" in done.stderr


def test_a_description_is_held_to_the_file_and_to_its_own_keys(lines, tmp_path):
    file, said = tmp_path / "trips.csv", tmp_path / "said.toml"
    file.write_text("\n".join(lines) + "\n")
    assert penchant("describe", file, "--out", said).returncode == 0
    good = said.read_text()
    said.write_text(good.replace('option = "mode"', 'option = "mod"'))
    done = penchant("fit", file, "-d", said)
    assert done.returncode == 3
    assert "column 'mod' (options.option)" in done.stderr
    assert "Did you mean 'mode'?" in done.stderr
    said.write_text(good.replace("[rows]", '[rows]\npersn = "person"'))
    done = penchant("fit", file, "-d", said)
    assert done.returncode == 2
    assert "'rows.persn' that means nothing. Did you mean 'rows.person'" in done.stderr


def test_a_file_cut_short_and_one_in_another_encoding(lines, tmp_path):
    plain, cut = tmp_path / "trips.csv", tmp_path / "cut.parquet"
    plain.write_text("\n".join(lines) + "\n")
    pq.write_table(pa_csv.read_csv(plain), tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    done = penchant("fit", cut)
    assert done.returncode == 3
    assert "not a complete Parquet file" in done.stderr
    western = tmp_path / "western.csv"
    western.write_bytes("\n".join(lines).replace("leisure", "fähre").encode("cp1252") + b"\n")
    done = penchant("fit", western, "--json")
    assert done.returncode == 0, done.stderr
    assert "cp1252" in " ".join(json.loads(done.stdout)["warnings"])


def test_what_reading_found_odd_is_among_the_warnings_of_the_document(lines, tmp_path):
    file = tmp_path / "trips.csv"
    file.write_text("\n".join(change(5, "cost", "")(lines)) + "\n")
    for command in ("fit", "evaluate"):
        done = penchant(command, file, "--on-bad-rows", "quarantine", "--json")
        assert done.returncode == 0, done.stderr
        aside = (tmp_path / "trips.quarantined.csv").read_text().splitlines()
        assert len(aside) == 4, command
        assert any("cost is missing" in line for line in aside)
        (tmp_path / "trips.quarantined.csv").unlink()
    fitted = penchant("fit", file, "--on-bad-rows", "quarantine", "--json").stdout
    assert any("3 lines set aside" in warning for warning in json.loads(fitted)["warnings"])


def test_ten_thousand_levels_are_left_out_or_refused_in_so_many_words(tmp_path):
    rng = np.random.default_rng(0)
    best = rng.integers(0, 2, 5_000)
    made = ["person,trip,mode,brand,cost,chosen"]
    for menu in range(5_000):
        made += [
            f"p{menu // 5},{menu},{MODES[k]},b{2 * menu + k},{rng.uniform(1, 9):.2f},"
            f"{int(best[menu] == k)}"
            for k in range(2)
        ]
    file = tmp_path / "brands.csv"
    file.write_text("\n".join(made) + "\n")
    done = penchant("fit", file, "--model", "context", "--json")
    assert done.returncode == 0, done.stderr
    told = " ".join(json.loads(done.stdout)["warnings"])
    assert "'brand' has 10000 levels and is not in the default formula" in told
    assert "No column of people or situations could serve as context" in told
    done = penchant("fit", file, "--formula", "option + brand")
    assert done.returncode == 3
    assert "10000 levels; expected at most 1000" in done.stderr


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace('"format": 1', '"format": 2'), ("format 2", "reads format 1")),
        (lambda text: text[: len(text) // 2], ("is damaged", "fit again")),
        (lambda text: text.replace('"time"', '"tame"'), ("changed after it was written",)),
    ],
)
def test_a_belief_of_another_version_or_a_damaged_one_is_refused(lines, spoil, words, tmp_path):
    file, folder = tmp_path / "trips.csv", tmp_path / "belief"
    file.write_text("\n".join(lines) + "\n")
    assert penchant("fit", file, "--out", folder).returncode == 0
    kept = folder / "belief.json"
    spoilt = spoil(kept.read_text())
    assert spoilt != kept.read_text()
    kept.write_text(spoilt)
    done = penchant("predict", file, "-b", folder)
    assert done.returncode == 3
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr


def ratings() -> list[str]:
    rng = np.random.default_rng(5)
    worth = {"apple": 1.0, "pear": 0.0, "quince": -1.5}
    return ["user,item,sweet,rating"] + [
        f"u{i % 40},{item},{i % 7},{int(np.clip(round(3 + w + rng.logistic()), 1, 5))}"
        for i in range(160)
        for item, w in worth.items()
    ]


def votes() -> list[str]:
    rng = np.random.default_rng(6)
    made = ["judge,left,right,winner"]
    for i in range(300):
        a, b = rng.choice(3, 2, replace=False)
        gap = 1.5 * (b - a) + rng.logistic()
        word = "tie" if abs(gap) < 0.5 else ("left" if gap > 0 else "right")
        made.append(f"j{i % 30},{MODES[a]},{MODES[b]},{word}")
    return made


def orders() -> list[str]:
    rng = np.random.default_rng(8)
    worth = np.array([1.2, 0.0, -1.2])
    return ["voter,rank1,rank2,rank3"] + [
        f"v{i % 40}," + ",".join(MODES[k] for k in np.argsort(-(worth + rng.gumbel(size=3))))
        for i in range(200)
    ]


@pytest.mark.parametrize(
    ("made", "expected"),
    [(ratings, {"option[pear]": -1, "option[quince]": -1}),
     (votes, {"option[car]": -1, "option[train]": -1}),
     (orders, {"option[car]": -1, "option[train]": -1})],
)  # fmt: skip
def test_answers_that_are_no_choice_are_fitted_by_what_is_likely_of_them(made, expected, tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text("\n".join(made()) + "\n")
    done = penchant("fit", file, "--json", "--out", tmp_path / "belief")
    assert done.returncode == 0, done.stderr
    found = {c["name"]: c for c in json.loads(done.stdout)["coefficients"]}
    for name, sign in expected.items():
        assert min(sign * found[name]["low"], sign * found[name]["high"]) > 0
    page = tmp_path / "page.html"
    done = penchant("report", file, "-b", tmp_path / "belief", "--out", page)
    assert done.returncode == 0, done.stderr
    told = page.read_text()
    # Every kind has probabilities that come true or do not: levels, ties, who comes first.
    assert "there is no calibration to draw" not in told
    assert "really happened" in told
    lines = len(made()) - 1
    assert f"{lines:,} answers of" in told


def two_kinds(answer: str) -> list[str]:
    """Sixty people of two kinds who want opposite things, six menus of four options each."""
    rng = np.random.default_rng(9)
    made = ["person,task,option,quality,price," + answer]
    for person in range(60):
        taste = np.array([1.5, -1.0]) * (1 if person % 3 else -1)
        for task in range(6):
            features = rng.normal(size=(4, 2))
            worth = features @ taste
            if answer == "rank":
                told = np.argsort(np.argsort(-(worth + rng.gumbel(size=4)))) + 1
            else:
                cuts = np.array([-1.5, 0.0, 1.5])
                told = 1 + (worth[:, None] + rng.logistic(size=(4, 1)) > cuts).sum(axis=1)
            made += [
                f"p{person},p{person}t{task},o{k},{x:.3f},{y:.3f},{told[k]}"
                for k, (x, y) in enumerate(features)
            ]
    return made


@pytest.mark.parametrize("answer", ["rank", "stars"])
def test_kinds_of_people_are_told_apart_by_answers_that_are_no_choice(answer, tmp_path):
    file, folder = tmp_path / "answers.csv", tmp_path / "belief"
    file.write_text("\n".join(two_kinds(answer)) + "\n")
    arguments = ("-m", "classes", "--formula", "quality + price", "--json")
    if answer == "stars":
        (tmp_path / "answers.toml").write_text(DESCRIBED_STARS)
    done = penchant("fit", file, *arguments, "--out", folder)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    found = {c["name"]: c for c in document["coefficients"]}
    assert document["fit"]["converged"]
    for name, sign in (("quality", 1), ("price", -1)):
        for kind in (1, 2):
            told = found[f"{name} [class {kind}]"]
            side = sign * (1 if kind == 1 else -1)
            assert min(side * told["low"], side * told["high"]) > 0.3
    assert -1.3 < found["class 2: intercept"]["estimate"] < -0.2
    assert ("threshold 1|2" in found) == (answer == "stars")
    page = tmp_path / "page.html"
    done = penchant("report", file, "-b", folder, "--out", page)
    assert done.returncode == 0, done.stderr
    assert "quality [class 2]" in page.read_text()
    done = penchant("predict", file, "-b", folder, "--history", file, "--json")
    if answer == "stars":
        given = [float(line.rsplit(",", 1)[1]) for line in two_kinds(answer)[1:]]
        told = json.loads(done.stdout)
        assert np.corrcoef([line["expected"] for line in told], given)[0, 1] > 0.6
        for line in told:
            p = [line[f"p({level})"] for level in (1, 2, 3, 4)]
            assert sum(p) == pytest.approx(1.0)
            assert line["expected"] == pytest.approx(np.dot(p, [1, 2, 3, 4]))
            assert "probability" not in line
        return
    shares = [line["probability"] for line in json.loads(done.stdout)]
    ranks = [line.rsplit(",", 1)[1] for line in two_kinds(answer)[1:]]
    firsts = [share for share, rank in zip(shares, ranks) if rank == "1"]
    assert np.mean(firsts) > 0.45


DESCRIBED_STARS = """layout = "long"
[rows]
person = "person"
situation = ["task"]
[options]
option = "option"
features = ["quality", "price"]
[answer]
kind = "rating"
column = "stars"
levels = [1, 2, 3, 4]
"""


def test_what_a_report_would_not_use_is_refused(lines, tmp_path):
    file, folder = tmp_path / "trips.csv", tmp_path / "belief"
    file.write_text("\n".join(lines) + "\n")
    assert penchant("fit", file, "--out", folder).returncode == 0
    for options, words in (
        (("--by", "purpose"), "without --price there is none"),
        (("--by", "pourpose", "--price", "cost"), "Did you mean 'purpose'?"),
        (("--price", "money"), "expected one of ['cost', 'time']"),
    ):
        done = penchant("report", file, "-b", folder, *options, "--out", tmp_path / "page.html")
        assert done.returncode == 2, options
        assert words in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_missing_price_stops_a_fit_before_it_begins(lines, tmp_path):
    file = tmp_path / "trips.csv"
    file.write_text("\n".join(lines) + "\n")
    done = penchant("fit", file, "--price", "money", "--out", tmp_path / "belief")
    assert done.returncode == 2
    assert "Formula" not in done.stderr
    assert "expected one of ['cost', 'time']" in done.stderr


def test_who_moves_is_told_by_group(lines, tmp_path):
    file, folder = tmp_path / "trips.csv", tmp_path / "belief"
    file.write_text("\n".join(lines) + "\n")
    assert penchant("fit", file, "--out", folder).returncode == 0
    asked = ("what-if", file, "-b", folder, "--by", "purpose", "--set")
    done = penchant(*asked, "bus.cost*=1.5")
    assert done.returncode == 0, done.stderr
    moved = json.loads(penchant(*asked, "bus.cost*=1.5", "--json").stdout)["movers"]
    table = done.stdout.split("Who would move")[1].splitlines()
    for group in ("leisure", "work"):
        (line,) = (line for line in table if line.startswith(group))
        assert line.split()[1:] == [f"{100 * moved[group][mode]:+.1f}" for mode in MODES]
    done = penchant(*asked, "bus.cost=nan")
    assert done.returncode == 2
    assert "and a number" in done.stderr


def test_a_belief_of_kept_records_answers_for_the_plain_file(lines, tmp_path):
    file, kept, folder = tmp_path / "trips.csv", tmp_path / "kept.parquet", tmp_path / "belief"
    file.write_text("\n".join(lines) + "\n")
    save(read(file).records, kept)
    assert penchant("fit", file, "--out", folder).returncode == 0
    assert (folder / "description.toml").exists()
    assert penchant("fit", kept, "--out", folder).returncode == 0
    assert not (folder / "description.toml").exists()
    answers = [penchant("predict", each, "-b", folder, "--json") for each in (file, kept)]
    assert [each.returncode for each in answers] == [0, 0], answers[0].stderr
    assert json.loads(answers[0].stdout) == json.loads(answers[1].stdout)
