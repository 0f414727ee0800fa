"""Slates, picks and rankings from a log: the truth is met, and a broken assumption is told."""

from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest

from penchant.data.records import Records
from penchant.data.slates import shows_several, slates_of
from penchant.errors import ConfigError, DataError
from penchant.evaluation.off_policy_page import lead, render_off_policy
from penchant.evaluation.off_policy_slates import SlatesConfig, evaluate_slates
from penchant.evaluation.slates_reward_model import cascade_terms
from penchant.metrics.off_policy_slates import in_turn, of_place, second_moment_in_turn
from penchant.policies.policy import Column, Logged, Uniform
from penchant.simulation.decisions import DecisionWorld
from penchant.simulation.slates import LOGGED, TARGET, SlateWorld

POLICIES = {"target": Column("target")}
CASCADE = ("slate ips", "cascade ips", "cascade doubly robust")


def judged(world, num_rounds=4000, seed=0, policies=POLICIES, **config):
    slates = slates_of(world.draw(num_rounds, np.random.default_rng(seed)))
    return evaluate_slates(slates, policies, SlatesConfig(**config))


def verdicts(report):
    return {finding.name: finding.verdict for finding in report.policies[0].findings}


@pytest.mark.parametrize("num_places", [1, 2, 3])
def test_chances_of_places_are_those_of_all_orders(num_places):
    rng = np.random.default_rng(0)
    law = rng.dirichlet(np.ones(4), size=3)
    law[1] = [0.5, 0.0, 0.2, 0.3]
    alone, total = np.zeros((3, num_places, 4)), np.zeros(3)
    for order in permutations(range(4), num_places):
        chance = in_turn(law, np.tile(order, (3, 1))).prod(axis=1)
        total += chance
        for place, item in enumerate(order):
            alone[:, place, item] += chance
    np.testing.assert_allclose(total, 1.0)
    np.testing.assert_allclose(of_place(law, num_places), alone, atol=1e-12)


def test_places_drawn_from_what_is_left_are_seen_as_often_as_their_chances_say():
    slates = slates_of(SlateWorld(num_places=2).draw(20_000, np.random.default_rng(1)))
    item = slates.line - slates.records.offsets[:-1][:, None]
    seen = np.stack([np.bincount(item[:, place], minlength=5) for place in range(2)]) / 20_000
    np.testing.assert_allclose(seen, of_place(LOGGED[None], 2)[0], atol=0.012)
    assert abs(seen[1] - LOGGED).max() > 0.02


@pytest.mark.parametrize(
    ("world", "right"),
    [
        (SlateWorld(), (*CASCADE, "independent ips", "pseudo-inverse")),
        (SlateWorld(num_places=3), (*CASCADE, "independent ips", "pseudo-inverse")),
        (SlateWorld(reading="cascade"), CASCADE),
        (SlateWorld(reading="whole"), ("slate ips",)),
        (SlateWorld(answer="pick"), ("preferred to shown", "self-normalised")),
        (SlateWorld(answer="pick", num_places=3), ("preferred to shown", "self-normalised")),
        (SlateWorld(answer="ranking", num_places=3), ("preferred to shown", "self-normalised")),
    ],
)
def test_estimates_lie_about_the_truth_as_far_as_they_say(world, right):
    """Of 16 logs, in standard errors: the mean within four of its own, the spread about 1. How
    often intervals hold is counted over 500 by `benchmarks/off_policy_slates_coverage.py`."""
    truth, reports = world.true_value(), [judged(world, 1200, (seed, 3)) for seed in range(16)]
    for name in right:
        found = [report.policies[0].estimate(name) for report in reports]
        apart = np.array([(one.value - truth) / one.error for one in found])
        assert abs(apart.mean()) < 4 / np.sqrt(16)
        assert 0.5 < apart.std() < 1.7


def test_an_assumption_that_does_not_hold_is_told_and_one_that_does_is_not():
    alone = verdicts(judged(SlateWorld(), 20_000))
    assert (alone["cascade ips"], alone["independent ips"]) == ("fine", "fine")
    assert verdicts(judged(SlateWorld(reading="cascade"), 20_000))["independent ips"] == "care"
    assert verdicts(judged(SlateWorld(reading="whole"), 20_000))["cascade ips"] == "wrong"


def test_the_log_judged_by_itself_is_what_was_logged():
    for world in (
        SlateWorld(num_places=3),
        SlateWorld(answer="ranking"),
        SlateWorld(answer="pick"),
    ):
        report = judged(world, 500, policies={"itself": Logged()})
        for one in report.policies[0].estimates:
            # What a reward model adds is 0 on average only.
            reach = 3 * one.error if one.estimator == "cascade doubly robust" else 1e-9
            assert one.value == pytest.approx(report.logged.estimate, abs=reach)
    assert report.logged.estimate == pytest.approx(0.5)


def test_a_reward_model_halves_the_variance_and_a_wrong_one_biases_nothing():
    world = SlateWorld(reading="cascade", num_places=3)
    report = judged(world, 4000).policies[0]
    by_weights, doubly = (report.estimate(f"cascade {name}") for name in ("ips", "doubly robust"))
    assert doubly.error < 0.8 * by_weights.error
    assert judged(world, 500, formula="").policies[0].quoted == "cascade ips"
    slates = slates_of(world.draw(20_000, np.random.default_rng(5)))
    item = slates.line - slates.records.offsets[:-1][:, None]
    law = np.tile(TARGET, (20_000, 1))
    weight = in_turn(law, item) / in_turn(np.tile(LOGGED, (20_000, 1)), item)
    for model in (np.zeros((5, 3)), np.random.default_rng(6).normal(size=(5, 3))):
        terms = cascade_terms(law, item, weight, slates.reward, np.tile(model, (20_000, 1, 1)))
        error = terms.std() / np.sqrt(20_000)
        assert abs(terms.mean() - world.true_value()) < 4 * error


@pytest.mark.parametrize("num_places", [1, 2, 3, 4])
def test_a_reward_model_that_is_right_leaves_chance_of_rewards_alone(num_places):
    """Rewards that are the model's own, without chance: every round tells the target's value; with
    four places what lies further ahead than three is told by weights."""
    rng, num = np.random.default_rng(7), 400
    laws = rng.dirichlet(np.full(5, 3.0), size=2)
    law, logged = np.tile(laws[0], (num, 1)), np.tile(laws[1], (num, 1))
    item = np.argsort(rng.exponential(size=(num, 5)) / logged, axis=1)[:, :num_places]
    model = np.tile(rng.normal(size=(5, num_places)), (num, 1, 1))
    reward = model[np.arange(num)[:, None], item, np.arange(num_places)]
    weight = in_turn(law, item) / in_turn(logged, item)
    terms = cascade_terms(law, item, weight, reward, model)
    truth = sum(
        float(in_turn(law[:1], np.array([order]))[0].prod())
        * sum(model[0, k, place] for place, k in enumerate(order))
        for order in permutations(range(5), num_places)
    )
    if num_places < 4:
        np.testing.assert_allclose(terms, truth, atol=1e-9)
    else:
        assert abs(terms.mean() - truth) < 4 * terms.std() / np.sqrt(num)
        by_weights = cascade_terms(law, item, weight, reward, 0 * model)
        assert terms.std() < 0.5 * by_weights.std()


@pytest.mark.parametrize("num_places", [2, 3, 4])
def test_whatever_the_reward_model_the_mean_over_all_slates_is_the_value(num_places):
    """By all orders, weighed by how often the log shows them; rewards hang on all above."""
    rng = np.random.default_rng(9)
    item = np.array(list(permutations(range(5), num_places)))
    law, logged = (np.tile(p, (len(item), 1)) for p in rng.dirichlet(np.full(5, 3.0), size=2))
    reward = rng.normal(size=(1, num_places)) + (item * np.cumsum(item, axis=1)) / 9.0
    model = np.tile(rng.normal(size=(5, num_places)), (len(item), 1, 1))
    chance, wanted = in_turn(logged, item), in_turn(law, item)
    terms = cascade_terms(law, item, wanted / chance, reward, model)
    truth = float(wanted.prod(axis=1) @ reward.sum(axis=1))
    assert float(chance.prod(axis=1) @ terms) == pytest.approx(truth)


def test_second_moments_of_places_drawn_in_turn_are_sums_over_all_slates():
    rng = np.random.default_rng(8)
    law = rng.dirichlet(np.ones(4), size=2)
    law[1] = [0.6, 0.0, 0.1, 0.3]
    for places in (1, 2, 3):
        expected = np.zeros((2, places * 4, places * 4))
        for order in permutations(range(4), places):
            mark = np.zeros((places, 4))
            mark[np.arange(places), order] = 1.0
            chance = np.nan_to_num(in_turn(law, np.tile(order, (2, 1)))).prod(axis=1)
            expected += chance[:, None, None] * np.outer(mark, mark)
        np.testing.assert_allclose(second_moment_in_turn(law, places), expected, atol=1e-12)


def test_a_pseudo_inverse_that_cannot_be_is_left_out_and_says_why():
    records = SlateWorld().draw(300, np.random.default_rng(0))
    never = np.tile([0.0, 0.25, 0.25, 0.25, 0.25], 300)
    position = np.asarray(records.options["position"].to_pylist(), dtype=float)
    rounds = np.flatnonzero(np.isnan(position.reshape(300, 5)[:, 0]))
    slates = slates_of(changed(records, propensity=never).take(rounds))
    one = evaluate_slates(slates, POLICIES).policies[0]
    assert "pseudo-inverse" not in [e.estimator for e in one.estimates]
    told = next(f for f in one.findings if f.name == "pseudo-inverse")
    assert (told.verdict, "never does" in told.text) == ("care", True)


def test_chances_of_each_place_are_told_as_such_and_give_the_same():
    """Two places filled independently: what is drawn in turn as one law is not that."""
    rng, num = np.random.default_rng(2), 6000
    items = rng.choice(5, size=(num, 2), p=LOGGED)
    worth = np.array([0.9, 0.5, 0.4, 0.2, 0.7])
    records = Records.from_arrays(
        options={
            "option": np.array(list("abcde"))[items], "propensity": LOGGED[items],
            "target": TARGET[items], "success": (rng.random((num, 2)) < worth[items]).astype(int),
        },
        rows={}, kind="binary", extras=("target",),
    )  # fmt: skip
    policies = {"target": Column("target", is_law=False)}
    report = evaluate_slates(slates_of(records), policies, SlatesConfig(places="each"))
    for one in report.policies[0].estimates:
        assert one.low <= 2 * TARGET @ worth <= one.high
    with pytest.raises(DataError, match="places 'each'"):
        evaluate_slates(slates_of(records), policies)


def test_the_better_of_several_policies_is_found_with_a_correction_for_looking():
    policies = {"target": Column("target"), "uniform": Uniform(), "log": Logged()}
    report = judged(SlateWorld(), 20_000, policies=policies)
    assert report.choice is not None
    assert report.choice.best == 0
    np.testing.assert_array_equal(report.choice.may_be_best, [True, False, False])
    np.testing.assert_array_equal(report.choice.beats_logged, [True, True, False])
    # Ends that hold together reach further than those of one.
    assert report.choice.high[0] - report.choice.low[0] > (
        report.policies[0].best.high - report.policies[0].best.low
    )


def test_preferences_are_not_told_as_earnings():
    both = {"target": Column("target"), "uniform": Uniform()}
    for world, counted, word in (
        (SlateWorld(answer="pick"), "preferences", "preferred"), (SlateWorld(), "rewards", "earned")
    ):  # fmt: skip
        report = judged(world, 1000, policies=both)
        page = render_off_policy(report, "a log").lower()
        assert report.counted == counted
        assert word in lead(report)[0]
        assert ("earn" in page) == (counted == "rewards")
        assert ("preferred" in page) == (counted == "preferences")


@pytest.mark.parametrize(
    ("world", "config"),
    [
        (SlateWorld(answer="pick"), {"formula": "option"}),
        (SlateWorld(answer="ranking"), {"num_folds": 5}),
        (SlateWorld(), {"formula": "", "num_folds": 5}),
    ],
)
def test_a_reward_model_that_would_change_nothing_is_refused(world, config):
    with pytest.raises(ConfigError, match="would change nothing"):
        judged(world, 50, **config)


def test_what_shows_several_options_is_told_from_single_decisions():
    rng = np.random.default_rng(0)
    assert not shows_several(DecisionWorld().draw(20, rng))
    for world in (SlateWorld(), SlateWorld(answer="pick"), SlateWorld(answer="ranking")):
        assert shows_several(world.draw(20, rng))


def test_pairs_and_rounds_without_an_answer_are_read():
    records = Records.from_arrays(
        options={"option": np.array([["a", "b"]] * 4), "propensity": np.full((4, 2), 0.5)},
        rows={"outcome": pa.array([0, 1, 2, None])}, kind="pair",
    )  # fmt: skip
    slates = slates_of(records)
    np.testing.assert_array_equal(slates.rank, [[1, 2], [2, 1], [1, 1]])
    assert slates.notes == ("1 rounds without an answer were left out",)


def test_places_stand_in_the_order_of_their_position():
    records = Records.from_arrays(
        options={"option": np.array(list("abc")), "propensity": np.full(3, 1 / 3),
                 "position": pa.array([1, None, 0]), "success": pa.array([0, None, 1])},
        menu_sizes=np.array([3]), rows={}, kind="binary",
    )  # fmt: skip
    slates = slates_of(records)
    np.testing.assert_array_equal(slates.line, [[2, 0]])
    np.testing.assert_array_equal(slates.reward, [[1, 0]])


def changed(records, **columns):
    options = {n: records.options[n] for n in records.options.column_names} | columns
    return Records.from_arrays(
        options={n: v.combine_chunks() if isinstance(v, pa.ChunkedArray) else v
                 for n, v in options.items()},
        menu_sizes=records.menu_sizes, rows={}, kind="binary", extras=("target",),
    )  # fmt: skip


def test_logs_that_cannot_be_judged_say_why_and_how_to_mend_them():
    records = SlateWorld().draw(50, np.random.default_rng(0))
    with pytest.raises(DataError, match="one kind"):
        slates_of(Records.from_arrays(
            options={"option": np.array([["a", "b"]])}, rows={"grade": [1]}, kind="graded"
        ))  # fmt: skip
    clicks = records.options["success"].to_pylist()
    first = next(i for i, x in enumerate(clicks) if x is not None)
    with pytest.raises(DataError, match="no reward as they have"):
        slates_of(changed(records, success=pa.array([*clicks[:first], None, *clicks[first + 1 :]])))
    unshown = next(i for i, x in enumerate(clicks) if x is None)
    told = pa.array([*clicks[:unshown], 1, *clicks[unshown + 1 :]])
    with pytest.raises(DataError, match="was not shown"):
        slates_of(changed(records, success=told))
    nothing = slates_of(changed(records, propensity=np.zeros(250)))
    with pytest.raises(DataError, match="add up to 0"):
        evaluate_slates(nothing, POLICIES)
    sure = slates_of(changed(records, target=np.tile([1.0, 0, 0, 0, 0], 50)))
    with pytest.raises(DataError, match="nothing left to show"):
        evaluate_slates(sure, POLICIES)
    # Certain in one round, of what was not shown there: no weight of what was shown tells it.
    shown = sure.line[0] - sure.records.offsets[0]
    certain = np.tile(TARGET, (50, 1))
    certain[0] = np.eye(5)[np.setdiff1d(np.arange(5), shown)[0]]
    one = slates_of(changed(records, target=certain.ravel()))
    with pytest.raises(DataError, match=r"round 0 \(1 are like this"):
        evaluate_slates(one, POLICIES)
    with pytest.raises(ConfigError, match="no policy"):
        evaluate_slates(sure, {})
    with pytest.raises(ConfigError, match="level is 2"):
        SlatesConfig(level=2.0)
