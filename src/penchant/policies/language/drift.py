"""How far a policy has moved on what it once said: the last response to each prompt, kept.

Legend: P prompts met so far, N prompts asked for, B rows, W places of a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import log_probs
from penchant.lm.tokens import padded
from penchant.numerics.arrays import Array
from penchant.policies.language.rollouts import Rollouts


@dataclass(frozen=True, kw_only=True, eq=False)
class LastResponses:
    """ids: prompt and response, -1 behind them and where a prompt has none. log_prob: of the token
    at each place when it was drawn, NaN where it was not."""

    ids: Int[Array, "P W"]
    log_prob: Float[Array, "P W"]

    @classmethod
    def recalled(cls, memory: Mapping[str, np.ndarray]) -> "LastResponses":
        """What `kept` gave; none of an empty memory."""
        if "last_ids" not in memory:
            return cls(ids=np.zeros((0, 1), dtype=np.int64), log_prob=np.zeros((0, 1)))
        return cls(ids=memory["last_ids"], log_prob=memory["last_log_prob"])

    def kept(self) -> dict[str, np.ndarray]:
        """To be kept with a run."""
        return {"last_ids": self.ids, "last_log_prob": self.log_prob}

    def has(self, prompt: Int[Array, " N"]) -> Bool[Array, " N"]:
        """Whether there is a response to it."""
        there = np.append((self.ids >= 0).any(axis=1), False)
        return there[np.where(prompt < len(self.ids), prompt, -1)]

    def moved(
        self, model: LanguageModel, prompt: Int[Array, " N"], temperature: float = 1.0
    ) -> Float[Array, " N"]:
        """The mean of |log pi now - log pi then| over the response's tokens, in nats."""
        import torch

        if not len(prompt):
            return np.zeros(0)
        rows = [row[row >= 0].tolist() for row in self.ids[prompt]]
        device = next(iter(model.parameters.values())).device
        tokens = padded(rows, model.tokenizer.pad).to(device)
        with torch.no_grad():
            now = log_probs(model, tokens, temperature=temperature).log_prob
        then = self.log_prob[prompt, 1 : 1 + now.shape[1]]
        return np.nanmean(np.abs(now.double().cpu().numpy() - then), axis=1)

    def updated(self, prompt: Int[Array, " B"], rollouts: Rollouts) -> "LastResponses":
        """With these rows in place of what their prompts had; of several the last."""
        width = max(self.ids.shape[1], rollouts.tokens.ids.shape[1])
        size = max(len(self.ids), int(prompt.max(initial=-1)) + 1)
        ids = np.full((size, width), -1, dtype=np.int64)
        log_prob = np.full((size, width), np.nan)
        ids[: len(self.ids), : self.ids.shape[1]] = self.ids
        log_prob[: len(self.ids), : self.ids.shape[1]] = self.log_prob
        is_text = rollouts.tokens.is_text.cpu().numpy()
        own = np.where(is_text, rollouts.tokens.ids.cpu().numpy(), -1)
        said = np.where(rollouts.is_drawn, rollouts.log_prob.double().cpu().numpy(), np.nan)
        for row, p in enumerate(prompt):
            ids[p], log_prob[p] = -1, np.nan
            ids[p, : own.shape[1]] = own[row]
            log_prob[p, 1 : own.shape[1]] = said[row]
        return LastResponses(ids=ids, log_prob=log_prob)
