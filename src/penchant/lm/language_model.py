"""What a language model is here: a function from tokens to states, its parameters beside it.

Parameters are an argument of everything, never hidden: what is trained, adapted (`low_rank.py`) or
averaged is a mapping from names to tensors, and the same function reads with any of them.

Legend: B rows, T tokens of this call, H numbers of a state, V tokens of the vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int

from penchant.lm.tokens import Tokenizer, Tokens
from penchant.numerics.arrays import Array

Parameters = Mapping[str, Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """What reading gave: the last layer's normed states, and what the next call needs in order not
    to read it all again (None unless it was asked for)."""

    states: Float[Array, "B T H"]
    memory: Any = None


@runtime_checkable
class Network(Protocol):
    """A transformer without its parameters. width: H; window: tokens that it reads at most;
    is_causal: whether no token sees those after it."""

    @property
    def width(self) -> int: ...
    @property
    def window(self) -> int | None: ...
    @property
    def is_causal(self) -> bool: ...

    def read(
        self,
        parameters: Parameters,
        tokens: Tokens,
        memory: Any = None,
        *,
        remembers: bool = False,
    ) -> Read:
        """The states of the tokens. With the memory of a call that remembered, `tokens.ids` go on
        after those read then, and `tokens.is_text` covers both."""
        ...

    def logits(self, parameters: Parameters, states: Float[Array, "*B H"]) -> Float[Array, "*B V"]:
        """What each next token is worth."""
        ...

    def memory_of(self, memory: Any, rows: Int[Array, " N"]) -> Any:
        """The memory of these rows of a call, any of them any number of times; autograd goes
        through. The memory given is no longer of use."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class LanguageModel:
    """A network with parameters and the tokenizer of its texts. name: for messages and cards.
    sampler: a `sample.Sampler` that draws its new tokens elsewhere; None draws here."""

    network: Network
    parameters: Parameters
    tokenizer: Tokenizer
    name: str = "model"
    sampler: Any = None  # its protocol names this class

    def with_parameters(self, parameters: Parameters) -> "LanguageModel":
        """The same model with these in place of its own; those not named stay."""
        if parameters.keys() >= self.parameters.keys():
            # As they are: of those in pieces none is gathered before it is read.
            return replace(self, parameters=parameters)
        return replace(self, parameters={**self.parameters, **parameters})


def moved_to(model: LanguageModel, *, dtype: Any = None, device: Any = None) -> LanguageModel:
    """The same model with its parameters in another precision or on another device."""
    moved = {name: value.to(device=device, dtype=dtype) for name, value in model.parameters.items()}
    return replace(model, parameters=moved)


def num_parameters(parameters: Parameters) -> int:
    """How many numbers there are."""
    return sum(int(value.numel()) for value in parameters.values())


def positions_of(places: Int[Array, "B T"], size: int) -> Int[Array, "B Q"]:
    """The positions of the last `size` tokens: those of this call."""
    return places[:, places.shape[1] - size :]
