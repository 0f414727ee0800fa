"""A person's answers as context, meta-learned over people: Singh et al. (2025), FSPO.

Theirs: few labelled comparisons in the prompt of a 3B model, trained on a million synthetic
preferences: 87 % win rate with synthetic users, 72 % with real ones, which could not be had.
Compared is a simulation in our own method notes (two types at right angles): 0.75, 0.84, 0.88,
0.94, 0.97 for a new user after 0, 1, 2, 5, 10 labels; users who contradict themselves destroy it.
Ours: a set network of three linear heads, fitted over 500 synthetic people of 20 pairs each, 0 to
10 of them as history; right before noise; 5 seeds. Made for this world, where the first head alone
(`linear`) fell short: the others look in one plane, that of two types. The bound is Bayes' rule for
who knows both types. `normal`: people with tastes of their own (0.69 after 10). `inconsistent`: of
another type for each answer while they are learned from. Tiny: 1 seed, 80 people. 10 s. No data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from penchant.encoders.answered import answered
from penchant.encoders.crossed import Crossed
from penchant.evaluation.claims import Claim, no_better, no_worse
from penchant.evaluation.recipes import results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.numerics.arrays import add_rows, log_sigmoid
from penchant.simulation.judgements import JudgedPairs, foretold_by_kinds, judge_pairs, two_tastes

LABELS = (0, 1, 2, 5, 10)
CURVE = (0.75, 0.84, 0.88, 0.94, 0.97)
SOURCE = "our method notes' simulation"
Reader = Callable[[JudgedPairs, np.ndarray], np.ndarray]


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
    runs = [one(config, np.random.default_rng((config.seed, k))) for k in range(config.num_seeds)]
    ours = {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}
    spoilt = float(ours["inconsistent"][-1])
    claims = [
        *(no_worse(f"accuracy after {labels} labels", theirs, float(mean), slack=0.03,
                   source=SOURCE) for labels, theirs, mean in zip(LABELS, CURVE, ours["types"])),
        *(no_better(f"Bayes' bound after {labels}", float(most), float(mean), slack=0.01,
                    source="types known")
          for labels, most, mean in zip(LABELS, ours["bound"], ours["types"])),
        no_worse("least gain from more labels", 0.0, float(np.diff(ours["types"]).min()),
                 source=SOURCE),
        Claim(what="inconsistent people, after 10", theirs=0.75, ours=spoilt, low=spoilt - 0.04,
              high=spoilt + 0.04, source=SOURCE),
    ]  # fmt: skip
    return results(claims, **{name: mean.round(4).tolist() for name, mean in ours.items()})


def one(config: Config, rng: np.random.Generator) -> dict[str, list[float]]:
    types = two_tastes(np.pi / 2, config.dims, config.size)
    made, new = (judge_pairs(types, num, 20, rng) for num in (config.num_people, 500))
    # Every answer by somebody of its own: the same pairs, no person behind them.
    loose = judge_pairs(types, 20 * config.num_people, 1, rng)
    mixed = JudgedPairs(differences=loose.differences, answer=loose.answer, person=made.person,
                        context=made.context, kind=made.kind, gap=loose.gap)  # fmt: skip
    own = rng.normal(size=(config.num_people + 500, config.dims)) * config.size / 10**0.5
    others, strangers = (judge_pairs(tastes, len(tastes), 20, rng)
                         for tastes in (own[500:], own[:500]))  # fmt: skip

    linear, bent = readers(made, rng)
    return {
        "types": curve(bent, new), "linear": curve(linear, new),
        "bound": curve(lambda new, told: foretold_by_kinds(types, new, told) - 0.5, new),
        "inconsistent": curve(readers(mixed, rng)[1], new),
        "normal": curve(readers(others, rng)[1], strangers),
    }  # fmt: skip


def curve(read: Reader, new: JudgedPairs) -> list[float]:
    """Right of everybody's second ten pairs after some of the first."""
    place, truth = np.tile(np.arange(20), len(new.kind)), new.gap > 0
    right = [(read(new, place < labels) > 0) == truth for labels in LABELS]
    return [float(np.mean(each[place >= 10])) for each in right]


def readers(made: JudgedPairs, rng: np.random.Generator) -> tuple[Reader, Reader]:
    """The first of three heads and the last: the first finds the plane in which tastes differ, the
    second what an answer tells of a place in it, the third how sure the sum of that makes."""
    turns, dims = [], made.differences.shape[1]
    for labels in (0, 1, 2, 3, 5, 7, 10):
        # Which pairs are the history differs from time to time.
        order = np.argsort(rng.random((len(made.kind), 20)), axis=1).argsort(axis=1).ravel()
        turns.append((order < labels, order >= 10))
    signed = made.differences * np.where(made.answer == 0, 1.0, -1.0)[:, None]
    better = np.concatenate([signed[asked] for _, asked in turns])

    def fitted(history: Reader) -> tuple[Crossed, np.ndarray, Reader]:
        """A head on option times history: its axes, itself, and what it foretells."""
        known = np.concatenate([history(made, told)[made.person[asked]] for told, asked in turns])
        crossed = Crossed.of(known, np.concatenate([better, -better]))
        pairs = winners(crossed.features(known, better))
        head = fit_linear_head(pairs, GapModel(), has_covariance=False).weights

        def gap(new: JudgedPairs, told: np.ndarray) -> np.ndarray:
            return crossed.features(history(new, told)[new.person], new.differences) @ head

        return crossed, head.reshape(-1, crossed.option_axes.shape[1]), gap

    crossed, head, linear = fitted(averaged)
    plane = crossed.option_axes @ np.linalg.svd(head)[2][:2].T
    angles = np.arange(8) * np.pi / 4

    def tokens(answers: np.ndarray) -> np.ndarray:
        along = answers @ plane @ np.stack([np.cos(angles), np.sin(angles)])
        return np.column_stack([answers, log_sigmoid(np.column_stack([along, 4.0 * along]))])

    crossed, head, _ = fitted(partial(summed, tokens))
    axes = crossed.context_axes @ np.linalg.svd(head[1:])[0][:, :2]

    def bent(new: JudgedPairs, told: np.ndarray) -> np.ndarray:
        sums = summed(tokens, new, told)
        far = (sums - crossed.context_centre) @ axes
        return np.column_stack([sums[:, :dims], far, *(np.tanh(k * far) for k in (1, 4, 10))])

    return linear, fitted(bent)[2]


def averaged(new: JudgedPairs, told: np.ndarray) -> np.ndarray:
    return answered(new.differences[told], new.answer[told], new.person[told], len(new.kind))


def summed(tokens: Callable[[np.ndarray], np.ndarray], new: JudgedPairs, told: np.ndarray) -> Any:
    """Everybody's sum of what each of their answers says."""
    sign = np.where(new.answer[told] == 0, 1.0, -1.0)[:, None]
    some = tokens(new.differences[told] * sign)
    return add_rows(np.zeros((len(new.kind), some.shape[1])), new.person[told], some)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
