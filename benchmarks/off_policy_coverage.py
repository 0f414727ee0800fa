"""How often intervals of what another policy would have earned hold, and whether findings fire.

python benchmarks/off_policy_coverage.py [--replications 500] [--rounds 1500] [--out FILE]

Logs are simulated (`DecisionWorld`), so that the truth is known by quadrature. Where assumptions
hold and overlap is good, 93 to 97 of 100 nominal 95 % intervals should. Three worlds of poor
overlap show how far intervals by weights alone fall short, two break an assumption each, to show
who misses and what is said about it.
"""

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from measure import circumstances
from penchant.data.decisions import Decisions, decisions_of
from penchant.evaluation.off_policy import OffPolicyConfig, evaluate_policies
from penchant.metrics import off_policy_slates as slates
from penchant.metrics.intervals import clustered_mean
from penchant.metrics.off_policy import ips
from penchant.metrics.off_policy_embeddings import marginalised_weights
from penchant.metrics.off_policy_preferences import (
    preferred_to_policy,
    preferred_to_shown,
    win_shares,
    worth_of_pick,
)
from penchant.policies.policy import Column
from penchant.simulation.decisions import DecisionWorld

RIGHT = "option + x + option:x"
RESULTS = Path(__file__).parent / "results" / "off_policy_coverage.json"


def blind(log: Decisions) -> Decisions:
    return replace(log, propensities=np.full(len(log.propensities), np.nan))


def flattened(log: Decisions) -> Decisions:
    return replace(log, propensities=np.full(len(log.propensities), 0.25))


# The logging policy twice as set on what people do not want: 1,500 rounds are worth some 200.
HARD = DecisionWorld(logged_by=(0.7, 0.7, 0.0, -1.4))
SCENARIOS = {
    "rewards 0 and 1": (DecisionWorld(), OffPolicyConfig(formula=RIGHT), None),
    "real rewards": (DecisionWorld(reward="outcome"), OffPolicyConfig(formula=RIGHT), None),
    "real rewards, 5 rounds a person": (
        DecisionWorld(reward="outcome", rounds_each=5), OffPolicyConfig(formula=RIGHT), None,
    ),
    "hard overlap, rewards 0 and 1": (HARD, OffPolicyConfig(formula=RIGHT), None),
    "hard overlap, real rewards": (
        replace(HARD, reward="outcome"), OffPolicyConfig(formula=RIGHT), None,
    ),
    "hardest overlap, real rewards": (
        DecisionWorld(reward="outcome", logged_by=(1.05, 1.05, 0.0, -2.1)),
        OffPolicyConfig(formula=RIGHT), None,
    ),
    "propensities estimated": (
        DecisionWorld(),
        OffPolicyConfig(formula=RIGHT, propensity_formula="option + x:option"),
        blind,
    ),
    "broken: reward model without context": (
        DecisionWorld(reward="outcome"), OffPolicyConfig(formula="option"), None,
    ),
    "broken: propensities not the policy's": (
        DecisionWorld(), OffPolicyConfig(formula=RIGHT), flattened,
    ),
}  # fmt: skip


def decisions(name: str, replications: int, rounds: int) -> dict:
    world, config, change = SCENARIOS[name]
    truth, hits, fired = world.true_value(), Counter(), Counter()
    off, said, effective = defaultdict(list), defaultdict(list), []
    for seed in range(replications):
        log = decisions_of(world.draw(rounds, np.random.default_rng((seed, 5))))
        log = change(log) if change is not None else log
        report = evaluate_policies(log, {"target": Column("target")}, config)
        for one in report.policies[0].estimates:
            hits[one.estimator] += one.low <= truth <= one.high
            off[one.estimator].append(one.value - truth)
            said[one.estimator].append(one.error)
        effective.append(report.policies[0].overlap.effective / rounds)
        findings = (*report.policies[0].findings, *report.findings)
        fired.update({f"{f.name}: {f.verdict}" for f in findings if f.verdict != "fine"})
    return {
        "truth": round(truth, 5),
        "effective_share": [round(float(q), 3) for q in np.quantile(effective, [0.1, 0.5, 0.9])],
        "estimators": {
            key: {
                "coverage": round(hits[key] / replications, 4),
                "bias": round(float(np.mean(off[key])), 5),
                "spread": round(float(np.std(off[key])), 5),
                "error_said": round(float(np.mean(said[key])), 5),
            }
            for key in off
        },
        "fired": {key: round(count / replications, 4) for key, count in fired.items()},
    }


def others(replications: int, rounds: int) -> dict:
    """Marginalised weights, slates, picks, rankings and comparisons, in worlds of their kind."""
    hits: Counter[str] = Counter()
    for seed in range(replications):
        rng = np.random.default_rng((seed, 6))
        for name, (terms, truth) in one_of_each(rounds, rng).items():
            found = clustered_mean(terms, np.arange(rounds))
            hits[name] += found.low <= truth <= found.high
    return {name: round(count / replications, 4) for name, count in hits.items()}


def one_of_each(num: int, rng: np.random.Generator) -> dict:
    """Terms and truth. Two places filled one by one out of five items."""
    logged = np.array([0.1, 0.2, 0.3, 0.2, 0.2])
    target = np.array([0.35, 0.15, 0.1, 0.2, 0.2])
    worth = np.array([1.0, 0.2, -0.3, -0.8, 0.5])
    items = rng.choice(5, size=(num, 2), p=logged)
    weight = (target / logged)[items]
    click = 1.0 / (1.0 + np.exp(-worth))
    # Below a click at the top nobody reads on: rewards depend on the place and what is above.
    top = rng.random(num) < click[items[:, 0]]
    below = (rng.random(num) < click[items[:, 1]]) & ~top
    cascade = np.column_stack([top, below]).astype(float)
    alone = (rng.random((num, 2)) < click[items]).astype(float)
    p_top, p_any = target @ click, 1.0 - (1.0 - target @ click) ** 2
    felt = worth[items] + rng.gumbel(size=items.shape)
    rank = (-felt).argsort(axis=1) + 1
    shown = np.ones((num, 2), dtype=bool)
    wins = 1.0 / (1.0 + np.exp(worth - worth[:, None]))
    margin = np.array([0.1, 0.9, 0.4, 1.5, 0.3])
    picked = felt.argmax(axis=1)
    # By pairs of items: who is picked, and what that is worth.
    pairs = wins * margin[:, None] + (1.0 - wins) * margin
    kind = np.array([0, 0, 1, 1, 2])
    by_kind = np.array([0.6, 0.3, 0.1])
    kinds = np.tile(kind, num)
    marginal = marginalised_weights(
        np.tile(target, num), np.tile(logged, num), kinds, np.repeat(np.arange(num), 5),
        5 * np.arange(num) + items[:, 0],
    )  # fmt: skip
    kind_reward = (rng.random(num) < by_kind[kind[items[:, 0]]]).astype(float)
    # Every round has the same Gamma here, so that one pseudo-inverse serves all.
    gamma = slates.independent_second_moment(np.tile(logged, (1, 2, 1)))
    solved = (np.linalg.pinv(gamma[0]) @ np.tile(target, 2)).reshape(2, 5)
    return {
        "marginalised ips": (ips(marginal, kind_reward), target @ by_kind[kind]),
        "slate ips": (slates.slate_ips(weight, cascade), p_any),
        "cascade ips": (slates.cascade_ips(weight, cascade), p_any),
        "cascade doubly robust": (
            slates.cascade_doubly_robust(
                weight, cascade,
                np.column_stack([
                    click[items[:, 0]] + (1 - click[items[:, 0]]) * p_top,
                    np.where(top, 0.0, click[items[:, 1]]),
                ]),
                np.column_stack([np.full(num, p_any), np.where(top, 0.0, p_top)]),
            ),
            p_any,
        ),
        "independent ips": (slates.independent_ips(weight, alone), 2 * p_top),
        "pseudo-inverse": (
            alone.sum(axis=1) * solved[np.arange(2), items].sum(axis=1), 2 * p_top,
        ),
        "ranking: preferred to shown": (
            preferred_to_shown(weight, win_shares(rank, shown), shown), target @ wins @ logged,
        ),
        "comparison: preferred to uniform": (
            preferred_to_policy(
                weight[:, 0], (0.2 / logged)[items[:, 1]], (picked == 0).astype(float)
            ),
            target @ wins @ np.full(5, 0.2),
        ),
        "pick: worth of pick": (
            worth_of_pick(weight.prod(axis=1), margin[items], picked), target @ pairs @ target,
        ),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=RESULTS)
    said = parser.parse_args()
    found = {name: decisions(name, said.replications, said.rounds) for name in SCENARIOS}
    rest = others(said.replications, said.rounds)
    document = {
        **circumstances(None), "replications": said.replications, "rounds": said.rounds,
        "nominal": 0.95, "decisions": found, "other feedback": rest,
    }  # fmt: skip
    said.out.write_text(json.dumps(document, indent=1) + "\n")
    for name, one in found.items():
        print(name)
        for key, figures in one["estimators"].items():
            print(f"  {key:32s} {figures['coverage']:.3f}  bias {figures['bias']:+.4f}")
        print(f"  fired: {one['fired']}")
    for name, share in rest.items():
        print(f"{name:34s} {share:.3f}")


if __name__ == "__main__":
    main()
