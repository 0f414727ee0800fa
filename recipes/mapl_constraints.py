"""The same answer under two prompts: Multi-level Aware Preference Learning (2025), MAPL.

Theirs: pairs of an answer under a prompt that it satisfies and under one that it violates (the
paper's intra-sample pairs) teach a reward model to follow several instructions; gains on benchmarks
of language models, none of which could be had, nor do our method notes have a figure of their own
(0.87 to 0.91 there is of `recipes/contrast_consistency.py`, another world). Compared is what the
notes ask as an order: such pairs raise how often an answer is worth more under its own prompt, more
so for constraint combinations never seen, and accuracy within prompts is unchanged. Ours: prompts
ask for some of 10 constraints, answers meet some, worth is minus the constraints broken; a linear
head on prompt, answer and their product; 3,000 pairs within prompts, with and without pairs across;
5 seeds, low ends of 95 % intervals. Not met: that combinations never seen gain more (0.02 more,
-0.07 to 0.12). Without them what a prompt asks of all answers is free (I1) and the head calls most
such contrasts a tie. Tiny: 1 seed, 600 pairs. 3 s on one core. No data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import low_over_seeds, results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import winners
from penchant.fitting.linear_head import fit_linear_head
from penchant.metrics.reversals import pair_accuracy
from penchant.numerics.arrays import sigmoid

SOURCE = "our method notes, as an order"


@dataclass(frozen=True, kw_only=True)
class Config:
    """sharpness: logits for each constraint broken."""

    num_pairs: int = 3000
    num_constraints: int = 10
    sharpness: float = 2.0
    num_seeds: int = 5
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_pairs=600, num_seeds=1)


def main(config: Config) -> dict[str, Any]:
    runs = [one_run(config, np.random.default_rng((config.seed, k)))
            for k in range(config.num_seeds)]  # fmt: skip
    told = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    gained = {what: np.array([run[f"{what}, across"] - run[f"{what}, within"] for run in runs])
              for what in ("seen", "never seen", "accuracy")}  # fmt: skip
    claims = [
        no_worse("gained by pairs across, low end", 0.0, low_over_seeds(gained["seen"]),
                 source=SOURCE),
        no_worse("gained on combinations never seen, low end", 0.0,
                 low_over_seeds(gained["never seen"]), source=SOURCE),
        no_worse("accuracy within prompts, change", 0.0, float(gained["accuracy"].mean()),
                 slack=0.005, source=SOURCE),
    ]  # fmt: skip
    behind = [no_worse("gained more on combinations never seen, low end", 0.0,
                       low_over_seeds(gained["never seen"] - gained["seen"]),
                       source=SOURCE)]  # fmt: skip
    facts = {name: round(value, 4) for name, value in told.items()}
    return results(claims, not_met=behind, **facts)


def worth(asked: np.ndarray, met: np.ndarray) -> np.ndarray:
    return -(asked * (1.0 - met)).sum(axis=1)


def features(asked: np.ndarray, met: np.ndarray) -> np.ndarray:
    both = (asked[:, :, None] * met[:, None]).reshape(len(asked), -1)
    return np.column_stack([both, met, asked])


def one_run(config: Config, rng: np.random.Generator) -> dict[str, float]:
    shape = (2 * config.num_pairs, config.num_constraints)
    asked = (rng.random(shape) < 0.4).astype(float)
    met, other = (rng.random((2, *shape)) < 0.6).astype(float)
    # One constraint more, at random among those that the answer breaks.
    more = np.maximum(asked, (1.0 - met) * (rng.random(shape) < 0.3))
    is_held = asked[:, :3].all(axis=1)
    train = np.flatnonzero(~is_held)[: config.num_pairs]
    new = np.setdiff1d(np.arange(len(asked)), train)
    within = features(asked, met) - features(asked, other)
    across = features(asked, met) - features(more, met)
    gaps = {"within": worth(asked, met) - worth(asked, other),
            "across": worth(asked, met) - worth(more, met)}  # fmt: skip
    differs = gaps["across"] != 0

    def won(differences: np.ndarray, gap: np.ndarray) -> np.ndarray:
        """Winners first, by a noisy judge."""
        sign = np.where(rng.random(len(gap)) < sigmoid(config.sharpness * gap), 1.0, -1.0)
        return differences * sign[:, None]

    of_prompt = won(within[train], gaps["within"][train])
    twice = train[differs[train]]
    both = np.concatenate([of_prompt, won(across[twice], gaps["across"][twice])])
    found = {}
    for name, rows in (("within", of_prompt), ("across", both)):
        head = fit_linear_head(winners(rows), GapModel(), has_covariance=False).weights
        for kind, some in (("seen", ~is_held), ("never seen", is_held)):
            kept = new[some[new] & differs[new]]
            gap = across[kept] @ head
            # What only rounding decides is a tie.
            found[f"{kind}, {name}"] = pair_accuracy(np.where(np.abs(gap) < 1e-3, 0.0, gap))
        judged = new[gaps["within"][new] != 0]
        told = (within[judged] @ head) * gaps["within"][judged]
        found[f"accuracy, {name}"] = pair_accuracy(told)
    return found


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
