"""Which words are grades, and in which order."""

import pyarrow as pa
import pytest

from penchant.data.guess import guess
from penchant.data.guess_grades import grade_scale

SIGNS = ("B>>A", "B>A", "A=B", "A>B", "A>>B")


@pytest.mark.parametrize(
    "scale",
    [
        SIGNS,
        ("[[B>>A]]", "[[B>A]]", "[[A=B]]", "[[A>B]]", "[[A>>B]]"),
        ("B is much better", "B is slightly better", "Tie", "A is slightly better",
         "A is much better"),
        ("much worse", "slightly worse", "about the same", "slightly better", "much better"),
        ("right is better", "right is a bit better", "left is a bit better", "left is better"),
        ("second clearly better", "second somewhat better", "first somewhat better",
         "first clearly better"),
        ("A is much worse", "A is slightly worse", "A is slightly better", "A is much better"),
        ("much worse than right", "a bit worse than right", "a bit better than right",
         "much better than right"),
        ("B is much better than A", "B is slightly better than A", "A is slightly better than B",
         "A is much better than B"),
    ],
)  # fmt: skip
def test_scales_are_put_in_order(scale):
    assert grade_scale(set(scale)) == scale


def test_a_grade_that_nobody_gave_keeps_its_place():
    assert grade_scale({"A>>B", "A>B", "B>A"}) == ("the opposite of A>>B", "B>A", "A>B", "A>>B")


@pytest.mark.parametrize(
    "words",
    [
        {"model_a", "model_b", "tie"},
        {"A", "B", "tie"},
        {"left", "right"},
        {"gpt", "much better"},
        {"A>B", "B>A", "A=B"},
        {"slightly better", "somewhat better", "much better"},
        {"better than left", "much better than left"},
        {"A is far less good", "A is slightly less good"},
        {"A is not much better", "A isn't clearly better", "B is better"},
        set(),
    ],
)
def test_sides_alone_and_other_words_are_no_grades(words):
    assert grade_scale(words) == ()


@pytest.mark.parametrize("names", [("model_a", "model_b", "winner"), ("left", "right", "verdict")])
def test_tables_of_graded_votes_are_recognised(names):
    left, right, answer = names
    table = pa.table({
        left: ["x", "y", "z", "x", "y"], right: ["y", "z", "x", "z", "x"], answer: list(SIGNS),
        "judge": ["ann", "bob", "ann", "bob", "ann"],
    })  # fmt: skip
    said = guess(table).description
    assert (said.kind, said.answer, said.levels) == ("graded", answer, SIGNS)
    assert said.option_columns == (left, right)
