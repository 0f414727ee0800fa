"""Layers worked out again on the way back: the same gradients from less that is kept."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from lm.tiny_models import TEXTS, rows_of, save_tiny, tiny  # noqa: E402  # they need torch
from penchant.errors import ConfigError  # noqa: E402
from penchant.lm.decoder import DecoderConfig  # noqa: E402
from penchant.lm.pretrained import load_pretrained  # noqa: E402
from penchant.lm.recomputing import recomputing  # noqa: E402
from penchant.lm.states import text_states  # noqa: E402

DEEP = DecoderConfig(width=16, layers=6, heads=2, window=48)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    save_tiny(folder, config=DEEP)
    return load_pretrained(str(folder))


def pulled(model):
    """A number of the texts' states, its gradients, and how many numbers were kept for them."""
    # Not the model's own parameters: a second pass by those would give other gradients.
    leaves = {n: (1.5 * v).requires_grad_() for n, v in model.parameters.items()}
    kept = {}

    def keep(value):
        kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        states = text_states(model, leaves, rows_of(TEXTS[:4]))
    own = {v.untyped_storage().data_ptr() for v in leaves.values()}
    size = sum(each for place, each in kept.items() if place not in own)
    loss = (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum()
    loss.backward()
    return float(loss.detach()), {n: v.grad.numpy().copy() for n, v in leaves.items()}, size


def test_gradients_are_the_same_and_far_less_is_kept_for_them(model):
    loss, gradients, size = pulled(model)
    with recomputing(model):
        again, others, less = pulled(model)
    assert again == loss
    for name, gradient in gradients.items():
        np.testing.assert_allclose(others[name], gradient, atol=1e-6, rtol=1e-5)
        assert np.abs(gradient).max() > 0, name
    assert less < size / 4
    # Afterwards the model is what it was.
    assert pulled(model)[2] == size


def test_a_model_without_a_way_is_refused_with_the_mend():
    with (
        pytest.raises(ConfigError, match=r"expected a model of transformers.*load_pretrained"),
        recomputing(tiny()),
    ):
        pass
