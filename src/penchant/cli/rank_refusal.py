"""What `penchant rank` says of a file in which it finds neither votes nor rankings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from penchant.errors import DataError

if TYPE_CHECKING:
    from penchant.data.description import Description
    from penchant.data.seen_columns import SeenColumns

# Layouts whose lines are votes, rankings, or ratings that become votes.
_RANKED = ("pairs", "arena", "rankings", "best_worst", "preflib", "ratings",
           "label_studio", "potato")  # fmt: skip
_MOST_COLUMNS = 12


def check_recognised(file: Path, data: Any, said: "Description") -> None:
    """Raises DataError where the guess found nothing that a leaderboard is made of; `data` is the
    file, or its head."""
    if said.layout in _RANKED or (said.layout == "long" and said.answer is not None):
        return
    from penchant.data.readers.table import load_table
    from penchant.data.seen_columns import SeenColumns

    if said.layout in ("vw", "dsjson"):
        raise DataError(_refusal(file, f"is a log of decisions ({said.layout})", ""))
    columns = SeenColumns(load_table(data, said).table)
    names = ", ".join(columns.names[:_MOST_COLUMNS])
    more = ", ..." if len(columns.names) > _MOST_COLUMNS else ""
    kind = "was not recognised" if said.layout == "long" else f"looks like {said.layout} data"
    raise DataError(_refusal(file, f"{kind}; its columns are {names}{more}", _hint(columns)))


def _refusal(file: Path, found: str, hint: str) -> str:
    return (
        f"{file.name} {found}. A leaderboard needs votes between two items (two columns of items "
        "and one that says who won), winners and losers, rankings, or several ratings of each "
        f"person. {hint or 'Name the columns with --left, --right and --winner.'} `penchant "
        f"describe {file}` writes a first guess to be corrected."
    )


def _hint(columns: "SeenColumns") -> str:
    """How to name the columns: two that hold items, or ratings by person."""
    from penchant.data.guess_pairs import possible_answers, sides_of_items

    sides = sides_of_items(columns)
    person = columns.person()
    if sides is None and person is not None:
        return (
            "Ratings of, or agreement with, one item at a time become votes between every two "
            f'items of a person: write a description with layout = "ratings", [rows] person = '
            f'"{person}", [options] option = the item\'s column, [answer] kind = "outcome" and '
            "column = the rating's. For other votes name --left, --right and --winner."
        )
    if sides is None:
        return ""
    left, right = sides
    told = possible_answers(columns, sides)
    if len(told) > 1:
        return (
            f"{left} and {right} look like items, and each of {', '.join(told)} could say which "
            f"won: --left {left} --right {right} --winner {' or '.join(told)}."
        )
    flags = [name for name in columns.names if name not in sides and columns.is_flag(name)]
    if not flags:
        return (
            f"{left} and {right} look like items; name them and the answer: --left {left} --right "
            f"{right} --winner COLUMN."
        )
    return (
        f"{left} and {right} look like items. If 1 in {flags[0]} says that {left} won and 0 that "
        f"{right} did: --left {left} --right {right} --winner {flags[0]}. If it is the other way "
        f"round: --left {right} --right {left}."
    )
