"""MixedLogit and ErrorComponents, as a user meets them."""

import numpy as np
import pytest

from penchant import swissmetro
from penchant.beliefs.belief import Belief
from penchant.data.records import Records
from penchant.errors import ConfigError
from penchant.models.conditional_logit import ConditionalLogit
from penchant.models.error_components import ErrorComponents
from penchant.models.mixed_logit import MixedLogit
from penchant.simulation.choices import SimulationConfig, simulate_choices

FORMULA = "option + I(time / 100) + I(cost / 100)"
TIME, COST = "I(time/100)", "I(cost/100)"


@pytest.fixture(scope="module")
def records():
    whole = swissmetro()
    people = np.array(whole.rows["person"].to_pylist(), dtype=object)
    kept = np.unique(people.astype(str))[:200]
    return whole.take(np.flatnonzero(np.isin(people.astype(str), kept)))


@pytest.fixture(scope="module")
def model(records):
    return MixedLogit(FORMULA, random={TIME: "normal", COST: "-lognormal"}, num_draws=200).fit(
        records
    )


def test_random_tastes_explain_swissmetro_better_than_one_taste(records, model):
    pooled = ConditionalLogit(FORMULA).fit(records)
    gain = model.belief_.report.log_likelihood - pooled.belief_.report.log_likelihood
    assert gain > 100
    assert model.belief_.report.converged
    text = str(model.summary())
    assert f"sd({TIME})" in text
    assert f"sd({COST})" in text


def test_probabilities_are_those_of_a_menu_and_history_sharpens_them(records, model):
    probabilities = model.predict_proba(records)
    offsets = np.asarray(records.offsets)
    np.testing.assert_allclose(np.add.reduceat(probabilities, offsets[:-1]), 1.0)
    assert model.score(records, history=records) > model.score(records) + 0.1


def test_a_belief_survives_its_folder(records, model, tmp_path):
    model.save(tmp_path / "belief")
    loaded = Belief.load(tmp_path / "belief")
    one, two = model.belief_.predict_proba(loaded.encode(records)), None
    two = loaded.predict_proba(loaded.encode(records))
    for a, b in zip(one, two):
        np.testing.assert_array_equal(a, b)


def test_a_category_stands_for_all_its_constants(records):
    model = MixedLogit(FORMULA, random=("option",), num_draws=50).fit(records)
    spreads = [name for name in model.belief_.parameter_names if name.startswith("sd(")]
    assert spreads == ["sd(option[swissmetro])", "sd(option[train])"]


def test_all_coefficients_are_random_where_none_is_named():
    config = SimulationConfig(part_worths=((0.5, -0.5),), num_people=50, num_tasks=3)
    batch = simulate_choices(config, np.random.default_rng(0)).batch
    belief = MixedLogit(correlated=True, num_draws=50).fit(batch).belief_
    assert belief.parameter_names == (
        "x0", "x1", "chol(x0, x0)", "chol(x1, x0)", "chol(x1, x1)",
    )  # fmt: skip


def test_willingness_to_pay_is_estimated_directly(records):
    """With one price coefficient for all, WTP space is the same model, differently written."""
    plain = MixedLogit(FORMULA, random={TIME: "normal"}, num_draws=1000)
    priced = MixedLogit(FORMULA, random={TIME: "normal"}, price=COST, num_draws=1000)
    one, two = plain.fit(records).belief_, priced.fit(records).belief_
    assert two.report.log_likelihood == pytest.approx(one.report.log_likelihood, abs=0.5)
    names = one.parameter_names
    ratio = one.theta / -one.theta[names.index(COST)]
    kept = [place for place, name in enumerate(names) if name != COST]
    errors = np.sqrt(np.diag(two.covariance))
    assert np.abs((ratio - two.theta) / errors)[kept].max() < 0.2
    assert -np.exp(two.theta[names.index(COST)]) == pytest.approx(
        one.theta[names.index(COST)], rel=0.02
    )


def test_an_unknown_feature_is_named_with_its_neighbours(records):
    with pytest.raises(ConfigError, match="no feature 'tme'"):
        MixedLogit(FORMULA, random={"tme": "normal"}).fit(records)
    with pytest.raises(ConfigError, match="no distribution 'gamma'"):
        MixedLogit(FORMULA, random={TIME: "gamma"}).fit(records)


def test_weights_count_people(records):
    weight = np.ones(len(records))
    model = MixedLogit(FORMULA, random={TIME: "normal"}, num_draws=1000)
    one = model.fit(records).belief_
    two = model.fit(records, sample_weight=2 * weight).belief_
    # The ways there differ, and with them where people's draws are placed.
    errors = np.sqrt(np.diag(one.covariance))
    assert np.abs((two.theta - one.theta) / errors).max() < 0.1
    assert two.report.log_likelihood == pytest.approx(2 * one.report.log_likelihood, rel=1e-3)
    np.testing.assert_allclose(np.diag(two.covariance), np.diag(one.covariance) / 2, rtol=0.1)


def test_error_components_find_what_options_share():
    """Two of three options share a person's liking with standard deviation 1.5."""
    rng = np.random.default_rng(3)
    people, tasks = 250, 8
    shared = np.array([1.0, 1.0, 0.0])
    x = rng.normal(size=(people * tasks, 3))
    liking = np.repeat(rng.normal(size=people) * 1.5, tasks)
    worth = x * 0.8 + liking[:, None] * shared + rng.gumbel(size=x.shape)
    chosen = worth.argmax(axis=1)
    records = _records(x, chosen, np.repeat(np.arange(people), tasks))
    model = ErrorComponents("option + x", components={"same": ("a", "b")}, num_draws=200)
    belief = model.fit(records).belief_
    names = dict(zip(belief.parameter_names, belief.theta))
    spread = next(value for name, value in names.items() if name.startswith("sd("))
    assert spread == pytest.approx(1.5, abs=0.35)
    assert names["x"] == pytest.approx(0.8, abs=0.12)
    assert names["when(option in [a, b])"] == 0.0
    assert belief.report.parameters == 4
    assert not belief.report.warnings


def test_error_components_want_a_component():
    with pytest.raises(ConfigError, match="at least one component"):
        ErrorComponents("x").fit(_records(np.zeros((2, 3)), np.array([0, 1]), np.array([0, 1])))


def _records(x, chosen, person):
    import pyarrow as pa

    from penchant.data.records import Records

    rows = pa.table(
        {
            "person": pa.array([f"p{p}" for p in person]),
            "chosen": pa.array(chosen.astype(np.int64)),
            "kind": pa.array(["choice"] * len(chosen)),
            "weight": pa.array(np.ones(len(chosen))),
        }
    )
    options = pa.table(
        {"option": pa.array(["a", "b", "c"] * len(chosen)), "x": pa.array(x.ravel())}
    )
    return Records(
        rows=rows, options=options, offsets=np.arange(len(chosen) + 1) * 3, roles={"x": "feature"}
    )


def test_options_that_share_what_no_column_says_share_it_in_rankings_too():
    rng = np.random.default_rng(4)
    person = np.repeat([f"p{p}" for p in range(250)], 4)
    liking = np.repeat(1.2 * rng.standard_normal(250), 4)
    cost = rng.standard_normal((1000, 4)).round(3)
    worth = -0.8 * cost + np.outer(liking, [1.0, 1.0, 0.0, 0.0])
    noisy = worth + rng.gumbel(size=worth.shape)
    ranked = Records.from_arrays(
        options={
            "option": np.tile(["tram", "train", "car", "bus"], (1000, 1)),
            "cost": cost,
            "rank": (-noisy).argsort(axis=1).argsort(axis=1) + 1,
        },
        rows={"person": person},
        kind="ranking",
    )
    rail = {"rail": ("tram", "train")}
    model = ErrorComponents("cost", components=rail, num_draws=200).fit(ranked)
    belief = model.belief_
    (place,) = (m for m, name in enumerate(belief.parameter_names) if name.startswith("sd("))
    error = np.sqrt(belief.covariance[place, place])
    assert abs(belief.theta[place] - 1.2) < 3 * error
    assert error < 0.15
    first = model.predict_proba(ranked, history=ranked)
    assert first.reshape(-1, 4).sum(axis=1) == pytest.approx(np.ones(1000))
