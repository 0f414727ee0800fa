"""Answers judged one by one: the loss by hand, what it teaches, what it refuses; own pairs."""

import math

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.sgd import TrainConfig
from penchant.lm.low_rank import LowRankConfig
from penchant.lm.sample import SampleConfig
from penchant.policies.language.rollouts import demonstration_ids, draw_rollouts
from penchant.policies.language.unpaired import (
    Judged,
    UnpairedConfig,
    answer_log_ratios,
    fit_unpaired,
)

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.own_pairs import judged_answers, own_pairs  # noqa: E402
from penchant.policies.language.unpaired import _Unpaired  # noqa: E402

TEXTS = (("a?", "yes", True), ("bb?", "no", False), ("c?", "yes", True), ("d?", "maybe", False))


def judged(texts=TEXTS):
    told = [demonstration_ids(tiny().tokenizer, prompt, text) for prompt, text, _ in texts]
    return Judged(
        rows=[row for row, _ in told], place=np.array([place for _, place in told]),
        is_desired=np.array([good for *_, good in texts]),
    )  # fmt: skip


def log_pi(model, prompt, answer):
    """Of one answer, by a loop over its tokens."""
    row = [*prompt, *answer]
    from penchant.lm.tokens import padded

    states = model.network.read(model.parameters, padded([row], 0)).states
    log_p = model.network.logits(model.parameters, states)[0].log_softmax(-1)
    return sum(float(log_p[t - 1, row[t]]) for t in range(len(prompt), len(row)))


def test_the_loss_is_that_of_the_paper_by_hand():
    model, data = tiny(), judged()
    moved = model.with_parameters({n: 1.1 * v for n, v in model.parameters.items()})
    config = UnpairedConfig(strength=0.5, desired_weight=1.5, undesired_weight=0.7)
    split = [(row[:place], row[place:]) for row, place in zip(data.rows, data.place)]
    reference = torch.tensor([log_pi(model, p, a) for p, a in split], dtype=torch.float64)
    objective = _Unpaired(model=model, judged=data, config=config, reference=reference)
    found = float(objective.log_prob(moved.parameters, np.arange(4)))
    drift = [
        log_pi(moved, split[n][0], split[n - 1][1]) - log_pi(model, split[n][0], split[n - 1][1])
        for n in range(4)
    ]
    usual = max(0.0, 0.5 * float(np.mean(drift)))
    wanted = 0.0
    for (prompt, answer), good, before in zip(split, data.is_desired, reference.tolist()):
        apart = 0.5 * (log_pi(moved, prompt, answer) - before) - usual
        sign, weight = (1.0, 1.5) if good else (-1.0, 0.7)
        wanted += weight * (1.0 - 1.0 / (1.0 + math.exp(-sign * apart)))
    assert -found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("low_rank", [None, LowRankConfig(rank=4)])
def test_good_answers_rise_above_bad_ones(low_rank):
    data = judged(TEXTS * 4)
    training = TrainConfig(batch_size=8, max_epochs=25, learning_rate=0.01, patience=None)
    config = UnpairedConfig(strength=0.5, low_rank=low_rank)
    policy, done = fit_unpaired(tiny(), data, training, config)
    worth = answer_log_ratios(policy, tiny(), data, np.arange(16))
    assert worth[data.is_desired].min() > worth[~data.is_desired].max() + 1.0
    assert done.looks[-1].train > done.looks[1].train


def test_batches_that_are_not_read_in_one_go_and_verdicts_all_alike_are_refused():
    training = TrainConfig(batch_size=8, max_epochs=1, patience=None)
    with pytest.raises(ConfigError, match="in one go"):
        fit_unpaired(tiny(), judged(), training, UnpairedConfig(learner=LearnerConfig(at_once=4)))
    for wrong in ({"strength": 0.0}, {"strength": -1.0}, {"desired_weight": 0.0}):
        with pytest.raises(ConfigError, match="expected them above 0"):
            UnpairedConfig(**wrong)
    with pytest.raises(DataError, match="2 of 2 answers are desired"):
        judged([TEXTS[0], TEXTS[2]])
    with pytest.raises(DataError, match="no token"):
        Judged(rows=[[1], [1, 4]], place=np.array([1, 1]), is_desired=np.array([True, False]))


def test_own_pairs_put_the_better_answer_first_and_the_widest_gap_before_others():
    generator = torch.Generator().manual_seed(0)
    rollouts = draw_rollouts(tiny(), ["ab", "c"], 4, SampleConfig(most_tokens=5), generator)
    reward = np.array([0.2, 0.9, np.nan, 0.5, 1.0, 1.0, 1.0, 1.0])
    pairs = own_pairs(rollouts, reward)
    ids = [rollouts.tokens.ids[b][rollouts.tokens.is_text[b]].tolist() for b in range(8)]
    assert len(pairs) == 1  # then 0.5 meets itself, and the second prompt has nothing to prefer
    assert (pairs.first[0], pairs.second[0]) == (ids[1], ids[0])
    assert pairs.place.tolist() == [3]
    with pytest.raises(DataError, match="none has two answers"):
        own_pairs(rollouts, np.ones(8))
    told = judged_answers(rollouts, reward, threshold=0.6)
    assert told.is_desired.tolist() == [False, True, False, True, True, True, True]
    assert told.rows[2] == ids[3]


def test_packed_answers_say_what_padded_ones_say_and_teach_the_same():
    model, data, found = tiny(), judged(), []
    moved = {n: 1.1 * v for n, v in model.parameters.items()}
    for layout in ("padded", "packed"):
        leaves = {n: v.clone().requires_grad_() for n, v in moved.items()}
        told = _Unpaired(
            model=model, judged=data, config=UnpairedConfig(strength=0.5, layout=layout),
            reference=torch.zeros(4, dtype=torch.float64),
        ).log_prob(leaves, np.array([2, 0, 1, 3]))  # fmt: skip
        told.backward()
        found.append((told.item(), {n: leaf.grad for n, leaf in leaves.items()}))
    (one, slopes), (other, other_slopes) = found
    assert other == pytest.approx(one, rel=1e-11)
    for name, slope in slopes.items():
        np.testing.assert_allclose(other_slopes[name], slope, atol=1e-10)
