"""What the trainer asks of a method: who gets how much credit for what was drawn.

Legend: B rows (one rollout each), N turns, U units, T1 tokens after those before them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.lm.language_model import LanguageModel
from penchant.numerics.arrays import Array
from penchant.policies.language.loss import Steer, Surrogate
from penchant.policies.language.methods.anchor import Anchor
from penchant.policies.language.ratio import ITSELF, OLD
from penchant.policies.language.rollouts import Rollouts
from penchant.simulation.tasks.task import Problem


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A batch before its update. problems: of each row. reward: NaN where there is none;
    components: what it is made of. turn_reward: of each turn, 0 after the last. log_ratio: log pi -
    log pi_reference of each drawn token, None without an anchor. value: expected from each drawn
    token on, None without one. observed: what was read before each turn, of worlds. memory: what
    the method kept from the batch before, empty at first; told: what it gathered with the batch.
    model: the policy that drew it, at `temperature`; None where nobody will ask it again.
    """

    rollouts: Rollouts
    problems: Sequence[Problem]
    reward: Float[Array, " B"]
    components: Mapping[str, Float[Array, " B"]]
    turn_reward: Float[Array, "B N"]
    log_ratio: Float[Array, "B T1"] | None = None
    value: Float[Array, "B T1"] | None = None
    observed: Sequence[Sequence[str]] = ()
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)
    told: Mapping[str, Array] = field(default_factory=dict)
    model: LanguageModel | None = None
    temperature: float = 1.0

    @property
    def is_scored(self) -> Bool[Array, " B"]:
        return np.isfinite(self.reward)


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """What the update listens to. unit_of: the credit unit of a token, -1 where it is not trained.
    advantage: of each token, a constant. target: what a value should have said there, NaN where it
    is not to learn, None without one. memory: to be kept with the run. denominator: what each row's
    ratio is against, of `ratio.denominator`; None is the policy at the start of the update. shown:
    weight of a row's -log pi, one mean over the tokens of all such rows, in place of a gain; 0
    where it is none. steer: where entropy is sought or held, None where it is left alone."""

    unit_of: Int[Array, "B T1"]
    advantage: Float[Array, "B T1"]
    target: Float[Array, "B T1"] | None = None
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)
    denominator: Int[Array, " B"] | None = None
    shown: Float[Array, " B"] | None = None
    steer: Steer | None = None

    @property
    def is_shown(self) -> Bool[Array, " B"]:
        """Rows that are imitated."""
        return np.zeros(len(self.unit_of), dtype=bool) if self.shown is None else self.shown > 0.0

    @property
    def kind(self) -> Int[Array, " B"]:
        """Of each row's denominator; what is imitated is its own, a ratio of 1."""
        given = np.full(len(self.unit_of), OLD) if self.denominator is None else self.denominator
        return np.where(self.is_shown, ITSELF, given)

    @property
    def credit(self) -> Float[Array, "B T1"]:
        """The advantage; 1 where a row is imitated, whose gradient is then that of its log pi."""
        return np.where(self.is_shown[:, None], 1.0, self.advantage)


@runtime_checkable
class PolicyMethod(Protocol):
    """surrogate: what of the ratio counts. most_weight: bound on the sampler's correction, None
    without. anchor: a divergence from the start. smallest_group: responses to a prompt that it
    needs. value_weight: of a value's squared error beside the gain, 0 without a value."""

    @property
    def surrogate(self) -> Surrogate: ...
    @property
    def most_weight(self) -> float | None: ...
    @property
    def anchor(self) -> Anchor | None: ...
    @property
    def smallest_group(self) -> int: ...
    @property
    def value_weight(self) -> float: ...

    def heard(self, seen: Seen) -> Heard:
        """Credit for a batch."""
        ...

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A method whose optimiser may begin anew with every batch."""

    @property
    def begins_anew(self) -> bool: ...


class OnMethod:
    """What a method that hears or gathers in its own way takes over from its `base`: loss, bounds,
    anchor, value and the weights of tokens."""

    __slots__ = ()
    base: PolicyMethod

    @property
    def surrogate(self) -> Surrogate:
        return self.base.surrogate

    @property
    def most_weight(self) -> float | None:
        return self.base.most_weight

    @property
    def anchor(self) -> Anchor | None:
        return self.base.anchor

    @property
    def smallest_group(self) -> int:
        return self.base.smallest_group

    @property
    def value_weight(self) -> float:
        return self.base.value_weight

    def token_scale(
        self, unit_of: Int[Array, "B T1"], group: Int[Array, " B"]
    ) -> Float[Array, "B T1"]:
        """Each token's weight, of a whole mini-batch."""
        return self.base.token_scale(unit_of, group)


def rows_as_units(seen: Seen) -> Int[Array, "B T1"]:
    """A whole rollout is one unit; those without a reward are none."""
    own = np.arange(len(seen.rollouts))[:, None]
    return np.where(seen.rollouts.is_drawn & seen.is_scored[:, None], own, -1)


def turns_as_units(
    seen: Seen,
) -> tuple[Int[Array, "B T1"], Int[Array, " U"], Int[Array, " U"]]:
    """Each turn of each rollout that has a reward is one unit; which row and turn each is."""
    turn_of, num_turns = seen.rollouts.turn_of, seen.turn_reward.shape[1]
    is_trained = (turn_of >= 0) & seen.is_scored[:, None]
    own = np.arange(len(seen.rollouts))[:, None] * num_turns + turn_of
    units, place = np.unique(own[is_trained], return_inverse=True)
    unit_of = np.full(turn_of.shape, -1)
    unit_of[is_trained] = place
    row, turn = np.divmod(units, num_turns)
    return unit_of, row, turn


def known_entropy(seen: Seen) -> Float[Array, "B T1"]:
    """Nats of what each token was drawn from, 0 where none was.

    Raises `ConfigError` where it is not known, as of a server's draws: not a number is above no
    bound and below none, so that a method would keep or drop tokens at nobody's will.
    """
    rollouts = seen.rollouts
    entropy = np.where(rollouts.is_drawn, rollouts.entropy.double().cpu().numpy(), 0.0)
    if np.isnan(entropy).any():
        raise ConfigError(
            f"the entropy of {np.isnan(entropy).sum()} of {rollouts.is_drawn.sum()} drawn tokens "
            "is not known, since a server does not tell it; expected it of all. Draw from the "
            "local model, or take a method that does not ask for it, such as grpo."
        )
    return entropy


def summed_log_ratio(seen: Seen) -> Float[Array, " B"] | None:
    """log pi - log pi_reference of each response."""
    return None if seen.log_ratio is None else seen.log_ratio.sum(axis=1)
