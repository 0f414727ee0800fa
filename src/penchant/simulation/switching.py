"""Arms that tire while they are played and recover while they rest; every payoff is known.

Legend: A arms, D rounds until nothing changes any more.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.errors import ConfigError
from penchant.numerics.arrays import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class SwitchingArms:
    """What an arm pays depends on its last switch (Laforgue, Clerici, Cesa-Bianchi and
    Gilad-Bachrach 2022). rested[a, d-1]: pay after d rounds of rest, not falling in d; tired[a,
    l-1]: pay of the play that follows l plays in a row, not rising in l. Both stay as they are
    beyond the last column.

    Raises `ConfigError` where payoffs are not monotone, which all guarantees stand on.
    """

    rested: Float[Array, "A D"]
    tired: Float[Array, "A D"]

    def __post_init__(self) -> None:
        falls, rises = np.diff(self.rested, axis=1) < 0, np.diff(self.tired, axis=1) > 0
        if self.rested.shape != self.tired.shape or falls.any() or rises.any():
            raise ConfigError(
                f"payoffs have shapes {self.rested.shape} and {self.tired.shape}, with "
                f"{int(falls.sum())} that fall with rest and {int(rises.sum())} that rise with "
                "play; expected the same shape, pay not falling with rest nor rising with play."
            )

    def pays(self, since: Int[Array, " A"]) -> Float[Array, " A"]:
        """Of each arm if it is played now. since: rounds of rest (1 and more), or minus the plays
        in a row up to now."""
        far, arms = self.rested.shape[1], np.arange(len(since))
        column = np.clip(np.abs(since), 1, far) - 1
        return np.where(since > 0, self.rested[arms, column], self.tired[arms, column])


def switched(since: Int[Array, " A"], played: Int[Array, "*A"], far: int) -> Int[Array, " A"]:
    """The state of each arm after `played` (one or several) were; counts end at `far`."""
    rests = np.where(since > 0, np.minimum(since + 1, far), 1)
    plays = np.where(since > 0, -1, np.maximum(since - 1, -far))
    is_played = np.zeros(len(since), dtype=bool)
    is_played[played] = True
    return np.where(is_played, plays, rests)


def drawn_switching(num_arms: int, far: int, rng: np.random.Generator) -> SwitchingArms:
    """Each arm's 2 D payoffs are uniform and sorted: the more tired, the less, the more rested, the
    more; what pays after one play is below what pays after one round of rest."""
    pays = np.sort(rng.random((num_arms, 2 * far)), axis=1)
    return SwitchingArms(rested=pays[:, far:], tired=pays[:, :far][:, ::-1])
