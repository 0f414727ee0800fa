"""Random coefficients: tastes drawn from a distribution over people, correlated or not.

Legend: D features, R random ones, P parameters of spread, M = D + P, C blocks of draws,
S draws of a block, V features whose taste varies, F those whose taste does not, G groups.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array
from penchant.numerics.draws import DRAW_KINDS
from penchant.populations.population import Tastes
from penchant.populations.taste_shapes import (
    DISTRIBUTIONS,
    NORMAL_KIN,
    ONE_SIGNED,
    deviates,
    shape_tastes,
    taste_moments,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TasteDraws:
    """Tastes of every draw and how they move with theta.

    `varying` and `fixed` are places among the features. values: the tastes; slopes: d value /
    d location; basis: each spread parameter p of coefficient v = coefficient[p] has
    d value / d spread = slopes[v] * basis[draw[p]]. bends: second derivatives, d2 value /
    d(location, spread)2 = bends[v] * (1, bend_basis)(1, bend_basis)'. price: place among the
    varying of the coefficient that multiplies all tastes (willingness-to-pay space), else -1.
    """

    varying: Int[Array, " V"]
    fixed: Int[Array, " F"]
    fixed_values: Float[Array, " F"]
    values: Float[Array, "C V S"]
    slopes: Float[Array, "C V S"]
    bends: Float[Array, "C V S"]
    basis: Float[Array, "C R S"]
    bend_basis: Float[Array, "C R S"]
    coefficient: Int[Array, " P"]
    draw: Int[Array, " P"]
    price: int


@dataclass(frozen=True, kw_only=True, eq=False)
class TasteRecipe:
    """How a person's normal deviates become tastes, for loops that make tastes themselves.

    Coefficient v of the varying ones is sign[v] * shape(location[v] + root[row[v]] z), its shape by
    code[v]: SHARED ones are not functions of a normal deviate and are read from `values` (with
    `slopes`, `bends`) as `TasteDraws` has them, before any price; CONSTANT ones have no row.
    """

    code: Int[Array, " V"]
    row: Int[Array, " V"]
    sign: Float[Array, " V"]
    location: Float[Array, " V"]
    root: Float[Array, "R R"]
    is_kin: Bool[Array, " R"]
    values: Float[Array, "C V S"]
    slopes: Float[Array, "C V S"]
    bends: Float[Array, "C V S"]
    basis: Float[Array, "C R S"]
    bend_basis: Float[Array, "C R S"]


# The shapes of a coefficient in a `TasteRecipe`.
SHARED, LINEAR, EXPONENTIAL, CENSORED, CONSTANT = range(5)


@dataclass(frozen=True, kw_only=True, eq=False)
class CoefficientMoments:
    """Mean and standard deviation over people of each coefficient, and the share above zero."""

    mean: Float[Array, " D"]
    sd: Float[Array, " D"]
    share_positive: Float[Array, " D"]


@dataclass(frozen=True, kw_only=True)
class Normal:
    """Coefficients that differ between people, integrated by quasi-random draws (Train 2009).

    random: places of the random coefficients among the features; distributions: one name each.
    With eta = location + L z, z standard normal (L diagonal unless `correlated`):
    "normal" eta; "lognormal" exp(eta); "censored" max(eta, 0), a mass of people at zero;
    "truncated" a normal of that location and spread given that it is positive; "triangular" and
    "uniform" location + spread times a deviate on [-1, 1], as `truncated` never correlated. A
    minus in front ("-lognormal") turns a one-signed distribution to the negative side.

    theta: one location per feature, in feature order (for lognormal that of the logarithm), then
    the spreads, or the lower triangle of L row by row. The sign of a column of L carries no
    meaning; `oriented` makes its diagonal positive.

    price: place of a price feature for estimation in willingness-to-pay space (Train and Weeks
    2005): utility is lambda * (omega'x - price) with lambda = exp(location + ..) and theta holds
    the locations and spreads of omega, in price units.

    centred: places of random coefficients whose location is zero by assumption, as in error
    components; theta keeps the zero.

    num_draws, seed, draw_kind: of the draws that `tastes` returns, one block shared by all groups.
    """

    random: tuple[int, ...]
    distributions: tuple[str, ...]
    correlated: bool = False
    num_draws: int = 500
    seed: int = 0
    draw_kind: str = "halton"
    price: int | None = None
    centred: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.random) != len(self.distributions) or len(set(self.random)) < len(self.random):
            raise ConfigError(
                f"random is {self.random} with distributions {self.distributions}; expected "
                "distinct features and one distribution for each."
            )
        for name in self.distributions:
            plain = name.removeprefix("-")
            if plain not in DISTRIBUTIONS or (plain != name and plain not in ONE_SIGNED):
                raise ConfigError(
                    f"there is no distribution {name!r}; expected one of {DISTRIBUTIONS}, or one "
                    f"of {ONE_SIGNED} with a minus in front."
                )
        if self.draw_kind not in DRAW_KINDS or self.num_draws < 1:
            raise ConfigError(
                f"{self.num_draws} draws of kind {self.draw_kind!r} were asked for; expected at "
                f"least 1 of one of {DRAW_KINDS}."
            )
        if not set(self.centred) <= set(self.random):
            raise ConfigError(
                f"the centred coefficients {self.centred} are not all random {self.random}; a "
                "coefficient of zero for everybody is no coefficient. Leave its feature out."
            )
        if self.price in self.random:
            name = self.distributions[self.random.index(self.price)]
            if name not in ("lognormal", "-lognormal"):
                raise ConfigError(
                    f"the price coefficient has distribution {name!r}; in willingness-to-pay space "
                    "expected 'lognormal', or a price that is not random."
                )

    @property
    def is_plain(self) -> bool:
        """Normal tastes in preference space: theirs are posteriors with a mode to stand around."""
        return self.price is None and set(self.distributions) <= {"normal"}

    @property
    def plain_distributions(self) -> tuple[str, ...]:
        """The distributions without their signs."""
        return tuple(name.removeprefix("-") for name in self.distributions)

    @property
    def spread_pairs(self) -> tuple[tuple[int, int], ...]:
        """For each parameter of spread, its row and column in L, as places in `random`."""
        kin = [name in NORMAL_KIN for name in self.plain_distributions]
        return tuple(
            (row, column)
            for row in range(len(self.random))
            for column in range(row + 1)
            if row == column or (self.correlated and kin[row] and kin[column])
        )

    def parameter_names(
        self, feature_names: tuple[str, ...], group_feature_names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """`cost` for locations; `sd(cost)`, or `chol(cost, time)`, for the spreads."""
        names = [feature_names[place] for place in self.random]
        tied = {row for row, column in self.spread_pairs if row != column}
        tied |= {column for row, column in self.spread_pairs if row != column}
        return feature_names + tuple(
            f"chol({names[row]}, {names[column]})" if row in tied else f"sd({names[row]})"
            for row, column in self.spread_pairs
        )

    def split(self, theta: Float[Array, " M"]) -> tuple[Float[Array, " D"], Float[Array, "R R"]]:
        """The locations and L."""
        pairs = self.spread_pairs
        cut = len(theta) - len(pairs)
        root = np.zeros((len(self.random), len(self.random)))
        for (row, column), value in zip(pairs, theta[cut:]):
            root[row, column] = value
        return theta[:cut], root

    def oriented(self, theta: Float[Array, " M"]) -> Float[Array, " M"]:
        """The same population with every diagonal entry of L zero or positive."""
        root = self.split(theta)[1]
        sign = np.where(np.diag(root) < 0, -1.0, 1.0)
        result = np.array(theta, dtype=np.float64)
        pairs = self.spread_pairs
        for place, (_, column) in enumerate(pairs, start=len(theta) - len(pairs)):
            result[place] *= sign[column]
        return result

    def base_draws(self, num_blocks: int = 1) -> Float[Array, "C R S"]:
        """The deviates behind the tastes, free of theta: drawn once for a whole fit."""
        return deviates(
            self.plain_distributions, num_blocks, self.num_draws, self.seed, self.draw_kind
        )

    def taste_draws(
        self, theta: Float[Array, " M"], base: Float[Array, "C R S"], *, num_beside: int = 0
    ) -> TasteDraws:
        """Tastes of every draw with their derivatives.

        num_beside: how many of the locations, the last ones, are no tastes but what all people
        share beside them (bars, thresholds); a price does not multiply those.
        """
        locations, root = self.split(theta)
        values, slopes, bends, basis, bend_basis = shape_tastes(
            self.plain_distributions, locations[list(self.random)], root, base
        )
        sign = np.array([-1.0 if name.startswith("-") else 1.0 for name in self.distributions])
        values, slopes, bends = (part * sign[:, None] for part in (values, slopes, bends))
        pairs = np.array(self.spread_pairs, dtype=np.int64).reshape(-1, 2)
        if self.price is None:
            fixed = np.setdiff1d(np.arange(len(locations)), self.random)
            return TasteDraws(
                varying=np.array(self.random, dtype=np.int64),
                fixed=fixed,
                fixed_values=locations[fixed],
                values=values,
                slopes=slopes,
                bends=bends,
                basis=basis,
                bend_basis=bend_basis,
                coefficient=pairs[:, 0].copy(),
                draw=pairs[:, 1].copy(),
                price=-1,
            )
        cut = len(locations) - num_beside
        priced = self._priced(locations[:cut], values, slopes, bends, basis, bend_basis, pairs)
        return replace(priced, fixed=np.arange(cut, len(locations)), fixed_values=locations[cut:])

    def _priced(
        self,
        locations: Float[Array, " D"],
        values: Float[Array, "C R S"],
        slopes: Float[Array, "C R S"],
        bends: Float[Array, "C R S"],
        basis: Float[Array, "C R S"],
        bend_basis: Float[Array, "C R S"],
        pairs: Int[Array, "P 2"],
    ) -> TasteDraws:
        """All tastes times lambda; lambda's own coefficient is -1."""
        price = int(self.price or 0)
        shape = (len(values), len(locations), values.shape[2])
        if price in self.random:
            scale = np.abs(values[:, self.random.index(price)])
        else:
            scale = np.full((shape[0], shape[2]), np.exp(locations[price]))
        all_values = np.broadcast_to(locations[:, None], shape).copy()
        all_slopes, all_bends = np.ones(shape), np.zeros(shape)
        places = list(self.random)
        all_values[:, places], all_slopes[:, places], all_bends[:, places] = values, slopes, bends
        # The price enters through its logarithm: the kernel collects its slope from all tastes.
        all_values[:, price], all_slopes[:, price], all_bends[:, price] = -1.0, 1.0, 0.0
        all_values *= scale[:, None]
        others = np.arange(len(locations)) != price
        all_slopes[:, others] *= scale[:, None]
        all_bends[:, others] *= scale[:, None]
        return TasteDraws(
            varying=np.arange(len(locations)),
            fixed=np.zeros(0, dtype=np.int64),
            fixed_values=np.zeros(0),
            values=all_values,
            slopes=all_slopes,
            bends=all_bends,
            basis=basis,
            bend_basis=bend_basis,
            coefficient=np.array(self.random, dtype=np.int64)[pairs[:, 0]],
            draw=pairs[:, 1].copy(),
            price=price,
        )

    def taste_recipe(self, theta: Float[Array, " M"], base: Float[Array, "C R S"]) -> TasteRecipe:
        """The same tastes for deviates that are not known yet; `base` serves the shared ones."""
        locations, root = self.split(theta)
        plain, places = self.plain_distributions, list(self.random)
        values, slopes, bends, basis, bend_basis = shape_tastes(
            plain, locations[places], root, base
        )
        codes = {"normal": LINEAR, "lognormal": EXPONENTIAL, "censored": CENSORED}
        code = np.array([codes.get(name, SHARED) for name in plain], dtype=np.int64)
        sign = np.array([-1.0 if name.startswith("-") else 1.0 for name in self.distributions])
        values, slopes, bends = (part * sign[:, None] for part in (values, slopes, bends))
        row = np.arange(len(places))
        if self.price is not None:
            # Every feature varies with the price, the ones without a spread too.
            size = len(locations)

            def widened(part: Array, fill: float) -> Array:
                wide = np.full((*part.shape[:-2], size, part.shape[-1]), fill)
                wide[..., places, :] = part
                return wide

            values, slopes, bends = widened(values, 0.0), widened(slopes, 1.0), widened(bends, 0.0)
            all_code, all_row, all_sign = np.full(size, CONSTANT), np.full(size, -1), np.ones(size)
            all_code[places], all_row[places], all_sign[places] = code, row, sign
            code, row, sign, places = all_code, all_row, all_sign, list(range(size))
        return TasteRecipe(
            code=code,
            row=row,
            sign=sign,
            location=locations[places],
            root=root,
            is_kin=np.array([name in NORMAL_KIN for name in plain]),
            values=values,
            slopes=slopes,
            bends=bends,
            basis=basis,
            bend_basis=bend_basis,
        )

    def tastes(self, theta: Float[Array, " M"], group_features: Float[Array, "G Q"]) -> Tastes:
        """One block of draws, shared by all groups and equally likely."""
        draws = self.taste_draws(theta, self.base_draws())
        values = np.empty((1, self.num_draws, len(theta) - len(self.spread_pairs)))
        values[:, :, draws.varying] = np.swapaxes(draws.values, 1, 2)
        values[:, :, draws.fixed] = draws.fixed_values
        return Tastes(
            values=values, log_weights=np.full((1, self.num_draws), -np.log(self.num_draws))
        )

    def coefficient_moments(self, theta: Float[Array, " M"]) -> CoefficientMoments:
        """Over people, of the coefficients of utility (in willingness-to-pay space, of omega).

        Exact for every distribution but the truncated and censored normal, which are too.
        """
        locations, root = self.split(theta)
        mean, sd = np.array(locations, dtype=np.float64), np.zeros(len(locations))
        share = (mean > 0).astype(np.float64)
        for row, place in enumerate(self.random):
            spread = float(np.linalg.norm(root[row]))
            one = taste_moments(self.plain_distributions[row], float(locations[place]), spread)
            negative = self.distributions[row].startswith("-")
            mean[place] = -one[0] if negative else one[0]
            sd[place], share[place] = one[1], 0.0 if negative else one[2]
        return CoefficientMoments(mean=mean, sd=sd, share_positive=share)

    def taste_covariance(self, theta: Float[Array, " M"]) -> Float[Array, "D D"]:
        """Covariance over people of the coefficients: exact for normals, else by the draws."""
        locations, root = self.split(theta)
        if self.is_plain:
            covariance = np.zeros((len(locations), len(locations)))
            covariance[np.ix_(self.random, self.random)] = root @ root.T
            return covariance
        values = self.tastes(theta, np.zeros((1, 0))).values[0]
        return np.cov(values, rowvar=False, bias=True).reshape(len(locations), -1)
