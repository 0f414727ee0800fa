"""What covariates, contexts and voters' own ways add to a leaderboard, on votes held out.

    PENCHANT_DATA=<data> python benchmarks/voters.py [--only SECTION ...] [--folds 5]

writes results/voters.json.

Arguments compared by crowd workers (Habernal and Gurevych 2016) and answers of language models
compared by judges and by people. Figures are minus the mean log-probability of held-out votes, in
nats a vote; lower is better. Crowd-BT (Chen et al. 2013), which knows no ties, is fitted here by
its own likelihood and compared on votes that decided.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from measure import circumstances
from penchant.data.votes import Votes
from penchant.feedback.gap import GapModel
from penchant.fitting.voter_remarks import describe_voters
from penchant.fitting.votes_drift import DriftConfig, fit_drift
from penchant.fitting.votes_pooled import VotesConfig, fit_votes
from penchant.fitting.votes_reliability import VotersConfig, fit_voters
from penchant.numerics.graph import connectivity
from penchant.populations.voters import EFFECTS, Effect
from penchant.simulation.votes import VoteWorld, simulate_votes

RESULTS = Path(__file__).resolve().parent / "results" / "voters.json"
DAVIDSON = VotesConfig(model=GapModel(ties="davidson"))
BY_CONTEXT = replace(DAVIDSON, has_context=True)


def codes(values: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    numbers, names = pd.factorize(values, sort=True)
    return numbers.astype(np.int64), tuple(map(str, names))


def convincing(folder: Path) -> Votes:
    """Which argument convinces: context = the worker's own stance, time = the day."""
    judged = pd.read_parquet(folder / "convincing_arguments" / "judgments.parquet")
    items = tuple(sorted(set(judged.argument_1) | set(judged.argument_2)))
    place = {name: number for number, name in enumerate(items)}
    voter, voters = codes(judged.worker_id)
    context, contexts = codes(judged.worker_stance)
    day = pd.to_datetime(judged.day)
    return Votes.from_outcomes(
        items,
        judged.argument_1.map(place).to_numpy(),
        judged.argument_2.map(place).to_numpy(),
        judged.choice.map({"a1": 0, "a2": 1, "equal": 2}).to_numpy(),
        voter=voter,
        voters=voters,
        context=context,
        contexts=contexts,
        covariates=np.ones((len(judged), 1)),
        covariate_names=("shown first",),
        time=(day - day.min()).dt.days.to_numpy(np.float64),
    )


def judges(folder: Path) -> Votes:
    """Language models against a baseline: voter and context = the judge."""
    judged = pd.read_parquet(folder / "lm_judges" / "judgments.parquet")
    judged = judged[(judged.model_chars > 0) & (judged.baseline_chars > 0)]
    judged = judged[judged.model != judged.baseline]
    items = tuple(sorted(set(judged.model) | set(judged.baseline)))
    place = {name: number for number, name in enumerate(items)}
    voter, voters = codes(judged.judge)
    return Votes(
        items=items,
        first=judged.model.map(place).to_numpy(),
        second=judged.baseline.map(place).to_numpy(),
        share=judged.win_probability.to_numpy(np.float64),
        tie=(judged.win_probability == 0.5).to_numpy(),
        weight=np.ones(len(judged)),
        voter=voter,
        voters=voters,
        context=voter,
        contexts=voters,
        covariates=np.log(judged.model_chars / judged.baseline_chars).to_numpy()[:, None],
        covariate_names=("log length",),
    )


def people(folder: Path) -> Votes:
    """Three annotators on answers of five language models."""
    pairs = pd.read_parquet(folder / "lm_judges" / "human_pairs.parquet")
    names = ["annotator_1", "annotator_2", "annotator_3"]
    long = pairs.melt(["model_1", "model_2", "response_1", "response_2"], names)
    items = tuple(sorted(set(long.model_1) | set(long.model_2)))
    place = {name: number for number, name in enumerate(items)}
    voter, voters = codes(long.variable)
    lengths = [np.log(long[name].str.len().clip(lower=1)) for name in ("response_1", "response_2")]
    return Votes.from_outcomes(
        items,
        long.model_1.map(place).to_numpy(),
        long.model_2.map(place).to_numpy(),
        long.value.map({"first": 0, "second": 1, "tie": 2}).to_numpy(),
        voter=voter,
        voters=voters,
        covariates=(lengths[0] - lengths[1]).to_numpy()[:, None],
        covariate_names=("log length",),
    )


def bare(votes: Votes) -> Votes:
    """The votes without covariates."""
    return replace(votes, covariates=np.zeros((len(votes), 0)), covariate_names=())


Fitted = Callable[[Votes], np.ndarray]
Fit = Callable[[Votes], Fitted]


def pooled(config: VotesConfig, *, has_covariates: bool = False) -> Fit:
    """All voters alike."""
    kept = (lambda votes: votes) if has_covariates else bare

    def fit(train: Votes) -> Fitted:
        found = fit_votes(kept(train), config)
        return lambda test: found.log_prob(kept(test))

    return fit


def by_voter(
    config: VotesConfig, effects: tuple[Effect, ...] = EFFECTS, *, has_covariates: bool = False
) -> Fit:
    """Voters who differ in these."""
    kept = (lambda votes: votes) if has_covariates else bare

    def fit(train: Votes) -> Fitted:
        found = fit_voters(kept(train), config, VotersConfig(effects=effects))
        return lambda test: found.log_prob(kept(test))

    return fit


def held_out(
    votes: Votes, models: dict[str, Fit], num_folds: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Each model on the same folds of votes, with the paired gain over the first."""
    fold = np.random.default_rng(seed).integers(0, num_folds, len(votes))
    logs: dict[str, np.ndarray] = {}
    rows = []
    for name, fit in models.items():
        logs[name], seconds = np.empty(len(votes)), 0.0
        for number in range(num_folds):
            test = np.flatnonzero(fold == number)
            began = time.process_time()
            predict = fit(votes.take(np.flatnonzero(fold != number)))
            seconds += time.process_time() - began
            logs[name][test] = predict(votes.take(test))
        gain = logs[name] - logs[next(iter(models))]
        rows.append(
            {
                "model": name,
                "nll": -float(logs[name].mean()),
                "gain": float(gain.mean()),
                "gain_se": float(gain.std() / np.sqrt(len(gain))),
                "cpu_seconds": seconds / num_folds,
            }
        )
        print(
            f"{name:38s} {-logs[name].mean():.4f}  gain {gain.mean():+.4f} "
            f"({rows[-1]['gain_se']:.4f})  {rows[-1]['cpu_seconds']:.1f} s",
            flush=True,
        )
    return rows


def crowd_bt(train: Votes) -> Fitted:
    """Crowd-BT: p(i over j by v) = eta_v sigma(s_i - s_j) + (1 - eta_v) sigma(s_j - s_i).

    Scores have a normal prior of standard deviation 2 and eta a Beta(10, 1), as its authors start
    from; both by L-BFGS at once.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    num, count = train.num_items, len(train.voters)
    sign = np.where(train.share == 1.0, 1.0, -1.0)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        scores, eta = flat[:num], expit(flat[num:])
        gap = sign * (scores[train.first] - scores[train.second])
        own, right = eta[train.voter], expit(gap)
        p = own * right + (1.0 - own) * (1.0 - right)
        by_gap = sign * (2.0 * own - 1.0) * right * (1.0 - right) / p
        by_eta = np.bincount(train.voter, (2.0 * right - 1.0) / p, count)
        slope = np.bincount(train.first, by_gap, num) - np.bincount(train.second, by_gap, num)
        value = np.log(p).sum() - scores @ scores / 8.0 + 9.0 * np.log(eta).sum()
        slopes = np.r_[slope - scores / 4.0, (by_eta + 9.0 / eta) * eta * (1.0 - eta)]
        return -value, -slopes

    best = minimize(loss, np.r_[np.zeros(num), np.full(count, 2.0)], jac=True, method="L-BFGS-B",
                    options={"maxiter": 500}).x  # fmt: skip
    scores, eta = best[:num], expit(best[num:])

    def predict(test: Votes) -> np.ndarray:
        sign = np.where(test.share == 1.0, 1.0, -1.0)
        right = expit(sign * (scores[test.first] - scores[test.second]))
        own = eta[test.voter]
        return np.log(own * right + (1.0 - own) * (1.0 - right))

    return predict


def argue(folder: Path, num_folds: int) -> Any:
    """Convincing arguments, held out."""
    models = {
        "all voters alike": pooled(DAVIDSON),
        "first shown as a covariate": pooled(DAVIDSON, has_covariates=True),
        "scores by the voter's stance": pooled(BY_CONTEXT),
        "voters differ in reliability": by_voter(DAVIDSON, ("reliability",)),
        "voters differ in bias": by_voter(DAVIDSON, ("bias",)),
        "voters differ in ties": by_voter(DAVIDSON, ("ties",)),
        "voters differ in all three": by_voter(DAVIDSON),
    }
    return held_out(convincing(folder), models, num_folds)


def decide(folder: Path, num_folds: int) -> Any:
    """The votes among them that decided, with Crowd-BT beside ours."""
    votes = convincing(folder)
    # The same prior on scores for everybody, Crowd-BT included.
    none = VotesConfig(model=GapModel(), prior_scale=2.0)
    models = {
        "all voters alike": pooled(none),
        "Crowd-BT": crowd_bt,
        "voters differ in reliability": by_voter(none, ("reliability",)),
        "voters differ in reliability, bias": by_voter(none, ("reliability", "bias")),
    }
    return held_out(votes.take(np.flatnonzero(~votes.tie)), models, num_folds)


def describe(folder: Path, _: int) -> Any:
    """All convincing arguments: spreads, and who is named."""
    votes = bare(convincing(folder))
    stance = fit_votes(votes, BY_CONTEXT).context
    assert stance is not None
    found = fit_voters(votes, DAVIDSON)
    spreads = dict(zip(found.population.effects, map(float, found.population.spreads)))
    remarks = describe_voters(found, most=3)
    print(f"stance: spread {stance.spread:.2f}, p {stance.p_value:.1e}")
    print(f"spreads {spreads}, bias {found.population.bias_mean:+.3f}", *remarks, sep="\n")
    return {
        "stance_spread": stance.spread,
        "stance_p_value": stance.p_value,
        "voter_spreads": spreads,
        "bias_mean": found.population.bias_mean,
        "log_likelihood_gain": found.log_likelihood - found.pooled_log_likelihood,
        "remarks": remarks,
    }


def judge(folder: Path, num_folds: int) -> Any:
    """Language models judged by language models, held out."""
    models = {
        "all judges alike": pooled(DAVIDSON),
        "length": pooled(DAVIDSON, has_covariates=True),
        "scores by judge": pooled(BY_CONTEXT),
        "length, scores by judge": pooled(BY_CONTEXT, has_covariates=True),
        "length, judges differ in all three": by_voter(DAVIDSON, has_covariates=True),
    }
    return held_out(judges(folder), models, num_folds)


def main() -> None:
    sections = {"convincing": argue, "decided": decide, "whole": describe, "judges": judge,
                "length": lengths, "drift": drifts, "distance": distances}  # fmt: skip
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=sections, default=list(sections))
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    folder = Path(os.environ["PENCHANT_DATA"])
    result = json.loads(options.json.read_text()) if options.json.exists() else {}
    for name in options.only:
        print(name, flush=True)
        result[name] = sections[name](folder, options.folds)
        # Sections are measured one by one, at times by different code.
        result.setdefault("circumstances", {})[name] = circumstances(None)
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def lengths(folder: Path, _: int) -> Any:
    """What an answer twice as long is worth to each judge, and to people; whom it lifts."""
    answers, annotators = judges(folder), people(folder)
    found = {}
    for number, name in enumerate(answers.voters):
        own = answers.take(np.flatnonzero(answers.voter == number))
        met = np.unique(np.r_[own.first, own.second])
        place = np.full(own.num_items, -1)
        place[met] = np.arange(len(met))
        own = replace(own, items=tuple(own.items[n] for n in met), first=place[own.first],
                      second=place[own.second])  # fmt: skip
        found[name] = fit_votes(own, DAVIDSON)
    found["people"] = fit_votes(annotators, DAVIDSON)
    table = {
        name: {"doubling": float(np.log(2) * f.coefficients[0]),
               "se": float(np.log(2) * f.coefficient_se[0]), "votes": n}
        for (name, f), n in zip(
            found.items(), [*np.bincount(answers.voter).tolist(), len(annotators)]
        )
    }  # fmt: skip
    for name, row in table.items():
        print(f"twice as long: {name:20s} {row['doubling']:+.3f} ({row['se']:.3f})")
    without, at_equal = fit_votes(bare(answers), DAVIDSON), fit_votes(answers, DAVIDSON)
    moved = at_equal.strengths - without.strengths
    order = np.argsort(moved)
    for item in (*order[:3], *order[-3:]):
        before, after = without.strengths[item], at_equal.strengths[item]
        print(f"{answers.items[item]:40s} {before:+.2f} -> {after:+.2f}")
    return table


def drifts(folder: Path, _: int) -> Any:
    """Whether a debate's arguments moved over five weeks, and how far one pass strays."""
    votes = convincing(folder)
    found = []
    for number, island in enumerate(islands(votes)[:4]):
        inside = np.zeros(votes.num_items, dtype=bool)
        inside[island] = True
        place = np.cumsum(inside) - 1
        own = bare(votes.take(np.flatnonzero(inside[votes.first])))
        own = replace(own, items=tuple(votes.items[n] for n in island), first=place[own.first],
                      second=place[own.second])  # fmt: skip
        fit = fit_drift(own, DriftConfig(model=DAVIDSON.model))
        found.append({"votes": len(own), "drift": fit.drift, "p_value": fit.p_value,
                      "distance": fit.distance, "periods": len(fit.times)})  # fmt: skip
        print(f"debate {number}: {found[-1]}", flush=True)
    return found


def distances(_: Path, __: int) -> Any:
    """How far one pass strays from the fit of all votes, in standard errors, over many worlds: from
    nothing, and from a fit of the first two thirds of the time on."""
    found = {}
    for num_votes in (100, 300, 1000, 3000):
        passed, updated = [], []
        for seed in range(25):
            world = VoteWorld(num_items=8, num_votes=num_votes, num_times=12, drift=0.2)
            votes = simulate_votes(world, np.random.default_rng((9, seed))).votes
            config = DriftConfig(model=GapModel(), drift=0.2)
            whole = fit_drift(votes, config)
            early, late = np.flatnonzero(votes.time < 8), np.flatnonzero(votes.time >= 8)
            after = fit_drift(votes.take(early), config).now.update(votes.take(late))
            apart = np.abs(after.strengths - whole.path[-1]) / after.strength_se
            passed.append(whole.distance)
            updated.append(float(apart.max()))
        found[str(num_votes)] = {
            name: {"median": float(np.median(x)), "worst": max(x),
                   "beyond_a_fifth": float(np.mean(np.array(x) > 0.2))}
            for name, x in (("one_pass", passed), ("updates_after_a_fit", updated))
        }  # fmt: skip
        print(f"{num_votes} votes: {found[str(num_votes)]}", flush=True)
    return found


def islands(votes: Votes) -> list[np.ndarray]:
    ones = votes.weight
    label = connectivity(votes.first, votes.second, ones, ones, votes.num_items).island
    return [np.flatnonzero(label == number) for number in range(label.max() + 1)]


if __name__ == "__main__":
    main()
