"""Entropy sought and held near what it was (EPO, entropy, 2025), beside PPO, GRPO and the bonus.

Theirs: up to 2.5 times PPO on ScienceWorld, 20 % more on ALFWorld. Ours: DOOR of six rooms in three
colours, 30 steps, nothing earned but for the open door, by a table of actions for each thing seen
(`simulation/tasks/door_table.py`), which opens 8 % at first; 300 steps of 8 games in 8 worlds, the
trainer's own losses, plain gradients, PPO's value a table too; then the exact chance to open the
doors of 300 new worlds. Paired by seed, 95 % intervals of ten seeds; rates (PPO 10, GRPO 30, of 1
to 100) and the larger bonus (0.01, of 0.001 to 0.1) were chosen on seeds 1000 to 1002. Not met:
none of it; entropy never leaves the published band of 0 to 2 times its history, so that the hinge
is the bonus alone to the last digit (and the released penalty has no gradient anyway); 62 %, 0.3
behind PPO (0.0 to 0.7), 1.2 ahead of GRPO (-0.5 to 3.0). A band of 0.9 to 1.1 leaves 0.71 of the
deviation of entropy over updates (0.68 to 0.74; half was asked), most of which is its fall, and is
4.4 points behind PPO (3.8 to 4.9). Tiny: two seeds, few steps.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import low_over_seeds, over_seeds, results, run_recipe
from penchant.policies.language.aggregation import token_scale
from penchant.policies.language.loss import entropy_loss, policy_gradient_loss
from penchant.policies.language.methods.banded import Banded
from penchant.policies.language.methods.group_relative import GroupRelative, grpo
from penchant.policies.language.methods.proximal import Proximal, placed
from penchant.policies.language.returns import generalised_advantage
from penchant.policies.language.trainer import need_torch
from penchant.simulation.tasks.door import OpenDoor
from penchant.simulation.tasks.door_table import ACTIONS, Doors, all_seen

TURNS, WORLDS, GAMES, TRIAL = 30, 8, 8, 300
TASK = OpenDoor(rooms=6, colours=3, horizon=TURNS)
NOTES, SOURCE = "our notes on EPO", "EPO: up to 2.5 times on ScienceWorld, 20 % more on ALFWorld"


@dataclass(frozen=True, kw_only=True)
class Config:
    """steps: of 64 games. bonuses: of entropy, the paper's and one that is felt. rates: of PPO's
    climb and of GRPO's."""

    num_seeds: int = 10
    steps: int = 300
    bonuses: tuple[float, float] = (0.001, 0.01)
    rates: tuple[float, float] = (10.0, 30.0)
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, steps=6)


def main(config: Config) -> dict[str, Any]:
    need_torch()
    paper, felt = (Banded(bonus=bonus) for bonus in config.bonuses)
    none = replace(paper, bonus=0.0)
    methods = {
        "PPO": none,
        "GRPO": replace(none, base=grpo()),
        "bonus": replace(paper, hold=0.0),
        "EPO": paper,
        "felt bonus": replace(felt, hold=0.0),
        "narrow band": replace(felt, low=0.9, high=1.1, late=0.0),
    }
    seeds = range(config.seed, config.seed + config.num_seeds)
    each = {
        name: np.array([
            climbed(method, config.steps, config.rates[name == "GRPO"], seed) for seed in seeds
        ]).T
        for name, method in methods.items()
    }  # fmt: skip
    opened, spread = ({name: found[at] for name, found in each.items()} for at in (0, 1))
    points = {f"{name} beside {other}": opened[name] - opened[other]
              for name, other in (("EPO", "PPO"), ("EPO", "GRPO"), ("EPO", "bonus"),
                                  ("narrow band", "felt bonus"),
                                  ("narrow band", "PPO"))}  # fmt: skip
    shares = {"EPO": spread["EPO"] / spread["bonus"],
              "narrow band": spread["narrow band"] / spread["felt bonus"]}  # fmt: skip
    short = [
        *(no_worse(f"1 - {name}'s deviation of entropy over its bonus's", 0.5,
                   1.0 - float(share.mean()), source=NOTES) for name, share in shares.items()),
        *(no_worse(f"points, {name}, low end", 0.0, low_over_seeds(points[name]), source=SOURCE)
          for name in ("EPO beside PPO", "EPO beside GRPO")),
    ]  # fmt: skip
    return results(
        [], not_met=short,
        points={name: over_seeds(found, 2) for name, found in points.items()},
        share_of_deviation={name: over_seeds(found, 3) for name, found in shares.items()},
        each={name: [over_seeds(part, 3) for part in found] for name, found in each.items()},
    )  # fmt: skip


def climbed(method: Banded, steps: int, rate: float, seed: int) -> tuple[float, float, float]:
    """The exact chance to open the door of worlds that are new, at the end, in per cent; and of
    the entropy a turn the deviation over updates, and the last."""
    import torch

    generator = np.random.default_rng(seed)
    logits = torch.tensor(0.5 * generator.standard_normal((len(all_seen(3)), len(ACTIONS))))
    value, memory, entropies = np.zeros(len(logits)), {}, []
    trial = Doors.drawn(TASK, TRIAL, generator)
    for _ in range(steps):
        policy = logits.softmax(dim=1).numpy()
        doors = Doors.drawn(TASK, WORLDS, generator)
        seen, did, won = doors.played(policy, GAMES, generator)
        there = seen >= 0
        credit, value = credited(method, seen, won.astype(float), value)
        share = policy[np.maximum(seen, 0)]
        doubt = np.where(there, -(share * np.log(share)).sum(axis=2), 0.0)
        entropies.append(doubt[there].mean())
        leaf = logits.clone().requires_grad_()
        log_p = leaf.log_softmax(dim=1)[torch.tensor(np.maximum(seen, 0))]
        logp = log_p.gather(2, torch.tensor(np.maximum(did, 0))[..., None])[..., 0]
        unit_of = np.where(there, 0, -1)
        scale, how = token_scale(unit_of, "token"), method.surrogate
        loss = policy_gradient_loss(logp, logp.detach(), credit, unit_of, scale, how)
        if method.bonus > 0.0:
            turn_of = np.where(there, np.arange(TURNS), -1)
            steer, memory = method.steered(doubt, turn_of, TURNS, memory)
            loss = loss + entropy_loss(-(log_p.exp() * log_p).sum(dim=2), scale, steer)
        logits = logits - rate * torch.autograd.grad(loss, leaf)[0]
    chance = trial.chance(logits.softmax(dim=1).numpy()).mean()
    return 100.0 * float(chance), float(np.std(entropies)), float(entropies[-1])


def credited(
    method: Banded, seen: np.ndarray, won: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each turn, by the base's rule; and what is worth how much, learnt half way."""
    there, base = seen >= 0, method.base
    if isinstance(base, GroupRelative):
        group = np.repeat(np.arange(WORLDS), GAMES)
        found = base.credit(won, group, np.ones(len(won), dtype=bool)).advantage
        return found[:, None] * there, value
    assert isinstance(base, Proximal)
    row, turn = np.nonzero(there)
    at, earned = seen[there], np.where(np.append(row[1:] != row[:-1], True), won[row], 0.0)
    found = generalised_advantage(earned, value[at], row, turn, discount=np.ones(1),
                                  trace=np.full(1, base.trace))  # fmt: skip
    off, num = np.bincount(at, found, len(value)), np.bincount(at, minlength=len(value))
    after = value + 0.5 * off / np.maximum(num, 1)
    return placed(base.whitened(found), row, turn, there.shape), after


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
