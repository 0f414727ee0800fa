"""The table of a fit, in every form, and the estimators that are thin pages on `fit_pooled`."""

import dataclasses
import json
import math

import numpy as np
import pytest

from penchant.beliefs.belief import Belief
from penchant.data.records import Records
from penchant.errors import ConfigError, DataError, NotFittedError
from penchant.models.best_worst import BestWorst
from penchant.models.bradley_terry import BradleyTerry
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.estimator import first_factor
from penchant.models.nested_logit import NestedLogit, nest_numbers
from penchant.models.plackett_luce import PlackettLuce
from penchant.models.summary import likelihood_ratio, summarise

SCORES = {"a": 0.0, "b": 1.0, "c": -0.5, "d": 0.4}


def choices(rng, num_people=60, num_tasks=4):
    shape = (num_people * num_tasks, 3)
    x = rng.normal(size=shape)
    return Records.from_arrays(
        options={"option": np.tile(["a", "b", "c"], (shape[0], 1)), "x": x},
        rows={
            "person": np.repeat([f"p{i}" for i in range(num_people)], num_tasks),
            "chosen": (x + rng.gumbel(size=shape)).argmax(axis=1),
        },
    )


@pytest.fixture(scope="module")
def fitted():
    return ConditionalLogit("option + x").fit(choices(np.random.default_rng(0)))


def test_every_form_of_the_table_holds_every_estimate(fitted):
    summary = fitted.summary()
    for form in (summary.text(), summary.markdown(), summary.latex(), summary.html()):
        for coefficient in summary.coefficients:
            assert f"{coefficient.estimate:.4g}" in form
        assert f"{fitted.belief_.report.log_likelihood:.3f}" in form
    assert r"option[b]" in summary.text()
    assert summary.latex().count(r"\\") >= len(summary.coefficients) + 1
    assert json.loads(json.dumps(summary.plain()))["fit"]["converged"] is True


def test_z_p_and_intervals_follow_from_the_robust_error(fitted):
    belief = fitted.belief_
    for place, c in enumerate(fitted.summary().coefficients):
        robust = math.sqrt(belief.robust_covariance[place, place])
        assert c.robust_se == pytest.approx(robust)
        assert c.se == pytest.approx(math.sqrt(belief.covariance[place, place]))
        assert c.z == pytest.approx(c.estimate / robust)
        assert c.p == pytest.approx(math.erfc(abs(c.z) / math.sqrt(2)))
        assert (c.low + c.high) / 2 == pytest.approx(c.estimate)
        assert c.high - c.low == pytest.approx(2 * 1.959964 * robust, rel=1e-6)


def test_with_no_more_people_than_parameters_intervals_trust_the_model():
    """Their scores add up to zero: the sandwich would be sure of some combination, of one person's
    of all."""
    for people in (1, 3):
        records = choices(np.random.default_rng(0), num_people=people, num_tasks=80)
        model = ConditionalLogit("option + x").fit(records)
        for c, variance in zip(model.summary().coefficients, np.diag(model.belief_.covariance)):
            assert math.isnan(c.robust_se)
            assert c.z == pytest.approx(c.estimate / math.sqrt(variance))
            assert c.high - c.low == pytest.approx(2 * 1.959964 * c.se, rel=1e-6)
        (said,) = model.belief_.report.warnings
        assert "need more people than parameters" in said
        assert ("on 1 person:" if people == 1 else "on 3 people:") in said


def test_the_likelihood_ratio_of_a_column_of_noise_is_rarely_small():
    rng, small = np.random.default_rng(1), 0
    for _ in range(60):
        records = choices(rng, num_people=20)
        noise = records.with_columns(options={"noise": rng.normal(size=records.options.num_rows)})
        one = ConditionalLogit("option + x").fit(noise).belief_
        two = ConditionalLogit("option + x + noise").fit(noise).belief_
        test = likelihood_ratio(one, two)
        assert test.degrees == 1
        small += test.p < 0.1
    assert 1 <= small <= 15


def test_models_that_are_not_nested_are_refused(fitted):
    with pytest.raises(ConfigError, match="more parameters"):
        likelihood_ratio(fitted.belief_, fitted.belief_)


def test_before_fit_everything_but_parameters_is_refused():
    with pytest.raises(NotFittedError, match="fit"):
        ConditionalLogit("x").summary()


def test_parameters_are_read_and_set_by_name():
    model = ConditionalLogit("x", prior_scale=2.0)
    assert model.get_params()["prior_scale"] == 2.0
    assert model.set_params(formula="y").formula == "y"
    with pytest.raises(ConfigError, match="prior_scale"):
        model.set_params(prior=1.0)


def test_scikit_learn_can_clone_an_estimator():
    sklearn = pytest.importorskip("sklearn.base", reason="scikit-learn is not installed")
    copy = sklearn.clone(ConditionalLogit("x", prior_scale=2.0))
    assert copy.get_params() == ConditionalLogit("x", prior_scale=2.0).get_params()


def test_weights_of_the_wrong_length_are_refused():
    records = choices(np.random.default_rng(0))
    with pytest.raises(DataError, match="240 rows"):
        ConditionalLogit("x").fit(records, sample_weight=np.ones(3))


def test_what_is_not_data_is_refused():
    with pytest.raises(Exception, match=r"Records|records|data"):
        ConditionalLogit("x").fit([1, 2, 3])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "first"),
    [("x", "x"), ("x:y", "x"), ("log(a:b):c", "log(a:b)"), ("o[a:b]:c[d]", "o[a:b]")],
)
def test_the_first_factor_of_a_feature(name, first):
    assert first_factor(name) == first


def pairs(rng, num=3000):
    names = np.array(list(SCORES))
    shown = np.argsort(rng.random((num, 4)), axis=1)[:, :2]
    worth = np.array(list(SCORES.values()))[shown] + rng.gumbel(size=shown.shape)
    return Records.from_arrays(
        options={"option": names[shown]},
        rows={"person": [f"p{i % 100}" for i in range(num)], "outcome": worth.argmax(axis=1)},
        kind="pair",
    )


def rankings(rng, num=800):
    names = np.array(list(SCORES))
    shown = np.argsort(rng.random((num, 4)), axis=1)
    worth = np.array(list(SCORES.values()))[shown] + rng.gumbel(size=shown.shape)
    return names[shown], np.argsort(np.argsort(-worth, axis=1), axis=1) + 1


def check_scores(belief):
    assert belief.parameter_names[:3] == ("b", "c", "d")
    truth = np.array([SCORES[name] for name in "bcd"])
    z = (belief.theta[:3] - truth) / np.sqrt(np.diag(belief.covariance)[:3])
    assert np.all(np.abs(z) < 3.5)


def test_bradley_terry_finds_the_scores_whatever_the_order_of_the_rows():
    records = pairs(np.random.default_rng(2))
    model = BradleyTerry().fit(records)
    check_scores(model.belief_)
    turned = BradleyTerry().fit(records.take(np.arange(len(records))[::-1]))
    np.testing.assert_allclose(turned.belief_.theta, model.belief_.theta, atol=1e-8)


def test_plackett_luce_and_best_worst_find_the_scores():
    names, rank = rankings(np.random.default_rng(3))
    person = [f"p{i % 100}" for i in range(len(rank))]
    full = Records.from_arrays(
        options={"option": names, "rank": rank}, rows={"person": person}, kind="ranking"
    )
    check_scores(PlackettLuce().fit(full).belief_)
    ends = Records.from_arrays(
        options={"option": names},
        rows={"person": person, "best": rank.argmin(axis=1), "worst": rank.argmax(axis=1)},
        kind="best_worst",
    )
    found = BestWorst(model="sequential").fit(ends).belief_
    assert np.argsort(np.append(0.0, found.theta)).tolist() == [2, 0, 3, 1]


def test_an_item_that_the_fit_never_saw_is_named():
    records = pairs(np.random.default_rng(4), num=200)
    model = BradleyTerry().fit(records)
    strange = Records.from_arrays(
        options={"option": np.array([["a", "zebra"]])},
        rows={"person": ["p1"], "outcome": [0]},
        kind="pair",
    )
    with pytest.raises(DataError, match="zebra"):
        model.belief_.encode(strange)


def test_a_fitted_leaderboard_survives_its_folder(tmp_path):
    model = BradleyTerry(ties="davidson").fit(pairs(np.random.default_rng(5), num=300))
    model.save(tmp_path)
    loaded = Belief.load(tmp_path)
    np.testing.assert_array_equal(loaded.theta, model.belief_.theta)
    assert summarise(loaded, "again").text().startswith("again")


def test_nests_are_numbered_and_checked():
    assert nest_numbers({"rail": ("a", "b")}, ("c", "a", "b")) == (-1, 0, 0)
    with pytest.raises(ConfigError, match="two nests"):
        nest_numbers({"one": ("a", "b"), "two": ("b", "c")}, ("a", "b", "c"))
    with pytest.raises(ConfigError, match="'z'"):
        nest_numbers({"one": ("a", "z")}, ("a", "b"))
    with pytest.raises(ConfigError, match="got none"):
        NestedLogit("x").fit(choices(np.random.default_rng(0)))


def turned(records, names):
    """The same records as another file would give them: options listed in another order."""
    import pyarrow as pa

    words = pa.array(records.options["option"].to_pylist())
    codes = pa.array([names.index(word) for word in words.to_pylist()], pa.int32())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(names))
    return records.with_columns(options={"option": column})


def test_a_nest_stays_with_its_options_in_a_file_that_lists_them_in_another_order():
    records = choices(np.random.default_rng(6))
    model = NestedLogit("option + x", nests={"ab": ("a", "b")}).fit(records)
    other = turned(records, ["c", "b", "a"])
    np.testing.assert_allclose(model.predict_proba(other), model.predict_proba(records), atol=1e-12)


def test_pairs_and_rankings_have_probabilities_of_being_chosen():
    records = pairs(np.random.default_rng(7), num=300)
    theta = dict(zip("abcd", np.append(0.0, BradleyTerry().fit(records).belief_.theta)))
    first, second = np.array(records.options["option"].to_pylist()).reshape(-1, 2).T
    gap = np.array([theta[a] - theta[b] for a, b in zip(first, second, strict=True)])
    found = BradleyTerry().fit(records).predict_proba(records).reshape(-1, 2)
    np.testing.assert_allclose(found[:, 0], 1 / (1 + np.exp(-gap)), atol=1e-9)
    probit = BradleyTerry(link="probit").fit(records).predict_proba(records).reshape(-1, 2)
    np.testing.assert_allclose(probit.sum(axis=1), 1.0, atol=1e-9)
    assert np.abs(probit - found).max() > 1e-4
    tied = BradleyTerry(ties="davidson").fit(records).predict_proba(records).reshape(-1, 2)
    assert np.all(tied.sum(axis=1) < 1.0)
    names, rank = rankings(np.random.default_rng(8), num=100)
    full = Records.from_arrays(options={"option": names, "rank": rank}, rows={}, kind="ranking")
    chosen = PlackettLuce().fit(full).predict_proba(full).reshape(-1, 4)
    np.testing.assert_allclose(chosen.sum(axis=1), 1.0)


def test_features_in_another_order_are_refused():
    from dataclasses import replace

    records = choices(np.random.default_rng(9))
    model = ConditionalLogit("option + x").fit(records)
    batch = model.belief_.encode(records)
    ready = ConditionalLogit().fit(batch)
    with pytest.raises(DataError, match="same order"):
        ready.predict_proba(replace(batch, feature_names=batch.feature_names[::-1]))


def test_a_score_is_that_of_the_predictions_also_where_they_average_over_doubt():
    records = choices(np.random.default_rng(10), num_people=20)
    for draws in (0, 6):
        model = ConditionalLogit("option + x", doubt_draws=draws).fit(records)
        chosen = records.offsets[:-1] + np.asarray(records.rows["chosen"].to_numpy())
        predicted = np.log(model.predict_proba(records)[chosen]).mean()
        assert model.score(records) == pytest.approx(predicted, abs=1e-12)


def test_latex_keeps_what_the_fit_has_to_say():
    records = choices(np.random.default_rng(11), num_people=10)
    latex = ConditionalLogit("option + x").fit(records).summary().latex()
    assert "Robust errors rest on 10 people" in latex
    assert "<0.001" not in latex


def test_a_prior_leaves_fewer_parameters_to_the_data():
    records = choices(np.random.default_rng(12))
    free, held = (ConditionalLogit("option + x", prior_scale=s).fit(records) for s in (None, 0.05))
    assert free.belief_.report.effective_parameters is None
    assert 0 < held.belief_.report.effective_parameters < 2.9
    loose = ConditionalLogit("option + x", prior_scale=1e4).fit(records).belief_.report
    assert loose.effective_parameters == pytest.approx(3.0, abs=1e-4)
    assert loose.effective_aic == pytest.approx(free.belief_.report.aic, abs=1e-3)


def test_what_is_told_of_the_parameters_adds_up():
    """AIC and BIC are those of the parameters printed beside them, the effective ones of theirs."""
    records = choices(np.random.default_rng(13))
    for scale in (None, 0.05):
        summary = ConditionalLogit("option + x", prior_scale=scale).fit(records).summary()
        fit = summary.plain()["fit"]
        loss, penalty = -2 * fit["log_likelihood"], np.log(fit["rows"])
        assert fit["aic"] == pytest.approx(loss + 2 * fit["parameters"])
        assert fit["bic"] == pytest.approx(loss + penalty * fit["parameters"])
        assert ("effective AIC, BIC" in summary.text()) == (scale is not None)
        if scale is None:
            assert "effective_parameters" not in fit
            continue
        effective = fit["effective_parameters"]
        assert effective < fit["parameters"] - 0.5
        assert fit["effective_aic"] == pytest.approx(loss + 2 * effective)
        assert fit["effective_bic"] == pytest.approx(loss + penalty * effective)


def test_posterior_draws_are_told_by_their_spread_and_quantiles(fitted):
    rng = np.random.default_rng(0)
    draws = rng.gamma(2.0, size=(500, len(fitted.belief_.theta)))
    belief = dataclasses.replace(
        fitted.belief_, theta=draws.mean(axis=0), draws=draws, robust_covariance=None
    )
    summary = summarise(belief, "posterior")
    for c, own in zip(summary.coefficients, draws.T, strict=True):
        assert c.se == pytest.approx(own.std(ddof=1))
        assert np.mean((own > c.low) & (own < c.high)) == pytest.approx(0.95, abs=0.01)
        # The draws are skewed, and so is their interval.
        assert c.high - c.estimate > c.estimate - c.low
    assert "nan" not in summary.text()
