"""Components of a reward: each with its own time, failing for itself alone, counted by name."""

import threading
import time

import numpy as np
import pytest

from penchant.errors import ConfigError
from penchant.policies.language.components import Component, Components, weighted, within
from penchant.policies.language.grading import graded
from penchant.simulation.tasks.task import Problem

PROBLEM = Problem(prompt="q", demonstration="a", difficulty=1)


def test_a_component_that_fails_is_nan_and_counted_while_the_others_stay():
    def breaks(problem, response):
        if response == "bad":
            raise ValueError("no")
        return 0.5

    parts = Components([
        Component(name="length", grade=lambda problem, response: float(len(response))),
        Component(name="tone", grade=breaks),
        Component(name="never", grade=lambda problem, response: None),
    ])  # fmt: skip
    found = graded(parts, weighted({"length": 1.0, "tone": 2.0}), [PROBLEM] * 3, ["ab", "bad", "c"])
    np.testing.assert_allclose(found.components["length"], [2.0, 3.0, 1.0])
    np.testing.assert_allclose(found.components["tone"], [0.5, np.nan, 0.5])
    np.testing.assert_allclose(found.reward, [3.0, np.nan, 2.0])
    assert parts.errors == {"length": 0, "tone": 1, "never": 0}
    assert found.failed == 1
    left = graded(parts, weighted({"length": 1.0, "tone": 2.0}, "leave_out"), [PROBLEM], ["bad"])
    np.testing.assert_allclose(left.reward, [9.0])


def test_each_component_has_its_own_time_and_one_that_hangs_is_not_called_for_ever():
    calls, done = [], threading.Event()

    def hangs(problem, response):
        calls.append(response)
        done.wait(20.0)

    parts = Components([
        Component(name="slow", grade=hangs, seconds=0.02),
        Component(name="quick", grade=lambda problem, response: 1.0, seconds=5.0),
    ], patience=2)  # fmt: skip
    began = time.monotonic()
    found = graded(parts, weighted({"quick": 1.0}), [PROBLEM] * 4, ["a", "b", "c", "d"])
    done.set()
    assert time.monotonic() - began < 5.0
    np.testing.assert_array_equal(found.reward, np.ones(4))
    assert calls == ["a", "b"]
    assert parts.errors["slow"] == 4
    assert found.failed == 4


def test_a_component_is_given_up_only_after_that_many_slow_calls_in_a_row():
    done = threading.Event()

    def now_and_then(problem, response):
        if response == "slow":
            done.wait(20.0)
        return 1.0

    parts = Components([Component(name="a", grade=now_and_then, seconds=0.2)], patience=2)
    told = [parts(PROBLEM, said)["a"] for said in ("slow", "quick", "slow", "quick", "quick")]
    done.set()
    assert [isinstance(one, TimeoutError) for one in told] == [True, False, True, False, False]
    assert parts.errors == {"a": 2}


@pytest.mark.parametrize("said", [np.nan, np.inf, -np.inf])
def test_a_component_that_gives_no_finite_number_is_missing_and_counted(said):
    parts = Components([Component(name="a", grade=lambda problem, response: said, seconds=None),
                        Component(name="b", grade=lambda problem, response: 1.0)])  # fmt: skip
    found = graded(parts, weighted({"a": 1.0, "b": 1.0}), [PROBLEM], ["x"])
    assert np.isnan(found.reward).all()
    assert parts.errors == {"a": 1, "b": 0}
    assert found.failed == 1


def test_a_component_that_calls_exit_ends_nothing():
    def leaves(problem, response):
        raise SystemExit(3)

    for seconds in (None, 5.0):
        parts = Components([Component(name="a", grade=leaves, seconds=seconds),
                            Component(name="b", grade=lambda problem, response: 1.0)])  # fmt: skip
        found = graded(parts, weighted({"b": 1.0}), [PROBLEM], ["x"])
        assert found.reward.tolist() == [1.0]
        assert parts.errors == {"a": 1, "b": 0}


def test_a_component_without_a_limit_is_waited_for():
    def slow(problem, response):
        time.sleep(0.05)
        return threading.current_thread() is threading.main_thread()

    parts = Components([Component(name="a", grade=slow, seconds=None)])
    assert parts(PROBLEM, "x") == {"a": 1.0}


def test_a_call_within_its_time_gives_what_it_gives():
    assert within(5.0, lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(KeyError):
        within(5.0, {}.__getitem__, "x")
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        within(0.01, time.sleep, 0.5)


def test_components_and_weights_that_mean_nothing_are_refused():
    one = Component(name="a", grade=lambda problem, response: 1.0)
    with pytest.raises(ConfigError, match="name of its own"):
        Components([one, one])
    with pytest.raises(ConfigError, match="name of its own"):
        Components([])
    with pytest.raises(ConfigError, match="patience=0"):
        Components([one], patience=0)
    with pytest.raises(ConfigError, match="above 0"):
        Component(name="a", grade=one.grade, seconds=0.0)
    with pytest.raises(ConfigError, match="other than 0"):
        weighted({"a": 0.0})
