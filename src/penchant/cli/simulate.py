"""`penchant simulate`: policies against people, real or simulated, before anybody meets them."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import bandit_options as bandit
from penchant.cli import options, shell
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.evaluation.arrivals import Comparison, Contender
    from penchant.simulation.arrivals import Arrivals, ArrivalsConfig


_MOST_PEOPLE = 60
# What says nothing of people in a file, and what says nothing of simulated ones.
_OF_SIMULATED = (
    "tasks", "menu", "attributes", "taste_scale", "differences", "kinds", "curves", "priced",
    "labelled",
)  # fmt: skip
_OF_FILES = ("formula", "description", "cost")


@shell.guarded
def simulate(
    call: options.Invocation,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Choices of real people, who come one by one; without it people are simulated.",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help=f"RULE, or RULE/TOLD: {bandit.RULES}; TOLD is pick (what was taken), clicks (the "
            "same as a yes or no of each option) or click (whether what stood in front was taken). "
            f"Behind it may stand /NAME=VALUE for {', '.join(bandit.SETTINGS)}, as `penchant "
            "decide` has them (budget: of a run, see --cost and --priced). May be given several "
            "times; all are compared with the first.",
            show_default="thompson/click, thompson/clicks, thompson/pick",
        ),
    ] = None,
    formula: Annotated[
        str, typer.Option(help="Features of FILE's options; without it the same as `penchant fit`.")
    ] = "",
    people: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="So many, drawn anew in each run.",
            show_default=f"{_MOST_PEOPLE}, or all of FILE if it has less",
        ),
    ] = None,
    runs: Annotated[int, typer.Option(min=2, help="Orders of arrival, or simulated worlds.")] = 5,
    tasks: Annotated[int, typer.Option(min=1, help="Menus of each simulated person.")] = 10,
    menu: Annotated[int, typer.Option(min=2, help="Options of simulated menus.")] = 5,
    attributes: Annotated[int, typer.Option(min=1, help="Features of simulated options.")] = 6,
    taste_scale: Annotated[
        float, typer.Option(help="Standard deviation of simulated part-worths.")
    ] = 1.0,
    differences: Annotated[
        float, typer.Option(help="Standard deviation of what sets a simulated person apart.")
    ] = 0.5,
    kinds: Annotated[
        int, typer.Option(min=1, help="Kinds of simulated people, each with tastes of its own.")
    ] = 1,
    curves: Annotated[
        float, typer.Option(help="Standard deviation of simulated part-worths of squares.")
    ] = 0.0,
    cost: Annotated[
        str,
        typer.Option(
            help="The column of FILE that says what it costs to show an option, for budgets."
        ),
    ] = "",
    priced: Annotated[
        bool,
        typer.Option(
            "--priced", help="To show a simulated first option costs nothing, others 0 to 1."
        ),
    ] = False,
    labelled: Annotated[
        bool,
        typer.Option(
            "--labelled",
            help="Whoever comes is of one of --menu classes and takes the option named like it; "
            "--attributes of them lie --differences around centres drawn with --taste-scale.",
        ),
    ] = False,
    person_scale: Annotated[float | None, typer.Option(hidden=True)] = None,
    description: options.DescriptionFile = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for simulate.json and simulate.html.", show_default=False
        ),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Let policies learn as people come, and tell what each earned, with intervals.

    Of real people it is known what they took of each menu: a policy earns 1 where that is what it
    put in front. Of simulated people it is known how often they would take each option.
    """
    from penchant.evaluation.arrivals import compare_arrivals

    if person_scale is not None:
        raise ConfigError(
            f"--person-scale is {person_scale:g}; expected it behind each policy that it is for, "
            f"as in --policy thompson/click/person-scale={person_scale:g}, so that policies can "
            "differ in it."
        )
    ignored = options.given(call, among=_OF_FILES if file is None else _OF_SIMULATED)
    if ignored:
        whose = "simulated, since no FILE was given" if file is None else f"those of {file}"
        mend = "the file" if file is None else "no FILE, to simulate people"
        raise ConfigError(
            f"{', '.join(ignored)} would change nothing: people are {whose}. Leave that out, or "
            f"name {mend}."
        )
    beside = options.given(call, among=("kinds", "curves", "priced")) if labelled else []
    if beside:
        raise ConfigError(
            f"{', '.join(beside)} would change nothing: --labelled people are of one class each. "
            "Leave one of the two out."
        )
    contenders = _contenders(policy or ["thompson/click", "thompson/clicks", "thompson/pick"])
    if file is None:
        from penchant.simulation.arrivals import ArrivalsConfig

        config = ArrivalsConfig(
            num_people=people or _MOST_PEOPLE, num_tasks=tasks, num_options=menu,
            num_features=attributes, taste_scale=taste_scale, person_scale=differences,
            num_kinds=kinds, curve_scale=curves, has_costs=priced, is_labelled=labelled,
        )  # fmt: skip
        worlds, title = _simulated(config, runs, seed), "simulated people"
    else:
        worlds = _replayed(file, description, formula, cost, runs, people, seed, json)
        title = file.name
    steps, done = shell.Steps(json, total=len(contenders) * len(worlds)), itertools.count(1)
    told = f"{len(contenders)} policies meet {runs} times {worlds[0].num_people} people"
    with steps.shown():
        steps.say(told, 0)
        found = compare_arrivals(worlds, contenders, tick=lambda: steps.say(told, next(done)))
    if out is not None:
        _write(found, out, title)
        shell.note(f"simulate.json and simulate.html written to {out}.", json)
    if json:
        shell.print_json(as_document(found))
    else:
        _print(found)


def as_document(found: "Comparison") -> dict[str, Any]:
    """What --json prints and simulate.json holds."""
    from dataclasses import asdict

    return asdict(found)


def _contenders(said: list[str]) -> "list[Contender]":
    from penchant.evaluation.arrivals import Contender

    found = []
    for text in said:
        rule, *rest = text.split("/")
        told = rest.pop(0) if rest and "=" not in rest[0] else ""
        config, granted = bandit.read_settings(rest)
        # What is paid for is shown alone, so that only it can be clicked on.
        usual = "click" if "budget" in granted else "pick"
        made = Contender(
            name=text, rule=bandit.read_rule(rule), told=told or usual, config=config, **granted
        )
        found.append(made)
    return found


def _simulated(config: "ArrivalsConfig", runs: int, seed: int) -> "list[Arrivals]":
    import numpy as np

    from penchant.simulation.arrivals import simulated_arrivals

    return [simulated_arrivals(config, np.random.default_rng((seed, run))) for run in range(runs)]


def _replayed(
    file: Path,
    description: Path | None,
    formula: str,
    cost: str,
    runs: int,
    people: int | None,
    seed: int,
    quiet: bool,
) -> "list[Arrivals]":
    import numpy as np

    from penchant.cli.default_formula import default_formula
    from penchant.cli.reading import read_file
    from penchant.encoders.table import TableEncoder
    from penchant.simulation.arrivals import arrivals_of

    records = read_file(file, description, quiet=quiet).records
    text = formula or default_formula(records, with_context=True).text
    shell.note(f"Features: {text}", quiet)
    costs = TableEncoder(cost).fit(records).encode(records) if cost else None
    arrivals = arrivals_of(TableEncoder(text).fit(records).encode(records), costs)
    if people is None:
        people = min(_MOST_PEOPLE, arrivals.num_people)
    if arrivals.num_people < people:
        raise ConfigError(
            f"--people is {people}, but the file has {arrivals.num_people}; expected at most so "
            f"many. Give --people {arrivals.num_people} or less."
        )
    return [
        arrivals.in_another_order(np.random.default_rng((seed, run)), people) for run in range(runs)
    ]


def _write(found: "Comparison", out: Path, title: str) -> None:
    import json

    from penchant.evaluation.arrival_page import render_arrivals

    if out.is_file():
        raise ConfigError(f"--out is {out}, which is a file; expected a folder.")
    out.mkdir(parents=True, exist_ok=True)
    (out / "simulate.json").write_text(json.dumps(as_document(found), indent=1) + "\n")
    (out / "simulate.html").write_text(render_arrivals(found, title), encoding="utf-8")


def _print(found: "Comparison") -> None:
    from rich.table import Table

    console, first = shell.output(), found.standings[0].name
    console.print(
        f"{found.num_rounds:,} rounds in each of {found.num_orders} runs, {found.num_people} "
        f"people. Earned: {found.unit}.\n"
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    heads = ["policy", "earned a round", "95 %", f"beside {first}", "95 %"]
    if found.has_costs:
        heads.append("spent a round")
    for head in heads:
        table.add_column(head, justify="left" if head == "policy" else "right")
    for one in found.standings:
        beside = one.name != first
        table.add_row(
            one.name, f"{one.earned:.3f}", f"{one.low:.3f} to {one.high:.3f}",
            f"{one.gain:+.3f}" if beside else "",
            f"{one.gain_low:+.3f} to {one.gain_high:+.3f}" if beside else "",
            *([f"{one.spent:.3f}"] if found.has_costs else []),
        )  # fmt: skip
    console.print(table)
