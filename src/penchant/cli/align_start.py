"""What `penchant align` begins with: a model of this machine, or a small one taught here."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.cli.align_folder import RunFolder
    from penchant.cli.align_methods import AlignOptions
    from penchant.fitting.sgd import TrainConfig
    from penchant.lm.language_model import LanguageModel

Teach = Callable[["LanguageModel"], "LanguageModel"]


def started(folder: "RunFolder", options: "AlignOptions", teach: Teach | None) -> "LanguageModel":
    """The model that the run begins as: `--model`'s, else the one the folder holds, else a decoder
    from scratch after `teach`."""
    from penchant.fitting.processes import wait_for_all
    from penchant.lm.folder import load_language_model

    if options.model:
        model = load_language_model(options.model)
        _check_writes(model, options.model)
        return model
    is_there = folder.start.is_dir()
    # Before any of several processes writes it, each has seen whether it was there.
    wait_for_all()
    if is_there:
        return load_language_model(folder.start)
    fresh = _fresh(options)
    model = fresh if teach is None else teach(fresh)
    folder.keep_start(model)
    return model


def taught_by(task: Any, options: "AlignOptions") -> Teach | None:
    """Demonstrations of a task; None where none are wanted."""
    if options.demonstrations == 0:
        return None

    def teach(model: "LanguageModel") -> "LanguageModel":
        from penchant.policies.language.teaching import Teaching, taught

        teaching = Teaching(
            num=options.demonstrations, training=_passes(options), seed=options.seed
        )
        return taught(model, task, teaching)[0]

    return teach


def taught_rows(lessons: Callable[["LanguageModel"], Any], options: "AlignOptions") -> Teach:
    """Rows of tokens and where to begin, which `lessons` makes for the model's tokenizer."""

    def teach(model: "LanguageModel") -> "LanguageModel":
        from penchant.fitting.next_token import fit_next_token

        rows, places = lessons(model)
        return fit_next_token(model, rows, _passes(options), from_place=places)[0]

    return teach


def _passes(options: "AlignOptions") -> "TrainConfig":
    from penchant.fitting.sgd import TrainConfig

    return TrainConfig(
        batch_size=64, max_epochs=options.passes, learning_rate=3e-3, patience=None,
        seed=options.seed,
    )  # fmt: skip


def _fresh(options: "AlignOptions") -> "LanguageModel":
    from penchant.lm.decoder import DecoderConfig
    from penchant.policies.language.teaching import fresh_decoder

    heads = next((n for n in (4, 2, 1) if options.width % (2 * n) == 0), None)
    if heads is None:
        raise ConfigError(f"--width got {options.width}; expected an even number.")
    shape = DecoderConfig(
        width=options.width, layers=options.layers, heads=heads, window=options.window
    )
    return fresh_decoder(shape, options.seed)


def _check_writes(model: "LanguageModel", name: str) -> None:
    if not model.network.is_causal:
        raise ConfigError(
            f"{name} reads both ways and writes no text; expected a causal model, such as "
            "Llama's, Qwen's or GPT-2's kind."
        )
