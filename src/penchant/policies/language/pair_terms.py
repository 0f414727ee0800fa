"""What may stand beside a loss of pairs: answers to be kept, answers worth the same in another
context, rewards of single tokens.

Each is a number of every pair, taken off its log-likelihood. With several kinds of people each kind
hears it in the measure that the person is of it.

Legend: B pairs, C pairs of a step, S kinds of people, T1 tokens after those before them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.lm.language_model import LanguageModel
from penchant.lm.log_probs import log_probs
from penchant.lm.tokens import fingerprint, padded
from penchant.numerics.arrays import Array, namespace, sigmoid, stop_gradient
from penchant.policies.language.preference import same_worth_loss
from penchant.utilities.implicit import log_ratio_utility


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """One answer for each pair, a row of tokens from `place` on. weight: of its term.

    form "kept": -log pi a token, lest an answer outside of what the pairs are about change (the
    anchors of C3PO, 2024: 0.2 where the feedback does not apply, 0.1 near where it does).
    "same_worth": |u(short) - u(long)|, the row being the pair's first answer after a longer context
    with the same evidence (SoLoPO, 2025: 3 beside DPO, 1 beside SimPO and ORPO).
    """

    rows: Sequence[Sequence[int]]
    place: Int[Array, " B"]
    weight: float
    form: Literal["kept", "same_worth"] = "kept"

    def __post_init__(self) -> None:
        if not self.weight > 0.0:
            raise ConfigError(f"got weight={self.weight}; expected above 0, or no term at all.")
        short = [b for b, row in enumerate(self.rows) if len(row) <= self.place[b]]
        if short or len(self.rows) != len(self.place):
            raise DataError(
                f"got {len(self.rows)} rows with {len(self.place)} places, {len(short)} of them "
                "without a token after theirs; expected one place each, and an answer."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenRewards:
    """T-REG (2025): -weight omega sum_t beta rhat_t log pi(y_t) of both answers, omega = sigma(u_l
    - u_w), a constant. reward: rhat of each token of first and second, as
    `contrastive_token_rewards` gives it."""

    reward: Float[Array, "B 2 T1"]
    weight: float = 0.25


Term = Beside | TokenRewards


def token_reward(better: Float[Array, "*B"], worse: Float[Array, "*B"]) -> Float[Array, "*B"]:
    """rhat = sigma(log pi_ref(y_t | better prompt) - log pi_ref(y_t | worse prompt)) - 1/2."""
    return sigmoid(better - worse) - 0.5


def token_reward_loss(
    logp: Float[Array, "B 2 T *S"],
    reward: Float[Array, "B 2 T *#S"],
    utilities: Float[Array, "B 2 *S"],
    strength: float,
) -> Float[Array, " B *S"]:
    """-sigma(u_2 - u_1) sum over both answers of beta rhat_t log pi(y_t), the weight a constant:
    pairs in the right order are left alone. The winner is the first."""
    weight = stop_gradient(sigmoid(utilities[:, 1] - utilities[:, 0]))
    xp = namespace(logp)
    return -weight * strength * xp.sum(reward * logp, axis=(1, 2))


@runtime_checkable
class Told(Protocol):
    """What `direct.of_pairs` says of the pairs of a step, the likelier winner first."""

    @property
    def worth(self) -> Float[Array, "C 2 S"]: ...
    @property
    def logp(self) -> Float[Array, "C 2 T1 S"]: ...
    @property
    def is_turned(self) -> Bool[Array, " C"]: ...


def of_term(
    policies: Sequence[LanguageModel],
    term: Term,
    reference: Float[Array, "B _"] | None,
    told: Told,
    rows: Int[Array, " C"],
    strength: float,
) -> Float[Array, "C S"]:
    """What a term takes off each pair, its weight counted in."""
    if isinstance(term, TokenRewards):
        return term.weight * _of_tokens(term, told, rows, strength)
    logp, scored = _of_rows(policies, term, rows)
    if term.form == "kept" or reference is None:
        return -term.weight * logp.sum(dim=1) / scored.sum(dim=1)[:, None]
    worth = log_ratio_utility(
        logp[:, None], reference[rows, None, : logp.shape[1], None], scored[:, None],
        strength=strength,
    )[:, 0]  # fmt: skip
    return term.weight * same_worth_loss(told.worth[:, 0], worth)


def term_reference(model: LanguageModel, term: Term, num_pairs: int) -> Float[Array, "B _"] | None:
    """Log-probabilities under the model as given, where the term asks for them.

    Raises `DataError` for a term of another number of pairs.
    """
    size = len(term.reward) if isinstance(term, TokenRewards) else len(term.rows)
    if size != num_pairs:
        raise DataError(
            f"a {type(term).__name__} has {size} entries beside {num_pairs} pairs; expected one "
            "for each."
        )
    if isinstance(term, TokenRewards) or term.form == "kept":
        return None
    import torch

    width = max(map(len, term.rows)) - 1
    with torch.no_grad():
        parts = [
            torch.nn.functional.pad(logp[:, :, 0], (0, width - logp.shape[1]))
            for part in np.array_split(np.arange(size), max(1, size // 64))
            for logp, _ in [_of_rows([model], term, part)]
        ]
    return torch.cat(parts)


def told_term(term: Term) -> str:
    """Of all that a training learns from a term."""
    if isinstance(term, TokenRewards):
        return f"; {term.weight} {fingerprint([], {'reward': term.reward})}"
    rows = fingerprint([*term.rows, np.asarray(term.place).tolist()], {})
    return f"; {term.form} {term.weight} {rows}"


def contrastive_token_rewards(
    model: LanguageModel,
    first: Sequence[Sequence[int]],
    second: Sequence[Sequence[int]],
    better: Sequence[int],
    worse: Sequence[int],
) -> Float[Array, "B 2 T1"]:
    """`token_reward` of each token of both answers, by the model after a prefix that asks for a
    good answer and after one that asks for a bad one; the prefixes stand after the first token."""
    import torch

    width = max(len(row) for side in (first, second) for row in side) - 1
    like = next(iter(model.parameters.values()))
    found = like.new_zeros((len(first), 2, width))
    with torch.no_grad():
        for b in range(len(first)):
            rows = (first[b], second[b])
            told = []
            for prefix in (better, worse):
                asked = [[*row[:1], *prefix, *row[1:]] for row in rows]
                tokens = padded(asked, model.tokenizer.pad).to(like.device)
                told.append(log_probs(model, tokens).log_prob[:, len(prefix) :])
            for side, row in enumerate(rows):
                size = len(row) - 1
                good, bad = (each[side, :size] for each in told)
                found[b, side, :size] = token_reward(good, bad)
    return found


def _of_tokens(
    term: TokenRewards, told: Told, rows: Int[Array, " C"], strength: float
) -> Float[Array, "C S"]:
    import torch

    reward = term.reward[rows, :, : told.logp.shape[2], None].to(told.logp)
    reward = torch.where(told.is_turned[:, None, None, None], reward.flip(1), reward)
    return token_reward_loss(told.logp, reward, told.worth, strength)


def _of_rows(
    policies: Sequence[LanguageModel], term: Beside, rows: Int[Array, " C"]
) -> tuple[Float[Array, "C T1 S"], Bool[Array, "C T1"]]:
    """Log-probabilities of the term's rows under each policy, 0 where they are not scored."""
    import torch

    device = next(iter(policies[0].parameters.values())).device
    tokens = padded([term.rows[b] for b in rows], policies[0].tokenizer.pad).to(device)
    place = torch.from_numpy(np.asarray(term.place)[rows]).to(device)[:, None]
    at = torch.arange(1, tokens.ids.shape[1], device=device)[None, :]
    scored = tokens.is_text[:, 1:] & (at >= place)
    logp = torch.stack([log_probs(policy, tokens).log_prob for policy in policies], dim=2)
    return torch.where(scored[..., None], logp, 0.0), scored
