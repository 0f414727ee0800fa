"""The page of a trained policy: gains with their doubt, curves with gaps, nothing from outside."""

import math

import numpy as np
import pytest

from penchant.evaluation.align_page import AlignPage, gain_words, render_align
from penchant.evaluation.line_charts import RIGHT, Line, lines_picture
from penchant.evaluation.policy_trial import overall, scores


def page(**others):
    before, after = np.array([0.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0, 1.0])
    given = {
        "title": "A policy", "subtitle": "Made.", "lead": ("Better.",), "unit": "reward",
        "over": "steps", "steps": {"reward": [0.1, 0.2], "divergence": [math.nan, math.nan]},
        "at": [1.0, 2.0], "scores": scores(before, after, ["1", "1", "2", "2"], "difficulty"),
        "whole": overall(before, after), "facts": (("seed", "0"),),
        "samples": (("1+1=", "<3>", "2"),),
    }  # fmt: skip
    return AlignPage(**{**given, **others})


def test_gains_are_of_the_same_problems_and_what_is_missing_is_left_out():
    before = np.array([0.0, 1.0, np.nan, 0.0, 1.0])
    after = np.array([1.0, 1.0, 1.0, 1.0, np.nan])
    whole = overall(before, after)
    assert whole.num == 3
    assert whole.gain == pytest.approx(2 / 3)
    assert (whole.before, whole.after) == (pytest.approx(1 / 3), 1.0)
    assert whole.gain_low < whole.gain < whole.gain_high
    told = scores(before, after, list("abaab"), "kind", most=1)
    assert [(one.label, one.num, one.gain) for one in told] == [("a", 2, 1.0)]


def test_the_first_sentence_says_better_worse_or_neither():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0, 0.1, 50), rng.normal(1, 0.1, 50)
    assert gain_words(overall(low, high), "reward").startswith("Better")
    assert gain_words(overall(high, low), "reward").startswith("Worse")
    same = gain_words(overall(low, rng.permutation(low)), "reward")
    assert "cannot be told apart" in same


def test_a_page_shows_the_curves_that_there_are_and_escapes_what_policies_say():
    html = render_align(page())
    assert "Reward" in html
    assert "Divergence from the start" not in html
    assert "&lt;3&gt;" in html
    assert "difficulty 2" in html
    assert "What to keep in mind" not in html
    assert "<script" not in html
    told = render_align(page(warnings=("Mind the gap.",), scores=(), whole=None))
    assert "Mind the gap." in told
    assert "What it gained" not in told


def test_a_line_has_a_gap_where_a_value_is_missing():
    line = Line(name="a & b", x=[1, 2, 3, 4, 5], y=[1.0, 2.0, math.nan, 4.0, 5.0])
    drawn = lines_picture([line], unit="u", over="steps", title="t")
    assert drawn.count("<polyline") == 2
    assert "NaN" not in drawn
    both = lines_picture(
        [line, Line(name="c", x=[1, 2], y=[3.0, 4.0])], unit="u", over="s", title="t"
    )
    assert "a &amp; b</text>" in both


def test_a_value_alone_is_a_dot_where_it_lies():
    one = Line(name="only", x=[1], y=[2.0])
    drawn = lines_picture([one], unit="u", over="steps", title="t")
    assert drawn.count("<circle") == 1
    assert f'cx="{RIGHT:.1f}"' in drawn
    assert "<polyline" not in drawn
    apart = Line(name="apart", x=[1, 2, 3, 4], y=[1.0, math.nan, 3.0, 4.0])
    drawn = lines_picture([apart], unit="u", over="steps", title="t")
    assert (drawn.count("<circle"), drawn.count("<polyline")) == (1, 1)


def test_what_is_all_alike_has_no_interval_and_says_how_many_it_is_of():
    whole = overall(np.full(5, 0.5), np.ones(5))
    assert math.isnan(whole.gain_low)
    assert math.isnan(whole.after_high)
    told = gain_words(whole, "share")
    assert "each of the 5" in told
    # Five alike have a chance of one in twenty where 45 % are otherwise.
    assert "up to 45% of others" in told
    assert math.isclose(0.55**5, 0.05, abs_tol=0.001)
    assert "Nothing was left" in gain_words(overall(np.zeros(0), np.zeros(0)), "share")


def test_nothing_that_was_trained_on_is_called_new():
    rng = np.random.default_rng(0)
    whole = overall(rng.normal(0, 0.1, 9), rng.normal(1, 0.1, 9))
    assert "on what it was trained on" in gain_words(whole, "reward", is_new=False)
    assert "On what it was trained on" in render_align(page(is_new=False))
    assert "On what it was not trained on" in render_align(page())


def test_answers_of_one_prompt_are_one_witness():
    rng = np.random.default_rng(0)
    each = rng.normal(size=12)
    prompt = np.arange(12)
    once = overall(np.zeros(12), each)
    thrice = overall(np.zeros(36), np.tile(each, 3), np.tile(prompt, 3))
    assert (thrice.gain_low, thrice.gain_high) == pytest.approx((once.gain_low, once.gain_high))
    told = scores(np.zeros(36), np.tile(each, 3), ["a"] * 36, cluster=np.tile(prompt, 3))
    assert told[0].gain_high == pytest.approx(once.gain_high)


def test_what_counts_twice_is_as_if_it_stood_there_twice():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=(2, 8))
    before[2] = np.nan
    often, prompt = np.array([1, 2, 3, 1, 2, 1, 1, 3]), np.arange(8) // 2
    context = np.array(["a", "b"] * 4)
    one = overall(before, after, prompt, often.astype(float))
    each = [values.repeat(often) for values in (before, after, prompt, context)]
    other = overall(*each[:3])
    found = scores(before, after, context.tolist(), cluster=prompt, weight=often.astype(float))
    wanted = scores(*each[:2], each[3].tolist(), cluster=each[2])
    for said, meant in ((one, other), *zip(found, wanted, strict=True)):
        for name in ("before", "after_low", "gain", "gain_high"):
            assert getattr(said, name) == pytest.approx(getattr(meant, name))
