"""Questions to people and what their answers made believed: the service behind `/ask`.

Nothing is kept but the log: a question is an entry like a rank, its answer a feedback, and the
belief is fitted anew from them.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from penchant.agents.elicitation.answers import Answer, vote_counts
from penchant.agents.elicitation.questions import Kind, Question, questions
from penchant.agents.elicitation.settled import top_doubt
from penchant.beliefs.strengths import Strengths
from penchant.errors import DataError
from penchant.fitting.strengths import fit_strengths
from penchant.metrics.edit_distance import kept_share
from penchant.numerics.arrays import sigmoid
from penchant.policies.bandits.linear import pick
from penchant.serving.event_store import Entry, EventStore
from penchant.serving.studies import (
    QUESTION,
    Asked,
    QuestionAnswer,
    Study,
    checked_answer,
    fits,
    kept_question,
)
from penchant.serving.wire import (
    FeedbackAnswer,
    Id,
    Limits,
    Option,
    RankRequest,
    encode,
    feedback_request,
    kept_feedback,
    rank_request,
)

# Of a study, the latest answers: reading them takes some 10 microseconds each.
MOST_ANSWERS = 20_000
# Of edits that were compared before, by the digest of both texts.
_SHARES: dict[bytes, float] = {}
# Standard deviation of each strength before any answer, in log-odds: gaps of 2 are not unusual.
_PRIOR_SCALE = 1.5
_NUM_DRAWS = 2_000
# Beyond this, who is first may still be somebody else.
SETTLED = 0.05
_ANSWERS = """
SELECT e.event_id, e.person, e.answer, f.kind, f.body FROM entries e JOIN entries f
  ON f.tenant = e.tenant AND f.event_id = e.event_id AND f.kind IN ('pick', 'ranking', 'rating',
  'edit')
  WHERE e.tenant = ? AND e.event_id >= ? AND e.event_id < ? AND e.entry_id = '' AND e.kind = ?
  ORDER BY f.seq DESC LIMIT ?
"""


class QuestionRequest(Struct, forbid_unknown_fields=True):
    """Who is asked; without it, somebody new each time."""

    person: Id | None = None


def check_study(study: Study, limits: Limits) -> None:
    """Raises `DataError` for a study whose questions would be beyond a limit of the service."""
    whole = RankRequest(_options(study, range(len(study.options))), None, None, study.context)
    rank_request(encode(whole), limits)


def answers_of(store: EventStore, tenant: str, name: str, study: Study) -> list[Answer]:
    """What was answered so far, the earliest first; of several answers to one question the last.
    What cannot be read or does not fit its question says nothing: `/v1/feedback` takes anything of
    any event."""
    # A colon ends the name, and a semicolon is what comes after it.
    rows = store.fetch(_ANSWERS, tenant, f"ask:{name}:", f"ask:{name};", QUESTION, MOST_ANSWERS)
    place = {option: at for at, option in enumerate(study.ids)}
    found = {}
    for event, person, answer, kind, body in reversed(rows):
        try:
            said, value = kept_question(answer), kept_feedback(body).value
        except DataError:
            # One that cannot be read must not end all asking.
            continue
        shown = said.ranking
        if said.question is not None and fits(said.question, shown, kind, value):
            found[event] = _answer([place[each] for each in shown], shown, kind, value, person)
    return list(found.values())


def _answer(
    places: list[int], shown: Sequence[str], kind: str, value: Any, person: str | None
) -> Answer:
    of = dict(zip(shown, places))
    if kind == "pick":
        best = of.get(value, places[0])
        items = (best, *(place for place in places if place != best))
        return Answer(kind="pair", items=items, person=person, is_tied=value is None)
    if kind == "ranking":
        return Answer(kind="ranking", items=tuple(of[each] for each in value), person=person)
    if kind == "rating":
        return Answer(kind="rating", items=(places[0],), person=person, value=float(value))
    share = _kept(value["before"], value["after"])
    return Answer(kind="edit", items=(places[0],), person=person, value=share)


def _kept(before: str, after: str) -> float:
    """`kept_share`, once for each edit: long ones take up to a tenth of a second, and all answers
    of a study are read for each of its questions."""
    key = hashlib.sha256(json.dumps([before, after]).encode()).digest()
    share = _SHARES.get(key)
    if share is None:
        share = kept_share(before, after)
        # Somebody else's question may empty it at any moment.
        if len(_SHARES) >= 2 * MOST_ANSWERS:
            _SHARES.clear()
        _SHARES[key] = share
    return share


def belief_of(study: Study, answers: Sequence[Answer]) -> Strengths:
    """How much people like each option, in log-odds of being preferred."""
    return fit_strengths(vote_counts(study.ids, answers), prior_scale=_PRIOR_SCALE)


def told_belief(study: Study, answers: Sequence[Answer], belief: Strengths) -> dict[str, Any]:
    """The belief for a page. share: with what probability an option is preferred to an average
    one of the study, with its 95 % interval; first: with what probability it is among the `top`
    (of the whole order: the first). doubt: the bound of `top_doubt`, null for the whole order."""
    top = study.top or 1
    centred = np.eye(len(study.ids)) - 1.0 / len(study.ids)
    mean = centred @ belief.mean
    spread = np.sqrt(np.maximum(np.diag(centred @ belief.covariance @ centred), 0.0))
    draws = belief.draw(_NUM_DRAWS, np.random.default_rng(0))
    rank = np.argsort(np.argsort(-draws, axis=1), axis=1)
    doubt = None if study.top is None else top_doubt(belief, top)
    return {
        "answers": len(answers), "people": len({each.person for each in answers}), "top": study.top,
        "doubt": doubt, "is_settled": doubt is not None and doubt <= SETTLED,
        "options": [
            {"id": option.id, "text": option.text or option.id,
             "share": _share(mean[k]), "low": _share(mean[k] - 1.96 * spread[k]),
             "high": _share(mean[k] + 1.96 * spread[k]), "first": float((rank[:, k] < top).mean())}
            for k, option in enumerate(study.options)
        ],
    }  # fmt: skip


def _share(log_odds: float) -> float:
    return float(sigmoid(np.array(log_odds)))


def ask(
    store: EventStore,
    tenant: str,
    name: str,
    study: Study,
    body: bytes,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """A question, durable in the log, with what is believed so far where the study shows it.

    Raises `DataError` for a body that cannot be used.
    """
    try:
        person = msgspec.json.decode(body, type=QuestionRequest).person
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DataError(
            f'the body cannot be used: {error}. Expected {{"person": "..."}} or {{}}.'
        ) from error
    answers = answers_of(store, tenant, name, study)
    belief = belief_of(study, answers)
    chosen = _chosen(belief, study, answers, person, generator)
    shown = [study.options[k] for k in generator.permutation(chosen.items)]
    event = f"ask:{name}:{uuid.uuid4()}"
    asked = Asked(name, chosen.kind, chosen.probability, chosen.gain, study.levels, study.teaches)
    ids = [option.id for option in shown]
    request = RankRequest(
        _options(study, chosen.items), event, person, study.context, len(shown)
    )  # fmt: skip
    said = QuestionAnswer(
        event, ids, dict.fromkeys(ids, 1.0 / len(ids)), f"ask:{name}", len(answers), asked
    )
    store.append([
        Entry(tenant, event, "", QUESTION, person, encode(request), encode(said))
    ])  # fmt: skip
    document = {
        "event_id": event, "study": name, "question": study.question, "kind": chosen.kind,
        "options": [{"id": each.id, "text": each.text or each.id} for each in shown],
        "probability": chosen.probability, "gain": chosen.gain, "levels": study.levels,
    }  # fmt: skip
    if study.shows_belief:
        document["belief"] = told_belief(study, answers, belief)
    return document


def _chosen(
    belief: Strengths,
    study: Study,
    answers: Sequence[Answer],
    person: str | None,
    generator: np.random.Generator,
) -> Question:
    judged: dict[Kind, list[int]] = {}
    for answer in answers:
        if person is not None and answer.person == person and answer.kind in ("rating", "edit"):
            judged.setdefault(answer.kind, []).append(answer.items[0])
    unique = {kind: list(dict.fromkeys(items)) for kind, items in judged.items()}
    found = questions(belief, study.asking(), unique)
    return found[pick(np.array([each.probability for each in found]), generator.random())]


def keep_answer(
    store: EventStore, tenant: str, name: str, body: bytes, limits: Limits
) -> FeedbackAnswer | None:
    """An answer to a question of this study, durable; None where there is no such question.

    Raises `DataError` for an answer that does not fit it.
    """
    kept = feedback_request(body, limits)
    rows = store.fetch(
        "SELECT answer FROM entries WHERE tenant = ? AND event_id = ? AND entry_id = '' AND "
        "kind = ?", tenant, kept.event_id, QUESTION,
    )  # fmt: skip
    said = kept_question(rows[0][0]) if rows else None
    if said is None or said.question is None or said.question.study != name:
        return None
    checked_answer(said.question, said.ranking, kept.kind, msgspec.json.decode(kept.body)["value"])
    (receipt,) = store.append([
        Entry(tenant, kept.event_id, kept.entry_id, kept.kind, None, kept.body)
    ])  # fmt: skip
    if not receipt.is_same and kept.is_named:
        raise DataError(
            "this feedback_id said something else before; expected a new one for something new."
        )
    return FeedbackAnswer(not receipt.is_erased, not receipt.is_new and not receipt.is_erased)


def _options(study: Study, places: Sequence[int]) -> list[Option]:
    chosen = [study.options[place] for place in places]
    return [Option(option.id, option.features) for option in chosen]
