"""Reasons from the shell: read beside judgements, told in every report, refused with the mend."""

import json
import os
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from penchant.cli.main import app

WORDS = ("clear", "rude", "kind", "short", "loud")
TRUTH = np.array([1.5, -1.0, 0.8, 0.0, 0.0])


def lines(num=140, seed=0):
    """Judged pairs whose winner is told by three of five attributes, and why in a word; one row in
    four says nothing."""
    rng = np.random.default_rng(seed)
    texts = rng.normal(size=(num, 2, 5))
    won = rng.random(num) < 1 / (1 + np.exp(-(texts[:, 0] - texts[:, 1]) @ TRUTH))
    texts = np.where(won[:, None, None], texts, texts[:, ::-1])
    named = np.argmax((texts[:, 0] - texts[:, 1]) * TRUTH, axis=1)
    named = np.where(rng.random(num) < 0.2, rng.integers(0, 5, num), named)
    return [
        {"prompt": f"q{k % 9}", "chosen": f"better {k}", "rejected": f"worse {k}",
         "chosen_embedding": texts[k, 0].tolist(), "rejected_embedding": texts[k, 1].tolist(),
         "person": f"p{k % 12}", "why": WORDS[named[k]] if k % 4 else (None if k % 8 else " "),
         "why_embedding": np.eye(5)[named[k]].tolist()}
        for k in range(num)
    ]  # fmt: skip


def write(rows, file):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return " ".join(done.output.replace("│", " ").split())


def test_the_installed_command_hears_reasons_and_every_report_says_what_they_added(tmp_path):
    command = Path(sysconfig.get_path("scripts")) / "penchant"
    file = write(lines(), tmp_path / "pairs.jsonl")
    done = subprocess.run(
        [str(command), "fit", str(file), "--model", "reward", "--reason", "why", "--judges", "one",
         "--folds", "2", "--out", str(tmp_path / "m")],
        capture_output=True, text=True, timeout=300, env={**os.environ, "COLUMNS": "100"},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted = "105 reasons (why) beside 105 of 140 judgements, of 5 themes."
    assert counted in " ".join(done.stdout.split())
    told = json.loads((tmp_path / "m" / "fit.json").read_text())["reasons"]
    assert told["foretold_low"] > 0
    worth = {theme["label"]: theme["worth"] for theme in told["themes"]}
    assert worth["clear"] > 0.5 > -0.3 > worth["rude"]
    page = (tmp_path / "m" / "report.html").read_text()
    assert "Why people said so" in page
    assert "105 reasons (why)" in page
    assert json.loads((tmp_path / "m" / "report.json").read_text())["reasons"]["reasons"] == 105
    # What is scored needs no reasons.
    asked = [{k: row[k] for k in row if not k.startswith("why")} for row in lines(4, seed=1)]
    new = write(asked, tmp_path / "new.jsonl")
    scored = tmp_path / "scored.jsonl"
    run("score", new, "--belief", tmp_path / "m", "--out", scored)
    assert len(scored.read_text().splitlines()) == 4


def test_a_column_of_reasons_that_nobody_asked_for_is_pointed_at(tmp_path):
    rows = [{**row, "reason": row["why"]} for row in lines(60)]
    said = run("fit", write(rows, tmp_path / "pairs.jsonl"), "--model", "reward", "--judges", "one")
    assert "The column reason is not used; --reason reason lets the head hear it." in said


@pytest.mark.parametrize(
    ("words", "change", "said", "code"),
    [
        (("--reason", "because"), {}, "no column 'because' of reasons", 3),
        (("--reason", "why"), {"why": " "}, "all 60 cells of 'why' are empty", 3),
        (("--reason", "why"), {"why": 3}, "holds int64; expected reasons in words", 3),
        (("--reason", "prompt"), {}, "have no column 'prompt_embedding'", 3),
        (("--reason", "why", "--soft-label", "p"), {}, "got --reason with --soft-label", 2),
        (("--reason", "why"), {"why": "same", "why_embedding": [1.0] * 5},
         "all name one theme, which tells nothing apart", 0),
    ],
)  # fmt: skip
def test_reasons_that_cannot_be_heard_are_told_apart(tmp_path, words, change, said, code):
    file = write([{**row, **change} for row in lines(60)], tmp_path / "pairs.jsonl")
    assert said in run("fit", file, "--model", "reward", "--judges", "one", *words, code=code)


def test_reasons_belong_to_reward_models(tmp_path):
    file = write(lines(20), tmp_path / "pairs.jsonl")
    assert "--reason belongs to --model reward" in run("fit", file, "--reason", "why", code=2)


def test_reasons_longer_than_the_window_are_counted(tmp_path):
    torch = pytest.importorskip("torch")
    from lm.tiny_models import tiny
    from penchant.lm.decoder import DecoderConfig
    from penchant.lm.folder import save_language_model
    from penchant.lm.language_model import moved_to

    model = moved_to(tiny(config=DecoderConfig(width=16, layers=1, heads=2, window=24)),
                     dtype=torch.float32)  # fmt: skip
    save_language_model(model, tmp_path / "llm")
    rows = [
        {"chosen": f"aa{k}", "rejected": f"b{k}", "why": ("as " * 20 if k < 5 else "as ") + str(k)}
        for k in range(40)
    ]
    file = write(rows, tmp_path / "pairs.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
        said = run("fit", file, "--model", "reward", "--language-model", tmp_path / "llm",
                   "--reason", "why")  # fmt: skip
    assert "Of the reasons 5 of 40 texts" in said
    assert "what is outside of its window was not seen" in said
