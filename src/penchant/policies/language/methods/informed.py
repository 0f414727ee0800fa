"""Turns earn what they tell: how much each raised the policy's own probability of the true answer.

Legend: B rows (one episode each), N turns, U turns of all rows, T1 tokens after those before them.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError, DataError
from penchant.lm.log_probs import log_probs
from penchant.lm.tokens import padded
from penchant.numerics.arrays import Array
from penchant.policies.language.aggregation import Mean, token_scale
from penchant.policies.language.credit import advantage, group_deviation, group_mean
from penchant.policies.language.loss import Surrogate, to_tokens
from penchant.policies.language.methods.anchor import Anchor, check_in_loss
from penchant.policies.language.methods.method import Heard, Seen
from penchant.policies.language.returns import return_to_go
from penchant.utilities.response_rewards import information_gain

# Turns whose true answers are read at a time.
_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class InformationGain:
    """IGPO (2025): a turn earns the rise of p(true answer | what was read so far) that it brought,
    the last one the episode's reward.

    of: "probability" (the released one, bounded by 1) or "log", both of the mean log-probability a
    token. weight: of gains beside the reward. order: "summed_first" (ours), gains and rewards
    scaled within the group, summed to returns, then less the others' at the same turn;
    "centred_first" (as published), each less its group's mean before they are summed, which makes
    the baseline depend on when the policy stops. is_scaled: division by the group's deviations,
    biased. With weight 0 and unscaled it is `TurnWise` on the reward of the end.
    """

    of: Literal["probability", "log"] = "probability"
    weight: float = 1.0
    order: Literal["summed_first", "centred_first"] = "summed_first"
    is_scaled: bool = True
    discount: float = 1.0
    surrogate: Surrogate = field(default_factory=Surrogate)
    mean: Mean = "token"
    most_weight: float | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        check_in_loss(self.anchor)
        if self.weight < 0.0 or not 0.0 <= self.discount <= 1.0:
            raise ConfigError(
                f"got weight={self.weight} and discount={self.discount}; expected 0 or more, and "
                "a discount from 0 to 1."
            )

    @property
    def smallest_group(self) -> int:
        return 2

    @property
    def value_weight(self) -> float:
        return 0.0

    def heard(self, seen: Seen) -> Heard:
        turn_of, num_turns = seen.rollouts.turn_of, seen.turn_reward.shape[1]
        is_trained = (turn_of >= 0) & seen.is_scored[:, None]
        own = np.arange(len(turn_of))[:, None] * num_turns + turn_of
        units, place = np.unique(own[is_trained], return_inverse=True)
        unit_of = np.full(turn_of.shape, -1)
        unit_of[is_trained] = place
        row, turn = np.divmod(units, num_turns)
        gain = np.zeros((len(turn_of), num_turns))
        if self.weight > 0.0:
            gain = turn_gains(seen, is_logarithmic=self.of == "log")
        is_last = np.append(row[1:] != row[:-1], True) if len(row) else np.zeros(0, dtype=bool)
        credit = self.credit(
            np.where(is_last, 0.0, gain[row, turn]), np.where(is_last, seen.reward[row], 0.0),
            seen.rollouts.prompt_of[row], row, turn, is_last,
        )  # fmt: skip
        return Heard(unit_of=unit_of, advantage=to_tokens(credit, unit_of))

    def credit(
        self,
        gain: Float[Array, " U"],
        reward: Float[Array, " U"],
        group: Int[Array, " U"],
        row: Int[Array, " U"],
        turn: Int[Array, " U"],
        is_last: Bool[Array, " U"],
    ) -> Float[Array, " U"]:
        """The advantage of each turn from gains (0 at the last) and rewards (0 before it)."""
        centres = self.order == "centred_first"
        told = self._scaled(gain, group, ~is_last, centres)
        won = self._scaled(reward, group, is_last, centres)
        returns = return_to_go(self.weight * told + won, row, turn, self.discount)
        if centres:
            return returns
        key, everyone = group * (int(turn.max(initial=0)) + 1) + turn, np.ones(len(row), dtype=bool)
        return advantage(returns, key, row, everyone).advantage

    def _scaled(
        self, earned: Float[Array, " U"], group: Int[Array, " U"], counted: Bool[Array, " U"],
        centres: bool,
    ) -> Float[Array, " U"]:  # fmt: skip
        apart = earned - group_mean(earned, group, counted) if centres else earned
        if self.is_scaled:
            deviation = group_deviation(earned, group, counted)
            apart = apart / np.where(deviation > 1e-8, deviation, 1.0)
        return np.where(counted, apart, 0.0)

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return token_scale(unit_of, self.mean, group_of=group)


def turn_gains(seen: Seen, *, is_logarithmic: bool = False) -> Float[Array, "B N"]:
    """By how much each turn raised the mean log-probability a token of the true answer, or its
    exponential; 0 at an episode's last turn and behind it, where nothing is read any more.

    Raises `DataError` where an episode has no true answer.
    """
    import torch

    model, rollouts = seen.model, seen.rollouts
    assert model is not None, "the trainer gives the policy that drew the batch"
    truth = [problem.demonstration for problem in seen.problems]
    if not all(truth):
        raise DataError(
            f"episode {truth.index('')} has no true answer, whose probability turns could raise; "
            "expected a world that knows one, such as LOOK."
        )
    ids, turn_of = rollouts.tokens.ids.cpu().numpy(), rollouts.turn_of
    num_turns = seen.turn_reward.shape[1]
    places = [(b, t, int(np.argmax(turn_of[b] == t))) for b in range(len(ids))
              for t in range(num_turns) if (turn_of[b] == t).any()]  # fmt: skip
    told = [model.tokenizer.encode(text) for text in truth]
    said = np.full((len(ids), num_turns), np.nan)
    for first in range(0, len(places), _AT_ONCE):
        part = places[first : first + _AT_ONCE]
        rows = [[*ids[b, : at + 1].tolist(), *told[b]] for b, _, at in part]
        tokens = padded(rows, model.tokenizer.pad)
        with torch.no_grad():
            found = log_probs(model, tokens.to(rollouts.log_prob.device),
                              temperature=seen.temperature).log_prob  # fmt: skip
        for (b, t, at), line in zip(part, found.double().cpu().numpy()):
            said[b, t] = line[at : at + len(told[b])].mean()
    worth = said if is_logarithmic else np.exp(said)
    gain = information_gain(worth)
    return np.nan_to_num(np.pad(gain, ((0, 0), (0, 1)), constant_values=0.0))
