"""Policies from ranked lists: Plackett and Luce's law of the policy's own log-ratios."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.errors import ConfigError, DataError
from penchant.fitting.sgd import TrainConfig
from penchant.policies.language.direct import DirectConfig, _Mixture, fit_direct, reference_of
from penchant.policies.language.lists import Lists
from penchant.policies.language.pairs import Pairs, people_within
from penchant.policies.language.rollouts import demonstration_ids

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from policies.language.test_direct import moved_parameters, worth  # noqa: E402

TRAINING = TrainConfig(batch_size=8, max_epochs=12, learning_rate=0.02, patience=None)


def lists_of(answers, rank, person=None, weight=None, prompt="?"):
    told = [[demonstration_ids(tiny().tokenizer, prompt, text) for text in mine]
            for mine in answers]  # fmt: skip
    return Lists(
        answers=[[ids for ids, _ in mine] for mine in told],
        place=np.array([mine[0][1] for mine in told]), rank=rank,
        person=np.arange(len(told)) if person is None else np.asarray(person),
        weight=None if weight is None else np.asarray(weight),
    )  # fmt: skip


def objective_of(data, config=None):
    config = config or DirectConfig(strength=0.5)
    return _Mixture(
        model=tiny(), pairs=data, config=config, reference=reference_of(tiny(), data),
        features=np.zeros((int(data.person.max()) + 1, 0)),
    )  # fmt: skip


def test_a_ranking_is_a_choice_from_what_is_left_again_and_again():
    answers = [("ab", "c", "def", "g"), ("h", "ij"), ("k", "l", "mn")]
    rank = [(2, 1, 0, 3), (1, 2), (0, 0, 1)]
    moved = {n: v * 1.05 for n, v in tiny().parameters.items()}
    found = objective_of(lists_of(answers, rank)).log_prob(moved, np.arange(3)).item()
    policy = tiny().with_parameters(moved)
    wanted = 0.0
    for mine, places in zip(answers, rank):
        u = np.array([0.5 * worth(policy, tiny(), text) for text in mine])
        left = list(range(len(mine)))
        for k in sorted((k for k in left if places[k] > 0), key=lambda k: places[k]):
            wanted += u[k] - np.log(np.exp(u[left]).sum())
            left.remove(k)
    assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("kinds", [1, 2])
def test_a_list_of_two_is_a_pair(kinds):
    from penchant.lm.low_rank import LowRankConfig

    config = DirectConfig(strength=0.5, kinds=kinds, anchor=0.3,
                          low_rank=LowRankConfig(rank=2, scale=2.0))  # fmt: skip
    answers, person, weight = [("ab", "c"), ("d", "efg"), ("h", "i")], [0, 0, 1], [1.0, 2.0, 0.5]
    lists = lists_of(answers, [(1, 2), (2, 1), (1, 0)], person, weight)
    pairs = Pairs(
        first=[mine[0] for mine in lists.answers], second=[mine[1] for mine in lists.answers],
        place=lists.place, first_wins=np.array([1.0, 0.0, 1.0]), person=lists.person,
        weight=lists.weight,
    )  # fmt: skip
    parameters, people = moved_parameters(config), np.array([0, 1])
    one, other = (objective_of(data, config) for data in (lists, pairs))
    assert one.weight(people) == other.weight(people) == 3.5
    assert one.log_prob(parameters, people).item() == pytest.approx(
        other.log_prob(parameters, people).item(), rel=1e-9
    )
    for mine, theirs in zip(one.told(parameters), other.told(parameters)):
        np.testing.assert_allclose(mine, theirs, rtol=1e-9)
    for budget in (5, 20, 100):
        parts = [people_within(data, people, budget, "packed") for data in (lists, pairs)]
        assert [p.tolist() for p in parts[0]] == [p.tolist() for p in parts[1]]


def test_a_policy_learns_the_order_of_a_list_and_does_not_go_on_with_another(tmp_path):
    base = tiny(dtype=torch.float32)
    lists = lists_of([("a", "b", "c")] * 8, [(3, 1, 2)] * 8)
    config = DirectConfig(strength=0.5)
    fit = fit_direct(base, lists, TRAINING, config, checkpoint=tmp_path / "kept")
    policy = fit.policies[0]
    a, b, c = (worth(policy, base, text) for text in "abc")
    assert b > c + 1.0 > a + 2.0
    other = replace(lists, rank=[(1, 2, 3)] * 8)
    with pytest.raises(ConfigError, match="fingerprint"):
        fit_direct(base, other, TRAINING, config, checkpoint=tmp_path / "kept")


def test_lists_that_say_nothing_and_settings_of_pairs_are_refused():
    lists = lists_of([("a", "b", "c")], [(1, 2, 3)])
    for rank in ([(0, 0, 0)], [(1, 2)], [(1, -1, 2)]):
        with pytest.raises(DataError, match="list 0 has 3 answers"):
            replace(lists, rank=rank)
    with pytest.raises(DataError, match="above 0"):
        replace(lists, weight=np.array([0.0]))
    for config in (DirectConfig(loss="hinge"), DirectConfig(margin=1.0),
                   DirectConfig(ties="davidson")):  # fmt: skip
        with pytest.raises(ConfigError, match="got lists with"):
            fit_direct(tiny(), lists, TRAINING, config)


def test_a_lists_order_is_judged_two_by_two():
    from penchant.policies.language.pair_margins import judged_order

    lists = lists_of([("a", "b", "c"), ("d", "e"), ("f", "g", "h")],
                     [(1, 2, 3), (0, 1), (1, 1, 0)])  # fmt: skip
    worth = np.array([[3.0, 1.0, 2.0], [0.0, 1.0, 0.0], [5.0, 0.0, 1.0]])[:, :, None]
    found = judged_order(worth, lists, np.ones((3, 1)))
    # Of the first list two of three pairs stand as judged; of the last f before h, not g before h.
    np.testing.assert_allclose(found, [2 / 3, 1.0, 1 / 2])
    pairs = Pairs(first=[[1, 2]] * 3, second=[[1, 3]] * 3, place=np.ones(3, int),
                  first_wins=np.array([1.0, 0.2, 0.5]), person=np.arange(3))  # fmt: skip
    gap = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0]])[:, :, None]
    np.testing.assert_array_equal(judged_order(gap, pairs, np.ones((3, 1))), [1.0, 0.0, np.nan])
    # The same text twice is neither in order nor out of it.
    same = np.zeros((3, 2, 1))
    np.testing.assert_array_equal(judged_order(same, pairs, np.ones((3, 1))), [0.5, 0.5, np.nan])
    level = np.array([[1.0, 1.0, 0.0]] * 3)[:, :, None]
    np.testing.assert_allclose(judged_order(level, lists, np.ones((3, 1)))[0], (0.5 + 1 + 1) / 3)
    # Two kinds of one mind each: the one whose share is greater decides.
    kinds = np.concatenate([gap, -gap], axis=2)
    mixed = judged_order(kinds, pairs, np.array([[0.2, 0.8]] * 3))
    np.testing.assert_array_equal(mixed, [0.0, 1.0, np.nan])
