"""Choices of people whose tastes we know: what every fit must be able to find again.

Legend: B observations, K options, D features, G groups (people), Q group features, S classes,
T tasks of one person, M parameters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from penchant.data.batch import Batch, Block, FlatChoices
from penchant.errors import ConfigError
from penchant.numerics.arrays import Array

Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulationConfig:
    """part_worths: one row per class of people, one number per feature (utility per unit).
    router: for each class after the first, an intercept and one slope per group feature, in
    log-odds against the first class; empty for classes of equal size.
    spread: lower triangular root L of the covariance L L' of tastes around their class mean,
    one row per feature; empty where a class shares one taste.
    menu_sizes: options of each task, taken in turn over a person's tasks.
    num_group_features: attributes of each person, standard normal, read by the router.
    """

    part_worths: Rows
    router: Rows = ()
    spread: Rows = ()
    num_people: int = 500
    num_tasks: int = 8
    menu_sizes: tuple[int, ...] = (4,)
    num_group_features: int = 0

    @classmethod
    def pooled(
        cls, part_worths: tuple[float, ...], *, num_people: int = 500, num_tasks: int = 8
    ) -> "SimulationConfig":
        """One taste for all."""
        return cls(part_worths=(part_worths,), num_people=num_people, num_tasks=num_tasks)

    def check(self) -> None:
        """Raises `ConfigError` where the shapes contradict each other."""
        num_features = len(self.part_worths[0]) if self.part_worths else 0
        expected = {
            "part_worths": (len(self.part_worths), num_features),
            "router": (len(self.part_worths) - 1, 1 + self.num_group_features),
            "spread": (num_features, num_features),
        }
        for name, (height, width) in expected.items():
            rows = getattr(self, name)
            if name != "part_worths" and not rows:
                continue
            if not rows or len(rows) != height or any(len(row) != width for row in rows):
                raise ConfigError(
                    f"{name} has rows of lengths {[len(row) for row in rows]}; expected "
                    f"{height} of {width} numbers each (one column per feature; the router one "
                    "row per class after the first, intercept first)."
                )
        if min(self.num_people, self.num_tasks, *self.menu_sizes) < 1:
            raise ConfigError(
                f"{self.num_people} people, {self.num_tasks} tasks and menus of "
                f"{self.menu_sizes} options were asked for; expected at least one of each."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Simulated:
    """The choices, and what nobody but the simulation knows: each person's taste and class.

    theta: the truth in the layout of the populations: the part-worths of one taste; class by
    class and then the router; or means and then the lower triangle of L, row by row.
    """

    batch: Batch
    tastes: Float[Array, "G D"]
    classes: Int[Array, " G"]
    theta: Float[Array, " M"]

    def flat(self) -> FlatChoices:
        """The same choices without padding, sorted by person."""
        return self.batch.flat_choices()


def simulate_choices(config: SimulationConfig, rng: np.random.Generator) -> Simulated:
    """People who choose the option of highest worth: x' beta_g plus a standard Gumbel error.

    Features are standard normal, so that a part-worth is utility per standard deviation
    (McFadden 1974: Gumbel errors give the conditional logit). Same generator state, same bits.

    Raises `ConfigError` where the shapes contradict each other.
    """
    config.check()
    worths_SD = np.array(config.part_worths, dtype=np.float64)
    group_features = rng.standard_normal((config.num_people, config.num_group_features))
    classes = _draw_classes(config, group_features, rng)
    tastes = worths_SD[classes]
    if config.spread:
        noise = rng.standard_normal(tastes.shape)
        tastes = tastes + noise @ np.array(config.spread, dtype=np.float64).T
    batch = Batch(
        blocks=_blocks(config, tastes, rng),
        feature_names=tuple(f"x{d}" for d in range(worths_SD.shape[1])),
        option_names=tuple(f"option{k}" for k in range(max(config.menu_sizes))),
        group_names=tuple(f"person{g}" for g in range(config.num_people)),
        group_features=group_features,
        group_feature_names=tuple(f"z{q}" for q in range(config.num_group_features)),
        num_rows=config.num_people * config.num_tasks,
    )
    return Simulated(batch=batch, tastes=tastes, classes=classes, theta=_theta(config))


def _blocks(
    config: SimulationConfig, tastes: Float[Array, "G D"], rng: np.random.Generator
) -> tuple[Block, ...]:
    """One block per size of menu, rows person by person."""
    sizes_T = np.resize(np.array(config.menu_sizes), config.num_tasks)
    num_people, num_features = tastes.shape
    blocks = []
    for size in dict.fromkeys(sizes_T.tolist()):
        tasks = np.flatnonzero(sizes_T == size)
        row = (np.arange(num_people)[:, None] * config.num_tasks + tasks).ravel()
        group = np.repeat(np.arange(num_people), len(tasks))
        features = rng.standard_normal((len(row), size, num_features))
        worths = (features @ tastes[group][:, :, None])[:, :, 0]
        chosen = np.argmax(worths + rng.gumbel(size=worths.shape), axis=1)
        blocks.append(
            Block(
                kind="choice",
                features=features,
                offered=np.ones((len(row), size), dtype=bool),
                option=np.tile(np.arange(size), (len(row), 1)),
                row=row,
                group=group,
                weight=np.ones(len(row)),
                answer={"chosen": chosen},
            )
        )
    return tuple(blocks)


def _draw_classes(
    config: SimulationConfig, group_features: Float[Array, "G Q"], rng: np.random.Generator
) -> Int[Array, " G"]:
    """argmax of log-odds plus Gumbel noise is a draw from their softmax (Gumbel 1954)."""
    log_odds = np.zeros((config.num_people, len(config.part_worths)))
    if config.router:
        router = np.array(config.router, dtype=np.float64)
        log_odds[:, 1:] = router[:, 0] + group_features @ router[:, 1:].T
    return np.argmax(log_odds + rng.gumbel(size=log_odds.shape), axis=1)


def _theta(config: SimulationConfig) -> Float[Array, " M"]:
    parts = [np.array(config.part_worths, dtype=np.float64).ravel()]
    if len(config.part_worths) > 1:
        width = 1 + config.num_group_features
        flat = np.zeros((len(config.part_worths) - 1, width))
        parts.append((np.array(config.router) if config.router else flat).ravel())
    if config.spread:
        root = np.array(config.spread)
        parts.append(root[np.tril_indices(len(root))])
    return np.concatenate(parts)
