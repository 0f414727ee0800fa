"""A latent person: an encoder reads somebody's judged pairs, a decoder says what they would like.

Formulas serve NumPy and torch: training runs the encoder below by autograd, everything afterwards
is NumPy.

Legend: B pairs, D dimensions, G people, H hidden units, Z latent dimensions, U bent units of the
decoder, F = Z + U, Q nodes, N draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from penchant.numerics.arrays import Array, add_rows, namespace, sigmoid
from penchant.numerics.draws import draw_uniforms

# The mean of a sigmoid under a normal: to 1e-5 for spreads up to 5 logits, to 1e-3 for 10.
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(100)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()
# Of z, for a decoder with bends, whose gaps are not normal.
_NUM_DRAWS = 128
# A latent dimension is at work where people's means differ by more than a tenth of its prior's
# standard deviation (Burda, Grosse and Salakhutdinov 2016).
ACTIVE_VARIANCE = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentPosterior:
    """q(z | somebody's answers), normal with independent dimensions."""

    mean: Float[Array, "G Z"]
    variance: Float[Array, "G Z"]

    def kl(self) -> Float[Array, " G"]:
        """KL(q || N(0, I)) in nats, with the half that the paper's control code leaves out."""
        xp = namespace(self.mean)
        gap = self.mean**2 + self.variance - 1.0 - xp.log(self.variance)
        return 0.5 * xp.sum(gap, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class VariationalPeople:
    """r(f; z) = f' (base + loadings h(z)), z ~ N(0, I) over people (Poddar et al. 2024, VPL).

    h(z) = (z, tanh(z bends + bend_biases)): without bends the decoder is linear and taste normal
    over people; with them it is a network of one hidden layer, which can put people of a few types
    at a few places, as the paper's decoder can.
    Where the paper's encoder averages over a person's pairs, this one adds up what each pair says
    of z: precision = 1 + sum_b v(e_b), precision * mean = sum_b m(e_b), e_b = winner less loser.
    That is how independent answers combine in an exact posterior, so that no answers give the
    prior and more of them a surer z whatever their number was in training; m is odd and v even by
    construction: the pair that somebody would have answered the other way round pulls z the other
    way, as surely (the swap guidance with which a later study cured posterior collapse).

    weights, biases: of the hidden layer, then of m's and v's outputs (Z each). size: root mean
    square length of e, to which it is scaled.
    """

    base: Float[Array, " D"]
    loadings: Float[Array, "D F"]
    weights: tuple[Array, Array]
    biases: tuple[Array, Array]
    size: float
    bends: Float[Array, "Z U"] = field(default_factory=lambda: np.zeros((0, 0)))
    bend_biases: Float[Array, " U"] = field(default_factory=lambda: np.zeros(0))

    def posterior(
        self, differences: Float[Array, "B D"], answer: Int[Array, " B"],
        person: Int[Array, " B"], num_people: int,
    ) -> LatentPosterior:  # fmt: skip
        """Of people with these answers (0 where the first was preferred); N(0, I) without any."""
        signed = differences * np.where(answer == 0, 1.0, -1.0)[:, None]
        parameters = {
            "weights.0": self.weights[0], "weights.1": self.weights[1],
            "biases.0": self.biases[0], "biases.1": self.biases[1],
        }  # fmt: skip
        return encode(parameters, signed / self.size, person, num_people)

    def probabilities(
        self, differences: Float[Array, "B D"], posterior: LatentPosterior,
        person: Int[Array, " B"],
    ) -> Float[Array, " B"]:  # fmt: skip
        """That the first is preferred, who the person is summed out."""
        gaps, weights = self._gaps(differences, posterior, person)
        return sigmoid(gaps) @ weights

    def information_gain(
        self, differences: Float[Array, "B D"], posterior: LatentPosterior,
        person: Int[Array, " B"],
    ) -> Float[Array, " B"]:  # fmt: skip
        """Nats that the answer to each pair is expected to tell of z.

        H(z) - E_y H(z | y) = H(y) - E_z H(y | z): mutual information is symmetric (Lindley 1956;
        Houlsby et al. 2011), and the right side needs the gap's distribution alone. The paper's
        release scores query sets by log(2 pi mean of variances) less a mean of log variances, which
        is no difference of entropies.
        """
        gaps, weights = self._gaps(differences, posterior, person)
        within = sigmoid(gaps)
        return _entropy(within @ weights) - _entropy(within) @ weights

    def _gaps(
        self, differences: Float[Array, "B D"], posterior: LatentPosterior,
        person: Int[Array, " B"],
    ) -> tuple[Float[Array, "B Q"], Float[Array, " Q"]]:  # fmt: skip
        """The first's reward less the second's in logits at nodes of its law, and their weights:
        Gauss and Hermite's where a linear decoder makes it normal, else draws of z."""
        shared, loaded = differences @ self.base, differences @ self.loadings
        if not self.bends.size:
            mean = shared + (loaded * posterior.mean[person]).sum(axis=1)
            variance = (loaded**2 * posterior.variance[person]).sum(axis=1)
            return normal_nodes(mean, variance)
        gaps, spread = np.empty((len(loaded), _NUM_DRAWS)), np.sqrt(posterior.variance)
        order = np.argsort(person, kind="stable")
        # Person by person: all of their draws for all of their pairs are one small product.
        for mine in np.split(order, np.flatnonzero(np.diff(person[order])) + 1):
            if len(mine):
                one = person[mine[0]]
                z = posterior.mean[one] + spread[one] * _normal_points(spread.shape[1])
                gaps[mine] = loaded[mine] @ decode(z, self.bends, self.bend_biases).T
        return shared[:, None] + gaps, np.full(_NUM_DRAWS, 1.0 / _NUM_DRAWS)

    def active_units(self, posterior: LatentPosterior) -> int:
        """Latent dimensions in which people are told apart; 0 is a collapsed posterior."""
        return int((posterior.mean.var(axis=0) > ACTIVE_VARIANCE).sum())


def encode(
    parameters: Mapping[str, Array], signed: Float[Array, "B D"], person: Int[Array, " B"],
    num_people: int,
) -> LatentPosterior:  # fmt: skip
    """The posterior of each person from scaled winner-less-loser differences, NumPy or torch."""
    xp = namespace(signed)
    first, second = (_outputs(parameters, side) for side in (signed, -signed))
    size = first.shape[1] // 2
    pull = 0.5 * (first[:, :size] - second[:, :size])
    known = 0.5 * (_softplus(first[:, size:]) + _softplus(second[:, size:]))
    nothing = xp.zeros((num_people, size), dtype=signed.dtype)
    precision = 1.0 + add_rows(nothing, person, known)
    return LatentPosterior(
        mean=add_rows(nothing, person, pull) / precision, variance=1.0 / precision
    )


def decode(
    z: Float[Array, "*N Z"], bends: Float[Array, "Z U"], biases: Float[Array, " U"]
) -> Float[Array, "*N F"]:
    """(z, tanh(z bends + biases)), NumPy or torch."""
    xp = namespace(z)
    return xp.concat([z, xp.tanh(z @ bends + biases)], axis=-1)


def normal_nodes(
    mean: Float[Array, " B"], variance: Float[Array, " B"]
) -> tuple[Float[Array, "B Q"], Float[Array, " Q"]]:
    """Where Gauss and Hermite's rule looks at N(mean, variance), and how much each counts."""
    return mean[:, None] + np.sqrt(variance)[:, None] * _NODES, _NODE_WEIGHTS


@lru_cache(maxsize=4)
def _normal_points(size: int) -> Float[Array, "N Z"]:
    """Evenly spread standard normal points, the same for everybody and every call.

    Moved and stretched to mean 0 and variance 1, which 128 points miss by 0.02. What is left is the
    tails: of answers that are all but certain a gain is up to 0.02 nats too high.
    """
    from scipy.special import ndtri

    points = ndtri(draw_uniforms("sobol", 1, size, _NUM_DRAWS, np.random.default_rng(0))[0]).T
    return np.ascontiguousarray((points - points.mean(axis=0)) / points.std(axis=0))


def _outputs(parameters: Mapping[str, Array], x: Float[Array, "B D"]) -> Float[Array, "B Z2"]:
    xp = namespace(x)
    hidden = xp.tanh(x @ parameters["weights.0"] + parameters["biases.0"])
    return hidden @ parameters["weights.1"] + parameters["biases.1"]


def _softplus(x: Float[Array, "..."]) -> Float[Array, "..."]:
    xp = namespace(x)
    # max(x, 0) + log(1 + exp(-|x|)), which no x overflows.
    return xp.where(x > 0, x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


def _entropy(p: Float[Array, "..."]) -> Float[Array, "..."]:
    inside = np.clip(p, 1e-12, 1.0 - 1e-12)
    return -inside * np.log(inside) - (1.0 - inside) * np.log1p(-inside)
