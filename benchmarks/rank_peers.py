"""The peers of `rank.py`; each gets its data laid out as it wants them before the clock starts."""

from collections.abc import Callable

import numpy as np

import rank_worlds as worlds
from rank_worlds import World

Fit = Callable[[], dict]


def evalica_bradley_terry(world: World) -> Fit:
    """evalica's compiled solver, to a tolerance that reaches the likelihood's top."""
    import pandas as pd
    from evalica import Winner, bradley_terry

    sides = (Winner.X, Winner.Y)
    winners = [sides[o] for o in world.outcome]
    index = pd.Index(range(world.num_items))

    def fit() -> dict:
        found = bradley_terry(
            world.first, world.second, winners, index=index, tolerance=1e-8, limit=1000
        )
        scores = np.log(found.scores.reindex(range(world.num_items)).to_numpy())
        return {"strengths": scores.tolist(), "iterations": found.iterations}

    return fit


def evalica_from_names(world: World) -> Fit:
    """evalica as its users call it: names, and no index made before."""
    from evalica import Winner, bradley_terry

    names = np.array([f"item {i}" for i in range(world.num_items)], dtype=object)
    left, right = names[world.first].tolist(), names[world.second].tolist()
    sides = (Winner.X, Winner.Y)
    winners = [sides[o] for o in world.outcome]

    def fit() -> dict:
        found = bradley_terry(left, right, winners, tolerance=1e-8, limit=1000)
        scores = np.log(found.scores.reindex(names).fillna(1.0).to_numpy())
        return {"strengths": scores.tolist(), "iterations": found.iterations}

    return fit


def evalica_from_integers(world: World) -> Fit:
    """evalica from integer arrays, its index made by itself."""
    from evalica import Winner, bradley_terry

    sides = (Winner.X, Winner.Y)
    winners = [sides[o] for o in world.outcome]

    def fit() -> dict:
        found = bradley_terry(world.first, world.second, winners, tolerance=1e-8, limit=1000)
        scores = np.log(found.scores.reindex(range(world.num_items)).fillna(1.0).to_numpy())
        return {"strengths": scores.tolist(), "iterations": found.iterations}

    return fit


def evalica_from_series(world: World) -> Fit:
    """evalica from pandas columns of names, as its page shows it."""
    import pandas as pd
    from evalica import Winner, bradley_terry

    names = np.array([f"item {i}" for i in range(world.num_items)], dtype=object)
    left, right = pd.Series(names[world.first]), pd.Series(names[world.second])
    sides = (Winner.X, Winner.Y)
    winners = [sides[o] for o in world.outcome]

    def fit() -> dict:
        found = bradley_terry(left, right, winners, tolerance=1e-8, limit=1000)
        scores = np.log(found.scores.reindex(names).fillna(1.0).to_numpy())
        return {"strengths": scores.tolist(), "iterations": found.iterations}

    return fit


def arena_rank_bradley_terry(world: World) -> Fit:
    """arena-rank from its DataFrame: aggregation and L-BFGS, without its intervals."""
    import pandas as pd
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    names = np.array([f"item {i:06d}" for i in range(world.num_items)])
    frame = pd.DataFrame({
        "model_a": pd.Series(names[world.first]), "model_b": pd.Series(names[world.second]),
        "winner": np.array(["model_a", "model_b"])[world.outcome],
    })  # fmt: skip

    def fit() -> dict:
        data = PairDataset.from_pandas(frame)
        model = BradleyTerry(n_competitors=len(data.competitors))
        model.fit(data)
        by_name = dict(zip(data.competitors, np.asarray(model.params["ratings"]).tolist()))
        return {"strengths": [by_name.get(name, 0.0) for name in names]}

    return fit


def choix_pairwise(world: World) -> Fit:
    """choix's iterative Luce spectral ranking on a list of pairs."""
    import choix

    winner = np.where(world.outcome == 0, world.first, world.second)
    loser = np.where(world.outcome == 0, world.second, world.first)
    pairs = np.stack([winner, loser], axis=1).tolist()

    def fit() -> dict:
        return {"strengths": choix.ilsr_pairwise(world.num_items, pairs).tolist()}

    return fit


def sklearn_on_counts(world: World) -> Fit:
    """scikit-learn's logistic regression, sparse, on votes already added up by pair."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    N = world.num_items
    winner = np.where(world.outcome == 0, world.first, world.second).astype(np.int64)
    loser = np.where(world.outcome == 0, world.second, world.first).astype(np.int64)
    key, count = np.unique(winner * N + loser, return_counts=True)
    winner, loser = key // N, key % N
    # One row a pair and result, the lower item first, so that both results occur.
    low, high = np.minimum(winner, loser), np.maximum(winner, loser)
    rows = np.repeat(np.arange(len(key)), 2)
    values = np.tile([1.0, -1.0], len(key))
    design = csr_matrix((values, (rows, np.stack([low, high], axis=1).ravel())), (len(key), N))
    target, weight = (winner == low).astype(int), count.astype(float)

    def fit() -> dict:
        model = LogisticRegression(C=1e8, fit_intercept=False, tol=1e-9, max_iter=5000)
        model.fit(design, target, sample_weight=weight)
        return {"strengths": model.coef_[0].tolist(), "iterations": int(model.n_iter_[0])}

    return fit


def choix_rankings(world: World) -> Fit:
    """choix's iterative Luce spectral ranking on a list of rankings."""
    import choix

    data = world.rankings.tolist()

    def fit() -> dict:
        return {"strengths": choix.ilsr_rankings(world.num_items, data).tolist()}

    return fit


__all__ = ["worlds"]
