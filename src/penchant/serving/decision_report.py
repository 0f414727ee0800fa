"""What the models of a service would have earned on its log, each before it learnt the answer.

Legend: B rounds, N options over all menus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from penchant.data.columns import numbers_with_nulls
from penchant.data.decisions import decisions_of
from penchant.data.records import Records
from penchant.evaluation.off_policy import OffPolicyReport, PolicyValue, evaluate_policies
from penchant.numerics.arrays import Array
from penchant.policies.policy import Column, Policy, Uniform
from penchant.serving.learner import Student
from penchant.serving.lessons import Taught
from penchant.serving.models import Models

# Rounds that are judged, the latest: a report should take seconds.
MOST_ROUNDS = 10_000
# A copy of a belief takes longer than to learn from a reward.
_COPY_EVERY = 25


@dataclass(frozen=True, slots=True)
class _Round:
    first: Taught
    reward: float
    at: int


def report_of(rounds: Sequence[Taught], models: Models) -> dict[str, Any]:
    """Every model beside what was logged and chance, from the rewards of what was shown first.

    A model reads the log from its beginning; of each round it says what it would have done by what
    it had learnt before, so that none is judged by answers that it knew. Rewards of one event are
    added up; picks count where one option was shown.
    """
    judged = _judged(rounds)[-MOST_ROUNDS:]
    if not judged:
        return {"rounds": 0, "policies": [], "note": "no reward of what was shown first yet."}
    targets = {
        name: progressive(rounds, judged, Student.beginner(config))
        for name, config in models.configs.items()
    }
    decisions = decisions_of(_records(judged, targets))
    policies: dict[str, Policy] = {name: Column(f"by {name}") for name in targets}
    policies["uniform"] = Uniform()
    return _document(evaluate_policies(decisions, policies), models.live)


def progressive(
    rounds: Sequence[Taught], judged: Sequence["_Round"], student: Student
) -> list[Float[Array, " K"]]:
    """What a model would have done in each round that is judged, by what it knew until then."""
    policy, belief = student.config.policy(), student.learnt.belief()
    asked = {each.at: each for each in judged}
    found = []
    for at, each in enumerate(rounds):
        if at % _COPY_EVERY == 0:
            belief = student.learnt.belief()
        if at in asked:
            found.append(policy.probabilities(belief, asked[at].first.menu))
        student.learn(each)
    return found


def _judged(rounds: Sequence[Taught]) -> list[_Round]:
    first: dict[str, tuple[int, Taught]] = {}
    reward: dict[str, float] = {}
    for at, each in enumerate(rounds):
        shown = each.answer.ranking
        places = {lesson.place: lesson.reward for lesson in each.lessons}
        value = places.get(each.menu.ids.index(shown[0]))
        # A ranking, or a pick from several, says nothing of showing one option alone.
        if value is None or (len(shown) > 1 and len(places) > 1):
            continue
        event = each.answer.event_id
        first.setdefault(event, (at, each))
        reward[event] = reward.get(event, 0.0) + value
    return [_Round(each, reward[event], at) for event, (at, each) in first.items()]


def _records(judged: Sequence[_Round], targets: dict[str, list[Float[Array, " K"]]]) -> Records:
    ids: list[str] = []
    propensity: list[float] = []
    value: list[float] = []
    for each in judged:
        menu, answer = each.first.menu, each.first.answer
        ids += menu.ids
        propensity += [answer.probabilities[name] for name in menu.ids]
        value += [each.reward if name == answer.ranking[0] else np.nan for name in menu.ids]
    columns = {f"by {name}": np.concatenate(found) for name, found in targets.items()}
    return Records.from_arrays(
        options={"option": pa.array(ids), "propensity": np.array(propensity),
                 "value": numbers_with_nulls(np.array(value)), **columns},
        menu_sizes=np.array([len(each.first.menu.ids) for each in judged]),
        rows={"person": pa.array([each.first.person for each in judged], pa.string())},
        kind="outcome", extras=tuple(columns),
    )  # fmt: skip


def _document(report: OffPolicyReport, live: str) -> dict[str, Any]:
    return {
        "rounds": report.rounds, "people": report.clusters, "live": live,
        "logged": _interval(report.logged),
        "policies": [_policy(each) for each in report.policies],
        "findings": [each.text for each in report.findings], "notes": report.notes,
    }  # fmt: skip


def _policy(value: PolicyValue) -> dict[str, Any]:
    best = value.best
    return {
        "policy": value.policy, "estimator": best.estimator, "value": _number(best.value),
        "low": _number(best.low), "high": _number(best.high), "gain": _interval(value.gain),
        "findings": [each.text for each in value.findings],
    }  # fmt: skip


def _interval(interval: Any) -> dict[str, Any]:
    return {name: _number(getattr(interval, name)) for name in ("estimate", "low", "high")}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
