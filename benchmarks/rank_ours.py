"""penchant's side of `rank.py`: from arrays, or Arrow columns, to strengths (and their errors)."""

from collections.abc import Callable

import numpy as np

import rank_worlds as worlds
from rank_worlds import World

Fit = Callable[[], dict]


def _names(world: World) -> tuple[str, ...]:
    return tuple(f"item {i}" for i in range(world.num_items))


def bradley_terry(world: World) -> Fit:
    """Count the votes and climb, from integer arrays."""
    from penchant.data.pair_counts import count_votes
    from penchant.fitting.paired import fit_paired

    names = _names(world)

    def fit() -> dict:
        found = fit_paired(count_votes(names, world.first, world.second, world.outcome))
        return {"strengths": found.strengths.tolist(), "iterations": found.iterations}

    return fit


def bradley_terry_arrow(world: World) -> Fit:
    """From Arrow dictionary columns of names, as Parquet and pandas' categories are."""
    import pyarrow as pa

    names = pa.array(_names(world))
    sides = pa.array(["model_a", "model_b"])
    table = pa.table({
        "model_a": pa.DictionaryArray.from_arrays(pa.array(world.first), names),
        "model_b": pa.DictionaryArray.from_arrays(pa.array(world.second), names),
        "winner": pa.DictionaryArray.from_arrays(pa.array(world.outcome.astype(np.int32)), sides),
    })  # fmt: skip
    return lambda: _from_table(world, table)


def bradley_terry_strings(world: World) -> Fit:
    """From Arrow columns of strings, as a CSV is read."""
    import pyarrow as pa

    table = pa.table({
        "model_a": pa.array(_names(world)).take(pa.array(world.first)),
        "model_b": pa.array(_names(world)).take(pa.array(world.second)),
        "winner": pa.array(["model_a", "model_b"]).take(pa.array(world.outcome)),
    })  # fmt: skip
    return lambda: _from_table(world, table)


def bradley_terry_lists(world: World) -> Fit:
    """From Python's lists of names, as evalica takes them."""
    from penchant.data.readers.table import load_table

    names = np.array(_names(world), dtype=object)
    left, right = names[world.first].tolist(), names[world.second].tolist()
    winner = np.array(["model_a", "model_b"], dtype=object)[world.outcome].tolist()
    return lambda: _from_table(
        world, load_table({"model_a": left, "model_b": right, "winner": winner}).table
    )


def _from_table(world: World, table: object) -> dict:
    from penchant.data.description import Description
    from penchant.data.readers.source import prepare
    from penchant.data.readers.vote_counts import counts_from_columns
    from penchant.fitting.paired import fit_paired

    said = Description(layout="pairs", option_columns=("model_a", "model_b"), answer="winner")
    found = fit_paired(counts_from_columns(prepare(table, said, "votes", True, 0)))
    by_name = dict(zip(found.counts.items, found.strengths.tolist(), strict=True))
    return {"strengths": [by_name.get(name, 0.0) for name in _names(world)]}


def counting(world: World) -> Fit:
    """The votes added up by pair, no fit."""
    from penchant.data.pair_counts import count_votes

    names = _names(world)

    def fit() -> dict:
        return {"pairs": count_votes(names, world.first, world.second, world.outcome).num_pairs}

    return fit


def on_counts(world: World) -> Fit:
    """The climb alone, on counts made before."""
    from penchant.data.pair_counts import count_votes
    from penchant.fitting.paired import fit_paired

    counts = count_votes(_names(world), world.first, world.second, world.outcome)

    def fit() -> dict:
        return {"strengths": fit_paired(counts).strengths.tolist()}

    return fit


def errors(world: World) -> Fit:
    """Standard errors by curvature of a fit made before: exact, or drawn to 2 % for many items."""
    from penchant.data.pair_counts import count_votes
    from penchant.fitting.paired import fit_paired
    from penchant.fitting.paired_errors import curvature_errors
    from penchant.fitting.paired_intervals import point_of

    fitted = fit_paired(count_votes(_names(world), world.first, world.second, world.outcome))

    def fit() -> dict:
        found = curvature_errors(point_of(fitted), np.random.default_rng(0))
        return {"accuracy": found.accuracy, "mean_se": float(found.se.mean())}

    return fit


def interval(world: World, *, kind: str) -> Fit:
    """Intervals of one kind for a fit made before."""
    from penchant.data.pair_counts import count_votes
    from penchant.fitting.interval_kinds import IntervalConfig
    from penchant.fitting.paired import fit_paired
    from penchant.fitting.paired_intervals import strength_intervals

    fitted = fit_paired(count_votes(_names(world), world.first, world.second, world.outcome))

    def fit() -> dict:
        found = strength_intervals(fitted, None, IntervalConfig(kind=kind))  # type: ignore[arg-type]  # named in rank.py
        return {"mean_se": float(found.se.mean())}

    return fit


def rank_intervals(world: World) -> Fit:
    """Ranks that hold for all items at once, from a covariance made before."""
    from penchant.data.pair_counts import count_votes
    from penchant.fitting.interval_kinds import IntervalConfig
    from penchant.fitting.paired import fit_paired
    from penchant.fitting.paired_intervals import strength_intervals
    from penchant.models.standings import paired_bounds, rank_bounds

    fitted = fit_paired(count_votes(_names(world), world.first, world.second, world.outcome))
    found = strength_intervals(fitted, None, IntervalConfig(kind="wald"))

    def fit() -> dict:
        bounds = paired_bounds(fitted, found, 0.95)
        island = fitted.connectivity.island
        ranks = rank_bounds(fitted.strengths, bounds, island, np.random.default_rng(0))
        return {"mean_width": float((ranks.high - ranks.low).mean())}

    return fit


def plackett_luce(world: World) -> Fit:
    """Rankings in flat arrays to strengths."""
    from penchant.data.rankings import Rankings
    from penchant.fitting.ranked import fit_ranked

    count, size = world.rankings.shape
    names = _names(world)

    def fit() -> dict:
        found = fit_ranked(Rankings(
            items=names, item=world.rankings.ravel().astype(np.int32),
            tier=np.tile(np.arange(size), count), start=np.arange(count + 1) * size,
            weight=np.ones(count),
        ))  # fmt: skip
        return {"strengths": found.strengths.tolist(), "log_likelihood": found.log_likelihood}

    return fit


__all__ = ["worlds"]
