"""Who is judged by what: no person on both sides, no judged answer ever known."""

import dataclasses

import numpy as np
import pytest

from evaluation.market_shares import MarketShares, make_records, names_chosen
from penchant.data.splits import known_people_folds
from penchant.errors import ConfigError
from penchant.evaluation.comparison import paired_difference
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.few_shot import few_shot_points, predict_after_answers
from penchant.evaluation.known_people import predict_known_people
from penchant.evaluation.ladder import differences_from, judge, ladder_of, ladder_row
from penchant.evaluation.predictions import predict
from penchant.evaluation.report import LadderRow

RECORDS = make_records()
SERIAL_OF = {serial: (person, name) for person, name, serial in names_chosen(RECORDS)}


class Spies:
    """Makes estimators and keeps them, so that what each was told can be looked at."""

    def __init__(self, strength=0.0):
        self.strength, self.made = strength, []

    def __call__(self):
        self.made.append(MarketShares(self.strength))
        return self.made[-1]


def people_of(serials):
    return {SERIAL_OF[serial][0] for serial in serials}


def test_new_people_are_new_and_everybody_is_judged_once():
    spies = Spies()
    predictions = cross_validate(spies, RECORDS, num_folds=4)
    assert len(spies.made) == 4
    judged = []
    for spy in spies.made:
        assert not {p for p, _, _ in spy.seen["fit"]} & people_of(spy.seen["judged"])
        assert spy.seen["history"] == [[]]
        judged += spy.seen["judged"]
    assert sorted(judged) == list(range(len(RECORDS)))
    np.testing.assert_array_equal(predictions.row, np.arange(len(RECORDS)))
    for fold, spy in enumerate(spies.made):
        np.testing.assert_array_equal(
            predictions.row[predictions.fold == fold], sorted(spy.seen["judged"])
        )


def test_known_people_show_their_first_answers_and_no_later_one():
    spies = Spies()
    predictions = predict_known_people(spies, RECORDS, num_known=3, num_folds=5)
    assert len(predictions) == 30 * 2
    for spy in spies.made:
        judged = set(spy.seen["judged"])
        fitted = {serial for _, _, serial in spy.seen["fit"]}
        (history,) = spy.seen["history"]
        revealed = {serial for _, _, serial in history}
        assert not judged & fitted
        assert not judged & revealed
        assert revealed <= fitted
        assert {p for p, _, _ in history} == people_of(judged)
        for person in people_of(judged):
            mine = [s for s in range(len(RECORDS)) if SERIAL_OF[s][0] == person]
            assert sorted(s for s in revealed if SERIAL_OF[s][0] == person) == mine[:3]
            assert sorted(s for s in judged if SERIAL_OF[s][0] == person) == mine[3:]
        others = set(range(len(RECORDS))) - judged - revealed
        assert others == fitted - revealed


def test_the_history_reaches_the_prediction():
    deaf = predict_known_people(lambda: MarketShares(), RECORDS, num_known=3)
    listening = predict_known_people(lambda: MarketShares(2.0), RECORDS, num_known=3)
    assert listening.nll().estimate < deaf.nll().estimate - 0.1


def test_after_k_answers_just_these_are_known_of_people_never_met():
    spies = Spies(1.0)
    curve = predict_after_answers(spies, RECORDS, num_known=3, num_folds=3)
    assert len(curve) == 4
    assert len(spies.made) == 3
    for spy in spies.made:
        judged = set(spy.seen["judged"])
        assert not {p for p, _, _ in spy.seen["fit"]} & people_of(judged)
        for answers, history in enumerate(spy.seen["history"]):
            for person in people_of(judged):
                mine = [s for s in range(len(RECORDS)) if SERIAL_OF[s][0] == person]
                known = sorted(s for p, _, s in history if p == person)
                assert known == mine[:answers]
            assert {p for p, _, _ in history} <= people_of(judged)
            assert not judged & {s for _, _, s in history}
    same = predict_known_people(Spies(), RECORDS, num_known=3, num_folds=3)
    for each in curve:
        np.testing.assert_array_equal(each.row, same.row)
    points = few_shot_points(curve)
    assert [point.answers for point in points] == [0, 1, 2, 3]
    assert points[3].nll < points[0].nll
    assert all(point.low < point.nll < point.high for point in points)


def test_the_ladder_stands_on_the_same_folds():
    told = []
    judged = judge(
        {"shares": lambda: MarketShares(), "habits": lambda: MarketShares(2.0)},
        RECORDS,
        num_folds=3,
        num_known=3,
        on_fold=lambda *step: told.append(step),
    )
    ladder = ladder_of(judged)
    assert [(row.model, row.split) for row in ladder] == [
        ("shares", "new_people"),
        ("shares", "known_people"),
        ("habits", "new_people"),
        ("habits", "known_people"),
    ]
    assert told == [(row.model, row.split, fold) for row in ladder for fold in range(3)]
    shares, _, habits, _ = ladder
    assert shares.nll == habits.nll
    assert ladder[3].nll < ladder[1].nll
    alone = cross_validate(lambda: MarketShares(), RECORDS, num_folds=3)
    assert ladder_row("shares", "new_people", alone) == shares
    folds = judged["habits", "new_people"].fold
    np.testing.assert_array_equal(folds, judged["shares", "new_people"].fold)


def test_the_ladder_hands_its_seed_and_folds_on():
    found = judge({"habits": lambda: MarketShares(2.0)}, RECORDS, num_folds=4, num_known=2, seed=7)
    new = cross_validate(lambda: MarketShares(2.0), RECORDS, 4, 7)
    known = predict_known_people(lambda: MarketShares(2.0), RECORDS, 2, 4, 7)
    np.testing.assert_array_equal(found["habits", "new_people"].fold, new.fold)
    np.testing.assert_array_equal(found["habits", "known_people"].fold, known.fold)


def test_a_row_of_the_ladder_says_what_the_predictions_are():
    predictions = cross_validate(lambda: MarketShares(), RECORDS)
    row = ladder_row("shares", "new_people", predictions)
    assert isinstance(row, LadderRow)
    assert dataclasses.asdict(row) == {
        "model": "shares",
        "split": "new_people",
        "nll": predictions.nll().estimate,
        "nll_low": predictions.nll().low,
        "nll_high": predictions.nll().high,
        "accuracy": predictions.accuracy().estimate,
        "ece": predictions.ece(),
        "people": 30,
        "choices": 150,
    }
    assert row.nll_low < row.nll < row.nll_high


def test_a_split_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="'new_people' or 'known_people'"):
        judge({"shares": lambda: MarketShares()}, RECORDS, splits=("newpeople",))


def test_another_seed_gives_other_folds_and_the_same_seed_the_same():
    one, again, other = (
        cross_validate(lambda: MarketShares(), RECORDS, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.fold, again.fold)
    assert (one.fold != other.fold).any()


def test_predicting_with_the_folds_by_hand_is_the_same():
    split = known_people_folds(RECORDS, 3, 5, 0)[2]
    by_hand = predict(
        MarketShares(1.0).fit(RECORDS.take(split.train)), RECORDS, split.test, 2, split.history
    )
    whole = predict_known_people(lambda: MarketShares(1.0), RECORDS, num_known=3)
    np.testing.assert_array_equal(whole.losses[whole.fold == 2], by_hand.losses)


def test_a_ladder_tells_how_far_each_model_is_from_the_reference_on_the_same_choices():
    models = {"plain": lambda: MarketShares(), "habits": lambda: MarketShares(2.0)}
    judged = judge(models, RECORDS, num_folds=3, num_known=2)
    found = differences_from("plain", judged)
    assert [(gap.model, gap.split) for gap in found] == [
        ("habits", "new_people"), ("habits", "known_people")
    ]  # fmt: skip
    for gap in found:
        paired = paired_difference(judged["habits", gap.split], judged["plain", gap.split])
        assert (gap.value, gap.low, gap.high) == (paired.estimate, paired.low, paired.high)
    nll = {row.model: row.nll for row in ladder_of(judged) if row.split == "known_people"}
    assert found[1].value == pytest.approx(nll["habits"] - nll["plain"])
    assert differences_from("not judged", judged) == ()
