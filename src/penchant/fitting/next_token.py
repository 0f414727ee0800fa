"""A language model from scratch, or further: the likelihood of each token after those before it.

Legend: C examples of one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from penchant.errors import DataError
from penchant.fitting.language_learner import LanguageLearner, LearnerConfig, Parameters
from penchant.fitting.processes import number, wait_for_all
from penchant.fitting.sgd import TrainConfig, Training, train
from penchant.fitting.sgd_checkpoint import in_words
from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import log_probs
from penchant.lm.low_rank import LowRankConfig, adapted_model, fresh_low_rank
from penchant.lm.tokens import fingerprint, padded
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class NextToken:
    """Rows of tokens, each counting by the tokens that are foretold. from_place: of each row, the
    first token that is (1, or where the answer begins). own: of each row, which tokens are from
    there on (None: all). low_rank: what is trained are thin matrices. Implements `Objective`."""

    model: LanguageModel
    rows: Sequence[Sequence[int]]
    from_place: Int[Array, " N"]
    own: Sequence[Sequence[bool]] | None = None
    low_rank: LowRankConfig | None = None

    def weight(self, examples: Int[Array, " C"]) -> float:
        mine = examples.tolist()
        if self.own is not None:
            return float(sum(sum(self.own[e][self.from_place[e] :]) for e in mine))
        return float(sum(len(self.rows[e]) - self.from_place[e] for e in mine))

    def log_prob(self, parameters: Parameters, examples: Int[Array, " C"]) -> Any:
        import torch

        device = next(iter(self.model.parameters.values())).device
        tokens = padded([self.rows[e] for e in examples.tolist()], self.model.tokenizer.pad)
        tokens = tokens.to(device)
        told = log_probs(adapted_model(self.model, parameters, self.low_rank), tokens)
        first = torch.from_numpy(np.asarray(self.from_place)[examples]).to(device)[:, None]
        counts = torch.arange(1, tokens.ids.shape[1], device=device) >= first
        if self.own is not None:
            mine = padded([[int(is_own) for is_own in self.own[e]] for e in examples.tolist()], 0)
            counts = counts & (mine.ids[:, 1:].to(device) > 0)
        return torch.where(counts, told.log_prob, 0.0).sum()

    def penalty(self, parameters: Parameters) -> Any:
        return 0.0


def fit_next_token(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    training: TrainConfig,
    *,
    from_place: Int[Array, " N"] | None = None,
    own: Sequence[Sequence[bool]] | None = None,
    held_out: Int[Array, " M"] | None = None,
    config: LearnerConfig | None = None,
    checkpoint: Path | None = None,
    low_rank: LowRankConfig | None = None,
    seed: int = 0,
) -> tuple[LanguageModel, Training]:
    """Maximise the mean log-probability a token by mini-batches of rows, by Adam: the whole model,
    or adapters, which `seed` draws.

    With `from_place` the answers of prompts are learnt and the prompts are not: supervised
    fine-tuning; `own` says of games which tokens the policy wrote, and what a tool answered is not
    learnt. Looks are nats a token. Raises `DataError` for a row with nothing to foretell,
    `ConfigError` for a checkpoint of other rows, places, held-out rows or settings.
    """
    begin = np.ones(len(rows), dtype=np.int64) if from_place is None else np.asarray(from_place)
    short = np.array([len(row) for row in rows]) <= begin
    if short.any() or (begin < 1).any():
        raise DataError(
            f"row {int(np.argmax(short | (begin < 1)))} has nothing to foretell (or nothing before "
            "it); expected a token or more after the first place that counts, and one before it."
        )
    if own is not None:
        _check_own(rows, begin, own)
    held = np.zeros(0, dtype=np.int64) if held_out is None else held_out
    objective = NextToken(model=model, rows=rows, from_place=begin, own=own, low_rank=low_rank)
    trained = model.parameters
    if low_rank is not None:
        import torch

        trained = fresh_low_rank(trained, low_rank, torch.Generator().manual_seed(seed))
    learner = LanguageLearner(trained, objective, config)
    begun = "" if checkpoint is None else in_words(
        fingerprint(rows, model.parameters), begin, held, learner.config
    ) + ("" if low_rank is None else f"; {low_rank!r} from {seed}") + (
        "" if own is None else f"; own {[[int(each) for each in row] for row in own]}"
    )  # fmt: skip
    done = train(
        learner, np.setdiff1d(np.arange(len(rows)), held), held, training,
        checkpoint=checkpoint, is_writer=number() == 0, fingerprint=begun,
    )  # fmt: skip
    # Whoever trains on in the same folder finds there what the first process kept.
    wait_for_all()
    return adapted_model(model, learner.parameters, low_rank), done


def _check_own(
    rows: Sequence[Sequence[int]], begin: Int[Array, " N"], own: Sequence[Sequence[bool]]
) -> None:
    if [*map(len, own)] != [*map(len, rows)]:
        raise DataError(
            "`own` has other lengths than the rows; expected one entry for each token of each."
        )
    empty = [e for e, mine in enumerate(own) if not any(mine[begin[e] :])]
    if empty:
        raise DataError(
            f"row {empty[0]} has no token of its own to learn ({len(empty)} of {len(rows)} are "
            "like this); expected one or more from its place on. Leave these rows out."
        )
