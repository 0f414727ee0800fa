"""`penchant describe`: a first guess at which column plays which role, to be corrected by hand."""

from pathlib import Path
from typing import Annotated

import typer

from penchant.cli import options, shell


@shell.guarded
def describe(
    file: options.File,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="TOML file to write; named like FILE it is found by itself.",
            show_default=False,
        ),
    ] = None,
    role: options.Role = None,
    debug: options.Debug = False,
) -> None:
    """Guess what the columns of FILE mean and write the guess as a TOML description.

    Correct what is wrong, then `penchant fit FILE --description guess.toml`.
    """
    from dataclasses import replace

    from penchant.cli.reading import parse_roles
    from penchant.data.description import with_overrides
    from penchant.data.guess import guess
    from penchant.errors import ConfigError

    typed = parse_roles(role or ())
    found = guess(file, typed.get("answer.column"))
    said = with_overrides(found.description, typed)
    text = replace(found, description=said).to_toml()
    if out is None:
        shell.output().print(text, markup=False, end="")
        return
    if out.exists():
        raise ConfigError(
            f"{out} is there already and may hold corrections of yours; expected a new name. "
            "Choose another, or remove the file first."
        )
    out.write_text(text, encoding="utf-8")
    shell.note(f"Written to {out}: look through it, then run: penchant fit {file} -d {out}")
