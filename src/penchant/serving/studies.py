"""The studies of a tenant: what people are asked about on the page `/ask`."""

import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from penchant.agents.elicitation.questions import Kind, QuestionConfig
from penchant.errors import ConfigError, DataError
from penchant.metrics.edit_distance import MOST_WORDS, check_words
from penchant.serving.event_store import EventStore, checked_name
from penchant.serving.wire import Features, Id, RankAnswer, kept_as

# A belief over more items takes longer than somebody likes to wait for a question.
_MOST_OPTIONS = 60
_MOST_STUDIES = 100
# The log's kind of an entry that asks something.
QUESTION = "question"


class StudyOption(Struct, frozen=True, forbid_unknown_fields=True):
    """text: what is shown to people, where the id does not say it; it is what an edit edits."""

    id: Id
    text: Annotated[str, Meta(max_length=10_000)] = ""
    features: Features = {}


class Study(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """question: what people are asked. context: of every question, as of a rank. kinds: pair,
    ranking, rating, edit. top: only who is among the first so many is to be found out; null: the
    whole order. levels: of a rating, from 1. list_size: options of a ranking. explored: how often
    something else than the most telling question is asked. shows_belief: whether whoever answers
    sees what is believed so far. teaches: whether answers teach the models that decide, too: picks
    and places of a list as they do elsewhere, ratings as shares of the highest level."""

    question: Annotated[str, Meta(min_length=1, max_length=500)]
    options: Annotated[tuple[StudyOption, ...], Meta(min_length=2, max_length=_MOST_OPTIONS)]
    context: Features = {}
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1)] = ("pair",)
    top: Annotated[int, Meta(ge=1)] | None = 1
    levels: Annotated[int, Meta(ge=2, le=10)] = 5
    list_size: Annotated[int, Meta(ge=3, le=8)] = 4
    explored: float = 0.2
    shows_belief: bool = True
    teaches: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the options, in order."""
        return tuple(option.id for option in self.options)

    def asking(self) -> QuestionConfig:
        """How questions are chosen."""
        return QuestionConfig(
            kinds=self.kinds, top=self.top, list_size=self.list_size, explored=self.explored
        )


class Asked(Struct, frozen=True):
    """What the log keeps of a question beside its options. probability: with which it was asked;
    gain: the nats of order that it was expected to settle; levels, teaches: as of the study."""

    study: str
    kind: Kind
    probability: float
    gain: float
    levels: int
    teaches: bool


class QuestionAnswer(RankAnswer):
    """What was answered to whoever wanted a question, as the log keeps it: the options in the order
    shown, each first with equal probability."""

    question: Asked | None = None


_answer = msgspec.json.Decoder(QuestionAnswer)


def kept_question(answer: bytes) -> QuestionAnswer:
    """What was answered to a rank or to whoever wanted a question; the latter has `question`.
    Raises `DataError` as `kept_answer` does."""
    return kept_as(_answer, answer)


def study_of(told: str | bytes) -> Study:
    """The study that JSON describes. Raises `ConfigError` where it describes none."""
    try:
        study = msgspec.json.decode(told, type=Study)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ConfigError(
            f'the study cannot be used: {error}. Expected JSON such as {{"question": "Which one?", '
            '"options": [{"id": "a"}, {"id": "b"}]}.'
        ) from error
    if len(set(study.ids)) < len(study.ids):
        raise ConfigError("two options have the same id; expected an id of its own each.")
    if study.top is not None and study.top >= len(study.ids):
        raise ConfigError(
            f"top is {study.top} of {len(study.ids)} options; expected fewer, or null for the "
            "whole order."
        )
    if "edit" in study.kinds and not all(option.text for option in study.options):
        raise ConfigError(
            "an option has no text, so that nobody can edit it; expected a text of each, or kinds "
            "without edit."
        )
    if "edit" in study.kinds and any(len(o.text.split()) > MOST_WORDS for o in study.options):
        raise ConfigError(
            f"a text has more than {MOST_WORDS:,} words, so that it cannot be compared with its "
            "edit; expected shorter texts, or kinds without edit."
        )
    if "" in study.context or any("" in option.features for option in study.options):
        raise ConfigError("a feature has an empty name; expected a name that tells what it is.")
    study.asking()
    return study


def studies_of(store: EventStore, tenant: str) -> dict[str, Study]:
    """All of them by name."""
    told = store.fetch("SELECT name, config FROM studies WHERE tenant = ? ORDER BY name", tenant)
    return {name: msgspec.json.decode(config, type=Study) for name, config in told}


def study_named(store: EventStore, tenant: str, name: str) -> Study | None:
    """One of them; None where there is none of that name."""
    told = store.fetch("SELECT config FROM studies WHERE tenant = ? AND name = ?", tenant, name)
    return msgspec.json.decode(told[0][0], type=Study) if told else None


def put_study(store: EventStore, tenant: str, name: str, study: Study) -> None:
    """A study, which people can be asked about from now on. A name once given is not given anew:
    raises `ConfigError` for one that says something else."""
    checked_name(name, "study")
    with store.transaction():
        there = study_named(store, tenant, name)
        if there is not None and there != study:
            raise ConfigError(
                f"there is a study {name!r} that says otherwise; expected a new name, so that the "
                "log tells what was asked."
            )
        if there is not None:
            return
        ((num,),) = store.fetch("SELECT count(*) FROM studies WHERE tenant = ?", tenant)
        if num >= _MOST_STUDIES:
            raise ConfigError(f"there are {_MOST_STUDIES} studies; expected no more.")
        store.execute(
            "INSERT INTO studies VALUES (?, ?, ?, ?)", tenant, name,
            msgspec.json.encode(study).decode(), time.time(),
        )  # fmt: skip


def checked_answer(asked: Asked, shown: list[str], kind: str, value: Any) -> None:
    """Raises `DataError` for an answer that does not fit its question. A text fits all: it is the
    reason."""
    wanted = "pick" if asked.kind == "pair" else asked.kind
    if kind == "text":
        return
    if kind != wanted:
        raise DataError(f"the question is a {asked.kind}, the answer a {kind}; expected {wanted}.")
    if kind == "pick" and value is not None and value not in shown:
        raise DataError(f"{value!r:.100} was not shown; expected one of both, or null for neither.")
    if kind == "ranking" and sorted(value) != sorted(shown):
        raise DataError(f"a ranking of other options came; expected all {len(shown)} shown ones.")
    if kind == "edit" and (not isinstance(value, dict) or value["before"] is None):
        raise DataError('the edit is a text alone; expected {"before": "...", "after": "..."}.')
    if kind == "edit":
        check_words(value["before"], value["after"])
    if kind == "rating" and not (value == int(value) and 1 <= value <= asked.levels):
        raise DataError(f"the rating is {value}; expected a whole number from 1 to {asked.levels}.")


def fits(asked: Asked, shown: list[str], kind: str, value: Any) -> bool:
    """Whether an answer fits its question."""
    try:
        checked_answer(asked, shown, kind, value)
    except DataError:
        return False
    return True
