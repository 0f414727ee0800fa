"""How sure networks are: nats and coverage on a taste that is curved, where the truth is known.

    python benchmarks/networks_coverage.py [--seeds 5] [--out FOLDER]

The table "How sure" of docs/neural.md: 150 people, 8 choices of 3 options each, new people asked,
and how many of the 90 % intervals of the difference in worth between two options hold it.
Estimators are as they come. Needs the extra `torch`. Some twenty seconds of one core.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from measure import circumstances
from penchant.data.records import Records
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.neural_logit import NeuralLogit

FORMULA = "near + left + right"
PEOPLE, TASKS, OPTIONS = 150, 8, 3
DRAWS, LEVEL = 200, 0.9
MODELS: dict[str, Callable[[int], Any]] = {
    "line": lambda seed: ConditionalLogit(FORMULA, random_state=seed),
    "one network": lambda seed: NeuralLogit(FORMULA, num_networks=1, random_state=seed),
    "eight networks": lambda seed: NeuralLogit(FORMULA, random_state=seed),
}


def truth(features: np.ndarray) -> np.ndarray:
    """Nearer to zero is better along the first axis; the others work together."""
    near = features[..., 0] ** 2
    return 2.0 - 2.0 * near / (1 + near / 4) + 1.5 * features[..., 1] * features[..., 2]


def world(rng: np.random.Generator) -> tuple[Records, np.ndarray]:
    """Choices of so many people, and what each option was truly worth."""
    features = rng.normal(size=(PEOPLE * TASKS, OPTIONS, 3))
    worth = truth(features)
    chosen = (worth + rng.gumbel(size=worth.shape)).argmax(axis=1)
    columns = dict(zip(("near", "left", "right"), np.moveaxis(features, 2, 0)))
    person = np.repeat(np.arange(PEOPLE), TASKS).astype(str)
    return Records.from_arrays(options=columns, rows={"chosen": chosen, "person": person}), worth


def judged(model: Any, asked: Records, worth: np.ndarray, seed: int) -> tuple[float, float]:
    """Nats per choice on new people, and the share of 90 % intervals that hold the truth."""
    belief, rng = model.belief_, np.random.default_rng(seed)
    batch = belief.encode(asked)
    drawn = np.stack([
        batch.flat([next(iter(one.utilities(batch))).utilities[:, :, 0]])
        for one in belief.sample(DRAWS, rng)
    ]).reshape(DRAWS, -1, OPTIONS)  # fmt: skip
    gap = drawn[:, :, 1] - drawn[:, :, 0]
    low, high = np.quantile(gap, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    real = worth[:, 1] - worth[:, 0]
    return -model.score(asked), float(np.mean((low < real) & (real < high)))


def of_truth(asked: Records, worth: np.ndarray) -> float:
    """Nats per choice of somebody who knows what options are worth."""
    share = worth - np.log(np.exp(worth).sum(axis=1, keepdims=True))
    return -float(share[np.arange(len(worth)), asked.rows["chosen"].to_numpy()].mean())


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--seeds", type=int, default=5)
    words.add_argument("--out", type=Path, help="folder for networks_coverage.json")
    said = words.parse_args()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in MODELS}
    best = []
    for seed in range(said.seeds):
        known, _ = world(np.random.default_rng(seed))
        asked, worth = world(np.random.default_rng(1000 + seed))
        best.append(of_truth(asked, worth))
        for name, make in MODELS.items():
            found[name].append(judged(make(seed).fit(known), asked, worth, seed))
    print(f"{'':16}{'nats':>7}{'intervals that hold':>22}")
    for name, each in found.items():
        nats, inside = np.mean(each, axis=0)
        print(f"{name:16}{nats:7.3f}{inside:22.0%}")
    print(f"{'the truth itself':16}{np.mean(best):7.3f}")
    if said.out is not None:
        said.out.mkdir(parents=True, exist_ok=True)
        kept = {"circumstances": circumstances(None), "seeds": said.seeds}
        text = json.dumps(kept | {"nats_and_coverage": found, "truth": best}, indent=1)
        (said.out / "networks_coverage.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
