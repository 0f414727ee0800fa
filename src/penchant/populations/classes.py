"""Latent classes: a few kinds of people, and who is likely to be of which kind.

Legend: S classes, D features, G groups, Q group features, M = S D + (S - 1)(1 + Q).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array, constant, log_sum_exp, namespace
from penchant.populations.population import Tastes


@dataclass(frozen=True)
class Classes:
    """Each group belongs to one of S classes; the router says how likely, from what is known of it.

    log w[g, s] = gamma_s0 + z_g' gamma_s - log sum_t exp(gamma_t0 + z_g' gamma_t), with
    gamma_1 = 0: a multinomial logit on group features (Kamakura and Russell 1989; Gupta and
    Chintagunta 1994). theta holds the part-worths class by class, then gamma row by row.
    """

    num_classes: int

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise ConfigError(
                f"num_classes is {self.num_classes}; expected 1 (one taste for all) or more."
            )

    def num_parameters(self, num_features: int, num_group_features: int) -> int:
        """M = S D + (S - 1)(1 + Q)."""
        return self.num_classes * num_features + (self.num_classes - 1) * (1 + num_group_features)

    def parameter_names(
        self, feature_names: tuple[str, ...], group_feature_names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """`cost [class 2]` for part-worths; `class 2: intercept`, `class 2: age` for the router."""
        part_worths = tuple(
            f"{name} [class {s}]" for s in range(1, self.num_classes + 1) for name in feature_names
        )
        router = tuple(
            f"class {s}: {name}"
            for s in range(2, self.num_classes + 1)
            for name in ("intercept", *group_feature_names)
        )
        return part_worths + router

    def split(
        self, theta: Float[Array, " M"], num_group_features: int
    ) -> tuple[Float[Array, "S D"], Float[Array, "R Q1"]]:
        """The part-worths of each class, and the router's rows for the classes after the first."""
        router_size = (self.num_classes - 1) * (1 + num_group_features)
        cut = len(theta) - router_size
        return (
            theta[:cut].reshape(self.num_classes, -1),
            theta[cut:].reshape(self.num_classes - 1, 1 + num_group_features),
        )

    def tastes(self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]) -> Tastes:
        """The part-worths of the classes; how likely each group is to be of each."""
        values, router = self.split(theta, group_features.shape[1])
        return Tastes(values=values[None], log_weights=router_log_weights(router, group_features))

    def shares(
        self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]
    ) -> Float[Array, " S"]:
        """The mean over groups of the probability of each class."""
        return np.exp(self.tastes(theta, group_features).log_weights).mean(axis=0)

    def reorder(
        self, theta: Float[Array, " M"], order: Int[Array, " S"], num_group_features: int
    ) -> Float[Array, " M"]:
        """The same population with its classes renumbered; log-odds stay against the new first."""
        values, router = self.split(theta, num_group_features)
        full = np.concatenate([np.zeros((1, router.shape[1])), router])[order]
        return np.concatenate([values[order].ravel(), (full[1:] - full[0]).ravel()])

    def largest_first(
        self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]
    ) -> Float[Array, " M"]:
        """Classes numbered by share, so that the same data always give the same numbering."""
        order = np.argsort(-self.shares(theta, group_features), kind="stable")
        return self.reorder(theta, order, group_features.shape[1])


def router_log_weights(
    router: Float[Array, "R Q1"], group_features: Float[Array, "G Q"]
) -> Float[Array, "G S"]:
    """log-softmax of (0, gamma_s0 + z' gamma_s)."""
    xp = namespace(router, group_features)
    rest = router[:, 0] + group_features @ router[:, 1:].T
    first = constant(np.zeros((len(group_features), 1)), router)
    log_odds = xp.concat([first, rest], axis=1)
    return log_odds - log_sum_exp(log_odds, axis=1)[:, None]
