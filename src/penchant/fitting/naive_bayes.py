"""What kind of text goes with which words: the smallest language model that has a likelihood.

Legend: T texts, V words, F kinds.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array, log_sum_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class NaiveBayes:
    """log_prior: of each kind; log_share: of each word among all that a kind says."""

    log_prior: Float[Array, " F"]
    log_share: Float[Array, "F V"]

    def log_likelihood(self, counts: Float[Array, "T V"]) -> Float[Array, "T F"]:
        """log p(words | kind), but for the number of their orders, which all kinds share."""
        return counts @ self.log_share.T

    def log_prob(self, counts: Float[Array, "T V"]) -> Float[Array, "T F"]:
        """log p(kind | words)."""
        joint = self.log_likelihood(counts) + self.log_prior
        return joint - log_sum_exp(joint, axis=1)[:, None]


def fit_naive_bayes(
    counts: Float[Array, "T V"], kind: Int[Array, " T"], *, smoothing: float = 1.0
) -> NaiveBayes:
    """Multinomial naive Bayes (Maron 1961; McCallum and Nigam 1998): p(words | kind) is a product
    over words, each share counted with `smoothing` more of every word.

    Raises `DataError` for counts below zero or a kind without a text, `ConfigError` for smoothing
    that is not positive.
    """
    if not smoothing > 0:
        raise ConfigError(f"got smoothing={smoothing}; expected a positive number, such as 1.")
    of_kind = np.bincount(kind) if len(kind) and kind.min() >= 0 else np.zeros(1)
    if not of_kind.all() or not np.all(counts >= 0):
        raise DataError(
            f"kinds have {of_kind.tolist()} texts and the least count is {counts.min(initial=0)}; "
            "expected every kind from 0 on in some text, and counts of 0 or more. Number kinds "
            "that occur."
        )
    said = np.zeros((len(of_kind), counts.shape[1]))
    np.add.at(said, kind, counts)
    said += smoothing
    return NaiveBayes(
        log_prior=np.log(of_kind / of_kind.sum()),
        log_share=np.log(said / said.sum(axis=1, keepdims=True)),
    )
