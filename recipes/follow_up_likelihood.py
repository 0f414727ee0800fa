"""What people say next as a reward: FLR (2024), Follow-up Likelihood as Reward.

Theirs: log-odds of praise against complaint under a language model match strong reward models on 8
pairwise benchmarks; models and figures could not be had. Compared is the claim of our method notes:
the log-odds of "thanks" against "that is wrong" reach 90 % of the accuracy of Bradley and Terry's
model on 1,000 pairs, from no pair at all. Ours: answers of 60 words out of 200, three aspects each
with a taste for words of its own; 4,000 logged conversations in which somebody praises or complains
of one aspect, naive Bayes on the answers' words, 10 seeds; the head is trained on pairs by the mean
of the aspects. `curve` is the accuracy by the number of conversations: four of them are worth one
pair (0.82 from 4,000, 0.72 from 1,000). `real`: comments of expert readers on summaries, a model of
comments on good and bad summaries (rated 50 or more) of other stories: the better ranked of two
summaries by one reader is told by the comments' words in 0.62 of pairs, and by who got fewer
comments in 0.70, so that there the words are no reward yet. 95 % intervals over stories. Tiny: 2
seeds, 1,000 conversations. 5 s on one core. Data: summary_reviews (left out where it is not there).
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from penchant.encoders.word_counts import WordCounts
from penchant.errors import DataError
from penchant.evaluation.claims import no_worse
from penchant.evaluation.recipes import over_seeds, results, run_recipe, shared_file
from penchant.feedback.gap import GapModel
from penchant.fitting.head_pairs import HeadPairs
from penchant.fitting.linear_head import fit_linear_head
from penchant.fitting.naive_bayes import fit_naive_bayes
from penchant.metrics.calibration import clustered_share
from penchant.metrics.intervals import reach_of_mean
from penchant.numerics.arrays import sigmoid
from penchant.utilities.follow_up import follow_up_worths

SOURCE = "claim of the method card"
WORDS, LENGTH, ASPECTS = 200, 60, 3


@dataclass(frozen=True, kw_only=True)
class Config:
    """talks: numbers of logged conversations, the last one claimed."""

    talks: tuple[int, ...] = (250, 1000, 4000)
    num_pairs: int = 1000
    num_seeds: int = 10
    seed: int = 0

    @classmethod
    def tiny(cls) -> "Config":
        return cls(num_seeds=2, talks=(1000,))


def main(config: Config) -> dict[str, Any]:
    runs = [one(config, seed) for seed in range(config.num_seeds)]
    found = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    last = str(config.talks[-1])
    share = found[last] / found["pairs"]
    claims = [no_worse("share of the accuracy from pairs", 0.9, float(share.mean()), source=SOURCE)]
    curve = {name: over_seeds(v) for name, v in found.items()}
    try:
        people = readers()
    except DataError as error:
        people = {"left out": str(error)}
    return results(claims, share_within=round(reach_of_mean(share), 4), curve=curve, real=people)


def one(config: Config, seed: int) -> dict[str, float]:
    rng = np.random.default_rng((config.seed, seed))
    tastes = 0.25 * rng.normal(size=(WORDS, ASPECTS))
    usual = rng.dirichlet(np.ones(WORDS))

    def answers(num: int) -> np.ndarray:
        return rng.multinomial(LENGTH, usual, size=num).astype(np.float64)

    centre = LENGTH * usual @ tastes
    new = answers(4000).reshape(2000, 2, WORDS)
    better = (new @ tastes).mean(axis=2)
    gap = better[:, 0] - better[:, 1]
    shown = answers(2 * config.num_pairs).reshape(-1, 2, WORDS)
    apart = (shown[:, 0] - shown[:, 1]) / np.sqrt(LENGTH / WORDS)
    true = ((shown[:, 0] - shown[:, 1]) @ tastes).mean(axis=1)
    pairs = HeadPairs(
        features=apart.astype(np.float32), first=np.arange(len(apart)), second=None,
        answer=(rng.random(len(apart)) > sigmoid(true)).astype(int), weight=np.ones(len(apart)),
    )  # fmt: skip
    head = fit_linear_head(pairs, GapModel(), has_covariance=False)
    found = {"pairs": float(np.mean(((new[:, 0] - new[:, 1]) @ head.weights > 0) == (gap > 0)))}
    for talks in config.talks:
        said = answers(talks)
        aspect = rng.integers(ASPECTS, size=talks)
        liked = (said @ tastes - centre)[np.arange(talks), aspect]
        praised = (rng.random(talks) < sigmoid(liked)).astype(int)
        model = fit_naive_bayes(said, 2 * aspect + praised)
        log_prob = model.log_prob(new.reshape(-1, WORDS)).reshape(2000, 2, ASPECTS, 2)
        worth = follow_up_worths(log_prob[..., 1], log_prob[..., 0])
        found[str(talks)] = float(np.mean((worth[:, 0] > worth[:, 1]) == (gap > 0)))
    return found


def readers() -> dict[str, Any]:
    """Pairs of summaries that one reader ranked, by the likelihood of the reader's own comments."""
    import pyarrow.parquet as pq

    rows = pq.read_table(shared_file("summary_reviews/reviews.parquet")).to_pylist()
    texts = [" ".join(each["comment"] for each in row["comments"] or ()) for row in rows]
    number = np.array([len(row["comments"] or ()) for row in rows])
    good = np.array([row["rating_overall"] >= 50 for row in rows]).astype(int)
    _, story = np.unique([row["passage_id"] for row in rows], return_inverse=True)
    worth = np.zeros(len(rows))
    for fold in range(5):
        others, mine = np.flatnonzero(story % 5 != fold), np.flatnonzero(story % 5 == fold)
        words = WordCounts.of([texts[row] for row in others])
        model = fit_naive_bayes(words.count([texts[row] for row in others]), good[others])
        said = model.log_likelihood(words.count([texts[row] for row in mine]))
        worth[mine] = follow_up_worths(said[:, None, 1:], said[:, None, :1])[:, 0]
    groups: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault((row["reviewer_id"], row["passage_id"], row["question_no"]), []).append(
            place
        )
    met = [(a, b) for group in groups.values() for a, b in combinations(group, 2)
           if rows[a]["rank_overall"] != rows[b]["rank_overall"]]  # fmt: skip
    first, second = np.array(met).T
    rank = np.array([row["rank_overall"] for row in rows])
    first, second = (np.where(rank[first] < rank[second], *pair)
                     for pair in ((first, second), (second, first)))  # fmt: skip

    def told(gap: np.ndarray) -> list[float]:
        share = clustered_share(np.where(gap == 0, 0.5, gap > 0).astype(float), story[first])
        return [round(x, 4) for x in (share.estimate, share.low, share.high)]

    said = {"comments": worth, "number of comments": -number.astype(float)}
    return {"pairs": len(first), **{n: told(v[first] - v[second]) for n, v in said.items()}}


if __name__ == "__main__":
    run_recipe(__file__, Config, main)
