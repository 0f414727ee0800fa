"""In which precision products are taken: the model's own, or bfloat16 with the rest left as it is.

Half as many bits a number, as many for its size (Kalamkar et al. 2019): matrix products and
attention in bfloat16; parameters, their gradients, the sum of layers, norms, probabilities and
Adam's memory in the model's own precision.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel, moved_to
from penchant.numerics.arrays import Array

Precision = Literal["full", "bfloat16"]


def check_precision(precision: str) -> None:
    """Raises `ConfigError` for one that there is not."""
    if precision not in get_args(Precision):
        raise ConfigError(
            f"got precision={precision!r}; expected {' or '.join(get_args(Precision))}."
        )


def in_precision(precision: Precision, device: Any) -> AbstractContextManager[Any]:
    """Within it products are taken so (PyTorch's autocast), on the way back too."""
    if precision == "full":
        return nullcontext()
    import torch

    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def for_drawing(model: LanguageModel, precision: Precision) -> LanguageModel:
    """The model as texts are drawn from it: all of it in bfloat16, since autocast would make the
    parameters small anew for every token. One that draws elsewhere stays as it is."""
    if precision == "full" or model.sampler is not None:
        return model
    import torch

    return moved_to(model, dtype=torch.bfloat16)


def at_least_single(x: Array) -> Array:
    """Probabilities of a large vocabulary are not summed in half precision."""
    import torch

    return x.to(torch.promote_types(x.dtype, torch.float32))
