"""Records of judged texts as what a language policy learns from: pairs, ranked lists, or answers
found good or bad, in tokens.

Legend: B observations, N answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import is_text, one_chunk
from penchant.data.readers.ranked_texts import PROMPTS
from penchant.data.records import Records
from penchant.encoders.answer_order import (
    UNHEARD,
    answer_ranks,
    order_outcomes,
    says_something,
)
from penchant.encoders.text_embedding import plain_texts
from penchant.errors import DataError
from penchant.evaluation.text_verdicts import check_tied, imitable, verdicts, weights_of
from penchant.lm.language_model import LanguageModel
from penchant.lm.templates import conversation_ids
from penchant.numerics.arrays import Array
from penchant.policies.language.lists import Lists
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.rollouts import demonstration_ids
from penchant.policies.language.unpaired import Judged


@dataclass(frozen=True, kw_only=True, eq=False)
class TextPairs:
    """pairs: in tokens, or ranked lists. group: names of those who share a taste, by the numbers in
    `pairs.person`. context: of each group, its number among `contexts`. row: of the records.
    has_people: whether it is known who judged; otherwise every pair is a person of its own."""

    pairs: Pairs | Lists
    group: tuple[str, ...]
    context: Int[Array, " G"]
    contexts: tuple[str, ...]
    row: Int[Array, " B"]
    num_left_out: int
    has_people: bool

    @property
    def context_features(self) -> Float[Array, "G Q"]:
        """One column for each context after the first."""
        return (self.context[:, None] == np.arange(1, len(self.contexts))).astype(float)


def text_pairs(model: LanguageModel, records: Records, context: str | None = None) -> TextPairs:
    """The pairs of records with their weights; ties count one half to each side; other observations
    are left out, and those of weight 0.

    Who judged shares a taste; with `context`, a column, within a context only. Raises `DataError`
    where there are no pairs, or one does not fit into the model's window.
    """
    outcome = order_outcomes(records, answer_ranks(records))
    weight = weights_of(records)
    row = np.flatnonzero((outcome >= 0) & (weight > 0.0))
    if not len(row):
        raise DataError(
            f"of {len(records)} observations none is a pair of judged texts; expected prompt, "
            "chosen and rejected. For answers judged one by one use --method kto or sft."
        )
    at = records.offsets[:-1][row]
    told = _told(model, records, row, at), _told(model, records, row, at + 1)
    who = _tastes(records, row, context)
    return TextPairs(
        pairs=Pairs(
            first=[ids for ids, _ in told[0]], second=[ids for ids, _ in told[1]],
            place=np.array([place for _, place in told[0]]),
            first_wins=np.array([1.0, 0.0, 0.5])[outcome[row]],
            person=who.of_row, weight=weight[row],
        ),
        group=who.group, context=who.context, contexts=who.contexts, row=row,
        num_left_out=len(records) - len(row), has_people=who.has_people,
    )  # fmt: skip


def text_lists(model: LanguageModel, records: Records, context: str | None = None) -> TextPairs:
    """Ranked answers with their weights, as `text_pairs` of pairs: rankings, choices, and scores of
    several answers, which are compared by them. Pairs among them are lists of two. Left out is what
    ranks nothing above anything, and within a list what nothing was said of.

    Raises `DataError` where there are none, one does not fit into the model's window, or so many
    share a rank that their orders cannot be summed over.
    """
    rank, weight = answer_ranks(records), weights_of(records)
    row = np.flatnonzero(says_something(records, rank) & (weight > 0.0))
    if not len(row):
        raise DataError(
            f"of {len(records)} observations none ranks an answer above another; expected prompt, "
            "completions and ranks or scores that differ."
        )
    options = [np.arange(*records.offsets[[b, b + 1]]) for b in row]
    options = [at[rank[at] != UNHEARD] for at in options]
    check_tied(row, [rank[at] for at in options])
    of_list = np.repeat(row, [len(at) for at in options])
    told = _told(model, records, of_list, np.concatenate(options))
    ends = np.cumsum([len(at) for at in options])
    parts = [told[end - len(at) : end] for end, at in zip(ends, options)]
    who = _tastes(records, row, context)
    return TextPairs(
        pairs=Lists(
            answers=[[ids for ids, _ in part] for part in parts],
            place=np.array([part[0][1] for part in parts]),
            rank=[rank[at].tolist() for at in options], person=who.of_row, weight=weight[row],
        ),
        group=who.group, context=who.context, contexts=who.contexts, row=row,
        num_left_out=len(records) - len(row), has_people=who.has_people,
    )  # fmt: skip


def every_text(model: LanguageModel, records: Records) -> tuple[list[list[int]], Array]:
    """All answers in tokens, whatever was said of them, and where each begins."""
    row = np.repeat(np.arange(len(records)), records.menu_sizes)
    told = _told(model, records, row, np.arange(len(row)))
    return [ids for ids, _ in told], np.array([place for _, place in told])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Tastes:
    """of_row: the group of each row used; the others as in `TextPairs`."""

    of_row: Int[Array, " C"]
    group: tuple[str, ...]
    context: Int[Array, " G"]
    contexts: tuple[str, ...]
    has_people: bool


def _tastes(records: Records, row: Int[Array, " C"], context: str | None) -> _Tastes:
    """Who shares a taste: a person's answers, with `context` within one only."""
    judge = records.rows["person"] if "person" in records.rows.column_names else None
    has_people = judge is not None and judge.null_count < len(judge)
    person = groups_of(records, "person" if has_people else "row")
    said = groups_of(records, context) if context is not None else None
    cell = np.stack([person.of_row[row], np.zeros(len(row), np.int64) if said is None
                     else said.of_row[row]])  # fmt: skip
    known, of_row = np.unique(cell, axis=1, return_inverse=True)
    contexts = ("",) if said is None else said.names
    names = tuple(
        " ".join(filter(None, (person.names[p], contexts[c]))) for p, c in known.T.tolist()
    )
    return _Tastes(
        of_row=of_row.reshape(-1), group=names, context=known[1], contexts=contexts,
        has_people=has_people,
    )  # fmt: skip


def judged_texts(model: LanguageModel, records: Records) -> Judged:
    """Answers with a verdict (`text_verdicts.verdicts`)."""
    found = verdicts(records)
    told = _told(model, records, found.row, found.option)
    return Judged(
        rows=[ids for ids, _ in told], place=np.array([place for _, place in told]),
        is_desired=found.is_good,
    )  # fmt: skip


def good_texts(model: LanguageModel, records: Records) -> tuple[list[list[int]], Array]:
    """What is worth imitating (`text_verdicts.imitable`), in tokens, and where each begins."""
    row, option = imitable(records)
    told = _told(model, records, row, option)
    return [ids for ids, _ in told], np.array([place for _, place in told])


def _told(
    model: LanguageModel, records: Records, row: Int[Array, " N"], option: Int[Array, " N"]
) -> list[tuple[list[int], int]]:
    """Prompt and answer in tokens, and where the answer begins: lists of messages by the model's
    own chat template where it has one, else as plain text."""
    found = _tokens(model, records, row, option)
    _check(model, found, row)
    return found


def fits(model: LanguageModel, records: Records) -> Bool[Array, " B"]:
    """Which observations the model's window holds, each answer with its prompt."""
    window = model.network.window
    row = np.repeat(np.arange(len(records)), records.menu_sizes)
    told = _tokens(model, records, row, np.arange(len(row)))
    most = np.inf if window is None else window
    is_long = np.array([len(ids) for ids, _ in told]) > most
    return np.bincount(row[is_long], minlength=len(records)) == 0


def _tokens(
    model: LanguageModel, records: Records, row: Int[Array, " N"], option: Int[Array, " N"]
) -> list[tuple[list[int], int]]:
    texts, prompts = records.options["text"], None
    asked_in = next((name for name in PROMPTS if name in records.rows.column_names), None)
    if asked_in is not None:
        prompts = records.rows[asked_in]
    chat = getattr(model.tokenizer, "chat_ids", None)
    if chat is not None and prompts is not None and _are_messages(prompts, texts):
        parts = zip(prompts.take(row).to_pylist(), texts.take(option).to_pylist(), strict=True)
        found = [conversation_ids(chat, prompt or [], text or []) for prompt, text in parts]
    else:
        said = plain_texts(texts, "text").take(option).to_pylist()
        asked = [""] * len(row)
        if prompts is not None:
            asked = plain_texts(prompts, asked_in or "prompt").take(row).to_pylist()
        found = [
            demonstration_ids(model.tokenizer, prompt or "", text or "")
            for prompt, text in zip(asked, said, strict=True)
        ]
    return found


def _are_messages(*columns: Any) -> bool:
    return not any(is_text(one_chunk(column).type) for column in columns)


def _check(
    model: LanguageModel, found: Sequence[tuple[list[int], int]], row: Int[Array, " N"]
) -> None:
    window = model.network.window
    long = [n for n, (ids, _) in enumerate(found) if window and len(ids) > window]
    if long:
        raise DataError(
            f"observation {row[long[0]]} has {len(found[long[0]][0])} tokens with its prompt "
            f"({len(long)} of {len(found)} answers are like this); expected {window} at most, the "
            "model's window. Shorten them, or use a model with a larger one (--window)."
        )
    bare = [n for n, (_, place) in enumerate(found) if place < 1]
    if bare:
        raise DataError(
            f"observation {row[bare[0]]} has no prompt, and the tokenizer no begin token "
            f"({len(bare)} are like this); expected a token to go on from. Give them a prompt."
        )
