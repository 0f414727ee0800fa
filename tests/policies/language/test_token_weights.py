"""Which tokens an update listens to, by hand-worked cases and a law of entropy."""

import numpy as np
import pytest

from penchant.policies.language.token_weights import (
    conflict_weights,
    entropy_fall,
    steady_entropy,
    top_share,
    unsure_tokens,
)

torch = pytest.importorskip("torch")


def test_tokens_that_were_all_but_certain_are_left_alone():
    assert unsure_tokens(np.log([[0.95, 0.89, 0.1]])).tolist() == [[False, True, True]]


def test_a_share_of_each_rows_tokens_is_kept_those_that_matter_most():
    importance = np.array([[0.1, 3.0, 2.0, 9.0], [1.0, 1.0, 5.0, 5.0]])
    there = np.array([[True, True, True, False], [True, True, False, False]])
    kept = top_share(importance, there, 0.5)
    assert kept.tolist() == [[False, True, True, False], [True, False, False, False]]
    assert top_share(importance, there, 1.0).tolist() == there.tolist()
    assert not top_share(importance, np.zeros((2, 4), dtype=bool), 0.5).any()


@pytest.mark.parametrize("size", [5, 64])
def test_entropy_falls_as_is_said_when_a_logit_rises(size):
    rng = np.random.default_rng(size)
    logits = torch.tensor(rng.normal(size=size) * 1.5)
    p = torch.softmax(logits, 0)
    entropy = -(p * p.log()).sum()
    step = 1e-5
    for k in range(0, size, max(1, size // 5)):
        raised = logits.clone()
        raised[k] += step
        q = torch.softmax(raised, 0)
        found = (-(q * q.log()).sum() - entropy) / step
        fall = entropy_fall(entropy.numpy(), p[k].log().numpy())
        assert found.item() == pytest.approx(-fall, abs=1e-4)


def test_only_bad_tokens_that_would_tear_entropy_down_are_dropped():
    # The last token is a rare one with low entropy around it: its change lies far below the rest.
    logp = np.log(np.array([[0.5] * 20 + [0.3]]))
    entropy = np.array([[0.8] * 20 + [0.05]])
    there = np.ones((1, 21), dtype=bool)
    bad = steady_entropy(entropy, logp, -np.ones((1, 21)), there)
    assert bad[0, :20].all()
    assert not bad[0, 20]
    assert steady_entropy(entropy, logp, np.ones((1, 21)), there).all()
    assert not steady_entropy(entropy, logp, np.ones((1, 21)), ~there).any()


def test_what_good_and_bad_answers_share_is_not_unlearnt_with_the_bad():
    #  group 0: good "t a x e", bad "t b e"; group 1 is all good.
    tokens = np.array([[1, 5, 7, 9], [1, 6, 9, 0], [1, 5, 7, 9]])
    weight = conflict_weights(
        tokens, np.array([4, 3, 4]), np.array([True, False, True]), np.array([0, 0, 1])
    )
    assert weight.tolist() == [[2, 1, 1, 2], [0, 1, 0, 1], [1, 1, 1, 1]]


def test_where_both_runs_cover_a_token_the_factors_multiply():
    tokens = np.array([[1, 2], [1, 2]])
    weight = conflict_weights(tokens, np.array([2, 2]), np.array([True, False]), np.array([0, 0]))
    assert weight.tolist() == [[4, 4], [0, 0]]
