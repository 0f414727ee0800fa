"""The sum that an update climbs: what each row says of it, in whichever part it is read."""

from itertools import permutations

import numpy as np
import pytest

from penchant.policies.language.loss import Surrogate, policy_gradient_loss
from penchant.policies.language.ratio import BEHAVIOUR, ITSELF, OLD
from penchant.policies.language.rollouts import demonstration_ids, written_rollouts

torch = pytest.importorskip("torch")

from lm.tiny_models import tiny  # noqa: E402  # it needs torch
from penchant.policies.language.objective import PolicyObjective, in_parts  # noqa: E402

KINDS = np.array([BEHAVIOUR, OLD, ITSELF, OLD])


def objective_of_mixed_rows():
    """Four rows, whose ratios are against different policies."""
    told = [demonstration_ids(tiny().tokenizer, "q", text) for text in ("ab", "c", "de", "fgh")]
    rows, place = zip(*told)
    like = next(iter(tiny().parameters.values()))
    drawn = [np.full(len(row) - at, -1.0 - b) for b, (row, at) in enumerate(told)]
    rollouts = written_rollouts(rows, np.array(place), np.zeros(4, dtype=int), tiny().tokenizer,
                                like, drawn)  # fmt: skip
    there = rollouts.is_drawn
    return PolicyObjective(
        model=tiny(), rollouts=rollouts, unit_of=np.where(there, np.arange(4)[:, None], -1),
        advantage=np.where(there, np.array([1.0, -2.0, 0.5, 3.0])[:, None], 0.0),
        scale=np.where(there, 0.1, 0.0), surrogate=Surrogate(form="plain"),
        old=in_parts(tiny(1), rollouts, 1.0, 4), denominator=KINDS,
    )  # fmt: skip


def test_each_row_is_held_to_its_own_denominator_wherever_it_is_read():
    objective = objective_of_mixed_rows()
    rollouts, now = objective.rollouts, in_parts(tiny(), objective.rollouts, 1.0, 4)
    against = {BEHAVIOUR: rollouts.log_prob, OLD: objective.old, ITSELF: now}
    alone = np.array([
        -float(policy_gradient_loss(
            now[b : b + 1], against[kind][b : b + 1], objective.advantage[b : b + 1],
            objective.unit_of[b : b + 1], objective.scale[b : b + 1], objective.surrogate,
        ))
        for b, kind in enumerate(KINDS)
    ])  # fmt: skip
    parameters = tiny().parameters
    for size in (1, 2, 3, 4):
        for rows in permutations(range(4), size):
            found = float(objective.log_prob(parameters, np.array(rows)))
            assert found == pytest.approx(alone[list(rows)].sum(), rel=1e-9), rows
    assert len({round(value, 6) for value in alone}) == 4
