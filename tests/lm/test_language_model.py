"""A decoder as a function: padding, batch mates and memory change nothing; slow twins agree."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError

torch = pytest.importorskip("torch")

from lm.tiny_models import TEXTS, TINY, rows_of, tiny  # noqa: E402  # they need torch
from penchant.lm.byte_tokenizer import ByteTokenizer  # noqa: E402
from penchant.lm.decoder import DecoderConfig, fresh_parameters  # noqa: E402
from penchant.lm.language_model import moved_to, num_parameters  # noqa: E402
from penchant.lm.log_probs import log_probs, selected  # noqa: E402
from penchant.lm.sample import SampleConfig, sample, sampling_log_probs  # noqa: E402
from penchant.lm.templates import answer_ids, plain_chat, prompted  # noqa: E402
from penchant.lm.tokens import (  # noqa: E402
    Tokens,
    cut,
    fingerprint,
    last_states,
    mean_states,
    padded,
    positions,
)

token_rows = st.lists(
    st.lists(st.integers(3, 258), min_size=1, max_size=12), min_size=1, max_size=5
)


def close(one, other, atol=1e-10):
    torch.testing.assert_close(one, other, atol=atol, rtol=0)


def state_of(model, rows, side="right"):
    tokens = padded(rows, 0, side)
    return last_states(model.network.read(model.parameters, tokens).states, tokens.is_text)


@settings(max_examples=25)
@given(token_rows, st.sampled_from(["left", "right"]))
def test_padding_and_batch_mates_do_not_change_the_last_state(rows, side):
    model = tiny()
    together = state_of(model, rows, side)
    for row, state in zip(rows, together):
        close(state_of(model, [row])[0], state)


@settings(max_examples=25)
@given(token_rows)
def test_padding_does_not_change_what_is_said_of_a_text(rows):
    model = tiny()
    sides = [log_probs(model, padded(rows, 0, side)) for side in ("left", "right")]
    for row, *told in zip(rows, *(side.log_prob.sum(dim=1) for side in sides)):
        alone = log_probs(model, padded([row], 0)).log_prob.sum()
        for one in told:
            close(one, alone)


def test_a_token_does_not_see_those_after_it():
    model, row = tiny(), rows_of(("hello there",))[0]
    read = model.network.read
    whole = read(model.parameters, padded([row], 0)).states
    for size in range(1, len(row)):
        close(read(model.parameters, padded([row[:size]], 0)).states, whole[:, :size])


def test_every_token_before_it_is_felt_and_so_is_its_place():
    model, row = tiny(), rows_of(("hello there",))[0]
    last = state_of(model, [row])
    for place in range(len(row) - 1):
        other = [*row[:place], row[place] + 1, *row[place + 1 :]]
        assert (state_of(model, [other]) - last).abs().max() > 1e-6
    swapped = [row[0], row[2], row[1], *row[3:]]
    assert (state_of(model, [swapped]) - last).abs().max() > 1e-6


def test_only_distances_between_places_count():
    """Rotary places: a text shifted along in its window has the same states."""
    model = tiny()
    tokens = padded(rows_of(("hello",)), 0)
    from penchant.lm import decoder

    near = model.network.read(model.parameters, tokens).states
    moved = decoder.positions
    try:
        decoder.positions = lambda is_text: moved(is_text) + 17
        far = model.network.read(model.parameters, tokens).states
    finally:
        decoder.positions = moved
    close(near, far)


def test_attention_is_that_of_the_formula():
    """One layer of one head, written out with loops."""
    config = DecoderConfig(width=6, layers=1, heads=1, window=8, inner=8)
    model = tiny(config=config)
    p = {name.removeprefix("layers.0."): value for name, value in model.parameters.items()}
    ids = torch.tensor([[5, 9, 7]])

    def norm(x, weight):
        return weight * x / torch.sqrt((x**2).mean() + 1e-6)

    def turn(x, place):
        out = x.clone()
        for i in range(3):
            angle = place * 10_000.0 ** (-2 * i / 6)
            a, b = x[i], x[i + 3]
            out[i] = a * math.cos(angle) - b * math.sin(angle)
            out[i + 3] = b * math.cos(angle) + a * math.sin(angle)
        return out

    x = [p["embed_tokens.weight"][t] for t in ids[0]]
    y = [norm(each, p["input_layernorm.weight"]) for each in x]
    q, k, v = ([p[f"self_attn.{n}_proj.weight"] @ each for each in y] for n in "qkv")
    states = []
    for t in range(3):
        scores = torch.stack([turn(q[t], t) @ turn(k[s], s) / math.sqrt(6) for s in range(t + 1)])
        mixed = sum(share * v[s] for s, share in enumerate(scores.softmax(0)))
        h = x[t] + p["self_attn.o_proj.weight"] @ mixed
        z = norm(h, p["post_attention_layernorm.weight"])
        gate = p["mlp.gate_proj.weight"] @ z
        inner = gate / (1 + torch.exp(-gate)) * (p["mlp.up_proj.weight"] @ z)
        states.append(norm(h + p["mlp.down_proj.weight"] @ inner, model.parameters["norm.weight"]))
    tokens = Tokens(ids=ids, is_text=torch.ones(1, 3, dtype=torch.bool))
    close(model.network.read(model.parameters, tokens).states[0], torch.stack(states))


def test_reading_on_from_memory_is_reading_it_all():
    model = tiny()
    tokens = padded(rows_of(), 0, "left")
    whole = model.network.read(model.parameters, tokens).states
    for size in (1, 3, tokens.ids.shape[1] - 1):
        first = Tokens(ids=tokens.ids[:, :size], is_text=tokens.is_text[:, :size])
        begun = model.network.read(model.parameters, first, remembers=True)
        rest = Tokens(ids=tokens.ids[:, size:], is_text=tokens.is_text)
        told = model.network.read(model.parameters, rest, begun.memory).states
        real = tokens.is_text[:, size:]
        close(told[real], whole[:, size:][real])


def test_log_probabilities_are_those_of_the_whole_vocabulary_however_few_are_held_at_once():
    model, tokens = tiny(), padded(rows_of(), 0)
    leaves = model.with_parameters({n: v.requires_grad_() for n, v in model.parameters.items()})
    states = model.network.read(leaves.parameters, tokens).states
    whole = model.network.logits(leaves.parameters, states).log_softmax(-1)
    plain = whole[:, :-1].gather(-1, tokens.ids[:, 1:, None])[..., 0]
    plain = torch.where(tokens.is_text[:, 1:], plain, 0.0)
    told = log_probs(leaves, tokens, at_once=7)
    close(told.log_prob, plain)
    entropy = -(whole.exp() * whole).sum(-1)[:, :-1]
    close(told.entropy, torch.where(tokens.is_text[:, 1:], entropy, 0.0))
    by_hand = torch.autograd.grad(plain.sum(), list(leaves.parameters.values()))
    by_parts = torch.autograd.grad(told.log_prob.sum(), list(leaves.parameters.values()))
    for one, other in zip(by_hand, by_parts):
        close(one, other, 1e-9)


def test_the_logits_of_the_whole_vocabulary_are_never_held():
    """Neither while they are made nor for the way back, where they are made again."""
    model, tokens = tiny(), padded([[1, *range(3, 43)]] * 3, 0)
    num, size = 120, model.network.config.num_tokens
    made, kept = [], []

    class Watched(type(model.network)):
        def logits(self, parameters, states):
            made.append(len(states))
            return super().logits(parameters, states)

    network = Watched(config=model.network.config)
    leaves = {n: v.clone().requires_grad_() for n, v in model.parameters.items()}
    states = network.read(leaves, tokens).states[:, :-1].reshape(num, -1)

    def hold(x):
        kept.append(x.numel() if x.ndim and x.shape[-1] == size else 0)
        return x

    ids = tokens.ids[:, 1:].reshape(-1)
    with torch.autograd.graph.saved_tensors_hooks(hold, lambda x: x):
        for has_entropy in (True, False):
            said = selected(network, leaves, states, ids, at_once=16, has_entropy=has_entropy)
            assert max(made) <= 16
            assert sum(made) == num
            assert sum(kept) == 0
            made.clear()
            (said[0].sum() + said[1].sum()).backward(retain_graph=True)
            assert max(made) <= 16
            assert sum(made) == num
            made.clear()
            kept.clear()
        # Without parts they would be.
        selected(network, leaves, states, ids, at_once=num)
        assert sum(kept) >= num * size


def test_temperature_divides_the_logits():
    model, tokens = tiny(), padded([rows_of()[1]], 0)
    logits = model.network.logits(
        model.parameters, model.network.read(model.parameters, tokens).states
    )
    wanted = (logits / 2.0).log_softmax(-1)[:, :-1].gather(-1, tokens.ids[:, 1:, None])[..., 0]
    close(log_probs(model, tokens, temperature=2.0).log_prob, wanted)


def test_what_was_sampled_was_as_likely_as_it_says():
    """Read again in one go, the samples have the log-probabilities that they were drawn with."""
    model, prompts = tiny(), rows_of(("ab", "hello", ""))
    drawn = sample(model, prompts, SampleConfig(most_tokens=9), torch.Generator().manual_seed(0))
    for row, prompt in enumerate(prompts):
        new = drawn.ids[row][drawn.is_text[row]].tolist()
        told = log_probs(model, padded([[*prompt, *new]], 0))
        close(told.log_prob[0, len(prompt) - 1 :], drawn.log_prob[row][drawn.is_text[row]])
        ended = new[-1] == 2
        assert bool(drawn.has_ended[row]) == ended
        assert 2 not in new[:-1]


def test_samples_come_as_often_as_they_are_likely():
    model = tiny()
    tokens = padded([[1, 70]], 0)
    state = model.network.read(model.parameters, tokens).states[:, -1]
    shares = model.network.logits(model.parameters, state).softmax(-1)[0]
    drawn = sample(
        model, [[1, 70]] * 4000, SampleConfig(most_tokens=1), torch.Generator().manual_seed(3)
    )
    counts = torch.bincount(drawn.ids[:, 0], minlength=259) / 4000
    error = (shares * (1 - shares) / 4000).sqrt()
    assert ((counts - shares).abs() <= 5 * error + 1e-9).all()
    assert counts.max() > 0


@given(st.integers(0, 10), st.floats(0.05, 0.99), st.integers(1, 8))
def test_the_likeliest_tokens_are_kept_and_no_more_than_are_needed(seed, top_p, top_k):
    logits = torch.randn(3, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whole = logits.softmax(-1)
    nucleus = sampling_log_probs(logits, SampleConfig(top_p=top_p)).exp()
    for share, kept in zip(whole, nucleus):
        taken = kept > 0
        assert share[taken].sum() >= top_p - 1e-12
        assert share[taken].sum() - share[taken].min() < top_p + 1e-12
        assert not taken.all() or share.min() > 0
        assert share[taken].min() >= share[~taken].max() if (~taken).any() else True
        close(kept.sum(), torch.tensor(1.0, dtype=torch.float64))
        close(kept[taken] / kept[taken].max(), share[taken] / share[taken].max())
    few = sampling_log_probs(logits, SampleConfig(top_k=top_k))
    assert ((few > -torch.inf).sum(-1) == top_k).all()
    best = sampling_log_probs(logits, SampleConfig(temperature=0.0))
    assert (best.argmax(-1) == logits.argmax(-1)).all()
    assert (best.exp().sum(-1) == 1).all()


@given(st.text())
def test_bytes_become_the_text_again(text):
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode(text)) == text.encode(errors="replace").decode()


def test_half_a_character_is_a_question_mark_and_no_error():
    assert ByteTokenizer().decode(ByteTokenizer().encode("a\ud800")) == "a?"


def test_rows_are_padded_cut_and_averaged_as_they_say():
    tokens = padded([[5, 6, 7], [8]], 0, "left")
    assert tokens.ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert positions(tokens.is_text).tolist() == [[0, 1, 2], [0, 0, 0]]
    assert cut([1, 2, 3], 2) == ([2, 3], True)
    assert cut([1, 2], 2) == ([1, 2], False)
    states = torch.arange(12.0).reshape(2, 3, 2)
    assert mean_states(states, tokens.is_text).tolist() == [[2.0, 3.0], [10.0, 11.0]]
    with pytest.raises(DataError, match="row 1 of 2 has no token"):
        padded([[1], []], 0)


def test_a_text_too_long_for_the_window_is_refused_with_what_to_do():
    model = tiny()
    with pytest.raises(ConfigError, match="at most the 48"):
        model.network.read(model.parameters, padded([[5] * 49], 0))


def test_templates_write_prompt_and_answer_between_begin_and_end():
    tokenizer = ByteTokenizer()
    assert prompted("", "yes") == "yes"
    ids = answer_ids(tokenizer, "ok?", "yes")
    assert (ids[0], ids[-1], tokenizer.decode(ids)) == (1, 2, "ok?\n\nyes")
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    assert plain_chat(messages) == "user: hi\n\nassistant: hello"


def test_a_fingerprint_knows_rows_and_numbers():
    model = tiny()
    told = fingerprint(rows_of(), model.parameters)
    assert told == fingerprint(rows_of(), tiny().parameters)
    assert told != fingerprint(rows_of(TEXTS[1:]), model.parameters)
    assert told != fingerprint(rows_of(), tiny(1).parameters)


def test_a_fresh_decoder_has_the_size_that_is_said_and_foretells_nothing_yet():
    config = DecoderConfig()
    parameters = fresh_parameters(config, torch.Generator().manual_seed(0))
    assert num_parameters(parameters) == pytest.approx(0.8e6, rel=0.05)
    model = tiny().with_parameters(fresh_parameters(TINY, torch.Generator().manual_seed(0)))
    model = moved_to(model, dtype=torch.float32)
    entropy = log_probs(model, padded(rows_of(("hello",)), 0)).entropy
    np.testing.assert_allclose(entropy.numpy(), math.log(259), atol=0.01)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match="even number"):
        DecoderConfig(width=30, heads=4)
    with pytest.raises(ConfigError, match="top_p=0"):
        SampleConfig(top_p=0.0)
