"""What of a policy is trained: all of it or thin adapters, and a value beside it where asked for.

Legend: N tokens, H numbers of a state.
"""

from typing import Any

from jaxtyping import Float

from penchant.lm.language_model import LanguageModel, Parameters
from penchant.lm.low_rank import LowRankConfig, adapted_model, fresh_low_rank
from penchant.numerics.arrays import Array

_WEIGHT, _BIAS = "value.weight", "value.bias"


def fresh_trained(
    model: LanguageModel, low_rank: LowRankConfig | None, has_value: bool, generator: Any
) -> dict[str, Array]:
    """The numbers that training changes; a value starts at 0 everywhere."""
    if low_rank is None:
        found = dict(model.parameters)
    else:
        found = fresh_low_rank(model.parameters, low_rank, generator)
    if has_value:
        like = next(iter(model.parameters.values()))
        found |= {_WEIGHT: like.new_zeros(model.network.width), _BIAS: like.new_zeros(1)}
    return found


def policy_of(
    model: LanguageModel, parameters: Parameters, low_rank: LowRankConfig | None
) -> LanguageModel:
    """The policy that these numbers make of the model as given; autograd goes through."""
    if _WEIGHT in parameters:
        parameters = {n: v for n, v in parameters.items() if n not in (_WEIGHT, _BIAS)}
    return adapted_model(model, parameters, low_rank)


def value_of(parameters: Parameters, states: Float[Array, "N H"]) -> Float[Array, " N"]:
    """What is expected from a state on: linear in it."""
    return states @ parameters[_WEIGHT] + parameters[_BIAS]
