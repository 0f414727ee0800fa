"""Texts from a model: token by token, each with the log-probability it was truly drawn with.

Legend: B rows, N new tokens, V tokens of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.precision import at_least_single
from penchant.lm.tokens import Tokens, padded
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleConfig:
    """most_tokens: new tokens at most. temperature: 0 takes the likeliest token. top_k: of the
    likeliest so many, None of all; top_p: of the fewest likeliest that together have this share."""

    most_tokens: int = 64
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        is_warm = 0.0 <= self.temperature < float("inf")
        if not is_warm or not 0 < self.top_p <= 1 or (self.top_k or 1) < 1:
            raise ConfigError(
                f"got temperature={self.temperature}, top_k={self.top_k}, top_p={self.top_p}; "
                "expected zero or more, one or more (or None), and a share above 0 up to 1."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sampled:
    """New tokens of each row. log_prob: of each under the distribution that it was drawn from
    (temperature, top_k and top_p counted in; 0 where the likeliest is taken); entropy: of that
    distribution, in nats (NaN where nobody says); is_text: up to and with the end token; has_ended:
    whether there was one. version: of the weights that drew it, None where the caller knows."""

    ids: Int[Array, "B N"]
    log_prob: Float[Array, "B N"]
    entropy: Float[Array, "B N"]
    is_text: Bool[Array, "B N"]
    has_ended: Bool[Array, " B"]
    version: Int[Array, " B"] | None = None


@runtime_checkable
class Sampler(Protocol):
    """What draws a model's new tokens elsewhere. follows: whether from the model as it is now."""

    @property
    def follows(self) -> bool: ...

    def __call__(
        self,
        model: LanguageModel,
        prompts: Sequence[Sequence[int]],
        config: SampleConfig,
        generator: Any,
        copies: int | Sequence[int],
    ) -> Sampled: ...


def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    config: SampleConfig,
    generator: Any,
    *,
    copies: int | Sequence[int] = 1,
) -> Sampled:
    """Continue each row of tokens until its end token, `copies` times each (or each so many times),
    one's copies side by side; `generator` is torch's.

    What was read is remembered, so that each new token costs one step and a prompt is read once for
    all of its copies. A model with a `sampler` draws there.
    """
    import torch

    if model.sampler is not None:
        elsewhere: Sampler = model.sampler
        return elsewhere(model, prompts, config, generator, copies)
    network, end = model.network, model.tokenizer.end
    tokens = padded(prompts, model.tokenizer.pad, side="left")
    device = next(iter(model.parameters.values())).device
    ids, is_text = tokens.ids.to(device), tokens.is_text.to(device)
    often = torch.as_tensor(copies, device=device).expand(len(ids))
    copied = torch.arange(len(ids), device=device).repeat_interleave(often)
    open_rows = torch.ones(len(copied), dtype=torch.bool, device=device)
    memory, drawn, said, doubt, real = None, [], [], [], []
    with torch.no_grad():
        for turn in range(config.most_tokens):
            read = network.read(
                model.parameters, Tokens(ids=ids, is_text=is_text), memory, remembers=True
            )
            memory, states = read.memory, read.states[:, -1]
            if turn == 0 and len(copied) > len(ids):
                memory, states = network.memory_of(memory, copied), states[copied]
                is_text = is_text[copied]
            logits = at_least_single(network.logits(model.parameters, states))
            log_p = sampling_log_probs(logits, config)
            share = log_p.exp()
            chance = torch.rand(len(share), generator=generator, device=device, dtype=torch.float64)
            new = drawn_by(share, chance)
            doubt.append(-(share * log_p.nan_to_num(neginf=0.0)).sum(dim=1) * open_rows)
            real.append(open_rows)
            drawn.append(torch.where(open_rows, new, model.tokenizer.pad))
            said.append(torch.where(open_rows, log_p.gather(-1, new[:, None])[:, 0], 0.0))
            if end is not None:
                open_rows = open_rows & (new != end)
            if not open_rows.any():
                break
            # A row that has ended goes on with padding, which nobody sees.
            ids = drawn[-1][:, None]
            is_text = torch.cat([is_text, open_rows[:, None]], dim=1)
    return Sampled(
        ids=torch.stack(drawn, dim=1), log_prob=torch.stack(said, dim=1),
        entropy=torch.stack(doubt, dim=1), is_text=torch.stack(real, dim=1), has_ended=~open_rows,
    )  # fmt: skip


def drawn_by(share: Float[Array, "B V"], chance: Float[Array, " B"]) -> Int[Array, " B"]:
    """The token of each row at which the cumulated shares pass `chance`, uniform in [0, 1).

    One number a row in place of one for every token of the vocabulary. Raises `DataError` for
    shares that are no numbers.
    """
    import torch

    # In single precision the sums would pass over tokens rarer than 6e-8.
    total = share.cumsum(dim=-1, dtype=torch.float64)
    if not bool(torch.isfinite(total[:, -1]).all()):
        raise DataError(
            "the model gives no probabilities but NaN or infinity; expected finite logits. Its "
            "weights are broken, or a training went too far: go back to earlier ones, or lower the "
            "learning rate."
        )
    # Below the last sum even after rounding; tokens of share 0, which end where they begin, are
    # passed over.
    return torch.searchsorted(total, chance[:, None] * total[:, -1:], right=True)[:, 0]


def sampling_log_probs(logits: Float[Array, "B V"], config: SampleConfig) -> Float[Array, "B V"]:
    """The distribution that tokens are drawn from: heated, then cut to the likeliest, then made to
    sum to one (nucleus sampling: Holtzman et al. 2020)."""
    import torch

    if config.temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits, -torch.inf).scatter(-1, best, 0.0)
    log_p = (logits / config.temperature).log_softmax(dim=-1)
    if config.top_k is None and config.top_p == 1:
        return log_p
    ordered, place = log_p.sort(dim=-1, descending=True)
    # The likeliest always stays: what stands before it sums to nothing.
    before = ordered.exp().cumsum(dim=-1) - ordered.exp()
    kept = before < config.top_p
    if config.top_k is not None:
        kept[:, config.top_k :] = False
    kept = torch.zeros_like(kept).scatter(-1, place, kept)
    return log_p.masked_fill(~kept, -torch.inf).log_softmax(dim=-1)
