"""`penchant ope`: what another policy would have earned on a log of decisions."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError
from penchant.serving.plain_json import finite

if TYPE_CHECKING:
    from penchant.data.decisions import Decisions
    from penchant.data.records import Records
    from penchant.evaluation.off_policy import OffPolicyReport
    from penchant.policies.policy import Policy

_POLICIES = (
    "uniform, logged, column:NAME (probabilities of each option), greedy:FOLDER, "
    "softmax:FOLDER[:TEMPERATURE], epsilon:FOLDER[:EPSILON], careful:FOLDER[:SHARE] (best for the "
    "worst off SHARE of kinds of people) (FOLDER as `penchant fit --out` "
    "wrote it), bandit:FOLDER (as `penchant decide` keeps it)"
)

# What says nothing of rounds that show several options.
_OF_ONE = ("interval", "tightest_at", "propensity_formula", "embedding", "menu")
_OF_REWARDS = ("formula", "folds")


@shell.guarded
def ope(
    call: options.Invocation,
    log: Annotated[
        Path,
        typer.Argument(
            help="Log of decisions: Parquet, CSV, JSONL, Vowpal Wabbit's text or dsjson.",
            show_default=False,
        ),
    ],
    policy: Annotated[
        list[str],
        typer.Option(
            "--policy",
            "-p",
            help=f"May be given several times: {_POLICIES}. A name of yours may "
            "stand before it, as in new=greedy:FOLDER.",
            show_default=False,
        ),
    ],
    formula: Annotated[
        str,
        typer.Option(
            help="Features of the reward model; 'none' for estimates by weights alone. Without it "
            "options, features and context, and options by context where rounds allow; of rounds "
            "that show several options, the options alone."
        ),
    ] = "",
    interval: Annotated[
        str,
        typer.Option(
            help="normal (clustered by person), bootstrap, bernstein (any sample size; weights "
            "alone), anytime (may be looked at as the log grows)."
        ),
    ] = "normal",
    tightest_at: Annotated[
        float,
        typer.Option(
            help="Number of people at which an anytime interval is narrowest; the same at every "
            "look."
        ),
    ] = 1000.0,
    level: Annotated[float, typer.Option(help="How often an interval holds.")] = 0.95,
    folds: Annotated[int, typer.Option(min=2, help="Parts for cross-fitting.")] = 2,
    propensity_formula: Annotated[
        str,
        typer.Option(
            help="Estimate propensities by a conditional logit of what was taken, for instance "
            "'option + option:segment', in place of the log's."
        ),
    ] = "",
    embedding: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of options that says all that matters of them, for weights of large "
            "menus. May be given several times.",
            show_default=False,
        ),
    ] = None,
    menu: Annotated[
        str,
        typer.Option(
            help="logged; seen: the log holds only what was shown, and every option of it was on "
            "offer; seen:COLUMN: within each value of a column of rows."
        ),
    ] = "logged",
    places: Annotated[
        str,
        typer.Option(
            help="Of rounds that show several options: drawn, probabilities are of standing in "
            "front and further places are drawn from what is left (as `penchant decide` does); "
            "each, they are of what was shown at its own place."
        ),
    ] = "drawn",
    description: options.DescriptionFile = None,
    role: options.Role = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for ope.json and ope.html.", show_default=False),
    ] = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Tell what policies would have earned, with intervals, and whether the log can say so.

    Every estimator that the log allows: direct, inverse propensities (plain, clipped,
    self-normalised), doubly robust (plain, switched, shrunk). Where rounds show several options
    (rewards of each place, picks, rankings, comparisons): by slate, cascade and place, or how often
    a policy's options are preferred to those shown. Findings say in words what holds and what does
    not.
    """
    from penchant.data.decisions import decisions_of
    from penchant.data.slates import shows_several
    from penchant.evaluation.off_policy import OffPolicyConfig, evaluate_policies

    policies, folder = _policies(policy, is_law=places == "drawn")
    records = _read(log, description, role, on_bad_rows, folder, json)
    if shows_several(records):
        _refuse(options.given(call, among=_OF_ONE), "rounds of this log show several options")
        from penchant.data.slates import slates_of
        from penchant.evaluation.off_policy_slates import SlatesConfig, evaluate_slates

        slates = slates_of(records)
        if slates.feedback != "rewards" or places != "drawn":
            why = "a reward model needs rewards of each place, and places that are drawn"
            _refuse(options.given(call, among=_OF_REWARDS), why)
        elif formula == "none":
            _refuse(options.given(call, among=("folds",)), "--formula none is without any model")
        chosen = SlatesConfig(
            places=places,  # type: ignore[arg-type]  # the config refuses others
            formula="" if formula == "none" else formula or None, num_folds=folds, level=level,
            seed=seed,
        )  # fmt: skip
        with shell.waiting(f"Judging {len(policies)} policies on {len(slates):,} rounds", json):
            report = evaluate_slates(slates, policies, chosen)
        document = as_document(report, formula)
    else:
        _refuse(options.given(call, among=("places",)), "each round of this log has one reward")
        # Whether a policy was learnt from this log is told by the log as it stands in the file.
        decisions = replace(decisions_of(_completed(records, menu)), log=records)
        config = OffPolicyConfig(
            formula=_formula(formula, decisions, json), num_folds=folds,
            interval=interval, level=level,  # type: ignore[arg-type]  # the config refuses others
            propensity_formula=propensity_formula, embedding=tuple(embedding or ()), seed=seed,
            tightest_at=tightest_at,
        )  # fmt: skip
        with shell.waiting(f"Judging {len(policies)} policies on {len(decisions):,} rounds", json):
            report = evaluate_policies(decisions, policies, config)
        document = as_document(report, config.formula)
    if out is not None:
        _write(document, report, out, log.name)
        shell.note(f"ope.json and ope.html written to {out}.", json)
    if json:
        shell.print_json(document)
    else:
        _print(report)


def _refuse(ignored: list[str], why: str) -> None:
    if ignored:
        raise ConfigError(f"{', '.join(ignored)} would change nothing: {why}. Leave that out.")


def _read(
    log: Path, description: Path | None, roles: list[str] | None, on_bad_rows: str,
    folder: Path | None, quiet: bool,
) -> "Records":  # fmt: skip
    from penchant.cli.reading import read_file

    data = read_file(
        log, description, on_bad_rows=on_bad_rows, belief=folder, quiet=quiet, roles=roles
    )
    return data.records


def _completed(records: "Records", menu: str) -> "Records":
    from penchant.data.decisions import with_whole_menus

    kind, _, column = menu.partition(":")
    if kind == "logged" and not column:
        return records
    if kind != "seen":
        raise ConfigError(f"--menu is {menu!r}; expected logged, seen or seen:COLUMN.")
    return with_whole_menus(records, column or None)


def _policies(said: list[str], *, is_law: bool) -> tuple[dict[str, "Policy"], Path | None]:
    """The policies by name, and the first model folder among them."""
    found: dict[str, Policy] = {}
    first: Path | None = None
    for text in said:
        name, mark, spec = text.partition("=")
        if not mark:
            name, spec = text, text
        if name in found:
            raise ConfigError(f"two policies are called {name!r}; name one: NAME={spec}.")
        found[name], folder = _policy(spec, is_law=is_law)
        first = first or folder
    return found, first


def _policy(spec: str, *, is_law: bool) -> tuple["Policy", Path | None]:
    from penchant.beliefs.belief import Belief
    from penchant.policies.policy import (
        Careful,
        Column,
        EpsilonGreedy,
        Greedy,
        Logged,
        Softmax,
        Uniform,
    )

    kind, _, rest = spec.partition(":")
    if spec in ("uniform", "logged"):
        return (Uniform() if spec == "uniform" else Logged()), None
    if kind == "column" and rest:
        return Column(rest, is_law), None
    if kind == "bandit" and rest:
        from penchant.serving.deciding import load

        return load(Path(rest)).policy(), None
    if kind not in ("greedy", "softmax", "epsilon", "careful") or not rest:
        raise ConfigError(f"--policy got {spec!r}; expected one of {_POLICIES}.")
    # A Windows path has a colon of its own, so only a number after the last one is a setting.
    folder, colon, setting = rest.rpartition(":")
    value = _number(setting) if colon else None
    if value is None:
        folder = rest
    belief = Belief.load(Path(folder))
    if kind == "greedy":
        if value is not None:
            raise ConfigError(f"--policy got {spec!r}; greedy has no setting. Leave {value} out.")
        return Greedy(belief), Path(folder)
    makes: dict[str, Any] = {"softmax": Softmax, "epsilon": EpsilonGreedy, "careful": Careful}
    return (makes[kind](belief) if value is None else makes[kind](belief, value)), Path(folder)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _formula(said: str, decisions: "Decisions", quiet: bool) -> str:
    from penchant.cli.default_formula import reward_formula

    if said == "none" or (not said and not decisions.has_whole_menus):
        return ""
    if said:
        return said
    formula = reward_formula(decisions.records)
    for text in formula.notes:
        shell.note(text, quiet)
    shell.note(f"Reward model: {formula.text or 'none, as nothing varies'}", quiet)
    return formula.text


def as_document(report: "OffPolicyReport", formula: str) -> dict[str, Any]:
    """What --json prints and ope.json holds."""
    choice = report.choice
    return {
        "rounds": report.rounds,
        "people": report.clusters,
        "interval": report.interval,
        "counted": report.counted,
        "logged": _interval(report.logged),
        "reward_formula": formula,
        "policies": [
            {
                "policy": one.policy,
                "quoted": one.quoted,
                **_interval(one.best),
                "gain": _interval(one.gain),
                "estimates": [
                    {"estimator": e.estimator, **_interval(e), "error": e.error,
                     "setting": e.setting}
                    for e in one.estimates
                ],
                "overlap": {
                    "effective": one.overlap.effective, "max_weight": one.overlap.max_weight,
                    "mean_weight": one.overlap.mean_weight, "mean_z": one.overlap.mean_z,
                    "heaviest": one.overlap.heaviest, "agreeing": one.overlap.agreeing,
                    "unsupported": one.overlap.unsupported,
                },
                "findings": [_finding(f) for f in one.findings],
            }
            for one in report.policies
        ],
        "choice": None
        if choice is None
        else {
            "best": report.policies[choice.best].policy,
            # Whatever the interval of the values, policies are compared by this one.
            "interval": "normal",
            "together": [
                {"policy": one.policy, "low": float(choice.low[m]), "high": float(choice.high[m]),
                 "may_be_best": bool(choice.may_be_best[m]),
                 "beats_logged": bool(choice.beats_logged[m])}
                for m, one in enumerate(report.policies)
            ],
        },
        "findings": [_finding(f) for f in report.findings],
        "notes": list(report.notes),
    }  # fmt: skip


def _interval(one: Any) -> dict[str, float]:
    value = one.estimate if isinstance(getattr(one, "estimate", None), float) else one.value
    return {"value": value, "low": one.low, "high": one.high}


def _finding(one: Any) -> dict[str, str]:
    return {"name": one.name, "verdict": one.verdict, "text": one.text}


def _write(document: dict[str, Any], report: "OffPolicyReport", out: Path, title: str) -> None:
    import json

    from penchant.evaluation.off_policy_page import render_off_policy

    if out.is_file():
        raise ConfigError(f"--out is {out}, which is a file; expected a folder.")
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(finite(document), indent=2, ensure_ascii=False)
    (out / "ope.json").write_text(text + "\n", encoding="utf-8")
    (out / "ope.html").write_text(render_off_policy(report, title), encoding="utf-8")


def _print(report: "OffPolicyReport") -> None:
    from rich.table import Table

    from penchant.evaluation.off_policy_words import WORDS

    console, words = shell.output(), WORDS[report.counted]
    logged = report.logged
    console.print(
        f"{report.rounds:,} rounds; {words.logged} {logged.estimate:.4f} {words.unit} "
        f"({logged.low:.4f} to {logged.high:.4f}).\n"
    )
    for one in report.policies:
        table = Table(one.policy, box=None, header_style="bold", pad_edge=False)
        for head in ("value", "interval", "error", "setting"):
            table.add_column(head, justify="right")
        for e in one.estimates:
            mark = " *" if e.estimator == one.quoted else ""
            ends = f"{e.low:.4f} to {e.high:.4f}" if e.low == e.low else "not known"
            value, error = (f"{x:.4f}" if x == x else "" for x in (e.value, e.error))
            setting = f"{e.setting:.4g}" if e.setting == e.setting else ""
            table.add_row(e.estimator + mark, value, ends, error, setting)
        console.print(table)
        gain = one.gain
        told = f"{gain.estimate:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
        known = gain.low == gain.low and one.best.low == one.best.low
        console.print(
            f"* the one to quote; beside what was logged {told if known else 'not known'}"
        )
        _print_findings(one.findings)
    if report.findings:
        console.print("the log", style="bold")
        _print_findings(report.findings)
    _print_choice(report)


def _print_findings(findings: Any) -> None:
    console = shell.output()
    for one in findings:
        style = {"fine": "dim", "care": "yellow", "wrong": "bold red"}[one.verdict]
        console.print(f"  {one.verdict}: {one.text}", style=style, markup=False)
    console.print()


def _print_choice(report: "OffPolicyReport") -> None:
    from penchant.evaluation.off_policy_words import WORDS, together

    choice, words = report.choice, WORDS[report.counted]
    if choice is None:
        return
    console, names = shell.output(), [one.policy for one in report.policies]
    best = [name for name, may in zip(names, choice.may_be_best) if may]
    better = [name for name, beats in zip(names, choice.beats_logged) if beats]
    console.print(f"all policies together, {together(report.interval)}", style="bold")
    console.print(
        f"  {names[choice.best]} has the highest estimate and "
        f"{words.surely} at least {choice.best_low:.4f} {words.unit}."
    )
    console.print(
        f"  May be the best: {', '.join(best)}. "
        f"Surely better than what was logged: {', '.join(better) or 'none'}."
    )
