"""What is believed of one person's worth of named features: everybody's weights and their own part.

Legend: K options, N rewards of the person, U columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from penchant.beliefs.named_weights import NamedWeights
from penchant.encoders.named import Menu
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, slots=True)
class Earned:
    """What an option of a menu paid this person. place: of the option."""

    menu: Menu
    place: int
    reward: float


@dataclass(frozen=True, eq=False)
class PersonalWeights:
    """An option with entries x pays a person x' (w + d), w of everybody, d ~ N(0, spread^2) each.

    d is learnt from the person's own rewards r around what everybody's weights foretell (the
    posterior of a normal random coefficient, Lindley and Smith 1972), in the space of the N
    rewards: with K = spread^2 X X' + noise^2 1 an option x has the further mean
    spread^2 x' X' K^-1 (r - X m) and the further variance spread^2 x' x - spread^4 x' X' K^-1 X x.
    So somebody without rewards is like everybody, only less surely so, and many rewards outweigh
    what everybody likes. That m was learnt from these rewards too is left out: among many people
    it is little. What names are new to the belief nobody has a part of their own.

    Raises `ConfigError` for binary rewards, whose residuals are not normal.
    """

    everybody: NamedWeights
    earned: Sequence[Earned]
    spread: float
    _rows: Float[Array, "N U"] = field(init=False, repr=False)
    _solved: Float[Array, " N"] = field(init=False, repr=False)
    _within: Float[Array, "N N"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.everybody.is_binary:
            raise ConfigError(
                "weights of persons are for rewards that are numbers, and these are yes or no on "
                "the scale of log-odds; expected is_binary false (shares of yes are learnt so too)."
            )
        rows = np.zeros((len(self.earned), len(self.everybody.columns)))
        residual = np.zeros(len(self.earned))
        for n, each in enumerate(self.earned):
            alone = Menu(each.menu.context, (each.menu.ids[each.place],),
                         (each.menu.features[each.place],))  # fmt: skip
            rows[n] = self.everybody.entries(alone)[0]
            residual[n] = each.reward - rows[n] @ self.everybody.mean
        noise = self.everybody.noise**2 * np.eye(len(rows))
        within = np.linalg.inv(self.spread**2 * rows @ rows.T + noise)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_within", within)
        object.__setattr__(self, "_solved", within @ residual)

    @property
    def is_binary(self) -> bool:
        """Whether moments are of log-odds: never here."""
        return False

    @property
    def rounds(self) -> int:
        """Rewards seen, of everybody."""
        return self.everybody.rounds

    def own(self, menu: Menu) -> Float[Array, " K"]:
        """What each option is worth to this person beyond what it is to everybody."""
        x_KU = self.everybody.entries(menu)
        return self.spread**2 * (x_KU @ self._rows.T) @ self._solved

    def moments(self, menu: Menu) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
        """Mean and standard deviation of what each option pays this person on average."""
        mean, spread = self.everybody.moments(menu)
        x_KU = self.everybody.entries(menu)
        cross = self.spread**2 * (x_KU @ self._rows.T)
        further = self.spread**2 * (x_KU**2).sum(axis=1) - (cross @ self._within * cross).sum(
            axis=1
        )
        return mean + cross @ self._solved, np.sqrt(spread**2 + np.maximum(further, 0.0))
