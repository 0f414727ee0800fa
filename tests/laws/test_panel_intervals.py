"""Intervals of whatever is read off a fit are as wide as a bootstrap over people says."""

from dataclasses import replace

import numpy as np

from penchant.data.records import Records
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.willingness import willingness_to_pay
from penchant.policies.oneshot.elasticities import elasticities
from penchant.policies.oneshot.what_if import Change, what_if

PEOPLE, TASKS = 100, 12
CHANGE = Change(feature="cost", option="rail", multiply=1.2)


def panel(seed, spread=2.5):
    """Twelve answers of each of 100 people, who mind time and like rail each in their own way."""
    rng = np.random.default_rng(seed)
    time, cost = rng.uniform(0.5, 3.0, (2, PEOPLE, TASKS, 2))
    hurry = rng.normal(-1.0, spread, (PEOPLE, 1, 1))
    rail = rng.normal(0.3, spread, (PEOPLE, 1, 1)) * np.array([0.0, 1.0])
    worth = hurry * time - cost + rail + rng.gumbel(size=time.shape)
    rows = PEOPLE * TASKS
    return Records.from_arrays(
        options={
            "option": np.tile(["bus", "rail"], (rows, 1)),
            "time": time.reshape(rows, 2),
            "cost": cost.reshape(rows, 2),
        },
        rows={
            "person": np.repeat([f"p{i}" for i in range(PEOPLE)], TASKS),
            "chosen": worth.reshape(rows, 2).argmax(axis=1),
        },
    )


def figures(belief, records, **settings):
    """(value, width of the interval) of a willingness, a share after a change, an elasticity."""
    rng = np.random.default_rng(0)
    (worth,) = willingness_to_pay(belief, records, "time", "cost", rng=rng, **settings)
    rail = next(
        s
        for s in what_if(belief, records, [CHANGE], rng=rng, **settings).shares
        if s.option == "rail"
    )
    own = next(
        e
        for e in elasticities(belief, records, "time", rng=rng, **settings)
        if e.changed == e.of == "rail"
    )
    return np.array([
        (worth.value, worth.high - worth.low),
        (rail.after, rail.after_high - rail.after_low),
        (own.value, own.high - own.low),
    ])  # fmt: skip


def test_intervals_of_a_panel_are_as_wide_as_those_of_a_bootstrap_over_people():
    records = panel(1)
    model = ConditionalLogit("option + time + cost")
    belief = model.fit(records).belief_
    batch = belief.encode(records)
    rng, ratios = np.random.default_rng(1), []
    for _ in range(60):
        times = np.bincount(rng.integers(PEOPLE, size=PEOPLE), minlength=PEOPLE)
        again = ConditionalLogit().fit(batch, sample_weight=np.repeat(times, TASKS).astype(float))
        ratios.append(again.belief_.theta[1] / again.belief_.theta[2])
    default = figures(belief, records, num_draws=60)[:, 1]
    assert 0.65 < default[0] / (2 * 1.96 * np.std(ratios)) < 1.55
    classical = figures(belief, records, num_draws=60, robust=False)[:, 1]
    assert np.all(default > 1.1 * classical), default / classical


def test_few_draws_give_elasticities_as_wide_as_many_do():
    records = panel(7).take(np.arange(20 * TASKS))
    belief = ConditionalLogit("option + time + cost").fit(records).belief_

    def width(num_draws, seed):
        rng = np.random.default_rng(seed)
        found = elasticities(belief, records, "cost", num_draws=num_draws, rng=rng)
        return np.mean([e.high - e.low for e in found])

    few = np.mean([width(8, seed) for seed in range(8)])
    assert 0.8 < few / width(200, 0) < 1.2


def test_a_belief_without_robust_errors_is_doubted_by_its_curvature():
    records = panel(8)
    belief = ConditionalLogit("option + time + cost").fit(records).belief_
    classical = replace(belief, robust_covariance=None)
    np.testing.assert_array_equal(
        figures(classical, records, num_draws=3),
        figures(belief, records, num_draws=3, robust=False),
    )


def test_one_persons_answers_leave_doubt():
    records = panel(9).take(np.arange(TASKS))
    belief = ConditionalLogit("time + cost", prior_scale=1.0).fit(records).belief_
    assert belief.report.people == 1
    (worth,) = willingness_to_pay(belief, records, "time", "cost", rng=np.random.default_rng(0))
    assert worth.low < worth.value < worth.high
    thetas = [np.array([b.theta for b in belief.sample(2000, np.random.default_rng(1), robust=r)])
              for r in (True, False)]  # fmt: skip
    np.testing.assert_allclose(np.std(thetas[0], axis=0), np.std(thetas[1], axis=0))
