"""Several rewards from ratings of several attributes: a linear head for each on one embedding.

Legend: N texts, D dimensions, M attributes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from penchant.errors import ConfigError, DataError
from penchant.fitting.shrinkage import evidence_spread
from penchant.numerics.arrays import Array
from penchant.numerics.threads import one_blas_thread


@dataclass(frozen=True, kw_only=True, eq=False)
class AttributeHeads:
    """rating_m = intercept_m + f' weights_m + noise_m: weights in rating points per unit of a
    feature, of prior standard deviation `prior_scale`; noise a standard deviation."""

    weights: Float[Array, "D M"]
    intercept: Float[Array, " M"]
    noise: Float[Array, " M"]
    prior_scale: Float[Array, " M"]

    def rewards(self, features: Float[Array, "N D"]) -> Float[Array, "N M"]:
        """What each text would be rated, attribute by attribute."""
        return features @ self.weights + self.intercept


@one_blas_thread
def fit_attribute_heads(
    features: Float[Array, "N D"],
    ratings: Float[Array, "N M"],
    *,
    prior_scale: float | None = None,
    max_rounds: int = 50,
) -> AttributeHeads:
    """Ridge regression of each attribute on the texts that were rated on it; NaN is not rated.

    The multi-objective reward model of Wang et al. (2024), whose sets rate different attributes.
    prior_scale None: chosen with the noise by the evidence (MacKay 1992), each attribute's own.

    Raises `DataError` for an attribute with fewer than two ratings or features that are not finite,
    `ConfigError` for a scale that is not positive.
    """
    if prior_scale is not None and not prior_scale > 0:
        raise ConfigError(f"got prior_scale={prior_scale}; expected a positive one, or None.")
    num = np.isfinite(ratings).sum(axis=0)
    if not np.all(np.isfinite(features)) or (num < 2).any():
        raise DataError(
            f"the attributes have {num.tolist()} ratings, or features are not all finite; expected "
            "two ratings of each or more, and finite features. Drop what has fewer."
        )
    heads = [_one(features[np.isfinite(r)], r[np.isfinite(r)], prior_scale, max_rounds)
             for r in ratings.T]  # fmt: skip
    weights, intercept, noise, scale = (np.array(each) for each in zip(*heads))
    return AttributeHeads(weights=weights.T, intercept=intercept, noise=noise, prior_scale=scale)


def _one(
    features: Float[Array, "N D"], rating: Float[Array, " N"], prior_scale: float | None,
    max_rounds: int,
) -> tuple[Float[Array, " D"], float, float, float]:  # fmt: skip
    """Weights, intercept, noise and scale of one attribute."""
    centre, mean = features.mean(axis=0), float(rating.mean())
    x, y = features - centre, rating - mean
    values, axes = np.linalg.eigh(x.T @ x)
    values, along = np.maximum(values, 0.0), axes.T @ (x.T @ y)
    # A rating that never differs has nothing to explain; its noise is kept above zero.
    least = 1e-6 * (1.0 + abs(mean))
    noise = max(float(y.std()), least)
    scale = prior_scale or noise / np.sqrt(max(float(values.sum()) / len(y), 1e-12))
    for _ in range(max_rounds):
        precision = values / noise**2 + scale**-2.0
        mode = along / noise**2 / precision
        determined = float((values / noise**2 / precision).sum())
        left = float(((y - x @ (axes @ mode)) ** 2).sum())
        fresh = max(np.sqrt(left / max(len(y) - 1.0 - determined, 1.0)), least)
        moved, noise = abs(np.log(fresh / noise)), fresh
        if prior_scale is None:
            wanted = max(evidence_spread(mode, 1.0 / precision, scale, least=1e-3), 1e-9)
            moved, scale = max(moved, abs(np.log(wanted / scale))), wanted
        if moved < 1e-3:
            break
    weights = axes @ (along / (values + (noise / scale) ** 2))
    return weights, mean - float(centre @ weights), float(noise), float(scale)
