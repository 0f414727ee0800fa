"""A small reward network on embeddings, or an ensemble of them: two layers, pairs in mini-batches.

Plain NumPy: some tens of features and a few thousand pairs take seconds, and nothing needs torch.
It is a learner of `sgd.py`, whose loop brings order, schedule, early stopping and checkpoints.

Legend: N texts, D dimensions, W width of the hidden layer, H members of the ensemble, B pairs, C
pairs of one step, R rows of texts, O outputs of a policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.feedback.contrastive import contrast_score
from penchant.feedback.corrupted_pair import soft_log_prob, soft_score
from penchant.feedback.spread import spread_score
from penchant.fitting.adam import AdamConfig, AdamMemory, adam_step
from penchant.fitting.sgd import State, TrainConfig, Training, train
from penchant.numerics.arrays import Array
from penchant.utilities.reward_head import reward, units


@dataclass(frozen=True, kw_only=True, eq=False)
class SoftPairs:
    """B pairs of N embedded texts, winner first as the label has it. target: how sure the label is,
    0 to 1; margin: log-odds by which the winner has to win; weight: of each pair, for each
    member (zero leaves it out of that member's bootstrap)."""

    features: Float[Array, "N D"]
    winner: Int[Array, " B"]
    loser: Int[Array, " B"]
    target: Float[Array, " B"]
    margin: Float[Array, " B"]
    weight: Float[Array, "H B"]

    @classmethod
    def plain(
        cls,
        features: Float[Array, "N D"],
        winner: Int[Array, " B"],
        loser: Int[Array, " B"],
        members: int = 1,
        rng: np.random.Generator | None = None,
    ) -> "SoftPairs":
        """Labels as they are; with a generator, a bootstrap (Poisson weights) for each member."""
        size = (members, len(winner))
        weight = np.ones(size) if rng is None else rng.poisson(1.0, size).astype(float)
        return cls(
            features=features, winner=winner, loser=loser, target=np.ones(len(winner)),
            margin=np.zeros(len(winner)), weight=weight,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """A term that keeps the texts of a step apart in the hidden units (Wang et al. 2024; dropout
    views of Gao et al. 2021). weight: of it beside the pairs; dropout: share of units that a view
    leaves out; temperature: of cosines."""

    weight: float = 0.1
    dropout: float = 0.1
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if not (self.weight > 0 and self.temperature > 0 and 0 < self.dropout < 1):
            raise ConfigError(
                f"got weight={self.weight}, temperature={self.temperature} and dropout="
                f"{self.dropout}; expected positive ones, and a share between 0 and 1. Leave the "
                "contrast out for none."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class MetaStep:
    """The slope of the labels is taken where one step of ascent on the spread of a policy's fresh
    outputs would lead, and the step from where one stood (MetaRM: Dou et al. 2024, in Wang et al.
    2024; of first order, as theirs). rate: of the ascent; outputs: drawn for each step. Theirs are
    the answers to one prompt; ours are drawn from all that is shown, so that a network may also
    learn to put prompts apart: show texts whose worths can be compared."""

    rate: float = 0.1
    outputs: int = 32

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.outputs >= 2):
            raise ConfigError(
                f"got rate={self.rate} and outputs={self.outputs}; expected a positive rate and "
                "two outputs or more. Leave the meta step out for none."
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class RewardNetworkConfig:
    """width: hidden units; 0 is a linear head. adam: weight_decay acts on the layers' weights.
    contrast: of hidden units; meta: for a policy that has moved on; None without."""

    width: int = 64
    adam: AdamConfig = field(default_factory=AdamConfig)
    contrast: Contrast | None = None
    meta: MetaStep | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width == 0 and self.contrast is not None:
            raise ConfigError(
                "got a contrast with width=0: a linear head has no hidden units to keep apart. "
                "Leave the contrast out, or give the network a width."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class RewardNetworks:
    """H networks r(f) = silu(f A + b) w, or f w where there is no hidden layer."""

    parameters: Mapping[str, Array]

    def rewards(self, features: Float[Array, "R D"]) -> Float[Array, "H R"]:
        """What each member thinks each text is worth; differences count."""
        return _forward(self.parameters, features)[0]


def fit_reward_networks(
    pairs: SoftPairs,
    config: RewardNetworkConfig,
    training: TrainConfig,
    held_out: Int[Array, " M"] | None = None,
    fresh: Float[Array, "O D"] | None = None,
) -> tuple[RewardNetworks, Training]:
    """Maximise sum_b weight_b (t log sigmoid(gap - m) + (1 - t) log sigmoid(m - gap)) by Adam.

    A two-layer head with SiLU is what an ablation of reward models found best (Zhang et al. 2025,
    BaseReward); they found no penalty of use beside it. `held_out`: pairs for early stopping; none
    trains to the last epoch. Members share the order of the pairs and differ in start and weights.
    `fresh`: what the policy writes now, embedded, without labels, for `config.meta`.

    Raises `DataError` for features that are not finite and for fewer than two fresh outputs,
    `ConfigError` for fresh outputs without a meta step or the other way round.
    """
    if (fresh is None) != (config.meta is None):
        raise ConfigError(
            "a meta step and the policy's fresh outputs belong together; got one without the other."
            " Set both `meta` and `fresh`, or neither."
        )
    if not all(np.all(np.isfinite(each)) for each in (pairs.features, fresh) if each is not None):
        raise DataError("the features are not all finite numbers; expected so. Drop such texts.")
    if fresh is not None and len(fresh) < 2:
        raise DataError(
            f"got {len(fresh)} fresh outputs; expected two or more, which a meta step puts apart. "
            "Show more, or leave it out."
        )
    held_out = np.zeros(0, dtype=np.int64) if held_out is None else held_out
    learner = _Learner(pairs, config, fresh)
    mine = np.setdiff1d(np.arange(len(pairs.winner)), held_out)
    done = train(learner, mine, held_out, training)
    return RewardNetworks(parameters=learner.parameters), done


class _Learner:
    """Implements `sgd.Learner`."""

    def __init__(
        self,
        pairs: SoftPairs,
        config: RewardNetworkConfig,
        fresh: Float[Array, "O D"] | None = None,
    ) -> None:
        self.pairs, self.config, self.fresh = pairs, config, fresh
        rng = np.random.default_rng(config.seed)
        members, size = len(pairs.weight), pairs.features.shape[1]
        if config.width == 0:
            self.parameters: dict[str, Array] = {"out": np.zeros((members, size))}
        else:
            self.parameters = {
                "hidden": rng.normal(size=(members, size, config.width)) / np.sqrt(size),
                "bias": np.zeros((members, 1, config.width)),
                "out": rng.normal(size=(members, config.width)) / np.sqrt(config.width),
            }
        self.memory = AdamMemory.fresh(self.parameters)

    def step(self, examples: Int[Array, " C"], learning_rate: float) -> float:
        # By seed and step, so that a training that is taken up draws the same views.
        rng = np.random.default_rng((self.config.seed, self.memory.steps))
        place: Mapping[str, Array] = self.parameters
        if self.config.meta is not None:
            assert self.fresh is not None
            shown = rng.integers(len(self.fresh), size=self.config.meta.outputs)
            place = _after_ascent(place, self.fresh[shown], self.config.meta.rate)
        value, gradients = _gradients(place, self.pairs, examples, self.config.contrast, rng)
        self.parameters, self.memory = adam_step(
            self.parameters, gradients, self.memory, learning_rate, self.config.adam,
            decayed=frozenset({"hidden", "out"}),
        )  # fmt: skip
        return value

    def evaluate(self, examples: Int[Array, " C"]) -> float:
        pairs = self.pairs
        winner = _forward(self.parameters, pairs.features[pairs.winner[examples]])[0]
        loser = _forward(self.parameters, pairs.features[pairs.loser[examples]])[0]
        gap = winner - loser - pairs.margin[examples]
        return float(soft_log_prob(gap, pairs.target[examples]).mean())

    def state(self) -> State:
        kept = {f"parameters/{name}": value for name, value in self.parameters.items()}
        kept |= {f"mean/{name}": value for name, value in self.memory.mean.items()}
        kept |= {f"square/{name}": value for name, value in self.memory.square.items()}
        return kept | {"steps": np.array(self.memory.steps)}

    def restore(self, state: State) -> None:
        def part(of: str) -> dict[str, Array]:
            return {name: np.array(state[f"{of}/{name}"]) for name in self.parameters}

        steps = int(state["steps"])
        self.memory = AdamMemory(mean=part("mean"), square=part("square"), steps=steps)
        self.parameters = part("parameters")


def _forward(
    parameters: Mapping[str, Array], features: Float[Array, "R D"]
) -> tuple[Float[Array, "H R"], tuple[Array, ...]]:
    """Rewards, and what the way back needs: opening and outputs of the hidden units."""
    if "hidden" not in parameters:
        return reward(parameters, features), ()
    opening, outputs = units(parameters, features)
    return reward({"out": parameters["out"]}, outputs), (opening, outputs)


def _gradients(
    parameters: Mapping[str, Array], pairs: SoftPairs, examples: Int[Array, " C"],
    contrast: Contrast | None = None, rng: np.random.Generator | None = None,
) -> tuple[float, dict[str, Array]]:  # fmt: skip
    """The mean log-probability of the labels, and the gradient of minus it for each member, of the
    contrast's too."""
    rows = np.concatenate([pairs.winner[examples], pairs.loser[examples]])
    features, size = pairs.features[rows], len(examples)
    rewards, kept = _forward(parameters, features)
    gap = rewards[:, :size] - rewards[:, size:] - pairs.margin[examples]
    target, weight = pairs.target[examples], pairs.weight[:, examples]
    slope = -weight * soft_score(gap, target) / size
    pull = np.concatenate([slope, -slope], axis=1)
    value = float((weight * soft_log_prob(gap, target)).mean())
    push = None
    if contrast is not None:
        assert rng is not None
        push = -contrast.weight * _apart(kept[1], contrast, rng) / len(rows)
    return value, _back(parameters, features, kept, pull, push)


def _back(
    parameters: Mapping[str, Array], features: Float[Array, "R D"], kept: tuple[Array, ...],
    pull: Float[Array, "H R"], push: Float[Array, "H R W"] | None = None,
) -> dict[str, Array]:  # fmt: skip
    """From slopes by the rewards, and by the outputs of the hidden units, to the parameters'."""
    if not kept:
        return {"out": pull @ features}
    opening, outputs = kept
    inward = pull[:, :, None] * parameters["out"][:, None, :]
    inward = (inward if push is None else inward + push) * (opening + outputs * (1.0 - opening))
    return {
        "hidden": features.T @ inward,
        "bias": inward.sum(axis=1, keepdims=True),
        "out": np.einsum("hr,hrw->hw", pull, outputs),
    }


def _after_ascent(
    parameters: Mapping[str, Array], fresh: Float[Array, "R D"], rate: float
) -> dict[str, Array]:
    """Where one step leads that puts these outputs farther apart."""
    rewards, kept = _forward(parameters, fresh)
    slopes = _back(parameters, fresh, kept, spread_score(rewards))
    return {name: value + rate * slopes[name] for name, value in parameters.items()}


def _apart(
    outputs: Float[Array, "H R W"], contrast: Contrast, rng: np.random.Generator
) -> Float[Array, "H R W"]:
    """The slope of the contrast's log-probabilities by the outputs of the hidden units."""
    kept = [(rng.random(outputs.shape[1:]) >= contrast.dropout) / (1.0 - contrast.dropout)
            for _ in range(2)]  # fmt: skip
    slopes = contrast_score(outputs * kept[0], outputs * kept[1], contrast.temperature)
    return slopes[0] * kept[0] + slopes[1] * kept[1]


def relabelled(
    pairs: SoftPairs,
    *,
    target: Float[Array, " B"] | None = None,
    margin: Float[Array, " B"] | None = None,
    keep: Float[Array, " B"] | None = None,
) -> SoftPairs:
    """The same pairs with other targets or margins, or weighed by how far they are kept."""
    return replace(
        pairs,
        target=pairs.target if target is None else target,
        margin=pairs.margin if margin is None else margin,
        weight=pairs.weight if keep is None else pairs.weight * keep,
    )
