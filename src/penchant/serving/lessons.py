"""What a feedback teaches: which options of a menu were worth how much."""

from dataclasses import dataclass

import msgspec

from penchant.encoders.named import Menu
from penchant.serving.event_store import Joined
from penchant.serving.wire import RankAnswer, kept_answer, kept_rank


@dataclass(frozen=True, slots=True)
class Lesson:
    """place: of the option in the menu."""

    place: int
    reward: float


@dataclass(frozen=True, slots=True)
class Taught:
    """A feedback beside its decision. lessons: none where nothing can be learnt from it."""

    menu: Menu
    answer: RankAnswer
    person: str | None
    lessons: tuple[Lesson, ...]


def taught(joined: Joined) -> Taught:
    """What was asked, answered and said of it.

    A reward or a rating is of the option shown first. A pick is worth 1, what was shown beside it
    0; a pick of nothing is 0 for all that was shown. In a ranking an option is worth the share of
    the others it was put before. Edits and texts are kept and teach nothing here; nor does what
    names options that were not on the menu.
    """
    menu, answer = kept_rank(joined.asked), kept_answer(joined.answered)
    said = msgspec.json.decode(joined.feedback)
    kind, value = said["kind"], said["value"]
    place = {name: at for at, name in enumerate(menu.ids)}
    shown = answer.ranking
    lessons: list[Lesson] = []
    if kind in ("reward", "rating"):
        lessons = [Lesson(place[shown[0]], value)]
    elif kind == "pick" and (value is None or value in place):
        seen = dict.fromkeys([*shown, *([] if value is None else [value])])
        lessons = [Lesson(place[name], float(name == value)) for name in seen]
    elif kind == "ranking" and len(value) > 1 and all(name in place for name in value):
        last = len(value) - 1
        lessons = [Lesson(place[name], 1.0 - at / last) for at, name in enumerate(value)]
    return Taught(menu, answer, joined.person, tuple(lessons))
