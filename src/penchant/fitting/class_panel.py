"""What latent classes ask of the answers of people: one pass, given the classes' part-worths.

`class_choices.py` answers for plain choices, fused; `class_answers.py` for what is made of them;
`class_channels.py` for every kind of answer.

Legend: G groups (people), S classes, D features, P own parameters of likelihoods, W = D + P.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.data.batch import Batch
from penchant.fitting.pooled_task import rows_of_groups
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassPass:
    """What one pass over the answers tells: log p(answers of g | class s) and the posterior of s,
    the score of each class's part-worths and of the own parameters given the class, and the
    information of each class about both, its people weighted by their posterior."""

    log_density: Float[Array, "G S"]
    responsibility: Float[Array, "G S"]
    scores: Float[Array, "G S W"]
    information: Float[Array, "S W W"]


@runtime_checkable
class ClassPanel(Protocol):
    """The answers of people, each row weighed within its person."""

    @property
    def num_features(self) -> int:
        """D, the part-worths of a class."""
        ...

    @property
    def num_own(self) -> int:
        """P, the parameters of likelihoods (tie strength, thresholds), shared by all classes."""
        ...

    @property
    def answered(self) -> Bool[Array, " G"]:
        """Who gave an answer at all."""
        ...

    def take_groups(self, groups: Int[Array, " H"]) -> "ClassPanel":
        """The answers of these people only."""
        ...

    def run(
        self,
        group_weight: Float[Array, " G"],
        log_prior: Float[Array, "G S"],
        values: Float[Array, "S D"],
        own: Float[Array, " P"],
    ) -> ClassPass:
        """One pass with these log-weights of the classes; `group_weight` counts such people."""
        ...


def people_counted(batch: Batch) -> Float[Array, " G"]:
    """How many such people each stands for: the mean weight of their rows."""
    total = np.zeros(batch.num_groups)
    for block in batch.blocks:
        total += np.bincount(block.group, weights=block.weight, minlength=batch.num_groups)
    return total / np.maximum(rows_of_groups(batch), 1)
