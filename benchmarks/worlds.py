"""The simulated people that every contender of `choose.py` is fitted on, saved as plain .npy files.

Only NumPy is needed here, so that a peer in another environment reads exactly the same bytes.

Legend: B observations, K options, D features, P people, S classes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class World:
    """Choices of people: features [B, K, D], chosen [B], person [B], offered [B, K] or None."""

    features: np.ndarray
    chosen: np.ndarray
    person: np.ndarray
    truth: dict
    offered: np.ndarray | None = None

    @property
    def num_people(self) -> int:
        return int(self.person[-1]) + 1

    def head(self, people: int) -> "World":
        """The first people only: what the warm-up is run on."""
        rows = np.searchsorted(self.person, people)
        return World(
            self.features[:rows],
            self.chosen[:rows],
            self.person[:rows],
            self.truth,
            None if self.offered is None else self.offered[:rows],
        )

    def save(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "features.npy", self.features)
        np.save(folder / "chosen.npy", self.chosen)
        np.save(folder / "person.npy", self.person)
        if self.offered is not None:
            np.save(folder / "offered.npy", self.offered)
        (folder / "truth.json").write_text(json.dumps(self.truth))
        return folder


def load(folder: Path) -> World:
    """The world that `World.save` left in the folder."""
    offered = folder / "offered.npy"
    return World(
        np.load(folder / "features.npy"),
        np.load(folder / "chosen.npy"),
        np.load(folder / "person.npy"),
        json.loads((folder / "truth.json").read_text()),
        np.load(offered) if offered.exists() else None,
    )


def one_taste(people: int, choices: int = 8, options: int = 4, seed: int = 1) -> World:
    """Everybody has the same ten part-worths (conditional logit)."""
    rng = np.random.default_rng(seed)
    part_worths = np.linspace(-1.0, 1.0, 10)
    tastes = np.broadcast_to(part_worths, (people, 10))
    return _choose(rng, tastes, choices, options, {"coefficients": part_worths.tolist()})


def normal_tastes(
    people: int, choices: int = 8, options: int = 4, seed: int = 2, *, correlated: bool = False
) -> World:
    """Ten normally distributed part-worths, one draw per person for all choices (panel)."""
    rng = np.random.default_rng(seed)
    mean = np.linspace(-1.0, 1.0, 10)
    spread = np.linspace(0.5, 1.2, 10)
    cholesky = np.diag(spread)
    if correlated:
        loadings = np.sin(np.arange(20.0)).reshape(10, 2)
        covariance = np.diag(spread**2) + 0.5 * loadings @ loadings.T
        cholesky = np.linalg.cholesky(covariance)
    tastes = mean + rng.standard_normal((people, 10)) @ cholesky.T
    truth = {"mean": mean.tolist(), "cholesky": cholesky.tolist()}
    return _choose(rng, tastes, choices, options, truth)


def opposed_classes(people: int, choices: int = 8, options: int = 4, seed: int = 3) -> World:
    """Two classes whose tastes point in opposite directions, 40 % and 60 % of people.

    The one-class fit is a saddle point here: an EM that starts there cannot leave it.
    """
    rng = np.random.default_rng(seed)
    tastes_SD = np.array([np.linspace(0.2, 1.5, 6), -np.linspace(1.2, 0.1, 6)])
    shares = np.array([0.4, 0.6])
    member = rng.choice(2, size=people, p=shares)
    truth = {"classes": tastes_SD.tolist(), "shares": shares.tolist()}
    return _choose(rng, tastes_SD[member], choices, options, truth)


def swissmetro(path: Path) -> World:
    """Commuters and business travellers of the complete Swissmetro file: 6,768 choices.

    Bierlaire, Axhausen & Abay (2001); the specification is Biogeme's first example (Bierlaire,
    2003 and later): two constants, time and cost in hundreds, passes travel free of charge.
    Returns features [asc_train, asc_car, time, cost] of train, Swissmetro and car.
    """
    with _open(path) as file:
        names = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    column = {name: table[:, place] for place, name in enumerate(names)}
    keep = np.isin(column["PURPOSE"], [1, 3]) & (column["CHOICE"] != 0)
    column = {name: values[keep] for name, values in column.items()}
    paying = column["GA"] == 0
    features = np.zeros((int(keep.sum()), 3, 4))
    features[:, 0, 0] = 1.0
    features[:, 2, 1] = 1.0
    for place, option in enumerate(("TRAIN", "SM", "CAR")):
        features[:, place, 2] = column[f"{option}_TT"] / 100
        cost = column[f"{option}_CO"] / 100
        features[:, place, 3] = cost if option == "CAR" else cost * paying
    offered = np.stack([column[f"{option}_AV"] == 1 for option in ("TRAIN", "SM", "CAR")], axis=1)
    person = np.unique(column["ID"], return_inverse=True)[1]
    published = {
        "coefficients": [-0.701, -0.155, -1.28, -1.08],
        "log_likelihood": -5331.252,
    }
    return World(features, column["CHOICE"].astype(np.int64) - 1, person, published, offered)


def _choose(
    rng: np.random.Generator, tastes_PD: np.ndarray, choices: int, options: int, truth: dict
) -> World:
    people, attributes = tastes_PD.shape
    person = np.repeat(np.arange(people), choices)
    features = rng.standard_normal((people * choices, options, attributes))
    worth = np.einsum("bkd,bd->bk", features, tastes_PD[person])
    chosen = (worth + rng.gumbel(size=worth.shape)).argmax(axis=1)
    return World(features, chosen, person, truth)


def _open(path: Path):
    if path.suffix == ".gz":
        import gzip

        return gzip.open(path, "rt")
    return path.open()
