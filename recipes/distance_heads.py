"""Choosing by nearness: Miller-Golub et al. (2026), Rethinking the Harmonic Loss via Non-Euclidean
Distance Layers, after the harmonic loss of Baek et al. (2025).

Theirs: logits replaced by -n log of a distance to a point for each class; of the distances cosine
gives the best accuracy for its cost, with points that can be looked at. Their figures are of large
networks, which could not be had; compared is the claim of our method notes for a small task: the
cosine head at most half a point of accuracy below cross-entropy, bounded points, and points that
are the classes' means (cosine 0.9 or more). Ours: 1,797 digits of 8 x 8 pixels, 900 to learn from,
one layer, n = sqrt(64), 10 splits; softmax with the best of three ridges, chosen on the digits
tested, in its favour; cosine is 0.4 points below, uncertain by 0.4. `accuracy` has the other
distances and 95 % intervals: with the default n none but cosine comes near softmax; with n = 32
Euclid's and Minkowski's do. Tiny: 2 splits, two distances. 2 min on one core. Data: scikit-learn's
digits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.errors import MissingExtraError
from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import over_seeds, packaged_file, results, run_recipe
from penchant.fitting.distance_head import fit_distance_head
from penchant.metrics.intervals import reach_of_mean
from penchant.utilities.distance import bray_curtis, cosine, euclidean, manhattan, minkowski

SOURCE = "claim of the method card"
KINDS = {"cosine": cosine, "Euclid": euclidean, "Minkowski 3": minkowski, "Manhattan": manhattan,
         "Bray-Curtis": bray_curtis}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Config:
    """powers: n of the heads, the first being the default that is claimed."""

    num_splits: int = 10
    num_known: int = 900
    powers: tuple[float, ...] = (8.0, 32.0)
    kinds: tuple[str, ...] = tuple(KINDS)
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_splits=2, kinds=("cosine", "Euclid"))


def main(config: Config) -> dict[str, Any]:
    table = np.loadtxt(packaged_file("sklearn", "datasets/data/digits.csv.gz"), delimiter=",")
    pixels, digit = table[:, :-1] / 16.0, table[:, -1].astype(np.int64)
    runs = [one(config, pixels, digit, split) for split in range(config.num_splits)]
    found = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    mean = {name: float(values.mean()) for name, values in found.items()}
    head = f"cosine, n = {config.powers[0]:g}"
    claims = [
        no_worse("accuracy, cosine less softmax", -0.005, mean[head] - mean["softmax"],
                 source=SOURCE),
        no_worse("least cosine of a point with its class's mean", 0.9,
                 mean[f"{head}, least cosine"], source=SOURCE),
        no_worse("longest point, in longest means, below 2 by", 0.0,
                 2.0 - mean[f"{head}, length"], source="ours"),
    ]  # fmt: skip
    told = {name: over_seeds(values) for name, values in found.items()}
    apart = reach_of_mean(found[head] - found["softmax"])
    return results(claims, accuracy=told, cosine_less_softmax_within=round(apart, 4))


def one(config: Config, pixels: np.ndarray, digit: np.ndarray, split: int) -> dict[str, float]:
    order = np.random.default_rng((config.seed, split)).permutation(len(digit))
    known, new = order[: config.num_known], order[config.num_known :]
    x, y = pixels[known], digit[known]
    means = np.array([x[y == k].mean(axis=0) for k in range(10)])
    found = {"softmax": softmax_accuracy(x, y, pixels[new], digit[new])}
    for kind in config.kinds:
        for power in config.powers:
            head = fit_distance_head(x, y, distance=KINDS[kind], power=power)
            said = head.probabilities(pixels[new]).argmax(axis=1)
            found[f"{kind}, n = {power:g}"] = float(np.mean(said == digit[new]))
            if kind != "cosine":
                continue
            length, usual = (np.linalg.norm(each, axis=1) for each in (head.points, means))
            along = (head.points * means).sum(axis=1) / (length * usual)
            found[f"{kind}, n = {power:g}, least cosine"] = float(along.min())
            found[f"{kind}, n = {power:g}, length"] = float(length.max() / usual.max())
    return found


def softmax_accuracy(x: np.ndarray, y: np.ndarray, new: np.ndarray, digit: np.ndarray) -> float:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingExtraError(
            "scikit-learn, whose cross-entropy is compared, is not installed; expected it here. "
            "Mend: pip install 'penchant[demo]'"
        ) from error
    fits = (LogisticRegression(C=size, max_iter=2000).fit(x, y) for size in (0.1, 1.0, 10.0))
    return max(float(fit.score(new, digit)) for fit in fits)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
