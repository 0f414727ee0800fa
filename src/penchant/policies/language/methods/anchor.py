"""How a policy is held near where it began."""

from dataclasses import dataclass
from typing import Literal

from penchant.errors import ConfigError
from penchant.policies.language.divergence import Estimator


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchor:
    """A divergence from a frozen reference. strength: units of reward a nat of divergence.

    place: "reward", the summed log-ratio (k1) off each response's reward, whose gradient is that of
    the divergence; or "loss", `estimator` token by token ("k2" or "k3"; None is k3, GRPO's; see
    `divergence.py` for what that is). is_weighed: in the loss, each token's estimate times its
    ratio to what drew it, through which the gradient goes: of k3 then exactly that of KL(pi ||
    reference) of the token, after the policy has moved too (TRL 1.16's default).
    """

    strength: float
    place: Literal["reward", "loss"]
    estimator: Estimator | None = None
    is_weighed: bool = False

    def __post_init__(self) -> None:
        if self.strength < 0.0:
            raise ConfigError(
                f"got strength={self.strength}; expected 0 or more, or the policy would be driven "
                "away from its reference."
            )
        if self.estimator not in ((None, "k1") if self.place == "reward" else (None, "k2", "k3")):
            raise ConfigError(
                f"got estimator={self.estimator!r} in the {self.place}; expected k1 in a reward, "
                "and k2 or k3 in a loss, where the gradient of k1 is zero on average."
            )
        if self.is_weighed and self.place == "reward":
            raise ConfigError(
                "got is_weighed=True for an anchor in the reward, which knows no ratio; expected "
                'place="loss", or False.'
            )


def check_in_loss(anchor: Anchor | None) -> None:
    """Raises `ConfigError` for an anchor in the reward of a method whose credit is of no reward
    that a whole response has."""
    if anchor is not None and anchor.place == "reward":
        raise ConfigError(
            "got an anchor in the reward for a method that gives credit otherwise and would not "
            'heed it; expected place="loss", or None.'
        )
