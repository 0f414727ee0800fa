"""What copies of a prompt remember together says what each would say by its own memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.copied_memory import CopiedMemory  # noqa: E402
from penchant.lm.tokens import Tokens, padded  # noqa: E402


def begun(sizes, seed):
    """A model, prompts padded on the left, and what reading them left behind."""
    model, rng = tiny(seed), np.random.default_rng(seed)
    tokens = padded([rng.integers(3, 250, size).tolist() for size in sizes], 0, "left")
    with torch.no_grad():
        return model, tokens, model.network.read(model.parameters, tokens, remembers=True).memory


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(2, 4), st.integers(1, 3),
    st.integers(0, 3),
)  # fmt: skip
def test_copies_go_on_as_rows_with_a_memory_of_their_own(sizes, often, size, seed):
    model, tokens, memory = begun(sizes, seed)
    rows = torch.arange(len(sizes)).repeat_interleave(often)
    with torch.no_grad():
        shared = model.network.memory_of(memory, rows)
    kinds = {"shared": shared, "alone": [(k[rows], v[rows]) for k, v in memory]}
    assert all(isinstance(layer, CopiedMemory) for layer in kinds["shared"])
    is_text, generator = tokens.is_text[rows], torch.Generator().manual_seed(seed)
    for _ in range(3):
        new = torch.randint(3, 250, (len(rows), size), generator=generator)
        # Some rows have ended: what follows there is padding.
        real = torch.rand(len(rows), generator=generator)[:, None].expand(-1, size) > 0.2
        is_text = torch.cat([is_text, real], dim=1)
        found = {}
        with torch.no_grad():
            for kind, layers in kinds.items():
                read = model.network.read(
                    model.parameters, Tokens(ids=new, is_text=is_text), layers, remembers=True
                )
                kinds[kind], found[kind] = read.memory, read.states
        np.testing.assert_allclose(
            found["shared"][real].numpy(), found["alone"][real].numpy(), atol=1e-11
        )
    # Some rows of it, in any order, are rows as any others.
    chosen = torch.tensor([len(rows) - 1, 0])
    with torch.no_grad():
        some = model.network.memory_of(kinds["shared"], chosen)
    for (k, v), (own_k, own_v) in zip(some, kinds["alone"], strict=True):
        np.testing.assert_allclose(k, own_k[chosen], atol=1e-11)
        np.testing.assert_allclose(v, own_v[chosen], atol=1e-11)


def test_a_prompt_is_held_once_for_its_copies():
    model, _, memory = begun([7], 0)
    with torch.no_grad():
        (layer, *_) = model.network.memory_of(memory, torch.zeros(8, dtype=torch.long))
    assert layer.keys.data_ptr() == memory[0][0].data_ptr()
    assert layer.own_keys.numel() == 0


def test_rows_in_other_numbers_and_those_with_a_gradient_get_memories_of_their_own():
    model, _, memory = begun([3, 5], 0)
    with torch.no_grad():
        for rows in ([0, 0, 1], [0, 1, 0, 1], [1, 1, 0, 0], [0, 1]):
            for k, _ in model.network.memory_of(memory, torch.tensor(rows)):
                assert len(k) == len(rows)
    for k, _ in model.network.memory_of(memory, torch.tensor([0, 0, 1, 1])):
        assert len(k) == 4
