"""The tokenizer that needs no training: a text's bytes, and three special tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SPECIAL = ("<pad>", "<begin>", "<end>")


@dataclass(frozen=True)
class ByteTokenizer:
    """Bytes of UTF-8, moved up by three; nothing is unknown. Implements `tokens.Tokenizer`."""

    @property
    def pad(self) -> int:
        return 0

    @property
    def begin(self) -> int | None:
        return 1

    @property
    def end(self) -> int | None:
        return 2

    @property
    def num_tokens(self) -> int:
        """256 bytes and the special ones."""
        return 256 + len(_SPECIAL)

    def encode(self, text: str) -> list[int]:
        # Half a character, as JSON may hold one, becomes a question mark.
        return [byte + len(_SPECIAL) for byte in text.encode(errors="replace")]

    def decode(self, ids: Sequence[int]) -> str:
        known = bytes(each - len(_SPECIAL) for each in ids if each >= len(_SPECIAL))
        return known.decode(errors="replace")


def tokenizer_files() -> dict[str, dict[str, Any]]:
    """The same tokenizer as the files `tokenizer.json` and `tokenizer_config.json` of transformers:
    byte pairs without any merge."""
    shown = _byte_letters()
    vocabulary = {name: place for place, name in enumerate(_SPECIAL)}
    vocabulary |= {letter: place + len(_SPECIAL) for place, letter in enumerate(shown)}
    special = [
        {"id": place, "content": name, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for place, name in enumerate(_SPECIAL)
    ]  # fmt: skip
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                "use_regex": False}  # fmt: skip
    document: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": None, "pre_tokenizer": bytewise, "post_processor": None, "decoder": bytewise,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": []},
    }  # fmt: skip
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": _SPECIAL[0],
        "bos_token": _SPECIAL[1], "eos_token": _SPECIAL[2], "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    return {"tokenizer.json": document, "tokenizer_config.json": config}


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in such files: itself where it is printed, else the next
    free one from 256 on."""
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    letters, free = [], 256
    for byte in range(256):
        letters.append(chr(byte) if byte in printed else chr(free))
        free += byte not in printed
    return letters
