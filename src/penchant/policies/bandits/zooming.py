"""Arms that fill a continuum, neighbours paying alike: look closer where it may be best.

Legend: N points of a grid, A arms, D coordinates.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from penchant.beliefs.storage import load_as, save_value
from penchant.errors import ConfigError, DataError
from penchant.numerics.arrays import Array

# Of a grid so fine that no ball ever falls between its points.
_MOST_POINTS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ZoomingConfig:
    """num_rounds: horizon T. num_coordinates: D; points lie in [0, 1]^D. lipschitz: how much mean
    rewards, which lie in 0 to 1, differ at most between points that are 1 apart (by the coordinate
    in which they are furthest apart). width: factor of the published radius, which is wide.

    Raises `ConfigError` for numbers out of range, and where a grid fine enough for so many rounds
    has more than a million points.
    """

    num_rounds: int
    num_coordinates: int = 1
    lipschitz: float = 1.0
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.num_rounds < 2 or self.num_coordinates < 1:
            raise ConfigError(
                f"num_rounds is {self.num_rounds} and num_coordinates {self.num_coordinates}; "
                "expected two rounds or more, and one coordinate or more."
            )
        for name in ("lipschitz", "width"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected a number above 0.")
        if not self._is_countable():
            raise ConfigError(
                f"{self.num_coordinates} coordinates, {self.num_rounds} rounds and lipschitz "
                f"{self.lipschitz:g} want a grid of {self._balls() + 1.0:.4g} points a coordinate, "
                "more than a million in all; expected a million at most. Take fewer coordinates, a "
                "shorter horizon, a smaller lipschitz or a larger width."
            )

    def radius(self, num_seen: int) -> float:
        """width sqrt(2 log T / (n + 1)), in units of reward, of a point with n rewards."""
        return self.width * math.sqrt(2.0 * math.log(self.num_rounds) / (num_seen + 1))

    @property
    def num_each(self) -> int:
        """Points of the grid along each coordinate: no ball is ever smaller than the distance
        between two, which costs no more than the radius itself does."""
        return math.ceil(self._balls()) + 1

    def _balls(self) -> float:
        """The smallest that fit side by side along a coordinate."""
        return self.lipschitz / self.radius(self.num_rounds)

    def _is_countable(self) -> bool:
        """Whether the grid has a million points at most, of which two a coordinate are the least:
        first by what needs no product, which may have any number of digits."""
        if self._balls() >= _MOST_POINTS or 2.0 ** min(self.num_coordinates, 99) > _MOST_POINTS:
            return False
        return self.num_each**self.num_coordinates <= _MOST_POINTS


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ZoomingBelief:
    """What rewards told of the arms opened so far, in the order of their opening. num_seen, total:
    how many rewards each had, and their sum."""

    config: ZoomingConfig
    points: Float[Array, "A D"]
    num_seen: Int[Array, " A"]
    total: Float[Array, " A"]

    def moments(self) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Mean reward and confidence radius of each arm; the mean of one without rewards is 0."""
        radius = [self.config.radius(num) for num in self.num_seen.tolist()]
        return self.total / np.maximum(self.num_seen, 1), np.array(radius, dtype=np.float64)

    def save(self, folder: str | Path) -> None:
        """As JSON and safetensors in a folder."""
        save_value(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> "ZoomingBelief":
        """What `save` wrote. Raises `BeliefError` for a damaged folder or another belief."""
        return load_as(cls, folder)


@dataclass(frozen=True, slots=True, eq=False)
class ZoomingDecision:
    """point: what to play. place: of the arm there, in the order in which arms were opened."""

    point: Float[Array, " D"]
    place: int


class ZoomingBandit:
    """The zooming algorithm (Kleinberg, Slivkins and Upfal 2008; Slivkins 2019, section 4.3).

    An arm x that is open covers all points within r(x) / lipschitz of it, r its confidence radius:
    of these nothing else is known. Where a point is not covered, an arm is opened there; then the
    arm with the largest mean + 2 r is played. Balls shrink with every reward, so that arms come to
    stand close where rewards are high and remain few elsewhere: with d the zooming dimension regret
    grows as T^((d+1)/(d+2)); a peak with straight sides has d = 0, one like 1 - |x|^a in one
    coordinate 1 - 1/a, the worst that there is d = D. Departs from the paper in that arms are
    opened on a grid finer than any ball.

    It plays with certainty, so that its log cannot judge other policies. decide -> the world
    answers -> update, as late and in whatever order answers come. To go on where another stopped:
    its belief in place of a config.
    """

    def __init__(
        self, known: ZoomingConfig | ZoomingBelief, *, random_state: int | np.random.Generator = 0
    ) -> None:
        config = known if isinstance(known, ZoomingConfig) else known.config
        self._config = config
        self._generator = np.random.default_rng(random_state)
        line = np.linspace(0.0, 1.0, config.num_each)
        mesh = np.meshgrid(*[line] * config.num_coordinates, indexing="ij")
        self._grid = np.stack([axis.ravel() for axis in mesh], axis=1)
        # By how many balls each point of the grid is covered.
        self._covers = np.zeros(len(self._grid), dtype=np.int64)
        self._points = np.empty((0, config.num_coordinates))
        self._seen, self._total = np.zeros(0, dtype=np.int64), np.zeros(0)
        self._radius = np.zeros(0)
        if isinstance(known, ZoomingBelief):
            self._points, self._radius = known.points.copy(), known.moments()[1]
            self._seen, self._total = known.num_seen.copy(), known.total.copy()
            self._covers = sum((self._inside(a) for a in range(len(self._points))), self._covers)

    @property
    def belief_(self) -> ZoomingBelief:
        """What is believed now; later rewards do not change it."""
        return ZoomingBelief(config=self._config, points=self._points.copy(),
                             num_seen=self._seen.copy(), total=self._total.copy())  # fmt: skip

    @property
    def points(self) -> Float[Array, "A D"]:
        """Of all arms opened so far."""
        return self._points.copy()

    def moments(self) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Mean reward and confidence radius of each arm; the mean of one without rewards is 0."""
        return self._total / np.maximum(self._seen, 1), self._radius.copy()

    def decide(self, *, generator: np.random.Generator | None = None) -> ZoomingDecision:
        """The point to play now. generator: of chance, in place of the bandit's own."""
        if not self._covers.all():
            chance = generator or self._generator
            self._open(int(chance.choice(np.flatnonzero(self._covers == 0))))
        mean, radius = self.moments()
        place = int((mean + 2.0 * radius).argmax())
        return ZoomingDecision(self._points[place].copy(), place)

    def update(self, decision: ZoomingDecision, reward: float) -> None:
        """What the point paid, 0 to 1. Raises `DataError` for other rewards."""
        if not 0.0 <= reward <= 1.0:
            raise DataError(
                f"the reward at {decision.point} is {reward}; expected 0 to 1, the units of "
                "`lipschitz`. Rescale rewards; a missing one is left out."
            )
        place = decision.place
        before = self._inside(place)
        self._seen[place] += 1
        self._total[place] += reward
        self._radius[place] = self._config.radius(int(self._seen[place]))
        self._covers -= before & ~self._inside(place)

    def _open(self, at: int) -> None:
        self._points = np.concatenate([self._points, self._grid[at : at + 1]])
        self._seen, self._total = np.append(self._seen, 0), np.append(self._total, 0.0)
        self._radius = np.append(self._radius, self._config.radius(0))
        self._covers += self._inside(len(self._points) - 1)

    def _inside(self, place: int) -> Bool[Array, " N"]:
        apart = np.abs(self._grid - self._points[place]).max(axis=1)
        return apart * self._config.lipschitz <= self._radius[place]
