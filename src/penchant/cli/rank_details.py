"""What a leaderboard's richer models found, as `penchant rank --json` prints it."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant.fitting.ranked_reliability import RankersFit
    from penchant.fitting.votes_classes import VoterClassesFit
    from penchant.fitting.votes_drift import DriftFit
    from penchant.fitting.votes_reliability import VotersFit
    from penchant.fitting.votes_table import VotesFit
    from penchant.models.leaderboard import Leaderboard


def detail_document(board: "Leaderboard") -> dict[str, Any]:
    """Covariates, contexts, voters, classes, drift and grades: a key for each that there is."""
    if not board.needs_votes:
        return _grades(board)
    from penchant.fitting.ranked_reliability import RankersFit
    from penchant.fitting.votes_classes import VoterClassesFit
    from penchant.fitting.votes_drift import DriftFit
    from penchant.fitting.votes_reliability import VotersFit
    from penchant.fitting.votes_table import VotesFit

    found = _grades(board)
    if isinstance(board.fit_, VotesFit):
        found |= _table(board.fit_)
    detail = board.detail_
    if isinstance(detail, VotersFit):
        found |= _voters(detail)
    elif isinstance(detail, RankersFit):
        found |= _rankers(detail)
    elif isinstance(detail, VoterClassesFit):
        found |= _classes(detail)
    elif isinstance(detail, DriftFit):
        found |= _drift(detail)
    return found


def _grades(board: "Leaderboard") -> dict[str, Any]:
    if board.grades_ is None:
        return {}
    found = board.grades_
    return {
        "grades": {
            "names": list(found.names),
            "thresholds": found.thresholds.tolist(),
            "given": found.given.tolist(),
            "expected": None if found.expected is None else found.expected.tolist(),
        }
    }


def _table(fit: "VotesFit") -> dict[str, Any]:
    found: dict[str, Any] = {}
    if fit.covariate_names:
        found["covariates"] = [
            {"name": name, "coefficient": float(value), "se": float(se)}
            for name, value, se in zip(fit.covariate_names, fit.coefficients, fit.coefficient_se)
        ]
    if fit.context is not None:
        context = fit.context
        found["contexts"] = {
            "spread": context.spread,
            "p_value": context.p_value,
            "scores": {
                name: [
                    {"name": item, "score": float(score), "se": float(se)}
                    for item, score, se in zip(fit.items, scores, errors)
                ]
                for name, scores, errors in zip(context.names, context.scores, context.scores_se)
            },
        }
    return found


def _voters(found: "VotersFit") -> dict[str, Any]:
    population = found.population
    return {
        "voter_population": {
            "bias_mean": population.bias_mean,
            **dict(zip(population.effects, map(float, population.spreads))),
        },
        "voters": [
            {
                **_reliability(found, v, float(found.mean[v, 0]), float(found.sd[v, 0])),
                "bias": float(found.mean[v, 1]),
                "bias_se": float(found.sd[v, 1]),
                "ties": float(found.mean[v, 2]),
                "ties_se": float(found.sd[v, 2]),
            }
            for v in range(len(found.voters))
        ],
    }


def _rankers(found: "RankersFit") -> dict[str, Any]:
    return {
        "voter_population": dict(
            zip(found.population.effects, map(float, found.population.spreads))
        ),
        "voters": [
            _reliability(found, v, float(found.mean[v]), float(found.sd[v]))
            for v in range(len(found.voters))
        ],
    }


def _reliability(found: "VotersFit | RankersFit", v: int, mean: float, sd: float) -> dict[str, Any]:
    """A voter's reliability with its 95 % interval, 1 being typical, and how often the voter sides
    with the better of two."""
    agreement = float(found.agreement[v])
    return {
        "name": found.voters[v],
        "votes": float(found.votes[v]),
        "reliability": math.exp(mean),
        "reliability_low": math.exp(mean - 1.96 * sd),
        "reliability_high": math.exp(mean + 1.96 * sd),
        "agreement": None if math.isnan(agreement) else agreement,
    }


def _classes(found: "VoterClassesFit") -> dict[str, Any]:
    return {
        "classes": [
            {
                "share": float(found.shares[s]),
                "items": [
                    {"name": name, "score": float(score), "se": float(se)}
                    for name, score, se in zip(
                        found.items, found.strengths[s], found.strength_se[s]
                    )
                ],
            }
            for s in range(len(found.shares))
        ],
        "voters": [
            {"name": name, "membership": [float(p) for p in row]}
            for name, row in zip(found.voters, found.membership)
        ],
    }


def _drift(found: "DriftFit") -> dict[str, Any]:
    return {
        "drift": {
            "per_unit_of_time": found.drift,
            "p_value": found.p_value,
            "one_pass_distance": found.distance,
            "times": found.times.tolist(),
            "path": {
                name: {"scores": found.path[:, n].tolist(), "se": found.path_se[:, n].tolist()}
                for n, name in enumerate(found.items)
            },
        }
    }
