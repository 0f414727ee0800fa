"""The report in plain words: one sentence for each picture, from the same numbers."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from penchant.evaluation.report import (
    KNOWN_PEOPLE,
    NEW_PEOPLE,
    Calibration,
    FewShotCurve,
    Ladder,
    LadderRow,
    TasteDistribution,
    WhatIf,
    WillingnessToPay,
    WorstSubgroups,
)

if TYPE_CHECKING:
    from markupsafe import Markup

SPLITS = {
    NEW_PEOPLE: ("New", "never seen before"),
    KNOWN_PEOPLE: ("Known", "their first choices are known"),
}

OPENINGS = {
    NEW_PEOPLE: "For {people} never seen before",
    KNOWN_PEOPLE: "For {people} whose first choices are known",
}

HEADLINES = {
    NEW_PEOPLE: "before anything of theirs was known",
    KNOWN_PEOPLE: "once their first choices were",
}


def number(value: float | None, digits: int = 3) -> str:
    """A number with a true minus sign; an en dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value and (abs(value) >= 1e6 or abs(value) < 10.0 ** -(digits + 2)):
        return f"{value:.2e}".replace("-", "−")
    text = f"{value:,.{digits}f}"
    # A rounded zero has no sign.
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def signed(value: float, digits: int = 1) -> str:
    """A difference: always with its sign."""
    text = number(value, digits)
    return text if text.startswith("−") or not text.strip("0.,–") else f"+{text}"


def emphasised(text: str) -> "Markup":
    """A sentence of warning on a page: what stands between backticks is a name, set in bold."""
    from markupsafe import Markup, escape

    return Markup("").join(
        Markup("<strong>{}</strong>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(text.split("`"))
    )


def percent(value: float, digits: int = 0) -> str:
    # A thin space that does not break keeps the sign with its number.
    return f"{number(100.0 * value, digits)}\u202f%"


def between(low: float, high: float, show: Callable[[float, int], str], digits: int) -> str:
    """An interval in brackets after a figure; nothing where there is none, as over one person."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f" ({show(low, digits)} to {show(high, digits)})"


def money_digits(values: list[float]) -> int:
    """Decimals that keep about three figures of the typical value."""
    finite = [abs(value) for value in values if math.isfinite(value) and value]
    if not finite:
        return 1
    return int(min(max(1 - math.floor(math.log10(float(np.median(finite)))), 0), 4))


def likely(nll: float, digits: int = 0) -> str:
    """Nats per choice as the probability a typical choice was given (geometric mean)."""
    return percent(math.exp(-nll), digits)


def ladder_takeaways(ladder: Ladder) -> list[str]:
    """For each split, which readable model comes first and how it stands to the others."""
    parts = []
    for split in (NEW_PEOPLE, KNOWN_PEOPLE):
        rows = [row for row in ladder.rows if row.split == split]
        readable = [row for row in rows if row.model != ladder.reference]
        if readable:
            best = min(readable, key=lambda row: row.nll)
            opening = OPENINGS[split].format(people=ladder.unit_of_people)
            parts.append(
                f"{opening}, “{best.model}” gives what was really chosen a chance of "
                f"{likely(best.nll, 1)}{_compared(best, rows, ladder.reference)}"
                f"{_paired(best, ladder)}."
            )
    return parts


def split_name(ladder: Ladder, split: str) -> str:
    """New or known people, or whatever they are."""
    return f"{SPLITS[split][0]} {ladder.unit_of_people}"


def ladder_headline(ladder: Ladder) -> str:
    """The ladder in one sentence: the best readable models beside the reference."""
    parts, black_box = [], []
    for split, when in HEADLINES.items():
        rows = [row for row in ladder.rows if row.split == split]
        readable = [row.nll for row in rows if row.model != ladder.reference]
        if readable:
            parts.append(f"{likely(min(readable), 1)} {when}")
        black_box += [likely(row.nll, 1) for row in rows if row.model == ladder.reference]
    if not parts:
        return ""
    beside = f" ({ladder.reference}: {' and '.join(black_box)})" if black_box else ""
    return f"What people really chose was given a chance of {' and of '.join(parts)}{beside}."


def _paired(best: LadderRow, ladder: Ladder) -> str:
    """How the best readable model stands to the reference on the same choices."""
    gaps = [d for d in ladder.differences if (d.model, d.split) == (best.model, best.split)]
    if not gaps or not math.isfinite(gaps[0].low + gaps[0].high):
        return ""
    gap = gaps[0]
    if gap.low <= 0 <= gap.high:
        return (
            f"; on the very same choices it ties with the {short_name(ladder.reference)} "
            f"(difference {signed(gap.value, 3)} nats, {number(gap.low)} to {number(gap.high)})"
        )
    word, sign = ("less", -1) if gap.value < 0 else ("more", 1)
    ends = sorted((sign * gap.low, sign * gap.high))
    return (
        f"; on the very same choices it errs {number(abs(gap.value))} nats {word} than the "
        f"{short_name(ladder.reference)} ({number(ends[0])} to {number(ends[1])})"
    )


def short_name(model: str) -> str:
    """The last word of a name, once the whole has been said: "gradient-boosted trees", trees."""
    return model.split(" ")[-1]


def difference_of(ladder: Ladder, model: str, split: str) -> tuple[str, str]:
    """A model's paired difference from the reference and its interval; empty where unknown."""
    for gap in ladder.differences:
        if (gap.model, gap.split) == (model, split):
            return signed(gap.value, 3), f"{number(gap.low)} to {number(gap.high)}"
    return "", ""


def rung_change(ladder: Ladder, model: str) -> str:
    """What a rung gains over the one before it, on each split; empty for the first."""
    names = list(dict.fromkeys(row.model for row in ladder.rows if row.model != ladder.reference))
    if model not in names[1:]:
        return ""
    before = names[names.index(model) - 1]
    nll = {(row.model, row.split): row.nll for row in ladder.rows}
    told = [
        f"{signed(nll[model, split] - nll[before, split], 3)} on "
        f"{split_name(ladder, split).lower()}"
        for split in SPLITS
        if (model, split) in nll and (before, split) in nll
    ]
    return ", ".join(told)


def _compared(best: LadderRow, rows: list[LadderRow], reference: str) -> str:
    named = [(row.model, row.nll) for row in rows if row.model == reference]
    if rows[0].model not in (best.model, reference):
        named.insert(0, (f"“{rows[0].model}”", rows[0].nll))
    told = [f"{name} {likely(nll, 1)}" for name, nll in named]
    return f" ({', '.join(told)})" if told else ""


def worth_takeaway(worth: WillingnessToPay) -> str:
    """Who pays most and who least, left unsaid where their intervals overlap."""
    finite = [e for e in worth.estimates if math.isfinite(e.value)]
    if not finite:
        return f"The data do not say what {worth.attribute} is worth."
    digits = money_digits([e.value for e in finite])
    overall = next((e for e in finite if not e.group), None)
    opening = (
        f"{_capital(overall.label)} would pay {number(overall.value, digits)} {worth.unit} "
        f"for {worth.attribute} ({number(overall.low, digits)} to {number(overall.high, digits)})"
        if overall
        else ""
    )
    contexts = [e for e in finite if e.group]
    if len(contexts) < 2:
        return f"{opening}." if opening else f"What {worth.attribute} is worth, in {worth.unit}."
    most = max(contexts, key=lambda e: e.value)
    least = min(contexts, key=lambda e: e.value)
    between = (
        f"the most in “{_name(most)}” ({number(most.value, digits)}), "
        f"the least in “{_name(least)}” ({number(least.value, digits)})"
    )
    sure = "" if most.low > least.high else ", though their intervals overlap"
    return f"{opening}; {between}{sure}." if opening else f"{_capital(between)}{sure}."


def _name(estimate: object) -> str:
    group, label = getattr(estimate, "group", ""), getattr(estimate, "label", "")
    return f"{group}: {label}" if group else label


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def taste_takeaway(taste: TasteDistribution) -> str:
    if taste.kinds:
        digits = money_digits([value for value, _ in taste.kinds])
        said = [
            (percent(share), number(value, digits))
            for value, share in sorted(taste.kinds, key=lambda kind: -kind[1])
        ]
        (share, value), rest = said[0], "".join(f", {who} {what}" for who, what in said[1:])
        return f"{share} of people would pay {value} {taste.unit}{rest}."
    values = np.asarray(taste.personal, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return "Nothing is known of single people here."
    quarter, median, three_quarters = np.quantile(values, [0.25, 0.5, 0.75])
    digits = money_digits([median])
    return (
        f"Half of all people lie between {number(quarter, digits)} and "
        f"{number(three_quarters, digits)} {taste.unit}; the middle one is at "
        f"{number(median, digits)}."
    )


def what_if_takeaway(what_if: WhatIf) -> str:
    moved = max(what_if.shares, key=lambda s: abs(s.after - s.before), default=None)
    if moved is None:
        return ""
    change = 100.0 * (moved.after - moved.before)
    verb = "gains" if change > 0 else "loses"
    return (
        f"{moved.option} {verb} most: from {percent(moved.before, 1)} to "
        f"{percent(moved.after, 1)} of choices ({signed(change)} points)."
    )


def effects_takeaway(what_if: WhatIf) -> str:
    hurt = [e for e in what_if.effects if e.value < 0]
    if not what_if.effects:
        return ""
    if not hurt:
        return "No group loses by it on average."
    most = min(hurt, key=lambda e: e.value)
    digits = money_digits([e.value for e in what_if.effects])
    sure = "" if most.high < 0 else ", an interval that still holds zero"
    scope = "Every group shown loses" if len(hurt) == len(what_if.effects) else (
        f"{len(hurt)} of {len(what_if.effects)} groups lose"
    )  # fmt: skip
    return (
        f"{scope}; the hardest hit is “{_name(most)}” with {number(most.value, digits)} "
        f"{what_if.effects_unit} ({number(most.low, digits)} to {number(most.high, digits)}{sure})."
    )


def calibration_takeaway(calibration: Calibration) -> str:
    verdict = "close to" if calibration.ece < 0.02 else "within sight of"
    if calibration.ece >= 0.05:
        verdict = "away from"
    return (
        "What is said to be 30\u202f% likely should happen three times in ten; the dots lie "
        f"{verdict} that line, {percent(calibration.ece, 1)} off on average."
    )


def few_shot_takeaway(curve: FewShotCurve) -> str:
    points = sorted(curve.points, key=lambda point: point.answers)
    if len(points) < 2:
        return ""
    first, last, middle = points[0], points[-1], points[len(points) // 2]
    gain = first.nll - last.nll
    if gain <= 0:
        return f"{last.answers} answers of a new person do not help to foresee their next ones."
    raised = (
        f"{last.answers} answers of a new person raise the chance given to their next choices from "
        f"{likely(first.nll)} to {likely(last.nll)}"
    )
    # The share of the whole gain that the first half of the answers brings.
    early = (first.nll - middle.nll) / gain
    if middle is last:
        return f"{raised}."
    if early <= 0:
        return f"{raised}; the first {middle.answers} alone do not help."
    if early > 1:
        return f"{raised}; more than the first {middle.answers} bring no more."
    return f"{raised}; the first {middle.answers} bring {percent(early)} of what all of them bring."


def subgroups_takeaway(worst: WorstSubgroups) -> str:
    if not worst.groups:
        return ""
    first = max(worst.groups, key=lambda e: e.value)
    sure = first.low > worst.overall
    return (
        f"“{_name(first)}” is understood least: {likely(first.value)} where everybody gets "
        f"{likely(worst.overall)}{'' if sure else ', a difference that could be chance'}."
    )
