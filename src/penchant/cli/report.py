"""`penchant report`: a belief and data become one HTML page."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell
from penchant.errors import ConfigError

if TYPE_CHECKING:
    from penchant.beliefs.belief import Belief
    from penchant.data.batch import Batch
    from penchant.data.records import Records
    from penchant.evaluation.predictions import Predictions
    from penchant.evaluation.report import (
        Calibration,
        CoefficientTable,
        TasteDistribution,
        WillingnessToPay,
    )


# Groups of fewer people are not shown: their worths would be noise with a name.
MIN_PEOPLE = 20
# Drawn tastes, of which a curve can be made; latent classes are fewer.
MIN_KINDS = 30
# A share of a population that is too large to leave a reader wondering.
WORTH_SAYING = 0.01
POPULATIONS = {
    "Pooled": "one taste for all",
    "Classes": "latent classes",
    "Normal": "random coefficients",
}


@shell.guarded
def report(
    file: options.File,
    belief: options.BeliefFolder,
    out: Annotated[Path, typer.Option("--out", "-o", help="HTML file to write.")] = Path(
        "report.html"
    ),
    price: options.Price = None,
    unit: Annotated[str, typer.Option(help="What the price is counted in, as in CHF.")] = "",
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Column by which to show what features are worth. May be given several times.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "",
    description: options.DescriptionFile = None,
    on_bad_rows: options.OnBadRows = "error",
    seed: options.Seed = 0,
    debug: options.Debug = False,
) -> None:
    """Draw what a belief holds: worths by group, how people differ, calibration, coefficients.

    The page is one file that loads nothing; open it in any browser.
    """
    from penchant.beliefs.belief import Belief
    from penchant.cli.reading import check_groups, check_price, read_file
    from penchant.evaluation.report import write_report

    learnt = Belief.load(belief)
    data = read_file(file, description, on_bad_rows=on_bad_rows, belief=belief)
    check_groups(data.records, by or ())
    check_price(data.records, price)
    if price is None and (by or unit):
        raise ConfigError(
            f"{'--by' if by else '--unit'} is about what features are worth in money, and without "
            "--price there is none. Name the feature that is money with --price, or leave it out."
        )
    with shell.waiting("Drawing the report", quiet=False):
        page = report_data(
            learnt, data.records,
            title=title or f"What people want: {file.stem}",
            price=price, unit=unit, by=tuple(by or ()), seed=seed, notes=data.notes,
        )  # fmt: skip
        write_report(page, out)
    shell.note(f"Written to {out}; open it in a browser.")


def report_data(
    belief: "Belief",
    records: "Records",
    *,
    title: str,
    price: str | None,
    unit: str,
    by: tuple[str, ...],
    seed: int,
    notes: tuple[str, ...] = (),
) -> Any:
    """What a belief says about these records, ready to be drawn."""

    from penchant.cli.reading import number_features
    from penchant.evaluation.predictions import is_choices
    from penchant.evaluation.report import ReportData

    worths, tastes = [], []
    if price is not None:
        for feature in number_features(records):
            if feature == price:
                continue
            worth = worth_of(belief, records, feature, price, unit, by, seed)
            if worth.estimates[0].value == 0:
                continue
            worths.append(worth)
            distribution = taste_of(belief, records, feature, price, unit)
            tastes += [distribution] if distribution else []
    given, name = answered_rows(belief, records), name_of(belief, records)
    silent = len(records) - len(given)
    judged = foretold(belief, records.take(given)) if len(given) else None
    # A number that came back is near or far, never right: of those there is no probability.
    is_drawn = judged is not None and len(judged.chosen) > 0
    not_judged = (
        *(
            (f"{silent:,} of {len(records):,} rows have no answer: calibration is of the others.",)
            if silent and is_drawn
            else ()
        ),
        *(() if is_drawn else ("No answer has a probability: there is no calibration to draw.",)),
    )
    said = " Judged on the data it is shown here, which may be what it learnt from."
    return ReportData(
        title=title,
        subtitle=f"{len(records):,} {'choices' if is_choices(records) else 'answers'} of "
        f"{records.num_people:,} people.{said if is_drawn else ''}",
        willingness_to_pay=tuple(worths),
        tastes=tuple(tastes),
        calibration=calibration_of(name, judged) if judged and is_drawn else None,
        tables=(coefficient_table(belief, name),),
        warnings=tuple(dict.fromkeys((*_remarks(belief), *not_judged, *notes))),
    )


def worth_of(
    belief: "Belief",
    records: "Records",
    feature: str,
    price: str,
    unit: str,
    by: tuple[str, ...],
    seed: int,
    *,
    scale: float = 1.0,
    name: str = "",
    unit_of_feature: str = "",
) -> "WillingnessToPay":
    """Worth of one unit less of a feature, for all and by each column of `by`, times `scale`."""
    import numpy as np

    from penchant.evaluation.report import Estimate, WillingnessToPay
    from penchant.models.willingness import willingness_to_pay

    estimates: list[Estimate] = []
    same: list[str] = []
    for column in (None, *by):
        rng = np.random.default_rng(seed)
        found = [
            Estimate(
                label=worth.group if column else "all people",
                value=scale * worth.value,
                low=scale * worth.low,
                high=scale * worth.high,
                group=column or "",
                people=worth.people,
            )
            for worth in willingness_to_pay(belief, records, feature, price, rng=rng, by=column)
            if not column or worth.people >= MIN_PEOPLE
        ]
        values = [estimate.value for estimate in found]
        if column and np.ptp(values or [0.0]) <= 1e-6 * abs(estimates[0].value):
            same.append(column)
        else:
            estimates += found
    note = f"The model makes no difference by {', '.join(same)}." if same else ""
    return WillingnessToPay(
        attribute=name or f"one unit less of {feature}",
        unit=unit_of_feature or unit or f"units of {price}",
        estimates=tuple(estimates),
        note=note,
    )


def taste_of(
    belief: "Belief", records: "Records", feature: str, price: str, unit: str, scale: float = 1.0
) -> "TasteDistribution | None":
    """How people differ in a feature's worth, each judged by their own answers; None if not."""
    import numpy as np

    from penchant.evaluation.report import TasteDistribution
    from penchant.evaluation.report_words import percent
    from penchant.metrics.density import density_curve
    from penchant.models.willingness import personal_willingness, population_willingness
    from penchant.populations.classes import Classes
    from penchant.populations.pooled import Pooled

    if isinstance(belief.population, Classes):
        return _taste_of_kinds(belief, records, feature, price, unit, scale)
    own = scale * personal_willingness(belief, records, feature, price, history=records)
    own = own[np.isfinite(own)]
    if len(own) < 2 or np.ptp(own) <= 1e-9 * max(1.0, abs(float(np.median(own)))):
        return None
    ratios, shares = population_willingness(belief, records, feature, price)
    curve: list[tuple[float, float]] = []
    note = ""
    if ratios.shape[1] >= MIN_KINDS:
        low, middle, high = np.quantile(own, [0.25, 0.5, 0.75])
        points = np.linspace(middle - 5 * (high - low), middle + 5 * (high - low), 301)
        density = density_curve(scale * ratios.ravel(), shares.ravel(), points)
        curve = list(zip(points.tolist(), density.tolist()))
        below = float(shares[ratios < 0].sum())
        if below > WORTH_SAYING:
            note = (
                f"{percent(below)} of that population lies below zero: a normal distribution of "
                "tastes has such tails, whether or not there are such people."
            )
    return TasteDistribution(
        name=f"one unit less of {feature}",
        unit=unit or f"units of {price}",
        personal=tuple(float(value) for value in own),
        curve=tuple(curve),
        note=note,
        knows_answers=not isinstance(belief.population, Pooled),
    )


def _taste_of_kinds(
    belief: "Belief", records: "Records", feature: str, price: str, unit: str, scale: float
) -> "TasteDistribution | None":
    """What each of a few kinds of people would pay; None where none of them pays."""
    from penchant.evaluation.report import TasteDistribution
    from penchant.evaluation.report_words import percent
    from penchant.models.willingness import willingness_by_kind

    found = willingness_by_kind(belief, records, feature, price, history=records)
    kinds = tuple((scale * kind.value, kind.share) for kind in found if kind.pays)
    others = sum(kind.share for kind in found if not kind.pays)
    note = ""
    if others:
        note = (
            f"{percent(others)} of people are of a kind to whom a higher {price} is no loss: for "
            "them nothing has a worth in it."
        )
    return TasteDistribution(
        name=f"one unit less of {feature}", unit=unit or f"units of {price}", personal=(),
        note=note, kinds=kinds,
    ) if kinds else None  # fmt: skip


def coefficient_table(belief: "Belief", title: str = "") -> "CoefficientTable":
    """The table of estimates with the facts of the fit."""
    from penchant.evaluation.report import Coefficient, CoefficientTable
    from penchant.evaluation.report_words import number
    from penchant.models.summary import summarise

    summary = summarise(belief, title=title or name_of(belief))
    fit = summary.fit
    # A prior determines some of the parameters: AIC and BIC that count the others alone.
    determined = () if fit.effective_parameters is None else (
        ("determined by the data", number(fit.effective_parameters, 1)),
        ("effective AIC", number(fit.effective_aic, 1)),
        ("effective BIC", number(fit.effective_bic, 1)),
    )  # fmt: skip
    return CoefficientTable(
        model=summary.title,
        coefficients=tuple(
            Coefficient(
                name=c.name, estimate=c.estimate, se=c.se, robust_se=c.robust_se,
                low=c.low, high=c.high,
            )
            for c in summary.coefficients
        ),
        facts=(
            ("log-likelihood", number(fit.log_likelihood, 2)),
            ("parameters", number(fit.parameters, 0)),
            (answers_word(belief), number(fit.rows, 0)),
            ("people", number(fit.people, 0)),
            ("AIC", number(fit.aic, 1)),
            ("BIC", number(fit.bic, 1)),
            *determined,
            ("McFadden’s ρ²", number(fit.rho_squared, 3)),
            ("converged", "yes" if fit.converged else "no"),
        ),
    )  # fmt: skip


def answers_word(belief: "Belief") -> str:
    """What the rows that a belief was fitted on are called."""
    plain = all(channel.kind == "choice" for channel in belief.channels)
    return "choices" if plain else "answers"


def name_of(belief: "Belief", records: "Records | None" = None) -> str:
    """The model in plain words; with records it is known whether a taste follows their context."""
    from penchant.encoders.table import TableEncoder
    from penchant.models.personal_logit import own_tastes

    kind, encoder = type(belief.population).__name__, belief.encoder
    if kind == "Pooled" and records is not None and isinstance(encoder, TableEncoder):
        names = encoder.feature_names
        if len(own_tastes(records, names)) < len(names):
            return "taste by context"
    return POPULATIONS.get(kind, kind)


def _remarks(belief: "Belief") -> tuple[str, ...]:
    return () if belief.report is None else belief.report.warnings


def answered_rows(belief: "Belief", records: "Records") -> Any:
    """The places of the rows that somebody has answered."""
    import numpy as np

    from penchant.data.batch_builder import is_answered

    blocks = belief.encode(records).blocks
    return np.sort(np.concatenate([block.row[is_answered(block)] for block in blocks]))


def foretold(belief: "Belief", records: "Records") -> "Predictions":
    """What the belief says of answers that are known."""
    import numpy as np

    from penchant.evaluation.predictions import predict

    return predict(AsEstimator(belief), records, np.arange(len(records)), fold=0)


@dataclass(frozen=True)
class AsEstimator:
    """A belief where an estimator is asked for: it has learnt already."""

    belief: "Belief"

    def fit(self, data: "Records") -> "AsEstimator":
        return self

    def predict_proba(self, data: "Records", history: "Records | None" = None) -> Any:
        """The probability of each option shown."""
        known = None if history is None else self.belief.encode(history)
        batch = self.belief.encode(data)
        # Of a pair that may tie: given that one wins, where all that are judged have a winner.
        blocks = [each / each.sum(axis=1, keepdims=True)
                  for each in self.belief.predict_proba(batch, known)]  # fmt: skip
        return batch.flat(blocks)

    def encode(self, data: "Records") -> "Batch":
        """Records as the features that were learnt from."""
        return self.belief.encode(data)

    def foretell(self, data: "Batch", history: "Records | None" = None) -> Any:
        """What is expected of answers of every kind."""
        from penchant.beliefs.foretold import foretell

        return foretell(self.belief, data, None if history is None else self.encode(history))

    def log_prob(self, data: "Batch", history: "Records | None" = None) -> Any:
        """Log-probability of each answer."""
        from penchant.beliefs.foretold import check_answers

        check_answers(self.belief, data)
        return self.belief.log_prob(data, None if history is None else self.encode(history))


def calibration_of(model: str, predictions: "Predictions") -> "Calibration":
    """The reliability picture of predictions."""
    from penchant.evaluation.report import Calibration, CalibrationBin

    table = predictions.reliability()
    columns = (table.predicted, table.observed, table.low, table.high, table.mass)
    return Calibration(
        model=model,
        ece=table.error,
        bins=tuple(
            CalibrationBin(predicted=p, observed=o, low=low, high=high, count=round(mass))
            for p, o, low, high, mass in zip(*(column.tolist() for column in columns))
        ),
    )
