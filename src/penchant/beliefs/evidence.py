"""How likely a belief finds all answers of each person together.

Legend: G groups (people), S kinds of people.
"""

import numpy as np
from jaxtyping import Float

from penchant.beliefs.belief import Belief
from penchant.beliefs.personal import personal_answers, quasi_normal
from penchant.beliefs.posterior import group_log_likelihood
from penchant.data.batch import Batch
from penchant.numerics.arrays import Array, log_sum_exp
from penchant.populations.normal import Normal

NUM_DRAWS = 512


def log_evidence(belief: Belief, batch: Batch) -> Float[Array, " G"]:
    """log sum_s w[g, s] prod_(rows b of g) p(y_b | u_s)^(w_b), 0 for a group without answers.

    Exact for one taste and for classes. For normal random coefficients by 512 draws around each
    person's own taste, weighted exactly, so that a person with many answers is integrated as well
    as one with few; for other distributions by the population's own draws.
    """
    population = belief.population
    if isinstance(population, Normal) and belief.posterior == "laplace":
        mine = personal_answers(belief, batch)
        noise = quasi_normal(NUM_DRAWS, len(mine.prior.random), 0)
        return mine.draws(mine.modes(), noise).log_evidence
    tastes = population.tastes(belief.population_theta, batch.group_features)
    total = np.zeros((batch.num_groups, tastes.values.shape[1]))
    for worths in belief.utilities(batch):
        block = batch.blocks[worths.block].take(worths.rows)
        log_prob = belief._log_prob(batch, block, worths.utilities)
        total += group_log_likelihood(log_prob, block.group, block.weight, batch.num_groups)
    return log_sum_exp(total + tastes.log_weights, axis=1)
