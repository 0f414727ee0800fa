"""`penchant compare`: which of several fitted models the data prefer."""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError


@shell.guarded
def compare(
    beliefs: Annotated[
        list[Path],
        typer.Argument(help="Folders that `penchant fit --out` wrote.", show_default=False),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="The file that all were fitted on; Vuong's test of models that are not nested "
            "needs it.",
            show_default=False,
        ),
    ] = None,
    nested: Annotated[
        bool,
        typer.Option(
            "--nested",
            help="Take the smaller of two models for a special case of the larger, whatever their "
            "parameters are called.",
        ),
    ] = False,
    description: options.DescriptionFile = None,
    form: options.Form = "text",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Log-likelihood, AIC and BIC side by side, and a test of each model against the next.

    Nested models by the likelihood-ratio test, others by Vuong's (1989), over people. Models of
    different data are refused.
    """
    from penchant.beliefs.belief import Belief
    from penchant.cli.reading import read_file
    from penchant.models.model_choice import check_same_data

    shell.check_form(form, json)
    if len(beliefs) < 2:
        raise ConfigError(
            f"there is one model to compare, {beliefs[0]}; expected two or more folders. Fit "
            "another with `penchant fit FILE --out FOLDER`."
        )
    models = [Belief.load(folder) for folder in beliefs]
    names = _names(beliefs)
    for one, two in pairwise(models):
        check_same_data(one, two)
    records = None
    if data is not None:
        records = read_file(data, description, belief=beliefs[0], quiet=json).records
    lines = [_line(name, model) for name, model in zip(names, models)]
    tests = [
        _test(pair, names[i], names[i + 1], records, nested)
        for i, pair in enumerate(pairwise(models))
    ]
    if json:
        shell.print_json({"models": lines, "tests": tests})
    else:
        shell.print_table(_table(lines, tests), form)


def _names(folders: list[Path]) -> list[str]:
    """The folders' own names, with their parents' where these are equal."""
    short = [folder.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _line(name: str, belief: Any) -> dict[str, Any]:
    fit = belief.report
    return {
        "model": name,
        "log_likelihood": fit.log_likelihood,
        "parameters": fit.parameters,
        "aic": fit.aic,
        "bic": fit.bic,
        "effective_parameters": fit.determined,
        "effective_aic": fit.effective_aic,
        "effective_bic": fit.effective_bic,
        "rho_squared": fit.rho_squared,
        "rows": fit.rows,
        "people": fit.people,
        "converged": fit.converged,
    }


def _test(
    pair: tuple[Any, Any], first: str, second: str, records: Any, is_nested: bool
) -> dict[str, Any]:
    from dataclasses import asdict

    from penchant.models.model_choice import (
        boundary_parameters,
        likelihood_ratio_of,
        nested,
        vuong,
    )

    if is_nested or nested(*pair):
        test = likelihood_ratio_of(*pair)
        smaller, larger = sorted(pair, key=lambda belief: len(belief.theta))
        names = dict(zip((id(pair[0]), id(pair[1])), (first, second)))
        notes = []
        if edge := boundary_parameters(smaller, larger):
            notes.append(
                f"{', '.join(edge[:4])}{' and others' if len(edge) > 4 else ''} cannot be below "
                "zero in the larger model, so that the true p is smaller than the one given."
            )
        if any(one.report.effective_parameters is not None for one in pair):
            notes.append(
                "A prior shrinks these parameters, so that the likelihood is not at its maximum "
                "and fewer are free than df counts: read p as a rough guide, or compare the "
                "effective AIC, which counts what the data determined."
            )
        if larger.draws is not None or smaller.draws is not None:
            notes = [
                "Hierarchical Bayes does not maximise its likelihood: read p as a rough guide."
            ]
        return {
            "test": "likelihood ratio",
            "smaller": names[id(smaller)],
            "larger": names[id(larger)],
            **asdict(test),
            "note": " ".join(notes) or None,
        }
    if records is None:
        return {
            "test": None, "first": first, "second": second,
            "note": f"{first} and {second} are not nested, as far as the names of their parameters "
            "tell: give --data FILE for Vuong's test, or --nested if one is a special case.",
        }  # fmt: skip
    found = asdict(vuong(*pair, records))
    return {"test": "Vuong", "first": first, "second": second, **found, "note": None}


def _table(lines: list[dict[str, Any]], tests: list[dict[str, Any]]) -> Any:
    from penchant.models.table import Table

    # Without a prior the effective criteria are the plain ones.
    best = min(lines, key=lambda line: line["effective_bic"])
    shrunk = any(line["effective_parameters"] != line["parameters"] for line in lines)
    return Table(
        title=f"{lines[0]['rows']:,} rows of {lines[0]['people']:,} people",
        headings=(
            "log-likelihood", "parameters", "AIC", "BIC",
            *(("effective", "effective AIC", "effective BIC") if shrunk else ()), "rho-squared",
        ),
        rows=tuple(
            (
                line["model"], f"{line['log_likelihood']:.3f}", str(line["parameters"]),
                f"{line['aic']:.1f}", f"{line['bic']:.1f}", *(_effective(line) if shrunk else ()),
                f"{line['rho_squared']:.4f}",
            )
            for line in lines
        ),
        facts=(
            (f"smallest {'effective ' if shrunk else ''}BIC", best["model"]),
            *(fact for test in tests for fact in _facts(test)),
        ),
        notes=tuple(t["note"] for t in tests if t["note"])
        + tuple(f"{x['model']} did not converge." for x in lines if not x["converged"]),
        corner="model",
    )  # fmt: skip


def _effective(line: dict[str, Any]) -> tuple[str, ...]:
    keys = ("effective_parameters", "effective_aic", "effective_bic")
    return tuple(f"{line[key]:.1f}" for key in keys)


def _facts(test: dict[str, Any]) -> list[tuple[str, str]]:
    from penchant.models.table import p_cell

    if test["test"] is None:
        return []
    if test["test"] == "Vuong":
        return [(
            "Vuong's test",
            f"{test['first']} against {test['second']}: z = {test['z']:.2f}, p = "
            f"{p_cell(test['p'])} ({_verdict(test, '')}); each parameter paid for, z = "
            f"{test['corrected_z']:.2f}, p = {p_cell(test['corrected_p'])} "
            f"({_verdict(test, 'corrected_')})",
        )]  # fmt: skip
    return [(
        "likelihood ratio",
        f"{test['smaller']} within {test['larger']}: chi-squared = {test['statistic']:.2f}, "
        f"df = {test['degrees']}, p = {p_cell(test['p'])}",
    )]  # fmt: skip


def _verdict(test: dict[str, Any], version: str) -> str:
    """What one version of Vuong's test says; with parameters paid for it may say the opposite."""
    if not test[f"{version}p"] < 0.05:
        return "no telling which is better"
    return f"{test['first'] if test[f'{version}z'] > 0 else test['second']} is better"
