"""Policies judged on logs whose truth we know: intervals hold, findings fire where they should."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from penchant.data.decisions import decisions_of
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError, DataError
from penchant.evaluation.cross_fitting import cross_fit_reward
from penchant.evaluation.off_policy import OffPolicyConfig, evaluate_policies
from penchant.evaluation.off_policy_page import lead, render_off_policy
from penchant.evaluation.off_policy_words import finding_of_learning
from penchant.feedback.channel_option import Binary
from penchant.fitting.pooled import fit_pooled
from penchant.metrics.sequences import asymptotic_sequence
from penchant.policies.policy import Column, Greedy, Logged, Uniform
from penchant.simulation.decisions import DecisionWorld

RIGHT = "option + x + option:x"
TARGET = {"target": Column("target")}
ROBUST = ("doubly robust", "self-normalised doubly robust", "switch doubly robust",
          "shrunk doubly robust")  # fmt: skip


def draw(world=None, num=1500, seed=0):
    return decisions_of((world or DecisionWorld()).draw(num, np.random.default_rng(seed)))


def verdicts(report):
    return {f.name: f.verdict for f in (*report.policies[0].findings, *report.findings)}


@pytest.mark.parametrize("reward", ["binary", "outcome"])
def test_intervals_of_every_estimator_hold_about_as_often_as_they_say(reward):
    # benchmarks/off_policy_coverage.py does this 500 times; 12 find what is grossly wrong.
    world, hits = DecisionWorld(reward=reward), Counter()
    for seed in range(12):
        report = evaluate_policies(draw(world, 800, seed), TARGET, OffPolicyConfig(formula=RIGHT))
        for one in report.policies[0].estimates:
            hits[one.estimator] += one.low <= world.true_value() <= one.high
    assert set(hits) == {*ROBUST, "direct", "ips", "clipped ips", "snips"}
    assert all(9 <= count <= 12 for count in hits.values()), hits


def test_people_who_answer_often_widen_the_interval():
    world = DecisionWorld(reward="outcome", rounds_each=10)
    log = draw(world, num=3000)
    config = OffPolicyConfig(formula=RIGHT)
    told = evaluate_policies(log, TARGET, config).policies[0]
    alone = replace(log, cluster=np.arange(len(log)))
    untold = evaluate_policies(alone, TARGET, config).policies[0]
    assert told.best.error > 1.25 * untold.best.error
    hits = sum(
        (one := evaluate_policies(draw(world, 600, seed), TARGET).policies[0].best).low
        <= world.true_value()
        <= one.high
        for seed in range(24)
    )
    assert hits >= 19


def test_the_direct_method_is_as_unsure_as_it_is_wrong():
    world = DecisionWorld(reward="outcome")
    found = [
        evaluate_policies(draw(world, 600, s), TARGET, OffPolicyConfig(formula=RIGHT))
        .policies[0].estimate("direct")
        for s in range(20)
    ]  # fmt: skip
    spread = np.std([one.value for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(spread, rel=0.4)
    # Were the model known, the error would be this, a quarter of it.
    log = draw(world, 600)
    model = cross_fit_reward(log, [Column("target")(log.records)], RIGHT)
    value = log.total(Column("target")(log.records) * model.predicted)
    assert value.std() / np.sqrt(len(value)) < 0.5 * spread


def test_the_corrections_are_the_derivative_of_refitting():
    log = draw(DecisionWorld(reward="outcome"), num=200)
    target = Column("target")(log.records)

    def estimate(one):
        model = cross_fit_reward(one, [target], RIGHT, seed=1)
        return np.average(one.total(target * model.predicted), weights=one.weight), model

    plain, model = estimate(log)
    correction = model.correction(0, np.zeros(len(log)))
    value = log.total(target * model.predicted)
    for b in (0, 7, 100):
        weight = log.weight.copy()
        weight[b] += 1e-3
        heavier = replace(
            log, weight=weight, records=log.records.with_columns(rows={"weight": weight})
        )
        slope = (estimate(heavier)[0] - plain) / 1e-3 * len(log)
        assert slope == pytest.approx(value[b] - plain + correction[b], rel=0.05, abs=0.02)


def test_a_wrong_reward_model_is_told_and_doubly_robust_still_holds():
    world, missed = DecisionWorld(reward="outcome"), 0
    for seed in range(8):
        log = draw(world, 800, seed)
        report = evaluate_policies(log, TARGET, OffPolicyConfig(formula="option"))
        assert verdicts(report)["reward model"] == "care"
        one = report.policies[0]
        assert not one.estimate("direct").low <= world.true_value() <= one.estimate("direct").high
        missed += not one.best.low <= world.true_value() <= one.best.high
    assert missed <= 2


def test_a_log_with_nothing_wrong_raises_no_alarm():
    counts = Counter()
    for seed in range(10):
        report = evaluate_policies(draw(num=800, seed=seed), TARGET, OffPolicyConfig(formula=RIGHT))
        counts.update(name for name, verdict in verdicts(report).items() if verdict == "wrong")
    assert sum(counts.values()) <= 1, counts


def test_false_propensities_are_told():
    log = draw(num=4000)
    flat = np.full(len(log.propensities), 0.25)
    report = evaluate_policies(
        replace(log, propensities=flat), TARGET, OffPolicyConfig(formula=RIGHT)
    )
    assert verdicts(report)["balance"] == "wrong"
    shares = np.tile([0.4, 0.2, 0.2, 0.2], len(log))
    report = evaluate_policies(replace(log, propensities=shares), TARGET)
    assert verdicts(report)["propensities"] == "wrong"
    assert verdicts(report)["mean weight"] == "wrong"


def test_actions_that_the_log_never_takes_are_told():
    world = DecisionWorld(logged_by=(0.0, 0.0, 0.0, -60.0))
    log = draw(world, num=2000)
    report = evaluate_policies(log, {"uniform": Uniform()}, OffPolicyConfig(formula="option"))
    tiny = replace(log, propensities=np.where(log.propensities < 1e-6, 0.0, log.propensities))
    none = evaluate_policies(tiny, {"uniform": Uniform()}, OffPolicyConfig(formula="option"))
    assert verdicts(none)["support"] == "wrong"
    assert verdicts(none)["mean weight"] == "wrong"
    assert verdicts(report)["mean weight"] == "wrong"
    assert "this log cannot tell it" in lead(none)[0]


def test_propensities_that_nobody_logged_are_learnt_from_what_was_taken():
    world, hits = DecisionWorld(), 0
    for seed in range(12):
        log = draw(world, 800, seed)
        blind = replace(log, propensities=np.full(len(log.propensities), np.nan))
        report = evaluate_policies(
            blind, TARGET, OffPolicyConfig(formula=RIGHT, propensity_formula="option + x:option")
        )
        one = report.policies[0].best
        hits += one.low <= world.true_value() <= one.high
    assert hits >= 9
    assert verdicts(report)["propensities"] == "care"
    with pytest.raises(DataError, match="propensity formula"):
        evaluate_policies(blind, TARGET)


def test_a_log_that_moves_is_told_and_harms_only_estimated_propensities():
    early = DecisionWorld().draw(1500, np.random.default_rng(0))
    late = DecisionWorld(logged_by=(2.0, -2.0, 0.0, 0.0)).draw(1500, np.random.default_rng(1))
    from penchant.data.records import concat

    log = decisions_of(concat([early, late]))
    logged = evaluate_policies(log, TARGET)
    guessed = evaluate_policies(log, TARGET, OffPolicyConfig(propensity_formula="option"))
    by_name = {f.name: f for f in logged.findings}
    assert "changed" in by_name["drift"].text
    assert by_name["drift"].verdict == "fine"
    assert {f.name: f.verdict for f in guessed.findings}["drift"] == "care"


def test_the_logged_policy_earned_what_it_earned():
    log = draw()
    one = evaluate_policies(log, {"logged": Logged()}).policies[0]
    for estimator in ("ips", "snips", "clipped ips"):
        assert one.estimate(estimator).value == pytest.approx(log.reward.mean())
    assert one.gain.estimate == pytest.approx(0.0)


@pytest.mark.parametrize("kind", ["bootstrap", "bernstein", "anytime"])
def test_other_intervals_agree_with_the_normal_one_or_are_wider(kind):
    log = draw(num=1000)
    config = OffPolicyConfig(formula=RIGHT)
    normal = evaluate_policies(log, TARGET, config).policies[0]
    other = evaluate_policies(log, TARGET, replace(config, interval=kind))
    assert other.interval == kind
    best = other.policies[0].best
    same = normal.estimate(best.estimator)
    for one, two in ((best, same), (other.policies[0].gain, normal.gain)):
        ratio = (one.high - one.low) / (two.high - two.low)
        assert (0.85 < ratio < 1.15) if kind == "bootstrap" else (ratio > 1.3)
    assert best.value == pytest.approx(same.value)
    assert best.estimator == ("ips" if kind == "bernstein" else "doubly robust")


def test_bernstein_bounds_small_logs_by_weights_alone_and_within_what_can_be_earned():
    world, hits = DecisionWorld(), 0
    config = OffPolicyConfig(formula=RIGHT, interval="bernstein", prior_scale=1.0)
    for seed in range(30):
        one = evaluate_policies(draw(world, 40, seed), TARGET, config).policies[0]
        assert 0 <= one.best.low < one.best.high <= 1
        assert -1 <= one.gain.low < one.gain.high <= 1
        hits += one.best.low <= world.true_value() <= one.best.high
        assert np.isnan(one.estimate("doubly robust").low)
        assert one.estimate("doubly robust").error > 0
        assert np.isnan(one.estimate("clipped ips").low)
    assert hits == 30
    said = evaluate_policies(draw(world, 40), TARGET, replace(config, clip=2.0)).policies[0]
    assert 0 <= said.estimate("clipped ips").low < said.estimate("clipped ips").high <= 1


def test_rewards_that_happen_to_be_0_and_1_have_no_ends_unless_declared():
    log = draw(num=200)
    values = log.records.options["success"].cast("float64")
    amounts = replace(log.records, rows=log.records.rows, options=log.records.options.append_column(
        "value", values)).with_columns(rows={"kind": np.repeat("outcome", 200)})  # fmt: skip
    with pytest.raises(DataError, match="rewards of the kind binary"):
        evaluate_policies(decisions_of(amounts), TARGET, OffPolicyConfig(interval="bernstein"))


def test_a_look_at_a_growing_log_is_the_one_of_the_shorter_log():
    log = draw(num=900)
    config = OffPolicyConfig(interval="anytime")
    early = evaluate_policies(decisions_of(log.records.take(np.arange(300))), TARGET, config)
    terms = evaluate_policies(log, TARGET, config).policies[0].estimate("ips").terms
    low, high = asymptotic_sequence(terms)
    one = early.policies[0].estimate("ips")
    assert (one.low, one.high) == pytest.approx((low[299], high[299]))
    wider = evaluate_policies(log, TARGET, replace(config, tightest_at=20.0)).policies[0].best
    best = evaluate_policies(log, TARGET, config).policies[0].best
    assert wider.high - wider.low > 1.05 * (best.high - best.low)


def test_weights_of_rounds_count_as_so_many_rounds():
    log = draw(num=600)
    weight = np.where(np.arange(600) < 300, 2.0, 1.0)
    heavier = replace(log, weight=weight)
    twice = decisions_of(log.records.take(np.r_[0:600, 0:300]))
    for estimator in ("ips", "snips"):
        one = evaluate_policies(heavier, TARGET).policies[0].estimate(estimator).value
        two = evaluate_policies(twice, TARGET).policies[0].estimate(estimator).value
        assert one == pytest.approx(two)


def test_the_page_holds_every_estimate_and_loads_nothing():
    log = draw(num=800)
    report = evaluate_policies(
        log, {**TARGET, "uni<form": Uniform()}, OffPolicyConfig(formula=RIGHT)
    )
    page = render_off_policy(report, "log.csv")
    for one in report.policies:
        for e in one.estimates:
            assert f"{e.value:.4f}" in page
    assert "uni&lt;form" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_a_policy_that_takes_nothing_logged_is_told_and_left_out_of_the_comparison():
    log = draw(num=300)
    never = np.zeros(len(log.propensities))
    never[log.records.offsets[:-1] + (log.taken - log.records.offsets[:-1] + 1) % 4] = 1.0
    policies = {**TARGET, "never": lambda _: never, "uniform": Uniform()}
    for formula in ("", RIGHT):
        report = evaluate_policies(log, policies, OffPolicyConfig(formula=formula))
        one = report.policies[1]
        said = {f.name: f.verdict for f in one.findings}
        assert (said["overlap"], said["mean weight"]) == ("wrong", "wrong")
        assert all(np.isnan(e.low) for e in one.estimates if e.estimator != "direct")
        choice = report.choice
        np.testing.assert_array_equal(np.isnan(choice.low), [False, True, False])
        assert not choice.may_be_best[1]
        assert not choice.beats_logged[1]
        assert choice.best in (0, 2)
        assert np.isnan(one.estimate("ips").value)
        assert "What never would have earned is not known: This policy takes" in lead(report)[1]
        page = render_off_policy(report, "log")
        assert "nan" not in page.replace("nance", "")
        assert page.count("<td>not known</td>") == 2
    two = evaluate_policies(log, {"never": lambda _: never, **TARGET})
    assert two.choice is None


def test_a_policy_learnt_from_the_log_that_judges_it_is_told():
    log = draw(num=300)
    records = log.records
    learnt = fit_pooled(
        (encoder := TableEncoder("option").fit(records)).encode(records),
        channels=(Binary(),), encoder=encoder,
    )  # fmt: skip
    policies = {"greedy": Greedy(learnt), "uniform": Uniform()}
    said = [{f.name: f.verdict for f in one.findings}
            for one in evaluate_policies(log, policies).policies]  # fmt: skip
    assert said[0]["learning"] == "wrong"
    assert "learning" not in said[1]
    other = evaluate_policies(draw(num=300, seed=1), policies).policies[0]
    assert {f.name: f.verdict for f in other.findings}["learning"] == "fine"
    # Rounds without a reward were there to be fitted, though they do not judge.
    part = replace(log, records=records.take(np.arange(299)), log=records)
    assert finding_of_learning(part.records, policies["greedy"], part.log)[0].verdict == "wrong"


def test_poor_overlap_is_told_and_good_overlap_is_not():
    hard = DecisionWorld(logged_by=(0.7, 0.7, 0.0, -1.4))
    for world, verdict in ((hard, "care"), (DecisionWorld(), "fine")):
        said = [verdicts(evaluate_policies(draw(world, seed=s), TARGET)) for s in range(6)]
        assert [one["overlap"] for one in said].count(verdict) >= 5
        assert ["heavy weights" in one for one in said].count(verdict == "care") >= 5


def test_the_page_tells_the_log_from_a_policy_called_logged_and_by_what_policies_are_compared():
    log = draw(num=300)
    policies = {"logged": Logged(), "uniform": Uniform()}
    for kind in ("normal", "anytime"):
        page = render_off_policy(
            evaluate_policies(log, policies, OffPolicyConfig(interval=kind)), "log.csv"
        )
        assert page.count(">the log<") == 1
        assert page.count("not by anytime ones") == (2 if kind == "anytime" else 0)


def test_what_cannot_be_asked_is_refused():
    log = draw(num=100)
    with pytest.raises(ConfigError, match="no policy"):
        evaluate_policies(log, {})
    with pytest.raises(ConfigError, match="the level is 95"):
        OffPolicyConfig(level=95.0)
    for clip in (0.0, -1.0, np.nan):
        with pytest.raises(ConfigError, match="above 0, such as 10"):
            OffPolicyConfig(clip=clip)
    with pytest.raises(ConfigError, match="tightest_at 0"):
        OffPolicyConfig(tightest_at=0)
    with pytest.raises(ConfigError, match="one of the two"):
        OffPolicyConfig(interval="bernstein", propensity_formula="option")
    impossible = log.propensities.copy()
    impossible[log.taken[5]] = 0.0
    with pytest.raises(DataError, match="no finite weight in round 5"):
        evaluate_policies(replace(log, propensities=impossible), TARGET)
    with pytest.raises(ConfigError, match="no estimate by 'magic'"):
        evaluate_policies(log, TARGET).policies[0].estimate("magic")
