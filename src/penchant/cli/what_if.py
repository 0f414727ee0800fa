"""`penchant what-if`: expected shares if prices, times or other attributes changed."""

import math
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.policies.oneshot.what_if import Change

_CHANGE = re.compile(
    r"(?:(?P<option>.+)\.)?(?P<feature>[^.*+\-=]+?)\s*(?P<how>\*=|\+=|-=|/=|=)\s*(?P<by>\S+)"
)


@shell.guarded
def what_if(
    file: options.File,
    belief: options.BeliefFolder,
    change: Annotated[
        list[str],
        typer.Option(
            "--set",
            "-s",
            help="A change, as in 'swissmetro.cost*=1.2', 'time-=5' or 'train.headway=30'. "
            "Without an option's name it holds for all. May be given several times.",
            show_default=False,
        ),
    ],
    price: options.Price = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that divides people into groups. May be given several times.",
            show_default=False,
        ),
    ] = None,
    history: options.HistoryFile = None,
    description: options.DescriptionFile = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Expected shares before and after a change, who moves, and (with --price) who would lose."""
    import numpy as np

    from penchant.beliefs.belief import Belief
    from penchant.cli.reading import read_file
    from penchant.policies.oneshot.what_if import what_if as evaluate_change

    changes = [parse_change(text) for text in change]
    learnt = Belief.load(belief)
    data = read_file(file, description, on_bad_rows=on_bad_rows, belief=belief, quiet=json)
    known = None
    if history is not None:
        known = read_file(
            history, description, on_bad_rows=on_bad_rows, belief=belief, quiet=json
        ).records
    with shell.waiting("Working out who would choose what", json):
        result = evaluate_change(
            learnt, data.records, changes,
            rng=np.random.default_rng(seed), price=price, by=by or None, history=known,
        )  # fmt: skip
    if json:
        from dataclasses import asdict

        shell.print_json({"changes": change, **asdict(result)})
    else:
        _print(result, price)


def parse_change(text: str) -> "Change":
    """`swissmetro.cost*=1.2` as a change. Raises ConfigError for anything else."""
    from penchant.policies.oneshot.what_if import Change

    match = _CHANGE.fullmatch(text.strip())
    try:
        by = float(match["by"]) if match else None
    except ValueError:
        by = None
    if match is None or by is None or not math.isfinite(by) or (match["how"] == "/=" and by == 0):
        raise ConfigError(
            f"--set got {text!r}; expected [OPTION.]FEATURE, one of *= /= += -= = and a number, "
            "as in --set 'swissmetro.cost*=1.2'."
        )
    multiply, add = {
        "*=": (by, 0.0),
        "/=": (1.0 / by if by else 1.0, 0.0),
        "+=": (1.0, by),
        "-=": (1.0, -by),
        "=": (0.0, by),
    }[match["how"]]
    return Change(feature=match["feature"], option=match["option"], multiply=multiply, add=add)


def _print_movers(movers: dict[str, dict[str, float]]) -> None:
    """Who moves where, group by group; of everybody the shares have told already."""
    from rich.table import Table

    if len(movers) < 2:
        return
    table = Table("", box=None, header_style="dim", pad_edge=False)
    names = list(next(iter(movers.values())))
    for name in names:
        table.add_column(name, justify="right")
    for group, moved in movers.items():
        table.add_row(group, *(f"{100 * moved[name]:+.1f}" for name in names))
    console = shell.output()
    console.print("\nWho would move, in points of a share:", markup=False)
    console.print(table)


def _print(result: Any, price: str | None) -> None:
    from rich.table import Table

    console = shell.output()
    shares = Table("option", box=None, header_style="dim", pad_edge=False)
    for head in ("before", "after", "change", "95 %"):
        shares.add_column(head, justify="right")
    for s in result.shares:
        shares.add_row(
            s.option, f"{100 * s.before:.1f} %", f"{100 * s.after:.1f} %",
            f"{100 * s.change:+.1f}", f"{100 * s.change_low:+.1f} to {100 * s.change_high:+.1f}",
        )  # fmt: skip
    console.print(shares)
    _print_movers(result.movers)
    if not result.welfare:
        return
    console.print(f"\nWho would lose, in units of {price} a choice:", markup=False)
    losses = Table("", box=None, header_style="dim", pad_edge=False)
    for head in ("people", "mean", "95 %", "losing"):
        losses.add_column(head, justify="right")
    for w in result.welfare:
        losses.add_row(
            w.group, f"{w.people:,}", f"{w.mean:+.3g}", shell.span(w.low, w.high, "+.3g"),
            f"{100 * w.losing:.0f} %",
        )  # fmt: skip
    console.print(losses)
    if any(math.isinf(end) for w in result.welfare for end in (w.low, w.high)):
        console.print(
            "An end without bound: the data leave open whether more money is a gain at all."
        )
