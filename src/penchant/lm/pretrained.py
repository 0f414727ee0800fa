"""Models of transformers (the extra `lm`) as networks with their parameters beside them.

Legend: B rows, N rows of a choice, T tokens, H numbers of a state, V tokens of the vocabulary.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int

from penchant.errors import ConfigError, MissingExtraError
from penchant.lm.language_model import LanguageModel, Parameters, Read, positions_of
from penchant.lm.packing import Packed, in_rows
from penchant.lm.soft_prompt import SOFT, embedded
from penchant.lm.tokens import Tokens, positions
from penchant.numerics.arrays import Array

# Parameters of the layer from states to logits, where it has its own.
_HEAD = "output_layer."
# Beyond it a tokenizer has no limit of its own and says so with a huge number.
_ENDLESS = 10**9


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainedNetwork:
    """A module of transformers whose parameters are those that it is called with. Implements
    `Network` and `Packs`. head: from states to logits, None where there is none; tied: of the
    head's parameters, those of the body that they are the same as."""

    body: Any
    width: int
    window: int | None
    is_causal: bool
    takes_positions: bool
    head: Any = None
    tied: Mapping[str, str]

    def read(
        self, parameters: Parameters, tokens: Tokens, memory: Any = None, *, remembers: bool = False
    ) -> Read:
        """Raises `ConfigError` for padding on the left of a model that counts places itself."""
        from torch.func import functional_call

        size = tokens.ids.shape[1]
        given = self._given(parameters, tokens.ids) | {"attention_mask": tokens.is_text.long()}
        if self.is_causal:
            given |= {"past_key_values": memory, "use_cache": remembers}
        if self.takes_positions:
            given["position_ids"] = positions_of(positions(tokens.is_text), size)
        elif not bool(tokens.is_text[:, 0].all()):
            raise ConfigError(
                "got rows padded on the left; this model counts places from the first column on "
                "and would misplace them. Expected padding on the right: padded(..., 'right')."
            )
        said = functional_call(self.body, _of_body(parameters), kwargs=given)
        memory = said.past_key_values if remembers and self.is_causal else None
        return Read(states=said.last_hidden_state, memory=memory)

    def _given(self, parameters: Parameters, ids: Int[Array, "B T"]) -> dict[str, Any]:
        if SOFT in parameters:
            return {"inputs_embeds": self._embedded(parameters, ids), "return_dict": True}
        return {"input_ids": ids, "return_dict": True}

    def _embedded(self, parameters: Parameters, ids: Int[Array, "B T"]) -> Float[Array, "B T H"]:
        """Through the model's own layer, which may scale what it looks up."""
        from torch.func import functional_call

        layer = self.body.get_input_embeddings()
        name = next(n for n, v in self.body.named_parameters() if v is layer.weight)
        own = {"weight": parameters[name]}
        return embedded(parameters, lambda ids: functional_call(layer, own, (ids,)), ids)

    def read_packed(self, parameters: Parameters, packed: Packed) -> Float[Array, "N H"]:
        """Rows of several segments each, kept apart by a mask and by places of their own.

        Raises `ConfigError` for a model that takes no places, no mask of its own for every pair of
        tokens, or sees a part of what it reads only.
        """
        import torch
        from torch.func import functional_call

        if (why := self.why_unpacked()) is not None:
            raise ConfigError(
                f"the model cannot read several sequences in one row: {why}. Expected a causal "
                "model that takes places and a mask for every pair of tokens, such as Llama's "
                'with attn_implementation="sdpa"; or read each for itself: layout="padded".'
            )
        rows, device = in_rows(packed), packed.ids.device
        row, column = (torch.from_numpy(each).to(device) for each in (rows.row, rows.column))
        shape = rows.sees.shape[:2]
        ids, place = (torch.zeros(shape, dtype=torch.long, device=device) for _ in range(2))
        ids[row, column] = packed.ids
        place[row, column] = torch.from_numpy(packed.places).to(device)
        mask = torch.from_numpy(rows.sees)[:, None].to(device)
        if self.body.config._attn_implementation != "sdpa":
            kind = next(iter(parameters.values())).dtype
            mask = torch.zeros(mask.shape, dtype=kind, device=device).masked_fill(
                ~mask, torch.finfo(kind).min
            )
        given = self._given(parameters, ids) | {
            "attention_mask": mask, "position_ids": place, "use_cache": False
        }  # fmt: skip
        said = functional_call(self.body, _of_body(parameters), kwargs=given)
        return said.last_hidden_state[row, column]

    def why_unpacked(self) -> str | None:
        config = self.body.config
        if not self.takes_positions:
            return "it counts places itself, or is not causal"
        if config._attn_implementation not in ("sdpa", "eager"):
            return f"its attention {config._attn_implementation!r} takes no mask"
        kinds = set(getattr(config, "layer_types", None) or ("full_attention",))
        if kinds != {"full_attention"} or getattr(config, "sliding_window", None) is not None:
            return "its attention slides over a part of what was read"
        return None

    def logits(self, parameters: Parameters, states: Float[Array, "*B H"]) -> Float[Array, "*B V"]:
        """Raises `ConfigError` for a model that foretells no tokens."""
        from torch.func import functional_call

        if self.head is None:
            raise ConfigError(
                "the model has no layer that foretells tokens (it is an encoder, or a classifier); "
                "expected a causal model. Its states can be read all the same."
            )
        mine = {n: parameters[self.name_of_head(n)] for n, _ in self.head.named_parameters()}
        return functional_call(self.head, mine, (states,))

    def memory_of(self, memory: Any, rows: Int[Array, " N"]) -> Any:
        memory.reorder_cache(rows)
        return memory

    def name_of_head(self, name: str) -> str:
        """What a parameter of the output layer is called among all: its own, or the body's."""
        return self.tied.get(name, _HEAD + name)


@dataclass(frozen=True, kw_only=True, eq=False)
class PretrainedTokenizer:
    """A tokenizer of transformers. Implements `tokens.Tokenizer`."""

    inner: Any

    @property
    def pad(self) -> int:
        found = (self.inner.pad_token_id, self.inner.eos_token_id)
        return next((int(each) for each in found if each is not None), 0)

    @property
    def begin(self) -> int | None:
        found = (self.inner.bos_token_id, getattr(self.inner, "cls_token_id", None))
        return next((int(each) for each in found if each is not None), None)

    @property
    def end(self) -> int | None:
        found = (self.inner.eos_token_id, getattr(self.inner, "sep_token_id", None))
        return next((int(each) for each in found if each is not None), None)

    @property
    def chat_ids(self) -> Any:
        """From messages to tokens by the tokenizer's own template, with `opens_answer` up to where
        the next answer begins; None where it has none."""
        if not getattr(self.inner, "chat_template", None):
            return None
        return lambda messages, opens_answer=False: self.inner.apply_chat_template(
            messages, add_generation_prompt=opens_answer, return_dict=False
        )

    def encode(self, text: str) -> list[int]:
        return list(self.inner.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.inner.decode(ids, skip_special_tokens=True))


def load_pretrained(name: str) -> LanguageModel:
    """A model of transformers that is on this machine, by folder or name; nothing is downloaded.

    Causal models, encoders and classifiers (whose body is read). In single precision, without
    dropout. Raises `MissingExtraError` without transformers, `ConfigError` where there is no such
    model, or its logits are not its output layer's alone.
    """
    auto = _transformers()
    from safetensors import SafetensorError

    try:
        config = auto.AutoConfig.from_pretrained(name, local_files_only=True)
        is_writer = any(
            each.endswith(("ForCausalLM", "LMHeadModel")) for each in config.architectures or ()
        )
        kind = auto.AutoModelForCausalLM if is_writer else auto.AutoModel
        model = quietly(lambda: kind.from_pretrained(name, local_files_only=True)).float().eval()
        tokenizer = auto.AutoTokenizer.from_pretrained(name, local_files_only=True)
    except SafetensorError as error:
        raise ConfigError(
            f"the weights of {name!r} cannot be read ({error}); expected whole files of "
            "safetensors. Copy or write the folder again."
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"there is no language model {name!r} on this machine ({error}); expected a folder in "
            "transformers' form, or the name of a model fetched before (nothing is downloaded "
            "here)."
        ) from error
    return from_module(model, PretrainedTokenizer(inner=tokenizer), name)


def from_module(model: Any, tokenizer: Any, name: str = "model") -> LanguageModel:
    """A loaded module of transformers and a tokenizer, as a model. The module is left in evaluation
    mode: with dropout it would say something else each time it is asked."""
    model.eval()
    body, head = model.base_model, model.get_output_embeddings()
    parameters = {name: value.detach() for name, value in body.named_parameters()}
    tied: dict[str, str] = {}
    if head is not None:
        of_body = {id(value): name for name, value in body.named_parameters()}
        for own, value in head.named_parameters():
            if id(value) in of_body:
                tied[own] = of_body[id(value)]
            else:
                parameters[_HEAD + own] = value.detach()
    network = PretrainedNetwork(
        body=body, head=head, tied=tied, width=int(model.config.hidden_size),
        window=_window(model.config, tokenizer), is_causal=_is_causal(body),
        takes_positions="position_ids" in inspect.signature(body.forward).parameters
        and _is_causal(body),
    )  # fmt: skip
    made = LanguageModel(network=network, parameters=parameters, tokenizer=tokenizer, name=name)
    if head is not None:
        _check_logits(model, made)
    return made


def _of_body(parameters: Parameters) -> dict[str, Array]:
    return {n: v for n, v in parameters.items() if not n.startswith(_HEAD) and n != SOFT}


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            "reading this language model needs the package transformers, which is not installed. "
            "Install the extra: pip install 'penchant[lm]'."
        ) from error
    return transformers


def quietly(load: Any) -> Any:
    """Without a bar, which would stand among the lines of whoever reads standard error."""
    from transformers.utils import logging

    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        return load()
    finally:
        if had_bars:
            logging.enable_progress_bar()


def _window(config: Any, tokenizer: Any) -> int | None:
    said = (
        getattr(config, "max_position_embeddings", None),
        getattr(getattr(tokenizer, "inner", None), "model_max_length", None),
    )
    known = [int(each) for each in said if each is not None and each < _ENDLESS]
    return min(known) if known else None


def _is_causal(body: Any) -> bool:
    """Asked of the model itself: does the first state change with the last token?"""
    import torch

    ids = torch.tensor([[3, 4, 5, 6], [3, 4, 5, 7]]) % int(body.config.vocab_size)
    with torch.no_grad():
        first, second = body(input_ids=ids, return_dict=True).last_hidden_state[:, 0]
    return bool(torch.allclose(first, second, atol=1e-6))


def _check_logits(model: Any, made: LanguageModel) -> None:
    """Some models cap or scale their logits after the output layer: those are not read here."""
    import torch

    ids = torch.tensor([[1, 2, 3]]) % int(model.config.vocab_size)
    tokens = Tokens(ids=ids, is_text=torch.ones_like(ids, dtype=torch.bool))
    with torch.no_grad():
        theirs = model(input_ids=ids).logits
        states = made.network.read(made.parameters, tokens).states
        ours = made.network.logits(made.parameters, states)
    if not torch.allclose(theirs, ours, atol=1e-4, rtol=1e-4):
        raise ConfigError(
            f"the logits of {made.name!r} are not its output layer's alone (off by up to "
            f"{float((theirs - ours).abs().max()):.3g}), as where a model caps them; expected a "
            "model without such a step."
        )
