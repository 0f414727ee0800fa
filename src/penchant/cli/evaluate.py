"""`penchant evaluate`: how well a model foretells people it has not met."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell

if TYPE_CHECKING:
    from penchant.data.records import Records


@shell.guarded
def evaluate(
    file: options.File,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", help="pooled, context, classes, mixed, personal or hierarchical."
        ),
    ] = "pooled",
    folds: Annotated[int, typer.Option(min=2, help="Parts that people are divided into.")] = 5,
    known: Annotated[
        int,
        typer.Option(
            min=0,
            help="Also judge on known people: this many first answers of each are revealed, the "
            "later ones foretold. 0: new people only.",
        ),
    ] = 0,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column by which to show whom the model fails. May be given several times.",
            show_default=False,
        ),
    ] = None,
    description: options.DescriptionFile = None,
    outside_option: options.OutsideOption = None,
    formula: Annotated[
        str, typer.Option(help="Which features matter; see `penchant fit --help`.")
    ] = "",
    shrunk: options.Shrunk = "",
    group_formula: Annotated[str, typer.Option(help="See `penchant fit --help`.")] = "",
    random: Annotated[str, typer.Option(help="See `penchant fit --help`.")] = "",
    correlated: Annotated[bool, typer.Option("--correlated", help="See `penchant fit`.")] = False,
    classes: Annotated[
        int | None,
        typer.Option(min=1, help="classes: how many, 2 without it.", show_default=False),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(min=1, help="mixed: draws per person.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for what --json prints.", show_default=False),
    ] = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Judge a model by cross-validation over people, beside market shares.

    Prints nats per choice with intervals over people, accuracy and calibration error.
    """
    from penchant.cli.default_formula import default_formula
    from penchant.cli.estimators import ModelOptions, build_estimator, check_options
    from penchant.cli.reading import read_file
    from penchant.evaluation.ladder import judge, ladder_of
    from penchant.models.conditional_logit import ConditionalLogit

    wanted = ModelOptions(
        model=model, formula=formula, shrunk=shrunk, group_formula=group_formula, random=random,
        correlated=correlated, classes=classes, draws=draws, seed=seed,
    )  # fmt: skip
    check_options(wanted)
    records = read_file(
        file, description, on_bad_rows=on_bad_rows, quiet=json, outside_option=outside_option
    ).records
    wanted, remarks = wanted.completed(records)
    for remark in remarks:
        shell.note(remark, json)
    models: dict[str, Any] = {model: lambda: build_estimator(wanted)}
    if default_formula(records, with_context=False).text.startswith("option"):
        models = {"market shares": lambda: ConditionalLogit(formula="option"), **models}
    splits = ("new_people", "known_people") if known else ("new_people",)
    steps = shell.Steps(quiet=json)
    with steps.shown():
        judged = judge(
            models, records, splits=splits, num_folds=folds, num_known=max(known, 1), seed=seed,
            on_fold=lambda name, split, fold: steps.say(
                f"{name}, {split.replace('_', ' ')}: fold {fold + 1} of {folds} judged"
            ),
        )  # fmt: skip
    document = {
        "ladder": [_plain(row) for row in ladder_of(judged)],
        "subgroups": _subgroups(judged[model, splits[-1]], records, tuple(by or ()), seed),
    }
    if out is not None:
        import json as json_module

        text = json_module.dumps(shell.finite(document), indent=2, ensure_ascii=False)
        out.write_text(text + "\n", encoding="utf-8")
    if json:
        shell.print_json(document)
    else:
        _print(document)


def _plain(row: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(row)


def _subgroups(
    predictions: Any, records: "Records", by: tuple[str, ...], seed: int
) -> list[dict[str, Any]]:
    """Nats per choice by subgroup, worst first."""
    if not by:
        return []
    import numpy as np

    from penchant.evaluation.subgroups import losses_by_subgroup

    found = losses_by_subgroup(predictions, records, by, np.random.default_rng(seed))
    return [
        {
            "name": found.names[z], "nll": float(found.mean[z]), "nll_low": float(found.low[z]),
            "nll_high": float(found.high[z]), "people": int(found.num_clusters[z]),
        }
        for z in np.argsort(-found.mean)
    ]  # fmt: skip


def _print(document: dict[str, Any]) -> None:
    from rich.table import Table

    console = shell.output()
    table = Table("model", "judged on", box=None, header_style="dim", pad_edge=False)
    for head in ("nats per choice", "95 %", "right", "calibration error", "choices"):
        table.add_column(head, justify="right")
    for row in document["ladder"]:
        table.add_row(
            row["model"], row["split"].replace("_", " "), f"{row['nll']:.4f}",
            f"{row['nll_low']:.4f} to {row['nll_high']:.4f}", f"{100 * row['accuracy']:.1f} %",
            f"{row['ece']:.4f}", f"{row['choices']:,}",
        )  # fmt: skip
    console.print(table)
    if not document["subgroups"]:
        return
    groups = Table("subgroup", box=None, header_style="dim", pad_edge=False)
    for head in ("nats per choice", "95 %, all at once", "people"):
        groups.add_column(head, justify="right")
    for group in document["subgroups"]:
        groups.add_row(
            group["name"], f"{group['nll']:.4f}",
            f"{group['nll_low']:.4f} to {group['nll_high']:.4f}", f"{group['people']:,}",
        )  # fmt: skip
    console.print()
    console.print(groups)
