"""Layouts: a prompt read once for its group, or all side by side, says what each row says alone."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.lm.packing import Packed
from penchant.lm.sample import SampleConfig, sample
from penchant.lm.tokens import padded
from penchant.policies.language.answers import answer_log_probs, answers_of
from penchant.policies.language.branching import draw_tree
from penchant.policies.language.direct import DirectConfig
from penchant.policies.language.layout import (
    check_reading,
    groups_within,
    packed_rows,
    read_drawn,
    settled,
)
from penchant.policies.language.rollouts import draw_rollouts
from penchant.policies.language.trainer import TrainerConfig

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch


def drawn(model, prompts, group_size=3, seed=0, most=6):
    generator = torch.Generator().manual_seed(seed)
    return draw_rollouts(model, prompts, group_size, SampleConfig(most_tokens=most), generator)


def theirs():
    transformers = pytest.importorskip("transformers")
    from penchant.lm.byte_tokenizer import ByteTokenizer
    from penchant.lm.pretrained import from_module

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=259, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    module = transformers.LlamaForCausalLM(config).double().eval()
    return from_module(module, ByteTokenizer(), "their llama")


def told(model, rollouts, layout, rows=None):
    """Log-probabilities, entropies and the gradient of a sum with unequal weights."""
    part = rollouts if rows is None else rollouts.take(np.array(rows))
    leaves = {n: v.clone().requires_grad_() for n, v in model.parameters.items()}
    read = read_drawn(
        model.with_parameters(leaves), part, layout=layout, temperature=0.8, has_entropy=True
    )
    weight = torch.linspace(0.3, 1.7, len(read.log_prob), dtype=read.log_prob.dtype)
    loss = (weight * read.log_prob).sum() + 0.1 * read.entropy.sum()
    gradient = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return read, [g for g in gradient if g is not None]


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    group_size=st.integers(1, 4),
    most=st.integers(1, 6),
    seed=st.integers(0, 5),
)
def test_a_shared_or_packed_prompt_says_what_one_for_each_row_says(sizes, group_size, most, seed):
    model = tiny(seed)
    rollouts = drawn(model, ["ab" * size for size in sizes], group_size, seed, most)
    (one, one_gradient), *others = (
        told(model, rollouts, layout) for layout in ("padded", "shared", "packed")
    )
    for other, other_gradient in others:
        for name in ("states", "log_prob", "entropy"):
            np.testing.assert_allclose(
                getattr(one, name).detach(), getattr(other, name).detach(), atol=1e-11
            )
        for a, b in zip(one_gradient, other_gradient, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-10 * max(1.0, float(a.abs().max())))


@pytest.mark.parametrize("layout", ["shared", "packed"])
def test_so_do_models_of_transformers_and_rows_in_any_order(layout):
    model = theirs()
    rollouts = drawn(model, ["abcdefg", "c"])
    # Their norms are taken in single precision.
    assert settled(model, rollouts, layout, 1e-6) == layout
    for rows in ([4, 0, 5, 1], [2]):
        (one, _), (other, _) = (told(model, rollouts, kind, rows) for kind in ("padded", layout))
        np.testing.assert_allclose(one.log_prob.detach(), other.log_prob.detach(), atol=1e-6)


def test_what_leaves_share_below_the_prompt_is_laid_once():
    model = tiny()
    generator = torch.Generator().manual_seed(1)
    tree = draw_tree(model, ["ab", "c"], (2, 2), 18, SampleConfig(most_tokens=30), generator)
    rollouts = tree.rollouts
    packed, at = packed_rows(rollouts)
    # Prompts, and what was drawn once; a row's last token foretells nothing.
    prompts = sum(rollouts.start[np.unique(rollouts.prompt_of, return_index=True)[1]])
    assert len(packed.ids) == prompts + tree.num_drawn - len(rollouts)
    assert len(packed.ids) < prompts + rollouts.lengths.sum() - len(rollouts) - 50
    assert len(at) == rollouts.is_drawn.sum()
    (one, one_gradient), (other, other_gradient) = (
        told(model, rollouts, layout) for layout in ("padded", "packed")
    )
    for name in ("states", "log_prob", "entropy"):
        np.testing.assert_allclose(
            getattr(one, name).detach(), getattr(other, name).detach(), atol=1e-11
        )
    for a, b in zip(one_gradient, other_gradient, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10 * max(1.0, float(a.abs().max())))
    # Answers that are the same are one; a few letters in common are not worth a piece.
    some = drawn(model, ["abc"], group_size=3)
    short, _ = packed_rows(some)
    assert len(short.sizes) == 4
    for answers in (rollouts, some):
        twice, _ = packed_rows(answers.take(np.array([0, 0, 0])))
        assert len(twice.sizes) == 2


def test_what_was_not_drawn_is_read_where_something_drawn_comes_after_it_alone():
    rollouts = drawn(tiny(), ["abc", "de"], group_size=2)
    is_drawn = rollouts.is_drawn.copy()
    is_drawn[0] = False
    is_drawn[1, rollouts.start[1] + 2 :] = False
    is_drawn[2, rollouts.start[2]] = False
    some = replace(rollouts, is_drawn=is_drawn)
    packed, at = packed_rows(some)
    assert len(at) == is_drawn.sum()
    # Both prompts; nothing of the first answer, two tokens of the second.
    kept = [4, 2, 3, *(rollouts.lengths[2:] - 1)]
    assert sorted(packed.sizes.tolist()) == sorted(kept)
    one, other = (told(tiny(), some, layout) for layout in ("padded", "packed"))
    np.testing.assert_allclose(one[0].log_prob.detach(), other[0].log_prob.detach(), atol=1e-11)


def test_numbers_stand_where_their_tokens_do():
    model, rollouts = tiny(), drawn(tiny(), ["abc", ""])
    read = read_drawn(model, rollouts, has_entropy=True)
    np.testing.assert_allclose(read.placed(read.log_prob, rollouts), rollouts.log_prob, atol=1e-11)
    np.testing.assert_allclose(read.placed(read.entropy, rollouts), rollouts.entropy, atol=1e-11)


def test_a_model_that_reads_a_shared_prompt_otherwise_is_refused_before_it_trains():
    model = tiny()

    class Forgetful(type(model.network)):
        def memory_of(self, memory, rows):
            return [(k[rows], 0.9 * v[rows]) for k, v in memory]

    broken = type(model)(
        network=Forgetful(config=model.network.config), parameters=model.parameters,
        tokenizer=model.tokenizer,
    )  # fmt: skip
    with pytest.raises(ConfigError, match='layout="padded"'):
        settled(broken, drawn(model, ["abc"]), "shared")


def test_a_model_whose_segments_see_each_other_is_refused_before_it_trains():
    model = tiny()

    class Gossip(type(model.network)):
        def read_packed(self, parameters, packed):
            one = np.array([len(packed.ids)]), np.array([-1])
            return super().read_packed(
                parameters, Packed(ids=packed.ids, sizes=one[0], after=one[1])
            )

    broken = replace(model, network=Gossip(config=model.network.config))
    with pytest.raises(ConfigError, match='layout="padded"'):
        settled(broken, drawn(model, ["abc"]), "packed")


def test_a_model_that_cannot_pack_is_read_padded_and_says_so(caplog):
    model = tiny()

    class Plain:
        """A network that knows nothing of segments."""

        def __init__(self, inner):
            self.width, self.window, self.is_causal = inner.width, inner.window, True
            self.read, self.logits, self.memory_of = inner.read, inner.logits, inner.memory_of

    plain, rollouts = replace(model, network=Plain(model.network)), drawn(model, ["abc"])
    with caplog.at_level(logging.WARNING):
        assert settled(plain, rollouts, "packed") == "padded"
    assert "padded" in caplog.text
    assert "read_packed" in caplog.text
    with pytest.raises(ConfigError, match='layout="padded"'):
        read_drawn(plain, rollouts, layout="packed")


def test_copies_of_a_prompt_are_drawn_as_if_each_had_been_read():
    model, rows = tiny(), [[1, 70, 71, 72], [1, 80]]
    found = []
    for prompts, copies in ((rows, 3), ([row for row in rows for _ in range(3)], 1)):
        generator = torch.Generator().manual_seed(4)
        found.append(sample(model, prompts, SampleConfig(most_tokens=7), generator, copies=copies))
    one, other = found
    assert torch.equal(one.ids, other.ids)
    np.testing.assert_allclose(one.log_prob, other.log_prob, atol=1e-12)
    np.testing.assert_allclose(one.entropy, other.entropy, atol=1e-12)


@pytest.mark.parametrize("layout", ["padded", "shared", "packed"])
def test_a_long_prompt_and_anothers_long_answer_need_no_more_room_than_either(layout):
    model = tiny()
    window = model.network.window
    rows = [[5] * 20 + [7, 9], [5] * 20 + [8], [6] * 2 + [11] * (window - 2), [6, 6, 4]]
    answers = answers_of(model, rows, np.array([20, 20, 2, 2]))
    said, _ = answer_log_probs(model, answers, layout)
    for row, start, told in zip(rows, (20, 20, 2, 2), said, strict=True):
        states = model.network.read(model.parameters, padded([row], 0)).states[0]
        alone = model.network.logits(model.parameters, states).log_softmax(dim=-1)
        wanted = [float(alone[at - 1, row[at]]) for at in range(start, len(row))]
        np.testing.assert_allclose(told[start - 1 : len(row) - 1], wanted, atol=1e-11)
    with pytest.raises(ConfigError, match="window"):
        answer_log_probs(model, answers_of(model, [[5] * (window + 2)], np.array([2])), layout)


def test_a_layout_that_there_is_not_and_no_token_at_once_are_refused():
    with pytest.raises(ConfigError, match="padded, shared, packed"):
        check_reading("dense")
    for config in (DirectConfig, TrainerConfig):
        with pytest.raises(ConfigError, match="tokens_at_once=0"):
            config(tokens_at_once=0)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 30), st.integers(1, 20)),
        min_size=1, max_size=25,
    ),
    st.integers(10, 120), st.sampled_from(["padded", "shared", "packed"]),
)  # fmt: skip
def test_parts_hold_every_row_once_and_keep_to_the_budget(rows, budget, layout):
    prompt_of, start, length = (np.array(part) for part in zip(*rows, strict=True))
    start = start[prompt_of % len(start)]  # a prompt has one length
    parts = groups_within(prompt_of, start, length, budget, layout)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(rows)))

    def cost(part):
        heads = np.unique(prompt_of[part], return_index=True)[1]
        if layout == "packed":
            return start[part][heads].sum() + length[part].sum()
        if layout == "padded":
            return len(part) * (start + length)[part].max()
        return len(heads) * start[part].max() + len(part) * length[part].max()

    for part, after in zip(parts, [*parts[1:], None]):
        assert len(part) == 1 or cost(part) <= budget
        # No part ends before it must.
        assert after is None or cost(np.append(part, after[0])) > budget
    whole = groups_within(prompt_of, start, length, 10_000, layout)
    assert len(whole) == 1
    # Rows of one prompt stand side by side.
    met = prompt_of[whole[0]]
    assert np.count_nonzero(met[1:] != met[:-1]) == len(np.unique(met)) - 1
