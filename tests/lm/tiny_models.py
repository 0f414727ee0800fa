"""Language models of a few thousand parameters, random enough that every token is felt."""

import torch

from penchant.lm.byte_tokenizer import ByteTokenizer
from penchant.lm.decoder import Decoder, DecoderConfig, fresh_parameters
from penchant.lm.folder import save_language_model
from penchant.lm.language_model import LanguageModel, moved_to

TINY = DecoderConfig(width=16, layers=2, heads=2, window=48)
TEXTS = ("", "hello wörld", "hi", "a longer text, 20 %", "\x00\n日本")


def tiny(seed=0, dtype=torch.float64, config=TINY):
    """Weights four times as large as a fresh model's: attention that is not flat."""
    parameters = fresh_parameters(config, torch.Generator().manual_seed(seed))
    parameters = {
        name: (4.0 * value if "proj" in name or "embed" in name else value).to(dtype)
        for name, value in parameters.items()
    }
    return LanguageModel(
        network=Decoder(config=config), parameters=parameters, tokenizer=ByteTokenizer(),
        name="tiny",
    )  # fmt: skip


def rows_of(texts=TEXTS):
    """Begin, bytes, end."""
    tokenizer = ByteTokenizer()
    return [[1, *tokenizer.encode(text), 2] for text in texts]


def save_tiny(folder, config=TINY):
    """The folder of one, in single precision."""
    save_language_model(moved_to(tiny(config=config), dtype=torch.float32), folder)
