"""Weights of named features, changed by one reward at a time; columns are made as names appear.

Legend: D columns, K options, M cut points of ratings, E = K + M.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from penchant.beliefs.named_weights import NamedWeights
from penchant.beliefs.normal_law import DiagonalNormal, FullNormal
from penchant.data.batch import Block
from penchant.encoders.named import Column, Menu, NamedColumns
from penchant.errors import ConfigError, DataError
from penchant.feedback.channel_contract import Channel
from penchant.feedback.channel_option import Rating
from penchant.feedback.channel_order import Ranking
from penchant.feedback.thresholds import Ordered
from penchant.fitting.online_answers import block_of, own_prior
from penchant.fitting.online_laplace import laplace
from penchant.fitting.online_linear import OnlineLinear
from penchant.fitting.online_normal import learnt
from penchant.numerics.arrays import Array

_MOST_LEVELS = 20
# Columns are made so many at a time: growing copies the matrices.
_STEP = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class OnlineNamedConfig:
    """prior_precision: of each weight, in units of 1 / noise^2. noise: standard deviation of a
    reward around its mean. is_binary: rewards are yes (1), no (0) or a share between, and log-odds
    are linear. forgetting: how much each earlier reward counts when one more arrives (1: as much
    as ever). learns_orders: what somebody preferred to what is learnt as that (`learn_order`), not
    as rewards; with is_binary, whose log-odds are worths then. rating_levels: of ratings, whole
    numbers from 1, which are learnt as that (`learn_rating`), not as rewards; with is_binary, too;
    None: a rating is a reward. most_columns: names beyond so many
    pairs of features are not learnt; an update takes most_columns^2 operations."""

    prior_precision: float = 1.0
    noise: float = 0.5
    is_binary: bool = False
    forgetting: float = 1.0
    learns_orders: bool = False
    rating_levels: int | None = None
    most_columns: int = 256

    def __post_init__(self) -> None:
        if not self.noise > 0:
            raise ConfigError(f"noise is {self.noise}; expected a number above 0.")
        if (self.learns_orders or self.rating_levels is not None) and not self.is_binary:
            named = "learns_orders is true" if self.learns_orders else "rating_levels is given"
            raise ConfigError(
                f"{named} and is_binary false; expected it true: worths that orders and ratings "
                "tell of are log-odds, and so must be what rewards tell of."
            )
        if self.rating_levels is not None and not 2 <= self.rating_levels <= _MOST_LEVELS:
            raise ConfigError(
                f"rating_levels is {self.rating_levels}; expected 2 to {_MOST_LEVELS}, or null."
            )
        if self.most_columns < 1:
            raise ConfigError(f"most_columns is {self.most_columns}; expected 1 or more.")

    @property
    def num_cuts(self) -> int:
        """Cut points of ratings."""
        return 0 if self.rating_levels is None else self.rating_levels - 1


@dataclass(kw_only=True, eq=False)
class OnlineNamed:
    """The normal posterior of the weights of named features (`OnlineLinear`, one for all options).

    Where forgetting has no root in floating point, as after entries of 1e12 beside ones of 1,
    precision <- f precision alone: the prior's part is left out for that reward. Rewards in the
    same order give the same bits. The first columns are of cut points of ratings, in units in which
    they have the prior of a weight. left_out: how often a pair of names found no column.
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
        plan = np.zeros((len(places), entries.shape[1]))
        plan[told_of] = entries
        rank = np.zeros(len(places), dtype=np.int64)
        rank[:num_ranked] = np.arange(1, num_ranked + 1)
        block = block_of(len(places), "ranking", {"rank": rank})
        self._learn(Ranking(), block, plan, np.zeros(len(places)))

    def learn_rating(self, menu: Menu, place: int, level: int) -> None:
        """The option at a place of a menu was given this level, from 0.

        P(level >= l) = sigmoid(u - tau_l), the cumulative logit of McCullagh (1980), whose cut
        points tau are learnt along; by Laplace's approximation. Raises `DataError` as `learn_order`
        does.
        """
        assert self.config.rating_levels is not None
        channel, cuts = Rating(levels=self.config.rating_levels), _cuts(self.config)
        entries = self._entries(menu, [place])
        own = np.arange(self.config.num_cuts)
        plan = np.vstack([entries, np.zeros((len(own), entries.shape[1]))])
        plan[1 + own, own] = np.sqrt(cuts.variance * self.config.prior_precision)
        block = block_of(1, "rating", {"level": np.array([level])})
        self._learn(channel, block, plan, np.append(0.0, cuts.mean))

    def _learn(
        self, channel: Channel, block: Block, plan: Float[Array, "E D"], start: Float[Array, " E"]
    ) -> None:
        """An answer about start + plan w; where it cannot be learnt nothing is changed."""
        held = self._faded()
        law = FullNormal(mean=held.mean[0], root=held.root[0])
        try:
            told = laplace(channel, block, start + plan @ law.mean, law.covariance_of(plan))
            after = learnt(law, plan, told.step, told.root)
            is_finite = np.isfinite(after.mean).all() and np.isfinite(after.spread()).all()
        except np.linalg.LinAlgError:
            is_finite = False
        if not is_finite:
            raise DataError(
                f"a {channel.kind} of {block.offered.shape[1]} options has worths beyond what "
                "numbers can hold; expected features of about unit size. It is not learnt."
            )
        assert isinstance(after, FullNormal)
        held.mean[0], held.root[0] = after.mean, after.root
        held.measured()
        held.rounds[0] += 1

    @property
    def cut_points(self) -> Float[Array, " M"]:
        """Between levels of ratings, in log-odds, as believed now."""
        if not self.config.num_cuts:
            return np.zeros(0)
        cuts, M = _cuts(self.config), self.config.num_cuts
        scale = np.sqrt(cuts.variance * self.config.prior_precision)
        own = cuts.mean + scale * self.weights.mean[0, :M]
        return np.asarray(Ordered(M + 1).values(own[None])[0])

    def _entries(self, menu: Menu, places: list[int]) -> Float[Array, "K D"]:
        """Of these options in all columns, which are made for them."""
        alone = Menu(menu.context, tuple([menu.ids[place] for place in places]),
                     tuple([menu.features[place] for place in places]))  # fmt: skip
        if places:
            self.left_out += self.coder.extend(alone, self.config.most_columns)
        own = self.config.num_cuts
        self._make_room(own + len(self.coder))
        x = np.zeros((len(places), self.weights.mean.shape[1]))
        if places:
            coded = self.coder.code(alone)
            x[:, own + coded.columns] = coded.values
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
        own, noise = self.config.num_cuts, 1.0 if self.config.is_binary else self.config.noise
        named = slice(own, own + len(self.coder))
        return NamedWeights(
            columns=self.coder.columns,
            mean=self.weights.mean[0, named].copy(),
            covariance=(root.T @ root)[named, named].copy(),
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


def _cuts(config: OnlineNamedConfig) -> DiagonalNormal:
    """Before any rating."""
    return own_prior(Rating(levels=config.num_cuts + 1), 1.0)


def _empty(config: OnlineNamedConfig, num: int) -> OnlineLinear:
    return OnlineLinear.empty(
        1, num, prior_precision=config.prior_precision, forgetting=config.forgetting,
        is_binary=config.is_binary,
    )  # fmt: skip
