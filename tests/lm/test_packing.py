"""Segments side by side: each is told what it would be told alone, by our decoder and by others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError
from penchant.lm.packing import Packed, Packs, in_rows

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.byte_tokenizer import ByteTokenizer  # noqa: E402
from penchant.lm.tokens import padded  # noqa: E402

# Tokens of a sequence, and of each that goes on from it.
FAMILIES = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.integers(1, 6), max_size=3)), min_size=1, max_size=4
)

GATED = ("Llama", "Qwen2", "Mistral")


def packed_of(families, seed=0):
    """Random tokens; and every sequence whole, with the places of its own part in the pack."""
    rng = np.random.default_rng(seed)
    sizes, after, texts, whole = [], [], [], []
    for size, more in families:
        root, at = len(sizes), sum(sizes)
        texts.append(rng.integers(3, 250, size).tolist())
        sizes, after = [*sizes, size], [*after, -1]
        whole.append((texts[root], range(at, at + size)))
        for each in more:
            at = sum(sizes)
            texts.append(rng.integers(3, 250, each).tolist())
            sizes, after = [*sizes, each], [*after, root]
            whole.append((texts[root] + texts[-1], range(at, at + each)))
    ids = torch.tensor([token for text in texts for token in text])
    return Packed(ids=ids, sizes=np.array(sizes), after=np.array(after)), whole


def alone(model, row, num):
    """States of the last `num` tokens of one sequence."""
    return model.network.read(model.parameters, padded([row], 0)).states[0, len(row) - num :]


def of_transformers(kind="Llama", attention="sdpa", **more):
    transformers = pytest.importorskip("transformers")
    from penchant.lm.pretrained import from_module

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=259, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64,
        **({"intermediate_size": 24, "num_key_value_heads": 1} if kind in GATED else {}), **more,
    )  # fmt: skip
    module = getattr(transformers, f"{kind}{'LMHeadModel' if kind == 'GPT2' else 'ForCausalLM'}")
    made = module._from_config(config, attn_implementation=attention)
    return from_module(made.double().eval(), ByteTokenizer(), kind)


@settings(max_examples=25, deadline=None)
@given(FAMILIES, st.integers(0, 3))
def test_a_segment_is_told_what_its_sequence_is_told_alone(families, seed):
    model = tiny(seed)
    packed, whole = packed_of(families, seed)
    states = model.network.read_packed(model.parameters, packed)
    for row, places in whole:
        np.testing.assert_allclose(states[list(places)], alone(model, row, len(places)), atol=1e-11)


def woods(seed=0):
    """Segments that go on from others at any remove, several families; each sequence whole, with
    the places of its last segment."""
    rng, sizes, after, texts, whole = np.random.default_rng(seed), [], [], [], []
    for _ in range(3):
        root = len(sizes)
        for n in range(rng.integers(1, 7)):
            sizes.append(int(rng.integers(1, 6)))
            after.append(-1 if n == 0 else int(rng.integers(root, len(sizes) - 1)))
            texts.append(rng.integers(3, 250, sizes[-1]).tolist())
            before = whole[after[-1]][0] if n else []
            at = sum(sizes[:-1])
            whole.append(([*before, *texts[-1]], range(at, at + sizes[-1])))
    ids = torch.tensor([token for text in texts for token in text])
    return Packed(ids=ids, sizes=np.array(sizes), after=np.array(after)), whole


@pytest.mark.parametrize("seed", range(6))
def test_so_are_ways_on_from_ways_on(seed):
    packed, whole = woods(seed)
    for model, most in ((tiny(), 1e-11), *([(of_transformers(), 1e-6)] if seed == 0 else [])):
        states = model.network.read_packed(model.parameters, packed).detach()
        for row, places in whole:
            wanted = alone(model, row, len(places)).detach()
            np.testing.assert_allclose(states[list(places)], wanted, atol=most)
            assert packed.places[list(places)].tolist() == list(
                range(len(row) - len(places), len(row))
            )


@pytest.mark.parametrize("kind", ["Llama", "GPT2", "Qwen2"])
def test_so_is_one_in_a_model_of_transformers(kind):
    model = of_transformers(kind)
    assert isinstance(model.network, Packs)
    assert model.network.why_unpacked() is None
    packed, whole = packed_of([(5, [2, 3]), (1, []), (7, [1]), (2, [2, 2, 2])])
    states = model.network.read_packed(model.parameters, packed).detach()
    for row, places in whole:
        wanted = alone(model, row, len(places)).detach()
        np.testing.assert_allclose(states[list(places)], wanted, atol=1e-6)


def test_a_module_in_training_is_read_without_its_dropout():
    transformers = pytest.importorskip("transformers")
    from penchant.lm.pretrained import from_module

    config = transformers.GPT2Config(
        vocab_size=259, n_embd=16, n_layer=2, n_head=2, n_positions=64, resid_pdrop=0.5,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    model = from_module(transformers.GPT2LMHeadModel(config).train(), ByteTokenizer(), "trained")
    one, other = (alone(model, [3, 4, 5], 3).detach() for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_so_is_one_where_attention_adds_its_mask():
    model = of_transformers(attention="eager")
    packed, whole = packed_of([(5, [2, 3]), (1, []), (7, [1])])
    states = model.network.read_packed(model.parameters, packed).detach()
    row, places = whole[2]
    np.testing.assert_allclose(
        states[list(places)], alone(model, row, len(places)).detach(), atol=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("Bloom", {"attention": "eager"}, "counts places"),
        ("Mistral", {"sliding_window": 4}, "slides"),
    ],
)
def test_a_model_that_cannot_keep_segments_apart_is_not_asked_to(kind, more, why):
    model = of_transformers(kind, **more)
    assert why in model.network.why_unpacked()
    with pytest.raises(ConfigError, match=r'layout="padded"'):
        model.network.read_packed(model.parameters, packed_of([(2, [1])])[0])


@given(FAMILIES)
def test_rows_hold_every_token_once_and_see_what_their_sequence_sees(families):
    packed, _ = packed_of(families)
    rows = in_rows(packed)
    assert len(set(zip(rows.row, rows.column))) == len(packed.segment)
    assert rows.sees.shape[1] == max(size + sum(more) for size, more in families)
    # Fewer rows than twice what there would be without any room lost.
    assert len(rows.sees) < 2 * len(packed.segment) / rows.sees.shape[1] + 1
    mine, place, after = packed.segment, packed.places, packed.after[packed.segment]
    for n in range(len(mine)):
        seen = rows.sees[rows.row[n], rows.column[n]]
        wanted = ((mine == mine[n]) | (mine == after[n])) & (place <= place[n])
        assert set(np.flatnonzero(seen)) == set(rows.column[wanted])
        assert set(rows.row[wanted]) == {rows.row[n]}
    assert rows.sees.any(axis=2).all()


def test_a_sequence_longer_than_the_window_is_refused_and_many_short_ones_are_not():
    model = tiny()
    packed, _ = packed_of([(30, [])] * 4)
    assert len(model.network.read_packed(model.parameters, packed)) == 120
    with pytest.raises(ConfigError, match="window"):
        model.network.read_packed(model.parameters, packed_of([(40, [9])])[0])
