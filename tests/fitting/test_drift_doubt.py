"""The density of a drift: where its evidence lies, by plain integration, and what it adds."""

from dataclasses import replace

import numpy as np
import pytest

from penchant.feedback.gap import GapModel
from penchant.fitting.drift_doubt import learn_drift
from penchant.fitting.scores_now import forward_pass, periods_of
from penchant.fitting.votes_drift import DriftConfig, begin, fit_drift
from penchant.simulation.votes import VoteWorld, simulate_votes


@pytest.mark.parametrize(("middle", "spread"), [(0.6, 0.15), (0.0, 0.4), (1.5, 0.02)])
def test_moments_are_those_of_plain_integration(middle, spread):
    """Of prior times evidence: amid the range, at the edge where nothing moves, and much narrower
    than the first looks are apart."""

    def evidence(move):
        return -0.5 * ((move - middle) / spread) ** 2

    found = learn_drift(evidence)
    fine = np.linspace(0.0, 5.0, 200_001)
    weight = fine * np.exp(evidence(fine))
    weight /= weight.sum()
    mean = float(weight @ fine)
    sd = float(np.sqrt(weight @ (fine - mean) ** 2))
    assert found.shares.sum() == pytest.approx(1.0)
    assert found.shares @ found.moves == pytest.approx(mean, abs=0.05 * sd)
    assert np.sqrt(found.shares @ (found.moves - mean) ** 2) == pytest.approx(sd, rel=0.06)
    assert found.best == pytest.approx(middle, abs=0.03 * max(middle, 0.1))


def drifting(seed, **sizes):
    world = VoteWorld(num_items=5, num_votes=400, num_times=5, drift=0.25, **sizes)
    return simulate_votes(world, np.random.default_rng(seed)).votes


def test_what_is_not_known_of_the_drift_widens_errors_and_moves_no_score():
    votes = drifting(0)
    learnt = fit_drift(votes, DriftConfig(model=GapModel()))
    known = fit_drift(votes, DriftConfig(model=GapModel(), drift=learnt.drift))
    np.testing.assert_allclose(learnt.path, known.path, atol=1e-9)
    assert (learnt.path_se[-1] > known.path_se[-1]).any()
    np.testing.assert_allclose(learnt.now.strength_se, learnt.path_se[-1], atol=1e-9)


def test_errors_are_the_mean_square_over_drifts_drawn_by_their_evidence():
    votes, config = drifting(0), DriftConfig(model=GapModel())
    found, start = fit_drift(votes, config), begin(votes, config)
    periods = periods_of(votes, start, None)
    drifts = np.linspace(0.0, 1.2, 61)[1:]
    logs = np.array([
        sum(s.log_evidence for s in forward_pass(replace(start, drift=float(d)), periods))
        for d in drifts
    ])  # fmt: skip
    weight = drifts * np.exp(logs - logs.max())
    weight /= weight.sum()
    fits = [fit_drift(votes, replace(config, drift=float(d))) for d in drifts[weight > 1e-3]]
    square = sum(
        w * (fit.path_se[-1] ** 2 + (fit.path[-1] - found.path[-1]) ** 2)
        for w, fit in zip(weight[weight > 1e-3], fits, strict=True)
    )
    np.testing.assert_allclose(found.path_se[-1], np.sqrt(square), rtol=0.02)
