"""Answers that are no choice, judged: whole, in parts, blind, and in the order of the rows."""

import math
from dataclasses import replace

import numpy as np
import pytest

from penchant.data.records import Records, concat
from penchant.errors import DataError
from penchant.evaluation.answers import judged_answers
from penchant.evaluation.cross_validation import cross_validate
from penchant.evaluation.few_shot import few_shot_gains, predict_after_answers
from penchant.evaluation.predictions import blinded, is_choices, joined, predict
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.latent_class_logit import LatentClassLogit

CUTS = np.array([-1.0, 0.3, 1.5])
PEOPLE, TASKS = 30, 6


def made(kind, seed=0, spread=0.0, num_people=PEOPLE):
    """Menus of three with one feature, answered in the way asked for by people who differ."""
    rng = np.random.default_rng(seed)
    num = num_people * TASKS
    person = np.repeat(np.arange(num_people), TASKS)
    size = 2 if kind in ("pair", "graded") else 3
    x = rng.normal(size=(num, size))
    taste = 1.0 + spread * rng.choice([-1.0, 1.0], size=num_people)[person]
    worth = x * taste[:, None]
    order = np.argsort(-(worth + rng.gumbel(size=worth.shape)), axis=1)
    felt = worth + rng.logistic(size=worth.shape)
    gap = worth[:, 0] - worth[:, -1] + rng.logistic(size=num)
    options = {"option": np.tile(["a", "b", "c"][:size], (num, 1)), "x": x}
    rows = {"person": [f"p{p}" for p in person]}
    if kind == "choice":
        rows["chosen"] = order[:, 0]
    elif kind == "ranking":
        options["rank"] = np.argsort(order, axis=1) + 1
    elif kind == "rating":
        options["level"] = (felt[:, :, None] > CUTS).sum(axis=2)
    elif kind == "approval":
        options["approved"] = felt > 0.4
    elif kind == "best_worst":
        rows |= {"best": order[:, 0], "worst": order[:, 2]}
    elif kind == "pair":
        rows["outcome"] = np.where(np.abs(gap) < 0.6, 2, np.where(gap > 0, 0, 1))
    elif kind == "graded":
        rows["grade"] = (gap[:, None] > np.array([-2.0, -0.5, 0.5, 2.0])).sum(axis=1)
    else:
        options["value"] = worth + 0.5 * rng.normal(size=worth.shape)
    records = Records.from_arrays(options=options, rows=rows, kind=kind)
    return replace(records, scale=("1", "2", "3", "4")) if kind == "rating" else records


KINDS = ("ranking", "rating", "approval", "best_worst", "pair", "graded", "outcome")


def judged(kind, **options):
    records = made(kind, **options)
    fitted = ConditionalLogit("x").fit(records)
    return records, fitted, predict(fitted, records, np.arange(len(records)), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_lost_is_the_log_probability_of_the_whole_answer(kind):
    records, fitted, predictions = judged(kind)
    assert not is_choices(records)
    assert predictions.nll().estimate == pytest.approx(-fitted.score(records), rel=1e-12)
    np.testing.assert_array_equal(predictions.row, np.arange(len(records)))
    assert predictions.num_people == PEOPLE


def test_a_ranking_by_hand():
    records, fitted, predictions = judged("ranking")
    beta = fitted.belief_.theta[0]
    rank = records.options["rank"].to_numpy().reshape(-1, 3)
    worth = beta * records.options["x"].to_numpy().reshape(-1, 3)
    for b in range(5):
        v = np.exp(worth[b][np.argsort(rank[b])])
        first = v[0] / v.sum()
        assert predictions.losses[b] == pytest.approx(-math.log(first * v[1] / (v[1] + v[2])))
        assert predictions.question_losses[b] == pytest.approx(-math.log(first))
        assert predictions.hits[b] == (np.argmax(worth[b]) == np.argmin(rank[b]))
    assert np.isnan(predictions.error().estimate)


def test_ratings_by_hand():
    records, fitted, predictions = judged("rating")
    beta, first, *steps = fitted.belief_.theta
    cuts = np.cumsum([first, *np.exp(steps)])
    below = 1.0 / (1.0 + np.exp(beta * records.options["x"].to_numpy()[:, None] - cuts))
    num = len(below)
    p = np.diff(np.concatenate([np.zeros((num, 1)), below, np.ones((num, 1))], axis=1), axis=1)
    level = records.options["level"].to_numpy()
    np.testing.assert_allclose(predictions.probabilities, p.ravel(), rtol=1e-9)
    np.testing.assert_array_equal(predictions.chosen, level)
    loss = -np.log(p[np.arange(num), level])
    np.testing.assert_allclose(predictions.losses, loss.reshape(-1, 3).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(predictions.question_losses, loss.reshape(-1, 3).mean(axis=1))
    right = (np.argmax(p, axis=1) == level).reshape(-1, 3).mean(axis=1)
    np.testing.assert_allclose(predictions.hits, right)
    off = np.abs(p @ [1, 2, 3, 4] - (level + 1)).reshape(-1, 3).mean(axis=1)
    np.testing.assert_allclose(predictions.distance, off)


def test_best_and_worst_are_two_questions_and_a_number_is_none():
    _, _, predictions = judged("best_worst")
    assert len(predictions.chosen) == 2 * len(predictions)
    assert set(np.unique(predictions.hits)) <= {0.0, 0.5, 1.0}
    _, fitted, numbers = judged("outcome")
    assert len(numbers.chosen) == 0
    assert np.isnan(numbers.accuracy().estimate)
    assert np.isnan(numbers.ece())
    sigma = float(np.exp(fitted.belief_.theta[-1]))
    assert numbers.error().estimate == pytest.approx(sigma * math.sqrt(2 / math.pi), rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_of_every_kind_are_calibrated_where_the_model_is_true(kind):
    _, _, predictions = judged(kind, num_people=200)
    if kind != "outcome":
        assert predictions.ece() < 0.05
        assert predictions.hits.mean() > 0.35


def test_the_encoder_sees_no_answer():
    for kind in (*KINDS, "choice"):
        blind = blinded(made(kind))
        answers = {"chosen", "best", "worst", "outcome", "grade", "rank", "level", "approved",
                   "success", "value"}  # fmt: skip
        for table in (blind.rows, blind.options):
            for name in answers & set(table.column_names):
                assert table[name].null_count == len(table), name

    class Spy(ConditionalLogit):
        def encode(self, data):
            seen.append(data.options["level"].null_count)
            return super().encode(data)

    seen: list[int] = []
    records = made("rating")
    fitted = Spy("x").fit(records)
    judged_answers(fitted, records, blinded(records), None)
    assert seen == [records.options.num_rows, 0]
    # The features are those of the blind records: what the second look sees only adds the answers.
    swapped = blinded(records).with_columns(options={"x": np.zeros(records.options.num_rows)})
    flat = judged_answers(fitted, records, swapped, None)
    np.testing.assert_allclose(flat.probabilities[:4], flat.probabilities[4:8])


def test_folds_joined_are_in_the_order_of_the_rows_whatever_was_asked():
    records = concat([made("rating"), made("best_worst"), made("choice"), made("outcome")])
    fitted = ConditionalLogit("x").fit(records)
    whole = predict(fitted, records, np.arange(len(records)), 0)
    odd = predict(fitted, records, np.arange(1, len(records), 2), 1)
    even = predict(fitted, records, np.arange(0, len(records), 2), 2)
    both = joined([odd, even])
    names = ("row", "person", "weight", "chosen", "offsets", "question", "whole", "distance")
    for name in names:
        np.testing.assert_array_equal(getattr(both, name), getattr(whole, name))
    np.testing.assert_allclose(both.probabilities, whole.probabilities, rtol=1e-12)
    kinds = records.kinds[records.kind_codes]
    for kind in ("rating", "choice"):
        mine = whole.take(np.flatnonzero(kinds == kind))
        alone = predict(fitted, records, np.flatnonzero(kinds == kind), 0)
        np.testing.assert_array_equal(mine.question, alone.question)
        assert mine.ece() == pytest.approx(alone.ece())
        assert mine.accuracy() == alone.accuracy()


def test_answers_without_a_likelihood_or_that_nobody_gave_are_told():
    records = made("rating")
    level = records.options["level"].to_numpy()
    low = records.with_columns(options={"level": np.minimum(level, 2)})
    fitted = ConditionalLogit("x").fit(low)
    with pytest.raises(DataError, match="take fewer folds"):
        predict(fitted, records, np.arange(len(records)), 0)
    unknown = records.with_columns(
        options={"level": np.where(np.arange(len(level)) < 3, -1, level)}
    )
    with pytest.raises(DataError, match="no answer"):
        predict(fitted, unknown, np.arange(3), 0)


@pytest.mark.parametrize("kind", ["ranking", "rating"])
def test_new_people_are_foretold_and_their_answers_help(kind):
    records = made(kind, spread=2.0, num_people=60)
    whole = cross_validate(lambda: ConditionalLogit("x"), records, num_folds=3)
    assert len(whole) == len(records)
    curve = predict_after_answers(
        lambda: LatentClassLogit("x", num_starts=2), records, num_known=3, num_folds=2
    )
    gains = few_shot_gains(curve)
    assert gains[3].high < -0.05
    assert gains[3].estimate < gains[1].estimate < 0
