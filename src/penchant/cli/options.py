"""Options that several commands share, each declared once."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    Invocation = typer.Context
else:
    # What typer really hands over is of the class that its own derives from.
    Invocation = typer.Context.__base__

File = Annotated[
    Path, typer.Argument(help="Parquet, CSV or JSONL file of answers.", show_default=False)
]
DescriptionFile = Annotated[
    Path | None,
    typer.Option(
        "--description",
        "-d",
        help="TOML file that says which column plays which role; FILE's name with .toml is used "
        "where it exists, else a first guess.",
        show_default=False,
    ),
]
Role = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        metavar="PLACE=COLUMN",
        help="One place of the description, over what the file or the guess says, as in "
        "rows.person=id, answer.column=picked, options.features=cost,time, features.time.car=c2 "
        "or layout=long. May be given several times.",
        show_default=False,
    ),
]
OutsideOption = Annotated[
    str | None,
    typer.Option(
        "--outside-option",
        help="Name of the option that stands for 'none of these': on every menu, without "
        "features; whoever chose nothing took it. Overrides the description.",
        show_default=False,
    ),
]
OnBadRows = Annotated[
    str,
    typer.Option(
        help='"error": stop at the first row that cannot be used; "quarantine": set such rows '
        "aside in a file."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Form = Annotated[
    str,
    typer.Option("--format", help="How tables are set: text, markdown, latex or html."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Seed = Annotated[
    int, typer.Option(min=0, help="Random numbers start here: same seed, same numbers.")
]
BeliefFolder = Annotated[
    Path,
    typer.Option(
        "--belief", "-b", help="Folder that `penchant fit --out` wrote.", show_default=False
    ),
]
Price = Annotated[
    str | None,
    typer.Option(
        help="The feature that is money, for willingness to pay and who would lose.",
        show_default=False,
    ),
]
HistoryFile = Annotated[
    Path | None,
    typer.Option(
        help="Earlier answers of the same people, in the same form as FILE: predictions then use "
        "what each person showed there.",
        show_default=False,
    ),
]
Formula = Annotated[
    str,
    typer.Option(
        help="Which features matter, as in 'option + time + cost:purpose'. Without it: every "
        "option feature (and for --model context, shrunk, each one by each context column).",
        show_default=False,
    ),
]
GroupFormula = Annotated[
    str, typer.Option(help="classes: what the shares of the classes depend on, as in 'age + ga'.")
]
Random = Annotated[
    str,
    typer.Option(
        help="mixed, personal, hierarchical: whose worth differs between people, as in "
        "time=normal,cost=lognormal. Without it: every feature, normal."
    ),
]
Correlated = Annotated[
    bool, typer.Option("--correlated", help="mixed: random coefficients may correlate.")
]
Classes = Annotated[
    int | None,
    typer.Option(min=1, help="classes: how many, 2 without it.", show_default=False),
]
Draws = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="mixed, personal: draws per person; hierarchical: sweeps kept of each chain, 700 "
        "without it, after 300 or as much more of warm-up.",
        show_default=False,
    ),
]
Chains = Annotated[
    int | None,
    typer.Option(min=1, help="hierarchical: how many, 4 without it.", show_default=False),
]
Context = Annotated[
    str,
    typer.Option(
        help="neural: columns of people and situations that the networks may combine with the "
        "features, as in 'age + purpose'. Without it and --formula: every one."
    ),
]
Shrunk = Annotated[
    str,
    typer.Option(
        help="Further terms, hundreds perhaps, whose worths are shrunk to zero by as much as the "
        "data tell, as in '(time + cost):(age + purpose)'."
    ),
]


def given(
    call: Invocation, *, without: Collection[str] = (), among: Collection[str] | None = None
) -> list[str]:
    """Options that stand on the command line, as they are written there: those `among` some, or
    all `without` some."""
    found = []
    for name in call.params:
        source = call.get_parameter_source(name)
        is_asked = name not in without and (among is None or name in among)
        if is_asked and source is not None and source.name == "COMMANDLINE":
            found.append(f"--{name.replace('_', '-')}")
    return found
