"""The small parts of the command line: changes, random coefficients, defaults, exit codes."""

import math

import numpy as np
import pytest
import typer

from penchant.cli import shell
from penchant.cli.default_formula import default_formula
from penchant.cli.estimators import (
    ModelOptions,
    build_estimator,
    check_options,
    parse_random,
)
from penchant.cli.what_if import parse_change
from penchant.data.records import Records
from penchant.errors import BeliefError, ConfigError, DataError, MissingExtraError


@pytest.mark.parametrize(
    ("text", "option", "feature", "multiply", "add"),
    [
        ("swissmetro.cost*=1.2", "swissmetro", "cost", 1.2, 0.0),
        ("time-=5", None, "time", 1.0, -5.0),
        ("time += 5", None, "time", 1.0, 5.0),
        ("train.headway=30", "train", "headway", 0.0, 30.0),
        ("cost/=2", None, "cost", 0.5, 0.0),
        ("slow.train.cost*=1e-1", "slow.train", "cost", 0.1, 0.0),
        ("cost*=-1", None, "cost", -1.0, 0.0),
    ],
)
def test_changes_are_read_as_written(text, option, feature, multiply, add):
    change = parse_change(text)
    assert (change.option, change.feature) == (option, feature)
    assert (change.multiply, change.add) == pytest.approx((multiply, add))


@pytest.mark.parametrize("text", ["cost", "cost*1.2", "cost*=", "*=2", "cost*=two", "cost/=0", ""])
def test_what_is_no_change_is_refused(text):
    with pytest.raises(ConfigError, match="--set"):
        parse_change(text)


def test_random_coefficients_are_normal_unless_said():
    assert parse_random("time, cost=lognormal") == {"time": "normal", "cost": "lognormal"}
    assert parse_random("when(x == 1)=normal") == {"when(x == 1)": "normal"}
    assert parse_random("") == {}
    with pytest.raises(ConfigError, match="lognormal"):
        parse_random("time=gaussian")


def test_an_option_that_would_be_ignored_is_refused():
    with pytest.raises(ConfigError, match="--group-formula belongs to --model classes"):
        check_options(ModelOptions(model="mixed", group_formula="age"))
    with pytest.raises(ConfigError, match="--random belongs to --model mixed or personal"):
        check_options(ModelOptions(model="pooled", random="time"))
    with pytest.raises(ConfigError, match="--classes belongs to --model classes"):
        check_options(ModelOptions(model="pooled", classes=5))
    check_options(ModelOptions(model="classes", group_formula="age", classes=3))


@pytest.mark.parametrize("model", ["pooled", "context", "classes", "mixed", "personal"])
def test_every_model_becomes_an_estimator_with_the_formula(model):
    estimator = build_estimator(ModelOptions(model=model, formula="option + price", seed=3))
    assert estimator.formula == "option + price"
    assert estimator.random_state == 3


def records(**rows: object) -> Records:
    rng = np.random.default_rng(0)
    size = 60
    return Records.from_arrays(
        options={
            "option": np.tile(["a", "b"], (size, 1)),
            "price": rng.uniform(size=(size, 2)),
            "net weight": rng.uniform(size=(size, 2)),
        },
        rows={"chosen": rng.integers(2, size=size), **rows},
    )


def test_default_formula_crosses_every_feature_with_every_context():
    data = records(
        purpose=np.tile(["work", "fun", "other"], 20),
        sex=np.tile([0, 1], 30),
        age=np.arange(60.0),
        band=np.tile([1, 2, 3], 20),
        nation=np.full(60, "ch"),
        city=np.array([f"c{i}" for i in range(60)]),
    )
    plain = default_formula(data, with_context=False)
    assert plain.text == "option + price + `net weight`"
    assert plain.shrunk == ""
    crossed = default_formula(data, with_context=True)
    assert crossed.text == plain.text
    assert crossed.shrunk == f"({plain.text}):(purpose + sex + scale(age) + C(band))"
    assert any("'city' has 60 levels" in note for note in crossed.notes)


def test_whole_numbers_that_are_codes_are_no_amounts():
    """A step for each of a few; of more, what they are called tells, else it is said."""
    data = records(
        day=np.arange(60) % 7, dest=np.arange(60) % 20, origin_zone=np.arange(60) % 31,
        hours=np.arange(60) % 20, distance=(np.arange(60) % 20) / 3.0,
    )  # fmt: skip
    found = default_formula(data, with_context=True)
    terms = found.shrunk.rpartition("):(")[2].removesuffix(")").split(" + ")
    assert terms == ["C(day)", "scale(hours)", "scale(distance)"]
    told = {
        name: [n for n in found.notes if f"column {name!r}" in n] for name in data.rows.column_names
    }
    assert "as C(dest)" in told["dest"][0]
    assert "31 whole numbers" in told["origin_zone"][0]
    assert "read as an amount" in told["hours"][0]
    assert not told["day"]
    assert not told["distance"]


def test_options_without_features_and_names_leave_nothing_to_fit():
    alike = Records.from_arrays(
        options={"option": np.full((6, 2), "only")}, rows={"chosen": np.zeros(6, dtype=int)}
    )
    with pytest.raises(DataError, match="nothing to explain the answers by"):
        ModelOptions(model="pooled").completed(alike)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-1.0, 2.0, "-1 to +2"),
        (-1.5, np.inf, "-1.5 or more"),
        (-np.inf, 0.25, "up to +0.25"),
        (-np.inf, np.inf, "no bound"),
    ],
)
def test_an_end_without_bound_is_told_in_words(low, high, words):
    assert shell.span(low, high, "+.3g") == words


def test_the_default_formula_can_be_encoded():
    from penchant.encoders.table import TableEncoder

    data = records(purpose=np.tile(["work", "fun"], 30))
    default = default_formula(data, with_context=True)
    batch = TableEncoder(f"{default.text} + {default.shrunk}").fit(data).encode(data)
    assert batch.num_features == 6


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (MissingExtraError("x"), 2),
        (DataError("x"), 3),
        (BeliefError("x"), 3),
        (FileNotFoundError(2, "no", "f"), 3),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code, capsys):
    @shell.guarded
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert ("bug of ours" in captured.err) == (code == 1)


def test_an_interrupt_within_a_compiled_loop_is_one_too(capsys):
    @shell.guarded
    def command():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 130
    assert "Interrupted" in capsys.readouterr().err


def chain(first, length, has_cause):
    """SystemErrors one above the other, the last one because of the first."""
    error = first
    for _ in range(length):
        above = SystemError("returned a result with an exception set")
        if has_cause:
            above.__cause__ = error
        else:
            above.__context__ = error
        error = above
    return error


@pytest.mark.parametrize("has_cause", [True, False])
@pytest.mark.parametrize("length", [1, 4, 50])
def test_an_interrupt_is_found_below_however_many_compiled_loops(length, has_cause):
    assert shell.is_interruption(chain(KeyboardInterrupt(), length, has_cause))
    assert not shell.is_interruption(chain(ValueError(), length, has_cause))
    # Somebody's own error that followed on a key is told as what it is.
    other = ValueError()
    other.__context__ = KeyboardInterrupt()
    assert not shell.is_interruption(other)


def test_a_chain_that_goes_round_has_an_end():
    one, two = SystemError(), SystemError()
    one.__cause__, two.__cause__ = two, one
    assert not shell.is_interruption(one)


def test_an_interrupt_ends_with_130(capsys):
    @shell.guarded
    def command() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        command()
    assert ended.value.exit_code == 130
    assert "Interrupted" in capsys.readouterr().err


def test_what_is_not_a_number_is_null_in_json():
    assert shell.finite({"a": [math.nan, 1.5, (math.inf,)]}) == {"a": [None, 1.5, [None]]}


def test_progress_without_a_terminal_is_silent_unless_plain_lines_are_wanted(capsys):
    for plain in (True, False):
        steps = shell.Steps(quiet=False, plain=plain)
        with steps.shown():
            steps.say("fitting")
        assert ("fitting" in capsys.readouterr().err) == plain
    with shell.Steps(quiet=True, plain=True).shown() as steps:
        steps.say("fitting")
    with shell.waiting("thinking", quiet=False):
        pass
    assert capsys.readouterr().err == ""


def test_seconds_so_far_count_from_the_start_of_the_process_or_else_from_the_import(monkeypatch):
    of_process = shell.seconds_so_far()
    monkeypatch.setattr(shell.os, "sysconf", int)
    assert 0 <= shell.seconds_so_far() < of_process


def test_each_version_of_vuongs_test_has_its_own_verdict():
    from penchant.cli.compare import _facts

    test = {"test": "Vuong", "first": "plain", "second": "mx", "z": -2.4, "p": 0.016,
            "corrected_z": 1.99, "corrected_p": 0.047}  # fmt: skip
    ((_, told),) = _facts(test)
    before, after = told.split("; each parameter paid for")
    assert before.endswith("(mx is better)")
    assert after.endswith("(plain is better)")
    ((_, told),) = _facts({**test, "z": 0.3, "p": 0.76})
    assert told.count("no telling which is better") == 1


def test_a_shrunk_fit_is_remarked_upon():
    from penchant.cli.compare import _test
    from penchant.models.conditional_logit import ConditionalLogit

    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 200, 2))
    records = Records.from_arrays(
        options={"first": first, "second": second},
        rows={"chosen": (first + rng.gumbel(size=(200, 2))).argmax(axis=1)},
    )
    plain, shrunk = (
        (
            ConditionalLogit("first", prior_scale=scale).fit(records).belief_,
            ConditionalLogit("first + second", prior_scale=scale).fit(records).belief_,
        )
        for scale in (None, 0.2)
    )
    assert _test(plain, "one", "two", None, False)["note"] is None
    assert "rough guide" in _test(shrunk, "one", "two", None, False)["note"]
