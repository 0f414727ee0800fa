"""`penchant evaluate`: how well a model foretells people it has not met."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import DataError
from penchant.serving.plain_json import finite

if TYPE_CHECKING:
    from penchant.cli.estimators import ModelOptions
    from penchant.data.records import Records
    from penchant.evaluation.predictions import MakeEstimator


@shell.guarded
def evaluate(
    file: options.File,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="pooled, context, classes, mixed, personal, hierarchical or neural. Given several "
            "times, models are judged on the same answers and compared in pairs. Without: pooled.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Parts that people are divided into.")] = 5,
    known: Annotated[
        int,
        typer.Option(
            min=0,
            help="Also judge on known people: this many first answers of each are revealed, the "
            "later ones foretold. 0: new people only.",
        ),
    ] = 0,
    few_shot: Annotated[
        int,
        typer.Option(
            "--few-shot",
            min=0,
            help="Also show how the error on a new person's later answers falls with none, one, "
            "two, ... of this many answers of theirs. 0: no such curve.",
        ),
    ] = 0,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column by which to show whom the last model fails. May be given several times.",
            show_default=False,
        ),
    ] = None,
    description: options.DescriptionFile = None,
    role: options.Role = None,
    outside_option: options.OutsideOption = None,
    formula: options.Formula = "",
    shrunk: options.Shrunk = "",
    group_formula: options.GroupFormula = "",
    context: options.Context = "",
    random: options.Random = "",
    correlated: options.Correlated = False,
    classes: options.Classes = None,
    draws: options.Draws = None,
    chains: options.Chains = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for what --json prints.", show_default=False),
    ] = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Judge models by cross-validation over people, beside market shares.

    Prints nats per choice with intervals over people, accuracy and calibration error, then the
    paired difference of every two models, which is far surer than two intervals side by side.
    Answers that are no choice (rankings, ratings, ties, clicks, numbers) are judged whole, and
    each kind by itself as well.
    """
    from penchant.cli.estimators import ModelOptions, each_model
    from penchant.cli.judgement import (
        curve_lines,
        kind_lines,
        ladder_lines,
        pair_lines,
        print_judgement,
        subgroup_lines,
    )
    from penchant.cli.reading import check_groups, read_file
    from penchant.evaluation.few_shot import predict_after_answers
    from penchant.evaluation.ladder import judge

    said = ModelOptions(
        model="", formula=formula, shrunk=shrunk, group_formula=group_formula, context=context,
        random=random,
        correlated=correlated, classes=classes, draws=draws, chains=chains,
        seed=seed,
    )  # fmt: skip
    wanted = each_model(said, model or ["pooled"])
    records = read_file(
        file, description, on_bad_rows=on_bad_rows, quiet=json, outside_option=outside_option,
        roles=role,
    ).records  # fmt: skip
    check_groups(records, by or ())
    _check_answers(records, max(known, few_shot))
    models = _models(wanted, records, json)
    splits = ("new_people", "known_people") if known else ("new_people",)
    steps = shell.Steps(quiet=json)

    def told(name: str) -> Callable[[int], None]:
        return lambda fold: steps.say(
            f"{name}, answer by answer: fold {fold + 1} of {folds} judged"
        )

    with steps.shown():
        judged = judge(
            models, records, splits=splits, num_folds=folds, num_known=max(known, 1), seed=seed,
            on_fold=lambda name, split, fold: steps.say(
                f"{name}, {split.replace('_', ' ')}: fold {fold + 1} of {folds} judged"
            ),
        )  # fmt: skip
        curves = {
            each.model: predict_after_answers(
                models[each.model], records, few_shot, folds, seed, on_fold=told(each.model)
            )
            for each in wanted
            if few_shot
        }
    document = {
        "ladder": ladder_lines(judged),
        "kinds": kind_lines(judged, records),
        "differences": pair_lines(judged, seed),
        "few_shot": curve_lines(curves),
        "subgroups": subgroup_lines(judged[wanted[-1].model, splits[-1]], records, by or (), seed),
    }
    if out is not None:
        import json as json_module

        text = json_module.dumps(finite(document), indent=2, ensure_ascii=False)
        out.write_text(text + "\n", encoding="utf-8")
    if json:
        shell.print_json(document)
    else:
        print_judgement(document, wanted[-1].model)


def _models(
    wanted: "Sequence[ModelOptions]", records: "Records", quiet: bool
) -> dict[str, "MakeEstimator"]:
    """What is to be judged, by name: market shares where options have names, then the models.

    Of answers that are no choice the same is "options alone": a constant each, whatever shows.
    """
    from penchant.cli.default_formula import default_formula
    from penchant.cli.estimators import build_estimator
    from penchant.evaluation.predictions import is_choices
    from penchant.models.conditional_logit import ConditionalLogit

    models: dict[str, Any] = {}
    if default_formula(records, with_context=False).text.startswith("option"):
        shares = "market shares" if is_choices(records) else "options alone"
        models[shares] = lambda: ConditionalLogit(formula="option")
    told: dict[str, None] = {}
    for each in wanted:
        complete, remarks = each.completed(records)
        told.update(dict.fromkeys(remarks))
        models[each.model] = partial(build_estimator, complete)
    for remark in told:
        shell.note(remark, quiet)
    return models


def _check_answers(records: "Records", revealed: int) -> None:
    """Raise DataError where nobody would have an answer left to be judged by."""
    import numpy as np

    from penchant.data.batch_builder import groups_of

    most = int(np.bincount(groups_of(records, "person").of_row).max(initial=0))
    if revealed and most <= revealed:
        raise DataError(
            f"{revealed} answers of each person are to be revealed, and nobody gave more than "
            f"{most}; expected people with later answers to foretell. Reveal fewer with --known "
            "and --few-shot, or look whether the description names the column of the person."
        )
