"""What answers, one at a time, told about part-worths: of all people, and of each by themselves.

Legend: K options, D features, M own parameters, E = K + M.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from penchant.beliefs.normal_law import NormalLaw
from penchant.beliefs.storage import load_value, save_value
from penchant.errors import BeliefError, DataError
from penchant.feedback.channel_contract import Channel
from penchant.numerics.arrays import Array

# Variance of a worth.
_LARGEST = 1e18


@dataclass(frozen=True, kw_only=True, eq=False)
class OnlineWorths:
    """A person p values option k at x_k' (w + b_p).

    law: of w and, behind it, of the own parameters of `channels`, `channel_sizes` of them each.
    apart: of b_p before any answer of theirs, perhaps of the first features alone; None where
    people do not differ. people: of b_p after their answers. prior: of `law` before any answer, to
    which it returns by `half_life`. last: when each person (None: anybody) last answered, where
    time matters. num_answers: learnt so far.
    """

    law: NormalLaw
    prior: NormalLaw
    channels: tuple[Channel, ...]
    channel_sizes: tuple[int, ...]
    apart: NormalLaw | None = None
    people: Mapping[str, NormalLaw] = field(default_factory=dict)
    half_life: float | None = None
    last: Mapping[str | None, float] = field(default_factory=dict)
    num_answers: int = 0

    @property
    def num_features(self) -> int:
        """Of options."""
        return len(self.law.mean) - sum(self.channel_sizes)

    @property
    def part_worths(self) -> Float[Array, " D"]:
        """Of all people, w."""
        return self.law.mean[: self.num_features]

    def own_parameters(self, kind: str) -> Float[Array, " M"]:
        """Of the channel that serves a kind. Raises `DataError` where none does."""
        place = self.place_of(kind)
        start = self.num_features + sum(self.channel_sizes[:place])
        return self.law.mean[start : start + self.channel_sizes[place]]

    @property
    def bar(self) -> float | None:
        """The worth that is taken half of the time, where some feedback is yes or no."""
        is_served = any(channel.kind == "binary" for channel in self.channels)
        return float(self.own_parameters("binary")[0]) if is_served else None

    def place_of(self, kind: str) -> int:
        """Which channel serves a kind of feedback. Raises `DataError` where none does."""
        for place, channel in enumerate(self.channels):
            if channel.kind == kind:
                return place
        raise DataError(
            f"feedback of kind {kind!r} came; expected one of "
            f"{[channel.kind for channel in self.channels]}. Give the learner a channel for it."
        )

    def person(self, person: str | None) -> NormalLaw | None:
        """What sets somebody apart; None for nobody in particular."""
        if self.apart is None or person is None:
            return None
        return self.people.get(person, self.apart)

    def moments(
        self, features: Float[Array, "K D"], person: str | None = None
    ) -> tuple[Float[Array, " K"], Float[Array, "K K"]]:
        """Mean and covariance of the worths of a menu. A person who never answered has the mean of
        all and the spread of people beside our doubt."""
        mean, covariance = self.joint(self.plan(features))
        own = self.person(person)
        if own is None:
            return mean, covariance
        theirs = features[:, : len(own.mean)]
        return mean + theirs @ own.mean, covariance + own.covariance_of(theirs)

    def joint(self, plan: Float[Array, "E L"]) -> tuple[Float[Array, " E"], Float[Array, "E E"]]:
        """Mean and covariance of what `plan` makes of `law`. Raises `DataError` where worths
        may be beyond 1e9: a feature in wrong units, beside which rounding hides all others."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean, covariance = plan @ self.law.mean, self.law.covariance_of(plan)
        if not np.abs(covariance).max(initial=0.0) < _LARGEST:
            raise DataError(
                f"options have features up to {np.abs(plan).max():g}; expected finite numbers of "
                "some unit size, such that worths stay below 1e9. Rescale what is large, as times "
                "in milliseconds are; fill in or leave out what is missing."
            )
        return mean, covariance

    def plan(self, features: Float[Array, "K D"], kind: str | None = None) -> Float[Array, "E L"]:
        """Worths, and below them the own parameters of a kind, as sums of what `law` speaks of.

        Raises `DataError` for another number of features.
        """
        if features.shape[1] != self.num_features:
            raise DataError(
                f"options have {features.shape[1]} features; expected {self.num_features}, in the "
                "same order."
            )
        place = None if kind is None else self.place_of(kind)
        num_own = 0 if place is None else self.channel_sizes[place]
        plan = np.zeros((len(features) + num_own, len(self.law.mean)))
        plan[: len(features), : self.num_features] = features
        start = self.num_features + sum(self.channel_sizes[:place])
        plan[len(features) + np.arange(num_own), start + np.arange(num_own)] = 1.0
        return plan

    def save(self, folder: str | Path) -> None:
        """As JSON and safetensors in a folder."""
        save_value(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "OnlineWorths":
        """What `save` wrote. Raises `BeliefError` where the folder is damaged or holds another
        kind of belief."""
        found = load_value(Path(folder))
        if not isinstance(found, cls):
            raise BeliefError(
                f"{folder} holds a {type(found).__name__}; expected what an online learner saved. "
                "A fitted belief is read by `Belief.load`."
            )
        return found
