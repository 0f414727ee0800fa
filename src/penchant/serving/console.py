"""What whoever runs a service looks at: traffic, rewards, propensities, who fares worst, alerts.

Legend: B rounds, W windows, Z groups.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from penchant.errors import DataError
from penchant.metrics.subgroup import by_subgroup
from penchant.numerics.arrays import Array
from penchant.serving.asking import answers_of, belief_of, told_belief
from penchant.serving.decision_report import reward_of_first
from penchant.serving.event_store import RANK, EventStore
from penchant.serving.lessons import taught_if_readable
from penchant.serving.studies import studies_of
from penchant.serving.wire import kept_answer, kept_rank

# Numbers of the log that are read: some 30 microseconds each.
MOST_READ = 10_000
_NUM_WINDOWS = 20
# Standard errors beyond which something is called a change. The page is looked at again and again:
# at 4 one look in 16,000 calls chance a change, at 2 one in 22.
ALARM = 4.0
# Rounds on either side without which no change is looked for, and rounds of a group.
_LEAST, _LEAST_OF_GROUP = 50, 30
_MOST_GROUPS, _MOST_WORDS = 6, 12
# Events that are named of those that cannot be read.
_MOST_NAMED = 5
_EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
# Seconds without a look at the log after which the learner is missed.
_IDLE = 60.0


@dataclass(frozen=True, slots=True)
class Round:
    """One decision. shown: probability of what was shown first. least: of the option that was least
    likely to be. words: what is said of the situation in words. reward: None before any."""

    received: float
    shown: float
    least: float
    num_options: int
    person: str | None
    words: tuple[str, ...]
    reward: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """feedback: how much came, by its kind. unread_decisions, unread_feedback: entries that this
    version cannot read, feedback also where only its decision cannot be; unread_events: some of
    the events that they are of."""

    rounds: list[Round]
    feedback: dict[str, int]
    unread_decisions: int
    unread_feedback: int
    unread_events: tuple[str, ...]


def console_document(store: EventStore, tenant: str, models: dict[str, Any]) -> dict[str, Any]:
    """All of it, from the latest entries of the log; the caller reads one moment of it."""
    last = store.position(tenant).seq
    after = max(0, last - MOST_READ)
    traffic = read_traffic(store, tenant, after, last)
    rounds, feedback = traffic.rounds, traffic.feedback
    waiting, idle = store.waiting(tenant), store.connection.idle_seconds()
    live = next((m for m in models["models"] if m["name"] == models["live"]), None)
    document: dict[str, Any] = {
        "entries": last, "read": last - after, "decisions": len(rounds), "feedback": feedback,
        "unread": {
            "decisions": traffic.unread_decisions, "feedback": traffic.unread_feedback,
            "events": list(traffic.unread_events),
        },
        "waiting": waiting, "learner_idle_seconds": idle, "models": models,
        "behind": last - live["belief"] if live and live["rewards"] else None,
        "rewarded": sum(each.reward is not None for each in rounds),
        "windows": windows(rounds), "propensities": propensities(rounds), "groups": groups(rounds),
    }  # fmt: skip
    document["studies"] = _studies(store, tenant)
    document["alerts"] = [
        *changes(rounds), *_unread(traffic),
        *_missing(feedback, waiting, idle, document["propensities"]),
    ]  # fmt: skip
    return document


def read_traffic(store: EventStore, tenant: str, after: int, upto: int) -> Traffic:
    """Decisions among some numbers of the log, with the rewards that came of them there, and how
    much feedback of each kind came; questions of studies are none. What cannot be read is left
    out and counted: one such entry must not hide all others."""
    rewards: dict[str, float] = {}
    feedback: Counter[str] = Counter()
    bad_feedback: list[str] = []
    for joined in store.joined(tenant, after, upto):
        each = taught_if_readable(joined)
        if each is None:
            bad_feedback.append(joined.event_id)
            continue
        if each.answer.question is not None:
            continue
        feedback[joined.kind] += 1
        reward = reward_of_first(each)
        if reward is not None:
            rewards[joined.event_id] = rewards.get(joined.event_id, 0.0) + reward
    rows = store.fetch(
        "SELECT event_id, received, person, body, answer FROM entries WHERE seq > ? AND seq <= ? "
        "AND tenant = ? AND entry_id = '' AND kind = ? ORDER BY seq", after, upto, tenant, RANK,
    )  # fmt: skip
    rounds, bad_decisions = [], list[str]()
    for event, received, person, body, answer in rows:
        try:
            said, context = kept_answer(answer), kept_rank(body).context
        except DataError:
            bad_decisions.append(event)
            continue
        rounds.append(Round(
            received=received, shown=said.probabilities[said.ranking[0]],
            least=min(said.probabilities.values()), num_options=len(said.probabilities),
            person=person, reward=rewards.get(event),
            words=tuple(f"{k} = {v}" for k, v in context.items() if isinstance(v, str | bool)),
        ))  # fmt: skip
    return Traffic(
        rounds=rounds, feedback=dict(feedback), unread_decisions=len(bad_decisions),
        unread_feedback=len(bad_feedback),
        unread_events=tuple(dict.fromkeys(bad_decisions + bad_feedback))[:_MOST_NAMED],
    )  # fmt: skip


def windows(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """The rounds in equal parts, in their order: how many a minute came, and their mean reward with
    a 95 % interval (null where none came)."""
    told = []
    for part in np.array_split(np.arange(len(rounds)), min(_NUM_WINDOWS, max(1, len(rounds)))):
        own = [rounds[k] for k in part]
        if own:
            took = own[-1].received - own[0].received
            told.append({
                "began": own[0].received, "ended": own[-1].received, "decisions": len(own),
                "a_minute": 60.0 * (len(own) - 1) / took if took > 0 else None,
                **_mean([each.reward for each in own if each.reward is not None]),
            })  # fmt: skip
    return told


def _mean(rewards: Sequence[float]) -> dict[str, Any]:
    if not rewards:
        return {"rewards": 0, "reward": None, "low": None, "high": None}
    mean, n = float(np.mean(rewards)), len(rewards)
    reach = 1.96 * float(np.std(rewards, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return {
        "rewards": n, "reward": mean, "low": _finite(mean - reach), "high": _finite(mean + reach),
    }  # fmt: skip


def propensities(rounds: Sequence[Round]) -> dict[str, Any] | None:
    """With what probability what was shown first was shown, and how good a log that makes.

    effective: the share of rounds that the log is worth for judging a policy that shows all options
    alike, (sum w)^2 / (B sum w^2) with w = 1 / (K p) (Kong 1992). least: the smallest probability
    that any option had.
    """
    chosen = [each for each in rounds if each.num_options > 1]
    if not chosen:
        return None
    shown = np.array([each.shown for each in chosen])
    weight = 1.0 / (shown * np.array([each.num_options for each in chosen]))
    counts, _ = np.histogram(shown, np.array(_EDGES))
    return {
        "edges": _EDGES, "counts": counts.tolist(), "median": float(np.median(shown)),
        "least": min(each.least for each in chosen),
        "effective": float(weight.sum() ** 2 / (len(weight) * (weight**2).sum())),
    }  # fmt: skip


def groups(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """Groups by what is said of the situation in words, the worst first, with intervals that hold
    for all at once and over people; of groups of 30 rewarded rounds or more."""
    rewarded = [each for each in rounds if each.reward is not None]
    sizes = Counter(word for each in rewarded for word in set(each.words))
    names = [
        word for word, size in sizes.most_common() if _LEAST_OF_GROUP <= size < len(rewarded)
    ]  # fmt: skip
    names = names[:_MOST_WORDS]
    if not names:
        return []
    member = np.array([[name in each.words for name in names] for each in rewarded])
    found = by_subgroup(
        np.array([each.reward for each in rewarded], dtype=np.float64), member, tuple(names),
        _people(rewarded), np.random.default_rng(0), num_draws=1000,
    )  # fmt: skip
    order = np.argsort(found.mean, kind="stable")[:_MOST_GROUPS]
    return [
        {"group": found.names[z], "rewards": int(found.num_observations[z]),
         "people": int(found.num_clusters[z]), "reward": float(found.mean[z]),
         "low": _finite(found.low[z]), "high": _finite(found.high[z]),
         "is_worse": bool(found.excess_high[z] < 0)}
        for z in order
    ]  # fmt: skip


def _people(rounds: Sequence[Round]) -> Array:
    """A code for each person; whoever is not named is somebody else each time."""
    codes: dict[object, int] = {}
    return np.array([
        codes.setdefault(at if each.person is None else each.person, len(codes))
        for at, each in enumerate(rounds)
    ])  # fmt: skip


def changes(rounds: Sequence[Round]) -> list[dict[str, str]]:
    """What the last quarter of the rounds has otherwise than those before it, by more than 4
    standard errors of the difference (Welch 1947): rewards, and who comes."""
    cut = len(rounds) - len(rounds) // 4
    told = []
    before, after = ([e.reward for e in part if e.reward is not None]
                     for part in (rounds[:cut], rounds[cut:]))  # fmt: skip
    z = _change(np.array(before, dtype=np.float64), np.array(after, dtype=np.float64))
    if abs(z) > ALARM:
        told.append({
            "kind": "reward", "text": f"Rewards {'rose' if z > 0 else 'fell'} from "
            f"{np.mean(before):.3f} to {np.mean(after):.3f} a rewarded decision in the last "
            f"{len(after):,} of them ({abs(z):.1f} standard errors).",
        })  # fmt: skip
    words = Counter(word for each in rounds for word in set(each.words))
    known: set[bytes] = set()
    for word, _ in words.most_common(_MOST_WORDS):
        share = np.array([float(word in each.words) for each in rounds])
        z = _change(share[:cut], share[cut:])
        # Of two words that always exclude each other one tells it all.
        is_told = share.tobytes() in known or (1.0 - share).tobytes() in known
        known.add(share.tobytes())
        if abs(z) > ALARM and not is_told:
            told.append({
                "kind": "traffic", "text": f"Decisions where {word} are "
                f"{100 * share[cut:].mean():.0f} % of the last {len(rounds) - cut:,}, "
                f"{100 * share[:cut].mean():.0f} % before ({abs(z):.1f} standard errors).",
            })  # fmt: skip
    return told


def _change(before: Float[Array, " B"], after: Float[Array, " C"]) -> float:
    """Standard errors between two means; 0 where there is too little to tell."""
    if min(len(before), len(after)) < _LEAST:
        return 0.0
    variance = before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after)
    gap = float(after.mean() - before.mean())
    if variance == 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _unread(traffic: Traffic) -> Iterable[dict[str, str]]:
    decisions, feedback = traffic.unread_decisions, traffic.unread_feedback
    if decisions or feedback:
        named = ", ".join(f"{event!r:.60}" for event in traffic.unread_events)
        yield {
            "kind": "unread", "text": f"Of the latest entries {decisions:,} "
            f"decision{'s' * (decisions != 1)} and {feedback:,} feedback cannot be read (events "
            f"{named}): they are in no figure here and teach nothing. They were written by a newer "
            "version, which reads them, or changed by hand.",
        }  # fmt: skip


def _missing(
    feedback: dict[str, int], waiting: int, idle: float | None, shown: dict[str, Any] | None
) -> Iterable[dict[str, str]]:
    if idle is None or idle > _IDLE:
        since = "never read the log" if idle is None else f"not read the log for {idle:,.0f} s"
        yield {"kind": "learner", "text": f"The learner has {since}: beliefs stand still."}
    if waiting > 20 and waiting > 0.05 * sum(feedback.values()):
        yield {
            "kind": "feedback", "text": f"{waiting:,} feedbacks name events that were never asked: "
            "look for event ids that are lost on the way.",
        }  # fmt: skip
    if shown is not None and shown["least"] <= 0:
        yield {
            "kind": "propensity", "text": "Some options are never shown (probability 0), so that "
            "this log cannot say what they would earn; give the model a floor.",
        }  # fmt: skip


def _studies(store: EventStore, tenant: str) -> list[dict[str, Any]]:
    told = []
    for name, study in studies_of(store, tenant).items():
        answers = answers_of(store, tenant, name, study)
        told.append({
            "name": name, "question": study.question,
            "belief": told_belief(study, answers, belief_of(study, answers)),
        })  # fmt: skip
    return told


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
