"""`penchant rank` as installed: its table, its JSON, its folder, and what it says of bad files."""

import csv
import json
import os
import signal
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
FIELDS = ["name", "score", "elo", "se", "low", "high", "rank", "rank_low", "rank_high", "votes"]


def penchant(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "COLUMNS": "200"}, check=False,
    )  # fmt: skip


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    names, truth = ["zeta", "naïve 模型", "mid", "weak"], np.array([1.0, 0.5, 0.0, -1.0])
    lines = ["model_a,model_b,winner,judge"]
    for vote in range(800):
        a, b = rng.permutation(4)[:2]
        wins = rng.random() < 1 / (1 + np.exp(truth[b] - truth[a]))
        word = "tie" if rng.random() < 0.1 else ("model_a" if wins else "model_b")
        lines.append(f"{names[a]},{names[b]},{word},judge {vote % 40}")
    return write(tmp_path_factory.mktemp("rank") / "arena.csv", "\n".join(lines) + "\n")


def test_json_has_the_promised_fields(arena):
    done = penchant("rank", arena, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == ["items", "fit", "warnings"]
    assert [list(item) for item in document["items"]] == [FIELDS] * 4
    assert document["items"][0]["name"] == "zeta"
    assert [item["rank"] for item in document["items"]] == [1, 2, 3, 4]
    assert set(document["fit"]) == {"log_likelihood", "converged", "seconds"}
    assert document["fit"]["converged"] is True
    assert done.stderr == ""


def test_the_folder_and_the_table_say_the_same(arena, tmp_path):
    done = penchant("rank", arena, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    saved = json.loads((tmp_path / "out" / "leaderboard.json").read_text(encoding="utf-8"))
    with (tmp_path / "out" / "leaderboard.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == [item["name"] for item in saved["items"]]
    page = (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
    assert all(f">{item['name']}<" in page for item in saved["items"])
    for item in saved["items"]:
        assert item["name"] in done.stdout
        assert f"{item['score']:+.3f}" in done.stdout
    assert "judge is the voter" in done.stderr


def test_columns_can_be_named(tmp_path):
    file = write(tmp_path / "v.csv", "p,q,r\nx,y,x\ny,x,y\nx,y,x\n")
    done = penchant("rank", file, "--left", "p", "--right", "q", "--winner", "r", "--json")
    assert [item["name"] for item in json.loads(done.stdout)["items"]] == ["x", "y"]
    some = penchant("rank", file, "--left", "p")
    assert some.returncode == 2
    assert "expected all three" in some.stderr


def test_rankings_of_preflib_are_ranked(tmp_path):
    file = write(tmp_path / "votes.soc",
                 "# DATA TYPE: soc\n# NUMBER ALTERNATIVES: 3\n# NUMBER VOTERS: 5\n"
                 "# ALTERNATIVE NAME 1: Ann\n# ALTERNATIVE NAME 2: Bob\n# ALTERNATIVE NAME 3: Cy\n"
                 "3: 1,2,3\n1: 2,3,1\n1: 3,1,2\n")  # fmt: skip
    done = penchant("rank", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"][0]["name"] == "Ann"


BAD = {
    "self": (
        "left,right,winner\na,b,left\nb,b,left\n",
        3,
        "row 2 (line 3 of the file): right is 'b'",
    ),
    "label": ("model_a,model_b,winner\na,b,model_a\nb,a,modle_b\n", 3, "winner is 'modle_b'"),
    "empty name": ("winner,loser\na,b\n,b\n", 3, "row 2 (line 3 of the file): winner is missing"),
    "no votes": ("winner,loser\n", 3, "hold no line"),
    "no votes below any header": ("left,right,winner\n", 3, "hold no line"),
    "an unknown word": (
        "left,right,winner\na,b,left\nb,c,right\nc,a,banana\n", 3,
        "row 3 (line 4 of the file): winner is 'banana'",
    ),
    "two columns of sides": (
        "left,right,bias,taste\na,b,left,right\nb,a,left,left\n", 3, "--winner bias or taste",
    ),
    "winners that are 0 and 1": (
        "model_a,model_b,winner\na,b,1\nb,a,0\n", 3,
        "If it is the other way round: --left model_b --right model_a",
    ),
    "numbers of no known meaning": (
        "item1,item2,label\na,b,1\nb,a,0\n", 3, "--left item1 --right item2 --winner label",
    ),
    "agreement": (
        "participant,statement,vote\np,s,1\nq,t,-1\n", 3, '[rows] person = "participant"',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_said_in_one_panel(tmp_path, case):
    text, code, words = BAD[case]
    done = penchant("rank", write(tmp_path / "bad.csv", text))
    assert done.returncode == code
    assert words in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_bad_lines_can_be_set_aside(tmp_path):
    file = write(tmp_path / "v.csv", "winner,loser\na,b\nb,b\nb,a\n,a\n")
    done = penchant("rank", file, "--on-bad-rows", "quarantine", "--json")
    assert done.returncode == 0
    assert sum(item["votes"] for item in json.loads(done.stdout)["items"]) == 4
    aside = (tmp_path / "v.quarantined.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in aside] == ['"row_number"', "2", "4"]


def test_words_are_those_of_the_command(tmp_path):
    """The mend is an option, not an argument in Python, and 99.9999 % is not 100 %."""
    bad = write(tmp_path / "v.csv", "model_a,model_b,winner\nx,y,model_a\nx,x,model_b\n")
    refused = " ".join(penchant("rank", bad).stderr.replace("│", " ").split())
    assert "--on-bad-rows quarantine" in refused
    assert "on_bad_rows" not in refused
    done = penchant("rank", bad, "--on-bad-rows", "quarantine", "--level", "0.999999")
    assert "99.9999%" in done.stdout
    assert "100%" not in done.stdout


def test_unbeaten_items_islands_and_busy_voters_are_said_in_warnings(tmp_path):
    lines = ["left,right,winner,voter"]
    lines += ["best,b,left,v1", "best,c,left,v2", "b,c,left,v1", "c,b,left,v1"]
    lines += ["far,off,left,v1", "off,far,left,v3"]
    done = penchant("rank", write(tmp_path / "v.csv", "\n".join(lines) + "\n"), "--json")
    document = json.loads(done.stdout)
    said = " ".join(document["warnings"])
    assert "`best` never lost" in said
    assert "2 islands" in said
    assert "weak prior" in said
    assert "`v1` cast 67% of all votes" in said
    assert document["items"][0]["name"] == "best"
    assert document["items"][0]["high"] is None


def test_duplicate_lines_count_twice(tmp_path):
    text = "winner,loser\n" + "a,b\n" * 3 + "b,a\n"
    done = penchant("rank", write(tmp_path / "v.csv", text), "--json")
    items = {item["name"]: item for item in json.loads(done.stdout)["items"]}
    assert items["a"]["score"] - items["b"]["score"] == pytest.approx(np.log(3), abs=1e-6)


def test_whoever_says_the_same_twice_is_told_of(tmp_path):
    lines = ["left,right,winner,voter", "a,b,left,v1", "a,b,left,v1", "b,a,left,v2", "a,b,left,v2"]
    file = write(tmp_path / "v.csv", "\n".join(lines) + "\n")
    told = json.loads(penchant("rank", file, "--json").stdout)
    assert "1 of 4 lines repeat an earlier line exactly" in " ".join(told["warnings"])
    assert sum(item["votes"] for item in told["items"]) == 8


def test_what_cannot_be_done_ends_with_two(arena, tmp_path):
    for wrong in (["--ties", "coin"], ["--model", "plackett_luce"], ["--interval", "wide"],
                  ["--format", "table"], ["--level", "95"]):  # fmt: skip
        done = penchant("rank", arena, *wrong)
        assert done.returncode == 2, wrong
        assert "expected" in done.stderr
    assert penchant("rank", tmp_path / "nowhere.csv").returncode == 3


def test_an_interruption_is_said_and_ends_with_130(tmp_path):
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 200_000, (600_000, 2))
    text = "winner,loser\n" + "\n".join(f"i{a},i{b}" for a, b in pairs if a != b) + "\n"
    file = write(tmp_path / "many.csv", text)
    running = subprocess.Popen(
        [str(COMMAND), "rank", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Said before the votes are read; that and the fit of so many items take seconds.
    assert running.stderr is not None
    assert "is read as" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Interrupted" in err
    assert out == ""


def test_voters_classes_and_drift_have_their_own_keys(arena, tmp_path):
    lines = arena.read_text(encoding="utf-8").splitlines()
    dated = [lines[0] + ",day", *(f"{line},{vote // 80}" for vote, line in enumerate(lines[1:]))]
    file = write(tmp_path / "dated.csv", "\n".join(dated) + "\n")
    described = write(
        tmp_path / "dated.toml",
        'layout = "arena"\n[rows]\nperson = "judge"\ntime = "day"\n'
        '[options]\ncolumns = ["model_a", "model_b"]\n[answer]\ncolumn = "winner"\n',
    )
    found = {}
    for name, options in {
        "voters": ("--voters", "reliability"), "classes": ("--voters", "classes"),
        "drift": ("--drift",),
    }.items():  # fmt: skip
        done = penchant("rank", file, "--description", described, "--json", *options)
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
        assert name in found[name]
        assert found[name]["items"][0]["name"] == "zeta"
    assert len(found["voters"]["voters"]) == 40
    assert len(found["classes"]["classes"]) == 2
    assert len(found["drift"]["drift"]["path"]["zeta"]["scores"]) == 10
    assert penchant("rank", file, "--description", described, "--voters", "all").returncode == 2


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    lines, names, grades = ["left,right,verdict"], "abc", ("B>>A", "B>A", "A=B", "A>B", "A>>B")
    for _ in range(300):
        i, j = rng.permutation(3)[:2]
        gap = 0.8 * (j - i) + rng.logistic()
        grade = int(np.searchsorted([-2.0, -0.5, 0.5, 2.0], gap))
        lines.append(f"{names[i]},{names[j]},{grades[grade]}")
    return write(tmp_path / "graded.csv", "\n".join(lines) + "\n")


def test_grades_are_recognised_and_have_their_own_key_and_view(graded, tmp_path):
    done = penchant("rank", graded, "--json", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [item["name"] for item in document["items"]] == ["a", "b", "c"]
    assert document["grades"]["names"] == ["B>>A", "B>A", "A=B", "A>B", "A>>B"]
    np.testing.assert_allclose(document["grades"]["thresholds"], [-2.0, -0.5, 0.5, 2.0], atol=0.4)
    assert sum(document["grades"]["given"]) == pytest.approx(1.0)
    assert "How much better?" in (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")


def test_grades_of_any_words_can_be_named(graded, tmp_path):
    text = graded.read_text(encoding="utf-8")
    for sign, number in (
        ("A>>B", "+9"),
        ("B>>A", "-9"),
        ("A>B", "+3"),
        ("B>A", "-3"),
        ("A=B", "0"),
    ):
        text = text.replace(sign, number)
    file = write(tmp_path / "numbers.csv", text)
    columns = ("--left", "left", "--right", "right", "--winner", "verdict")
    told = json.loads(penchant("rank", graded, "--json").stdout)
    done = penchant("rank", file, *columns, "--grades=-9,-3,0,+3,+9", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"] == told["items"]
    odd = penchant("rank", file, *columns, "--grades=-9,-9", "--json")
    assert odd.returncode == 2
    assert "two or more different values" in odd.stderr


def test_what_to_compare_next_and_how_many_votes_it_takes(arena, tmp_path):
    done = penchant("rank", arena, "--ask", "3", "--settle", "1", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    names = {item["name"] for item in said["items"]}
    assert len(said["next"]) == 3
    assert all({pair["first"], pair["second"]} < names for pair in said["next"])
    gains = [pair["gain"] for pair in said["next"]]
    assert gains == sorted(gains, reverse=True)
    assert said["settle"]["low"] <= said["settle"]["votes"]
    words = penchant("rank", arena, "--ask", "3", "--settle", "1").stdout
    assert "Worth comparing next, to settle who is among the first 1" in words
    assert "who is first" in words
    assert "next" not in json.loads(penchant("rank", arena, "--json").stdout)


def test_pairs_across_islands_are_asked_first_and_too_many_first_ones_are_refused(tmp_path):
    lines = "left,right,winner\na,b,left\nb,a,left\nx,y,left\ny,x,left\n"
    file = write(tmp_path / "islands.csv", lines)
    said = json.loads(penchant("rank", file, "--ask", "1", "--json").stdout)["next"][0]
    assert len({said["first"], said["second"]} & {"a", "b"}) == 1
    refused = penchant("rank", file, "--settle", "4")
    assert refused.returncode == 2
    assert "expected fewer" in " ".join(refused.stderr.replace("│", " ").split())


def test_dear_comparisons_are_asked_where_they_are_worth_it(tmp_path):
    file = write(tmp_path / "votes.csv", "left,right,winner\n" + "a,b,left\nb,c,left\nc,d,left\n"
                 "b,a,left\nc,b,left\nd,c,left\n" * 2)  # fmt: skip
    free = json.loads(penchant("rank", file, "--ask", "3", "--json").stdout)["next"]
    assert all("cost" not in pair for pair in free)
    dear = {free[0]["first"]: 1000, free[0]["second"]: 1000}
    items = write(
        tmp_path / "items.csv",
        "item,cost\n" + "".join(f"{name},{dear.get(name, 1)}\n" for name in "abcd"),
    )
    done = penchant("rank", file, "--ask", "3", "--ask-cost", items, "--json", "--out",
                    tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked = json.loads(done.stdout)["next"]
    cheap = {name for name in "abcd" if name not in dear}
    assert all({pair["first"], pair["second"]} == cheap and pair["cost"] == 2 for pair in asked)
    page = (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
    section = page.split("What to compare next")[1].split("</section>")[0]
    assert "<th>cost</th>" in section
    assert "nats for their cost" in section
    # A table of pairs: only these may be asked, in either direction, and what is worth more wins.
    pairs = write(tmp_path / "pairs.csv", "first,second,cost\nb,a,1\nd,a,1e9\n")
    some = json.loads(penchant("rank", file, "--ask", "2", "--ask-cost", pairs, "--json").stdout)[
        "next"
    ]
    assert [{pair["first"], pair["second"]} for pair in some] == [{"a", "b"}] * 2
    table = penchant("rank", file, "--ask", "2", "--ask-cost", pairs).stdout
    assert "cost" in table.split("Worth comparing next")[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("item,cost\na,1\n", "names no cost for 'b'"),
        ("item,cost\na,1\nb,0\n", "entry 2 of costs.csv is 0.0; expected a positive cost"),
        ("item,cost\na,1\nb,1\nzzz,1\n", "entry 3 of costs.csv is zzz; expected the name"),
        ("item,cost\na,1\nb,1\na,2\n", "expected each item once"),
        ("item,cost\na,1\nb,much\n", "no number"),
        ("name,price\na,1\n", "Rename its columns"),
        ("first,second,cost\na,a,1\n", "two different items"),
        ("first,second,cost\na,b,1\nb,a,2\n", "each pair once"),
    ],
)
def test_costs_that_are_none_are_refused_with_the_mend(tmp_path, text, told):
    file = write(tmp_path / "votes.csv", "left,right,winner\na,b,left\nb,a,left\n")
    costs = write(tmp_path / "costs.csv", text)
    done = penchant("rank", file, "--ask", "1", "--ask-cost", costs)
    assert done.returncode == 3
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_costs_of_nothing_asked_are_refused(tmp_path):
    file = write(tmp_path / "votes.csv", "left,right,winner\na,b,left\nb,a,left\n")
    done = penchant("rank", file, "--ask-cost", file)
    assert done.returncode == 2
    assert "Add --ask 20" in " ".join(done.stderr.replace("│", " ").split())


def test_doubts_of_reading_and_next_votes_are_in_the_document_and_on_the_page(tmp_path):
    lines = "left,right,taste,count\na,b,left,1\nb,c,left,1\nc,a,left,1\na,b,left,1\nb,b,left,1\n"
    file = write(tmp_path / "some.csv", lines)
    done = penchant("rank", file, "--json", "--on-bad-rows", "quarantine", "--ask", "2", "--settle",
                    "1", "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = json.loads(done.stdout)
    told = " ".join(said["warnings"])
    page = (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
    for words in ("taste is taken for the answer", "whatever count says", "1 bad lines set aside"):
        assert words in told
        assert words in page
    assert "taste is taken" in said["warnings"][0]
    section = page.split("What to compare next")[1].split("</section>")[0]
    assert section.count("<tr>") == 3
    first = said["next"][0]
    assert f'title="{first["first"]}"' in section
    assert f"{first['gain']:.2g}" in section
    assert "settle who is first" in section
    plain = penchant("rank", file, "--on-bad-rows", "quarantine", "--out", tmp_path / "out")
    assert "taste is taken for the answer" in " ".join(plain.stderr.split())
    page = (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
    assert "What to compare next" not in page


def plays(path: Path) -> Path:
    """Five people rank three games; those of the north want what those of the south do not."""
    orders = {"north": "abc", "south": "cba"}
    lines = ["respondent_id,town,platform,rank"]
    for person in range(5):
        town = "north" if person < 3 else "south"
        lines += [f"p{person},{town},{g},{r}" for r, g in enumerate(orders[town], start=1)]
    return write(path / "plays.csv", "\n".join(lines) + "\n")


def test_rules_say_who_would_lose_on_the_screen_in_the_document_and_on_the_page(tmp_path):
    file = plays(tmp_path)
    done = penchant("rank", file, "--rules", "all", "--groups", "town", "--json", "--out",
                    tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    rules = json.loads(done.stdout)["rules"]
    assert list(rules["verdicts"]) == ["sum", "nash", "maximin", "borda", "minimax_winner"]
    first = rules["verdicts"]["sum"]
    assert first["ranks"] == {"a": 1, "b": 2, "c": 3}
    losing = {loss["group"]: loss["losing"] for loss in first["losses"]}
    assert losing == {"everybody": 0.4, "north": 0.0, "south": 1.0}
    # Whoever is worst off is best served by the middle.
    assert rules["verdicts"]["maximin"]["chooses"] == {"b": 1.0}
    page = (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")
    section = page.split("One decision for all")[1].split("</section>")[0]
    assert section.count("<tr>") == 6
    assert "south: 100\u202f%, by 0.50" in section
    words = penchant("rank", file, "--rules", "borda,sum", "--groups", "town", "--against", "b")
    assert "who would lose" in words.stdout
    assert "worse off than with `b`" in " ".join(words.stdout.split())
    assert "minimax" not in words.stdout


def test_rules_that_cannot_be_asked_for_are_refused(arena, tmp_path):
    file = plays(tmp_path)
    for wrong, words in (
        (["--rules", "plurality"], "expected all, or some of sum"),
        (["--groups", "town"], "no rules are named"),
        (["--rules", "sum", "--against", "z"], "no option 'z'"),
        (["--rules", "sum", "--groups", "region"], "no column 'region'"),
    ):
        done = penchant("rank", file, *wrong)
        assert done.returncode == 2, wrong
        assert words in " ".join(done.stderr.replace("│", " ").split())
    votes = penchant("rank", arena, "--rules", "all")
    assert votes.returncode == 2
    assert "--voters classes" in " ".join(votes.stderr.replace("│", " ").split())
    classes = penchant("rank", arena, "--rules", "sum", "--voters", "classes", "--json")
    assert len(json.loads(classes.stdout)["rules"]["verdicts"]["sum"]["losses"]) == 3


def test_low_ratings_that_are_good_are_turned(tmp_path):
    lines = ["person,item,grade"]
    lines += [f"p{n},{s},{g}" for n in range(12) for s, g in (("maths", 1 + n % 2), ("art", 4))]
    file = write(tmp_path / "grades.csv", "\n".join(lines) + "\n")
    high = json.loads(penchant("rank", file, "--json").stdout)
    low = json.loads(penchant("rank", file, "--low-is-good", "--json").stdout)
    assert high["items"][0]["name"] == "art"
    assert low["items"][0]["name"] == "maths"
    assert "--low-is-good" in " ".join(high["warnings"])
    assert "Low ratings are read as good" in " ".join(low["warnings"])
    votes = write(tmp_path / "v.csv", "winner,loser\na,b\nb,a\n")
    refused = penchant("rank", votes, "--low-is-good")
    assert refused.returncode == 2
    assert "low_is_good belongs to" in " ".join(refused.stderr.replace("│", " ").split())


def test_judges_side_by_side_are_voters(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["model_1,model_2,annotator_1,annotator_2,annotator_3"]
    for _ in range(80):
        i, j = rng.permutation(3)[:2]
        answers = ["first" if (j - i) + rng.logistic() > 0 else "second" for _ in range(3)]
        lines.append(f"m{i},m{j},{','.join(answers)}")
    file = write(tmp_path / "judged.csv", "\n".join(lines) + "\n")
    done = penchant("rank", file, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(item["votes"] for item in found["items"]) == 2 * 240
    assert "3 judges' answers" in " ".join(found["warnings"])
    columns = ("--left", "model_1", "--right", "model_2")
    two = penchant("rank", file, *columns, "--winner", "annotator_1,annotator_3", "--json")
    assert sum(item["votes"] for item in json.loads(two.stdout)["items"]) == 2 * 160
    one = penchant("rank", file, *columns, "--winner", "annotator_2", "--json")
    assert sum(item["votes"] for item in json.loads(one.stdout)["items"]) == 2 * 80
    both = penchant("rank", file, *columns, "--winner", "annotator_1,annotator_2", "--voter",
                    "model_1")  # fmt: skip
    assert both.returncode == 2
    assert "one or the other" in " ".join(both.stderr.replace("│", " ").split())


def test_rankings_of_named_people_have_errors_by_voter(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["voter,ranking"]
    for vote in range(80):
        order = np.argsort(-(np.arange(4) * -0.5 + rng.gumbel(size=4)))
        lines.append(f"p{vote % 20},{' > '.join(f'o{o}' for o in order)}")
    file = write(tmp_path / "tasks.csv", "\n".join(lines) + "\n")
    widths = {}
    for kind in ("auto", "wald", "voter", "profile", "voter_bootstrap"):
        done = penchant("rank", file, "--interval", kind, "--json")
        assert done.returncode == 0, done.stderr
        best = json.loads(done.stdout)["items"][0]
        widths[kind] = best["high"] - best["low"]
    assert widths["auto"] == widths["voter"] != widths["wald"]
    assert widths["profile"] == pytest.approx(widths["wald"], rel=0.1)


def test_a_judge_with_a_stray_word_is_not_forgotten(tmp_path):
    lines = ["model_1,model_2,annotator_1,annotator_2"]
    lines += [f"a,b,{'model_1' if n % 3 else 'model_2'},model_{1 + n % 2}" for n in range(11)]
    file = write(tmp_path / "votes.csv", "\n".join([*lines, "a,b,,purple"]) + "\n")
    refused = penchant("rank", file)
    assert refused.returncode != 0
    assert "purple" in refused.stderr
    told = json.loads(penchant("rank", file, "--on-bad-rows", "quarantine", "--json").stdout)
    assert {row["votes"] for row in told["items"]} == {22}
    warned = " ".join(told["warnings"])
    assert "2 judges' answers" in warned
    # Whose answer is missing is said.
    assert "annotator_1: 1 of 12 votes have no answer" in warned


def test_a_judge_is_not_counted_twice(tmp_path):
    file = write(tmp_path / "votes.csv", "left,right,j1,j2\na,b,a,b\nb,a,b,a\n")
    sides = ("--left", "left", "--right", "right", "--winner")
    refused = penchant("rank", file, *sides, "j1,j2,j1")
    assert refused.returncode != 0
    assert "j1 is named more than once" in " ".join(refused.stderr.replace("│", " ").split())


def test_names_that_differ_by_blanks_alone_are_told(tmp_path):
    lines = ["model_a,model_b,winner", "x,y,model_a", "x ,y,model_b", "y,x,model_a", "y,x ,tie"]
    file = write(tmp_path / "votes.csv", "\n".join(lines) + "\n")
    told = json.loads(penchant("rank", file, "--json").stdout)
    assert len(told["items"]) == 3
    assert "'x', 'x ' differ by nothing but blanks" in " ".join(told["warnings"])


def test_rules_that_cannot_be_followed_are_refused_before_anything_is_fitted(tmp_path):
    lines = ["person,item,rating"] + [f"p{n},{i},{(n * 7 + ord(i)) % 5}"
                                      for n in range(6) for i in "xyz"]  # fmt: skip
    file = write(tmp_path / "ratings.csv", "\n".join(lines) + "\n")
    votes = write(tmp_path / "votes.csv", "model_a,model_b,winner\nx,y,model_a\ny,x,tie\n")
    for asked, word in (
        ((file, "--rules", "all", "--against", "q"), "no option 'q'"),
        ((file, "--rules", "all", "--groups", "town"), "no column 'town'"),
        ((votes, "--rules", "all"), "or --voters classes"),
    ):
        refused = penchant("rank", *asked)
        assert refused.returncode != 0
        said = " ".join(refused.stderr.replace("│", " ").split())
        assert word in said
        assert "Fitting" not in said


def test_voters_who_rank_differ_in_reliability(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["voter,ranking"]
    for vote in range(200):
        worth = (vote % 10 > 1) * np.arange(4) * -1.2 + rng.gumbel(size=4)
        lines.append(f"p{vote % 10},{' > '.join(f'o{o}' for o in np.argsort(-worth))}")
    file = write(tmp_path / "tasks.csv", "\n".join(lines) + "\n")
    done = penchant("rank", file, "--voters", "reliability", "--json", "--out", tmp_path / "board")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    voters = {row["name"]: row for row in told["voters"]}
    assert max(voters[p]["reliability_high"] for p in ("p0", "p1")) < 0.7
    assert min(row["reliability"] for name, row in voters.items() if name not in ("p0", "p1")) > 0.5
    assert voters["p5"].keys() == {"name", "votes", "reliability", "reliability_low",
                                   "reliability_high", "agreement"}  # fmt: skip
    assert told["voter_population"]["reliability"] > 0.5
    assert "Who ranked how" in (tmp_path / "board" / "leaderboard.html").read_text()
