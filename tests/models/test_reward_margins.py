"""How strongly a text was preferred: margins shape the head, and probabilities stay those of
answers."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.models.reward_model import HABITS, RewardModel

WEIGHTS = np.array([1.2, -0.8, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
TEXTS = 300
VECTORS = np.random.default_rng(9).standard_normal((TEXTS, len(WEIGHTS))).astype(np.float32)


def judged(seed, count, strength=1.0):
    """Judges prefer the text that feels better to them just now, and say by how much it does."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, TEXTS, count)
    second = (first + rng.integers(1, TEXTS, count)) % TEXTS
    felt = (VECTORS[first] - VECTORS[second]) @ WEIGHTS + rng.logistic(size=count)
    shown = np.column_stack([first, second]).ravel().astype(np.int32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), len(WEIGHTS))
    words = pa.array([f"text {place}" for place in range(TEXTS)])
    return Records.from_arrays(
        options={"text": pa.DictionaryArray.from_arrays(shown, words),
                 "embedding": pa.DictionaryArray.from_arrays(shown, lists)},
        menu_sizes=np.full(count, 2), kind="pair", extras=("embedding",),
        rows={"outcome": (felt < 0).astype(int), "strength": strength * np.abs(felt),
              "person": [f"p{k % 12}" for k in range(count)]},
    )  # fmt: skip


def fitted(records, **more):
    return RewardModel(personal=False, attributes=(), has_own_worth=False, **more).fit(records)


def agreement(model):
    return np.corrcoef(VECTORS @ model.belief_.encoder.weights, VECTORS @ WEIGHTS)[0, 1]


def test_how_strongly_texts_were_preferred_tells_more_than_which_were():
    gains = []
    for seed in range(8):
        records = judged(seed, 120)
        gains.append(agreement(fitted(records, margin="strength")) - agreement(fitted(records)))
    assert np.mean(gains) > 0.007
    assert np.mean(np.array(gains) > 0) > 0.8


def test_no_margin_is_the_model_without():
    records = judged(0, 200, strength=0.0)
    one, other = fitted(records, margin="strength"), fitted(records)
    np.testing.assert_array_equal(one.belief_.encoder.weights, other.belief_.encoder.weights)
    np.testing.assert_array_equal(one.belief_.theta, other.belief_.theta)


def test_probabilities_are_of_answers_however_large_the_margins():
    """The head is driven apart by margins of some three logits; what its word counts for is found
    on pairs that it has not seen, by who won them."""
    records, test = judged(1, 1500, strength=3.0), judged(2, 4000)
    by_margin, plain = fitted(records, margin="strength"), fitted(records)
    wide, narrow = (np.std(VECTORS @ m.belief_.encoder.weights) for m in (by_margin, plain))
    assert wide > 2.0 * narrow
    won = np.asarray(test.rows["outcome"])
    said = by_margin.judge(test).probabilities[:, 0]
    for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9)):
        mine = (said > low) & (said < high)
        assert abs((won[mine] == 0).mean() - said[mine].mean()) < 0.05
    assert by_margin.belief_.theta[0] < 0.7


def test_the_side_that_won_is_the_one_that_has_to_win_by_the_margin():
    """Turned round, every pair says the same."""
    records = judged(3, 300)
    turned = Records(
        rows=records.with_columns(
            rows={"outcome": 1 - np.asarray(records.rows["outcome"])}
        ).rows,
        options=records.options.take(pa.array(np.arange(600).reshape(300, 2)[:, ::-1].ravel())),
        offsets=records.offsets, roles=records.roles,
    )  # fmt: skip
    one, other = (fitted(r, margin="strength", prior_scale=1.0) for r in (records, turned))
    np.testing.assert_allclose(
        one.belief_.encoder.weights, other.belief_.encoder.weights, atol=2e-3
    )


def test_margins_go_with_judges_who_differ_and_not_with_kinds_or_soft_labels():
    records = judged(4, 240).with_columns(rows={"share": np.full(240, 0.5)})
    model = RewardModel(margin="strength", personal=HABITS, num_draws=30, attributes=())
    assert model.fit(records).belief_.report.converged
    with pytest.raises(ConfigError, match="got margin='strength' with kinds=2"):
        RewardModel(margin="strength", kinds=2).fit(records)
    with pytest.raises(ConfigError, match="got margin='strength' with soft_label='share'"):
        RewardModel(margin="strength", soft_label="share", personal=False).fit(records)


def test_a_tuned_language_model_hears_the_margin_where_the_winner_stands(monkeypatch, tmp_path):
    pytest.importorskip("torch")
    from lm.tiny_models import save_tiny
    from penchant.encoders.language_states import LanguageStates
    from penchant.models import tuned_language_model
    from penchant.models.tuned_language_model import tune_language_model

    save_tiny(tmp_path / "base")
    heard = []

    def stop(model, texts, batch, *given, **named):
        heard.append(batch)
        raise KeyboardInterrupt

    monkeypatch.setattr(tuned_language_model, "fit_language_reward", stop)
    records = judged(5, 60)
    for margin in ("strength", None):
        with pytest.raises(KeyboardInterrupt):
            tune_language_model(
                records, LanguageStates(model=str(tmp_path / "base")), tmp_path / "tuned",
                tuned_language_model.Tuning(), margin=margin,
            )  # fmt: skip
    assert heard[0].feature_names == ("offset",)
    assert heard[1].feature_names == ()
    (block,) = heard[0].blocks
    strength = np.asarray(records.rows["strength"])[block.row]
    winner = block.answer["outcome"]
    rows = np.arange(len(block))
    np.testing.assert_allclose(block.features[rows, winner, 0], -strength)
    np.testing.assert_array_equal(block.features[rows, 1 - winner, 0], 0.0)
