"""A first guess for tables of pairs: two columns of options, and one that says which won."""

import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penchant.data.columns import is_number, is_text, one_chunk, to_floats
from penchant.data.description import Description
from penchant.data.guess_grades import grade_scale
from penchant.data.guess_wide import ANSWERS
from penchant.data.readers.pairs import COMMON_WORDS
from penchant.data.seen_columns import MANY_LEVELS, SeenColumns

PAIRED_ENDS = (("1", "2"), ("a", "b"), ("left", "right"), ("x", "y"))
_THIRD = {"1": "3", "a": "c"}
# The same without anything before them.
_PAIRED_NAMES = (("left", "right"), ("first", "second"), ("a", "b"), ("x", "y"))
# What stands before such an end where the columns can hold nothing but items: then whole numbers
# are names, and names need not come twice.
_ITEM_STEMS = ("", "item", "model", "option", "player", "team", "candidate", "argument", "system",
               "image", "object", "id")  # fmt: skip
# A column of this name says who won even if some of its words are unknown, as long as half of its
# lines are understood: reading then names the line, and how to mend it.
_ANSWER_NAMES = (*ANSWERS, "label", "result", "vote", "verdict", "better", "preferred_item")
# Other columns of sides, and whose names say that they are no answer: who lost, where something
# stood, what should have been said.
_ANSWER_PART = re.compile(
    r"annotator|answer|better|best|choice|chosen|decision|judg|label|opinion|outcome|pick|prefer|rater|"
    r"response|result|select|verdict|vote|win|won"
)
_NO_ANSWER = re.compile(
    r"(^|[_ .-])(worse|worst|least|lose|loses|loser|losing|lost|reject|rejected|bad|shown|position|"
    r"pos|order|side|hand|previous|prev|last|gold|truth|true|expected|correct|reference|group|arm|"
    r"condition|variant|treatment|stance|party|start|starts|serves|swapped|flipped)($|[_ .-])"
)
_WON = ("won", "wins", "win")
_AGAINST = (("model", "baseline"), ("model_1", "model_2"), ("generator_1", "generator_2"))
_WIN_SHARE = ("win_probability", "p_win", "preference", "win_rate")
# Beside two columns of the same names, these are the probability that the first wins.
_SOFT = (*_WIN_SHARE, "p", "prob", "probability", "p_left", "p_first", "p_a")
# These may as well hold the number of the side that won, which of 0 and 1 nobody can tell.
_MAYBE_SOFT = ("preference",)


def guess_pairs(columns: SeenColumns) -> tuple[Description, str] | None:
    """The description of a table of pairs, and why; None where it is none."""
    if {"winner", "loser"} <= set(columns.names):
        said = Description(
            layout="pairs", kind="pair", option_columns=("winner", "loser"), answer="winner"
        )
        return said, "winner and loser name the two options of every line."
    for name, other, first, second in paired_columns(columns):
        are_items = _are_items(name, first)
        if not _hold_names(columns, (name, other), are_items):
            continue
        answer, codes = pair_answer(columns, (name, other))
        answer = answer or soft_answer(columns)
        if answer is None:
            answer, codes = _truth_answer(columns, name, first)
        answer, grades = _graded_answer(columns, (name, other), answer)
        are_met_again = set(columns.values(name)) & set(columns.values(other))
        if answer is None or not (are_met_again or are_items):
            continue
        said = Description(
            layout="pairs", kind="graded" if grades else "pair", option_columns=(name, other),
            answer=answer, codes={} if grades else codes, levels=grades,
            feature_columns=_pair_features(columns, first, second, (name, other)),
        )  # fmt: skip
        what = "says which won"
        if is_number(columns.table[answer].type) and answer == soft_answer(columns):
            what = f"looks like the probability that {name} wins"
        if grades:
            what = f"says by how much, from {grades[0]} to {grades[-1]} (the first is best)"
        how = "hold the same names" if are_met_again else "name the two items of every line"
        return said, f"{name} and {other} {how}, and {answer} {what}."
    share = soft_answer(columns, _WIN_SHARE)
    for one, other in _AGAINST:
        if share is not None and {one, other} <= set(columns.names):
            said = Description(
                layout="pairs", kind="pair", option_columns=(one, other), answer=share,
                feature_columns={
                    name[len(one) :].strip("_"): {"first": name, "second": other + name[len(one) :]}
                    for name in columns.names
                    if name.startswith(one + "_") and other + name[len(one) :] in columns.names
                },
            )  # fmt: skip
            return said, f"{share} looks like the probability that {one} beats {other}."
    return None


def sides_of_items(columns: SeenColumns) -> tuple[str, str] | None:
    """The first two columns that hold items side by side, whatever says who won."""
    for name, other, first, _ in paired_columns(columns):
        if _are_items(name, first) and _hold_names(columns, (name, other), True):
            return name, other
    return None


def _are_items(name: str, first: str) -> bool:
    """Whether a column by its name can hold nothing but items."""
    return name == first or name[: -len(first)].rstrip("_-. ").lower() in _ITEM_STEMS


def paired_columns(
    columns: SeenColumns, ends: tuple[tuple[str, str], ...] = PAIRED_ENDS
) -> Iterator[tuple[str, str, str, str]]:
    """Two columns that differ in how they end (model_a, model_b), and the two endings."""
    for first, second in _PAIRED_NAMES:
        is_menu = first == "first" and "third" in columns.lower
        if {first, second} <= set(columns.names) and not is_menu:
            yield first, second, first, second
    for first, second in ends:
        for name in columns.names:
            stem = name[: -len(first)]
            if not stem or not name.endswith(first) or stem + second not in columns.names:
                continue
            # Three side by side are a menu.
            third = _THIRD.get(first)
            if third is None or stem + third not in columns.names:
                yield name, stem + second, first, second


def _hold_names(columns: SeenColumns, sides: tuple[str, str], are_items: bool) -> bool:
    """Whether both columns hold words, or whole numbers where these can only be names."""
    kinds = [columns.table[side].type for side in sides]
    if all(map(is_text, kinds)):
        return True
    # x and y that are numbers are places in the plane.
    return are_items and sides != ("x", "y") and all(map(pa.types.is_integer, kinds))


def pair_answer(columns: SeenColumns, sides: tuple[str, str]) -> tuple[str | None, dict[str, str]]:
    """The column that says who won, and what its words mean where that is no common knowledge.

    Of several that name a side on every line the one that is called an answer; none where nothing
    but their order in the file speaks for one of them.
    """
    told = _columns_of_sides(columns, sides)
    by_name = [[name for name in told if _rank_of_name(name) == rank] for rank in range(3)]
    found = next((names for names in by_name if names), [])
    if found and (len(found) == 1 or found is not by_name[2]):
        return found[0], told[found[0]]
    if found:
        return None, {}
    for name in columns.names:
        kind = columns.table[name].type
        is_word = name not in sides and (is_text(kind) or pa.types.is_integer(kind))
        if name.lower() in _ANSWER_NAMES and is_word and _share_told(columns, name, sides) >= 0.5:
            return name, {}
    return None, {}


def possible_answers(columns: SeenColumns, sides: tuple[str, str]) -> list[str]:
    """Columns that name a side or an item on every line, and are called nothing else."""
    return list(_columns_of_sides(columns, sides))


def rival_answers(columns: SeenColumns, sides: tuple[str, str], answer: str) -> list[str]:
    """Other columns that could as well be the answer, as far as can be seen."""
    return [name for name in _columns_of_sides(columns, sides)
            if name != answer and _rank_of_name(name) <= min(1, _rank_of_name(answer))
            ]  # fmt: skip


def judges_beside(columns: SeenColumns, said: Description) -> tuple[str, ...]:
    """The answer and its like by other judges (annotator_1, annotator_2), side by side; none where
    it stands alone, or a column says whose it is.

    A like column may hold words that are no answer: they are bad lines, and no reason to forget the
    judge.
    """
    if said.layout not in ("pairs", "arena") or said.answer is None or said.person is not None:
        return ()
    stem = said.answer.rstrip("0123456789")
    first, second = said.option_columns
    alike = [
        n for n in columns.names
        if n not in (first, second, said.answer) and len(n) > len(stem)
        and n.rstrip("0123456789") == stem and is_text(columns.table[n].type)
        and _share_answered(columns, n, said) >= 0.5
    ]  # fmt: skip
    if len(stem) == len(said.answer) or not alike or said.kind == "graded":
        return ()
    return tuple(n for n in columns.names if n == said.answer or n in alike)


def is_called_an_answer(name: str) -> bool:
    """Whether a column's own name says that it holds answers."""
    return _rank_of_name(name) < 2


def _columns_of_sides(columns: SeenColumns, sides: tuple[str, str]) -> dict[str, dict[str, str]]:
    """Columns of words that name a side or an item on every line, and what their words mean."""
    found: dict[str, dict[str, str]] = {}
    for name in columns.names:
        is_word = name not in sides and is_text(columns.table[name].type) and columns.values(name)
        if not is_word or _rank_of_name(name) > 2:
            continue
        if _share_told(columns, name, sides) == 1.0:
            found[name] = {}
        elif codes := _side_codes({str(value) for value in columns.values(name)}):
            found[name] = codes
    return found


def _rank_of_name(name: str) -> int:
    """0: called an answer, 1: much like one, 2: it does not say, 3: it is called something else."""
    word = name.lower()
    if word in _ANSWER_NAMES:
        return 0
    if _NO_ANSWER.search(word):
        return 3
    return 1 if _ANSWER_PART.search(word) else 2


def _truth_answer(columns: SeenColumns, name: str, first: str) -> tuple[str | None, dict[str, str]]:
    """A column such as `left_won` or `a_wins`: true or 1 where the first won."""
    sides = (name.lower(), first, "first")
    answer = columns.first(f"{side}_{won}" for side in sides for won in _WON)
    if answer is None or not columns.is_flag(answer):
        return None, {}
    meaning = {}
    for value in columns.values(answer):
        # A truth value is written 1 or 0 in a description.
        word = str(int(value)) if isinstance(value, bool) else str(value)
        meaning[word] = "first" if word.lower() in ("1", "1.0", "true", "yes") else "second"
    return answer, meaning


def soft_answer(columns: SeenColumns, called: tuple[str, ...] = _SOFT) -> str | None:
    """A column of numbers from 0 to 1 that is called a probability."""
    name = columns.first(called)
    if name is None or not is_number(columns.table[name].type):
        return None
    is_doubtful = name.lower() in _MAYBE_SOFT
    return name if holds_shares(columns, name, needs_fractions=is_doubtful) else None


def holds_shares(columns: SeenColumns, name: str, *, needs_fractions: bool) -> bool:
    """Whether all numbers of a column lie from 0 to 1; nothing but 0 and 1 may be sides, or truth
    values of either."""
    values = to_floats(columns.table[name])
    values = values[~np.isnan(values)]
    inside = bool(len(values)) and bool(((values >= 0) & (values <= 1)).all())
    return inside and not (needs_fractions and bool(np.isin(values, (0.0, 1.0)).all()))


def _graded_answer(
    columns: SeenColumns, sides: tuple[str, str], answer: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The column whose words say how much better one side is, and its scale: the one that is known
    to be the answer, or any. The answer itself and nothing where it is none of these."""
    for name in columns.names if answer is None else (answer,):
        if name in sides or not is_text(columns.table[name].type):
            continue
        scale = grade_scale({str(value) for value in columns.values(name)})
        if scale:
            return name, scale
    return answer, ()


def _side_codes(words: set[str]) -> dict[str, str]:
    """Two words that differ in how they end (a1, a2) are sides; all others must be common ones."""
    own = sorted(word for word in words if word.strip().lower() not in COMMON_WORDS)
    if len(own) != 2:
        return {}
    for first, second in PAIRED_ENDS:
        stem = own[0][: -len(first)]
        if stem and own[0].endswith(first) and own[1] == stem + second:
            return {own[0]: "first", own[1]: "second"}
    return {}


def _share_told(columns: SeenColumns, answer: str, sides: tuple[str, str]) -> float:
    """The share of answered lines whose answer is a common word or names one of the two items."""
    code, words = columns.codes(answer)
    is_common = np.array([str(word).strip().lower() in COMMON_WORDS for word in words] + [False])
    parts = [pc.cast(one_chunk(columns.table[name]), pa.string()) for name in (answer, *sides)]
    either = pc.or_kleene(pc.equal(parts[0], parts[1]), pc.equal(parts[0], parts[2]))
    answered = np.asarray(pc.is_valid(parts[0]))
    told = is_common[code] | np.asarray(either.fill_null(False))
    return float(told[answered].mean()) if answered.any() else 0.0


def _share_answered(columns: SeenColumns, name: str, said: Description) -> float:
    """The share of a column's words that answer as those of the answer itself do."""
    if not said.codes:
        return _share_told(columns, name, (said.option_columns[0], said.option_columns[1]))
    code, words = columns.codes(name)
    is_known = np.array([*(str(word) in said.codes for word in words), False])
    return float(is_known[code][code >= 0].mean()) if (code >= 0).any() else 0.0


def _pair_features(
    columns: SeenColumns, first: str, second: str, sides: tuple[str, str]
) -> dict[str, dict[str, str]]:
    found = {}
    for name in columns.names:
        stem = name[: -len(first)]
        other = stem + second
        if name in sides or not (name.endswith(first) and stem and other in columns.names):
            continue
        if all(str(v).strip().lower() in COMMON_WORDS for v in columns.values(name)):
            continue  # the votes of several judges, not a property of the options
        feature = stem.rstrip("_-. ") or stem
        if is_text(columns.table[name].type) and len(columns.values(name)) > MANY_LEVELS:
            feature = "text"
        found[feature] = {"first": name, "second": other}
    return found
