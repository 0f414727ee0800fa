"""Methods that hear some rows or tokens, or the batch beside the group: by hand, and their bias."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.lm.tokens import Tokens
from penchant.policies.language.loss import Surrogate, policy_gradient_loss
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.methods.conflict import ConflictAware
from penchant.policies.language.methods.consistent import Consistent, bits, last_answer
from penchant.policies.language.methods.contrastive import Contrastive
from penchant.policies.language.methods.down_sampled import DownSampled
from penchant.policies.language.methods.group_relative import grpo, rloo
from penchant.policies.language.methods.method import PolicyMethod, Seen
from penchant.policies.language.methods.pooled import Pooled, flow_grpo
from penchant.policies.language.methods.steady import Steady
from penchant.policies.language.rollouts import Rollouts

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.trainer import PolicyTrainer, TrainerConfig  # noqa: E402
from policies.language.test_gathered_methods import assert_same_run  # noqa: E402
from policies.language.test_trainer import EvenBytes  # noqa: E402
from policies.language.two_step_tree import (  # noqa: E402
    LENGTH,
    TRAJECTORIES,
    exact_gradient,
    expected_gradient,
    log_probs,
)

WORTH = np.array([0.2, 1.0, 0.0, 0.6])
SMALL = TrainerConfig(prompts=3, group_size=4, most_tokens=6, learning_rate=0.01, updates=2)
METHODS = {
    "contrastive": Contrastive(),
    "d3s": DownSampled(steps=3),
    "clip-b": Steady(spread=0.2),
    "copo": Consistent(answer=lambda said: said[:1]),
    "flow-grpo": Pooled(),
}
NEUTRAL = {
    "contrastive": Contrastive(share=1.0),
    "d3s": DownSampled(rows=1.0, tokens=1.0),
    "clip-b": Steady(spread=1e9),
    "flow-grpo": Pooled(is_pooled=False),
}


def seen_of(rewards, lengths, group, *, responses=None, entropy=None, log_prob=None, memory=None):
    width = max(lengths)
    drawn = np.arange(width)[None, :] < np.array(lengths)[:, None]
    like = torch.zeros(drawn.shape, dtype=torch.float64)
    rollouts = Rollouts(
        tokens=Tokens(
            ids=torch.zeros((len(lengths), width + 1), dtype=torch.long),
            is_text=torch.tensor(np.column_stack([drawn[:, :1] | True, drawn])),
        ),
        is_drawn=drawn,
        log_prob=like if log_prob is None else torch.tensor(log_prob),
        entropy=like + 1.0 if entropy is None else torch.tensor(entropy),
        start=np.ones(len(lengths), dtype=int), turn_of=np.where(drawn, 0, -1),
        prompt_of=np.array(group), responses=responses or tuple("" for _ in lengths),
        has_ended=np.ones(len(lengths), dtype=bool),
    )  # fmt: skip
    reward = np.array(rewards, dtype=float)
    return Seen(
        rollouts=rollouts, problems=(), reward=reward, components={},
        turn_reward=np.nan_to_num(reward)[:, None], memory=memory or {},
    )  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_a_run_goes_on_where_it_stood(name, tmp_path):
    assert isinstance(METHODS[name], PolicyMethod)

    def trainer():
        return PolicyTrainer(tiny(), EvenBytes(), METHODS[name], SMALL)

    unbroken, first, second = trainer(), trainer(), trainer()
    wanted = [unbroken.step() for _ in range(4)][2:]
    first.step()
    first.step()
    first.save(tmp_path)
    second.restore(tmp_path)
    for report in wanted:
        np.testing.assert_equal(second.step(), report)


@pytest.mark.parametrize("name", NEUTRAL)
def test_at_its_neutral_setting_a_method_is_the_plain_one(name):
    assert_same_run(NEUTRAL[name], grpo(), config=SMALL, atol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_a_row_without_a_reward_is_not_heard_and_changes_nothing(name):
    rng = np.random.default_rng(0)
    entropy, log_prob = rng.random((8, 3)), -rng.random((8, 3))
    entropy[0], log_prob[0] = 5.0, -0.1
    rewards, lengths = [math.nan, 1, 0, 1, 0, 1, 0, 0], [3, 3, 1, 2, 3, 2, 1, 3]
    group, responses = [0, 0, 0, 0, 0, 1, 1, 1], tuple("cabaabba")
    found, alone = (
        METHODS[name].heard(
            seen_of(rewards[n:], lengths[n:], group[n:], responses=responses[n:],
                    entropy=entropy[n:], log_prob=log_prob[n:])
        )
        for n in (0, 1)
    )  # fmt: skip
    assert np.all(found.unit_of[0] == -1)
    np.testing.assert_array_equal(found.unit_of[1:] >= 0, alone.unit_of >= 0)
    np.testing.assert_allclose(found.advantage[1:], alone.advantage, atol=1e-12)


@pytest.mark.parametrize("method", [Contrastive(base=rloo(6)), Consistent(base=rloo(6))])
def test_a_group_of_one_has_no_best_beside_its_worst_and_no_answers_to_agree(method):
    with pytest.raises(ConfigError, match="expected 2 or more"):
        PolicyTrainer(tiny(), EvenBytes(), method, replace(SMALL, group_size=1))


def test_each_group_hears_its_own_best_and_worst_however_small_the_share():
    rewards, group = [0.0, 0.2, 1.0, 0.5, 0.3, 0.9, 0.1], [0] * 4 + [1] * 3
    found = Contrastive(share=0.1, base=rloo(1)).heard(seen_of(rewards, [1] * 7, group))
    np.testing.assert_array_equal(np.flatnonzero(found.unit_of[:, 0] >= 0), [0, 2, 5, 6])
    np.testing.assert_allclose(found.advantage[[0, 2, 5, 6], 0], [-1.0, 1.0, 0.8, -0.8])


@pytest.mark.parametrize(("share", "num"), [(0.3, 2), (1 / 3, 2), (0.5, 3), (1.0, 6)])
def test_rows_are_chosen_by_their_credit_as_it_was_however_long_they_are(share, num):
    seen = seen_of([1, 0, 1, 1, 0, 0], [1, 1, 4, 4, 4, 4], [0, 0, 1, 1, 1, 1])
    heard = DownSampled(rows=share, tokens=1.0, steps=0, base=rloo(4)).heard(seen)
    kept = (heard.unit_of >= 0).any(axis=1)
    # Of two, one right: 1 and -1; of four, two right: 2/3 each way, on four times the tokens.
    assert kept[:2].all()
    assert kept.sum() == num
    np.testing.assert_array_equal(heard.advantage, rloo(4).heard(seen).advantage)


def test_the_best_and_the_worst_are_heard_short_when_right_and_long_when_wrong():
    rewards, lengths = [1, 0, 1, 0, 1, 0, math.nan], [3, 1, 1, 4, 2, 2, 5]
    found = Contrastive(share=2 / 3, base=rloo(5)).heard(seen_of(rewards, lengths, [0] * 7))
    kept = (found.unit_of >= 0).any(axis=1)
    assert kept.tolist() == [False, False, True, True, True, True, False]
    # Of two right and two wrong the mean of the others is 1/3 or 2/3.
    np.testing.assert_allclose(found.advantage[kept, 0], [2 / 3, -2 / 3, 2 / 3, -2 / 3])


def test_few_rows_and_their_least_sure_tokens_are_heard_and_more_of_them_later():
    rewards, group = [1, 0, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]
    entropy = np.array([[0.1, 0.3, 0.2, 0.0]] * 6)
    seen = seen_of(rewards, [4, 4, 4, 2, 4, 4], group, entropy=entropy)
    method = DownSampled(rows=1 / 3, tokens=0.5, steps=2, base=rloo(4))
    heard = method.heard(seen)
    # The group of two has the largest advantages, 1 and -1; of four they are 2/3.
    assert np.argwhere(heard.unit_of >= 0).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    for done, rows, tokens in ((1, 4, 0.75), (2, 6, 1.0), (9, 6, 1.0)):
        later = method.heard(replace(seen, memory={"steps": np.array([float(done)])}))
        trained = later.unit_of >= 0
        assert trained.any(axis=1).sum() == rows
        assert trained[0].sum() == round(4 * tokens)
        assert later.memory["steps"][0] == done + 1.0


def test_bad_tokens_that_were_sure_for_their_row_lose_their_credit_and_good_ones_keep_it():
    # S = p (H + log p): by far the lowest where p is one tenth and the entropy is 0.
    log_prob = np.log(np.array([[0.9, 0.9], [0.9, 0.1], [0.9, 0.1], [0.9, 0.9]]))
    entropy = np.array([[0.3, 0.3], [0.3, 0.0], [0.3, 0.0], [0.3, 0.3]])
    seen = seen_of([1, 0, 1, 0], [2] * 4, [0] * 4, log_prob=log_prob, entropy=entropy)
    plain, found = (m.heard(seen) for m in (rloo(2), Steady(spread=0.5, base=rloo(2))))
    gone = np.zeros((4, 2), dtype=bool)
    gone[1, 1] = True
    np.testing.assert_array_equal(found.advantage, np.where(gone, 0.0, plain.advantage))
    np.testing.assert_array_equal(found.unit_of, plain.unit_of)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.booleans()), min_size=2,
                max_size=9))  # fmt: skip
def test_the_blend_of_group_and_batch_is_that_of_a_loop(drawn):
    group, said, right = zip(*drawn)
    seen = seen_of(right, [1] * len(drawn), group, responses=tuple(f"x#{each}" for each in said))
    found = Consistent(slope=3.0).heard(seen).advantage[:, 0]
    local = grpo().heard(seen).advantage[:, 0]
    level, entropy = {}, {}
    for g in set(group):
        mine = [row for row in range(len(drawn)) if group[row] == g]
        share = [sum(said[r] == a for r in mine) / len(mine) for a in {said[r] for r in mine}]
        entropy[g] = -sum(s * math.log2(s) for s in share)
        mean, n = sum(right[r] for r in mine) / len(mine), len(mine)
        level[g] = mean * (1 - entropy[g] * (1 - 1 / n) / math.log2(max(n, 2)))
    values = list(level.values())
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
    for row, g in enumerate(group):
        among = (level[g] - mean) / (spread + 1e-6) if spread > 0 else 0.0
        weight = 0.0 if local[row] == 0 else 1 / (1 + math.exp(-3.0 * (entropy[g] - 0.5)))
        assert found[row] == pytest.approx(weight * local[row] + (1 - weight) * among, abs=1e-9)


def test_groups_that_are_all_alike_learn_from_the_batch_and_answers_stand_behind_the_mark():
    seen = seen_of([1, 1, 0, 0], [1] * 4, [0, 0, 1, 1], responses=("1,#7", "2#7", "#3", "3"))
    assert not grpo().heard(seen).advantage.any()
    found = Consistent().heard(seen).advantage[:, 0]
    np.testing.assert_allclose(found, [1, 1, -1, -1], atol=1e-4)
    assert bits(["a", "a", "b", "b"]) == 1.0
    assert [last_answer(said) for said in ("1,#7", "#", "5")] == ["7", "#", "5"]


@pytest.mark.parametrize(("is_shrunk", "levels"), [(True, [0.25, 1, 0]), (False, [0.5, 1, 0])])
def test_as_published_a_bit_of_disagreement_is_heard_alone_and_none_not_at_all(is_shrunk, levels):
    said = ("#1", "#2", "#3", "#3", "#4", "#4")
    seen = seen_of([1, 0, 1, 1, 0, 0], [1] * 6, [0, 0, 1, 1, 2, 2], responses=said)
    found = Consistent(is_shrunk=is_shrunk).heard(seen).advantage[:, 0]
    np.testing.assert_allclose(found[:2], grpo().heard(seen).advantage[:2, 0], atol=1e-3)
    among = (np.array(levels) - np.mean(levels)) / np.std(levels)
    np.testing.assert_allclose(found[2:], among[[1, 1, 2, 2]], atol=1e-4)


@pytest.mark.parametrize("method", [Consistent, Pooled])
def test_an_anchor_in_the_reward_would_not_be_heeded(method):
    with pytest.raises(ConfigError, match="would not heed"):
        method(base=grpo(Anchor(strength=0.1, place="reward")))


def seen_games(rewards, turns, world=None):
    """Games of one world where none is named, two tokens a turn."""
    seen = seen_of(rewards, [2 * n for n in turns], world or [0] * len(turns))
    drawn = seen.rollouts.is_drawn
    turn_of = np.where(drawn, np.arange(drawn.shape[1])[None, :] // 2, -1)
    return replace(
        seen, rollouts=replace(seen.rollouts, turn_of=turn_of),
        turn_reward=np.zeros((len(turns), max(turns))),
    )  # fmt: skip


def test_every_turn_of_a_game_has_what_the_game_came_to_and_long_games_weigh_more():
    seen = seen_games([1, 0, 0, math.nan], [1, 3, 1, 2])
    plain = rloo(6)
    pooled, once = (Pooled(base=plain, is_pooled=p).heard(seen) for p in (True, False))
    assert once.unit_of.max() == 4
    assert np.all(once.unit_of[3] == -1)
    np.testing.assert_allclose(once.advantage, plain.heard(seen).advantage)
    # The others of the first game are four turns of nothing; of the second one in two turns won.
    np.testing.assert_allclose(pooled.advantage[:3, 0], [1, -1 / 2, -1 / 4])
    assert np.all(pooled.advantage[1] == -1 / 2)


def test_as_released_turns_are_scored_among_all_turns_of_their_world_their_own_included():
    seen = seen_games([1, 0, 0, 3, 2], [1, 3, 1, 2, 1], [0, 0, 0, 1, 1])
    found = Pooled().heard(seen).advantage[:, 0]
    for rows, turns in (([0, 1, 2], [1, 0, 0, 0, 0]), ([3, 4], [3, 3, 2])):
        apart = seen.reward[rows] - np.mean(turns)
        np.testing.assert_allclose(found[rows], apart / (np.std(turns, ddof=1) + 1e-4))


def test_as_published_a_turn_is_a_mean_of_its_tokens_and_a_game_of_its_turns():
    method, seen = flow_grpo(), seen_games([1, 0], [1, 3])
    rollouts = seen.rollouts
    turn_of = np.where(rollouts.is_drawn, [0, 0, 0, 1, 2, 2], -1)
    turn_of[0, :2] = 0
    heard = method.heard(replace(seen, rollouts=replace(rollouts, turn_of=turn_of)))
    scale = method.token_scale(heard.unit_of, rollouts.prompt_of)
    np.testing.assert_allclose(scale[0, :2], 1 / 4)
    np.testing.assert_allclose(scale[1], np.array([1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1 / 2]) / 6)
    assert (method.surrogate.low, method.surrogate.high) == (0.2, 0.3)
    assert method.anchor is None
    assert flow_grpo(Anchor(strength=1e-3, place="loss")).anchor is not None
    assert not flow_grpo(is_pooled=False).is_pooled


@pytest.mark.parametrize("method", [DownSampled(), Steady(), ConflictAware()])
def test_entropies_that_a_server_does_not_tell_are_not_taken_for_some(method):
    like = np.zeros((4, 2))
    seen = seen_of([1, 0, 1, 0], [2, 1, 2, 2], [0] * 4, log_prob=like, entropy=like + math.nan)
    with pytest.raises(ConfigError, match="entropy of 7 of 7 drawn tokens"):
        method.heard(seen)
    # Behind the last token there is nothing to know.
    unknown = np.array([[1.0, 1.0], [1.0, math.nan], [1.0, 1.0], [1.0, 1.0]])
    known = [method.heard(seen_of([1, 0, 1, 0], [2, 1, 2, 2], [0] * 4, log_prob=like, entropy=e))
             for e in (unknown, like + 1.0)]  # fmt: skip
    np.testing.assert_array_equal(known[0].advantage, known[1].advantage)
    np.testing.assert_array_equal(known[0].unit_of, known[1].unit_of)


def gradient(method):
    """Its expectation over all groups of three, times the constant length."""
    theta_entropy = {}

    def loss(theta, rollouts):
        logp, there = log_probs(theta, rollouts)
        if not theta_entropy:
            for place, part in enumerate((theta[:2], theta[2:])):
                said = torch.log_softmax(part.detach(), 0)
                theta_entropy[place] = -float((said.exp() * said).sum())
        entropy = np.where(there, [theta_entropy[0], theta_entropy[1]], 0.0)
        seen = seen_of(
            WORTH[list(rollouts)], [len(TRAJECTORIES[r]) for r in rollouts] , [0] * len(rollouts),
            responses=tuple(str(r) for r in rollouts),
        )  # fmt: skip
        width = there.shape[1]
        wide = replace(
            seen.rollouts, is_drawn=there, turn_of=np.where(there, np.arange(width), -1),
            entropy=torch.tensor(entropy), log_prob=logp.detach(),
            tokens=Tokens(ids=torch.zeros((len(rollouts), width + 1), dtype=torch.long),
                          is_text=torch.ones((len(rollouts), width + 1), dtype=torch.bool)),
        )  # fmt: skip
        turns = np.zeros((len(rollouts), width))
        heard = method.heard(replace(seen, rollouts=wide, turn_reward=turns))
        scale = method.token_scale(heard.unit_of, wide.prompt_of)
        return policy_gradient_loss(
            logp, logp.detach(), heard.advantage, heard.unit_of, scale, Surrogate(form="plain")
        )

    return expected_gradient(loss, 3) * LENGTH


def test_each_points_elsewhere_unless_it_hears_everything():
    exact, plain = exact_gradient(WORTH), rloo(LENGTH)
    with_own = replace(plain, leave_one_out=False)
    for found in (
        gradient(Contrastive(share=1.0, base=plain)),
        gradient(DownSampled(rows=1.0, tokens=1.0, base=plain)),
        gradient(Steady(spread=1e9, base=plain)),
        # However many turns the others took, that is not of one's own doing.
        gradient(Pooled(base=plain)),
        gradient(Pooled(is_pooled=False, base=plain)),
        gradient(Pooled(is_pooled=False, base=with_own)) * 3 / 2,
    ):
        np.testing.assert_allclose(found, exact, atol=1e-12)
    for method in (
        Contrastive(share=0.5, base=plain),
        DownSampled(rows=0.5, tokens=1.0, base=plain),
        Steady(spread=0.1, base=plain),
        Consistent(middle=1.2, base=plain),
        Pooled(base=with_own),
    ):
        found = gradient(method)
        along = found @ exact / np.linalg.norm(found) / np.linalg.norm(exact)
        assert 0.3 < along < 0.9995, method


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Contrastive(share=0.0),
        lambda: Contrastive(share=1.1),
        lambda: DownSampled(rows=1.5),
        lambda: Steady(spread=-1.0),
        lambda: Consistent(slope=math.nan),
    ],
)
def test_settings_that_hear_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        wrong()
