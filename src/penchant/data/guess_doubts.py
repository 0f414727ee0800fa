"""What a first guess rests on that nothing in the file confirms: sentences for who knows the file.

A wrong reading that is told can be mended; one that is not told is believed.
"""

from collections.abc import Iterator

import numpy as np

from penchant.data.columns import is_number, to_floats
from penchant.data.description import Description
from penchant.data.guess_pairs import is_called_an_answer, rival_answers
from penchant.data.guess_wide import ANSWERS
from penchant.data.seen_columns import SeenColumns

_COUNTS = ("count", "counts", "n", "num", "number", "times", "freq", "frequency", "num_votes",
           "n_votes", "num_voters")  # fmt: skip
_TIES = ("tie", "ties", "tied", "draw", "drawn", "is_tie", "is_draw")
_LOW_IS_GOOD = ("grade", "cost", "loss", "error", "penalty")
_MEND = " (`column` under [answer]; --winner of `penchant rank`)"
# The share of the people whose ratings are the numbers from 1 on, each once, as ranks are.
_MOST = 0.9


def doubts(columns: SeenColumns, said: Description) -> tuple[str, ...]:
    """What whoever knows the file should check, each with what to write where it is wrong."""
    return (
        *_of_pairs(columns, said), *_of_directions(columns, said), *_of_codes(columns, said),
        *_of_unread(columns, said), *_of_answers(columns, said), *_of_scales(columns, said),
    )  # fmt: skip


def other_answers(columns: SeenColumns, answer: str) -> list[str]:
    """Columns beside the answer of a long table that say, by their names, what was answered: as
    features they would foretell it."""
    flags = [columns.lower[word] for word in ANSWERS if word in columns.lower]
    ranks = [columns.lower[word] for word in ("rank", "ranking") if word in columns.lower]
    return [name for name in (*(f for f in flags if columns.is_flag(f)), *ranks) if name != answer]


def _of_answers(columns: SeenColumns, said: Description) -> Iterator[str]:
    if said.layout != "long" or said.answer is None or said.kind not in ("choice", "ranking"):
        return
    others = other_answers(columns, said.answer)
    if others:
        yield (
            f"{said.answer} is taken for the answer, and {', '.join(others)}, which could be it as "
            "well, for no feature: correct `column` under [answer], or `features`."
        )


def _of_scales(columns: SeenColumns, said: Description) -> Iterator[str]:
    """A number far from all other ratings, as -1 and 99 stand for no answer."""
    if said.layout != "ratings" or said.answer is None:
        return
    values = np.sort(to_floats(columns.table[said.answer]))
    values = np.unique(values[np.isfinite(values)])
    gaps = np.diff(values)
    if len(values) < 4:
        return
    for end, gap, rest in ((values[0], gaps[0], gaps[1:]), (values[-1], gaps[-1], gaps[:-1])):
        if gap > 1.5 * rest.max():
            yield (
                f"{end:g} is read as a rating in {said.answer}, far from all others. If it stands "
                "for no answer, list it as `nulls` under [file]."
            )


def _of_pairs(columns: SeenColumns, said: Description) -> Iterator[str]:
    """Which column was taken for the answer, where others could be it."""
    if said.layout not in ("pairs", "arena") or said.kind == "edit" or said.answer is None:
        return
    first, second = said.option_columns
    if said.answer in (first, second):
        return
    if said.answer_columns:
        yield (
            f"{', '.join(said.answer_columns)} are read as {len(said.answer_columns)} judges' "
            f"answers to the same pairs, each judge a voter. For one of them alone name it{_MEND}."
        )
        return
    if is_number(columns.table[said.answer].type) and not said.codes:
        yield (
            f"{said.answer} is read as the probability that {first} wins, not {second}: if it is "
            "the other way round, write one less it."
        )
        return
    rivals = rival_answers(columns, (first, second), said.answer)
    if rivals:
        yield (
            f"{said.answer} is taken for the answer, and {', '.join(rivals)} could be it as well: "
            f"name the right one{_MEND}."
        )
    elif said.kind != "graded" and not is_called_an_answer(said.answer):
        yield (
            f"{said.answer} is taken for the answer, since it names a side on every line; its name "
            f"does not say so. If it is something else, name the answer{_MEND}."
        )


def _of_directions(columns: SeenColumns, said: Description) -> Iterator[str]:
    """Whether high is good, where that is not plain."""
    answer = said.answer
    if said.kind == "ranking" and said.alternatives and said.answer_columns:
        yield (
            f"The numbers under {', '.join(said.answer_columns[:4])} are read as ranks, 1 the "
            f"best. If they are points, {len(said.answer_columns)} the best, turn them round first."
        )
    elif said.kind == "ranking" and said.alternatives and answer is not None:
        yield f"The lists under {answer} are read best first; if the worst stands first, turn them."
    elif said.kind == "edit":
        one, other = said.option_columns
        yield f"{one} is read as what somebody made of {other}, and as preferred to it."
    elif answer is not None and said.layout in ("ratings", "decisions", "long") and (
        said.kind in ("rating", "outcome", "binary", None)
    ):  # fmt: skip
        if _are_ranks(columns, said, answer):
            yield (
                f"{answer} holds the numbers from 1 on, each once for every {said.person}, as "
                "ranks do, and is read as ratings: high is good. For ranks write layout = "
                '"long", and kind = "ranking" under [answer].'
            )
        elif answer.lower() in _LOW_IS_GOOD:
            mend = (
                "list `levels` under [answer] from worst to best"
                if said.levels
                else "turn their sign"
            )
            yield f"High values of {answer} are read as good. If low ones are, {mend}."


def _are_ranks(columns: SeenColumns, said: Description, answer: str) -> bool:
    if said.person is None or said.layout != "ratings" or len(said.levels) < 3:
        return False
    person = columns.codes(said.person)[0]
    rating = to_floats(columns.table[answer])
    order = np.lexsort((rating, person))
    size = np.bincount(person[person >= 0])
    if not len(size) or person.min() < 0:
        return False
    place = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size) + 1
    right = np.bincount(person[order], rating[order] == place) == size
    return bool(right[size > 1].mean() > _MOST) if (size > 2).any() else False


def _of_codes(columns: SeenColumns, said: Description) -> Iterator[str]:
    """What numbers mean, where only the order of columns or the ends of their names say it."""
    if said.answer is None or not is_number(columns.table[said.answer].type):
        return
    # `left_won` says itself what 1 means.
    is_sided = said.layout == "pairs" and not said.answer.lower().endswith(("won", "wins", "win"))
    if said.codes and (said.layout == "wide" or is_sided):
        listed = [f"{value} = {meaning}" for value, meaning in said.codes.items()]
        yield (
            f"The numbers of {said.answer} are read as {', '.join(listed[:8])}"
            f"{', ...' if len(listed) > 8 else ''}: correct [codes] if they mean something else."
        )


def _of_unread(columns: SeenColumns, said: Description) -> Iterator[str]:
    """Columns that seem to say how often, or that nobody won, and are not read."""
    if said.layout not in ("pairs", "arena", "rankings"):
        return
    counts = columns.first(_COUNTS)
    is_number_of = counts is not None and is_number(columns.table[counts].type)
    if is_number_of and said.weight is None and counts not in _roles(said):
        yield (
            f"Every line counts once, whatever {counts} says. If it is how often, name it as "
            "`weight` under [rows] (--weight of `penchant rank`)."
        )
    tie = columns.first(_TIES)
    is_read = tie is None or tie in _roles(said)
    if said.layout != "rankings" and tie is not None and not is_read and columns.is_flag(tie):
        yield (
            f"{tie} is not read: lines that it marks count for whoever {said.answer} names. Write "
            "tie as their answer."
        )


def _roles(said: Description) -> set[str]:
    """Columns that say what was answered, by whom and about what; context is none of them."""
    named = (*said.option_columns, *said.answer_columns, *said.situation, said.answer, said.person,
             said.time)  # fmt: skip
    return {name for name in named if name is not None}
