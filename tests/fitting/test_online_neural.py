"""Neural-linear: linear until the network is due, a linear belief about its outputs afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.beliefs.neural_worths import KeptAnswer, NeuralConfig
from penchant.beliefs.normal_law import FullNormal
from penchant.beliefs.storage import load_value
from penchant.errors import MissingExtraError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_option import Binary, Outcome, Rating
from penchant.feedback.channel_order import Ranking
from penchant.fitting.online_answers import OnlineAnswers, nothing_known
from penchant.fitting.online_neural import OnlineNeural, batch_of, nothing_neural

pytest.importorskip("torch")
D = 2
CONFIG = NeuralConfig(width=6, first=60, memory=120)


REWARDS = (Outcome(),)


def nothing(channels=REWARDS, **more):
    return nothing_known(channels, FullNormal(mean=np.zeros(D), root=np.eye(D)), noise=0.3, **more)


def answers(num, seed=0):
    """Worth is |first| - |second|, which no line is near; 15 people in turn."""
    rng = np.random.default_rng(seed)
    for t in range(num):
        x = rng.normal(size=(2, D))
        worth = 2 * (np.abs(x[:, 0]) - np.abs(x[:, 1]))
        yield x, "outcome", {"value": worth + 0.3 * rng.normal(size=2)}, f"p{t % 15}"


def taught(learner, num, seed=0):
    for x, kind, answer, person in answers(num, seed):
        learner.learn(x, kind, answer, person=person)
    return learner


def test_until_the_network_is_due_the_belief_is_the_linear_one():
    neural = taught(OnlineNeural(nothing_neural(nothing(), CONFIG)), 59)
    linear = taught(OnlineAnswers(nothing()), 59)
    menu = np.random.default_rng(1).normal(size=(3, D))
    for found, expected in zip(neural.moments(menu), linear.moments(menu)):
        np.testing.assert_array_equal(found, expected)
    assert neural.belief_.network is None
    assert taught(neural, 1).belief_.network is not None


def test_with_a_network_the_belief_is_ridge_regression_on_what_it_makes_of_options():
    """The slow twin: all that is kept, solved anew with the network's outputs as features."""
    belief = taught(OnlineNeural(nothing_neural(nothing(), CONFIG)), 70).belief_
    shown = np.concatenate([one.features for one in belief.kept])
    paid = np.concatenate([one.answer["value"] for one in belief.kept])
    lifted = belief.lifted(shown)
    assert lifted.shape == (140, D + 6)
    prior = belief.worths.prior.spread()[: D + 6]
    # A priori the network's part varies as much as the linear one, on what it was trained on.
    first = lifted[:120]
    assert prior[D] ** 2 * first[:, D:].var(axis=0).sum() == pytest.approx(
        (first[:, :D] ** 2).sum(axis=1).mean()
    )
    covariance = np.linalg.inv(np.diag(prior**-2) + lifted.T @ lifted / 0.09)
    mean = covariance @ lifted.T @ paid / 0.09
    menu = np.random.default_rng(2).normal(size=(4, D))
    seen, spread = belief.moments(menu)
    np.testing.assert_allclose(seen, belief.lifted(menu) @ mean, atol=1e-6)
    np.testing.assert_allclose(
        spread, belief.lifted(menu) @ covariance @ belief.lifted(menu).T, atol=1e-7
    )


def test_what_no_line_is_near_is_learnt():
    neural = taught(OnlineNeural(nothing_neural(nothing(), CONFIG)), 160)
    linear = taught(OnlineAnswers(nothing()), 160)
    menu = np.random.default_rng(3).normal(size=(400, D))
    worth = 2 * (np.abs(menu[:, 0]) - np.abs(menu[:, 1]))
    wrong = {name: float(((one.moments(menu)[0] - worth) ** 2).mean())
             for name, one in (("neural", neural), ("linear", linear))}  # fmt: skip
    assert wrong["neural"] < 0.25 * wrong["linear"]


def test_where_worths_are_linear_people_held_out_gain_nothing_and_there_is_no_network():
    learner, rng = OnlineNeural(nothing_neural(nothing(), CONFIG)), np.random.default_rng(4)
    for t in range(60):
        x = rng.normal(size=(1, D))
        value = x @ np.array([0.0, 0.0]) + 0.3 * rng.normal(size=1)
        learner.learn(x, "outcome", {"value": value}, person=f"p{t % 15}")
    assert learner.belief_.network is None
    assert learner.belief_.due == 120


def test_only_the_latest_answers_are_kept_and_trainings_come_ever_less_often():
    learner = OnlineNeural(nothing_neural(nothing(), CONFIG))
    due = []
    for x, kind, answer, person in answers(250):
        due.append(learner.belief_.due)
        learner.learn(x, kind, answer, person=person)
    assert list(dict.fromkeys(due)) == [60, 120, 240, 360]
    assert len(learner.belief_.kept) == 120


def test_answers_of_every_kind_become_rows_of_a_batch():
    rng, kept = np.random.default_rng(5), []
    said = {
        "choice": {"chosen": np.int64(1)}, "ranking": {"rank": np.array([2, 1, 0])},
        "rating": {"level": np.array([0, 2, 1])}, "binary": {"success": np.array([0, 1, 1])},
    }  # fmt: skip
    for t in range(80):
        kind = list(said)[t % 4]
        person = None if t % 5 == 0 else f"p{t % 11}"
        kept.append(
            KeptAnswer(features=rng.normal(size=(3, D)), kind=kind, answer=said[kind],
                       person=person, weight=1.0 + t % 2)
        )  # fmt: skip
    batch = batch_of(kept, D)
    assert sorted(block.kind for block in batch.blocks) == sorted(said)
    for block in batch.blocks:
        for b, row in enumerate(block.row):
            np.testing.assert_array_equal(block.features[b], kept[row].features)
            assert block.weight[b] == kept[row].weight
            name = batch.group_names[block.group[b]]
            assert name == (
                f"row {row}" if kept[row].person is None else f"person {kept[row].person}"
            )
    known = nothing((Choice(), Ranking(), Rating(levels=3), Binary()))
    learner = OnlineNeural(nothing_neural(known, replace(CONFIG, first=80)))
    for one in kept:
        learner.learn(one.features, one.kind, one.answer, person=one.person, weight=one.weight)
    assert learner.belief_.due == 160


def test_a_saved_belief_goes_on_with_the_same_bits(tmp_path):
    whole = taught(OnlineNeural(nothing_neural(nothing(half_life=200.0), CONFIG)), 61)
    whole.belief_.save(tmp_path)
    again = taught(OnlineNeural(load_value(tmp_path)), 60, seed=1)
    taught(whole, 60, seed=1)
    np.testing.assert_array_equal(whole.belief_.worths.law.mean, again.belief_.worths.law.mean)


def test_whoever_is_forgotten_teaches_the_next_network_nothing():
    learner = taught(OnlineNeural(nothing_neural(nothing(), CONFIG)), 30)
    learner.forget("p3")
    assert {one.person for one in learner.belief_.kept} == {f"p{p}" for p in range(15) if p != 3}


def test_without_torch_it_is_said_at_the_beginning(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match="torch"):
        nothing_neural(nothing(), CONFIG)
