"""Leaderboards of real votes: figures for docs/leaderboards.md.

    PENCHANT_DATA=<data> python benchmarks/leaderboard_examples.py     # prints tables

Answers of language models judged by five language models and, other answers, by three people
(lm_judges; the logarithm of the lengths' ratio as a covariate), and statements on the
personalisation of chatbots that 100 people rated 0 to 4 (statement_votes; a vote for every two
statements of a person, and errors by person).
"""

import os
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from penchant.data.votes import Votes
from penchant.models.leaderboard import Leaderboard
from voters import judges, people

DATA = Path(os.environ["PENCHANT_DATA"])


def by_length(name: str, votes: Votes) -> None:
    """What length is worth, and whose place changes at equal length."""
    bare = replace(votes, covariates=np.zeros((len(votes), 0)), covariate_names=())
    plain = Leaderboard().fit(bare)
    equal = Leaderboard(covariates=("log length",)).fit(votes)
    fit = equal.fit_
    place = {row.name: row.rank for row in plain.standings_}
    moved = sorted(equal.standings_, key=lambda row: row.rank - place[row.name])
    print(
        f"{name}: {len(votes):,} votes, intervals by {equal.bounds_.kind}; "
        f"twice the length is worth {fit.coefficients[0] * np.log(2):+.3f} logits "
        f"(se {fit.coefficient_se[0] * np.log(2):.3f}), log-likelihood "
        f"{plain.fit_.log_likelihood:,.1f} -> {fit.log_likelihood:,.1f}"
    )
    for row in (moved[0], moved[-1]):
        print(f"    {row.name}: place {place[row.name]} -> {row.rank}")


def statements() -> None:
    """Statements as items, people as voters."""
    rated = pd.read_parquet(DATA / "statement_votes" / "chatbot_ratings.parquet")
    rated = rated[rated["sample"] == "validation"]
    codes, texts = pd.factorize(rated.statement)
    people, names = pd.factorize(rated.participant)
    rows = []
    for person in range(len(names)):
        mine = np.flatnonzero(people == person)
        rating = rated.rating_numeric.to_numpy()[mine]
        for one, two in combinations(range(len(mine)), 2):
            outcome = 2 if rating[one] == rating[two] else int(rating[one] < rating[two])
            rows.append((codes[mine[one]], codes[mine[two]], outcome, person))
    first, second, outcome, voter = np.array(rows).T
    votes = Votes.from_outcomes(
        [f"S{n + 1}" for n in range(len(texts))], first, second, outcome, voter=voter,
        voters=tuple(map(str, names)),
    )  # fmt: skip
    for number, text in enumerate(texts):
        print(f"    S{number + 1}: {text[:90]}")
    for interval in ("wald", "auto"):
        print(Leaderboard(interval=interval).fit(votes).summary())


def main() -> None:
    lm = judges(DATA)
    for judge, name in enumerate(lm.voters):
        by_length(name, lm.take(np.flatnonzero(lm.voter == judge)))
    by_length("all five", lm)
    by_length("three people", people(DATA))
    statements()


if __name__ == "__main__":
    main()
