"""Pairs of actions at one history, and what a policy that learnt them says of other actions."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.fitting.sgd import TrainConfig
from penchant.lm.sample import SampleConfig
from penchant.policies.language.episodes import play
from penchant.policies.language.game_trees import SearchConfig, Steps, search, steps_of
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.sibling_pairs import sibling_pairs, siblings, stored_reference

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.fitting.language_learner import LearnerConfig  # noqa: E402
from penchant.policies.language.direct import (  # noqa: E402
    DirectConfig,
    fit_direct,
    reference_of,
)
from penchant.policies.language.layout import read_drawn  # noqa: E402
from penchant.policies.language.step_values import (  # noqa: E402
    BestOf,
    MostOften,
    step_values,
)
from policies.language.test_game_trees import Even  # noqa: E402

TWO = SampleConfig(most_tokens=2)


def steps_from(values, visits, history):
    num = len(values)
    return Steps(
        rows=[[1, 5 + h] for h in range(max(history) + 1)], history_of=np.array(history),
        ids=[[10 + k] for k in range(num)], log_prob=[[-1.0]] * num,
        visits=np.array(visits), value=np.array(values, dtype=float),
    )  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.integers(0, 3)), min_size=2,
             max_size=12),
    st.sampled_from([0.0, 0.2, 0.5]), st.integers(1, 3),
)  # fmt: skip
def test_siblings_are_all_pairs_of_a_history_that_are_far_enough_apart(told, gap, least):
    told = sorted(told, key=lambda each: each[2])
    value, visits, history = zip(*told)
    value = [v / 8 for v in value]
    asked = set()
    for i, j in combinations(range(len(told)), 2):
        high, low = (i, j) if value[i] > value[j] else (j, i)
        if history[i] == history[j] and value[high] - value[low] > gap:
            asked |= {(high, low)} if min(visits[i], visits[j]) >= least else set()
    number = {h: k for k, h in enumerate(sorted(set(history)))}
    steps = steps_from(value, visits, [number[h] for h in history])
    if not asked:
        with pytest.raises(DataError, match="none has two"):
            siblings(steps, gap=gap, least_visits=least)
        return
    found = siblings(steps, gap=gap, least_visits=least)
    assert {tuple(pair) for pair in found.tolist()} == asked
    assert len(found) == len(asked)
    one = siblings(steps, gap=gap, least_visits=least, most=1)
    wide = [value[a] - value[b] for a, b in one]
    for (a, _), apart in zip(one.tolist(), wide):
        mine = [value[i] - value[j] for i, j in asked if history[i] == history[a]]
        assert apart == max(mine)


def grown(seed=0):
    found = search(tiny(), [Even(turns=3) for _ in range(8)], SearchConfig(simulations=12), TWO,
                   torch.Generator().manual_seed(seed))  # fmt: skip
    return steps_of(found)


def test_of_a_pair_the_history_is_read_and_the_action_alone_is_scored():
    steps = grown()
    chosen = siblings(steps, gap=0.2)
    pairs = sibling_pairs(steps, chosen)
    for row, (better, worse) in enumerate(chosen):
        history = steps.rows[steps.history_of[better]]
        assert steps.history_of[better] == steps.history_of[worse]
        assert pairs.first[row] == [*history, *steps.ids[better]]
        assert pairs.second[row] == [*history, *steps.ids[worse]]
        assert pairs.place[row] == len(history)


def test_log_probabilities_stored_when_drawn_are_the_drawing_policys():
    steps = grown()
    chosen = siblings(steps, gap=0.2)
    pairs, stored = sibling_pairs(steps, chosen), stored_reference(steps, chosen)
    np.testing.assert_allclose(stored, reference_of(tiny(), pairs), atol=1e-10)
    # Whoever else learns from them is beside the one that drew.
    training = TrainConfig(batch_size=len(pairs), max_epochs=1, patience=None, learning_rate=1e-3)
    learner = LearnerConfig(at_once=len(pairs))
    config = DirectConfig(strength=0.5, learner=learner)
    other = tiny(seed=3)
    fit = fit_direct(other, pairs, training, config, reference=stored)
    apart = (reference_of(other, pairs) - stored).sum(dim=2)
    margin = 0.5 * (apart[:, 0] - apart[:, 1]).numpy()
    asked = -np.log1p(np.exp(-margin)).mean()
    np.testing.assert_allclose(fit.training.looks[-1].train, asked, atol=1e-9)
    assert abs(asked + np.log(2.0)) > 1e-3
    alone = fit_direct(tiny(), pairs, training, config)
    same = fit_direct(tiny(), pairs, training, config, reference=reference_of(tiny(), pairs))
    for name, value in alone.policies[0].parameters.items():
        assert torch.equal(value, same.policies[0].parameters[name])


def test_a_stored_reference_serves_models_of_single_precision():
    steps = grown()
    chosen = siblings(steps, gap=0.2)
    pairs, stored = sibling_pairs(steps, chosen), stored_reference(steps, chosen)
    assert stored.dtype == torch.float64
    once = TrainConfig(batch_size=len(pairs), max_epochs=1, patience=None)
    fit = fit_direct(tiny(dtype=torch.float32), pairs, once, reference=stored)
    assert {value.dtype for value in fit.policies[0].parameters.values()} == {torch.float32}


def test_a_reference_of_other_pairs_is_refused():
    steps = grown()
    chosen = siblings(steps, gap=0.2)
    pairs, stored = sibling_pairs(steps, chosen), stored_reference(steps, chosen)
    for odd in (stored[1:], stored[:, :, 1:]):
        with pytest.raises(DataError, match="reference has the shape"):
            fit_direct(tiny(), pairs, TrainConfig(), reference=odd)


def test_values_of_steps_are_the_worths_that_their_pairs_came_from():
    # Of Bradley and Terry's own probabilities the most likely log-ratios are the worths.
    rows, actions = [[1, 20, 21], [1, 30]], [[40], [41, 42], [43]]
    worth = np.array([[0.0, 1.0, -0.5], [0.8, -0.8, 0.3]])
    first, second, wins, place = [], [], [], []
    for h, row in enumerate(rows):
        for i, j in combinations(range(3), 2):
            first.append([*row, *actions[i]])
            second.append([*row, *actions[j]])
            wins.append(1.0 / (1.0 + np.exp(worth[h, j] - worth[h, i])))
            place.append(len(row))
    pairs = Pairs(first=first, second=second, place=np.array(place), first_wins=np.array(wins),
                  person=np.arange(6))  # fmt: skip
    training = TrainConfig(batch_size=6, max_epochs=150, patience=None, learning_rate=3e-3)
    start = tiny()
    policy = fit_direct(start, pairs, training, DirectConfig(strength=1.0)).policies[0]
    told = step_values(
        policy, start, [row for row in rows for _ in actions], actions * 2, strength=1.0, at_once=4
    ).reshape(2, 3)
    np.testing.assert_allclose(
        told - told.mean(axis=1, keepdims=True), worth - worth.mean(axis=1, keepdims=True),
        atol=0.03,
    )  # fmt: skip
    half = step_values(policy, start, [rows[0]], [actions[1]], strength=0.5)
    np.testing.assert_allclose(half, told[0, 1] / 2)
    # Whichever actor's actions they are, the best by value is done.
    candidates = [
        [actions[2], actions[1], actions[0], actions[1]],
        [actions[k] for k in (1, 2, 0, 1)],
    ]
    best = BestOf(num=4, policy=policy, reference=start)(rows, candidates)
    assert [candidates[b][k] for b, k in enumerate(best)] == [actions[1], actions[0]]


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=4))
def test_the_action_drawn_most_often_is_done_and_of_several_the_first_drawn(drawn):
    candidates = [[[7, k] for k in mine] for mine in drawn]
    for mine, place in zip(drawn, MostOften(num=5)([[1]] * len(drawn), candidates)):
        most = max(mine.count(k) for k in mine)
        assert place == next(i for i, k in enumerate(mine) if mine.count(k) == most)


class Highest:
    """The action of the highest byte."""

    num = 3

    def __call__(self, rows, candidates):
        return np.array([np.argmax([did[0] for did in mine]) for mine in candidates])


def test_the_best_of_several_is_drawn_as_order_statistics_say():
    model, num = tiny(), 1_500
    one = SampleConfig(most_tokens=1)
    games = play(model, [Even(turns=1) for _ in range(num)], np.zeros(num, dtype=int), one,
                 torch.Generator().manual_seed(0), choose=Highest())  # fmt: skip
    said = games.rollouts.tokens.ids[:, 3].numpy()
    with torch.no_grad():
        from penchant.lm.tokens import padded

        states = model.network.read(
            model.parameters, padded([[1, *model.tokenizer.encode("go")]], 0)
        )
        share = model.network.logits(model.parameters, states.states[0, -1]).softmax(dim=0).numpy()
    asked = share.cumsum() ** 3
    seen = np.bincount(said, minlength=len(share)).cumsum() / num
    # Kolmogorov's bound at one in a thousand.
    assert np.abs(asked - seen).max() < 1.95 / np.sqrt(num)
    # What stands in the rows is what was done, with the log-probability it was drawn with.
    games = play(model, [Even() for _ in range(20)], np.zeros(20, dtype=int), one,
                 torch.Generator().manual_seed(0), choose=Highest())  # fmt: skip
    read = read_drawn(model, games.rollouts, layout="padded")
    np.testing.assert_allclose(
        read.placed(read.log_prob, games.rollouts), games.rollouts.log_prob, atol=1e-10
    )


@settings(max_examples=5)
@given(st.integers(-3, 0))
def test_nobody_chooses_from_nothing(num):
    for made in (lambda: MostOften(num=num),
                 lambda: BestOf(num=num, policy=tiny(), reference=tiny())):  # fmt: skip
        with pytest.raises(ConfigError, match="expected an action or more"):
            made()


def test_a_choice_of_one_changes_nothing():
    games = [
        play(tiny(), [Even() for _ in range(6)], np.arange(6), TWO,
             torch.Generator().manual_seed(2), choose=choose)
        for choose in (None, MostOften(num=1))
    ]  # fmt: skip
    assert games[0].said == games[1].said
    np.testing.assert_array_equal(games[0].turn_reward, games[1].turn_reward)
