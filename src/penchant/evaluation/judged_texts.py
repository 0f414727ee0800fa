"""Records of judged texts as what a language policy learns from: pairs, or answers found good or
bad, in tokens.

Legend: B observations, N answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch_builder import groups_of
from penchant.data.columns import is_text, one_chunk, to_floats, to_ints
from penchant.data.records import Records
from penchant.encoders.reward_pairs import pair_outcomes
from penchant.encoders.text_embedding import plain_texts
from penchant.errors import DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.templates import conversation_ids
from penchant.numerics.arrays import Array
from penchant.policies.language.pairs import Pairs
from penchant.policies.language.rollouts import demonstration_ids
from penchant.policies.language.unpaired import Judged


@dataclass(frozen=True, kw_only=True, eq=False)
class TextPairs:
    """pairs: in tokens. group: names of those who share a taste, by the numbers in `pairs.person`.
    context: of each group, its number among `contexts`. row: of the records. has_people: whether
    it is known who judged; otherwise every pair is a person of its own."""

    pairs: Pairs
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
    outcome = pair_outcomes(records)
    weight = weights_of(records)
    row = np.flatnonzero((outcome >= 0) & (weight > 0.0))
    if not len(row):
        raise DataError(
            f"of {len(records)} observations none is a pair of judged texts; expected prompt, "
            "chosen and rejected. For answers judged one by one use --method kto or sft."
        )
    at = records.offsets[:-1][row]
    told = _told(model, records, row, at), _told(model, records, row, at + 1)
    judge = records.rows["person"] if "person" in records.rows.column_names else None
    has_people = judge is not None and judge.null_count < len(judge)
    person = groups_of(records, "person" if has_people else "row")
    said = groups_of(records, context) if context is not None else None
    cell = np.stack([person.of_row[row], np.zeros(len(row), np.int64) if said is None
                     else said.of_row[row]])  # fmt: skip
    known, of_pair = np.unique(cell, axis=1, return_inverse=True)
    contexts = ("",) if said is None else said.names
    names = tuple(
        " ".join(filter(None, (person.names[p], contexts[c]))) for p, c in known.T.tolist()
    )
    return TextPairs(
        pairs=Pairs(
            first=[ids for ids, _ in told[0]], second=[ids for ids, _ in told[1]],
            place=np.array([place for _, place in told[0]]),
            first_wins=np.array([1.0, 0.0, 0.5])[outcome[row]],
            person=of_pair.reshape(-1), weight=weight[row],
        ),
        group=names, context=known[1], contexts=contexts, row=row,
        num_left_out=len(records) - len(row), has_people=has_people,
    )  # fmt: skip


def weights_of(records: Records) -> Float[Array, " B"]:
    """How often each observation counts, once where no column says."""
    if "weight" not in records.rows.column_names:
        return np.ones(len(records))
    return to_floats(records.rows["weight"])


def check_unweighted(records: Records, method: str) -> None:
    """Raises `DataError` for weights that a method would not heed."""
    weight = weights_of(records)
    if len(weight) and not np.all(weight == 1.0):
        raise DataError(
            f"the column weight goes from {weight.min():g} to {weight.max():g}, and {method} "
            "counts all alike; expected no weights, or a method of pairs (dpo, ipo, hinge, "
            "dpo-nll), which heeds them. Drop the column."
        )


def judged_texts(model: LanguageModel, records: Records) -> Judged:
    """Answers with a verdict: of prompt, completion and label as they are; of pairs the winner is
    desired and the loser is not."""
    outcome = pair_outcomes(records)
    pairs = np.flatnonzero((outcome == 0) | (outcome == 1))
    if len(pairs):
        at = records.offsets[:-1][pairs]
        both = [*_told(model, records, pairs, at), *_told(model, records, pairs, at + 1)]
        wins = np.concatenate([outcome[pairs] == 0, outcome[pairs] == 1])
        return _judged(both, wins)
    row, success = _verdicts(records)
    return _judged(_told(model, records, row, records.offsets[:-1][row]), success)


def good_texts(model: LanguageModel, records: Records) -> tuple[list[list[int]], Array]:
    """What is worth imitating, in tokens, and where each answer begins: winners of pairs, answers
    found good, or answers that nobody judged."""
    outcome = pair_outcomes(records)
    pairs = np.flatnonzero((outcome == 0) | (outcome == 1))
    if len(pairs):
        row, at = pairs, records.offsets[:-1][pairs] + outcome[pairs]
    else:
        row = np.flatnonzero(records.menu_sizes == 1)
        if "success" in records.options.column_names:
            verdict = to_ints(records.options["success"])[records.offsets[:-1][row]]
            row = row[verdict != 0]
        at = records.offsets[:-1][row]
    if not len(row):
        raise DataError(
            f"of {len(records)} observations none has an answer to imitate; expected prompt and "
            "chosen, or prompt and completion that were not all judged bad."
        )
    told = _told(model, records, row, at)
    return [ids for ids, _ in told], np.array([place for _, place in told])


def _verdicts(records: Records) -> tuple[Int[Array, " N"], Bool[Array, " N"]]:
    row = np.flatnonzero(records.menu_sizes == 1)
    if "success" not in records.options.column_names or not len(row):
        raise DataError(
            f"none of {len(records)} observations says whether an answer was good; expected the "
            "columns prompt, completion and label, or prompt, chosen and rejected."
        )
    success = to_ints(records.options["success"])[records.offsets[:-1][row]]
    return row[success >= 0], success[success >= 0] > 0


def _judged(told: Sequence[tuple[list[int], int]], is_good: Bool[Array, " N"]) -> Judged:
    return Judged(
        rows=[ids for ids, _ in told], place=np.array([place for _, place in told]),
        is_desired=np.asarray(is_good),
    )  # fmt: skip


def _told(
    model: LanguageModel, records: Records, row: Int[Array, " N"], option: Int[Array, " N"]
) -> list[tuple[list[int], int]]:
    """Prompt and answer in tokens, and where the answer begins: lists of messages by the model's
    own chat template where it has one, else as plain text."""
    texts, prompts = records.options["text"], None
    if "prompt" in records.rows.column_names:
        prompts = records.rows["prompt"]
    chat = getattr(model.tokenizer, "chat_ids", None)
    if chat is not None and prompts is not None and _are_messages(prompts, texts):
        parts = zip(prompts.take(row).to_pylist(), texts.take(option).to_pylist(), strict=True)
        found = [conversation_ids(chat, prompt or [], text or []) for prompt, text in parts]
    else:
        said = plain_texts(texts, "text").take(option).to_pylist()
        asked = [""] * len(row)
        if prompts is not None:
            asked = plain_texts(prompts, "prompt").take(row).to_pylist()
        found = [
            demonstration_ids(model.tokenizer, prompt or "", text or "")
            for prompt, text in zip(asked, said, strict=True)
        ]
    _check(model, found, row)
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
