"""Do intervals of scores and ranks hold? Simulated votes, fitted again and again, truth known.

    python benchmarks/rank_coverage.py [--only WORLD ...] [--seeds 400] [--resampled 200]

For each world of `vote_worlds.py` and each kind of 95 % interval: the share of intervals that hold
the truth, pooled over the items the world is about, and of the item that fares worst; the share of
ends at infinity; the median width of finite ones beside that of "wald". Rank intervals must hold
for all items at once. "holds" means a pooled share of 93 % or
more, "too wide" of 98.5 % or more.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.data.rankings import Rankings
from penchant.fitting.interval_kinds import IntervalConfig
from penchant.fitting.paired import PairedConfig, PairedFit, fit_paired
from penchant.fitting.paired_intervals import strength_intervals
from penchant.fitting.paired_prior import in_gauge
from penchant.fitting.ranked import RankedFit, fit_ranked
from penchant.fitting.ranked_intervals import ranked_intervals
from penchant.metrics.rank_intervals import ranks
from penchant.models.leaderboard import Leaderboard
from penchant.models.standings import Bounds, paired_bounds, rank_bounds, ranked_bounds
from vote_worlds import WORLDS, VoteWorld

RESULTS = Path(__file__).resolve().parent / "results" / "rank_coverage.json"
PLAIN = ("wald", "sandwich", "profile", "auto")
RESAMPLED = ("bootstrap", "voter_bootstrap")
RANKED = ("wald", "auto")


def kinds_for(world: VoteWorld, is_resampled: bool) -> tuple[str, ...]:
    has_voters = world.votes.voter is not None
    if "has_drift" in world.asked or "voters" in world.asked:
        return ("wald", "auto")
    if world.asked:
        return ("wald", "auto", "voter") + (("voter_bootstrap",) if is_resampled else ())
    by_voter = ("voter",) if has_voters else ()
    resampled = RESAMPLED if has_voters else RESAMPLED[:1]
    return (*PLAIN, *by_voter, *(resampled if is_resampled else ()))


class Tally:
    """What one kind of interval did in one world."""

    def __init__(self) -> None:
        self.held, self.width, self.infinite, self.misses = [], [], [], np.zeros(2)
        self.seconds = 0.0

    def add(self, found: Bounds, world: VoteWorld) -> None:
        above, below = world.truth > found.high, world.truth < found.low
        self.held.append((~above & ~below)[world.focus])
        self.misses += [below[world.focus].sum(), above[world.focus].sum()]
        width = (found.high - found.low)[world.focus]
        self.infinite.append(np.isinf(width))
        self.width.append(np.where(np.isinf(width), np.nan, width))

    def summary(self) -> dict:
        held, width = np.array(self.held), np.array(self.width)
        pooled = float(held.mean())
        return {
            "seeds": len(held),
            "pooled": pooled,
            "monte_carlo_error": float(held.mean(axis=1).std() / math.sqrt(len(held))),
            "worst_item": float(held.mean(axis=0).min()),
            "truth_below": float(self.misses[0] / held.size),
            "truth_above": float(self.misses[1] / held.size),
            "infinite": float(np.mean(self.infinite)),
            "median_width": float(np.nanmedian(width)) if np.isfinite(width).any() else None,
            "verdict": verdict(pooled),
            "cpu_seconds_each": self.seconds / len(held),
        }


def verdict(share: float) -> str:
    if share < 0.93:
        return "too narrow"
    return "too wide" if share >= 0.985 else "holds"


class RankTally:
    """Whether the ranks of all items were inside at once."""

    def __init__(self) -> None:
        self.held, self.width = [], []

    def add(self, low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> None:
        best, worst = ranks(truth), len(truth) + 1 - ranks(-truth)
        self.held.append((low <= best) & (worst <= high))
        self.width.append((high - low).mean())

    def summary(self) -> dict:
        held = np.array(self.held)
        share = float(held.all(axis=1).mean())
        return {
            "seeds": len(held),
            "at_once": share,
            "worst_item": float(held.mean(axis=0).min()),
            "mean_width": float(np.mean(self.width)),
            "verdict": "holds" if share >= 0.93 else "too narrow",
        }


def coverage(name: str, seeds: int, resampled: int, *, num_resamples: int = 199) -> dict:
    """All kinds in one world."""
    tallies: dict[str, Tally] = {}
    rank_tallies: dict[str, RankTally] = {}
    picked: dict[str, int] = {}
    one_sided = 0
    for seed in range(seeds):
        rng = np.random.default_rng((20_261_121, seed))
        world = WORLDS[name](rng)
        fit = fitted(world)
        one_sided += bool(fit.connectivity.is_separated)
        # Strengths are measured from the mean of the items that no weak prior holds.
        world = replace(world, truth=in_gauge(world.truth, fit.connectivity.island, fit.prior))
        for kind in kinds_for(world, seed < resampled):
            start = time.process_time()
            found = intervals_of(world, fit, kind, num_resamples, rng)
            tally = tallies.setdefault(kind, Tally())
            tally.seconds += time.process_time() - start
            tally.add(found.bounds, world)
            if kind == "auto":
                picked[found.bounds.kind] = picked.get(found.bounds.kind, 0) + 1
            if kind in RANKED and found.low is not None:
                rank_tallies.setdefault(kind, RankTally()).add(found.low, found.high, world.truth)
        print(f"\r  {name} {seed + 1}/{seeds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    scores = {kind: tally.summary() for kind, tally in tallies.items()}
    first = next(iter(scores))
    for summary in scores.values():
        width, wald = summary["median_width"], scores[first]["median_width"]
        summary["width_over_wald"] = width / wald if width and wald else None
    return {
        "world": " ".join((WORLDS[name].__doc__ or "").split()),
        "auto_picked": picked,
        "share_separated": one_sided / seeds,
        "scores": scores,
        "ranks": {kind: tally.summary() for kind, tally in rank_tallies.items()},
    }


@dataclass(frozen=True)
class Found:
    """Intervals of scores and of places."""

    bounds: Bounds
    low: np.ndarray
    high: np.ndarray


def fitted(world: VoteWorld) -> PairedFit | RankedFit:
    if isinstance(world.votes, Rankings):
        return fit_ranked(world.votes)
    return fit_paired(world.votes.counts(), PairedConfig(ties=world.ties))


def intervals_of(
    world: VoteWorld,
    fit: PairedFit | RankedFit,
    kind: str,
    num_resamples: int,
    rng: np.random.Generator,
) -> Found:
    """As a leaderboard shows them; from the one fit of all kinds where counts will do."""
    if world.asked:
        board = Leaderboard(interval=kind, ties=world.ties, random_state=0, **world.asked)
        rows = {row.name: row for row in board.fit(world.votes).standings_}
        places = [(rows[name].rank_low, rows[name].rank_high) for name in world.votes.items]
        return Found(board.bounds_, *np.array(places).T)
    config = IntervalConfig(kind=kind, num_resamples=num_resamples)
    if isinstance(fit, RankedFit):
        bounds = ranked_bounds(fit, ranked_intervals(fit, config, rng), 0.95)
    else:
        bounds = paired_bounds(fit, strength_intervals(fit, world.votes, config, rng), 0.95)
    if kind not in RANKED:
        return Found(bounds, None, None)
    place = rank_bounds(fit.strengths, bounds, fit.connectivity.island, rng)
    return Found(bounds, place.low, place.high)


def table(name: str, content: dict) -> str:
    picked = ", ".join(f"{kind} {times}" for kind, times in content["auto_picked"].items())
    lines = [f"{name} (auto: {picked}; separated {content['share_separated']:.0%})"]
    for kind, part in content["scores"].items():
        width = f"{part['width_over_wald']:.2f}" if part["width_over_wald"] else "-"
        lines.append(
            f"  {kind:16}{100 * part['pooled']:6.1f} % ± {100 * part['monte_carlo_error']:.1f}"
            f"   worst item {100 * part['worst_item']:5.1f} %   width {width:>5}"
            f"   infinite {100 * part['infinite']:4.1f} %   {part['verdict']}"
        )
    for kind, part in content["ranks"].items():
        share = part["at_once"]
        lines.append(
            f"  ranks, {kind:24}{100 * share:6.1f} %   mean width {part['mean_width']:.1f}"
            f"   {part['verdict']}"
        )
    return "\n".join(lines)


def markdown(results: dict) -> str:
    """The kept shares as the table of docs/leaderboards.md."""
    kinds = (*PLAIN[:3], "voter", *RESAMPLED, "auto")
    lines = [f"| world | {' | '.join(kinds)} | ranks at once | seeds |",
             "|---" * (len(kinds) + 3) + "|"]  # fmt: skip
    for name in WORLDS:
        if name not in results:
            continue
        scores, ranks = results[name]["scores"], results[name]["ranks"]
        cells = [_cell(scores[kind]) if kind in scores else "" for kind in kinds]
        at_once = f"{100 * ranks['auto']['at_once']:.0f}" if "auto" in ranks else ""
        seeds = scores["auto"]["seeds"]
        lines.append(f"| {name} | {' | '.join(cells)} | {at_once} | {seeds} |")
    return "\n".join(lines)


def _cell(part: dict) -> str:
    text = f"{100 * part['pooled']:.0f} ± {100 * part['monte_carlo_error']:.0f}"
    return text if part["verdict"] != "too narrow" else f"**{text}**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--resampled", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--table", action="store_true", help="print what is kept, as docs show it")
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    if arguments.table:
        print(markdown(results))
        return
    for name in arguments.only:
        content = coverage(name, arguments.seeds, arguments.resampled)
        print(table(name, content), flush=True)
        results[name] = {"circumstances": circumstances(None), **content}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
