"""What people's files hold and a reward model must live with: each, from the shell."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from penchant.cli.main import app

WORTH = np.array([1.5, -1.0, 0.0])
NUM, TEXTS = 400, 60
VECTORS = np.random.default_rng(1).standard_normal((TEXTS, 3))


def judged(seed=0, num=NUM):
    """Pairs of known texts as (winner, loser)."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, TEXTS, num)
    second = (first + rng.integers(1, TEXTS, num)) % TEXTS
    swap = rng.random(num) > 1 / (1 + np.exp(-(VECTORS[first] - VECTORS[second]) @ WORTH))
    return np.where(swap, second, first), np.where(swap, first, second), rng


def row(chosen, rejected, **more):
    return {
        "prompt": "q", "chosen": f"text {chosen}", "rejected": f"text {rejected}",
        "chosen_embedding": VECTORS[chosen].tolist(),
        "rejected_embedding": VECTORS[rejected].tolist(), **more,
    }  # fmt: skip


def run(*arguments, code=0, text=None):
    done = CliRunner().invoke(app, [str(each) for each in arguments], input=text)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def fit(tmp_path):
    """Fit these lines; what was said, and the head's weights."""

    def fitted(rows, *more):
        (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        done = run("fit", tmp_path / "pairs.jsonl", "--model", "reward", "--attributes", "none",
                   "--folds", 0, "--json", "--out", tmp_path / "m", *more)  # fmt: skip
        told = " ".join(json.loads(done.stdout)["warnings"])
        weights = json.loads((tmp_path / "m" / "weights.json").read_text())["weights"]
        return told, np.array(weights)

    fitted.folder = tmp_path / "m"
    return fitted


def test_empty_and_identical_texts_are_counted(fit):
    won, lost, _ = judged()
    rows = [row(a, b) for a, b in zip(won, lost)]
    rows += [{**row(3, 3)}, {**row(5, 7), "rejected": "", "rejected_embedding": [0.0, 0.0, 0.0]}]
    told, weights = fit(rows)
    assert "1 of 804 texts shown are empty" in told
    assert "1 of 402 observations compare a text with itself" in told
    assert np.corrcoef(weights, WORTH)[0, 1] > 0.98


def test_one_annotator_only_is_one_average_judge_and_said(fit):
    told, weights = fit([row(a, b, person="ann") for a, b in zip(*judged()[:2])])
    assert "There is one judge only" in told
    assert np.corrcoef(weights, WORTH)[0, 1] > 0.98


def test_labels_that_contradict_themselves_are_counted(fit):
    won, lost, _ = judged()
    rows = [row(a, b, person=f"p{k % 8}") for k, (a, b) in enumerate(zip(won, lost))]
    rows += [row(b, a, person="p0") for a, b in zip(won[0:80:8], lost[0:80:8])]
    told, _ = fit(rows)
    assert "times that a judge saw the same two texts again, they preferred the other one" in told


def test_a_judge_that_fails_half_the_time_counts_for_less(fit):
    won, lost, rng = judged(num=900)
    # p0 tosses a coin half of the time, the others do not.
    fails = (np.arange(900) % 3 == 0) & (rng.random(900) < 0.5)
    coin = fails & (rng.random(900) < 0.5)
    won, lost = np.where(coin, lost, won), np.where(coin, won, lost)
    fit([row(a, b, person=f"p{k % 3}") for k, (a, b) in enumerate(zip(won, lost))],
        "--judges", "habits")  # fmt: skip
    best, worst = int(np.argmax(VECTORS @ WORTH)), int(np.argmin(VECTORS @ WORTH))
    asked = "".join(json.dumps(row(best, worst, person=f"p{p}")) + "\n" for p in range(3))
    said = run("score", "-", "--belief", fit.folder, text=asked).stdout
    margin = [json.loads(line)["margin"] for line in said.splitlines()]
    assert 0 < margin[0] < min(margin[1:])


def test_annotators_absent_from_the_rows_are_one_average_judge_and_said(fit):
    told, _ = fit([row(a, b, person=None) for a, b in zip(*judged()[:2])])
    assert "nobody known to have answered twice" in told or "no column" in told


def test_a_context_never_met_is_answered_with_how_little_is_known(fit):
    fit([row(a, b, prompt=f"question {a % 5}") for a, b in zip(*judged()[:2])])
    far = [3.0, 3.0, 3.0]
    asked = [{"prompt": "question 1", "text": "text 1", "embedding": VECTORS[1].tolist()},
             {"prompt": "never asked", "text": "new", "embedding": far}]  # fmt: skip
    said = run("score", "-", "--belief", fit.folder,
               text="".join(json.dumps(each) + "\n" for each in asked)).stdout  # fmt: skip
    known, new = (json.loads(line) for line in said.splitlines())
    assert new["low"] < new["reward"] < new["high"]
    assert new["high"] - new["low"] > 1.5 * (known["high"] - known["low"])


def test_a_fifth_of_poisoned_labels_shrinks_rewards_and_leaves_their_order(fit):
    won, lost, rng = judged(num=900)
    _, clean = fit([row(a, b) for a, b in zip(won, lost)])
    turned = rng.random(900) < 0.2
    _, poisoned = fit(
        [row(b, a) if bad else row(a, b) for a, b, bad in zip(won, lost, turned)]
    )  # fmt: skip
    assert np.linalg.norm(poisoned) < 0.8 * np.linalg.norm(clean)
    assert np.corrcoef(VECTORS @ poisoned, VECTORS @ WORTH)[0, 1] > 0.95


def test_prompts_longer_than_the_window_are_counted(tmp_path):
    torch = pytest.importorskip("torch")
    from lm.tiny_models import tiny
    from penchant.lm.decoder import DecoderConfig
    from penchant.lm.folder import save_language_model
    from penchant.lm.language_model import moved_to

    model = moved_to(tiny(config=DecoderConfig(width=16, layers=1, heads=2, window=24)),
                     dtype=torch.float32)  # fmt: skip
    save_language_model(model, tmp_path / "llm")
    rng = np.random.default_rng(2)
    rows = [
        {"prompt": "p" * (60 if k < 5 else 4), "chosen": f"aa{k}{rng.integers(99)}",
         "rejected": f"b{k}"}
        for k in range(60)
    ]  # fmt: skip
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENCHANT_CACHE", str(tmp_path / "cache"))
        done = run("fit", tmp_path / "long.jsonl", "--model", "reward", "--folds", 0, "--json",
                   "--language-model", tmp_path / "llm", "--out", tmp_path / "m")  # fmt: skip
    told = " ".join(json.loads(done.stdout)["warnings"])
    assert "10 of 120 texts (with their prompts) are longer than" in told
