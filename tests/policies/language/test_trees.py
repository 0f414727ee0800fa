"""Trees of continuations: what was drawn, what it is worth, and whose gradient that is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.policies.language.branching import even_weights, first_ways
from penchant.policies.language.loss import Surrogate, policy_gradient_loss, to_tokens
from penchant.policies.language.methods.trees import TreeRelative, spo_tree

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.objective import token_log_probs  # noqa: E402
from penchant.policies.language.trainer import PolicyTrainer  # noqa: E402
from policies.language.test_gathered_methods import SMALL, ask, seen_of  # noqa: E402
from policies.language.test_trainer import EvenBytes  # noqa: E402
from policies.language.two_step_tree import (  # noqa: E402
    TRAJECTORIES,
    exact_gradient,
    parameters,
)

WORTH = np.array([0.2, 1.0, -0.5, 0.6])
TREE = TreeRelative(branches=(2, 2), segment=2, length=6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 300))
def test_every_token_is_counted_once_with_the_probability_it_was_drawn_with(seed):
    batch = TREE.gathered(ask(seed=seed, version=3))
    rollouts, edge = batch.rollouts, batch.told["edge"]
    now = token_log_probs(tiny(), rollouts, 1.0)
    drawn = torch.from_numpy(rollouts.is_drawn)
    np.testing.assert_allclose(rollouts.log_prob[drawn], now[drawn], atol=1e-9)
    assert (edge >= 0).sum() == rollouts.lengths.sum() + batch.spent
    assert rollouts.versions.tolist() == [3] * len(rollouts)
    # Of each prompt three pieces, two ways on from each that has not ended, twice.
    parent, sizes = batch.told["parent"], np.bincount(edge[edge >= 0])
    assert np.bincount(batch.told["root"][parent < 0]).tolist() == [3, 3, 3]
    assert set(np.bincount(parent[parent >= 0]).tolist()) <= {0, 2}
    assert sizes.min() >= 1
    assert sizes[np.unique(parent[parent >= 0])].max(initial=2) == 2
    # Rows that share an edge begin with the same tokens.
    ids = rollouts.tokens.ids.numpy()
    for row, leaf in enumerate(batch.told["leaf"]):
        mine, line, at = np.flatnonzero(rollouts.is_drawn[row]), [], leaf
        while at >= 0:
            line, at = [at, *line], parent[at]
        said = [t for e in line for t in _tokens_of(ids, edge, e)]
        assert ids[row, mine + 1].tolist() == said


@pytest.mark.parametrize("segment", [3, 4])
def test_an_answer_that_has_filled_its_room_is_a_leaf_at_whatever_level(segment):
    batch = replace(TREE, segment=segment).gathered(ask(seed=1))
    full = batch.rollouts.lengths == 6
    assert full.any()
    assert batch.rollouts.lengths.max() == 6
    # Two pieces, the second shorter where there is no more room, and no third level.
    above = batch.told["parent"][batch.told["leaf"][full]]
    assert np.all(batch.told["parent"][above] == -1)
    ids, size = batch.rollouts.tokens.ids.numpy(), batch.rollouts.tokens.is_text.sum(dim=1).numpy()
    ends = ids[np.arange(len(ids)), size - 1] == tiny().tokenizer.end
    assert batch.rollouts.has_ended.tolist() == ends.tolist()
    assert ends[~full].all()
    assert not ends.all()


def _tokens_of(ids, edge, e):
    row, place = np.nonzero(edge == e)
    assert len(set(row)) == 1
    return ids[row, place + 1].tolist()


def test_an_edge_is_worth_what_its_ways_on_are_beside_its_siblings():
    batch = TREE.gathered(ask(seed=1))
    heard = TREE.heard(seen_of(batch))
    told, reward = batch.told, batch.grades.reward
    parent, leaf = told["parent"], told["leaf"].tolist()

    def worth(e):
        if e in leaf:
            return reward[leaf.index(e)]
        return np.mean([worth(c) for c in np.flatnonzero(parent == e)])

    for e in range(len(parent)):
        siblings = np.flatnonzero((parent == parent[e]) & (told["root"] == told["root"][e]))
        b, share, at = len(siblings), 1.0, e
        while at >= 0:
            share /= np.sum((parent == parent[at]) & (told["root"] == told["root"][at]))
            at = parent[at]
        wanted = b / (b - 1) * (worth(e) - np.mean([worth(s) for s in siblings])) * share
        np.testing.assert_allclose(heard.advantage[told["edge"] == e], wanted, atol=1e-12)
    assert np.abs(heard.advantage).max() > 0.1
    assert np.all((heard.unit_of >= 0) == (told["edge"] >= 0))


def test_a_leaf_without_a_reward_is_no_part_of_the_tree():
    batch = TREE.gathered(ask(seed=1))
    told, seen = batch.told, seen_of(batch)
    parent = told["parent"]
    inner = int(parent.max())
    lost = np.isin(told["leaf"], np.flatnonzero(parent == inner))
    assert lost.sum() == 2
    heard = TREE.heard(replace(seen, reward=np.where(lost, np.nan, seen.reward)))
    gone = [inner, *np.flatnonzero(parent == inner)]
    assert np.all(heard.unit_of[np.isin(told["edge"], gone)] == -1)
    # As if it had never been drawn.
    kept = np.setdiff1d(np.arange(len(parent)), gone)
    place = np.full(len(parent) + 1, -1)
    place[kept] = np.arange(len(kept))
    outcome = np.full(len(parent), np.nan)
    outcome[told["leaf"]] = seen.reward
    alone, _ = TREE.credit(place[parent[kept]], outcome[kept], told["root"][kept])
    for at, e in enumerate(kept):
        np.testing.assert_allclose(heard.advantage[told["edge"] == e], alone[at], atol=1e-12)


def test_a_report_tells_what_single_answers_earned_and_not_what_leaves_did():
    """Answers that end early have fewer leaves: over all that could be drawn their mean is another
    one, and that of single answers is what the policy earns."""
    p_first, p_second = np.array([0.3, 0.7]), np.array([0.5, 0.2, 0.3])
    earned = p_first @ [WORTH[0], p_second @ WORTH[1:]]
    single = leaves = 0.0
    for first, *then in np.ndindex(2, 3, 3):
        # One piece alone, or with two ways on from it.
        parent, leaf = ([-1], [0]) if first == 0 else ([-1, 0, 0], [1, 2])
        worth = WORTH[[0]] if first == 0 else WORTH[1 + np.array(then)]
        chance = p_first[first] * np.prod(p_second[then])
        single += chance * worth[first_ways(np.array(parent), np.array(leaf))].mean()
        leaves += chance * worth.sum() / (p_first @ [1.0, 2.0])
    assert single == pytest.approx(earned)
    assert abs(leaves - earned) > 0.04
    batch = TREE.gathered(ask(seed=1))
    parent, line = batch.told["parent"], np.flatnonzero(batch.told["parent"] < 0).tolist()
    for place, at in enumerate(line):
        while (parent == at).any():
            at = int(np.flatnonzero(parent == at)[0])
        line[place] = at
    assert sorted(batch.told["leaf"][batch.is_plain].tolist()) == sorted(line)
    assert len(batch.rollouts) > len(line) == 9
    report = PolicyTrainer(tiny(), EvenBytes(), TREE, SMALL).step()
    own = PolicyTrainer(tiny(), EvenBytes(), TREE, SMALL)._gathered()
    assert report.reward == own.grades.reward[own.is_plain].mean() == report.components["correct"]


def test_as_published_edges_that_tell_nothing_and_tokens_without_a_choice_are_left_out():
    method = replace(spo_tree(), branches=(2,), segment=2)
    batch = method.gathered(ask(seed=1))
    heard = method.heard(seen_of(batch))
    sure = np.exp(batch.rollouts.log_prob.numpy()) >= 0.9
    assert np.all(heard.unit_of[sure] == -1)
    assert np.all(heard.advantage[heard.unit_of >= 0] != 0.0)
    scale = method.token_scale(heard.unit_of, batch.rollouts.prompt_of)
    assert scale.sum() == pytest.approx(1.0)
    assert spo_tree().branches == (6, 6)


@pytest.mark.parametrize(
    ("changed", "factor"),
    [({}, 1.0), ({"is_corrected": False}, 0.5), ({"length": None}, None)],
    ids=["corrected", "as published a half", "one mean over tokens"],
)
def test_its_gradient_is_exact_once_corrected_and_with_a_constant_length(changed, factor):
    """Two ways from the root, two from each `b`, over all that could be drawn."""
    method = replace(TREE, **{"length": 2, "surrogate": Surrogate(form="plain")} | changed)
    theta = parameters()
    p_first = torch.softmax(theta[:2], 0).detach().numpy()
    p_second = torch.softmax(theta[2:], 0).detach().numpy()
    total = np.zeros(5)
    for drawn in np.ndindex(2, 2, 3, 3, 3, 3):
        first, second = torch.log_softmax(theta[:2], 0), torch.log_softmax(theta[2:], 0)
        logp, parent, outcome = [], [], []
        for place, said in enumerate(drawn[:2]):
            here = len(parent)
            logp, parent = [*logp, first[said]], [*parent, -1]
            outcome.append(WORTH[0] if said == 0 else np.nan)
            for then in drawn[2 + 2 * place : 4 + 2 * place] if said == 1 else ():
                logp, parent = [*logp, second[then]], [*parent, here]
                outcome.append(WORTH[TRAJECTORIES.index((1, then))])
        root = np.zeros(len(parent), dtype=int)
        credit, _ = method.credit(np.array(parent), np.array(outcome), root)
        unit_of, row = np.arange(len(parent))[:, None], torch.stack(logp)[:, None]
        scale = method.token_scale(unit_of, root)
        loss = policy_gradient_loss(
            row, row.detach(), to_tokens(credit, unit_of), unit_of, scale, method.surrogate
        )
        chance = np.prod(p_first[list(drawn[:2])]) * np.prod(p_second[list(drawn[2:])])
        gradient = torch.autograd.grad(loss, theta, allow_unused=True)[0]
        total -= chance * gradient.numpy() * 2.0
    exact = exact_gradient(WORTH)
    if factor is None:
        along = (total @ exact) / (exact @ exact)
        assert not np.allclose(total, along * exact, atol=1e-6)
    else:
        np.testing.assert_allclose(total, factor * exact, atol=1e-12)


def test_the_children_of_a_node_share_its_weight():
    parent, root = np.array([-1, -1, -1, 0, 0, 3, 3]), np.array([0, 0, 1, 0, 0, 0, 0])
    found = even_weights(parent, root)
    np.testing.assert_allclose(found, [1 / 2, 1 / 2, 1, 1 / 4, 1 / 4, 1 / 8, 1 / 8])
