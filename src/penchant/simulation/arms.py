"""Arms whose truth is known: what each pays in a context, and what is paid when it is played.

Legend: T rounds, A arms, D features, C classes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from penchant.numerics.arrays import Array, sigmoid


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmsWorld:
    """contexts: one a round. expected: what each arm pays there on average. paid: what it pays in
    that round, drawn beforehand for all, so that every policy meets the same chance."""

    contexts: Float[Array, "T D"]
    expected: Float[Array, "T A"]
    paid: Float[Array, "T A"]


def bernoulli_arms(
    probability: Float[Array, " A"], num_rounds: int, rng: np.random.Generator
) -> ArmsWorld:
    """Arms that pay 1 or 0 whatever the context, which is a lone 1."""
    expected = np.broadcast_to(probability, (num_rounds, len(probability)))
    return ArmsWorld(
        contexts=np.ones((num_rounds, 1)),
        expected=expected,
        paid=(rng.random(expected.shape) < expected).astype(np.float64),
    )


def linear_arms(
    num_arms: int,
    num_features: int,
    num_rounds: int,
    rng: np.random.Generator,
    *,
    noise: float = 0.1,
    law: Literal["normal", "binary"] = "normal",
) -> ArmsWorld:
    """Weights normal with variance 1 / D, contexts standard normal.

    law: pays x' w plus normal noise, or 1 with log-odds 4 x' w.
    """
    weights = rng.normal(size=(num_arms, num_features)) / np.sqrt(num_features)
    contexts = rng.normal(size=(num_rounds, num_features))
    worth = contexts @ weights.T
    if law == "normal":
        paid = worth + noise * rng.normal(size=worth.shape)
        return ArmsWorld(contexts=contexts, expected=worth, paid=paid)
    expected = sigmoid(4.0 * worth)
    paid = (rng.random(worth.shape) < expected).astype(np.float64)
    return ArmsWorld(contexts=contexts, expected=expected, paid=paid)


def labelled_arms(
    num_arms: int,
    num_features: int,
    num_rounds: int,
    rng: np.random.Generator,
    *,
    spread: float = 1.0,
    centre_scale: float = 1.0,
) -> ArmsWorld:
    """Classification as a bandit: the arm named like the class pays 1, every other 0.

    Classes lie around centres of normal coordinates (standard deviation `centre_scale`), each with
    normal `spread`; a 1 is added as the last feature. The smaller the spread, the smaller the loss
    of the best policy.
    """
    centres = centre_scale * rng.normal(size=(num_arms, num_features - 1))
    label = rng.integers(num_arms, size=num_rounds)
    place = centres[label] + spread * rng.normal(size=(num_rounds, num_features - 1))
    paid = np.eye(num_arms)[label]
    contexts = np.concatenate([place, np.ones((num_rounds, 1))], axis=1)
    return ArmsWorld(contexts=contexts, expected=paid, paid=paid)


def class_arms(
    table: Float[Array, "C A"],
    num_rounds: int,
    rng: np.random.Generator,
    *,
    spread: float = 0.1,
) -> ArmsWorld:
    """Kinds of people, each with an arm of their own; pays 1 or 0, linear in the context.

    Contexts lie around as many unit vectors as there are classes, all equally frequent, with normal
    `spread`; arm a pays x' table[:, a] on average (0 to 1), which is table[c, a] in the middle of
    class c.
    """
    label = rng.integers(len(table), size=num_rounds)
    contexts = np.eye(len(table))[label] + spread * rng.normal(size=(num_rounds, len(table)))
    expected = np.clip(contexts @ table, 0.0, 1.0)
    paid = (rng.random(expected.shape) < expected).astype(np.float64)
    return ArmsWorld(contexts=contexts, expected=expected, paid=paid)
