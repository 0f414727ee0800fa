"""What a belief answers, against slow twins and laws."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.beliefs.belief import Belief
from penchant.data import samples
from penchant.errors import BeliefError
from penchant.fitting.pooled import fit_pooled
from penchant.populations.classes import Classes
from penchant.simulation.choices import SimulationConfig, simulate_choices
from penchant.utilities.linear import Linear

TWO_KINDS = SimulationConfig(
    part_worths=((2.0, 0.0), (-2.0, 1.0)),
    router=((0.2, 1.0),),
    num_people=30,
    num_tasks=6,
    menu_sizes=(3, 5),
    num_group_features=1,
)


@pytest.fixture(scope="module")
def simulated():
    return simulate_choices(TWO_KINDS, np.random.default_rng(0))


@pytest.fixture(scope="module")
def belief(simulated):
    size = len(simulated.theta)
    return Belief(
        theta=simulated.theta,
        parameter_names=tuple(f"t{m}" for m in range(size)),
        utility=Linear(),
        population=Classes(2),
        covariance=0.01 * np.eye(size),
        robust_covariance=0.02 * np.eye(size),
    )


def softmax(u):
    e = np.exp(u - u.max())
    return e / e.sum()


def slow_predictions(theta, batch, history):
    """Bayes' rule person by person, loop by loop."""
    beta = theta[:4].reshape(2, 2)
    result = []
    for block in batch.blocks:
        rows = np.zeros(block.offered.shape)
        for b in range(len(block)):
            g = block.group[b]
            log_w = np.log(
                softmax(np.array([0.0, theta[4] + theta[5] * batch.group_features[g, 0]]))
            )
            for old in history.blocks:
                for c in np.flatnonzero(old.group == g):
                    for s in range(2):
                        log_w[s] += np.log(
                            softmax(old.features[c] @ beta[s])[old.answer["chosen"][c]]
                        )
            weight = softmax(log_w)
            rows[b] = sum(weight[s] * softmax(block.features[b] @ beta[s]) for s in range(2))
        result.append(rows)
    return result


def test_predictions_with_and_without_history_equal_bayes_rule_by_hand(belief, simulated):
    batch = simulated.batch
    early = batch.take_rows(np.flatnonzero(np.arange(batch.num_rows) % 6 < 4))
    late = batch.take_rows(np.flatnonzero(np.arange(batch.num_rows) % 6 >= 4))
    for history in (replace(early, blocks=()), early):
        for fast, slow in zip(
            belief.predict_proba(late, history), slow_predictions(belief.theta, late, history),
            strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(fast, slow, atol=1e-12)


def test_history_is_met_by_name_not_by_place(belief, simulated):
    batch = simulated.batch
    shuffled = np.random.default_rng(1).permutation(batch.num_groups)[:20]
    part = batch.take_groups(shuffled)
    for block, other in zip(
        belief.predict_proba(part, batch), belief.predict_proba(part, part), strict=True
    ):
        np.testing.assert_allclose(block, other, atol=1e-12)


def test_chunks_change_nothing(belief, simulated):
    batch = simulated.batch
    whole = [w.utilities for w in belief.utilities(batch)]
    parts = list(belief.utilities(batch, chunk=50))
    assert max(p.utilities.size for p in parts) <= 50
    for index in range(len(batch.blocks)):
        joined = np.concatenate([p.utilities for p in parts if p.block == index])
        np.testing.assert_array_equal(joined, whole[index])


def test_people_and_doubt_are_told_apart(belief, simulated):
    batch = simulated.batch
    moments = belief.moments(batch)
    block, beta = batch.blocks[0], belief.theta[:4].reshape(2, 2)
    weight = softmax(
        np.array([0.0, belief.theta[4] + belief.theta[5] * batch.group_features[0, 0]])
    )
    worth = block.features[0] @ beta.T
    mean = worth @ weight
    people = (worth - mean[:, None]) * weight @ (worth - mean[:, None]).T
    assert block.group[0] == 0
    np.testing.assert_allclose(moments.mean[0][0], mean, atol=1e-12)
    np.testing.assert_allclose(moments.people[0][0], people, atol=1e-12)
    # Doubt against brute force: the spread of the mean worth over draws of theta.
    draws = [b.moments(batch).mean[0][0] for b in belief.sample(400, np.random.default_rng(0))]
    np.testing.assert_allclose(np.cov(np.array(draws).T), moments.doubt[0][0], atol=0.03)


def test_a_drawn_belief_has_no_doubt_left(belief, simulated):
    drawn = belief.sample(1, np.random.default_rng(0))[0]
    assert not np.array_equal(drawn.theta, belief.theta)
    again = drawn.sample(3, np.random.default_rng(1))
    assert all(np.array_equal(b.theta, drawn.theta) for b in again)
    assert all(np.all(d == 0) for d in drawn.moments(simulated.batch).doubt)


def test_draws_have_the_stated_covariance(belief):
    thetas = np.array([b.theta for b in belief.sample(4000, np.random.default_rng(2))])
    np.testing.assert_allclose(np.cov(thetas.T), belief.covariance, atol=0.002)
    robust = [b.theta for b in belief.sample(4000, np.random.default_rng(2), robust=True)]
    np.testing.assert_allclose(np.cov(np.array(robust).T), belief.robust_covariance, atol=0.003)


def test_log_prob_is_the_log_of_the_predicted_probability(belief, simulated):
    batch = simulated.batch
    for block, proba, logs in zip(
        batch.blocks, belief.predict_proba(batch), belief.log_prob(batch), strict=True
    ):
        taken = proba[np.arange(len(block)), block.answer["chosen"]]
        np.testing.assert_allclose(np.log(taken), logs, atol=1e-12)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_a_saved_belief_predicts_the_same_bits(seed, tmp_path_factory):
    batch = simulate_choices(
        SimulationConfig.pooled((1.0, -0.5), num_people=10), np.random.default_rng(seed)
    ).batch
    belief = fit_pooled(batch)
    folder = tmp_path_factory.mktemp("belief")
    belief.save(folder)
    loaded = Belief.load(folder)
    assert loaded.report == belief.report
    assert loaded.parameter_names == belief.parameter_names
    np.testing.assert_array_equal(loaded.covariance, belief.covariance)
    for one, two in zip(belief.predict_proba(batch), loaded.predict_proba(batch), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture
def folder(belief, tmp_path):
    belief.save(tmp_path / "belief")
    return tmp_path / "belief"


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(BeliefError, match="not a belief"):
        Belief.load(tmp_path)


def test_arrays_cut_short_are_refused(folder):
    path = folder / "belief.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BeliefError, match="cut short"):
        Belief.load(folder)


def test_json_cut_short_is_refused(folder):
    path = folder / "belief.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(BeliefError, match="damaged"):
        Belief.load(folder)


def test_another_format_is_refused_by_number(folder):
    path = folder / "belief.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(BeliefError, match="format 99"):
        Belief.load(folder)


def test_a_belief_of_ready_features_cannot_read_records(belief):
    with pytest.raises(BeliefError, match="Give it a Batch"):
        belief.encode(samples.swissmetro())


def test_a_forecast_averages_over_doubt_and_is_less_sure(belief, simulated):
    batch = simulated.batch
    doubtful = replace(belief, covariance=4.0 * np.eye(len(belief.theta)))
    forecast = doubtful.forecast(batch, num_draws=400, rng=np.random.default_rng(0))
    draws = doubtful.sample(400, np.random.default_rng(0), antithetic=True)
    mean = np.mean([b.predict_proba(batch)[0] for b in draws], axis=0)
    np.testing.assert_allclose(forecast[0], mean, atol=1e-12)
    np.testing.assert_allclose(forecast[0].sum(axis=1), 1.0)
    assert forecast[0].max(axis=1).mean() < belief.predict_proba(batch)[0].max(axis=1).mean()


def test_antithetic_draws_come_in_mirrored_pairs(belief):
    thetas = [b.theta for b in belief.sample(5, np.random.default_rng(0), antithetic=True)]
    assert len(thetas) == 5
    np.testing.assert_allclose(thetas[0] + thetas[1], 2 * belief.theta, atol=1e-12)


def test_json_changed_by_hand_is_refused(folder):
    path = folder / "belief.json"
    path.write_text(path.read_text().replace('"reweight"', '"nonsense"'))
    with pytest.raises(BeliefError, match="was changed"):
        Belief.load(folder)


def test_a_history_of_strangers_changes_nothing(belief, simulated):
    batch = simulated.batch
    strangers = replace(batch, group_names=tuple(f"stranger{g}" for g in range(batch.num_groups)))
    for one, two in zip(
        belief.predict_proba(batch), belief.predict_proba(batch, strangers), strict=True
    ):
        np.testing.assert_array_equal(one, two)
