"""From worths to probabilities: what maps may change and what they must not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.errors import ConfigError, DataError
from penchant.fitting import calibration
from penchant.fitting.calibration import fit_calibration, fit_monotone
from penchant.fitting.lbfgs import climb_lbfgs
from penchant.metrics.calibration import expected_calibration_error
from penchant.numerics.arrays import softmax

SEEDS = st.integers(0, 10_000)


def answers(seed, num=4000, options=3):
    rng = np.random.default_rng(seed)
    true = 1.5 * rng.normal(size=(num, options))
    p = softmax(true, axis=1)
    return true, (rng.random(num)[:, None] > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.floats(0.1, 10.0))
def test_a_temperature_is_found_again_and_changes_no_first_choice(seed, slope):
    true, chosen = answers(seed)
    found = fit_calibration(slope * true, chosen)
    assert found.matrix[0, 0] * slope == pytest.approx(1.0, abs=0.1)
    said = found.probabilities(slope * true)
    np.testing.assert_array_equal(said.argmax(axis=1), true.argmax(axis=1))
    one_hot = np.eye(3)[chosen]
    assert expected_calibration_error(said.ravel(), one_hot.ravel()) < 0.03


def test_shifts_and_matrices_undo_what_was_done_to_worths():
    true, chosen = answers(1, num=20_000)
    mix = np.array([[1.0, 0.4, 0.0], [0.0, 1.0, 0.0], [0.3, 0.0, 1.2]])
    bent = (true + np.array([2.0, 0.0, -1.0])) @ mix
    nats = {
        kind: fit_calibration(bent, chosen, kind, prior_scale=10.0).log_likelihood
        for kind in ("temperature", "shifted", "matrix")
    }
    true_nats = fit_calibration(true, chosen).log_likelihood
    assert nats["temperature"] < nats["shifted"] - 100 < nats["matrix"] - 200
    assert nats["matrix"] == pytest.approx(true_nats, abs=10.0)


@pytest.mark.parametrize("kind", ["temperature", "shifted", "matrix"])
def test_the_climb_follows_the_slope_of_what_it_climbs(kind, monkeypatch):
    true, chosen = answers(2, num=50)
    seen = []

    def spied(slope, start, **options):
        seen.append((slope, len(start)))
        return climb_lbfgs(slope, start, **options)

    monkeypatch.setattr(calibration, "climb_lbfgs", spied)
    fit_calibration(true, chosen, kind)
    slope, size = seen[0]
    theta = 0.3 * np.random.default_rng(0).normal(size=size)
    numeric = [
        (slope(theta + e).value - slope(theta - e).value) / 2e-6 for e in 1e-6 * np.eye(size)
    ]
    np.testing.assert_allclose(slope(theta).gradient, numeric, rtol=1e-5, atol=1e-6)


@given(SEEDS)
def test_a_monotone_map_never_falls_keeps_the_mean_and_minds_no_monotone_map_of_scores(seed):
    rng = np.random.default_rng(seed)
    score = rng.normal(size=40).round(1)
    won = (rng.random(40) < 1 / (1 + np.exp(-2 * score))).astype(float)
    found = fit_monotone(score, won)
    said = found.probabilities(score)
    assert np.all(np.diff(found.share) >= -1e-12)
    assert said.mean() == pytest.approx(won.mean())
    other = fit_monotone(np.exp(score), won)
    np.testing.assert_allclose(other.probabilities(np.exp(score)), said, atol=1e-12)
    # Of equal shares each says what came true of it.
    for share in np.unique(said.round(9)):
        mine = np.abs(said - share) < 1e-8
        assert won[mine].mean() == pytest.approx(share, abs=1e-7)
    # Beyond the scores it knows it says what it said at their ends.
    np.testing.assert_allclose(found.probabilities(np.array([-99.0, 99.0])), found.share[[0, -1]])


def test_what_cannot_be_fitted_is_refused():
    true, chosen = answers(3, num=10)
    with pytest.raises(ConfigError, match="'temperature', 'shifted' or 'matrix'"):
        fit_calibration(true, chosen, "isotonic")
    for scale in (0.0, -1.0, np.nan):
        with pytest.raises(ConfigError, match="prior_scale"):
            fit_calibration(true, chosen, "shifted", prior_scale=scale)
    with pytest.raises(DataError, match="finite"):
        fit_calibration(true * np.inf, chosen)
    with pytest.raises(DataError, match="expected 0 to 2"):
        fit_calibration(true, chosen + 2)
    with pytest.raises(DataError, match="0 to 1"):
        fit_monotone(true[:, 0], 2.0 + chosen)
