"""The weight of the reward in the second stage: a head that learnt nothing turns nothing round."""

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.models.reward_model import HABITS, RewardModel
from penchant.models.reward_scorer import RewardScorer, Texts

NOTHING_LEARNT = "cannot be told from chance"


def few_pairs(seed, num_pairs=60, dimensions=64, sd=1.4, chosen_first=False):
    """Pairs of texts that occur once, whose true gaps have this standard deviation in logits."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((2 * num_pairs, dimensions)).astype(np.float32)
    truth = rng.standard_normal(dimensions) * sd / np.sqrt(2 * dimensions)
    gap = (vectors[0::2] - vectors[1::2]) @ truth
    outcome = (rng.random(num_pairs) > 1 / (1 + np.exp(-gap))).astype(int)
    if chosen_first:
        order = np.arange(2 * num_pairs).reshape(-1, 2)
        order[outcome == 1] = order[outcome == 1][:, ::-1]
        vectors, outcome = vectors[order.ravel()], np.zeros(num_pairs, dtype=int)
    texts = [f"t{i} " + "so " * int(n) for i, n in enumerate(rng.integers(0, 9, 2 * num_pairs))]
    return Records.from_arrays(
        options={
            "text": pa.array(texts),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimensions),
        },
        menu_sizes=np.full(num_pairs, 2),
        kind="pair",
        rows={"person": [f"p{i % 10}" for i in range(num_pairs)], "outcome": outcome},
        extras=("embedding",),
    ), vectors


@pytest.mark.parametrize("personal", [False, HABITS])
def test_a_head_that_learnt_nothing_turns_no_reward_round_and_says_so(personal):
    for seed in range(8):
        records, _ = few_pairs(seed)
        belief = RewardModel(personal=personal, num_draws=50).fit(records).belief_
        weight, error = belief.theta[0], np.sqrt(belief.covariance[0, 0])
        assert weight >= 0
        assert error > 0.05
        warned = any(NOTHING_LEARNT in warning for warning in belief.report.warnings)
        assert warned == (weight - 1.96 * error <= 0)


@pytest.mark.parametrize("num_pairs", [6, 12])
def test_a_handful_of_pairs_is_not_scored_against_its_own_answers(num_pairs):
    for seed in range(6):
        records, vectors = few_pairs(seed, num_pairs=num_pairs, chosen_first=True)
        model = RewardModel(personal=False, attributes=()).fit(records)
        texts = records.options["text"].to_pylist()
        first, second = (Texts(texts=texts[side::2], vectors=vectors[side::2]) for side in (0, 1))
        said = RewardScorer.of(model.belief_).compare(first, second)
        assert said.margin.mean() >= 0
        assert any(NOTHING_LEARNT in warning for warning in model.belief_.report.warnings)


def test_a_weight_that_the_answers_know_is_left_as_it_is():
    records, _ = few_pairs(0, num_pairs=3000, dimensions=8)
    belief = RewardModel(personal=False, attributes=()).fit(records).belief_
    assert belief.theta[0] == pytest.approx(1.0, abs=0.15)
    assert not any(NOTHING_LEARNT in warning for warning in belief.report.warnings)
    assert "around 1" in belief.report.prior
