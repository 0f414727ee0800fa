"""The climb in three directions against conjugate gradients, and on answers with own parameters."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penchant.feedback.gap import GapModel, GapResponse
from penchant.fitting.head_pairs import HeadDensity, HeadPairs
from penchant.fitting.subspace import Sight, climb_subspace
from penchant.numerics.conjugate_gradients import conjugate_gradients


class Quadratic:
    """log l = -(gap - target)^2 / 2: what is left of the climb where nothing is curved."""

    def __init__(self, seed, rows=60, size=12):
        rng = np.random.default_rng(seed)
        self.design = rng.standard_normal((rows, size)) * np.geomspace(1, 30, size)
        self.target, self.weight = rng.standard_normal(rows), np.ones(rows)
        self.precision, self.num_own, self.passes = np.full(size, 0.1), 0, 0

    def gaps(self, theta):
        self.passes += 1
        return self.design @ theta

    def respond(self, gap, own):
        none = np.zeros((len(gap), 0))
        return GapResponse(
            value=-0.5 * (gap - self.target) ** 2, slope=self.target - gap, bend=np.ones(len(gap)),
            own_slope=none, cross=none, own_bend=np.zeros((len(gap), 0, 0)),
        )  # fmt: skip

    def look(self, gap, own, step):
        shift = self.gaps(step)
        found = self.respond(gap + shift, own)
        return Sight(shift=shift, found=found, gradient=self.gather(found))

    def gather(self, found):
        self.passes += 1
        return self.design.T @ found.slope

    def value(self, theta):
        return -0.5 * ((self.design @ theta - self.target) ** 2).sum() - 0.05 * (theta**2).sum()


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 8))
def test_on_a_quadratic_it_is_conjugate_gradients(seed, steps):
    world = Quadratic(seed)
    bend = world.design.T @ world.design + 0.1 * np.eye(12)
    climb = climb_subspace(
        world, np.zeros(12), lambda g: g / np.diag(bend), tolerance=0.0, max_steps=steps
    )
    twin = conjugate_gradients(
        lambda v: bend @ v, world.design.T @ world.target, np.diag(bend), tolerance=0.0,
        max_steps=steps,
    )  # fmt: skip
    np.testing.assert_allclose(climb.value, world.value(twin), rtol=1e-6)
    # Two passes over the features a step, and two to begin with.
    assert world.passes <= 2 * climb.iterations + 3


class Cliff(Quadratic):
    """Wherever one steps, it is deep down."""

    def respond(self, gap, own):
        found = super().respond(gap, own)
        return replace(found, value=found.value - 1e9 * (gap != 0.0))


def test_to_stop_is_not_to_arrive():
    world = Cliff(0)
    climb = climb_subspace(world, np.zeros(12), lambda g: 1e-4 * g, tolerance=1e-3, max_steps=50)
    assert climb.iterations == 0
    assert 1e-3 * abs(climb.value) < climb.gain_left < abs(climb.value)
    assert not climb.converged


@pytest.mark.parametrize("ties", [None, "davidson", "rao_kupper"])
def test_every_step_rises_and_the_end_has_no_slope(ties):
    rng = np.random.default_rng(3)
    model = GapModel(ties=ties)
    pairs = HeadPairs(
        features=(3 * rng.standard_normal((300, 6))).astype(np.float32), first=np.arange(300),
        second=None, answer=rng.integers(0, 2 if ties is None else 3, 300),
        weight=rng.uniform(0.5, 2.0, 300), columns=np.ones((300, 1)),
    )  # fmt: skip
    density = HeadDensity(pairs=pairs, model=model, precision=np.full(7 + model.num_own, 0.5))
    start = 4.0 * rng.standard_normal(7 + model.num_own)
    seen = []
    # A preconditioner that is no help: far too long a step in every direction.
    climb = climb_subspace(
        density, start, lambda g: 10.0 * g, tolerance=1e-12, max_steps=300,
        on_step=lambda step, value: seen.append(value),
    )  # fmt: skip
    assert seen == sorted(seen)
    slope = density.gather(density.respond(density.gaps(climb.theta), climb.theta[7:]))
    bend = density.information(climb.theta) + np.diag(density.precision)
    gradient = slope - density.precision * climb.theta
    assert 0.5 * gradient @ np.linalg.solve(bend, gradient) < 1e-4
