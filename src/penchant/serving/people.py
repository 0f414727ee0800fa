"""What a service knows of a person: what they were shown, what came of it, what is believed."""

import math
from typing import Any

import msgspec
import numpy as np

from penchant.beliefs.named_person import PersonalWeights
from penchant.beliefs.named_weights import NamedWeights
from penchant.encoders.named import Menu
from penchant.numerics.arrays import sigmoid
from penchant.serving.decision_model import ModelConfig
from penchant.serving.event_store import EventStore, Joined
from penchant.serving.lessons import earned_of, readable, taught
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
    about = config.belief_about(belief, earned_of(readable(said)))
    return {
        "person": person, "decisions": decisions, "feedback": len(said),
        "beside_everybody": _beside_everybody(said, belief),
        "last": {"event_id": event_id, "shown": kept_answer(answer).ranking,
                 "options": _worths(kept_rank(body), belief, about)},
        "history": [
            {"event_id": each.event_id, "feedback_id": each.entry_id,
             **msgspec.json.decode(each.feedback), "shown": kept_answer(each.answered).ranking}
            for each in said[-_MOST_SHOWN:]
        ],
    }  # fmt: skip


def _beside_everybody(said: list[Joined], belief: NamedWeights) -> dict[str, Any] | None:
    """Their mean reward less what is expected of anybody shown the same, with its standard error:
    beyond two of these they differ from the others in what the features do not tell."""
    gaps = []
    for joined in said:
        round_ = taught(joined)
        if round_.lessons:
            mean, _ = belief.moments(round_.menu)
            expected = sigmoid(mean) if belief.is_binary else mean
            gaps += [each.reward - float(expected[each.place]) for each in round_.lessons]
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
