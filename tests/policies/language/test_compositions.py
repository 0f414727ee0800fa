"""Methods as compositions: what each says of small batches, against plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.lm.sample import SampleConfig
from penchant.lm.tokens import Tokens
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.concise import Concise
from penchant.policies.language.methods.conflict import ConflictAware
from penchant.policies.language.methods.group_relative import GroupRelative, grpo
from penchant.policies.language.methods.method import PolicyMethod, Seen
from penchant.policies.language.methods.proximal import Proximal
from penchant.policies.language.methods.ranked import RankRelative, item_of
from penchant.policies.language.methods.turnwise import TurnWise
from penchant.policies.language.ratio import ITSELF
from penchant.policies.language.rollouts import Rollouts
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig
from penchant.simulation.tasks.chain import Chain
from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.ranking import RankItems

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.gathering import answer, explore  # noqa: E402

SMALL = TrainerConfig(prompts=3, group_size=3, most_tokens=6, learning_rate=0.01)
LISTS = RankItems(tags=4, length=3)


def hit_of_parity(problem, response):
    """Three ranks: whether a line has an even number of bytes, so that random ones differ."""
    lines = response.split("\n")[:3]
    found = [float(len(line.encode()) % 2 == 0) for line in lines]
    return np.array(found + [0.0] * (3 - len(found)))


METHODS = {
    "rank": RankRelative(hits=hit_of_parity, separators=frozenset({13, 50, 90, 140, 200})),
    "concise": Concise(),
    "of the group": Concise(is_of_group=True),
    "conflict": ConflictAware(),
    "turns": TurnWise(),
    "history": TurnWise(likeness="history"),
    "ppo": Proximal(),
}


def seen_lists(seed=0, prompts=2, group=3):
    generator = torch.Generator().manual_seed(seed)
    problems = LISTS.draw(prompts, np.random.default_rng(seed))
    even = lambda problem, said: {"correct": float(sum(map(ord, said)) % 2)}  # noqa: E731
    got = answer(tiny(), problems, group, SampleConfig(most_tokens=7), generator, even,
                 lambda grades: grades["correct"])  # fmt: skip
    return Seen(
        rollouts=got.rollouts, problems=got.problems, reward=got.grades.reward,
        components=got.grades.components, turn_reward=got.turn_reward,
    )  # fmt: skip


def seen_games(seed=0, task=None):
    got = explore(tiny(), task or OpenDoor(rooms=2, colours=2, horizon=4), 2, 3,
                  SampleConfig(most_tokens=2), np.random.default_rng(seed),
                  torch.Generator().manual_seed(seed))  # fmt: skip
    noise = np.random.default_rng(seed).normal(size=got.turn_reward.shape)
    earned = np.where(got.turn_reward != 0.0, got.turn_reward + noise, 0.0)
    return Seen(
        rollouts=got.rollouts, problems=got.problems, reward=earned.sum(axis=1),
        components={}, turn_reward=earned, observed=got.observed,
    )  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_one_and_its_runs_go_on_where_they_stood(name, tmp_path):
    method = METHODS[name]
    assert isinstance(method, PolicyMethod)
    task = OpenDoor(horizon=3) if name == "history" else Chain(fewest=1, most=1)

    def trainer():
        return PolicyTrainer(tiny(), task, method, SMALL)

    unbroken = trainer()
    wanted = [unbroken.step() for _ in range(4)][2:]
    first = trainer()
    first.step()
    first.step()
    first.save(tmp_path)
    second = trainer()
    second.restore(tmp_path)
    for report in wanted:
        np.testing.assert_equal(second.step(), report)
    for name_, value in unbroken.model.parameters.items():
        assert torch.equal(second.model.parameters[name_], value)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_a_separator_belongs_to_the_item_that_it_ends(ids):
    found = item_of(np.array([ids]), np.ones((1, len(ids)), dtype=bool), frozenset({0}))[0]
    item = 0
    for token, place in zip(ids, found):
        assert place == item
        item += token == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 500))
def test_a_rank_is_compared_with_the_same_rank_of_other_lists(seed):
    seen, method = seen_lists(seed), METHODS["rank"]
    heard = method.heard(seen)
    discount = 1.0 / np.log2([2, 3, 4])
    hits = np.array([hit_of_parity(None, said) for said in seen.rollouts.responses])
    earned = np.array([[(row * discount)[k:].sum() for k in range(3)] for row in hits])
    rank = item_of(
        seen.rollouts.tokens.ids[:, 1:].numpy(), seen.rollouts.is_drawn, method.separators
    )
    for b in range(len(rank)):
        for k in range(3):
            mine = heard.advantage[b][rank[b] == k]
            if not len(mine):
                continue
            others = [
                earned[c, k]
                for c in range(len(rank))
                if seen.rollouts.prompt_of[c] == seen.rollouts.prompt_of[b] and k in rank[c]
            ]
            spread = np.std(others, ddof=1) + 1e-4 if len(others) > 1 else 1.0
            wanted = (earned[b, k] - np.mean(others)) / spread if np.ptp(others) > 0 else 0.0
            np.testing.assert_allclose(mine, wanted, atol=1e-9)
        assert np.all(heard.unit_of[b][rank[b] > 2] == -1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 500))
def test_a_turn_is_compared_with_the_other_episodes_at_that_turn(seed):
    seen = seen_games(seed)
    heard = TurnWise(discount=0.9).heard(seen)
    rows, turns = seen.turn_reward.shape
    there = np.array([[(seen.rollouts.turn_of[b] == t).any() for t in range(turns)]
                      for b in range(rows)])  # fmt: skip
    earned = np.array([[sum(0.9 ** (s - t) * seen.turn_reward[b, s] for s in range(t, turns))
                        for t in range(turns)] for b in range(rows)])  # fmt: skip
    for b in range(rows):
        for t in range(turns):
            mine = heard.advantage[b][seen.rollouts.turn_of[b] == t]
            same = seen.rollouts.prompt_of == seen.rollouts.prompt_of[b]
            others = earned[same & there[:, t] & (np.arange(rows) != b), t]
            wanted = earned[b, t] - (others.mean() if len(others) else 0.0)
            if len(others) and np.all(others == earned[b, t]):
                wanted = 0.0
            np.testing.assert_allclose(mine, wanted, atol=1e-9)


def test_of_one_turn_it_is_the_usual_method():
    seen, reward = seen_lists(), np.array([1.0, 0.0, 0.2, 0.5, 0.5, 0.0])
    seen = replace(seen, reward=reward, turn_reward=reward[:, None])
    one, other = TurnWise().heard(seen), GroupRelative().heard(seen)
    assert np.abs(other.advantage).max() > 0
    np.testing.assert_allclose(one.advantage, other.advantage, atol=1e-12)


def test_turns_that_saw_the_same_are_compared_and_longer_histories_weigh_more():
    seen = seen_games(3)
    heard = TurnWise(likeness="history", depth=2, exponent=1.0).heard(seen)
    rollouts, found = seen.rollouts, 0
    units = [(b, t) for b in range(len(rollouts)) for t in range(seen.turn_reward.shape[1])
             if (rollouts.turn_of[b] == t).any()]  # fmt: skip
    earned = {u: seen.turn_reward[u[0], u[1] :].sum() for u in units}
    for b, t in units:
        total = weights = 0.0
        for level, weight in ((0, 2.0), (1, 3.0)):
            if t < level:
                continue
            group = [
                earned[c, s]
                for c, s in units
                if rollouts.prompt_of[c] == rollouts.prompt_of[b]
                and s >= level
                and seen.observed[c][s - level : s + 1] == seen.observed[b][t - level : t + 1]
            ]
            if len(group) > 1 and np.ptp(group) > 0:
                total += weight * (earned[b, t] - np.mean(group))
                weights += weight
        mine = heard.advantage[b][rollouts.turn_of[b] == t]
        np.testing.assert_allclose(mine, total / weights if weights else 0.0, atol=1e-9)
        found += weights > 3.0
    assert found


def test_the_shortest_right_answer_so_far_is_the_measure_and_is_remembered():
    seen = seen_lists(1)
    seen = replace(seen, reward=np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    method = Concise()
    first = method.heard(seen)
    # Nothing is known before: the plain method.
    np.testing.assert_allclose(first.advantage, grpo().heard(seen).advantage)
    length = seen.rollouts.lengths.astype(float)
    assert first.memory["shortest"].tolist() == [min(length[:2]), np.inf]
    second = method.heard(replace(seen, memory=first.memory))
    share = np.minimum(length / min(length[:2]), 2.0)
    bonus = np.cos(0.5 * np.pi * share)
    bonus = np.where(seen.reward > 0, np.maximum(bonus, -0.7), np.minimum(bonus, 0.0))
    bonus[3:] = 0.0
    wanted = grpo().heard(replace(seen, reward=seen.reward + bonus))
    np.testing.assert_allclose(second.advantage, wanted.advantage)
    with pytest.raises(ConfigError, match="long answers"):
        Concise(weight=-1.0)


def test_what_good_and_bad_answers_begin_with_is_not_unlearnt():
    seen = seen_lists(2)
    ids = seen.rollouts.tokens.ids.clone()
    start = int(seen.rollouts.start[0])
    ids[:3, start] = 77  # three answers of one prompt begin alike and go on otherwise
    ids[:3, start + 1] = torch.tensor([80, 81, 82])
    tokens = replace(seen.rollouts.tokens, ids=ids)
    rollouts = replace(seen.rollouts, tokens=tokens)
    seen = replace(seen, rollouts=rollouts, reward=np.array([1.0, 0.0, 0.0, 0.5, 0.5, 0.5]))
    heard = ConflictAware(entropy_cost=0.0).heard(seen)
    first = np.array([heard.advantage[b][rollouts.is_drawn[b]][0] for b in range(3)])
    second = np.array([heard.advantage[b][rollouts.is_drawn[b]][1] for b in range(3)])
    np.testing.assert_allclose(first, [4 / 3, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(second, [2 / 3, -1 / 3, -1 / 3], atol=1e-12)
    assert np.all(heard.advantage[3:] == 0.0)
    costly = ConflictAware(entropy_cost=0.1).heard(seen).advantage[3:]
    assert np.all(costly[rollouts.is_drawn[3:]] < 0.0)
    # The later updates of a batch know no ratio either.
    assert np.all(heard.kind == ITSELF)


def conflicting(entropy, memory=None):
    """Four answers of three tokens each to one prompt: good, bad, bad, good."""
    said = np.array([[1, 2, 3], [1, 5, 3], [4, 4, 4], [1, 2, 6]])
    drawn = np.ones((4, 3), dtype=bool)
    like = torch.zeros((4, 3), dtype=torch.float64)
    rollouts = Rollouts(
        tokens=Tokens(ids=torch.tensor(np.column_stack([np.zeros((4, 1), dtype=int), said])),
                      is_text=torch.ones((4, 4), dtype=torch.bool)),
        is_drawn=drawn, log_prob=like, entropy=like + torch.tensor(entropy)[:, None],
        start=np.ones(4, dtype=int), turn_of=np.where(drawn, 0, -1), prompt_of=np.zeros(4, int),
        responses=("",) * 4, has_ended=np.ones(4, dtype=bool),
    )  # fmt: skip
    return Seen(
        rollouts=rollouts, problems=(), reward=np.array([1.0, 0.0, 0.0, 1.0]), components={},
        turn_reward=np.zeros((4, 1)), memory=memory or {},
    )  # fmt: skip


def test_shared_tokens_count_from_either_end_and_as_released_divide_their_answer():
    seen = conflicting([0.2, 0.4, 0.6, 0.1])
    heard = ConflictAware().heard(seen)
    weight = np.array([[2.0, 1.0, 2.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    credit = np.array([0.5, -0.5, -0.5, 0.5]) - 0.1 * np.array([0.2, 0.4, 0.6, 0.1])
    np.testing.assert_allclose(heard.advantage, credit[:, None] * weight)
    divided = ConflictAware(is_divided=True).heard(seen).advantage
    np.testing.assert_allclose(divided, heard.advantage / np.array([[2], [2], [1], [1]]))


def test_unsure_answers_are_left_out_where_the_start_was_surer():
    seen, method = conflicting([0.2, 0.4, 0.9, 0.1]), ConflictAware()
    heard = method.heard(seen)
    assert (heard.unit_of >= 0).any(axis=1).tolist() == [True, True, False, True]
    unsure = method.heard(conflicting([0.9, 0.9, 0.9, 0.1]))
    assert np.all(unsure.unit_of >= 0)
    # It is the first batch that says so, whatever comes later.
    for kept, first in ((False, heard), (True, unsure)):
        later = method.heard(conflicting([0.9, 0.9, 0.9, 0.1], first.memory))
        assert (later.unit_of[2] >= 0).all() == kept
    assert np.all(ConflictAware(most_entropy=None).heard(seen).unit_of >= 0)


def test_an_anchor_that_a_method_would_not_heed_is_refused():
    anchor = Anchor(strength=0.1, place="reward")
    with pytest.raises(ConfigError, match="would not heed"):
        ConflictAware(anchor=anchor)
    with pytest.raises(ConfigError, match="would not heed"):
        RankRelative(hits=hit_of_parity, separators=frozenset({13}), anchor=anchor)
    assert ConflictAware(anchor=Anchor(strength=0.1, place="loss")).anchor is not None
