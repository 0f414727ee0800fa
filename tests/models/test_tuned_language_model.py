"""Whom a tuning learns from and whom it leaves: no text on both sides where texts allow it."""

import json

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records

torch = pytest.importorskip("torch")

from lm.tiny_models import save_tiny  # noqa: E402  # they need torch
from penchant.encoders.language_states import LanguageStates  # noqa: E402
from penchant.fitting.language_reward import LanguageRewardConfig  # noqa: E402
from penchant.fitting.sgd import TrainConfig  # noqa: E402
from penchant.models.tuned_language_model import Tuning, tune_language_model  # noqa: E402

TRAINING = TrainConfig(batch_size=64, max_epochs=1, learning_rate=1e-3)
QUICK = Tuning(reward=LanguageRewardConfig(trained="head"), training=TRAINING)


def pairs(shown, prompts):
    rows = {"kind": ["pair"] * len(shown), "outcome": [0] * len(shown), "prompt": prompts,
            "person": ["p"] * len(shown)}  # fmt: skip
    texts = [f"t{text}" for pair in shown for text in pair]
    return Records(
        rows=pa.table(rows), options=pa.table({"text": texts}),
        offsets=np.arange(0, len(texts) + 1, 2),
    ).normalised()  # fmt: skip


def sides(folder, records):
    """Rows of the texts after their prompts: those left and those that tuned; and the remarks."""
    save_tiny(folder / "base")
    states = LanguageStates(model=str(folder / "base"))
    tuned = tune_language_model(records, states, folder / "tuned", QUICK)

    def told(part):
        prompts = np.repeat(part.rows["prompt"].to_pylist(), 2).tolist()
        both = [json.dumps(each) for each in zip(prompts, part.options["text"].to_pylist())]
        return [tuple(both[k : k + 2]) for k in range(0, len(both), 2)]

    left, everybody = told(tuned.left), told(records)
    assert 0 < len(left) < len(everybody)
    mine = list(everybody)
    for pair in left:
        mine.remove(pair)
    return left, mine, " ".join(tuned.remarks)


def texts_of(shown):
    return {text for pair in shown for text in pair}


def prompts_of(shown):
    return {json.loads(text)[0] for text in texts_of(shown)}


def test_no_prompt_tunes_that_is_judged_where_there_are_many(tmp_path):
    shown = [(f"{q}.{a}", f"{q}.{b}") for q in range(30) for a, b in ((0, 1), (1, 2), (3, 4))]
    left, mine, remarks = sides(tmp_path, pairs(shown, [f"q{k // 3}" for k in range(len(shown))]))
    assert not prompts_of(left) & prompts_of(mine)
    assert "hang together" not in remarks


def test_no_text_tunes_that_is_judged_where_prompts_are_few(tmp_path):
    shown = [(f"{q}.{a}", f"{q}.{b}") for q in range(30) for a, b in ((0, 1), (1, 2), (2, 3))]
    left, mine, remarks = sides(tmp_path, pairs(shown, ["q"] * len(shown)))
    assert not texts_of(left) & texts_of(mine)
    assert "hang together" not in remarks


def test_texts_that_all_hang_together_are_said_to(tmp_path):
    rng = np.random.default_rng(0)
    shown = [tuple(rng.choice(12, 2, replace=False)) for _ in range(90)]
    left, mine, remarks = sides(tmp_path, pairs(shown, ["q"] * len(shown)))
    # The same two texts stay on one side at least.
    assert not {frozenset(p) for p in left} & {frozenset(p) for p in mine}
    met = sum(any(text in texts_of(mine) for text in pair) for pair in left)
    assert f"{met} of the {len(left)} answers left" in remarks
