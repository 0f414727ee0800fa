"""What a model says of texts: the log-probability of each token after those before it.

Legend: B rows, T tokens, T1 = T - 1, H numbers of a state, V tokens of the vocabulary, N tokens of
all rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from penchant.lm.language_model import LanguageModel, Network, Parameters
from penchant.lm.precision import at_least_single
from penchant.lm.tokens import Tokens
from penchant.numerics.arrays import Array

# Tokens whose logits over the whole vocabulary are held at a time.
_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class Told:
    """log_prob: of token t + 1 after the first t + 1, zero where it is padding; entropy: of what
    could have stood there, in nats; is_text: whether a real token follows a real one."""

    log_prob: Float[Array, "B T1"]
    entropy: Float[Array, "B T1"]
    is_text: Bool[Array, "B T1"]


def log_probs(
    model: LanguageModel,
    tokens: Tokens,
    *,
    temperature: float = 1.0,
    at_once: int = _AT_ONCE,
) -> Told:
    """log p(token | those before it) with logits divided by the temperature; autograd goes through.

    Logits over the vocabulary are made for so many tokens at once and, on the way back, made again:
    they are never all held. Padding changes nothing.
    """
    states = model.network.read(model.parameters, tokens).states
    # Places of a soft prompt are no tokens: nothing foretells them.
    is_text = tokens.is_text[:, 1:] & tokens.is_text[:, :-1] & (tokens.ids[:, 1:] >= 0)
    found, entropy = selected(
        model.network, model.parameters, states[:, :-1][is_text], tokens.ids[:, 1:][is_text],
        temperature=temperature, at_once=at_once,
    )  # fmt: skip
    blank = found.new_zeros(is_text.shape)
    return Told(
        log_prob=blank.masked_scatter(is_text, found),
        entropy=blank.masked_scatter(is_text, entropy),
        is_text=is_text,
    )


def selected(
    network: Network,
    parameters: Parameters,
    states: Float[Array, "N H"],
    ids: Int[Array, " N"],
    *,
    temperature: float = 1.0,
    at_once: int = _AT_ONCE,
    has_entropy: bool = True,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """The log-probability of one token at each state, and the entropy there (zeros unless
    `has_entropy`: it costs as much again)."""
    import torch
    from torch.utils.checkpoint import checkpoint

    def told(states: Array, ids: Array) -> tuple[Array, Array]:
        logits = at_least_single(network.logits(parameters, states))
        logits = logits if temperature == 1.0 else logits / temperature
        if not has_entropy:
            lost = torch.nn.functional.cross_entropy(logits, ids, reduction="none")
            return -lost, torch.zeros_like(lost)
        log_p = logits.log_softmax(dim=-1)
        entropy = -(log_p.exp() * log_p).sum(dim=-1)
        return log_p.gather(-1, ids[:, None])[:, 0], entropy

    kept: Callable = told
    if torch.is_grad_enabled() and len(states) > at_once:
        kept = lambda *parts: checkpoint(told, *parts, use_reentrant=False)  # noqa: E731
    parts = [kept(s, i) for s, i in zip(states.split(at_once), ids.split(at_once))]
    if not parts:
        nothing = at_least_single(states.new_zeros(0))
        return nothing, nothing
    first, second = zip(*parts)
    return torch.cat(first), torch.cat(second)
