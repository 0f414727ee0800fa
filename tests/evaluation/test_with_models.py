"""Evaluation with the library's own estimators on real choices."""

import numpy as np
import pytest

from penchant.data.samples import swissmetro
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.few_shot import few_shot_points, predict_after_answers
from penchant.models.conditional_logit import ConditionalLogit

ONE_TASTE = "option + time/100 + cost/100 + headway/100 + seats"


def test_one_taste_costs_0_801_nats_on_new_swiss_travellers():
    predictions = cross_validate(lambda: ConditionalLogit(ONE_TASTE), swissmetro())
    assert predictions.nll().estimate == pytest.approx(0.801, abs=0.002)
    assert predictions.nll().low < 0.801 - 0.02 < 0.801 + 0.02 < predictions.nll().high


def test_a_level_that_one_fold_alone_has_stops_no_judgement():
    records = swissmetro().take(np.arange(900))
    purpose = records.rows["purpose"].to_pylist()
    alone = ["pilgrimage" if b < 9 else word for b, word in enumerate(purpose)]
    predictions = cross_validate(
        lambda: ConditionalLogit(f"{ONE_TASTE} + time:purpose"),
        records.with_columns(rows={"purpose": alone}),
    )
    assert len(predictions) == 900


def test_one_taste_for_all_learns_nothing_from_a_person():
    records = swissmetro().take(np.arange(1800))
    curve = predict_after_answers(lambda: ConditionalLogit(ONE_TASTE), records, num_known=2)
    points = few_shot_points(curve)
    assert points[0].nll == pytest.approx(points[2].nll, abs=1e-12)
