"""Names as tables and sentences show them: long ones cut, wide letters counted."""

import unicodedata


def excerpt(name: str, room: int = 48) -> str:
    """A name of at most `room` letters: whole, or its beginning and its end.

    Both ends are kept since names of one list often begin alike. Line breaks become spaces.
    """
    line = " ".join(name.split()) if len(name) > room or not name.isprintable() else name
    if len(line) <= room:
        return line
    tail = (room - 1) // 3
    return f"{line[: room - 1 - tail].rstrip()}…{line[len(line) - tail :].lstrip()}"


def width(text: str) -> int:
    """Columns of a terminal that a text takes: East Asian letters and most pictures take two."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter)
        else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )  # fmt: skip
