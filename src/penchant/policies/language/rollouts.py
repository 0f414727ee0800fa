"""Responses drawn from the policy: tokens in, tokens out, never made into text and back.

Legend: B rows (one a rollout), T tokens, T1 = T - 1 (a token after those before it), P prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.sample import SampleConfig, sample
from penchant.lm.tokens import Tokenizer, Tokens, padded
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Rollouts:
    """Groups of responses, a row each: prompt and response, padded on the right.

    is_drawn: whether token t + 1 is the policy's. log_prob: of it under what it was truly drawn
    from (0 elsewhere); entropy: of that distribution. start: where the response begins. turn_of: in
    which turn the policy wrote a token, -1 where it is not its own. prompt_of: which prompt a row
    answers; rows of one begin with the same tokens. has_ended: by its end token (a world: by being
    over); the others ran out of room. version: of the weights that drew a row, by how many steps
    they had been trained (of several turns the oldest; -1 of rows that were kept or written, not
    drawn just now); one number says it of all.
    """

    tokens: Tokens
    is_drawn: Bool[Array, "B T1"]
    log_prob: Float[Array, "B T1"]
    entropy: Float[Array, "B T1"]
    start: Int[Array, " B"]
    turn_of: Int[Array, "B T1"]
    prompt_of: Int[Array, " B"]
    responses: tuple[str, ...]
    has_ended: Bool[Array, " B"]
    version: int | Int[Array, " B"] = 0

    def __len__(self) -> int:
        return len(self.responses)

    @property
    def versions(self) -> Int[Array, " B"]:
        """Of each row."""
        return np.broadcast_to(np.asarray(self.version), len(self))

    @property
    def lengths(self) -> Int[Array, " B"]:
        """Tokens of each response that the policy wrote, end tokens among them."""
        return self.is_drawn.sum(axis=1)

    def take(self, rows: Int[Array, " C"]) -> "Rollouts":
        """Some rows, no wider than the longest of them needs."""
        width = int(self.tokens.is_text[rows].sum(dim=1).max())
        return replace(
            self,
            tokens=Tokens(
                ids=self.tokens.ids[rows, :width], is_text=self.tokens.is_text[rows, :width]
            ),
            is_drawn=self.is_drawn[rows, : width - 1],
            log_prob=self.log_prob[rows, : width - 1],
            entropy=self.entropy[rows, : width - 1],
            start=self.start[rows],
            turn_of=self.turn_of[rows, : width - 1],
            prompt_of=self.prompt_of[rows],
            responses=tuple(self.responses[row] for row in rows),
            has_ended=self.has_ended[rows],
            version=self.versions[rows],
        )


def prompt_ids(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """What the policy goes on from: the begin token, where there is one, and the prompt."""
    begin = [] if tokenizer.begin is None else [tokenizer.begin]
    return [*begin, *tokenizer.encode(prompt)]


def demonstration_ids(tokenizer: Tokenizer, prompt: str, response: str) -> tuple[list[int], int]:
    """A prompt with its answer and end token, and the place where the answer begins: what
    `fit_next_token` learns from before there is anything to reinforce."""
    begun = prompt_ids(tokenizer, prompt)
    end = [] if tokenizer.end is None else [tokenizer.end]
    return [*begun, *tokenizer.encode(response), *end], len(begun)


def draw_rollouts(
    model: LanguageModel,
    prompts: Sequence[str],
    group_size: int | Int[Array, " P"],
    config: SampleConfig,
    generator: Any,
    *,
    version: int = 0,
    forced: Sequence[Sequence[int]] | None = None,
) -> Rollouts:
    """`group_size` responses to each prompt, or to each so many; `generator` is torch's.

    forced: of each row, tokens that its response is made to begin with: they are read and part of
    the response, and nobody drew them.

    Raises `DataError` for a prompt that leaves no room in the window, `ConfigError` for sampling
    that cuts the distribution off: the trainer's probabilities would have another support.
    """
    check_support(config)
    begun = [prompt_ids(model.tokenizer, prompt) for prompt in prompts]
    often = np.broadcast_to(group_size, len(begun))
    rows = [ids for ids, num in zip(begun, often) for _ in range(num)]
    told = [list(ids) for ids in forced] if forced is not None else [[] for _ in rows]
    whole = [[*ids, *more] for ids, more in zip(rows, told, strict=True)]
    most_told = max(map(len, told), default=0)
    check_room(begun, most_told + config.most_tokens, model.network.window)
    heads, copies = begun, often.tolist()
    if forced is not None:  # neighbours that begin alike are read once
        runs = [(ids, len(list(same))) for ids, same in groupby(whole)]
        heads, copies = [ids for ids, _ in runs], [num for _, num in runs]
    drawn = sample(model, heads, config, generator, copies=copies)
    own = [ids[real].tolist() for ids, real in zip(drawn.ids, drawn.is_text)]
    said = [[*more, *ids] for more, ids in zip(told, own)]
    tokens = padded([a + b for a, b in zip(rows, said)], model.tokenizer.pad)
    starts, ends = (np.array([len(each) for each in part]) for part in (rows, whole))
    sizes = np.array([len(each) for each in own])
    place = np.arange(1, tokens.ids.shape[1])[None, :]
    is_drawn = (place >= ends[:, None]) & (place < (ends + sizes)[:, None])
    device = drawn.ids.device
    log_prob, entropy = (drawn.log_prob.new_zeros(is_drawn.shape) for _ in range(2))
    log_prob[is_drawn] = drawn.log_prob[drawn.is_text]
    entropy[is_drawn] = drawn.entropy[drawn.is_text]
    return Rollouts(
        tokens=Tokens(ids=tokens.ids.to(device), is_text=tokens.is_text.to(device)),
        is_drawn=is_drawn,
        log_prob=log_prob,
        entropy=entropy,
        start=starts,
        turn_of=np.where(is_drawn, 0, -1),
        prompt_of=np.repeat(np.arange(len(prompts)), often),
        responses=tuple(model.tokenizer.decode(ids) for ids in said),
        has_ended=drawn.has_ended.cpu().numpy(),
        version=version if drawn.version is None else drawn.version,
    )


def put_together(parts: Sequence[Rollouts]) -> Rollouts:
    """The rows of all parts, in order; `prompt_of` means the same in each."""
    import torch

    width = max(part.tokens.ids.shape[1] for part in parts)

    def joined(name: str, fill: float) -> Any:
        return torch.cat([_widened(getattr(part, name), width - 1, fill) for part in parts])

    def stacked(name: str, fill: int) -> Any:
        wide = [(getattr(part, name), width - 1 - part.is_drawn.shape[1]) for part in parts]
        return np.concatenate(
            [np.pad(a, ((0, 0), (0, more)), constant_values=fill) for a, more in wide]
        )

    return Rollouts(
        tokens=Tokens(
            ids=torch.cat([_widened(part.tokens.ids, width, 0) for part in parts]),
            is_text=torch.cat([_widened(part.tokens.is_text, width, False) for part in parts]),
        ),
        is_drawn=stacked("is_drawn", 0),
        log_prob=joined("log_prob", 0.0),
        entropy=joined("entropy", 0.0),
        start=np.concatenate([part.start for part in parts]),
        turn_of=stacked("turn_of", -1),
        prompt_of=np.concatenate([part.prompt_of for part in parts]),
        responses=tuple(said for part in parts for said in part.responses),
        has_ended=np.concatenate([part.has_ended for part in parts]),
        version=np.concatenate([part.versions for part in parts]),
    )


def written_rollouts(
    rows: Sequence[Sequence[int]],
    start: Int[Array, " B"],
    prompt_of: Int[Array, " B"],
    tokenizer: Tokenizer,
    like: Float[Array, "_ _"],
    log_prob: Sequence[Float[Array, " _"]] | None = None,
) -> Rollouts:
    """Rows that were not drawn just now: demonstrations, or answers kept from before.

    log_prob: of each row's tokens from its start on, when they were drawn; zeros where nobody drew
    them. like: a tensor whose type and device theirs shall be.
    """
    tokens = padded(rows, tokenizer.pad).to(like.device)
    sizes = np.array([len(row) for row in rows])
    place = np.arange(1, tokens.ids.shape[1])[None, :]
    is_drawn = (place >= start[:, None]) & (place < sizes[:, None])
    said = np.zeros(is_drawn.shape)
    if log_prob is not None:
        said[is_drawn] = np.concatenate([np.asarray(each, dtype=float) for each in log_prob])
    told = like.new_tensor(said)
    return Rollouts(
        tokens=tokens, is_drawn=is_drawn, log_prob=told, entropy=told.new_zeros(told.shape),
        start=np.asarray(start), turn_of=np.where(is_drawn, 0, -1),
        prompt_of=np.asarray(prompt_of),
        responses=tuple(tokenizer.decode(row[at:]) for row, at in zip(rows, start)),
        has_ended=np.array([row[-1] == tokenizer.end for row in rows]), version=-1,
    )  # fmt: skip


def behind_prompts(rollouts: Rollouts, prompts: Sequence[str], tokenizer: Tokenizer) -> Rollouts:
    """The same responses behind other prompts, `prompts[prompt_of]`: what was drawn, and how sure
    it was of it, stay as they were where it was drawn."""
    begun = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    ids = rollouts.tokens.ids[:, 1:].cpu().numpy()
    said = rollouts.log_prob.cpu().numpy()
    rows = [begun[p] + line[drawn].tolist()
            for p, line, drawn in zip(rollouts.prompt_of, ids, rollouts.is_drawn)]  # fmt: skip
    moved = written_rollouts(
        rows, np.array([len(begun[p]) for p in rollouts.prompt_of]), rollouts.prompt_of, tokenizer,
        rollouts.log_prob, [line[drawn] for line, drawn in zip(said, rollouts.is_drawn)],
    )  # fmt: skip
    entropy = rollouts.entropy.new_zeros(moved.is_drawn.shape)
    entropy[moved.is_drawn] = rollouts.entropy[rollouts.is_drawn]
    return replace(moved, version=rollouts.version, entropy=entropy)


def _widened(rows: Any, width: int, fill: float) -> Any:
    import torch

    more = rows.new_full((rows.shape[0], width - rows.shape[1]), fill)
    return torch.cat([rows, more], dim=1)


def check_support(config: SampleConfig) -> None:
    """Raises `ConfigError` for sampling that cuts the distribution off."""
    if config.temperature == 0 or config.top_k is not None or config.top_p < 1:
        raise ConfigError(
            f"got temperature={config.temperature}, top_k={config.top_k}, top_p={config.top_p}; "
            "expected a temperature above 0 and nothing cut off: what is trained must be what was "
            "drawn from."
        )


def check_room(begun: Sequence[Sequence[int]], most_tokens: int, window: int | None) -> None:
    """Raises `DataError` for a prompt that leaves no room for an answer of so many tokens."""
    long = [p for p, ids in enumerate(begun) if window and len(ids) + most_tokens > window]
    if long:
        raise DataError(
            f"prompt {long[0]} has {len(begun[long[0]])} tokens and its answer may have "
            f"{most_tokens} ({len(long)} of {len(begun)} prompts are like this); expected "
            f"{window} in all, the model's window. Shorten them, let answers be shorter "
            "(--most-tokens), or use a model with a larger window (--window)."
        )
