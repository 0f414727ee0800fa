"""What `penchant rank` says of votes to come: which pairs to compare next, how many votes it takes.

Legend: N items, Q pairs.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.cli import shell
from penchant.errors import ConfigError, DataError

if TYPE_CHECKING:
    from penchant.evaluation.leaderboard_next import NextView
    from penchant.models.leaderboard import Leaderboard

# Beyond these, a batch of pairs takes minutes, and so do paths of votes to come.
_MOST_ASKED, _MOST_SETTLED, _PATHS = 1_000, 200, 100


def check_next(ask: int, settle: int, costs: Path | None = None) -> None:
    """Raises ConfigError for numbers that no leaderboard could go with, and costs of nothing."""
    if ask < 0 or settle < 0:
        raise ConfigError(f"--ask got {ask} and --settle {settle}; expected whole numbers from 0.")
    if costs is not None and not ask:
        raise ConfigError(
            "--ask-cost says what comparisons cost, and none are asked for; expected --ask with "
            "how many. Add --ask 20, or leave --ask-cost out."
        )


def next_document(
    board: "Leaderboard", ask: int, settle: int, seed: int, costs: Path | None = None
) -> dict[str, Any]:
    """`next`: pairs worth comparing, the best first, with the nats of order that each is expected
    to settle, by `costs` (a file) the most for its cost first; `settle`: further votes until the
    first `settle` items are known, in votes spread evenly over all pairs. Raises DataError for more
    items than that can be said of, and for costs that are none."""
    import numpy as np

    if not (ask or settle):
        return {}
    num_items = len(board.standings_)
    limit = _MOST_SETTLED if settle else _MOST_ASKED
    if num_items > limit or num_items < 2:
        raise DataError(
            f"--{'settle' if settle else 'ask'} is for 2 to {limit:,} items, and there are "
            f"{num_items:,}. Rank fewer of them, such as those that matter, on their own."
        )
    if settle >= num_items:
        raise ConfigError(
            f"--settle got {settle}, and there are {num_items} items; expected fewer than that."
        )
    from penchant.agents.elicitation.comparisons import ask_next
    from penchant.agents.elicitation.settled import votes_to_settle
    from penchant.cli.rank_costs import pairs_to_ask

    belief = board.belief_
    first, second = np.triu_indices(num_items, 1)
    document: dict[str, Any] = {}
    if ask:
        pairs = pairs_to_ask(belief.items, costs)
        found = ask_next(
            belief, pairs.first, pairs.second, ask, top=settle or None, cost=pairs.cost
        )
        document["next"] = [
            {"first": belief.items[a], "second": belief.items[b], "gain": float(gain)}
            for a, b, gain in zip(found.first, found.second, found.gain)
        ]
        if found.cost is not None:
            for pair, cost in zip(document["next"], found.cost.tolist(), strict=True):
                pair["cost"] = cost
    if settle:
        togo = votes_to_settle(
            belief, first, second, settle, np.random.default_rng(seed), num_paths=_PATHS
        )
        document["settle"] = {
            "top": settle, "votes": togo.median, "low": togo.low, "high": togo.high,
            "chance": togo.chance, "horizon": togo.horizon, "doubt": togo.doubt,
        }  # fmt: skip
    return document


def next_view(document: dict[str, Any]) -> "NextView | None":
    """The same for the page and the terminal, in words; None where nothing was asked."""
    from penchant.evaluation.leaderboard_next import NextPair, NextView

    if not {"settle", "next"} & set(document):
        return None
    goal = "the order"
    if "settle" in document:
        goal = f"who is among the first {document['settle']['top']}"
    return NextView(
        takeaway=settle_sentence(document["settle"]) if "settle" in document else "", goal=goal,
        pairs=tuple(
            NextPair(
                first=pair["first"], second=pair["second"], gain=f"{pair['gain']:.2g}",
                cost=f"{pair['cost']:,.4g}" if "cost" in pair else "",
            )
            for pair in document.get("next", ())
        ),
    )  # fmt: skip


def print_next(document: dict[str, Any]) -> None:
    """What was asked for of votes to come, in words and a table."""
    from penchant.models.table import Table
    from penchant.numerics.names import excerpt

    view = next_view(document)
    if view is None:
        return
    if view.takeaway:
        shell.output().print(view.takeaway + "\n", markup=False)
    if view.pairs:
        costs = ("cost",) if view.has_costs else ()
        rows = tuple(
            (str(place), excerpt(pair.first), excerpt(pair.second), pair.gain,
             *((pair.cost,) if costs else ()))
            for place, pair in enumerate(view.pairs, start=1)
        )  # fmt: skip
        shell.print_table(
            Table(
                title=f"Worth comparing next, to settle {view.goal}", rows=rows,
                headings=("one item", "with", "nats it settles", *costs),
            ),
            "text",
        )  # fmt: skip


def settle_sentence(found: dict[str, Any]) -> str:
    """How many more votes, in one sentence."""
    who = f"the first {found['top']}" if found["top"] > 1 else "who is first"
    if found["votes"] == 0:
        return (
            f"These votes settle {who}: the probability that it is otherwise is at most "
            f"{found['doubt']:.2g}."
        )
    if math.isinf(found["votes"]):
        return (
            f"More than {found['horizon']:,} further votes may not settle {who}: only "
            f"{found['chance']:.0%} of what may come does. Items at the edge are alike; ask for "
            "another number, or let them share a place."
        )
    high = f"{found['high']:,.0f}" if math.isfinite(found["high"]) else f"over {found['horizon']:,}"
    return (
        f"Some {found['votes']:,.0f} further votes, spread evenly over all pairs, settle {who} "
        f"(80% of what may come lies between {found['low']:,.0f} and {high}); fewer may do where "
        "pairs are chosen by --ask."
    )
