"""What the leaderboard's page says of circles: whether taste goes round, and the clearest one."""

from dataclasses import dataclass

import numpy as np

from penchant.data.pair_counts import PairCounts
from penchant.errors import DataError
from penchant.evaluation.cycle_charts import cycle_picture
from penchant.evaluation.intransitivity import intransitivity
from penchant.evaluation.leaderboard_words import p_value_words
from penchant.evaluation.report_words import percent

# The test for cycles fits this many items some 400 times: a second or two.
MOST_TESTED, MOST_PAIRS_TESTED = 40, 800


@dataclass(frozen=True, kw_only=True)
class CycleView:
    """Whether preferences go round in circles, in words, and the picture of the strongest if so."""

    takeaway: str
    picture: str


def cycle_view(counts: PairCounts, seed: int) -> CycleView | None:
    """One test of one line of scores; None where it is too large a question or none at all."""
    whole = all((x == np.round(x)).all() for x in (counts.first_wins, counts.second_wins))
    small = counts.num_items <= MOST_TESTED and counts.num_pairs <= MOST_PAIRS_TESTED
    if not (whole and small):
        return None
    try:
        found = intransitivity(counts, np.random.default_rng(seed), num_draws=199)
    except DataError:  # too few pairs met for a circle to close
        return None
    p_value = min(1.0, 2.0 * min(test.p_value for test in found.tests))
    if p_value >= 0.05:
        told = (
            "No: votes from one line of scores would look as cyclic as these often enough "
            f"(p-value {p_value_words(p_value)} of two tests together)."
        )
        return CycleView(takeaway=told, picture="")
    told = (
        f"Yes: one line of scores does not explain these votes (p-value {p_value_words(p_value)}). "
    )
    if not found.cycles:
        return CycleView(
            takeaway=told + "No single circle is clear enough to be drawn, though; voters who "
            "differ or repeat themselves look like this too.",
            picture="",
        )
    best = found.items[found.best]
    sure = found.winner.probability.max() > 0.999
    told += (
        f"{best} still beats every other item more often than not."
        if sure and int(found.winner.probability.argmax()) == found.best
        else f"{best}, first on the line, loses to some item {percent(1.0 - found.best_worst)} of "
        "the time; percent beside the names are the mixture that nothing beats."
    )
    picture = cycle_picture(
        found.fit.comparison(), found.items, found.cycles, lottery=found.winner.probability
    )
    return CycleView(takeaway=told, picture=picture)
