"""Less memory for the way back: what happened inside a layer is worked out again when it is needed.

Gradient checkpointing (Chen et al. 2016): of every layer the input alone is kept, one further pass
forward is paid for it. Here for models of transformers, whose parameters are those they are called
with: the second pass has to see the same ones.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.lm.pretrained import PretrainedNetwork


@contextmanager
def recomputing(model: LanguageModel) -> Iterator[None]:
    """While it lasts, reading the model with autograd keeps the layers' inputs alone. States and
    gradients stay what they are.

    Raises `ConfigError` for a model that is not one of transformers, or has no list of layers.
    """
    network = model.network
    if not isinstance(network, PretrainedNetwork):
        raise ConfigError(
            f"layers of {model.name!r} ({type(network).__name__}) are not worked out again; "
            "expected a model of transformers. A folder that penchant wrote is one: read it with "
            "`penchant.lm.pretrained.load_pretrained`."
        )
    with ExitStack() as stack:
        for layer in _layers(network.body, model.name):
            stack.enter_context(_recomputed(layer))
        yield


def _layers(body: Any, name: str) -> list[Any]:
    """The longest list of modules, and of several as long the first."""
    from torch.nn import ModuleList

    lists = [list(each) for each in body.modules() if isinstance(each, ModuleList)]
    if not lists:
        raise ConfigError(
            f"{name!r} keeps its layers in no list (`torch.nn.ModuleList`), so that none can be "
            "worked out again; expected a transformer of the usual form. Leave `recomputes` out, "
            "and take fewer examples at once."
        )
    return max(lists, key=len)


@contextmanager
def _recomputed(layer: Any) -> Iterator[None]:
    import torch
    from torch.func import functional_call
    from torch.nn import Module
    from torch.utils.checkpoint import checkpoint

    forward = layer.forward

    class Held(Module):
        """The layer under its own forward, whose parameters can be handed to it."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, *given: Any, **named: Any) -> Any:
            return forward(*given, **named)

    held = Held()

    def again(*given: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*given, **named)
        # Those of this very call, which are gone from the module when the way back begins.
        parameters = {f"layer.{name}": value for name, value in layer.named_parameters()}

        def run(*inputs: Any) -> Any:
            return functional_call(held, parameters, inputs, named)

        return checkpoint(run, *given, use_reentrant=False)

    layer.forward = again
    try:
        yield
    finally:
        del layer.forward
