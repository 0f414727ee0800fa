"""A bandit on menus that change: options are what their features say, whoever offers them.

Legend: K options, D features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.beliefs.kinds_of_worths import KindsOfWorths
from penchant.beliefs.neural_worths import NeuralConfig, NeuralWorths
from penchant.beliefs.normal_law import DiagonalNormal, FullNormal, NormalLaw
from penchant.beliefs.online_worths import OnlineWorths
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_choice import Choice
from penchant.feedback.channel_contract import Channel
from penchant.fitting.online_answers import OnlineAnswers, nothing_known
from penchant.fitting.online_kinds import OnlineKinds, several_kinds
from penchant.fitting.online_neural import OnlineNeural, nothing_neural
from penchant.numerics.arrays import Array
from penchant.policies.bandits.answers import answer_on
from penchant.policies.bandits.joint import Grants, menu_probabilities
from penchant.policies.bandits.linear import pick
from penchant.policies.bandits.pacing import Pacing
from penchant.policies.bandits.rules import InverseGapLoss, Rule, Thompson

MenuBelief = OnlineWorths | KindsOfWorths | NeuralWorths


@dataclass(frozen=True, kw_only=True, slots=True)
class MenuBanditConfig:
    """prior_scale: standard deviation of a part-worth before any answer (utility per unit of its
    feature). person_scale: of what sets a person apart in it; 0: people do not differ. half_life:
    after how long half of what was learnt is forgotten, in units of `time` (of answers, where no
    times are given); None: never. noise: standard deviation of real rewards around worths.
    is_sparse: keep no covariances between part-worths, for thousands of features. num_kinds: of
    people; kind_scale: standard deviation of what sets a kind apart from all people. network: None
    where worths are linear in the features alone."""

    prior_scale: float = 1.0
    person_scale: float = 0.0
    half_life: float | None = None
    noise: float = 1.0
    is_sparse: bool = False
    num_kinds: int = 1
    kind_scale: float = 1.0
    network: NeuralConfig | None = None

    def __post_init__(self) -> None:
        if not 0 < self.prior_scale < np.inf or not 0 <= self.person_scale < np.inf:
            raise ConfigError(
                f"prior_scale is {self.prior_scale} and person_scale {self.person_scale}; expected "
                "numbers above 0 (person_scale 0 where people do not differ)."
            )
        if self.num_kinds < 1 or not 0 < self.kind_scale < np.inf:
            raise ConfigError(
                f"num_kinds is {self.num_kinds} and kind_scale {self.kind_scale}; expected 1 or "
                "more kinds of people, and a number above 0."
            )
        if self.num_kinds == 1 and self.kind_scale != 1.0:
            raise ConfigError(
                f"kind_scale is {self.kind_scale}, and people are of one kind; expected two kinds "
                "or more for it to say anything. Raise num_kinds (`kinds` in the shell), or "
                "leave it out."
            )
        if self.num_kinds > 1 and self.network is not None:
            raise ConfigError(
                f"num_kinds is {self.num_kinds} beside a network; expected one of the two: kinds "
                "differ in linear part-worths. Leave one out."
            )

    def prior(self, num_features: int, channels: Sequence[Channel]) -> MenuBelief:
        """What is believed before any answer."""
        apart = None if self.person_scale == 0 else self._law(num_features, self.person_scale)
        known = nothing_known(
            channels, self._law(num_features, self.prior_scale), apart=apart,
            half_life=self.half_life, noise=self.noise,
        )  # fmt: skip
        if self.num_kinds > 1:
            return several_kinds(known, self.num_kinds, self.kind_scale)
        if self.network is not None:
            return nothing_neural(known, self.network)
        return known

    def _law(self, num_features: int, scale: float) -> NormalLaw:
        mean, variance = np.zeros(num_features), np.full(num_features, scale**2)
        if self.is_sparse:
            return DiagonalNormal(mean=mean, variance=variance)
        return FullNormal(mean=mean, root=np.diag(np.sqrt(variance)))


@dataclass(frozen=True, slots=True, eq=False)
class MenuDecision:
    """What was shown, best guess first, and with what probability: all that a log needs.

    names, features, probabilities: of the whole menu, in the order it came; the probability of
    standing in front. order: places of those shown, the first in front.
    """

    names: tuple[str, ...]
    features: Float[Array, "K D"]
    probabilities: Float[Array, " K"]
    order: tuple[int, ...]
    person: str | None = None

    @property
    def ranking(self) -> tuple[str, ...]:
        """Names of those shown."""
        return tuple(self.names[k] for k in self.order)

    @property
    def probability(self) -> float:
        """Of what stands in front."""
        return float(self.probabilities[self.order[0]])


class MenuBandit:
    """Options by their features, people by name, and whatever they answer.

    decide -> people answer -> update, as late and in whatever order answers come; an answer that
    never comes teaches nothing (it is missing, not "no"). Weights are shared by all options; for
    weights of an option's own, and of options and situation together, give them features of their
    own (`penchant.encoders.hashed`), which is the disjoint and the hybrid model of Li et al.
    (2010). channels: likelihoods of the kinds of feedback that may come, such as `Choice()` for
    picks, `Ranking()`, `Pair()`, `Rating(levels=5)`, `Binary()` for clicks, `Outcome()` for real
    rewards; all teach the same part-worths. floor: the share of decisions that are any option,
    all alike: with it a log can judge other policies. exposure: the least probability of each
    option to stand in front. pacing: a budget that options with a cost are shown from. To go on
    where another stopped: its belief (in place of channels and config) and how many decisions it
    made, which some rules look at.

    Raises `ConfigError` for numbers out of range.
    """

    def __init__(
        self,
        num_features: int,
        *,
        channels: Sequence[Channel] = (Choice(),),
        rule: Rule | None = None,
        config: MenuBanditConfig | None = None,
        belief: MenuBelief | None = None,
        floor: float = 0.0,
        exposure: float = 0.0,
        pacing: Pacing | None = None,
        num_decisions: int = 0,
        random_state: int | np.random.Generator = 0,
    ) -> None:
        self.rule = rule or Thompson()
        self.grants = Grants(floor=floor, exposure=exposure)
        self.pacing = pacing
        if belief is None:
            belief = (config or MenuBanditConfig()).prior(num_features, channels)
        elif config is not None or belief.num_features != num_features:
            raise ConfigError(
                f"a belief about {belief.num_features} features was given beside num_features="
                f"{num_features} and a config; expected the same number and no config, since a "
                "belief brings its prior along."
            )
        refuse_rewards_without_ends(self.rule, belief.channels)
        self._learner = _learner(belief)
        self._generator = np.random.default_rng(random_state)
        self._step = num_decisions

    @property
    def belief_(self) -> MenuBelief:
        """What is believed now; later answers do not change it."""
        return self._learner.belief_

    @property
    def num_features(self) -> int:
        """Of every option."""
        return self._learner.num_features

    def decide(
        self,
        menu: Mapping[str, Sequence[float] | Float[Array, " D"]],
        *,
        person: str | None = None,
        slots: int = 1,
        cost: Mapping[str, float] | None = None,
        generator: np.random.Generator | None = None,
    ) -> MenuDecision:
        """Show `slots` of a menu, names to features. The option in front is drawn from the rule's
        probabilities, each further one from what is left of them; where nothing is left, the
        largest mean is next. cost: of options, 0 where none is named; it is paid from the budget of
        `pacing`, which shows one option a round. generator: of chance, in place of the bandit's
        own.

        Raises `DataError` for an empty menu, features of another number or that are not finite,
        costs without a budget or below 0, or a menu of which nothing can be paid.
        """
        names, features = tuple(menu), self._checked(menu)
        if not slots >= 1:
            raise DataError(f"slots is {slots}; expected 1 or more.")
        mean, covariance = self._learner.moments(features, person)
        costs, charge = self._costs(names, cost or {}, slots)
        self._step += 1
        probabilities = menu_probabilities(
            self.rule, mean, covariance, self._step, self._learner.bar, self.grants, charge
        )
        order = _drawn(probabilities, mean, min(slots, len(names)), generator or self._generator)
        if self.pacing is not None:
            self.pacing = self.pacing.after(float(costs[order[0]]))
        return MenuDecision(names, features, probabilities, order, person)

    def update(
        self,
        decision: MenuDecision,
        kind: str,
        value: Any,
        *,
        weight: float = 1.0,
        time: float | None = None,
    ) -> None:
        """Learn from an answer to what was shown, whenever it comes; `answers.answer_on` says what
        values each kind has.

        Raises `DataError` for names not shown, or a kind that no channel of this bandit serves.
        """
        answer = answer_on(kind, value, decision.ranking, self._learner.kinds)
        features = decision.features[list(decision.order)][answer.options]
        if answer.features is not None:
            became = self._checked({"edited": answer.features})
            features = np.concatenate([became, features])
        self._learner.learn(
            features, answer.kind, answer.values, person=decision.person, weight=weight, time=time
        )

    def forget(self, person: str) -> None:
        """Drop what sets a person apart."""
        self._learner.forget(person)

    def save(self, folder: str | Path) -> None:
        """The belief, as `beliefs.storage.load_value` reads it; give it to a new bandit as
        `belief`."""
        self.belief_.save(folder)

    def _costs(
        self, names: tuple[str, ...], cost: Mapping[str, float], slots: int
    ) -> tuple[Float[Array, " K"], Float[Array, " K"] | None]:
        """What each option costs, and what it has to earn for it."""
        costs = np.array([float(cost.get(name, 0.0)) for name in names])
        if not (np.isfinite(costs) & (costs >= 0)).all() or set(cost) - set(names):
            raise DataError(
                f"costs are {dict(cost)} for the menu {list(names)}; expected a number of 0 or "
                "more for some of its options."
            )
        if self.pacing is None:
            if costs.any():
                raise DataError(
                    f"options cost {costs.tolist()}, and there is no budget; expected a `pacing` "
                    "to pay them from (`--budget`). Name it, or leave costs out."
                )
            return costs, None
        if slots != 1:
            raise DataError(
                f"{slots} options were to be shown from a budget; expected 1: which of several "
                "shown is paid for is not known. Leave slots out."
            )
        charge = np.where(self.pacing.affordable(costs), self.pacing.price * costs, np.inf)
        return costs, charge

    def _checked(self, menu: Mapping[str, Any]) -> Float[Array, "K D"]:
        if not menu:
            raise DataError("the menu is empty; expected at least one option.")
        found = np.empty((len(menu), self.num_features))
        for k, (name, features) in enumerate(menu.items()):
            line = np.asarray(features, dtype=np.float64)
            if line.shape != (self.num_features,) or not np.isfinite(line).all():
                raise DataError(
                    f"option {name!r} has features of shape {line.shape}; expected "
                    f"{self.num_features} finite numbers."
                )
            found[k] = line
        return found


def refuse_rewards_without_ends(rule: Rule, channels: Sequence[Channel]) -> None:
    """A rule that counts in losses knows how much an option falls short of 1, the best that can be.

    Raises `ConfigError` where rewards may be any numbers.
    """
    if isinstance(rule, InverseGapLoss) and any(one.kind == "outcome" for one in channels):
        raise ConfigError(
            "the rule counts in losses, 1 less the reward, and rewards are numbers without ends; "
            "expected clicks or picks among the answers. Take `Binary` in place of `Outcome` "
            "(`--answers click`), or `InverseGap` (`--rule gap`)."
        )


def _learner(belief: MenuBelief) -> OnlineAnswers | OnlineKinds | OnlineNeural:
    if isinstance(belief, KindsOfWorths):
        return OnlineKinds(belief)
    if isinstance(belief, NeuralWorths):
        return OnlineNeural(belief)
    return OnlineAnswers(belief)


def _drawn(
    probabilities: Float[Array, " K"],
    mean: Float[Array, " K"],
    slots: int,
    generator: np.random.Generator,
) -> tuple[int, ...]:
    left, order = probabilities.copy(), list[int]()
    while len(order) < slots and left.sum() > 0:
        order.append(pick(left / left.sum(), float(generator.random())))
        left[order[-1]] = 0.0
    rest = [int(k) for k in np.argsort(-mean, kind="stable") if int(k) not in order]
    return tuple(order + rest[: slots - len(order)])
