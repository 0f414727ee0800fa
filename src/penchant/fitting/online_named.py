"""Weights of named features, changed by one reward at a time; columns are made as names appear.

Legend: D columns, K options.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from penchant.beliefs.named_weights import NamedWeights
from penchant.beliefs.normal_law import FullNormal
from penchant.encoders.named import Column, Menu, NamedColumns
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_order import Ranking
from penchant.fitting.online_answers import block_of
from penchant.fitting.online_laplace import laplace
from penchant.fitting.online_linear import OnlineLinear
from penchant.fitting.online_normal import learnt
from penchant.numerics.arrays import Array

# Columns are made so many at a time: growing copies the matrices.
_STEP = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class OnlineNamedConfig:
    """prior_precision: of each weight, in units of 1 / noise^2. noise: standard deviation of a
    reward around its mean. is_binary: rewards are yes (1), no (0) or a share between, and log-odds
    are linear. forgetting: how much each earlier reward counts when one more arrives (1: as much
    as ever). learns_orders: what somebody preferred to what is learnt as that (`learn_order`), not
    as rewards; with is_binary, whose log-odds are worths then. most_columns: names beyond so many
    pairs of features are not learnt; an update takes most_columns^2 operations."""

    prior_precision: float = 1.0
    noise: float = 0.5
    is_binary: bool = False
    forgetting: float = 1.0
    learns_orders: bool = False
    most_columns: int = 256

    def __post_init__(self) -> None:
        if not self.noise > 0:
            raise ConfigError(f"noise is {self.noise}; expected a number above 0.")
        if self.learns_orders and not self.is_binary:
            raise ConfigError(
                "learns_orders is true and is_binary false; expected both: worths that orders tell "
                "of are log-odds, and so must be what rewards tell of."
            )
        if self.most_columns < 1:
            raise ConfigError(f"most_columns is {self.most_columns}; expected 1 or more.")


@dataclass(kw_only=True, eq=False)
class OnlineNamed:
    """The normal posterior of the weights of named features (`OnlineLinear`, one for all options).

    Where forgetting has no root in floating point, as after entries of 1e12 beside ones of 1,
    precision <- f precision alone: the prior's part is left out for that reward. Rewards in the
    same order give the same bits. left_out: how often a pair of names found no column.
    """

    config: OnlineNamedConfig
    coder: NamedColumns
    weights: OnlineLinear
    left_out: int = field(default=0)

    @classmethod
    def empty(cls, config: OnlineNamedConfig) -> "OnlineNamed":
        """Before any reward."""
        return cls(config=config, coder=NamedColumns(), weights=_empty(config, 0))

    @classmethod
    def from_arrays(
        cls,
        config: OnlineNamedConfig,
        columns: tuple[Column, ...],
        arrays: dict[str, Array],
        left_out: int = 0,
    ) -> "OnlineNamed":
        """What `arrays` and the columns were taken from, ready to learn on."""
        weights = _empty(config, len(arrays["mean"][0]))
        weights.root[:], weights.mean[:] = arrays["root"], arrays["mean"]
        weights.rounds = arrays["rounds"].tolist()
        return cls(
            config=config,
            coder=NamedColumns(columns),
            weights=weights.measured(),
            left_out=left_out,
        )

    def arrays(self) -> dict[str, Array]:
        """All that was learnt, but for the names of the columns; not copies."""
        held = self.weights
        return {"root": held.root, "mean": held.mean, "rounds": np.array(held.rounds)}

    @property
    def rounds(self) -> int:
        """Rewards learnt."""
        return self.weights.rounds[0]

    def learn(self, menu: Menu, place: int, reward: float) -> None:
        """The option at a place of a menu paid this much."""
        (x,) = self._entries(menu, [place])
        self._faded().learn(0, x, reward, 1.0)

    def learn_order(self, menu: Menu, places: Sequence[int | None], num_ranked: int) -> None:
        """The first `num_ranked` of these options were preferred in this order, and to all others
        among them; None is nothing at all, whose worth is 0.

        log p = sum_i (u_i - log sum_{j not before i} exp(u_j)), Plackett (1975) and Luce (1959),
        which for one option beside nothing is a yes or no; learnt by Laplace's approximation.
        Raises `DataError` where worths leave what numbers can hold; then the order is not learnt.
        """
        told_of = [at for at, place in enumerate(places) if place is not None]
        entries = self._entries(menu, [place for place in places if place is not None])
        held = self._faded()
        plan = np.zeros((len(places), held.mean.shape[1]))
        plan[told_of] = entries
        rank = np.zeros(len(places), dtype=np.int64)
        rank[:num_ranked] = np.arange(1, num_ranked + 1)
        law = FullNormal(mean=held.mean[0], root=held.root[0])
        block = block_of(len(places), "ranking", {"rank": rank})
        try:
            told = laplace(Ranking(), block, plan @ law.mean, law.covariance_of(plan))
            after = learnt(law, plan, told.step, told.root)
            is_finite = np.isfinite(after.mean).all() and np.isfinite(after.spread()).all()
        except np.linalg.LinAlgError:
            is_finite = False
        if not is_finite:
            raise DataError(
                f"an order of {len(places)} options has worths beyond what numbers can hold; "
                "expected features of about unit size. It is not learnt."
            )
        assert isinstance(after, FullNormal)
        held.mean[0], held.root[0] = after.mean, after.root
        held.measured()
        held.rounds[0] += 1

    def _entries(self, menu: Menu, places: list[int]) -> Float[Array, "K D"]:
        """Of these options in all columns, which are made for them."""
        alone = Menu(menu.context, tuple([menu.ids[place] for place in places]),
                     tuple([menu.features[place] for place in places]))  # fmt: skip
        if places:
            self.left_out += self.coder.extend(alone, self.config.most_columns)
        self._make_room(len(self.coder))
        x = np.zeros((len(places), self.weights.mean.shape[1]))
        if places:
            coded = self.coder.code(alone)
            x[:, coded.columns] = coded.values
        return x

    def _faded(self) -> OnlineLinear:
        """The weights, which what was learnt before counts less for; they fade no further."""
        held, kept = self.weights, self.config.forgetting
        try:
            held.fade()
        except np.linalg.LinAlgError:
            # Directions known so unequally well that their precision has no root in floating point:
            # all of them fade alike, without a part of the prior, until it has one again.
            held.root /= np.sqrt(kept)
            held.size[:] /= kept
        return replace(held, forgetting=1.0) if kept < 1.0 else held

    def belief(self) -> NamedWeights:
        """What is known now, as a value that later rewards do not change."""
        # One product of matrices: `OnlineLinear.covariance` takes six times as long.
        root = self.weights.root[0]
        D, noise = len(self.coder), 1.0 if self.config.is_binary else self.config.noise
        return NamedWeights(
            columns=self.coder.columns,
            mean=self.weights.mean[0, :D].copy(),
            covariance=(root.T @ root)[:D, :D].copy(),
            prior_precision=self.config.prior_precision,
            noise=noise,
            is_binary=self.config.is_binary,
            rounds=self.rounds,
        )

    def _make_room(self, num: int) -> None:
        held = self.weights
        have = held.mean.shape[1]
        if num <= have:
            return
        wider = _empty(self.config, -(-num // _STEP) * _STEP)
        # Columns without rewards are as the prior has them, and know nothing of the others.
        wider.root[:, :have, :have] = held.root
        wider.mean[:, :have] = held.mean
        wider.rounds = held.rounds
        self.weights = wider.measured()


def _empty(config: OnlineNamedConfig, num: int) -> OnlineLinear:
    return OnlineLinear.empty(
        1, num, prior_precision=config.prior_precision, forgetting=config.forgetting,
        is_binary=config.is_binary,
    )  # fmt: skip
