"""Low-rank adapters: a large matrix learns by the product of two thin ones.

Legend: O outputs, I inputs of a matrix, R the rank.
"""

import re
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel, Parameters
from penchant.numerics.arrays import Array

# The matrices of attention and of the gated layer, under the names of the usual families.
USUAL = (
    r"\.([qkvo]|gate|up|down)_proj\.weight$|\.(c_attn|c_proj|c_fc)\.weight$"
    r"|\.(query|key|value|dense|[qkv]_lin|out_lin|query_key_value)\.weight$"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LowRankConfig:
    """rank: of each change. scale: what the product is multiplied by (alpha / rank in the paper).
    targets: a regular expression that the ends of the names of adapted matrices match."""

    rank: int = 8
    scale: float = 2.0
    targets: str = USUAL


def fresh_low_rank(
    parameters: Parameters, config: LowRankConfig, generator: Any
) -> dict[str, Array]:
    """Thin matrices `<name>.down` [R, I] and `<name>.up` [O, R] for each adapted one.

    Hu et al. (2022, LoRA): down is normal of variance 1 / I, up is zero, so that nothing changes
    before the first step. Raises `ConfigError` where no matrix has such a name.
    """
    import torch

    made: dict[str, Array] = {}
    for name in adapted(parameters, config):
        rows, columns = parameters[name].shape
        like = parameters[name]
        down = torch.randn(config.rank, columns, generator=generator) / columns**0.5
        made[f"{name}.down"] = down.to(like)
        made[f"{name}.up"] = like.new_zeros(rows, config.rank)
    return made


def adapted(parameters: Parameters, config: LowRankConfig) -> tuple[str, ...]:
    """The names of the matrices that get an adapter."""
    wanted = re.compile(config.targets)
    found = tuple(n for n, v in parameters.items() if v.ndim == 2 and wanted.search(n))
    if not found:
        raise ConfigError(
            f"no matrix of the model has a name that matches {config.targets!r}; it has "
            f"{', '.join(list(parameters)[:4])}, ... Set `targets` to a part of such names."
        )
    return found


def merged(base: Parameters, thin: Parameters, scale: float) -> dict[str, Array]:
    """W + scale * up down for each adapted matrix, the others as they are; autograd goes through
    to the thin ones. One base may carry any number of adapters."""
    whole: dict[str, Array] = dict(base)
    for name in thin:
        if name.endswith(".down"):
            of = name.removesuffix(".down")
            whole[of] = _changed(base[of], thin[f"{of}.up"], thin[name], scale)
    return whole


def adapted_model(
    model: LanguageModel, parameters: Parameters, config: LowRankConfig | None
) -> LanguageModel:
    """The model with these numbers: all of it, or (with `config`) thin matrices beside it."""
    if config is None:
        return model.with_parameters(parameters)
    return model.with_parameters(merged(model.parameters, parameters, config.scale))


def _changed(
    weight: Float[Array, "O I"], up: Float[Array, "O R"], down: Float[Array, "R I"], scale: float
) -> Float[Array, "O I"]:
    return weight + scale * (up @ down)
