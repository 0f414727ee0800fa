"""What clients send to a decision service, decoded, checked against its limits, or refused."""

import hashlib
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from penchant.encoders.named import Menu
from penchant.errors import DataError
from penchant.serving.number_tables import number_table

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Name = Annotated[str, Meta(max_length=128)]
Word = Annotated[str, Meta(max_length=256)]
# Beyond this squares of squares lose their digits; best are numbers of about unit size.
Number = Annotated[float, Meta(ge=-1e6, le=1e6)]
_MOST_FEATURES = 256
Features = Annotated[dict[Name, Number | bool | Word], Meta(max_length=_MOST_FEATURES)]
Kind = Literal["reward", "pick", "ranking", "rating", "edit", "text"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """body: bytes of a request. options: of a rank. pairs: features of an option times features of
    the context, each with 1 added. text: characters of a text or an edit. rate: requests a
    second of one key, and as many at once."""

    body: int = 1_000_000
    options: int = 1_000
    pairs: int = 4_096
    text: int = 100_000
    rate: float = 10_000.0


class Option(Struct, forbid_unknown_fields=True, gc=False):
    """One thing that may be shown. An option without features is known by its id."""

    id: Id
    features: Features = {}


class RankRequest(Struct, forbid_unknown_fields=True, gc=False):
    """What to show? slots: how many of the options will be. event_id: made up where left out."""

    options: Annotated[list[Option], Meta(min_length=1)]
    event_id: Id | None = None
    person: Id | None = None
    context: Features = {}
    slots: Annotated[int, Meta(ge=1)] = 1


class FeedbackRequest(Struct, forbid_unknown_fields=True):
    """What came of it? feedback_id: its name, so that a repetition is recognised; where left out,
    the content is its name. time: when it happened, seconds since 1970 or ISO 8601; only kept."""

    event_id: Id
    kind: Kind
    value: Any
    feedback_id: Id | None = None
    time: float | Annotated[str, Meta(max_length=64)] | None = None


class Edit(Struct, forbid_unknown_fields=True):
    """after: what somebody made of a proposal; before: the proposal."""

    after: str
    before: str | None = None


class RankAnswer(Struct):
    """ranking: what to show, in order. probabilities: of each option to be shown first. model,
    belief: by what this was decided; belief counts the entries of the log that it has read."""

    event_id: str
    ranking: list[str]
    probabilities: dict[str, float]
    model: str
    belief: int


class FeedbackAnswer(Struct):
    """accepted: false of an event that was erased, of which nothing is kept. duplicate: whether it
    had been accepted before."""

    accepted: bool
    duplicate: bool


class KeptFeedback(Struct):
    """A feedback as the log holds it, its value as plain JSON."""

    kind: Kind
    value: Any
    time: float | str | None = None


Said = TypeVar("Said")
Answer = TypeVar("Answer", bound=RankAnswer)


class Correction(Struct, forbid_unknown_fields=True):
    """The value that a feedback should have had; feedback_id as GET /v1/people/{id} tells it,
    or as it was sent."""

    event_id: Id
    feedback_id: Annotated[str, Meta(min_length=1, max_length=300)]
    value: Any


_VALUE: dict[str, Any] = {
    "reward": Number, "rating": Number, "pick": Id | None, "text": str, "edit": Edit | str,
    "ranking": Annotated[list[Id], Meta(min_length=1)],
}  # fmt: skip
# What was imported has numbers of any size.
_KEPT = _VALUE | {"reward": float, "rating": float}


class _QuickOption(Struct, forbid_unknown_fields=True, gc=False):
    id: Id
    features: Raw = Raw(b"{}")


class _QuickRequest(Struct, forbid_unknown_fields=True, gc=False):
    """A `RankRequest` whose options' features are not looked at yet."""

    options: Annotated[list[_QuickOption], Meta(min_length=1)]
    event_id: Id | None = None
    person: Id | None = None
    context: Features = {}
    slots: Annotated[int, Meta(ge=1)] = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to rank as it is decided. event_id: made up where it was left out."""

    event_id: str
    person: str | None
    slots: int
    menu: Menu


_rank = msgspec.json.Decoder(RankRequest)
_quick = msgspec.json.Decoder(_QuickRequest)
_feedback = msgspec.json.Decoder(FeedbackRequest)
_correction = msgspec.json.Decoder(Correction)
_answer = msgspec.json.Decoder(RankAnswer)
_feedback_kept = msgspec.json.Decoder(KeptFeedback)
encode = msgspec.json.encode


def rank_asked(body: bytes, limits: Limits) -> Asked:
    """What a request to rank asks. Raises `DataError` for what is none, or beyond a limit."""
    return _quick_asked(body, limits) or _whole_asked(body, limits)


def _quick_asked(body: bytes, limits: Limits) -> Asked | None:
    """The same where features are plain numbers under the same names; None where anything is
    otherwise or wrong, which `_whole_asked` tells."""
    try:
        asked = _quick.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    ids, context = tuple([option.id for option in asked.options]), asked.context
    most = max(0, min(_MOST_FEATURES, limits.pairs // (1 + len(context)) - 1))
    if not (asked.slots <= len(ids) <= limits.options and len(set(ids)) == len(ids)):
        return None
    # Of a name that comes twice only the last was looked at, and a name may be written in escapes.
    if body.count(b'"features"') != len(ids) or b"\\" in body:
        return None
    table = number_table([option.features for option in asked.options], most)
    if table is None or "" in context:
        return None
    event_id = str(uuid.uuid4()) if asked.event_id is None else asked.event_id
    return Asked(event_id, asked.person, asked.slots, Menu(context, ids, table))


def _whole_asked(body: bytes, limits: Limits) -> Asked:
    asked = rank_request(body, limits)
    assert asked.event_id is not None
    return Asked(asked.event_id, asked.person, asked.slots, menu_of(asked))


def rank_request(body: bytes, limits: Limits) -> RankRequest:
    """A request to rank. Raises `DataError` for what is none, or beyond a limit."""
    asked: RankRequest = _decoded(_rank, body)
    options = asked.options
    if len(options) > limits.options:
        raise DataError(f"{len(options):,} options came; expected up to {limits.options:,}.")
    if len({option.id for option in options}) < len(options):
        raise DataError("two options have the same id; expected an id of its own each.")
    if "" in asked.context or any("" in option.features for option in options):
        raise DataError("a feature has an empty name; expected a name that tells what it is.")
    if asked.slots > len(options):
        raise DataError(
            f"slots is {asked.slots}, but {len(options)} options came; expected no more slots."
        )
    most = max(len(option.features) for option in options)
    if (1 + most) * (1 + len(asked.context)) > limits.pairs:
        raise DataError(
            f"an option has {most} features and the context {len(asked.context)}; expected up to "
            f"{limits.pairs:,} pairs of them. Leave out what matters least."
        )
    if asked.event_id is None:
        asked.event_id = str(uuid.uuid4())
    return asked


def menu_of(asked: RankRequest) -> Menu:
    """What is to be decided."""
    options = asked.options
    return Menu(asked.context, tuple([o.id for o in options]), tuple([o.features for o in options]))


def kept_rank(body: bytes) -> Menu:
    """The menu of a rank that was accepted before. Raises `DataError` as all that reads what is
    kept: another version, or a hand, may have written what this one cannot read."""
    return menu_of(_kept(_rank, body))


def kept_answer(answer: bytes) -> RankAnswer:
    """What was answered to it."""
    return kept_as(_answer, answer)


def kept_as(decoder: msgspec.json.Decoder[Answer], answer: bytes) -> Answer:
    """An answer, or one that says more, by its decoder."""
    said = _kept(decoder, answer)
    if not said.ranking or not said.probabilities.keys() >= set(said.ranking):
        raise DataError(
            f"an answer in the log shows {said.ranking!r:.200} by probabilities of "
            f"{list(said.probabilities)!r:.200}; expected one option or more, each by its own."
        )
    return said


def kept_feedback(body: bytes) -> KeptFeedback:
    """A feedback that was accepted before, or imported."""
    said = _kept(_feedback_kept, body)
    _of_kind(said.kind, said.value, _KEPT)
    return said


@dataclass(frozen=True, slots=True)
class Kept:
    """A feedback as the log holds it. entry_id: its name there. body: kind, value, time."""

    event_id: str
    entry_id: str
    kind: str
    body: bytes

    @property
    def is_named(self) -> bool:
        """Whether whoever sent it named it; otherwise its content is its name."""
        return self.entry_id.startswith(named(""))


def named(feedback_id: str) -> str:
    """How the log calls a feedback that whoever sent it named; no content is called so."""
    return f"id:{feedback_id}"


def feedback_request(body: bytes, limits: Limits) -> Kept:
    """A feedback. Raises `DataError` for what is none, or beyond a limit."""
    said: FeedbackRequest = _decoded(_feedback, body)
    value = checked_value(said.kind, said.value, limits)
    kept = feedback_body(said.kind, value, said.time)
    if said.feedback_id is not None:
        entry_id = named(said.feedback_id)
    else:
        entry_id = f"is:{hashlib.sha256(kept).hexdigest()[:32]}"
    return Kept(said.event_id, entry_id, said.kind, kept)


def correction(body: bytes) -> Correction:
    """A correction of a feedback. Raises `DataError` for what is none."""
    asked: Correction = _decoded(_correction, body)
    return asked


def feedback_body(kind: str, value: Any, time: float | str | None) -> bytes:
    """What the log keeps of a feedback."""
    return encode({"kind": kind, "value": value, "time": time}, order="deterministic")


def checked_value(kind: str, value: Any, limits: Limits) -> Any:
    """The value of a feedback of this kind. Raises `DataError` for another kind of value."""
    value = _of_kind(kind, value, _VALUE)
    texts = (value.after, value.before or "") if isinstance(value, Edit) else (value,)
    if kind in ("text", "edit") and sum(map(len, texts)) > limits.text:
        raise DataError(f"the {kind} is too long; expected up to {limits.text:,} characters.")
    if kind == "ranking" and len(value) > limits.options:
        raise DataError(f"the ranking names {len(value):,}; expected up to {limits.options:,}.")
    if kind == "ranking" and len(set(value)) < len(value):
        raise DataError("the ranking names an option twice; expected each once.")
    return value


def _of_kind(kind: str, value: Any, kinds: dict[str, Any]) -> Any:
    try:
        return msgspec.convert(value, kinds[kind])
    except msgspec.ValidationError as error:
        raise DataError(f"the value of a {kind} cannot be used: {error}.") from error


def _kept(decoder: msgspec.json.Decoder[Said], told: bytes) -> Said:
    try:
        return decoder.decode(told)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DataError(
            f"an entry of the log cannot be read: {error}. Expected what this version writes; "
            "what a newer one wrote is read by that, what a hand changed nobody reads."
        ) from error


def _decoded(decoder: Any, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise DataError(
            f"the body cannot be used: {error}. Expected what /openapi.json describes."
        ) from error
