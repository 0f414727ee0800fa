"""The language of formulas: what it reads, what it refuses, and where its errors point."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penchant.encoders.formula import (
    Arithmetic,
    Call,
    Category,
    Column,
    Formula,
    Indicator,
    Number,
    Term,
    Threshold,
    closest,
    columns_of,
)
from penchant.encoders.formula_parser import parse
from penchant.errors import ConfigError

NAMES = ["time", "cost", "travel time", "x.1", "größe", "C", "when", "log", "in"]


def node(kind, *parts):
    """What a node is built from; the shape checks use random numbers, which draws must not."""
    return st.tuples(st.just(kind), *parts)


def build(drawn):
    if isinstance(drawn, list):
        return tuple(map(build, drawn))
    if isinstance(drawn, tuple):
        return drawn[0](*map(build, drawn[1:]))
    return drawn


columns = node(Column, st.sampled_from(NAMES))
levels = st.text(min_size=1, max_size=6).filter(lambda text: text.strip() == text)
numbers = node(Number, st.floats(0, 1e9, allow_nan=False))
indicators = node(Indicator, columns, st.lists(levels, min_size=1, max_size=3)) | node(
    Threshold, columns, st.sampled_from(["<", "<=", ">", ">="]), st.floats(-1e6, 1e6)
)
functions = st.sampled_from(["log", "sqrt", "scale", "menu_min", "others", "I"])
expressions = st.recursive(
    columns | numbers | indicators,
    lambda inner: (
        node(Arithmetic, st.sampled_from("+-*/^"), inner, inner)
        | node(Call, functions, st.tuples(inner).map(list))
        | node(Call, st.just("fill"), st.tuples(inner, inner).map(list))
    ),
    max_leaves=6,
)
factors = (
    columns
    | indicators
    | node(Call, functions, st.tuples(expressions).map(list))
    | node(Arithmetic, st.just("/"), columns, numbers)
    | node(Category, columns, st.none() | levels)
)
terms = st.lists(factors, min_size=1, max_size=3, unique_by=repr)


@given(st.lists(terms, max_size=4, unique_by=lambda factors: frozenset(map(repr, factors))))
def test_what_a_formula_prints_it_reads_back(drawn):
    formula = Formula(tuple(Term(build(factors)) for factors in drawn))
    assert parse(str(formula)) == formula


def test_a_formula_reads_as_a_person_means_it():
    formula = parse("time + cost/100:C(purpose, reference=leisure) + option[train]:log(age + 1)")
    assert formula.terms == (
        Term((Column("time"),)),
        Term(
            (
                Arithmetic("/", Column("cost"), Number(100.0)),
                Category(Column("purpose"), "leisure"),
            )
        ),
        Term(
            (
                Indicator(Column("option"), ("train",)),
                Call("log", (Arithmetic("+", Column("age"), Number(1.0)),)),
            )
        ),
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("(a + b):c", "a:c + b:c"),
        ("(a + b):(c + d)", "a:c + a:d + b:c + b:d"),
        ("a + b:a + a:b + a", "a + b:a"),
        ("when(a == b)", "a[b]"),
        ("x['it''s']", 'x["it\'s"]'),
        ("I(a - b - c)", "I((a - b) - c)"),
        ("I(a - b * c ** 2)", "I(a - (b * (c ^ 2)))"),
        ("log(-x)", "log(-1*x)"),
        ("  a\n + b ", "a+b"),
    ],
)
def test_two_ways_of_saying_the_same(written, meant):
    assert parse(written) == parse(meant)


def test_arithmetic_groups_from_the_left():
    assert parse("I(a - (b - c))") != parse("I(a - b - c)")
    assert str(parse("I(a - (b - c))")) == "I(a-(b-c))"


def test_an_empty_formula_has_no_terms():
    assert parse(" \n").terms == ()


def test_columns_come_out_from_left_to_right():
    (term,) = parse("fill(log(a/b), c[x] + d)").terms
    assert [column.name for column in columns_of(term.factors[0])] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("time + +", 7, "expected a column"),
        ("a*b", 1, "a:b for their product"),
        ("a + 1", 4, "a constant"),
        ("a - b", 2, "leave the term out"),
        ("a + lgo(b)", 4, "Did you mean 'log'?"),
        ("a b", 2, "backticks"),
        ("a + x:x", 6, "I(x^2)"),
        ("C(x, ref=3)", 5, "reference"),
        ("(a + b)/2", 7, "I(...)"),
        ("log(C(x))", 8, "several columns"),
        ("when(a in b)", 10, "expected '['"),
        ("when(a > b)", 7, "compares with a number"),
        ("when(a)", 6, "expected `in [levels]`"),
        ("a[b, c]", 7, "takes one level"),
        ("a[b", 3, "its end"),
        ("log(x", 5, "')'"),
        ("log(x, y)", 0, "2 arguments; expected 1"),
        ("a + `b", 4, "no end"),
        ("time\n + cst(x)", 8, "no function 'cst'"),
    ],
)
def test_an_error_points_at_the_place(text, place, says):
    with pytest.raises(ConfigError) as error:
        parse(text)
    message, line, caret = str(error.value).rsplit("\n", 2)
    assert says in message
    line_start = text.rfind("\n", 0, place) + 1
    assert line == "  " + text[line_start:].split("\n")[0]
    assert caret == " " * (2 + place - line_start) + "^"


def test_the_nearest_names_are_offered_whatever_their_case():
    assert closest("Trvel_time", ["cost", "travel_time"]) == "Did you mean 'travel_time'?"
    assert closest("zzz", ["cost", "time"]) == "There are: 'cost', 'time'."
    assert closest("zzz", []) == "There are none."
