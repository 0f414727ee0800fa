"""What a feedback teaches: which options of a menu were worth how much."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from penchant.beliefs.named_person import Earned
from penchant.encoders.named import Menu
from penchant.errors import DataError
from penchant.metrics.edit_distance import kept_share
from penchant.serving.event_store import Joined
from penchant.serving.studies import Asked, QuestionAnswer, fits, kept_question
from penchant.serving.wire import kept_feedback, kept_rank

# Of one person; a decision that weighs them takes some 60 microseconds for each.
MOST_EARNED = 20


@dataclass(frozen=True, slots=True)
class Lesson:
    """place: of the option in the menu."""

    place: int
    reward: float


@dataclass(frozen=True, slots=True)
class Order:
    """places: of options in the menu, None for nothing at all; the first `num_ranked` were
    preferred in this order, and to all others. Of none ranked nothing is learnt."""

    places: tuple[int | None, ...]
    num_ranked: int


@dataclass(frozen=True, slots=True)
class Rated:
    """The option at a place was given a level, from 1. levels: how many there were, where a study
    says it."""

    place: int
    level: float
    levels: int | None

    def is_of(self, levels: int) -> bool:
        """Whether it is on a scale of so many; a study of other levels has a scale of its own, and
        its ratings are shares of that."""
        return self.levels in (None, levels)

    def among(self, levels: int) -> int | None:
        """The level from 0, where ratings have so many; None where it is none of them."""
        if self.level != int(self.level) or not 1 <= self.level <= levels:
            return None
        return int(self.level) - 1


@dataclass(frozen=True, slots=True)
class Taught:
    """A feedback beside its decision. lessons: none where nothing can be learnt from it. teaches:
    whether it was meant to teach: answers of a study that keeps to itself are not. order, rated:
    the same for models that learn orders and ratings as such; None where it is none."""

    menu: Menu
    answer: QuestionAnswer
    person: str | None
    lessons: tuple[Lesson, ...]
    teaches: bool = True
    order: Order | None = None
    rated: Rated | None = None


def readable(said: Iterable[Joined]) -> Iterator[Taught]:
    """What each feedback teaches, without those that this version cannot read."""
    found = (taught_if_readable(joined) for joined in said)
    return (each for each in found if each is not None)


def taught_if_readable(joined: Joined) -> Taught | None:
    """What a feedback teaches; None where it or its decision cannot be read."""
    try:
        return taught(joined)
    except DataError:
        return None


def earned_of(rounds: Iterable[Taught], most: int = MOST_EARNED) -> list[Earned]:
    """The latest lessons, which is what weights of a person are learnt from."""
    found = [
        Earned(each.menu, lesson.place, lesson.reward) for each in rounds for lesson in each.lessons
    ]
    return found[-most:]


def taught(joined: Joined) -> Taught:
    """What was asked, answered and said of it.

    A reward or a rating is of the option shown first. A pick is worth 1, what was shown beside it
    0; a pick of nothing is 0 for all that was shown. In a ranking an option is worth the share of
    the others it was put before. An edit that tells what was edited is worth the share of words
    that it left in place (`kept_share`), to the option shown first. Texts are kept and teach
    nothing here; nor do edits of more words than can be compared, and what names options that were
    not on the menu. Of a study, a rating is the share of its highest level, where the study teaches
    at all and the answer fits its question.

    Raises `DataError` for a feedback or a decision that this version cannot read.
    """
    menu, answer = kept_rank(joined.asked), kept_question(joined.answered)
    if set(menu.ids) != answer.probabilities.keys():
        raise DataError(
            f"the decision {joined.event_id!r:.100} was about {list(menu.ids)!r:.200} and shown by "
            f"probabilities of {list(answer.probabilities)!r:.200}; expected the same options."
        )
    said = kept_feedback(joined.feedback)
    asked = answer.question
    if asked is not None and not asked.teaches:
        return Taught(menu, answer, joined.person, (), teaches=False)
    if asked is not None and not fits(asked, answer.ranking, said.kind, said.value):
        return Taught(menu, answer, joined.person, ())
    lessons = _lessons(said.kind, said.value, menu, answer.ranking, asked)
    order = _order(said.kind, said.value, [lesson.place for lesson in lessons], menu, asked)
    rated = None
    if said.kind == "rating":
        levels = None if asked is None else asked.levels
        rated = Rated(menu.ids.index(answer.ranking[0]), said.value, levels)
    return Taught(menu, answer, joined.person, lessons, order=order, rated=rated)


def _lessons(
    kind: str, value: Any, menu: Menu, shown: list[str], asked: Asked | None
) -> tuple[Lesson, ...]:
    place = {name: at for at, name in enumerate(menu.ids)}
    if kind == "rating" and asked is not None:
        value = (value - 1.0) / (asked.levels - 1.0)
    if kind in ("reward", "rating"):
        return (Lesson(place[shown[0]], value),)
    if kind == "edit" and isinstance(value, dict) and value["before"] is not None:
        try:
            return (Lesson(place[shown[0]], kept_share(value["before"], value["after"])),)
        except DataError:
            return ()
    if kind == "pick" and (value is None or value in place):
        seen = dict.fromkeys([*shown, *([] if value is None else [value])])
        return tuple(Lesson(place[name], float(name == value)) for name in seen)
    if kind == "ranking" and len(value) > 1 and all(name in place for name in value):
        last = len(value) - 1
        return tuple(Lesson(place[name], 1.0 - at / last) for at, name in enumerate(value))
    return ()


def _order(
    kind: str, value: Any, places: list[int], menu: Menu, asked: Asked | None
) -> Order | None:
    """A pick is one of what was shown and of nothing at all, which may be picked too; who is asked
    by a study picks one of its options, or has no preference."""
    if not places or kind not in ("pick", "ranking"):
        return None
    if kind == "ranking":
        return Order(tuple(places), len(places))
    first = None if value is None else menu.ids.index(value)
    rest = [place for place in places if place != first]
    if asked is not None:
        return Order(() if first is None else (first, *rest), int(first is not None))
    return Order((None, *rest) if first is None else (first, *rest, None), 1)
