"""What the models of a service would have earned on its log, each before it learnt the answer.

Legend: B rounds, N options over all menus.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from penchant.beliefs.named_person import Earned
from penchant.beliefs.named_weights import NamedWeights
from penchant.data.columns import numbers_with_nulls
from penchant.data.decisions import decisions_of
from penchant.data.records import Records
from penchant.evaluation.off_policy import OffPolicyReport, PolicyValue, evaluate_policies
from penchant.numerics.arrays import Array
from penchant.policies.policy import Column, Policy, Uniform
from penchant.serving.database import database_at
from penchant.serving.event_store import EventStore, Joined
from penchant.serving.learner import Student
from penchant.serving.lessons import MOST_EARNED, Taught, earned_of, taught_if_readable
from penchant.serving.models import Models, models_of

# Rounds that are judged, the latest, and numbers of the log that are read for them.
MOST_ROUNDS = 10_000
MOST_READ = 50_000
# A copy of a belief takes longer than to learn from a reward.
_COPY_EVERY = 25


@dataclass(slots=True)
class _Round:
    """probabilities: of every model. reward: of all feedback so far."""

    ids: tuple[str, ...]
    first: str
    propensity: tuple[float, ...]
    person: str | None
    probabilities: dict[str, Float[Array, " K"]]
    reward: float = 0.0


def report_of(rounds: Iterable[Taught], models: Models) -> dict[str, Any]:
    """Every model beside what was logged and chance, from the rewards of what was shown first.

    The models read the rounds from the first on; of each they say what they would have done by
    what they had learnt before it, so that none is judged by answers that it knew. Rewards of one
    event are added up; picks count where one option was shown.
    """
    judged = _judged(rounds, {n: Student.beginner(c) for n, c in models.configs.items()})
    if not judged:
        return {"rounds": 0, "policies": [], "note": "no reward of what was shown first yet."}
    decisions = decisions_of(_records(judged, list(models.configs)))
    policies: dict[str, Policy] = {name: Column(f"by {name}") for name in models.configs}
    policies["uniform"] = Uniform()
    return _document(evaluate_policies(decisions, policies), models.live)


def _judged(rounds: Iterable[Taught], students: Mapping[str, Student]) -> list[_Round]:
    judged: dict[str, _Round] = {}
    beliefs: dict[str, NamedWeights] = {}
    history: dict[str | None, list[Taught]] = {}
    for at, each in enumerate(rounds):
        if at % _COPY_EVERY == 0:
            beliefs = {name: student.learnt.belief() for name, student in students.items()}
        reward = reward_of_first(each)
        if reward is not None:
            event = each.answer.event_id
            if event not in judged:
                earned = earned_of(history.get(each.person, ()))
                judged[event] = _round(each, students, beliefs, earned)
            judged[event].reward += reward
            if len(judged) > MOST_ROUNDS:
                del judged[next(iter(judged))]
        for student in students.values():
            student.learn(each)
        if each.person is not None:
            # Of one person no more than their weights are learnt from.
            history[each.person] = [*history.get(each.person, ()), each][-MOST_EARNED:]
    return list(judged.values())


def reward_of_first(each: Taught) -> float | None:
    """What feedback says of showing the first option; None where it says nothing of that alone, as
    a ranking, a pick among several, or an answer to a question, which showed nothing to choose."""
    if each.answer.question is not None:
        return None
    shown = each.answer.ranking
    rewards = {lesson.place: lesson.reward for lesson in each.lessons}
    if len(shown) > 1 and len(rewards) > 1:
        return None
    return rewards.get(each.menu.ids.index(shown[0]))


def _round(
    each: Taught,
    students: Mapping[str, Student],
    beliefs: Mapping[str, NamedWeights],
    earned: Sequence[Earned],
) -> _Round:
    menu, answer = each.menu, each.answer
    return _Round(
        ids=menu.ids,
        first=answer.ranking[0],
        propensity=tuple(answer.probabilities[name] for name in menu.ids),
        person=each.person,
        probabilities={
            name: student.config.policy().probabilities(
                student.config.belief_about(beliefs[name], earned), menu
            )
            for name, student in students.items()
        },
    )


def _records(judged: Sequence[_Round], models: Sequence[str]) -> Records:
    columns = {
        f"by {name}": np.concatenate([each.probabilities[name] for each in judged])
        for name in models
    }
    value = [each.reward if name == each.first else np.nan for each in judged for name in each.ids]
    return Records.from_arrays(
        options={
            "option": pa.array([name for each in judged for name in each.ids]),
            "propensity": np.array([p for each in judged for p in each.propensity]),
            "value": numbers_with_nulls(np.array(value)),
            **columns,
        },
        menu_sizes=np.array([len(each.ids) for each in judged]),
        rows={"person": pa.array([each.person for each in judged], pa.string())},
        kind="outcome",
        extras=tuple(columns),
    )


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


@dataclass(slots=True)
class _Found:
    """unread: how much feedback so far could not be read."""

    said: Iterable[Joined]
    unread: int = 0

    def __iter__(self) -> Iterator[Taught]:
        for joined in self.said:
            each = taught_if_readable(joined)
            if each is None:
                self.unread += 1
            else:
                yield each


def main() -> None:
    """`python -m penchant.serving.decision_report TENANT` prints the report of the log whose
    database standard input names as JSON: a process of its own, so that nobody who is served waits
    for it."""
    # Not an argument: all users of a machine may read these, and an address may hold a password.
    store = EventStore(database_at(sys.stdin.read()), for_reading=True)
    tenant = sys.argv[1]
    with store.reading():
        last = store.position(tenant).seq
        found = _Found(store.joined(tenant, max(0, last - MOST_READ), last))
        document = report_of(found, models_of(store, tenant)) | {"unread": found.unread}
    store.close()
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    main()
