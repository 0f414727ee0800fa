"""What `penchant rank` says of bad input: each file is written, ranked as installed, and shown.

    python benchmarks/rank_inputs.py [--only CASE ...] [--large]

With --large also a million items seen once, a CSV of two gigabytes with its progress, and Ctrl-C
halfway through it: some five minutes and 5 GB of disk, in a folder that is deleted afterwards.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import rank_shell

COMMAND = Path(sysconfig.get_path("scripts")) / "penchant"


@dataclass(frozen=True)
class Case:
    """A file, by its lines, and how it is ranked."""

    lines: tuple[str, ...]
    name: str = "votes.csv"
    options: tuple[str, ...] = ()


def some_votes(num_votes=120, items="abcd", voters=12, seed=0):
    """Votes between items whose strengths fall from the first on: left, right, winner, voter."""
    rng = np.random.default_rng(seed)
    for vote in range(num_votes):
        i, j = rng.permutation(len(items))[:2]
        wins = rng.random() < 1 / (1 + np.exp(0.6 * (i - j)))
        yield f"{items[i]},{items[j]},{'left' if wins else 'right'},v{vote % voters}"


def some_rankings(num=40, items="abcd", voters=10, seed=0):
    """Rankings of all items: voter, ranking."""
    rng = np.random.default_rng(seed)
    for number in range(num):
        order = np.argsort(0.6 * np.arange(len(items)) - rng.gumbel(size=len(items)))
        yield f"v{number % voters},{' > '.join(items[i] for i in order)}"


def pairs(*more: str, items="abcd", **how) -> Case:
    return Case(("left,right,winner,voter", *some_votes(items=items), *more), **how)


def ranked(*more: str, items="abcd", **how) -> Case:
    return Case(("voter,ranking", *some_rankings(items=items), *more), name="rankings.csv", **how)


ASIDE = ("--on-bad-rows", "quarantine")
CASES: dict[str, Case] = {
    "an item that always wins": pairs(*(f"best,{i},left,v{n}" for n, i in enumerate("abcdab"))),
    "an item that never wins": pairs(*(f"{i},worst,left,v{n}" for n, i in enumerate("abcdab"))),
    "an item that is always ranked first": ranked(
        *(f"v{n},best > {' > '.join(o)}" for n, o in zip(range(6), itertools.permutations("abcd")))
    ),
    "the same, each menu being what was ranked": ranked(
        *(f"v{n},best > {' > '.join(o)}" for n, o in zip(range(6), itertools.permutations("abcd"))),
        options=("--menus-differ",),
    ),
    "one voter casts half of the votes": pairs(
        *(line.rsplit(",", 1)[0] + ",busy" for line in some_votes(seed=1))
    ),
    "one voter makes half of the rankings": ranked(
        *("busy," + line.split(",")[1] for line in some_rankings(seed=1))
    ),
    "two islands": pairs(*some_votes(60, items="wxyz", seed=2)),
    "two islands of rankings": ranked(
        *some_rankings(20, items="xyz", seed=2), options=("--menus-differ",)
    ),
    "a self-comparison": pairs("a,a,left,v1"),
    "a self-comparison, set aside": pairs("a,a,left,v1", options=ASIDE),
    "an item twice in a ranking": ranked("v1,a > b > a"),
    "an item twice in a ranking, set aside": ranked("v1,a > b > a", options=ASIDE),
    "duplicate rows": pairs(*some_votes()),
    "an unknown winner label": pairs("a,b,lefft,v1"),
    "an unknown winner label, set aside": pairs("a,b,lefft,v1", options=ASIDE),
    "unicode names": pairs(items=("naïve", "模型", "Ωmega", "🦙 7B")),
    "unicode names in rankings": ranked(items=("naïve", "模型", "Ωmega", "🦙 7B")),
    "empty names": pairs(",b,right,v1"),
    "empty names, set aside": pairs(",b,right,v1", options=ASIDE),
    "an empty name in a ranking": ranked("v1,a >  > b"),
    "voters who rank at random": ranked(
        *(f"coin,{' > '.join(np.random.default_rng(n).permutation(list('abcd')))}"
          for n in range(40)),
        options=("--voters", "reliability"),
    ),
}  # fmt: skip


def show(name: str, case: Case, folder: Path) -> None:
    file = folder / case.name
    file.write_text("\n".join(case.lines) + "\n", encoding="utf-8")
    done = subprocess.run(
        [str(COMMAND), "rank", case.name, *case.options], cwd=folder, capture_output=True,
        text=True, check=False, env={**os.environ, "COLUMNS": "110"},
    )  # fmt: skip
    print(f"== {name}\n$ penchant rank {' '.join([case.name, *case.options])}")
    print((done.stderr + done.stdout).rstrip())
    print(f"(exit code {done.returncode})\n", flush=True)


def show_large(folder: Path) -> None:
    once = rank_shell.write_seen_once(folder / "once.csv", 1_000_000)
    named = ("--left", "left", "--right", "right", "--winner", "winner")
    _told("a million items seen once", rank_shell.run_rank(once, *named, "--json"))
    document = json.loads((folder / "once.out" / "leaderboard.json").read_text())
    print(f"{len(document['items']):,} items; {document['warnings']}\n")
    once.unlink()
    large = rank_shell.write_votes(folder / "votes.csv", 20_000_000, 1_000)
    whole = rank_shell.run_rank(large)
    _told(f"a CSV of {large.stat().st_size / 1e9:.2f} GB", whole)
    halfway = large.rename(folder / "halfway.csv")
    _told("Ctrl-C halfway", rank_shell.run_rank(halfway, interrupt_after=0.5 * whole["cpu_median"]))


def _told(name: str, run: dict) -> None:
    print(
        f"== {name}\nCPU {run['cpu_median']:.1f} s, {run['peak_mb']:.0f} MB, exit code "
        f"{run['exit_code']}, left behind {run['left_behind']}\n... {run['last_words']}\n",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--large", action="store_true", help="the three that take minutes as well")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in said.only:
            show(name, CASES[name], Path(folder))
        if said.large:
            show_large(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
