"""The command `penchant` and its sub-commands. Heavy imports wait inside each command."""

import os
from typing import Annotated

import typer

from penchant.cli import shell
from penchant.cli.align import align
from penchant.cli.compare import compare
from penchant.cli.decide import decide
from penchant.cli.demo import demo
from penchant.cli.describe import describe
from penchant.cli.effects import effects
from penchant.cli.elasticities import elasticities
from penchant.cli.evaluate import evaluate
from penchant.cli.export import export
from penchant.cli.fit import fit
from penchant.cli.import_log import import_log
from penchant.cli.keys import keys
from penchant.cli.ope import ope
from penchant.cli.predict import predict
from penchant.cli.rank import rank
from penchant.cli.report import report
from penchant.cli.score import score
from penchant.cli.serve import serve
from penchant.cli.simulate import simulate
from penchant.cli.what_if import what_if

app = typer.Typer(
    name="penchant",
    help="What people want, in which situation, how sure we may be, and what to do about it.",
    epilog=shell.EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def penchant(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of("penchant"))
        raise typer.Exit


app.command()(demo)
app.command()(describe)
app.command()(fit)
app.command()(predict)
app.command()(evaluate)
app.command()(compare)
app.command("what-if")(what_if)
app.command()(elasticities)
app.command()(effects)
app.command()(rank)
app.command()(decide)
app.command()(simulate)
app.command()(ope)
app.command()(report)
app.command()(score)
app.command()(align)
app.command()(export)
app.command()(serve)
app.command("import")(import_log)
app.add_typer(keys, name="keys")


def main() -> None:
    """The entry point that installation puts on the path."""
    # One thread of linear algebra, set before NumPy is loaded: the matrices are small, and threads
    # that wait for each other on a busy machine made a fit of 4 s take 117.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    app()


if __name__ == "__main__":
    main()
