"""Diagnostics of chains: known answers, and failures that must be seen."""

import numpy as np
import pytest
from scipy.special import ndtri

from penchant.errors import DataError
from penchant.fitting.chains import diagnose


def autoregression(rho, num_chains=4, length=2000, seed=0):
    rng = np.random.default_rng(seed)
    draws = np.empty((num_chains, length))
    draws[:, 0] = rng.normal(size=num_chains)
    for t in range(1, length):
        noise = np.sqrt(1 - rho**2) * rng.normal(size=num_chains)
        draws[:, t] = rho * draws[:, t - 1] + noise
    return draws[:, :, None]


def test_independent_draws_are_worth_their_number():
    judged = diagnose(autoregression(0.0))
    assert judged.r_hat[0] < 1.005
    assert 6500 < judged.bulk_ess[0] < 9500
    assert judged.tail_ess[0] > 5500


@pytest.mark.parametrize("rho", [0.5, 0.9, -0.4])
def test_correlated_draws_are_worth_what_theory_says(rho):
    expected = 8000 * (1 - rho) / (1 + rho)
    assert diagnose(autoregression(rho)).bulk_ess[0] == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("seed", range(6))
def test_effective_sizes_are_those_of_the_sums_written_out(seed):
    # Autocovariances one lag after the other, in pairs, made to fall and cut where one turns
    # negative (Geyer 1992); all after normal scores of ranks, on half-chains.
    draws = autoregression(0.8, num_chains=2, length=60, seed=seed)
    halves = np.concatenate([draws[:, :30, 0], draws[:, 30:, 0]])
    ranks = np.argsort(np.argsort(halves, axis=None)).reshape(halves.shape) + 1
    normal = ndtri((ranks - 0.375) / (halves.size + 0.25))
    centred = normal - normal.mean(axis=1, keepdims=True)
    length = normal.shape[1]
    within = normal.var(axis=1, ddof=1).mean()
    pooled = within * (length - 1) / length + normal.mean(axis=1).var(ddof=1)
    lags = [
        np.mean([chain[: length - lag] @ chain[lag:] / length for chain in centred])
        for lag in range(length)
    ]
    rho = [1.0] + [1.0 - (within - lag) / pooled for lag in lags[1:]]
    total, lowest = 0.0, np.inf
    for lag in range(0, length - 1, 2):
        pair = rho[lag] + rho[lag + 1]
        if pair < 0:
            break
        lowest = min(lowest, pair)
        total += lowest
    expected = normal.size / (2.0 * total - 1.0)
    assert diagnose(draws).bulk_ess[0] == pytest.approx(expected, rel=1e-9)


def test_chains_in_different_places_are_found_out():
    draws = autoregression(0.0)
    draws[0] += 1.0
    assert diagnose(draws).r_hat[0] > 1.1


def test_chains_of_different_width_are_found_out():
    draws = autoregression(0.0)
    draws[0] *= 3.0
    assert diagnose(draws).r_hat[0] > 1.1


def test_a_chain_that_drifts_is_found_out_even_alone():
    draws = autoregression(0.0, num_chains=1) + np.linspace(0, 3, 2000)[None, :, None]
    assert diagnose(draws).r_hat[0] > 1.1


def test_heavy_tails_and_monotone_changes_do_not_matter():
    draws = autoregression(0.5)
    plain, bent = diagnose(draws), diagnose(np.exp(5 * draws))
    assert bent.bulk_ess[0] == pytest.approx(plain.bulk_ess[0], rel=1e-9)


def test_a_constant_is_not_called_a_success():
    judged = diagnose(np.ones((2, 100, 1)))
    assert judged.r_hat[0] == np.inf
    assert np.isnan(judged.bulk_ess[0])


def test_chains_too_short_to_judge_are_refused():
    with pytest.raises(DataError, match="expected four or more"):
        diagnose(np.zeros((2, 3, 1)))
