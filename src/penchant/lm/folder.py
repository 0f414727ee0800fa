"""A language model as a folder in transformers' form, read and written without transformers where
the model is our own decoder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float

from penchant.errors import ConfigError
from penchant.lm.byte_tokenizer import ByteTokenizer, tokenizer_files
from penchant.lm.decoder import Decoder, DecoderConfig
from penchant.lm.language_model import LanguageModel
from penchant.lm.pretrained import PretrainedNetwork, load_pretrained, quietly
from penchant.lm.soft_prompt import SOFT
from penchant.numerics.arrays import Array

_WEIGHTS, _CONFIG, _CARD = "model.safetensors", "config.json", "README.md"
_MARK = "penchant_decoder"


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreLayer:
    """A linear reward on the last state, for a folder of sequence classification with one label.
    constant: what penchant's rewards are beyond its logits, the same for every text."""

    weights: Float[Array, " H"]
    constant: float = 0.0


def load_language_model(name: str | Path) -> LanguageModel:
    """The model of a folder, or of a name that transformers knows on this machine.

    Folders that `save_language_model` wrote of a `Decoder` need no transformers. Raises
    `ConfigError` where there is no such model or its files are damaged.
    """
    folder = Path(name)
    said = _config(folder) if (folder / _CONFIG).is_file() else {}
    if _MARK in said:
        return _load_decoder(folder, said)
    return load_pretrained(str(name))


def save_language_model(
    model: LanguageModel, folder: Path, *, score: ScoreLayer | None = None, card: str = ""
) -> None:
    """Write the model: as a causal model (an encoder as it is), or with a score layer as a sequence
    classification of one label, whose logit is the reward of the last token's state.

    card: the text of its README.md. Raises `ConfigError` where transformers' classifier of this
    model reads something else than the last state by one linear layer.
    """
    if SOFT in model.parameters:
        raise ConfigError(
            "got a model with a soft prompt, for which a folder in transformers' form has no "
            "place; expected one without. Keep the prompt beside it (`save_soft_prompts`)."
        )
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(model.network, Decoder):
        _save_decoder(model, model.network, folder, score)
    else:
        assert isinstance(model.network, PretrainedNetwork)
        _save_pretrained(model, model.network, folder, score)
    if card:
        (folder / _CARD).write_text(card, encoding="utf-8")


def _load_decoder(folder: Path, said: dict[str, Any]) -> LanguageModel:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        config = DecoderConfig(**said[_MARK])
        found = load((folder / _WEIGHTS).read_bytes())
        parameters = {n.removeprefix("model."): v for n, v in found.items() if n != "score.weight"}
        parameters = {name: parameters[name] for name in _names(config)}
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ConfigError(
            f"{folder} cannot be read as a decoder ({type(error).__name__}: {error}); expected a "
            "folder that penchant wrote. Write it again."
        ) from error
    return LanguageModel(
        network=Decoder(config=config), parameters=parameters, tokenizer=ByteTokenizer(),
        name=str(folder),
    )  # fmt: skip


def _save_decoder(
    model: LanguageModel, network: Decoder, folder: Path, score: ScoreLayer | None
) -> None:
    import torch
    from safetensors.torch import save

    if not isinstance(model.tokenizer, ByteTokenizer):
        raise ConfigError(
            f"got a decoder with a {type(model.tokenizer).__name__}; expected a ByteTokenizer, the "
            "only one that can be written to its folder."
        )
    arrays = {f"model.{n}": v.detach().contiguous() for n, v in model.parameters.items()}
    if score is not None:
        like = model.parameters["norm.weight"]
        arrays["score.weight"] = torch.as_tensor(score.weights, dtype=like.dtype)[None].contiguous()
    (folder / _WEIGHTS).write_bytes(save(arrays, metadata={"format": "pt"}))
    _write_json(folder, {**tokenizer_files(), _CONFIG: _llama(network.config, score)})


def _save_pretrained(
    model: LanguageModel, network: PretrainedNetwork, folder: Path, score: ScoreLayer | None
) -> None:
    """Through transformers' own classes, so that whatever its folder needs is there."""
    import torch
    import transformers

    config = network.body.config
    if score is not None:
        whole = _classifier(model, network)
        whole.config.penchant_constant = score.constant
    elif network.head is None:
        whole = transformers.AutoModel.from_config(config)
    else:
        whole = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, value in whole.base_model.named_parameters():
            value.copy_(model.parameters[name])
        if score is not None:
            whole.score.weight.copy_(torch.as_tensor(score.weights)[None])
        elif network.head is not None:
            for name, value in whole.get_output_embeddings().named_parameters():
                value.copy_(model.parameters[network.name_of_head(name)])
    quietly(lambda: whole.save_pretrained(folder))
    if isinstance(model.tokenizer, ByteTokenizer):
        _write_json(folder, tokenizer_files())
    else:
        model.tokenizer.inner.save_pretrained(folder)  # type: ignore[attr-defined]  # theirs


def _classifier(model: LanguageModel, network: PretrainedNetwork) -> Any:
    """Transformers' classifier of one label on this body. Raises `ConfigError` where its logit is
    not linear in the last state."""
    import transformers

    said = {**network.body.config.to_dict(), "num_labels": 1, "pad_token_id": model.tokenizer.pad}
    for name in ("id2label", "label2id"):
        said.pop(name, None)
    whole = transformers.AutoModelForSequenceClassification.from_config(
        type(network.body.config).from_dict(said)
    )
    layer = getattr(whole, "score", None)
    if layer is None or layer.bias is not None or not network.is_causal:
        raise ConfigError(
            f"transformers' {type(whole).__name__} does not read the last state by one linear "
            "layer, so that a folder in its form would give other rewards. Expected a causal "
            "model such as Llama, Qwen or GPT-2; use weights.json instead."
        )
    return whole


def _write_json(folder: Path, files: dict[str, Any]) -> None:
    for file, content in files.items():
        plain = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        (folder / file).write_text(plain, encoding="utf-8")


def _llama(config: DecoderConfig, score: ScoreLayer | None) -> dict[str, Any]:
    """The decoder in the words of transformers' Llama, and in ours."""
    tokenizer = ByteTokenizer()
    kind = "LlamaForCausalLM" if score is None else "LlamaForSequenceClassification"
    said: dict[str, Any] = {
        "architectures": [kind], "model_type": "llama", "vocab_size": config.num_tokens,
        "hidden_size": config.width, "intermediate_size": config.gate,
        "num_hidden_layers": config.layers, "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads, "max_position_embeddings": config.window,
        "rms_norm_eps": config.norm_floor, "hidden_act": "silu", "attention_bias": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.turn},
        "rope_theta": config.turn, "mlp_bias": False, "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad, "bos_token_id": tokenizer.begin,
        "eos_token_id": tokenizer.end, "dtype": "float32",
        _MARK: {name: getattr(config, name) for name in config.__dataclass_fields__},
    }  # fmt: skip
    if score is not None:
        said |= {"num_labels": 1, "id2label": {"0": "reward"}, "label2id": {"reward": 0},
                 "penchant_constant": score.constant}  # fmt: skip
    return said


def _names(config: DecoderConfig) -> tuple[str, ...]:
    norms = ("input_layernorm", "post_attention_layernorm")
    inner = (*(f"self_attn.{each}_proj" for each in "qkvo"),
             *(f"mlp.{each}_proj" for each in ("gate", "up", "down")), *norms)  # fmt: skip
    of_layers = (f"layers.{n}.{each}.weight" for n in range(config.layers) for each in inner)
    return ("embed_tokens.weight", *of_layers, "norm.weight")


def _config(folder: Path) -> dict[str, Any]:
    try:
        said = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / _CONFIG} cannot be read ({error}); expected the settings of a language "
            "model as JSON. Write the folder again."
        ) from error
    return said if isinstance(said, dict) else {}
