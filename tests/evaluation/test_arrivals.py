"""People come one by one: what a policy earned, paired with what another did."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.data.samples import swissmetro
from penchant.encoders.table import TableEncoder
from penchant.errors import ConfigError, DataError
from penchant.evaluation.arrival_page import curves_picture, lead, render_arrivals
from penchant.evaluation.arrivals import Contender, compare_arrivals, follow
from penchant.policies.bandits.pacing import Pacing
from penchant.policies.bandits.rules import EpsilonGreedy, Greedy, InverseGapLoss, Thompson
from penchant.simulation.arrivals import (
    Arrivals,
    ArrivalsConfig,
    arrivals_of,
    simulated_arrivals,
)

FEW = ArrivalsConfig(num_people=5, num_tasks=4, num_options=4, num_features=3)

GREEDY = Contender(name="x", rule=Greedy())


def worlds(config=FEW, num=3):
    return [simulated_arrivals(config, np.random.default_rng(seed)) for seed in range(num)]


def test_real_people_take_on_arrival_what_they_took_in_the_data():
    trips = swissmetro()
    trips = trips.take(np.arange(0, len(trips), 40))
    encoder = TableEncoder("option + time + cost").fit(trips)
    batch = encoder.encode(trips)
    arrivals = arrivals_of(batch)
    assert len(arrivals) == len(trips)
    shown = arrivals.features[arrivals.offered]
    np.testing.assert_allclose(shown.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(shown.std(axis=0), 1.0)
    assert (arrivals.features[~arrivals.offered] == 0).all()
    taken = np.asarray(trips.rows["chosen"])
    np.testing.assert_array_equal(arrivals.chosen, taken)
    np.testing.assert_array_equal(arrivals.offered.sum(axis=1), trips.menu_sizes)
    with pytest.raises(DataError, match="expected choices"):
        arrivals_of(replace(batch, blocks=(replace(batch.blocks[0], kind="ranking"),)))


def test_another_order_keeps_each_persons_rounds_together_and_in_order():
    world = simulated_arrivals(FEW, np.random.default_rng(0))
    other = world.in_another_order(np.random.default_rng(1), 4)
    assert other.num_people == 4
    people = other.person[::4]
    np.testing.assert_array_equal(other.person, np.repeat(people, 4))
    assert (people != np.sort(people)).any()
    for p in people:
        np.testing.assert_array_equal(
            other.chosen[other.person == p], world.chosen[world.person == p]
        )


def test_simulated_people_take_options_as_often_as_they_are_said_to():
    config = ArrivalsConfig(num_people=400, num_tasks=10, num_options=3, num_features=2)
    world = simulated_arrivals(config, np.random.default_rng(0))
    np.testing.assert_allclose(world.share.sum(axis=1), 1.0)
    hit = np.zeros_like(world.share)
    hit[np.arange(4000), world.chosen] = 1.0
    for level in (0.1, 0.5, 0.8):
        near = np.abs(world.share - level) < 0.05
        error = 4 * np.sqrt(level * (1 - level) / near.sum())
        assert abs((hit - world.share)[near].mean()) < error


def test_what_is_earned_is_counted_by_whoever_knows_it():
    """Two options, one always taken: an order of one feature alone."""
    features = np.tile(np.array([[1.0], [-1.0]]), (30, 1, 1))
    world = Arrivals(
        features=features, offered=np.ones((30, 2), dtype=bool),
        person=np.arange(30), chosen=np.zeros(30, dtype=np.int64),
    )  # fmt: skip
    earned = follow(world, Contender(name="g", rule=Greedy())).earned
    assert set(earned[1:]) == {1.0}
    share = np.tile([0.7, 0.3], (30, 1))
    known = follow(replace(world, share=share), Contender(name="g", rule=Greedy())).earned
    np.testing.assert_allclose(known[1:], 0.0)
    random = follow(
        replace(world, share=share), Contender(name="r", rule=EpsilonGreedy(epsilon=1.0)), seed=3
    ).earned
    assert set(np.round(random, 12)) == {0.0, -0.4}


def test_gains_are_paired_and_the_first_stands_beside_itself():
    contenders = [Contender(name=t, rule=Thompson(), told=t) for t in ("click", "pick")]
    found = compare_arrivals(worlds(), contenders)
    by_hand = np.array([[follow(w, c, seed=s).earned.mean() for s, w in enumerate(worlds())]
                        for c in contenders])  # fmt: skip
    first, second = found.standings
    np.testing.assert_allclose([first.earned, second.earned], by_hand.mean(axis=1))
    assert (first.gain, first.gain_low, first.gain_high) == (0.0, 0.0, 0.0)
    gaps = by_hand[1] - by_hand[0]
    assert second.gain == pytest.approx(gaps.mean())
    # Three worlds: Student's law with two degrees of freedom.
    reach = 4.3027 * gaps.std(ddof=1) / np.sqrt(3)
    assert second.gain_high - second.gain == pytest.approx(reach, rel=1e-3)
    assert second.curve[-1] == pytest.approx(second.earned)
    assert found.rounds[-1] == 20


def test_picks_teach_more_than_clicks_about_real_travellers():
    """As in recipes/picks_beat_clicks.py, with fewer of them."""
    trips = swissmetro()
    encoder = TableEncoder("option + time + cost + headway").fit(trips)
    arrivals = arrivals_of(encoder.encode(trips))
    orders = [arrivals.in_another_order(np.random.default_rng(s), 12) for s in range(2)]
    contenders = [Contender(name=t, rule=Thompson(), told=t) for t in ("click", "pick")]
    found = compare_arrivals(orders, contenders)
    assert found.standings[1].gain_low > 0


def test_the_page_names_who_earned_what_and_carries_strangers_names_safely():
    contenders = [
        Contender(name="<b>click</b>", rule=Thompson(), told="click"),
        Contender(name="pick", rule=Thompson()),
    ]
    found = compare_arrivals(worlds(num=2), contenders)
    page = render_arrivals(found, "a & b")
    assert "<b>click" not in page
    assert "&lt;b&gt;click" in page
    assert "a &amp; b" in page
    assert f"{found.standings[1].earned:.3f}".lstrip("-") in page
    assert curves_picture(found).count("<polyline") == 2
    # Bands end where nothing more can be earned.
    wide, wider = (
        replace(
            found.standings[1],
            curve_low=(-far,) * len(found.rounds), curve_high=(far,) * len(found.rounds),
        )
        for far in (2.0, 9.0)
    )  # fmt: skip
    assert curves_picture(replace(found, standings=(found.standings[0], wide))) == curves_picture(
        replace(found, standings=(found.standings[0], wider))
    )
    sure = replace(found.standings[1], gain=0.1, gain_low=0.05, gain_high=0.15)
    assert "earns more" in lead(replace(found, standings=(found.standings[0], sure)))[0]
    open_ = replace(sure, gain_low=-0.05)
    assert "told apart" in lead(replace(found, standings=(found.standings[0], open_)))[0]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Contender(name="x", rule=Greedy(), told="thumb"), "pick, clicks, click"),
        (lambda: compare_arrivals(worlds(num=1), [GREEDY]), "two worlds"),
        (lambda: compare_arrivals(worlds(), [GREEDY, GREEDY]), "of their own"),
        (lambda: ArrivalsConfig(num_options=1), "two or more options"),
    ],
)
def test_what_cannot_be_compared_is_refused(make, said):
    with pytest.raises(ConfigError, match=said):
        make()


def test_a_round_that_cannot_be_paid_shows_nothing_and_earns_nothing():
    """Two options at 1 and 2 each, a budget of 3: where only the dear one is wanted it is shown
    once, then the cheap one, then nothing."""
    features = np.tile(np.array([[1.0], [-1.0]]), (30, 1, 1))
    world = Arrivals(
        features=features, offered=np.ones((30, 2), dtype=bool), person=np.arange(30),
        chosen=np.zeros(30, dtype=np.int64), cost=np.tile([2.0, 1.0], (30, 1)),
    )  # fmt: skip
    spender = Contender(name="s", rule=EpsilonGreedy(epsilon=1.0), told="click", budget=3.0)
    found = follow(world, spender, seed=1)
    assert found.spent.sum() == 3.0
    assert (found.spent[np.flatnonzero(found.spent)[-1] + 1 :] == 0).all()
    np.testing.assert_array_equal(found.earned, found.spent == 2.0)
    share = np.tile([0.7, 0.3], (30, 1))
    known = follow(replace(world, share=share), spender, seed=1)
    np.testing.assert_allclose(known.earned, np.choose(found.spent.astype(int), [-0.7, -0.4, 0.0]))
    with pytest.raises(ConfigError, match="expected click"):
        replace(spender, told="pick")
    with pytest.raises(ConfigError, match="--cost COLUMN"):
        follow(replace(world, cost=None), spender)


def test_rounds_in_which_nothing_can_be_paid_count_for_the_pace_as_well(monkeypatch):
    told, after = [], Pacing.after
    monkeypatch.setattr(Pacing, "after", lambda self, cost: told.append(cost) or after(self, cost))
    world = Arrivals(
        features=np.ones((12, 2, 1)), offered=np.ones((12, 2), dtype=bool), person=np.arange(12),
        chosen=np.zeros(12, dtype=np.int64), cost=np.ones((12, 2)),
    )  # fmt: skip
    found = follow(world, Contender(name="s", rule=Greedy(), told="click", budget=4.0))
    assert told == found.spent.tolist()
    assert found.spent.sum() == 4.0


def test_a_classification_is_learnt_by_whoever_hears_whether_the_front_was_right():
    config = ArrivalsConfig(num_people=60, num_tasks=5, num_options=3, num_features=2,
                            taste_scale=2.0, person_scale=0.1, is_labelled=True)  # fmt: skip
    world = simulated_arrivals(config, np.random.default_rng(0))
    own = world.features.reshape(300, 3, 3, 3)
    for arm in range(3):
        # An option has its own weights alone, on the attributes and a 1.
        np.testing.assert_array_equal(own[:, arm, arm, 2], 1.0)
        assert not own[:, arm, [k for k in range(3) if k != arm]].any()
    found = follow(world, Contender(name="kl", rule=InverseGapLoss(gamma=50.0), told="click"))
    assert found.earned[150:].mean() > -0.1 > found.earned[:20].mean()


def test_people_of_a_kind_choose_alike_and_curves_bend_worths():
    config = ArrivalsConfig(num_people=300, num_tasks=5, num_kinds=2, person_scale=0.0,
                            taste_scale=3.0, num_options=2, num_features=1)  # fmt: skip
    world = simulated_arrivals(config, np.random.default_rng(1))
    gap = world.features[:, 0, 0] - world.features[:, 1, 0]
    odds = np.log(world.share[:, 0] / world.share[:, 1]) / gap
    assert len(np.unique(odds.round(6))) == 2
    plain = ArrivalsConfig(num_people=300, num_tasks=5, taste_scale=0.0, person_scale=0.0,
                           num_options=2, num_features=1)  # fmt: skip
    bent = simulated_arrivals(replace(plain, curve_scale=2.0), np.random.default_rng(1))
    apart = (bent.features**2)[:, 0, 0] - (bent.features**2)[:, 1, 0]
    odds = np.log(bent.share[:, 0] / bent.share[:, 1]) / apart
    assert np.ptp(odds) < 1e-6
    assert abs(odds[0]) > 0.1
