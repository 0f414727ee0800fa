"""`penchant effects`: what each level of an attribute does in a conjoint experiment."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.data.records import Records

_CUT = re.compile(r"(?P<column>.+?)\s*(?P<sign>>=|<=|>|<)\s*(?P<at>-?[\d.]+(?:e-?\d+)?)")


@shell.guarded
def effects(
    file: options.File,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            "-a",
            help="Attribute to look at, all of them without it. May be given several times.",
            show_default=False,
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            "-r",
            help="Level to compare with, as in 'gender=Female'; else the first in sorted order. "
            "May be given several times.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column that divides people, or a number that cuts it in two, as in "
            "'ethnocentrism>13'.",
            show_default=False,
        ),
    ] = None,
    means: Annotated[
        bool,
        typer.Option(
            "--means", help="Marginal means, which need no reference level, in place of effects."
        ),
    ] = False,
    description: options.DescriptionFile = None,
    role: options.Role = None,
    on_bad_rows: options.OnBadRows = "error",
    form: options.Form = "text",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Average marginal component effects of a conjoint experiment, with clustered intervals.

    By how many points a level moves the chance of being chosen, averaged over all else that was
    drawn at random; with --by for subgroups, and one test of whether they differ.
    """
    from penchant.cli.reading import read_file
    from penchant.models.component_effects import (
        component_effects,
        effects_differ,
        marginal_means,
    )

    shell.check_form(form, json)
    references = dict(_reference(text) for text in reference or ())
    if means and references:
        raise ConfigError(
            "--means compares with no level, so that --reference would change nothing. Leave one "
            "of the two out."
        )
    records = read_file(file, description, on_bad_rows=on_bad_rows, quiet=json, roles=role).records
    names = tuple(attribute or ())
    column = None
    if by is not None:
        records, column, note = divided(records, by)
        shell.note(note, json or not note)
    found: Any = (
        marginal_means(records, names, by=column)
        if means
        else component_effects(records, names, references=references, by=column)
    )
    test = None if column is None else effects_differ(records, column, names)
    if json:
        from dataclasses import asdict

        document: dict[str, Any] = {("means" if means else "effects"): [asdict(e) for e in found]}
        shell.print_json({**document, **({"test": asdict(test)} if test else {})})
    else:
        shell.print_table(_table(found, test, means, by), form)


def divided(records: "Records", by: str) -> tuple["Records", str, str]:
    """The records with a column to divide them by, its name, and what is to be said of it.

    `column>number` makes a column of two values and leaves out rows where the number is unknown.
    Raises `ConfigError` for an unknown column.
    """
    match = _CUT.fullmatch(by.strip())
    if match is None or by in records.rows.column_names:
        return records, by, ""
    import numpy as np

    from penchant.data.columns import to_floats

    name, sign, at = match["column"], match["sign"], float(match["at"])
    if name not in records.rows.column_names:
        raise ConfigError(
            f"--by names no column of the people or the situation: {name!r}; expected one of "
            f"{[*records.columns('person_feature'), *records.columns('context')]}."
        )
    known = ~np.isnan(to_floats(records.rows[name]))
    note = ""
    if not known.all():
        note = f"{(~known).sum():,} choices are left out: {name} is unknown."
        records = records.take(np.flatnonzero(known))
    values = to_floats(records.rows[name])
    inside = {">": values > at, ">=": values >= at, "<": values < at, "<=": values <= at}[sign]
    other = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}[sign]
    labels = np.where(inside, f"{name} {sign} {at:g}", f"{name} {other} {at:g}")
    return records.with_columns(rows={by: labels}), by, note


def _reference(text: str) -> tuple[str, str]:
    name, found, level = text.partition("=")
    if not found or not name.strip():
        raise ConfigError(
            f"--reference got {text!r}; expected ATTRIBUTE=LEVEL, as in --reference gender=Female."
        )
    return name.strip(), level.strip()


def _table(found: Any, test: Any, means: bool, by: str | None) -> Any:
    from penchant.models.table import Table, p_cell

    def cells(one: Any) -> tuple[str, ...]:
        if means:
            return (f"{100 * one.mean:.1f}", f"{100 * one.low:.1f} to {100 * one.high:.1f}",
                    f"{one.profiles:,}")  # fmt: skip
        return (
            f"{100 * one.effect:+.1f}", f"{100 * one.se:.1f}",
            f"{100 * one.low:+.1f} to {100 * one.high:+.1f}", f"{one.profiles:,}",
        )  # fmt: skip

    rows: list[tuple[str, ...]] = []
    blank = ("",) * (3 if means else 4)
    before: tuple[str, str] | None = None
    for one in found:
        here = (one.group, one.attribute)
        if here != before:
            against = "" if means else f" (against {one.reference})"
            group = f"{one.group}, " if by is not None else ""
            rows.append((f"{group}{one.attribute}{against}", *blank))
            before = here
        rows.append((f"  {one.level}", *cells(one)))
    facts: list[tuple[str, str]] = []
    if test is not None:
        facts = [(
            "do groups differ?",
            f"chi-squared = {test.statistic:.1f}, df = {test.degrees}, p = {p_cell(test.p)} "
            "(all effects at once)",
        )]  # fmt: skip
    return Table(
        title="How often profiles with the level are chosen, in per cent" if means
        else "Change of the chance of being chosen, in percentage points",
        headings=("mean", "95 %", "profiles") if means else ("effect", "se", "95 %", "profiles"),
        rows=tuple(rows),
        facts=tuple(facts),
        corner="level",
    )  # fmt: skip
