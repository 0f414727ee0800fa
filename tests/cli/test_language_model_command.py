"""Reward models on language models from the shell: fit, tune, score, exits to transformers."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from penchant.cli.fit_reward import embedding_of
from penchant.cli.main import app
from penchant.cli.reward_options import RewardOptions
from penchant.data.records import Records

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # they need torch
from penchant.errors import ConfigError  # noqa: E402
from penchant.lm.decoder import DecoderConfig  # noqa: E402
from penchant.lm.folder import save_language_model  # noqa: E402
from penchant.lm.language_model import moved_to  # noqa: E402
from penchant.models.reward_scorer import RewardScorer  # noqa: E402
from penchant.serving.classifier_folder import write_classifier  # noqa: E402
from penchant.serving.scorer_http import ScorerServer  # noqa: E402

CONFIG = DecoderConfig(width=16, layers=2, heads=2, window=48)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """pairs.jsonl, where more of the letter a is better, a language model, and a command."""
    folder = tmp_path_factory.mktemp("lm")
    rng = np.random.default_rng(0)

    def text():
        return "".join(rng.choice(list("abcd"), 6))

    rows = []
    for place in range(240):
        one, two = text(), text()
        gap = 1.5 * (one.count("a") - two.count("a"))
        first, second = (one, two) if rng.random() < 1 / (1 + np.exp(-gap)) else (two, one)
        rows.append({"prompt": f"q{place % 3}", "chosen": first, "rejected": second})
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_language_model(moved_to(tiny(config=CONFIG), dtype=torch.float32), folder / "base")

    def run(*arguments, code=0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PENCHANT_CACHE", str(folder / "cache"))
            done = CliRunner().invoke(app, [str(each) for each in arguments])
        assert done.exit_code == code, done.output
        return done.output

    said = run(
        "fit", folder / "pairs.jsonl", "--model", "reward", "--language-model", folder / "base",
        "--out", folder / "frozen", "--folds", 0,
    )  # fmt: skip
    assert "Written to" in said
    return folder, run


def scored(run, folder, model):
    texts = [{"prompt": "q1", "text": text} for text in ("aaaaaa", "abcdab", "ddcdcb", "x")]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    run("score", folder / "texts.jsonl", "--belief", model, "--out", folder / "said.jsonl")
    lines = (folder / "said.jsonl").read_text().splitlines()
    return texts, np.array([json.loads(line)["reward"] for line in lines])


def test_rewards_on_frozen_states_know_what_was_preferred(shell):
    folder, run = shell
    _, rewards = scored(run, folder, folder / "frozen")
    assert rewards[0] > rewards[1] > rewards[2]
    weights = json.loads((folder / "frozen" / "weights.json").read_text())
    assert weights["embedding"]["dimensions"] == 16
    assert weights["attributes"] == []


def test_transformers_loads_the_folder_and_gives_the_same_rewards(shell):
    transformers = pytest.importorskip("transformers")
    folder, run = shell
    out = folder / "exit"
    write_classifier(RewardScorer.load(folder / "frozen"), out)
    texts, rewards = scored(run, folder, folder / "frozen")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    whole = [f"<begin>{row['prompt']}\n\n{row['text']}<end>" for row in texts]
    with torch.no_grad():
        said = model(**tokenizer(whole, return_tensors="pt", padding=True)).logits[:, 0].numpy()
    np.testing.assert_allclose(said + model.config.penchant_constant, rewards, atol=1e-4)
    assert np.ptp(rewards) > 0.5
    card = (out / "README.md").read_text()
    assert "penchant score" in card
    assert "begin token, prompt, an empty line, text, end token" in card


def test_a_language_model_that_moved_with_its_reward_model_is_found(shell, tmp_path):
    folder, run = shell
    _, before = scored(run, folder, folder / "frozen")
    shutil.copytree(folder / "frozen", tmp_path / "there" / "frozen")
    aside = folder / "aside"
    (folder / "base").rename(aside)
    try:
        said = run(
            "score", folder / "texts.jsonl", "--belief", tmp_path / "there" / "frozen", code=3
        )
        assert "Put its folder into one of these places" in plain(said)
        run("serve", "--belief", tmp_path / "there" / "frozen", "--port", 0, code=3)
        for place in (tmp_path / "there" / "base", tmp_path / "there" / "frozen" / "base"):
            shutil.copytree(aside, place)
            _, after = scored(run, folder, tmp_path / "there" / "frozen")
            np.testing.assert_array_equal(before, after)
            shutil.rmtree(place)
    finally:
        aside.rename(folder / "base")


def test_another_language_model_in_its_place_is_not_read_with(shell, tmp_path):
    folder, run = shell
    shutil.copytree(folder / "frozen", tmp_path / "frozen")
    for name in ("base", "language_model"):
        other = moved_to(tiny(1, config=CONFIG), dtype=torch.float32)
        save_language_model(other, tmp_path / "frozen" / name)
    _, before = scored(run, folder, folder / "frozen")
    _, after = scored(run, folder, tmp_path / "frozen")
    np.testing.assert_array_equal(before, after)
    states = RewardScorer.load(tmp_path / "frozen").encoder.embedding
    with pytest.raises(ConfigError, match="not the one of the fit"):
        replace(states, model=str(tmp_path / "frozen" / "base")).read(["p"], ["t"])


def test_what_travels_names_no_place_of_this_machine(shell):
    folder, _ = shell
    for name in ("fit.json", "weights.json", "fit.txt"):
        said = (folder / "frozen" / name).read_text()
        assert str(folder) not in said
    assert "LanguageStates('base')" in (folder / "frozen" / "fit.json").read_text()
    with ScorerServer(RewardScorer.load(folder / "frozen"), port=0) as server:
        assert str(folder) not in json.dumps(server.about())


def plain(said):
    return " ".join(said.replace("│", " ").split())


@pytest.mark.slow
def test_a_tuned_model_travels_with_its_folder_and_has_not_seen_what_it_is_judged_on(shell):
    folder, run = shell
    out = folder / "tuned"
    said = run(
        "fit", folder / "pairs.jsonl", "--model", "reward", "--language-model", folder / "base",
        "--tune", "low_rank", "--learning-rate", 0.01, "--epochs", 2, "--out", out, "--folds", 0,
        "--classifier",
    )  # fmt: skip
    found = re.search(r"was tuned \(low_rank\) on (\d+) of 240 answers", plain(said))
    assert found
    assert 60 < int(found[1]) < 180
    (remark,) = json.loads((out / "fit.json").read_text())["tuning"]
    assert f"{240 - int(found[1])}." in remark
    assert not (out / "tuning").exists()
    assert (out / "classifier" / "config.json").is_file()
    _, before = scored(run, folder, out)
    moved = folder / "elsewhere"
    out.rename(moved)
    _, after = scored(run, folder, moved)
    np.testing.assert_array_equal(before, after)
    assert before[0] > before[2]
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(before, scored(run, folder, folder / "frozen")[1], atol=1e-3)


@pytest.mark.parametrize(("options", "words"), [
    (["--tune", "low_rank"], "--tune without --language-model"),
    (["--language-model", "x", "--tune", "all"], "expected low_rank"),
    (["--language-model", "x", "--epochs", "2"], "--epochs without --tune"),
    (["--language-model", "x", "--tune", "whole"], "--tune without --out"),
    (["--language-model", "x", "--classifier"], "--classifier without --out"),
    (["--language-model", "x", "--classifier", "--attributes", "length"], "no place for them"),
    (["--language-model", "x", "--embedder", "y"], "both --embedder and --language-model"),
    (["--endpoint", "http://localhost:1/v1"], "--endpoint without --embedder"),
    (["--endpoint", "localhost", "--embedder", "m"], "got the address"),
    (["--language-model", "nobody/such"], "no language model"),
])  # fmt: skip
def test_options_that_would_change_nothing_are_refused(shell, options, words):
    folder, run = shell
    if "nobody/such" in options:
        pytest.importorskip("transformers")
    said = run("fit", folder / "pairs.jsonl", "--model", "reward", *options, code=2)
    assert words in plain(said)


def test_a_prompt_that_the_file_does_not_have_is_refused(shell):
    folder, run = shell
    said = run(
        "fit", folder / "pairs.jsonl", "--model", "reward", "--language-model", folder / "base",
        "--prompt", "promt", code=3,
    )  # fmt: skip
    assert "got --prompt promt; expected a column of the observations" in plain(said)


def test_embeddings_of_the_file_are_told_apart_by_the_prompt_that_was_named():
    records = Records(
        rows=pa.table({"kind": ["pair"], "outcome": [0], "question": ["q"]}),
        options=pa.table({"text": ["a", "b"], "numbers": [[1.0], [2.0]]}),
        offsets=np.array([0, 2]),
    ).normalised()
    wanted = RewardOptions(embedding="numbers", prompt="question")
    found = embedding_of(wanted, records)
    assert (found.column, found.text, found.prompt) == ("numbers", "text", "question")


def test_a_head_on_other_embeddings_has_no_such_folder(shell, tmp_path):
    from penchant.encoders.embedding import EmbeddingColumn

    folder, _ = shell
    scorer = RewardScorer.load(folder / "frozen")
    other = replace(scorer.encoder, embedding=EmbeddingColumn())
    with pytest.raises(ConfigError, match="not on a language model's"):
        write_classifier(replace(scorer, encoder=other), tmp_path)
    longer = replace(scorer.encoder, attributes=("length",))
    with pytest.raises(ConfigError, match="counts length beside"):
        write_classifier(replace(scorer, encoder=longer), tmp_path)
