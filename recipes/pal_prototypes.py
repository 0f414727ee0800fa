"""Everybody a mix of prototypes: Chen et al. (2024), PAL.

Theirs: on Reddit summaries +1.7 points for seen and +36 for unseen users, data and models that
could not be had. Compared are figures of a simulation in our own method notes: on split users two
prototypes beat one by 15 points or more (0.94 against 0.75 for two tastes at right angles), and a
new user's accuracy rises as 0.75, 0.84, 0.88, 0.94, 0.97 after 0, 1, 2, 5, 10 labels. Ours:
`fit_prototypes` on 400 people with 8 pairs each, 10 dimensions, right before noise, mean of 5
seeds. The number of prototypes is chosen by people who were left out: `held_out` has nats an answer
for one to four. `mixed` is a world of people between three prototypes, where mixes are to foretell
new people better than three classes; `real` are later judgements of arguments, nats less those of
one head (below 0 better, 95 % intervals): tastes that differ a little do pay, reliability alone
does not. Tiny: 1 seed, 100 people, no real data. 70 s on one core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.data.samples import convincing_arguments
from penchant.evaluation.claims import no_worse
from penchant.evaluation.known_judges import known_judges
from penchant.evaluation.recipes import low_over_seeds, results, run_recipe
from penchant.feedback.gap import GapModel
from penchant.fitting.head_mixture import HeadMixture, fit_head_mixture
from penchant.fitting.prototypes import fit_prototypes, held_out_people
from penchant.populations.prototypes import Prototypes
from penchant.simulation.judgements import JudgedPairs, judge_pairs, two_tastes

LABELS = (0, 1, 2, 5, 10)
CURVE = (0.75, 0.84, 0.88, 0.94, 0.97)
SOURCE = "our method notes' simulation"


@dataclass(frozen=True, kw_only=True)
class Config:
    """num_people, num_each: of a fit. concentration: of the mixes of split users."""

    num_people: int = 400
    num_each: int = 8
    num_seeds: int = 5
    dims: int = 10
    concentration: float = 0.2
    has_real: bool = True
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_people=100, num_seeds=1, has_real=False)


def main(config: Config) -> dict[str, Any]:
    curves, gains, left_out, mixed = [], [], [], []
    for seed in range(config.num_seeds):
        rng = np.random.default_rng((config.seed, seed))
        tastes = two_tastes(np.pi / 2, config.dims)
        made = judge_pairs(tastes, config.num_people, config.num_each, rng)
        new = judge_pairs(tastes, 400, 20, rng)
        one, two = (fit_prototypes(made.pairs(), mixes(config, k), group=made.person, rng=rng)
                    for k in (1, 2))  # fmt: skip
        curves.append([right(two, new, labels) for labels in LABELS])
        gains.append(right(two, new, 10) - right(one, new, 10))
        choices = [mixes(config, k) for k in (1, 2, 3, 4)]
        left_out.append(held_out_people(made.pairs(), made.person, choices, rng=rng))
        mixed.append(between(config, rng))
    ours = np.mean(curves, axis=0)
    claims = [
        no_worse(f"accuracy after {labels} labels", theirs, float(mean), slack=0.03, source=SOURCE)
        for labels, theirs, mean in zip(LABELS, CURVE, ours)
    ]
    more = np.array(mixed)[:, 0] - np.array(mixed)[:, 1]
    claims += [
        no_worse("two prototypes over one", 0.15, float(np.mean(gains)), source=SOURCE),
        no_worse("mixes over classes between prototypes, low end", 0.0, low_over_seeds(more),
                 source="ours"),
    ]  # fmt: skip
    said = {"curve": ours, "held_out": np.mean(left_out, axis=0), "mixed": np.mean(mixed, axis=0)}
    told = {name: value.round(4).tolist() for name, value in said.items()}
    return results(claims, **told, real=real(config) if config.has_real else {})


def mixes(config: Config, num: int) -> Prototypes:
    return Prototypes(num_prototypes=num, concentration=config.concentration)


def right(found: HeadMixture, new: JudgedPairs, labels: int) -> float:
    """Accuracy on the second ten answers of people known by some of the first."""
    place, people = np.tile(np.arange(20), len(new.kind)), len(new.kind)
    few, later = place < labels, place >= 10
    before = found.heads.log_weights(np.zeros((people, 0)))
    after = found.heads.learned(before, new.differences[few], new.answer[few], new.person[few])
    said = found.heads.probabilities(new.differences[later], after[new.person[later]])[:, 0]
    return float(np.mean((said > 0.5) == (new.gap[later] > 0)))


def between(config: Config, rng: np.random.Generator) -> tuple[float, float]:
    """New people between three prototypes, told by ten answers: mixes, then as many classes."""
    corners = 5.0 * np.eye(3, config.dims)
    made, new = (judge_pairs(rng.dirichlet(np.ones(3), size=num) @ corners, num, 20, rng)
                 for num in (config.num_people, 400))  # fmt: skip
    prototypes = Prototypes(num_prototypes=3, num_mixes=200)
    mixed = fit_prototypes(made.pairs(), prototypes, group=made.person, rng=rng)
    classes = fit_head_mixture(made.pairs(), 3, group=made.person, rng=rng)
    return right(mixed, new, 10), right(classes, new, 10)


def real(config: Config) -> dict[str, Any]:
    """Two prototypes mixed evenly or not, and one head whose weight alone differs."""
    judges, said = known_judges(convincing_arguments()), {}
    apart = judges.later.differences(np.arange(len(judges.later)))
    kinds = {
        "one": np.ones((1, 1)),
        "reliability alone": np.exp(np.linspace(-0.6, 0.6, 9))[:, None],
    }
    for evenness in (0.3, 1.0, 3.0, 10.0):
        two = Prototypes(num_prototypes=2, num_mixes=32, concentration=evenness)
        kinds[f"two, concentration {evenness:g}"] = two.mixing()
    for name, mixing in kinds.items():
        found = fit_head_mixture(
            judges.earlier, mixing.shape[1], group=judges.earlier_judge, mixing=mixing,
            rng=np.random.default_rng(config.seed), model=GapModel(ties="davidson"),
        )  # fmt: skip
        weights = np.log(np.maximum(found.responsibilities, 1e-300))[judges.later_judge]
        said[name] = found.heads.probabilities(apart, weights, judges.later.columns)
    gains = {name: judges.gain(told, said["one"]) for name, told in said.items() if name != "one"}
    return {k: [round(x, 4) for x in (g.estimate, g.low, g.high)] for k, g in gains.items()}


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
