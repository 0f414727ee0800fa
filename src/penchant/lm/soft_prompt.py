"""Soft prompts: a few places of a text whose embeddings are learnt and stand for no token.

Lester, Al-Rfou and Constant (2021). Tokens below 0 are such places: -1 is the first row of the
parameter `soft_prompt`, -2 the second; people may have rows of their own.

Legend: B rows, T tokens, K places, H numbers of an embedding.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.lm.language_model import LanguageModel, Parameters
from penchant.numerics.arrays import Array

SOFT = "soft_prompt"


def soft_ids(number: int, size: int) -> list[int]:
    """The places of prompt `number` (from 0 on) of `size` places each."""
    return [-(1 + number * size + place) for place in range(size)]


def after_first(ids: Sequence[int], soft: Sequence[int]) -> list[int]:
    """A row with a soft prompt after its first token: models look at that one in a way of their
    own."""
    return [*ids[:1], *soft, *ids[1:]]


def with_soft_prompt(model: LanguageModel, prompt: Float[Array, "K H"]) -> LanguageModel:
    """The model with the embeddings of the places; rows name them by `soft_ids`."""
    return model.with_parameters({SOFT: prompt})


def save_soft_prompts(model: LanguageModel, file: Path) -> None:
    """The places as the array `soft_prompt` of a safetensors file, beside the model's folder.

    Raises `ConfigError` for a model without any.
    """
    from safetensors.torch import save_file

    if SOFT not in model.parameters:
        raise ConfigError(
            "got a model without a soft prompt; expected one that `fit_personal` learnt."
        )
    save_file({SOFT: model.parameters[SOFT].detach().cpu().contiguous()}, file)


def load_soft_prompts(model: LanguageModel, file: Path) -> LanguageModel:
    """The model with the places of such a file. Raises `DataError` where it has none for it."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        found = load(file.read_bytes())[SOFT]
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise DataError(
            f"{file} holds no soft prompt ({type(error).__name__}: {error}); expected a file of "
            "`save_soft_prompts`. Write it again."
        ) from error
    if found.shape[1] != model.network.width:
        raise DataError(
            f"{file} has embeddings of {found.shape[1]} numbers; expected the model's "
            f"{model.network.width}. Take the model that they were learnt with."
        )
    like = next(iter(model.parameters.values()))
    return with_soft_prompt(model, found.to(like))


def embedded(
    parameters: Parameters, found: Callable[[Int[Array, "B T"]], Array], ids: Int[Array, "B T"]
) -> Float[Array, "B T H"]:
    """The embeddings of tokens (`found` gives them), and of places of the soft prompt."""
    import torch

    if SOFT not in parameters:
        return found(ids)
    soft = parameters[SOFT]
    place = (-1 - ids).clamp(min=0, max=len(soft) - 1)
    return torch.where((ids < 0)[..., None], soft[place], found(ids.clamp(min=0)))
