"""Reward models from the shell: fit on judged texts, score files, label a preference data set."""

import json
import os
import signal
import subprocess
import sysconfig
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penchant as library
from penchant.cli.fit_reward import build_reward
from penchant.cli.reward_options import RewardOptions

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"
WORTH = np.array([1.5, -1.0, 0.0])


def penchant(*arguments, text=None, **settings):
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)], input=text, capture_output=True, text=True,
        timeout=120, env={**os.environ, "COLUMNS": "100", **settings}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """pairs.parquet in TRL's format with embeddings, and a model fitted on it."""
    folder = tmp_path_factory.mktemp("reward")
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((300, 2, 3)).astype(np.float32)
    gap = (vectors[:, 0] - vectors[:, 1]) @ WORTH
    swap = rng.random(300) > 1 / (1 + np.exp(-gap))
    vectors[swap] = vectors[swap][:, ::-1]
    texts = np.array([[f"answer {b} {s}" for s in "ab"] for b in range(300)])
    table = pa.table({
        "prompt": [f"question {b % 20}" for b in range(300)],
        "chosen": texts[:, 0], "rejected": texts[:, 1],
        "chosen_embedding": vectors[:, 0].tolist(), "rejected_embedding": vectors[:, 1].tolist(),
    })  # fmt: skip
    pq.write_table(table, folder / "pairs.parquet")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in table.to_pylist()))
    done = penchant("fit", folder / "pairs.parquet", "--model", "reward", "--out", folder / "m")
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout + done.stderr)
    return folder


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_fit_leaves_a_folder_and_says_what_it_did(folder):
    said = (folder / "said.txt").read_text()
    assert "reward" in said
    assert "Written to" in said
    # Nobody is named, and the chosen answer stands first: both are seen, neither is misread.
    assert "judges are not told apart" in said.replace("\n", " ")
    assert "shown_first" not in said
    names = {path.name for path in (folder / "m").iterdir()}
    assert {"belief.json", "belief.safetensors", "fit.json", "fit.txt", "weights.json"} <= names
    weights = np.array(json.loads((folder / "m" / "weights.json").read_text())["weights"])
    assert np.corrcoef(weights, WORTH)[0, 1] > 0.98
    assert "How far to trust it" in (folder / "m" / "report.html").read_text()
    told = json.loads((folder / "m" / "report.json").read_text())
    assert told["selective"][0]["value"] > 60


def test_records_that_penchant_kept_are_fitted_and_topics_left_out(folder, tmp_path):
    from penchant.data.readers.native import save
    from penchant.data.readers.read import read

    records = read(folder / "pairs.parquet").records
    topics = [f"t{b % 3}" for b in range(len(records))]
    save(records.with_columns(rows={"topic": topics}), tmp_path / "kept.parquet")
    done = penchant(
        "fit", tmp_path / "kept.parquet", "--model", "reward", "--out", tmp_path / "m",
        "--topic", "topic", "--folds", "2", "--judges", "one", "--by", "topic",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "m" / "report.json").read_text())
    assert [topic["name"] for topic in told["topics"]] == ["topics it has met", "new topics"]
    assert {group["label"] for group in told["worst_subgroups"]["groups"]} == {
        "topic = t0", "topic = t1", "topic = t2"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "rare"], "no subgroup by rare has 10 people, the largest has 1"),
        (["--by", "nothing"], "--by names 'nothing'"),
        (["--topic", "nothing"], "--topic names 'nothing'"),
        (["--topic", "same"], "one value only"),
        (["--topic", "rare", "--folds", "0"], "--topic is of the report, and with --folds 0"),
    ],
)
def test_what_a_report_cannot_tell_apart_is_said_before_anything_is_fitted(
    folder, tmp_path, options, said
):
    rows = [
        {**row, "rare": f"r{place}", "same": "s", "judge": f"j{place}"}
        for place, row in enumerate(lines((folder / "pairs.jsonl").read_text()))
    ]
    (tmp_path / "rare.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = penchant(
        "fit", tmp_path / "rare.jsonl", "--model", "reward", "--out", tmp_path / "m", *options
    )
    assert done.returncode in (2, 3), done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert not (tmp_path / "m" / "belief.json").exists()


def test_options_of_the_report_are_refused_where_none_is_written(folder):
    done = penchant("fit", folder / "pairs.jsonl", "--model", "reward", "--by", "prompt")
    assert done.returncode == 2
    assert "with no --out there is none" in " ".join(done.stderr.replace("│", " ").split())


def test_pairs_come_back_labelled_for_a_trainer(folder):
    out = folder / "labelled.jsonl"
    done = penchant("score", folder / "pairs.jsonl", "--belief", folder / "m", "--out", out)
    assert done.returncode == 0, done.stderr
    labelled = lines(out.read_text())
    given = lines((folder / "pairs.jsonl").read_text())
    assert [row["chosen"] for row in labelled] == [row["chosen"] for row in given]
    gaps = np.array([np.subtract(r["chosen_embedding"], r["rejected_embedding"]) for r in given])
    margins = np.array([row["margin"] for row in labelled])
    assert np.corrcoef(margins, gaps @ WORTH)[0, 1] > 0.98
    for row in labelled:
        assert 0 < row["soft_label"] < 1
        assert (row["soft_label"] > 0.5) == (row["margin"] > 0)
        assert 0 < row["weight"] <= 1
    table = folder / "labelled.parquet"
    again = penchant("score", folder / "pairs.parquet", "--belief", folder / "m", "--out", table)
    assert again.returncode == 0, again.stderr
    np.testing.assert_allclose(np.asarray(pq.read_table(table)["margin"]), margins, atol=1e-6)


def test_what_fit_took_score_takes(folder, tmp_path):
    from penchant.data.readers.native import save
    from penchant.data.readers.read import read

    records = read(folder / "pairs.parquet").records
    second = np.arange(len(records)) % 3 == 0
    rows = {"outcome": np.where(second, 1, 0), "person": [f"p{b}" for b in range(len(records))]}
    save(records.with_columns(rows=rows).take(np.arange(30)), tmp_path / "kept.parquet")
    done = penchant("score", tmp_path / "kept.parquet", "--belief", folder / "m")
    assert done.returncode == 0, done.stderr
    said = lines(done.stdout)
    plain = penchant("score", folder / "pairs.jsonl", "--belief", folder / "m")
    given = lines(plain.stdout)[:30]
    assert [row["first"] for row in said] == [row["chosen"] for row in given]
    assert [row["answer"] for row in said[:4]] == ["second", "first", "first", "second"]
    assert said[7]["observation"] == 8
    assert said[7]["person"] == "p7"
    for one, other in zip(said, given):
        assert one["margin"] == pytest.approx(other["margin"], abs=1e-5)
        apart = one["reward_first"] - one["reward_second"]
        assert one["margin"] == pytest.approx(apart, abs=1e-4)
        assert "embedding" not in str(one.keys())


def test_a_described_file_is_fitted_and_scored_alike(folder, tmp_path):
    given = lines((folder / "pairs.jsonl").read_text())[:40]
    table = pa.Table.from_pylist([
        {"vote": b, "who": f"p{b % 4}", "argument": row[side], "won": int(side == "chosen"),
         "embedding": row[f"{side}_embedding"]}
        for b, row in enumerate(given) for side in ("rejected", "chosen")
    ])  # fmt: skip
    pq.write_table(table, tmp_path / "votes.parquet")
    (tmp_path / "votes.toml").write_text(
        'layout = "long"\n[rows]\nperson = "who"\nsituation = "vote"\n'
        '[options]\ntext = "argument"\n[answer]\nkind = "choice"\ncolumn = "won"\n'
    )
    model = tmp_path / "m"
    done = penchant(
        "fit", tmp_path / "votes.parquet", "--model", "reward", "--out", model, "--folds", "0"
    )
    assert done.returncode == 0, done.stderr
    done = penchant("score", tmp_path / "votes.parquet", "--belief", model)
    assert done.returncode == 0, done.stderr
    said = lines(done.stdout)
    assert [(row["first"], row["second"]) for row in said] == [
        (row["rejected"], row["chosen"]) for row in given
    ]
    assert {row["answer"] for row in said} == {"second"}
    # The model knows its judges, whichever file they come in.
    named = [json.dumps({**row, "person": f"p{b % 4}"}) for b, row in enumerate(given)]
    (tmp_path / "named.jsonl").write_text("\n".join(named))
    plain = penchant("score", tmp_path / "named.jsonl", "--belief", model)
    expected = [-row["margin"] for row in lines(plain.stdout)]
    np.testing.assert_allclose([row["margin"] for row in said], expected, atol=1e-4)


def test_a_file_of_trl_brings_no_remark_about_its_own_columns(folder):
    said = (folder / "said.txt").read_text()
    assert "is called" not in said
    shown = penchant("describe", folder / "pairs.jsonl").stdout
    assert '"chosen"' not in shown


def test_texts_are_scored_from_a_pipe_line_by_line(folder):
    rows = [{"text": "x", "embedding": [1.0, 0, 0]}, {"text": "x", "embedding": [0, 1.0, 0]}]
    text = "\n".join(json.dumps(row) for row in rows)
    done = penchant("score", "-", "--belief", folder / "m", text=text)
    assert done.returncode == 0, done.stderr
    good, bad = lines(done.stdout)
    assert good["reward"] > bad["reward"]
    assert good["low"] < good["reward"] < good["high"]


def test_half_a_character_in_another_column_goes_through_and_in_a_text_is_named(folder):
    row = '{"text": "%s", "embedding": [1.0, 0, 0], "note": "%s \u00e9"}'
    done = penchant("score", "-", "--belief", folder / "m", text=row % ("x", "\\ud800"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["note"] == "\ud800 \u00e9"
    done = penchant("score", "-", "--belief", folder / "m", text=row % ("\\ud800", "x"))
    assert done.returncode == 3
    assert "row 1 has half a pair of surrogates in 'text'" in done.stderr


def test_what_cannot_be_scored_ends_with_a_reason(folder, tmp_path):
    model = folder / "m"
    done = penchant("score", "-", "--belief", model, text='{"text": "no numbers"}')
    assert done.returncode == 3
    assert "came without embeddings" in done.stderr
    done = penchant("score", "-", "--belief", model, text="{nonsense")
    assert done.returncode == 3
    assert "line 1 of standard input is no JSON" in done.stderr
    assert penchant("score", "nowhere.jsonl", "--belief", model).returncode == 3
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("belief.json", "belief.safetensors"):
        (broken / name).write_bytes((model / name).read_bytes())
    whole = (broken / "belief.safetensors").read_bytes()
    (broken / "belief.safetensors").write_bytes(whole[:-20])
    done = penchant("score", "-", "--belief", broken, text='{"text": "x", "embedding": [1,0,0]}')
    assert done.returncode == 3


def test_where_nothing_can_be_written_nothing_is_scored(folder, tmp_path):
    model, pairs = folder / "m", folder / "pairs.jsonl"
    for out, reason in (
        (tmp_path / "x.csv", "which .csv has no way to write"),
        (tmp_path / "x.xlsx", "has the ending '.xlsx'"),
        (tmp_path / "no" / "x.jsonl", "which is no folder"),
    ):
        # The second line is no JSON: whoever reads on to it has scored too much.
        text = pairs.read_text().splitlines()[0] + "\n{nonsense"
        done = penchant("score", "-", "--belief", model, "--out", out, text=text)
        assert done.returncode == 2
        assert reason in " ".join(done.stderr.replace("│", " ").split())
        assert not out.exists()


def test_options_that_would_change_nothing_are_refused(folder):
    file = folder / "pairs.parquet"
    done = penchant("fit", file, "--model", "reward", "--formula", "time")
    assert done.returncode == 2
    assert "--formula" in done.stderr
    done = penchant("fit", file, "--model", "pooled", "--attributes", "length")
    assert done.returncode == 2
    assert "--attributes" in done.stderr
    done = penchant("fit", file, "--model", "reward", "--judges", "all")
    assert done.returncode == 2
    assert "habits" in done.stderr
    done = penchant("fit", file, "--model", "reward", "--judges", "habits", "--kinds", "3")
    assert done.returncode == 2
    assert "prototypes" in done.stderr


def test_the_service_answers_until_it_is_interrupted(folder):
    arguments = [str(COMMAND), "serve", "--belief", str(folder / "m"), "--port", "0"]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        port = int(said.split(":")[2].split("/")[0])
        body = json.dumps({"text": "x", "embedding": [1.0, 0, 0]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/score", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["reward"] > 0
    finally:
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=30)
    assert time.monotonic() - began < 30
    assert process.returncode == 130


def rated_file(path, raters):
    """Stars for texts of known worth, their embeddings beside them."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((60, 3)).astype(np.float32)
    text = rng.integers(0, 60, len(raters))
    stars = 1 + np.searchsorted([-2, -0.5, 0.5, 2], vectors[text] @ WORTH + rng.logistic(size=200))
    table = {"comment": [f"comment number {t}" for t in text], "rating": stars,
             "embedding": vectors[text].tolist(), "rater_id": raters}  # fmt: skip
    pq.write_table(pa.table(table), path)


@pytest.mark.parametrize("who", ["one", "nobody"])
def test_ratings_of_one_rater_or_of_nobody_known_reach_the_report(tmp_path, who):
    raters = ["me"] * 200 if who == "one" else [None] * 200
    rated_file(tmp_path / "rated.parquet", pa.array(raters, pa.string()))
    done = penchant(
        "fit", tmp_path / "rated.parquet", "--model", "reward", "--folds", "2", "--out",
        tmp_path / "m",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "judges are not told apart" in done.stdout.replace("\n", " ")
    told = json.loads((tmp_path / "m" / "report.json").read_text())
    assert told["selective"][0]["value"] > 60
    page = (tmp_path / "m" / "report.html").read_text()
    named = "one judge" if who == "one" else "nobody who is named"
    assert f"judged pairs of {named}; every figure is of answers" in page
    assert ("no interval over judges" in page) == (who == "one")
    # No interval is drawn or bracketed where there is none.
    assert "– to –" not in page
    assert "–\u202f%" not in page
    assert ">nan" not in page.lower()


def test_ratings_that_are_all_alike_are_refused_in_the_users_words(tmp_path):
    rated_file(tmp_path / "rated.parquet", pa.array(["me"] * 200, pa.string()))
    table = pq.read_table(tmp_path / "rated.parquet")
    place = table.column_names.index("rating")
    pq.write_table(
        table.set_column(place, "rating", pa.array([4] * 200)), tmp_path / "same.parquet"
    )
    done = penchant(
        "fit", tmp_path / "same.parquet", "--model", "reward", "--out", tmp_path / "m",
    )  # fmt: skip
    assert done.returncode == 3
    assert "all 200 ratings are the same" in done.stderr
    assert "levels" not in done.stderr


def test_how_many_kinds_are_asked_for_reaches_the_model(folder):
    records = library.read(folder / "pairs.parquet").records
    for judges, people in (
        ("classes", "classes"), ("prototypes", "prototypes"), ("latent", "normal")
    ):  # fmt: skip
        model = build_reward(RewardOptions(judges=judges, kinds=5), records)
        assert (model.people, model.kinds, model.personal) == (people, 5, True)
        assert build_reward(RewardOptions(judges=judges), records).kinds == 2
    assert build_reward(RewardOptions(judges="habits"), records).kinds == 1


@pytest.mark.parametrize("judges", ["classes", "prototypes", "latent"])
def test_kinds_of_judges_are_fitted_saved_and_scored_by_their_own_answers(tmp_path, judges):
    rng = np.random.default_rng(6)
    likes = np.where(np.arange(60) % 2, 2.0, -2.0)
    made = []
    for row in range(900):
        vectors = rng.standard_normal((2, 3))
        apart = vectors[0] - vectors[1]
        gap = apart[0] + likes[row % 60] * apart[1]
        order = [0, 1] if rng.random() < 1 / (1 + np.exp(-gap)) else [1, 0]
        made.append({
            "person": f"p{row % 60}", "chosen": f"text {row} {order[0]}",
            "rejected": f"text {row} {order[1]}", "chosen_embedding": vectors[order[0]].tolist(),
            "rejected_embedding": vectors[order[1]].tolist(),
        })  # fmt: skip
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    done = penchant("fit", tmp_path / "pairs.jsonl", "--model", "reward", "--judges", judges,
                    "--kinds", 2, "--attributes", "none", "--folds", 0, "--out", tmp_path / "m",
                    "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {each["name"] for each in json.loads(done.stdout)["coefficients"]}
    expected = {"classes": "taste 1 [class 2]", "prototypes": "taste 1 [prototype 2]",
                "latent": "chol(taste 1, taste 1)"}  # fmt: skip
    assert expected[judges] in names
    asked = [{"text": "new", "embedding": [0.0, 1.0, 0.0], "person": name}
             for name in ("p0", "p1", "nobody")]  # fmt: skip
    said = penchant("score", "-", "--belief", tmp_path / "m",
                    text="".join(json.dumps(row) + "\n" for row in asked))  # fmt: skip
    assert said.returncode == 0, said.stderr
    one, other, anybody = (row["reward"] for row in lines(said.stdout))
    # p0 dislikes what p1 likes; of nobody nothing is known.
    assert one < anybody - 0.3 < anybody + 0.3 < other


def test_margins_are_used_where_they_are_asked_for_and_named_where_they_are_not(folder, tmp_path):
    rows = [
        {**row, "margin": 3.0 * (place % 2)}
        for place, row in enumerate(lines((folder / "pairs.jsonl").read_text()))
    ]
    (tmp_path / "strong.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = []
    for words in ((), ("--margin", "margin")):
        done = penchant("fit", tmp_path / "strong.jsonl", "--model", "reward", "--folds", "0",
                        "--out", tmp_path / "m", *words)  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("--margin margin makes it the head's" in done.stderr) == (not words)
        found.append(np.array(json.loads((tmp_path / "m" / "weights.json").read_text())["weights"]))
    assert np.abs(found[0] - found[1]).max() > 1e-3
    for words, said in (
        (("--margin", "margin", "--judges", "classes"), "got --margin with --judges classes"),
        (("--margin", "margin", "--soft-label", "margin"), "got --margin with --soft-label"),
    ):
        done = penchant("fit", tmp_path / "strong.jsonl", "--model", "reward", *words)
        assert done.returncode == 2
        assert said in " ".join(done.stderr.replace("│", " ").split())
    done = penchant("fit", tmp_path / "strong.jsonl", "--model", "reward", "--margin", "strength")
    assert done.returncode == 3
    assert "no column 'strength' of margins" in " ".join(done.stderr.replace("│", " ").split())
