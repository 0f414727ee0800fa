"""One self-contained HTML page: who wants what, where people differ, whom a change would hurt.

The page is built from a `ReportData`, which says what to show and nothing about how; a section
whose data is absent does not appear. No script, no network, no picture files: the charts are SVG.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penchant.errors import ConfigError
from penchant.numerics.names import excerpt

if TYPE_CHECKING:
    from jinja2 import Environment

NEW_PEOPLE, KNOWN_PEOPLE = "new_people", "known_people"


@dataclass(frozen=True, kw_only=True)
class LadderRow:
    """One model judged on one split: nats per choice, with 95 % intervals over people."""

    model: str
    split: str
    nll: float
    nll_low: float
    nll_high: float
    accuracy: float
    ece: float
    people: int
    choices: int


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Nats per choice of a model less those of the ladder's reference on the same choices.

    Below 0 the model foresees better; `low` and `high` bound the 95 % interval over people.
    """

    model: str
    split: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Models from the plainest to the richest, all judged on the same folds.

    `reference` names the black box among them that readable models are compared with, and
    `differences` says how far each is from it. `rungs` tells of a model what it adds to the one
    before.
    """

    title: str
    rows: tuple[LadderRow, ...]
    reference: str = "gradient-boosted trees"
    note: str = ""
    unit_of_people: str = "people"
    differences: tuple[Difference, ...] = ()
    rungs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval; neighbours of one `group` stand under its heading."""

    label: str
    value: float
    low: float
    high: float
    group: str = ""
    people: int | None = None


@dataclass(frozen=True, kw_only=True)
class WillingnessToPay:
    """What one attribute is worth, by context; `unit` reads like "CHF per hour"."""

    attribute: str
    unit: str
    estimates: tuple[Estimate, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TasteDistribution:
    """How people differ in one taste.

    `personal` holds each person's own best guess (posterior mean); `curve` the population's
    density as (value, density) pairs. Personal guesses are shrunk, so they spread less.
    `knows_answers`: whether the guess is by their answers, or by their situations alone.
    `kinds`: (value, share of people) of each, where people are of a few kinds; `personal` is empty
    then, since nobody has a taste between two kinds.
    """

    name: str
    unit: str
    personal: tuple[float, ...]
    curve: tuple[tuple[float, float], ...] = ()
    note: str = ""
    knows_answers: bool = True
    kinds: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """Of `count` probabilities near `predicted`, the share `observed` came true."""

    predicted: float
    observed: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Do things said to be 30 % likely happen three times in ten? `ece` is the mean gap."""

    model: str
    bins: tuple[CalibrationBin, ...]
    ece: float


@dataclass(frozen=True, kw_only=True)
class FewShotPoint:
    """Error on a new person's later choices once `answers` of theirs are known."""

    answers: int
    nll: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class FewShotCurve:
    """How fast a model gets to know a new person; `baselines` are (label, nats) drawn as levels."""

    model: str
    points: tuple[FewShotPoint, ...]
    baselines: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ShareChange:
    """An option's expected share (0 to 1) before and after a change."""

    option: str
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """A change that could be decided: whom it moves, and who gains or loses by it.

    `effects` are changes in expected utility (consumer surplus) in `effects_unit`; below zero
    is a loss. `effects_note` says how that unit was arrived at.
    """

    question: str
    shares: tuple[ShareChange, ...]
    effects: tuple[Estimate, ...] = ()
    effects_unit: str = ""
    note: str = ""
    effects_note: str = ""


@dataclass(frozen=True, kw_only=True)
class Coefficient:
    """A line of the coefficient table; `low` and `high` bound the 95 % interval."""

    name: str
    estimate: float
    se: float
    robust_se: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CoefficientTable:
    model: str
    coefficients: tuple[Coefficient, ...]
    facts: tuple[tuple[str, str], ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class WorstSubgroups:
    """The groups that a model understands least, with the error over everybody for comparison."""

    model: str
    overall: float
    groups: tuple[Estimate, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where data came from, under which terms, and whom to cite."""

    name: str
    citation: str
    licence: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything a report can show. Only the title is needed; empty parts leave no trace."""

    title: str
    subtitle: str = ""
    lead: tuple[str, ...] = ()
    ladders: tuple[Ladder, ...] = ()
    willingness_to_pay: tuple[WillingnessToPay, ...] = ()
    tastes: tuple[TasteDistribution, ...] = ()
    what_ifs: tuple[WhatIf, ...] = ()
    calibration: Calibration | None = None
    few_shot: FewShotCurve | None = None
    worst_subgroups: WorstSubgroups | None = None
    tables: tuple[CoefficientTable, ...] = ()
    warnings: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


def ladder_rows(ladders: Sequence[Ladder]) -> list[dict[str, str | float | int]]:
    """The rows of `ladder.json`: plain dictionaries, one for each model and split."""
    return [asdict(row) for ladder in ladders for row in ladder.rows]


def render_report(data: ReportData) -> str:
    """The report as one HTML document."""
    from penchant.evaluation import report_charts, report_words

    return (
        environment()
        .get_template("report.html")
        .render(data=data, charts=report_charts, words=report_words)
    )


def environment() -> "Environment":
    """The templates of all pages and the filters they use."""
    # Jinja takes 60 ms to import; a fit that writes no report need not wait for it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from penchant.evaluation import report_words

    made = Environment(
        loader=PackageLoader("penchant.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = report_words.number
    made.filters["signed"] = report_words.signed
    made.filters["excerpt"] = excerpt
    made.filters["emphasised"] = report_words.emphasised
    return made


def write_report(data: ReportData, path: Path) -> Path:
    """Write the report to `path`, a file name ending in `.html`.

    Raises ConfigError where `path` is a folder.
    """
    if path.is_dir():
        raise ConfigError(
            f"the report was to be written to {path}, which is a folder; "
            f"expected a file name. Try {path / 'report.html'}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_report(data), encoding="utf-8")
    return path
