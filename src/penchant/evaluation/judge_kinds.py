"""The kinds of judges that a reward model tells apart: how many are of each, and where they part.

Kinds part in pairs, not in texts: what is written to different prompts is worth more or less to
everybody.

Legend: S kinds, F features of the second stage, D of them told of a text, R pairs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.data.records import Records
from penchant.encoders.reward import RewardEncoder
from penchant.encoders.reward_pairs import read_pairs
from penchant.evaluation.reward_examples import EXCERPT
from penchant.models.reward_model import RewardModel
from penchant.numerics.arrays import Array, sigmoid
from penchant.numerics.names import excerpt
from penchant.populations.classes import Classes
from penchant.populations.normal import Normal
from penchant.populations.prototypes import Prototypes

_EXAMPLES = 4


@dataclass(frozen=True, kw_only=True)
class JudgeKind:
    """name: as in the table of the fit. share: of judges, NaN where they are mixes of kinds or lie
    between them. weights: what one unit of each feature counts for with this kind, in logits."""

    name: str
    share: float
    weights: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class PartingPair:
    """A pair on which kinds part. said: of each kind the probability of preferring the first, of
    those who prefer one, whichever is shown first."""

    first: str
    second: str
    said: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class JudgeKinds:
    """people: "classes", "prototypes" or "latent". apart: the share of pairs on which two kinds
    would prefer different texts, over all two kinds of them."""

    people: str
    features: tuple[str, ...]
    kinds: tuple[JudgeKind, ...]
    apart: float
    pairs: tuple[PartingPair, ...]


def judge_kinds(model: RewardModel, records: Records) -> JudgeKinds | None:
    """The kinds of a fitted model and the pairs of these records on which they part most; None
    where judges are not told apart by what texts say, or could not be.

    Of classes and prototypes these themselves; of latent tastes, judges one standard deviation to
    either side of the average along each direction.
    """
    belief, encoder = model.belief_, model.belief_.encoder
    found = _kinds(belief, encoder) if isinstance(encoder, RewardEncoder) else None
    if found is None or not isinstance(encoder, RewardEncoder):
        return None
    people, kinds = found
    pairs = read_pairs(records, encoder.embedding)
    seen = encoder.look(pairs.embedded)
    of_text = np.column_stack([seen.rewards, seen.form])
    weights = np.array([kind.weights for kind in kinds])[:, : of_text.shape[1]]
    gap = (of_text[pairs.first] - of_text[pairs.second]) @ weights.T
    said = sigmoid(gap)
    texts = pairs.embedded.texts
    shown: dict[tuple[int, int], PartingPair] = {}
    for row in np.argsort(np.min(said, axis=1) - np.max(said, axis=1), kind="stable").tolist():
        first, second = int(pairs.first[row]), int(pairs.second[row])
        if len(shown) == _EXAMPLES:
            break
        shown.setdefault(
            (min(first, second), max(first, second)),
            PartingPair(
                first=excerpt(texts[first], EXCERPT), second=excerpt(texts[second], EXCERPT),
                said=tuple(said[row].tolist()),
            ),
        )  # fmt: skip
    return JudgeKinds(
        people=people, features=encoder.feature_names, kinds=kinds, apart=_apart(gap, people),
        pairs=tuple(shown.values()),
    )  # fmt: skip


def _kinds(belief: Belief, encoder: RewardEncoder) -> tuple[str, tuple[JudgeKind, ...]] | None:
    population, theta = belief.population, belief.population_theta
    if encoder.tastes is None:
        return None
    if isinstance(population, Normal):
        return "latent", _ends(belief, population, encoder)
    if isinstance(population, Classes):
        everybody = population.tastes(theta, np.zeros((1, 0)))
        shares = np.exp(everybody.log_weights[0])
        return "classes", _named("class", everybody.values[0], shares)
    if isinstance(population, Prototypes):
        values = theta.reshape(population.num_prototypes, -1)
        return "prototypes", _named("prototype", values, np.full(len(values), np.nan))
    return None


def _named(
    word: str, values: Float[Array, "S F"], shares: Float[Array, " S"]
) -> tuple[JudgeKind, ...]:
    return tuple(
        JudgeKind(name=f"{word} {place + 1}", share=float(share), weights=tuple(value.tolist()))
        for place, (value, share) in enumerate(zip(values, shares))
    )


def _ends(belief: Belief, population: Normal, encoder: RewardEncoder) -> tuple[JudgeKind, ...]:
    """Judges a standard deviation up and down each direction, all else as it goes with it."""
    theta = belief.population_theta
    mean = population.tastes(theta, np.zeros((1, 0))).mean()[0]
    covariance = population.taste_covariance(theta)
    made = []
    for name in encoder.taste_names:
        place = encoder.feature_names.index(name)
        step = covariance[:, place] / np.sqrt(max(covariance[place, place], 1e-12))
        for side, sign in (("up", 1.0), ("down", -1.0)):
            made.append(
                JudgeKind(
                    name=f"{name}, {side}", share=float("nan"),
                    weights=tuple((mean + sign * step).tolist()),
                )
            )  # fmt: skip
    return tuple(made)


def _apart(gap: Float[Array, "R S"], people: str) -> float:
    """How often two kinds prefer different texts; of latent tastes, the two ends of each."""
    num = gap.shape[1]
    two = (
        [(at, at + 1) for at in range(0, num, 2)]
        if people == "latent"
        else [(one, other) for one in range(num) for other in range(one)]
    )
    return float(np.mean([(gap[:, one] > 0) != (gap[:, other] > 0) for one, other in two]))
