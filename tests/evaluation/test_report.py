"""The report: complete in itself, says what the numbers say, leaves out what is not there."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from penchant.errors import ConfigError
from penchant.evaluation import report_charts, report_words
from penchant.evaluation.report import (
    Calibration,
    CalibrationBin,
    Coefficient,
    CoefficientTable,
    Difference,
    Estimate,
    FewShotCurve,
    FewShotPoint,
    Ladder,
    LadderRow,
    ReportData,
    ShareChange,
    Source,
    TasteDistribution,
    WhatIf,
    WillingnessToPay,
    WorstSubgroups,
    ladder_rows,
    render_report,
    write_report,
)


def row(model: str, split: str, nll: float) -> LadderRow:
    return LadderRow(
        model=model, split=split, nll=nll, nll_low=nll - 0.02, nll_high=nll + 0.02,
        accuracy=0.7, ece=0.02, people=976, choices=8784,
    )  # fmt: skip


def estimate(label: str, value: float, half: float = 1.0, group: str = "") -> Estimate:
    return Estimate(label=label, value=value, low=value - half, high=value + half, group=group)


LADDER = Ladder(
    title="How well each model foresees",
    rows=(
        row("market shares", "new_people", 0.87),
        row("personal tastes", "new_people", 0.65),
        row("personal tastes", "known_people", 0.47),
        row("gradient-boosted trees", "new_people", 0.675),
        row("gradient-boosted trees", "known_people", 0.505),
    ),
)
WORTH = WillingnessToPay(
    attribute="travel time",
    unit="CHF per hour",
    estimates=(
        estimate("all travellers", 71.0),
        estimate("business", 104.0, group="purpose"),
        estimate("leisure", 48.0, group="purpose"),
    ),
)
TASTE = TasteDistribution(
    name="an hour",
    unit="CHF",
    personal=tuple(float(x) for x in range(1, 101)),
    curve=tuple((float(x), 0.01) for x in range(0, 101, 5)),
)
KINDS = replace(TASTE, personal=(), curve=(), kinds=((1.04, 0.24), (-0.2, 0.76)))
WHAT_IF = WhatIf(
    question="What if Swissmetro cost 20 % more?",
    shares=(
        ShareChange(option="Train", before=0.13, before_low=0.12, before_high=0.14,
                    after=0.15, after_low=0.14, after_high=0.16),
        ShareChange(option="Swissmetro", before=0.6, before_low=0.58, before_high=0.62,
                    after=0.55, after_low=0.53, after_high=0.57),
    ),
    effects=(estimate("business", -9.8, group="purpose"), estimate("pass", 0.3, group="pass")),
    effects_unit="CHF per trip",
)  # fmt: skip
FULL = ReportData(
    title="How people choose",
    lead=("An hour is worth 71 francs.",),
    ladders=(LADDER,),
    willingness_to_pay=(WORTH,),
    tastes=(TASTE,),
    what_ifs=(WHAT_IF,),
    calibration=Calibration(
        model="personal tastes",
        ece=0.014,
        bins=(CalibrationBin(predicted=0.3, observed=0.31, low=0.28, high=0.34, count=100),),
    ),
    few_shot=FewShotCurve(
        model="personal tastes",
        points=tuple(
            FewShotPoint(answers=k, nll=0.65 - 0.03 * k, low=0.63 - 0.03 * k, high=0.67 - 0.03 * k)
            for k in range(7)
        ),
        baselines=(("one taste for all", 0.7),),
    ),
    worst_subgroups=WorstSubgroups(
        model="personal tastes", overall=0.65, groups=(estimate("shopping", 0.81, 0.1, "purpose"),)
    ),
    tables=(
        CoefficientTable(
            model="one taste for all",
            coefficients=(
                Coefficient(name="time", estimate=-0.0128, se=0.0006, robust_se=0.0008,
                            low=-0.0143, high=-0.0113),
            ),
            facts=(("rows", "8,784"),),
        ),
    ),
    warnings=("People say what they would do.",),
    sources=(Source(name="Swissmetro", citation="Bierlaire et al. (2001)", licence="research"),),
    facts=(("seed", "0"),),
)  # fmt: skip


class Outline(HTMLParser):
    """What a browser would have to load, what tags stay open, and the visible text."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title"):
            self.text.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_the_page_is_well_formed_and_loads_nothing():
    page = render_report(FULL)
    parsed = outline(page)
    assert parsed.loaded == []
    assert "script" not in parsed.tags
    assert "@import" not in page
    assert "url(" not in page


def test_every_part_that_is_given_is_shown():
    headings = re.findall(r"<h2>(.*?)</h2>", render_report(FULL))
    assert len(headings) == 9


def test_a_page_of_a_title_alone_has_no_section():
    page = render_report(ReportData(title="Nothing yet"))
    assert "<section>" not in page
    assert "Nothing yet" in page


@pytest.mark.parametrize(
    "part",
    ["ladders", "willingness_to_pay", "tastes", "what_ifs", "worst_subgroups", "tables",
     "warnings", "sources"],
)  # fmt: skip
def test_a_missing_part_leaves_the_page_whole(part):
    empty = None if part == "worst_subgroups" else ()
    outline(render_report(replace(FULL, **{part: empty})))


def test_what_people_wrote_cannot_become_markup():
    evil = replace(FULL, title="<script>alert(1)</script>", warnings=("a < b & c",))
    page = render_report(evil)
    assert "<script>" not in page
    assert "a &lt; b &amp; c" in page


def test_numbers_of_the_ladder_stand_in_the_page_and_in_its_rows():
    text = " ".join(outline(render_report(FULL)).text)
    for nll in ("0.870", "0.650", "0.470", "0.675", "0.505"):
        assert nll in text
    assert set(ladder_rows([LADDER])[0]) == {
        "model", "split", "nll", "nll_low", "nll_high", "accuracy", "ece", "people", "choices"
    }  # fmt: skip


def test_the_reference_stands_last_and_is_not_called_best():
    lines = report_charts.ladder_lines(LADDER)
    assert lines[-1].is_reference
    best = [line.model for line in lines if line.is_best.get("new_people")]
    assert best == ["personal tastes"]


def test_a_better_reference_is_told_in_the_sentence():
    words = report_words.ladder_takeaways(LADDER)[0]
    assert "“personal tastes” gives what was really chosen a chance of 52.2\u202f%" in words
    assert "gradient-boosted trees 50.9\u202f%" in words


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((-0.04, -0.01), "it errs 0.025 nats less than the trees (0.010 to 0.040)"),
        ((0.01, 0.04), "it errs 0.025 nats more than the trees (0.010 to 0.040)"),
        ((-0.01, 0.02), "it ties with the trees (difference +0.005 nats, −0.010 to 0.020)"),
    ],
)  # fmt: skip
def test_the_sentence_says_who_errs_less_and_whether_it_could_be_chance(ends, told):
    gap = Difference(model="personal tastes", split="known_people", value=sum(ends) / 2,
                     low=ends[0], high=ends[1])  # fmt: skip
    ladder = replace(LADDER, differences=(gap,))
    of_new_people, of_known_people = report_words.ladder_takeaways(ladder)
    assert told in of_known_people
    assert "same choices" not in of_new_people
    page = render_report(replace(FULL, ladders=(ladder,)))
    assert report_words.difference_of(ladder, "personal tastes", "known_people")[1] in page


def test_a_rung_says_what_it_gains_over_the_one_before():
    told = report_words.rung_change(LADDER, "personal tastes")
    # There is no rung below it on known people: nothing to compare with.
    assert told == "−0.220 on new people"
    assert report_words.rung_change(LADDER, "market shares") == ""
    assert report_words.rung_change(LADDER, "gradient-boosted trees") == ""
    page = render_report(
        replace(FULL, ladders=(replace(LADDER, rungs=(("personal tastes", "Own tastes."),)),))
    )
    assert "What each rung adds" in page
    assert "Own tastes." in page
    assert told in page


def test_the_headline_names_the_best_on_each_split_and_the_black_box():
    assert report_words.ladder_headline(LADDER) == (
        "What people really chose was given a chance of 52.2\u202f% before anything of theirs was "
        "known and of 62.5\u202f% once their first choices were (gradient-boosted trees: "
        "50.9\u202f% and 60.4\u202f%)."
    )


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"report\.html"):
        write_report(FULL, tmp_path)
    written = write_report(FULL, tmp_path / "deep" / "page.html")
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_pictures_have_words_for_those_who_cannot_see_them():
    page = render_report(FULL)
    assert page.count('role="img"') == page.count('role="img" aria-label="')
    assert 'aria-label="business: 104 CHF per hour (103 to 105)"' in page


def test_one_hopeless_interval_does_not_squeeze_the_others():
    tight = [estimate(str(i), float(i), 0.5) for i in range(5)]
    wild = Estimate(label="unidentified", value=2.0, low=-1e6, high=1e6)
    axis = report_charts.interval_scale([*tight, wild])
    assert axis.high - axis.low < 20
    assert axis.percent(1e6) == 100.0
    assert axis.percent(-1e6) == 0.0


def test_estimates_without_an_interval_are_still_drawn():
    odd = Estimate(label="unknown", value=math.nan, low=math.nan, high=math.nan)
    worth = replace(WORTH, estimates=(*WORTH.estimates, odd))
    page = render_report(replace(FULL, willingness_to_pay=(worth,)))
    assert "nan" not in page.lower().replace("finance", "")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.61, 0.88), (-3e5, 12), (1e-9, 2e-9)])
def test_ticks_are_round_and_inside(low, high):
    axis = report_charts.scale([low, high])
    assert 2 <= len(axis.ticks) <= 9
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    steps = {round((b - a) / (axis.high - axis.low), 6) for a, b in zip(axis.ticks, axis.ticks[1:])}
    assert len(steps) == 1


def test_an_axis_of_one_value_still_has_a_width():
    assert report_charts.scale([3.0, 3.0]).high > 3.0
    assert report_charts.scale([]).high == pytest.approx(1.04)


def test_histogram_bars_and_curve_share_one_area():
    plot = report_charts.histogram(TASTE)
    # 100 people spread evenly over 1..100 and a flat curve of density 0.01 are the same height.
    heights = [height for _, _, height in plot.bars]
    y = [float(part.split(",")[1].split()[0]) for part in re.split("[ML]", plot.curve)[1:]]
    assert sum(heights) / len(heights) == pytest.approx(100 - sum(y) / len(y), rel=0.1)
    assert plot.median == pytest.approx(50.5)


def test_a_few_kinds_of_people_are_all_drawn_where_they_are_and_as_high_as_their_share():
    plot = report_charts.histogram(KINDS)
    middles = [left + width / 2 for left, width, _ in plot.bars]
    assert middles == pytest.approx([plot.axis.percent(1.04), plot.axis.percent(-0.2)])
    assert plot.bars[0][2] / plot.bars[1][2] == pytest.approx(0.24 / 0.76, abs=1e-3)
    said = report_words.taste_takeaway(KINDS).replace("\u202f", " ")
    assert said == "76 % of people would pay −0.20 CHF, 24 % 1.04."
    page = render_report(replace(FULL, tastes=(KINDS,)))
    assert "kinds of people, each as high" in page
    assert "half are above" not in page
    # One kind alone is a sentence: a picture of it would show nothing.
    one = render_report(
        replace(FULL, tastes=(replace(KINDS, kinds=((1.04, 0.76),), note="x y z"),))
    )
    assert "kinds of people, each as high" not in one
    assert "x y z" in one


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-0.0004, 3, "0.000"), (-1.5, 1, "−1.5"), (1234.5, 0, "1,234"), (math.nan, 2, "–"),
     (-math.inf, 1, "−∞"), (3e-9, 3, "3.00e−09")],
)  # fmt: skip
def test_numbers_read_well(value, digits, text):
    assert report_words.number(value, digits) == text


def test_differences_carry_their_sign():
    assert [report_words.signed(x) for x in (1.26, -1.26, 0.0)] == ["+1.3", "−1.3", "0.0"]


def test_a_change_that_hurts_nobody_says_so():
    kind = replace(WHAT_IF, effects=(estimate("all", 2.0),))
    assert report_words.effects_takeaway(kind) == "No group loses by it on average."
    assert "1 of 2 groups lose" in report_words.effects_takeaway(WHAT_IF)


def test_overlapping_worths_are_not_told_as_a_difference():
    close = replace(WORTH, estimates=(estimate("a", 10.0, 5.0, "g"), estimate("b", 12.0, 5.0, "g")))
    assert "overlap" in report_words.worth_takeaway(close)
    assert "overlap" not in report_words.worth_takeaway(WORTH)


def test_answers_that_teach_nothing_are_said_to_teach_nothing():
    flat = FewShotCurve(
        model="pooled",
        points=tuple(FewShotPoint(answers=k, nll=0.7, low=0.6, high=0.8) for k in range(3)),
    )
    assert "do not help" in report_words.few_shot_takeaway(flat)
    assert "raise the chance" in report_words.few_shot_takeaway(FULL.few_shot)


@pytest.mark.parametrize(
    ("losses", "told", "never"),
    [
        ((0.7, 0.75, 0.6), "the first 1 alone do not help", "%."),
        ((0.7, 0.5, 0.6), "more than the first 1 bring no more", "bring 2"),
        ((0.7, 0.65, 0.6), "the first 1 bring 50", "do not help"),
        ((0.7, 0.6), "raise the chance", "bring"),
    ],
)
def test_what_first_answers_bring_is_a_share_only_where_it_is_one(losses, told, never):
    points = [FewShotPoint(answers=k, nll=x, low=x, high=x) for k, x in enumerate(losses)]
    said = report_words.few_shot_takeaway(FewShotCurve(model="m", points=tuple(points)))
    assert told in said
    assert never not in said


def test_a_long_table_is_folded_and_whole():
    table = FULL.tables[0]
    many = tuple(replace(table.coefficients[0], name=f"term {i}") for i in range(60))
    page = render_report(replace(FULL, tables=(replace(table, coefficients=many),)))
    outline(page)
    assert "All 60 coefficients" in page
    assert "term 59" in page
    assert "<details>" not in render_report(FULL)
