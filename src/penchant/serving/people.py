"""What a service knows of a person: what they were shown, what came of it, what is believed."""

import math
from typing import Any

import msgspec
import numpy as np

from penchant.beliefs.named_person import PersonalWeights
from penchant.beliefs.named_weights import NamedWeights
from penchant.encoders.named import Menu
from penchant.errors import DataError
from penchant.numerics.arrays import sigmoid
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import EventStore, Joined
from penchant.serving.lessons import Taught, earned_of, taught_if_readable
from penchant.serving.wire import kept_answer, kept_rank

# Of somebody's feedback, the latest: what is told in words, and what is told one by one.
_MOST_READ, _MOST_SHOWN = 1_000, 100
_MOST_REASONS = 10
_OF_PERSON = """
SELECT f.seq, f.seq, f.event_id, f.entry_id, f.kind, f.body, e.person, e.body, e.answer
FROM entries e JOIN entries f
  ON f.tenant = e.tenant AND f.event_id = e.event_id AND f.entry_id <> ''
WHERE e.tenant = ? AND e.person = ? AND e.entry_id = '' ORDER BY f.seq DESC LIMIT ?
"""


def person_document(
    store: EventStore, tenant: str, person: str, belief: NamedWeights, config: ModelConfig
) -> dict[str, Any] | None:
    """Decisions and feedback of a person, how far their rewards are from what is expected of
    everybody, and why the options of their last menu are worth what they are: `own` is what their
    own weights add to everybody's, which `because` tells. None of nobody."""
    of = "FROM entries WHERE tenant = ? AND person = ? AND entry_id = ''"
    ((decisions,),) = store.fetch(f"SELECT count(*) {of}", tenant, person)
    if not decisions:
        return None
    ((event_id, body, answer),) = store.fetch(
        f"SELECT event_id, body, answer {of} ORDER BY seq DESC LIMIT 1", tenant, person
    )
    said = said_of(store, tenant, person, _MOST_READ)
    found = [(joined, each) for joined in said if (each := taught_if_readable(joined)) is not None]
    rounds = [each for _, each in found]
    about = config.belief_about(belief, earned_of(rounds))
    return {
        "person": person, "decisions": decisions, "feedback": len(said),
        "unread": len(said) - len(found),
        "beside_everybody": _beside_everybody(rounds, belief, config),
        "last": _last(event_id, body, answer, belief, about),
        "history": [
            {"event_id": joined.event_id, "feedback_id": joined.entry_id,
             **msgspec.json.decode(joined.feedback), "shown": each.answer.ranking}
            for joined, each in found[-_MOST_SHOWN:]
        ],
    }  # fmt: skip


def _last(
    event_id: str, body: bytes, answer: bytes, belief: NamedWeights,
    about: NamedWeights | PersonalWeights,
) -> dict[str, Any]:  # fmt: skip
    """Their last decision; no more than its name where it cannot be read."""
    try:
        shown, menu = kept_answer(answer).ranking, kept_rank(body)
    except DataError:
        return {"event_id": event_id, "shown": None, "options": None}
    return {"event_id": event_id, "shown": shown, "options": _worths(menu, belief, about)}


def _beside_everybody(
    rounds: list[Taught], belief: NamedWeights, config: ModelConfig
) -> dict[str, Any] | None:
    """Their mean reward less what is expected of anybody shown the same, with its standard error:
    beyond two of these they differ from the others in what the features do not tell."""
    gaps = []
    for round_ in rounds:
        # Levels are no shares of yes: a 1 is the lowest of them, and no certain yes.
        rated, levels = round_.rated, config.learning.rating_levels
        is_level = rated is not None and levels is not None and rated.is_of(levels)
        if round_.lessons and not is_level:
            mean, _ = belief.moments(round_.menu)
            expected = sigmoid(mean) if belief.is_binary else mean
            # Stars are no shares of yes: nothing is expected of them as numbers.
            gaps += [
                each.reward - float(expected[each.place]) for each in round_.lessons
                if not belief.is_binary or 0.0 <= each.reward <= 1.0
            ]  # fmt: skip
    if not gaps:
        return None
    error = float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps)) if len(gaps) > 1 else None
    return {"difference": float(np.mean(gaps)), "error": error, "rewards": len(gaps)}


def said_of(store: EventStore, tenant: str, person: str, most: int) -> list[Joined]:
    """The latest feedback to decisions about a person, the earliest first."""
    rows = store.fetch(_OF_PERSON, tenant, person, most)
    return [Joined(*row[1:]) for row in reversed(rows)]


def _worths(
    menu: Menu, belief: NamedWeights, about: NamedWeights | PersonalWeights
) -> list[dict[str, Any]]:
    mean, spread = about.moments(menu)
    own = about.own(menu) if isinstance(about, PersonalWeights) else np.zeros(len(mean))
    return [
        {"id": name, "worth": float(mean[k]), "error": float(spread[k]), "own": float(own[k]),
         "unit": "log-odds" if belief.is_binary else "reward",
         "because": [
             {"feature": feature, "in_context": about, "entry": entry, "weight": weight,
              "weight_error": error}
             for (feature, about), entry, weight, error
             in belief.contributions(menu, k)[:_MOST_REASONS]
         ]}
        for k, name in enumerate(menu.ids)
    ]  # fmt: skip
