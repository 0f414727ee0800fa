"""People of a few known tastes who judge pairs of embedded options: truth for reward models.

Legend: B pairs, D dimensions, G people, Q context features, S kinds of people.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.fitting.head_pairs import HeadPairs
from penchant.numerics.arrays import Array, add_rows, log_sigmoid, sigmoid, softmax


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPairs:
    """differences: first less second; answer: 0 where the first was preferred, 1 the second;
    person: whose, in order; context: of each person; kind: which taste each has; gap: the truth,
    first's worth less second's, in logits."""

    differences: Float[Array, "B D"]
    answer: Int[Array, " B"]
    person: Int[Array, " B"]
    context: Float[Array, "G Q"]
    kind: Int[Array, " G"]
    gap: Float[Array, " B"]

    def pairs(self) -> HeadPairs:
        """As fits of reward heads take them; whose they are and the context go beside."""
        return HeadPairs(
            features=self.differences.astype(np.float32),
            first=np.arange(len(self.answer)),
            second=None,
            answer=self.answer,
            weight=np.ones(len(self.answer)),
        )


def two_tastes(angle: float, dims: int, size: float = 3.0) -> Float[Array, "S D"]:
    """Two tastes at an angle (radians; pi for opposite ones), each `size` logits long."""
    tastes = np.zeros((2, dims))
    tastes[0, 0], tastes[1, :2] = size, (size * np.cos(angle), size * np.sin(angle))
    return tastes


def judge_pairs(
    tastes: Float[Array, "S D"],
    num_people: int,
    num_each: int,
    rng: np.random.Generator,
    num_context: int = 5,
) -> JudgedPairs:
    """People of equally many kinds judge pairs by Bradley and Terry's (1952) model.

    Standard normal differences and context, independent; somebody is of the kind whose place the
    first context feature says: its sign for two kinds, its quantile for more. Who withholds the
    context has people whose kind nothing but their answers tells.
    """
    context = rng.normal(size=(num_people, num_context))
    quantiles = np.quantile(context[:, 0], np.arange(1, len(tastes)) / len(tastes))
    kind = (
        (context[:, 0] > 0).astype(int)
        if len(tastes) == 2
        else np.searchsorted(quantiles, context[:, 0])
    )
    person = np.repeat(np.arange(num_people), num_each)
    differences = rng.normal(size=(len(person), tastes.shape[1]))
    gap = (differences * tastes[kind[person]]).sum(axis=1)
    return JudgedPairs(
        differences=differences,
        answer=(rng.random(len(gap)) > sigmoid(gap)).astype(np.int64),
        person=person,
        context=context,
        kind=kind,
        gap=gap,
    )


def foretold_by_kinds(
    tastes: Float[Array, "S D"], pairs: JudgedPairs, known: Bool[Array, " B"]
) -> Float[Array, " B"]:
    """The chance that the first of each pair is worth more, given everybody's answers that are
    known, by Bayes' rule for who knows the tastes and that kinds are equally many.

    No model can be right more often on average: its accuracy is the bound of what these answers,
    with their noise, tell of people whose context is withheld.
    """
    sign = np.where(pairs.answer[known] == 0, 1.0, -1.0)[:, None]
    likely = log_sigmoid(pairs.differences[known] @ tastes.T * sign)
    nothing = np.zeros((len(pairs.kind), len(tastes)))
    weight = softmax(add_rows(nothing, pairs.person[known], likely), axis=1)
    return ((pairs.differences @ tastes.T > 0) * weight[pairs.person]).sum(axis=1)
