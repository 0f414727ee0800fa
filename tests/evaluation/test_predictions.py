"""Predictions: blind, checked, in order, and scored as by hand."""

import dataclasses
import math

import numpy as np
import pytest

from evaluation.market_shares import MarketShares, make_records
from penchant.data.records import Records
from penchant.errors import DataError
from penchant.evaluation.predictions import blinded, chosen_options, joined, predict
from penchant.metrics.calibration import expected_calibration_error

RECORDS = make_records()


def test_the_estimator_sees_no_answer():
    model = MarketShares().fit(RECORDS)
    predict(model, RECORDS, np.arange(10), 0)
    assert model.seen["answers"] == [None] * 10
    assert blinded(RECORDS).options is RECORDS.options


def test_folds_joined_are_in_the_order_of_the_rows():
    model = MarketShares().fit(RECORDS)
    whole = predict(model, RECORDS, np.arange(len(RECORDS)), 0)
    odd = predict(model, RECORDS, np.arange(1, len(RECORDS), 2), 1)
    even = predict(model, RECORDS, np.arange(0, len(RECORDS), 2), 2)
    both = joined([odd, even])
    for name in ("row", "person", "weight", "chosen", "offsets", "probabilities"):
        np.testing.assert_array_equal(getattr(both, name), getattr(whole, name))
    np.testing.assert_array_equal(both.fold, 2 - np.arange(len(RECORDS)) % 2)


def test_scores_are_weighted_and_as_by_hand():
    predictions = predict(MarketShares().fit(RECORDS), RECORDS, np.arange(len(RECORDS)), 0)
    weight = RECORDS.rows["weight"].to_numpy()
    losses, hits, per_option = [], [], []
    for b, row in enumerate(RECORDS.rows.to_pylist()):
        menu = predictions.probabilities[RECORDS.offsets[b] : RECORDS.offsets[b + 1]]
        losses.append(-math.log(menu[row["chosen"]]))
        hits.append((menu[row["chosen"]] == menu.max()) / (menu == menu.max()).sum())
        per_option += [(p, k == row["chosen"], weight[b]) for k, p in enumerate(menu)]
    assert predictions.nll().estimate == pytest.approx(np.average(losses, weights=weight))
    assert predictions.accuracy().estimate == pytest.approx(np.average(hits, weights=weight))
    np.testing.assert_allclose(predictions.log_prob, -np.array(losses))
    said, happened, mass = (np.array(each, dtype=float) for each in zip(*per_option, strict=True))
    by_hand = expected_calibration_error(said, happened, mass)
    assert predictions.ece() == pytest.approx(by_hand)
    assert predictions.ece() != pytest.approx(expected_calibration_error(said, happened))
    assert predictions.num_people == 30


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda said: said[:-1], "expected \\(\\d+,\\)"),
        (lambda said: said * 1.1, "sum to 1"),
        (lambda said: np.where(said == said[3], np.nan, said), "sum to 1"),
        (lambda said: said + np.array([1.0, -1.0] + [0.0] * (len(said) - 2)), "sum to 1"),
    ],
)
def test_what_are_no_probabilities_is_refused(spoil, says):
    class Spoilt(MarketShares):
        def predict_proba(self, records, history=None):
            return spoil(super().predict_proba(records, history))

    with pytest.raises(DataError, match=says):
        predict(Spoilt().fit(RECORDS), RECORDS, np.arange(len(RECORDS)), 0)


def test_a_pairs_winner_is_its_choice_and_a_tie_is_refused():
    pairs = Records.from_arrays(
        options={"option": ["a", "b"] * 3},
        rows={"outcome": [0, 1, 1]},
        menu_sizes=np.array([2, 2, 2]),
        kind="pair",
    )
    assert chosen_options(pairs).tolist() == [0, 1, 1]
    tied = pairs.with_columns(rows={"outcome": [0, 2, 1]})
    with pytest.raises(DataError, match=r"observation 1 .*'pair' with no single winner .*1 of 3"):
        chosen_options(tied)
    with pytest.raises(DataError, match="3 of 3"):
        chosen_options(blinded(pairs))


def test_a_person_without_a_name_is_a_person_of_their_own():
    rows = RECORDS.rows.to_pylist()
    people = [None if b < 4 else row["person"] for b, row in enumerate(rows)]
    records = RECORDS.with_columns(rows={"person": people})
    predictions = predict(MarketShares().fit(records), records, np.arange(4), 0)
    assert predictions.num_people == 4
    assert dataclasses.is_dataclass(predictions)
