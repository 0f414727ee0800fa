"""Simulated people who answer in other ways than by a choice, their tastes known."""

from dataclasses import replace

import numpy as np

from penchant.simulation.choices import simulate_choices

THRESHOLDS = np.array([-1.0, 0.2, 1.4])


def answered_by(kind, config, rng):
    """What `simulate_choices` makes of a config, its answers of this kind instead."""
    simulated = simulate_choices(config, rng)
    blocks = tuple(
        answered_block(block, kind, simulated.tastes, rng) for block in simulated.batch.blocks
    )
    return replace(simulated, batch=replace(simulated.batch, blocks=blocks))


def answered_block(block, kind, tastes, rng):
    worths = np.einsum("bkd,bd->bk", block.features, tastes[block.group])
    order = np.argsort(-(worths + rng.gumbel(size=worths.shape)), axis=1)
    if kind == "ranking":
        answer = {"rank": np.argsort(order, axis=1) + 1}
    elif kind == "best_worst":
        # The best first, then the worst of the others, by a noise of its own.
        others = -worths + rng.gumbel(size=worths.shape)
        np.put_along_axis(others, order[:, :1], -np.inf, axis=1)
        answer = {"best": order[:, 0], "worst": np.argmax(others, axis=1)}
    elif kind == "rating":
        felt = worths + rng.logistic(size=worths.shape)
        answer = {"level": (felt[:, :, None] > THRESHOLDS).sum(axis=2)}
    elif kind == "approval":
        answer = {"approved": worths + rng.logistic(size=worths.shape) > 0.5}
    elif kind == "graded":
        felt = worths[:, 0] - worths[:, 1] + rng.logistic(size=len(worths))
        answer = {"grade": (felt[:, None] > np.array([-1.5, -0.5, 0.5, 1.5])).sum(axis=1)}
    elif kind == "outcome":
        answer = {"value": worths + rng.normal(size=worths.shape)}
    else:
        felt = worths[:, 0] - worths[:, 1] + rng.logistic(size=len(worths))
        answer = {"outcome": np.where(np.abs(felt) < 0.7, 2, np.where(felt > 0, 0, 1))}
    return replace(block, kind=kind, answer=answer)
