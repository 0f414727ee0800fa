"""Answers that are given, as rows of tokens: what a model says of each token of them.

Legend: B answers, T tokens, T1 tokens after those before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.tokens import Tokens, padded
from penchant.numerics.arrays import Array
from penchant.policies.language.layout import Layout, read_drawn

# Answers whose log-probabilities are made at a time where no gradient is wanted.
_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What `layout.read_drawn` reads. is_drawn: whether token t + 1 is scored. start: tokens of
    the prompt. prompt_of: answers of one begin with the same tokens."""

    tokens: Tokens
    is_drawn: Bool[Array, "B T1"]
    start: Int[Array, " B"]
    prompt_of: Int[Array, " B"]


def check_scored(
    rows: Sequence[Sequence[int]],
    place: Int[Array, " B"],
    own: Sequence[Sequence[bool]] | None = None,
    of: str = "answer",
) -> None:
    """Raises `DataError` for an answer of which nothing would be scored, or an `own` that is not
    one entry a token. of: what the rows are called."""
    if own is not None and [*map(len, own)] != [*map(len, rows)]:
        raise DataError(
            "`own` has other lengths than the rows; expected one entry for each token of each."
        )
    start = np.maximum(place, 1).tolist()
    empty = [
        b for b, row in enumerate(rows)
        if len(row) <= start[b] or (own is not None and not any(own[b][start[b] :]))
    ]  # fmt: skip
    if empty:
        raise DataError(
            f"{of} {empty[0]} has no token that is scored ({len(empty)} of {len(rows)} are like "
            "this); expected one or more that the policy wrote after the first of the row, an end "
            "token at the least. Drop them."
        )


def answers_of(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    place: Int[Array, " B"],
    own: Sequence[Sequence[bool]] | None = None,
) -> Answers:
    """Prompts with their answers, which begin at `place`; prompts that are the same token for token
    are one. own: of several turns, which tokens of a row the policy wrote; only these are scored. A
    row's first token is foretold by nothing and never scored."""
    device = next(iter(model.parameters.values())).device
    tokens = padded(rows, model.tokenizer.pad)
    start = np.maximum(place, 1)
    met: dict[tuple[int, ...], int] = {}
    prompts = (tuple(row[:at]) for row, at in zip(rows, start.tolist(), strict=True))
    is_drawn = tokens.is_text.numpy() & (np.arange(tokens.ids.shape[1]) >= start[:, None])
    for row, mine in enumerate(own or ()):
        is_drawn[row, : len(mine)] &= np.asarray(mine, dtype=bool)
    return Answers(
        tokens=tokens.to(device), is_drawn=is_drawn[:, 1:], start=start,
        prompt_of=np.array([met.setdefault(prompt, len(met)) for prompt in prompts]),
    )  # fmt: skip


def answer_log_probs(
    model: LanguageModel, answers: Answers, layout: Layout
) -> tuple[Float[Array, "B T1"], Bool[Array, "B T1"]]:
    """log pi of each scored token, 0 elsewhere, and which are scored; autograd goes through."""
    import torch

    read = read_drawn(model, answers, layout=layout)
    said = read.placed(read.log_prob, answers)
    return said, torch.from_numpy(answers.is_drawn).to(said.device)


def answer_sums(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    place: Int[Array, " B"],
    own: Sequence[Sequence[bool]] | None = None,
    layout: Layout = "packed",
) -> Float[Array, " B"]:
    """log pi of each answer; autograd goes through."""
    return answer_log_probs(model, answers_of(model, rows, place, own), layout)[0].sum(dim=1)


def frozen_answer_sums(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    place: Int[Array, " B"],
    own: Sequence[Sequence[bool]] | None = None,
    layout: Layout = "packed",
) -> Float[Array, " B"]:
    """The same without a gradient, some at a time."""
    import torch

    with torch.no_grad():
        return torch.cat([
            answer_sums(
                model, [rows[b] for b in part], place[part],
                None if own is None else [own[b] for b in part], layout,
            )
            for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // _AT_ONCE))
        ])  # fmt: skip


def check_people(person: Int[Array, " B"], weight: Float[Array, " B"] | None) -> None:
    """Of pairs and lists. Raises `DataError` for people below 0, and weights that are not above 0
    and finite."""
    if np.min(person) < 0:
        raise DataError(
            f"got person {np.min(person)}; expected numbers from 0 on, one's own where nobody is "
            "known."
        )
    if weight is not None and not np.all((weight > 0.0) & np.isfinite(weight)):
        raise DataError(
            f"weights go from {np.min(weight):g} to {np.max(weight):g}; expected finite numbers "
            "above 0. Leave out what is not to count."
        )
