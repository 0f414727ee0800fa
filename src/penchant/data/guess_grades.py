"""A first guess whether words say how much better one of two is: "A>>B", "left slightly better"."""

import re

# From weak to strong; "A is better", with none of these, lies below "moderately".
_DEGREES = (
    ("barely", "marginally"),
    ("slightly", "somewhat", "bit", "little", "weakly"),
    ("moderately",),
    ("clearly", "significantly", "considerably", "strongly"),
    ("much", "far", "lot", "very", "definitely", "overwhelmingly"),
)
_PLAIN = 2
_FIRST = ("a", "left", "first", "1", "better", "model_a", "response_a", "assistant_a")
_SECOND = ("b", "right", "second", "2", "worse", "model_b", "response_b", "assistant_b")
# "Not better", "less good": which way such a word turns the rest is no matter of words alone.
_TURNING = ("not", "less", "least", "lower", "inferior", "never", "hardly", "poorer", "weaker",
            "dislike", "reject", "loses", "lost", "t")  # fmt: skip
_EQUAL = ("tie", "same", "equal", "equally", "neither", "similar", "neutral", "draw")
_SIGNS = re.compile(r"^\W*a\s*([<>]{1,3}|=)\s*b\W*$|^\W*b\s*([<>]{1,3}|=)\s*a\W*$")


def grade_scale(words: set[str]) -> tuple[str, ...]:
    """The words from "the second is best" to "the first is", with what mirrors each; empty where
    they are no grades, or tell one degree only.

    A grade that nobody gave has its place too: it is named as the mirror of the one that was.
    """
    place: dict[int, str] = {}
    for word in sorted(words):
        grade = _grade(word)
        if grade is None or grade in place:
            return ()
        place[grade] = word
    sizes = sorted({abs(grade) for grade in place} - {0})
    if len(sizes) < 2:
        return ()
    scale = [-size for size in reversed(sizes)] + [0] * (0 in place) + sizes
    return tuple(place.get(grade) or f"the opposite of {place[-grade]}" for grade in scale)


def _grade(word: str) -> int | None:
    """How much better the first is, below 0 where the second is; None for another kind of word."""
    signs = _SIGNS.match(word.strip().lower())
    if signs:
        mark, side = (signs[1], 1) if signs[1] else (signs[2], -1)
        return 0 if mark == "=" else side * len(mark) * (1 if mark[0] == ">" else -1)
    said, _, other = re.sub(r"\ba (bit|little|lot)\b", r"\1", word.lower()).partition(" than ")
    parts = re.findall(r"[a-z_0-9]+", said)
    if any(part in _EQUAL for part in parts):
        return 0
    if any(part in _TURNING for part in parts):
        return None
    # "Better" and "worse" are of the first, unless a side is named, as in "B is much better".
    named = [part for part in parts if part in _FIRST + _SECOND]
    sides = [part for part in named if part not in ("better", "worse")]
    if not sides and any(part in _FIRST for part in re.findall(r"[a-z_0-9]+", other)):
        return None  # "better than A" is said of the second
    sides = sides or named
    if len(set(sides)) != 1:
        return None
    degrees = [d for d, same in enumerate(_DEGREES) if any(part in same for part in parts)]
    degree = 1 + (2 * degrees[0] if degrees else 2 * _PLAIN - 1)
    side = 1 if sides[0] in _FIRST else -1
    if sides != named and "worse" in named:
        side = -side
    return side * degree
