"""A small decoder in plain torch: Llama's form, so that its folder is one of transformers.

Legend: B rows, T tokens of this call, U tokens read in all (those remembered too), H numbers of a
state, A heads, C numbers a head, V tokens of the vocabulary.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.copied_memory import CopiedMemory, copied
from penchant.lm.language_model import Parameters, Read, positions_of
from penchant.lm.packing import Packed, attended_apart, masks_after
from penchant.lm.pieces import Pieces
from penchant.lm.soft_prompt import embedded
from penchant.lm.tokens import Tokens, positions
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """num_tokens: size of the vocabulary. width: numbers of a state, `heads` times an even number.
    inner: width of the gated layer, None for 8/3 of the width, rounded to eights. window: tokens
    read at most. turn: base of the rotary angles. Input and output embeddings are one matrix. The
    default has 0.8 million parameters.
    """

    num_tokens: int = 259
    width: int = 128
    layers: int = 4
    heads: int = 4
    inner: int | None = None
    window: int = 512
    turn: float = 10_000.0
    norm_floor: float = 1e-6

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ConfigError(
                f"got width={self.width} with heads={self.heads}; expected an even number of "
                "dimensions for each head, such as 128 for 4."
            )

    @property
    def gate(self) -> int:
        """Width of the gated layer."""
        return self.inner or 8 * round(self.width / 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoder:
    """Pre-norm layers of rotary attention and gated units (Touvron et al. 2023).

    x <- x + O attention(norm(x)); x <- x + D (silu(G norm(x)) * U norm(x)). Norms divide by the
    root mean square (Zhang and Sennrich 2019), places enter by turning queries and keys (Su et al.
    2021). Implements `Network` and `Packs`; parameters have the names that transformers gives
    Llama's.
    """

    config: DecoderConfig

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def window(self) -> int | None:
        return self.config.window

    @property
    def is_causal(self) -> bool:
        return True

    def read(
        self, parameters: Parameters, tokens: Tokens, memory: Any = None, *, remembers: bool = False
    ) -> Read:
        """Raises `ConfigError` for more tokens than the window holds."""
        size = tokens.ids.shape[1]
        place = positions_of(positions(tokens.is_text), size)
        # Padding takes no room: prompts and answers of unlike length stand in wide columns.
        if tokens.is_text.shape[1] > self.config.window:
            self._check_room(int(place.max()) + 1)
        sees = _sees(tokens.is_text, size)
        kept: dict[int, tuple[Array, Array] | CopiedMemory] = {}

        def attended(q: Array, k: Array, v: Array, layer: int) -> Array:
            if memory is not None and isinstance(memory[layer], CopiedMemory):
                now = memory[layer].after(k, v)
                kept[layer] = now
                return now.attended(q, sees)
            if memory is not None:
                k, v = (_after(old, new) for old, new in zip(memory[layer], (k, v)))
            if remembers:
                # By its layer: one that is read again on the way back is not one more.
                kept[layer] = (k, v)
            return _attended(q, k, v, sees)

        states = self._through(parameters, tokens.ids, place, attended)
        return Read(states=states, memory=list(kept.values()) if remembers else None)

    def why_unpacked(self) -> str | None:
        return None

    def read_packed(self, parameters: Parameters, packed: Packed) -> Float[Array, "N H"]:
        """Raises `ConfigError` for a sequence longer than the window."""
        import torch

        self._check_room(int(packed.places.max()) + 1)
        masks = masks_after(packed, packed.ids.device)
        place = torch.from_numpy(packed.places).to(packed.ids.device)

        def attended(q: Array, k: Array, v: Array, layer: int) -> Array:
            return attended_apart(q, k, v, packed, masks)

        return self._through(parameters, packed.ids[None], place[None], attended)[0]

    def _check_room(self, size: int) -> None:
        if size > self.config.window:
            raise ConfigError(
                f"got {size} tokens; expected at most the {self.config.window} of "
                "the window. Cut them (`tokens.cut`), or make a decoder with a larger window."
            )

    def _through(
        self,
        parameters: Parameters,
        ids: Int[Array, "B T"],
        place: Int[Array, "B T"],
        attended: Callable[[Array, Array, Array, int], Array],
    ) -> Float[Array, "B T H"]:
        """All layers; `attended` mixes the values of one by its queries and keys."""
        import torch
        from torch.utils.checkpoint import checkpoint

        config = self.config
        x = embedded(parameters, lambda ids: parameters["embed_tokens.weight"][ids], ids)
        angles = _angles(place, config.width // config.heads, config.turn, x)
        in_pieces = isinstance(parameters, Pieces)
        weight = parameters.passing if isinstance(parameters, Pieces) else parameters.__getitem__

        def layer(x: Array, at: int) -> Array:
            def named(name: str) -> Array:
                return weight(f"layers.{at}.{name}.weight")

            y = _normed(x, named("input_layernorm"), config.norm_floor)
            q, k, v = (
                _by_head(y @ named(f"self_attn.{each}_proj").T, config.heads) for each in "qkv"
            )
            mixed = attended(_turned(q, angles), _turned(k, angles), v, at)
            x = x + mixed.transpose(1, 2).flatten(2) @ named("self_attn.o_proj").T
            y = _normed(x, named("post_attention_layernorm"), config.norm_floor)
            opened = y @ named("mlp.gate_proj").T
            inner = opened * opened.sigmoid() * (y @ named("mlp.up_proj").T)
            return x + inner @ named("mlp.down_proj").T

        for at in range(config.layers):
            if in_pieces and torch.is_grad_enabled():
                # Read again on the way back, so that what was gathered for it is not held.
                x = checkpoint(layer, x, at, use_reentrant=False)
            else:
                x = layer(x, at)
        return _normed(x, parameters["norm.weight"], config.norm_floor)

    def logits(self, parameters: Parameters, states: Float[Array, "*B H"]) -> Float[Array, "*B V"]:
        return states @ parameters["embed_tokens.weight"].T

    def memory_of(self, memory: Any, rows: Int[Array, " N"]) -> Any:
        import torch

        plain = [m.expanded() if isinstance(m, CopiedMemory) else m for m in memory]
        if not torch.is_grad_enabled():
            shared = [copied(k, v, rows) for k, v in plain]
            if None not in shared:
                return shared
        return [(k[rows], v[rows]) for k, v in plain]


def fresh_parameters(config: DecoderConfig, generator: Any) -> dict[str, Array]:
    """Normal weights of standard deviation 0.02, those that write into the sum of layers divided
    by sqrt(2 layers) (Radford et al. 2019); norms of one. `generator`: torch's."""
    import torch

    def drawn(*shape: int, scale: float = 0.02) -> Array:
        return scale * torch.randn(*shape, generator=generator)

    width, gate, small = config.width, config.gate, 0.02 / math.sqrt(2 * config.layers)
    made = {"embed_tokens.weight": drawn(config.num_tokens, width)}
    for layer in range(config.layers):
        here = f"layers.{layer}"
        for each in "qkv":
            made[f"{here}.self_attn.{each}_proj.weight"] = drawn(width, width)
        made[f"{here}.self_attn.o_proj.weight"] = drawn(width, width, scale=small)
        made[f"{here}.mlp.gate_proj.weight"] = drawn(gate, width)
        made[f"{here}.mlp.up_proj.weight"] = drawn(gate, width)
        made[f"{here}.mlp.down_proj.weight"] = drawn(width, gate, scale=small)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            made[f"{here}.{norm}.weight"] = torch.ones(width)
    return {**made, "norm.weight": torch.ones(width)}


def _normed(x: Float[Array, "*B H"], weight: Float[Array, " H"], floor: float) -> Array:
    return weight * (x * (x.square().mean(dim=-1, keepdim=True) + floor).rsqrt())


def _by_head(x: Float[Array, "B T H"], heads: int) -> Float[Array, "B A T C"]:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _angles(place: Int[Array, "B T"], size: int, turn: float, like: Array) -> tuple[Array, Array]:
    """Cosine and sine of each place's angles, one for each pair of dimensions."""
    import torch

    # In at least single precision: a half knows whole numbers up to 2,048 only.
    kind = torch.promote_types(torch.float32, like.dtype)
    speed = turn ** (-torch.arange(0, size, 2, dtype=kind, device=like.device) / size)
    angle = place[:, None, :, None].to(kind) * speed
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def _turned(x: Float[Array, "B A T C"], angles: tuple[Array, Array]) -> Float[Array, "B A T C"]:
    """Dimension i and i + C/2 are one pair, turned by its angle."""
    import torch

    (cosine, sine), (left, right) = angles, x.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], dim=-1)


def _after(old: Float[Array, "B A _ C"], new: Float[Array, "B A _ C"]) -> Float[Array, "B A _ C"]:
    import torch

    return torch.cat([old, new], dim=2)


def _sees(is_text: Bool[Array, "B U"], size: int) -> Bool[Array, "B 1 T U"]:
    """Which tokens each one of this call looks at: real ones up to itself. Padding looks at itself
    alone, so that its state is a number that nobody reads and not 0 / 0."""
    import torch

    total = is_text.shape[1]
    place = torch.arange(total, device=is_text.device)
    mine = place[total - size :, None]
    sees = (place <= mine) & is_text[:, None, :] & is_text[:, total - size :, None]
    return (sees | (place == mine))[:, None]


def _attended(
    q: Float[Array, "B A T C"],
    k: Float[Array, "B A U C"],
    v: Float[Array, "B A U C"],
    sees: Bool[Array, "B 1 T U"],
) -> Float[Array, "B A T C"]:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=sees)
