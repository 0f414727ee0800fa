"""The peers of `reward.py`: scikit-learn's solvers, and Adam in torch on mini-batches.

Both maximise sum_b log sigmoid(+-x_b' w) - |w|^2 / (2 scale^2), as ours does. Labels and features
are laid out as each wants them before the clock starts.
"""

import time
from collections.abc import Callable

import numpy as np

import reward_worlds as worlds
from reward_worlds import World

Fit = Callable[[], dict]


def sklearn_head(world: World, *, solver: str, tol: float) -> Fit:
    """LogisticRegression without intercept, C = scale^2, in float32 as it was given."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    first_won = world.outcome == 0

    def fit() -> dict:
        model = LogisticRegression(
            C=world.prior_scale**2, fit_intercept=False, solver=solver, tol=tol, max_iter=1000
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(world.differences, first_won)
        return {
            "weights": model.coef_[0].astype(float).tolist(),
            "iterations": int(model.n_iter_[0]),
        }

    return fit


def adam_head(world: World, *, rate: float, batch: int, steps: int) -> Fit:
    """torch.optim.Adam, rate falling linearly to zero, pairs in a fresh order each epoch."""
    import torch

    torch.set_num_threads(1)
    signs = np.where(world.outcome == 0, 1.0, -1.0).astype(np.float32)
    x, sign = torch.from_numpy(world.differences), torch.from_numpy(signs)

    def fit() -> dict:
        return {"weights": _adam(x, sign, world.prior_scale, rate, batch, steps).tolist()}

    return fit


def adam_search(world: World, *, target: float, seconds: float) -> Fit:
    """The tuning: rates, sizes of batches and numbers of steps, tried until each combination
    reaches the target or `seconds` of CPU are over; the cheapest that reached it is returned."""
    import torch

    torch.set_num_threads(1)
    signs = np.where(world.outcome == 0, 1.0, -1.0).astype(np.float32)
    x, sign = torch.from_numpy(world.differences), torch.from_numpy(signs)
    unit = world.prior_scale

    def fit() -> dict:
        reached = []
        for batch in (1024, 4096, 16384):
            for rate in (0.03 * unit, 0.1 * unit, 0.3 * unit):
                for epochs in (1, 2, 4, 8, 16):
                    steps = epochs * len(sign) // batch
                    began = time.process_time()
                    found = _adam(x, sign, unit, rate, batch, steps).double().numpy()
                    spent = time.process_time() - began
                    if worlds.log_posterior(world, found) >= target:
                        reached.append(
                            {"seconds": spent, "rate": rate, "batch": batch, "steps": steps}
                        )
                        break
                    if reached and spent > min(entry["seconds"] for entry in reached):
                        break
                    if spent > seconds:
                        break
        return {"reached": sorted(reached, key=lambda entry: entry["seconds"])}

    return fit


def _adam(x, sign, scale: float, rate: float, batch: int, steps: int):
    import torch

    torch.manual_seed(0)
    weights = torch.zeros(x.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)
    size, at = len(sign), len(sign)
    for _ in range(steps):
        if at + batch > size:
            order, at = torch.randperm(size), 0
        rows = order[at : at + batch]
        at += batch
        optimiser.zero_grad()
        loss = torch.nn.functional.softplus(-sign[rows] * (x[rows] @ weights)).mean()
        loss = loss + (weights @ weights) / (2 * scale**2 * size)
        loss.backward()
        optimiser.step()
        schedule.step()
    return weights.detach()
