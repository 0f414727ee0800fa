"""Rankings of six game platforms by Dutch students: Fok, Paap and van Dijk (2012), A rank-ordered
logit model with unobserved heterogeneity in ranking capabilities.

Theirs: the scores of Plackett-Luce without covariates against the Game Boy, from all 91 students
(mlogit 0.2-4 on its data set Game, `ch ~ alt | -1 | -1`). Ours: 75 of these students (the others
were not to be had), so that theirs is to lie within our 95 % interval, clustered by student.
Tiny: the first 40 students. No randomness; a second on one core. Data: rankings/ in PENCHANT_DATA.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from penchant.data.description import Description
from penchant.data.readers.read import read
from penchant.evaluation.claims import within_doubt
from penchant.evaluation.recipes import results, run_recipe, shared_file
from penchant.models.plackett_luce import PlackettLuce

SCORES = {
    "GameCube": 0.058678,
    "PC": 1.275749,
    "PlayStation": 1.273903,
    "PSPortable": 0.622355,
    "Xbox": 1.401230,
}
DESCRIPTION = Description(
    layout="long", person="respondent_id", option="platform", kind="ranking", answer="rank"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """num_students: the first so many, None for all 75. seed: of no consequence."""

    num_students: int | None = None
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_students=40)


def main(config: Config) -> dict[str, Any]:
    rankings = read(shared_file("rankings/game_platforms.parquet"), DESCRIPTION).records
    if config.num_students is not None:
        rankings = rankings.take(np.arange(config.num_students))
    belief = PlackettLuce().fit(rankings).belief_
    errors = np.sqrt(np.diag(belief.robust_covariance))
    found = {
        name: (float(score), float(error))
        for name, score, error in zip(belief.parameter_names, belief.theta, errors, strict=True)
    }
    claims = [
        within_doubt(name, figure, found[name][0], se=found[name][1], source="mlogit 0.2-4, Game")
        for name, figure in SCORES.items()
    ]
    return results(claims, students=len(rankings))


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
