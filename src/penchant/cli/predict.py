"""`penchant predict`: how likely each option shown is to be chosen, and each answer to be given."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penchant.cli import options, shell

if TYPE_CHECKING:
    from penchant.beliefs.foretold import Foretold
    from penchant.data.batch import Batch


@shell.guarded
def predict(
    file: options.File,
    belief: options.BeliefFolder,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Parquet, CSV or JSONL file to write.", show_default=False
        ),
    ] = None,
    history: options.HistoryFile = None,
    description: options.DescriptionFile = None,
    on_bad_rows: options.OnBadRows = "error",
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Give each option of each menu in FILE its probability of being chosen.

    One line per option shown: row (from 0, of the menus that were read, in the file's order),
    person, situation, option, probability. Of a pair it is that of winning, of a ranking that of
    coming first, of best-worst that of being best, of clicks that of being taken. Where answers
    are more than that there are further columns: tie; worst; for ratings and numbers expected, and
    for each level of ratings or grades the probability of being given.
    """
    from penchant.beliefs.belief import Belief
    from penchant.beliefs.foretold import foretell
    from penchant.cli.reading import read_file

    learnt = Belief.load(belief)
    data = read_file(file, description, on_bad_rows=on_bad_rows, belief=belief, quiet=json)
    known = None
    if history is not None:
        known = learnt.encode(
            read_file(history, description, on_bad_rows=on_bad_rows, belief=belief,
                      quiet=json).records
        )  # fmt: skip
    with shell.waiting(f"Predicting {len(data.records):,} menus", json):
        batch = learnt.encode(data.records)
        if all(block.kind == "choice" for block in batch.blocks):
            columns = {"probability": batch.flat(learnt.predict_proba(batch, known))}
        else:
            columns = _columns(batch, foretell(learnt, batch, known))
    table = _table(data.records, columns)
    if out is not None:
        from penchant.data.readers.table import write_table

        write_table(table, out)
        shell.note(f"{table.num_rows:,} lines of probabilities written to {out}.", json)
    if json:
        shell.print_json(table.to_pylist())
    elif out is None:
        _print(table)


def _columns(batch: "Batch", foretold: "tuple[Foretold, ...]") -> dict[str, Any]:
    """A number for each option shown under each heading; headings without any are left out."""
    import numpy as np

    def levels_of(each: "Foretold", level: str) -> Any:
        """[B, K] the probability of one level, the same for both options that a grade compares."""
        if level not in each.levels:
            return np.full(each.preferred.shape, np.nan)
        place = each.levels.index(level)
        if each.kind == "rating":
            return each.answers[:, :, place]
        return np.broadcast_to(each.answers[:, place, None], each.preferred.shape)

    levels = dict.fromkeys(level for each in foretold for level in each.levels)
    columns = {
        "probability": [each.preferred for each in foretold],
        "tie": [np.broadcast_to(each.tie[:, None], each.preferred.shape) for each in foretold],
        "worst": [each.worst for each in foretold],
        "expected": [each.expected for each in foretold],
        **{f"p({level})": [levels_of(each, level) for each in foretold] for level in levels},
    }
    flat = {name: batch.flat(blocks) for name, blocks in columns.items()}
    return {name: values for name, values in flat.items() if not np.isnan(values).all()}


def _table(records: Any, columns_of_options: dict[str, Any]) -> Any:
    import pyarrow as pa

    row = records.row_of_option
    columns = {"row": pa.array(row)}
    for name in ("person", "situation"):
        if name in records.rows.column_names:
            columns[name] = records.rows[name].take(pa.array(row))
    if "option" in records.options.column_names:
        columns["option"] = records.options["option"]
    # What is not a number is nothing: a rating has no probability of being chosen.
    told = {name: pa.array(v, from_pandas=True) for name, v in columns_of_options.items()}
    return pa.table({**columns, **told})


def _print(table: Any, most: int = 30) -> None:
    console = shell.output()
    names = table.column_names
    lines = [[_cell(value) for value in line.values()] for line in table.slice(0, most).to_pylist()]
    widths = [max(map(len, column)) for column in zip(names, *lines)]
    for line in [names, *lines]:
        console.print("  ".join(c.rjust(w) for c, w in zip(line, widths)), markup=False)
    if table.num_rows > most:
        shell.note(f"The first {most} of {table.num_rows:,} lines; --out writes all of them.")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
