"""What the demo tells: worths, a decision, the words and the pictures, from the judged models."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.cli.report import MIN_PEOPLE

if TYPE_CHECKING:
    from penchant.cli.demo import JudgedStudy
    from penchant.cli.demo_models import Settings, Study
    from penchant.data.records import Records
    from penchant.evaluation.report import (
        CoefficientTable,
        Ladder,
        TasteDistribution,
        WhatIf,
        WillingnessToPay,
    )

BY = ("purpose", "who", "income", "luggage", "age")
OPTIONS = {"train": "Train", "swissmetro": "Swissmetro", "car": "Car"}
TITLES = {"who": "who pays", "ga": "annual pass", "income": "income, thousand CHF a year"}
LABELS = {("", "all people"): "those who pay a fare",
          ("ga", "0"): "no", ("ga", "1"): "yes", ("who", "self"): "the traveller",
          ("who", "employer"): "the employer"}  # fmt: skip

LONDON_NOTE = (
    "Known are a household’s first two trips; the way back is often made as the way out was, which "
    "makes known households easy for any model that looks at their trips."
)
SURPLUS = (
    "Utility becomes francs by one number, what a franc is worth to the group at today’s fares. "
    "Here cost counts by its logarithm, so that a franc weighs less on a dear trip: these francs "
    "are an approximation, good for small changes, less so for large ones."
)
# What `python benchmarks/trees.py` found on the folds of seed 0 (its results are kept beside it).
HANDED_DIFFERENCES = (0.648, 0.489)


@dataclass(frozen=True, kw_only=True, eq=False)
class Story:
    """What one model, fitted on everybody, says of worths and of changes."""

    worths: "tuple[WillingnessToPay, ...]"
    tastes: "tuple[TasteDistribution, ...]"
    what_ifs: "tuple[WhatIf, ...]"
    table: "CoefficientTable"
    remarks: tuple[str, ...] = ()


def work_out(study: "Study", records: "Records", settings: "Settings", out: Path) -> Story:
    """Fit the telling model on everybody, keep its belief in `out`, and ask it."""
    import numpy as np

    from penchant.cli.report import coefficient_table

    estimator: Any = study.models[study.story](settings)
    belief = estimator.fit(records).belief_
    belief.save(out / "belief")
    # Whoever holds the annual pass pays nothing more: a franc has no meaning there.
    paying = records.take(np.flatnonzero(np.asarray(records.rows["ga"].to_numpy()) == 0))
    fares, trains = ("swissmetro.cost*=1.2",), ("train.headway*=0.5",)
    return Story(
        worths=(
            _worth(belief, paying, "time", "an hour less of travel", settings),
            _worth(belief, paying, "headway", "an hour less between departures", settings),
        ),
        tastes=_tastes(belief, paying),
        what_ifs=(
            _what_if(belief, records, "What if Swissmetro cost 20 % more?", fares, settings),
            _what_if(belief, records, "What if trains ran twice as often?", trains, settings),
        ),
        table=coefficient_table(belief, study.story),
        # What the data were told of when they were read is told in plainer words.
        remarks=tuple(note for note in belief.report.warnings if note not in records.notes),
    )


def tell(
    judged: "dict[str, JudgedStudy]",
    story: Story,
    settings: "Settings",
    out: Path,
    seconds: float,
) -> list[str]:
    """Write report.html; the sentences and tables it comes to."""
    from importlib.metadata import version

    from penchant.cli.demo import records_of
    from penchant.cli.demo_models import REFERENCE
    from penchant.cli.report import calibration_of
    from penchant.evaluation import report_words as words
    from penchant.evaluation.report import ReportData, write_report

    swiss = judged["swissmetro"]
    study = swiss.study
    records = records_of(study, settings)
    ladders = tuple(_ladder(each) for each in judged.values() if each.rows)
    split = "known_people" if (study.story, "known_people") in swiss.predictions else "new_people"
    trusted = swiss.predictions[study.story, split]
    swiss_models = {model for model, _ in swiss.predictions}
    fares = story.what_ifs[0]
    lead = (
        words.worth_takeaway(story.worths[0]),
        words.ladder_headline(ladders[0]),
        f"{fares.question} {words.what_if_takeaway(fares)} {words.effects_takeaway(fares)}",
    )
    data = ReportData(
        title="How people choose between train, Swissmetro and car",
        subtitle=f"{records.num_people:,} people in Switzerland, nine stated choices each, March "
        "1998. Models are judged on people and choices that they had not seen.",
        lead=lead,
        ladders=ladders,
        willingness_to_pay=story.worths,
        tastes=story.tastes,
        what_ifs=story.what_ifs,
        calibration=calibration_of(study.story, trusted),
        few_shot=_few_shot(swiss) if swiss.few_shot else None,
        worst_subgroups=_worst(study.story, trusted, records, settings),
        tables=(story.table,),
        warnings=_warnings(settings, [*story.remarks, *swiss.notes], REFERENCE in swiss_models),
        sources=_sources(),
        facts=(
            ("penchant", version("penchant")),
            ("seed", str(settings.seed)),
            ("seconds", f"{seconds:.0f}"),
            ("command", f"penchant demo --seed {settings.seed}" + " --quick" * settings.quick),
        ),
    )
    write_report(data, out / "report.html")
    judged_so = (sentence for ladder in ladders for sentence in words.ladder_takeaways(ladder))
    told = (lead[0], *judged_so, lead[2])
    return [_ladder_text(ladder) for ladder in ladders] + [f"- {sentence}" for sentence in told]


def _worth(
    belief: Any, records: "Records", feature: str, name: str, settings: "Settings"
) -> "WillingnessToPay":
    """Francs for an hour, by context; groups of few people are left out."""
    from dataclasses import replace

    from penchant.cli.report import worth_of

    worth = worth_of(
        belief, records, feature, "cost", "CHF", BY, settings.seed,
        scale=60.0, name=name, unit_of_feature="CHF",
    )  # fmt: skip
    note = "Of those who pay for the trip: holders of the annual pass are left out."
    known = tuple(_named(e) for e in worth.estimates if e.label != "unknown")
    return replace(worth, estimates=known, note=note)


def _named(estimate: Any) -> Any:
    from dataclasses import replace

    label = LABELS.get((estimate.group, estimate.label), estimate.label)
    return replace(estimate, label=label, group=TITLES.get(estimate.group, estimate.group))


def _tastes(belief: Any, records: "Records") -> tuple[Any, ...]:
    from dataclasses import replace

    from penchant.cli.report import taste_of

    taste = taste_of(belief, records, "time", "cost", "CHF per hour", scale=60.0)
    return () if taste is None else (replace(taste, name="what an hour of travel is worth"),)


def _what_if(
    belief: Any, records: "Records", question: str, changes: tuple[str, ...], settings: "Settings"
) -> "WhatIf":
    import numpy as np

    from penchant.cli.what_if import parse_change
    from penchant.evaluation.report import Estimate, ShareChange, WhatIf
    from penchant.policies.oneshot.what_if import what_if

    result = what_if(
        belief, records, [parse_change(text) for text in changes],
        rng=np.random.default_rng(settings.seed), price="cost",
        by=("purpose", "who", "income", "ga"), num_draws=10 if settings.quick else 40,
    )  # fmt: skip
    shares = tuple(
        ShareChange(
            option=OPTIONS.get(s.option, s.option), before=s.before, before_low=s.before_low,
            before_high=s.before_high, after=s.after, after_low=s.after_low,
            after_high=s.after_high,
        )
        for s in result.shares
    )  # fmt: skip
    effects = []
    for w in result.welfare:
        column, _, label = w.group.partition(": ")
        if w.people >= MIN_PEOPLE and label != "unknown":
            effect = Estimate(
                label=label, value=w.mean, low=w.low, high=w.high, group=column, people=w.people
            )
            effects.append(_named(effect))
    return WhatIf(
        question=question, shares=shares, effects=tuple(effects), effects_unit="CHF a trip",
        effects_note=SURPLUS,
    )  # fmt: skip


def _few_shot(swiss: "JudgedStudy") -> Any:
    from penchant.cli.demo_models import REFERENCE
    from penchant.evaluation.report import FewShotCurve

    study = swiss.study
    baselines = tuple(
        (f"{row.model}, {study.num_known} answers", row.nll)
        for row in swiss.rows
        if row.split == "known_people" and row.model == REFERENCE
    )
    return FewShotCurve(model=study.story, points=swiss.few_shot, baselines=baselines)


def _ladder(judged: "JudgedStudy") -> "Ladder":
    from penchant.cli.demo_models import REFERENCE
    from penchant.evaluation.ladder import differences_from
    from penchant.evaluation.report import Ladder

    london = judged.study.name == "london"
    return Ladder(
        title="London: trips really made" if london else
        "How well each model foresees what people choose",
        rows=judged.rows,
        reference=REFERENCE,
        note=" ".join((*judged.notes, LONDON_NOTE if london else "")).strip(),
        unit_of_people="households" if london else "people",
        differences=differences_from(REFERENCE, judged.predictions),
        rungs=tuple(judged.study.rungs.items()),
    )  # fmt: skip


def _worst(model: str, predictions: Any, records: "Records", settings: "Settings") -> Any:
    from dataclasses import replace

    import numpy as np

    from penchant.evaluation.report import Estimate, WorstSubgroups
    from penchant.evaluation.subgroups import losses_by_subgroup

    found = losses_by_subgroup(
        predictions, records, BY, np.random.default_rng(settings.seed),
        min_people=5 if settings.quick else MIN_PEOPLE,
    )  # fmt: skip
    groups = []
    for z in np.argsort(-found.mean)[:6]:
        column, _, level = found.names[z].partition(" = ")
        group = _named(Estimate(
            label=level, value=float(found.mean[z]), low=float(found.low[z]),
            high=float(found.high[z]), group=column, people=int(found.num_clusters[z]),
        ))  # fmt: skip
        # Sorted by error, the columns stand mixed: each line names its own.
        groups.append(replace(group, label=f"{group.group}: {group.label}", group=""))
    return WorstSubgroups(
        model=model, overall=predictions.nll().estimate, groups=tuple(groups)
    )  # fmt: skip


def _warnings(settings: "Settings", notes: list[str], has_trees: bool) -> tuple[str, ...]:
    quick = (
        "This is the quick demo: a tenth of the people, small models. Take no number from it.",
    )
    return (
        *(quick if settings.quick else ()),
        *notes,
        *(_of_trees(settings) if has_trees else ()),
        "Swissmetro choices are stated: people said what they would do, with a train that was "
        "never built.",
        "Men and business travellers are over-represented in the survey; shares are those of the "
        "sample, not of Switzerland.",
        "Nine choices whose answer is unknown were left out, one person with them.",
        "In London a household stands for the person: members cannot be told apart.",
    )


def _of_trees(settings: "Settings") -> tuple[str, ...]:
    """How far the comparison with the black box goes; recorded figures only beside their folds."""
    from penchant.cli.demo import RECORDED_SEED

    fair = (
        "The trees see the same columns as the models. Their settings were chosen once, on the "
        "folds of seed 0; chosen anew inside every fold they gain less than a hundredth of a nat."
    )
    if settings.quick or settings.seed != RECORDED_SEED:
        return (fair,)
    new, known = HANDED_DIFFERENCES
    return (
        f"{fair} Handed differences of time, cost and headway between the options as well, made by "
        f"hand, they reach {new} on new people and {known} on known people (recorded, by "
        "benchmarks/trees.py): a tie on new people, behind on known ones.",
    )


def _sources() -> tuple[Any, ...]:
    from penchant.evaluation.report import Source

    return (
        Source(
            name="Swissmetro",
            citation="Bierlaire, M., Axhausen, K. and Abay, G. (2001), The acceptance of modal "
            "innovation: the case of Swissmetro. Swiss Transport Research Conference, Ascona.",
            licence="made public by its authors for research with citation",
        ),
        Source(
            name="London Passenger Mode Choice, a sample",
            citation="Hillel, T., Elshafie, M. and Jin, Y. (2018), Recreating passenger mode "
            "choice-sets for transport simulation: a case study of London, UK. Proceedings of the "
            "ICE, Smart Infrastructure and Construction 171(1).",
            licence="MIT",
        ),
    )


def _ladder_text(ladder: "Ladder") -> str:
    """The ladder for a terminal."""
    width = max(len(row.model) for row in ladder.rows)
    lines = [ladder.title, f"  {'':<{width}}  {'nats per choice':>24}  right  calibration error"]
    previous = ""
    for row in sorted(ladder.rows, key=lambda row: row.split != "new_people"):
        if row.split != previous:
            previous = row.split
            lines.append(f"  {row.split.replace('_', ' ')} ({row.choices:,} choices)")
        interval = f"{row.nll:.3f} ({row.nll_low:.3f} to {row.nll_high:.3f})"
        lines.append(
            f"  {row.model:<{width}}  {interval:>24}  {100 * row.accuracy:4.1f}%  {row.ece:.3f}"
        )
    return "\n".join(lines) + "\n"
