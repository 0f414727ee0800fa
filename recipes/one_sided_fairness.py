"""Answers of those accepted only, and like people treated alike: Bechavod and Roth (2022),
Individually fair learning with one-sided feedback.

Theirs: with labels of accepted people alone and a panel that names pairs treated too differently,
exponential weights over rules with importance weights have regret and reports that grow more slowly
than rounds; no experiment. Ours: 100 threshold rules on two features, four applicants a round, five
auditors of whom half must agree, lengths from 500 to 8,000 rounds, a step three times that of the
regret bound, price of a report T^(1/5). Regret is that of the Lagrangian loss beside the best rule
on the same reports. Beside it the same learner without importance weights, whose errors are those
of who took the answers of people it accepted for those of all, and without a price, whose reports
grow. Regret and reports per round shall fall with the length. Tiny: 100 and 400 rounds, 3 seeds.
15 s on one core.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from penchant.evaluation.claims import Claim, no_worse
from penchant.evaluation.one_sided import Accepted, accept_applicants
from penchant.evaluation.recipes import over_seeds, results, run_recipe
from penchant.metrics.intervals import reach_of_mean
from penchant.numerics.arrays import Array
from penchant.policies.bandits.one_sided import FairOneSided, OneSidedConfig, OneSidedDecision
from penchant.simulation.applicants import Panel, ThresholdRules, drawn_applicants

SOURCE = "sign of their bound"


@dataclass(frozen=True, kw_only=True)
class Config:
    lengths: tuple[int, ...] = (500, 2_000, 8_000)
    num_seeds: int = 10
    num_each: int = 4
    num_auditors: int = 5
    faster: float = 3.0
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(lengths=(100, 400), num_seeds=3)


class WithoutWeights(FairOneSided):
    """Takes the answers of those accepted for the answers of all."""

    def update(
        self,
        decision: OneSidedDecision,
        is_good: Bool[Array, " K"],
        reported: tuple[int, int] | None,
    ) -> None:
        surely = np.ones_like(decision.share)
        made = OneSidedDecision(decision.accepted, surely, decision.accepts)
        super().update(made, is_good, reported)


def main(config: Config) -> dict[str, Any]:
    runs = {
        name: [[one_run(config, index, length, name) for length in config.lengths]
               for index in range(config.num_seeds)]
        for name in ("fair", "without price", "without weights")
    }  # fmt: skip
    facts = {
        name: {
            "error": table(each, config, lambda run: run.error.mean()),
            "reports": table(each, config, lambda run: run.is_reported.mean()),
            "regret": table(each, config, lambda run: run.regret / len(run.error)),
        }
        for name, each in runs.items()
    }
    ends = {name: [(row[0], row[-1]) for row in each] for name, each in runs.items()}
    fair = ends["fair"]
    claims = [
        falls("regret a round that length saves",
              [short.regret / len(short.error) - long.regret / len(long.error)
               for short, long in fair]),
        falls("reports a round that length saves",
              [short.is_reported.mean() - long.is_reported.mean() for short, long in fair]),
        falls("reports a round that the price saves",
              [other.is_reported.mean() - long.is_reported.mean()
               for (_, long), (_, other) in zip(fair, ends["without price"])]),
        falls("errors that importance weights save",
              [other.error.mean() - long.error.mean()
               for (_, long), (_, other) in zip(fair, ends["without weights"])]),
    ]  # fmt: skip
    return results(claims, **facts)


def falls(what: str, saved: list[float]) -> Claim:
    """Surely more than nothing: the whole interval of the mean lies above 0."""
    found = np.array(saved)
    return no_worse(what, 0.0, float(found.mean()), slack=-reach_of_mean(found), source=SOURCE)


def table(each: list[list[Accepted]], config: Config, of: Any) -> dict[int, list[float]]:
    columns = zip(config.lengths, zip(*each))
    return {length: over_seeds(np.array([of(run) for run in runs])) for length, runs in columns}


def one_run(config: Config, index: int, length: int, name: str) -> Accepted:
    rng = np.random.default_rng((config.seed, index, length))
    applicants = drawn_applicants(length, config.num_each, rng)
    panel = Panel(weight=0.3 * rng.uniform(0.5, 1.5, size=(config.num_auditors, 2)))
    rules = ThresholdRules.grid(10, 10)
    bound = OneSidedConfig(num_rules=len(rules.offset), num_each=config.num_each,
                           num_rounds=length)  # fmt: skip
    made = OneSidedConfig(
        num_rules=bound.num_rules, num_each=bound.num_each, num_rounds=length,
        rate=config.faster * bound.step, price=0.0 if name == "without price" else None,
    )  # fmt: skip
    kind = WithoutWeights if name == "without weights" else FairOneSided
    return accept_applicants(kind(made, random_state=rng), applicants, rules, panel, made.charged)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
