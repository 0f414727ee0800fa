"""Products in bfloat16: near what they are in full, and nothing else becomes small."""

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.fitting.language_learner import LearnerConfig
from penchant.fitting.sgd import TrainConfig
from penchant.lm.sample import SampleConfig, sample
from penchant.policies.language.layout import read_drawn
from penchant.policies.language.rollouts import draw_rollouts

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.lm.precision import check_precision, for_drawing, in_precision  # noqa: E402
from policies.language.test_direct import pairs_of  # noqa: E402


def rollouts_of(model):
    generator = torch.Generator().manual_seed(0)
    return draw_rollouts(model, ["abc", "d"], 2, SampleConfig(most_tokens=6), generator)


@pytest.mark.parametrize("layout", ["padded", "shared", "packed"])
def test_what_is_said_in_bfloat16_is_what_is_said_in_full_to_its_rounding(layout):
    model = tiny(dtype=torch.float32)
    rollouts, found = rollouts_of(model), []
    for precision in ("full", "bfloat16"):
        leaves = {n: v.clone().requires_grad_() for n, v in model.parameters.items()}
        with in_precision(precision, "cpu"):
            read = read_drawn(model.with_parameters(leaves), rollouts, layout=layout)
        read.log_prob.sum().backward()
        # Probabilities, states and gradients stay in the parameters' own precision.
        assert read.log_prob.dtype == read.states.dtype == torch.float32
        slopes = torch.cat([leaf.grad.reshape(-1) for leaf in leaves.values()])
        assert slopes.dtype == torch.float32
        found.append((read.log_prob.detach(), slopes))
    (full, slopes), (half, other) = found
    assert 0.0 < (full - half).abs().max() < 0.1 * full.abs().max()
    assert torch.nn.functional.cosine_similarity(slopes, other, dim=0) > 0.98


def test_what_is_drawn_in_bfloat16_has_probabilities_in_single_precision():
    model = for_drawing(tiny(dtype=torch.float32), "bfloat16")
    assert {v.dtype for v in model.parameters.values()} == {torch.bfloat16}
    drawn = sample(
        model, [[1, 70]] * 3, SampleConfig(most_tokens=5), torch.Generator().manual_seed(0)
    )
    assert drawn.log_prob.dtype == drawn.entropy.dtype == torch.float32
    whole = tiny(dtype=torch.float32)
    assert for_drawing(whole, "full") is whole


def test_a_precision_that_there_is_not_is_refused():
    with pytest.raises(ConfigError, match="full or bfloat16"):
        check_precision("fp16")


def test_a_training_in_bfloat16_learns_what_one_in_full_learns():
    from penchant.policies.language.direct import DirectConfig, fit_direct

    base = tiny(dtype=torch.float32)
    pairs = pairs_of([("a", "b")] * 4, np.arange(4))
    training = TrainConfig(batch_size=4, max_epochs=6, learning_rate=0.02, patience=None)
    found = []
    for precision in ("full", "bfloat16"):
        config = DirectConfig(strength=0.5, learner=LearnerConfig(precision=precision))
        fit = fit_direct(base, pairs, training, config)
        assert {v.dtype for v in fit.policies[0].parameters.values()} == {torch.float32}
        found.append(fit.training.looks[-1].train)
    full, half = found
    assert full != half
    assert half == pytest.approx(full, abs=0.05)
    assert half > np.log(0.5) + 0.2
