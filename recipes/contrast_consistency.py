"""Rewards across prompts: Shen et al. (2023), the trickle-down impact of reward (in)consistency.

Pairs within a prompt leave whatever the prompt adds to all its answers free. Theirs: standard
reward models fail the contrast badly beside humans; their texts and models could not be had.
Compared are figures of a simulation in our own method notes (an answer should match M x, small
network): an answer is worth more under its own prompt than under another in 0.97 of far prompts and
0.87 of near ones; with cross-prompt pairs as well 0.99 and 0.91, and 0.98 within prompts as before.
Ours: worth -|y - M x|^2 / 2 as a linear head on prompt times answer, squares of the answer and of
the prompt; 3,000 pairs within prompts, 1,000 across, 5 seeds. Not met: the two figures without
cross-prompt pairs. Our head then knows nothing of what a prompt adds (0.52 near, where the network
half guesses it); `longer` prompts differ mostly in that, and there it is always wrong. Tiny: 1
seed, 800 pairs. 5 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.encoders.crossed import Crossed
from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.metrics.reversals import contrast, pair_accuracy
from penchant.numerics.arrays import sigmoid

SOURCE = "our method notes' simulation"


@dataclass(frozen=True, kw_only=True)
class Config:
    """sharpness: logits per unit of squared distance."""

    num_within: int = 3000
    num_across: int = 1000
    sharpness: float = 2.0
    num_seeds: int = 5
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_within=600, num_across=200, num_seeds=1)


def main(config: Config) -> dict[str, Any]:
    runs = []
    for seed in range(config.num_seeds):
        rng = np.random.default_rng((config.seed, seed))
        runs.append(matching(config, rng))
    told = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    gained = {name.partition(",")[0]: told[name] - told[name.replace("across", "within")]
              for name in told if "across" in name}  # fmt: skip
    compared = [
        ("far prompts, cross-prompt pairs added", 0.99, told["far, across"], 0.02),
        ("near prompts, cross-prompt pairs added", 0.91, told["near, across"], 0.02),
        ("gained more where prompts differ in length", 0.0, gained["longer"] - gained["far"], 0.0),
        ("accuracy within prompts, change", 0.0, gained["right"], 0.005),
    ]
    claims = [no_worse(what, theirs, ours, slack=slack, source=SOURCE)
              for what, theirs, ours, slack in compared]  # fmt: skip
    alone = [no_worse(f"{where} prompts, pairs within alone", theirs, told[f"{where}, within"],
                      slack=0.02, source=SOURCE)
             for where, theirs in (("far", 0.97), ("near", 0.87))]  # fmt: skip
    return results(claims, not_met=alone, **{name: round(value, 4) for name, value in told.items()})


def head_of(better: np.ndarray, worse: np.ndarray) -> np.ndarray:
    return fit_linear_head(winners(better - worse), GapModel(), has_covariance=False).weights


def judged(one: Any, other: Any, worth: Any, config: Config, rng: np.random.Generator) -> Any:
    """Two (prompt, answer) sets in the order of noisy judgements: better ones, worse ones."""
    gap = config.sharpness * (worth(*one) - worth(*other))
    won = (rng.random(len(gap)) < sigmoid(gap))[:, None]
    better = tuple(np.where(won, a, b) for a, b in zip(one, other))
    return better, tuple(np.where(won, b, a) for a, b in zip(one, other))


def matching(config: Config, rng: np.random.Generator) -> dict[str, float]:
    """Answers that should match M x."""
    ideal = rng.normal(size=(6, 6)) / 6**0.5

    def worth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -0.5 * ((y - x @ ideal) ** 2).sum(axis=1)

    def answer(x: np.ndarray) -> np.ndarray:
        return x @ ideal + 0.3 * rng.normal(size=x.shape)

    x, other = rng.normal(size=(2, config.num_within, 6))
    within = judged((x, answer(x)), (x, answer(other)), worth, config, rng)
    near = x[: config.num_across] + 0.5 * rng.normal(size=(config.num_across, 6))
    shown = answer(x[: config.num_across])
    across = judged((x[: config.num_across], shown), (near, shown), worth, config, rng)
    crossed, upper = Crossed.of(x, answer(x)), np.triu_indices(6)

    def features(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        squares = (x[:, :, None] * x[:, None])[:, *upper]
        return np.column_stack([crossed.features(x, y), y**2, squares])

    kinds = {"within": within, "across": tuple(
        tuple(np.concatenate(both) for both in zip(*side)) for side in zip(within, across)
    )}  # fmt: skip
    found, new = {}, rng.normal(size=(2000, 6))
    others = {"far": rng.normal(size=(2000, 6)), "near": new + 0.5 * rng.normal(size=(2000, 6)),
              "longer": 1.6 * new}  # fmt: skip
    own = answer(new)
    wrong = answer(others["far"])
    for kind, (better, worse) in kinds.items():
        head = head_of(features(*better), features(*worse))
        for name, away in others.items():
            # Only contrasts that the truth decides: the answer does fit its own prompt better.
            kept = worth(new, own) > worth(away, own)
            rewards = [features(*pair)[kept] @ head
                       for pair in ((new, own), (new, answer(away)), (away, own))]  # fmt: skip
            found[f"{name}, {kind}"] = contrast(*rewards).instruction
        told = (features(new, own) - features(new, wrong)) @ head
        found[f"right, {kind}"] = pair_accuracy(told * (worth(new, own) - worth(new, wrong)))
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
