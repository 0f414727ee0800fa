"""A person's answers as context, meta-learned over people: Singh et al. (2025), FSPO.

Theirs: few labelled comparisons in the prompt of a 3B model, trained on a million synthetic
preferences: 87 % win rate with synthetic users, 72 % with real ones, which could not be had.
Compared are figures of a simulation in our own method notes (two types at right angles): 0.75,
0.84, 0.88, 0.94, 0.97 for a new user after 0, 1, 2, 5, 10 labels; users who contradict themselves
destroy it. Ours: a head on (answers so far) times option, fitted over 500 synthetic people of 20
pairs each, with 0 to 10 of them as history; right before noise; 5 seeds. Not met: 0.94 and 0.97
after 5 and 10 labels (`types`: 0.90, 0.93; prototypes in the same world have 0.93 and 0.96): a head
that is linear in the history, and in its bends along two directions, is not as certain of a type as
Bayes' rule. `normal` are people with tastes of their own. `inconsistent` people are of another type
for each answer while they are learned from. Tiny: 1 seed, 80 people. 5 s on one core. No data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.encoders.answered import answered
from penchant.encoders.crossed import Crossed
from penchant.evaluation.claims import Claim, no_worse
from penchant.evaluation.recipes import results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.simulation.judgements import JudgedPairs, judge_pairs, two_tastes

LABELS = (0, 1, 2, 5, 10)
CURVE = (0.75, 0.84, 0.88, 0.94, 0.97)
SOURCE = "our method notes' simulation"


@dataclass(frozen=True, kw_only=True)
class Config:
    num_people: int = 500
    dims: int = 10
    size: float = 3.0
    num_seeds: int = 5
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_people=80, num_seeds=1)


def main(config: Config) -> dict[str, Any]:
    curves: dict[str, list[list[float]]] = {"types": [], "normal": [], "inconsistent": []}
    for seed in range(config.num_seeds):
        rng = np.random.default_rng((config.seed, seed))
        types = two_tastes(np.pi / 2, config.dims, config.size)
        made, new = (judge_pairs(types, num, 20, rng) for num in (config.num_people, 500))
        curves["types"].append(curve(made, new, rng))
        # Every answer by somebody of its own: the same pairs, no person behind them.
        loose = judge_pairs(types, 20 * config.num_people, 1, rng)
        people = np.repeat(np.arange(config.num_people), 20)
        mixed = JudgedPairs(differences=loose.differences, answer=loose.answer, person=people,
                            context=made.context, kind=made.kind, gap=loose.gap)  # fmt: skip
        curves["inconsistent"].append(curve(mixed, new, rng))
        own = rng.normal(size=(config.num_people + 500, config.dims)) * config.size / 10**0.5
        made = judge_pairs(own[500:], config.num_people, 20, rng)
        curves["normal"].append(curve(made, judge_pairs(own[:500], 500, 20, rng), rng))
    ours = {name: np.mean(values, axis=0) for name, values in curves.items()}
    claims = [
        no_worse(f"accuracy after {labels} labels", theirs, float(mean), slack=0.03, source=SOURCE)
        for labels, theirs, mean in zip(LABELS, CURVE, ours["types"])
    ]
    claims, behind = claims[:3], claims[3:]
    rises = float(np.diff(ours["types"]).min())
    spoilt = float(ours["inconsistent"][-1])
    claims += [
        no_worse("least gain from more labels", 0.0, rises, source=SOURCE),
        Claim(what="inconsistent people, after 10", theirs=0.75, ours=spoilt, low=spoilt - 0.04,
              high=spoilt + 0.04, source=SOURCE),
    ]  # fmt: skip
    return results(
        claims, not_met=behind, **{name: mean.round(4).tolist() for name, mean in ours.items()}
    )


def curve(made: JudgedPairs, new: JudgedPairs, rng: np.random.Generator) -> list[float]:
    """Accuracy on everybody's second ten pairs after some of the first."""
    histories, answers = [], []
    for labels in (0, 1, 2, 3, 5, 7, 10):
        # Which pairs are the history differs from time to time.
        order = np.argsort(rng.random((len(made.kind), 20)), axis=1).argsort(axis=1).ravel()
        told, asked = order < labels, order >= 15
        known = answered(
            made.differences[told], made.answer[told], made.person[told], len(made.kind)
        )
        histories.append(known[made.person[asked]])
        sign = np.where(made.answer[asked] == 0, 1.0, -1.0)[:, None]
        answers.append(made.differences[asked] * sign)
    known, better = np.concatenate(histories), np.concatenate(answers)
    bent = turns(known, better)
    crossed = Crossed.of(bent(known), np.concatenate([better, -better]))
    head = fit(crossed.features(bent(known), better))
    place, found = np.tile(np.arange(20), len(new.kind)), []
    later = place >= 10
    for labels in LABELS:
        few = place < labels
        known = answered(new.differences[few], new.answer[few], new.person[few], len(new.kind))
        gap = crossed.features(bent(known)[new.person[later]], new.differences[later]) @ head
        found.append(float(np.mean((gap > 0) == (new.gap[later] > 0))))
    return found


def fit(features: np.ndarray) -> np.ndarray:
    return fit_linear_head(winners(features), GapModel(), has_covariance=False).weights


def turns(known: np.ndarray, better: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The history, and what a first, linear head makes of it along the two directions in which it
    moves tastes most, bent so that somebody may be certain of a type."""
    plain = Crossed.of(known, np.concatenate([better, -better]))
    moved = fit(plain.features(known, better)).reshape(-1, plain.option_axes.shape[1])[1:]
    along = np.linalg.svd(moved)[0][:, :2]

    def bent(history: np.ndarray) -> np.ndarray:
        far = plain.contexts(history)[:, 1:] @ along
        return np.column_stack([history, *(np.tanh(steep * far) for steep in (0.5, 1.5, 4.0))])

    return bent


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
