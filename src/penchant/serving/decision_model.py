"""What a model of a decision service is: how it learns and how it decides, told as JSON."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from penchant.beliefs.named_person import Earned, PersonalWeights
from penchant.beliefs.named_weights import NamedWeights
from penchant.errors import ConfigError
from penchant.fitting.online_named import OnlineNamed, OnlineNamedConfig
from penchant.policies.bandits.named_menus import FirstPolicy, NamedPolicy
from penchant.policies.bandits.rules import (
    EpsilonGreedy,
    Greedy,
    InverseGap,
    InverseGapLoss,
    Rule,
    Softmax,
    Thompson,
    UpperConfidence,
)

_RULES: dict[str, Any] = {
    "thompson": Thompson, "inverse_gap": InverseGap, "inverse_gap_loss": InverseGapLoss,
    "upper_confidence": UpperConfidence, "epsilon_greedy": EpsilonGreedy, "softmax": Softmax,
    "greedy": Greedy,
}  # fmt: skip
_MOST_COLUMNS = 1024
# Features may be a million, so that products of two are 1e12: beyond these, squares of sums of them
# leave what numbers can hold.
_BETWEEN = {"prior_precision": (1e-6, 1e6), "noise": (1e-6, 1e6), "forgetting": (0.5, 1.0)}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """rule: how it decides, one of `policies/bandits/rules.py`; parameters: of the rule. floor:
    probability shared by all options. is_apprentice: the caller's first option is shown but for
    the floor, while the model learns. learning: how it learns. personal_spread: standard deviation
    of what a person's weights add to everybody's, in units of reward a unit of feature; 0: nobody
    has any of their own.
    """

    rule: str = "thompson"
    parameters: dict[str, float] = field(default_factory=dict)
    floor: float = 0.02
    is_apprentice: bool = False
    learning: OnlineNamedConfig = field(default_factory=OnlineNamedConfig)
    personal_spread: float = 0.0

    def __post_init__(self) -> None:
        # All that can be wrong is told when a model is made, not when it first decides.
        self.policy()
        if self.learning.most_columns > _MOST_COLUMNS:
            raise ConfigError(
                f"most_columns is {self.learning.most_columns}; expected up to {_MOST_COLUMNS}: a "
                "reward takes most_columns^2 operations."
            )
        for name, (low, high) in _BETWEEN.items():
            given = getattr(self.learning, name)
            if not low <= given <= high:
                raise ConfigError(f"{name} is {given}; expected {low:g} to {high:g}.")
        if not (self.personal_spread == 0 or 1e-6 <= self.personal_spread <= 1e6):
            raise ConfigError(
                f"personal_spread is {self.personal_spread}; expected 0, or 1e-06 to 1e+06."
            )
        if self.personal_spread and self.learning.is_binary:
            raise ConfigError(
                "personal_spread is for rewards that are numbers, and is_binary is true; expected "
                "one of both (shares of yes are learnt as numbers, too)."
            )
        OnlineNamed.empty(self.learning)

    def policy(self) -> NamedPolicy | FirstPolicy:
        """How it decides. Raises `ConfigError` for an unknown rule or parameter."""
        rule = self.model_rule()
        policy = NamedPolicy(rule=rule, floor=self.floor)
        return FirstPolicy(floor=self.floor) if self.is_apprentice else policy

    def model_rule(self) -> Rule:
        """The rule with its parameters."""
        kind = _RULES.get(self.rule)
        if kind is None:
            raise ConfigError(f"the rule is {self.rule!r}; expected one of {', '.join(_RULES)}.")
        known = [each.name for each in dataclasses.fields(kind)]
        unknown = [name for name in self.parameters if name not in known]
        if unknown:
            raise ConfigError(
                f"the rule {self.rule} has no {', '.join(unknown)}; expected "
                f"{' or '.join(known) or 'no parameters'}."
            )
        for name, given in self.parameters.items():
            if not (given == 0 or 1e-9 <= given <= 1e9):
                raise ConfigError(f"{name} is {given}; expected 0, or 1e-9 to 1e9.")
        return kind(**self.parameters)

    def belief_about(
        self, everybody: NamedWeights, earned: Sequence[Earned]
    ) -> NamedWeights | PersonalWeights:
        """What is believed of somebody who earned this; of everybody where persons have no weights
        of their own."""
        if not self.personal_spread:
            return everybody
        return PersonalWeights(everybody, earned, self.personal_spread)

    def as_json(self) -> str:
        """What `model_config` reads."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def model_config(told: str | bytes) -> ModelConfig:
    """The model that JSON describes. Raises `ConfigError` where it describes none."""
    try:
        plain = msgspec.json.decode(told)
        if isinstance(plain, dict):
            _refuse_unknown(plain)
        return msgspec.convert(plain, ModelConfig)
    except (msgspec.MsgspecError, RecursionError) as error:
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        raise ConfigError(
            f'the model cannot be used: {error}. Expected JSON such as {{"rule": "thompson"}}.'
        ) from error


def _refuse_unknown(plain: dict[str, Any]) -> None:
    for given, kind in ((plain, ModelConfig), (plain.get("learning"), OnlineNamedConfig)):
        known = [each.name for each in dataclasses.fields(kind)]
        unknown = [name for name in given if name not in known] if isinstance(given, dict) else []
        if unknown:
            raise ConfigError(
                f"a model has no {', '.join(map(str, unknown))}; expected {', '.join(known)}."
            )
