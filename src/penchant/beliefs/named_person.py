"""What is believed of one person's worth of named features: everybody's weights and their own part.

Legend: K options, N rewards of the person, R directions of these, U columns.
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
    posterior of a normal random coefficient, Lindley and Smith 1972): with K = spread^2 X X' +
    noise^2 1 an option x has the further mean spread^2 x' X' K^-1 (r - X m) and the further
    variance spread^2 x' x - spread^4 x' X' K^-1 X x, each taken in the singular directions of X.
    So somebody without rewards is like everybody, only less surely so, and many rewards outweigh
    what everybody likes. That m was learnt from these rewards too is left out: among many people
    it is little. What names are new to the belief nobody has a part of their own.

    Raises `ConfigError` for binary rewards, whose residuals are not normal.
    """

    everybody: NamedWeights
    earned: Sequence[Earned]
    spread: float
    _ways: Float[Array, "R U"] = field(init=False, repr=False)
    _learnt: Float[Array, " R"] = field(init=False, repr=False)
    _open: Float[Array, " R"] = field(init=False, repr=False)

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
        # Never K^-1 itself: of the same large entries twice K is singular in double precision.
        left, roots, ways = np.linalg.svd(rows, full_matrices=False)
        noise = self.everybody.noise**2
        total = self.spread**2 * roots**2 + noise
        object.__setattr__(self, "_ways", ways)
        object.__setattr__(self, "_learnt", self.spread**2 * roots / total * (left.T @ residual))
        object.__setattr__(self, "_open", self.spread**2 * noise / total)

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
        return self.everybody.entries(menu) @ self._ways.T @ self._learnt

    def moments(self, menu: Menu) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
        """Mean and standard deviation of what each option pays this person on average."""
        mean, spread = self.everybody.moments(menu)
        x_KU = self.everybody.entries(menu)
        seen_KR = x_KU @ self._ways.T
        # What of an option lies off everything that paid them before is as open as it was.
        unseen_KU = x_KU - seen_KR @ self._ways
        further = self.spread**2 * (unseen_KU**2).sum(axis=1) + seen_KR**2 @ self._open
        return mean + seen_KR @ self._learnt, np.sqrt(spread**2 + further)
