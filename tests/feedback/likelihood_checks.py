"""What every likelihood must pass: its score and curvature are those of its density.

A likelihood is given as a case: its three functions of (utilities, parameters), everything else
bound, and values to try them at.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One likelihood at one place; `convert` in the functions' answers makes torch twins."""

    log_prob: Callable
    score: Callable
    curvature: Callable
    utilities: np.ndarray
    parameters: np.ndarray  # [M], or [B, M]


def bind(module, utilities, parameters, *fixed, prefix="", **options):
    """A case of a module's log_prob, score and curvature with arguments (u, *fixed, parameters).

    NumPy arguments become tensors where the utilities are one.
    """

    def call(name, takes_parameters):
        function = getattr(module, prefix + name)

        def bound(utilities, parameters):
            arguments = [_like(value, utilities) for value in fixed]
            if takes_parameters:
                arguments.append(parameters)
            keywords = {name: _like(value, utilities) for name, value in options.items()}
            return function(utilities, *arguments, **keywords)

        return bound

    takes = parameters is not None
    return Case(
        log_prob=call("log_prob", takes),
        score=call("score", takes),
        curvature=call("curvature", takes),
        utilities=utilities,
        parameters=np.zeros((1, 0)) if parameters is None else np.asarray(parameters, float),
    )


def _like(value, utilities):
    if isinstance(value, np.ndarray) and isinstance(utilities, torch.Tensor):
        return torch.as_tensor(value)
    return value


def _spread(parameters, utilities):
    """[1 or B, M] as [B, M, *1], so that each row's own derivative can be read off."""
    shape = (len(utilities), parameters.shape[1]) + (1,) * (utilities.ndim - 2)
    return np.broadcast_to(
        parameters.reshape(parameters.shape + (1,) * (utilities.ndim - 2)), shape
    ).copy()


def central_difference(function, x, step):
    """d function / d x[:, m] for each m, stacked on axis 1 behind the rows: [B, M, ...]."""
    slopes = []
    for m in range(x.shape[1]):
        up, down = x.copy(), x.copy()
        up[:, m] += step
        down[:, m] -= step
        slopes.append((np.asarray(function(up)) - np.asarray(function(down))) / (2 * step))
    return slopes


def check_score_by_differences(case, step=1e-5, rtol=1e-6, atol=1e-7):
    utilities, parameters = case.utilities, _spread(case.parameters, case.utilities)
    score = case.score(utilities, parameters)
    numeric = central_difference(lambda u: case.log_prob(u, parameters), utilities, step)
    np.testing.assert_allclose(score.utilities, np.stack(numeric, 1), rtol=rtol, atol=atol)
    numeric = central_difference(lambda p: case.log_prob(utilities, p), parameters, step)
    assert score.parameters.shape[1] == parameters.shape[1]
    if numeric:
        np.testing.assert_allclose(score.parameters, np.stack(numeric, 1), rtol=rtol, atol=atol)


def check_curvature_by_differences(case, step=1e-5, rtol=1e-6, atol=1e-7):
    utilities, parameters = case.utilities, _spread(case.parameters, case.utilities)
    curvature = case.curvature(utilities, parameters)
    tolerance = {"rtol": rtol, "atol": atol}
    numeric = central_difference(lambda u: case.score(u, parameters).utilities, utilities, step)
    np.testing.assert_allclose(curvature.utilities, -np.stack(numeric, 2), **tolerance)
    numeric = central_difference(lambda p: case.score(utilities, p).utilities, parameters, step)
    assert curvature.cross.shape[2] == curvature.parameters.shape[1] == parameters.shape[1]
    if numeric:
        np.testing.assert_allclose(curvature.cross, -np.stack(numeric, 2), **tolerance)
        numeric = central_difference(
            lambda p: case.score(utilities, p).parameters, parameters, step
        )
        np.testing.assert_allclose(curvature.parameters, -np.stack(numeric, 2), **tolerance)


def check_torch_agrees(case, rtol=1e-9, atol=1e-11):
    """Same density, score and curvature from tensors; autograd of the density is the score."""
    spread = _spread(case.parameters, case.utilities)
    utilities = torch.tensor(case.utilities, requires_grad=True)
    parameters = torch.tensor(spread, requires_grad=True)
    log_p = case.log_prob(utilities, parameters)
    tolerance = {"rtol": rtol, "atol": atol}
    np.testing.assert_allclose(
        log_p.detach().numpy(), case.log_prob(case.utilities, spread), **tolerance
    )
    slopes = torch.autograd.grad(log_p.sum(), (utilities, parameters), allow_unused=True)
    score = case.score(case.utilities, spread)
    np.testing.assert_allclose(slopes[0].numpy(), score.utilities, **tolerance)
    if slopes[1] is not None:
        np.testing.assert_allclose(slopes[1].numpy(), score.parameters, **tolerance)
    with torch.no_grad():
        twin_score = case.score(utilities, parameters)
        twin = case.curvature(utilities, parameters)
    ours = case.curvature(case.utilities, spread)
    np.testing.assert_allclose(twin_score.utilities.numpy(), score.utilities, **tolerance)
    np.testing.assert_allclose(twin_score.parameters.numpy(), score.parameters, **tolerance)
    for part in ("utilities", "cross", "parameters"):
        np.testing.assert_allclose(getattr(twin, part).numpy(), getattr(ours, part), **tolerance)


def check_kinds_of_people_broadcast(case, rtol=1e-12, atol=1e-12):
    """Trailing axes are so many separate problems, with parameters shared or of their own."""
    rng = np.random.default_rng(5)
    shape = (*case.utilities.shape, 2, 3)
    utilities = case.utilities[..., None, None] + rng.normal(size=shape)
    shared = np.broadcast_to(case.parameters, (case.parameters.shape[0], case.parameters.shape[1]))
    own = shared[..., None, None] + 0.1 * rng.normal(size=(*shared.shape, 2, 3))
    for parameters in (shared[..., None, None], own):
        log_p = case.log_prob(utilities, parameters)
        score = case.score(utilities, parameters)
        curvature = case.curvature(utilities, parameters)
        for s in np.ndindex(2, 3):
            u = utilities[(..., *s)]
            p = parameters[(..., *s)] if parameters is own else shared
            one = case.curvature(u, p)
            pairs = [
                (log_p, case.log_prob(u, p)),
                (score.utilities, case.score(u, p).utilities),
                (score.parameters, case.score(u, p).parameters),
                (curvature.utilities, one.utilities),
                (curvature.cross, one.cross),
                (curvature.parameters, one.parameters),
            ]
            for whole, part in pairs:
                np.testing.assert_allclose(whole[(..., *s)], part, rtol=rtol, atol=atol)


def check_all(case, **tolerance):
    check_score_by_differences(case, **tolerance)
    check_curvature_by_differences(case, **tolerance)
    check_torch_agrees(case)
    check_kinds_of_people_broadcast(case)
