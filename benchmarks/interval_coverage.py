"""Are 95 % intervals right? Simulated people, fitted 200 times, their truth looked for.

    python benchmarks/interval_coverage.py [--only MODEL ...] [--seeds 200]

Pooled over a model's parameters, 93 to 97 % of the intervals must hold the truth, and each single
parameter's share must lie within 3.5 Monte-Carlo errors of 95 % (200 seeds: above 89.6 %). Both
kinds of standard error are looked at: of the curvature, and robust. One more line asks the
opposite: where everybody has one taste, how often are people found to differ?
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from measure import circumstances
from ours import as_batch
from worlds import World

RESULTS = Path(__file__).resolve().parent / "results" / "coverage.json"
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Found:
    """One fit: estimates, both standard errors, and the truth, parameter by parameter."""

    names: tuple[str, ...]
    estimate: np.ndarray
    classical: np.ndarray
    robust: np.ndarray
    truth: np.ndarray


def conditional(rng: np.random.Generator) -> Found:
    """300 people x 6 choices among 4 options, 4 attributes."""
    from penchant.models.conditional_logit import ConditionalLogit

    truth = np.array([-1.0, -0.3, 0.4, 0.9])
    world = _world(rng, np.broadcast_to(truth, (300, 4)))
    return _found(ConditionalLogit().fit(as_batch(world)).belief_, truth)


def nested(rng: np.random.Generator) -> Found:
    """500 people x 6 choices among 4 options in two nests, scales 0.5 and 0.8."""
    from penchant.models.nested_logit import NestedLogit

    part_worths, scales = np.array([-0.8, 0.6, 0.4]), np.array([0.5, 0.8])
    person = np.repeat(np.arange(500), 6)
    features = rng.standard_normal((len(person), 4, 3))
    inside = (features @ part_worths).reshape(-1, 2, 2) / scales[:, None]
    value = scales * np.log(np.exp(inside).sum(axis=2))
    nest = (value + rng.gumbel(size=value.shape)).argmax(axis=1)
    within = inside[np.arange(len(nest)), nest]
    chosen = 2 * nest + (within + rng.gumbel(size=within.shape)).argmax(axis=1)
    world = World(features, chosen, person, {})
    model = NestedLogit(
        nests={"first": ("option0", "option1"), "second": ("option2", "option3")}
    ).fit(as_batch(world))
    return _found(model.belief_, np.concatenate([part_worths, np.log(scales)]))


def mixed(rng: np.random.Generator) -> Found:
    """400 people x 8 choices among 3 options; two of three tastes vary, 1,000 draws."""
    from penchant.models.mixed_logit import MixedLogit

    mean, spread = np.array([-0.9, 0.7, 0.5]), np.array([0.8, 0.6])
    tastes = np.broadcast_to(mean, (400, 3)).copy()
    tastes[:, :2] += rng.standard_normal((400, 2)) * spread
    world = _world(rng, tastes, choices=8, options=3)
    model = MixedLogit(
        random={"x0": "normal", "x1": "normal"},
        num_draws=1_000,
        random_state=int(rng.integers(2**31)),
    ).fit(as_batch(world))
    return _found(model.belief_, np.concatenate([mean, spread]))


def mixed_rankings(rng: np.random.Generator) -> Found:
    """300 people x 6 rankings of 4 options; two of three tastes vary, correlated, 500 draws."""
    from penchant.models.mixed_logit import MixedLogit

    tastes, truth = _correlated_tastes(rng, 300)
    blocks = [_answers("ranking", tastes, rng, menus=6)]
    model = MixedLogit(random=("x0", "x1"), correlated=True, random_state=int(rng.integers(2**31)))
    return _found(model.fit(_batch(blocks, 300)).belief_, truth)


def mixed_ratings(rng: np.random.Generator) -> Found:
    """300 people rate 4 options on 4 levels 5 times; two of three tastes vary, 500 draws."""
    from penchant.models.mixed_logit import MixedLogit

    tastes, truth = _correlated_tastes(rng, 300)
    blocks = [_answers("rating", tastes, rng, menus=5)]
    model = MixedLogit(random=("x0", "x1"), correlated=True, random_state=int(rng.integers(2**31)))
    return _found(model.fit(_batch(blocks, 300)).belief_, np.concatenate([truth, _OWN["rating"]]))


def mixed_answers(rng: np.random.Generator) -> Found:
    """300 people, each 2 choices, 2 rankings, 2 menus of ratings, 2 of approvals and 3 pairs with
    ties; two of three tastes vary, correlated, 500 draws."""
    from penchant.models.mixed_logit import MixedLogit

    tastes, truth = _correlated_tastes(rng, 300)
    kinds = {"choice": 2, "ranking": 2, "rating": 2, "approval": 2, "pair": 3}
    blocks = [_answers(kind, tastes, rng, menus) for kind, menus in kinds.items()]
    model = MixedLogit(random=("x0", "x1"), correlated=True, random_state=int(rng.integers(2**31)))
    own = np.concatenate([_OWN[kind] for kind in kinds])
    return _found(model.fit(_batch(blocks, 300)).belief_, np.concatenate([truth, own]))


def latent_classes(rng: np.random.Generator) -> Found:
    """500 people x 8 choices among 3 options, two classes, 65 and 35 %."""
    from penchant.models.latent_class_logit import LatentClassLogit

    tastes = np.array([[-1.2, 0.5, 0.3], [0.2, -0.8, 1.0]])
    member = (rng.random(500) < 0.35).astype(np.int64)
    world = _world(rng, tastes[member], choices=8, options=3)
    model = LatentClassLogit(num_classes=2, random_state=int(rng.integers(2**31)))
    belief = model.fit(as_batch(world)).belief_
    return _found(belief, np.concatenate([tastes.ravel(), [math.log(0.35 / 0.65)]]))


def bradley_terry(rng: np.random.Generator) -> Found:
    """2,000 pairs of 8 items with Davidson's ties."""
    from penchant.models.bradley_terry import BradleyTerry

    scores, tie = np.linspace(-1.0, 1.2, 8), 0.6
    first = rng.integers(8, size=2_000)
    second = (first + rng.integers(1, 8, size=2_000)) % 8
    worth = np.stack([scores[first], scores[second]], axis=1)
    # Davidson (1970): a tie has the odds tie * sqrt(product of both strengths).
    three = np.column_stack([worth, math.log(tie) + worth.mean(axis=1)])
    outcome = (three + rng.gumbel(size=three.shape)).argmax(axis=1)
    names = np.array([f"item{i}" for i in range(8)])
    records = _records(
        options={"option": names[np.stack([first, second], axis=1)]},
        rows={"outcome": outcome},
        kind="pair",
    )
    belief = BradleyTerry(ties="davidson").fit(records).belief_
    by_name = dict(zip(names, scores, strict=True))
    items = [name for name in belief.parameter_names if name in by_name]
    reference = (set(names) - set(items)).pop()
    truth = [by_name[name] - by_name[reference] for name in items]
    return _found(belief, np.array([*truth, math.log(tie)]))


def ordinal(rng: np.random.Generator) -> Found:
    """400 people rate 4 of 6 items on 5 levels."""
    from penchant.models.ordinal_ratings import OrdinalRatings

    scores, cuts = np.linspace(0.0, 2.0, 6), np.array([-1.0, 0.2, 1.4, 2.6])
    names = np.array([f"item{i}" for i in range(6)])
    shown = rng.permuted(np.tile(np.arange(6), (400, 1)), axis=1)[:, :4]
    noise = rng.logistic(size=shown.shape)
    level = (scores[shown] + noise > cuts[:, None, None]).sum(axis=0)
    records = _records(options={"option": names[shown], "level": level}, rows={}, kind="rating")
    belief = OrdinalRatings(levels=5).fit(records).belief_
    by_name = dict(zip(names, scores, strict=True))
    items = [name for name in belief.parameter_names if name in by_name]
    zero = by_name[(set(names) - set(items)).pop()]
    truth = [by_name[name] - zero for name in items]
    return _found(belief, np.array([*truth, cuts[0] - zero, *np.log(np.diff(cuts))]))


MODELS: dict[str, Callable[[np.random.Generator], Found]] = {
    "conditional": conditional,
    "nested": nested,
    "mixed": mixed,
    "mixed_rankings": mixed_rankings,
    "mixed_ratings": mixed_ratings,
    "mixed_answers": mixed_answers,
    "latent_classes": latent_classes,
    "bradley_terry": bradley_terry,
    "ordinal": ordinal,
}


def coverage(model: Callable[[np.random.Generator], Found], seeds: int) -> dict:
    """Shares of intervals that hold the truth, and the mean error in Monte-Carlo errors."""
    start, fits = time.process_time(), []
    for seed in range(seeds):
        fits.append(model(np.random.default_rng((20_261_121, seed))))
        print(f"\r  {model.__name__} {seed + 1}/{seeds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    estimate = np.array([fit.estimate for fit in fits])
    truth = np.array([fit.truth for fit in fits])
    error = math.sqrt(0.95 * 0.05 / seeds)
    result = {"seeds": seeds, "names": list(fits[0].names), "truth": truth[0].tolist()}
    for kind in ("classical", "robust"):
        spread = np.array([getattr(fit, kind) for fit in fits])
        held = np.abs(estimate - truth) <= Z95 * spread
        single = held.mean(axis=0)
        result[kind] = {
            "pooled": float(held.mean()),
            "single": single.tolist(),
            "worst_in_monte_carlo_errors": float(np.abs(single - 0.95).max() / error),
            "error_over_spread_of_estimates": (
                np.median(spread, axis=0) / estimate.std(axis=0)
            ).tolist(),
            "passes": bool(
                0.93 <= held.mean() <= 0.97 and np.abs(single - 0.95).max() <= 3.5 * error
            ),
        }
    bias = (estimate - truth).mean(axis=0) / (estimate.std(axis=0) / math.sqrt(seeds))
    result["bias_in_monte_carlo_errors"] = bias.tolist()
    result["cpu_seconds"] = time.process_time() - start
    return result


def one_taste_for_all(seeds: int) -> dict:
    """100 people of one taste x 8 choices: the spread found, and how often a test calls it real.

    Under the boundary hypothesis of D = 3 zero spreads, twice the gain in log-likelihood follows a
    mixture of chi-squared with 0 .. 3 degrees (Self & Liang 1987); the binomial weights hold for
    independent spreads.
    """
    from scipy.special import chdtrc

    from penchant.models.conditional_logit import ConditionalLogit
    from penchant.models.mixed_logit import MixedLogit

    weights = np.array([1, 3, 3, 1]) / 8
    spreads, p_values, gains, sizes = [], [], [], []
    for seed in range(seeds):
        rng = np.random.default_rng((7, seed))
        world = _world(rng, np.broadcast_to([-0.8, 0.5, 0.3], (100, 3)), choices=8, options=3)
        batch = as_batch(world)
        pooled = ConditionalLogit().fit(batch).belief_
        belief = MixedLogit(num_draws=500, random_state=seed).fit(batch).belief_
        gain = 2 * (belief.report.log_likelihood - pooled.report.log_likelihood)
        tails = [float(gain <= 1e-9), *(float(chdtrc(d, max(gain, 0.0))) for d in (1, 2, 3))]
        spreads.append(np.abs(belief.theta[3:]))
        p_values.append(float(weights @ tails))
        gains.append(gain)
        sizes.append(belief.report.bic > pooled.report.bic)
        print(f"\r  one taste {seed + 1}/{seeds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        "seeds": seeds,
        "median_spread": float(np.median(spreads)),
        "mean_spread": float(np.mean(spreads)),
        "found_to_differ_at_5_percent": float((np.array(p_values) < 0.05).mean()),
        "bic_prefers_one_taste": float(np.mean(sizes)),
        "mean_gain": float(np.mean(gains)),
    }


def _world(
    rng: np.random.Generator, tastes_PD: np.ndarray, choices: int = 6, options: int = 4
) -> World:
    person = np.repeat(np.arange(len(tastes_PD)), choices)
    features = rng.standard_normal((len(person), options, tastes_PD.shape[1]))
    worth = np.einsum("bkd,bd->bk", features, tastes_PD[person])
    return World(features, (worth + rng.gumbel(size=worth.shape)).argmax(axis=1), person, {})


# Own parameters of the likelihoods, as their channels hold them.
_CUTS = np.array([-1.0, 0.2, 1.4])
_OWN = {
    "choice": [], "ranking": [], "rating": [_CUTS[0], *np.log(np.diff(_CUTS))],
    "approval": [0.5], "pair": [math.log(0.6)],
}  # fmt: skip


def _correlated_tastes(rng: np.random.Generator, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Everybody's three tastes, and the parameters behind them."""
    mean, root = np.array([-0.9, 0.7, 0.5]), np.array([[0.8, 0.0], [0.4, 0.5]])
    tastes = np.broadcast_to(mean, (people, 3)).copy()
    tastes[:, :2] += rng.standard_normal((people, 2)) @ root.T
    return tastes, np.array([*mean, 0.8, 0.4, 0.5])


def _answers(kind: str, tastes_PD: np.ndarray, rng: np.random.Generator, menus: int):
    """So many answers of each person: on menus of four, or of two for pairs."""
    from penchant.data.batch import Block

    person, size = np.repeat(np.arange(len(tastes_PD)), menus), 2 if kind == "pair" else 4
    features = rng.standard_normal((len(person), size, tastes_PD.shape[1]))
    worth = np.einsum("bkd,bd->bk", features, tastes_PD[person])
    noisy = worth + rng.gumbel(size=worth.shape)
    if kind == "pair":
        # Davidson (1970): a tie has the odds tie * sqrt(product of both strengths).
        three = np.column_stack([worth, _OWN["pair"][0] + worth.mean(axis=1)])
        answer = {"outcome": (three + rng.gumbel(size=three.shape)).argmax(axis=1)}
    else:
        felt = worth + rng.logistic(size=worth.shape)
        answer = {
            "choice": {"chosen": noisy.argmax(axis=1)},
            "ranking": {"rank": (-noisy).argsort(axis=1).argsort(axis=1) + 1},
            "rating": {"level": (felt[:, :, None] > _CUTS).sum(axis=2)},
            "approval": {"approved": felt > _OWN["approval"][0]},
        }[kind]
    return Block(
        kind=kind,
        features=features,
        offered=np.ones(worth.shape, dtype=bool),
        option=np.tile(np.arange(size), (len(person), 1)),
        row=np.arange(len(person)),
        group=person,
        weight=np.ones(len(person)),
        answer=answer,
    )


def _batch(blocks: list, people: int):
    """Blocks of the same people as one batch, rows numbered through."""
    from dataclasses import replace

    from penchant.data.batch import Batch

    starts = np.cumsum([0, *(len(block) for block in blocks)])
    return Batch(
        blocks=tuple(replace(block, row=block.row + start) for block, start in zip(blocks, starts)),
        feature_names=("x0", "x1", "x2"),
        option_names=("a", "b", "c", "d"),
        group_names=tuple(f"p{p}" for p in range(people)),
        group_features=np.zeros((people, 0)),
        num_rows=int(starts[-1]),
    )


def _records(**content):
    from penchant.data.records import Records

    return Records.from_arrays(**content)


def _found(belief, truth: np.ndarray) -> Found:
    assert len(belief.theta) == len(truth), (belief.parameter_names, len(truth))
    return Found(
        belief.parameter_names,
        belief.theta,
        np.sqrt(np.diag(belief.covariance)),
        np.sqrt(np.diag(belief.robust_covariance)),
        truth,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*MODELS, "one_taste"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in arguments.only:
        if name == "one_taste":
            content = one_taste_for_all(arguments.seeds)
            print(f"{name:16}{json.dumps(content)}")
        else:
            content = coverage(MODELS[name], arguments.seeds)
            for kind in ("classical", "robust"):
                part = content[kind]
                print(
                    f"{name:16}{kind:10} pooled {100 * part['pooled']:.1f} %, worst single "
                    f"{part['worst_in_monte_carlo_errors']:.1f} errors away, "
                    f"{'passes' if part['passes'] else 'FAILS'}"
                )
        results[name] = {"circumstances": circumstances(None), **content}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
