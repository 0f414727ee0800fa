"""What `penchant evaluate` found, as plain lines for JSON and as tables for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from penchant.cli import shell

if TYPE_CHECKING:
    from penchant.data.records import Records
    from penchant.evaluation.predictions import Predictions

Line = dict[str, Any]
# What is right of an answer that is more than a choice.
RIGHT = {
    "pair": "who wins, or a tie",
    "graded": "the grade",
    "ranking": "who comes first",
    "best_worst": "the best, the worst",
    "rating": "the level",
    "approval": "each option, approved or not",
    "binary": "each option, taken or not",
}
Judged = Mapping[tuple[str, str], "Predictions"]


def ladder_lines(judged: Judged) -> list[Line]:
    """A line for each model and split."""
    from penchant.evaluation.ladder import ladder_of

    return [asdict(row) for row in ladder_of(judged)]


def kind_lines(judged: Judged, records: "Records") -> list[Line]:
    """A line for each model, split and kind of answer; none where every answer is a choice.

    `nll` is of the whole answer (a whole order, the density of a number), `question_nll` and
    `accuracy` of what RIGHT says of the kind, `off` how far the expected rating or number is from
    the given one.
    """
    import numpy as np

    from penchant.evaluation.predictions import is_choices

    if is_choices(records):
        return []
    kinds = records.kinds[records.kind_codes]
    lines = []
    for (model, split), predictions in judged.items():
        of_row = kinds[predictions.row]
        for kind in dict.fromkeys(of_row.tolist()):
            mine = predictions.take(np.flatnonzero(of_row == kind))
            whole, part, off = mine.nll(), mine.question_nll(), mine.error()
            lines.append({
                "model": model, "split": split, "kind": kind, "nll": whole.estimate,
                "nll_low": whole.low, "nll_high": whole.high, "question_nll": part.estimate,
                "accuracy": mine.accuracy().estimate, "ece": mine.ece(), "off": off.estimate,
                "off_low": off.low, "off_high": off.high, "people": mine.num_people,
                "answers": len(mine),
            })  # fmt: skip
    return lines


def pair_lines(judged: Judged, seed: int) -> list[Line]:
    """A line for every two models: by how many nats the later one errs less or more."""
    from penchant.evaluation.ladder import every_pair

    return [
        {
            "model": pair.model, "against": pair.against, "split": pair.split,
            "difference": pair.found.difference.estimate, "low": pair.found.difference.low,
            "high": pair.found.difference.high, "p": pair.found.p_value,
            "people": pair.found.people, "choices": pair.found.choices,
        }
        for pair in every_pair(judged, seed)
    ]  # fmt: skip


def curve_lines(curves: Mapping[str, Sequence["Predictions"]]) -> list[Line]:
    """A line for each model and number of answers; `gain` is the paired change since none."""
    from penchant.evaluation.few_shot import few_shot_gains, few_shot_points

    return [
        {
            "model": model, "answers": point.answers, "nll": point.nll, "nll_low": point.low,
            "nll_high": point.high, "gain": gain.estimate, "gain_low": gain.low,
            "gain_high": gain.high, "accuracy": known.accuracy().estimate, "ece": known.ece(),
            "people": known.num_people, "choices": len(known),
        }
        for model, curve in curves.items()
        for known, point, gain in zip(curve, few_shot_points(curve), few_shot_gains(curve))
    ]  # fmt: skip


def subgroup_lines(
    predictions: "Predictions", records: "Records", by: Iterable[str], seed: int
) -> list[Line]:
    """Nats per choice by subgroup, worst first."""
    columns = tuple(by)
    if not columns:
        return []
    import numpy as np

    from penchant.evaluation.subgroups import losses_by_subgroup

    found = losses_by_subgroup(predictions, records, columns, np.random.default_rng(seed))
    return [
        {
            "name": found.names[z], "nll": float(found.mean[z]), "nll_low": float(found.low[z]),
            "nll_high": float(found.high[z]), "people": int(found.num_clusters[z]),
        }
        for z in np.argsort(-found.mean)
    ]  # fmt: skip


def print_judgement(document: Mapping[str, list[Line]], last_model: str) -> None:
    """The tables, one below the other; those without a line are left out."""
    answer = "answer" if document["kinds"] else "choice"
    _show(
        ("model", "judged on"),
        (f"nats per {answer}", "95 %", "right", "calibration error", f"{answer}s"),
        [
            (
                row["model"], _split(row), f"{row['nll']:.4f}", _ends(row, "nll_"),
                _share(row), _number(row["ece"]), f"{row['choices']:,}",
            )
            for row in document["ladder"]
        ],
    )  # fmt: skip
    _print_kinds(document["kinds"])
    _show(
        (f"the same {answer}s", "judged on"), ("difference in nats", "95 %", "p", "the better"),
        [
            (
                f"{row['model']} less {row['against']}", _split(row), f"{row['difference']:+.4f}",
                _ends(row, sign="+"), _p(row), _better(row),
            )
            for row in document["differences"]
        ],
    )  # fmt: skip
    _show(
        ("a new person, after",), (f"nats per {answer}", "95 %", "since none", "95 %", "right"),
        [
            (
                f"{row['answers']} answer{'' if row['answers'] == 1 else 's'} ({row['model']})",
                f"{row['nll']:.4f}", _ends(row, "nll_"),
                f"{row['gain']:+.4f}" if row["answers"] else "",
                _ends(row, "gain_", "+") if row["answers"] else "",
                _share(row),
            )
            for row in document["few_shot"]
        ],
    )  # fmt: skip
    _show(
        (f"subgroup ({last_model})",), (f"nats per {answer}", "95 %, all at once", "people"),
        [
            (row["name"], f"{row['nll']:.4f}", _ends(row, "nll_"), f"{row['people']:,}")
            for row in document["subgroups"]
        ],
    )  # fmt: skip


def _print_kinds(lines: Sequence[Line]) -> None:
    """Each kind of answer by itself, and what is right of it."""
    has_numbers = any(row["off"] == row["off"] for row in lines)
    off = ("off by",) if has_numbers else ()
    _show(
        ("kind of answer", "model", "judged on"),
        ("nats per answer", "right", "nats of that", "calibration error", *off, "answers"),
        [
            (
                row["kind"], row["model"], _split(row), f"{row['nll']:.4f}", _share(row),
                _number(row["question_nll"]), _number(row["ece"]),
                *((_number(row["off"]),) if has_numbers else ()), f"{row['answers']:,}",
            )
            for row in sorted(lines, key=lambda row: str(row["kind"]))
        ],
    )  # fmt: skip
    kinds = sorted({row["kind"] for row in lines} & set(RIGHT))
    told = "; ".join(f"{kind}: {RIGHT[kind]}" for kind in kinds)
    said = [f"Right is, of {told}."] if kinds else []
    if has_numbers:
        said.append("Off by is how far the expected rating or number is from the given one.")
    if said:
        shell.output().print(" ".join(said), markup=False)
        shell.output().print()


def _share(row: Line) -> str:
    """A share in per cent; nothing where nothing could be right, as of numbers."""
    return f"{100 * row['accuracy']:.1f} %" if row["accuracy"] == row["accuracy"] else ""


def _number(value: float) -> str:
    return f"{value:.4f}" if value == value else ""


def _show(names: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    from rich.table import Table

    table = Table(*names, box=None, header_style="dim", pad_edge=False)
    for head in numbers:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    console = shell.output()
    console.print(table)
    console.print()


def _split(row: Line) -> str:
    return str(row["split"]).replace("_", " ")


def _ends(row: Line, prefix: str = "", sign: str = "") -> str:
    return f"{row[f'{prefix}low']:{sign}.4f} to {row[f'{prefix}high']:{sign}.4f}"


def _p(row: Line) -> str:
    from penchant.models.table import p_cell

    return p_cell(row["p"])


def _better(row: Line) -> str:
    """The model that errs less beyond chance; a tie where the interval holds 0."""
    if not row["low"] <= row["high"]:
        return "cannot be told"
    if row["high"] < 0:
        return str(row["model"])
    return str(row["against"]) if row["low"] > 0 else "a tie"
